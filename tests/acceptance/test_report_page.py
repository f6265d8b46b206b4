"""The report as a page, as a browser shows it."""

import json
import re
import shutil
import subprocess
from html import escape, unescape
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.command import TOKEN, Command
from tests.acceptance.files import write_campaign
from tests.acceptance.servers import answering, reply
from tests.acceptance.terminal import Terminal

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
REFUSAL = "<script>document.title = 'taken'</script> \x1b[31mno"
PEOPLE = "username,email\nann,\nbad.one,\nnobody.here,\nlost,\nbob,\nbad.two,b@x.io\n"
WIDTHS = (1280, 390)
# Each width in a frame of its own; the page itself allows no script, so that the frame's parent looks into it.
HARNESS = """<!doctype html><meta charset=utf-8><pre id=seen></pre>{frames}<script>
addEventListener("load", () => {{
  const seen = [...document.querySelectorAll("iframe")].map(frame => {{
    const page = frame.contentDocument, root = page.scrollingElement;
    const boxes = [...page.querySelectorAll("svg.chart")].map(one => one.getBoundingClientRect());
    return {{
      title: page.title,
      overflow: root.scrollWidth - root.clientWidth,
      charts: boxes.filter(box => box.width > 0 && box.height > 0).map(box => [box.width, box.height]),
      bars: page.querySelectorAll(".chart.wide .bar").length,
      card: getComputedStyle(page.querySelector("section")).backgroundColor,
      loaded: frame.contentWindow.performance.getEntriesByType("resource").map(entry => entry.name),
      numbers: Object.fromEntries([...page.querySelectorAll(".figures dd, #calls")].map(e => [e.id, e.textContent])),
      text: page.body.innerText,
    }};
  }});
  document.getElementById("seen").textContent = JSON.stringify(seen);
}});
</script>"""


def answer(request: bytes) -> bytes:
    """Refuses the bad ones, does not find nobody, and breaks down over the lost one."""
    if b"bad" in request:
        return reply("422 Unprocessable", json.dumps({"message": REFUSAL}).encode(), Content_Type="application/json")
    if b"lost" in request:
        return reply("500 Internal Server Error")
    missing = ["nobody.here"] if b"nobody" in request else []
    body = {"accepted_count": 1 - len(missing), "not_found_count": len(missing), "not_found": missing}
    return reply("202 Accepted", json.dumps(body).encode(), Content_Type="application/json")


def shown_by_a_browser(page: str, folder: Path) -> list[Any]:
    """What a real browser makes of the page in each width; fails when it complains."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"no browser to show the page: none of {', '.join(BROWSERS)} is installed")
    frames = "".join(f'<iframe style="width:{w}px;height:900px" srcdoc="{escape(page)}"></iframe>' for w in WIDTHS)
    harness = folder / "harness.html"
    harness.write_text(HARNESS.format(frames=frames), "utf-8")
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", f"--user-data-dir={folder}/b")
    done = subprocess.run(
        [browser, *flags, "--window-size=1400,2000", "--dump-dom", harness.as_uri()],
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert [line for line in done.stderr.decode().splitlines() if "CONSOLE" in line] == []
    found = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout.decode(), re.DOTALL)
    assert found
    seen: list[Any] = json.loads(unescape(found[1]))
    return seen


def test_a_browser_shows_the_numbers_and_a_chart_and_asks_for_nothing_else(tmp_path: Path) -> None:
    file = write_campaign(tmp_path, PEOPLE, delivery="{rate: 1000/s, chunk_size: 1, workers: 1}")
    with answering(answer) as server:
        environ = {"INRO_API_URL": server.url, "INRO_API_TOKEN": TOKEN, "CAMPAIGN_LEDGER": str(tmp_path / "l.db")}
        campaign = Command(folder=tmp_path, environ=environ)
        assert campaign("send", file, "--yes").code == 3

    report = campaign("report", "spring", "--format", "json").json
    ended = campaign("report", "spring", "--format", "html")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("<!doctype html>")
    counts = report["recipients"]
    assert [counts[state] for state in ("accepted", "not_found", "rejected", "unknown")] == [2, 1, 2, 1]
    some = campaign("report", "spring", "--format", "html", "--state", "unknown").out
    assert "@lost" in some
    assert "@bad" not in some

    wide, phone = shown_by_a_browser(ended.out, tmp_path)
    shown = {name: count for name, count in counts.items() if count} | {"calls": report["requests"]["sent"]}
    for seen in (wide, phone):
        assert seen["title"] == "spring: campaign report"
        assert seen["numbers"] == {name: f"{count:,}" for name, count in shown.items()}
        assert seen["overflow"] == 0
        assert seen["loaded"] == []
        assert seen["bars"] > 0
        assert seen["card"] == "rgb(255, 255, 255)"  # its own style is allowed, and nothing else
        assert "6 planned = 2 accepted + 1 not found + 2 rejected + 1 unknown ✓ reconciles" in seen["text"]
        assert "<script>document.title = 'taken'</script>" in seen["text"]
        for name in ("@bad.one", "@bad.two · b@x.io", "@nobody.here", "@lost"):
            assert name in seen["text"]
        assert "@ann" not in seen["text"]
        (chart,) = seen["charts"]
        assert chart[0] > chart[1] > 150
    assert wide["charts"][0][0] > 800 > phone["charts"][0][0]


def test_a_page_is_refused_on_a_terminal(campaign: Command) -> None:
    with Terminal(campaign, "report", "spring", "--format", "html") as terminal:
        assert terminal.end() == 2

    assert "campaign report RUN --format html > report.html" in " ".join(terminal.text.replace("│", " ").split())
    assert "<html" not in terminal.text

"""`send --metrics`: scraped while it sends, refused before it sends."""

import re
from pathlib import Path
from urllib.request import urlopen

from sender.sandbox import Faults
from tests.acceptance.conftest import pointed_at, serving
from tests.acceptance.files import write_campaign


def test_metrics_are_served_while_it_sends_and_a_taken_port_sends_nothing(tmp_path: Path) -> None:
    file = write_campaign(tmp_path, [f"person{n}" for n in range(30)], delivery="{rate: 100/s, chunk_size: 10}")
    with serving() as sandbox:
        sandbox.faults = Faults(script=("ok", "429"), retry_after_seconds=600)
        campaign = pointed_at(sandbox, tmp_path)
        taken = sandbox.origin.rpartition(":")[2]
        refused = campaign("send", file, "--yes", "--metrics", taken)
        assert refused.code == 2
        assert refused.err.startswith(f"campaign: --metrics: nothing can listen on {taken}: ")
        assert sandbox.requests() == []

        sending = campaign.start("send", file, "--yes", "--metrics", "0")
        sending.wait_for(lambda: "account.paused" in sending.err)
        url = re.findall(r"Metrics are at (http://127\.0\.0\.1:\d+/metrics)", sending.err)[0]
        with urlopen(url) as response:  # noqa: S310 – the address that the sender has just named
            text = response.read().decode()
        sending.process.terminate()
        assert sending.end().code == 143

    assert 'inro_campaign_calls_total{outcome="wait"} 1.0' in text
    assert 'inro_campaign_run_info{account="default",campaign="spring",run="spring"} 1.0' in text
    assert "person" not in text

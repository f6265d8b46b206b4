"""Campaign files: what is read from them, and the exact words about those that are wrong."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaigns.errors import CampaignFileError, Place
from campaigns.loading import load_campaign
from campaigns.loading.explain import SECTIONS
from campaigns.model import Campaign, CampaignKeys, TextMessage
from campaigns.schema import campaign_schema

HEAD = "campaign: spring\naudience: {csv: people.csv}\n"
REQUIRED = [
    "c.yaml:1:1: campaign: missing; accepted is for example campaign: spring-drop",
    "c.yaml:1:1: audience: missing; accepted is for example audience: {csv: people.csv}",
    "c.yaml:1:1: message: missing; accepted is for example message: {text: Hello}",
]


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(text: str | bytes, environ: dict[str, str] | None = None) -> Campaign:
    Path("c.yaml").write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    return load_campaign(Path("c.yaml"), environ or {})


def outcome(text: str | bytes) -> Campaign | CampaignFileError:
    try:
        return load(text)
    except CampaignFileError as refused:
        return refused


def problems(text: str | bytes, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(CampaignFileError) as refused:
        load(text, environ)
    return [str(problem) for problem in refused.value.problems]


def test_a_campaign_is_read_with_its_paths_made_absolute(tmp_path: Path) -> None:
    campaign = load(HEAD + "message: {type: image, image: media/spring.png}\n")
    assert campaign.file == tmp_path / "c.yaml"
    assert campaign.audience.csv == (str(tmp_path / "people.csv"),)
    assert campaign.message.model_dump()["image"] == str(tmp_path / "media/spring.png")


def test_web_addresses_and_standard_input_stay_as_they_are() -> None:
    campaign = load("campaign: x\naudience: {csv: '-'}\nmessage: {type: video, video: https://example.com/a.mp4}\n")
    assert campaign.audience.csv == ("-",)
    assert campaign.message.model_dump()["video"] == "https://example.com/a.mp4"


def test_values_are_the_text_that_stands_in_the_file() -> None:
    campaign = load(
        "campaign: 2026\naudience:\n  csv: a.csv\n"
        "  where: {country: [NO, on, 007, 1_0, 1.50, true, 2026-12-01], 7: =}\n"
        "message: {text: no}\nschedule: {at: 2026-12-01 09:00, timezone: Europe/Paris}\n"
        "window: {from: 09:00, to: 20:00, timezone: UTC}\n"
    )
    assert campaign.campaign == "2026"
    assert campaign.audience.where == {
        "country": ("NO", "on", "007", "1_0", "1.50", "true", "2026-12-01"),
        "7": ("=",),
    }
    assert campaign.message == TextMessage(text="no")


def test_anchors_and_aliases_are_followed() -> None:
    campaign = load("campaign: x\naudience: {csv: &list a.csv, exclude: *list}\nmessage: {text: hi}\n")
    assert campaign.audience.exclude == campaign.audience.csv


def test_byte_order_mark_and_windows_line_ends_are_read() -> None:
    assert load(b"\xef\xbb\xbf" + HEAD.replace("\n", "\r\n").encode() + b"message: {text: hi}\r\n").campaign == "spring"


@pytest.mark.parametrize(
    ("path", "line", "column"),
    [
        ((), 2, 1),
        (("audience", "csv", 1), 5, 7),
        (("audience", "exclude", 0), 6, 12),
        (("message", "image"), 7, 31),
        (("message", "upload"), 7, 10),
        (("delivery", "rate"), 2, 1),
    ],
)
def test_a_place_is_where_the_value_stands(path: tuple[str | int, ...], line: int, column: int) -> None:
    campaign = load(
        "# comment\ncampaign: x\naudience:\n  csv: [a.csv,\n      b.csv]\n  exclude: o.csv\n"
        "message: {type: image, image: https://example.com/a.png}\n"
    )
    assert campaign.place(*path) == Place(file="c.yaml", line=line, column=column)


WRONG = [
    (
        "",
        "c.yaml:1:1: the file is empty; accepted is for example campaign: spring-drop",
    ),
    (
        "# nothing\n",
        "c.yaml:1:1: the file is empty; accepted is for example campaign: spring-drop",
    ),
    (
        "- a\n- b\n",
        "c.yaml:1:1: found a list; accepted are keys and values",
    ),
    (
        "hello",
        "c.yaml:1:1: found 'hello'; accepted are keys and values",
    ),
    (
        "a: 1\n---\nb: 2\n",
        "c.yaml:2:1: a second document begins here; accepted is one campaign in a file",
    ),
    (
        "audience:\n\tcsv: x\n",
        "c.yaml:2:1: a tab is used to indent; accepted are spaces",
    ),
    (
        "a: [1\nb: 2",
        "c.yaml:1:4: the list opened here is not closed; accepted is [one, two]",
    ),
    (
        "a: {b: 1\nc: 2",
        "c.yaml:1:4: the mapping opened here is not closed; accepted is {key: value, key: value}",
    ),
    (
        "a: 'x\n",
        "c.yaml:1:4: the quotes opened here are not closed; accepted is the same quote again",
    ),
    (
        "a: b: c\n",
        "c.yaml:1:5: a ':' that fits nowhere; accepted is one key: value in a line, and text with ': ' in quotes",
    ),
    (
        "text: 'it's'\n",
        "c.yaml:1:11: text after the end of a value; accepted are quotes around all of it, with '' for a ' inside '…'",
    ),
    (
        "a:\n  - x\n b: 1\n",
        "c.yaml:3:2: a line that fits nothing above; accepted is key: value, keys of one level indented alike",
    ),
    (
        "- a\nb: c\n",
        "c.yaml:2:1: a line that fits no list above; accepted is - value, indented alike",
    ),
    (
        "text: *bold* move\n",
        "c.yaml:1:12: a value can't begin with *; accepted is to put it in quotes",
    ),
    (
        "text: | Hello\n",
        "c.yaml:1:9: text right after | or >; accepted is to begin it in the next line, indented",
    ),
    (
        "text: @you\n",
        "c.yaml:1:7: a value can't begin like this; accepted is to put it in quotes",
    ),
    (
        "a: *x\n",
        "c.yaml:1:4: an alias without its anchor; accepted is *name after an earlier &name",
    ),
    (
        "a: &a [*a]\n",
        "c.yaml:1:4: an alias that contains itself; accepted are aliases of something complete",
    ),
    (
        "[" * 5000,
        "c.yaml:1:21: nested too deeply; accepted are at most 20 levels",
    ),
    (
        b"campaign: caf\xe9\n",
        "c.yaml:1:14: byte 0xE9 is not UTF-8; accepted is a file saved as UTF-8",
    ),
    (
        "campaign: x\ny: \x07\n",
        "c.yaml:2:4: found the invisible character U+0007; accepted is text without it",
    ),
    (
        "x" * 1_048_577,
        "c.yaml: is too large; accepted are at most 1,048,576 bytes",
    ),
    (
        HEAD + "message: hello\n",
        "c.yaml:3:10: message: found 'hello'; accepted are keys and values",
    ),
    (
        HEAD + "message: {type: foto, image: a.png}\n",
        "c.yaml:3:17: message.type: found 'foto'; accepted are text, image, video, audio, share",
    ),
    (
        HEAD + "message: {image: a.png}\n",
        "c.yaml:3:11: message.image: unknown key here; accepted is to have it in a message of type: image",
    ),
    (
        HEAD + "message:\n  type: text\n",
        "c.yaml:3:1: message.text: missing; accepted is for example text: Hello from us",
    ),
    (
        HEAD + "message:\n  text:\n",
        "c.yaml:4:8: message.text: nothing is written here; accepted is a value, or to leave the key out",
    ),
    (
        HEAD + "message: {text: Join us #spring\n}\n",
        "c.yaml:3:17: message.text: '#spring' is a comment in YAML; accepted is text in quotes",
    ),
    (
        HEAD + "message: {text: a}\nmesage: {}\n",
        "c.yaml:4:1: mesage: unknown key; did you mean message?",
    ),
    (
        HEAD + "message: {text: a}\nrate: 2/s\n",
        "c.yaml:4:1: rate: unknown key here; accepted is to have it under delivery",
    ),
    (
        HEAD + "message: {text: a}\ncampaign: y\n",
        "c.yaml:4:1: campaign: given twice, first in line 1; accepted is once",
    ),
    (
        HEAD + "message: {text: a}\nnotify: {<<: {url: x}, url: https://example.com}\n",
        "c.yaml:4:10: notify.<<: merging with << is not taken; accepted are the keys, written out",
    ),
    (
        HEAD + "message: {text: !secret a}\n",
        "c.yaml:3:17: message.text: found the tag '!secret'; accepted is a value without one",
    ),
    (
        HEAD + "message: {text: a}\ndelivery: {chunk_size: 5000}\n",
        "c.yaml:4:24: delivery.chunk_size: found '5000'; accepted is a whole number from 1 to 1,000",
    ),
    (
        HEAD + "message: {text: a}\ndelivery: {rate: fast}\n",
        "c.yaml:4:18: delivery.rate: 'fast' is not a rate; accepted are 2/s, 120/min, 500/h, 300/5min",
    ),
    (
        HEAD + "message: {text: a}\ndelivery: {timeout_seconds: 3}\n",
        "c.yaml:4:12: delivery.timeout_seconds: unknown key; did you mean timeout?",
    ),
    (
        HEAD + "message: {text: a}\ndelivery: {timeout: soon}\n",
        "c.yaml:4:21: delivery.timeout: 'soon' is not a duration; accepted are seconds, or 30s, 5m, 2h, 1h30m",
    ),
    (
        HEAD + "message: {text: a}\nwindow: {days: [tues], from: 09:00, to: 10:00, timezone: UTC}\n",
        "c.yaml:4:17: window.days[0]: found 'tues'; did you mean tue? accepted are mon, tue, wed, thu, fri, sat, sun",
    ),
    (
        HEAD + "message: {text: a}\nschedule: {at: 2026-02-30 09:00, timezone: UTC}\n",
        "c.yaml:4:16: schedule.at: '2026-02-30 09:00' is not a date and time; accepted is a real "
        "one, such as 2026-12-01 09:00",
    ),
    (
        HEAD + "message: {text: a}\nschedule: {cron: 0 9 * * MON, timezone: Europe/Pariss}\n",
        "c.yaml:4:41: schedule.timezone: 'Europe/Pariss' is not a time zone; did you mean Europe/Paris?",
    ),
    (
        "campaign: x\naudience: {csv: a.csv, columns: {handle: x}}\nmessage: {text: a}\n",
        "c.yaml:2:34: audience.columns.handle: found 'handle'; accepted are id, username, email",
    ),
    (
        "campaign: x\naudience: {csv: [a.csv, 'https://example.com/b.csv']}\nmessage: {text: a}\n",
        "c.yaml:2:25: audience.csv[1]: 'https://example.com/b.csv' is a web address; accepted is a "
        "file on this machine",
    ),
    (
        "campaign: x\naudience: {csv: {a: b}}\nmessage: {text: a}\n",
        "c.yaml:2:17: audience.csv: found a mapping; accepted is one value, or a list",
    ),
]


@pytest.mark.parametrize(("text", "sentence"), WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_has_a_place_and_a_sentence(text: str | bytes, sentence: str) -> None:
    assert problems(text) == [sentence]


def test_every_problem_is_told_at_once_in_the_order_of_the_file() -> None:
    found = problems(
        "campaign: a b\naudience: {csv: a.csv, exlude: o.csv}\nmessage:\n  text: ${NOPE}\n"
        "delivery:\n  rate: fast\n  workers: 4\n  workers: 0\nwindow: {}\n"
    )
    assert [problem.split(":")[1:4] for problem in found] == [
        ["1", "11", " campaign"],
        ["2", "24", " audience.exlude"],
        ["4", "9", " message.text"],
        ["6", "9", " delivery.rate"],
        ["8", "3", " delivery.workers"],
        ["9", "1", " window.from"],
        ["9", "1", " window.to"],
        ["9", "1", " window.timezone"],
    ]


def test_what_only_follows_from_another_problem_is_not_told() -> None:
    assert problems(HEAD + "message: {text: a}\nschedule: {at: '${NOPE}', timezone: UTC}\n") == [
        "c.yaml:4:16: schedule.at: ${NOPE} is not set; accepted are variables of the environment"
    ]


def test_a_key_that_is_no_word_is_told_beside_what_is_missing() -> None:
    list_as_key = "c.yaml:1:3: found a list or mapping as a key; accepted are keys of one word"
    assert problems("? [a]\n: b\n") == [*REQUIRED, list_as_key]


def test_a_bomb_of_aliases_does_not_go_off() -> None:
    rows = ["a: &a [x,x,x,x,x,x,x,x,x,x]"]
    rows += [f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]" for old, new in zip("abcdefgh", "bcdefghi", strict=True)]
    (found,) = problems("\n".join(rows))
    assert found.endswith("too many values; accepted are at most 20,000, aliases expanded")


def test_a_variable_is_put_in_and_not_looked_at_again() -> None:
    environ = {"NAME": "a: [b, ${OTHER}] #x", "EMPTY": ""}
    assert load(HEAD + "message: {text: 'Hi ${NAME}${EMPTY}!'}\n", environ).message == TextMessage(
        text="Hi a: [b, ${OTHER}] #x!"
    )


@pytest.mark.parametrize(
    ("written", "meant"), [("$${A}", "${A}"), ("$$${A}", "$${A}"), ("$5 {A} $A", "$5 {A} $A"), ("$${A} ${A}", "${A} v")]
)
def test_a_dollar_can_be_meant_as_such(written: str, meant: str) -> None:
    assert load(HEAD + f"message: {{text: '{written}'}}\n", {"A": "v"}).message == TextMessage(text=meant)


@pytest.mark.parametrize("name", ["INRO_API_TOKEN", "INRO_API_TOKEN_FILE", "CAMPAIGN_LEDGER", "inro_api_token"])
def test_a_token_never_enters_a_message(name: str) -> None:
    (found,) = problems(HEAD + f"message: {{text: 'Hi ${{{name}}}'}}\n", {name: "secret"})
    assert found == (
        f"c.yaml:3:17: message.text: ${{{name}}} is kept out; accepted are names without INRO_ or CAMPAIGN_"
    )


@pytest.mark.parametrize("written", ["${}", "${A-b}", "${A:-b}", "${A", "${1}"])
def test_what_is_no_name_is_no_variable(written: str) -> None:
    (found,) = problems(HEAD + f"message: {{text: '{written}'}}\n", {"A": "v"})
    assert found == (
        f"c.yaml:3:17: message.text: '{written}' is no variable; accepted are ${{NAME}}, and $${{ for ${{ itself"
    )


def test_a_variable_that_holds_no_text_is_refused() -> None:
    (found,) = problems(HEAD + "message: {text: '${A}'}\n", {"A": os.fsdecode(b"caf\xe9")})
    assert found == "c.yaml:3:17: message.text: found bytes that are no text; accepted is Unicode text"


@pytest.mark.parametrize(
    ("path", "reason"),
    [("nope.yaml", "no such file or directory"), (".", "is a directory"), ("a\0b", "embedded null byte")],
)
def test_a_file_that_can_not_be_read_is_told_by_its_name(path: str, reason: str) -> None:
    with pytest.raises(CampaignFileError) as refused:
        load_campaign(Path(path), {})
    assert str(refused.value) == f"{path}: can't be read: {reason}; accepted is a campaign file in YAML"


yamlish = st.text(st.sampled_from(list("abk:-[]{}&*!|>'\"%@`#,?~ \t\n\r\\$01é\x00\x85\u2028\ufeff\ud800")), max_size=60)
keyish = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["latest", "2/s", "09:00"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*CampaignKeys.model_fields, "csv", "type", "text", "rate", "at", "from", "where"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)
patiently = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@patiently
@given(st.text() | yamlish | yamlish.map(lambda text: HEAD + "message:\n  text: " + text) | st.binary())
def test_whatever_is_in_the_file_the_only_error_is_ours(content: str | bytes) -> None:
    found = outcome(content)
    assert isinstance(found, Campaign) or found.problems


@patiently
@given(keyish.map(json.dumps), st.sampled_from(["", "campaign: x\naudience: ", "campaign: x\nmessage: ", "delivery: "]))
def test_whatever_the_values_are_the_only_error_is_ours(value: str, before: str) -> None:
    found = outcome(before + value)
    for problem in () if isinstance(found, Campaign) else found.problems:
        assert problem.place.line
        assert "Input should" not in problem.message


def test_the_schema_describes_the_file_as_people_write_it() -> None:
    schema = json.loads(json.dumps(campaign_schema()))
    delivery = schema["$defs"]["Delivery"]["properties"]
    assert {"timeout", "max_wait"} < set(delivery)
    assert [kind["type"] for kind in delivery["timeout"]["anyOf"]] == ["number", "string"]
    assert delivery["rate"]["type"] == "string"
    assert set(schema["properties"]) == set(CampaignKeys.model_fields)
    assert schema["$defs"]["ImageMessage"]["required"] == ["type", "image"]
    assert '"null"' not in json.dumps(schema)


def test_every_section_of_the_schema_has_its_sentences() -> None:
    models = {name for name, model in campaign_schema()["$defs"].items() if "properties" in model}  # type: ignore[attr-defined]
    assert models | {"CampaignKeys"} == {model.__name__ for model in SECTIONS.values()}

"""Campaign files with mistakes in them: what their author reads, and that nobody is written to."""

from pathlib import Path

import pytest

from sender.sandbox import Sandbox
from tests.acceptance.command import Command
from tests.acceptance.received import nothing_came

HEAD = "campaign: spring\naudience: {csv: people.csv}\n"

WRONG: dict[str, tuple[str | bytes, list[str]]] = {
    "an empty file": (
        "",
        ["spring.yaml:1:1: the file is empty; accepted is for example campaign: spring-drop"],
    ),
    "a list": (
        "- campaign\n- audience\n",
        ["spring.yaml:1:1: found a list; accepted are keys and values"],
    ),
    "a tab": (
        "campaign: spring\naudience:\n\tcsv: people.csv\n",
        ["spring.yaml:3:1: a tab is used to indent; accepted are spaces"],
    ),
    "a bracket that is never closed": (
        "campaign: spring\naudience: {csv: [people.csv\nmessage: {text: Hello}\n",
        ["spring.yaml:2:17: the list opened here is not closed; accepted is [one, two]"],
    ),
    "bytes of another encoding": (
        HEAD.encode() + b"message: {text: Gr\xfc\xdfe}\n",
        ["spring.yaml:3:19: byte 0xFC is not UTF-8; accepted is a file saved as UTF-8"],
    ),
    "a misspelt key": (
        HEAD + "mesage: {text: Hello}\nmessage: {text: Hello}\n",
        ["spring.yaml:3:1: mesage: unknown key; did you mean message?"],
    ),
    "a key in the wrong section": (
        HEAD + "message: {text: Hello}\nrate: 2/s\n",
        ["spring.yaml:4:1: rate: unknown key here; accepted is to have it under delivery"],
    ),
    "a key that stands twice": (
        HEAD + "message: {text: Hello}\nmessage: {text: Goodbye}\n",
        ["spring.yaml:4:1: message: given twice, first in line 3; accepted is once"],
    ),
    "a missing message": (
        HEAD,
        ["spring.yaml:1:1: message: missing; accepted is for example message: {text: Hello}"],
    ),
    "a text that is left empty": (
        HEAD + "message:\n  text:\n",
        ["spring.yaml:4:8: message.text: nothing is written here; accepted is a value, or to leave the key out"],
    ),
    "a text that is too long": (
        HEAD + "message: {text: " + "é" * 501 + "}\n",
        ["spring.yaml:3:17: message.text: the text is 1,002 bytes of UTF-8; accepted are at most 1,000"],
    ),
    "a hashtag that YAML would swallow": (
        HEAD + "message:\n  text: Join us #spring\n",
        ["spring.yaml:4:9: message.text: '#spring' is a comment in YAML; accepted is text in quotes"],
    ),
    "an unknown type of message": (
        HEAD + "message: {type: foto, image: a.png}\n",
        ["spring.yaml:3:17: message.type: found 'foto'; accepted are text, image, video, audio, share"],
    ),
    "a rate in words": (
        HEAD + "message: {text: Hello}\ndelivery: {rate: fast}\n",
        ["spring.yaml:4:18: delivery.rate: 'fast' is not a rate; accepted are 2/s, 120/min, 500/h, 300/5min"],
    ),
    "chunks larger than a call takes": (
        HEAD + "message: {text: Hello}\ndelivery: {chunk_size: 1001}\n",
        ["spring.yaml:4:24: delivery.chunk_size: found '1001'; accepted is a whole number from 1 to 1,000"],
    ),
    "a rate of recipients that no chunk fits in": (
        HEAD + "message: {text: Hello}\ndelivery: {recipients: 500/h}\n",
        [
            "spring.yaml:4:24: delivery.recipients: 500/h never lets a chunk of 1,000 through; accepted is chunk_size "
            "or more, so set that to 500 or less, or raise this"
        ],
    ),
    "a variable that nobody set": (
        HEAD + "message: {text: 'Hello ${NOBODY_SET_THIS}'}\n",
        ["spring.yaml:3:17: message.text: ${NOBODY_SET_THIS} is not set; accepted are variables of the environment"],
    ),
    "the token as a variable": (
        HEAD + "message: {text: 'Hello ${INRO_API_TOKEN}'}\n",
        [
            "spring.yaml:3:17: message.text: ${INRO_API_TOKEN} is kept out; "
            "accepted are names without INRO_ or CAMPAIGN_"
        ],
    ),
    "a CSV on the web, in a list": (
        "campaign: spring\naudience:\n  csv: [people.csv, 'https://example.com/more.csv']\nmessage: {text: Hello}\n",
        [
            "spring.yaml:3:21: audience.csv[1]: 'https://example.com/more.csv' is a web address; "
            "accepted is a file on this machine"
        ],
    ),
    "several mistakes": (
        "campaign: two words\naudience: {csv: people.csv, exlude: out.csv}\nmessage: {text: '${NOPE}'}\n"
        "delivery:\n  rate: fast\n  workers: 0\n",
        [
            "spring.yaml:1:11: campaign: 'two words' is not a name; accepted are 1 to 64 letters, digits, '.', '_' "
            "and '-', the first a letter or digit",
            "spring.yaml:2:29: audience.exlude: unknown key; did you mean exclude?",
            "spring.yaml:3:17: message.text: ${NOPE} is not set; accepted are variables of the environment",
            "spring.yaml:5:9: delivery.rate: 'fast' is not a rate; accepted are 2/s, 120/min, 500/h, 300/5min",
            "spring.yaml:6:12: delivery.workers: found '0'; accepted is a whole number from 1 to 64",
        ],
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_campaign_file_with_mistakes_is_refused_and_its_author_reads_where_and_what(
    campaign: Command, sandbox: Sandbox, tmp_path: Path, case: str
) -> None:
    content, sentences = WRONG[case]
    (tmp_path / "people.csv").write_text("username\nann\nbob\n", "utf-8")
    (tmp_path / "spring.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())

    refused = campaign("send", "spring.yaml", "--yes")

    assert refused.code == 2
    assert refused.err.splitlines() == sentences
    assert refused.out == ""
    assert nothing_came(sandbox)
    assert not (tmp_path / "state").exists(), "what is refused for its campaign file needs no ledger"


def test_a_mistake_in_a_lone_value_is_told_where_the_value_stands(campaign: Command, tmp_path: Path) -> None:
    (tmp_path / "spring.yaml").write_text(
        "campaign: spring\naudience:\n  csv: https://example.com/people.csv\nmessage: {text: Hello}\n", "utf-8"
    )

    refused = campaign("send", "spring.yaml", "--yes")

    assert refused.code == 2
    assert refused.err == (
        "spring.yaml:3:8: audience.csv: 'https://example.com/people.csv' is a web address; "
        "accepted is a file on this machine\n"
    )


def test_an_image_that_is_not_there_is_told_where_it_is_named(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "people.csv").write_text("username\nann\n", "utf-8")
    (tmp_path / "spring.yaml").write_text(HEAD + "message: {type: image, image: gone.png}\n", "utf-8")

    refused = campaign("send", "spring.yaml", "--yes")

    assert refused.code == 2
    assert refused.err == (
        f"spring.yaml:3:31: {tmp_path / 'gone.png'} can't be read: no such file or directory; "
        "accepted is a file on this machine\n"
    )
    assert nothing_came(sandbox)


def test_a_campaign_file_that_is_not_there_is_refused(campaign: Command, sandbox: Sandbox) -> None:
    refused = campaign("send", "gone.yaml", "--yes")

    assert (refused.code, refused.out) == (2, "")
    assert refused.err == ("gone.yaml: can't be read: no such file or directory; accepted is a campaign file in YAML\n")
    assert nothing_came(sandbox)


def test_a_folder_in_the_place_of_a_campaign_file_is_refused(campaign: Command, sandbox: Sandbox) -> None:
    refused = campaign("send", ".", "--yes")

    assert (refused.code, refused.out) == (2, "")
    assert refused.err == ".: can't be read: is a directory; accepted is a campaign file in YAML\n"
    assert nothing_came(sandbox)


def test_a_place_is_told_by_the_path_that_was_given(campaign: Command, tmp_path: Path) -> None:
    (tmp_path / "drops").mkdir()
    (tmp_path / "drops" / "spring.yaml").write_text(HEAD + "mesage: {}\n", "utf-8")

    refused = campaign("check", "drops/spring.yaml")

    assert refused.code == 2
    assert refused.err.splitlines() == [
        "drops/spring.yaml:1:1: message: missing; accepted is for example message: {text: Hello}",
        "drops/spring.yaml:3:1: mesage: unknown key; did you mean message?",
    ]


def test_what_a_campaign_file_says_does_not_steer_the_terminal_of_who_reads_the_error(
    campaign: Command, tmp_path: Path
) -> None:
    (tmp_path / "spring.yaml").write_text(HEAD + 'message: {type: "\\e[31mred\\e[0m", text: Hello}\n', "utf-8")

    refused = campaign("send", "spring.yaml", "--yes")

    assert refused.code == 2
    assert "\x1b" not in refused.err
    assert refused.err.startswith("spring.yaml:3:17: message.type: found ")

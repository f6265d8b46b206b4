"""CSVs as people export them, odd and broken: who is written to, who is not, and what the owner reads."""

import gzip
import os
import stat
from pathlib import Path

import pytest

from sender.sandbox import Sandbox
from tests.acceptance.command import Command, Ended
from tests.acceptance.files import write_campaign
from tests.acceptance.received import addresses, nothing_came

USERNAMES = "accepted are 1 to 30 of a-z, 0-9, '.' and '_', with or without '@', or a link to a profile"
IDS = "accepted is a whole number from 1 to 9223372036854775807"
NAMES = "accepted are id, contact_id, username, contact_username, email, contact_email"
INCOMPLETE = (
    "the gzip file is damaged or incomplete (Compressed file ended before the end-of-stream marker was reached)"
)


def written(folder: Path, content: bytes, audience: str = "") -> Path:
    file = write_campaign(folder, audience=audience)
    (folder / "people.csv").write_bytes(content)
    return file


def printed_rejects(planned: Ended) -> list[str]:
    """The lines under "Rejected rows:" as `campaign plan` prints them."""
    _, _, listed = planned.out.partition("\nRejected rows:\n")
    return [line.removeprefix("  ") for line in listed.splitlines()]


SENT: dict[str, tuple[bytes, str, list[str | int], list[str]]] = {
    "a byte order mark": (b"\xef\xbb\xbfusername\nann\nbob\n", "", ["ann", "bob"], []),
    "UTF-16, little-endian, as Excel saves it": (
        "\ufeffname\tusername\r\nZoë\tann\r\nx\tbob\r\n".encode("utf-16-le"),
        "",
        ["ann", "bob"],
        [],
    ),
    "UTF-16, big-endian": ("\ufeffusername\nann\nbob\n".encode("utf-16-be"), "", ["ann", "bob"], []),
    "semicolons": (b"name;username\nA, B;ann\nC;bob\n", "", ["ann", "bob"], []),
    "tabs": (b"name\tusername\nA, B\tann\nC\tbob\n", "", ["ann", "bob"], []),
    "pipes": (b"name|username\nA, B|ann\nC|bob\n", "", ["ann", "bob"], []),
    "CRLF": (b"username\r\nann\r\nbob\r\n", "", ["ann", "bob"], []),
    "mixed line ends and blank lines": (b"\nusername\r\nann\r\n\n\nbob\rcarl", "", ["ann", "bob", "carl"], []),
    "quoted line breaks": (b'note,username\n"two\r\nlines",ann\nx,bob\n', "", ["ann", "bob"], []),
    "one person in many spellings": (
        b"username\n@Ann\nANN\nhttps://www.instagram.com/ann/\n ann \nbob\n",
        "",
        ["ann", "bob"],
        [],
    ),
    "where": (b"username,country\nann,FR\nbob,DE\ncarl,BE\n", "  where: {country: [FR, BE]}\n", ["ann", "carl"], []),
    "Latin-1 with encoding": (
        "username,name\nann,René\nbob,x\n".encode("latin-1"),
        "  encoding: latin-1\n",
        ["ann", "bob"],
        [],
    ),
    "Latin-1 without encoding": (
        "username,name\nann,René\nbob,x\n".encode("latin-1"),
        "",
        ["bob"],
        [
            "people.csv:2:2: found the byte 0xe9 in 'Ren\ufffd', which is no text in this file's encoding; "
            "accepted is UTF-8, or what `encoding:` names"
        ],
    ),
    "gzip": (gzip.compress(b"username\nann\nbob\n"), "", ["ann", "bob"], []),
    "ragged rows": (
        b"id,username\n7\n8,bob\n9,carl,x\n",
        "",
        [8],
        [
            "people.csv:2:2: found 1 cell; accepted are 2, as in the header",
            "people.csv:4:3: found 3 cells; accepted are 2, as in the header",
        ],
    ),
    "a quote that is never closed": (
        b'note,username\nx,ann\n"y,bob\nz,carl\nw,dave\n',
        "",
        ["ann", "carl", "dave"],
        [
            "people.csv:3:1: found a quote that opens in line 3 and is not closed; accepted are quotes in pairs "
            "(the lines after it are read as rows of their own)"
        ],
    ),
    "text behind a closing quote": (
        b'note,username\nx,"ann"a\nz,bob\n',
        "",
        ["bob"],
        [
            "people.csv:2:2: found a quote that closes in line 2 in the midst of a cell; "
            'accepted are quotes around a whole cell, and "" for a quote inside it'
        ],
    ),
    "a NUL in an identifier": (
        b"id,username\n7,an\0n\n8,bob\n",
        "",
        [8],
        [f"people.csv:2:2: found the username 'an\\x00n'; {USERNAMES}"],
    ),
    "ids as a spreadsheet shows them": (
        b"id\n1.78E+15\n8\n",
        "",
        [8],
        [
            "people.csv:2:1: found the id '1.78E+15', which a spreadsheet has shortened: its last digits are lost, "
            f"so format the column as text and export it again; {IDS}"
        ],
    ),
    "ids beyond what JSON and databases hold": (
        b"id\n9223372036854775807\n9223372036854775808\n0\n-3\n8\n",
        "",
        [9223372036854775807, 8],
        [
            f"people.csv:3:1: found the id '9223372036854775808'; {IDS}, in digits only",
            f"people.csv:4:1: found the id '0'; {IDS}, in digits only",
            f"people.csv:5:1: found the id '-3'; {IDS}, in digits only",
        ],
    ),
    "a letter that only looks like one": (
        "username\n\u0430nn\nbob\n".encode(),
        "",
        ["bob"],
        [f"people.csv:2:1: found the username '\u0430nn' with the character U+0430; {USERNAMES}"],
    ),
}


@pytest.mark.parametrize("case", SENT)
def test_an_odd_csv_is_sent_to_exactly_its_sound_rows_and_the_plan_names_the_others(
    campaign: Command, sandbox: Sandbox, tmp_path: Path, case: str
) -> None:
    content, audience, people, rejects = SENT[case]
    file = written(tmp_path, content, audience)

    sent = campaign("send", file, "--yes", "--json")

    assert sent.code == 0
    assert addresses(sandbox) == people
    assert sent.json["audience"]["invalid"] == len(rejects)
    assert sent.json["recipients"]["accepted"] == len(people)
    if rejects:
        planned = campaign("plan", file)
        assert (planned.code, planned.err) == (0, "")
        assert printed_rejects(planned) == rejects


NOBODY = "spring.yaml:3:8: nobody is left to send to: see `campaign plan spring.yaml`"
REFUSED: dict[str, tuple[bytes, str, str]] = {
    "empty": (b"", "", "people.csv:1:1: the file is empty; accepted is a header such as username, then one row each"),
    "a header and nobody below it": (b"username\n", "", NOBODY),
    "nobody but rejected rows": (b"username\na b\nc d\n", "", NOBODY),
    "a header that stands twice": (
        b"username,Username\nann,bob\n",
        "",
        "people.csv:1:1: found 2 columns for username, 'username' and 'Username'; "
        "accepted is one: remove or rename the rest",
    ),
    "no usable column": (
        b"name,city\nAnn,Lyon\n",
        "",
        "people.csv:1:1: no column holds recipients; the columns are 'name', 'city'; "
        f"{NAMES}, or another name that `columns:` maps",
    ),
    "data in the first line": (
        b"@ann\n@bob\n",
        "",
        "people.csv:1:1: the first line looks like a recipient ('@ann'), not like the names of the columns; "
        f"{NAMES}: put such a line above it",
    ),
    "a where column that is not there": (
        b"username\nann\n",
        "  where: {country: FR}\n",
        "people.csv:1:1: found no column 'country', which `where` names; accepted are the columns 'username'",
    ),
    "UTF-16 without its mark": (
        "username\nann\n".encode("utf-16-le"),
        "",
        "people.csv:1:1: found NUL characters in the header; if this is UTF-16, name it: `encoding: utf-16-le`",
    ),
    "an Excel workbook": (
        b"PK\x03\x04 and so on",
        "",
        'people.csv:1:1: found a ZIP archive or an Excel workbook; accepted is CSV: export the sheet as "CSV UTF-8"',
    ),
    "gzip that is cut short": (
        gzip.compress(b"username\nann\nbob\n")[:-9],
        "",
        f"people.csv:1:1: {INCOMPLETE}; pack it again",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_csv_that_is_no_audience_is_refused_and_nobody_in_it_is_written_to(
    campaign: Command, sandbox: Sandbox, tmp_path: Path, case: str
) -> None:
    content, audience, sentence = REFUSED[case]
    file = written(tmp_path, content, audience)

    refused = campaign("send", file.name, "--yes")

    assert refused.code == 2
    assert refused.err.replace(f"{tmp_path}/", "").splitlines() == [sentence]
    assert refused.out == ""
    assert nothing_came(sandbox)


def test_a_csv_that_is_damaged_far_behind_is_not_sent_to_those_before_the_damage(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    packed = gzip.compress(b"username\n" + b"".join(b"person%d\n" % number for number in range(30_000)))
    file = written(tmp_path, packed[:-500])

    refused = campaign("send", file, "--yes")

    assert refused.code == 2
    assert refused.err == f"people.csv:1:1: {INCOMPLETE}; pack it again\n"
    assert nothing_came(sandbox)
    assert campaign("runs", "--json").json == {"runs": []}


def test_a_missing_csv_a_folder_and_one_good_file_beside_a_missing_one_are_refused(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    file = write_campaign(tmp_path, audience="  exclude: gone.csv\n")
    no_exclusions = campaign("send", file, "--yes")
    (tmp_path / "gone.csv").mkdir()
    folder = campaign("send", file, "--yes")
    (tmp_path / "people.csv").unlink()
    (tmp_path / "gone.csv").rmdir()
    (tmp_path / "gone.csv").write_text("username\nann\n", "utf-8")
    nobody = campaign("send", file, "--yes")

    assert (no_exclusions.code, folder.code, nobody.code) == (2, 2, 2)
    missing = "found no such file; check the name, which is relative to the campaign file"
    assert no_exclusions.err == f"gone.csv:1:1: {missing}\n"
    assert folder.err == "gone.csv:1:1: found a folder; accepted is a CSV file, or a list of them\n"
    assert nobody.err == f"people.csv:1:1: {missing}\n"
    assert nothing_came(sandbox)


def test_people_may_come_from_standard_input_plain_or_packed(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    file = write_campaign(tmp_path)
    file.write_text(file.read_text("utf-8").replace("people.csv", '"-"'), "utf-8")

    sent = campaign("send", file, "--yes", "--json", stdin=b"username\nann\na b\n")
    packed = campaign("send", file, "--expect", "1", "--run", "packed", stdin=gzip.compress(b"username\nbob\n"))
    planned = campaign("plan", file, stdin=b"username\nann\na b\n")
    empty = campaign("send", file, "--yes", "--run", "empty")

    assert (sent.code, packed.code, planned.code, empty.code) == (0, 0, 0, 2)
    assert sent.json["audience"]["invalid"] == 1
    assert addresses(sandbox) == ["ann", "bob"]
    assert printed_rejects(planned) == [f"<stdin>:3:1: found the username 'a b'; {USERNAMES}"]
    assert empty.err == "<stdin>:1:1: the file is empty; accepted is a header such as username, then one row each\n"


def test_strict_refuses_the_whole_audience_for_a_rejected_row(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    file = write_campaign(tmp_path, "username\nann\n" + "a b\n" * 22)

    refused = {name: campaign(name, file, "--strict") for name in ("check", "plan")}
    refused["send"] = campaign("send", file, "--strict", "--yes")

    for ended in refused.values():
        assert ended.code == 2
        lines = ended.err.splitlines()
        assert lines[0] == f"people.csv:3:1: found the username 'a b'; {USERNAMES}"
        assert (len(lines), lines[-1]) == (21, "people.csv: and 2 more")
    assert nothing_came(sandbox)
    assert campaign("send", file, "--yes").code == 0
    assert addresses(sandbox) == ["ann"]


ILL = [
    "ill.yaml:4:1: message.text: missing; accepted is for example text: Hello from us",
    "ill.yaml:4:23: message.txt: unknown key; did you mean text?",
]
VOID = "gone.csv:1:1: found no such file; check the name, which is relative to the campaign file"


def write_three(folder: Path) -> tuple[str, str, str]:
    """One campaign that is well, one whose YAML is wrong, one whose exclusion list is missing."""
    people = "username\nann\na b\n"
    write_campaign(folder, people, name="well")
    write_campaign(folder, people, name="ill", message="{type: text, txt: Hello}")
    write_campaign(folder, people, name="void", audience="  exclude: gone.csv\n")
    return "well.yaml", "ill.yaml", "void.yaml"


def test_check_looks_at_every_file_and_says_which_are_well(campaign: Command, tmp_path: Path) -> None:
    checked, alone = campaign("check", *write_three(tmp_path)), campaign("check", "well.yaml")

    assert checked.code == 2
    assert checked.out == "well.yaml: ok, 1 recipient, 1 rejected row\n"
    assert checked.err.splitlines() == [*ILL, VOID]
    assert (alone.code, alone.out, alone.err) == (0, checked.out, "")


def test_check_tells_scripts_the_same(campaign: Command, tmp_path: Path) -> None:
    checked = campaign("check", *write_three(tmp_path), "--json")

    assert (checked.code, checked.err) == (2, "")
    well, *others = checked.json["files"]
    assert (well["file"], well["ok"], well["problems"]) == ("well.yaml", True, [])
    assert well["recipients"]["planned"] == 1
    assert others == [
        {"file": "ill.yaml", "ok": False, "problems": ILL, "warnings": []},
        {"file": "void.yaml", "ok": False, "problems": [VOID], "warnings": []},
    ]


def test_the_rejected_rows_can_be_had_as_a_csv_for_their_owner_alone(campaign: Command, tmp_path: Path) -> None:
    file = write_campaign(tmp_path, 'username,note\nann,\n=1+1,"a, b"\ncarl\n')

    planned = campaign("plan", file, "--rejects", "out.csv")

    assert planned.code == 0
    assert (tmp_path / "out.csv").read_bytes().decode() == (
        "file,line,column,reason,row\n"
        f'people.csv,3,1,"found the username \'=1+1\'; {USERNAMES}","\'=1+1,""a, b"""\n'
        'people.csv,4,2,"found 1 cell; accepted are 2, as in the header",carl\n'
    )
    assert stat.S_IMODE((tmp_path / "out.csv").stat().st_mode) == 0o600
    assert planned.out.endswith("  all of them are in out.csv\n")


def test_more_rejected_rows_than_fit_a_screen_are_counted(campaign: Command, tmp_path: Path) -> None:
    file = write_campaign(tmp_path, "username\nann\n" + "a b\n" * 1_234)

    planned = campaign("plan", file)

    assert len(printed_rejects(planned)) == 11
    assert planned.out.endswith("  and 1,224 more; --rejects OUT.csv writes them all\n")


@pytest.mark.parametrize(
    ("out", "reason"),
    [
        ("no-such-folder/out.csv", "No such file or directory"),
        (".", "Is a directory"),
    ],
)
def test_rejected_rows_that_can_not_be_written_are_a_sentence(
    campaign: Command, tmp_path: Path, out: str, reason: str
) -> None:
    file = write_campaign(tmp_path, "username\nann\na b\n")

    refused = campaign("plan", file, "--rejects", out)

    assert (refused.code, refused.out) == (2, "")
    assert refused.err == f"campaign: --rejects: {out} can't be written: {reason}\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_disk_that_is_full_while_rejected_rows_are_written_is_a_sentence(campaign: Command, tmp_path: Path) -> None:
    refused = campaign("plan", write_campaign(tmp_path, "username\nann\na b\n"), "--rejects", "/dev/full")

    assert refused.code in (2, 7)
    assert refused.err == "campaign: --rejects: /dev/full can't be written: No space left on device\n"


def test_the_audience_itself_is_not_overwritten_by_its_rejected_rows(campaign: Command, tmp_path: Path) -> None:
    file = write_campaign(tmp_path, "username\nann\na b\n")

    refused = campaign("plan", file, "--rejects", "people.csv")

    assert refused.code == 2
    assert (tmp_path / "people.csv").read_text("utf-8") == "username\nann\na b\n"


def test_a_plan_is_the_same_to_the_byte_when_made_again(campaign: Command, tmp_path: Path) -> None:
    file = write_campaign(tmp_path, "id,username,email\n7,ann,\n,bob,\n,,c@example.com\n,,\n", delivery="{rate: 1/s}")

    first, second = campaign("plan", file, "--json"), campaign("plan", file, "--json")

    assert first.code == second.code == 0
    assert first.out == second.out
    assert first.json["recipients"] == {"planned": 3, "id": 1, "username": 1, "email": 1}
    assert first.json["seconds_at_rate"] == 2.0


def test_a_csv_that_can_not_be_opened_is_a_sentence(campaign: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    file = write_campaign(tmp_path)
    (tmp_path / "people.csv").chmod(0)
    if os.access(tmp_path / "people.csv", os.R_OK):
        pytest.skip("whoever runs the tests may read everything")

    refused = campaign("send", file, "--yes")

    assert refused.code == 2
    assert refused.err == ("people.csv:1:1: no permission to read the file; make it readable for the user who sends\n")
    assert nothing_came(sandbox)

"""The environment -> settings: what is taken, what is refused, and that the token is never shown."""

import traceback
from pathlib import Path

import pytest

from campaigns.model import Transport
from sender.errors import InputError
from sender.settings import Settings, check_run_name, ledger_path, read_settings, sandbox_settings

TOKEN = "inro-live-9f8e7d6c5b4a"


def test_an_empty_environment_has_the_documented_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    found = read_settings({})

    assert found == Settings(
        api_url="https://api.inro.social/api/v1",
        mcp_url="https://api.inro.social/mcp",
        origin="https://api.inro.social/api/v1",
        token=None,
        ledger=tmp_path / "inro-campaigns" / "ledger.db",
        ledger_is_default=True,
        text_field="text",
        is_ci=False,
    )


def test_variables_that_are_set_to_nothing_are_not_set() -> None:
    names = ("INRO_API_TOKEN", "INRO_API_TOKEN_FILE", "INRO_API_URL", "CAMPAIGN_LEDGER", "INRO_TEXT_FIELD", "CI")

    assert read_settings(dict.fromkeys(names, "")) == read_settings({})


# The token


def test_the_token_is_taken_and_stripped() -> None:
    assert read_settings({"INRO_API_TOKEN": f" {TOKEN}\n"}).require_token().get_secret_value() == TOKEN


def test_the_token_is_read_from_a_file_and_the_variable_wins(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    environ = {"INRO_API_TOKEN_FILE": str(tmp_path / "token")}

    assert read_settings(environ).require_token().get_secret_value() == TOKEN
    assert read_settings({**environ, "INRO_API_TOKEN": "other"}).require_token().get_secret_value() == "other"


def test_the_token_prints_as_stars_wherever_the_settings_are_printed() -> None:
    found = read_settings({"INRO_API_TOKEN": TOKEN})

    assert TOKEN not in f"{found} {found!r} {found.token} {found.token!r}"
    assert "**********" in repr(found)


@pytest.mark.parametrize("bad", [f"{TOKEN} x", f'"{TOKEN}é"', f"{TOKEN}\nHost: evil", f"{TOKEN}\x00", f"{TOKEN}\u200b"])
def test_a_malformed_token_is_refused_without_being_repeated(bad: str) -> None:
    with pytest.raises(InputError, match="the API token holds characters that no token has") as caught:
        read_settings({"INRO_API_TOKEN": bad})

    assert TOKEN not in str(caught.value)


def test_no_token_is_refused_only_when_one_is_needed() -> None:
    with pytest.raises(InputError, match=r"no API token: set INRO_API_TOKEN to .* --sandbox needs none"):
        read_settings({}).require_token()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "can't be read: No such file or directory"),
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\xff\xfe\x00", "not a text file"),
    ],
)
def test_a_token_file_that_is_of_no_use_is_refused_without_repeating_what_may_be_the_token(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(InputError, match=words) as caught:
        read_settings({"INRO_API_TOKEN_FILE": str(file)})

    assert str(file) not in str(caught.value)


def test_a_token_file_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't be read: Is a directory"):
        read_settings({"INRO_API_TOKEN_FILE": str(tmp_path)})


# The API's address


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("https://api.example.com/v2", "https://api.example.com/v2"),
        ("https://api.example.com/v2/", "https://api.example.com/v2"),
        ("https://api.example.com:8443", "https://api.example.com:8443"),
        ("http://localhost:8080/api/v1", "http://localhost:8080/api/v1"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://127.3.2.1", "http://127.3.2.1"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_https_anywhere_and_http_on_this_machine_are_taken(given: str, taken: str) -> None:
    found = read_settings({"INRO_API_URL": given})

    assert (found.api_url, found.origin) == (taken, taken)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://api.example.com", "plain http would show the token to the network; use https"),
        ("http://localhost.example.com", "plain http"),
        ("http://0.0.0.0", "plain http"),
        ("http://10.0.0.1", "plain http"),
        ("http://127.0.0.1.nip.io", "plain http"),
        ("ftp://api.example.com", "expected https://HOST/PATH"),
        ("api.example.com", "expected https://HOST/PATH"),
        ("https://", "expected https://HOST/PATH"),
        ("https:///path", "expected https://HOST/PATH"),
        ("https://x:port", "is no URL"),
        ("https://[::1", "is no URL"),
        ("https://api.example.com/?key=1", "may hold no user name, password, query or fragment"),
        ("https://api.example.com/#top", "may hold no user name, password, query or fragment"),
    ],
)
@pytest.mark.parametrize("name", ["INRO_API_URL", "INRO_MCP_URL"])
def test_any_other_address_is_refused(url: str, words: str, name: str) -> None:
    with pytest.raises(InputError) as caught:
        read_settings({name: url})

    assert words in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "mcp_url", "origin"),
    [
        ({}, "https://api.inro.social/mcp", "https://api.inro.social/api/v1"),
        ({"INRO_API_URL": "http://[::1]:8080/v2/"}, "http://[::1]:8080/mcp", "http://[::1]:8080/v2"),
        (
            {"INRO_MCP_URL": "https://api.inro.social/mcp/"},
            "https://api.inro.social/mcp/",
            "https://api.inro.social/api/v1",
        ),
        (
            {"INRO_MCP_URL": "https://mcp.example.com/inro"},
            "https://mcp.example.com/inro",
            "https://mcp.example.com/inro",
        ),
    ],
)
def test_the_mcp_server_is_that_of_the_apis_host_and_another_one_is_another_api_to_a_run(
    environ: dict[str, str], mcp_url: str, origin: str
) -> None:
    found = read_settings(environ)

    assert found.mcp_url == mcp_url
    assert found.over(Transport.MCP).origin == origin
    assert found.over(Transport.REST) == found


@pytest.mark.parametrize("url", [f"https://me:{TOKEN}@api.example.com", f"https://{TOKEN}@api.example.com"])
def test_a_password_in_the_address_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(InputError) as caught:
        read_settings({"INRO_API_URL": url})

    assert TOKEN not in "".join(traceback.format_exception(caught.value))


def test_a_password_in_a_malformed_address_is_not_repeated_either() -> None:
    with pytest.raises(InputError) as caught:
        read_settings({"INRO_API_URL": f"https://me:{TOKEN}@api.example.com:port"})

    assert TOKEN not in str(caught.value)


# The ledger


def test_the_ledger_may_be_a_path_or_an_sqlite_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ann")

    def path(named: str) -> Path:
        return ledger_path({"CAMPAIGN_LEDGER": named})[0]

    assert path("led.db") == tmp_path / "led.db"
    assert path("/var/lib/led.db") == Path("/var/lib/led.db")
    assert path("~/led.db") == Path("/home/ann/led.db")
    assert path("sqlite:///var/lib/led.db") == Path("/var/lib/led.db")


@pytest.mark.parametrize("named", ["postgres://host/db", "sqlite://relative.db", "sqlite:///", "sqlite://"])
def test_another_kind_of_ledger_is_refused(named: str) -> None:
    with pytest.raises(InputError, match=r"CAMPAIGN_LEDGER is .*: expected a path, or a URL sqlite:///absolute/path"):
        ledger_path({"CAMPAIGN_LEDGER": named})


def test_the_sandbox_has_a_ledger_of_its_own_and_never_the_users_token(tmp_path: Path) -> None:
    environ = {
        "CAMPAIGN_LEDGER": str(tmp_path / "led.db"),
        "INRO_API_TOKEN": TOKEN,
        "INRO_API_TOKEN_FILE": "/does/not/exist",
        "INRO_API_URL": "not even an address",
    }

    found = sandbox_settings(environ, api_url="http://127.0.0.1:9", token="made-up")

    assert found.ledger == tmp_path / "led-sandbox.db"
    assert found.origin == "sandbox"
    assert found.require_token().get_secret_value() == "made-up"


@pytest.mark.parametrize(
    ("value", "is_ci"), [("true", True), ("1", True), ("yes", True), ("0", False), ("false", False), ("False", False)]
)
def test_ci_is_on_unless_it_says_no(value: str, is_ci: bool) -> None:
    assert read_settings({"CI": value}).is_ci is is_ci


@pytest.mark.parametrize("name", ["a", "spring-drop", "spring+2", "2026-12-01T09:00", "Ann_B.c@d", "x" * 100])
def test_a_run_may_be_named_like_this(name: str) -> None:
    assert check_run_name(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "-x", "+x", "a b", "a\n", "é", "x" * 101, "a\x00"])
def test_a_run_may_not_be_named_like_that(name: str) -> None:
    with pytest.raises(InputError, match=r"--run is .*: expected letters, digits"):
        check_run_name(name)

"""The environment -> Settings. The only reader of `INRO_…` and `CAMPAIGN_…` variables."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import platformdirs

from campaigns.loopback import is_loopback
from campaigns.model import Transport
from sender.errors import InputError

if TYPE_CHECKING:
    from pydantic import SecretStr

DEFAULT_API_URL = "https://api.inro.social/api/v1"  # documented by Inrō's help centre
DEFAULT_TEXT_FIELD = "text"  # assumed: the help centre does not name the field of a text message
SANDBOX_ORIGIN = "sandbox"
SECRET_LENGTH = 20  # of a token that opens this machine to whoever has it


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a command takes from its environment.

    api_url             the API's base URL, without a slash at its end
    mcp_url             the address of its MCP server
    origin              what a run is bound to: the base URL, or `sandbox`
    token               the bearer token; None when none is set
    ledger              the path of the ledger
    ledger_is_default   whether nobody chose that path
    text_field          the request's field for the text of a text message
    is_ci               whether this is a CI job, whose files die with it
    notify_secret       what the news of a run's end is signed with; None when it is not signed
    """

    api_url: str
    mcp_url: str
    origin: str
    token: "SecretStr | None"
    ledger: Path
    ledger_is_default: bool
    text_field: str
    is_ci: bool
    notify_secret: "SecretStr | None" = None

    def over(self, transport: Transport) -> "Settings":
        """The same for this transport: an MCP server on another host than the API's is another API to a run."""
        is_elsewhere = self.origin == self.api_url and urlsplit(self.mcp_url).netloc != urlsplit(self.api_url).netloc
        return replace(self, origin=self.mcp_url) if transport is Transport.MCP and is_elsewhere else self

    def require_token(self) -> "SecretStr":
        """The token. Raises InputError when none is set."""
        if self.token is None:
            raise InputError(
                "no API token: set INRO_API_TOKEN to your organization's token (in Inrō: Settings, API), "
                "or INRO_API_TOKEN_FILE to a file that holds it; --sandbox needs none"
            )
        return self.token


def read_settings(environ: Mapping[str, str]) -> Settings:
    """The settings of a command that talks to the API. Raises InputError when a variable can't be used."""
    url = api_url(environ)
    ledger, is_default = ledger_path(environ)
    return Settings(
        api_url=url,
        mcp_url=_address("INRO_MCP_URL", environ.get("INRO_MCP_URL") or _beside(url)),
        origin=url,
        token=api_token(environ),
        ledger=ledger,
        ledger_is_default=is_default,
        text_field=_text_field(environ),
        is_ci=_is_set(environ, "CI"),
        notify_secret=notify_secret(environ),
    )


def sandbox_settings(environ: Mapping[str, str], *, api_url: str, token: str) -> Settings:
    """The settings of a command with `--sandbox`: its own ledger; the user's token is never read."""
    ledger, _ = ledger_path(environ, sandbox=True)
    return Settings(
        api_url=api_url,
        mcp_url=_beside(api_url),
        origin=SANDBOX_ORIGIN,
        token=_secret(token),
        ledger=ledger,
        ledger_is_default=False,
        text_field=_text_field(environ),
        is_ci=_is_set(environ, "CI"),
    )


def check_run_name(name: str) -> str:
    """The name, if a run can have it. Raises InputError otherwise: it becomes part of a file's name."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._@:+-]{0,99}", name):
        raise InputError(
            f"--run is {name!r}: expected letters, digits and . _ - @ : +, at most 100, the first a letter or digit"
        )
    return name


def ledger_path(environ: Mapping[str, str], *, sandbox: bool = False) -> tuple[Path, bool]:
    """The ledger's absolute path, and whether it is the default. Raises InputError for a URL that is no SQLite file."""
    named = environ.get("CAMPAIGN_LEDGER")
    path = _ledger_file(named) if named else platformdirs.user_state_path("inro-campaigns") / "ledger.db"
    if sandbox:
        path = path.with_name(f"{path.stem}-sandbox{path.suffix}")
    return path.resolve(), not named  # so that a link to a ledger has that ledger's locks


def _ledger_file(named: str) -> Path:
    scheme, separator, rest = named.partition("://")
    if not separator:
        try:
            return Path(named).expanduser().absolute()
        except RuntimeError as error:
            raise InputError(f"CAMPAIGN_LEDGER is {named!r}: there is no such user's home") from error
        except OSError as error:
            raise InputError(f"CAMPAIGN_LEDGER is {named!r}, relative to a folder that is gone") from error
    if scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
        return Path(rest)
    raise InputError(f"CAMPAIGN_LEDGER is {named!r}: expected a path, or a URL sqlite:///absolute/path/ledger.db")


def api_token(environ: Mapping[str, str]) -> "SecretStr | None":
    """The token, None when none is set. Raises InputError when it can't be one, without repeating it."""
    token = environ.get("INRO_API_TOKEN", "").strip() or _secret_from_file(environ, "INRO_API_TOKEN_FILE")
    if not token:
        return None
    # The value is not repeated: even a malformed token may be most of the real one.
    if not token.isascii() or any(not character.isprintable() or character == " " for character in token):
        raise InputError("the API token holds characters that no token has: copy it again, without spaces or quotes")
    return _secret(token)


def _secret(token: str) -> "SecretStr":
    from pydantic import SecretStr  # which who only asks for the ledger's path does not wait for

    return SecretStr(token)


def notify_secret(environ: Mapping[str, str]) -> "SecretStr | None":
    """What the news of a run's end is signed with. Raises InputError when its file can't be read."""
    secret = environ.get("CAMPAIGN_NOTIFY_SECRET", "").strip()
    secret = secret or _secret_from_file(environ, "CAMPAIGN_NOTIFY_SECRET_FILE")
    return _secret(secret) if secret else None


def mcp_token(environ: Mapping[str, str]) -> "SecretStr":
    """What a client of `campaign mcp --http` has to show. Raises InputError when none is set, or one to be guessed."""
    token = environ.get("CAMPAIGN_MCP_TOKEN", "").strip() or _secret_from_file(environ, "CAMPAIGN_MCP_TOKEN_FILE")
    if len(token) < SECRET_LENGTH or not re.fullmatch(r"[!-~]+", token):
        raise InputError(
            f"--http needs a token that its clients show: set CAMPAIGN_MCP_TOKEN to {SECRET_LENGTH} letters and digits "
            "or more, such as `openssl rand -hex 32` prints, or CAMPAIGN_MCP_TOKEN_FILE to a file that holds it"
        )
    return _secret(token)


def _secret_from_file(environ: Mapping[str, str], variable: str) -> str:
    name = environ.get(variable, "")
    if not name:
        return ""
    # The name is not repeated: somebody will put the token itself there.
    try:
        token = Path(name).expanduser().read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError, RuntimeError) as error:
        why = {UnicodeDecodeError: "not a text file", RuntimeError: "nobody's home"}.get(type(error), "")
        why = why or getattr(error, "strerror", "")
        raise InputError(f"the file that {variable} names can't be read: {why}") from error
    if not token:
        raise InputError(f"the file that {variable} names is empty")
    return token


def api_url(environ: Mapping[str, str]) -> str:
    """The API's base URL, without a slash at its end. Raises InputError for one that can't be used."""
    return _address("INRO_API_URL", environ.get("INRO_API_URL") or DEFAULT_API_URL).rstrip("/")


def _address(name: str, url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise InputError(f"{name} is no URL: {error}") from error
    if parts.username or parts.password or parts.query or parts.fragment:
        raise InputError(f"{name} may hold no user name, password, query or fragment")
    if not host or parts.scheme not in ("https", "http"):
        example = DEFAULT_API_URL if name == "INRO_API_URL" else _beside(DEFAULT_API_URL)
        raise InputError(f"{name} is {url!r}: expected https://HOST/PATH, such as {example}")
    if parts.scheme == "http" and not is_loopback(host):
        raise InputError(f"{name} is {url!r}: plain http would show the token to the network; use https")
    return parts._replace(scheme=parts.scheme.lower(), netloc=parts.netloc.lower()).geturl()


def _beside(api_url: str) -> str:
    """The MCP server of the same host, so that a token for one host is never shown to another by default."""
    return urlsplit(api_url)._replace(path="/mcp").geturl()


def _text_field(environ: Mapping[str, str]) -> str:
    return environ.get("INRO_TEXT_FIELD") or DEFAULT_TEXT_FIELD


def _is_set(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").lower() not in ("", "0", "false", "no")

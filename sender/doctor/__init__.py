"""`campaign doctor`: is everything well? Every check is made, whatever another one found; none changes anything."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import SecretStr

from sender.doctor import api, ledger, machine
from sender.doctor.finding import BAD_INPUT, BUG, THIS_MACHINE, Finding, Level, exit_code, problem
from sender.errors import InputError, SenderError
from sender.inro.checkup import Checkup, check_up, proxy_host
from sender.settings import Settings, api_token, api_url, ledger_path

T = TypeVar("T")


class Examination:
    """The checks that were made so far, and what they found."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def read(self, name: str, work: Callable[[], T]) -> T | None:
        """What `work` returns; None when it fails, and then that is a finding."""
        try:
            return work()
        except Exception as error:
            self.findings.append(_failed(name, error))
            return None

    def check(self, name: str, work: Callable[[], Finding | list[Finding]]) -> None:
        """Keeps what `work` finds; that it fails is a finding, too."""
        found = self.read(name, work)
        self.findings += [found] if isinstance(found, Finding) else found or []


async def examine(environ: Mapping[str, str], *, sandbox: Settings | None = None) -> list[Finding]:
    """What every check finds; with `sandbox` its API, token and ledger take the place of the environment's."""
    made = Examination()
    await _check_api(made, environ, sandbox)
    path = made.read("ledger", lambda: sandbox.ledger if sandbox else ledger_path(environ)[0])
    if path:
        _check_ledger(made, path)
    made.check("open files", lambda: machine.files_suffice(machine.open_files_limit()))
    made.check("versions", machine.versions_sound)
    made.check("log settings", lambda: machine.logs_can_be_written(environ))
    return made.findings


async def _check_api(made: Examination, environ: Mapping[str, str], sandbox: Settings | None) -> None:
    before = len(made.findings)
    token = made.read("token", lambda: sandbox.token if sandbox else api_token(environ))
    is_readable = len(made.findings) == before
    url = made.read("API", lambda: sandbox.api_url if sandbox else api_url(environ))
    checkup = await _ask(made, url, token) if url else None
    if url and checkup:
        made.check("API", lambda: api.reachable(url, checkup))
    if is_readable:
        made.check("token", lambda: api.token_works(token is not None, checkup))
    if url:
        made.check("proxy", lambda: api.proxy_in_use(proxy_host(url)))
    if checkup:
        made.check("clock", lambda: api.clock_agrees(checkup))


async def _ask(made: Examination, url: str, token: SecretStr | None) -> Checkup | None:
    try:
        return await check_up(url, token)
    except Exception as error:
        made.findings.append(_failed("API", error))
        return None


def _check_ledger(made: Examination, path: Path) -> None:
    made.check("ledger", lambda: ledger.ledger_healthy(path))
    if made.read("ledger", path.is_file):
        made.check("ledger permissions", lambda: ledger.ledger_private(path))
        made.check("runs", lambda: ledger.runs_in_order(path))
        made.check("last call", lambda: ledger.last_call_past(path, time.time()))
    made.check("disk", lambda: ledger.disk_has_room(path))


def _failed(name: str, error: Exception) -> Finding:
    """A check that could not be made."""
    match error:
        case InputError():
            return problem(name, str(error), "mend that variable, or unset it", BAD_INPUT)
        case SenderError():
            return problem(name, str(error), "docs/ledger.md tells more", error.exit_code)
        case OSError():
            says = f"could not be looked at: {error}"
            return problem(name, says, "see to its owner and permissions, and to the disk", THIS_MACHINE)
        case _:
            says = f"the check failed: {type(error).__name__}: {error}"
            return problem(name, says, "a bug: please report this line", BUG)


__all__ = ["Finding", "Level", "examine", "exit_code"]

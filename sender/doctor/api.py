"""The API, the token, the proxy and the clock, as one harmless GET shows them."""

from typing import Final

from sender.doctor.finding import API, BAD_INPUT, Finding, problem, warning, well
from sender.inro.checkup import Checkup, Verdict

SKEW_SECONDS: Final = 30.0
SET_IT: Final = (
    "set INRO_API_TOKEN to your organization's token (in Inrō: Settings, API), "
    "or INRO_API_TOKEN_FILE to a file that holds it"
)


def reachable(url: str, checkup: Checkup) -> Finding:
    """Whether the API is there."""
    said = checkup.reason
    match checkup.verdict:
        case Verdict.UNREACHED:
            do = "see to the network, the proxy and INRO_API_URL; `send` would wait for it, up to max_wait"
            return problem("API", f"{url} does not answer: {said}", do, API)
        case Verdict.REDIRECTED:
            says = f"{url} redirects (HTTP {checkup.status}) to {checkup.leads_to or 'nowhere'}"
            return problem("API", says, "set INRO_API_URL to the API's own address: the token follows no redirect", API)
        case Verdict.ELSEWHERE:
            says = f"what answers at {url} is not the API: {said}"
            return problem("API", says, "check INRO_API_URL; a proxy or a login page may stand between", API)
        case Verdict.ILL:
            return problem("API", f"{url} is ill: {said}", "try again later", API)
        case Verdict.BUSY:
            return warning("API", f"{url} asks for patience: {said}", "nothing: `send` waits as long as it is told")
        case _:
            return well("API", f"{url} answers, in {checkup.seconds:.2f} s")


def token_works(is_set: bool, checkup: Checkup | None) -> Finding:
    """Whether there is a token and the API takes it."""
    if not is_set:
        return problem("token", "none is set", SET_IT, BAD_INPUT)
    if checkup is None:
        return warning("token", "is set, and could not be tried", "see to the API's address first")
    match checkup.verdict:
        case Verdict.WORKS:
            return well("token", "is set, and the API takes it")
        case Verdict.BAD_TOKEN:
            do = "copy it again from Inrō (Settings, API): a new token makes the old one stop at once"
            return problem("token", f"the API does not know it: {checkup.reason}", do, API)
        case Verdict.FORBIDDEN:
            do = "the API needs a Pro or Trial plan: see to the plan of the organization that the token belongs to"
            return problem("token", f"the API knows it and refuses it: {checkup.reason}", do, API)
        case _:
            return warning("token", "is set, and could not be tried", "see to the API first")


def proxy_in_use(host: str | None) -> Finding:
    """Through which proxy calls go; its credentials are not shown."""
    if host == "":
        return problem("proxy", "its address has no host", "set HTTPS_PROXY to http://HOST:PORT, or unset it", API)
    return well("proxy", f"calls to the API go through {host}" if host else "none for calls to the API")


def clock_agrees(checkup: Checkup) -> Finding:
    """Whether this machine's clock and the API's agree."""
    ahead = checkup.clock_ahead_seconds
    if ahead is None:
        return well("clock", "not compared: no reply told the time")
    if abs(ahead) <= SKEW_SECONDS:
        return well("clock", "agrees with the API's")
    side = "behind" if ahead > 0 else "ahead of"
    says = f"this machine's clock is {abs(ahead):,.0f} s {side} the API's"
    do = "set it right (NTP): times in the ledger and `resolve --inspect` can't be relied on"
    return warning("clock", says, do)

"""What the tools return; an agent's client reads the schemas of these."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Result(BaseModel):
    """The base of them: frozen, each field with its docstring as its description."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class CheckedFile(Result):
    """One campaign file, as it was checked."""

    file: str
    """Its absolute path."""
    ok: bool
    """Whether it can be sent."""
    problems: list[str]
    """What keeps it from being sent, each with its place in the file."""
    recipients: int | None = None
    """How many would get the message; null when there are problems."""
    rejected_rows: int | None = None
    """How many rows of the CSV nobody can be addressed by."""


class Checked(Result):
    """What a check found."""

    files: list[CheckedFile]
    """The campaign files, in order."""


class Planned(Result):
    """What sending the campaign would do. Show it to a person before you send it."""

    file: str
    """The campaign file."""
    campaign: str
    """Its name."""
    account: str
    """The label of the account that sends."""
    run: str
    """The run's name: nobody gets the message of one run twice."""
    run_state: str | None
    """Where that run stands; null when it does not exist yet. `completed` has nothing left to send."""
    pending: int
    """How many of the recipients are still to be sent to."""
    recipients: int
    """How many recipients the plan has in all: `send_campaign` needs this number."""
    plan_fingerprint: str
    """Stands for the message, the recipients and their order: `send_campaign` needs it."""
    message: dict[str, Any]
    """What they get."""
    first_recipients: list[str]
    """The first few of them."""
    audience: dict[str, int]
    """What became of the CSV's rows: rows = kept + invalid + duplicates + excluded + filtered."""
    calls: int | None
    """How many calls that takes; null for a run that has begun."""
    seconds_at_rate: float | None
    """The least time that it takes; null for a run that has begun."""
    rejected_rows: list[str]
    """The first rows that nobody can be addressed by, with the reason."""
    notes: list[str]
    """What else a person should know before it is sent."""


class RunReport(Result):
    """What is true of a run. `accepted` means that Inrō took the message on; it never means delivered."""

    run: str
    """The run's name."""
    campaign: str
    """The campaign's name."""
    account: str
    """The label of its account."""
    state: str
    """planning, scheduled, running, paused, interrupted, stopped, completed or cancelled."""
    audience: dict[str, int]
    """What became of the CSV's rows."""
    recipients: dict[str, int]
    """planned = accepted + not_found + rejected + unknown + assumed_sent + cancelled + pending + sending."""
    chunks: dict[str, int]
    """The same of the calls' chunks."""
    requests: dict[str, int]
    """Calls sent, repeated, and rate-limited."""
    elapsed_seconds: float
    """How long it was worked on."""
    reason: str = ""
    """Why it stopped, if something stopped it."""


class RunNow(RunReport):
    """A run at this moment."""

    live: dict[str, Any]
    """Who sends it (null: nobody), calls a second, seconds left, a pause, and the last failures."""


class RunDetails(Result):
    """A run, and what became of single recipients."""

    report: RunReport
    """The sums."""
    is_being_sent: bool
    """Whether a process sends it now."""
    recipients_csv: str = ""
    """CSV, one line for each recipient in the states that were asked for, up to the limit."""
    is_cut: bool = False
    """Whether there are more of them than the limit."""


class Sent(Result):
    """Where a run stands after `send_campaign` has waited for it."""

    run: str
    """The run's name."""
    state: str
    """completed, running, paused, interrupted, stopped or cancelled."""
    started_now: bool
    """Whether this call started the sender; false when the run was being sent already."""
    is_being_sent: bool
    """Whether it goes on without you: look again with `run_status`."""
    report: RunReport | None
    """The numbers; null while the plan is still being made."""
    log: str
    """The file in which the sender's log is."""
    note: str
    """What this means."""


class SentMessage(Result):
    """What became of a message to one contact."""

    to: str
    """Who it was for."""
    kind: str
    """Which kind of identifier that is: id, username or email."""
    accepted: bool
    """Whether Inrō took it on. It does not say whether Instagram delivers it."""
    outcome: str
    """accepted, not_found, rejected, unknown (it may have been received) or pending (it was not sent)."""
    not_found: bool
    """Whether there is no such contact."""
    status: int | None
    """The HTTP status."""
    reason: str
    """Why not, in the API's words."""
    note: str
    """What this means."""


class Lever(Result):
    """What became of a lever on a run."""

    run: str
    """The run's name."""
    lever: str
    """pause, resume or cancel."""
    obeyed: bool
    """False when a stopped sender did not look in time; it obeys as soon as it does."""
    by_sender: bool
    """Whether a process that sends the run obeyed; otherwise it took effect at once."""
    recipients_changed: int
    """How many recipients changed their state."""
    state: str
    """Where the run stands now."""


class Media(Result):
    """One of the account's own posts or reels."""

    media_id: str
    """The id that a `share` message names."""
    media_type: str
    """As the API calls it, such as IMAGE or REELS."""
    caption: str
    """Its caption."""
    permalink: str
    """Its address, which `post:` takes as well."""
    timestamp: str
    """When it was published."""


class Medias(Result):
    """The account's own posts and reels, in the API's order."""

    medias: list[Media]
    """Up to the limit."""
    is_cut: bool
    """Whether there are more."""


class FoundContact(Result):
    """One contact."""

    id: str
    """Its id at Inrō."""
    username: str
    """Its Instagram username."""
    email: str
    """Its e-mail address."""
    name: str
    """Its name."""
    status: str
    """As Inrō has it; who is `optout` wants no messages."""


class Contacts(Result):
    """Who was found."""

    contacts: list[FoundContact]
    """One for an exact identifier; for other words, all whom the API finds, up to twenty."""
    is_exact: bool
    """Whether the words are exactly an identifier of this contact."""

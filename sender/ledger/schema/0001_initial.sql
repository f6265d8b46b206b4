-- Times are seconds since 1970 (UTC), durations are seconds, JSON is text.

-- An account is one API token's owner at one API. Rates are counted for each account.
create table account (
    id     integer primary key,
    origin text not null,   -- the API's base URL, or 'sandbox'
    label  text not null,   -- the campaign file's `account`
    unique (origin, label)
) strict;

create table run (
    id                  integer primary key,
    name                text not null unique,
    key                 text not null,           -- random; the idempotency keys of its calls begin with it
    campaign            text not null,
    account_id          integer not null references account,
    state               text not null,
    message_fingerprint text not null,
    audience_spec       text not null default '',  -- fingerprint of the campaign file's audience section
    audience_fingerprint text not null default '',
    sources             text not null default '[]', -- stamps of the CSVs as they were read
    exclusions          text not null default '[]', -- stamps of the exclusion lists as they were last read
    counts              text not null default '{}', -- rows, kept, invalid, …
    planned             integer not null default 0, -- recipients
    content             text,                    -- the message as it is sent, once uploads and look-ups are done
    created_at          real not null,
    session_started_at  real,                    -- when the sender that now holds the run began; null when none does
    elapsed_seconds     real not null default 0, -- of all sessions that ended
    ended_at            real,
    reason              text not null default '' -- why it stopped
) strict;
create index run_by_campaign on run (campaign, account_id);

-- A chunk is one call. `split` chunks are replaced by their parts; only leaves count.
create table chunk (
    id              integer primary key,
    run_id          integer not null references run on delete cascade,
    parent_id       integer references chunk,
    first           integer not null,            -- position in the plan of its first recipient, from 0
    kind            text not null,
    size            integer not null,
    state           text not null,
    opted_out       text not null default '[]',  -- places in it of those excluded while it was not pending
    attempts        integer not null default 0,
    not_found_count integer not null default 0,
    not_found       text not null default '[]',  -- those that the API named
    status          integer,
    reason          text not null default '',
    request_id      text,
    batch_task_id   text,
    decided_at      real
) strict;
create index chunk_by_state on chunk (run_id, state, first);

-- Apart from the chunk, so that a change of state does not rewrite a kilobyte of names.
create table chunk_recipients (
    chunk_id integer primary key references chunk on delete cascade,
    packed   blob not null
) strict;

-- Rows of the CSVs that tie identifiers together without being recipients: duplicates, and what `where` leaves out.
-- Whoever opts out later is found along them even when the CSVs are gone.
create table tie (
    id     integer primary key,
    run_id integer not null references run on delete cascade,
    packed blob not null
) strict;
create index tie_by_run on tie (run_id, id);

-- One row for each call, written before its first byte leaves.
create table attempt (
    id          integer primary key,
    chunk_id    integer not null references chunk on delete cascade,
    account_id  integer not null references account,
    number      integer not null,
    recipients  integer not null,
    sent_at     real not null,
    seconds     real,
    status      integer,
    result      text,
    reason      text not null default ''
) strict;
create index attempt_by_time on attempt (account_id, sent_at);
create index attempt_by_chunk on attempt (chunk_id);

-- What was uploaded, by content, so that a file is uploaded once for all runs of an account.
create table media_file (
    account_id  integer not null references account,
    sha256      text not null,
    url         text not null,
    uploaded_at real not null,
    primary key (account_id, sha256)
) strict, without rowid;

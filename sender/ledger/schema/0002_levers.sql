-- What operators asked of a run from other terminals, kept as a record of who did what and when.
create table command (
    id         integer primary key,
    run_id     integer not null references run on delete cascade,
    lever      text not null,          -- pause, resume, cancel, rate, retry, resend, assume_sent
    argument   text not null default '',
    user       text not null,
    given_at   real not null,
    obeyed_at  real,                   -- null until the sender, or with none the operator's own process, has obeyed
    recipients integer not null default 0  -- how many it changed
) strict;
create index command_by_run on command (run_id, obeyed_at);

alter table run add column rate text;       -- calls in a period, set by an operator
alter table run add column held integer not null default 0; -- 1 from `pause` to `resume`

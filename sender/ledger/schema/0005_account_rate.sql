-- The rates of an account over all its runs. A call holds its place from its claim until one period after its end.

alter table account add column paused_until real not null default 0; -- the API asked the account to wait until then

-- Who is sending now, and how fast at most. A row outlives its sender when that is killed; the run's lock tells.
create table lease (
    run_id                    integer primary key references run on delete cascade,
    account_id                integer not null references account,
    calls                     integer not null,
    period_seconds            real not null,
    recipients                integer,           -- null for no bound on recipients
    recipients_period_seconds real
) strict;
create index lease_by_account on lease (account_id);

alter table attempt add column slot_at real;              -- its place in the account's even schedule
alter table attempt add column ended_at real;             -- null while it is under way; never earlier than the last one's
alter table attempt add column calls_ended integer;       -- how many of the account's calls had ended then, this one included
alter table attempt add column recipients_ended integer;  -- the same in recipients: two rows tell what lies between them

update attempt set (ended_at, calls_ended, recipients_ended) = (
    select ended.at, ended.calls, ended.recipients from (
        select id, sent_at + coalesce(seconds, 0) as at,
            row_number() over earlier as calls, sum(recipients) over earlier as recipients
        from attempt
        window earlier as (partition by account_id order by sent_at + coalesce(seconds, 0), id
                           rows unbounded preceding)
    ) as ended where ended.id = attempt.id
);
create index attempt_by_end on attempt (account_id, ended_at, calls_ended);

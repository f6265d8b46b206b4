-- One row for each time that a sender worked on a run, with the rate that was asked of it.
create table session (
    id         integer primary key,
    run_id     integer not null references run on delete cascade,
    started_at real not null,
    ended_at   real,   -- null while it lasts, and when its sender died
    rate       text    -- calls in a period as it was asked for at the start; null where nobody noted it
) strict;
create index session_by_run on session (run_id, started_at);

-- What was sent before sessions were noted counts as one.
insert into session (run_id, started_at, ended_at)
select run_id, min(sent_at), max(sent_at + coalesce(seconds, 0)) from attempt join chunk on chunk.id = chunk_id
group by run_id;

-- What only the sender knows, noted so that another terminal can show it.
alter table run add column rate_asked text;   -- calls in a period, of the session that is or was last under way
alter table run add column paused_until real; -- the account waits until then; past or null when it does not
alter table run add column pause_reason text not null default '';

-- What limits have to do with it: what is left of a key's budget, and whom a limit refuses.

-- As the key was last presented: what was left of the budget of which the least was, in
-- microcents, and when that is whole again, Unix milliseconds; NULL: no budget.
ALTER TABLE keys ADD COLUMN budget_remaining INTEGER;
ALTER TABLE keys ADD COLUMN budget_reset_ms INTEGER;
-- When a request of the key was last allowed, Unix milliseconds; NULL: not since this is noted.
ALTER TABLE keys ADD COLUMN passed_ms INTEGER;

-- One row for each KeyLimit that ever refused a request, or would have, were it not in shadow.
CREATE TABLE key_limits (
    id            INTEGER PRIMARY KEY,
    uid           TEXT    NOT NULL UNIQUE, -- the KeyLimit's metadata.uid
    seq           INTEGER NOT NULL UNIQUE, -- as in keys: grows with each change
    denied        INTEGER NOT NULL,        -- requests that it refused
    shadow_denied INTEGER NOT NULL         -- requests that it would have refused
) STRICT;

-- Whom a limit refuses: its newest refusal of each key. Rows are deleted once they are over.
CREATE TABLE refusals (
    key_id     INTEGER NOT NULL REFERENCES keys (id),
    limit_id   INTEGER NOT NULL REFERENCES key_limits (id),
    refused_ms INTEGER NOT NULL,           -- when, Unix milliseconds
    until_ms   INTEGER NOT NULL,           -- when it may end
    code       TEXT    NOT NULL,           -- what was answered
    exhausted  INTEGER NOT NULL,           -- 1: a quota or a budget is used up; 0: the key is only held back
    PRIMARY KEY (key_id, limit_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX refusals_of_limit ON refusals (limit_id);

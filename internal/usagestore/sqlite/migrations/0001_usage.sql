-- Usage as the verifier counts it. Anybody may read this file with the sqlite3 program, a
-- billing job or Grafana while the verifier runs: it is in WAL mode, and readers do not
-- hold up the writer. Nobody else may write to it.
--
-- No key and no hash is in here, only key IDs (an ApiKey's metadata.uid).

-- One row for each key that was ever presented. It stays when the key is deleted, so that
-- what it used can still be billed.
CREATE TABLE keys (
    id           INTEGER PRIMARY KEY,
    key          TEXT    NOT NULL UNIQUE, -- the key's ID
    workspace    TEXT    NOT NULL,        -- namespace/name of its Workspace

    -- Grows with each change of the row: what changed since N is WHERE seq > N.
    seq          INTEGER NOT NULL UNIQUE,

    -- All that was ever counted. A request is counted once, under one of the two.
    requests     INTEGER NOT NULL,        -- allowed
    denied       INTEGER NOT NULL,

    -- The same for one calendar month in UTC: the newest in which the key was used.
    month        INTEGER NOT NULL,        -- its start, Unix seconds
    month_requests INTEGER NOT NULL,
    month_denied   INTEGER NOT NULL,

    -- As the key was last presented, whatever the answer.
    last_used_ms INTEGER NOT NULL,        -- Unix milliseconds
    remaining    INTEGER,                 -- left of its tightest limit; NULL: no limit
    reset_ms     INTEGER                  -- when that limit is whole again, Unix milliseconds
) STRICT;

-- What a key was answered within one hour, for example VALID or RATE_LIMITED. Rows are
-- kept for 13 months. The hour comes first so that a flush writes to few pages, and old
-- hours are dropped from one end.
CREATE TABLE hours (
    hour   INTEGER NOT NULL,              -- its start, Unix seconds
    key_id INTEGER NOT NULL REFERENCES keys (id),
    code   TEXT    NOT NULL,
    count  INTEGER NOT NULL,
    PRIMARY KEY (hour, key_id, code)
) STRICT, WITHOUT ROWID;

-- The hours with names instead of numbers, to query and to draw from.
CREATE VIEW hourly_usage AS
SELECT hours.hour, keys.workspace, keys.key, hours.code, hours.count
FROM hours JOIN keys ON keys.id = hours.key_id;

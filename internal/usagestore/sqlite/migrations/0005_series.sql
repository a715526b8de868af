-- Usage that can be queried: by whom, for what, how it ended, what it cost and how long it took.
--
-- A request is counted once when it is decided, as allowed or denied, and a second time when its outcome is
-- reported, as success or failed, or as reported where only its cost was. All times are Unix times in UTC.
-- For people and programs there are the views at the end: hourly_usage, daily_usage and request_log.

DROP VIEW hourly_usage;
ALTER TABLE hours RENAME TO old_hours;

-- Of each key and of each group of keys: all that was ever counted, and the same for the newest billing period.
ALTER TABLE keys ADD COLUMN service_account TEXT NOT NULL DEFAULT ''; -- its name; empty: none
ALTER TABLE keys ADD COLUMN succeeded INTEGER NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN failed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN spend_microcents INTEGER NOT NULL DEFAULT 0;
ALTER TABLE keys RENAME COLUMN month TO period_start; -- Unix seconds; 0: not known, and to be summed up from the hours
ALTER TABLE keys RENAME COLUMN month_requests TO period_requests;
ALTER TABLE keys RENAME COLUMN month_denied TO period_denied;
ALTER TABLE keys ADD COLUMN period_succeeded INTEGER NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN period_failed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN period_spend_microcents INTEGER NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN newest_hour INTEGER NOT NULL DEFAULT 0; -- the last one in which something was counted
UPDATE keys SET newest_hour = (SELECT coalesce(max(hour), 0) FROM old_hours WHERE key_id = keys.id);
-- last_used_ms is 0 where a key was never presented, and only outcomes were reported of it.

CREATE TABLE usage_groups (
    id               INTEGER PRIMARY KEY,
    kind             TEXT    NOT NULL,  -- Workspace or ServiceAccount
    name             TEXT    NOT NULL,  -- namespace/name
    seq              INTEGER NOT NULL UNIQUE, -- as in keys: grows with each change
    requests         INTEGER NOT NULL,
    denied           INTEGER NOT NULL,
    succeeded        INTEGER NOT NULL,
    failed           INTEGER NOT NULL,
    spend_microcents INTEGER NOT NULL,
    period_start     INTEGER NOT NULL,
    period_requests  INTEGER NOT NULL,
    period_denied    INTEGER NOT NULL,
    period_succeeded INTEGER NOT NULL,
    period_failed    INTEGER NOT NULL,
    period_spend_microcents INTEGER NOT NULL,
    newest_hour      INTEGER NOT NULL,
    last_used_ms     INTEGER NOT NULL,
    UNIQUE (kind, name)
) STRICT;

-- What events are told apart by. Each combination has one row; the attribution is as it was when the event happened.
CREATE TABLE series (
    id              INTEGER PRIMARY KEY,
    hash            BLOB UNIQUE,               -- of all columns below; NULL in rows of before there were series
    key_id          INTEGER NOT NULL REFERENCES keys (id),
    workspace       TEXT    NOT NULL,          -- namespace/name
    service_account TEXT    NOT NULL,          -- its name; empty: none, here and below
    entity_kind     TEXT    NOT NULL,
    entity_id       TEXT    NOT NULL,
    department      TEXT    NOT NULL,
    environment     TEXT    NOT NULL,          -- live or test
    status          TEXT    NOT NULL,          -- allowed, denied; success, failed, reported
    error           TEXT    NOT NULL,          -- why it was denied or failed
    tier            TEXT    NOT NULL,
    domain          TEXT    NOT NULL,
    resource        TEXT    NOT NULL,          -- what the key was used on
    quarters        INTEGER NOT NULL DEFAULT 0 -- 1: some of its rows in hours are quarters of one
) STRICT;
CREATE INDEX series_of_key ON series (key_id);
CREATE INDEX series_of_workspace ON series (workspace);

-- What was counted of a series in an hour; in a quarter of one, where the workspace's time zone is not a
-- whole number of hours off. Rows are kept for 13 months.
CREATE TABLE hours (
    start            INTEGER NOT NULL,  -- Unix seconds
    series_id        INTEGER NOT NULL REFERENCES series (id),
    count            INTEGER NOT NULL,
    spend_microcents INTEGER NOT NULL,
    latency_us       INTEGER NOT NULL,  -- in microseconds, the sum over the timed ones
    timed            INTEGER NOT NULL,  -- of how many the latency is known
    bytes            INTEGER NOT NULL,  -- sent to clients
    PRIMARY KEY (start, series_id)
) STRICT, WITHOUT ROWID;

-- The same in a day of UTC. Rows are kept for five years.
CREATE TABLE days (
    start            INTEGER NOT NULL,
    series_id        INTEGER NOT NULL REFERENCES series (id),
    count            INTEGER NOT NULL,
    spend_microcents INTEGER NOT NULL,
    latency_us       INTEGER NOT NULL,
    timed            INTEGER NOT NULL,
    bytes            INTEGER NOT NULL,
    PRIMARY KEY (start, series_id)
) STRICT, WITHOUT ROWID;

-- The request log: a line for each decision and for each outcome, where the Workspace keeps one.
CREATE TABLE log (
    id               INTEGER PRIMARY KEY,
    at_us            INTEGER NOT NULL,  -- Unix microseconds
    key_id           INTEGER NOT NULL REFERENCES keys (id),
    series_id        INTEGER NOT NULL REFERENCES series (id),
    request_id       TEXT    NOT NULL,
    http_status      INTEGER NOT NULL,  -- 0: not known
    spend_microcents INTEGER NOT NULL,
    latency_us       INTEGER NOT NULL,  -- 0: not known
    bytes            INTEGER NOT NULL,
    expires          INTEGER NOT NULL   -- the day after which it is deleted, from 1970-01-01
) STRICT;
CREATE INDEX log_of_key ON log (key_id, at_us, series_id);

-- Which requests were reported in the last day, so that none counts twice. Neither is a text: the key's ID is its 16
-- bytes, and the request is a hash.
CREATE TABLE reports (
    key     BLOB    NOT NULL,
    request BLOB    NOT NULL,
    at_s    INTEGER NOT NULL,           -- Unix seconds
    PRIMARY KEY (key, request)
) STRICT, WITHOUT ROWID;
CREATE INDEX reports_at ON reports (at_s);

-- Who has written, and the number of the last batch of each, so that none is added twice.
CREATE TABLE writers (
    writer TEXT    PRIMARY KEY,
    last   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What was counted before there were series.
INSERT INTO series (key_id, workspace, service_account, entity_kind, entity_id, department, environment, status, error, tier, domain, resource)
SELECT DISTINCT key_id, keys.workspace, '', '', '', '', '', iif(code = 'VALID', 'allowed', 'denied'), iif(code = 'VALID', '', code), '', '', ''
FROM old_hours JOIN keys ON keys.id = key_id;
CREATE TEMP TABLE old_series AS SELECT id, key_id, iif(status = 'allowed', 'VALID', error) AS code FROM series;
CREATE UNIQUE INDEX temp.old_series_of ON old_series (key_id, code);
INSERT INTO hours SELECT hour, old_series.id, count, 0, 0, 0, 0 FROM old_hours JOIN old_series USING (key_id, code);
INSERT INTO days SELECT start - start % 86400, series_id, sum(count), 0, 0, 0, 0 FROM hours GROUP BY 1, 2;
INSERT INTO usage_groups
SELECT NULL, 'Workspace', workspace, row_number() OVER (ORDER BY workspace), sum(requests), sum(denied), 0, 0, 0,
    0, 0, 0, 0, 0, 0, max(newest_hour), max(last_used_ms)
FROM keys GROUP BY workspace;
DROP TABLE temp.old_series;
DROP TABLE old_hours;

CREATE VIEW hourly_usage AS
SELECT hours.start, keys.key, workspace, service_account, entity_kind, entity_id, department, environment,
    status, error, tier, domain, resource, count, hours.spend_microcents, latency_us, timed, bytes
FROM hours JOIN series ON series.id = hours.series_id JOIN (SELECT id, key FROM keys) AS keys ON keys.id = series.key_id;

CREATE VIEW daily_usage AS
SELECT days.start, keys.key, workspace, service_account, entity_kind, entity_id, department, environment,
    status, error, tier, domain, resource, count, days.spend_microcents, latency_us, timed, bytes
FROM days JOIN series ON series.id = days.series_id JOIN (SELECT id, key FROM keys) AS keys ON keys.id = series.key_id;

CREATE VIEW request_log AS
SELECT at_us, request_id, keys.key, workspace, service_account, entity_kind, entity_id, department, environment,
    status, error, http_status, tier, domain, resource, log.spend_microcents, latency_us, bytes
FROM log JOIN series ON series.id = log.series_id JOIN (SELECT id, key FROM keys) AS keys ON keys.id = log.key_id;

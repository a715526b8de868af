-- Usage as verifiers count it together. Anybody may read it: a billing job or Grafana, best with a role of their own that may
-- only SELECT. Nobody but verifiers may write. For people and programs there are the views at the end.
--
-- No key and no hash is in here, only key IDs (an ApiKey's metadata.uid).
--
-- A request is counted once when it is decided, as allowed or denied, and a second time when its outcome is
-- reported, as success or failed, or as reported where only its cost was. All times are Unix times in UTC.

-- One row for each key that was ever presented. It stays when the key is deleted, so that what it used can still be
-- billed. Of it, and of each group of keys: all that was ever counted, and the same for the newest billing period.
CREATE TABLE keys (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key              text   NOT NULL UNIQUE,     -- the key's ID
    workspace        text   NOT NULL,            -- namespace/name of its Workspace
    service_account  text   NOT NULL DEFAULT '', -- its name; empty: none
    seq              bigint,                     -- grows with each change, in the order of commits: what changed since N is WHERE seq > N
    requests         bigint NOT NULL DEFAULT 0,  -- allowed
    denied           bigint NOT NULL DEFAULT 0,
    succeeded        bigint NOT NULL DEFAULT 0,
    failed           bigint NOT NULL DEFAULT 0,
    spend_microcents bigint NOT NULL DEFAULT 0,
    period_start     bigint NOT NULL DEFAULT 0,  -- Unix seconds; 0: not known, and to be summed up from the hours
    period_requests  bigint NOT NULL DEFAULT 0,
    period_denied    bigint NOT NULL DEFAULT 0,
    period_succeeded bigint NOT NULL DEFAULT 0,
    period_failed    bigint NOT NULL DEFAULT 0,
    period_spend_microcents bigint NOT NULL DEFAULT 0,
    newest_hour      bigint NOT NULL DEFAULT 0,  -- the last one in which something was counted
    last_used_ms     bigint NOT NULL DEFAULT 0,  -- Unix milliseconds; 0: only outcomes were reported
    remaining        bigint,                     -- left of its tightest limit when it was last used; NULL: no limit
    reset_ms         bigint,                     -- when that limit is whole again
    budget_remaining bigint,                     -- the same, in microcents, of the budget of which the least was left
    budget_reset_ms  bigint,
    passed_ms        bigint                      -- when a request of it was last allowed; NULL: never
);
-- Not UNIQUE, which it is: to change what is UNIQUE locks the row against whoever refers to it, such as new series do.
CREATE INDEX keys_seq ON keys (seq);

CREATE TABLE usage_groups (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind             text   NOT NULL,            -- Workspace or ServiceAccount
    name             text   NOT NULL,            -- namespace/name
    seq              bigint NOT NULL,
    requests         bigint NOT NULL,
    denied           bigint NOT NULL,
    succeeded        bigint NOT NULL,
    failed           bigint NOT NULL,
    spend_microcents bigint NOT NULL,
    period_start     bigint NOT NULL,
    period_requests  bigint NOT NULL,
    period_denied    bigint NOT NULL,
    period_succeeded bigint NOT NULL,
    period_failed    bigint NOT NULL,
    period_spend_microcents bigint NOT NULL,
    newest_hour      bigint NOT NULL,
    last_used_ms     bigint NOT NULL,
    UNIQUE (kind, name)
);
CREATE INDEX usage_groups_seq ON usage_groups (seq);

-- What events are told apart by. Each combination has one row; the attribution is as it was when the event happened.
CREATE TABLE series (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hash            bytea  NOT NULL UNIQUE,      -- of all columns below
    key_id          bigint NOT NULL REFERENCES keys (id),
    workspace       text   NOT NULL,             -- namespace/name
    service_account text   NOT NULL,             -- its name; empty: none, here and below
    entity_kind     text   NOT NULL,
    entity_id       text   NOT NULL,
    department      text   NOT NULL,
    environment     text   NOT NULL,             -- live or test
    status          text   NOT NULL,             -- allowed, denied; success, failed, reported
    error           text   NOT NULL,             -- why it was denied or failed
    tier            text   NOT NULL,
    domain          text   NOT NULL,
    resource        text   NOT NULL              -- what the key was used on
);
CREATE INDEX series_of_key ON series (key_id);
CREATE INDEX series_of_workspace ON series (workspace);

-- What was counted of a series in an hour; in a quarter of one, where the workspace's time zone is not a
-- whole number of hours off. Rows are kept for 13 months.
CREATE TABLE hours (
    start            bigint NOT NULL,            -- Unix seconds
    series_id        bigint NOT NULL REFERENCES series (id),
    count            bigint NOT NULL,
    spend_microcents bigint NOT NULL,
    latency_us       bigint NOT NULL,            -- in microseconds, the sum over the timed ones
    timed            bigint NOT NULL,            -- of how many the latency is known
    bytes            bigint NOT NULL,            -- sent to clients
    PRIMARY KEY (series_id, start)
) WITH (fillfactor = 80);                        -- the rows of this hour change again and again
CREATE INDEX hours_start ON hours (start);

-- The same in a day of UTC. Rows are kept for five years.
CREATE TABLE days (
    start            bigint NOT NULL,
    series_id        bigint NOT NULL REFERENCES series (id),
    count            bigint NOT NULL,
    spend_microcents bigint NOT NULL,
    latency_us       bigint NOT NULL,
    timed            bigint NOT NULL,
    bytes            bigint NOT NULL,
    PRIMARY KEY (series_id, start)
) WITH (fillfactor = 80);
CREATE INDEX days_start ON days (start);

-- The request log: a line for each decision and for each outcome, where the Workspace keeps one. It has a
-- partition for each day of UTC, log_20261121, which is dropped when all of its lines are past keeping.
CREATE SEQUENCE log_id CACHE 1000; -- each connection takes as many at once
CREATE TABLE log (
    id               bigint  NOT NULL DEFAULT nextval('log_id'),
    at_us            bigint  NOT NULL,           -- Unix microseconds
    key_id           bigint  NOT NULL,
    series_id        bigint  NOT NULL,
    request_id       text    NOT NULL,
    http_status      integer NOT NULL,           -- 0: not known
    spend_microcents bigint  NOT NULL,
    latency_us       bigint  NOT NULL,           -- 0: not known
    bytes            bigint  NOT NULL,
    expires          integer NOT NULL            -- the day after which it is deleted, from 1970-01-01
) PARTITION BY RANGE (at_us);
CREATE INDEX log_of_key ON log (key_id, at_us, series_id);

-- Which requests were reported in the last day, so that none counts twice. Neither is a text: the key's ID is its 16
-- bytes, and the request is a hash.
CREATE TABLE reports (
    key     bytea  NOT NULL,
    request bytea  NOT NULL,
    at_s    bigint NOT NULL,
    PRIMARY KEY (key, request)
);
CREATE INDEX reports_at ON reports (at_s);

-- Which verifiers have written, and the number of the last batch of each, so that none is added twice.
CREATE TABLE writers (
    writer text   PRIMARY KEY,
    last   bigint NOT NULL
);

-- One row for each KeyLimit that ever refused a request, or would have, were it not in shadow.
CREATE TABLE key_limits (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uid           text   NOT NULL UNIQUE,        -- the KeyLimit's metadata.uid
    seq           bigint NOT NULL,
    denied        bigint NOT NULL,
    shadow_denied bigint NOT NULL
);
CREATE INDEX key_limits_seq ON key_limits (seq);

-- Whom a limit refuses: its newest refusal of each key. Rows are deleted once they are over.
CREATE TABLE refusals (
    key_id     bigint  NOT NULL REFERENCES keys (id),
    limit_id   bigint  NOT NULL REFERENCES key_limits (id),
    refused_ms bigint  NOT NULL,                 -- when
    until_ms   bigint  NOT NULL,                 -- when it may end
    code       text    NOT NULL,                 -- what was answered
    exhausted  boolean NOT NULL,                 -- a quota or a budget is used up; else the key is only held back
    PRIMARY KEY (key_id, limit_id)
);
CREATE INDEX refusals_of_limit ON refusals (limit_id);

-- The newest two generations of each key that were presented.
CREATE TABLE key_generations (
    key_id       bigint  NOT NULL REFERENCES keys (id),
    generation   bigint  NOT NULL,               -- from 1
    last_used_ms bigint  NOT NULL,
    PRIMARY KEY (key_id, generation)
);

CREATE VIEW hourly_usage AS
SELECT hours.start, keys.key, s.workspace, s.service_account, entity_kind, entity_id, department, environment,
    status, error, tier, domain, resource, count, hours.spend_microcents, latency_us, timed, bytes
FROM hours JOIN series s ON s.id = hours.series_id JOIN keys ON keys.id = s.key_id;

CREATE VIEW daily_usage AS
SELECT days.start, keys.key, s.workspace, s.service_account, entity_kind, entity_id, department, environment,
    status, error, tier, domain, resource, count, days.spend_microcents, latency_us, timed, bytes
FROM days JOIN series s ON s.id = days.series_id JOIN keys ON keys.id = s.key_id;

CREATE VIEW request_log AS
SELECT at_us, request_id, keys.key, s.workspace, s.service_account, entity_kind, entity_id, department, environment,
    status, error, http_status, tier, domain, resource, log.spend_microcents, latency_us, bytes
FROM log JOIN series s ON s.id = log.series_id JOIN keys ON keys.id = log.key_id;

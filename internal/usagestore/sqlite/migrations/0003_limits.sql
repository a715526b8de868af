-- What is used of the limits, kept so that it outlives a restart. Only the verifier reads it: to see what is
-- left of a limit, ask GET /v1/scope or look at the ApiKey.

-- The rules of KeyLimits as they were when something was counted by them.
CREATE TABLE limit_rules (
    id         INTEGER PRIMARY KEY,
    key_limit  TEXT    NOT NULL,  -- the KeyLimit's metadata.uid
    rule       TEXT    NOT NULL,  -- which of its rules
    kind       TEXT    NOT NULL,
    max        INTEGER NOT NULL,
    burst      INTEGER NOT NULL,
    per_ns     INTEGER NOT NULL,
    calendar   TEXT    NOT NULL,  -- empty: none
    UNIQUE (key_limit, rule)
) STRICT;

CREATE TABLE limit_counts (
    rule_id    INTEGER NOT NULL REFERENCES limit_rules (id),
    subject    INTEGER NOT NULL,  -- whose requests are counted
    word       INTEGER NOT NULL,  -- what the rule's bucket holds
    whole_ms   INTEGER NOT NULL,  -- when nothing of it is used any more, Unix milliseconds
    PRIMARY KEY (rule_id, subject)
) STRICT, WITHOUT ROWID;

-- What is whole is deleted now and then.
CREATE INDEX limit_counts_whole ON limit_counts (whole_ms);

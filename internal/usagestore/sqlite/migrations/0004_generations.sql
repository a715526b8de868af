-- Which of a key's generations are still in use: while a key is replaced, the old one works beside the new.

-- The newest two generations of each key that were presented, whatever the answer. Of keys that were not used since
-- this is noted there are none.
CREATE TABLE key_generations (
    key_id       INTEGER NOT NULL REFERENCES keys (id),
    generation   INTEGER NOT NULL,        -- from 1
    last_used_ms INTEGER NOT NULL,        -- Unix milliseconds
    PRIMARY KEY (key_id, generation)
) STRICT, WITHOUT ROWID;

-- Older ones are deleted as soon as a newer one comes. A use of one that was there before is no insertion.
CREATE TRIGGER key_generations_newest AFTER INSERT ON key_generations
BEGIN
    DELETE FROM key_generations WHERE key_id = NEW.key_id AND generation NOT IN (
        SELECT generation FROM key_generations WHERE key_id = NEW.key_id ORDER BY generation DESC LIMIT 2);
END;

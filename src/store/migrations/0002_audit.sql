-- What an auditor asks of an event: names as they were then, where it came from, and a chain of hashes over all of it.
-- Events from before this migration have no number and are no part of the chain.
ALTER TABLE events ADD COLUMN actor TEXT;
ALTER TABLE events ADD COLUMN repo TEXT;
ALTER TABLE events ADD COLUMN address TEXT;
ALTER TABLE events ADD COLUMN request TEXT;
ALTER TABLE events ADD COLUMN number BIGINT;
ALTER TABLE events ADD COLUMN hash TEXT;
CREATE UNIQUE INDEX events_by_number ON events (number);
CREATE INDEX events_by_actor ON events (actor, number);
CREATE INDEX events_by_kind ON events (kind, number);

-- The end of the chain, in one row: whoever adds an event changes it first, so that no two add at once.
CREATE TABLE audit_head (
    id     BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    number BIGINT NOT NULL,
    hash   TEXT   NOT NULL
);
INSERT INTO audit_head (id, number, hash) VALUES (1, 0, '');

-- Failed sign-ins, by a hash of what they count for.
CREATE TABLE sign_in_failures (
    key_hash TEXT   NOT NULL PRIMARY KEY,
    failures BIGINT NOT NULL,
    ends     BIGINT NOT NULL
);
CREATE INDEX sign_in_failures_by_end ON sign_in_failures (ends);

-- What is to be done after the fact. A row is put here in the transaction that makes it necessary, so that neither a
-- crash nor the loss of Redis can lose it. Whoever works on one holds a lease; a lease that ran out is anybody's.
CREATE TABLE jobs (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    kind         TEXT   NOT NULL,
    payload      TEXT   NOT NULL,
    dedupe_key   TEXT   NOT NULL,
    state        TEXT   NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'dead')),
    run_after    BIGINT NOT NULL,
    attempts     BIGINT NOT NULL,
    max_attempts BIGINT NOT NULL,
    leased_by    TEXT,
    leased_until BIGINT,
    last_error   TEXT,
    created      BIGINT NOT NULL,
    finished     BIGINT
);
-- One that waits is enough for whatever asks for the same.
CREATE UNIQUE INDEX jobs_waiting_once ON jobs (dedupe_key) WHERE state = 'waiting';
CREATE INDEX jobs_by_turn ON jobs (state, run_after, id);

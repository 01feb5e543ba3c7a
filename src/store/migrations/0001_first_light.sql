-- An owner is a row of its own, so that organisations can be owners later. Service accounts belong to the program.
CREATE TABLE owners (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    kind     TEXT   NOT NULL,
    name     TEXT   NOT NULL,
    name_key TEXT   NOT NULL UNIQUE,
    created  BIGINT NOT NULL
);

CREATE TABLE users (
    id            BIGINT   NOT NULL PRIMARY KEY REFERENCES owners (id) ON DELETE CASCADE,
    full_name     TEXT     NOT NULL,
    password_hash TEXT,
    is_admin      SMALLINT NOT NULL CHECK (is_admin IN (0, 1)),
    is_active     SMALLINT NOT NULL CHECK (is_active IN (0, 1)),
    seen          BIGINT
);

CREATE TABLE sessions (
    token_hash TEXT   NOT NULL PRIMARY KEY,
    user_id    BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created    BIGINT NOT NULL,
    expires    BIGINT NOT NULL,
    seen       BIGINT NOT NULL
);
CREATE INDEX sessions_of_user ON sessions (user_id);
CREATE INDEX sessions_by_end ON sessions (expires);

CREATE TABLE ssh_keys (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id     BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    title       TEXT   NOT NULL,
    kind        TEXT   NOT NULL,
    fingerprint TEXT   NOT NULL UNIQUE,
    line        TEXT   NOT NULL,
    created     BIGINT NOT NULL,
    used        BIGINT
);
CREATE INDEX ssh_keys_of_user ON ssh_keys (user_id);

CREATE TABLE tokens (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id    BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name       TEXT   NOT NULL,
    token_hash TEXT   NOT NULL UNIQUE,
    scope      TEXT   NOT NULL CHECK (scope IN ('read', 'write')),
    created    BIGINT NOT NULL,
    expires    BIGINT,
    used       BIGINT
);
CREATE INDEX tokens_of_user ON tokens (user_id);

-- Directories that no repository owns: about to be one, or left by one. Its ids are the repositories' and never come again.
CREATE TABLE loose_directories (
    id INTEGER PRIMARY KEY AUTOINCREMENT
);

CREATE TABLE repos (
    id          BIGINT NOT NULL PRIMARY KEY,
    owner_id    BIGINT NOT NULL REFERENCES owners (id),
    name        TEXT   NOT NULL,
    name_key    TEXT   NOT NULL,
    visibility  TEXT   NOT NULL CHECK (visibility IN ('public', 'internal', 'private')),
    description TEXT   NOT NULL,
    created     BIGINT NOT NULL,
    pushed      BIGINT,
    UNIQUE (owner_id, name_key)
);
CREATE INDEX repos_by_visibility ON repos (visibility);

-- What happened, for good: rows outlive what they tell of, so nothing here refers to another table.
CREATE TABLE events (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    at        BIGINT NOT NULL,
    actor_id  BIGINT,
    kind      TEXT   NOT NULL,
    repo_id   BIGINT,
    subject   TEXT   NOT NULL,
    old_value TEXT,
    new_value TEXT
);
CREATE INDEX events_of_repo ON events (repo_id, subject);
CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER events_are_never_removed BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;

-- Ref moves that were permitted and whose event is not written yet.
CREATE TABLE push_intents (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    repo_id  BIGINT NOT NULL REFERENCES repos (id) ON DELETE CASCADE,
    actor_id BIGINT NOT NULL,
    at       BIGINT NOT NULL,
    ref_name TEXT   NOT NULL,
    old_id   TEXT   NOT NULL,
    new_id   TEXT   NOT NULL
);
CREATE INDEX push_intents_of_repo ON push_intents (repo_id);

CREATE TABLE site_facts (
    key   TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

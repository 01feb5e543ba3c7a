-- What a session shows of itself to its owner, and when its holder last gave a password or a second factor.
ALTER TABLE sessions ADD COLUMN address TEXT;
ALTER TABLE sessions ADD COLUMN agent TEXT;
ALTER TABLE sessions ADD COLUMN proved BIGINT NOT NULL DEFAULT 0;

-- An authenticator app: the secret is encrypted, and no code of a step up to the last one is taken again.
CREATE TABLE authenticators (
    user_id      BIGINT   NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    secret       TEXT     NOT NULL,
    is_confirmed SMALLINT NOT NULL CHECK (is_confirmed IN (0, 1)),
    last_step    BIGINT   NOT NULL,
    created      BIGINT   NOT NULL
);

-- Codes for who has lost the second factor, by their hashes. A code is good once.
CREATE TABLE recovery_codes (
    code_hash TEXT   NOT NULL PRIMARY KEY,
    user_id   BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    used      BIGINT
);
CREATE INDEX recovery_codes_of_user ON recovery_codes (user_id);

-- Sign-ins that wait for their second factor, and keys about to be added: short-lived, for one purpose, by a hash.
CREATE TABLE ceremonies (
    token_hash TEXT   NOT NULL PRIMARY KEY,
    purpose    TEXT   NOT NULL CHECK (purpose IN ('sign-in', 'new key')),
    user_id    BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    challenge  TEXT   NOT NULL,
    tries      BIGINT NOT NULL,
    ends       BIGINT NOT NULL
);
CREATE INDEX ceremonies_of_user ON ceremonies (user_id);
CREATE INDEX ceremonies_by_end ON ceremonies (ends);

-- Security keys and passkeys: bytes in base64, the public key as it came.
CREATE TABLE security_keys (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id    BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name       TEXT   NOT NULL,
    credential TEXT   NOT NULL UNIQUE,
    public_key TEXT   NOT NULL,
    counter    BIGINT NOT NULL,
    created    BIGINT NOT NULL,
    used       BIGINT
);
CREATE INDEX security_keys_of_user ON security_keys (user_id);

-- What a push is judged by, who signs SSH certificates, and where a settled push came from.
ALTER TABLE push_intents ADD COLUMN address TEXT;
ALTER TABLE push_intents ADD COLUMN request TEXT;

-- Branches and tags of a pattern, and what may be done to them. `push_level` leaves room for levels and teams to come.
CREATE TABLE protections (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    repo_id        BIGINT   NOT NULL REFERENCES repos (id) ON DELETE CASCADE,
    kind           TEXT     NOT NULL CHECK (kind IN ('branch', 'tag')),
    pattern        TEXT     NOT NULL,
    push_level     TEXT     NOT NULL CHECK (push_level IN ('nobody', 'write', 'maintain', 'admin')),
    may_create     SMALLINT NOT NULL CHECK (may_create IN (0, 1)),
    may_force      SMALLINT NOT NULL CHECK (may_force IN (0, 1)),
    may_delete     SMALLINT NOT NULL CHECK (may_delete IN (0, 1)),
    require_signed SMALLINT NOT NULL CHECK (require_signed IN (0, 1)),
    created        BIGINT   NOT NULL,
    UNIQUE (repo_id, kind, pattern)
);

-- Who may push besides those of the level.
CREATE TABLE protection_users (
    protection_id BIGINT NOT NULL REFERENCES protections (id) ON DELETE CASCADE,
    user_id       BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (protection_id, user_id)
);
CREATE INDEX protection_users_of_user ON protection_users (user_id);

-- What holds for the whole site, where an administrator set it; 0 is no limit.
CREATE TABLE site_limits (
    name  TEXT   NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);

-- What an owner's repositories may take together, where an administrator set it.
CREATE TABLE owner_quotas (
    owner_id BIGINT NOT NULL PRIMARY KEY REFERENCES owners (id) ON DELETE CASCADE,
    bytes    BIGINT NOT NULL
);

-- What a repository takes, as of its last push, and what it may take, where an administrator set it.
CREATE TABLE repo_usage (
    repo_id   BIGINT NOT NULL PRIMARY KEY REFERENCES repos (id) ON DELETE CASCADE,
    git_bytes BIGINT NOT NULL,
    lfs_bytes BIGINT NOT NULL,
    quota     BIGINT
);

-- Authorities whose user certificates open the SSH door.
CREATE TABLE ssh_authorities (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    title       TEXT   NOT NULL,
    kind        TEXT   NOT NULL,
    fingerprint TEXT   NOT NULL UNIQUE,
    line        TEXT   NOT NULL,
    created     BIGINT NOT NULL
);

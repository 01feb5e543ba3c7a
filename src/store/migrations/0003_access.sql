-- Organisations own repositories and have teams; a member of an organisation is a member of one of its teams. Groups
-- within groups would need a parent's id in `owners` and the whole path in `name_key`, which is unique already.
CREATE TABLE organisations (
    id          BIGINT NOT NULL PRIMARY KEY REFERENCES owners (id) ON DELETE CASCADE,
    full_name   TEXT   NOT NULL,
    description TEXT   NOT NULL,
    visibility  TEXT   NOT NULL CHECK (visibility IN ('public', 'internal', 'private'))
);

-- What is granted, here and below: 1 read, 2 triage, 3 write, 4 maintain, 5 admin.
CREATE TABLE teams (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organisation_id BIGINT   NOT NULL REFERENCES organisations (id) ON DELETE CASCADE,
    name            TEXT     NOT NULL,
    name_key        TEXT     NOT NULL,
    description     TEXT     NOT NULL,
    permission      SMALLINT NOT NULL CHECK (permission BETWEEN 1 AND 5),
    is_owners       SMALLINT NOT NULL CHECK (is_owners IN (0, 1)),
    includes_all    SMALLINT NOT NULL CHECK (includes_all IN (0, 1)),
    can_create      SMALLINT NOT NULL CHECK (can_create IN (0, 1)),
    UNIQUE (organisation_id, name_key)
);

CREATE TABLE team_members (
    team_id BIGINT NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    user_id BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (team_id, user_id)
);
CREATE INDEX team_members_by_user ON team_members (user_id);

CREATE TABLE team_repos (
    team_id BIGINT NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    repo_id BIGINT NOT NULL REFERENCES repos (id) ON DELETE CASCADE,
    PRIMARY KEY (team_id, repo_id)
);
CREATE INDEX team_repos_by_repo ON team_repos (repo_id);

CREATE TABLE collaborators (
    repo_id    BIGINT   NOT NULL REFERENCES repos (id) ON DELETE CASCADE,
    user_id    BIGINT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    permission SMALLINT NOT NULL CHECK (permission BETWEEN 1 AND 5),
    PRIMARY KEY (repo_id, user_id)
);
CREATE INDEX collaborators_by_user ON collaborators (user_id);

-- A key of a machine: no user is behind it, and it may be the key of several repositories.
CREATE TABLE deploy_keys (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    repo_id     BIGINT   NOT NULL REFERENCES repos (id) ON DELETE CASCADE,
    title       TEXT     NOT NULL,
    kind        TEXT     NOT NULL,
    fingerprint TEXT     NOT NULL,
    line        TEXT     NOT NULL,
    can_write   SMALLINT NOT NULL CHECK (can_write IN (0, 1)),
    created     BIGINT   NOT NULL,
    used        BIGINT,
    UNIQUE (repo_id, fingerprint)
);
CREATE INDEX deploy_keys_by_fingerprint ON deploy_keys (fingerprint);

-- Names of owners that are gone, so that nobody steps into their place too soon.
CREATE TABLE former_owners (
    name_key TEXT   NOT NULL PRIMARY KEY,
    removed  BIGINT NOT NULL
);

-- A token's areas, as in `read:repository,write:user`, and the repositories that a limited one is for.
ALTER TABLE tokens ADD COLUMN scopes TEXT NOT NULL DEFAULT 'read:repository';
UPDATE tokens SET scopes = 'write:repository' WHERE scope = 'write';
ALTER TABLE tokens DROP COLUMN scope;
ALTER TABLE tokens ADD COLUMN is_limited SMALLINT NOT NULL DEFAULT 0 CHECK (is_limited IN (0, 1));
CREATE TABLE token_repos (
    token_id BIGINT NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    repo_id  BIGINT NOT NULL REFERENCES repos (id) ON DELETE CASCADE,
    PRIMARY KEY (token_id, repo_id)
);
CREATE INDEX token_repos_by_repo ON token_repos (repo_id);

-- A deploy key pushes without a user: its fingerprint stands for a name.
ALTER TABLE push_intents ADD COLUMN actor TEXT;
ALTER TABLE push_intents ADD COLUMN by_id BIGINT;
UPDATE push_intents SET by_id = actor_id;
ALTER TABLE push_intents DROP COLUMN actor_id;
ALTER TABLE push_intents RENAME COLUMN by_id TO actor_id;

-- What others (a runner, a scanner) say of a commit; the newest of each context counts. Whoever said it may be gone.
CREATE TABLE commit_statuses (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    repo_id     BIGINT NOT NULL REFERENCES repos (id) ON DELETE CASCADE,
    commit_id   TEXT   NOT NULL,
    context     TEXT   NOT NULL,
    state       TEXT   NOT NULL CHECK (state IN ('pending', 'success', 'error', 'failure', 'warning', 'skipped')),
    description TEXT   NOT NULL,
    target_url  TEXT   NOT NULL,
    creator_id  BIGINT,
    created     BIGINT NOT NULL
);
CREATE INDEX commit_statuses_of_commit ON commit_statuses (repo_id, commit_id, id);

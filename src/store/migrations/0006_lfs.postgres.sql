-- Large files. An object is a repository's through its row alone, whatever other repositories hold the same bytes.
CREATE TABLE lfs_objects (
    repo_id  BIGINT NOT NULL REFERENCES repos (id) ON DELETE CASCADE,
    oid      TEXT   NOT NULL,
    size     BIGINT NOT NULL CHECK (size >= 0),
    actor_id BIGINT, -- NULL: a deploy key
    created  BIGINT NOT NULL,
    PRIMARY KEY (repo_id, oid)
);
CREATE INDEX lfs_objects_by_oid ON lfs_objects (oid);

-- Content on disk that perhaps no row of lfs_objects names: about to be stored, or left by a repository.
CREATE TABLE lfs_loose (
    oid TEXT NOT NULL PRIMARY KEY
);

-- Who said that only they change a file.
CREATE TABLE lfs_locks (
    id       TEXT   NOT NULL PRIMARY KEY,
    repo_id  BIGINT NOT NULL REFERENCES repos (id) ON DELETE CASCADE,
    path     TEXT   COLLATE "C" NOT NULL,
    owner_id BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created  BIGINT NOT NULL,
    UNIQUE (repo_id, path)
);
CREATE INDEX lfs_locks_of_owner ON lfs_locks (owner_id);

"""Changes a site's database behind its back: tamper.py DATABASE jobs|audit|owners|numbers|canary|schema."""

import sqlite3
import sys

JOB = (
    "INSERT INTO jobs (kind, payload, dedupe_key, state, run_after, attempts, max_attempts, created) "
    "VALUES ('tidy', '{{}}', 'tidy {0}', '{0}', 1, 5, 5, 1);"
)
WAYS = {
    "jobs": JOB.format("dead") + JOB.format("waiting"),
    "audit": "DROP TRIGGER events_are_never_changed; UPDATE events SET actor = 'nobody' WHERE number = 2;",
    "owners": "UPDATE repos SET owner_id = 424242;",
    "numbers": "UPDATE repos SET owner_id = (SELECT MIN(id) FROM owners); UPDATE repos SET id = 5;",
    "canary": "DELETE FROM site_facts WHERE key = 'canary';",
    "schema": "DELETE FROM schema_migrations WHERE number = (SELECT MAX(number) FROM schema_migrations);",
}

database = sqlite3.connect(sys.argv[1])
database.executescript(WAYS[sys.argv[2]])
database.commit()

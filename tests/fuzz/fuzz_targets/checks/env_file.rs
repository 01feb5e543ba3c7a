//! What must hold of every `.env`: both readers end, a refusal names a line of the file, and a migration loses no value.
//! Run by the fuzzer, and over the committed corpus by the tests of the room.

use checks::{compose, env_migrate};

/// An older and a newer template, for the migration.
const TEMPLATES: [&str; 2] = ["# a\n#A=\n\n#B=1\n\n#C=\n", "# the a\n#A=\n\n#B=2\n\n#D=4\n"];

/// Panics when it does not hold for `bytes`.
pub(crate) fn holds(bytes: &[u8]) {
    let lines = bytes.split(|byte| *byte == b'\n').count();
    let reading = compose::read(bytes, &|_| None);
    if let Err(refusal) = &reading {
        assert!((1..=lines).contains(&refusal.line), "{refusal:?} of {lines} lines");
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = base::envfile::parse(text, std::path::Path::new(".env"));
    let Ok(before) = reading else { return };
    if let Ok(migration) = env_migrate::migrate(TEMPLATES[0], TEMPLATES[1], text, &|_| None) {
        let after = compose::read(migration.text.as_bytes(), &|_| None).unwrap();
        assert!(before.values.names().all(|name| before.values.get(name) == after.values.get(name)));
    }
}

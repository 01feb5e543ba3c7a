//! A site whose `.env` holds another encryption key than its data: refused by name, with nothing touched.

use std::collections::BTreeMap;
use std::path::Path;

use crate::site::{Site, out};

/// A Fernet key in form, and no site's own.
const OTHER: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

fn contents(folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            contents(&entry.path(), found);
        } else {
            let (name, content) = (entry.path().display().to_string(), std::fs::read(entry.path()).unwrap());
            // SQLite's index of its log holds no data, and neither does an empty log.
            if !(name.ends_with("-shm") || name.ends_with("-wal") && content.is_empty()) {
                found.insert(name, content);
            }
        }
    }
}

#[test]
fn another_encryption_key_is_refused_by_name_and_nothing_is_touched() {
    let site = Site::start_on_file();
    site.admin().make_repository("project", "private");
    site.stop();
    let settings = std::fs::read_to_string(site.dir().env()).unwrap();
    let line = settings.lines().find(|line| line.starts_with("GITGRIT_ENCRYPTION_KEY=")).unwrap();
    let changed = settings.replace(line, &format!("GITGRIT_ENCRYPTION_KEY={OTHER}"));
    base::file::write_atomic(&site.dir().env(), changed.as_bytes(), 0o600).unwrap();
    let mut before = BTreeMap::new();
    contents(&site.dir().root().join("data"), &mut before);

    let verbs = [
        &["serve"][..],
        &["smoketest", "--site"],
        &["admin", "audit", "verify"],
        &["admin", "user", "list"],
        &["admin", "user", "password", "olga"],
    ];
    for arguments in verbs {
        let done = site.program().options(arguments).run(b"").unwrap();
        let said = format!("{}{}", out(&done), done.stderr);
        assert_eq!(done.status.code(), Some(12), "{arguments:?}: {said}");
        assert!(said.contains("GITGRIT_ENCRYPTION_KEY"), "{said}");
        assert!(!said.contains(OTHER), "the key itself was printed");
        let mut after = BTreeMap::new();
        contents(&site.dir().root().join("data"), &mut after);
        assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>(), "{arguments:?}");
        assert!(after == before, "{arguments:?} changed data");
    }

    base::file::write_atomic(&site.dir().env(), settings.as_bytes(), 0o600).unwrap();
    let up = site.program().option("up").run(b"").unwrap();
    assert!(up.status.success(), "{}", up.stderr);
}

//! What must hold of every name that parses: it says the same again, and could not be taken for an option, a way up, or
//! more than one line. Run by the fuzzer, and over the committed corpus by the ordinary tests.

use base::name::{Oid, OwnerName, RefName, RepoName, RepoPath, TreePath, shown};

/// Panics when it does not hold for `bytes`.
pub(crate) fn holds(bytes: &[u8]) {
    if let Ok(path) = TreePath::parse(bytes) {
        assert_eq!(TreePath::parse(path.as_bytes()), Ok(path.clone()));
        assert!(path.parts().all(|part| !matches!(part, b"" | b"." | b"..") && !part.contains(&0)));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    assert!(!shown(text).contains(char::is_control));
    if let Ok(name) = OwnerName::parse(text) {
        plain(name.as_str());
        assert_eq!(OwnerName::parse(&name.key()), Ok(name));
    }
    if let Ok(name) = RepoName::parse(text) {
        plain(name.as_str());
        assert!(RepoName::parse(&format!("{name}.git")).is_err(), "{name}");
    }
    if let Ok(path) = RepoPath::parse_joined(text) {
        assert_eq!(RepoPath::parse_joined(&path.to_string()), Ok(path.clone()));
        assert_eq!(RepoPath::parse_joined(&format!("/{path}.git")), Ok(path));
    }
    if let Ok(name) = RefName::parse(text) {
        assert!(name.as_str().starts_with("refs/") && !name.short().starts_with('-'), "{name}");
        assert!(!name.as_str().contains("..") && !name.as_str().contains(char::is_control), "{name}");
        assert!(!name.as_str().split('/').any(|part| part.is_empty() || part.starts_with('-')), "{name}");
    }
    if let Ok(oid) = Oid::parse(text) {
        assert!(oid.as_str().bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}

fn plain(name: &str) {
    assert!(!name.starts_with(['-', '.']) && !name.contains("..") && !name.contains(['/', '\\', '\0', '\n']), "{name}");
}

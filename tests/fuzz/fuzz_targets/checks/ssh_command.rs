//! What must hold of every SSH command line: it is one of ours with a parsed path, or refused. Run by the fuzzer, and over
//! the committed corpus by the ordinary tests.

use serve::ssh_command::{Command, parse};

/// Panics when it does not hold for `bytes`.
pub(crate) fn holds(bytes: &[u8]) {
    let Ok(command) = parse(bytes) else { return };
    assert!(bytes.len() <= 1024);
    assert!(!bytes.iter().any(|byte| b";|&$`<>\"\\\n\0".contains(byte)), "{command:?}");
    let path = match command {
        Command::Git { path, .. } | Command::LfsPass { path, .. } => path,
    };
    assert!(base::name::RepoPath::parse_joined(&path.to_string()).is_ok());
}

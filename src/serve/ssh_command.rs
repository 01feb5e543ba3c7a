//! What an SSH client may ask to run: one of Git's three programs with one quoted path, or a pass for Git LFS; nothing
//! else. There is no shell behind this, and no text of the client goes anywhere but into a parsed [`RepoPath`].

use base::name::RepoPath;
use forge::LfsOperation;

use crate::service::Service;

/// A command that is understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A program of Git's, and with it the right that is asked for.
    Git {
        /// The program.
        service: Service,
        /// The repository.
        path: RepoPath,
    },
    /// `git-lfs-authenticate`.
    LfsPass {
        /// The repository.
        path: RepoPath,
        /// The direction.
        operation: LfsOperation,
    },
}

/// Why a command was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// Another program, or text that is no command.
    #[error("only git clone, git fetch, git push, git archive and Git LFS work here")]
    Program,
    /// No path that a repository could have. Answered as a missing repository.
    #[error("repository not found")]
    Path,
}

/// Reads an `exec` request: `git-upload-pack '/alice/notes.git'`, also as `git upload-pack …`, the path in single
/// quotes as Git sends it, or bare; and `git-lfs-authenticate /alice/notes.git download`. At most 1,024 bytes.
pub fn parse(bytes: &[u8]) -> Result<Command, CommandError> {
    let text = std::str::from_utf8(bytes).map_err(|_| CommandError::Program)?;
    if text.len() > 1024 {
        return Err(CommandError::Program);
    }
    let (program, arguments) = split(text).ok_or(CommandError::Program)?;
    if program == "git-lfs-authenticate" {
        let (quoted, word) = arguments.rsplit_once(' ').ok_or(CommandError::Program)?;
        let operation = LfsOperation::parse(word).ok_or(CommandError::Program)?;
        return Ok(Command::LfsPass { path: path(quoted)?, operation });
    }
    let service = Service::parse(&program).ok_or(CommandError::Program)?;
    Ok(Command::Git { service, path: path(arguments)? })
}

/// A path, in single quotes or bare.
fn path(argument: &str) -> Result<RepoPath, CommandError> {
    let path = match argument.strip_prefix('\'') {
        Some(quoted) => quoted.strip_suffix('\'').ok_or(CommandError::Path)?,
        None => argument,
    };
    RepoPath::parse_joined(path).map_err(|_| CommandError::Path)
}

/// The program's name and the rest; `git upload-pack` is an old spelling of `git-upload-pack`.
fn split(text: &str) -> Option<(String, &str)> {
    let (first, rest) = text.split_once(' ')?;
    if first != "git" {
        return Some((first.to_owned(), rest));
    }
    let (second, rest) = rest.split_once(' ')?;
    Some((format!("git-{second}"), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The class of CVE-2026-58423 (a malformed verb of Git LFS that opened what it should not) and of injected
    /// arguments in built-in SSH servers.
    #[test]
    fn what_git_does_not_send_is_refused() {
        for command in [
            "",
            "git-upload-pack",
            "git-upload-pack  'a/b'",
            "git-upload-archive",
            "git-upload-archive 'alice/notes' --remote=x",
            "git-shell -c 'x'",
            "sh -c 'git-upload-pack alice/notes'",
            "scp -t /tmp",
            "git-upload-pack --strict 'alice/notes'",
            "git-upload-pack 'alice/notes' '--upload-pack=x'",
            "git-upload-pack 'alice/notes'; id",
            "git-upload-pack '../../etc/passwd'",
            "git-upload-pack 'alice/../bob'",
            "git-upload-pack 'alice/notes",
            "git-upload-pack 'al'\\''ice/notes'",
            "git-upload-pack '-oProxyCommand=x/notes'",
            "git-receive-pack 'alice'",
            "git-receive-pack 'alice/notes/more'",
            "git-receive-pack '~alice/notes'",
            "GIT-upload-pack 'alice/notes'",
            "git-lfs-authenticate 'alice/notes'",
            "git-lfs-authenticate 'alice/notes' verify",
            "git-lfs-authenticate 'alice/notes' Upload",
            "git-lfs-authenticate 'alice/notes' download; id",
            "git-lfs-authenticate 'alice/notes' upload download",
            "git-lfs-authenticate '../../etc' upload",
            "git-lfs-authenticate upload",
            "git-lfs-transfer 'alice/notes' upload",
        ] {
            assert!(parse(command.as_bytes()).is_err(), "{command}");
        }
        assert_eq!(parse(b"git-upload-pack '\xff/x'"), Err(CommandError::Program));
        let long = format!("git-upload-pack 'alice/{}'", "n".repeat(2000));
        assert_eq!(parse(long.as_bytes()), Err(CommandError::Program));
    }

    #[test]
    fn what_git_sends_is_understood() {
        for (text, service) in [
            ("git-upload-pack 'alice/notes.git'", Service::UploadPack),
            ("git-upload-pack '/alice/notes.git'", Service::UploadPack),
            ("git-receive-pack '/alice/notes/'", Service::ReceivePack),
            ("git receive-pack 'alice/notes'", Service::ReceivePack),
            ("git-upload-pack alice/notes", Service::UploadPack),
            ("git-upload-archive 'alice/notes.git'", Service::UploadArchive),
        ] {
            let path = RepoPath::parse_joined("alice/notes").unwrap();
            assert_eq!(parse(text.as_bytes()), Ok(Command::Git { service, path }), "{text}");
        }
        for (text, operation) in [
            ("git-lfs-authenticate '/alice/notes.git' download", LfsOperation::Download),
            ("git-lfs-authenticate alice/notes.git upload", LfsOperation::Upload),
        ] {
            let path = RepoPath::parse_joined("alice/notes").unwrap();
            assert_eq!(parse(text.as_bytes()), Ok(Command::LfsPass { path, operation }), "{text}");
        }
    }
}

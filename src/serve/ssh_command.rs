//! What an SSH client may ask to run: `git-upload-pack` or `git-receive-pack` and one quoted path, nothing else.
//! There is no shell behind this, and no text of the client goes anywhere but into a parsed [`RepoPath`].

use base::name::RepoPath;

use crate::service::Service;

/// A command that is understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Command {
    /// The program, and with it the right that is asked for.
    pub(crate) service: Service,
    /// The repository.
    pub(crate) path: RepoPath,
}

/// Why a command was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CommandError {
    /// Another program, or text that is no command.
    #[error("only git clone, git fetch and git push work here")]
    Program,
    /// No path that a repository could have. Answered as a missing repository.
    #[error("repository not found")]
    Path,
}

/// Reads an `exec` request: `git-upload-pack '/alice/notes.git'`, also as `git upload-pack …`, the path in single
/// quotes as Git sends it, or bare. At most 1,024 bytes.
pub(crate) fn parse(bytes: &[u8]) -> Result<Command, CommandError> {
    let text = std::str::from_utf8(bytes).map_err(|_| CommandError::Program)?;
    if text.len() > 1024 {
        return Err(CommandError::Program);
    }
    let (program, argument) = split(text).ok_or(CommandError::Program)?;
    let service = Service::parse(&program).ok_or(CommandError::Program)?;
    let path = match argument.strip_prefix('\'') {
        Some(quoted) => quoted.strip_suffix('\'').ok_or(CommandError::Path)?,
        None => argument,
    };
    let path = RepoPath::parse_joined(path).map_err(|_| CommandError::Path)?;
    Ok(Command { service, path })
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

    #[test]
    fn what_git_does_not_send_is_refused() {
        for command in [
            "",
            "git-upload-pack",
            "git-upload-pack  'a/b'",
            "git-upload-archive 'alice/notes'",
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
            "git-lfs-authenticate 'alice/notes' upload",
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
        ] {
            let command = parse(text.as_bytes()).unwrap();
            assert_eq!((command.service, command.path.to_string().as_str()), (service, "alice/notes"), "{text}");
        }
    }
}

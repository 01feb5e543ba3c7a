//! What `doctor --fix` may do: nothing that loses data, nothing that a person should decide, and nothing that a second run would
//! do again. Planned here, and printed before it is done.

use std::fmt;
use std::path::PathBuf;

use super::{Live, files, server};

/// One thing to mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mend {
    /// Takes a secret file back from everybody but its owner.
    Mode {
        /// The file or directory.
        path: PathBuf,
        /// The mode that it gets.
        mode: u32,
        /// The user that it belongs to, as the site's data does.
        owner: u32,
    },
    /// Empties the note of a server that was killed.
    Note {
        /// The lock file.
        path: PathBuf,
    },
    /// Removes what killed processes left among the repositories, as a start of the server does.
    Sweep {
        /// What lies about now.
        paths: Vec<PathBuf>,
    },
}

impl fmt::Display for Mend {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mode { path, mode, .. } => write!(out, "set the mode of {} to {mode:04o}", path.display()),
            Self::Note { path } => write!(out, "empty {}, which a killed server left", path.display()),
            Self::Sweep { paths } => {
                write!(out, "remove what killed processes left:")?;
                paths.iter().try_for_each(|path| write!(out, "\n  {}", path.display()))
            }
        }
    }
}

/// What may be mended on this site, in the order in which it is done.
pub fn plan(live: &Live) -> Vec<Mend> {
    // What belongs to another than the data is left to him: taken from the group, it could be lost to the site's own user.
    let own = files::owner(live);
    let open = files::open_secrets(live).into_iter().filter(|secret| Some(secret.owner) == own);
    let modes = open.map(|secret| Mend::Mode { path: secret.path, mode: secret.wanted, owner: secret.owner });
    let note = server::is_stale(live).then(|| Mend::Note { path: live.site.serve_lock() });
    let left = live.left.as_ref().ok().filter(|left| !left.is_empty());
    let sweep = left.map(|paths| Mend::Sweep { paths: paths.clone() });
    modes.chain(note).chain(sweep).collect()
}

//! A revision's files as one download. Whoever may read the repository may have them; never holds a whole archive.

use std::time::Duration;

use bytes::Bytes;

use crate::{Error, Forge, RepoRead, Revision};

/// Time to wait for a place among the archives on their way.
const PATIENCE: Duration = Duration::from_secs(10);

/// How an archive is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveFormat {
    /// `.tar.gz`
    TarGz,
    /// `.zip`
    Zip,
}

impl ArchiveFormat {
    /// What stands behind the dot of a file's name.
    pub const fn ending(self) -> &'static str {
        match self {
            Self::TarGz => "tar.gz",
            Self::Zip => "zip",
        }
    }
}

/// An archive on its way to a reader; it ends when this is dropped.
pub struct Archive {
    /// The file's name, of letters, digits, `-`, `_` and `.` alone.
    pub name: String,
    /// How it is packed.
    pub format: ArchiveFormat,
    first: Option<Bytes>,
    rest: git::Archive,
}

impl Archive {
    /// The next bytes; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        match self.first.take() {
            Some(first) => Ok(Some(first)),
            None => Ok(self.rest.next().await?),
        }
    }
}

impl Forge {
    /// The files of `<revision>.tar.gz` or `<revision>.zip`. `NotFound` for another ending; `Busy` when too many
    /// archives are on their way.
    pub async fn archive(&self, repo: &RepoRead, rest: &[u8]) -> Result<Archive, Error> {
        let rest = std::str::from_utf8(rest).map_err(|_| Error::NotFound)?;
        let split = |format: ArchiveFormat| Some((rest.strip_suffix(format.ending())?.strip_suffix('.')?, format));
        let found = split(ArchiveFormat::TarGz).or_else(|| split(ArchiveFormat::Zip));
        let (revision, format) = found.ok_or(Error::NotFound)?;
        let revision = self.revision(repo, revision).await?;
        let name = name(repo, &revision);
        let handle = self.handle(repo)?;
        let begun = async {
            let mut rest = handle.archive(&revision.commit, format.into(), &name).await?;
            // A failure before the first bytes is an error and no cut download.
            let first = rest.next().await?;
            Ok::<_, git::Error>((first, rest))
        };
        let (first, rest) = tokio::time::timeout(PATIENCE, begun).await.map_err(|_| Error::Busy)??;
        self.tell_fetched(repo, "archive");
        Ok(Archive { name: format!("{name}.{}", format.ending()), format, first, rest })
    }
}

/// `notes-v1.2`, or `notes-0123456789ab`.
fn name(repo: &RepoRead, revision: &Revision) -> String {
    let revision = revision.reference.as_ref().map_or(revision.commit.short(), |reference| reference.short());
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let revision: String = revision.chars().map(|c| if is_name(c) { c } else { '-' }).collect();
    format!("{}-{revision}", repo.summary.path.name)
}

impl From<ArchiveFormat> for git::ArchiveFormat {
    fn from(format: ArchiveFormat) -> Self {
        match format {
            ArchiveFormat::TarGz => Self::TarGz,
            ArchiveFormat::Zip => Self::Zip,
        }
    }
}

//! A commit's files as one archive, written by `git archive` as fast as its reader takes it. Never held in memory or on
//! disk; Git is killed when the reader leaves.

use std::sync::Arc;
use std::time::Duration;

use base::name::Oid;
use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::process::ChildStdout;
use tokio::sync::OwnedSemaphorePermit;

use crate::child::{Progress, Running, complaints, one_line};
use crate::{Error, Repo, environment};

/// Bytes that are taken from Git at a time.
const PIECE: usize = 64 << 10;
/// Time that Git may take for the next piece.
const PATIENCE: Duration = Duration::from_mins(1);

/// How an archive is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveFormat {
    /// A gzipped tar archive.
    TarGz,
    /// A zip archive.
    Zip,
}

/// An archive on its way. Git ends when this is dropped.
pub struct Archive {
    running: Running,
    stdout: Option<ChildStdout>,
    _place: OwnedSemaphorePermit,
}

impl Repo {
    /// The files of a commit below the directory `prefix`. Waits for a free place when too many archives are on their
    /// way. Characters of `prefix` that are none of names (letters, digits, `-`, `_`, `.`) become `-`.
    pub async fn archive(&self, commit: &Oid, format: ArchiveFormat, prefix: &str) -> Result<Archive, Error> {
        let place = Arc::clone(&self.gates().archives).acquire_owned().await.map_err(|_| Error::Cancelled)?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let prefix: String = prefix.chars().map(|c| if is_name(c) { c } else { '-' }).collect();
        let format = match format {
            ArchiveFormat::TarGz => "tar.gz",
            ArchiveFormat::Zip => "zip",
        };
        let program = environment::in_repository("archive", self.path())
            .option(format!("--format={format}"))
            .option(format!("--prefix={prefix}/"))
            .operands([commit.as_str()]);
        let mut running = Running::start(program)?;
        running.stdin = None;
        Ok(Archive { stdout: running.stdout.take(), running, _place: place })
    }
}

impl Archive {
    /// The next piece, at most 64 KiB; `None` at the end. Fails when Git does, and with `Stalled` when it gives nothing
    /// for a minute.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let Some(stdout) = &mut self.stdout else { return Ok(None) };
        let mut piece = BytesMut::with_capacity(PIECE);
        let read = tokio::time::timeout(PATIENCE, stdout.read_buf(&mut piece)).await;
        let stalled = |_| Error::Stalled { command: "archive", seconds: PATIENCE.as_secs() };
        if read.map_err(stalled)?.map_err(Error::Transfer)? > 0 {
            return Ok(Some(piece.freeze()));
        }
        self.stdout = None;
        let said = complaints(self.running.stderr.take(), &Progress::default()).await;
        if self.running.wait().await?.success() {
            Ok(None)
        } else {
            Err(Error::Git { command: "archive", message: one_line(&said) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Site;

    #[test]
    fn an_archive_holds_the_files_below_its_prefix() {
        let site = Site::start();
        let tree = site.work_tree("w");
        let tip = Oid::parse(&tree.commit("--a file", b"content")).unwrap();
        tree.git(&["push", "--quiet", "origin", "main"]);
        let whole = |format, commit: Oid| {
            site.block_on(async {
                let mut archive = site.repo.archive(&commit, format, "notes-../x").await?;
                let mut bytes = Vec::new();
                while let Some(piece) = archive.next().await? {
                    bytes.extend_from_slice(&piece);
                }
                Ok::<_, Error>(bytes)
            })
        };
        let zip = whole(ArchiveFormat::Zip, tip.clone()).unwrap();
        assert!(zip.starts_with(b"PK") && zip.windows(19).any(|part| part == b"notes-..-x/--a file"));
        assert!(whole(ArchiveFormat::TarGz, tip).unwrap().starts_with(&[0x1f, 0x8b]));
        let absent = Oid::parse(&"1".repeat(40)).unwrap();
        assert!(matches!(whole(ArchiveFormat::Zip, absent), Err(Error::Git { .. })));
    }

    #[test]
    fn a_reader_that_leaves_gives_its_place_back() {
        let site = Site::start();
        let tree = site.work_tree("w");
        let tip = Oid::parse(&tree.commit("a", &vec![7; 300_000])).unwrap();
        tree.git(&["push", "--quiet", "origin", "main"]);
        let places = site.repo.gates().archives.available_permits();
        site.block_on(async {
            let mut archive = site.repo.archive(&tip, ArchiveFormat::Zip, "x").await.unwrap();
            assert!(archive.next().await.unwrap().is_some());
            assert_eq!(site.repo.gates().archives.available_permits(), places - 1);
        });
        assert_eq!(site.repo.gates().archives.available_permits(), places);
    }
}

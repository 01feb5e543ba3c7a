//! What a `git` prints, handed on as fast as its reader takes it. Never more than a piece in memory; Git is killed when
//! the reader leaves, or when it has printed more than the caller lets through.

use std::sync::Arc;
use std::time::Duration;

use base::name::Oid;
use base::process::Program;
use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::process::ChildStdout;
use tokio::sync::OwnedSemaphorePermit;

use crate::child::{Progress, Running, complaints, one_line};
use crate::{Error, Repo, environment};

/// Bytes that are taken from Git at a time.
const PIECE: usize = 64 << 10;
/// Time that Git may take for the next piece.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes on their way. Git ends when this is dropped.
pub struct Piped {
    running: Running,
    stdout: Option<ChildStdout>,
    command: &'static str,
    left: u64,
    _place: OwnedSemaphorePermit,
}

impl Repo {
    /// The bytes of a blob of any size.
    pub async fn blob_pieces(&self, id: &Oid) -> Result<Piped, Error> {
        let program = environment::in_repository("cat-file", self.path()).options(["blob", id.as_str()]);
        self.piped("cat-file", program, u64::MAX).await
    }

    /// A commit, or the commits behind `base` that `head` has, as mails that `git am` takes. Merges are left out.
    pub async fn patch_pieces(&self, base: Option<&Oid>, head: &Oid, limit: u64) -> Result<Piped, Error> {
        let range = base.map_or_else(|| head.to_string(), |base| format!("{base}..{head}"));
        let program = environment::in_repository("format-patch", self.path()).options([
            "--stdout",
            "--no-signature",
            "--no-ext-diff",
            "--no-textconv",
            "--find-renames",
        ]);
        let program = if base.is_none() { program.option("--max-count=1") } else { program };
        self.piped("format-patch", program.option("--end-of-options").option(range), limit).await
    }

    /// What differs between two commits, or what one changed against its first parent, as `git diff` prints it.
    pub async fn diff_pieces(&self, base: Option<&Oid>, head: &Oid, limit: u64) -> Result<Piped, Error> {
        let program = environment::in_repository("diff-tree", self.path()).options([
            "--patch",
            "-r",
            "--find-renames",
            "--no-ext-diff",
            "--no-textconv",
            "--no-commit-id",
        ]);
        let program = match base {
            Some(base) => program.options([base.as_str(), head.as_str()]),
            None => program.options(["--root", "--diff-merges=first-parent", head.as_str()]),
        };
        self.piped("diff-tree", program, limit).await
    }

    async fn piped(&self, command: &'static str, program: Program, limit: u64) -> Result<Piped, Error> {
        let place = Arc::clone(&self.gates().streams).acquire_owned().await.map_err(|_| Error::Cancelled)?;
        let mut running = Running::start(program)?;
        running.stdin = None;
        Ok(Piped { stdout: running.stdout.take(), running, command, left: limit, _place: place })
    }
}

impl Piped {
    /// The next piece, at most 64 KiB; `None` at the end. Fails when Git does, with `Stalled` when it gives nothing for
    /// half a minute, and when there is more than was asked for: what would be cut is not to be taken for whole.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let Some(stdout) = &mut self.stdout else { return Ok(None) };
        let mut piece = BytesMut::with_capacity(PIECE);
        let read = tokio::time::timeout(PATIENCE, stdout.read_buf(&mut piece)).await;
        let stalled = |_| Error::Stalled { command: self.command, seconds: PATIENCE.as_secs() };
        let count = read.map_err(stalled)?.map_err(Error::Transfer)?;
        if count > 0 {
            let too_much = || Error::Git { command: self.command, message: "printed more than is sent".into() };
            self.left = self.left.checked_sub(count as u64).ok_or_else(too_much)?;
            return Ok(Some(piece.freeze()));
        }
        self.stdout = None;
        let said = complaints(self.running.stderr.take(), &Progress::default()).await;
        if self.running.wait().await?.success() {
            Ok(None)
        } else {
            Err(Error::Git { command: self.command, message: one_line(&said) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Site;

    async fn whole(mut piped: Piped) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        while let Some(piece) = piped.next().await? {
            assert!(piece.len() <= PIECE);
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    #[test]
    fn blobs_patches_and_diffs_are_gits_own() {
        let site = Site::start();
        let tree = site.work_tree("w");
        let content = vec![b'x'; 300_000];
        let first = Oid::parse(&tree.commit("--a", &content)).unwrap();
        let second = Oid::parse(&tree.commit("b", b"1\n")).unwrap();
        tree.git(&["push", "--quiet", "origin", "main"]);
        let blob = Oid::parse(&tree.git(&["rev-parse", "HEAD:--a"])).unwrap();
        site.block_on(async {
            let repo = &site.repo;
            assert_eq!(whole(repo.blob_pieces(&blob).await.unwrap()).await.unwrap(), content);
            let one = whole(repo.patch_pieces(None, &second, 10_000).await.unwrap()).await.unwrap();
            let range = whole(repo.patch_pieces(Some(&first), &second, 10_000).await.unwrap()).await.unwrap();
            assert!(one.starts_with(format!("From {second} ").as_bytes()));
            assert_eq!(one, range);
            let root = whole(repo.diff_pieces(None, &first, 1 << 20).await.unwrap()).await.unwrap();
            assert!(root.starts_with(b"diff --git a/--a b/--a\nnew file mode 100644\n"));
            let both = whole(repo.diff_pieces(Some(&first), &second, 10_000).await.unwrap()).await.unwrap();
            assert!(both.ends_with(b"+1\n") && both.starts_with(b"diff --git a/b b/b\n"));
            let cut = whole(repo.diff_pieces(None, &first, 1_000).await.unwrap()).await;
            assert!(matches!(cut, Err(Error::Git { .. })));
            let absent = Oid::parse(&"1".repeat(40)).unwrap();
            assert!(whole(repo.blob_pieces(&absent).await.unwrap()).await.is_err());
        });
    }
}

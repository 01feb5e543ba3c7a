//! Large files beside Git (Git LFS): who may have which object of a repository, and how it comes in. An object is a
//! repository's because it was uploaded there; that another one has the same bytes gives nobody anything.

use std::fmt;
use std::io;

use base::name::RepoPath;
use store::lfs::{self, NewLfsObject};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;

use crate::lfs_pass::LfsCaller;
use crate::lfs_shelf::{Difference, Incoming};
use crate::site::on_thread;
use crate::{Error, Forge, RepoRead, RepoWrite};

/// The largest object, in bytes: 64 GiB.
pub const LFS_OBJECT_LIMIT: u64 = 64 << 30;

/// Bytes of an upload that are taken at a time.
const PIECE: usize = 256 << 10;
/// Pieces that wait for the disk.
const WAITING: usize = 4;
/// Content that is removed at a time.
const REMOVED: i64 = 500;

/// The SHA-256 of an object's content. Parsed strictly: what it becomes part of is a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LfsOid([u8; 32]);

impl LfsOid {
    /// Reads 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 64 {
            return None;
        }
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let mut bytes = [0_u8; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let &[high, low] = pair else { return None };
            *byte = digit(high)? << 4 | digit(low)?;
        }
        Some(Self(bytes))
    }

    pub(crate) const fn bytes(&self) -> [u8; 32] {
        self.0
    }
}

impl From<[u8; 32]> for LfsOid {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for LfsOid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

/// An object as a client names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LfsPointer {
    /// Its SHA-256.
    pub oid: LfsOid,
    /// Its size, in bytes.
    pub size: u64,
}

impl LfsPointer {
    /// Reads the small text that stands in a repository for a large file, the file format of Git LFS, version 1.
    pub fn parse(content: &[u8]) -> Option<Self> {
        if content.len() > 1024 {
            return None;
        }
        let mut lines = std::str::from_utf8(content).ok()?.lines();
        if lines.next()? != "version https://git-lfs.github.com/spec/v1" {
            return None;
        }
        let (mut oid, mut size) = (None, None);
        for line in lines {
            match line.split_once(' ')? {
                ("oid", value) => oid = LfsOid::parse(value.strip_prefix("sha256:")?),
                ("size", value) => size = value.parse().ok(),
                _ => {}
            }
        }
        Some(Self { oid: oid?, size: size? })
    }
}

/// What a repository knows of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LfsState {
    /// It has it.
    Present,
    /// It has it, with another size than was said.
    OtherSize,
    /// It does not have it.
    Absent,
}

/// An object's content on its way to a reader.
pub struct LfsObject {
    /// Its size, in bytes.
    pub size: u64,
    file: tokio::fs::File,
}

impl LfsObject {
    /// Its first bytes, at most `limit` of them.
    pub async fn beginning(&mut self, limit: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        (&mut self.file).take(limit).read_to_end(&mut bytes).await.map_err(Error::Transfer)?;
        Ok(bytes)
    }

    /// `length` bytes from `start` on.
    pub async fn part(mut self, start: u64, length: u64) -> Result<impl AsyncRead + Send + Unpin + 'static, Error> {
        use tokio::io::AsyncSeekExt;
        self.file.seek(io::SeekFrom::Start(start)).await.map_err(Error::Transfer)?;
        Ok(self.file.take(length))
    }
}

impl Forge {
    /// Permission to read large files of `path`. `NotFound` for hidden and absent alike; an anonymous actor gets
    /// `SignInNeeded` in both of these cases, so that the client asks for credentials.
    pub async fn lfs_read(&self, caller: &LfsCaller, path: &RepoPath) -> Result<RepoRead, Error> {
        match self.repo(&caller.actor, path).await {
            Ok(repo) if caller.is_for(repo.id) => Ok(repo),
            Ok(_) => Err(Error::NotFound),
            Err(Error::NotFound) if caller.actor.is_anonymous() => Err(Error::SignInNeeded),
            Err(error) => Err(error),
        }
    }

    /// Permission to change large files and locks of `path`: as [`Forge::lfs_read`], and `Denied` for who may only read.
    pub async fn lfs_write(&self, caller: &LfsCaller, path: &RepoPath) -> Result<RepoWrite, Error> {
        if caller.actor.is_anonymous() {
            return Err(Error::SignInNeeded);
        }
        let repo = self.lfs_read(caller, path).await?;
        if !caller.may_upload() {
            return Err(Error::Denied { action: format!("push to {path} with permission to fetch") });
        }
        repo.for_write()
    }

    /// What the repository knows of an object.
    pub async fn lfs_state(&self, repo: &RepoRead, object: &LfsPointer) -> Result<LfsState, Error> {
        let size = lfs::size(&self.0.store.read(), repo.id, &object.oid.to_string()).await?;
        Ok(match size.map(u64::try_from) {
            Some(Ok(size)) if size == object.size => LfsState::Present,
            Some(_) => LfsState::OtherSize,
            None => LfsState::Absent,
        })
    }

    /// Notes that somebody is about to read large files of a repository that not everyone may read; once an hour for
    /// each reader and repository, as a checkout reads thousands.
    pub fn tell_lfs_read(&self, repo: &RepoRead) {
        self.tell_read(repo, "lfs");
    }

    /// An object's content. `NotFound` unless this repository has it.
    pub async fn lfs_object(&self, repo: &RepoRead, oid: &LfsOid) -> Result<LfsObject, Error> {
        if lfs::size(&self.0.store.read(), repo.id, &oid.to_string()).await?.is_none() {
            return Err(Error::NotFound);
        }
        self.tell_lfs_read(repo);
        let (forge, oid) = (self.clone(), *oid);
        let found = on_thread(move || forge.0.shelf.get(&oid)).await.map_err(Error::File)?;
        // A row without its content is a damaged site, and that is for its operator to hear.
        let (file, size) = found.ok_or_else(|| {
            let source = io::Error::new(io::ErrorKind::NotFound, format!("the content of {oid} is lost"));
            Error::File(base::file::FileError::Read { path: format!("lfs/{oid}").into(), source })
        })?;
        Ok(LfsObject { size, file: tokio::fs::File::from_std(file) })
    }

    /// Takes an object in: hashed while it comes, believed only when size and digest are those that were announced, and
    /// then never changed. Fails with `Field` when it is another or there is no room for it, as [`Forge::lfs_write`] does
    /// when the right ended on the way; then nothing is kept.
    pub async fn lfs_take_in(
        &self,
        caller: &LfsCaller,
        repo: &RepoWrite,
        announced: LfsPointer,
        input: impl AsyncRead + Send + Unpin,
    ) -> Result<(), Error> {
        let actor_id = repo.0.who()?.id;
        admit(announced.size)?;
        let room = self.room_for(repo, &announced).await?;
        let repo = &repo.0;
        let forge = self.clone();
        let incoming = on_thread(move || forge.0.shelf.begin()).await.map_err(Error::File)?;
        let incoming = receive(incoming, announced.size, input).await?;
        let whole = on_thread(move || incoming.finish(&announced)).await.map_err(Error::File)?;
        let whole = whole.map_err(|difference| Error::Field {
            field: "object",
            problem: match difference {
                Difference::Size => "is not as large as was announced".into(),
                Difference::Digest => "is not the one that was announced: its SHA-256 differs".into(),
            },
        })?;
        // An upload may take an hour, and rights end sooner.
        let now = self.still_holds(&caller.actor).await?.ok_or(Error::SignInRefused)?;
        if self.lfs_write(&caller.as_of_now(now), &repo.summary.path).await?.0.id != repo.id {
            return Err(Error::SignInRefused);
        }
        let oid = announced.oid.to_string();
        let tx = self.0.store.begin().await?;
        lfs::loosen(&tx, &oid).await?;
        tx.commit().await?;
        base::fault::point("forge:lfs:loose");
        let tx = self.0.store.begin().await?;
        let forge = self.clone();
        on_thread(move || forge.0.shelf.put(whole)).await.map_err(Error::File)?;
        base::fault::point("forge:lfs:shelved");
        let size = i64::try_from(announced.size).unwrap_or(i64::MAX);
        let new = NewLfsObject { repo_id: repo.id, oid: &oid, size, actor_id, created: self.now() };
        let is_new = lfs::insert(&tx, &new).await?;
        tx.commit().await?;
        if is_new {
            room.keep();
        }
        Ok(())
    }

    /// Room for an object that the repository does not have yet.
    async fn room_for(&self, repo: &RepoWrite, object: &LfsPointer) -> Result<Room, Error> {
        let is_there = lfs::size(&self.0.store.read(), repo.0.id, &object.oid.to_string()).await?.is_some();
        let bytes = if is_there { 0 } else { object.size };
        if bytes > 0 {
            let taken = self.take_lfs_room(repo, bytes).await?;
            taken.map_err(|why| Error::Field { field: "object", problem: format!("is {why}") })?;
        }
        Ok(Room { forge: self.clone(), repo_id: repo.0.id, bytes })
    }

    /// Removes what is left of removed repositories, in nobody's way; a fault is logged, and the next start tries again.
    pub(crate) fn sweep_lfs_aside(&self) {
        let forge = self.clone();
        self.spawn(async move {
            if let Err(error) = forge.sweep_lfs().await {
                tracing::error!(error = &error as &dyn std::error::Error, "large files were not removed");
            }
        });
    }

    /// Removes content that no repository has any more. Each piece goes in a transaction of its own, in which nobody can
    /// store it; what a crash leaves undone is found again.
    pub(crate) async fn sweep_lfs(&self) -> Result<(), Error> {
        loop {
            let loose = lfs::loose(&self.0.store.read(), REMOVED).await?;
            if loose.is_empty() {
                return Ok(());
            }
            for oid in loose {
                let tx = self.0.store.begin().await?;
                if !lfs::is_held(&tx, &oid).await?
                    && let Some(parsed) = LfsOid::parse(&oid)
                {
                    let forge = self.clone();
                    on_thread(move || forge.0.shelf.remove(&parsed)).await.map_err(Error::File)?;
                }
                lfs::settle(&tx, &oid).await?;
                tx.commit().await?;
            }
        }
    }
}

/// Room that was taken for an upload; given back when dropped, also when the client went away. What a crash leaves taken
/// is counted anew when the forge opens.
struct Room {
    forge: Forge,
    repo_id: i64,
    bytes: u64,
}

impl Room {
    fn keep(mut self) {
        self.bytes = 0;
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let (forge, repo_id, bytes) = (self.forge.clone(), self.repo_id, self.bytes);
        self.forge.spawn(async move {
            if let Err(error) = forge.give_back_room(repo_id, bytes).await {
                tracing::error!(repo.id = repo_id, error = &error as &dyn std::error::Error, "room was not given back");
            }
        });
    }
}

/// The one place where the size of a large file is judged before it comes in.
fn admit(size: u64) -> Result<(), Error> {
    if size > LFS_OBJECT_LIMIT {
        return Err(Error::Field {
            field: "object",
            problem: format!("is larger than {} GiB", LFS_OBJECT_LIMIT >> 30),
        });
    }
    Ok(())
}

/// Reads the input to its end, or to the first byte too many; writing and hashing have a thread of their own.
async fn receive(incoming: Incoming, size: u64, input: impl AsyncRead + Send + Unpin) -> Result<Incoming, Error> {
    let (sender, mut pieces) = mpsc::channel::<Vec<u8>>(WAITING);
    let writer = tokio::task::spawn_blocking(move || {
        let mut incoming = incoming;
        while let Some(piece) = pieces.blocking_recv() {
            incoming.write(&piece)?;
        }
        Ok::<_, base::file::FileError>(incoming)
    });
    let mut input = input.take(size.saturating_add(1));
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        let count = (&mut input).take(PIECE as u64).read_to_end(&mut piece).await.map_err(Error::Transfer)?;
        // When the writer is gone, it says why.
        if count == 0 || sender.send(piece).await.is_err() {
            break;
        }
    }
    drop(sender);
    writer.await.map_err(|error| Error::Git(Box::new(error)))?.map_err(Error::File)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_is_one_as_clients_write_it() {
        let oid = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 3\n");
        let parsed = LfsPointer::parse(pointer.as_bytes()).unwrap();
        assert_eq!((parsed.oid.to_string().as_str(), parsed.size), (oid, 3));
        for other in [
            pointer.replace("v1", "v2"),
            pointer.replace("sha256:", "md5:"),
            pointer.replace("size 3", "size -3"),
            pointer.replace("sha256:b", "sha256:/"),
            format!("{pointer}{}", "x ".repeat(600)),
            String::new(),
        ] {
            assert_eq!(LfsPointer::parse(other.as_bytes()), None, "{other}");
        }
    }

    /// The class of CVE-2024-41956 and CVE-2025-58158: an object id that became a path or an argument.
    #[test]
    fn an_object_id_is_64_hexadecimal_digits_and_nothing_else() {
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(LfsOid::parse(hex).unwrap().to_string(), hex);
        let traversal = format!("../../../../{}", &hex[12..]);
        for refused in [
            "",
            &hex[1..],
            &hex.to_uppercase(),
            &format!("{hex}0"),
            &format!("{}\n", &hex[1..]),
            &format!("{}/", &hex[1..]),
            &traversal,
            &format!("-{}", &hex[1..]),
            &"é".repeat(32),
        ] {
            assert!(LfsOid::parse(refused).is_none(), "{refused}");
        }
        assert_eq!(traversal.len(), 64);
    }
}

//! The pack of a repository that is in one piece, sent as it lies on disk: when what is asked for leads to as many objects as
//! the only pack holds, the pack is the answer, and nothing needs to be packed or hashed. Never sends an object that was
//! not asked for.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use gix::ObjectId;
use tokio::sync::mpsc;

use crate::child::{finish, one_line};
use crate::everything::{lines_of, packet_of};
use crate::pktline::BAND_PAYLOAD;
use crate::{Error, Repo, environment, gates};

/// Time that Git may take to count.
const COUNTING: Duration = Duration::from_secs(10);
/// The smallest pack for which it is worth to ask.
const SMALLEST: u64 = 1 << 20;
/// Packets between disk and client.
const AHEAD: usize = 2;

/// The only pack of a repository, open: it may be replaced on disk while it is sent.
pub(crate) struct OnlyPack {
    file: File,
    path: PathBuf,
    objects: u64,
    /// Its bytes.
    pub(crate) length: u64,
}

impl OnlyPack {
    /// The pack, if it is the answer to whoever wants all that these ids lead to.
    pub(crate) async fn answering(repo: &Repo, wants: &[ObjectId]) -> Result<Option<Self>, Error> {
        let objects = repo.path().join("objects");
        let look = move || Self::of(&objects);
        let Some(pack) = blocking(look).await? else { return Ok(None) };
        if count(repo, wants).await? != Some(pack.objects) {
            return Ok(None);
        }
        // Had another pack come meanwhile, what was counted would not be what was opened.
        let (objects, path) = (repo.path().join("objects"), pack.path.clone());
        let again = blocking(move || Self::of(&objects)).await?;
        Ok(again.filter(|again| again.path == path).map(|_| pack))
    }

    fn of(objects: &Path) -> io::Result<Option<Self>> {
        let Some(path) = only_pack(objects)? else { return Ok(None) };
        let mut file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let mut head = [0; 12];
        let length = file.metadata()?.len();
        if length < SMALLEST || file.read_exact(&mut head).is_err() {
            return Ok(None);
        }
        // gitformat-pack(5): the word, version 2, how many objects.
        let [b'P', b'A', b'C', b'K', 0, 0, 0, 2, count @ ..] = head else { return Ok(None) };
        Ok(Some(Self { file, path, objects: u32::from_be_bytes(count).into(), length }))
    }

    /// Reads it from a thread of its own: ready packets of the first band, or why there are no more.
    pub(crate) fn packets(mut self) -> mpsc::Receiver<io::Result<Bytes>> {
        let (sender, receiver) = mpsc::channel(AHEAD);
        tokio::task::spawn_blocking(move || {
            let begun = self.file.rewind();
            let mut payload = vec![0; BAND_PAYLOAD];
            let mut next = || -> io::Result<Option<Bytes>> {
                let count = self.file.read(&mut payload)?;
                let packet = packet_of(payload.get(..count).unwrap_or_default());
                Ok((count > 0).then(|| packet.into()))
            };
            if let Err(error) = begun {
                let _ = sender.blocking_send(Err(error));
                return;
            }
            while let Some(packet) = next().transpose() {
                let is_last = packet.is_err();
                // A client that left ends it.
                if sender.blocking_send(packet).is_err() || is_last {
                    return;
                }
            }
        });
        receiver
    }
}

/// The pack, where there is one pack with its index and no object outside of it.
fn only_pack(objects: &Path) -> io::Result<Option<PathBuf>> {
    for entry in std::fs::read_dir(objects)? {
        let name = entry?.file_name();
        // Loose objects lie in directories of two digits, borrowed ones are named in `info/alternates`.
        if !matches!(name.to_str(), Some("info" | "pack")) {
            return Ok(None);
        }
    }
    if objects.join("info/alternates").exists() {
        return Ok(None);
    }
    let (mut packs, mut has_bitmap) = (Vec::new(), false);
    for entry in std::fs::read_dir(objects.join("pack"))? {
        let path = entry?.path();
        match path.extension().and_then(OsStr::to_str) {
            Some("pack") => packs.push(path),
            Some("bitmap") => has_bitmap = true,
            _ => {}
        }
    }
    // Without a bitmap, counting would be a walk.
    let [pack] = packs.as_slice() else { return Ok(None) };
    Ok((has_bitmap && pack.with_extension("idx").exists()).then(|| pack.clone()))
}

/// How many objects the ids lead to, themselves included; `None` when Git does not know it at once.
async fn count(repo: &Repo, wants: &[ObjectId]) -> Result<Option<u64>, Error> {
    let program = environment::in_repository("rev-list", repo.path()).options([
        "--objects",
        "--count",
        "--use-bitmap-index",
        "--stdin",
    ]);
    let _place = gates::enter(&repo.gates().spawned).await?;
    let said = match finish(program, "rev-list", &lines_of(wants), COUNTING).await {
        Err(Error::Stalled { .. }) => return Ok(None),
        said => said?,
    };
    if !said.status.success() {
        return Err(Error::Git { command: "rev-list", message: one_line(&said.stderr) });
    }
    Ok(said.stdout.trim().parse().ok())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await.map_err(|_| Error::Cancelled)?;
    done.map_err(Error::Transfer)
}

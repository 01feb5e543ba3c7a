//! New objects before anybody believed them: in a directory of their own inside the repository's objects, where git's
//! own `prune` would clean it too. Nothing here moves a ref, and nothing outside sees these objects before
//! [`Quarantine::migrate`].

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base::file::Lock;
use base::name::Oid;
use base::process::Program;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::admission::{Cap, Limits};
use super::{RefUpdate, Reply, Request};
use crate::child::{Broken, IDLE, Progress, Running, complaints, copy, discard, finish};
use crate::gates::{blocking, enter};
use crate::repositories::{failed, sync_directory};
use crate::{Error, Repo, environment};

/// Prefix of every quarantine; git-prune(1) removes what begins so.
pub(crate) const INCOMING: &str = "tmp_objdir-incoming-";

/// How often a waiting pusher hears that we live.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Time for one check over all new objects.
const CHECK: Duration = Duration::from_hours(2);
/// What a refused pusher may still send, in bytes, before the refusal goes out.
const DRAINED: u64 = 1 << 30;
/// How long a refused pusher may be silent before it is taken to have sent everything, and how long it may send.
const DRAINED_WAIT: Duration = Duration::from_secs(1);
const DRAINED_IN: Duration = Duration::from_mins(5);
/// What index-pack says of a pack that is larger than it may be.
const TOO_LARGE: &str = "exceeds maximum allowed size";
/// Updates that are looked at one by one when the check over all of them fails.
const SINGLE_CHECKS: usize = 50;

/// fsck findings that old and honest histories are full of; everything else is refused.
const STRICT: &str = "--strict=badtimezone=ignore,missingspacebeforedate=ignore,zeropaddedfilemode=ignore";

/// New objects, not yet part of the repository. Dropped without [`Quarantine::migrate`], they are gone.
#[derive(Debug)]
pub struct Quarantine {
    repo: Repo,
    objects: u64,
    bytes: u64,
    // Held as long as the directory: a sweep removes only what nobody holds. Dropped after the directory.
    directory: TempDir,
    lock: Lock,
}

impl Quarantine {
    /// Takes the pack in and checks that everything the updates need is there. A pack that does not hold is a refusal
    /// inside `request`, not an error. Keeps the connection alive through `reply` meanwhile.
    pub async fn take_in<W: AsyncWrite + Unpin + Send>(
        repo: &Repo,
        request: &mut Request,
        mut input: impl AsyncRead + Unpin + Send,
        reply: &mut Reply<W>,
        limits: Limits,
    ) -> Result<Self, Error> {
        let mut quarantine = Self::open(repo).await?;
        if request.has_pack() {
            let admitted = keeping_alive(async { Ok(limits.admit(repo).await) }, reply).await?;
            let (_turn, cap) = match admitted {
                Ok(admitted) => admitted,
                Err(why) => {
                    request.unpack_failure = Some(why.to_owned());
                    request.refuse_all(why);
                    let _ = tokio::time::timeout(DRAINED_IN, drain(&mut input)).await;
                    return Ok(quarantine);
                }
            };
            let program = quarantine.index_pack(&cap);
            // It outlives us when we are killed, and would write on: until it is gone as well, the lock is held.
            let held = quarantine.lock.for_child().map_err(failed("lock", quarantine.directory.path()))?;
            let running = Running::start_into(program, held.into())?;
            if let Err(complaint) = index(running, input, reply).await? {
                request.unpack_failure = Some(unpack_failure(&complaint, &cap));
                let is_too_large = complaint.contains(TOO_LARGE);
                request.refuse_all(if is_too_large { cap.reason } else { "the pack was not taken in" });
                for line in malformed(&complaint) {
                    reply.say(&line).await?;
                }
                return Ok(quarantine);
            }
            quarantine.count().await?;
            quarantine.check_connectivity(request, reply).await?;
        }
        Ok(quarantine)
    }

    pub(crate) fn repo(&self) -> &Repo {
        &self.repo
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Says whether nothing came in.
    pub(crate) fn is_empty(&self) -> bool {
        self.objects == 0
    }

    /// Bytes on disk that came in, indexes included. A pack of nothing is not kept.
    pub fn byte_count(&self) -> u64 {
        if self.is_empty() { 0 } else { self.bytes }
    }

    /// Says whether the update only adds commits: true for a new ref, false for a deletion.
    pub async fn is_fast_forward(&self, update: &RefUpdate) -> Result<bool, Error> {
        let (old, new) = match (&update.old, &update.new) {
            (None, Some(_)) => return Ok(true),
            (_, None) => return Ok(false),
            (Some(old), Some(new)) => (old, new),
        };
        let _place = enter(&self.repo.gates().short).await?;
        let program = self.git("merge-base").option("--is-ancestor").operands([old.as_str(), new.as_str()]);
        // 1 is "no"; 128 is an old value that is not there or no commit, which nothing can be ahead of.
        Ok(finish(program, "merge-base", b"", CHECK).await?.status.success())
    }

    /// Moves the objects into the repository, durably. A pack becomes visible with its index, so that goes last.
    pub async fn migrate(self) -> Result<(), Error> {
        if self.objects == 0 {
            return Ok(());
        }
        let gate = self.repo.gates().reads.clone();
        blocking(&gate, move || {
            let target = self.repo.path().join("objects/pack");
            let mut files = files(&self.directory.path().join("pack"))?;
            files.sort_by_key(|path| path.extension().is_some_and(|extension| extension == "idx"));
            for file in files {
                let place = target.join(file.file_name().unwrap_or_default());
                // The name is the content's digest: the same pack pushed again.
                if !place.exists() {
                    fs::rename(&file, &place).map_err(failed("move objects to", &place))?;
                }
            }
            sync_directory(&target)
        })
        .await
    }

    async fn open(repo: &Repo) -> Result<Self, Error> {
        let repo = repo.clone();
        let gate = repo.gates().reads.clone();
        blocking(&gate, move || {
            let objects = repo.path().join("objects");
            let directory =
                tempfile::Builder::new().prefix(INCOMING).tempdir_in(&objects).map_err(failed("write in", &objects))?;
            let lock = Lock::take(&directory.path().join("lock"))?;
            base::file::create_dir(&directory.path().join("pack"), 0o700)?;
            Ok(Self { repo, objects: 0, bytes: 0, directory, lock })
        })
        .await
    }

    /// A Git that sees the repository and these objects, and would write only here.
    pub(crate) fn git(&self, command: &'static str) -> Program {
        environment::in_repository(command, self.repo.path())
            .env("GIT_OBJECT_DIRECTORY", self.directory.path())
            .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", environment::alternate(&self.repo.path().join("objects")))
            .env("GIT_QUARANTINE_PATH", self.directory.path())
    }

    fn index_pack(&self, cap: &Cap) -> Program {
        let program = self.git("index-pack").options(["--stdin", "--fix-thin", "--report-end-of-input", STRICT]);
        program.option(format!("--max-input-size={}", cap.bytes))
    }

    async fn count(&mut self) -> Result<(), Error> {
        let pack = self.directory.path().join("pack");
        (self.objects, self.bytes) = blocking(&self.repo.gates().reads, move || {
            let mut counted = (0, 0);
            for path in files(&pack)? {
                counted.1 += fs::metadata(&path).map_err(failed("read", &path))?.len();
                if path.extension().is_some_and(|extension| extension == "pack") {
                    counted.0 += objects_in(&path).map_err(failed("read", &path))?;
                }
            }
            Ok(counted)
        })
        .await?;
        Ok(())
    }

    /// Refuses the updates whose history or content is not all here. The pack's own links were checked before; this
    /// walks from the new tips to what the repository already has.
    async fn check_connectivity<W: AsyncWrite + Unpin + Send>(
        &self,
        request: &mut Request,
        reply: &mut Reply<W>,
    ) -> Result<(), Error> {
        let updates = request.updates();
        let tips: Vec<Oid> = updates.iter().filter_map(|update| update.new.clone()).collect();
        if tips.is_empty() || keeping_alive(self.is_connected(&tips), reply).await? {
            return Ok(());
        }
        let reason =
            if request.is_shallow { "shallow history: run `git fetch --unshallow` first" } else { "missing objects" };
        for update in updates {
            let Some(new) = update.new else { continue };
            let is_alone = tips.len() > 1 && tips.len() <= SINGLE_CHECKS;
            if !(is_alone && keeping_alive(self.is_connected(&[new]), reply).await?) {
                request.refuse(&update.name, reason);
            }
        }
        Ok(())
    }

    async fn is_connected(&self, tips: &[Oid]) -> Result<bool, Error> {
        let program = self.git("rev-list").options(["--objects", "--quiet", "--stdin", "--not", "--all"]);
        let lines: Vec<&str> = tips.iter().flat_map(|tip| [tip.as_str(), "\n"]).collect();
        Ok(finish(program, "rev-list", lines.concat().as_bytes(), CHECK).await?.status.success())
    }
}

/// Feeds the pack to index-pack. The inner error is what Git had against it.
async fn index<W: AsyncWrite + Unpin + Send>(
    mut running: Running,
    mut input: impl AsyncRead + Unpin + Send,
    reply: &mut Reply<W>,
) -> Result<Result<(), String>, Error> {
    match feed(&mut running, &mut input, reply).await {
        Ok(_) if running.wait().await?.success() => Ok(Ok(())),
        Ok(complaint) => {
            let _ = tokio::time::timeout(DRAINED_IN, drain(&mut input)).await;
            Ok(Err(complaint))
        }
        Err(error) => {
            running.kill().await;
            Err(error)
        }
    }
}

async fn feed<W: AsyncWrite + Unpin + Send>(
    running: &mut Running,
    input: impl AsyncRead + Unpin + Send,
    reply: &mut Reply<W>,
) -> Result<String, Error> {
    let (stdin, stdout, stderr) = (running.stdin.take(), running.stdout.take(), running.stderr.take());
    let progress = Progress::default();
    let feed = async {
        let Some(stdin) = stdin else { return Ok(()) };
        match copy(input, stdin, &progress).await {
            Err(Broken::Source(error)) => Err(Error::Transfer(error)),
            // Git has the whole pack, or has seen enough of it.
            Ok(()) | Err(Broken::Target(_)) => Ok(()),
        }
    };
    let end = async { tokio::join!(complaints(stderr, &progress), discard(stdout)).0 };
    tokio::pin!(feed, end);
    let mut is_fed = false;
    let mut tick = tokio::time::interval(KEEP_ALIVE);
    let (mut quiet, mut moved) = (Duration::ZERO, 0);
    loop {
        tokio::select! {
            complaint = &mut end => return Ok(complaint),
            fed = &mut feed, if !is_fed => {
                fed?;
                is_fed = true;
            }
            _ = tick.tick() => {
                quiet = if progress.moved() == moved { quiet + KEEP_ALIVE } else { Duration::ZERO };
                moved = progress.moved();
                // Over SSH the input stays open; only Git knows when the pack is complete.
                let is_working = is_fed || progress.has_all_input();
                if is_working {
                    reply.keep_alive().await?;
                }
                let patience = if is_working { CHECK } else { IDLE };
                if quiet >= patience {
                    return Err(Error::Stalled { command: "index-pack", seconds: patience.as_secs() });
                }
            }
        }
    }
}

/// A pusher that is still sending would take our hanging up for a broken line and never read why.
async fn drain(input: &mut (impl AsyncRead + Unpin + Send)) {
    let mut buffer = vec![0_u8; 64 << 10];
    let mut drained = 0_u64;
    while let Ok(Ok(count @ 1..)) = tokio::time::timeout(DRAINED_WAIT, input.read(&mut buffer)).await {
        drained += count as u64;
        if drained > DRAINED {
            return;
        }
    }
}

/// Runs `work` while the pusher hears from us.
async fn keeping_alive<T, W: AsyncWrite + Unpin + Send>(
    work: impl Future<Output = Result<T, Error>>,
    reply: &mut Reply<W>,
) -> Result<T, Error> {
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(KEEP_ALIVE) => reply.keep_alive().await?,
        }
    }
}

/// The object count in a pack's header, gitformat-pack(5).
fn objects_in(pack: &Path) -> io::Result<u64> {
    let mut header = [0_u8; 12];
    fs::File::open(pack)?.read_exact(&mut header)?;
    let [.., a, b, c, d] = header;
    Ok(u64::from(u32::from_be_bytes([a, b, c, d])))
}

fn files(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = fs::read_dir(directory).map_err(failed("read", directory))?;
    entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>().map_err(failed("read", directory))
}

/// What the pusher may know of index-pack's complaint: nothing with a path of this host in it.
fn unpack_failure(complaint: &str, cap: &Cap) -> String {
    let known = [
        (TOO_LARGE, cap.reason),
        ("No space left", "the server has no space left"),
        ("Disk quota exceeded", "the server has no space left"),
        ("early EOF", "the pack ended early"),
        ("over limit", "the pack holds an object that is too large to be unpacked"),
        ("unresolved delta", "the pack builds on objects that are not here"),
        ("SHA1 COLLISION", "an object collides with another"),
    ];
    let found = known.iter().find(|(sign, _)| complaint.contains(sign)).map(|(_, meaning)| *meaning);
    let is_malformed = malformed(complaint).next().is_some();
    found.unwrap_or(if is_malformed { "an object is malformed" } else { "the pack is damaged" }).to_owned()
}

/// fsck's own lines: `error: object <id>: <finding>: <text>`.
fn malformed(complaint: &str) -> impl Iterator<Item = String> {
    complaint.lines().filter(|line| line.starts_with("error: object ")).take(5).map(|line| {
        line.trim_start_matches("error: ").chars().take(300).map(|c| if c.is_control() { ' ' } else { c }).collect()
    })
}

//! A clone of all that refs lead to, over HTTP: Git packs, and the pack goes to the client from here, without git's
//! upload-pack between the two, which costs as much again as sending does. Only for ids that this repository tells of; what is asked in
//! any other way is for upload-pack.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::time::Duration;

use base::process::Program;
use gix::ObjectId;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::time::{Instant, interval_at, sleep};

use crate::child::{IDLE, Progress, Running, one_line};
use crate::hear::{Line, Lines};
use crate::ls_refs::is_hidden;
use crate::pktline::LONGEST;
use crate::read::table::Table;
use crate::verbatim::OnlyPack;
use crate::{Error, Repo, environment, pktline};

/// Silence after which the client is told that there is more to come, as upload-pack does.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Bytes of a pack from which on Git's pipe is looked into by the clock.
const LARGE: usize = 1 << 20;
/// Time between two looks while the pack comes, and while it does not.
const SHORTEST_LOOK: Duration = Duration::from_millis(1);
const LONGEST_LOOK: Duration = Duration::from_millis(16);
/// What has Git tell how far it is.
const PROGRESS: &str = "--progress";
/// What has Git name the bases of deltas by how far before them they lie, as the packs on disk do.
const OFFSETS: &str = "--delta-base-offset";
/// Bytes of standard error that are kept for the log.
const COMPLAINTS: usize = 16 << 10;

/// A request for everything, gitprotocol-v2(5).
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Everything {
    wants: Vec<ObjectId>,
    options: Vec<&'static str>,
}

impl Everything {
    /// `None` for what upload-pack is to answer: a client that has something already, or wants less than all.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let (mut asked, mut has_progress, mut is_done) = (Self::default(), true, false);
        let mut lines = Lines(bytes);
        if lines.next() != Some(Line::Text(b"command=fetch")) {
            return None;
        }
        let mut is_behind_words = false;
        loop {
            match lines.next()? {
                Line::Flush => break,
                Line::Delimiter if !is_behind_words => is_behind_words = true,
                Line::Text(b"object-format=sha1") if !is_behind_words => {}
                Line::Text(word) if !is_behind_words && word.starts_with(b"agent=") => {}
                Line::Text(b"thin-pack") if is_behind_words => asked.add("--thin"),
                Line::Text(b"ofs-delta") if is_behind_words => asked.add(OFFSETS),
                Line::Text(b"include-tag") if is_behind_words => asked.add("--include-tag"),
                Line::Text(b"no-progress") if is_behind_words => has_progress = false,
                Line::Text(b"done") if is_behind_words => is_done = true,
                Line::Text(word) if is_behind_words => {
                    asked.wants.push(ObjectId::from_hex(word.strip_prefix(b"want ")?).ok()?);
                }
                _ => return None,
            }
        }
        if has_progress {
            asked.add(PROGRESS);
        }
        (is_done && !asked.wants.is_empty()).then_some(asked)
    }

    fn add(&mut self, option: &'static str) {
        if !self.options.contains(&option) {
            self.options.push(option);
        }
    }

    /// Says whether all that is wanted is what clients are told of.
    pub(crate) fn is_told(&self, table: &Table, hidden: &[&str]) -> bool {
        let told = table.refs.iter().filter(|held| !is_hidden(&held.name, hidden)).map(|held| held.id);
        let told: HashSet<ObjectId> = told.chain(table.head.id).collect();
        self.wants.iter().all(|id| told.contains(id))
    }

    /// Packs and sends. Git is killed when the client leaves, when it says nothing for ten minutes, and when the future
    /// is dropped.
    pub(crate) async fn send(self, repo: &Repo, output: impl AsyncWrite + Unpin + Send) -> Result<(), Error> {
        let has_progress = self.options.contains(&PROGRESS);
        let mut bands = Bands { output, has_progress, is_begun: false };
        // The short way may fail; what is wrong then, the long way says.
        let only = if self.options.contains(&OFFSETS) {
            OnlyPack::answering(repo, &self.wants).await.ok().flatten()
        } else {
            None
        };
        if let Some(pack) = only {
            let progress = Progress::default();
            return tokio::select! {
                sent = bands.send_whole(pack, &progress) => sent.map_err(Error::Transfer),
                () = progress.stall(IDLE) => Err(Error::Transfer(io::ErrorKind::TimedOut.into())),
            };
        }
        let mut running = Running::start(self.program(repo))?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (running.stdin.take(), running.stdout.take(), running.stderr.take())
        else {
            return Err(Error::Cancelled);
        };
        base::process::widen(&stdout);
        let progress = Progress::default();
        let moved = async { tokio::join!(self.feed(stdin), bands.send(stdout, stderr, &progress)) };
        let ((), said) = tokio::select! {
            done = moved => done,
            () = progress.stall(IDLE) => {
                return Err(Error::Stalled { command: "pack-objects", seconds: IDLE.as_secs() });
            }
        };
        let said = said.map_err(Error::Transfer)?;
        if running.wait().await?.success() {
            return bands.end().await.map_err(Error::Transfer);
        }
        bands.give_up().await.map_err(Error::Transfer)?;
        Err(Error::Git { command: "pack-objects", message: one_line(&said) })
    }

    /// As upload-pack starts it: behind walls through which nothing can be written.
    fn program(&self, repo: &Repo) -> Program {
        environment::server("pack-objects")
            .env("GIT_DIR", repo.path())
            .confined(environment::walls("upload-pack", repo.path()))
            .options(["--revs", "--stdout"])
            .options(self.options.iter().copied())
    }

    async fn feed(&self, mut stdin: ChildStdin) {
        let mut asked = lines_of(&self.wants);
        asked.extend_from_slice(b"--not\n\n");
        // A Git that ends early closes the pipe; its exit status says why.
        let _ = stdin.write_all(&asked).await;
    }
}

/// The ids, a line each.
pub(crate) fn lines_of(ids: &[ObjectId]) -> Vec<u8> {
    ids.iter().flat_map(|id| format!("{id}\n").into_bytes()).collect()
}

/// The answer's side bands: 1 is the pack, 2 what Git tells the user, 3 the end of hope.
struct Bands<W> {
    output: W,
    /// Says whether the user is to be told what Git says.
    has_progress: bool,
    /// Says whether anything was sent: before that, a failure is a status and no broken answer.
    is_begun: bool,
}

impl<W: AsyncWrite + Unpin> Bands<W> {
    /// Sends all that Git has to give, and returns what it complained of.
    async fn send(&mut self, stdout: ChildStdout, mut stderr: ChildStderr, progress: &Progress) -> io::Result<String> {
        let mut packets = Packets { pipe: Pipe::Watched(stdout), bytes: vec![0; LONGEST], taken: 0 };
        let (mut words, mut kept, mut is_silent) = ([0_u8; 1024], Vec::new(), false);
        let mut ticks = interval_at(Instant::now() + KEEP_ALIVE, KEEP_ALIVE);
        let (mut sent, mut is_packed) = (progress.moved(), false);
        while !is_packed || !is_silent {
            tokio::select! {
                count = stderr.read(&mut words), if !is_silent => {
                    let said = words.get(..count?).unwrap_or_default();
                    is_silent = said.is_empty();
                    let room = COMPLAINTS.saturating_sub(kept.len());
                    kept.extend_from_slice(said.get(..said.len().min(room)).unwrap_or_default());
                    if self.has_progress {
                        self.say(2, said).await?;
                    }
                }
                packet = packets.next(), if !is_packed => {
                    let packet = packet?;
                    is_packed = packet.is_empty();
                    progress.add(packet.len());
                    self.put(packet).await?;
                }
                _ = ticks.tick() => {
                    let before = std::mem::replace(&mut sent, progress.moved());
                    if before == sent {
                        self.put(&head(1, 0)).await?;
                    }
                }
            }
        }
        Ok(String::from_utf8_lossy(&kept).into_owned())
    }

    /// Sends a pack that is there already. One that cannot be read to its end cuts the answer.
    async fn send_whole(&mut self, pack: OnlyPack, progress: &Progress) -> io::Result<()> {
        let (mut left, mut packets) = (pack.length, pack.packets());
        while let Some(packet) = packets.recv().await {
            let packet = packet?;
            left = left.saturating_sub((packet.len() - HEAD) as u64);
            self.put(&packet).await?;
            progress.add(packet.len());
        }
        if left > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.end().await
    }

    async fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        if !self.is_begun {
            self.is_begun = true;
            let mut begin = Vec::new();
            pktline::put(&mut begin, b"packfile\n");
            self.output.write_all(&begin).await?;
        }
        self.output.write_all(bytes).await?;
        self.output.flush().await
    }

    async fn say(&mut self, band: u8, words: &[u8]) -> io::Result<()> {
        if words.is_empty() {
            return Ok(());
        }
        self.put(&[&head(band, words.len())[..], words].concat()).await
    }

    async fn end(&mut self) -> io::Result<()> {
        self.put(b"0000").await
    }

    /// Tells a client that has read a part already.
    async fn give_up(&mut self) -> io::Result<()> {
        if !self.is_begun {
            return Ok(());
        }
        self.say(3, b"the server could not read all objects\n").await
    }
}

/// A packet of the first band.
pub(crate) fn packet_of(payload: &[u8]) -> Vec<u8> {
    [&head(1, payload.len())[..], payload].concat()
}

/// Bytes before what a packet of a side band holds.
const HEAD: usize = 5;

/// Length and band of a packet with so many bytes in it.
fn head(band: u8, count: usize) -> [u8; HEAD] {
    let digit = |shift: u32| {
        let nibble = ((count + HEAD) >> shift) & 15;
        char::from_digit(u32::try_from(nibble).unwrap_or_default(), 16).map_or(b'0', |digit| digit as u8)
    };
    [digit(12), digit(8), digit(4), digit(0), band]
}

/// Packets of the first band, each filled straight from Git's pipe and no larger than a processor keeps at hand.
struct Packets {
    pipe: Pipe,
    bytes: Vec<u8>,
    /// Bytes that came so far.
    taken: usize,
}

impl Packets {
    /// Waits until there is something: a packet ready to be sent, an empty one at the end. Loses nothing when it is
    /// dropped while it waits.
    async fn next(&mut self) -> io::Result<&[u8]> {
        if self.taken > LARGE {
            self.pipe.let_flow()?;
        }
        let Some((begin, payload)) = self.bytes.split_first_chunk_mut::<5>() else { return Ok(&[]) };
        let count = self.pipe.read(payload).await?;
        *begin = head(1, count);
        self.taken += count;
        let filled = if count == 0 { 0 } else { begin.len() + count };
        Ok(self.bytes.get(..filled).unwrap_or_default())
    }
}

/// Git's standard output. It writes 8 KiB at a time, and to be woken for each costs more than all the rest of sending.
enum Pipe {
    /// Told of by the runtime as soon as something is there.
    Watched(ChildStdout),
    /// Looked into every now and then, while much is in it.
    Flowing(File),
    /// On the way from one to the other.
    Lost,
}

impl Pipe {
    fn let_flow(&mut self) -> io::Result<()> {
        *self = match std::mem::replace(self, Self::Lost) {
            Self::Watched(stdout) => Self::Flowing(stdout.into_owned_fd()?.into()),
            other => other,
        };
        Ok(())
    }

    async fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let file = match self {
            Self::Watched(stdout) => return stdout.read(into).await,
            Self::Flowing(file) => file,
            Self::Lost => return Err(io::ErrorKind::BrokenPipe.into()),
        };
        let mut pause = SHORTEST_LOOK;
        loop {
            match file.read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_LOOK);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }
}

#[cfg(test)]
#[path = "everything_test.rs"]
mod tests;

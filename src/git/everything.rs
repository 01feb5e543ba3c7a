//! A clone of all that refs lead to, over HTTP: Git packs, and the pack goes to the client from here, without git's
//! upload-pack between the two, which costs as much again as sending does. Only for ids that this repository tells of; what is asked in
//! any other way is for upload-pack.

use std::collections::HashSet;
use std::io;
use std::time::Duration;

use base::process::Program;
use gix::ObjectId;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::time::sleep;

use crate::child::{IDLE, Progress, Running, one_line};
use crate::hear::{Line, Lines};
use crate::ls_refs::is_hidden;
use crate::pktline::LONGEST;
use crate::read::table::Table;
use crate::{Error, Repo, environment, pktline};

/// Silence after which the client is told that there is more to come, as upload-pack does.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Bytes of a pack from which on more of it is waited for before it is sent: Git writes 8 KiB at a time.
const LARGE: usize = 1 << 20;
/// Time that is waited then.
const GATHER: Duration = Duration::from_millis(1);
/// What has Git tell how far it is.
const PROGRESS: &str = "--progress";
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
                Line::Text(b"ofs-delta") if is_behind_words => asked.add("--delta-base-offset"),
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
        let mut running = Running::start(self.program(repo))?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (running.stdin.take(), running.stdout.take(), running.stderr.take())
        else {
            return Err(Error::Cancelled);
        };
        base::process::widen(&stdout);
        let progress = Progress::default();
        let has_progress = self.options.contains(&PROGRESS);
        let mut bands = Bands { output, has_progress, is_begun: false };
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
        let mut asked: Vec<u8> = Vec::new();
        for id in &self.wants {
            asked.extend_from_slice(id.to_string().as_bytes());
            asked.push(b'\n');
        }
        asked.extend_from_slice(b"--not\n\n");
        // A Git that ends early closes the pipe; its exit status says why.
        let _ = stdin.write_all(&asked).await;
    }
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
    async fn send(
        &mut self,
        mut stdout: ChildStdout,
        mut stderr: ChildStderr,
        progress: &Progress,
    ) -> io::Result<String> {
        let (mut packet, mut sent) = (Packet::new(), 0);
        let (mut words, mut kept, mut is_silent) = ([0_u8; 1024], Vec::new(), false);
        let mut is_packed = false;
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
                filled = packet.fill(&mut stdout), if !is_packed => {
                    let filled = filled?;
                    is_packed = filled.is_empty();
                    progress.add(filled.len());
                    sent += filled.len();
                    let is_partly_filled = filled.len() < LONGEST;
                    self.put(filled).await?;
                    if sent > LARGE && is_partly_filled && !is_packed {
                        sleep(GATHER).await;
                    }
                }
                () = sleep(KEEP_ALIVE) => self.put(&head(1, 0)).await?,
            }
        }
        Ok(String::from_utf8_lossy(&kept).into_owned())
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

/// Length and band of a packet with so many bytes in it.
fn head(band: u8, count: usize) -> [u8; 5] {
    let digit = |shift: u32| {
        let nibble = ((count + 5) >> shift) & 15;
        char::from_digit(u32::try_from(nibble).unwrap_or_default(), 16).map_or(b'0', |digit| digit as u8)
    };
    [digit(12), digit(8), digit(4), digit(0), band]
}

/// A packet of the first band, filled straight from Git's pipe and no larger than a processor keeps at hand.
struct Packet(Vec<u8>);

impl Packet {
    fn new() -> Self {
        Self(vec![0; LONGEST])
    }

    /// Waits until there is something: a packet ready to be sent, an empty one at the end. Loses nothing when it is
    /// dropped while it waits.
    async fn fill(&mut self, pipe: &mut ChildStdout) -> io::Result<&[u8]> {
        let Some((begin, payload)) = self.0.split_first_chunk_mut::<5>() else { return Ok(&[]) };
        let count = pipe.read(payload).await?;
        *begin = head(1, count);
        let filled = if count == 0 { 0 } else { begin.len() + count };
        Ok(self.0.get(..filled).unwrap_or_default())
    }
}

#[cfg(test)]
#[path = "everything_test.rs"]
mod tests;

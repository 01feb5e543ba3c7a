//! A running `git` whose streams we drive: its process group dies with this value, and its complaints are kept short.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use base::confine::{self, Confinement};
use base::file::Lock;
use base::process::{ProcessError, Program, kill_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::runtime::Handle;

use crate::Error;

/// How long nothing may move before Git is given up.
pub(crate) const IDLE: Duration = Duration::from_mins(10);

/// Bytes that are copied at a time, at most.
const PIECE: usize = 256 << 10;
/// Bytes of standard error that are kept.
const COMPLAINTS: usize = 16 << 10;

/// A started child and its streams, each to be taken once.
pub(crate) struct Running {
    child: Child,
    leader: Option<u32>,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<ChildStdout>,
    pub(crate) stderr: Option<ChildStderr>,
}

impl Running {
    /// Starts it with all three streams piped.
    pub(crate) fn start(program: Program) -> Result<Self, Error> {
        Self::start_into(program, Stdio::piped())
    }

    /// Starts it with its standard output going elsewhere.
    pub(crate) fn start_into(program: Program, stdout: Stdio) -> Result<Self, Error> {
        let name = program.name().to_owned();
        let (command, confinement) = program.into_parts();
        let mut command = Command::from(command);
        command.stdin(Stdio::piped()).stdout(stdout).stderr(Stdio::piped()).kill_on_drop(true);
        let started = match confinement {
            None => command.spawn(),
            Some(confinement) => start_behind_walls(&confinement, &mut command),
        };
        let mut child = started.map_err(|source| ProcessError::Start { program: name, source })?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        Ok(Self { leader: child.id(), child, stdin, stdout, stderr })
    }

    /// Waits for the end.
    pub(crate) async fn wait(&mut self) -> Result<ExitStatus, Error> {
        let status = self.child.wait().await.map_err(|source| ProcessError::Pipe { program: "git".into(), source })?;
        self.leader = None;
        Ok(status)
    }

    /// Kills the whole group and waits until it is gone, so that what it was writing can be removed.
    pub(crate) async fn kill(&mut self) {
        if let Some(leader) = self.leader.take() {
            kill_group(leader);
            let _ = self.child.wait().await;
        }
    }
}

/// The child's walls are those of the thread that starts it; its streams belong to the runtime all the same.
fn start_behind_walls(confinement: &Confinement, command: &mut Command) -> io::Result<Child> {
    let runtime = Handle::current();
    let child = confinement.around(|| {
        let _inside = runtime.enter();
        command.spawn()
    })??;
    if let Some(id) = child.id() {
        confine::limit(id);
    }
    Ok(child)
}

/// What a short command said; the first 64 KiB of it.
pub(crate) struct Said {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Feeds `input` and waits for the end. Fails with `Stalled` at the deadline.
pub(crate) async fn finish(
    program: Program,
    command: &'static str,
    input: &[u8],
    deadline: Duration,
) -> Result<Said, Error> {
    converse(Running::start(program)?, command, input, deadline).await
}

/// As [`finish`], for a command whose standard output says nothing: the lock's file takes its place, so that the lock is
/// held for as long as the command runs, also when this program is killed meanwhile.
pub(crate) async fn finish_under(
    lock: Lock,
    program: Program,
    command: &'static str,
    input: &[u8],
    deadline: Duration,
) -> Result<Said, Error> {
    finish_holding(lock.into_file(), program, command, input, deadline).await
}

/// As [`finish_under`], for one of several commands that hold a lock after one another: `held` is its file, or another
/// name for it.
pub(crate) async fn finish_holding(
    held: std::fs::File,
    program: Program,
    command: &'static str,
    input: &[u8],
    deadline: Duration,
) -> Result<Said, Error> {
    let running = Running::start_into(program, held.into())?;
    converse(running, command, input, deadline).await
}

async fn converse(
    mut running: Running,
    command: &'static str,
    input: &[u8],
    deadline: Duration,
) -> Result<Said, Error> {
    let (stdin, stdout, stderr) = (running.stdin.take(), running.stdout.take(), running.stderr.take());
    let progress = Progress::default();
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A child that ends early closes the pipe; its exit status says why.
            let _ = stdin.write_all(input).await;
        }
    };
    let streams = async { tokio::join!(feed, answer(stdout), complaints(stderr, &progress)) };
    let Ok(((), stdout, stderr)) = tokio::time::timeout(deadline, streams).await else {
        running.kill().await;
        return Err(Error::Stalled { command, seconds: deadline.as_secs() });
    };
    Ok(Said { status: running.wait().await?, stdout, stderr })
}

/// Reads standard output to its end and keeps the first part of it.
async fn answer(stdout: Option<ChildStdout>) -> String {
    let Some(mut stdout) = stdout else { return String::new() };
    let mut kept = Vec::new();
    let _ = (&mut stdout).take(64 << 10).read_to_end(&mut kept).await;
    discard(Some(stdout)).await;
    String::from_utf8_lossy(&kept).into_owned()
}

/// Reads standard output to its end without keeping it.
pub(crate) async fn discard(stdout: Option<ChildStdout>) {
    if let Some(mut stdout) = stdout {
        let _ = tokio::io::copy(&mut stdout, &mut tokio::io::sink()).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Only while it was not reaped: afterwards the number may belong to somebody else.
        if let Some(leader) = self.leader {
            kill_group(leader);
        }
    }
}

/// Counts what moved, so that a stall is seen whichever stream it is on.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    moved: AtomicU64,
    /// Set when the child said that it needs no more input (a NUL on standard error).
    has_all_input: AtomicBool,
}

impl Progress {
    /// Bytes that moved so far.
    pub(crate) fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }

    /// Notes that so many moved.
    pub(crate) fn add(&self, count: usize) {
        self.moved.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Says whether the child has all the input it needs.
    pub(crate) fn has_all_input(&self) -> bool {
        self.has_all_input.load(Ordering::Relaxed)
    }

    /// Ends when nothing moved for `idle` (at the latest after twice that).
    pub(crate) async fn stall(&self, idle: Duration) {
        loop {
            let before = self.moved();
            tokio::time::sleep(idle).await;
            if self.moved() == before {
                return;
            }
        }
    }
}

/// Which end of a copy failed.
#[derive(Debug)]
pub(crate) enum Broken {
    /// Reading.
    Source(io::Error),
    /// Writing.
    Target(io::Error),
}

/// Copies to the end, one buffer at a time: a slow reader slows the writer.
pub(crate) async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    progress: &Progress,
) -> Result<(), Broken> {
    let mut buffer = vec![0_u8; PIECE];
    loop {
        let count = from.read(&mut buffer).await.map_err(Broken::Source)?;
        let Some(piece) = buffer.get(..count).filter(|piece| !piece.is_empty()) else {
            return to.flush().await.map_err(Broken::Target);
        };
        to.write_all(piece).await.map_err(Broken::Target)?;
        to.flush().await.map_err(Broken::Target)?;
        progress.add(count);
    }
}

/// Reads standard error to its end and keeps the first part of it. A NUL is taken out and noted.
pub(crate) async fn complaints(stderr: Option<ChildStderr>, progress: &Progress) -> String {
    let Some(mut stderr) = stderr else { return String::new() };
    let mut kept = Vec::new();
    let mut buffer = [0_u8; 4096];
    while let Ok(count) = stderr.read(&mut buffer).await {
        let Some(piece) = buffer.get(..count).filter(|piece| !piece.is_empty()) else { break };
        if piece.contains(&0) {
            progress.has_all_input.store(true, Ordering::Relaxed);
        }
        let room = COMPLAINTS.saturating_sub(kept.len());
        kept.extend(piece.iter().filter(|byte| **byte != 0).take(room));
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// What Git said, fit for one line of an error: no control characters, at most 400 characters.
pub(crate) fn one_line(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let joined = if lines.is_empty() { "no message".to_owned() } else { lines.join("; ") };
    joined.chars().take(400).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    /// Says whether the process is gone, or dead and not yet reaped by whoever inherited it.
    fn is_dead(pid: &str) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(") ").next().is_none_or(|rest| rest.is_empty() || rest.starts_with('Z'))
    }

    #[test]
    fn what_a_dropped_child_has_started_dies_with_it() {
        runtime().block_on(async {
            let script = "sleep 300 & echo $!; wait";
            let mut running = Running::start(Program::new("sh").options(["-c", script])).unwrap();
            let mut pid = [0_u8; 32];
            let count = running.stdout.take().unwrap().read(&mut pid).await.unwrap();
            let pid = std::str::from_utf8(&pid[..count]).unwrap().trim().to_owned();
            assert!(!is_dead(&pid));
            drop(running);
            let started = std::time::Instant::now();
            while !is_dead(&pid) {
                assert!(started.elapsed() < Duration::from_secs(20), "{pid} still lives");
                tokio::task::yield_now().await;
            }
        });
    }

    #[test]
    fn a_stall_is_when_nothing_moves() {
        runtime().block_on(async {
            let progress = Progress::default();
            let (mut ours, theirs) = tokio::io::duplex(64);
            let moving = async {
                for _ in 0..40 {
                    ours.write_all(b"x").await.unwrap();
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                drop(ours);
            };
            let copied = async { tokio::join!(copy(theirs, tokio::io::sink(), &progress), moving) };
            tokio::select! {
                (done, ()) = copied => assert!(done.is_ok()),
                () = progress.stall(Duration::from_millis(100)) => panic!("it moved all the time"),
            }
            assert_eq!(progress.moved(), 40);
            progress.stall(Duration::from_millis(5)).await;
        });
    }

    #[test]
    fn complaints_are_cut_and_a_nul_in_them_is_a_sign() {
        runtime().block_on(async {
            let script = "printf 'a\\000b'; head -c 200000 /dev/zero | tr '\\000' x";
            let program = Program::new("sh").options(["-c", &format!("({script}) >&2")]);
            let mut running = Running::start(program).unwrap();
            let progress = Progress::default();
            let said = complaints(running.stderr.take(), &progress).await;
            assert!(said.starts_with("abxx") && said.len() == COMPLAINTS && progress.has_all_input());
            assert!(running.wait().await.unwrap().success());
        });
        assert_eq!(one_line("a\n\n b\x1b\n"), "a; b\u{fffd}");
        assert_eq!(one_line("\n"), "no message");
    }
}

//! The system's `ssh`, asked for one line of shell at a time. Asks nobody for a password, forwards nothing, and never lets a host's name be
//! an option.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use base::process::{Program, kill_group};

use super::push_error::PushError;

/// What `ssh` ends with when it is its own failure.
const SSH_FAILED: i32 = 255;
/// How much of what a host says is kept, in bytes.
const WORDS: u64 = 256 << 10;
/// How often a running `ssh` is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How much of a copy is in memory, in bytes.
const PIECE: usize = 256 << 10;
/// Never a password, never our agent, never a tunnel, never through somebody else's connection; and an end when the other side is gone.
const OPTIONS: [&str; 10] = [
    "ControlMaster=no",
    "ControlPath=none",
    "BatchMode=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "ClearAllForwardings=yes",
    "PermitLocalCommand=no",
    "ConnectTimeout=15",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=4",
];

/// A host, as `ssh` takes it: `HOST` or `USER@HOST`. Never an option, and nothing that a shell would obey.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Host(String);

impl Host {
    /// Reads a host's name.
    pub fn parse(text: &str) -> Result<Self, PushError> {
        let is_word = |text: &str| {
            let is_plain = |sign: u8| sign.is_ascii_alphanumeric() || b"._-:".contains(&sign);
            !text.is_empty() && text.len() <= 255 && !text.starts_with(['-', '.', ':']) && text.bytes().all(is_plain)
        };
        let is_good = match text.split_once('@') {
            Some((user, host)) => is_word(user) && !user.contains(':') && is_word(host),
            None => is_word(text),
        };
        let shown = || text.chars().take(100).map(|sign| if sign.is_control() { '\u{fffd}' } else { sign }).collect();
        if is_good { Ok(Self(text.into())) } else { Err(PushError::Name { host: shown() }) }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How hosts are reached.
#[derive(Clone, Debug)]
pub struct Ssh {
    /// The configuration that `ssh` reads in place of its own.
    pub config: Option<PathBuf>,
    /// What `ssh` gets of this program's environment.
    pub environment: Vec<(&'static str, OsString)>,
}

impl Ssh {
    /// Runs a line of shell on a host. Fails as timed out when it does not go on. `tell` hears of every byte that it takes.
    pub(crate) fn ask(&self, host: &Host, asked: Asked<'_>, tell: &dyn Fn(u64)) -> io::Result<Done> {
        let Asked { line, input, patience } = asked;
        let mut program = Program::new("ssh").option("-T");
        if let Some(config) = &self.config {
            program = program.option("-F").option(config);
        }
        for option in OPTIONS {
            program = program.options(["-o", option]);
        }
        for (name, value) in &self.environment {
            program = program.env(name, value);
        }
        let mut command = program.operands([host.0.clone(), format!("sh -c {}", quoted(line))]).into_command();
        if input.is_some() {
            command.stdin(Stdio::piped());
        }
        wait(command.spawn()?, input, patience, tell)
    }
}

/// What a host is to do.
pub(crate) struct Asked<'a> {
    /// The line of shell.
    pub(crate) line: &'a str,
    /// What it reads.
    pub(crate) input: Option<File>,
    /// How long it may take; with something to read, how long it may take nothing of it.
    pub(crate) patience: Duration,
}

/// How a line on a host ended.
pub(crate) struct Done {
    pub(crate) status: ExitStatus,
    /// Its standard output, as much as is kept.
    pub(crate) said: Vec<u8>,
    /// Its standard error.
    pub(crate) words: String,
}

impl Done {
    /// Says whether it was `ssh` itself that failed.
    pub(crate) fn is_lost(&self) -> bool {
        self.status.code() == Some(SSH_FAILED)
    }
}

/// Waits for `ssh`. What it reads goes through a pipe of this process, so that it ends when this process does. When nothing goes on
/// for `patience`, it is killed with all that it started.
fn wait(mut child: Child, input: Option<File>, patience: Duration, tell: &dyn Fn(u64)) -> io::Result<Done> {
    let (Some(mut out), Some(mut err)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    let stdin = child.stdin.take();
    let fed = AtomicU64::new(0);
    let take = |from: &mut dyn Read| {
        let mut taken = Vec::new();
        let read = (&mut *from).take(WORDS).read_to_end(&mut taken);
        read.and_then(|_| io::copy(from, &mut io::sink())).map(|_| taken)
    };
    std::thread::scope(|scope| {
        let said = scope.spawn(|| take(&mut out));
        let words = scope.spawn(|| take(&mut err));
        let feeding = input.zip(stdin).map(|(file, pipe)| scope.spawn(|| feed(file, pipe, &fed)));
        let (mut at, mut last) = (0, Instant::now());
        let status = loop {
            let now = fed.load(Ordering::Relaxed);
            if now > at {
                tell(now - at);
                (at, last) = (now, Instant::now());
            }
            match child.try_wait() {
                Ok(Some(status)) if said.is_finished() && words.is_finished() => break Ok(status),
                Ok(_) if last.elapsed() < patience => std::thread::sleep(LOOK),
                Ok(_) => break Err(io::ErrorKind::TimedOut.into()),
                Err(error) => break Err(error),
            }
        };
        if status.is_err() {
            kill_group(child.id());
            let _ = child.wait();
        }
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        let (said, words) = (said.join().map_err(gone)?, words.join().map_err(gone)?);
        feeding.map_or(Ok(()), |feeding| feeding.join().map_err(gone)?)?;
        tell(fed.load(Ordering::Relaxed) - at);
        Ok(Done { status: status?, said: said?, words: String::from_utf8_lossy(&words?).into_owned() })
    })
}

/// Hands a file on. A reader that takes no more says why as it ends.
fn feed(mut file: File, mut pipe: impl Write, fed: &AtomicU64) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let size = match file.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(size) => size,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if pipe.write_all(piece.get(..size).unwrap_or_default()).is_err() {
            return Ok(());
        }
        fed.fetch_add(size as u64, Ordering::Relaxed);
    }
}

/// One word for a shell, whatever it holds.
pub(crate) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The last line that says something.
pub(crate) fn last_line(words: &str) -> Option<String> {
    words.lines().rev().map(str::trim).find(|line| !line.is_empty()).map(plain)
}

/// Text of a host, fit for a line of ours.
pub(crate) fn plain(text: &str) -> String {
    text.chars().take(400).map(|sign| if sign.is_control() { '\u{fffd}' } else { sign }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosts_name_is_never_an_option_nor_a_command() {
        for host in ["host", "root@host-1.example", "10.0.0.1", "fe80::1", "a_b"] {
            assert_eq!(Host::parse(host).unwrap().as_str(), host);
        }
        let wrong = [
            "",
            "-oProxyCommand=id",
            "-v",
            "a b",
            "a;id",
            "a$(id)",
            "a`id`",
            "root@-oProxyCommand=id",
            "@host",
            "root@",
            "a@b@c",
            "a/b",
            "a'b",
            "a\nb",
            "é",
            "-",
            "a:b@c",
            "%h",
            "host,other",
        ];
        for host in wrong {
            assert!(matches!(Host::parse(host), Err(PushError::Name { .. })), "{host}");
        }
    }

    #[test]
    fn what_does_not_go_on_is_killed_with_all_that_it_started() {
        let begun = Instant::now();
        for line in ["sleep 60", "sleep 60 & echo done", "while :; do echo y; done"] {
            let child = Program::new("sh").options(["-c", line]).into_command().spawn().unwrap();
            let error = wait(child, None, Duration::from_millis(300), &|_| ()).err().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{line}");
        }
        assert!(begun.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_file_arrives_whole_and_each_byte_of_it_is_told() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        base::file::write_atomic(&path, &vec![7; 2_000_000], 0o600).unwrap();
        let ask = |line: &str| {
            let told = std::cell::Cell::new(0);
            let mut command = Program::new("sh").options(["-c", line]).into_command();
            let child = command.stdin(Stdio::piped()).spawn().unwrap();
            let tell = |more| told.set(told.get() + more);
            let done = wait(child, Some(File::open(&path).unwrap()), Duration::from_secs(20), &tell).unwrap();
            (done, told.get())
        };
        let (done, told) = ask("wc -c");
        assert_eq!((String::from_utf8(done.said).unwrap().trim(), told), ("2000000", 2_000_000));
        let (done, told) = ask("echo no >&2; exit 3");
        assert!(done.status.code() == Some(3) && done.words == "no\n" && told < 2_000_000);
    }

    #[test]
    fn a_word_stays_a_word_for_a_shell() {
        let word = r#"a'b "c" $(id) `id` \ ;"#;
        let done = Program::new("sh").options(["-c", &format!("printf %s {}", quoted(word))]).run(b"").unwrap();
        assert_eq!(done.stdout, word.as_bytes());
    }
}

//! The system's `ssh`, asked for one line of shell at a time. Asks nobody for a password, forwards nothing, and never lets a host's name be
//! an option.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use base::process::{Program, kill_group};

use super::push::PushError;

/// What `ssh` ends with when it is its own failure.
const SSH_FAILED: i32 = 255;
/// How much of what a host says is kept, in bytes.
const WORDS: u64 = 256 << 10;
/// How often a running copy is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// Never a password, never our agent, never a tunnel; and an end when the other side is gone.
const OPTIONS: [&str; 8] = [
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
    /// Runs a line of shell on a host, with `input` to read.
    pub(crate) fn ask(&self, host: &Host, line: &str, input: Option<File>, tell: &dyn Fn(u64)) -> io::Result<Done> {
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
        let watched = match input {
            Some(file) => {
                let watched = file.try_clone()?;
                command.stdin(file);
                Some(watched)
            }
            None => None,
        };
        let child = command.spawn()?;
        drop(command);
        wait(child, watched, tell)
    }
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

/// Waits for `ssh`, which gives up by itself when the other side is gone; how far it is shows in the place of the file that it reads.
fn wait(mut child: Child, mut watched: Option<File>, tell: &dyn Fn(u64)) -> io::Result<Done> {
    let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    let ending = Ending(child.id());
    let take = |from: &mut dyn Read| {
        let mut taken = Vec::new();
        let read = (&mut *from).take(WORDS).read_to_end(&mut taken);
        read.and_then(|_| io::copy(from, &mut io::sink())).map(|_| taken)
    };
    let (mut out, mut err) = (out, err);
    let done = std::thread::scope(|scope| {
        let said = scope.spawn(|| take(&mut out));
        let words = scope.spawn(|| take(&mut err));
        let mut at = watched.as_mut().map_or(Ok(0), Seek::stream_position)?;
        let mut look = |at: &mut u64| -> io::Result<()> {
            let now = watched.as_mut().map_or(Ok(*at), Seek::stream_position)?;
            tell(now.saturating_sub(*at));
            *at = now;
            Ok(())
        };
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            look(&mut at)?;
            std::thread::sleep(LOOK);
        };
        look(&mut at)?;
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        let (said, words) = (said.join().map_err(gone)??, words.join().map_err(gone)??);
        Ok(Done { status, said, words: String::from_utf8_lossy(&words).into_owned() })
    });
    std::mem::forget(ending);
    done
}

/// Ends `ssh` and what it started when nobody waits for it any more.
struct Ending(u32);

impl Drop for Ending {
    fn drop(&mut self) {
        kill_group(self.0);
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
    fn a_word_stays_a_word_for_a_shell() {
        let word = r#"a'b "c" $(id) `id` \ ;"#;
        let done = Program::new("sh").options(["-c", &format!("printf %s {}", quoted(word))]).run(b"").unwrap();
        assert_eq!(done.stdout, word.as_bytes());
    }
}

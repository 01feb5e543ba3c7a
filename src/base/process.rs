//! The one way to start a program: cleared environment, `--` before operands, a deadline, capped output, and a
//! process group of its own that is killed whole.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, kill_process_group, setrlimit};

use crate::Hint;
use crate::confine::{self, Confinement};

/// A program that could not be run, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It did not start.
    #[error("could not start `{program}`")]
    Start {
        /// The program's name.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// Reading from or writing to it failed.
    #[error("lost contact with `{program}`")]
    Pipe {
        /// The program's name.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// It ran past its deadline and was killed.
    #[error("`{program}` did not end within {seconds} s")]
    Deadline {
        /// The program's name.
        program: String,
        /// The deadline, in seconds.
        seconds: u64,
    },
    /// It said more than the caller takes.
    #[error("`{program}` printed more than {limit} bytes")]
    Output {
        /// The program's name.
        program: String,
        /// The cap, in bytes.
        limit: usize,
    },
}

impl Hint for ProcessError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Start { program, source } if source.kind() == io::ErrorKind::NotFound => {
                Some(format!("install `{program}` on this host"))
            }
            _ => None,
        }
    }
}

/// What a program did.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed on standard output.
    pub stdout: Vec<u8>,
    /// What it printed on standard error, lossily decoded.
    pub stderr: String,
}

/// A program to be started. Options first, then operands after `--` (or what the program takes for it).
#[derive(Debug)]
pub struct Program {
    name: String,
    command: Command,
    deadline: Duration,
    output_limit: usize,
    confinement: Option<Confinement>,
}

impl Program {
    /// `name` is looked up in the PATH of this process. The child's environment holds PATH and `LC_ALL=C` alone.
    pub fn new(name: &str) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the one place that starts programs")]
        let mut command = Command::new(name);
        command.env_clear().env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command.process_group(0);
        Self { name: name.into(), command, deadline: Duration::from_mins(1), output_limit: 16 << 20, confinement: None }
    }

    /// Adds one option or subcommand, written in our source; text from outside goes through [`Program::operands`].
    #[must_use]
    pub fn option(mut self, option: impl AsRef<OsStr>) -> Self {
        self.command.arg(option);
        self
    }

    /// Adds several options.
    #[must_use]
    pub fn options<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(mut self, options: I) -> Self {
        self.command.args(options);
        self
    }

    /// Adds `--` and then the operands, which can never be taken for options.
    #[must_use]
    pub fn operands<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(mut self, operands: I) -> Self {
        self.command.arg("--").args(operands);
        self
    }

    /// Sets one variable of the child's environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// The directory to start in.
    #[must_use]
    pub fn directory(mut self, path: &Path) -> Self {
        self.command.current_dir(path);
        self
    }

    /// Time to wait for the end. Default 60 s.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Bytes of standard output to take, at most. Default 16 MiB; standard error is cut at 64 KiB without an error.
    #[must_use]
    pub fn output_limit(mut self, bytes: usize) -> Self {
        self.output_limit = bytes;
        self
    }

    /// Starts it behind walls; see [`confine`].
    #[must_use]
    pub fn confined(mut self, confinement: Confinement) -> Self {
        self.confinement = Some(confinement);
        self
    }

    /// The prepared command and its walls, for a room that drives the child itself; see [`Program::into_command`].
    /// The child is to be started by [`Confinement::around`], and held by [`confine::limit`].
    pub fn into_parts(self) -> (Command, Option<Confinement>) {
        (self.command, self.confinement)
    }

    /// The prepared command, for a room that drives the child itself (streams, an async runtime). It must then hold
    /// the deadline and kill the process group, for which [`kill_group`] is there.
    pub fn into_command(self) -> Command {
        self.command
    }

    /// The program's name, for errors.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Starts it detached from this process: own process group, output to `log`, no input. It outlives us.
    pub fn start_detached(mut self, log: std::fs::File) -> Result<Child, ProcessError> {
        let failed = |source| ProcessError::Start { program: self.name.clone(), source };
        let second = log.try_clone().map_err(failed)?;
        self.command.stdout(log).stderr(second).stdin(Stdio::null());
        self.command.spawn().map_err(failed)
    }

    fn spawn(&mut self) -> io::Result<Child> {
        let Self { command, confinement, .. } = self;
        let Some(confinement) = confinement else { return command.spawn() };
        let child = confinement.around(|| command.spawn())??;
        confine::limit(child.id());
        Ok(child)
    }

    /// Runs it to its end, feeding `input`. A non-zero exit is not an error here: the caller knows what it means.
    pub fn run(mut self, input: &[u8]) -> Result<Finished, ProcessError> {
        let name = self.name.clone();
        if !input.is_empty() {
            self.command.stdin(Stdio::piped());
        }
        let mut child = self.spawn().map_err(|source| ProcessError::Start { program: name.clone(), source })?;
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(ProcessError::Pipe { program: name, source: io::ErrorKind::BrokenPipe.into() });
        };
        let stdin = child.stdin.take();
        let limit = self.output_limit;
        let deadline = Instant::now() + self.deadline;
        let (stdout, stderr, status) = std::thread::scope(|scope| {
            let out = scope.spawn(move || read_capped(stdout, limit));
            let err = scope.spawn(move || read_capped(stderr, 64 << 10));
            if let Some(mut stdin) = stdin {
                // A child that ends early closes the pipe; its exit status says why.
                scope.spawn(move || stdin.write_all(input));
            }
            // What the child left behind may hold the pipes open; the deadline is for that, too.
            let status = wait_until(deadline, || child.try_wait()).and_then(|status| {
                let is_quiet = || Ok((out.is_finished() && err.is_finished()).then_some(()));
                Ok(if wait_until(deadline, is_quiet)?.is_some() { status } else { None })
            });
            if !matches!(status, Ok(Some(_))) {
                kill_group(child.id());
                let _ = child.wait();
            }
            (out.join(), err.join(), status)
        });
        let pipe = |source| ProcessError::Pipe { program: name.clone(), source };
        let status = status
            .map_err(pipe)?
            .ok_or_else(|| ProcessError::Deadline { program: name.clone(), seconds: self.deadline.as_secs() })?;
        let broken = |_| pipe(io::ErrorKind::BrokenPipe.into());
        let (stdout, is_cut) = stdout.map_err(broken)?.map_err(pipe)?;
        if is_cut {
            return Err(ProcessError::Output { program: name, limit });
        }
        let (stderr, _) = stderr.map_err(broken)?.map_err(pipe)?;
        Ok(Finished { status, stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() })
    }
}

/// Lets a child write further ahead into a pipe, up to 1 MiB: each time that it has to wait for room costs two switches
/// between processes. Where the host does not allow it, the pipe stays as it is.
pub fn widen(pipe: impl AsFd) {
    let _ = rustix::pipe::fcntl_setpipe_size(pipe, 1 << 20);
}

/// Kills the process group that a [`Program`] child leads; a group that is gone is no error.
pub fn kill_group(leader: u32) {
    if let Some(pid) = i32::try_from(leader).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(pid, Signal::KILL);
    }
}

/// Asks one process to end, with SIGTERM. Fails when there is none with this id, or it belongs to somebody else.
pub fn terminate(process: u32) -> io::Result<()> {
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(kill_process(pid, Signal::TERM)?)
}

/// Arguments as they arrive at a child, for plans and logs.
pub fn arguments(command: &Command) -> Vec<OsString> {
    command.get_args().map(OsStr::to_owned).collect()
}

/// Reads up to `limit` bytes, then drains the rest so that the child is not left blocked; says whether any was cut.
fn read_capped(mut from: impl Read, limit: usize) -> io::Result<(Vec<u8>, bool)> {
    let mut taken = Vec::new();
    from.by_ref().take(limit as u64).read_to_end(&mut taken)?;
    let rest = io::copy(&mut from, &mut io::sink())?;
    Ok((taken, rest > 0))
}

fn wait_until<T>(deadline: Instant, mut look: impl FnMut() -> io::Result<Option<T>>) -> io::Result<Option<T>> {
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(found) = look()? {
            return Ok(Some(found));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Lets this process open as many files as its hard limit allows, and says how many that is. Shells and service
/// managers give 1,024 to programs that wait with `select`; a server counts its connections itself.
pub fn raise_open_files() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let is_raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
    if is_raised { maximum } else { current }.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands_are_never_options() {
        let done = Program::new("printf").operands(["%s", "--help"]).run(b"").unwrap();
        assert_eq!(done.stdout, b"--help");
    }

    #[test]
    fn the_environment_of_this_process_does_not_leak() {
        let done = Program::new("env").run(b"").unwrap();
        let names: Vec<_> = String::from_utf8(done.stdout)
            .unwrap()
            .lines()
            .map(|line| line.split('=').next().unwrap().to_owned())
            .collect();
        assert!(names.iter().all(|name| name == "PATH" || name == "LC_ALL"), "{names:?}");
    }

    #[test]
    fn a_program_past_its_deadline_is_killed() {
        let started = Instant::now();
        let error = Program::new("sleep").operands(["30"]).deadline(Duration::from_millis(50)).run(b"").unwrap_err();
        assert!(matches!(error, ProcessError::Deadline { .. }));
        assert!(started.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn what_a_program_leaves_behind_meets_the_same_deadline() {
        let started = Instant::now();
        let program = Program::new("sh").options(["-c", "sleep 30 & echo done"]).deadline(Duration::from_millis(200));
        assert!(matches!(program.run(b"").unwrap_err(), ProcessError::Deadline { .. }));
        assert!(started.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn too_much_output_is_an_error_not_a_full_memory() {
        let error =
            Program::new("head").options(["-c", "2000000", "/dev/zero"]).output_limit(1000).run(b"").unwrap_err();
        assert!(matches!(error, ProcessError::Output { limit: 1000, .. }));
    }

    #[test]
    fn input_arrives_whole() {
        let input = vec![7u8; 1 << 20];
        assert_eq!(Program::new("cat").run(&input).unwrap().stdout, input);
    }

    #[test]
    fn the_limit_of_open_files_becomes_the_hard_one() {
        let allowed = raise_open_files();
        let now = getrlimit(Resource::Nofile);
        assert_eq!((now.current, now.current.unwrap_or(u64::MAX)), (now.maximum, allowed));
    }
}

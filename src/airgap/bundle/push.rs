//! Takes a bundle to further hosts over the system's `ssh`, and has each of them load it. What arrives is compared by its SHA-256 before it
//! gets its name, a copy that broke off goes on where it was, and each host verifies the bundle by itself. Asks nobody for a password,
//! forwards nothing, and never lets a host's name be an option.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use vault::digest::Sha256;

use super::push_error::PushError;
use super::ssh::{Asked, Done, Host, Ssh, last_line, plain, quoted};
use super::{Arch, Digest};

/// Where the files lie on a host, below the home of whoever signs in.
pub(crate) const FOLDER: &str = ".local/state/gitgrit/push";

/// Begins a line of shell that several pushes may be at, while nobody clears up. Where there is no `flock`, nothing is locked.
/// The file is opened to be read as well: NFS shares no lock of one that is only written.
const SHARED: &str = "locks=0; if command -v flock >/dev/null; then locks=1; exec 9<>lock; flock -s 9 || exit 1; fi; ";

/// How long a host may take to say what it has.
const ANSWER: Duration = Duration::from_mins(1);
/// How long a host may take nothing of a copy.
const COPY: Duration = Duration::from_mins(5);
/// How long a host may take to hash or to load a bundle.
const LOAD: Duration = Duration::from_hours(4);

/// A file that is to arrive, and its digest.
#[derive(Clone, Debug)]
pub struct Cargo {
    path: PathBuf,
    size: u64,
    digest: Digest,
    /// What it is called there, behind its digest.
    end: &'static str,
}

impl Cargo {
    /// The bundle. `tell` hears how many bytes were read.
    pub fn bundle(path: &Path, tell: &dyn Fn(u64)) -> Result<Self, PushError> {
        Self::read(path, "ggb", tell)
    }

    /// The program that loads it there.
    pub fn program(path: &Path) -> Result<Self, PushError> {
        Self::read(path, "program", &|_| ())
    }

    fn read(path: &Path, end: &'static str, tell: &dyn Fn(u64)) -> Result<Self, PushError> {
        let failed = |source| PushError::Here { path: path.into(), source };
        let mut file = File::open(path).map_err(failed)?;
        let (mut hash, mut size, mut piece) = (Sha256::default(), 0, vec![0; 1 << 20]);
        loop {
            let got = file.read(&mut piece).map_err(failed)?;
            if got == 0 {
                return Ok(Self { path: path.into(), size, digest: Digest(hash.finish()), end });
            }
            hash.update(piece.get(..got).unwrap_or_default());
            size += got as u64;
            tell(got as u64);
        }
    }

    /// Its size, in bytes.
    pub const fn size(&self) -> u64 {
        self.size
    }

    fn name(&self) -> String {
        format!("{}.{}", self.digest, self.end)
    }
}

/// What is taken to every host.
#[derive(Clone, Debug)]
pub struct Push {
    /// The bundle.
    pub bundle: Cargo,
    /// The program.
    pub program: Cargo,
    /// The processor that both are for.
    pub arch: Arch,
    /// What the host's load gets beside the bundle: whom to trust.
    pub options: Vec<String>,
    /// How hosts are reached.
    pub ssh: Ssh,
    /// Says whether the files stay when the images are loaded.
    pub keeps: bool,
    /// Says whether hosts are only asked what they have.
    pub is_dry: bool,
}

/// What a host said of its load.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Loaded {
    sent: u64,
    spared: u64,
}

/// What was done on a host.
#[derive(Clone, Copy, Debug, Default)]
pub struct Arrived {
    /// Bytes of bundle and program that were copied.
    pub copied: u64,
    /// Bytes of layers that its engine got, and of those that it had.
    pub sent: u64,
    /// The others.
    pub spared: u64,
}

impl Push {
    /// Does everything on one host. `tell` hears of every byte that was copied.
    pub fn run(&self, host: &Host, tell: &dyn Fn(u64)) -> Result<Arrived, PushError> {
        let mut arrived = Arrived::default();
        // The bundle first: as long as one lies there, no other push takes the program away.
        for cargo in [&self.bundle, &self.program] {
            arrived.copied += self.copy(host, cargo, tell)?;
        }
        if self.is_dry {
            return Ok(arrived);
        }
        let words: Vec<String> = self.options.iter().map(|word| quoted(word)).collect();
        let (program, bundle) = (self.program.name(), self.bundle.name());
        // Held while the bundle is loaded: whoever clears up waits with it.
        let load = format!(
            "cd {FOLDER} || exit 1; {SHARED}\
             if [ $locks = 1 ]; then exec 8<>{bundle}.lock; flock -s 8 || exit 1; fi; \
             [ -f {program} ] && [ -f {bundle} ] || {{ echo 'another push removed the files: run this again' >&2; exit 1; }}; \
             ./{program} bundle load ./{bundle} --json {}",
            words.join(" ")
        );
        let done = self.ask(host, &load, LOAD)?;
        let said = String::from_utf8_lossy(&done.said).into_owned();
        if done.is_lost() {
            return Err(lost(host, "load the bundle", &done));
        }
        if !done.status.success() {
            let code = done.status.code().unwrap_or(-1);
            return Err(PushError::Load { host: host.as_str().to_owned(), code, words: told(&said, &done.words) });
        }
        // What the host greets with may stand before it.
        let Some(loaded) = said.find('{').and_then(|from| serde_json::from_str::<Loaded>(said.get(from..)?).ok())
        else {
            let words = "it did not say what it loaded".to_owned();
            return Err(PushError::Load { host: host.as_str().to_owned(), code: 0, words });
        };
        (arrived.sent, arrived.spared) = (loaded.sent, loaded.spared);
        if !self.keeps {
            // What stays there harms nothing, and the next run uses it.
            let _ = self.ask(host, &clear(&bundle), ANSWER);
        }
        Ok(arrived)
    }

    /// Brings a file to a host, as much of it as is missing there. Gives how much was.
    fn copy(&self, host: &Host, cargo: &Cargo, tell: &dyn Fn(u64)) -> Result<u64, PushError> {
        let name = cargo.name();
        let make = if self.is_dry { String::new() } else { format!("umask 077; mkdir -p {FOLDER} || exit 1; ") };
        let look = format!(
            "LC_ALL=C; export LC_ALL; {make}command -v sha256sum >/dev/null || {{ echo 'there is no sha256sum' >&2; exit 1; }}; \
             cd {FOLDER} 2>/dev/null; if [ -f {name} ]; then echo whole {size}; elif [ -f {name}.part ]; then echo part; wc -c <{name}.part; else echo none 0; fi; \
             df -Pk . | awk 'NR == 2 {{ print $4 }}'; uname -m",
            size = cargo.size
        );
        let found = self.ask(host, &look, ANSWER)?;
        let said = String::from_utf8_lossy(&found.said).into_owned();
        let words: Vec<&str> = said.split_whitespace().collect();
        let (Some(kind), Some(Ok(there)), true) =
            (words.first().copied(), words.get(1).map(|word| word.parse::<u64>()), found.status.success())
        else {
            return Err(full(host, &found.words).unwrap_or_else(|| lost(host, "look at what is there", &found)));
        };
        fits(self.arch, host, words.last().copied().unwrap_or_default())?;
        let mut from = if there > cargo.size { 0 } else { there };
        if kind == "whole" && !self.is_dry && !self.is_whole(host, cargo)? {
            from = 0;
        }
        let missing = cargo.size - from;
        let free = words.get(2).and_then(|word| word.parse::<u64>().ok());
        if let Some(free) = free.map(|free| free.saturating_mul(1024))
            && free < missing
        {
            return Err(PushError::Space { host: host.as_str().to_owned(), free, needed: missing });
        }
        let is_there = kind == "whole" && missing == 0;
        if !self.is_dry && !is_there {
            self.append(host, cargo, from, tell)?;
        }
        Ok(missing)
    }

    /// What lies there under its own name is what it should be; else it is replaced.
    fn is_whole(&self, host: &Host, cargo: &Cargo) -> Result<bool, PushError> {
        let (name, digest) = (cargo.name(), cargo.digest);
        let compare = format!("cd {FOLDER} && [ -f {name} ] && [ \"$(sha256sum <{name} | cut -c1-64)\" = {digest} ]");
        Ok(self.ask(host, &compare, LOAD)?.status.success())
    }

    fn append(&self, host: &Host, cargo: &Cargo, from: u64, tell: &dyn Fn(u64)) -> Result<(), PushError> {
        let failed = |source| PushError::Here { path: cargo.path.clone(), source };
        let mut file = File::open(&cargo.path).map_err(failed)?;
        file.seek(SeekFrom::Start(from)).map_err(failed)?;
        let (name, digest, size) = (cargo.name(), cargo.digest, cargo.size);
        let begin = if from == 0 { format!(": >{name}.part; ") } else { String::new() };
        // A copy that broke off stays, so that the next one goes on there; one that is whole and another goes.
        let append = format!(
            "LC_ALL=C; export LC_ALL; umask 077; cd {FOLDER} || exit 1; {SHARED}\
             if [ $locks = 1 ]; then exec 8<>{name}.lock; flock -n 8 || {{ echo 'another copy is on its way' >&2; exit 1; }}; fi; \
             {begin}touch {name}.part; [ $(wc -c <{name}.part) = {from} ] || {{ echo 'another copy came in between' >&2; exit 1; }}; \
             cat >>{name}.part || exit 1; there=$(wc -c <{name}.part); [ \"$there\" -ge {size} ] || exit 1; \
             if [ \"$(sha256sum <{name}.part | cut -c1-64)\" = {digest} ]; then chmod 700 {name}.part && mv {name}.part {name}; \
             else rm -f {name}.part; exit 3; fi"
        );
        let asked = Asked { line: &append, input: Some(file), patience: COPY };
        let done = self.ssh.ask(host, asked, tell).map_err(|error| unheard(host, error))?;
        match done.status.code() {
            Some(0) => Ok(()),
            Some(3) => Err(PushError::Damaged { host: host.as_str().to_owned() }),
            _ => Err(full(host, &done.words).unwrap_or_else(|| lost(host, "copy", &done))),
        }
    }

    fn ask(&self, host: &Host, line: &str, patience: Duration) -> Result<Done, PushError> {
        let asked = Asked { line, input: None, patience };
        self.ssh.ask(host, asked, &|_| ()).map_err(|error| unheard(host, error))
    }
}

/// A host whose tools said that there is no room, or that their user may take no more.
fn full(host: &Host, words: &str) -> Option<PushError> {
    let is_full = ["No space left on device", "Disk quota exceeded"].iter().any(|said| words.contains(said));
    let words = last_line(words).unwrap_or_default();
    is_full.then(|| PushError::Full { host: host.as_str().to_owned(), words })
}

/// Removes a bundle that was loaded, unless another push of the same is at it. Whoever is last also removes the programs, unless a
/// bundle or a part of one is left, and parts that nobody went on with for a week. The lock itself stays: whoever waits for it would
/// else hold another file than the next one.
fn clear(bundle: &str) -> String {
    format!(
        "cd {FOLDER} || exit 1; {SHARED}\
         if [ $locks = 1 ]; then exec 8<>{bundle}.lock; flock -n 8 || exit 0; fi; rm -f ./{bundle}; exec 8>&-; \
         [ $locks = 0 ] || flock -n 9 || exit 0; \
         command -v find >/dev/null && find . -type f -name '*.part' -mtime +7 -exec rm -f {{}} +; \
         rm -f ./*.lock; set -- ./*.ggb*; [ -e \"$1\" ] || rm -f ./*.program"
    )
}

/// The host must be able to start what the bundle carries. `machine` is what its `uname` says.
fn fits(arch: Arch, host: &Host, machine: &str) -> Result<(), PushError> {
    let wanted = match arch {
        Arch::Amd64 => "x86_64",
        Arch::Arm64 => "aarch64",
    };
    if machine == wanted {
        return Ok(());
    }
    Err(PushError::Processor { host: host.as_str().to_owned(), found: plain(machine), wanted })
}

/// A host that did not go on, or an `ssh` that did not start.
fn unheard(host: &Host, source: io::Error) -> PushError {
    if source.kind() != io::ErrorKind::TimedOut {
        return PushError::Here { path: "ssh".into(), source };
    }
    PushError::Ssh { host: host.as_str().to_owned(), what: "finish", words: "it did not go on".into() }
}

/// What a load that failed said: its error as JSON, or its last line.
fn told(said: &str, words: &str) -> String {
    #[derive(Deserialize)]
    struct Failed {
        id: Option<String>,
        error: String,
    }
    match serde_json::from_str::<Failed>(said) {
        Ok(Failed { id: Some(id), error }) => plain(&format!("{id}: {error}")),
        Ok(Failed { error, .. }) => plain(&error),
        Err(_) => last_line(words).unwrap_or_else(|| "it did not say why".into()),
    }
}

fn lost(host: &Host, what: &'static str, done: &Done) -> PushError {
    let words = last_line(&done.words).unwrap_or_else(|| format!("ssh ended with {}", done.status));
    PushError::Ssh { host: host.as_str().to_owned(), what, words }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_is_full_is_told_from_one_that_fails() {
        for (words, is_room) in [
            ("cat: write error: No space left on device\n", true),
            ("warning: x\ncat: write error: Disk quota exceeded\n", true),
            ("cat: write error: Input/output error\n", false),
            ("another copy is on its way\n", false),
            ("", false),
        ] {
            assert_eq!(full(&Host::parse("one").unwrap(), words).is_some(), is_room, "{words}");
        }
    }

    #[test]
    fn a_host_of_another_kind_gets_no_bundle() {
        let host = Host::parse("one").unwrap();
        for (arch, machine, is_fit) in [
            (Arch::Amd64, "x86_64", true),
            (Arch::Arm64, "aarch64", true),
            (Arch::Amd64, "aarch64", false),
            (Arch::Arm64, "x86_64", false),
            (Arch::Amd64, "", false),
        ] {
            let found = fits(arch, &host, machine);
            assert_eq!(found.is_ok(), is_fit, "{machine}");
            assert!(found.err().is_none_or(|error| error.id() == "GG-BUNDLE-187"), "{machine}");
        }
    }
}

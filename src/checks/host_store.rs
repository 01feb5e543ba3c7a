//! Gives authorities to the host's own store and to Docker's, and takes them out again. Writes only files that it names in its
//! record first, never over a file of others, and takes out only what is still as it was written.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use base::Hint;
use base::clock::Timestamp;
use base::fault;
use base::file::FileError;
use base::process::{Finished, ProcessError, Program};

use crate::certificate::Certificate;
pub use crate::host_record::Held;
use crate::host_record::{LIMIT, Record, make_folder};
use crate::peer::Peer;
use crate::{pem, split};

/// Where update-ca-certificates(8) looks for the authorities of a host, below the root.
const LOCAL: &str = "usr/local/share/ca-certificates";
/// What it makes, below the root.
const BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";
const BUNDLE_LIMIT: u64 = 16 << 20;

/// Starts a program and waits for its end; another one in tests.
pub type Runner<'r> = &'r dyn Fn(Program) -> Result<Finished, ProcessError>;

/// Where the authorities go.
#[derive(Clone, Debug)]
pub struct Place {
    /// The root of the host's file system; another one in tests and in images that are being made.
    pub root: PathBuf,
    /// A registry, `HOST[:PORT]`, that Docker is to trust too.
    pub registry: Option<String>,
}

/// One change, as it is printed and made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A file with one or more certificates.
    Write {
        /// Where.
        path: PathBuf,
        /// PEM text.
        text: String,
    },
    /// A file that this program wrote.
    Remove {
        /// Where.
        path: PathBuf,
    },
    /// A file that this program wrote, and somebody else changed since: it stays.
    Keep {
        /// Where.
        path: PathBuf,
    },
    /// update-ca-certificates(8) makes the bundle anew.
    Refresh,
}

/// Why nothing, or not all, was done.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The bundle holds no authority.
    #[error("the file holds no authority to trust")]
    NoAuthority,
    /// The registry is not a host and perhaps a port.
    #[error("`{registry}` is not HOST or HOST:PORT")]
    Registry {
        /// What was given.
        registry: String,
    },
    /// A file of others is there.
    #[error("`{path}` is there already, and not from this program")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The record cannot be read.
    #[error("the record `{path}` cannot be read")]
    Record {
        /// The file.
        path: PathBuf,
    },
    /// A file could not be read, written or removed.
    #[error("could not change the store")]
    File {
        /// Why.
        #[from]
        source: FileError,
    },
    /// update-ca-certificates did not run.
    #[error("the files are changed, but the host's bundle was not made anew")]
    Refresh {
        /// Why.
        #[from]
        source: ProcessError,
    },
    /// update-ca-certificates failed.
    #[error("the files are changed, but update-ca-certificates failed: {said}")]
    Refused {
        /// Its last words.
        said: String,
    },
}

impl Hint for StoreError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoAuthority => {
                "give the CA that issued the server's certificate; `gitgrit-ops ca check FILE` tells more".into()
            }
            Self::Registry { .. } => "write it like registry.acme.internal:5000".into(),
            Self::Foreign { .. } => "look at that file; move it away if it is not needed".into(),
            Self::Record { .. } => "the record names what to take out; mend it or remove those files by hand".into(),
            Self::File { source } => return source.hint(),
            Self::Refresh { source } => {
                let more = source.hint().map(|hint| format!("{hint}; ")).unwrap_or_default();
                format!("{more}run this again to finish, or take it back with `--undo`")
            }
            Self::Refused { .. } => {
                "mend what it says and run this again to finish, or take it back with `--undo`".into()
            }
        })
    }
}

/// The certificates that have not expired by `now`: no stack but rustls would take the others, so none of them is trusted.
pub fn current(certificates: &[Certificate], now: Timestamp) -> Vec<Certificate> {
    certificates.iter().filter(|certificate| certificate.not_after >= now.seconds()).cloned().collect()
}

/// What trusting the authorities among `certificates` changes. What is in place already is not named.
pub fn plan(certificates: &[Certificate], place: &Place) -> Result<Vec<Change>, StoreError> {
    let authorities: Vec<&Certificate> = certificates.iter().filter(|certificate| certificate.is_ca()).collect();
    if authorities.is_empty() {
        return Err(StoreError::NoAuthority);
    }
    let mut wanted: Vec<(PathBuf, Vec<&Certificate>)> = authorities
        .iter()
        .map(|certificate| {
            let short: String = certificate.fingerprint.chars().take(8).collect();
            let name = format!("gitgrit-{}-{short}.crt", split::plain(&certificate.subject));
            (Path::new(LOCAL).join(name), vec![*certificate])
        })
        .collect();
    if let Some(registry) = &place.registry {
        let folder = Path::new("etc/docker/certs.d").join(folder(registry)?);
        wanted.push((folder.join("ca.crt"), authorities));
    }
    let record = Record::load(place)?;
    let mut changes = Vec::new();
    for (below, certificates) in wanted {
        let path = place.root.join(&below);
        let found = content(&path);
        if found.as_ref().is_some_and(|found| !record.is_ours(&below, found) && *found != union(b"", &certificates)) {
            return Err(StoreError::Foreign { path });
        }
        let found = found.unwrap_or_default();
        let text = union(&found, &certificates);
        if found != text {
            changes.push(Change::Write { path, text: String::from_utf8_lossy(&text).into_owned() });
        }
    }
    if !changes.is_empty() || record.needs_refresh {
        changes.push(Change::Refresh);
    }
    Ok(changes)
}

/// What a file of ours holds, and after it those certificates that it does not hold: what is trusted already stays so.
fn union(found: &[u8], certificates: &[&Certificate]) -> Vec<u8> {
    let mut text = found.to_vec();
    let held = pem::read(found).map(|blocks| blocks.certificates).unwrap_or_default();
    let mut seen: BTreeSet<&[u8]> = held.iter().map(Vec::as_slice).collect();
    for certificate in certificates {
        if seen.insert(&certificate.der) {
            text.extend(pem::block("CERTIFICATE", &certificate.der).as_bytes());
        }
    }
    text
}

/// What taking everything back changes.
pub fn plan_undo(place: &Place) -> Result<Vec<Change>, StoreError> {
    let mut changes = Vec::new();
    let record = Record::load(place)?;
    for below in record.paths() {
        let path = place.root.join(below);
        match content(&path) {
            Some(found) if record.is_ours(below, &found) => changes.push(Change::Remove { path }),
            Some(_) => changes.push(Change::Keep { path }),
            None => {}
        }
    }
    if record.needs_refresh || changes.iter().any(|change| matches!(change, Change::Remove { .. })) {
        changes.push(Change::Refresh);
    }
    Ok(changes)
}

/// Makes the changes, which were planned while `_held` kept others out. The record is written before the first file: a run
/// that is cut short is finished by the next one, or taken back.
pub fn apply(changes: &[Change], place: &Place, _held: &Held, run: Runner<'_>) -> Result<(), StoreError> {
    let mut record = Record::load(place)?;
    announce(&mut record, changes, place)?;
    record.save(place)?;
    fault::point("trust:recorded");
    for change in changes {
        match change {
            Change::Write { path, text } => {
                make_folder(path)?;
                base::file::write_atomic(path, text.as_bytes(), 0o644)?;
                fault::point("trust:written");
            }
            Change::Remove { path } => {
                let failed = |source| FileError::Write { path: path.clone(), source };
                std::fs::remove_file(path).map_err(failed)?;
                fault::point("trust:removed");
            }
            Change::Keep { .. } => {}
            Change::Refresh => {
                refresh(place, !record.leaving.is_empty(), run)?;
                fault::point("trust:refreshed");
                leave_out(place, &record.leaving)?;
                record.needs_refresh = false;
                record.leaving.clear();
            }
        }
    }
    record.settle(place);
    record.save(place)
}

/// Puts into the record what is about to happen.
fn announce(record: &mut Record, changes: &[Change], place: &Place) -> Result<(), StoreError> {
    for change in changes {
        match change {
            Change::Write { path, text } => {
                let below = path.strip_prefix(&place.root).unwrap_or(path);
                record.will_write(below, text, content(path).as_deref());
            }
            Change::Remove { path } if path.starts_with(place.root.join(LOCAL)) => {
                record.leaving.push(base::file::read_text(path, LIMIT)?);
            }
            Change::Refresh => record.needs_refresh = true,
            Change::Remove { .. } | Change::Keep { .. } => {}
        }
    }
    Ok(())
}

/// What is at `path`; none when there is nothing, and nothing when it is no file that we could have written.
fn content(path: &Path) -> Option<Vec<u8>> {
    let facts = path.symlink_metadata().ok()?;
    let found = facts.is_file().then(|| base::file::read_bytes(path, LIMIT).ok()).flatten();
    Some(found.unwrap_or_default())
}

/// Docker's folder for a registry: its name, with the port when it has one.
fn folder(registry: &str) -> Result<&str, StoreError> {
    let (name, port) = registry.rsplit_once(':').unwrap_or((registry, "443"));
    if Peer::parse(name).is_some() && port.parse::<u16>().is_ok() {
        Ok(registry)
    } else {
        Err(StoreError::Registry { registry: crate::text::line(registry) })
    }
}

/// `drops` says that links to files that are gone must go as well.
fn refresh(place: &Place, drops: bool, run: Runner<'_>) -> Result<(), StoreError> {
    let mut program = Program::new("update-ca-certificates");
    if drops {
        program = program.option("--fresh");
    }
    if place.root != Path::new("/") {
        for (option, below) in [
            ("--certsconf", "etc/ca-certificates.conf"),
            ("--certsdir", "usr/share/ca-certificates"),
            ("--localcertsdir", "usr/local/share/ca-certificates"),
            ("--etccertsdir", "etc/ssl/certs"),
            ("--hooksdir", "etc/ca-certificates/update.d"),
        ] {
            program = program.option(option).option(place.root.join(below));
        }
    }
    let done = run(program)?;
    if done.status.success() {
        return Ok(());
    }
    Err(StoreError::Refused { said: crate::text::line(done.stderr.trim()) })
}

/// Says whether somebody else gives the host the same certificate.
fn is_linked(place: &Place, text: &str) -> bool {
    let entries = std::fs::read_dir(place.root.join("etc/ssl/certs")).into_iter().flatten().flatten();
    let mut links = entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|name| name == "pem"));
    links.any(|path| base::file::read_text(&path, LIMIT).is_ok_and(|found| found == text))
}

/// update-ca-certificates leaves the old bundle as it is when no certificate is left to put into it.
fn leave_out(place: &Place, removed: &[String]) -> Result<(), StoreError> {
    let path = place.root.join(BUNDLE);
    if removed.is_empty() || !path.is_file() {
        return Ok(());
    }
    let text = base::file::read_text(&path, BUNDLE_LIMIT)?;
    let rest =
        removed.iter().filter(|gone| !is_linked(place, gone)).fold(text.clone(), |rest, gone| rest.replace(gone, ""));
    if rest != text {
        base::file::write_atomic(&path, rest.as_bytes(), 0o644)?;
    }
    Ok(())
}

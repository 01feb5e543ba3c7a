//! Gives authorities to the host's own store and to Docker's, and takes them out again. Writes only files that it names in its
//! record first, never over a file of others, and takes out only what is still as it was written.

use std::path::{Path, PathBuf};

use base::Hint;
use base::file::FileError;
use base::process::{ProcessError, Program};
use serde::{Deserialize, Serialize};

use crate::certificate::{Certificate, sha256};
use crate::peer::Peer;
use crate::{pem, split};

/// The record of what was written, below the root.
const RECORD: &str = "var/lib/gitgrit-ops/trust.json";
/// What update-ca-certificates(8) makes, below the root.
const BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";
const BUNDLE_LIMIT: u64 = 16 << 20;

/// The largest file that is compared, in bytes.
const LIMIT: u64 = 1 << 20;

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
    #[error("the files are in place, but the host's bundle was not made anew")]
    Refresh {
        /// Why.
        #[from]
        source: ProcessError,
    },
    /// update-ca-certificates failed.
    #[error("the files are in place, but update-ca-certificates failed: {said}")]
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
            Self::Refresh { source } => return source.hint(),
            Self::Refused { .. } => "run update-ca-certificates by hand, or take it back with `--undo`".into(),
        })
    }
}

/// What was written: path below the root, and SHA-256 of the content.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Record {
    version: u32,
    files: Vec<Entry>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    path: PathBuf,
    sha256: String,
}

/// What trusting the authorities among `certificates` changes. What is in place already is not named.
pub fn plan(certificates: &[Certificate], place: &Place) -> Result<Vec<Change>, StoreError> {
    let authorities: Vec<&Certificate> = certificates.iter().filter(|certificate| certificate.is_ca()).collect();
    if authorities.is_empty() {
        return Err(StoreError::NoAuthority);
    }
    let text = |certificate: &&Certificate| pem::block("CERTIFICATE", &certificate.der);
    let mut wanted: Vec<(PathBuf, String)> = authorities
        .iter()
        .map(|certificate| {
            let short: String = certificate.fingerprint.chars().take(8).collect();
            let name = format!("gitgrit-{}-{short}.crt", split::plain(&certificate.subject));
            (Path::new("usr/local/share/ca-certificates").join(name), text(certificate))
        })
        .collect();
    if let Some(registry) = &place.registry {
        let folder = Path::new("etc/docker/certs.d").join(folder(registry)?);
        wanted.push((folder.join("ca.crt"), authorities.iter().map(text).collect()));
    }
    let record = Record::load(place)?;
    let mut changes = Vec::new();
    for (below, text) in wanted {
        let path = place.root.join(&below);
        match content(&path) {
            Some(found) if found == text.as_bytes() => {}
            Some(found) if !record.is_ours(&below, &found) => return Err(StoreError::Foreign { path }),
            _ => changes.push(Change::Write { path, text }),
        }
    }
    if !changes.is_empty() {
        changes.push(Change::Refresh);
    }
    Ok(changes)
}

/// What taking everything back changes.
pub fn plan_undo(place: &Place) -> Result<Vec<Change>, StoreError> {
    let mut changes = Vec::new();
    for entry in Record::load(place)?.files {
        let path = place.root.join(&entry.path);
        match content(&path) {
            Some(found) if sha256(&found) == entry.sha256 => changes.push(Change::Remove { path }),
            Some(_) => changes.push(Change::Keep { path }),
            None => {}
        }
    }
    if changes.iter().any(|change| matches!(change, Change::Remove { .. })) {
        changes.push(Change::Refresh);
    }
    Ok(changes)
}

/// Makes the changes. The record is written before the first file, so that a run that is cut short can be taken back.
pub fn apply(changes: &[Change], place: &Place) -> Result<(), StoreError> {
    let mut record = Record::load(place)?;
    for change in changes {
        if let Change::Write { path, text } = change {
            let below = path.strip_prefix(&place.root).unwrap_or(path).to_path_buf();
            record.files.retain(|entry| entry.path != below);
            record.files.push(Entry { path: below, sha256: sha256(text.as_bytes()) });
        }
    }
    record.save(place)?;
    let mut removed = Vec::new();
    for change in changes {
        match change {
            Change::Write { path, text } => {
                if let Some(parent) = path.parent() {
                    base::file::create_dir(parent, 0o755)?;
                }
                base::file::write_atomic(path, text.as_bytes(), 0o644)?;
            }
            Change::Remove { path } => {
                let failed = |source| FileError::Write { path: path.clone(), source };
                removed.extend(base::file::read_text(path, LIMIT));
                std::fs::remove_file(path).map_err(failed)?;
                record.files.retain(|entry| place.root.join(&entry.path) != *path);
            }
            Change::Keep { .. } => {}
            Change::Refresh => {
                refresh(place, !removed.is_empty())?;
                leave_out(place, &removed)?;
            }
        }
    }
    record.save(place)
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
fn refresh(place: &Place, drops: bool) -> Result<(), StoreError> {
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
    let done = program.run(b"")?;
    if done.status.success() {
        return Ok(());
    }
    Err(StoreError::Refused { said: crate::text::line(done.stderr.trim()) })
}

/// update-ca-certificates leaves the old bundle as it is when no certificate is left to put into it.
fn leave_out(place: &Place, removed: &[String]) -> Result<(), StoreError> {
    let path = place.root.join(BUNDLE);
    if removed.is_empty() || !path.is_file() {
        return Ok(());
    }
    let text = base::file::read_text(&path, BUNDLE_LIMIT)?;
    let rest = removed.iter().fold(text.clone(), |rest, gone| rest.replace(gone, ""));
    if rest != text {
        base::file::write_atomic(&path, rest.as_bytes(), 0o644)?;
    }
    Ok(())
}

impl Record {
    fn path(place: &Place) -> PathBuf {
        place.root.join(RECORD)
    }

    fn load(place: &Place) -> Result<Self, StoreError> {
        let path = Self::path(place);
        if !path.exists() {
            return Ok(Self { version: 1, files: Vec::new() });
        }
        let bytes = base::file::read_bytes(&path, LIMIT)?;
        let record: Self = serde_json::from_slice(&bytes).map_err(|_| StoreError::Record { path: path.clone() })?;
        let is_below =
            |entry: &Entry| entry.path.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        if record.version != 1 || !record.files.iter().all(is_below) {
            return Err(StoreError::Record { path });
        }
        Ok(record)
    }

    fn save(&self, place: &Place) -> Result<(), StoreError> {
        let path = Self::path(place);
        if let Some(parent) = path.parent() {
            base::file::create_dir(parent, 0o755)?;
        }
        let bytes = serde_json::to_vec_pretty(self).map_err(|_| StoreError::Record { path: path.clone() })?;
        Ok(base::file::write_atomic(&path, &bytes, 0o644)?)
    }

    fn is_ours(&self, below: &Path, content: &[u8]) -> bool {
        self.files.iter().any(|entry| entry.path == below && entry.sha256 == sha256(content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus_certificate::{Key, Spec};

    /// A root of its own, with the folders that update-ca-certificates wants.
    fn place(root: &Path) -> Place {
        for below in ["etc/ssl/certs", "usr/share/ca-certificates", "usr/local/share/ca-certificates"] {
            base::file::create_dir(&root.join(below), 0o755).unwrap();
        }
        base::file::write_atomic(&root.join("etc/ca-certificates.conf"), b"", 0o644).unwrap();
        Place { root: root.into(), registry: Some("registry.acme.internal:5000".into()) }
    }

    fn made(dir: &Path) -> (Certificate, Certificate) {
        let ring = [Key::curve(), Key::curve()];
        let root = Spec::root("Acme Root", 0);
        let leaf = Spec::server(&root, "git.acme.internal", 1);
        let read = |spec: &Spec| Certificate::parse(&spec.der(&ring, 1_795_000_000, dir)).unwrap();
        (read(&root), read(&leaf))
    }

    fn writes(changes: &[Change]) -> Vec<Change> {
        changes.iter().filter(|change| **change != Change::Refresh).cloned().collect()
    }

    #[test]
    fn what_is_trusted_is_found_by_docker_and_the_host_and_can_be_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let place = place(dir.path());
        let (root, leaf) = made(dir.path());
        let changes = plan(&[root.clone(), leaf.clone()], &place).unwrap();
        assert_eq!(changes.len(), 3);
        let files = writes(&changes);
        apply(&files, &place).unwrap();
        let docker = dir.path().join("etc/docker/certs.d/registry.acme.internal:5000/ca.crt");
        assert_eq!(std::fs::read_to_string(&docker).unwrap(), pem::block("CERTIFICATE", &root.der));
        assert_eq!(plan(&[root, leaf], &place).unwrap(), []);
        let back = plan_undo(&place).unwrap();
        assert_eq!(writes(&back).len(), 2);
        apply(&writes(&back), &place).unwrap();
        assert!(!docker.exists() && plan_undo(&place).unwrap().is_empty());
    }

    #[test]
    fn a_file_of_others_is_neither_written_over_nor_taken_out() {
        let dir = tempfile::tempdir().unwrap();
        let place = place(dir.path());
        let (root, leaf) = made(dir.path());
        assert!(matches!(plan(&[leaf], &place), Err(StoreError::NoAuthority)));
        let changes = plan(std::slice::from_ref(&root), &place).unwrap();
        apply(&writes(&changes), &place).unwrap();
        let docker = dir.path().join("etc/docker/certs.d/registry.acme.internal:5000/ca.crt");
        base::file::write_atomic(&docker, b"mine", 0o644).unwrap();
        assert!(matches!(plan(&[root], &place), Err(StoreError::Foreign { .. })));
        assert!(plan_undo(&place).unwrap().contains(&Change::Keep { path: docker.clone() }));
        apply(&writes(&plan_undo(&place).unwrap()), &place).unwrap();
        assert_eq!(std::fs::read(&docker).unwrap(), b"mine");
    }

    #[test]
    fn a_registry_is_a_host_and_never_a_way_up() {
        for wrong in ["../..", "a/b", "a:b", "", "a:99999", "https://a"] {
            assert!(folder(wrong).is_err(), "{wrong}");
        }
        assert_eq!(folder("registry.acme.internal").unwrap(), "registry.acme.internal");
    }
}

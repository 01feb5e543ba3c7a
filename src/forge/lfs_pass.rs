//! The pass that `git-lfs-authenticate` gives over SSH: a short-lived secret with which Git LFS comes over HTTP, for one
//! repository and one direction. It opens nothing that the key which asked for it does not open at that moment.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use base::Secret;
use base::clock::Timestamp;

use crate::access::{Credential, Who};
use crate::{Actor, Error, Forge, Origin, RepoRead};

/// How long a pass holds, in seconds.
pub const LFS_PASS_SECONDS: i64 = 30 * 60;

/// What the sealed text begins with, so that nothing else that this key has sealed is taken for a pass.
const PURPOSE: &str = "gitgrit lfs pass 2";
/// Readers that are remembered.
const READERS: usize = 10_000;
/// Seconds between two records of the same reader.
const BETWEEN: i64 = 60 * 60;

/// The direction of a transfer of large files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LfsOperation {
    /// To the client.
    Download,
    /// To the site; also all that changes locks.
    Upload,
}

impl LfsOperation {
    /// The word that clients use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Download => "download",
            Self::Upload => "upload",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Download, Self::Upload].into_iter().find(|operation| operation.as_str() == text)
    }
}

/// Who asks for large files: an actor, perhaps held to what a pass was given for.
#[derive(Clone, Debug)]
pub struct LfsCaller {
    pub(crate) actor: Actor,
    bound: Option<(i64, LfsOperation)>,
}

impl From<Actor> for LfsCaller {
    fn from(actor: Actor) -> Self {
        Self { actor, bound: None }
    }
}

impl LfsCaller {
    /// The same caller, as its actor is now.
    pub(crate) const fn as_of_now(&self, actor: Actor) -> Self {
        Self { actor, bound: self.bound }
    }

    /// Says whether it may be about this repository at all.
    pub(crate) fn is_for(&self, repo_id: i64) -> bool {
        self.bound.is_none_or(|(bound, _)| bound == repo_id)
    }

    pub(crate) fn may_upload(&self) -> bool {
        self.bound.is_none_or(|(_, operation)| operation == LfsOperation::Upload)
    }

    /// The actor, for what is asked of them by name.
    pub const fn actor(&self) -> &Actor {
        &self.actor
    }
}

impl Forge {
    /// Permission for the operation, and a pass for it. `actor` must have come with an SSH key, a deploy key or a
    /// certificate; else `Denied`.
    pub async fn lfs_pass(
        &self,
        actor: &Actor,
        path: &base::name::RepoPath,
        operation: LfsOperation,
    ) -> Result<Secret<String>, Error> {
        let repo = self.repo(actor, path).await?;
        let repo_id = repo.id;
        if operation == LfsOperation::Upload {
            repo.for_write()?;
        }
        let came = Came::of(actor).ok_or_else(|| Error::Denied { action: "get a pass without an SSH key".into() })?;
        let ends = self.now().plus_seconds(LFS_PASS_SECONDS).0;
        let text = format!("{PURPOSE}\n{}\n{repo_id}\n{ends}\n{came}", operation.as_str());
        Ok(Secret::new(self.0.key.encrypt(text.as_bytes(), self.now())?))
    }

    /// Who comes with a pass. `SignInRefused` when it is none, has ended, or its key or certificate opens nothing any more.
    pub async fn by_lfs_pass(
        &self,
        pass: &Secret<String>,
        origin: impl Into<Origin> + Send,
    ) -> Result<LfsCaller, Error> {
        let plain = self.0.key.decrypt(pass.expose()).map_err(|_| Error::SignInRefused)?;
        let plain = String::from_utf8(plain).map_err(|_| Error::SignInRefused)?;
        let (bound, ends, came) = read(&plain).ok_or(Error::SignInRefused)?;
        if self.now() >= ends {
            return Err(Error::SignInRefused);
        }
        let actor = match came {
            Came::Key(fingerprint) => self.by_ssh_key(fingerprint).await?,
            Came::Certificate { authority, ends, user_id } => {
                self.by_certificate_again(authority, ends, user_id).await?
            }
        };
        let actor = actor.ok_or(Error::SignInRefused)?;
        Ok(LfsCaller { actor: actor.coming_from(origin), bound: Some(bound) })
    }

    /// The address that Git LFS talks to for this repository.
    pub fn lfs_url(&self, repo: &RepoRead) -> String {
        format!("{}/{}.git/info/lfs", self.settings().site_url, repo.summary.path)
    }
}

/// What let somebody in over SSH, as a pass holds it.
#[derive(Debug, PartialEq, Eq)]
enum Came<'a> {
    /// A user's key or a deploy key.
    Key(&'a str),
    /// A certificate.
    Certificate { authority: &'a str, ends: u64, user_id: i64 },
}

impl<'a> Came<'a> {
    fn of(actor: &'a Actor) -> Option<Self> {
        match actor {
            Actor::Anonymous => None,
            Actor::DeployKey(key) => Some(Self::Key(&key.fingerprint)),
            Actor::User(user) => match &user.credential {
                Credential::Key(fingerprint) => Some(Self::Key(fingerprint)),
                Credential::Certificate { authority, ends } => {
                    Some(Self::Certificate { authority, ends: *ends, user_id: user.id })
                }
                Credential::Password(_) | Credential::Session(_) | Credential::Token(_) => None,
            },
        }
    }
}

impl fmt::Display for Came<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(fingerprint) => write!(out, "key\n{fingerprint}"),
            Self::Certificate { authority, ends, user_id } => {
                write!(out, "certificate\n{authority}\n{ends}\n{user_id}")
            }
        }
    }
}

fn read(plain: &str) -> Option<((i64, LfsOperation), Timestamp, Came<'_>)> {
    let mut lines = plain.split('\n');
    let mut next = || lines.next();
    if next()? != PURPOSE {
        return None;
    }
    let operation = LfsOperation::parse(next()?)?;
    let repo_id = next()?.parse().ok()?;
    let ends = Timestamp(next()?.parse().ok()?);
    let came = match next()? {
        "key" => Came::Key(next()?),
        "certificate" => {
            Came::Certificate { authority: next()?, ends: next()?.parse().ok()?, user_id: next()?.parse().ok()? }
        }
        _ => return None,
    };
    next().is_none().then_some(((repo_id, operation), ends, came))
}

/// Who read files of a repository lately, large ones or others. Forgets the oldest when there are many: then one is told of again.
#[derive(Debug, Default)]
pub(crate) struct LfsReaders {
    told: Mutex<HashMap<Reader, Timestamp>>,
}

/// Repository, way, who (a user's name or a key's fingerprint), address.
type Reader = (i64, &'static str, Option<String>, Option<IpAddr>);

impl LfsReaders {
    /// Says whether this reader is to be told of now.
    pub(crate) fn is_first(&self, repo_id: i64, way: &'static str, who: &Who, now: Timestamp) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= READERS {
            told.retain(|_, at| now < at.plus_seconds(BETWEEN));
        }
        if told.len() >= READERS {
            told.clear();
        }
        let reader = (repo_id, way, who.name.clone(), who.origin.address);
        let is_first = told.get(&reader).is_none_or(|at| now >= at.plus_seconds(BETWEEN));
        if is_first {
            told.insert(reader, now);
        }
        is_first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_pass_is_read() {
        let certified = Came::Certificate { authority: "SHA256:a", ends: 5, user_id: 3 };
        let by_certificate = format!("{PURPOSE}\ndownload\n7\n99\n{certified}");
        assert_eq!(read(&by_certificate), Some(((7, LfsOperation::Download), Timestamp(99), certified)));
        let whole = format!("{PURPOSE}\nupload\n7\n99\n{}", Came::Key("SHA256:x"));
        assert_eq!(read(&whole), Some(((7, LfsOperation::Upload), Timestamp(99), Came::Key("SHA256:x"))));
        for broken in [
            "gitgrit",
            "",
            &whole.replace("upload", "up"),
            &whole.replace('7', "seven"),
            &format!("{whole}\nmore"),
            &whole.replace("\nSHA256:x", ""),
            &whole.replace("pass 2", "pass 1"),
            &whole.replace("key", "certificate"),
            &by_certificate.replace("\n5", "\n-5"),
        ] {
            assert_eq!(read(broken), None, "{broken}");
        }
    }

    #[test]
    fn a_reader_is_told_of_once_an_hour() {
        let readers = LfsReaders::default();
        let (who, other) = (Who::default(), Who { name: Some("alice".into()), ..Who::default() });
        let at = Timestamp(0);
        let is_first = |id, way, who, at| readers.is_first(id, way, who, at);
        assert!(is_first(1, "lfs", &who, at) && is_first(1, "lfs", &other, at) && is_first(2, "lfs", &who, at));
        assert!(is_first(1, "file", &who, at));
        assert!(!is_first(1, "lfs", &who, at.plus_seconds(3599)));
        assert!(is_first(1, "lfs", &who, at.plus_seconds(3600)));
    }
}

//! Who signed a commit or a tag: an SSH signature by a key of an account of this site, or nobody that counts. OpenPGP is not
//! checked, and never passed off as if it were.

use std::collections::HashMap;

use base::name::{Oid, OwnerName};
use git::receive::{Signable, Signed};
use store::ssh_keys;
use vault::ssh_signature::{self, SshSignatureError};

use crate::site::on_thread;
use crate::{Error, Forge, RepoRead};

/// The purpose that Git signs for.
const NAMESPACE: &str = "git";

/// What is known of a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signature {
    /// It holds, and the key belongs to an account that may sign in.
    Verified {
        /// The account.
        signer: OwnerName,
        /// The key.
        fingerprint: String,
    },
    /// There is none.
    Absent,
    /// It holds, but nobody who may sign in has that key.
    UnknownKey {
        /// The key.
        fingerprint: String,
    },
    /// It does not hold.
    Wrong,
    /// It is one of a kind that this site does not check, such as OpenPGP.
    Unsupported,
}

impl Signature {
    /// What is missing, as in "commit 12ab … this"; `None` when nothing is.
    pub(crate) fn missing(&self) -> Option<String> {
        Some(match self {
            Self::Verified { .. } => return None,
            Self::Absent => "is not signed; sign it with an SSH key of your account (git commit --amend -S)".into(),
            Self::UnknownKey { fingerprint } => format!("is signed with {fingerprint}, a key of no account here"),
            Self::Wrong => "carries a signature that does not hold".into(),
            Self::Unsupported => "is signed in a way that this site does not check; sign it with an SSH key".into(),
        })
    }
}

impl Forge {
    /// Who signed a commit or annotated tag of the repository.
    pub async fn signature(&self, repo: &RepoRead, id: &Oid) -> Result<Signature, Error> {
        let signable = self.0.repositories.repo(repo.id)?.signable(id).await?;
        Ok(self.signatures(vec![signable]).await?.into_iter().next().unwrap_or(Signature::Absent))
    }

    /// What is known of the signatures of each, in their order.
    pub(crate) async fn signatures(&self, all: Vec<Signable>) -> Result<Vec<Signature>, Error> {
        let checked: Vec<_> = on_thread(move || all.into_iter().map(checked).collect()).await;
        let database = self.0.store.read();
        let mut owners: HashMap<String, Option<OwnerName>> = HashMap::new();
        let mut found: Vec<Signature> = Vec::with_capacity(checked.len());
        for one in checked {
            let Checked::By(fingerprint) = one else {
                found.push(one.into());
                continue;
            };
            let owner = if let Some(owner) = owners.get(&fingerprint) {
                owner.clone()
            } else {
                let owner = ssh_keys::owner(&database, &fingerprint).await?.filter(|owner| owner.is_active);
                owner.map(|owner| OwnerName::parse(&owner.user_name)).transpose()?
            };
            owners.insert(fingerprint.clone(), owner.clone());
            found.push(match owner {
                Some(signer) => Signature::Verified { signer, fingerprint },
                None => Signature::UnknownKey { fingerprint },
            });
        }
        Ok(found)
    }
}

/// What can be said without knowing any account.
enum Checked {
    /// It holds, by the key of this fingerprint.
    By(String),
    Absent,
    Wrong,
    Unsupported,
}

impl From<Checked> for Signature {
    fn from(checked: Checked) -> Self {
        match checked {
            Checked::By(fingerprint) => Self::UnknownKey { fingerprint },
            Checked::Absent => Self::Absent,
            Checked::Wrong => Self::Wrong,
            Checked::Unsupported => Self::Unsupported,
        }
    }
}

fn checked(signable: Signable) -> Checked {
    let Signed { message, signature } = match signable {
        Signable::Signed(signed) => signed,
        Signable::Bare => return Checked::Absent,
        Signable::Odd => return Checked::Unsupported,
    };
    if !signature.trim_start().starts_with(ssh_signature::BEGIN) {
        return Checked::Unsupported;
    }
    match ssh_signature::verify(&signature, NAMESPACE, &message) {
        Ok(key) => Checked::By(key.fingerprint),
        Err(SshSignatureError::Algorithm) => Checked::Unsupported,
        Err(_) => Checked::Wrong,
    }
}

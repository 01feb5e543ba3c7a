//! A user and a repository for the length of one smoke test. Neither is ever listed, and nobody can sign in as that
//! user with a password.

use base::Secret;
use base::file::Lock;
use base::name::{OwnerName, RepoName, RepoPath};
use store::ssh_keys::NewSshKeyRecord;
use store::tokens::NewTokenRecord;
use store::users::{NewUserRecord, OwnerKind};
use store::{loose_directories, repos, ssh_keys, tokens, users};
use vault::ssh_key::PublicKey;

use crate::access::{Origin, Who};
use crate::events::{Happened, record};
use crate::site::beside;
use crate::tokens::{fresh_secret, token_hash};
use crate::{Error, Forge, Visibility, settle};

/// Seconds that a probe's token holds.
const LIFE: i64 = 10 * 60;

/// What a smoke test works with. End it with [`Forge::end_probe`]; what a crash leaves is removed by the next one.
pub struct Probe {
    /// Its user's name.
    pub user: OwnerName,
    /// Its private, empty repository.
    pub repo: RepoPath,
    /// Reads and pushes, for ten minutes.
    pub token: Secret<String>,
    _running: Lock,
}

impl Forge {
    /// Makes a probe whose user also owns the SSH key. For the host's own shell. Fails with `File` while another smoke
    /// test runs, and with `Field` when the key does not parse.
    pub async fn begin_probe(&self, ssh_public_key_line: &str) -> Result<Probe, Error> {
        let running = Lock::take(&beside(&self.0.database, "probe.lock")).map_err(Error::File)?;
        let key = PublicKey::parse(ssh_public_key_line)
            .map_err(|error| Error::Field { field: "key", problem: format!("was not taken: {error}") })?;
        self.remove_probes().await?;

        let now = self.now();
        let user = OwnerName::parse(&format!("probe-{}", vault::random::text(16).expose()))?;
        let token = fresh_secret();
        let tx = self.0.store.begin().await?;
        let new = NewUserRecord {
            kind: OwnerKind::Service,
            name: user.as_str(),
            name_key: &user.key(),
            full_name: "",
            password_hash: None,
            is_admin: false,
            created: now,
        };
        let user_id = users::insert(&tx, &new).await?;
        let new = NewSshKeyRecord {
            user_id,
            title: "probe",
            kind: key.kind.name(),
            fingerprint: &key.fingerprint,
            line: &key.line,
            created: now,
        };
        ssh_keys::insert(&tx, &new).await?;
        let new = NewTokenRecord {
            user_id,
            name: "probe",
            token_hash: &token_hash(&token),
            scopes: "write:repository",
            is_limited: false,
            created: now,
            expires: Some(now.plus_seconds(LIFE)),
        };
        tokens::insert(&tx, &new).await?;
        tx.commit().await?;
        let who = Who { id: Some(user_id), name: Some(user.to_string()), origin: Origin::default() };
        let repo = RepoPath { owner: user.clone(), name: RepoName::parse("probe")? };
        self.make_repo(&who, user_id, repo.clone(), (String::new(), Visibility::Private)).await?;
        Ok(Probe { user, repo, token, _running: running })
    }

    /// Removes the probe's user, repository, key and token.
    pub async fn end_probe(&self, probe: Probe) -> Result<(), Error> {
        let removed = self.remove_probes().await;
        drop(probe);
        removed
    }

    /// Removes every service account: as the caller holds the lock, none of them is in use.
    async fn remove_probes(&self) -> Result<(), Error> {
        for owner in users::service_accounts(&self.0.store.read()).await? {
            let tx = self.0.store.begin().await?;
            let directories = repos::ids_of_owner(&tx, owner).await?;
            for id in &directories {
                let path = repos::path(&tx, *id).await?.unwrap_or_default();
                record(&tx, self.now(), &Who::default(), Happened::RepoRemoved { id: *id, path: &path }).await?;
                repos::remove(&tx, *id).await?;
                loose_directories::put(&tx, *id).await?;
            }
            users::remove(&tx, owner).await?;
            tx.commit().await?;
            for id in directories {
                settle::remove_directory(&self.0.store, &self.0.repositories, id).await?;
            }
        }
        Ok(())
    }
}

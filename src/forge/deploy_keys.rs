//! SSH keys of machines, bound to repositories: they clone, and push when told so, with no user behind them. A key that
//! is a user's is no deploy key, and the other way round; one key may be the deploy key of several repositories.

use store::deploy_keys::{self, DeployKeyRecord, NewDeployKeyRecord};
use store::ssh_keys;

use crate::events::{Happened, record};
use crate::keys::{in_use, parsed};
use crate::{DeployKeyView, Error, Forge, RepoAdmin, RepoRead};

/// Deploy keys of one repository.
const MOST: usize = 100;

impl Forge {
    /// A repository's deploy keys, newest first.
    pub async fn deploy_keys(&self, repo: &RepoAdmin) -> Result<Vec<DeployKeyView>, Error> {
        Ok(deploy_keys::of_repo(&self.0.store.read(), repo.0.id).await?.into_iter().map(view).collect())
    }

    /// Binds a key in OpenSSH's one-line form to a repository. An empty title becomes the key's comment. Fails with
    /// `Field`, also when the key is a user's, or bound to this repository already.
    pub async fn add_deploy_key(
        &self,
        repo: &RepoAdmin,
        title: &str,
        line: &str,
        can_write: bool,
    ) -> Result<DeployKeyView, Error> {
        let RepoRead { id, summary, .. } = &repo.0;
        let key = parsed(line)?;
        let title = if title.trim().is_empty() { &key.comment } else { title };
        let title = crate::users::one_line("title", title, 1, 100)?;
        let tx = self.0.store.begin().await?;
        if deploy_keys::of_repo(&tx, *id).await?.len() >= MOST {
            return Err(Error::Field { field: "key", problem: format!("is one too many; {MOST} is the most") });
        }
        if ssh_keys::owner(&tx, &key.fingerprint).await?.is_some() {
            return Err(in_use(&key));
        }
        let new = NewDeployKeyRecord {
            repo_id: *id,
            title: &title,
            kind: key.kind.name(),
            fingerprint: &key.fingerprint,
            line: &key.line,
            can_write,
            created: self.now(),
        };
        let stored = deploy_keys::insert(&tx, &new)
            .await
            .map_err(|error| if error.is_unique("deploy_keys.fingerprint") { in_use(&key) } else { error.into() })?;
        let path = summary.path.to_string();
        let event = Happened::Noted {
            kind: "deploy_key.added",
            repo: Some((*id, path.as_str())),
            subject: &key.fingerprint,
            old: None,
            new: Some(if can_write { "write" } else { "read" }),
        };
        record(&tx, self.now(), repo.0.who()?, event).await?;
        tx.commit().await?;
        Ok(view(stored))
    }

    /// Takes a deploy key from a repository. `NotFound` when it has no such key.
    pub async fn remove_deploy_key(&self, repo: &RepoAdmin, key_id: i64) -> Result<(), Error> {
        let RepoRead { id, summary, .. } = &repo.0;
        let tx = self.0.store.begin().await?;
        let fingerprint = deploy_keys::remove(&tx, *id, key_id).await?.ok_or(Error::NotFound)?;
        let path = summary.path.to_string();
        let event = Happened::Noted {
            kind: "deploy_key.removed",
            repo: Some((*id, path.as_str())),
            subject: &fingerprint,
            old: None,
            new: None,
        };
        record(&tx, self.now(), repo.0.who()?, event).await?;
        Ok(tx.commit().await?)
    }
}

fn view(key: DeployKeyRecord) -> DeployKeyView {
    let DeployKeyRecord { id, title, kind, fingerprint, line, can_write, created, used } = key;
    DeployKeyView { id, title, fingerprint, kind, line, can_write, created, used }
}

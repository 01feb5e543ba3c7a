//! SSH keys of users. A key that belongs to somebody already is refused without saying to whom.

use base::Hint;
use base::name::shown;
use store::deploy_keys;
use store::ssh_keys::{self, NewSshKeyRecord, SshKeyRecord};
use vault::ssh_key::PublicKey;

use crate::events::{Happened, record};
use crate::{Actor, Error, Forge, Need, SshKeyView};

/// Keys of one user.
const MOST: usize = 100;

impl Forge {
    /// The actor's keys, newest first.
    pub async fn ssh_keys(&self, actor: &Actor) -> Result<Vec<SshKeyView>, Error> {
        let user = actor.needs(Need::ReadUser, "see keys")?;
        Ok(ssh_keys::of_user(&self.0.store.read(), user.id).await?.into_iter().map(view).collect())
    }

    /// Adds a key in OpenSSH's one-line form (ed25519, ECDSA, RSA of 2,048 bits or more). An empty title becomes the
    /// key's comment. Fails with `ProofNeeded`, and with `Field`, also when the key belongs to somebody already.
    pub async fn add_ssh_key(&self, actor: &Actor, title: &str, line: &str) -> Result<SshKeyView, Error> {
        // A key pushes for ever: a token that may not push shall not make itself one.
        let user = actor.needs(Need::WriteUser, "add keys")?;
        actor.needs(Need::WriteRepository, "add keys, which can push,")?;
        self.proved_if_session(user).await?;
        let key = parsed(line)?;
        let title = if title.trim().is_empty() { &key.comment } else { title };
        let title = crate::users::one_line("title", title, 1, 100)?;
        let tx = self.0.store.begin().await?;
        if ssh_keys::of_user(&tx, user.id).await?.len() >= MOST {
            return Err(Error::Field { field: "key", problem: format!("is one too many; {MOST} is the most") });
        }
        if deploy_keys::find(&tx, &key.fingerprint).await?.is_some() {
            return Err(in_use(&key));
        }
        let new = NewSshKeyRecord {
            user_id: user.id,
            title: &title,
            kind: key.kind.name(),
            fingerprint: &key.fingerprint,
            line: &key.line,
            created: self.now(),
        };
        let stored = ssh_keys::insert(&tx, &new)
            .await
            .map_err(|error| if error.is_unique("ssh_keys.fingerprint") { in_use(&key) } else { error.into() })?;
        record(&tx, self.now(), &user.who(), Happened::KeyAdded { fingerprint: &key.fingerprint }).await?;
        tx.commit().await?;
        Ok(view(stored))
    }

    /// Removes one of the actor's keys.
    pub async fn remove_ssh_key(&self, actor: &Actor, id: i64) -> Result<(), Error> {
        let user = actor.needs(Need::WriteUser, "remove keys")?;
        let tx = self.0.store.begin().await?;
        let fingerprint = ssh_keys::remove(&tx, user.id, id).await?.ok_or(Error::NotFound)?;
        record(&tx, self.now(), &user.who(), Happened::KeyRemoved { fingerprint: &fingerprint }).await?;
        Ok(tx.commit().await?)
    }
}

/// A key in OpenSSH's one-line form, as a form's field `key`.
pub(crate) fn parsed(line: &str) -> Result<PublicKey, Error> {
    PublicKey::parse(line).map_err(|error| {
        let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
        Error::Field { field: "key", problem: format!("was not taken: {error}{hint}") }
    })
}

/// The refusal of a key that somebody or something has already, without saying who.
pub(crate) fn in_use(key: &PublicKey) -> Error {
    Error::Field { field: "key", problem: format!("{} is in use already", shown(&key.fingerprint)) }
}

pub(crate) fn view(key: SshKeyRecord) -> SshKeyView {
    let SshKeyRecord { id, title, kind, fingerprint, created, used } = key;
    SshKeyView { id, title, fingerprint, kind, created, used }
}

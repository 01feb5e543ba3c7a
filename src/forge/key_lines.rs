//! SSH keys with the lines that other programs put into their own lists of keys. A public key opens nothing by itself.

use base::name::OwnerName;
use store::ssh_keys;

use crate::{Actor, Error, Forge, SshKeyView};

/// A key and its line.
#[derive(Clone, Debug)]
pub struct SshKeyLine {
    /// The key.
    pub view: SshKeyView,
    /// OpenSSH's one-line form, without the comment.
    pub line: String,
}

impl Forge {
    /// The actor's keys, newest first.
    pub async fn ssh_key_lines(&self, actor: &Actor) -> Result<Vec<SshKeyLine>, Error> {
        let views = self.ssh_keys(actor).await?;
        let id = actor.user().ok_or(Error::SignInNeeded)?.id;
        self.with_lines(id, views).await
    }

    /// One of the actor's keys.
    pub async fn ssh_key_line(&self, actor: &Actor, id: i64) -> Result<SshKeyLine, Error> {
        let keys = self.ssh_key_lines(actor).await?;
        keys.into_iter().find(|key| key.view.id == id).ok_or(Error::NotFound)
    }

    /// The keys of an account, for who is signed in.
    pub async fn ssh_key_lines_of(&self, actor: &Actor, name: &OwnerName) -> Result<Vec<SshKeyLine>, Error> {
        let account = self.account(actor, name).await?;
        let views = ssh_keys::of_user(&self.0.store.read(), account.id).await?;
        self.with_lines(account.id, views.into_iter().map(crate::keys::view).collect()).await
    }

    async fn with_lines(&self, user_id: i64, views: Vec<SshKeyView>) -> Result<Vec<SshKeyLine>, Error> {
        let mut lines = ssh_keys::lines_of_user(&self.0.store.read(), user_id).await?;
        let line = |view: SshKeyView| {
            let at = lines.iter().position(|(id, _)| *id == view.id)?;
            Some(SshKeyLine { view, line: lines.swap_remove(at).1 })
        };
        Ok(views.into_iter().filter_map(line).collect())
    }
}

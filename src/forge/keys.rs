//! SSH keys of users.

use crate::{Actor, Error, Forge, SshKeyView};

impl Forge {
    /// The actor's keys, newest first.
    pub async fn ssh_keys(&self, actor: &Actor) -> Result<Vec<SshKeyView>, Error> {
        let _ = actor;
        todo!("skeleton")
    }

    /// Adds a key in OpenSSH's one-line form (ed25519, ECDSA, RSA of 2,048 bits or more). Fails with `Field`, also when the
    /// key belongs to somebody already.
    pub async fn add_ssh_key(&self, actor: &Actor, title: &str, line: &str) -> Result<SshKeyView, Error> {
        let _ = (actor, title, line);
        todo!("skeleton")
    }

    /// Removes one of the actor's keys.
    pub async fn remove_ssh_key(&self, actor: &Actor, id: i64) -> Result<(), Error> {
        let _ = (actor, id);
        todo!("skeleton")
    }
}

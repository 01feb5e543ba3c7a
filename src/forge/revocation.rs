//! All that opens an account besides its password, and the end of it: for who fears that somebody else planted some of
//! it. Each token and key that goes is a record of its own.

use base::name::OwnerName;
use store::users;
use store::{Tx, ssh_keys, tokens};

use crate::access::Who;
use crate::events::{Happened, record};
use crate::{Actor, Error, Forge};

/// What opens an account besides its password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Openers {
    /// Access tokens, ended ones among them.
    pub tokens: usize,
    /// SSH keys.
    pub keys: usize,
}

impl Forge {
    /// What opens the actor's account besides its password.
    pub async fn openers(&self, actor: &Actor) -> Result<Openers, Error> {
        let (id, database) = (actor.in_full("see tokens and keys")?.id, self.0.store.read());
        let tokens = tokens::of_user(&database, id).await?.len();
        Ok(Openers { tokens, keys: ssh_keys::of_user(&database, id).await?.len() })
    }

    /// Ends all of the actor's tokens and removes all SSH keys; gives how many there were.
    pub async fn revoke_openers(&self, actor: &Actor) -> Result<Openers, Error> {
        let user = actor.in_full("revoke tokens and keys")?;
        let tx = self.0.store.begin().await?;
        let gone = self.revoke_all(&tx, user.id, &user.who()).await?;
        tx.commit().await?;
        Ok(gone)
    }

    /// The same for the account of this name, from the host's own shell. `NotFound` when there is none.
    pub async fn revoke_openers_from_shell(&self, name: &str) -> Result<Openers, Error> {
        let key = OwnerName::parse(name)?.key();
        let tx = self.0.store.begin().await?;
        let user = users::by_key(&tx, &key).await?.ok_or(Error::NotFound)?;
        let gone = self.revoke_all(&tx, user.id, &Who::default()).await?;
        tx.commit().await?;
        Ok(gone)
    }

    async fn revoke_all(&self, tx: &Tx, user_id: i64, by: &Who) -> Result<Openers, Error> {
        let mut gone = Openers::default();
        for token in tokens::of_user(tx, user_id).await? {
            tokens::remove(tx, user_id, token.id).await?;
            record(tx, self.now(), by, Happened::TokenRevoked { name: &token.name }).await?;
            gone.tokens += 1;
        }
        for key in ssh_keys::of_user(tx, user_id).await? {
            ssh_keys::remove(tx, user_id, key.id).await?;
            record(tx, self.now(), by, Happened::KeyRemoved { fingerprint: &key.fingerprint }).await?;
            gone.keys += 1;
        }
        Ok(gone)
    }
}

//! Access tokens for Git clients and the API.

use base::Secret;

use crate::{Actor, Error, Forge, TokenView};

/// A token to make.
#[derive(Debug)]
pub struct NewToken {
    /// 1 to 100 characters.
    pub name: String,
    /// Says whether it may push.
    pub can_write: bool,
    /// Days until it ends (1–3650); never, when `None`.
    pub days: Option<u32>,
}

impl Forge {
    /// The actor's tokens, newest first.
    pub async fn tokens(&self, actor: &Actor) -> Result<Vec<TokenView>, Error> {
        let _ = actor;
        todo!("skeleton")
    }

    /// Makes a token; its secret (`ggt_` and 43 characters) is told this once.
    pub async fn create_token(&self, actor: &Actor, new: NewToken) -> Result<(TokenView, Secret<String>), Error> {
        let _ = (actor, new);
        todo!("skeleton")
    }

    /// Ends one of the actor's tokens.
    pub async fn revoke_token(&self, actor: &Actor, id: i64) -> Result<(), Error> {
        let _ = (actor, id);
        todo!("skeleton")
    }
}

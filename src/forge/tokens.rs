//! Access tokens for Git clients. The secret is told once, and only its hash is kept.

use base::Secret;
use store::tokens::{self, NewTokenRecord, TokenRecord};

use crate::events::{Happened, record};
use crate::{Actor, Error, Forge, TokenView};

/// What every token's secret begins with, so that scanners know one when they see it.
pub(crate) const TOKEN_PREFIX: &str = "ggt_";
const DAY: i64 = 24 * 60 * 60;
/// Tokens of one user.
const MOST: usize = 200;

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
        let user = actor.in_full("see tokens")?;
        Ok(tokens::of_user(&self.0.store.read(), user.id).await?.into_iter().map(view).collect())
    }

    /// Makes a token; its secret (`ggt_` and 43 characters) is told this once.
    pub async fn create_token(&self, actor: &Actor, new: NewToken) -> Result<(TokenView, Secret<String>), Error> {
        let user = actor.in_full("make tokens")?;
        let name = crate::users::one_line("name", &new.name, 1, 100)?;
        if new.days.is_some_and(|days| !(1..=3650).contains(&days)) {
            return Err(Error::Field { field: "days", problem: "must be from 1 to 3650".into() });
        }
        let now = self.now();
        let secret = fresh_secret();
        let tx = self.0.store.begin().await?;
        if tokens::of_user(&tx, user.id).await?.len() >= MOST {
            return Err(Error::Field {
                field: "name",
                problem: format!("names one token too many; {MOST} is the most"),
            });
        }
        let new = NewTokenRecord {
            user_id: user.id,
            name: &name,
            token_hash: &token_hash(&secret),
            can_write: new.can_write,
            created: now,
            expires: new.days.map(|days| now.plus_seconds(i64::from(days) * DAY)),
        };
        let stored = tokens::insert(&tx, &new).await?;
        record(&tx, now, &user.who(), Happened::TokenCreated { name: &name, can_write: new.can_write }).await?;
        tx.commit().await?;
        Ok((view(stored), secret))
    }

    /// Ends one of the actor's tokens.
    pub async fn revoke_token(&self, actor: &Actor, id: i64) -> Result<(), Error> {
        let user = actor.in_full("revoke tokens")?;
        let tx = self.0.store.begin().await?;
        let name = tokens::remove(&tx, user.id, id).await?.ok_or(Error::NotFound)?;
        record(&tx, self.now(), &user.who(), Happened::TokenRevoked { name: &name }).await?;
        Ok(tx.commit().await?)
    }
}

pub(crate) fn fresh_secret() -> Secret<String> {
    Secret::new(format!("{TOKEN_PREFIX}{}", vault::random::token().expose()))
}

/// A fast hash will do: the secret is 256 random bits.
pub(crate) fn token_hash(secret: &Secret<String>) -> String {
    vault::digest::sha256_hex(secret.expose().as_bytes())
}

fn view(token: TokenRecord) -> TokenView {
    let TokenRecord { id, name, can_write, created, expires, used } = token;
    TokenView { id, name, can_write, created, expires, used }
}

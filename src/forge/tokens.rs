//! Access tokens for Git clients and programs. The secret is told once, and only its hash is kept. Tokens are made and
//! seen with a session or a password, never with a token.

use base::Secret;
use base::clock::Timestamp;
use base::name::RepoPath;
use store::tokens::{self, NewTokenRecord, TokenRecord};

use crate::events::{Happened, record};
use crate::{Actor, Error, Forge, Scopes, TokenView};

/// What every token's secret begins with, so that scanners know one when they see it.
pub(crate) const TOKEN_PREFIX: &str = "ggt_";
const DAY: i64 = 24 * 60 * 60;
/// The longest time that a token may have.
const DAYS: i64 = 3650;
/// Tokens of one user.
const MOST: usize = 200;
/// Repositories of one token.
const MOST_REPOSITORIES: usize = 100;

/// A token to make.
#[derive(Debug)]
pub struct NewToken {
    /// 1 to 100 characters.
    pub name: String,
    /// What it opens; not empty.
    pub scopes: Scopes,
    /// The repositories that it is for alone, 1 to 100; all of the user's, when `None`.
    pub repositories: Option<Vec<RepoPath>>,
    /// Days until it ends (1–3650); never, when `None`.
    pub days: Option<u32>,
}

impl Forge {
    /// The actor's tokens, newest first.
    pub async fn tokens(&self, actor: &Actor) -> Result<Vec<TokenView>, Error> {
        let user = actor.with_password("see tokens")?;
        let database = self.0.store.read();
        let limits = tokens::repos(&database, user.id).await?;
        let found = tokens::of_user(&database, user.id).await?;
        let seen = self.seen_of(actor, &limits).await?;
        found.into_iter().map(|token| view(token, &limits, &seen)).collect()
    }

    /// Makes a token; its secret (`ggt_` and 43 characters) is told this once. Fails with `ProofNeeded`, and with `Field`
    /// on `name`, `days`, `scopes` and `repositories`: one that the actor may not read is unknown.
    pub async fn create_token(&self, actor: &Actor, new: NewToken) -> Result<(TokenView, Secret<String>), Error> {
        if new.days.is_some_and(|days| !(1..=DAYS).contains(&i64::from(days))) {
            return Err(field("days", format!("must be from 1 to {DAYS}")));
        }
        let expires = new.days.map(|days| self.now().plus_seconds(i64::from(days) * DAY));
        self.create_token_until(actor, new, expires).await
    }

    /// The same, for a token that ends at a moment instead of after some days. Fails with `Field` on `expires_at` when
    /// that is over, or more than ten years away.
    pub async fn create_token_until(
        &self,
        actor: &Actor,
        new: NewToken,
        expires: Option<Timestamp>,
    ) -> Result<(TokenView, Secret<String>), Error> {
        let user = actor.with_password("make tokens")?;
        self.proved_if_session(user).await?;
        let name = crate::users::one_line("name", &new.name, 1, 100)?;
        judge(&new)?;
        if expires.is_some_and(|at| at <= self.now() || at > self.now().plus_seconds(DAYS * DAY)) {
            return Err(field("expires_at", "must be in the next ten years"));
        }
        let limits = self.limits(actor, new.repositories.as_deref()).await?;
        let (now, secret, scopes) = (self.now(), fresh_secret(), new.scopes.to_string());
        let tx = self.0.store.begin().await?;
        if tokens::of_user(&tx, user.id).await?.len() >= MOST {
            return Err(Error::Field {
                field: "name",
                problem: format!("names one token too many; {MOST} is the most"),
            });
        }
        let stored = NewTokenRecord {
            user_id: user.id,
            name: &name,
            token_hash: &token_hash(&secret),
            scopes: &scopes,
            is_limited: new.repositories.is_some(),
            created: now,
            expires,
        };
        let stored = tokens::insert(&tx, &stored).await?;
        for repo_id in limits {
            tokens::limit(&tx, stored.id, repo_id).await?;
        }
        record(&tx, now, &user.who(), Happened::TokenCreated { name: &name, scopes: &scopes }).await?;
        let listed = tokens::repos(&tx, user.id).await?;
        tx.commit().await?;
        // What it was made for was seen just now.
        let seen = new.repositories.unwrap_or_default();
        Ok((view(stored, &listed, &seen)?, secret))
    }

    /// Ends one of the actor's tokens.
    pub async fn revoke_token(&self, actor: &Actor, id: i64) -> Result<(), Error> {
        let user = actor.with_password("revoke tokens")?;
        let tx = self.0.store.begin().await?;
        let name = tokens::remove(&tx, user.id, id).await?.ok_or(Error::NotFound)?;
        record(&tx, self.now(), &user.who(), Happened::TokenRevoked { name: &name }).await?;
        Ok(tx.commit().await?)
    }

    /// Those of the repositories that the actor may still know of.
    async fn seen_of(&self, actor: &Actor, limits: &[(i64, String, String)]) -> Result<Vec<RepoPath>, Error> {
        let mut paths: Vec<_> = limits.iter().map(|(_, owner, name)| (owner, name)).collect();
        paths.sort();
        paths.dedup();
        let mut seen = Vec::new();
        for (owner, name) in paths {
            let path = RepoPath::parse(owner, name)?;
            match self.repo(actor, &path).await {
                Ok(_) => seen.push(path),
                Err(Error::NotFound | Error::Denied { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(seen)
    }

    async fn limits(&self, actor: &Actor, paths: Option<&[RepoPath]>) -> Result<Vec<i64>, Error> {
        let mut ids = Vec::new();
        for path in paths.unwrap_or_default() {
            ids.push(match self.repo(actor, path).await {
                Ok(repo) => repo.id,
                Err(Error::NotFound) => return Err(field("repositories", format!("name {path}, which is not here"))),
                Err(error) => return Err(error),
            });
        }
        Ok(ids)
    }
}

fn field(field: &'static str, problem: impl Into<String>) -> Error {
    Error::Field { field, problem: problem.into() }
}

fn judge(new: &NewToken) -> Result<(), Error> {
    if new.scopes.is_empty() {
        return Err(field("scopes", "must name at least one area"));
    }
    let Some(paths) = &new.repositories else { return Ok(()) };
    if paths.is_empty() || paths.len() > MOST_REPOSITORIES {
        return Err(field("repositories", format!("must be from 1 to {MOST_REPOSITORIES}")));
    }
    if !new.scopes.is_of_repositories() {
        return Err(field("scopes", "of a token for some repositories must be about repositories and issues alone"));
    }
    Ok(())
}

pub(crate) fn fresh_secret() -> Secret<String> {
    Secret::new(format!("{TOKEN_PREFIX}{}", vault::random::token().expose()))
}

/// A fast hash will do: the secret is 256 random bits.
pub(crate) fn token_hash(secret: &Secret<String>) -> String {
    vault::digest::sha256_hex(secret.expose().as_bytes())
}

fn view(token: TokenRecord, limits: &[(i64, String, String)], seen: &[RepoPath]) -> Result<TokenView, Error> {
    let TokenRecord { id, name, scopes, is_limited, created, expires, used } = token;
    let own = limits.iter().filter(|(of, ..)| *of == id);
    let paths: Result<Vec<_>, _> = own.map(|(_, owner, name)| RepoPath::parse(owner, name)).collect();
    let is_seen = |path: &RepoPath| {
        seen.iter().any(|known| known.owner.key() == path.owner.key() && known.name.key() == path.name.key())
    };
    let (shown, hidden): (Vec<_>, Vec<_>) = paths?.into_iter().partition(is_seen);
    let hidden_repositories = hidden.len();
    let (repositories, scopes) = (is_limited.then_some(shown), Scopes::stored(&scopes));
    Ok(TokenView { id, name, scopes, repositories, hidden_repositories, created, expires, used })
}

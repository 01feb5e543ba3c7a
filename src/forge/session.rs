//! Signing in and out. Sessions are opaque random tokens; the database holds their hashes. Nothing secret is kept here,
//! and nothing tells an unknown name from a wrong password.

use base::Secret;
use base::clock::Timestamp;
use base::name::OwnerName;
use store::sessions::{NewSessionRecord, SessionRecord};
use store::tokens::TokenOwner;
use store::users::UserRecord;
use store::{Tx, deploy_keys, sessions, ssh_keys, tokens, users};

use crate::access::{Credential, DeployKey, Origin, Who};
use crate::audit_queue::{Access, Accessed};
use crate::events::{Happened, record};
use crate::second_factor::{self, SignIn};
use crate::throttle::Attempt;
use crate::tokens::{TOKEN_PREFIX, token_hash};
use crate::{Actor, Error, Forge, Scope, Scopes, User};

const DAY: i64 = 24 * 60 * 60;
/// Seconds after which a session ends, used or not.
const LONGEST: i64 = 30 * DAY;
/// Seconds after which an unused session ends.
pub(crate) const IDLE: i64 = 7 * DAY;
/// Seconds within which a further use is not written down.
const NOTED: i64 = 60;

/// A fresh session.
#[derive(Debug)]
pub struct SignedIn {
    /// Goes into the cookie and nowhere else.
    pub token: Secret<String>,
    /// When it ends at the latest.
    pub expires: Timestamp,
}

/// A session that a request came with.
#[derive(Clone, Debug)]
pub struct Session {
    /// Who it is, with [`crate::Scope::Full`].
    pub actor: Actor,
    /// What forms of this session must carry back. Follows from the token, so that it is stored nowhere.
    pub csrf: Secret<String>,
}

/// Whose session is opened, and for whom.
pub(crate) struct Opening<'a> {
    pub(crate) user: &'a UserRecord,
    pub(crate) origin: Origin,
    pub(crate) agent: &'a str,
}

impl SignedIn {
    /// What forms of this session must carry back.
    pub fn csrf(&self) -> Secret<String> {
        form_token(&self.token)
    }
}

impl Forge {
    /// Checks name and password, the first step. One answer, in one time, for an unknown name and a wrong password.
    /// `agent` is the kind of program that asks, for the owner's list of sessions.
    /// Fails with `SignInRefused` or `TooManyAttempts` (10 failures of an address or 25 of an account in 15
    /// minutes).
    pub async fn begin_sign_in(
        &self,
        name: &str,
        password: &Secret<String>,
        origin: impl Into<Origin> + Send,
        agent: &str,
    ) -> Result<SignIn, Error> {
        let origin = origin.into();
        let user = self.by_password(name, password, &origin, "password").await?;
        self.after_password(user, origin, agent).await
    }

    /// Goes on behind a right password, when it is one still: accounts and passwords change while somebody hashes.
    pub(crate) async fn after_password(&self, user: UserRecord, origin: Origin, agent: &str) -> Result<SignIn, Error> {
        let tx = self.0.store.begin().await?;
        let is_same = |now: &UserRecord| now.is_active && now.password_hash == user.password_hash;
        let user = users::by_id(&tx, user.id).await?.filter(is_same).ok_or(Error::SignInRefused)?;
        let next = if second_factor::is_set(&tx, user.id).await? {
            SignIn::Waiting(self.put_waiting(&tx, &user).await?)
        } else {
            SignIn::Done(self.open_session(&tx, Opening { user: &user, origin, agent }).await?)
        };
        tx.commit().await?;
        Ok(next)
    }

    /// Signs in where nobody can be asked for more than a password. Fails as [`Forge::begin_sign_in`] does, and with
    /// `TokenNeeded` for an account that has a second factor.
    pub async fn sign_in(
        &self,
        name: &str,
        password: &Secret<String>,
        origin: impl Into<Origin> + Send,
    ) -> Result<SignedIn, Error> {
        match self.begin_sign_in(name, password, origin, "").await? {
            SignIn::Done(signed_in) => Ok(signed_in),
            SignIn::Waiting(_) => Err(Error::TokenNeeded),
        }
    }

    /// Opens a session, the last step. Every sign-in has a token of its own.
    pub(crate) async fn open_session(&self, tx: &Tx, opening: Opening<'_>) -> Result<SignedIn, Error> {
        let Opening { user, origin, agent } = opening;
        let now = self.now();
        let ((token, hash), expires) = (fresh_token(), now.plus_seconds(LONGEST));
        let address = origin.address.map(|address| address.to_string());
        let new =
            NewSessionRecord { token_hash: &hash, user_id: user.id, now, expires, address: address.as_deref(), agent };
        sessions::remove_ended(tx, now, now.plus_seconds(-IDLE)).await?;
        sessions::insert(tx, &new).await?;
        users::set_seen(tx, user.id, now).await?;
        let who = Who { id: Some(user.id), name: Some(user.name.clone()), origin };
        record(tx, now, &who, Happened::SignedIn { name: &user.name }).await?;
        Ok(SignedIn { token, expires })
    }

    /// The session that a cookie names; `None` when it is unknown, expired, or its user is not active.
    pub async fn session(&self, token: &Secret<String>) -> Result<Option<Session>, Error> {
        let (hash, now) = (session_hash(token), self.now());
        let Some(found) = sessions::by_hash(&self.0.store.read(), &hash).await? else { return Ok(None) };
        if !is_open(&found, now) {
            return Ok(None);
        }
        if is_stale(Some(found.seen), now) {
            let (forge, hash) = (self.clone(), hash.clone());
            self.note(async move {
                let tx = forge.0.store.begin().await?;
                sessions::set_seen(&tx, &hash, now).await?;
                Ok(tx.commit().await?)
            });
        }
        let csrf = form_token(token);
        let actor = actor((found.user_id, &found.user_name, found.is_admin), Scope::Full, Credential::Session(hash))?;
        Ok(Some(Session { actor, csrf }))
    }

    /// Ends the session that the actor came with, if it was one.
    pub async fn sign_out(&self, actor: &Actor) -> Result<(), Error> {
        let Some(user) = actor.user() else { return Ok(()) };
        let Credential::Session(hash) = &user.credential else { return Ok(()) };
        let tx = self.0.store.begin().await?;
        sessions::remove(&tx, hash).await?;
        record(&tx, self.now(), &user.who(), Happened::SignedOut { name: user.name.as_str() }).await?;
        Ok(tx.commit().await?)
    }

    /// The user behind HTTP Basic credentials of a Git client or a program: a token (any user name beside it, or its own
    /// user's), or name and password. Limited as [`Forge::begin_sign_in`], but a token that holds is never held up by
    /// others' failures. The scope is the token's, or [`Scope::Password`]. Fails with `TokenNeeded` for a right password
    /// of an account that has a second factor.
    pub async fn basic(
        &self,
        name: &str,
        secret: &Secret<String>,
        origin: impl Into<Origin> + Send,
    ) -> Result<Actor, Error> {
        let origin = origin.into();
        if secret.expose().starts_with(TOKEN_PREFIX) {
            return Ok(self.by_token(secret, &origin).await?.coming_from(origin));
        }
        let found = self.by_password(name, secret, &origin, "git").await?;
        if second_factor::is_set(&self.0.store.read(), found.id).await? {
            self.tell_refused(Some(&found.name), &origin, "git");
            return Err(Error::TokenNeeded);
        }
        let credential = Credential::Password(Secret::new(found.password_hash.unwrap_or_default()));
        Ok(actor((found.id, &found.name, found.is_admin), Scope::Password, credential)?.coming_from(origin))
    }

    /// The user who owns an SSH key that proved itself, or the key alone when it is a deploy key; `None` when it is
    /// neither. `fingerprint` is `SHA256:…`.
    pub async fn by_ssh_key(&self, fingerprint: &str) -> Result<Option<Actor>, Error> {
        let now = self.now();
        let Some(found) = ssh_keys::owner(&self.0.store.read(), fingerprint).await? else {
            return self.by_deploy_key(fingerprint).await;
        };
        if !found.is_active {
            return Ok(None);
        }
        if is_stale(found.used, now) {
            let forge = self.clone();
            self.note(async move {
                let tx = forge.0.store.begin().await?;
                ssh_keys::set_used(&tx, found.key_id, now).await?;
                Ok(tx.commit().await?)
            });
        }
        let credential = Credential::Key(fingerprint.into());
        actor((found.user_id, &found.user_name, found.is_admin), Scope::Key, credential).map(Some)
    }

    async fn by_deploy_key(&self, fingerprint: &str) -> Result<Option<Actor>, Error> {
        let now = self.now();
        let Some(used) = deploy_keys::find(&self.0.store.read(), fingerprint).await? else { return Ok(None) };
        let fingerprint = fingerprint.to_owned();
        if is_stale(used, now) {
            let (forge, fingerprint) = (self.clone(), fingerprint.clone());
            self.note(async move {
                let tx = forge.0.store.begin().await?;
                deploy_keys::set_used(&tx, &fingerprint, now).await?;
                Ok(tx.commit().await?)
            });
        }
        Ok(Some(Actor::DeployKey(DeployKey { fingerprint, origin: Origin::default() })))
    }

    /// Says whether a key belongs to somebody who may sign in, or is a deploy key. For keys that are only offered: nothing is noted, and
    /// nobody is named.
    pub async fn is_ssh_key_known(&self, fingerprint: &str) -> Result<bool, Error> {
        match ssh_keys::owner(&self.0.store.read(), fingerprint).await? {
            Some(found) => Ok(found.is_active),
            None => Ok(deploy_keys::find(&self.0.store.read(), fingerprint).await?.is_some()),
        }
    }

    async fn by_token(&self, secret: &Secret<String>, origin: &Origin) -> Result<Actor, Error> {
        let (hash, now) = (token_hash(secret), self.now());
        let Some(found) = tokens::owner(&self.0.store.read(), &hash).await? else {
            self.count_failure(&Attempt { account: None, from: origin.address }).await?;
            self.tell_refused(None, origin, "token");
            return Err(Error::SignInRefused);
        };
        if !is_in_force(&found, now) {
            // Counted as an unknown one is: each refusal is a record, and there shall be no end of neither.
            self.count_failure(&Attempt { account: None, from: origin.address }).await?;
            self.tell_refused(Some(&found.user_name), origin, "token");
            return Err(Error::SignInRefused);
        }
        if is_stale(found.token.used, now) {
            let forge = self.clone();
            self.note(async move {
                let tx = forge.0.store.begin().await?;
                tokens::set_used(&tx, found.token.id, now).await?;
                Ok(tx.commit().await?)
            });
        }
        let limited = found.token.is_limited.then_some(found.token.id);
        let scope = Scope::Token { scopes: Scopes::stored(&found.token.scopes), limited };
        actor((found.user_id, &found.user_name, found.is_admin), scope, Credential::Token(hash))
    }

    /// The actor as it is now, when what it came with would still let it in, as the same account; `None` else.
    pub(crate) async fn still_holds(&self, actor: &Actor) -> Result<Option<Actor>, Error> {
        let (database, now) = (self.0.store.read(), self.now());
        let user = match actor {
            Actor::Anonymous => return Ok(None),
            Actor::User(user) => user,
            Actor::DeployKey(key) => {
                let found = deploy_keys::find(&database, &key.fingerprint).await?;
                return Ok(found.map(|_| actor.clone()));
            }
        };
        let holder = match &user.credential {
            Credential::Password(hash) => {
                let found = users::by_id(&database, user.id).await?;
                let is_same = |found: &UserRecord| found.password_hash.as_ref() == Some(hash.expose());
                let is_enough = !second_factor::is_set(&database, user.id).await?;
                found.filter(|found| is_enough && found.is_active && is_same(found)).map(|found| found.id)
            }
            Credential::Session(hash) => {
                let found = sessions::by_hash(&database, hash).await?;
                found.filter(|found| is_open(found, now)).map(|found| found.user_id)
            }
            Credential::Token(hash) => {
                let found = tokens::owner(&database, hash).await?;
                found.filter(|found| is_in_force(found, now)).map(|found| found.user_id)
            }
            Credential::Certificate { authority, ends } => {
                self.certificate_holds(user.id, authority, *ends).await?.then_some(user.id)
            }
            Credential::Key(print) => {
                let found = ssh_keys::owner(&database, print).await?;
                found.filter(|found| found.is_active).map(|found| found.user_id)
            }
        };
        if holder != Some(user.id) {
            return Ok(None);
        }
        let found = users::by_id(&database, user.id).await?.filter(|found| found.is_active);
        Ok(found.map(|found| Actor::User(User { is_admin: found.is_admin, ..user.clone() })))
    }

    pub(crate) async fn by_password(
        &self,
        name: &str,
        password: &Secret<String>,
        origin: &Origin,
        door: &'static str,
    ) -> Result<UserRecord, Error> {
        let key = OwnerName::parse(name).ok().map(|name| name.key());
        let attempt = Attempt { account: key.clone(), from: origin.address };
        self.check_throttle(&attempt).await?;
        let place = self.0.passwords.place().await?;
        self.count_failure(&attempt).await?;
        // Not before the wait for a place, in which much may change.
        let found = match &key {
            Some(key) => users::by_key(&self.0.store.read(), key).await?,
            None => None,
        };
        let stored = found.as_ref().and_then(|user| user.password_hash.clone());
        let (is_right, place) = self.0.passwords.verify(place, password, stored).await?;
        match found {
            Some(user) if is_right && user.is_active => {
                self.forgive(&attempt).await?;
                // Not before: whoever is next must not find this success among the failures.
                drop(place);
                Ok(user)
            }
            found => {
                self.tell_refused(found.as_ref().map(|user| user.name.as_str()), origin, door);
                Err(Error::SignInRefused)
            }
        }
    }

    /// Fails with `TooManyAttempts` when the account or the address has used up its failures, here or at a replica.
    pub(crate) async fn check_throttle(&self, attempt: &Attempt) -> Result<(), Error> {
        self.0.throttle.refresh(&self.0.store, attempt, self.now()).await?;
        self.0.throttle.check(attempt, self.now())
    }

    /// Counts a failure, for good before anything follows from it. Fails with `TooManyAttempts` when none is left.
    pub(crate) async fn count_failure(&self, attempt: &Attempt) -> Result<(), Error> {
        // A look first: whoever has none left shall cost no transaction.
        self.check_throttle(attempt).await?;
        self.0.throttle.count(&self.0.store, attempt, self.now()).await
    }

    /// Takes a counted failure back.
    pub(crate) async fn forgive(&self, attempt: &Attempt) -> Result<(), Error> {
        Ok(self.0.throttle.forgive(&self.0.store, attempt, self.now()).await?)
    }

    pub(crate) fn tell_refused(&self, name: Option<&str>, origin: &Origin, door: &'static str) {
        let who = Who { origin: origin.clone(), ..Who::default() };
        let what = Accessed::SignInRefused { name: name.map(Into::into), door };
        self.0.audit.put(Access { at: self.now(), who, what });
    }

    /// Writes down a use, beside the request and not in its way.
    fn note(&self, work: impl Future<Output = Result<(), Error>> + Send + 'static) {
        self.spawn(async move {
            if let Err(error) = work.await {
                tracing::warn!(error = &error as &dyn std::error::Error, "a use was not written down");
            }
        });
    }
}

/// A signed-in user: id, name, and whether it is an administrator. Fails with `Name` when what is stored is no name,
/// which cannot be.
fn actor((id, name, is_admin): (i64, &str, bool), scope: Scope, credential: Credential) -> Result<Actor, Error> {
    let origin = Origin::default();
    Ok(Actor::User(User { id, name: OwnerName::parse(name)?, is_admin, scope, credential, origin }))
}

fn is_open(found: &SessionRecord, now: Timestamp) -> bool {
    found.is_active && now < found.expires && now < found.seen.plus_seconds(IDLE)
}

fn is_in_force(found: &TokenOwner, now: Timestamp) -> bool {
    found.is_active && found.token.expires.is_none_or(|end| now < end)
}

/// A session's token and its hash.
pub(crate) fn fresh_token() -> (Secret<String>, String) {
    let token = vault::random::token();
    let hash = session_hash(&token);
    (token, hash)
}

fn form_token(token: &Secret<String>) -> Secret<String> {
    Secret::new(vault::digest::sha256_hex(format!("csrf:{}", token.expose()).as_bytes()))
}

pub(crate) fn session_hash(token: &Secret<String>) -> String {
    vault::digest::sha256_hex(format!("session:{}", token.expose()).as_bytes())
}

fn is_stale(noted: Option<Timestamp>, now: Timestamp) -> bool {
    noted.is_none_or(|noted| now >= noted.plus_seconds(NOTED))
}

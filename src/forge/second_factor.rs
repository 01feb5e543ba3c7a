//! The second factor as a whole: whether an account has one, the step between a right password and a session, and what
//! an administrator may undo. Until that step is done nobody is signed in anywhere.

use base::Secret;
use base::clock::Timestamp;
use base::name::OwnerName;
use store::ceremonies::{self, CeremonyRecord, Purpose};
use store::users::{self, UserRecord};
use store::{Query, Tx, authenticators, recovery_codes, security_keys, sessions};

use crate::access::{Credential, Origin, Who};
use crate::events::{Happened, record};
use crate::passkey::KeyAnswer;
use crate::session::Opening;
use crate::throttle::Attempt;
use crate::{Actor, Error, Forge, SignedIn, User};

/// Seconds for the second factor to come after the password.
const PATIENCE: i64 = 5 * 60;
/// Answers that one sign-in may try.
const TRIES: i64 = 5;
/// Sign-ins of one account that wait at once; with one more, the oldest is over.
const AT_ONCE: i64 = 10;
/// Seconds for which a password or a factor that was given stands for sensitive changes.
const FRESH: i64 = 10 * 60;

/// What a right password led to.
#[derive(Debug)]
pub enum SignIn {
    /// A session: the account has no second factor.
    Done(SignedIn),
    /// The second factor is to come.
    Waiting(Waiting),
}

/// A sign-in that waits for its second factor. Opens nothing.
#[derive(Debug)]
pub struct Waiting {
    /// Goes into a cookie of its own and nowhere else.
    pub token: Secret<String>,
    /// When it is over.
    pub expires: Timestamp,
}

/// What is known of a sign-in that waits.
#[derive(Debug)]
pub struct WaitingView {
    /// Says whether the account has an authenticator app.
    pub has_app: bool,
    /// What its security keys are asked; `None` when it has none.
    pub keys: Option<crate::KeyQuestion>,
    /// What the form must carry back.
    pub csrf: Secret<String>,
}

/// What somebody gives as the second factor.
pub enum SecondFactor<'a> {
    /// A code of the authenticator app, or a recovery code.
    Code(&'a Secret<String>),
    /// What a security key signed.
    Key(&'a KeyAnswer),
}

/// The second factor of the actor's own account, as its page shows it.
#[derive(Clone, Debug)]
pub struct SecondFactorView {
    /// When the authenticator app was set up; `None` without one.
    pub app: Option<Timestamp>,
    /// The security keys, the oldest first.
    pub keys: Vec<crate::SecurityKeyView>,
    /// Recovery codes that are left.
    pub codes: i64,
    /// Says whether changes are let through at once, as the password was given a moment ago.
    pub is_fresh: bool,
    /// Says whether this site's address lets browsers use security keys.
    pub can_have_keys: bool,
}

/// A user with a second factor, for administrators.
#[derive(Clone, Debug)]
pub struct HolderView {
    /// The user.
    pub name: String,
    /// Says whether it has an authenticator app.
    pub has_app: bool,
    /// How many security keys it has.
    pub keys: i64,
}

/// What adding a factor gives back: the session goes on under another token, and all others have ended.
#[derive(Debug)]
pub struct Strengthened {
    /// The session.
    pub signed_in: SignedIn,
    /// Recovery codes, when they were made just now; shown once.
    pub codes: Vec<Secret<String>>,
}

impl Forge {
    /// The sign-in that a cookie names, when it still waits.
    pub async fn waiting(&self, token: &Secret<String>) -> Result<Option<WaitingView>, Error> {
        let (database, hash) = (self.0.store.read(), waiting_hash(token));
        let found = ceremonies::under_way(&database, &hash, Purpose::SignIn, self.now(), TRIES).await?;
        let Some((user_id, challenge)) = found else { return Ok(None) };
        let app = authenticators::of_user(&database, user_id).await?;
        let keys = security_keys::of_user(&database, user_id).await?;
        let question = (!keys.is_empty()).then(|| self.key_question(challenge, &keys));
        let csrf = Secret::new(vault::digest::sha256_hex(format!("waiting csrf:{}", token.expose()).as_bytes()));
        Ok(Some(WaitingView { has_app: app.is_some_and(|app| app.is_confirmed), keys: question, csrf }))
    }

    /// Takes the second factor and opens the session. Fails with `SignInNeeded` when nothing waits under this token any
    /// more, with `SignInRefused` when the answer is wrong, and with `TooManyAttempts` as a password does.
    pub async fn finish_sign_in(
        &self,
        token: &Secret<String>,
        answer: SecondFactor<'_>,
        origin: impl Into<Origin> + Send,
        agent: &str,
    ) -> Result<SignedIn, Error> {
        let (hash, now, origin) = (waiting_hash(token), self.now(), origin.into());
        let found = ceremonies::under_way(&self.0.store.read(), &hash, Purpose::SignIn, now, TRIES).await?;
        let (user_id, _) = found.ok_or(Error::SignInNeeded)?;
        // No name of an account has a space: who knows the password gets no fresh count by giving it again.
        let attempt = Attempt { account: Some(format!("second factor of {user_id}")), from: origin.address };
        self.count_failure(&attempt).await?;
        let tx = self.0.store.begin().await?;
        // Again: two answers may have come at once.
        let found = ceremonies::under_way(&tx, &hash, Purpose::SignIn, now, TRIES).await?;
        let (user_id, challenge) = found.ok_or(Error::SignInNeeded)?;
        let user = users::by_id(&tx, user_id).await?.ok_or(Error::SignInNeeded)?;
        let is_right = match answer {
            SecondFactor::Code(code) => self.take_code(&tx, &user, &origin, code).await?,
            SecondFactor::Key(answer) => self.take_key(&tx, user_id, &challenge, answer).await?,
        };
        if !is_right {
            ceremonies::count_try(&tx, &hash).await?;
            tx.commit().await?;
            self.tell_refused(Some(&user.name), &origin, "second factor");
            return Err(Error::SignInRefused);
        }
        ceremonies::end(&tx, &hash).await?;
        let signed_in = self.open_session(&tx, Opening { user: &user, origin, agent }).await?;
        tx.commit().await?;
        self.forgive(&attempt).await?;
        Ok(signed_in)
    }

    /// The actor's own second factor.
    pub async fn second_factor(&self, actor: &Actor) -> Result<SecondFactorView, Error> {
        let user = actor.in_full("see the second factor")?;
        let database = self.0.store.read();
        let app = authenticators::of_user(&database, user.id).await?.filter(|app| app.is_confirmed);
        let keys = security_keys::of_user(&database, user.id).await?;
        Ok(SecondFactorView {
            app: app.map(|app| app.created),
            keys: keys.into_iter().map(crate::passkey::view).collect(),
            codes: recovery_codes::left(&database, user.id).await?,
            is_fresh: self.freshly_proved(actor, "see the second factor").await.is_ok(),
            can_have_keys: self.can_have_keys(),
        })
    }

    /// Takes the actor's password once more, so that sensitive changes are let through for ten minutes. The session goes
    /// on under another token. Fails with `Field` on `password`, and with `TooManyAttempts`.
    pub async fn prove(&self, actor: &Actor, password: &Secret<String>) -> Result<SignedIn, Error> {
        let user = actor.in_full("confirm")?;
        self.judge_own_password(user, password, "password").await?;
        let tx = self.0.store.begin().await?;
        let signed_in = self.renew_session(&tx, user).await?;
        let (kind, subject) = ("session.confirmed", user.name.as_str());
        record(&tx, self.now(), &user.who(), Happened::Noted { kind, repo: None, subject, old: None, new: None })
            .await?;
        tx.commit().await?;
        Ok(signed_in)
    }

    /// Everybody who has a second factor. For administrators.
    pub async fn second_factor_holders(&self, actor: &Actor) -> Result<Vec<HolderView>, Error> {
        actor.as_administrator("see second factors")?;
        let found = security_keys::holders(&self.0.store.read()).await?;
        Ok(found.into_iter().map(|(name, has_app, keys)| HolderView { name, has_app, keys }).collect())
    }

    /// Takes a user's second factor away and ends the user's sessions. For administrators, who have given their own
    /// password a moment ago.
    pub async fn reset_second_factor(&self, actor: &Actor, name: &str) -> Result<(), Error> {
        let by = actor.as_administrator("reset second factors")?.who();
        self.freshly_proved(actor, "reset second factors").await?;
        self.forget_second_factor(name, &by).await
    }

    /// The same, from the host's own shell: `NotFound` when there is no such user, or it has no second factor.
    pub async fn reset_second_factor_from_shell(&self, name: &str) -> Result<(), Error> {
        self.forget_second_factor(name, &Who::default()).await
    }

    async fn forget_second_factor(&self, name: &str, by: &Who) -> Result<(), Error> {
        let key = OwnerName::parse(name).map_err(|_| Error::NotFound)?.key();
        let tx = self.0.store.begin().await?;
        let user = users::by_key(&tx, &key).await?.ok_or(Error::NotFound)?;
        if !is_set(&tx, user.id).await? {
            return Err(Error::NotFound);
        }
        authenticators::remove(&tx, user.id).await?;
        security_keys::remove_of_user(&tx, user.id).await?;
        recovery_codes::remove(&tx, user.id).await?;
        ceremonies::end_of_user(&tx, user.id).await?;
        sessions::remove_of_user(&tx, user.id, None).await?;
        let event = Happened::SecondFactor { action: "second_factor.reset", name: &user.name, what: "all" };
        record(&tx, self.now(), by, event).await?;
        Ok(tx.commit().await?)
    }

    /// Puts a sign-in down that waits for its second factor.
    pub(crate) async fn put_waiting(&self, tx: &Tx, user: &UserRecord) -> Result<Waiting, Error> {
        let (token, now) = (vault::random::token(), self.now());
        let expires = now.plus_seconds(PATIENCE);
        ceremonies::remove_ended(tx, now).await?;
        ceremonies::keep_newest(tx, user.id, Purpose::SignIn, AT_ONCE - 1).await?;
        let new = CeremonyRecord {
            token_hash: waiting_hash(&token),
            purpose: Purpose::SignIn,
            user_id: user.id,
            challenge: vault::random::token().expose().clone(),
            ends: expires,
        };
        ceremonies::put(tx, &new).await?;
        Ok(Waiting { token, expires })
    }

    /// The user, when a password or a factor was given within the last ten minutes. Fails with `ProofNeeded` else.
    pub(crate) async fn freshly_proved<'a>(&self, actor: &'a Actor, action: &str) -> Result<&'a User, Error> {
        let user = actor.in_full(action)?;
        if !matches!(user.credential, Credential::Session(_)) {
            return Err(Error::ProofNeeded);
        }
        self.proved_if_session(user).await?;
        Ok(user)
    }

    /// Fails with `ProofNeeded` when the user came with a session in which nothing was given for ten minutes: whoever
    /// took its cookie shall plant nothing that outlives it. What programs and the host's own shell come with is proof
    /// by itself.
    pub(crate) async fn proved_if_session(&self, user: &User) -> Result<(), Error> {
        let Credential::Session(hash) = &user.credential else { return Ok(()) };
        let found = sessions::by_hash(&self.0.store.read(), hash).await?.ok_or(Error::SignInNeeded)?;
        if self.now() < found.proved.plus_seconds(FRESH) { Ok(()) } else { Err(Error::ProofNeeded) }
    }

    /// Gives the user's session another token. The caller ends the other sessions where what changed asks for it.
    pub(crate) async fn renew_session(&self, tx: &Tx, user: &User) -> Result<SignedIn, Error> {
        let Credential::Session(hash) = &user.credential else { return Err(Error::SignInNeeded) };
        let (token, fresh) = crate::session::fresh_token();
        let expires = sessions::renew(tx, hash, &fresh, self.now()).await?.ok_or(Error::SignInNeeded)?;
        Ok(SignedIn { token, expires })
    }

    /// After a change of a factor: every other session and every sign-in that waits has ended, and this session goes on
    /// under another token.
    pub(crate) async fn after_change(&self, tx: &Tx, user: &User) -> Result<SignedIn, Error> {
        let signed_in = self.renew_session(tx, user).await?;
        let kept = crate::session::session_hash(&signed_in.token);
        sessions::remove_of_user(tx, user.id, Some(&kept)).await?;
        ceremonies::end_of_user(tx, user.id).await?;
        if !is_set(tx, user.id).await? {
            recovery_codes::remove(tx, user.id).await?;
        }
        Ok(signed_in)
    }

    /// Fails with `Field` on `field` when that is not the user's password, and with `TooManyAttempts`.
    pub(crate) async fn judge_own_password(
        &self,
        user: &User,
        password: &Secret<String>,
        field: &'static str,
    ) -> Result<(), Error> {
        let attempt = Attempt { account: Some(user.name.key()), from: None };
        let place = self.0.passwords.place().await?;
        self.count_failure(&attempt).await?;
        let stored = users::by_id(&self.0.store.read(), user.id).await?.ok_or(Error::NotFound)?.password_hash;
        let (is_right, _place) = self.0.passwords.verify(place, password, stored).await?;
        if !is_right {
            self.tell_refused(Some(user.name.as_str()), &user.origin, "confirmation");
            return Err(Error::Field { field, problem: "is not your password".into() });
        }
        self.forgive(&attempt).await
    }
}

/// Says whether an account has a second factor that counts.
pub(crate) async fn is_set(database: &impl Query, user_id: i64) -> Result<bool, Error> {
    let app = authenticators::of_user(database, user_id).await?;
    Ok(app.is_some_and(|app| app.is_confirmed) || !security_keys::of_user(database, user_id).await?.is_empty())
}

fn waiting_hash(token: &Secret<String>) -> String {
    vault::digest::sha256_hex(format!("waiting:{}", token.expose()).as_bytes())
}

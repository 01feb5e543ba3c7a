//! Security keys and passkeys as a second factor: added, named, used, removed. A challenge is for one ceremony, an answer
//! is taken once, and a key whose counter went backwards opens nothing.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use store::Tx;
use store::ceremonies::{self, CeremonyRecord, Purpose};
use store::security_keys::{self, NewSecurityKeyRecord, SecurityKeyRecord};
use vault::webauthn::{Assertion, Ceremony, Credential};

use crate::access::{Credential as Came, User};
use crate::events::{Happened, record};
use crate::second_factor::Strengthened;
use crate::users::one_line;
use crate::{Actor, Error, Forge, SecurityKeyView, SignedIn};

/// Security keys of one user.
const MOST: usize = 20;
/// Seconds for a new key to come.
const PATIENCE: i64 = 5 * 60;
/// The longest part of what a browser sends, in base64.
const LONGEST: usize = 16 << 10;

/// What a browser asks a security key. All bytes are in URL-safe base64.
#[derive(Clone, Debug)]
pub struct KeyQuestion {
    /// Random bytes for this ceremony alone.
    pub challenge: String,
    /// The site's host name.
    pub site: String,
    /// The keys that are known: those that may answer, or those that need not be added again.
    pub known: Vec<String>,
}

/// What a browser needs to make a new key.
#[derive(Clone, Debug)]
pub struct NewKeyQuestion {
    /// Challenge, site and known keys.
    pub question: KeyQuestion,
    /// What the key knows the account by; tells nothing.
    pub handle: String,
    /// The account's name.
    pub account: String,
    /// The algorithms that are known here, by their COSE numbers.
    pub algorithms: String,
}

/// What a browser brought of a key that signed. All bytes are in URL-safe base64.
#[derive(Clone, Debug, Default)]
pub struct KeyAnswer {
    /// Which key it was.
    pub credential: String,
    /// The JSON text that the browser made.
    pub client_data: String,
    /// What the key said.
    pub authenticator_data: String,
    /// The key's signature.
    pub signature: String,
}

impl Forge {
    /// Begins to add a security key. Fails with `Field` on `key` where the site's address lets no browser use one, and
    /// with `ProofNeeded`.
    pub async fn begin_security_key(&self, actor: &Actor) -> Result<NewKeyQuestion, Error> {
        let user = self.freshly_proved(actor, "add a security key").await?;
        if !self.can_have_keys() {
            let problem = "needs a site whose address has a name and https".into();
            return Err(Error::Field { field: "key", problem });
        }
        let tx = self.0.store.begin().await?;
        ceremonies::remove_ended(&tx, self.now()).await?;
        let new = CeremonyRecord {
            token_hash: ceremony_hash(user)?,
            purpose: Purpose::NewKey,
            user_id: user.id,
            challenge: vault::random::token().expose().clone(),
            ends: self.now().plus_seconds(PATIENCE),
        };
        ceremonies::put(&tx, &new).await?;
        let keys = security_keys::of_user(&tx, user.id).await?;
        tx.commit().await?;
        let site = self.settings().site_url.as_str();
        let handle = vault::digest::sha256(format!("security keys of {} at {site}", user.id).as_bytes());
        Ok(NewKeyQuestion {
            question: self.key_question(new.challenge, &keys),
            handle: URL_SAFE_NO_PAD.encode(handle),
            account: user.name.to_string(),
            algorithms: vault::webauthn::ALGORITHMS.map(|number| number.to_string()).join(" "),
        })
    }

    /// Adds the security key that a browser brought. Fails with `Field` on `name` or `key`, and with `ProofNeeded`.
    pub async fn add_security_key(
        &self,
        actor: &Actor,
        name: &str,
        client_data: &str,
        attestation: &str,
    ) -> Result<Strengthened, Error> {
        let user = self.freshly_proved(actor, "add a security key").await?;
        let name = one_line("name", name, 1, 60)?;
        let hash = ceremony_hash(user)?;
        let tx = self.0.store.begin().await?;
        let found = ceremonies::under_way(&tx, &hash, Purpose::NewKey, self.now(), 1).await?;
        let (_, challenge) = found.filter(|(owner, _)| *owner == user.id).ok_or(refused_key())?;
        // Whatever comes of it, nothing is made of this challenge again.
        ceremonies::end(&tx, &hash).await?;
        tx.commit().await?;
        let challenge = bytes(&challenge)?;
        let (client_data, attestation) = (bytes(client_data)?, bytes(attestation)?);
        let Credential { id, public_key, counter } =
            self.ceremony(&challenge).register(&client_data, &attestation).map_err(told)?;
        let tx = self.0.store.begin().await?;
        if security_keys::of_user(&tx, user.id).await?.len() >= MOST {
            return Err(Error::Field { field: "key", problem: format!("is one too many; {MOST} is the most") });
        }
        let new = NewSecurityKeyRecord {
            user_id: user.id,
            name: &name,
            credential: &URL_SAFE_NO_PAD.encode(id),
            public_key: &URL_SAFE_NO_PAD.encode(public_key),
            counter: counter.into(),
            created: self.now(),
        };
        security_keys::insert(&tx, &new).await.map_err(|error| {
            let is_known = error.is_unique("security_keys.credential");
            if is_known { refused_key() } else { error.into() }
        })?;
        self.tell_factor(&tx, user, "second_factor.added", &name).await?;
        let codes = self.codes_if_none(&tx, user).await?;
        let signed_in = self.after_change(&tx, user).await?;
        tx.commit().await?;
        Ok(Strengthened { signed_in, codes })
    }

    /// Calls one of the actor's keys something else. Fails with `Field` on `name`, and with `ProofNeeded`.
    pub async fn rename_security_key(&self, actor: &Actor, id: i64, name: &str) -> Result<(), Error> {
        let user = self.freshly_proved(actor, "rename a security key").await?;
        let name = one_line("name", name, 1, 60)?;
        let tx = self.0.store.begin().await?;
        if !security_keys::rename(&tx, user.id, id, &name).await? {
            return Err(Error::NotFound);
        }
        self.tell_factor(&tx, user, "second_factor.renamed", &name).await?;
        Ok(tx.commit().await?)
    }

    /// Removes one of the actor's keys. Fails with `NotFound`, and with `ProofNeeded`.
    pub async fn remove_security_key(&self, actor: &Actor, id: i64) -> Result<SignedIn, Error> {
        let user = self.freshly_proved(actor, "remove a security key").await?;
        let tx = self.0.store.begin().await?;
        let name = security_keys::remove(&tx, user.id, id).await?.ok_or(Error::NotFound)?;
        self.tell_factor(&tx, user, "second_factor.removed", &name).await?;
        let signed_in = self.after_change(&tx, user).await?;
        tx.commit().await?;
        Ok(signed_in)
    }

    /// Browsers let keys answer to names alone, over https or to this very machine.
    pub(crate) fn can_have_keys(&self) -> bool {
        let url = &self.settings().site_url;
        let host = url.host();
        let is_address = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        !is_address && (url.is_https() || host == "localhost")
    }

    pub(crate) fn key_question(&self, challenge: String, keys: &[SecurityKeyRecord]) -> KeyQuestion {
        let known = keys.iter().map(|key| key.credential.clone()).collect();
        KeyQuestion { challenge, site: self.settings().site_url.host().into(), known }
    }

    /// Takes what a security key of the user's signed, for good.
    pub(crate) async fn take_key(
        &self,
        tx: &Tx,
        user_id: i64,
        challenge: &str,
        answer: &KeyAnswer,
    ) -> Result<bool, Error> {
        let keys = security_keys::of_user(tx, user_id).await?;
        let Some(key) = keys.into_iter().find(|key| key.credential == answer.credential) else { return Ok(false) };
        let parts = [&answer.client_data, &answer.authenticator_data, &answer.signature];
        let [Ok(client_data), Ok(authenticator_data), Ok(signature)] = parts.map(|part| bytes(part)) else {
            return Ok(false);
        };
        let (challenge, public_key) = (bytes(challenge)?, bytes(&key.public_key)?);
        let sent =
            Assertion { client_data: &client_data, authenticator_data: &authenticator_data, signature: &signature };
        let known = u32::try_from(key.counter).unwrap_or(u32::MAX);
        match self.ceremony(&challenge).assert(&public_key, known, &sent) {
            Ok(counter) => Ok(security_keys::set_used(tx, key.id, key.counter, counter.into(), self.now()).await?),
            Err(error) => {
                tracing::warn!(user.id = user_id, %error, "a security key was refused");
                Ok(false)
            }
        }
    }

    fn ceremony<'c>(&'c self, challenge: &'c [u8]) -> Ceremony<'c> {
        let url = &self.settings().site_url;
        Ceremony { site: url.host(), origin: url.as_str(), challenge }
    }

    async fn tell_factor(&self, tx: &Tx, user: &User, action: &'static str, key: &str) -> Result<(), Error> {
        let what = format!("key {key}");
        let event = Happened::SecondFactor { action, name: user.name.as_str(), what: &what };
        Ok(record(tx, self.now(), &user.who(), event).await?)
    }
}

/// A key as its user sees it.
pub(crate) fn view(key: SecurityKeyRecord) -> SecurityKeyView {
    SecurityKeyView { id: key.id, name: key.name, created: key.created, used: key.used }
}

/// A new key belongs to the session that asked for it.
fn ceremony_hash(user: &User) -> Result<String, Error> {
    let Came::Session(session) = &user.credential else { return Err(Error::SignInNeeded) };
    Ok(vault::digest::sha256_hex(format!("new key:{session}").as_bytes()))
}

fn bytes(text: &str) -> Result<Vec<u8>, Error> {
    if text.len() > LONGEST {
        return Err(refused_key());
    }
    URL_SAFE_NO_PAD.decode(text).map_err(|_| refused_key())
}

fn told(error: vault::webauthn::WebauthnError) -> Error {
    tracing::warn!(%error, "a new security key was refused");
    refused_key()
}

fn refused_key() -> Error {
    Error::Field {
        field: "key",
        problem: "was not taken; begin again, and use a key that is not known here yet".into(),
    }
}

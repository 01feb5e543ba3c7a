//! The authenticator app of an account: set up, confirmed by a code before it counts, removed. A code is taken once, also
//! when it comes twice at the same moment.

use base::Secret;
use store::{Tx, authenticators};
use vault::totp;

use crate::events::{Happened, record};
use crate::second_factor::Strengthened;
use crate::{Actor, Error, Forge, SignedIn};

/// A secret on its way into an app.
#[derive(Debug)]
pub struct Enrolment {
    /// For typing.
    pub text: Secret<String>,
    /// For the app's camera.
    pub address: Secret<String>,
}

impl Forge {
    /// Makes a secret for the actor's app, which counts once a code of it was given. Fails with `Field` on `app` when an
    /// app is set up already, and with `ProofNeeded`.
    pub async fn begin_authenticator(&self, actor: &Actor) -> Result<Enrolment, Error> {
        let user = self.freshly_proved(actor, "set up an app").await?;
        let secret = totp::secret();
        let sealed = self.0.key.encrypt(&secret, self.now())?;
        let tx = self.0.store.begin().await?;
        if !authenticators::put(&tx, user.id, &sealed, self.now()).await? {
            return Err(Error::Field { field: "app", problem: "is set up already; remove it first".into() });
        }
        tx.commit().await?;
        Ok(self.enrolment(&secret, user.name.as_str()))
    }

    /// The secret that waits for its first code, to be shown once more; `None` when none does.
    pub async fn begun_authenticator(&self, actor: &Actor) -> Result<Option<Enrolment>, Error> {
        let user = self.freshly_proved(actor, "set up an app").await?;
        let found = authenticators::of_user(&self.0.store.read(), user.id).await?;
        let Some(app) = found.filter(|app| !app.is_confirmed) else { return Ok(None) };
        Ok(Some(self.enrolment(&self.0.key.decrypt(&app.secret)?, user.name.as_str())))
    }

    /// Confirms the app by a code of it. Fails with `Field` on `code`, and with `ProofNeeded`.
    pub async fn confirm_authenticator(&self, actor: &Actor, code: &str) -> Result<Strengthened, Error> {
        let user = self.freshly_proved(actor, "set up an app").await?;
        let tx = self.0.store.begin().await?;
        let found = authenticators::of_user(&tx, user.id).await?;
        if found.is_none_or(|app| app.is_confirmed) {
            return Err(Error::NotFound);
        }
        if !self.take_step(&tx, user.id, &plain(code)).await? {
            return Err(Error::Field { field: "code", problem: "is not the one that the app shows now".into() });
        }
        let event = Happened::SecondFactor { action: "second_factor.added", name: user.name.as_str(), what: "app" };
        record(&tx, self.now(), &user.who(), event).await?;
        let codes = self.codes_if_none(&tx, user).await?;
        let signed_in = self.after_change(&tx, user).await?;
        tx.commit().await?;
        Ok(Strengthened { signed_in, codes })
    }

    /// Removes the app. Fails with `NotFound` without one, and with `ProofNeeded`.
    pub async fn remove_authenticator(&self, actor: &Actor) -> Result<SignedIn, Error> {
        let user = self.freshly_proved(actor, "remove the app").await?;
        let tx = self.0.store.begin().await?;
        if !authenticators::remove(&tx, user.id).await? {
            return Err(Error::NotFound);
        }
        let event = Happened::SecondFactor { action: "second_factor.removed", name: user.name.as_str(), what: "app" };
        record(&tx, self.now(), &user.who(), event).await?;
        let signed_in = self.after_change(&tx, user).await?;
        tx.commit().await?;
        Ok(signed_in)
    }

    /// Takes a code of the user's app, for good.
    pub(crate) async fn take_step(&self, tx: &Tx, user_id: i64, code: &str) -> Result<bool, Error> {
        let Some(app) = authenticators::of_user(tx, user_id).await? else { return Ok(false) };
        let secret = self.0.key.decrypt(&app.secret)?;
        match totp::matching_step(&secret, code, self.now()) {
            Some(step) => Ok(authenticators::take(tx, user_id, step).await?),
            None => Ok(false),
        }
    }

    fn enrolment(&self, secret: &[u8], name: &str) -> Enrolment {
        let issuer = self.settings().site_url.host();
        Enrolment { text: totp::as_text(secret), address: totp::address(secret, issuer, name) }
    }
}

/// A code as typed, without the spaces and dashes that make it readable.
pub(crate) fn plain(code: &str) -> String {
    code.chars().filter(|c| !c.is_whitespace() && *c != '-').take(64).collect::<String>().to_ascii_lowercase()
}

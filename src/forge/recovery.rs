//! Recovery codes: ten, shown once, each good once and for its own account alone. The database holds their hashes.

use base::Secret;
use store::users::UserRecord;
use store::{Tx, authenticators, recovery_codes};

use crate::access::{Origin, Who};
use crate::authenticator::plain;
use crate::events::{Happened, record};
use crate::{Actor, Error, Forge, User, second_factor};

/// Codes of one account.
const CODES: usize = 10;
/// Signs of one code: 80 bits, so that its hash tells nobody anything.
const LENGTH: usize = 16;
/// Signs that nobody takes for each other.
const SIGNS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";

impl Forge {
    /// Makes new recovery codes in place of the old ones. Fails with `NotFound` without a second factor, and with
    /// `ProofNeeded`.
    pub async fn renew_recovery_codes(&self, actor: &Actor) -> Result<Vec<Secret<String>>, Error> {
        let user = self.freshly_proved(actor, "make recovery codes").await?;
        let tx = self.0.store.begin().await?;
        if !second_factor::is_set(&tx, user.id).await? {
            return Err(Error::NotFound);
        }
        let codes = self.new_codes(&tx, user).await?;
        tx.commit().await?;
        Ok(codes)
    }

    /// New codes for who has none left; else an empty list.
    pub(crate) async fn codes_if_none(&self, tx: &Tx, user: &User) -> Result<Vec<Secret<String>>, Error> {
        if recovery_codes::left(tx, user.id).await? > 0 { Ok(Vec::new()) } else { self.new_codes(tx, user).await }
    }

    /// Takes a code of the user's app or a recovery code, for good.
    pub(crate) async fn take_code(
        &self,
        tx: &Tx,
        user: &UserRecord,
        origin: &Origin,
        typed: &Secret<String>,
    ) -> Result<bool, Error> {
        let code = plain(typed.expose());
        if code.len() == 6 {
            // An app that was never confirmed is none.
            let app = authenticators::of_user(tx, user.id).await?;
            return Ok(app.is_some_and(|app| app.is_confirmed) && self.take_step(tx, user.id, &code).await?);
        }
        let is_right = recovery_codes::take(tx, user.id, &hash(user.id, &code), self.now()).await?;
        if is_right {
            let who = Who { id: Some(user.id), name: Some(user.name.clone()), origin: origin.clone() };
            let left = recovery_codes::left(tx, user.id).await?.to_string();
            let event = Happened::SecondFactor { action: "second_factor.code_used", name: &user.name, what: &left };
            record(tx, self.now(), &who, event).await?;
        }
        Ok(is_right)
    }

    async fn new_codes(&self, tx: &Tx, user: &User) -> Result<Vec<Secret<String>>, Error> {
        recovery_codes::remove(tx, user.id).await?;
        let codes: Vec<_> = (0..CODES).map(|_| fresh()).collect();
        for code in &codes {
            recovery_codes::insert(tx, user.id, &hash(user.id, &plain(code.expose()))).await?;
        }
        let (name, what) = (user.name.as_str(), codes.len().to_string());
        let event = Happened::SecondFactor { action: "second_factor.codes_made", name, what: &what };
        record(tx, self.now(), &user.who(), event).await?;
        Ok(codes)
    }
}

fn fresh() -> Secret<String> {
    let mut code = String::with_capacity(LENGTH + 3);
    for (place, byte) in vault::random::bytes::<LENGTH>().into_iter().enumerate() {
        if place > 0 && place.is_multiple_of(4) {
            code.push('-');
        }
        code.extend(SIGNS.get(usize::from(byte % 32)).map(|sign| char::from(*sign)));
    }
    Secret::new(code)
}

/// The account is part of it: nobody's code opens another account.
fn hash(user_id: i64, code: &str) -> String {
    vault::digest::sha256_hex(format!("recovery code of {user_id}: {code}").as_bytes())
}

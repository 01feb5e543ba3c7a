//! The sessions of one account, for its owner to look at and to end. Nothing that opens one is shown.

use store::sessions::{self, OwnSessionRecord};

use crate::access::Credential;
use crate::events::{Happened, record};
use crate::session::IDLE;
use crate::{Actor, Error, Forge, SessionView};

impl Forge {
    /// The actor's open sessions, the last used first.
    pub async fn own_sessions(&self, actor: &Actor) -> Result<Vec<SessionView>, Error> {
        let user = actor.in_full("see sessions")?;
        let own = if let Credential::Session(hash) = &user.credential { hash.as_str() } else { "" };
        let (now, idle) = (self.now(), self.now().plus_seconds(-IDLE));
        let found = sessions::of_user(&self.0.store.read(), user.id, now, idle).await?;
        Ok(found.into_iter().map(|session| view(session, own)).collect())
    }

    /// Ends one of the actor's sessions, by the id in the list. Fails with `NotFound`.
    pub async fn end_session(&self, actor: &Actor, id: &str) -> Result<(), Error> {
        let user = actor.in_full("end sessions")?;
        let (now, idle) = (self.now(), self.now().plus_seconds(-IDLE));
        let tx = self.0.store.begin().await?;
        let found = sessions::of_user(&tx, user.id, now, idle).await?;
        let session = found.into_iter().find(|session| public_id(&session.token_hash) == id).ok_or(Error::NotFound)?;
        sessions::remove(&tx, &session.token_hash).await?;
        record(&tx, now, &user.who(), Happened::SessionsEnded { name: user.name.as_str(), which: "one" }).await?;
        Ok(tx.commit().await?)
    }

    /// Ends all of the actor's sessions but the one at hand.
    pub async fn end_other_sessions(&self, actor: &Actor) -> Result<(), Error> {
        let user = actor.in_full("end sessions")?;
        let kept = if let Credential::Session(hash) = &user.credential { Some(hash.as_str()) } else { None };
        let tx = self.0.store.begin().await?;
        sessions::remove_of_user(&tx, user.id, kept).await?;
        let event = Happened::SessionsEnded { name: user.name.as_str(), which: "all others" };
        record(&tx, self.now(), &user.who(), event).await?;
        Ok(tx.commit().await?)
    }
}

fn view(session: OwnSessionRecord, own: &str) -> SessionView {
    SessionView {
        id: public_id(&session.token_hash),
        is_this: session.token_hash == own,
        created: session.created,
        seen: session.seen,
        address: session.address.unwrap_or_default(),
        agent: session.agent.unwrap_or_default(),
    }
}

/// Names a session in its owner's list. Follows from the hash of its token, and no token follows from it.
fn public_id(token_hash: &str) -> String {
    let mut id = vault::digest::sha256_hex(format!("session id:{token_hash}").as_bytes());
    id.truncate(24);
    id
}

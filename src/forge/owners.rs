//! Owners' names and public faces, whatever is behind them: a user or an organisation. A name that became free is
//! nobody's for a while, so that whoever takes it next is not taken for who had it before.

use base::clock::Timestamp;
use base::name::OwnerName;
use store::{Query, StoreError, users};

use crate::{Actor, Error, Forge, OwnerKind, OwnerView};

/// Seconds for which nobody can take the name of an owner who is gone.
const RESERVED: i64 = 90 * 24 * 60 * 60;

impl Forge {
    /// What everyone who may look may know of an owner. `NotFound` for a private organisation of which the actor is no
    /// member, as if it were absent; and, for who has not signed in, for an account that owns nothing they may read.
    pub async fn owner(&self, actor: &Actor, name: &OwnerName) -> Result<OwnerView, Error> {
        self.admits(actor).await?;
        let found = users::by_key(&self.0.store.read(), &name.key()).await?;
        let Some(user) = found else {
            let organisation = self.organisation(actor, name).await?.view;
            let (name, full_name, created) = (organisation.name, organisation.full_name, organisation.created);
            return Ok(OwnerView { kind: OwnerKind::Organisation, name, full_name, created });
        };
        if actor.user().is_none() && self.repos_of(actor, name).await?.is_empty() {
            return Err(Error::NotFound);
        }
        // The program's own accounts are nobody.
        let is_person = users::owner_kind(&self.0.store.read(), &name.key()).await?;
        if is_person.is_none_or(|(_, kind, _)| kind != "user") {
            return Err(Error::NotFound);
        }
        let view = crate::users::view(user)?;
        Ok(OwnerView { kind: OwnerKind::User, name: view.name, full_name: view.full_name, created: view.created })
    }
}

/// Refuses a name that was an owner's not long ago.
pub(crate) async fn is_free(database: &impl Query, name: &OwnerName, now: Timestamp) -> Result<(), Error> {
    match users::name_freed(database, &name.key()).await? {
        Some(freed) if now < freed.plus_seconds(RESERVED) => Err(Error::Field {
            field: "name",
            problem: format!("`{name}` was another's until lately, and is nobody's for 90 days"),
        }),
        _ => Ok(()),
    }
}

pub(crate) fn taken(name: &OwnerName) -> impl Fn(StoreError) -> Error {
    move |error| {
        if error.is_unique("owners.name_key") { Error::NameTaken(name.to_string()) } else { error.into() }
    }
}

//! Lists of organisations and teams, a part at a time with the number of all. What is hidden from the actor is neither
//! shown nor counted.

use base::name::OwnerName;
use store::organisations::{self, OrganisationSight};
use store::{teams, users};

use crate::organisations::view;
use crate::{Actor, Error, Forge, Need, OrganisationView, Paged, Stretch, TeamView};

impl Forge {
    /// A part of the organisations that the actor may know of, by name; of those alone in which `member` is, if given.
    pub async fn find_organisations(
        &self,
        actor: &Actor,
        member: Option<&OwnerName>,
        window: Stretch,
    ) -> Result<Paged<OrganisationView>, Error> {
        self.admits(actor).await?;
        let member_id = match member {
            Some(name) => {
                self.owner(actor, name).await?;
                Some(users::by_key(&self.0.store.read(), &name.key()).await?.ok_or(Error::NotFound)?.id)
            }
            None => None,
        };
        let sight = self.organisation_sight(actor, member_id).await?;
        self.part_of_organisations(actor, sight, window).await
    }

    /// A part of all organisations, by name. For administrators; `NotFound` for everyone else.
    pub async fn administered_organisations(
        &self,
        actor: &Actor,
        window: Stretch,
    ) -> Result<Paged<OrganisationView>, Error> {
        let user_id = Some(actor.administers(Need::ReadAdmin, "see organisations")?.id);
        let sight = OrganisationSight { user_id, has_public: true, has_internal: true, has_all: true, member_id: None };
        self.part_of_organisations(actor, sight, window).await
    }

    /// A part of the teams that the actor is in, oldest first, each with its organisation.
    pub async fn own_teams(
        &self,
        actor: &Actor,
        window: Stretch,
    ) -> Result<Paged<(OrganisationView, TeamView)>, Error> {
        let user_id = actor.needs(Need::ReadOrganization, "list teams")?.id;
        let database = self.0.store.read();
        let ids = teams::of_user(&database, user_id).await?;
        let total = ids.len();
        let mut rows = Vec::new();
        for id in ids.into_iter().skip(window.skip).take(window.limit) {
            let organisation = organisations::of_team(&database, Some(user_id), id).await?;
            // Gone since the list was made.
            let (Some(organisation), Some(team)) = (organisation, teams::by_id(&database, id).await?) else { continue };
            rows.push((view(actor, organisation)?, crate::teams::view(team)?));
        }
        Ok(Paged { rows, total })
    }

    async fn part_of_organisations(
        &self,
        actor: &Actor,
        sight: OrganisationSight,
        window: Stretch,
    ) -> Result<Paged<OrganisationView>, Error> {
        let database = self.0.store.read();
        let (limit, offset) = window.in_rows();
        let found = organisations::visible(&database, sight, limit, offset).await?;
        let total = usize::try_from(organisations::count_visible(&database, sight).await?).unwrap_or_default();
        let rows = found.into_iter().map(|one| view(actor, one)).collect::<Result<_, _>>()?;
        Ok(Paged { rows, total })
    }
}

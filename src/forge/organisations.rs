//! Organisations: owners that are teams of persons. The fetch is the authorisation here as well: a private organisation
//! is absent for all but its members, and there is no way to change one without the proof of an owner.

use base::name::OwnerName;
use store::organisations::{self, OrganisationFields, OrganisationRecord, OrganisationSight};
use store::teams::{self, TeamFields};
use store::{repos, users};

use crate::access::Who;
use crate::accounts::listed;
use crate::events::{Happened, record};
use crate::users::one_line;
use crate::{Access, Actor, Error, Forge, MemberView, Need, OrganisationView, RepoSummary, Visibility, owners};

/// The team that every organisation has.
pub(crate) const OWNERS: &str = "owners";
/// Organisations in a list.
const LISTED: u32 = 200;

/// An organisation to make, or what one shall become.
#[derive(Clone, Debug)]
pub struct NewOrganisation {
    /// Its name, unparsed; not looked at when one is changed.
    pub name: String,
    /// The name to show; may be empty.
    pub full_name: String,
    /// One line of at most 500 characters.
    pub description: String,
    /// Who may know of it.
    pub visibility: Visibility,
}

/// Proof that the actor may know of this organisation. Got from [`Forge::organisation`] alone.
#[derive(Clone, Debug)]
pub struct OrganisationRead {
    pub(crate) view: OrganisationView,
    /// Says whether the credential may change organisations.
    may_write: bool,
    by: Option<Who>,
    /// Whose proof it is, for what is shown of repositories.
    pub(crate) actor: Actor,
}

/// Proof that the actor is a member of this organisation.
#[derive(Clone, Debug)]
pub struct OrganisationMember(pub(crate) OrganisationRead);

/// Proof that the actor is an owner of this organisation.
#[derive(Clone, Debug)]
pub struct OrganisationOwner(pub(crate) OrganisationRead);

impl OrganisationRead {
    /// What pages show of it.
    pub const fn view(&self) -> &OrganisationView {
        &self.view
    }

    /// Fails with `Denied` when the actor is no member.
    pub fn for_member(self) -> Result<OrganisationMember, Error> {
        if self.view.is_member { Ok(OrganisationMember(self)) } else { Err(self.denied("see the members of")) }
    }

    /// Fails with `Denied` when the actor is no owner, or the credential was not made for it.
    pub fn for_owner(self) -> Result<OrganisationOwner, Error> {
        if self.view.is_owner && self.may_write { Ok(OrganisationOwner(self)) } else { Err(self.denied("administer")) }
    }

    fn denied(&self, verb: &str) -> Error {
        Error::Denied { action: format!("{verb} {}", self.view.name) }
    }

    pub(crate) fn who(&self) -> Result<&Who, Error> {
        self.by.as_ref().ok_or(Error::SignInNeeded)
    }
}

impl AsRef<OrganisationRead> for OrganisationMember {
    fn as_ref(&self) -> &OrganisationRead {
        &self.0
    }
}

impl From<OrganisationOwner> for OrganisationMember {
    fn from(owner: OrganisationOwner) -> Self {
        Self(owner.0)
    }
}

impl Forge {
    /// The fetch that is the authorisation. `NotFound` when it is absent or hidden from the actor.
    pub async fn organisation(&self, actor: &Actor, name: &OwnerName) -> Result<OrganisationRead, Error> {
        let user_id = actor.user().map(|user| user.id);
        let found = organisations::by_key(&self.0.store.read(), user_id, &name.key()).await?;
        self.permitted_organisation(actor, found).await
    }

    /// The organisation of a team, by the team's number. `NotFound` when it is absent or hidden from the actor.
    pub async fn organisation_of_team(&self, actor: &Actor, team_id: i64) -> Result<OrganisationRead, Error> {
        let user_id = actor.user().map(|user| user.id);
        let found = organisations::of_team(&self.0.store.read(), user_id, team_id).await?;
        self.permitted_organisation(actor, found).await
    }

    async fn permitted_organisation(
        &self,
        actor: &Actor,
        found: Option<OrganisationRecord>,
    ) -> Result<OrganisationRead, Error> {
        let found = found.ok_or(Error::NotFound)?;
        let requires_sign_in = self.site_settings().await.requires_sign_in;
        if !is_visible(actor, &found, requires_sign_in) {
            return Err(Error::NotFound);
        }
        if actor.user().is_some() {
            actor.needs(Need::ReadOrganization, &format!("look at {}", found.name))?;
        }
        let may_write = actor.needs(Need::WriteOrganization, "").is_ok();
        Ok(OrganisationRead { view: view(actor, found)?, may_write, by: actor.who(), actor: actor.clone() })
    }

    /// The organisations that the actor may know of, by name, at most 200 from `page` (from 1).
    pub async fn organisations(&self, actor: &Actor, page: u32) -> Result<Vec<OrganisationView>, Error> {
        self.admits(actor).await?;
        self.listed_organisations(actor, None, page).await
    }

    /// Those in which a user is a member, as far as the actor may know who their members are: being one of them. None
    /// for who has not signed in. `NotFound` when the actor may not know of the user.
    pub async fn organisations_of(&self, actor: &Actor, user: &OwnerName) -> Result<Vec<OrganisationView>, Error> {
        self.owner(actor, user).await?;
        if actor.user().is_none() {
            return Ok(Vec::new());
        }
        let user = users::by_key(&self.0.store.read(), &user.key()).await?.ok_or(Error::NotFound)?;
        self.listed_organisations(actor, Some(user.id), 1).await
    }

    async fn listed_organisations(
        &self,
        actor: &Actor,
        member_id: Option<i64>,
        page: u32,
    ) -> Result<Vec<OrganisationView>, Error> {
        let sight = self.organisation_sight(actor, member_id).await?;
        let offset = i64::from(page.saturating_sub(1)).saturating_mul(LISTED.into());
        let found = organisations::visible(&self.0.store.read(), sight, LISTED.into(), offset).await?;
        found.into_iter().map(|one| view(actor, one)).collect()
    }

    /// Which organisations a list for the actor holds; those alone in which `member_id` is, if given.
    pub(crate) async fn organisation_sight(
        &self,
        actor: &Actor,
        member_id: Option<i64>,
    ) -> Result<OrganisationSight, Error> {
        let user = actor.user();
        if user.is_some() {
            actor.needs(Need::ReadOrganization, "list organisations")?;
        }
        Ok(OrganisationSight {
            user_id: user.map(|user| user.id),
            // Who is in an organisation is for its members to see, however open it is itself.
            has_public: member_id.is_none() && (user.is_some() || !self.site_settings().await.requires_sign_in),
            has_internal: member_id.is_none() && user.is_some(),
            has_all: user.is_some_and(|user| user.is_admin),
            member_id,
        })
    }

    /// Makes an organisation whose one owner is the actor.
    pub async fn create_organisation(&self, actor: &Actor, new: NewOrganisation) -> Result<OrganisationView, Error> {
        let user = actor.needs(Need::WriteOrganization, "make organisations")?;
        let name = OwnerName::parse(new.name.trim())?;
        let (full_name, description) = judged(&new)?;
        let visibility = new.visibility.as_str();
        let fields = OrganisationFields { full_name: &full_name, description: &description, visibility };
        let tx = self.0.store.begin().await?;
        owners::is_free(&tx, &name, self.now()).await?;
        let made = organisations::insert(&tx, (name.as_str(), &name.key()), fields, self.now()).await;
        let id = made.map_err(owners::taken(&name))?;
        let owners = TeamFields {
            name: OWNERS,
            name_key: OWNERS,
            description: "",
            permission: Access::Admin.number(),
            includes_all: true,
            can_create: true,
        };
        let team = teams::insert(&tx, id, true, owners).await?;
        teams::add_member(&tx, team, user.id).await?;
        let kind = "organisation.created";
        let event = Happened::Noted { kind, repo: None, subject: name.as_str(), old: None, new: Some(visibility) };
        record(&tx, self.now(), &user.who(), event).await?;
        let made = organisations::by_key(&tx, Some(user.id), &name.key()).await?.ok_or(Error::NotFound)?;
        tx.commit().await?;
        view(actor, made)
    }

    /// Changes what an organisation says of itself, and who may know of it.
    pub async fn change_organisation(&self, at: &OrganisationOwner, new: NewOrganisation) -> Result<(), Error> {
        let (full_name, description) = judged(&new)?;
        let visibility = new.visibility.as_str();
        let tx = self.0.store.begin().await?;
        let fields = OrganisationFields { full_name: &full_name, description: &description, visibility };
        organisations::update(&tx, at.0.view.id, fields).await?;
        let old = Some(at.0.view.visibility.as_str());
        self.tell(&tx, &at.0, "organisation.changed", ("", old, Some(visibility))).await?;
        Ok(tx.commit().await?)
    }

    /// Removes an organisation and its teams. Its name is nobody's for 90 days. Fails with `Field` on `name` while it
    /// owns repositories.
    pub async fn delete_organisation(&self, at: OrganisationOwner) -> Result<(), Error> {
        let OrganisationView { id, name, .. } = &at.0.view;
        let tx = self.0.store.begin().await?;
        let owned = repos::names_of_owner(&tx, *id).await?;
        if !owned.is_empty() {
            let owned: Vec<_> = owned.iter().map(|repo| format!("{name}/{repo}")).collect();
            let problem = format!("cannot go: the organisation still owns {}", listed(&owned));
            return Err(Error::Field { field: "name", problem });
        }
        users::remove(&tx, *id).await?;
        users::remember_name(&tx, &name.key(), self.now()).await?;
        self.tell(&tx, &at.0, "organisation.removed", ("", None, None)).await?;
        Ok(tx.commit().await?)
    }

    /// The members of an organisation, by name.
    pub async fn members(&self, at: &OrganisationMember) -> Result<Vec<MemberView>, Error> {
        let found = organisations::members(&self.0.store.read(), at.0.view.id).await?;
        found.into_iter().map(member).collect()
    }

    /// Takes a member off all teams of the organisation: an owner any, a member themselves. `NotFound` when the user is
    /// none, `Field` on `user` for the last owner.
    pub async fn remove_member(&self, at: &OrganisationMember, user: &OwnerName) -> Result<(), Error> {
        let by = at.0.who()?;
        let tx = self.0.store.begin().await?;
        let user = users::by_key(&tx, &user.key()).await?.ok_or(Error::NotFound)?;
        if !at.0.may_write || !(at.0.view.is_owner || by.id == Some(user.id)) {
            return Err(at.0.denied("remove members of"));
        }
        let mut was_member = false;
        for team in teams::of_organisation(&tx, at.0.view.id).await? {
            let is_in = teams::remove_member(&tx, team.id, user.id).await?;
            was_member |= is_in;
            if is_in {
                crate::teams::keeps_an_owner(&tx, &team, &at.0.view.name).await?;
            }
        }
        if !was_member {
            return Err(Error::NotFound);
        }
        self.tell(&tx, &at.0, "organisation.member_removed", ("", None, Some(&user.name))).await?;
        Ok(tx.commit().await?)
    }

    /// Records something about an organisation or, when `about` is not empty, about a part of it.
    pub(crate) async fn tell(
        &self,
        tx: &store::Tx,
        at: &OrganisationRead,
        kind: &'static str,
        (about, old, new): (&str, Option<&str>, Option<&str>),
    ) -> Result<(), Error> {
        let name = &at.view.name;
        let subject = if about.is_empty() { name.to_string() } else { format!("{name}/{about}") };
        let event = Happened::Noted { kind, repo: None, subject: &subject, old, new };
        Ok(record(tx, self.now(), at.who()?, event).await?)
    }

    /// All organisations, by name. For the host's own shell.
    pub async fn all_organisations(&self) -> Result<Vec<OrganisationView>, Error> {
        let sight =
            OrganisationSight { user_id: None, has_public: true, has_internal: true, has_all: true, member_id: None };
        let found = organisations::visible(&self.0.store.read(), sight, i64::MAX, 0).await?;
        found.into_iter().map(|one| view(&Actor::Anonymous, one)).collect()
    }

    /// The repositories of an organisation or user that the actor may read, last pushed first; at most 200.
    pub async fn repos_of(&self, actor: &Actor, owner: &OwnerName) -> Result<Vec<RepoSummary>, Error> {
        let wanted = crate::RepoQuery { owner: Some(owner.clone()), ..crate::RepoQuery::default() };
        Ok(self.find_repos(actor, &wanted).await?.repositories)
    }
}

fn judged(new: &NewOrganisation) -> Result<(String, String), Error> {
    Ok((one_line("full_name", &new.full_name, 0, 100)?, one_line("description", &new.description, 0, 500)?))
}

/// Who may know of an organisation at all.
fn is_visible(actor: &Actor, found: &OrganisationRecord, requires_sign_in: bool) -> bool {
    match (actor, Visibility::of(&found.visibility)) {
        (Actor::DeployKey(_), _) => false,
        (Actor::Anonymous, visibility) => visibility == Visibility::Public && !requires_sign_in,
        (Actor::User(_), Visibility::Public | Visibility::Internal) => true,
        (Actor::User(user), Visibility::Private) => found.is_member || user.is_admin,
    }
}

pub(crate) fn view(actor: &Actor, found: OrganisationRecord) -> Result<OrganisationView, Error> {
    let is_admin = actor.user().is_some_and(|user| user.is_admin);
    let OrganisationRecord { id, name, full_name, description, created, .. } = found;
    Ok(OrganisationView {
        id,
        full_name: if full_name.is_empty() { name.clone() } else { full_name },
        name: OwnerName::parse(&name)?,
        description,
        visibility: Visibility::of(&found.visibility),
        created,
        is_member: is_admin || found.is_member,
        is_owner: is_admin || found.is_owner,
        can_create: is_admin || found.can_create,
    })
}

pub(crate) fn member((id, name, full_name, is_owner): (i64, String, String, bool)) -> Result<MemberView, Error> {
    let full_name = if full_name.is_empty() { name.clone() } else { full_name };
    Ok(MemberView { id, name: OwnerName::parse(&name)?, full_name, is_owner })
}

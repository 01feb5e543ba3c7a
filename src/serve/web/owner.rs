//! The page of an owner: what a user or an organisation has that the visitor may see.

use askama::Template;
use axum::extract::{Path, State};
use base::name::OwnerName;
use forge::{Error, MemberView, OrganisationView, OwnerKind, OwnerView, RepoSummary, TeamView};

use super::failure::PageResult;
use super::listing::{RepoRow, rows, visibility_word};
use super::moment;
use super::page::{Shell, draw};
use super::visit::Visit;
use crate::state::AppState;

/// What there is to say of an organisation.
pub(crate) struct About {
    description: String,
    visibility: &'static str,
    is_owner: bool,
    can_create: bool,
    /// For members alone.
    inside: Option<(Vec<MemberView>, Vec<TeamView>)>,
}

#[derive(Template)]
#[template(path = "pages/owner.html")]
pub(crate) struct OwnerPage {
    pub(crate) shell: Shell,
    name: String,
    full_name: String,
    since: String,
    about: Option<About>,
    organisations: Vec<OrganisationView>,
    repos: Vec<RepoRow>,
    is_self: bool,
}

/// What a page of an owner is made of.
pub(crate) struct Parts {
    pub(crate) owner: OwnerView,
    pub(crate) organisation: Option<OrganisationView>,
    pub(crate) inside: Option<(Vec<MemberView>, Vec<TeamView>)>,
    pub(crate) organisations: Vec<OrganisationView>,
    pub(crate) repos: Vec<RepoSummary>,
}

/// `GET /{owner}`.
pub(crate) async fn show(State(state): State<AppState>, visit: Visit, Path(name): Path<String>) -> PageResult {
    let parts = gathered(&state, &visit, &OwnerName::parse(&name)?).await?;
    draw(&page(&visit, parts))
}

async fn gathered(state: &AppState, visit: &Visit, name: &OwnerName) -> Result<Parts, Error> {
    let (forge, actor) = (&state.forge, &visit.actor);
    let owner = forge.owner(actor, name).await?;
    let repos = forge.repos_of(actor, name).await?;
    if owner.kind == OwnerKind::User {
        let organisations = forge.organisations_of(actor, name).await?;
        return Ok(Parts { owner, organisation: None, inside: None, organisations, repos });
    }
    let found = forge.organisation(actor, name).await?;
    let view = found.view().clone();
    let inside = match found.for_member() {
        Ok(member) => Some((forge.members(&member).await?, forge.teams(&member).await?)),
        Err(_) => None,
    };
    Ok(Parts { owner, organisation: Some(view), inside, organisations: Vec::new(), repos })
}

/// The page of these.
pub(crate) fn page(visit: &Visit, parts: Parts) -> OwnerPage {
    let Parts { owner, organisation, inside, organisations, repos } = parts;
    OwnerPage {
        shell: Shell::of(visit),
        is_self: visit.actor.user().is_some_and(|user| user.name == owner.name),
        name: owner.name.to_string(),
        full_name: owner.full_name,
        since: moment::ago(owner.created, visit.now),
        about: organisation.map(|view| About {
            description: view.description,
            visibility: visibility_word(view.visibility),
            is_owner: view.is_owner,
            can_create: view.can_create,
            inside,
        }),
        organisations,
        repos: rows(&repos, visit.now),
    }
}

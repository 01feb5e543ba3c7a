//! The numbers that hold for every push to the site, and owners with a number of their own. For administrators; the forge
//! tells everyone else that there is no such page.

use askama::Template;
use axum::extract::State;
use forge::{SiteLimit, SiteLimits};

use super::failure::{PageResult, redirect};
use super::form::{Draft, Form, Problem};
use super::page::{Shell, draw, draw_refused};
use super::target::{Notice, Target};
use super::visit::Visit;
use crate::state::AppState;

/// A field of the form.
pub(crate) struct LimitField {
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    pub(crate) hint: &'static str,
}

#[derive(Template)]
#[template(path = "pages/limits.html")]
pub(crate) struct LimitsPage {
    pub(crate) shell: Shell,
    pub(crate) fields: Vec<LimitField>,
    pub(crate) owners: Vec<(String, i64)>,
    pub(crate) draft: Draft,
    pub(crate) owner: Draft,
}

/// `GET /admin/limits`.
pub(crate) async fn show(State(state): State<AppState>, visit: Visit) -> PageResult {
    let limits = state.forge.site_limits(&visit.actor).await?;
    draw(&page(&visit, &limits, (None, Draft::default())))
}

/// `POST /admin/limits`.
pub(crate) async fn save(State(state): State<AppState>, visit: Visit, form: Form) -> PageResult {
    let typed = SiteLimit::ALL.map(|limit| (limit, form.text(limit.as_str()).to_owned()));
    let Err(error) = state.forge.set_site_limits(&visit.actor, &typed).await else {
        return Ok(redirect(&Target::Limits(Notice::LimitsSaved)));
    };
    let draft = form.draft(Problem::from_forge(error, "owner")?);
    let limits = state.forge.site_limits(&visit.actor).await?;
    draw_refused(&page(&visit, &limits, (Some(draft), Draft::default())))
}

/// `POST /admin/limits/owner`.
pub(crate) async fn save_owner(State(state): State<AppState>, visit: Visit, form: Form) -> PageResult {
    let Err(error) = state.forge.set_owner_quota(&visit.actor, form.text("owner"), form.text("quota")).await else {
        return Ok(redirect(&Target::Limits(Notice::QuotaSaved)));
    };
    let owner = form.draft(Problem::from_forge(error, "owner")?);
    let limits = state.forge.site_limits(&visit.actor).await?;
    draw_refused(&page(&visit, &limits, (None, owner)))
}

/// The page with these numbers.
pub(crate) fn page(visit: &Visit, limits: &SiteLimits, (draft, owner): (Option<Draft>, Draft)) -> LimitsPage {
    let values = SiteLimit::ALL.map(|limit| (limit.as_str(), limits.shown(limit).to_string()));
    let values: Vec<_> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    LimitsPage {
        shell: Shell::of(visit),
        fields: SiteLimit::ALL.map(field).into(),
        owners: limits.owners.clone(),
        draft: draft.unwrap_or_else(|| Draft::with(&values)),
        owner,
    }
}

fn field(limit: SiteLimit) -> LimitField {
    let (label, hint) = match limit {
        SiteLimit::Repository => ("One repository, MiB", "Git objects and large files together."),
        SiteLimit::Owner => ("All repositories of one owner, MiB", "As they were after their last pushes."),
        SiteLimit::Pack => ("One push, MiB", "As it is sent, before it is unpacked."),
        SiteLimit::Object => ("One file, MiB", "Any object of a push; larger files belong into Git LFS."),
        SiteLimit::PushRefs => ("Branches and tags that one push may change", ""),
        SiteLimit::Refs => ("Branches and tags of one repository", ""),
    };
    LimitField { name: limit.as_str(), label, hint }
}

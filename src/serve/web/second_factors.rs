//! Who has a second factor, and taking it away from somebody who lost it. For administrators; absent for others.

use askama::Template;
use axum::extract::{Path, State};
use forge::HolderView;

use super::failure::{PageResult, redirect};
use super::form::Form;
use super::page::{Shell, draw};
use super::target::{Notice, Target};
use super::text::counted;
use super::visit::Visit;
use crate::state::AppState;

/// A user in the list.
pub(crate) struct HolderRow {
    name: String,
    has: String,
    is_self: bool,
}

#[derive(Template)]
#[template(path = "pages/second-factors.html")]
pub(crate) struct SecondFactorsPage {
    shell: Shell,
    holders: Vec<HolderRow>,
}

/// `GET /admin/second-factors`.
pub(crate) async fn show(State(state): State<AppState>, visit: Visit) -> PageResult {
    let holders = state.forge.second_factor_holders(&visit.actor).await?;
    draw(&page(&visit, &holders))
}

/// `POST /admin/second-factors/{name}/reset`.
pub(crate) async fn reset(
    State(state): State<AppState>,
    visit: Visit,
    Path(name): Path<String>,
    _: Form,
) -> PageResult {
    state.forge.reset_second_factor(&visit.actor, &name).await?;
    Ok(redirect(&Target::SecondFactors(Notice::FactorReset)))
}

/// The page with these users.
pub(crate) fn page(visit: &Visit, holders: &[HolderView]) -> SecondFactorsPage {
    let own = visit.actor.user().map(|user| user.name.as_str());
    let row = |holder: &HolderView| {
        let keys = usize::try_from(holder.keys).unwrap_or_default();
        let parts =
            [holder.has_app.then(|| "authenticator app".to_owned()), (keys > 0).then(|| counted(keys, "security key"))];
        HolderRow {
            name: holder.name.clone(),
            has: parts.into_iter().flatten().collect::<Vec<_>>().join(", "),
            is_self: own == Some(holder.name.as_str()),
        }
    };
    SecondFactorsPage { shell: Shell::of(visit), holders: holders.iter().map(row).collect() }
}

//! What the administrator sets for the whole site. The forge tells everyone else that there is no such page.

use askama::Template;
use axum::extract::State;
use forge::{Banner, BannerColour, Error, SiteSettings};

use super::failure::{PageResult, redirect};
use super::form::{Draft, Form, Problem};
use super::page::{Shell, draw, draw_refused};
use super::target::{Notice, Target};
use super::visit::Visit;
use crate::state::AppState;

#[derive(Template)]
#[template(path = "pages/site-settings.html")]
pub(crate) struct SiteSettingsPage {
    pub(crate) shell: Shell,
    pub(crate) draft: Draft,
}

/// `GET /admin/settings`.
pub(crate) async fn show(State(state): State<AppState>, visit: Visit) -> PageResult {
    let settings = state.forge.site_settings_of(&visit.actor).await?;
    draw(&page(&visit, &settings, Draft::default()))
}

/// `POST /admin/settings`.
pub(crate) async fn change(State(state): State<AppState>, visit: Visit, form: Form) -> PageResult {
    let text = form.text("banner").trim();
    let colour = BannerColour::named(form.text("colour")).unwrap_or_default();
    let banner = (!text.is_empty()).then(|| Banner { text: text.into(), colour });
    let new = SiteSettings { requires_sign_in: form.text("requires_sign_in") == "yes", banner };
    match state.forge.change_site_settings(&visit.actor, new).await {
        Ok(()) => Ok(redirect(&Target::Page("/admin/settings".into(), Notice::Saved))),
        Err(error @ Error::Field { .. }) => {
            let draft = form.draft(Problem::from_forge(error, "banner")?);
            draw_refused(&page(&visit, &SiteSettings::default(), draft))
        }
        Err(error) => Err(error.into()),
    }
}

/// The page with these settings.
pub(crate) fn page(visit: &Visit, settings: &SiteSettings, draft: Draft) -> SiteSettingsPage {
    let banner = settings.banner.as_ref();
    let now = Draft::with(&[
        ("requires_sign_in", if settings.requires_sign_in { "yes" } else { "" }),
        ("banner", banner.map_or("", |banner| &banner.text)),
        ("colour", banner.map_or(BannerColour::default(), |banner| banner.colour).name()),
    ]);
    SiteSettingsPage { shell: Shell::of(visit), draft: draft.over(now) }
}

//! What every page has around its content, and how a page becomes a response.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use forge::Banner;

use super::asset;
use super::failure::{Failure, PageResult};
use super::target::{LocalPath, Notice, Target};
use super::text::escaped;
use super::visit::Visit;

/// Bar, menu and foot of a page.
#[derive(Clone, Debug)]
pub(crate) struct Shell {
    /// Who is signed in.
    pub(crate) user: Option<Badge>,
    /// What the page before wants said.
    pub(crate) notice: Option<Notice>,
    /// The request's name in the log.
    pub(crate) request: String,
    /// Says whether `/ca.pem` has something to give.
    pub(crate) has_ca: bool,
    /// What stands at the top and the foot.
    pub(crate) banner: Option<Banner>,
    here: LocalPath,
    back: LocalPath,
    csrf: String,
}

/// The signed-in user in the bar.
#[derive(Clone, Debug)]
pub(crate) struct Badge {
    /// The name to sign in with.
    pub(crate) name: String,
    /// Says whether the user administers the site.
    pub(crate) is_admin: bool,
}

impl Shell {
    /// The shell of a page for this visitor.
    pub(crate) fn of(visit: &Visit) -> Self {
        let user = visit.actor.user();
        Self {
            user: user.map(|user| Badge { name: user.name.to_string(), is_admin: user.is_admin }),
            notice: visit.notice,
            request: visit.request.clone(),
            has_ca: visit.has_ca,
            banner: visit.banner.clone(),
            here: visit.here.clone(),
            back: visit.back.clone(),
            csrf: visit.csrf.as_ref().map(|token| token.expose().clone()).unwrap_or_default(),
        }
    }

    /// The address of an asset.
    pub(crate) fn asset(name: &str) -> String {
        asset::address(name)
    }

    /// The program's version.
    pub(crate) fn version() -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    /// Says whether the page is at this path, whatever its query.
    pub(crate) fn is_at(&self, path: &str) -> bool {
        self.here.as_str().split('?').next() == Some(path)
    }

    pub(crate) fn is_admin(&self) -> bool {
        self.user.as_ref().is_some_and(|user| user.is_admin)
    }

    /// Where "Sign in" leads: back to this page afterwards.
    pub(crate) fn sign_in(&self) -> String {
        Target::SignIn(self.back.clone()).to_string()
    }

    /// The hidden field that every form of a session carries.
    pub(crate) fn token(&self) -> String {
        format!(r#"<input type="hidden" name="csrf" value="{}">"#, escaped(&self.csrf))
    }
}

/// A page as a response.
pub(crate) fn draw(template: &impl Template) -> PageResult {
    let html = template.render().map_err(|error| Failure::Internal(Box::new(error)))?;
    Ok(Html(html).into_response())
}

/// A form that was refused, shown again with what is wrong: 422.
pub(crate) fn draw_refused(template: &impl Template) -> PageResult {
    let mut response: Response = draw(template)?;
    *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    Ok(response)
}

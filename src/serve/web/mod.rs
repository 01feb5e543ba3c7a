//! The pages of the site, server-rendered. Each handler turns a request into one use case of the forge and its answer
//! into a page; no right is decided here, and no page needs a script.

mod archive;
mod asset;
mod audit;
mod blame;
mod commit;
mod failure;
#[cfg(test)]
mod fixtures;
mod form;
mod frame;
mod history;
mod keys;
mod listing;
mod moment;
mod new_repository;
mod page;
#[cfg(test)]
mod page_test;
mod password;
mod raw;
mod references;
mod render;
mod repository_settings;
mod sign_in;
mod source;
pub(crate) mod target;
pub(crate) mod text;
mod tokens;
mod tree;
mod unchanged;
#[cfg(test)]
mod unchanged_test;
mod users;
mod visit;
#[cfg(test)]
mod walk_test;

use axum::routing::{MethodRouter, get, post};
use axum::{Extension, Router, middleware};

use crate::state::AppState;
use failure::{Failure, PageResult};
use render::Renderer;

/// How a page is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// It only shows.
    Get,
    /// It changes something: needs the session's form token and comes from a page of this site.
    Post,
}

/// Whom a page is for. Tests walk the table with one visitor of each kind; the forge itself decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Everyone who reaches the site.
    Everyone,
    /// Who is signed in; others are sent to sign-in.
    SignedIn,
    /// Who may read the repository; it is absent for others.
    Reader,
    /// Who may administer the repository.
    RepositoryAdministrator,
    /// Who administers the site; it is absent for others.
    SiteAdministrator,
}

/// One page.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// How it is asked for.
    pub method: Method,
    /// Its path; `{owner}`, `{repo}`, `{name}`, `{id}` and `{file}` stand for one part, `{*rest}` for the end of it.
    pub pattern: &'static str,
    /// Whom it is for.
    pub audience: Audience,
    handler: fn() -> MethodRouter<AppState>,
}

/// Every page that there is. The router is made from this table, and tests walk it.
pub const ROUTES: &[Route] = {
    use Audience::{Everyone, Reader, RepositoryAdministrator, SignedIn, SiteAdministrator};
    &[
        shows("/", Everyone, || get(listing::start)),
        shows("/explore", Everyone, || get(listing::explore)),
        shows("/sign-in", Everyone, || get(sign_in::show)),
        takes("/sign-in", Everyone, || post(sign_in::submit)),
        takes("/sign-out", SignedIn, || post(sign_in::leave)),
        shows("/new", SignedIn, || get(new_repository::show)),
        takes("/new", SignedIn, || post(new_repository::create)),
        shows("/settings/keys", SignedIn, || get(keys::show)),
        takes("/settings/keys", SignedIn, || post(keys::add)),
        takes("/settings/keys/{id}/delete", SignedIn, || post(keys::remove)),
        shows("/settings/tokens", SignedIn, || get(tokens::show)),
        takes("/settings/tokens", SignedIn, || post(tokens::create)),
        takes("/settings/tokens/{id}/delete", SignedIn, || post(tokens::end)),
        shows("/settings/password", SignedIn, || get(password::show)),
        takes("/settings/password", SignedIn, || post(password::change)),
        shows("/admin/users", SiteAdministrator, || get(users::show)),
        takes("/admin/users", SiteAdministrator, || post(users::create)),
        takes("/admin/users/{name}/activate", SiteAdministrator, || post(users::activate)),
        takes("/admin/users/{name}/deactivate", SiteAdministrator, || post(users::deactivate)),
        shows("/admin/audit", SiteAdministrator, || get(audit::show)),
        shows("/{owner}/{repo}", Reader, || get(tree::home)),
        shows("/{owner}/{repo}/src/{*rest}", Reader, || get(source::show)),
        shows("/{owner}/{repo}/blame/{*rest}", Reader, || get(blame::show)),
        shows("/{owner}/{repo}/raw/{*rest}", Reader, || get(raw::show)),
        shows("/{owner}/{repo}/commits", Reader, || get(history::show)),
        shows("/{owner}/{repo}/commits/{*rest}", Reader, || get(history::show)),
        shows("/{owner}/{repo}/commit/{id}", Reader, || get(commit::show)),
        shows("/{owner}/{repo}/archive/{*rest}", Reader, || get(archive::show)),
        shows("/{owner}/{repo}/branches", Reader, || get(references::branches)),
        shows("/{owner}/{repo}/tags", Reader, || get(references::tags)),
        shows("/{owner}/{repo}/settings", RepositoryAdministrator, || get(repository_settings::show)),
        takes("/{owner}/{repo}/settings/delete", RepositoryAdministrator, || post(repository_settings::delete)),
        shows("/assets/{file}", Everyone, || get(asset::show)),
        shows("/favicon.ico", Everyone, || get(asset::favicon)),
    ]
};

/// The pages, with what surrounds them: session, form checks, failures as pages. Answers every path that no other
/// router takes.
pub(crate) fn router(state: &AppState) -> Router<AppState> {
    let mut router = Router::new();
    for route in ROUTES {
        router = router.route(route.pattern, (route.handler)());
    }
    router
        .fallback(absent)
        .method_not_allowed_fallback(wrong_method)
        .layer(Extension(Renderer::new()))
        .layer(middleware::from_fn_with_state(state.clone(), visit::layer))
}

async fn absent() -> PageResult {
    Err(Failure::NotFound)
}

async fn wrong_method() -> PageResult {
    Err(Failure::WrongMethod)
}

const fn shows(pattern: &'static str, audience: Audience, handler: fn() -> MethodRouter<AppState>) -> Route {
    Route { method: Method::Get, pattern, audience, handler }
}

const fn takes(pattern: &'static str, audience: Audience, handler: fn() -> MethodRouter<AppState>) -> Route {
    Route { method: Method::Post, pattern, audience, handler }
}

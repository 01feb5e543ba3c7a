//! The pages of the site, server-rendered. Each handler turns a request into one use case of the forge and its answer
//! into a page; no right is decided here, and no page needs a script.

mod agent;
mod api_page;
pub(crate) mod archive;
mod asset;
mod audit;
mod blame;
mod commit;
mod compare;
#[cfg(test)]
mod content_test;
mod diff;
mod diff_lines;
mod edit;
mod events;
mod failure;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod fixtures_access;
mod form;
mod frame;
mod health;
mod help;
mod history;
#[cfg(test)]
mod incident_test;
mod jobs;
mod keys;
mod limits;
mod listing;
mod missing;
mod moment;
mod new_repository;
mod organisation;
mod owner;
mod page;
#[cfg(test)]
mod page_test;
mod password;
pub(crate) mod patch;
mod protection;
mod query;
mod quick_code;
pub(crate) mod raw;
mod references;
pub(crate) mod render;
mod repository_access;
mod repository_settings;
mod search;
mod second_factor;
mod second_factors;
mod security;
mod sign_in;
mod site_settings;
mod source;
mod ssh_authorities;
pub(crate) mod target;
mod teams;
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
    /// Who may push to the repository; others are told that they may not, or sent to sign-in.
    Writer,
    /// Who may change what the repository says of itself.
    Maintainer,
    /// Who may administer the repository.
    RepositoryAdministrator,
    /// Who may know of the owner: everyone, but for organisations that are hidden.
    OwnerSeen,
    /// Members of the organisation.
    Member,
    /// Owners of the organisation.
    OrganisationOwner,
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
    use Audience::{
        Everyone, Maintainer, Member, OrganisationOwner, OwnerSeen, Reader, RepositoryAdministrator, SignedIn,
        SiteAdministrator, Writer,
    };
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
        shows("/sign-in/second-factor", Everyone, || get(second_factor::show)),
        takes("/sign-in/second-factor", Everyone, || post(second_factor::submit)),
        shows("/settings/security", SignedIn, || get(security::show)),
        takes("/settings/security/confirm", SignedIn, || post(security::confirm)),
        takes("/settings/security/app", SignedIn, || post(security::begin_app)),
        takes("/settings/security/app/confirm", SignedIn, || post(security::confirm_app)),
        takes("/settings/security/app/remove", SignedIn, || post(security::remove_app)),
        takes("/settings/security/codes", SignedIn, || post(security::renew_codes)),
        takes("/settings/security/keys/new", SignedIn, || post(security::begin_key)),
        takes("/settings/security/keys", SignedIn, || post(security::add_key)),
        takes("/settings/security/keys/{id}/rename", SignedIn, || post(security::rename_key)),
        takes("/settings/security/keys/{id}/remove", SignedIn, || post(security::remove_key)),
        takes("/settings/security/sessions/{id}/end", SignedIn, || post(security::end_session)),
        takes("/settings/security/sessions/end-others", SignedIn, || post(security::end_others)),
        shows("/admin/second-factors", SiteAdministrator, || get(second_factors::show)),
        takes("/admin/second-factors/{name}/reset", SiteAdministrator, || post(second_factors::reset)),
        shows("/admin/users", SiteAdministrator, || get(users::show)),
        takes("/admin/users", SiteAdministrator, || post(users::create)),
        takes("/admin/users/{name}/activate", SiteAdministrator, || post(users::activate)),
        takes("/admin/users/{name}/deactivate", SiteAdministrator, || post(users::deactivate)),
        takes("/admin/users/{name}/promote", SiteAdministrator, || post(users::promote)),
        takes("/admin/users/{name}/demote", SiteAdministrator, || post(users::demote)),
        takes("/admin/users/{name}/delete", SiteAdministrator, || post(users::delete)),
        shows("/admin/settings", SiteAdministrator, || get(site_settings::show)),
        takes("/admin/settings", SiteAdministrator, || post(site_settings::change)),
        shows("/new-organisation", SignedIn, || get(organisation::new)),
        takes("/new-organisation", SignedIn, || post(organisation::create)),
        shows("/orgs/{owner}/settings", OrganisationOwner, || get(organisation::settings)),
        takes("/orgs/{owner}/settings", OrganisationOwner, || post(organisation::change)),
        takes("/orgs/{owner}/settings/delete", OrganisationOwner, || post(organisation::delete)),
        shows("/orgs/{owner}/members", Member, || get(organisation::members)),
        takes("/orgs/{owner}/members/{name}/remove", OrganisationOwner, || post(organisation::remove_member)),
        shows("/orgs/{owner}/teams", Member, || get(teams::list)),
        takes("/orgs/{owner}/teams", OrganisationOwner, || post(teams::create)),
        shows("/orgs/{owner}/teams/{name}", Member, || get(teams::show)),
        takes("/orgs/{owner}/teams/{name}", OrganisationOwner, || post(teams::change)),
        takes("/orgs/{owner}/teams/{name}/delete", OrganisationOwner, || post(teams::delete)),
        takes("/orgs/{owner}/teams/{name}/members", OrganisationOwner, || post(teams::add_member)),
        takes("/orgs/{owner}/teams/{name}/members/remove", OrganisationOwner, || post(teams::remove_member)),
        takes("/orgs/{owner}/teams/{name}/repositories", OrganisationOwner, || post(teams::add_repository)),
        takes("/orgs/{owner}/teams/{name}/repositories/remove", OrganisationOwner, || post(teams::remove_repository)),
        shows("/{owner}", OwnerSeen, || get(owner::show)),
        shows("/admin/audit", SiteAdministrator, || get(audit::show)),
        shows("/admin/limits", SiteAdministrator, || get(limits::show)),
        takes("/admin/limits", SiteAdministrator, || post(limits::save)),
        takes("/admin/limits/owner", SiteAdministrator, || post(limits::save_owner)),
        shows("/admin/ssh-authorities", SiteAdministrator, || get(ssh_authorities::show)),
        takes("/admin/ssh-authorities", SiteAdministrator, || post(ssh_authorities::add)),
        takes("/admin/ssh-authorities/{id}/delete", SiteAdministrator, || post(ssh_authorities::remove)),
        shows("/admin/health", SiteAdministrator, || get(health::show)),
        shows("/admin/jobs", SiteAdministrator, || get(jobs::show)),
        takes("/admin/jobs/{id}/retry", SiteAdministrator, || post(jobs::retry)),
        takes("/admin/jobs/{id}/drop", SiteAdministrator, || post(jobs::forget)),
        shows("/{owner}/{repo}/events", Reader, || get(events::stream)),
        shows("/{owner}/{repo}", Reader, || get(tree::home)),
        shows("/{owner}/{repo}/src/{*rest}", Reader, || get(source::show)),
        shows("/{owner}/{repo}/blame/{*rest}", Reader, || get(blame::show)),
        shows("/{owner}/{repo}/raw/{*rest}", Reader, || get(raw::show)),
        shows("/{owner}/{repo}/commits", Reader, || get(history::show)),
        shows("/{owner}/{repo}/commits/{*rest}", Reader, || get(history::show)),
        shows("/{owner}/{repo}/commit/{id}", Reader, || get(commit::show)),
        shows("/{owner}/{repo}/diff/{*rest}", Reader, || get(commit::one_file)),
        shows("/{owner}/{repo}/compare", Reader, || get(compare::show)),
        shows("/{owner}/{repo}/compare/{*rest}", Reader, || get(compare::show)),
        shows("/{owner}/{repo}/search", Reader, || get(search::show)),
        shows("/{owner}/{repo}/new", Writer, || get(edit::create)),
        takes("/{owner}/{repo}/new", Writer, || post(edit::create_submit)),
        shows("/{owner}/{repo}/new/{*rest}", Writer, || get(edit::create)),
        takes("/{owner}/{repo}/new/{*rest}", Writer, || post(edit::create_submit)),
        shows("/{owner}/{repo}/edit/{*rest}", Writer, || get(edit::change)),
        takes("/{owner}/{repo}/edit/{*rest}", Writer, || post(edit::change_submit)),
        shows("/{owner}/{repo}/delete/{*rest}", Writer, || get(edit::delete)),
        takes("/{owner}/{repo}/delete/{*rest}", Writer, || post(edit::delete_submit)),
        shows("/{owner}/{repo}/archive/{*rest}", Reader, || get(archive::show)),
        shows("/{owner}/{repo}/branches", Reader, || get(references::branches)),
        shows("/{owner}/{repo}/tags", Reader, || get(references::tags)),
        shows("/{owner}/{repo}/settings", Maintainer, || get(repository_settings::show)),
        takes("/{owner}/{repo}/settings", Maintainer, || post(repository_settings::change)),
        takes("/{owner}/{repo}/settings/default-branch", Maintainer, || post(repository_settings::default_branch)),
        takes("/{owner}/{repo}/settings/rename", RepositoryAdministrator, || post(repository_settings::rename)),
        takes("/{owner}/{repo}/settings/transfer", RepositoryAdministrator, || post(repository_settings::transfer)),
        shows("/{owner}/{repo}/settings/access", RepositoryAdministrator, || get(repository_access::show)),
        takes("/{owner}/{repo}/settings/access", RepositoryAdministrator, || post(repository_access::set)),
        takes("/{owner}/{repo}/settings/access/remove", RepositoryAdministrator, || post(repository_access::remove)),
        shows("/{owner}/{repo}/settings/keys", RepositoryAdministrator, || get(repository_access::keys)),
        takes("/{owner}/{repo}/settings/keys", RepositoryAdministrator, || post(repository_access::add_key)),
        takes("/{owner}/{repo}/settings/keys/{id}/delete", RepositoryAdministrator, || {
            post(repository_access::remove_key)
        }),
        takes("/{owner}/{repo}/settings/delete", RepositoryAdministrator, || post(repository_settings::delete)),
        shows("/api/swagger", Everyone, || get(api_page::show)),
        shows("/help/keyboard", Everyone, || get(help::keyboard)),
        shows("/{owner}/{repo}/settings/protection", RepositoryAdministrator, || get(protection::show)),
        takes("/{owner}/{repo}/settings/protection", RepositoryAdministrator, || post(protection::add)),
        shows("/{owner}/{repo}/settings/protection/{id}", RepositoryAdministrator, || get(protection::edit)),
        takes("/{owner}/{repo}/settings/protection/{id}", RepositoryAdministrator, || post(protection::save)),
        takes("/{owner}/{repo}/settings/protection/{id}/delete", RepositoryAdministrator, || post(protection::remove)),
        takes("/{owner}/{repo}/settings/quota", SiteAdministrator, || post(protection::save_quota)),
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

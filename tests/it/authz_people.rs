//! The people, places and forms of the matrix of rights, and what each person may do where: written down here by hand, and not
//! asked of the program. Makes everything through the doors that a person uses.

use crate::site::{ADMIN, PASSWORD, Site};
use crate::visitor::Visitor;

/// What somebody may do in a repository. Ordered as the program's own levels are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    None,
    Read,
    Triage,
    Write,
    Maintain,
    Admin,
}

/// Nobody signed in.
pub(crate) const ANONYMOUS: &str = "";
/// Owns repositories of a user.
pub(crate) const OWNER: &str = "oscar";
/// Owns both organisations.
const ORGANISER: &str = "orla";
/// In a team of both organisations that has no repository.
const MEMBER: &str = "mira";
/// Whom the administrator's pages are tried on; owns a repository, and does nothing.
pub(crate) const VICTIM: &str = "vera";
/// Collaborators of every repository, by level.
const COLLABORATORS: [(&str, Level, &str); 5] = [
    ("rita", Level::Read, "read"),
    ("tina", Level::Triage, "triage"),
    ("wim", Level::Write, "write"),
    ("mona", Level::Maintain, "maintain"),
    ("ada", Level::Admin, "admin"),
];
/// Everybody who visits.
pub(crate) const PEOPLE: [&str; 11] =
    [ANONYMOUS, "stan", MEMBER, "rita", "tina", "wim", "mona", "ada", ORGANISER, OWNER, ADMIN];
/// Owners and the names of their repositories, which are their visibilities.
pub(crate) const PLACES: [(&str, &str); 8] = [
    (OWNER, "public"),
    (OWNER, "internal"),
    (OWNER, "private"),
    ("acme", "public"),
    ("acme", "internal"),
    ("acme", "private"),
    ("hidden", "public"),
    ("hidden", "private"),
];
/// Owners whose own page is asked for.
pub(crate) const OWNERS: [&str; 3] = [OWNER, "acme", "hidden"];

/// A form's route, its fields, and the answer to who may send it.
type Row = (&'static str, &'static [(&'static str, &'static str)], u16);

/// An id that no blob has.
const NO_BLOB: &str = "1111111111111111111111111111111111111111";

/// What each form is sent with, and what who may send it gets: a refusal of what it says, or an answer that changes
/// nothing that another row needs.
pub(crate) const FORMS: &[Row] = &[
    ("/sign-in", &[("name", ""), ("password", "")], 422),
    ("/new", &[("name", "")], 422),
    ("/settings/keys", &[("key", "")], 422),
    ("/settings/keys/{id}/delete", &[], 404),
    ("/settings/tokens", &[("name", "")], 422),
    ("/settings/tokens/{id}/delete", &[], 404),
    ("/settings/password", &[("password", "a"), ("again", "b")], 422),
    ("/admin/users", &[("name", "")], 422),
    ("/admin/users/{name}/activate", &[], 303),
    ("/admin/users/{name}/deactivate", &[], 303),
    ("/admin/users/{name}/promote", &[], 303),
    ("/admin/users/{name}/demote", &[], 303),
    ("/admin/users/{name}/delete", &[], 422),
    ("/admin/settings", &[("banner", "a\u{1}b")], 422),
    ("/new-organisation", &[("name", "")], 422),
    ("/orgs/{owner}/settings", &[("full_name", "a\u{1}b")], 422),
    ("/orgs/{owner}/settings/delete", &[("confirm", "")], 422),
    ("/orgs/{owner}/members/{name}/remove", &[], 404),
    ("/orgs/{owner}/teams", &[("name", "")], 422),
    ("/orgs/{owner}/teams/{name}", &[("name", "")], 422),
    ("/orgs/{owner}/teams/{name}/delete", &[], 403),
    ("/orgs/{owner}/teams/{name}/members", &[("user", "")], 422),
    ("/orgs/{owner}/teams/{name}/members/remove", &[("user", "")], 422),
    ("/orgs/{owner}/teams/{name}/repositories", &[("repository", "")], 422),
    ("/orgs/{owner}/teams/{name}/repositories/remove", &[("repository", "")], 422),
    ("/{owner}/{repo}/settings", &[("description", "a\u{1}b")], 422),
    ("/{owner}/{repo}/settings/default-branch", &[("branch", "absent")], 422),
    ("/{owner}/{repo}/settings/rename", &[("name", "")], 422),
    ("/{owner}/{repo}/settings/transfer", &[("owner", "absent")], 422),
    ("/{owner}/{repo}/settings/delete", &[("confirm", "")], 422),
    ("/{owner}/{repo}/settings/access", &[("user", "")], 422),
    ("/{owner}/{repo}/settings/access/remove", &[("user", "absent")], 404),
    ("/{owner}/{repo}/settings/keys", &[("key", "")], 422),
    ("/{owner}/{repo}/settings/keys/{id}/delete", &[], 404),
    ("/sign-in/second-factor", &[("code", "")], 303),
    ("/settings/security/confirm", &[("password", "")], 422),
    ("/settings/security/app", &[], 200),
    ("/settings/security/app/confirm", &[("code", "")], 422),
    ("/settings/security/app/remove", &[], 404),
    ("/settings/security/codes", &[], 404),
    ("/settings/security/keys/new", &[], 200),
    ("/settings/security/keys", &[], 422),
    ("/settings/security/keys/{id}/rename", &[("name", "")], 422),
    ("/settings/security/keys/{id}/remove", &[], 404),
    ("/settings/security/sessions/{id}/end", &[], 404),
    ("/settings/security/sessions/end-others", &[], 303),
    ("/admin/second-factors/{name}/reset", &[], 404),
    ("/admin/limits", &[("pack", "x")], 422),
    ("/admin/limits/owner", &[("owner", "")], 422),
    ("/admin/ssh-authorities", &[("key", "")], 422),
    ("/admin/ssh-authorities/{id}/delete", &[], 404),
    ("/admin/jobs/{id}/retry", &[], 404),
    ("/admin/jobs/{id}/drop", &[], 404),
    ("/{owner}/{repo}/new", &[("on", "main"), ("path", "")], 422),
    ("/{owner}/{repo}/new/{*rest}", &[("on", "main"), ("path", "")], 422),
    ("/{owner}/{repo}/edit/{*rest}", &[("on", "main"), ("path", "")], 422),
    ("/{owner}/{repo}/delete/{*rest}", &[("on", "main"), ("from", "../x"), ("blob", NO_BLOB)], 422),
    ("/{owner}/{repo}/settings/protection", &[("pattern", "")], 422),
    ("/{owner}/{repo}/settings/protection/{id}", &[("pattern", "")], 422),
    ("/{owner}/{repo}/settings/protection/{id}/delete", &[], 404),
    ("/{owner}/{repo}/settings/quota", &[("quota", "x")], 422),
];

/// Says whether `person` may know of the organisation or user.
pub(crate) fn sees(person: &str, owner: &str) -> bool {
    owner != "hidden" || is_member(person, owner)
}

/// Says whether `person` sees members and teams of the organisation.
pub(crate) fn is_member(person: &str, organisation: &str) -> bool {
    organisation != OWNER && [MEMBER, ORGANISER, ADMIN].contains(&person)
}

/// Says whether `person` may change the organisation.
pub(crate) fn is_owner(person: &str, organisation: &str) -> bool {
    organisation != OWNER && [ORGANISER, ADMIN].contains(&person)
}

/// What `person` may do in a repository of `owner` that is called as it is visible.
pub(crate) fn level(person: &str, (owner, visibility): (&str, &str)) -> Level {
    if person == ADMIN || person == owner || (person == ORGANISER && owner != OWNER) {
        return Level::Admin;
    }
    if let Some((_, level, _)) = COLLABORATORS.iter().find(|(name, ..)| *name == person) {
        return *level;
    }
    let is_inside = person == MEMBER && owner != OWNER;
    let is_seen = match (visibility, owner) {
        ("private", _) => false,
        (_, "hidden") => is_inside,
        ("internal", _) => person != ANONYMOUS,
        _ => true,
    };
    if is_seen { Level::Read } else { Level::None }
}

/// Makes everybody and everything; gives the people with their sessions, in the order of [`PEOPLE`].
pub(crate) fn fill(site: &Site) -> Vec<Visitor> {
    let admin = site.admin();
    for name in PEOPLE.iter().chain([&VICTIM]).filter(|name| **name != ANONYMOUS && **name != ADMIN) {
        admin.make_user(name, PASSWORD);
    }
    let people: Vec<_> = PEOPLE
        .iter()
        .map(|name| match *name {
            ANONYMOUS => site.anonymous(),
            name => site.sign_in(name, PASSWORD),
        })
        .collect();
    site.sign_in(VICTIM, PASSWORD).make_repository("own", "public");
    let (organiser, owner) = (&people[8], &people[9]);
    for (name, visibility) in [("acme", "public"), ("hidden", "private")] {
        organiser.post("/new-organisation", "visibility", &[("name", name), ("visibility", visibility)]);
        organiser.post(&format!("/orgs/{name}/teams"), "permission", &[("name", "readers")]);
        organiser.post(&format!("/orgs/{name}/teams/readers"), "user", &[("user", MEMBER)]);
    }
    for (of, name) in PLACES {
        if of == OWNER {
            owner.make_repository(name, name);
        } else {
            organiser.post("/new", "owner", &[("owner", of), ("name", name), ("visibility", name)]);
        }
        for (user, _, level) in COLLABORATORS {
            let page = format!("/{of}/{name}/settings/access");
            admin.post(&page, "level", &[("user", user), ("level", level)]);
        }
    }
    let git = site.git().with_password(ADMIN, &admin.make_token("fill", "write"));
    let local = git.history("local", 2);
    for (of, name) in PLACES {
        git.ok(&local, ["push", "--quiet", &site.https(&format!("{of}/{name}")), "main"]);
    }
    people
}

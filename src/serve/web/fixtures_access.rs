//! Pages of owners, organisations, teams and rights, with plausible and hostile content.

use askama::Template;
use base::clock::Timestamp;
use base::name::{OwnerName, RepoName, TeamName};
use forge::{
    Access, Banner, BannerColour, CollaboratorView, DeployKeyView, MemberView, OrganisationView, OwnerKind, OwnerView,
    RepoFrame, RepoSummary, SiteSettings, TeamDetails, TeamView, Visibility,
};

use super::form::{Draft, Fields, Problem};
use super::organisation::{self, NewOrganisationPage};
use super::page::Shell;
use super::visit::Visit;
use super::{owner, repository_access, site_settings, teams};

/// What these pages are made from.
pub(super) struct Ground<'g> {
    pub(super) hostile: &'g str,
    pub(super) now: Timestamp,
    pub(super) repos: Vec<RepoSummary>,
    pub(super) frame: RepoFrame,
}

fn organisation(hostile: &str, now: Timestamp) -> OrganisationView {
    OrganisationView {
        id: 7,
        name: OwnerName::parse("acme").unwrap(),
        full_name: "Acme Power and Light".into(),
        description: hostile.into(),
        visibility: Visibility::Internal,
        created: now.plus_seconds(-9_000_000),
        is_member: true,
        is_owner: true,
        can_create: true,
    }
}

fn team(name: &str, is_owners: bool) -> TeamView {
    TeamView {
        id: 1,
        name: TeamName::parse(name).unwrap(),
        description: "Those who keep the lights on".into(),
        permission: if is_owners { Access::Admin } else { Access::Write },
        is_owners,
        includes_all_repositories: is_owners,
        can_create_repositories: is_owners,
        member_count: 2,
        repository_count: 1,
    }
}

fn members(hostile: &str) -> Vec<MemberView> {
    let member = |name: &str, full_name: &str, is_owner| MemberView {
        id: 1,
        name: OwnerName::parse(name).unwrap(),
        full_name: full_name.into(),
        is_owner,
    };
    vec![member("alice", "Alice Lindqvist", true), member("mallory", hostile, false)]
}

/// The pages, by name.
pub(super) fn pages(visit: &dyn Fn(&str) -> Visit, ground: Ground<'_>) -> Vec<(&'static str, String)> {
    let Ground { hostile, now, repos, frame } = ground;
    let mut pages = organisation_pages(visit, hostile, now, repos);
    let key = DeployKeyView {
        id: 3,
        title: hostile.into(),
        fingerprint: "SHA256:9Zt1u0kq0l8sVxYw2dVb3Jm4nQ5rT6uW7xY8zA9bC0d".into(),
        kind: "ssh-ed25519".into(),
        line: String::new(),
        can_write: true,
        created: now,
        used: None,
    };
    let collaborator = CollaboratorView { id: 2, name: OwnerName::parse("bob").unwrap(), access: Access::Triage };
    let at = visit("/alice/parcel/settings/keys");
    let refused = Fields::default().draft(Problem::of("user", "user `eve` is no user here"));
    let lists = (vec![collaborator], vec![team("owners", true)]);
    pages.push(("repository-access", repository_access::drawn(&at, &frame, lists, refused).render().unwrap()));
    let keys = repository_access::keys_page(&at, &frame, &[key], Draft::default());
    pages.push(("repository-keys", keys.render().unwrap()));
    let none = repository_access::keys_page(&at, &frame, &[], Draft::default());
    pages.push(("repository-keys-empty", none.render().unwrap()));
    for colour in BannerColour::ALL {
        let banner = Some(Banner { text: format!("INTERNAL {hostile}"), colour });
        let at = Visit { banner: banner.clone(), ..visit("/admin/settings") };
        let settings = SiteSettings { requires_sign_in: true, banner };
        let page = site_settings::page(&at, &settings, Draft::default()).render().unwrap();
        pages.push(("site-settings", page));
    }
    pages
}

fn organisation_pages(
    visit: &dyn Fn(&str) -> Visit,
    hostile: &str,
    now: Timestamp,
    repos: Vec<RepoSummary>,
) -> Vec<(&'static str, String)> {
    let acme = || organisation(hostile, now);
    let at = visit("/orgs/acme/settings");
    let face = |kind, name: &str| OwnerView {
        kind,
        name: OwnerName::parse(name).unwrap(),
        full_name: hostile.into(),
        created: now,
    };
    let inside = Some((members(hostile), vec![team("owners", true), team("writers", false)]));
    let organisation_face = owner::Parts {
        owner: face(OwnerKind::Organisation, "acme"),
        organisation: Some(acme()),
        inside,
        organisations: vec![],
        repos,
    };
    let user_face = owner::Parts {
        owner: face(OwnerKind::User, "alice"),
        organisation: None,
        inside: None,
        organisations: vec![acme()],
        repos: vec![],
    };
    let details = |is_owners| TeamDetails {
        team: team(if is_owners { "owners" } else { "writers" }, is_owners),
        members: if is_owners { members(hostile) } else { vec![] },
        repositories: if is_owners { vec![] } else { vec![RepoName::parse("site").unwrap()] },
    };
    let refused = Fields::default().draft(Problem::of("confirm", "type acme to delete it"));
    let (shell, draft) = (Shell::of(&visit("/new-organisation")), organisation::fresh());
    let all_teams = vec![team("owners", true), team("writers", false)];
    vec![
        ("owner-organisation", owner::page(&at, organisation_face).render().unwrap()),
        ("owner-user", owner::page(&at, user_face).render().unwrap()),
        ("new-organisation", NewOrganisationPage { shell, draft }.render().unwrap()),
        ("organisation-settings", organisation::settings_page(&at, acme(), refused).render().unwrap()),
        ("organisation-members", organisation::members_page(&at, acme(), members(hostile)).render().unwrap()),
        ("teams", teams::list_page(&at, acme(), all_teams, Draft::default()).render().unwrap()),
        ("team", teams::page(&at, acme(), details(false), Draft::default()).render().unwrap()),
        ("team-owners", teams::page(&at, acme(), details(true), Draft::default()).render().unwrap()),
    ]
}

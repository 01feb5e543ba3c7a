//! Who may do what, told through the database: collaborators, visibility, tokens, deploy keys, and that lists hold what
//! the rights let through, no more and no less.

use super::*;
use crate::{
    Access, AuditFilter, Banner, BannerColour, Error, NewOrganisation, RepoAdmin, RepoChange, RepoQuery, SiteSettings,
    TeamForm,
};
use base::name::{OwnerName, RefName, RepoName, TeamName};

pub(super) fn owner(text: &str) -> OwnerName {
    OwnerName::parse(text).unwrap()
}

fn team(text: &str) -> TeamName {
    TeamName::parse(text).unwrap()
}

async fn admin(site: &Site, actor: &Actor, at: &str) -> RepoAdmin {
    site.forge.repo(actor, &path(at)).await.unwrap().for_admin().unwrap()
}

async fn deploy_key(site: &Site, repo: &RepoAdmin, can_write: bool) -> Actor {
    let pair = vault::ssh_key::generate("machine").unwrap();
    let key = site.forge.add_deploy_key(repo, "", &pair.public, can_write).await.unwrap();
    site.forge.by_ssh_key(&key.fingerprint).await.unwrap().unwrap()
}

pub(super) fn organisation(name: &str, visibility: Visibility) -> NewOrganisation {
    NewOrganisation { name: name.into(), full_name: String::new(), description: String::new(), visibility }
}

pub(super) fn team_form(name: &str, permission: Access) -> TeamForm {
    TeamForm {
        name: name.into(),
        description: String::new(),
        permission,
        includes_all_repositories: false,
        can_create_repositories: false,
    }
}

async fn access(site: &Site, actor: &Actor, at: &str) -> Access {
    match site.forge.repo(actor, &path(at)).await {
        Ok(repo) => repo.access(),
        Err(Error::NotFound) => Access::None,
        Err(error) => panic!("{error:?}"),
    }
}

const KINDS: [Visibility; 3] = [Visibility::Public, Visibility::Internal, Visibility::Private];

/// Everything that has a say in a right, once: repositories of a user and of organisations of each visibility, each
/// with a collaborator, a team that has one, a team that has all, and every kind of actor.
async fn everything(site: &Site) -> (Vec<String>, Vec<(&'static str, Actor)>) {
    let root = site.sign_in("root").await;
    let (alice, bob, carol) = (site.user("alice").await, site.user("bob").await, site.user("carol").await);
    let (dora, eve) = (site.user("dora").await, site.user("eve").await);
    let mut paths = Vec::new();
    for of in KINDS {
        paths.extend(with_teams(site, &alice, of).await);
    }
    for kind in KINDS {
        site.repo(&bob, kind.as_str(), kind).await;
        paths.push(format!("bob/{}", kind.as_str()));
    }
    for at in ["bob/private", "org-private/private"] {
        let repo = admin(site, &root, at).await;
        site.forge.set_collaborator(&repo, &owner("eve"), Access::Maintain).await.unwrap();
    }
    let key = deploy_key(site, &admin(site, &bob, "bob/private").await, true).await;
    let actors = vec![
        ("anonymous", Actor::Anonymous),
        ("key", key),
        (
            "root's limited token",
            site.by_token(&root, "write:repository", &["bob/private", "org-internal/public"]).await,
        ),
        ("eve's limited token", site.by_token(&eve, "read:repository", &["org-private/private"]).await),
        ("dora's token", site.by_token(&dora, "read:repository", &[]).await),
        ("root", root.clone()),
        ("alice", alice),
        ("bob", bob),
        ("carol", carol),
        ("dora", dora),
        ("eve", eve),
    ];
    (paths, actors)
}

/// An organisation with a repository of each kind, a team that has one of them, and a team that has all.
async fn with_teams(site: &Site, by: &Actor, of: Visibility) -> Vec<String> {
    let name = format!("org-{}", of.as_str());
    site.forge.create_organisation(by, organisation(&name, of)).await.unwrap();
    let mut paths = Vec::new();
    for kind in KINDS {
        let new = NewRepo { name: kind.as_str().into(), description: String::new(), visibility: kind };
        site.forge.create_repo_in(by, &owner(&name), new).await.unwrap();
        paths.push(format!("{name}/{}", kind.as_str()));
    }
    let at = site.forge.organisation(by, &owner(&name)).await.unwrap().for_owner().unwrap();
    site.forge.create_team(&at, team_form("some", Access::Triage)).await.unwrap();
    site.forge.add_team_member(&at, &team("some"), &owner("carol")).await.unwrap();
    site.forge.add_team_repo(&at, &team("some"), &RepoName::parse("private").unwrap()).await.unwrap();
    let all = TeamForm { includes_all_repositories: true, ..team_form("all", Access::Write) };
    site.forge.create_team(&at, all).await.unwrap();
    site.forge.add_team_member(&at, &team("all"), &owner("dora")).await.unwrap();
    paths
}

#[tokio::test]
async fn lists_hold_exactly_what_the_rights_let_through() {
    let site = Site::open().await;
    let (paths, actors) = everything(&site).await;
    let root = site.sign_in("root").await;
    for requires_sign_in in [false, true] {
        let settings = SiteSettings { requires_sign_in, banner: None };
        site.forge.change_site_settings(&root, settings).await.unwrap();
        for (name, actor) in &actors {
            let mut allowed = Vec::new();
            for at in &paths {
                if access(&site, actor, at).await >= Access::Read {
                    allowed.push(at.clone());
                }
            }
            let mut listed: Vec<_> =
                site.forge.repos(actor).await.unwrap().iter().map(|repo| repo.path.to_string()).collect();
            allowed.sort();
            listed.sort();
            assert_eq!(listed, allowed, "{name} {requires_sign_in}");
            let page = RepoQuery { limit: 1, page: 2, ..RepoQuery::default() };
            let page = site.forge.find_repos(actor, &page).await.unwrap();
            assert_eq!(page.total, u64::try_from(allowed.len()).unwrap(), "{name} {requires_sign_in}");
        }
    }
    let expected = [
        ("carol", "org-private/private", Access::Triage),
        ("carol", "org-private/internal", Access::Read),
        ("carol", "org-public/private", Access::Triage),
        ("carol", "bob/private", Access::None),
        ("dora", "org-private/internal", Access::Write),
        ("dora's token", "org-private/internal", Access::Read),
        ("eve", "org-private/private", Access::Maintain),
        ("eve", "org-private/public", Access::None),
        ("eve", "org-internal/public", Access::Read),
        ("alice", "org-private/private", Access::Admin),
        ("key", "bob/private", Access::Write),
        ("key", "bob/public", Access::None),
        ("anonymous", "bob/public", Access::None),
    ];
    for (name, at, level) in expected {
        let actor = &actors.iter().find(|(known, _)| *known == name).unwrap().1;
        assert_eq!(access(&site, actor, at).await, level, "{name} {at}");
    }
}

#[tokio::test]
async fn a_collaborator_comes_changes_and_goes() {
    let site = Site::open().await;
    let (alice, bob) = (site.user("alice").await, site.user("bob").await);
    site.repo(&alice, "notes", Visibility::Private).await;
    let repo = admin(&site, &alice, "alice/notes").await;
    for level in Access::GRANTS {
        site.forge.set_collaborator(&repo, &owner("BOB"), level).await.unwrap();
        assert_eq!(access(&site, &bob, "alice/notes").await, level);
        let may_push = site.forge.begin_push(&bob, &path("alice/notes")).await.is_ok();
        assert_eq!(may_push, level >= Access::Write, "{level:?}");
    }
    let listed = site.forge.collaborators(&repo).await.unwrap();
    assert_eq!((listed.len(), listed[0].name.as_str(), listed[0].access), (1, "bob", Access::Admin));
    for (name, level) in [("nobody", Access::Read), ("alice", Access::Read), ("bob", Access::None)] {
        let refused = site.forge.set_collaborator(&repo, &owner(name), level).await;
        assert!(matches!(refused, Err(Error::Field { .. })), "{name}: {refused:?}");
    }
    site.forge.remove_collaborator(&repo, &owner("bob")).await.unwrap();
    assert_eq!(access(&site, &bob, "alice/notes").await, Access::None);
    assert!(matches!(site.forge.remove_collaborator(&repo, &owner("bob")).await, Err(Error::NotFound)));
}

#[tokio::test]
async fn a_token_does_what_it_was_made_for_and_denies_the_rest() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    for (name, visibility) in [("open", Visibility::Public), ("one", Visibility::Private), ("two", Visibility::Private)]
    {
        site.repo(&alice, name, visibility).await;
    }
    let blind = site.by_token(&alice, "write:user,write:organization", &[]).await;
    for at in ["alice/open", "alice/one"] {
        let refused = site.forge.repo(&blind, &path(at)).await.map(drop);
        assert!(matches!(refused, Err(Error::Denied { .. })), "{at}: {refused:?}");
    }
    assert!(matches!(site.forge.repo(&blind, &path("alice/none")).await, Err(Error::NotFound)));
    assert!(matches!(site.forge.repos(&blind).await, Err(Error::Denied { .. })));
    assert!(site.forge.ssh_keys(&blind).await.is_ok());

    let writes = site.by_token(&alice, "write:repository", &[]).await;
    assert_eq!(access(&site, &writes, "alice/one").await, Access::Admin);
    assert!(matches!(site.forge.ssh_keys(&writes).await, Err(Error::Denied { .. })));
    assert!(matches!(site.forge.tokens(&writes).await, Err(Error::Denied { .. })));

    let limited = site.by_token(&alice, "write:repository", &["alice/one"]).await;
    for (at, level) in [("alice/one", Access::Admin), ("alice/two", Access::None), ("alice/open", Access::Read)] {
        assert_eq!(access(&site, &limited, at).await, level, "{at}");
    }
    let new = NewRepo { name: "three".into(), description: String::new(), visibility: Visibility::Private };
    assert!(matches!(site.forge.create_repo(&limited, new).await, Err(Error::Denied { .. })));
    // The last of its repositories takes nothing of the limit with it.
    let one = admin(&site, &alice, "alice/one").await;
    site.forge.delete_repo(one).await.unwrap();
    assert_eq!(access(&site, &limited, "alice/two").await, Access::None);
    let listed = site.forge.tokens(&alice).await.unwrap();
    assert_eq!(listed.iter().find(|token| token.repositories.is_some()).unwrap().repositories, Some(Vec::new()));
}

#[tokio::test]
async fn a_token_that_makes_no_sense_is_not_made() {
    let site = Site::open().await;
    let (alice, bob) = (site.user("alice").await, site.user("bob").await);
    site.repo(&bob, "hidden", Visibility::Private).await;
    let new = |scopes: &str, repositories: Option<Vec<RepoPath>>, days| NewToken {
        name: "x".into(),
        scopes: Scopes::parse(scopes).unwrap(),
        repositories,
        days,
    };
    for (wrong, field) in [
        (new("", None, None), "scopes"),
        (new("write:user", Some(vec![path("alice/x")]), None), "scopes"),
        (new("all", Some(vec![path("alice/x")]), None), "scopes"),
        (new("read:repository", Some(Vec::new()), None), "repositories"),
        (new("read:repository", Some(vec![path("bob/hidden")]), None), "repositories"),
        (new("read:repository", None, Some(0)), "days"),
    ] {
        let refused = site.forge.create_token(&alice, wrong).await.map(drop);
        assert!(matches!(&refused, Err(Error::Field { field: found, .. }) if *found == field), "{field}: {refused:?}");
    }
}

#[tokio::test]
async fn a_deploy_key_opens_its_repositories_and_is_nobodys_key() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    for name in ["one", "two"] {
        site.repo(&alice, name, Visibility::Private).await;
    }
    let (one, two) = (admin(&site, &alice, "alice/one").await, admin(&site, &alice, "alice/two").await);
    let pair = vault::ssh_key::generate("machine").unwrap();
    let key = site.forge.add_deploy_key(&one, "", &pair.public, true).await.unwrap();
    let machine = site.forge.by_ssh_key(&key.fingerprint).await.unwrap().unwrap();
    assert!(machine.user().is_none() && site.forge.is_ssh_key_known(&key.fingerprint).await.unwrap());
    assert!(site.forge.begin_push(&machine, &path("alice/one")).await.is_ok());
    assert!(matches!(site.forge.begin_upload(&machine, &path("alice/two")).await, Err(Error::NotFound)));

    let read_only = site.forge.add_deploy_key(&two, "", &pair.public, false).await.unwrap();
    assert!(site.forge.begin_upload(&machine, &path("alice/two")).await.is_ok());
    assert!(matches!(site.forge.begin_push(&machine, &path("alice/two")).await, Err(Error::Denied { .. })));
    for refused in [
        site.forge.add_deploy_key(&one, "", &pair.public, true).await.map(drop),
        site.forge.add_ssh_key(&alice, "", &pair.public).await.map(drop),
    ] {
        assert!(matches!(refused, Err(Error::Field { field: "key", .. })), "{refused:?}");
    }
    let own = vault::ssh_key::generate("alice").unwrap();
    site.forge.add_ssh_key(&alice, "", &own.public).await.unwrap();
    let refused = site.forge.add_deploy_key(&one, "", &own.public, false).await.map(drop);
    assert!(matches!(refused, Err(Error::Field { field: "key", .. })), "{refused:?}");

    assert!(matches!(site.forge.remove_deploy_key(&one, read_only.id).await, Err(Error::NotFound)));
    site.forge.remove_deploy_key(&one, key.id).await.unwrap();
    assert!(matches!(site.forge.begin_upload(&machine, &path("alice/one")).await, Err(Error::NotFound)));
    site.forge.remove_deploy_key(&two, read_only.id).await.unwrap();
    assert!(site.forge.by_ssh_key(&key.fingerprint).await.unwrap().is_none());
}

#[tokio::test]
async fn a_repository_is_described_renamed_and_given_away() {
    let site = Site::open().await;
    let (alice, bob, root) = (site.user("alice").await, site.user("bob").await, site.sign_in("root").await);
    site.repo(&alice, "notes", Visibility::Private).await;
    site.repo(&alice, "taken", Visibility::Private).await;
    let repo = admin(&site, &alice, "alice/notes").await;
    let change = RepoChange { description: " All of it ".into(), visibility: Visibility::Public };
    site.forge.change_repo(&repo, change).await.unwrap();
    let seen = site.forge.repo(&bob, &path("alice/notes")).await.unwrap();
    assert_eq!(seen.summary().description, "All of it");

    let main = RefName::branch("other").unwrap();
    let maintains = site.forge.repo(&alice, &path("alice/notes")).await.unwrap().for_maintain().unwrap();
    let refused = site.forge.set_default_branch(&maintains, &main).await;
    assert!(matches!(refused, Err(Error::Field { field: "branch", .. })), "{refused:?}");

    let taken = site.forge.rename_repo(&repo, RepoName::parse("Taken").unwrap()).await;
    assert!(matches!(taken, Err(Error::NameTaken(_))), "{taken:?}");
    site.forge.rename_repo(&repo, RepoName::parse("Book").unwrap()).await.unwrap();
    assert!(matches!(site.forge.repo(&alice, &path("alice/notes")).await, Err(Error::NotFound)));
    site.repo(&alice, "notes", Visibility::Private).await;

    let repo = admin(&site, &alice, "alice/book").await;
    site.forge.set_collaborator(&repo, &owner("bob"), Access::Read).await.unwrap();
    for name in ["bob", "nobody"] {
        let refused = site.forge.transfer_repo(&alice, &repo, &owner(name)).await;
        assert!(matches!(refused, Err(Error::Field { field: "owner", .. })), "{name}: {refused:?}");
    }
    site.forge.create_organisation(&bob, organisation("acme", Visibility::Private)).await.unwrap();
    assert!(site.forge.transfer_repo(&alice, &repo, &owner("acme")).await.is_err());
    let by_root = admin(&site, &root, "alice/book").await;
    let moved = site.forge.transfer_repo(&root, &by_root, &owner("bob")).await.unwrap();
    assert_eq!(moved.to_string(), "bob/Book");
    assert_eq!(access(&site, &bob, "bob/book").await, Access::Admin);
    let repo = admin(&site, &bob, "bob/book").await;
    assert!(site.forge.collaborators(&repo).await.unwrap().is_empty());
    site.forge.transfer_repo(&bob, &repo, &owner("acme")).await.unwrap();
    assert_eq!(access(&site, &alice, "acme/book").await, Access::None);
    assert_eq!(access(&site, &bob, "acme/book").await, Access::Admin);
}

#[tokio::test]
async fn the_sites_settings_hold_at_once_and_are_the_administrators() {
    let site = Site::open().await;
    let (alice, root) = (site.user("alice").await, site.sign_in("root").await);
    site.repo(&alice, "open", Visibility::Public).await;
    let closed = SiteSettings {
        requires_sign_in: true,
        banner: Some(Banner { text: " RESTRICTED ".into(), colour: BannerColour::Orange }),
    };
    assert!(matches!(site.forge.change_site_settings(&alice, closed.clone()).await, Err(Error::NotFound)));
    let token = site.by_token(&root, "all", &[]).await;
    assert!(matches!(site.forge.change_site_settings(&token, closed.clone()).await, Err(Error::Denied { .. })));
    for text in ["", "a\nb", &"x".repeat(201)] {
        let banner = Some(Banner { text: text.into(), colour: BannerColour::Red });
        let refused = site.forge.change_site_settings(&root, SiteSettings { banner, ..closed.clone() }).await;
        assert!(matches!(refused, Err(Error::Field { field: "banner", .. })), "{refused:?}");
    }
    assert!(site.forge.repo(&Actor::Anonymous, &path("alice/open")).await.is_ok());
    site.forge.change_site_settings(&root, closed).await.unwrap();
    assert!(matches!(site.forge.repo(&Actor::Anonymous, &path("alice/open")).await, Err(Error::NotFound)));
    assert!(matches!(site.forge.begin_upload(&Actor::Anonymous, &path("alice/open")).await, Err(Error::SignInNeeded)));
    assert!(matches!(site.forge.owner(&Actor::Anonymous, &owner("alice")).await, Err(Error::SignInNeeded)));
    assert!(site.forge.owner(&alice, &owner("Alice")).await.is_ok());
    let kept = site.forge.site_settings().await;
    assert_eq!(kept.banner.as_ref().unwrap().text, "RESTRICTED");
    // Another process that has the database open hears of it when its second is over.
    site.clock.advance(2);
    assert_eq!(*site.forge.site_settings().await, *kept);
    let filter = AuditFilter { action: Some("site.changed".into()), ..AuditFilter::default() };
    assert_eq!(site.forge.audit(&root, &filter).await.unwrap().records.len(), 3);
}

super::on_a_server_too! {
    lists_hold_exactly_what_the_rights_let_through,
    a_collaborator_comes_changes_and_goes,
    a_token_does_what_it_was_made_for_and_denies_the_rest,
    a_token_that_makes_no_sense_is_not_made,
    a_deploy_key_opens_its_repositories_and_is_nobodys_key,
    a_repository_is_described_renamed_and_given_away,
    the_sites_settings_hold_at_once_and_are_the_administrators,
}

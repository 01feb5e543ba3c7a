//! Organisations, teams and accounts: who sees them, who changes them, and what may not be left behind.

use super::access::{organisation, owner, team_form};
use super::*;
use crate::{Access, Error, OrganisationOwner, Stretch, TeamForm};
use base::name::{RepoName, TeamName};

const QUARTER: i64 = 90 * 24 * 60 * 60;

fn team(text: &str) -> TeamName {
    TeamName::parse(text).unwrap()
}

async fn made(site: &Site, by: &Actor, name: &str, visibility: Visibility) -> OrganisationOwner {
    site.forge.create_organisation(by, organisation(name, visibility)).await.unwrap();
    site.forge.organisation(by, &owner(name)).await.unwrap().for_owner().unwrap()
}

#[tokio::test]
async fn an_organisation_is_seen_by_whom_it_is_for() {
    let site = Site::open().await;
    let (alice, mallory, root) = (site.user("alice").await, site.user("mallory").await, site.sign_in("root").await);
    let kinds = [("open", Visibility::Public), ("inside", Visibility::Internal), ("hidden", Visibility::Private)];
    for (name, visibility) in kinds {
        made(&site, &alice, name, visibility).await;
    }
    let names = async |actor: &Actor| -> Vec<String> {
        site.forge.organisations(actor, 1).await.unwrap().iter().map(|one| one.name.to_string()).collect()
    };
    for (actor, expected) in [
        (&Actor::Anonymous, &["open"][..]),
        (&mallory, &["inside", "open"]),
        (&alice, &["hidden", "inside", "open"]),
        (&root, &["hidden", "inside", "open"]),
    ] {
        assert_eq!(names(actor).await, expected, "{actor:?}");
        for (name, _) in kinds {
            let found = site.forge.organisation(actor, &owner(name)).await;
            assert_eq!(found.is_ok(), expected.contains(&name), "{name} {actor:?}");
            assert_eq!(site.forge.owner(actor, &owner(name)).await.is_ok(), expected.contains(&name));
        }
    }
    let seen = site.forge.organisation(&mallory, &owner("open")).await.unwrap();
    assert!(matches!(seen.clone().for_member(), Err(Error::Denied { .. })));
    assert!(matches!(seen.for_owner(), Err(Error::Denied { .. })));
    let reads = site.by_token(&alice, "read:organization", &[]).await;
    let seen = site.forge.organisation(&reads, &owner("hidden")).await.unwrap();
    assert!(matches!(seen.clone().for_owner(), Err(Error::Denied { .. })));
    assert!(seen.for_member().is_ok());
    let blind = site.by_token(&alice, "write:repository", &[]).await;
    assert!(matches!(site.forge.organisation(&blind, &owner("hidden")).await, Err(Error::Denied { .. })));
    assert!(matches!(site.forge.organisations(&blind, 1).await, Err(Error::Denied { .. })));
    let strange = site.by_token(&mallory, "all", &[]).await;
    assert!(matches!(site.forge.organisation(&strange, &owner("hidden")).await, Err(Error::NotFound)));
}

#[tokio::test]
async fn a_part_of_a_list_says_how_many_there_are_that_its_reader_may_know_of() {
    let site = Site::open().await;
    let (alice, mallory) = (site.user("alice").await, site.user("mallory").await);
    for (name, visibility) in [("b", Visibility::Public), ("a", Visibility::Internal), ("c", Visibility::Private)] {
        made(&site, &alice, name, visibility).await;
    }
    made(&site, &mallory, "d", Visibility::Public).await;
    let part = async |actor: &Actor, member: Option<&str>, skip: usize| {
        let member = member.map(owner);
        let found = site.forge.find_organisations(actor, member.as_ref(), Stretch { skip, limit: 1 }).await.unwrap();
        (found.rows.iter().map(|one| one.name.to_string()).collect::<String>(), found.total)
    };
    for (actor, member, skip, name, total) in [
        (&Actor::Anonymous, None, 0, "b", 2),
        (&Actor::Anonymous, None, 1, "d", 2),
        (&mallory, None, 2, "d", 3),
        (&mallory, Some("alice"), 0, "", 0),
        (&alice, Some("alice"), 2, "c", 3),
        (&alice, None, 9, "", 4),
    ] {
        assert_eq!(part(actor, member, skip).await, (name.to_owned(), total), "{actor:?} {member:?} {skip}");
    }
    let window = Stretch { skip: 0, limit: 9 };
    // Nobody but who has signed in knows of an account that owns nothing they may see.
    let hidden = site.forge.find_organisations(&Actor::Anonymous, Some(&owner("alice")), window).await;
    assert!(matches!(hidden, Err(Error::NotFound)), "{hidden:?}");
    let refused = site.forge.administered_organisations(&alice, window).await;
    assert!(matches!(refused, Err(Error::NotFound)), "{refused:?}");
    let root = site.sign_in("root").await;
    assert_eq!(site.forge.administered_organisations(&root, window).await.unwrap().total, 4);
}

#[tokio::test]
async fn names_are_shared_by_users_and_organisations() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    for name in ["ALICE", "root"] {
        let taken = site.forge.create_organisation(&alice, organisation(name, Visibility::Public)).await;
        assert!(matches!(taken, Err(Error::NameTaken(_))), "{taken:?}");
    }
    for name in ["admin", "", "a/b"] {
        let refused = site.forge.create_organisation(&alice, organisation(name, Visibility::Public)).await;
        assert!(matches!(refused, Err(Error::Name(_))), "{refused:?}");
    }
    made(&site, &alice, "Acme", Visibility::Public).await;
    let root = site.sign_in("root").await;
    let new = NewUser { name: "acme".into(), full_name: String::new(), password: secret(PASSWORD), is_admin: false };
    assert!(matches!(site.forge.create_user(&root, new).await, Err(Error::NameTaken(_))));
    assert!(matches!(site.forge.sign_in("acme", &secret(""), HOME).await, Err(Error::SignInRefused)));
}

#[tokio::test]
async fn a_team_grants_and_what_it_granted_goes_with_it() {
    let site = Site::open().await;
    let (alice, bob) = (site.user("alice").await, site.user("bob").await);
    let acme = made(&site, &alice, "acme", Visibility::Private).await;
    for name in ["site", "book"] {
        let new = NewRepo { name: name.into(), description: String::new(), visibility: Visibility::Private };
        site.forge.create_repo_in(&alice, &owner("acme"), new).await.unwrap();
    }
    let access = async |at: &str| site.forge.repo(&bob, &path(at)).await.map_or(Access::None, |repo| repo.access());
    site.forge.create_team(&acme, team_form("Writers", Access::Write)).await.unwrap();
    assert!(matches!(
        site.forge.create_team(&acme, team_form("writers", Access::Read)).await,
        Err(Error::NameTaken(_))
    ));
    site.forge.add_team_member(&acme, &team("writers"), &owner("bob")).await.unwrap();
    assert_eq!(access("acme/site").await, Access::None);
    let (site_name, none) = (RepoName::parse("site").unwrap(), RepoName::parse("none").unwrap());
    site.forge.add_team_repo(&acme, &team("writers"), &site_name).await.unwrap();
    let refused = site.forge.add_team_repo(&acme, &team("writers"), &none).await;
    assert!(matches!(refused, Err(Error::Field { field: "repository", .. })), "{refused:?}");
    assert_eq!((access("acme/site").await, access("acme/book").await), (Access::Write, Access::None));

    let new = NewRepo { name: "more".into(), description: String::new(), visibility: Visibility::Private };
    let denied = site.forge.create_repo_in(&bob, &owner("acme"), new).await;
    assert!(matches!(denied, Err(Error::Denied { .. })), "{denied:?}");
    let all = TeamForm {
        includes_all_repositories: true,
        can_create_repositories: true,
        ..team_form("authors", Access::Maintain)
    };
    site.forge.change_team(&acme, &team("writers"), all).await.unwrap();
    assert_eq!((access("acme/site").await, access("acme/book").await), (Access::Maintain, Access::Maintain));
    let new = NewRepo { name: "more".into(), description: String::new(), visibility: Visibility::Private };
    site.forge.create_repo_in(&bob, &owner("acme"), new).await.unwrap();
    assert_eq!(access("acme/more").await, Access::Maintain);

    let seen = site.forge.organisation(&bob, &owner("acme")).await.unwrap();
    assert!(matches!(seen.clone().for_owner(), Err(Error::Denied { .. })));
    let member = seen.for_member().unwrap();
    let details = site.forge.team(&member, &team("authors")).await.unwrap();
    assert_eq!((details.members.len(), details.repositories.len()), (1, 1));
    assert_eq!(site.forge.team_name(&member, details.team.id).await.unwrap(), team("authors"));
    assert!(matches!(site.forge.remove_member(&member, &owner("alice")).await, Err(Error::Denied { .. })));
    site.forge.remove_member(&member, &owner("bob")).await.unwrap();
    assert!(matches!(site.forge.organisation(&bob, &owner("acme")).await, Err(Error::NotFound)));
    assert_eq!(access("acme/site").await, Access::None);
    let new = NewRepo { name: "less".into(), description: String::new(), visibility: Visibility::Private };
    assert!(matches!(site.forge.create_repo_in(&bob, &owner("acme"), new).await, Err(Error::NotFound)));

    site.forge.add_team_member(&acme, &team("authors"), &owner("bob")).await.unwrap();
    site.forge.delete_team(&acme, &team("authors")).await.unwrap();
    assert_eq!(access("acme/site").await, Access::None);
}

#[tokio::test]
async fn an_organisation_keeps_an_owner_and_its_team_of_owners() {
    let site = Site::open().await;
    let (alice, _) = (site.user("alice").await, site.user("bob").await);
    let acme = made(&site, &alice, "acme", Visibility::Public).await;
    let owners = team("owners");
    for refused in [
        site.forge.remove_team_member(&acme, &owners, &owner("alice")).await,
        site.forge.remove_member(&acme.clone().into(), &owner("alice")).await,
    ] {
        assert!(matches!(refused, Err(Error::Field { field: "user", .. })), "{refused:?}");
    }
    assert!(matches!(site.forge.delete_team(&acme, &owners).await, Err(Error::Denied { .. })));
    site.forge.change_team(&acme, &owners, team_form("readers", Access::Read)).await.unwrap();
    let kept = site.forge.teams(&acme.clone().into()).await.unwrap();
    assert_eq!((kept[0].name.as_str(), kept[0].permission), ("owners", Access::Admin));
    assert!(kept[0].includes_all_repositories && kept[0].can_create_repositories);
    site.forge.add_team_member(&acme, &owners, &owner("bob")).await.unwrap();
    site.forge.remove_team_member(&acme, &owners, &owner("alice")).await.unwrap();
    assert!(matches!(
        site.forge.organisation(&alice, &owner("acme")).await.unwrap().for_owner(),
        Err(Error::Denied { .. })
    ));
}

#[tokio::test]
async fn what_still_owns_something_is_not_removed_and_names_rest() {
    let site = Site::open().await;
    let (alice, root) = (site.user("alice").await, site.sign_in("root").await);
    site.repo(&alice, "notes", Visibility::Private).await;
    let acme = made(&site, &alice, "acme", Visibility::Public).await;
    let new = NewRepo { name: "site".into(), description: String::new(), visibility: Visibility::Private };
    site.forge.create_repo_in(&alice, &owner("acme"), new).await.unwrap();
    let told = async |work: Result<(), Error>| work.unwrap_err().to_string();
    let text = told(site.forge.delete_organisation(acme.clone()).await).await;
    assert!(text.contains("acme/site"), "{text}");
    let text = told(site.forge.delete_user(&root, "alice").await).await;
    assert!(text.contains("alice/notes"), "{text}");
    for at in ["alice/notes", "acme/site"] {
        let repo = site.forge.repo(&alice, &path(at)).await.unwrap().for_admin().unwrap();
        site.forge.delete_repo(repo).await.unwrap();
    }
    let text = told(site.forge.delete_user(&root, "alice").await).await;
    assert!(text.contains("last owner of acme"), "{text}");
    site.forge.delete_organisation(acme).await.unwrap();
    let token = site.token(&alice, true, None).await;
    site.forge.delete_user(&root, "alice").await.unwrap();
    assert!(matches!(site.forge.sign_in("alice", &secret(PASSWORD), HOME).await, Err(Error::SignInRefused)));
    assert!(matches!(site.forge.basic("alice", &token, HOME).await, Err(Error::SignInRefused)));
    assert!(site.forge.still_holds(&alice).await.unwrap().is_none());

    let new = |name: &str| NewUser {
        name: name.into(),
        full_name: String::new(),
        password: secret(PASSWORD),
        is_admin: false,
    };
    for name in ["Alice", "acme"] {
        let rests = site.forge.create_user(&root, new(name)).await;
        assert!(matches!(rests, Err(Error::Field { field: "name", .. })), "{rests:?}");
    }
    assert!(site.forge.create_organisation(&root, organisation("alice", Visibility::Public)).await.is_err());
    site.clock.advance(QUARTER);
    let root = site.sign_in("root").await;
    site.forge.create_user(&root, new("alice")).await.unwrap();
    let records = site.forge.audit(&root, &crate::AuditFilter::default()).await.unwrap().records;
    assert!(records.iter().any(|record| record.action == "user.removed" && record.object == "alice"));
    assert!(records.iter().any(|record| record.action == "organisation.removed"));
}

#[tokio::test]
async fn the_last_administrator_stays() {
    let site = Site::open().await;
    let (alice, root) = (site.user("alice").await, site.sign_in("root").await);
    for refused in [
        site.forge.set_user_active(&root, "root", false).await,
        site.forge.set_user_admin(&root, "root", false).await,
        site.forge.delete_user(&root, "root").await,
    ] {
        assert!(matches!(refused, Err(Error::Denied { .. })), "{refused:?}");
    }
    for refused in [
        site.forge.set_user_active(&alice, "root", false).await,
        site.forge.set_user_admin(&alice, "alice", true).await,
        site.forge.delete_user(&alice, "root").await,
    ] {
        assert!(matches!(refused, Err(Error::NotFound)), "{refused:?}");
    }
    site.forge.set_user_admin(&root, "alice", true).await.unwrap();
    let alice = site.sign_in("alice").await;
    site.forge.set_user_active(&alice, "root", false).await.unwrap();
    // A suspended administrator who is still in some transaction counts no more.
    let refused = site.forge.set_user_active(&root, "alice", false).await;
    assert!(matches!(refused, Err(Error::Field { field: "name", .. })), "{refused:?}");
    let refused = site.forge.set_user_admin(&root, "alice", false).await;
    assert!(matches!(refused, Err(Error::Field { .. })), "{refused:?}");
    assert!(matches!(site.forge.delete_user(&root, "alice").await, Err(Error::Field { .. })));
    let reads = site.by_token(&alice, "read:admin", &[]).await;
    assert!(site.forge.users(&reads).await.is_ok());
    assert!(matches!(site.forge.delete_user(&reads, "root").await, Err(Error::Denied { .. })));
    site.forge.delete_user(&alice, "root").await.unwrap();
}

super::on_a_server_too! {
    an_organisation_is_seen_by_whom_it_is_for,
    a_part_of_a_list_says_how_many_there_are_that_its_reader_may_know_of,
    names_are_shared_by_users_and_organisations,
    a_team_grants_and_what_it_granted_goes_with_it,
    an_organisation_keeps_an_owner_and_its_team_of_owners,
    what_still_owns_something_is_not_removed_and_names_rest,
    the_last_administrator_stays,
}

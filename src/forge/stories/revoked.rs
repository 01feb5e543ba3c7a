//! What was true a moment ago and is no more: sessions that somebody stole, rights and names that went while somebody
//! worked, and what an account keeps open.

use super::*;
use crate::{Access, Error, NewOrganisation, Openers, Origin, RepoChange, SecondFactor, SignIn, TeamForm, Told};
use base::name::{OwnerName, RepoName, TeamName};

fn owner(name: &str) -> OwnerName {
    OwnerName::parse(name).unwrap()
}

fn authority() -> String {
    vault::ssh_key::generate("authority").unwrap().public
}

/// Whoever took a session's cookie makes nothing that outlives it.
#[tokio::test]
async fn a_session_without_a_fresh_proof_plants_nothing_that_outlives_it() {
    let site = Site::open().await;
    let (alice, root) = (site.user("alice").await, site.sign_in("root").await);
    let by_token = site.by_token(&root, "all", &[]).await;
    site.clock.advance(10 * 60);
    let new_token =
        || NewToken { name: "t".into(), scopes: Scopes::parse("all").unwrap(), repositories: None, days: None };
    let admin = |name: &str| NewUser {
        name: name.into(),
        full_name: String::new(),
        password: secret(PASSWORD),
        is_admin: true,
    };
    let (key, another) = (authority(), authority());
    let forge = &site.forge;
    for refused in [
        forge.create_token(&root, new_token()).await.map(drop),
        forge.add_ssh_key(&alice, "mine", &key).await.map(drop),
        forge.add_ssh_authority(&root, "people", &key).await.map(drop),
        forge.set_user_admin(&root, "alice", true).await,
        forge.create_user(&root, admin("mallory")).await.map(drop),
    ] {
        assert!(matches!(refused, Err(Error::ProofNeeded)), "{refused:?}");
    }
    // Programs come with what they are for, and the host's own shell is root's.
    forge.add_ssh_key(&by_token, "deploy", &another).await.unwrap();
    forge.create_token(&forge.acting_as("root").await.unwrap(), new_token()).await.unwrap();
    let proved = forge.prove(&root, &secret(PASSWORD)).await.unwrap();
    let root = forge.session(&proved.token).await.unwrap().unwrap().actor;
    forge.create_token(&root, new_token()).await.unwrap();
    forge.set_user_admin(&root, "alice", true).await.unwrap();
    assert!(forge.prove(&root, &secret("wrong horse battery")).await.is_err());
    let site = super::audit::settled(site).await;
    let log = super::audit::all(&site).await;
    assert!(log.iter().any(|record| record.action == "session.confirmed" && record.object == "root"));
    let refused = log.iter().find(|record| record.action == "sign_in.refused").unwrap();
    assert_eq!((refused.object.as_str(), refused.new.as_deref()), ("root", Some("confirmation")));
}

/// A token that may not push makes itself no key that may.
#[tokio::test]
async fn a_token_that_may_not_push_adds_no_key() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    let key = authority();
    let user_alone = site.by_token(&alice, "write:user", &[]).await;
    let refused = site.forge.add_ssh_key(&user_alone, "mine", &key).await;
    assert!(matches!(refused, Err(Error::Denied { .. })), "{refused:?}");
    let both = site.by_token(&alice, "write:user,write:repository", &[]).await;
    site.forge.add_ssh_key(&both, "mine", &key).await.unwrap();
}

#[tokio::test]
async fn tokens_and_keys_are_counted_and_all_end_together_on_record() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    let token = site.token(&alice, true, None).await;
    let key = site.forge.add_ssh_key(&alice, "laptop", &authority()).await.unwrap();
    assert_eq!(site.forge.openers(&alice).await.unwrap(), Openers { tokens: 1, keys: 1 });
    assert_eq!(site.forge.revoke_openers(&alice).await.unwrap(), Openers { tokens: 1, keys: 1 });
    assert!(site.forge.basic("x", &token, HOME).await.is_err());
    assert!(site.forge.by_ssh_key(&key.fingerprint).await.unwrap().is_none());
    let told: Vec<_> = super::audit::all(&site).await.into_iter().map(|record| record.action).collect();
    // What was refused meanwhile is put on record in its own time.
    assert!(told.windows(2).any(|pair| pair == ["token.revoked", "key.removed"]), "{told:?}");
    site.token(&alice, true, None).await;
    let gone = site.forge.revoke_openers_from_shell("Alice").await.unwrap();
    assert_eq!(gone, Openers { tokens: 1, keys: 0 });
}

/// Whoever knows the password gets no more guesses by making them all at once, and no endless row of steps that wait.
#[tokio::test]
async fn of_many_guesses_at_once_no_more_get_through_than_may_fail() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    super::second_factor::with_app(&site, &alice).await;
    let mut steps = Vec::new();
    for number in 0..12_u8 {
        let from: IpAddr = [10, 9, 0, number].into();
        let begun = site.forge.begin_sign_in("alice", &secret(PASSWORD), from, "").await.unwrap();
        let SignIn::Waiting(waiting) = begun else { panic!("no second factor was asked for") };
        steps.push(waiting.token.expose().clone());
        site.clock.advance(1);
    }
    let (over, waiting) = steps.split_at(2);
    assert!(site.forge.waiting(&secret(&over[1])).await.unwrap().is_none(), "the oldest step waits still");
    let mut tasks = tokio::task::JoinSet::new();
    for (number, step) in waiting.iter().cycle().take(40).enumerate() {
        let (forge, token) = (site.forge.clone(), secret(step));
        let from: IpAddr = [10, 10, 0, u8::try_from(number).unwrap()].into();
        tasks.spawn(async move {
            let code = secret("000000");
            let done = forge.finish_sign_in(&token, SecondFactor::Code(&code), from, "").await;
            usize::from(matches!(done, Err(Error::SignInRefused)))
        });
    }
    let mut judged = 0;
    while let Some(is_judged) = tasks.join_next().await {
        judged += is_judged.unwrap();
    }
    assert_eq!(judged, 25, "guesses got through");
}

/// An account may be suspended, and a password changed, while somebody's is being hashed.
#[tokio::test]
async fn a_password_that_was_right_a_moment_ago_opens_no_session() {
    let site = Site::open().await;
    let root = site.sign_in("root").await;
    for (name, suspends) in [("alice", true), ("bob", false)] {
        site.user(name).await;
        let origin = Origin::from(HOME);
        let user = site.forge.by_password(name, &secret(PASSWORD), &origin, "password").await.unwrap();
        if suspends {
            site.forge.set_user_active(&root, name, false).await.unwrap();
        } else {
            site.forge.reset_password(name, &secret("another horse battery")).await.unwrap();
        }
        let refused = site.forge.after_password(user, origin, "").await;
        assert!(matches!(refused, Err(Error::SignInRefused)), "{refused:?}");
    }
}

/// A demoted administrator, and a key that is somebody else's now, hear and push nothing more.
#[tokio::test]
async fn what_somebody_came_with_is_judged_as_it_is_now() {
    let site = Site::open().await;
    let (alice, root) = (site.user("alice").await, site.sign_in("root").await);
    let bob = site.user("bob").await;
    site.repo(&root, "plans", Visibility::Private).await;
    site.forge.set_user_admin(&root, "alice", true).await.unwrap();
    let alice_now = site.sign_in("alice").await;
    let mut watch = site.forge.watch(&alice_now, &path("root/plans")).await.unwrap();
    let push = site.forge.begin_push(&alice_now, &path("root/plans")).await.unwrap();
    assert_eq!(watch.next(std::time::Duration::ZERO).await, Some(Told::Nothing));
    assert!(push.may_still_push().await.unwrap().is_some());
    site.forge.set_user_admin(&root, "alice", false).await.unwrap();
    assert_eq!(watch.next(std::time::Duration::ZERO).await, None);
    assert!(push.may_still_push().await.unwrap().is_none());

    site.repo(&alice, "notes", Visibility::Private).await;
    let pair = authority();
    let key = site.forge.add_ssh_key(&alice, "laptop", &pair).await.unwrap();
    let by_key = site.forge.by_ssh_key(&key.fingerprint).await.unwrap().unwrap();
    let push = site.forge.begin_push(&by_key, &path("alice/notes")).await.unwrap();
    site.forge.remove_ssh_key(&alice, key.id).await.unwrap();
    site.forge.add_ssh_key(&bob, "laptop", &pair).await.unwrap();
    assert!(push.may_still_push().await.unwrap().is_none());
}

/// A change made on what was seen a while ago takes nothing back that another changed meanwhile.
#[tokio::test]
async fn a_change_writes_what_it_changes_and_nothing_else() {
    let site = Site::open().await;
    let (alice, bob) = (site.user("alice").await, site.user("bob").await);
    site.repo(&alice, "notes", Visibility::Public).await;
    let seen = async || site.forge.repo(&alice, &path("alice/notes")).await.unwrap().for_admin().unwrap();
    let (old, now) = (seen().await, seen().await);
    let hidden = RepoChange { description: "mine".into(), visibility: Visibility::Private };
    site.forge.change_repo(&now, hidden).await.unwrap();
    site.forge.describe_repo(&old.as_ref().clone().for_maintain().unwrap(), "All of it").await.unwrap();
    let shown = seen().await.as_ref().summary().clone();
    assert_eq!((shown.visibility, shown.description.as_str()), (Visibility::Private, "All of it"));

    let line = authority();
    site.forge.add_deploy_key(&seen().await, "ci", &line, true).await.unwrap();
    let old = seen().await;
    let root = site.sign_in("root").await;
    site.forge.transfer_repo(&root, &seen().await, &owner("bob")).await.unwrap();
    let renamed = site.forge.rename_repo(&old, RepoName::parse("other").unwrap()).await;
    assert!(matches!(renamed, Err(Error::NotFound)), "{renamed:?}");
    let moved = site.forge.repo(&bob, &path("bob/notes")).await.unwrap().for_admin().unwrap();
    assert!(site.forge.deploy_keys(&moved).await.unwrap().is_empty(), "a key of before opens it");
    let log = super::audit::all(&site).await;
    assert!(log.iter().any(|record| record.action == "deploy_key.removed"), "{log:?}");
}

#[tokio::test]
async fn names_and_numbers_of_hidden_repositories_are_in_no_list_of_a_team_or_a_token() {
    let site = Site::open().await;
    let (alice, bob) = (site.user("alice").await, site.user("bob").await);
    let new = NewOrganisation {
        name: "acme".into(),
        full_name: String::new(),
        description: String::new(),
        visibility: Visibility::Public,
    };
    site.forge.create_organisation(&alice, new).await.unwrap();
    let acme = site.forge.organisation(&alice, &owner("acme")).await.unwrap().for_owner().unwrap();
    for (team, repo) in [("one", "site"), ("two", "plans")] {
        let form = TeamForm {
            name: team.into(),
            description: String::new(),
            permission: Access::Write,
            includes_all_repositories: false,
            can_create_repositories: false,
        };
        let team = site.forge.create_team(&acme, form).await.unwrap().name;
        let new = NewRepo { name: repo.into(), description: String::new(), visibility: Visibility::Private };
        site.forge.create_repo_in(&alice, &owner("acme"), new).await.unwrap();
        site.forge.add_team_repo(&acme, &team, &RepoName::parse(repo).unwrap()).await.unwrap();
    }
    let (one, two) = (TeamName::parse("one").unwrap(), TeamName::parse("two").unwrap());
    site.forge.add_team_member(&acme, &one, &owner("bob")).await.unwrap();
    let member = site.forge.organisation(&bob, &owner("acme")).await.unwrap().for_member().unwrap();
    let counted: usize = site.forge.teams(&member).await.unwrap().iter().map(|team| team.repository_count).sum();
    let (own, other): (_, _) = (site.forge.team(&member, &one).await.unwrap(), site.forge.team(&member, &two).await);
    assert_eq!((own.repositories.len(), other.unwrap().repositories.len()), (1, 0));
    assert_eq!(counted, 1);

    let token = NewToken {
        name: "ci".into(),
        scopes: Scopes::parse("read:repository").unwrap(),
        repositories: Some(vec![path("acme/site")]),
        days: None,
    };
    site.forge.create_token(&bob, token).await.unwrap();
    site.forge.remove_team_member(&acme, &one, &owner("bob")).await.unwrap();
    let shown = site.forge.tokens(&bob).await.unwrap().remove(0);
    assert_eq!((shown.repositories, shown.hidden_repositories), (Some(vec![]), 1));
}

/// Who is suspended keeps no organisation: another must be able to sign in. And an organisation has a quota as a user has.
#[tokio::test]
async fn an_owner_who_may_not_sign_in_is_no_last_owner() {
    let site = Site::open().await;
    let (alice, root) = (site.user("alice").await, site.sign_in("root").await);
    site.user("bob").await;
    let new = NewOrganisation {
        name: "acme".into(),
        full_name: String::new(),
        description: String::new(),
        visibility: Visibility::Public,
    };
    site.forge.create_organisation(&alice, new).await.unwrap();
    let acme = site.forge.organisation(&alice, &owner("acme")).await.unwrap().for_owner().unwrap();
    let owners = TeamName::parse("owners").unwrap();
    site.forge.add_team_member(&acme, &owners, &owner("bob")).await.unwrap();
    site.forge.set_user_active(&root, "bob", false).await.unwrap();
    let refused = site.forge.remove_team_member(&acme, &owners, &owner("alice")).await;
    assert!(matches!(refused, Err(Error::Field { field: "user", .. })), "{refused:?}");
    let refused = site.forge.delete_user(&root, "alice").await;
    assert!(matches!(refused, Err(Error::Field { field: "name", .. })), "{refused:?}");
    site.forge.set_owner_quota(&root, "acme", "5").await.unwrap();
}

/// Who has an account is nobody's to learn who has none, and who is where is for those who are there as well.
#[tokio::test]
async fn accounts_and_memberships_show_to_those_who_may_know_of_them() {
    let site = Site::open().await;
    let (alice, bob) = (site.user("alice").await, site.user("bob").await);
    let new = NewOrganisation {
        name: "acme".into(),
        full_name: String::new(),
        description: String::new(),
        visibility: Visibility::Public,
    };
    site.forge.create_organisation(&alice, new).await.unwrap();
    let listed = async |actor: &Actor| site.forge.organisations_of(actor, &owner("alice")).await.map(|all| all.len());
    site.repo(&alice, "inside", Visibility::Internal).await;
    for name in ["alice", "nobody"] {
        let hidden = site.forge.owner(&Actor::Anonymous, &owner(name)).await;
        assert!(matches!(hidden, Err(Error::NotFound)), "{name}");
    }
    assert!(matches!(listed(&Actor::Anonymous).await, Err(Error::NotFound)));
    site.repo(&alice, "open", Visibility::Public).await;
    assert!(site.forge.owner(&Actor::Anonymous, &owner("alice")).await.is_ok());
    assert!(site.forge.owner(&bob, &owner("bob")).await.is_ok());
    let root = site.sign_in("root").await;
    for (actor, expected) in [(&Actor::Anonymous, 0), (&bob, 0), (&alice, 1), (&root, 1)] {
        assert_eq!(listed(actor).await.unwrap(), expected, "{:?}", actor.name());
    }
}

super::on_a_server_too! {
    of_many_guesses_at_once_no_more_get_through_than_may_fail,
    a_change_writes_what_it_changes_and_nothing_else,
    an_owner_who_may_not_sign_in_is_no_last_owner,
}

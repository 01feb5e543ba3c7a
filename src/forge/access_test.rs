//! The rights, by table.

use super::*;
use crate::Scopes;
use Visibility::{Internal, Private, Public};

const OWNER: i64 = 1;
const KINDS: [Visibility; 3] = [Public, Internal, Private];
const NOTHING: Facts = Facts {
    visibility: Public,
    owner_id: OWNER,
    organisation: None,
    is_member: false,
    team: Access::None,
    collaborator: Access::None,
    key: Access::None,
    is_listed: false,
    requires_sign_in: false,
};

fn token(scopes: &str, limited: Option<i64>) -> Scope {
    Scope::Token { scopes: Scopes::parse(scopes).unwrap(), limited }
}

fn user(id: i64, is_admin: bool, scope: Scope) -> Actor {
    Actor::User(User::new(id, OwnerName::parse("someone").unwrap(), is_admin, scope))
}

fn key() -> Actor {
    Actor::DeployKey(DeployKey { fingerprint: "SHA256:x".into(), origin: Origin::default() })
}

/// What the actor may do in a public, an internal and a private repository.
fn access(actor: &Actor, facts: Facts) -> [Access; 3] {
    KINDS.map(|visibility| Facts { visibility, ..facts }.judge(actor).access)
}

#[test]
fn rights_follow_actor_visibility_and_scope() {
    use Access::{Admin, None, Read, Write};
    let scopes = [Scope::Full, Scope::Password, Scope::Key, token("write:repository", Option::None)];
    let table = [
        (false, 2, [[Read, Read, None]; 4]),
        (false, OWNER, [[Admin; 3], [Admin; 3], [Write; 3], [Admin; 3]]),
        (true, 3, [[Admin; 3], [Admin; 3], [Write; 3], [Admin; 3]]),
    ];
    for (is_admin, id, expected) in table {
        for (scope, expected) in scopes.into_iter().zip(expected) {
            assert_eq!(access(&user(id, is_admin, scope), NOTHING), expected, "{id} {scope:?}");
        }
        let reads = access(&user(id, is_admin, token("read:repository", Option::None)), NOTHING);
        assert_eq!(reads, if id == 2 { [Read, Read, None] } else { [Read; 3] });
        assert_eq!(access(&user(id, is_admin, token("all", Option::None)), NOTHING), expected[0]);
        assert_eq!(access(&user(id, is_admin, token("write:user,write:admin", Option::None)), NOTHING), [None; 3]);
    }
    assert_eq!(access(&Actor::Anonymous, NOTHING), [Read, None, None]);
    assert_eq!(access(&key(), NOTHING), [None; 3]);
}

#[test]
fn the_highest_grant_counts_and_the_scope_cuts_it() {
    for grant in Access::GRANTS {
        let stranger = user(2, false, Scope::Full);
        let by_team = Facts { team: grant, is_member: true, organisation: Some(Private), ..NOTHING };
        assert_eq!(access(&stranger, by_team), [grant; 3]);
        let by_both = Facts { collaborator: grant, team: Access::Read, ..NOTHING };
        assert_eq!(access(&stranger, by_both), [grant; 3]);
        let cut = access(&user(2, false, token("read:repository", None)), by_team);
        assert_eq!(cut, [Access::Read; 3]);
        assert_eq!(access(&user(2, false, Scope::Key), by_team), [grant.min(Access::Write); 3]);
        assert_eq!(access(&key(), Facts { key: grant, ..NOTHING }), [grant; 3]);
        assert_eq!(access(&Actor::Anonymous, Facts { key: grant, ..by_team }), [Access::None; 3]);
    }
}

#[test]
fn an_organisation_hides_what_is_in_it_from_all_but_its_members() {
    use Access::{None, Read};
    let stranger = user(2, false, Scope::Full);
    for (organisation, anonymous, outside) in [
        (Public, [Read, None, None], [Read, Read, None]),
        (Internal, [None; 3], [Read, Read, None]),
        (Private, [None; 3], [None; 3]),
    ] {
        let facts = Facts { organisation: Some(organisation), ..NOTHING };
        assert_eq!(access(&Actor::Anonymous, facts), anonymous, "{organisation:?}");
        assert_eq!(access(&stranger, facts), outside, "{organisation:?}");
        assert_eq!(access(&stranger, Facts { is_member: true, ..facts }), [Read, Read, None], "{organisation:?}");
        assert_eq!(access(&user(3, true, Scope::Full), facts), [Access::Admin; 3]);
    }
}

#[test]
fn a_site_that_requires_sign_in_shows_nothing_to_nobody() {
    let closed = Facts { requires_sign_in: true, ..NOTHING };
    assert_eq!(access(&Actor::Anonymous, closed), [Access::None; 3]);
    assert_eq!(access(&user(2, false, Scope::Key), closed), [Access::Read, Access::Read, Access::None]);
}

#[test]
fn a_limited_token_is_nobody_outside_its_repositories() {
    use Access::{Admin, None, Read};
    let owner = user(OWNER, true, token("write:repository", Some(7)));
    assert_eq!(access(&owner, NOTHING), [Read, None, None]);
    assert_eq!(access(&owner, Facts { requires_sign_in: true, ..NOTHING }), [None; 3]);
    assert_eq!(access(&owner, Facts { is_listed: true, ..NOTHING }), [Admin; 3]);
    let stranger = user(2, false, token("write:repository", Some(7)));
    assert_eq!(access(&stranger, Facts { is_listed: true, ..NOTHING }), [Read, Read, None]);
}

#[test]
fn what_the_credential_takes_is_told_apart_from_what_is_hidden() {
    let blind = user(2, false, token("read:user", None));
    let judge = |visibility| Facts { visibility, ..NOTHING }.judge(&blind);
    assert_eq!(judge(Public), Judgement { granted: Access::Read, access: Access::None });
    assert_eq!(judge(Private), Judgement { granted: Access::None, access: Access::None });
}

#[test]
fn levels_are_stored_as_numbers_and_named_as_words() {
    for level in Access::GRANTS {
        assert_eq!(Access::of_number(level.number()), level);
        assert_eq!(Access::granted(level.name()), Some(level));
    }
    assert_eq!(Access::GRANTS.map(Access::number), [1, 2, 3, 4, 5]);
    assert!(Access::GRANTS.is_sorted());
    for number in [-1, 0, 6] {
        assert_eq!(Access::of_number(number), Access::None);
    }
    assert_eq!(Access::granted("none"), None);
}

#[test]
fn tokens_do_what_they_are_for_and_administration_does_not_exist_for_others() {
    let needs = |actor: &Actor| actor.needs(Need::WriteUser, "x").map(drop);
    assert!(matches!(needs(&Actor::Anonymous), Err(Error::SignInNeeded)));
    assert!(matches!(needs(&key()), Err(Error::Denied { .. })));
    assert!(matches!(needs(&user(1, true, Scope::Key)), Err(Error::Denied { .. })));
    assert!(matches!(needs(&user(1, true, token("read:user", None))), Err(Error::Denied { .. })));
    assert!(matches!(needs(&user(1, true, token("all", Some(1)))), Err(Error::Denied { .. })));
    for scope in [Scope::Full, Scope::Password, token("write:user", None)] {
        assert!(needs(&user(1, false, scope)).is_ok());
    }
    for (scope, is_full, is_password) in
        [(Scope::Full, true, true), (Scope::Password, false, true), (token("all", None), false, false)]
    {
        let root = user(1, true, scope);
        assert_eq!(root.in_full("x").is_ok(), is_full);
        assert_eq!(root.as_administrator("x").is_ok(), is_full);
        assert_eq!(root.with_password("x").is_ok(), is_password);
        assert!(root.administers(Need::WriteAdmin, "x").is_ok());
    }
    for other in [Actor::Anonymous, key(), user(1, false, Scope::Full), user(1, false, token("all", None))] {
        assert!(matches!(other.as_administrator("x"), Err(Error::NotFound)));
        assert!(matches!(other.administers(Need::ReadAdmin, "x"), Err(Error::NotFound)));
    }
    let reads = user(1, true, token("read:admin", None));
    assert!(reads.administers(Need::ReadAdmin, "x").is_ok());
    assert!(matches!(reads.administers(Need::WriteAdmin, "x"), Err(Error::Denied { .. })));
}

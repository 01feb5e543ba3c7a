//! What protections mean, by table.

use super::*;

fn protection(id: i64, kind: ProtectedKind, pattern: &str) -> Protection {
    Protection {
        id,
        kind,
        pattern: RefPattern::parse(pattern).unwrap(),
        level: PushLevel::Write,
        users: Vec::new(),
        may_create: false,
        may_force: false,
        may_delete: false,
        require_signed: false,
        user_ids: Vec::new(),
    }
}

#[test]
fn the_closest_protection_alone_holds() {
    use ProtectedKind::{Branch, Tag};
    let all = [
        protection(1, Branch, "**"),
        protection(2, Branch, "release/*"),
        protection(3, Branch, "release/1"),
        protection(4, Tag, "v*"),
        protection(5, Branch, "*elease/*"),
        protection(6, Branch, "releas?/*"),
    ];
    for (name, expected) in [
        ("refs/heads/main", Some(1)),
        ("refs/heads/release/1", Some(3)),
        ("refs/heads/release/2", Some(2)),
        ("refs/heads/Release/2", Some(5)),
        ("refs/heads/releasE/2", Some(6)),
        ("refs/tags/v1", Some(4)),
        ("refs/tags/release/1", None),
    ] {
        let found = Protection::closest(&all, &RefName::parse(name).unwrap());
        assert_eq!(found.map(|found| found.id), expected, "{name}");
    }
}

/// Create, move and delete are separate rights; a tag that may not be deleted cannot be made anew either.
#[test]
fn each_change_needs_its_own_permission() {
    use Change::{Create, Delete, Force, Forward};
    let base = protection(1, ProtectedKind::Branch, "main");
    let judged = |protection: &Protection| {
        [Create, Forward, Force, Delete].map(|change| protection.judge(change, Some(7), Access::Write).is_ok())
    };
    assert_eq!(judged(&base), [false, true, false, false]);
    assert_eq!(judged(&Protection { may_create: true, ..base.clone() }), [true, true, false, false]);
    assert_eq!(judged(&Protection { may_force: true, ..base.clone() }), [false, true, true, false]);
    assert_eq!(judged(&Protection { may_delete: true, ..base.clone() }), [false, true, false, true]);
    assert_eq!(judged(&Protection { level: PushLevel::Nobody, may_create: true, ..base }), [false; 4]);
}

#[test]
fn level_and_people_are_alternatives_and_neither_helps_who_may_not_push_at_all() {
    let base = protection(1, ProtectedKind::Branch, "main");
    for (level, user_ids, access, expected) in [
        (PushLevel::Nobody, vec![], Access::Admin, false),
        (PushLevel::Nobody, vec![7], Access::Write, true),
        (PushLevel::Nobody, vec![7], Access::Read, false),
        (PushLevel::Nobody, vec![8], Access::Admin, false),
        (PushLevel::Maintain, vec![], Access::Write, false),
        (PushLevel::Maintain, vec![], Access::Maintain, true),
        (PushLevel::Maintain, vec![], Access::Admin, true),
        (PushLevel::Admin, vec![], Access::Maintain, false),
        (PushLevel::Admin, vec![], Access::Write, false),
        (PushLevel::Admin, vec![], Access::Admin, true),
        (PushLevel::Admin, vec![7], Access::Write, true),
        (PushLevel::Write, vec![], Access::Write, true),
        (PushLevel::Write, vec![], Access::Read, false),
    ] {
        let protection = Protection { level, user_ids: user_ids.clone(), ..base.clone() };
        let judged = protection.judge(Change::Forward, Some(7), access);
        assert_eq!(judged.is_ok(), expected, "{level:?} {user_ids:?} {access:?}");
    }
}

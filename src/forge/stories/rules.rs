//! What pushes are judged by: protections, signatures, quotas, numbers. Real Git objects, and a client that asks for
//! whatever it likes.

use store::events;

use super::pushing::{begun, moves, push};
use super::*;
use crate::{Error, NewProtection, RepoAdmin, Signature, SiteLimit};

/// Alice's `notes` with commits `first` and, on top of it, `second` on main; and a commit that follows from neither.
struct Told {
    site: Site,
    alice: Actor,
    id: i64,
    work: Work,
    first: String,
    second: String,
    other: String,
}

async fn told() -> Told {
    let (site, alice, id, work, first) = begun().await;
    push(&site.forge, &alice, &work.push_body(&[(ZERO, &first, "refs/heads/main")], "")).await.unwrap();
    let second = work.commit("b", b"b");
    work.git(&["checkout", "--quiet", "--orphan", "other"], b"");
    let other = work.commit("c", b"c");
    work.git(&["checkout", "--quiet", "-B", "all", &second], b"");
    work.git(&["merge", "--quiet", "--allow-unrelated-histories", "--strategy=ours", "--message=all", &other], b"");
    Told { site, alice, id, work, first, second, other }
}

impl Told {
    async fn admin(&self) -> RepoAdmin {
        self.site.forge.repo(&self.alice, &path("alice/notes")).await.unwrap().for_admin().unwrap()
    }

    async fn protect(&self, kind: &str, pattern: &str, change: impl Fn(&mut NewProtection)) {
        let mut new = NewProtection {
            kind: kind.into(),
            pattern: pattern.into(),
            level: "write".into(),
            ..NewProtection::default()
        };
        change(&mut new);
        self.site.forge.protect(&self.admin().await, &new).await.unwrap();
    }

    async fn limit(&self, limit: SiteLimit, number: &str) {
        let root = self.site.sign_in("root").await;
        self.site.forge.set_site_limits(&root, &[(limit, number.into())]).await.unwrap();
    }
}

fn says(report: &str, line: &str) {
    assert!(report.contains(line), "`{line}` is not in {report}");
}

/// Without side bands or options, so that a body of commands and a pack is all there is.
async fn plain(told: &Told, commands: &[(&str, &str, &str)]) -> String {
    push(&told.site.forge, &told.alice, &told.work.push_body(commands, "")).await.unwrap()
}

/// Another forge judged the first ref of a push and let the others in with it (CVE-2026-27775). Here the verdict on a ref
/// is the same wherever it stands and whatever stands beside it.
#[tokio::test]
async fn each_ref_is_judged_by_itself_in_every_order() {
    let told = told().await;
    told.protect("branch", "main", |_| {}).await;
    told.protect("branch", "release/**", |new| new.level = "nobody".into()).await;
    told.protect("tag", "v*", |new| new.level = "nobody".into()).await;
    let wanted = [
        (ZERO, told.second.as_str(), "refs/heads/free", true),
        (told.first.as_str(), told.other.as_str(), "refs/heads/main", false),
        (ZERO, told.second.as_str(), "refs/heads/release/1/2", false),
        (ZERO, told.second.as_str(), "refs/tags/v1", false),
    ];
    for turn in 0..wanted.len() {
        let mut order = wanted;
        order.rotate_left(turn);
        let commands: Vec<_> = order.iter().map(|(old, new, name, _)| (*old, *new, *name)).collect();
        let said = plain(&told, &commands).await;
        for (_, _, name, is_fine) in wanted {
            says(&said, &format!("{} {name}", if is_fine { "ok" } else { "ng" }));
        }
        let undo = plain(&told, &[(&told.second, ZERO, "refs/heads/free")]).await;
        says(&undo, "ok refs/heads/free");
    }
    let names: Vec<_> = moves(&told.site.forge, told.id).await.into_iter().map(|(name, _, _)| name).collect();
    assert!(names.iter().all(|name| name == "refs/heads/main" || name == "refs/heads/free"), "{names:?}");
    assert_eq!(names.iter().filter(|name| *name == "refs/heads/main").count(), 1, "the first push alone");
}

#[tokio::test]
async fn a_protected_branch_takes_fast_forwards_and_says_why_not_else() {
    let told = told().await;
    told.protect("branch", "main", |_| {}).await;
    let said = plain(&told, &[(&told.first, &told.other, "refs/heads/main")]).await;
    says(&said, "ng refs/heads/main protected by `main`: only fast-forwards are taken; fetch and rebase");
    says(&plain(&told, &[(&told.first, &told.second, "refs/heads/main")]).await, "ok refs/heads/main");
    let all = told.site.forge.protections(&told.admin().await).await.unwrap();
    let change = NewProtection {
        kind: "branch".into(),
        pattern: "main".into(),
        level: "nobody".into(),
        users: "ALICE, alice".into(),
        may_force: true,
        ..NewProtection::default()
    };
    told.site.forge.change_protection(&told.admin().await, all[0].id, &change).await.unwrap();
    says(&plain(&told, &[(&told.second, &told.other, "refs/heads/main")]).await, "ok refs/heads/main");
    let events = events::of_repo(&told.site.forge.0.store.read(), told.id).await.unwrap();
    let kinds: Vec<_> = events.iter().map(|event| event.kind.as_str()).collect();
    assert!(kinds.contains(&"protection.added") && kinds.contains(&"protection.changed"), "{kinds:?}");
}

/// Another forge let a protected tag be deleted, and then made anew elsewhere (Forgejo before 13.0.3).
#[tokio::test]
async fn a_protected_tag_is_neither_moved_nor_deleted_nor_made_anew() {
    let told = told().await;
    told.protect("tag", "v*", |new| new.may_create = true).await;
    says(&plain(&told, &[(ZERO, &told.first, "refs/tags/v1")]).await, "ok refs/tags/v1");
    let moved = plain(&told, &[(&told.first, &told.second, "refs/tags/v1")]).await;
    says(&moved, "ng refs/tags/v1 protected by `v*`: it may not be moved");
    let deleted = plain(&told, &[(&told.first, ZERO, "refs/tags/v1")]).await;
    says(&deleted, "ng refs/tags/v1 protected by `v*`: it may not be deleted");
    // Whoever says that it is not there does not make it anew.
    says(&plain(&told, &[(ZERO, &told.second, "refs/tags/v1")]).await, "ng refs/tags/v1");
    says(
        &plain(&told, &[(&told.first, ZERO, "refs/tags/v1"), (ZERO, &told.second, "refs/tags/v1")]).await,
        "ng refs/tags/v1",
    );
    let names = moves(&told.site.forge, told.id).await;
    assert_eq!(names.iter().filter(|(name, _, _)| name == "refs/tags/v1").count(), 1);
}

/// Rights are those of the moment in which the refs would move.
#[tokio::test]
async fn a_protection_made_after_the_push_began_holds() {
    let told = told().await;
    let begun = told.site.forge.begin_push(&told.alice, &path("alice/notes")).await.unwrap();
    told.protect("branch", "main", |new| new.level = "nobody".into()).await;
    let body = told.work.push_body(&[(&told.first, &told.second, "refs/heads/main")], "");
    let mut out = Vec::new();
    begun.run(crate::Transport::Http, body.as_slice(), &mut out).await.unwrap();
    says(&String::from_utf8_lossy(&out), "ng refs/heads/main protected by `main`: nobody may push here");
}

#[tokio::test]
async fn a_token_pushes_where_its_account_may_and_administration_is_not_needed_for_it() {
    let told = told().await;
    told.protect("branch", "main", |new| new.level = "admin".into()).await;
    let token = told.site.token(&told.alice, true, None).await;
    let by_token = told.site.forge.basic("alice", &token, HOME).await.unwrap();
    let body = told.work.push_body(&[(&told.first, &told.second, "refs/heads/main")], "");
    says(&push(&told.site.forge, &by_token, &body).await.unwrap(), "ok refs/heads/main");
}

/// Bytes that do not pack.
fn noise(size: usize) -> Vec<u8> {
    let step = |state: &mut u64| {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        Some(state.to_be_bytes()[0])
    };
    std::iter::repeat_n((), size).scan(7_u64, |state, ()| step(state)).collect()
}

fn key(work: &Work, name: &str) -> String {
    let file = work.0.path().join(".git").join(name).display().to_string();
    let done = Program::new("ssh-keygen").options(["-q", "-t", "ed25519", "-N", "", "-f", &file]).run(b"").unwrap();
    assert!(done.status.success(), "{}", done.stderr);
    file
}

fn signed(work: &Work, key: &str, file: &str) -> String {
    base::file::write_atomic(&work.0.path().join(file), b"signed", 0o644).unwrap();
    work.git(&["add", "--all"], b"");
    let signing = format!("user.signingkey={key}");
    work.git(&["-c", "gpg.format=ssh", "-c", &signing, "commit", "--quiet", "-S", "--message=Signed"], b"");
    String::from_utf8(work.git(&["rev-parse", "HEAD"], b"")).unwrap().trim().to_owned()
}

#[tokio::test]
async fn a_branch_that_asks_for_signatures_takes_nothing_else() {
    let told = told().await;
    told.protect("branch", "main", |new| new.require_signed = true).await;
    let (own, strange) = (key(&told.work, "own"), key(&told.work, "strange"));
    let line = std::fs::read_to_string(format!("{own}.pub")).unwrap();
    told.site.forge.add_ssh_key(&told.alice, "signing", &line).await.unwrap();

    let said = plain(&told, &[(&told.first, &told.second, "refs/heads/main")]).await;
    says(&said, "is not signed; sign it with an SSH key");
    // By way of a branch that asks for nothing: what waits there has been judged by nobody.
    says(&plain(&told, &[(ZERO, &told.second, "refs/heads/waiting")]).await, "ok refs/heads/waiting");
    says(&plain(&told, &[(&told.first, &told.second, "refs/heads/main")]).await, "is not signed");

    told.work.git(&["checkout", "--quiet", "-B", "good", &told.first], b"");
    let good = signed(&told.work, &own, "good");
    says(&plain(&told, &[(&told.first, &good, "refs/heads/main")]).await, "ok refs/heads/main");
    // Looked at together, and each told by itself.
    told.protect("branch", "side/*", |new| (new.require_signed, new.may_create) = (true, true)).await;
    told.work.git(&["checkout", "--quiet", "-B", "both", &good], b"");
    told.work.git(&["merge", "--quiet", "--strategy=ours", "--message=both", &told.second], b"");
    let both = [(ZERO, good.as_str(), "refs/heads/side/good"), (ZERO, &told.second, "refs/heads/side/bad")];
    let said = plain(&told, &both).await;
    says(&said, "ok refs/heads/side/good");
    says(&said, "ng refs/heads/side/bad protected by `side/*`");
    told.work.git(&["checkout", "--quiet", "good"], b"");
    let bad = signed(&told.work, &strange, "bad");
    says(&plain(&told, &[(&good, &bad, "refs/heads/main")]).await, "a key of no account here");

    // A signature of an honest commit under another message.
    let honest = String::from_utf8(told.work.git(&["cat-file", "commit", &good], b"")).unwrap();
    let forged = honest.replace("Signed", "Forged");
    let forged = told.work.git(&["hash-object", "-t", "commit", "-w", "--stdin"], forged.as_bytes());
    let forged = String::from_utf8(forged).unwrap().trim().to_owned();
    told.work.git(&["checkout", "--quiet", "-B", "forged", &forged], b"");
    let said = plain(&told, &[(ZERO, &forged, "refs/heads/forged")]).await;
    says(&said, "ok refs/heads/forged");
    told.protect("branch", "forged", |new| {
        new.require_signed = true;
        new.may_create = true;
        new.may_force = true;
    })
    .await;
    let again = told.work.commit("unsigned", b"x");
    says(&plain(&told, &[(&forged, &again, "refs/heads/forged")]).await, "is not signed");

    let repo = told.site.forge.repo(&told.alice, &path("alice/notes")).await.unwrap();
    let of = async |id: &str| told.site.forge.signature(&repo, &base::name::Oid::parse(id).unwrap()).await.unwrap();
    assert!(matches!(of(&good).await, Signature::Verified { signer, .. } if signer.as_str() == "alice"));
    assert_eq!((of(&told.first).await, of(&forged).await), (Signature::Absent, Signature::Wrong));
}

#[tokio::test]
async fn a_push_over_quota_leaves_nothing_and_a_smaller_one_goes() {
    let told = told().await;
    told.limit(SiteLimit::Repository, "1").await;
    let noise = noise(2 << 20);
    told.work.git(&["checkout", "--quiet", "-B", "large", &told.first], b"");
    let large = told.work.commit("large", &noise);
    let before = told.site.forge.usage(&told.admin().await).await.unwrap();
    let said = plain(&told, &[(ZERO, &large, "refs/heads/large")]).await;
    // It was cut off on its way in.
    says(&said, "ng refs/heads/large over quota: the pack is larger than the room that is left");
    assert_eq!(told.site.forge.usage(&told.admin().await).await.unwrap().git_bytes, before.git_bytes);
    told.work.git(&["checkout", "--quiet", "-B", "small", &told.first], b"");
    let small = told.work.commit("small", b"small");
    says(&plain(&told, &[(ZERO, &small, "refs/heads/small")]).await, "ok refs/heads/small");

    // A number of its own, which only the site's administrators set; then one of its owner.
    let (root, admin) = (told.site.sign_in("root").await, told.admin().await);
    let refused = told.site.forge.set_repo_quota(&told.alice, &admin, "0").await;
    assert!(matches!(refused, Err(Error::Denied { .. })), "{refused:?}");
    told.site.forge.set_repo_quota(&root, &admin, "0").await.unwrap();
    told.site.forge.set_owner_quota(&root, "alice", "1").await.unwrap();
    told.work.git(&["checkout", "--quiet", "large"], b"");
    let said = plain(&told, &[(ZERO, &large, "refs/heads/large")]).await;
    says(&said, "ng refs/heads/large over quota: the pack is larger than the room that is left");
    told.site.forge.set_owner_quota(&root, "alice", "").await.unwrap();
    says(&plain(&told, &[(ZERO, &large, "refs/heads/large")]).await, "ok refs/heads/large");

    let repo = told.site.forge.repo(&told.alice, &path("alice/notes")).await.unwrap().for_write().unwrap();
    told.site.forge.set_repo_quota(&root, &admin, "4").await.unwrap();
    assert!(told.site.forge.take_lfs_room(&repo, 9 << 20).await.unwrap().is_err());
    told.site.forge.take_lfs_room(&repo, 1 << 20).await.unwrap().unwrap();
    assert_eq!(told.site.forge.usage(&admin).await.unwrap().lfs_bytes, 1 << 20);
    told.site.forge.give_back_lfs(&repo, 9 << 20).await.unwrap();
    assert_eq!(told.site.forge.usage(&admin).await.unwrap().lfs_bytes, 0);
}

#[tokio::test]
async fn packs_objects_and_refs_have_their_numbers() {
    let told = told().await;
    told.work.git(&["checkout", "--quiet", "-B", "large", &told.first], b"");
    let large = told.work.commit("large", &vec![b'x'; 3 << 20]);
    told.limit(SiteLimit::Object, "2").await;
    let said = plain(&told, &[(ZERO, &large, "refs/heads/large")]).await;
    says(&said, "has 3 MiB, and the largest may have 2 MiB here");
    told.limit(SiteLimit::Object, "3").await;
    told.limit(SiteLimit::PushRefs, "1").await;
    let two = [(ZERO, large.as_str(), "refs/heads/a"), (ZERO, large.as_str(), "refs/heads/b")];
    says(&plain(&told, &two).await, "ng refs/heads/b a push may change 1 refs at once here");
    told.limit(SiteLimit::PushRefs, "0").await;
    told.limit(SiteLimit::Refs, "2").await;
    says(&plain(&told, &two).await, "ng refs/heads/a a repository may have 2 refs here");
    says(&plain(&told, &two[..1]).await, "ok refs/heads/a");
    let with_absent = [two[1], (&told.first, ZERO, "refs/heads/absent")];
    says(&plain(&told, &with_absent).await, "ng refs/heads/b a repository may have 2 refs here");
    told.limit(SiteLimit::Refs, "0").await;
    told.limit(SiteLimit::Pack, "1").await;
    let noise = noise(2 << 20);
    let noise = told.work.commit("noise", &noise);
    let said = plain(&told, &[(ZERO, &noise, "refs/heads/noise")]).await;
    says(&said, "unpack the pack is larger than this site takes");
}

#[tokio::test]
async fn push_options_that_nobody_knows_are_named_and_ignored() {
    let told = told().await;
    let mut body = Vec::new();
    let line = format!("{} {} refs/heads/main\0report-status side-band-64k push-options", told.first, told.second);
    body.extend(format!("{:04x}{line}0000", line.len() + 4).as_bytes());
    for option in ["ci.skip=1", "$(touch x)"] {
        body.extend(format!("{:04x}{option}", option.len() + 4).as_bytes());
    }
    body.extend(b"0000");
    body.extend(told.work.git(&["pack-objects", "--quiet", "--revs", "--stdout"], b"HEAD\n"));
    let said = push(&told.site.forge, &told.alice, &body).await.unwrap();
    says(&said, "the push option `ci.skip=1` is not known here and was ignored");
    says(&said, "the push option `$(touch x)` is not known");
    says(&said, "ok refs/heads/main");
}

super::on_a_server_too! {
    a_protected_branch_takes_fast_forwards_and_says_why_not_else,
    a_push_over_quota_leaves_nothing_and_a_smaller_one_goes,
    packs_objects_and_refs_have_their_numbers,
}

//! Pushes with real Git objects: verdicts per ref, events, and what is left after a kill.

use base::name::RefName;
use store::events::{self, EventRecord};
use store::intents::{self, NewIntent};

use super::*;
use crate::{Error, FileContent, Transport, TreeOrFile, settle};

const PLACE: &str = "GITGRIT_FORGE_TEST";

pub(super) async fn push(site: &Forge, actor: &Actor, body: &[u8]) -> Result<String, Error> {
    let mut out = Vec::new();
    let push = site.begin_push(actor, &path("alice/notes")).await?;
    Box::pin(push.run(Transport::Http, body, &mut out)).await?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

pub(super) async fn moves(forge: &Forge, repo_id: i64) -> Vec<(String, String, String)> {
    let read = |event: EventRecord| (event.subject, event.old_value.unwrap(), event.new_value.unwrap());
    let all = events::of_repo(&forge.0.store.read(), repo_id).await.unwrap();
    all.into_iter().filter(|event| event.kind == "ref.moved").map(read).collect()
}

/// A site where alice has an empty `notes`, and a work tree with one commit.
pub(super) async fn begun() -> (Site, Actor, i64, Work, String) {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    site.repo(&alice, "notes", Visibility::Private).await;
    let id = site.forge.repo(&alice, &path("alice/notes")).await.unwrap().id;
    let work = Work::new();
    let commit = work.commit("README.md", b"# Notes\n");
    (site, alice, id, work, commit)
}

#[tokio::test]
async fn a_push_moves_refs_writes_events_and_shows_on_pages() {
    let (site, alice, id, work, commit) = begun().await;
    let said = push(&site.forge, &alice, &work.push_body(&[(ZERO, &commit, "refs/heads/main")], "")).await.unwrap();
    assert!(said.contains("unpack ok") && said.contains("ok refs/heads/main"), "{said}");
    assert_eq!(moves(&site.forge, id).await, [("refs/heads/main".into(), ZERO.into(), commit.clone())]);
    assert!(intents::all(&site.forge.0.store.read()).await.unwrap().is_empty());

    let repo = site.forge.repo(&alice, &path("alice/notes")).await.unwrap();
    assert!(repo.summary().pushed.is_some());
    let home = site.forge.home(&repo).await.unwrap().unwrap();
    let readme = home.readme.unwrap();
    assert_eq!((readme.name.as_str(), readme.text.as_str(), readme.is_markdown), ("README.md", "# Notes\n", true));
    assert_eq!(home.latest.title, "Add a file");
    for rest in ["main/README.md".to_owned(), format!("{commit}/README.md")] {
        match site.forge.tree_or_file(&repo, rest.as_bytes()).await.unwrap() {
            TreeOrFile::File(file) => assert!(matches!(file.content, FileContent::Text(text) if text == "# Notes\n")),
            TreeOrFile::Tree(_) => panic!("{rest} is a file"),
        }
        assert_eq!(site.forge.raw(&repo, rest.as_bytes()).await.unwrap().first(), b"# Notes\n");
    }
    for rest in ["main/../README.md", "main/none", "none/README.md", "--upload-pack=x", ""] {
        assert!(matches!(site.forge.raw(&repo, rest.as_bytes()).await, Err(Error::NotFound)), "{rest}");
    }
    assert_eq!(site.forge.history(&repo, b"", 0).await.unwrap().commits.len(), 1);
    let view = site.forge.commit(&repo, commit.get(..10).unwrap()).await.unwrap();
    assert_eq!((view.file_count, view.added), (1, 1));
    for id in ["main", "1111111", "--output=x", &"1".repeat(40)] {
        assert!(matches!(site.forge.commit(&repo, id).await, Err(Error::NotFound)), "{id}");
    }
}

#[tokio::test]
async fn large_files_on_their_way_to_slow_readers_take_only_so_much_memory() {
    let (site, alice, _, work, _) = begun().await;
    work.commit("large", &b"0123456789abcde\n".repeat(400_000));
    let commit = work.commit("small", b"x");
    push(&site.forge, &alice, &work.push_body(&[(ZERO, &commit, "refs/heads/main")], "")).await.unwrap();
    let repo = site.forge.repo(&alice, &path("alice/notes")).await.unwrap();
    let mut large = site.forge.raw(&repo, b"main/large").await.unwrap();
    assert!(large.size == 6_400_000 && large.first().len() <= 64 << 10);
    let mut bytes = 0;
    while let Some(piece) = large.next().await.unwrap() {
        assert!(piece.len() <= 64 << 10);
        bytes += piece.len() as u64;
    }
    assert_eq!(bytes, large.size);
    let small = site.forge.raw(&repo, b"main/small").await.unwrap();
    assert_eq!(small.whole(1).await.unwrap().as_deref(), Some(&b"x"[..]));
    let window = |first| site.forge.window(&repo, b"main/large", first);
    let first = window(1).await.unwrap().unwrap();
    assert_eq!((first.text.lines().count(), first.next), (2_000, Some(2_001)));
    let last = window(399_999).await.unwrap().unwrap();
    assert_eq!((last.first, last.text.lines().count(), last.next), (399_999, 2, None));
    assert!(matches!(window(400_001).await, Err(Error::NotFound)));
}

#[tokio::test]
async fn each_ref_of_a_mixed_push_gets_its_own_verdict() {
    let (site, alice, id, work, commit) = begun().await;
    let body = work.push_body(
        &[
            (ZERO, &commit, "refs/heads/main"),
            (ZERO, &commit, "refs/pull/1/head"),
            (ZERO, &commit, "refs/heads/--upload-pack=x"),
            (ZERO, &commit, "refs/heads/../../x"),
            (ZERO, &commit, "refs/tags/v1"),
        ],
        "",
    );
    let said = push(&site.forge, &alice, &body).await.unwrap();
    for line in ["ok refs/heads/main", "ok refs/tags/v1", "ng refs/pull/1/head only branches", "ng refs/heads/--upload"]
    {
        assert!(said.contains(line), "{line}: {said}");
    }
    let names: Vec<_> = moves(&site.forge, id).await.into_iter().map(|(name, _, _)| name).collect();
    assert_eq!(names, ["refs/heads/main", "refs/tags/v1"]);
}

#[tokio::test]
async fn an_atomic_push_with_one_refused_ref_moves_nothing() {
    let (site, alice, id, work, commit) = begun().await;
    let refs = [(ZERO, commit.as_str(), "refs/heads/main"), (ZERO, commit.as_str(), "refs/notes/x")];
    let said = push(&site.forge, &alice, &work.push_body(&refs, "atomic")).await.unwrap();
    assert!(said.contains("ng refs/heads/main") && said.contains("ng refs/notes/x"), "{said}");
    assert!(moves(&site.forge, id).await.is_empty());
    let repo = site.forge.repo(&alice, &path("alice/notes")).await.unwrap();
    assert!(site.forge.frame(&repo).await.unwrap().branches.is_empty());
}

#[tokio::test]
async fn the_first_branch_becomes_the_default_one_and_cannot_be_deleted_then() {
    let (site, alice, _, work, commit) = begun().await;
    push(&site.forge, &alice, &work.push_body(&[(ZERO, &commit, "refs/heads/trunk")], "")).await.unwrap();
    let repo = site.forge.repo(&alice, &path("alice/notes")).await.unwrap();
    assert_eq!(site.forge.frame(&repo).await.unwrap().default_branch.as_str(), "refs/heads/trunk");
    push(&site.forge, &alice, &work.push_body(&[(ZERO, &commit, "refs/heads/main")], "")).await.unwrap();
    assert_eq!(site.forge.frame(&repo).await.unwrap().default_branch.as_str(), "refs/heads/trunk");
    let body =
        work.push_body(&[(&commit, ZERO, "refs/heads/trunk"), (&commit, ZERO, "refs/heads/main")], "delete-refs");
    let said = push(&site.forge, &alice, &body).await.unwrap();
    assert!(said.contains("ng refs/heads/trunk the default branch cannot be deleted"), "{said}");
    assert!(said.contains("ok refs/heads/main"), "{said}");
}

#[tokio::test]
async fn a_stale_old_value_is_refused_and_leaves_no_intent() {
    let (site, alice, id, work, commit) = begun().await;
    push(&site.forge, &alice, &work.push_body(&[(ZERO, &commit, "refs/heads/main")], "")).await.unwrap();
    let second = work.commit("b", b"b");
    let said = push(&site.forge, &alice, &work.push_body(&[(ZERO, &second, "refs/heads/main")], "")).await.unwrap();
    assert!(said.contains("ng refs/heads/main"), "{said}");
    assert_eq!(moves(&site.forge, id).await.len(), 1);
    assert!(intents::all(&site.forge.0.store.read()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_pack_cut_in_half_moves_nothing() {
    let (site, alice, id, work, commit) = begun().await;
    let body = work.push_body(&[(ZERO, &commit, "refs/heads/main")], "");
    let half = body.get(..body.len() - 30).unwrap();
    let said = push(&site.forge, &alice, half).await;
    assert!(said.as_ref().map_or(true, |said| said.contains("ng refs/heads/main")), "{said:?}");
    assert!(moves(&site.forge, id).await.is_empty());
    let said = push(&site.forge, &alice, &body).await.unwrap();
    assert!(said.contains("ok refs/heads/main"), "{said}");
}

#[tokio::test]
async fn a_right_that_ended_during_the_push_stops_it() {
    let (site, alice, id, work, commit) = begun().await;
    let notes = path("alice/notes");
    let token = site.token(&alice, true, None).await;
    let with_token = site.forge.basic("alice", &token, HOME).await.unwrap();
    let by_token = site.forge.begin_push(&with_token, &notes).await.unwrap();
    let by_session = site.forge.begin_push(&alice, &notes).await.unwrap();
    let with_password = site.forge.basic("alice", &secret(PASSWORD), HOME).await.unwrap();
    let by_old_password = site.forge.begin_push(&with_password, &notes).await.unwrap();

    let token = site.forge.tokens(&alice).await.unwrap().remove(0);
    site.forge.revoke_token(&alice, token.id).await.unwrap();
    let new = secret("another password");
    site.forge.change_password(&alice, &secret(PASSWORD), &new).await.unwrap();
    let with_password = site.forge.basic("alice", &new, HOME).await.unwrap();
    let by_password = site.forge.begin_push(&with_password, &notes).await.unwrap();
    let root = site.sign_in("root").await;
    let body = work.push_body(&[(ZERO, &commit, "refs/heads/main")], "");
    for (number, begun) in [by_token, by_old_password, by_session, by_password].into_iter().enumerate() {
        let mut out = Vec::new();
        begun.run(Transport::Http, &body[..], &mut out).await.unwrap();
        let said = String::from_utf8_lossy(&out);
        assert!(said.contains("ng refs/heads/main you may no longer push here"), "{number}: {said}");
        if number == 1 {
            site.forge.set_user_active(&root, "alice", false).await.unwrap();
        }
    }
    assert!(moves(&site.forge, id).await.is_empty());
}

#[tokio::test]
async fn a_client_that_hangs_up_while_the_refs_move_gets_its_push_all_the_same() {
    let (site, alice, id, work, commit) = begun().await;
    let body = work.push_body(&[(ZERO, &commit, "refs/heads/main")], "");
    // The output is never read: the push waits in its report, and is dropped there.
    let (output, input) = tokio::io::duplex(1);
    let begun = site.forge.begin_push(&alice, &path("alice/notes")).await.unwrap();
    let mut run = Box::pin(begun.run(Transport::Http, &body[..], output));
    while moves(&site.forge, id).await.is_empty() {
        let waited = tokio::time::timeout(std::time::Duration::from_millis(5), &mut run).await;
        assert!(waited.is_err(), "{waited:?}");
    }
    drop((run, input));
    site.forge.0.store.begin().await.unwrap().commit().await.unwrap();
    assert!(intents::all(&site.forge.0.store.read()).await.unwrap().is_empty());
}

#[tokio::test]
async fn intents_of_a_crash_become_events_only_where_the_ref_moved() {
    let (site, alice, id, work, commit) = begun().await;
    push(&site.forge, &alice, &work.push_body(&[(ZERO, &commit, "refs/heads/main")], "")).await.unwrap();
    let next = work.commit("b", b"b");
    let tx = site.forge.0.store.begin().await.unwrap();
    let at = site.forge.now();
    let actor_id = alice.user().unwrap().id;
    for (ref_name, old_id, new_id) in [
        ("refs/heads/main", ZERO, commit.as_str()),
        ("refs/heads/main", commit.as_str(), next.as_str()),
        ("refs/heads/gone", commit.as_str(), ZERO),
    ] {
        let (address, request) = (Some("10.0.0.1"), Some("r-1"));
        let (actor_id, actor) = (Some(actor_id), None);
        let new = NewIntent { repo_id: id, actor_id, actor, at, ref_name, old_id, new_id, address, request };
        intents::insert(&tx, &new).await.unwrap();
    }
    tx.commit().await.unwrap();

    let second = open(site.directory.path(), &site.key, &site.clock).await.unwrap();
    assert_eq!(intents::all(&second.0.store.read()).await.unwrap().len(), 3, "the first process may be at work");
    second.close().await;
    drop(second);
    let Site { forge, clock, key, directory } = site;
    forge.close().await;
    drop(forge);
    let forge = open(directory.path(), &key, &clock).await.unwrap();
    assert!(intents::all(&forge.0.store.read()).await.unwrap().is_empty());
    let main = "refs/heads/main".to_owned();
    assert_eq!(
        moves(&forge, id).await,
        [
            // The intent that says the same is another client's, who came too late.
            (main, ZERO.into(), commit.clone()),
            ("refs/heads/gone".into(), commit, ZERO.into())
        ]
    );
    let settled = events::of_repo(&forge.0.store.read(), id).await.unwrap().pop().unwrap();
    assert_eq!((settled.address.as_deref(), settled.request.as_deref()), (Some("10.0.0.1"), Some("r-1")));
}

/// As when the database was away at the end of a push, and the server has run on ever since.
#[tokio::test]
async fn what_nobody_came_back_to_gets_its_events_while_the_site_runs() {
    let (site, alice, id, work, first) = begun().await;
    let second = work.commit("b", b"b");
    let tx = site.forge.0.store.begin().await.unwrap();
    let actor_id = alice.user().map(|user| user.id);
    for (old_id, new_id) in [(second.as_str(), first.as_str()), (&first, ZERO)] {
        let at = site.forge.now();
        let new = NewIntent {
            repo_id: id,
            actor_id,
            actor: None,
            at,
            ref_name: "refs/heads/gone",
            old_id,
            new_id,
            address: None,
            request: None,
        };
        intents::insert(&tx, &new).await.unwrap();
    }
    tx.commit().await.unwrap();
    let settle = || settle::overdue(&site.forge.0.store, &site.forge.0.repositories, site.forge.now());
    settle().await.unwrap();
    assert_eq!(intents::all(&site.forge.0.store.read()).await.unwrap().len(), 2, "they may be under way");
    site.clock.advance(16 * 60);
    settle().await.unwrap();
    assert!(intents::all(&site.forge.0.store.read()).await.unwrap().is_empty());
    let gone = || "refs/heads/gone".to_owned();
    let expected = [(gone(), second, first.clone()), (gone(), first, ZERO.to_owned())];
    assert_eq!(moves(&site.forge, id).await, expected, "one explains the other");
}

/// Pushes in another process that is killed at `place`, and gives the moves that the next start finds, and main's tip.
async fn after_a_kill(place: &str, test: &str) -> Option<(Vec<(String, String, String)>, Option<String>, String)> {
    if let Some(directory) = std::env::var_os(PLACE) {
        let directory = Path::new(&directory);
        let key = secret(&base::file::read_text(&directory.join("key"), 100).unwrap());
        let clock = Arc::new(FixedClock::new(Timestamp(1_700_000_000_000_000)));
        let forge = open(directory, &key, &clock).await.unwrap();
        let signed_in = forge.sign_in("alice", &secret(PASSWORD), HOME).await.unwrap();
        let alice = forge.session(&signed_in.token).await.unwrap().unwrap().actor;
        let body = base::file::read_bytes(&directory.join("body"), 1 << 20).unwrap();
        push(&forge, &alice, &body).await.unwrap();
        return None;
    }
    let (site, alice, id, work, commit) = begun().await;
    let body = work.push_body(&[(ZERO, &commit, "refs/heads/main")], "");
    let Site { forge, clock, key, directory } = site;
    base::file::write_atomic(&directory.path().join("body"), &body, 0o600).unwrap();
    base::file::write_atomic(&directory.path().join("key"), key.expose().as_bytes(), 0o600).unwrap();
    forge.close().await;
    drop(forge);
    let program = Program::new(std::env::current_exe().unwrap().to_str().unwrap())
        .options(["--exact"])
        .operands([format!("stories::pushing::{test}")])
        .env(PLACE, directory.path())
        .env(base::fault::VARIABLE, place);
    let ended = tokio::task::spawn_blocking(move || program.run(b"").unwrap()).await.unwrap();
    assert!(!ended.status.success(), "{place} is never reached");

    let forge = open(directory.path(), &key, &clock).await.unwrap();
    let repo = forge.repo(&alice, &path("alice/notes")).await.unwrap();
    let tip = forge.tip(&repo, &RefName::branch("main").unwrap()).await.unwrap().map(|id| id.to_string());
    assert!(intents::all(&forge.0.store.read()).await.unwrap().is_empty());
    Some((moves(&forge, id).await, tip, commit))
}

#[tokio::test]
async fn killed_before_the_refs_move_leaves_no_event() {
    let test = "killed_before_the_refs_move_leaves_no_event";
    let Some((moves, tip, _)) = after_a_kill("forge:push:migrated", test).await else { return };
    assert_eq!((moves, tip), (Vec::new(), None));
}

#[tokio::test]
async fn killed_after_the_refs_moved_gets_its_event_at_the_next_start() {
    let test = "killed_after_the_refs_moved_gets_its_event_at_the_next_start";
    let Some((moves, tip, commit)) = after_a_kill("forge:push:moved", test).await else { return };
    assert_eq!(moves, [("refs/heads/main".into(), ZERO.into(), commit.clone())]);
    assert_eq!(tip, Some(commit));
}

super::on_a_server_too! {
    a_push_moves_refs_writes_events_and_shows_on_pages,
    large_files_on_their_way_to_slow_readers_take_only_so_much_memory,
    each_ref_of_a_mixed_push_gets_its_own_verdict,
    an_atomic_push_with_one_refused_ref_moves_nothing,
    the_first_branch_becomes_the_default_one_and_cannot_be_deleted_then,
    a_stale_old_value_is_refused_and_leaves_no_intent,
    a_pack_cut_in_half_moves_nothing,
    a_right_that_ended_during_the_push_stops_it,
    a_client_that_hangs_up_while_the_refs_move_gets_its_push_all_the_same,
    intents_of_a_crash_become_events_only_where_the_ref_moved,
    killed_before_the_refs_move_leaves_no_event,
    killed_after_the_refs_moved_gets_its_event_at_the_next_start,
}

//! Files changed without a clone: through the gate of pushes, and never over somebody else's work.

use base::file_path::FilePath;
use base::name::RefName;
use store::events;

use super::*;
use crate::{CommitFiles, EditError, EditProblem, EditedText, Error, FileChange, Person, RepoWrite, Stretch};

fn main() -> RefName {
    RefName::branch("main").unwrap()
}

fn file(text: &str) -> FilePath {
    FilePath::parse(text).unwrap()
}

fn create(at: &str, content: &str) -> FileChange {
    FileChange::Create { path: file(at), content: content.into(), is_executable: false }
}

fn commit(changes: Vec<FileChange>) -> CommitFiles {
    CommitFiles::of(main(), String::new(), changes)
}

async fn writable(site: &Site, actor: &Actor) -> RepoWrite {
    site.forge.repo(actor, &path("alice/notes")).await.unwrap().for_write().unwrap()
}

async fn begun() -> (Site, Actor, RepoWrite) {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    site.repo(&alice, "notes", Visibility::Private).await;
    let repo = writable(&site, &alice).await;
    (site, alice, repo)
}

#[tokio::test]
async fn an_edit_is_a_push_with_its_event_and_its_default_branch() {
    let (site, alice, repo) = begun().await;
    let first = site.forge.commit_files(&alice, &repo, commit(vec![create("README.md", "# Hi\n")])).await.unwrap();
    assert_eq!((first.parent, first.branch), (None, main()));
    let events = events::of_repo(&site.forge.0.store.read(), repo.0.id).await.unwrap();
    let moved: Vec<_> = events.iter().filter(|event| event.kind == "ref.moved").collect();
    assert_eq!(moved.len(), 1);
    assert_eq!(moved[0].new_value.as_deref(), Some(first.commit.as_str()));
    let view = site.forge.commit(&repo.0, first.commit.as_str()).await.unwrap();
    assert_eq!((view.summary.title.as_str(), view.summary.author.as_str()), ("Add README.md", "alice"));
    let handle = site.forge.handle(&repo.0).unwrap();
    assert_eq!(handle.tip(&main()).await.unwrap(), Some(first.commit.clone()));

    let mut second = commit(vec![create("docs/a", "a\n")]);
    second.new_branch = Some(RefName::branch("topic").unwrap());
    let second_made = site.forge.commit_files(&alice, &repo, second.clone()).await.unwrap();
    assert_eq!(second_made.parent, Some(first.commit.clone()));
    assert_eq!(handle.tip(&main()).await.unwrap(), Some(first.commit));
    let again = site.forge.commit_files(&alice, &repo, second).await;
    assert!(matches!(again, Err(EditError::BranchExists(name)) if name == "topic"));
}

#[tokio::test]
async fn somebody_elses_change_is_not_lost() {
    let (site, alice, repo) = begun().await;
    let first = site.forge.commit_files(&alice, &repo, commit(vec![create("a", "1\n"), create("b", "1\n")])).await;
    let first = first.unwrap();
    let blob = first.blobs[0].1.clone();
    let change =
        |text: &str| FileChange::Update { path: file("a"), content: text.into(), expected: Some(blob.clone()) };
    // The branch has moved, but not the file: nothing is lost by going on.
    let other = FileChange::Update { path: file("b"), content: "2\n".into(), expected: None };
    site.forge.commit_files(&alice, &repo, commit(vec![other])).await.unwrap();
    site.forge.commit_files(&alice, &repo, commit(vec![change("2\n")])).await.unwrap();
    let late = site.forge.commit_files(&alice, &repo, commit(vec![change("3\n")])).await;
    assert!(matches!(late, Err(EditError::Problem(EditProblem::Stale { now: Some(_), .. }))), "{late:?}");
    let mut strict = commit(vec![create("c", "1\n")]);
    strict.expected_tip = Some(first.commit);
    let moved = site.forge.commit_files(&alice, &repo, strict).await;
    assert!(matches!(moved, Err(EditError::Moved { .. })), "{moved:?}");
}

/// The gate's own rules hold here too: nothing but a branch is written, and no name that stands for something else.
#[tokio::test]
async fn the_gate_of_pushes_judges_edits() {
    let (site, alice, repo) = begun().await;
    for name in ["refs/notes/x", "refs/pull/1/head", "refs/heads/HEAD", &format!("refs/heads/{}", "1".repeat(40))] {
        let mut change = commit(vec![create("a", "1")]);
        change.branch = RefName::parse(name).unwrap();
        let refused = site.forge.commit_files(&alice, &repo, change).await;
        assert!(matches!(refused, Err(EditError::Refused { .. })), "{name}: {refused:?}");
    }
    let bob = site.user("bob").await;
    let refused = site.forge.commit_files(&bob, &repo, commit(vec![create("a", "1")])).await;
    assert!(matches!(refused, Err(EditError::Forge(Error::NotFound))), "{refused:?}");
    let mut large = commit(vec![create("a", "1")]);
    large.message = "x".repeat(70_000);
    let refused = site.forge.commit_files(&alice, &repo, large).await;
    assert!(matches!(refused, Err(EditError::Forge(Error::Field { field: "message", .. }))), "{refused:?}");
}

#[tokio::test]
async fn an_editor_gets_a_text_and_gives_a_change_back() {
    let (site, alice, repo) = begun().await;
    let empty = site.forge.editable_directory(&repo, b"").await.unwrap();
    assert_eq!((empty.branch, empty.tip, empty.directory.as_str()), (main(), None, ""));
    let author = Person { name: "Ann".into(), email: "a@b".into(), at: Timestamp(0), offset: 60 };
    let mut first = commit(vec![create("d/a.txt", "1\r\n2\r\n"), create("d/binary", "\0")]);
    first.author = Some(author);
    site.forge.commit_files(&alice, &repo, first).await.unwrap();
    let found = site.forge.editable_file(&repo, b"main/d/a.txt").await.unwrap();
    assert_eq!(found.text.as_deref(), Ok("1\n2\n"));
    assert_eq!(site.forge.editable_directory(&repo, b"main/d").await.unwrap().directory, "d/");
    assert!(site.forge.editable_file(&repo, b"main/d/binary").await.unwrap().text.is_err());
    for absent in ["main/d", "main/none", "none/d/a.txt", found.tip.as_str(), ""] {
        let refused = site.forge.editable_file(&repo, absent.as_bytes()).await;
        assert!(matches!(refused, Err(Error::NotFound)), "{absent}");
    }
    let edit = EditedText { original: Some((found.path, found.blob)), path: file("a.txt"), text: "1\r\n3".into() };
    let change = site.forge.edited(&repo, edit).await.unwrap();
    let FileChange::Rename { content: Some(content), to, .. } = &change else { panic!("{change:?}") };
    assert_eq!((content.as_slice(), to), (&b"1\r\n3\r\n"[..], &file("a.txt")));
    site.forge.commit_files(&alice, &repo, commit(vec![change])).await.unwrap();
    let now = site.forge.text_now(&repo, &main(), &file("a.txt")).await.unwrap().unwrap();
    assert_eq!(now.1, "1\n3\n");
    assert!(site.forge.text_now(&repo, &main(), &file("d/a.txt")).await.unwrap().is_none());
}

/// What another replica counted is taken; what is no number is counted anew, and put right.
#[tokio::test]
async fn a_history_is_counted_once_for_all_replicas() {
    let (site, alice, repo) = begun().await;
    let mut tip = None;
    for number in 0..3 {
        let file = create(&format!("{number}"), "x");
        tip = Some(site.forge.commit_files(&alice, &repo, commit(vec![file])).await.unwrap().commit);
    }
    let whole = vault::digest::sha256_hex(b"");
    let key = format!("commits:{}:{}:{whole}", repo.0.id, tip.unwrap());
    let (read, signals) = (repo.0.clone(), &site.forge.0.signals);
    let window = Stretch { skip: 0, limit: 1 };
    let counted = async || site.forge.commit_page(&read, "", "", window).await.unwrap().total;
    assert_eq!((counted().await, signals.get(&key).await.as_deref()), (3, Some("3")));
    for (kept, expected) in [("77", 77), ("many", 3), ("", 3)] {
        signals.put(&key, kept, std::time::Duration::from_mins(1)).await;
        assert_eq!(counted().await, expected, "{kept}");
    }
    assert_eq!(signals.get(&key).await.as_deref(), Some("3"));
}

super::on_a_server_too! {
    an_edit_is_a_push_with_its_event_and_its_default_branch,
    somebody_elses_change_is_not_lost,
    the_gate_of_pushes_judges_edits,
    an_editor_gets_a_text_and_gives_a_change_back,
    a_history_is_counted_once_for_all_replicas,
}

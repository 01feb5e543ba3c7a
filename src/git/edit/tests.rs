//! Commits made here, judged by real git.

use base::name::RefName;

use super::*;
use crate::receive::RefUpdate;
use crate::testing::Site;

fn path(text: &str) -> FilePath {
    FilePath::parse(text).unwrap()
}

fn person(name: &str) -> Person {
    Person { name: name.into(), email: "ann@example.invalid".into(), at: Timestamp(1_700_000_000_000_000), offset: -90 }
}

fn draft(parent: Option<&str>, changes: Vec<FileChange>) -> CommitDraft {
    CommitDraft {
        parent: parent.map(|id| Oid::parse(id).unwrap()),
        changes,
        message: "Title \r\n\r\nbody\t\n\n\n".into(),
        author: person("Ann <A>\nUthor."),
        committer: person(" "),
    }
}

fn create(at: &str, content: &[u8]) -> FileChange {
    FileChange::Create { path: path(at), content: content.into(), is_executable: false }
}

fn update(at: &str, content: &[u8], expected: Option<Oid>) -> FileChange {
    FileChange::Update { path: path(at), content: content.into(), expected }
}

/// Pushes the commit into `refs/heads/made` and gives its id.
fn made(site: &Site, draft: CommitDraft) -> String {
    let built = site.block_on(site.repo.new_commit(draft)).unwrap().unwrap();
    let old = site.block_on(site.repo.tip(&RefName::branch("made").unwrap())).unwrap();
    let update = RefUpdate { name: RefName::branch("made").unwrap(), old, new: Some(built.id.clone()) };
    let answer = site.raw_push(&as_push(&update, &built.pack)).unwrap();
    let outcome = site.block_on(outcome(answer.as_bytes())).unwrap();
    assert_eq!(outcome.refusal, None, "{:?}", outcome.said);
    built.id.to_string()
}

fn problem(site: &Site, parent: &str, change: FileChange) -> EditProblem {
    site.block_on(site.repo.new_commit(draft(Some(parent), vec![change]))).unwrap().unwrap_err()
}

#[test]
fn a_first_commit_and_its_followers_are_what_git_would_have_made() {
    let site = Site::start();
    let first = made(&site, draft(None, vec![create("a.txt", b"1\n"), create("a/b/c", b"x"), create("a0", b"0")]));
    site.git(&["fsck", "--strict"]);
    let shown = site.git(&["cat-file", "commit", &first]);
    assert!(shown.contains("\nauthor Ann AUthor <ann@example.invalid> 1700000000 -0130\n"), "{shown}");
    assert!(shown.contains("\ncommitter unknown <") && shown.ends_with("\n\nTitle\n\nbody\n"), "{shown}");
    let second = made(
        &site,
        draft(
            Some(&first),
            vec![
                update("a.txt", b"2\n", None),
                FileChange::Delete { path: path("a/b/c"), expected: None },
                FileChange::Rename { from: path("a0"), to: path("n/m/o"), expected: None, content: None },
                FileChange::Create { path: path("run"), content: vec![], is_executable: true },
            ],
        ),
    );
    site.git(&["fsck", "--strict"]);
    let listed = site.git(&["ls-tree", "-r", "-t", "--format=%(objectmode) %(path)", &second]);
    assert_eq!(listed, "100644 a.txt\n040000 n\n040000 n/m\n100644 n/m/o\n100755 run\n");
    let gone = draft(
        Some(&second),
        ["a.txt", "n/m/o", "run"].map(|at| FileChange::Delete { path: path(at), expected: None }).into(),
    );
    let third = made(&site, gone);
    assert_eq!(site.git(&["ls-tree", "-r", &third]), "");
}

/// A file in the browser must be the one that the edit began with.
#[test]
fn a_file_that_is_another_by_now_is_left_alone() {
    let site = Site::start();
    let tip = made(&site, draft(None, vec![create("a", b"1"), create("d/x", b"1")]));
    let blob = Oid::parse(site.git(&["rev-parse", &format!("{tip}:a")]).trim()).unwrap();
    let other = Oid::parse(&"1".repeat(40)).unwrap();
    assert_eq!(
        problem(&site, &tip, update("a", b"2", Some(other.clone()))),
        EditProblem::Stale { path: path("a"), now: Some(blob.clone()) }
    );
    assert_eq!(
        problem(&site, &tip, update("gone", b"2", Some(other))),
        EditProblem::Stale { path: path("gone"), now: None }
    );
    assert_eq!(problem(&site, &tip, update("gone", b"2", None)), EditProblem::Absent(path("gone")));
    assert_eq!(problem(&site, &tip, update("a", b"1", Some(blob))), EditProblem::Nothing);
    assert_eq!(problem(&site, &tip, create("a", b"2")), EditProblem::Present { path: path("a"), what: "file" });
    assert_eq!(problem(&site, &tip, create("d", b"2")), EditProblem::Present { path: path("d"), what: "directory" });
    assert_eq!(problem(&site, &tip, create("a/b", b"2")), EditProblem::NotAFile { path: path("a/b"), what: "file" });
}

/// CVE-2025-8110 and CVE-2024-54148: an edit that follows a symbolic link writes wherever the link points.
#[test]
fn nothing_is_written_through_a_link_or_a_submodule() {
    let site = Site::start();
    let tree = site.work_tree("w");
    std::os::unix::fs::symlink(".git/config", tree.directory.join("link")).unwrap();
    std::os::unix::fs::symlink("/etc", tree.directory.join("etc")).unwrap();
    let first = tree.commit("a", b"1");
    tree.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{first},module")]);
    tree.git(&["commit", "--quiet", "--message", "module"]);
    tree.git(&["push", "--quiet", "origin", "main"]);
    let tip = tree.git(&["rev-parse", "HEAD"]);
    let not = |at: &str, what| EditProblem::NotAFile { path: path(at), what };
    assert_eq!(problem(&site, &tip, update("link", b"x", None)), not("link", "symbolic link"));
    assert_eq!(problem(&site, &tip, create("etc/passwd", b"x")), not("etc/passwd", "symbolic link"));
    assert_eq!(problem(&site, &tip, update("etc/passwd", b"x", None)), not("etc/passwd", "symbolic link"));
    assert_eq!(problem(&site, &tip, create("module/x", b"x")), not("module/x", "submodule"));
    assert_eq!(problem(&site, &tip, update("module", b"x", None)), not("module", "submodule"));
    let to = FileChange::Rename { from: path("a"), to: path("etc/a"), expected: None, content: None };
    assert_eq!(problem(&site, &tip, to), not("etc/a", "symbolic link"));
    let from = FileChange::Rename { from: path("link"), to: path("b"), expected: None, content: None };
    assert_eq!(problem(&site, &tip, from), not("link", "symbolic link"));
}

#[test]
fn what_is_no_answer_to_a_push_is_an_error() {
    let site = Site::start();
    for answer in [&b""[..], b"0000", b"zzzz", b"0006\x010"] {
        assert!(site.block_on(outcome(answer)).is_err(), "{answer:?}");
    }
    let mut report = Vec::new();
    pktline_of(&mut report, b"unpack an object is malformed\n");
    pktline_of(&mut report, b"ng refs/heads/a it is protected\n");
    report.extend_from_slice(b"0000");
    let mut answer = Vec::new();
    pktline_of(&mut answer, b"\x02hear\nhear\n");
    pktline_of(&mut answer, &[&b"\x01"[..], &report].concat());
    answer.extend_from_slice(b"0000");
    let heard = site.block_on(outcome(&answer)).unwrap();
    assert_eq!(heard.refusal.as_deref(), Some("it is protected"));
    assert_eq!(heard.said, ["hear", "hear", "an object is malformed"]);
}

fn pktline_of(out: &mut Vec<u8>, payload: &[u8]) {
    crate::pktline::put(out, payload);
}

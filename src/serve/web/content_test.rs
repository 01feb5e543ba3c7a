//! Visitors who compare, search and change the content of repositories, on a whole site; and how much HTML that is.

use forge::Visibility;

use super::walk_test::{Browser, header};
use crate::test_client::get;
use crate::test_site::Site;

/// The value of a hidden field.
fn hidden(page: &str, name: &str) -> String {
    let mark = format!("name=\"{name}\" value=\"");
    page.split(&mark).nth(1).unwrap_or_else(|| panic!("{name}: {page}")).split('"').next().unwrap().to_owned()
}

async fn with_file(site: &Site, name: &str, content: &[u8]) -> String {
    site.create_repo("alice", "work", Visibility::Public).await;
    site.git_ok("w", None, &["init", "--quiet"]).await;
    base::file::write_atomic(&site.dir.path().join("w").join(name), content, 0o644).unwrap();
    commit(site, "begin").await;
    let url = site.http_url("alice", &site.token("alice", true).await, "alice/work");
    site.git_ok("w", None, &["push", "--quiet", &url, "main"]).await;
    url
}

async fn commit(site: &Site, message: &str) {
    site.git_ok("w", None, &["add", "--all"]).await;
    site.git_ok("w", None, &["commit", "--quiet", "-m", message]).await;
}

#[tokio::test]
async fn a_file_is_made_changed_moved_and_deleted_in_the_browser() {
    let mut site = Site::start().await;
    let alice = Browser::signed_in(&site, "alice").await;
    let form = alice.get(&site, "/alice/notes/new").await;
    assert!(form.status == 200 && form.body.contains("name=\"path\""), "{}", form.body);
    let fields = |path, text| [("on", "main"), ("path", path), ("text", text), ("to", "same")];
    let made = alice.post(&site, "/alice/notes/new", &fields("docs/a.md", "# Hi\r\n\r\nthere")).await;
    assert_eq!(
        (made.status, header(&made, "location").as_str()),
        (303, "/alice/notes/src/main/docs/a.md"),
        "{}",
        made.body
    );
    assert_eq!(alice.get(&site, "/alice/notes/raw/main/docs/a.md").await.body, "# Hi\n\nthere\n");
    let page = alice.get(&site, "/alice/notes/src/main/docs/a.md").await.body;
    assert!(page.contains("/alice/notes/edit/main/docs/a.md") && page.contains("/alice/notes/delete/main/docs/a.md"));

    let form = alice.get(&site, "/alice/notes/edit/main/docs/a.md").await.body;
    let (from, blob) = (hidden(&form, "from"), hidden(&form, "blob"));
    assert!(form.contains("\n# Hi\n\nthere\n</textarea>"), "{form}");
    let edit = |text, path| {
        [("on", "main"), ("from", &*from), ("blob", &*blob), ("path", path), ("text", text), ("to", "same")]
    };
    let saved = alice.post(&site, "/alice/notes/edit/main/docs/a.md", &edit("# Hi\r\nyou\r\n", "docs/b.md")).await;
    assert_eq!(header(&saved, "location"), "/alice/notes/src/main/docs/b.md", "{}", saved.body);
    let late = alice.post(&site, "/alice/notes/edit/main/docs/a.md", &edit("my <own> words", "docs/a.md")).await;
    assert_eq!(late.status, 409);
    assert!(late.body.contains("my &lt;own&gt; words") && late.body.contains("Somebody deleted"), "{}", late.body);
    let again = [("on", "main"), ("from", ""), ("blob", ""), ("path", "docs/a.md"), ("text", "mine"), ("to", "new")];
    let again: Vec<_> = again.into_iter().chain([("new_branch", "mine"), ("message", "keep mine")]).collect();
    let branched = alice.post(&site, "/alice/notes/edit/main/docs/a.md", &again).await;
    assert_eq!(header(&branched, "location"), "/alice/notes/src/mine/docs/a.md", "{}", branched.body);

    let form = alice.get(&site, "/alice/notes/delete/main/docs/b.md").await.body;
    let blob = hidden(&form, "blob");
    let gone = [("on", "main"), ("from", "docs/b.md"), ("blob", &*blob), ("to", "same")];
    assert_eq!(alice.post(&site, "/alice/notes/delete/main/docs/b.md", &gone).await.status, 303);
    let lost = alice.get(&site, "/alice/notes/src/main/docs/b.md").await;
    assert!(lost.status == 404 && lost.body.contains("All files at main"), "{}", lost.body);
    site.stop().await;
}

#[tokio::test]
async fn two_who_edit_one_file_both_keep_their_texts() {
    let mut site = Site::start().await;
    let alice = Browser::signed_in(&site, "alice").await;
    with_file(&site, "a", b"one\r\ntwo\r\n").await;
    let form = alice.get(&site, "/alice/work/edit/main/a").await.body;
    let blob = hidden(&form, "blob");
    let edit = async |blob: &str, text: &str| {
        let fields = [("on", "main"), ("from", "a"), ("blob", blob), ("path", "a"), ("text", text), ("to", "same")];
        alice.post(&site, "/alice/work/edit/main/a", &fields).await
    };
    assert_eq!(edit(&blob, "one\r\nTWO\r\n").await.status, 303);
    let late = edit(&blob, "one\r\nzwei\r\n").await;
    assert_eq!(late.status, 409);
    assert!(late.body.contains("zwei") && late.body.contains("TWO"), "{}", late.body);
    assert_eq!(edit(&hidden(&late.body, "blob"), "one\r\nTWO zwei\r\n").await.status, 303);
    assert_eq!(get(&site, "/alice/work/raw/main/a", "").await.body, "one\r\nTWO zwei\r\n");
    site.stop().await;
}

/// CVE-2025-8110, CVE-2024-54148, CVE-2025-52811: an editor whose path, or whose file, leads elsewhere.
#[tokio::test]
async fn no_edit_leaves_the_tree_and_no_text_is_lost_by_trying() {
    let mut site = Site::start().await;
    let alice = Browser::signed_in(&site, "alice").await;
    std::fs::create_dir_all(site.dir.path().join("w")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", site.dir.path().join("w/link")).unwrap();
    with_file(&site, "a", b"one\n").await;
    for path in
        ["../x", ".git/config", "a/../../x", ".GIT/hooks/update", "git~1/x", "link", "link/x", "a/b", "/etc/x", "a\\b"]
    {
        let fields = [("on", "main"), ("path", path), ("text", "precious"), ("to", "same")];
        let refused = alice.post(&site, "/alice/work/new/main", &fields).await;
        assert_eq!(refused.status, 422, "{path}: {}", refused.body);
        assert!(refused.body.contains("precious"), "{path}");
    }
    assert_eq!(alice.get(&site, "/alice/work/edit/main/link").await.status, 404);
    assert_eq!(site.git_ok("w", None, &["status", "--short"]).await, "");
    site.stop().await;
}

#[tokio::test]
async fn only_who_may_push_gets_an_editor() {
    let mut site = Site::start().await;
    with_file(&site, "a", b"one\n").await;
    let bob = Browser::signed_in(&site, "bob").await;
    for path in ["/alice/work/new", "/alice/work/new/main", "/alice/work/edit/main/a", "/alice/work/delete/main/a"] {
        assert_eq!(bob.get(&site, path).await.status, 403, "{path}");
        assert_eq!(bob.post(&site, path, &[("on", "main"), ("path", "x"), ("text", "x")]).await.status, 403, "{path}");
        let asked = get(&site, path, "").await;
        assert!(asked.status == 303 && header(&asked, "location").starts_with("/sign-in?next="), "{path}");
    }
    assert!(!bob.get(&site, "/alice/work/src/main/a").await.body.contains("/alice/work/edit/"));
    site.stop().await;
}

#[tokio::test]
async fn branches_are_compared_searched_and_had_as_patches() {
    let mut site = Site::start().await;
    let url = with_file(&site, "a.rs", b"fn one() {\n    let x = 1;\n}\n").await;
    site.git_ok("w", None, &["checkout", "--quiet", "-b", "feature/x"]).await;
    base::file::write_atomic(&site.dir.path().join("w/a.rs"), b"fn one() {\n    let y = 1;\n}\n", 0o644).unwrap();
    base::file::write_atomic(&site.dir.path().join("w/Cargo.lock"), &b"line\n".repeat(50), 0o644).unwrap();
    commit(&site, "change <it>").await;
    site.git_ok("w", None, &["push", "--quiet", &url, "feature/x"]).await;
    let head = site.git_ok("w", None, &["rev-parse", "HEAD"]).await.trim().to_owned();
    let chosen = get(&site, "/alice/work/compare?base=main&head=feature%2Fx&dots=3", "").await;
    assert_eq!(header(&chosen, "location"), "/alice/work/compare/main...feature/x");
    let page = get(&site, "/alice/work/compare/main...feature/x", "").await.body;
    for expected in
        ["change &lt;it&gt;", "let <b>y</b> = 1;</ins>", "<td id=f2R2>2<td><ins>", "A program wrote this file."]
    {
        assert!(page.contains(expected), "{expected}: {page}");
    }
    let apart = page
        .split("<a href=\"")
        .map(|rest| rest.split('"').next().unwrap())
        .find(|href| href.ends_with("/Cargo.lock") && href.contains("/diff/"));
    let alone = get(&site, apart.unwrap(), "").await;
    assert!(alone.status == 200 && alone.body.matches("<ins>line</ins>").count() == 50, "{}", alone.body);
    let split = get(&site, &format!("/alice/work/commit/{head}?view=split&w=1"), "").await.body;
    assert!(split.contains("class=\"lines split\"") && split.contains("<tr class=b>"), "{split}");
    for (path, start) in [
        (format!("commit/{head}.patch"), format!("From {head} ")),
        (format!("commit/{head}.diff"), "diff --git ".to_owned()),
        ("compare/main...feature/x.diff".into(), "diff --git ".to_owned()),
        ("compare/main..feature/x.patch".into(), format!("From {head} ")),
    ] {
        let patch = get(&site, &format!("/alice/work/{path}"), "").await;
        assert!(patch.status == 200 && patch.body.contains(&start), "{path}: {} {}", patch.head, patch.body);
        assert!(patch.head.contains("content-security-policy: sandbox") && patch.head.contains("text/plain"), "{path}");
    }
    for absent in ["commit/0123456789", "commit/0123456789.diff", "compare/main...nope.diff", "diff/main/a.rs"] {
        let lost = get(&site, &format!("/alice/work/{absent}"), "").await;
        assert!(lost.status == 404 || lost.body.contains("no branch, tag or commit"), "{absent}: {}", lost.status);
    }
    let found = get(&site, "/alice/work/search?q=LET+Y&ref=feature%2Fx", "").await.body;
    assert!(found.contains("<mark>let y</mark>") && found.contains("/src/feature/x/a.rs#L2"), "{found}");
    let names = get(&site, "/alice/work/search?q=lock&in=names&ref=feature/x", "").await.body;
    assert!(names.contains("/alice/work/src/feature/x/Cargo.lock"), "{names}");
    let refused = get(&site, "/alice/work/search?q=(&regex=1", "").await;
    assert!(refused.status == 422 && refused.body.contains("no regular expression"), "{}", refused.body);
    site.stop().await;
}

#[tokio::test]
async fn a_large_file_is_shown_in_parts_and_sent_in_pieces() {
    let mut site = Site::start().await;
    let lines: Vec<_> = (1..=150_000).map(|number| format!("line {number}\n")).collect();
    let content = lines.concat();
    with_file(&site, "large.txt", content.as_bytes()).await;
    let first = get(&site, "/alice/work/src/main/large.txt", "").await.body;
    assert!(first.contains("<li id=L1>") && first.contains("?line=2001") && first.len() < 200_000, "{}", first.len());
    let later = get(&site, "/alice/work/src/main/large.txt?line=149999", "").await.body;
    assert!(later.contains("<li id=L150000>") && later.contains("?line=147999"), "{later}");
    let raw = get(&site, "/alice/work/raw/main/large.txt", "").await;
    assert!(header(&raw, "content-length") == content.len().to_string() && raw.body == content);
    site.stop().await;
}

/// P17: what a tree of 1,100 entries and a file of 2,400 lines weigh, on the way of a real request.
#[tokio::test]
async fn pages_of_a_real_repository_stay_light() {
    let mut site = Site::start().await;
    std::fs::create_dir_all(site.dir.path().join("w/many")).unwrap();
    for number in 0..1_100 {
        let name = site.dir.path().join(format!("w/many/module_{number:04}_integration_test.rs"));
        std::fs::write(name, format!("{number}\n")).unwrap();
    }
    let source: String = include_str!("source.rs").lines().cycle().take(2_400).flat_map(|line| [line, "\n"]).collect();
    with_file(&site, "file.rs", source.as_bytes()).await;
    let tree = get(&site, "/alice/work/src/main/many", "").await;
    assert!(tree.body.matches("<tr><td>").count() >= 1_100 && tree.body.len() <= 200_000, "{}", tree.body.len());
    let file = get(&site, "/alice/work/src/main/file.rs", "").await;
    assert!(file.body.matches("<li id=L").count() == 2_400 && file.body.len() <= 350_000, "{}", file.body.len());
    site.stop().await;
}

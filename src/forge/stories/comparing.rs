//! Comparison, patches, search and what is said of missing things, on a repository with two branches.

use super::*;
use crate::{
    CompareSpec, Compared, DiffChoice, DiffContent, Error, LineKind, PatchFormat, Pieces, RepoRead, SearchFound,
    SearchQuery, Transport,
};

async fn begun() -> (Site, RepoRead, [String; 3]) {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    site.repo(&alice, "notes", Visibility::Private).await;
    let work = Work::new();
    let base = work.commit("a.rs", b"fn one() {\n    1\n}\n\nfn two() {\n    let x = 1;\n    x\n}\n");
    work.git(&["checkout", "--quiet", "-b", "feature/x"], b"");
    let head = work.commit("a.rs", b"fn one() {\n    1\n}\n\nfn two() {\n    let y = 1;\n    x\n}\n");
    work.git(&["checkout", "--quiet", "main"], b"");
    let main = work.commit("b.txt", b"b\n");
    work.git(&["checkout", "--quiet", "--orphan", "strange"], b"");
    let strange = work.commit("c", b"c\n");
    for side in ["main", "feature/x"] {
        // The pack is of what HEAD reaches.
        work.git(&["merge", "--quiet", "--allow-unrelated-histories", "--no-edit", side], b"");
    }
    let body = work.push_body(
        &[
            (ZERO, &main, "refs/heads/main"),
            (ZERO, &head, "refs/heads/feature/x"),
            (ZERO, &strange, "refs/heads/strange"),
        ],
        "",
    );
    let mut out = Vec::new();
    let push = site.forge.begin_push(&alice, &path("alice/notes")).await.unwrap();
    push.run(Transport::Http, body.as_slice(), &mut out).await.unwrap();
    let repo = site.forge.repo(&alice, &path("alice/notes")).await.unwrap();
    (site, repo, [base, main, head])
}

fn spec(text: &str) -> CompareSpec {
    CompareSpec::parse(text.as_bytes()).unwrap()
}

async fn text(mut pieces: Pieces) -> String {
    let mut bytes = Vec::new();
    while let Some(piece) = pieces.next().await.unwrap() {
        bytes.extend_from_slice(&piece);
    }
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn two_branches_are_compared_from_where_they_parted_or_as_they_are() {
    let (site, repo, [base, main, head]) = begun().await;
    let choice = DiffChoice::default();
    let Compared::Found(three) = site.forge.compare(&repo, &spec("main...feature/x"), choice).await.unwrap() else {
        panic!("both are there");
    };
    assert_eq!((three.from.as_str(), three.commit_count, three.file_count), (base.as_str(), 1, 1));
    assert_eq!(three.commits[0].id.as_str(), head);
    let DiffContent::Hunks(hunks) = &three.files[0].content else { panic!("text") };
    assert_eq!(hunks[0].section, "fn one() {");
    let removed = hunks[0].lines.iter().find(|line| line.kind == LineKind::Removed).unwrap();
    assert_eq!(removed.emphasis, vec![std::ops::Range { start: 8, end: 9 }]);
    let Compared::Found(two) = site.forge.compare(&repo, &spec("main..feature/x"), choice).await.unwrap() else {
        panic!("both are there");
    };
    assert_eq!((two.from.as_str(), two.file_count), (main.as_str(), 2));
    let strange = site.forge.compare(&repo, &spec("main...strange"), choice).await.unwrap();
    assert!(matches!(strange, Compared::Unrelated));
    let missing = site.forge.compare(&repo, &spec("nope...--output=x"), choice).await.unwrap();
    assert!(matches!(missing, Compared::Missing(names) if names == ["nope", "--output=x"]));
}

#[tokio::test]
async fn one_file_of_a_diff_and_whole_patches_are_had_by_full_ids() {
    let (site, repo, [_, main, head]) = begun().await;
    let choice = DiffChoice::default();
    let one = site.forge.one_diff(&repo, format!("{head}/a.rs").as_bytes(), choice).await.unwrap();
    assert_eq!((one.file.added, one.file.removed, one.base), (1, 1, None));
    let two = site.forge.one_diff(&repo, format!("{main}..{head}/b.txt").as_bytes(), choice).await.unwrap();
    assert_eq!((two.file.added, two.file.removed), (0, 1));
    for absent in [format!("{head}/b.txt"), "main/a.rs".into(), head.clone(), format!("{}/a.rs", "1".repeat(40))] {
        let refused = site.forge.one_diff(&repo, absent.as_bytes(), choice).await;
        assert!(matches!(refused, Err(Error::NotFound | Error::Name(_))), "{absent}: {refused:?}");
    }
    let mail = text(site.forge.commit_patch(&repo, &head, PatchFormat::Mail).await.unwrap()).await;
    assert!(mail.starts_with(&format!("From {head} ")) && mail.contains("\n-    let x = 1;\n"), "{mail}");
    let diff = site.forge.compare_patch(&repo, &spec("main...feature/x"), PatchFormat::Diff).await.unwrap();
    assert!(text(diff).await.starts_with("diff --git a/a.rs b/a.rs\n"));
    let none = site.forge.compare_patch(&repo, &spec("main...strange"), PatchFormat::Diff).await;
    assert!(matches!(none, Err(Error::NotFound)));
}

#[tokio::test]
async fn blanks_can_be_left_out_of_account() {
    let site = Site::open().await;
    let alice = site.user("alice").await;
    site.repo(&alice, "notes", Visibility::Private).await;
    let work = Work::new();
    work.commit("a", b"one\n  two\nthree\n");
    let head = work.commit("a", b"one\n\ttwo \nTHREE\n");
    let mut out = Vec::new();
    let push = site.forge.begin_push(&alice, &path("alice/notes")).await.unwrap();
    let body = work.push_body(&[(ZERO, &head, "refs/heads/main")], "");
    push.run(Transport::Http, body.as_slice(), &mut out).await.unwrap();
    let repo = site.forge.repo(&alice, &path("alice/notes")).await.unwrap();
    let added = async |ignores_blanks| {
        let choice = DiffChoice { ignores_blanks, context: 0 };
        site.forge.commit_as(&repo, &head, choice).await.unwrap().added
    };
    assert_eq!((added(false).await, added(true).await), (2, 1));
}

#[tokio::test]
async fn a_search_looks_where_it_is_told_and_says_what_is_no_pattern() {
    let (site, repo, _) = begun().await;
    let query = |text: &str, revision: &str| SearchQuery {
        text: text.into(),
        revision: revision.into(),
        ..SearchQuery::default()
    };
    let files = async |query: &SearchQuery| match site.forge.search(&repo, query).await.unwrap().found {
        Some(SearchFound::Lines(lines)) => lines.files.iter().map(|file| file.path.to_string()).collect::<Vec<_>>(),
        Some(SearchFound::Names(names)) => names.files.iter().map(ToString::to_string).collect(),
        None => vec!["nothing was looked for".into()],
    };
    assert_eq!(files(&query("LET Y", "feature/x")).await, ["a.rs"]);
    assert!(files(&query("let y", "")).await.is_empty());
    assert_eq!(files(&query(" ", "")).await, ["nothing was looked for"]);
    let names = SearchQuery { is_for_names: true, ..query("txt", "main") };
    assert_eq!(files(&names).await, ["b.txt"]);
    let wrong = SearchQuery { is_expression: true, ..query("(", "") };
    assert!(matches!(site.forge.search(&repo, &wrong).await, Err(Error::Field { field: "q", .. })));
    assert!(matches!(site.forge.search(&repo, &query("x", "nope")).await, Err(Error::NotFound)));
}

#[tokio::test]
async fn what_is_missing_has_a_nearest_directory() {
    let (site, repo, [_, main, _]) = begun().await;
    let found = site.forge.missing(&repo, b"main/none/at/all").await.unwrap();
    assert_eq!((found.revision.unwrap().commit.as_str(), found.asked.as_slice()), (main.as_str(), &b"none/at/all"[..]));
    assert!(found.nearest.unwrap().is_root());
    let found = site.forge.missing(&repo, b"nope/a").await.unwrap();
    assert!(found.revision.is_none() && found.default_branch.is_some());
}

super::on_a_server_too! {
    two_branches_are_compared_from_where_they_parted_or_as_they_are,
    a_search_looks_where_it_is_told_and_says_what_is_no_pattern,
}

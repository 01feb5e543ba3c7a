//! Reading what a real client pushed.

use base::name::{Oid, RefName, TreePath};

use crate::testing::{Site, WorkTree};
use crate::{ChangeKind, DiffContent, DiffLimits, EntryKind, Error, LineKind};

fn path(text: &str) -> TreePath {
    TreePath::parse(text.as_bytes()).unwrap()
}

fn pushed() -> (Site, WorkTree) {
    let site = Site::start();
    let tree = site.work_tree("w");
    (site, tree)
}

#[test]
fn an_empty_repository_has_a_head_and_nothing_else() {
    let site = Site::start();
    let repo = &site.repo;
    site.block_on(async {
        assert_eq!(repo.head().await.unwrap().as_str(), "refs/heads/main");
        assert!(repo.branches(10).await.unwrap().refs.is_empty());
        assert!(repo.tags(10).await.unwrap().refs.is_empty());
        for text in ["main", "HEAD", "", "refs/heads/main", "deadbee", "--all", "main^{tree}", "@{-1}", ":/x", "a..b"] {
            assert_eq!(repo.resolve(text).await.unwrap(), None, "{text}");
            assert_eq!(repo.resolve_path(text.as_bytes()).await.unwrap(), None, "{text}");
        }
        let nothing = Oid::parse(&"a".repeat(40)).unwrap();
        assert_eq!(repo.commit(&nothing).await.unwrap(), None);
        assert_eq!(repo.blob(&nothing, 10).await.unwrap(), None);
        assert_eq!(repo.tree(&nothing, &path(""), 10).await.unwrap(), None);
        assert!(repo.log(&nothing, 0, 10).await.unwrap().commits.is_empty());
    });
}

#[test]
fn a_handle_sees_refs_and_packs_that_came_after_it() {
    let (site, tree) = pushed();
    let main = RefName::branch("main").unwrap();
    for number in 0..40_u8 {
        let commit = tree.commit("a", &[number; 10]);
        tree.git(&["push", "--quiet", "origin", "main"]);
        if number == 20 {
            site.git(&["repack", "-adq"]);
            site.git(&["pack-refs", "--all"]);
        }
        let tip = site.block_on(site.repo.tip(&main)).unwrap().unwrap();
        assert_eq!(tip.as_str(), commit);
        let log = site.block_on(site.repo.log(&tip, 0, 100)).unwrap();
        assert_eq!(log.commits.len(), usize::from(number) + 1);
    }
}

#[test]
fn revisions_are_branches_then_tags_then_ids() {
    let (site, tree) = pushed();
    let first = tree.commit("dir/a", b"1");
    tree.git(&["tag", "-a", "v1.9", "-m", "t"]);
    tree.git(&["tag", "v1.10"]);
    tree.git(&["tag", "tree", "HEAD^{tree}"]);
    let second = tree.commit("dir/a", b"2");
    tree.git(&["push", "--quiet", "--tags", "origin", "main", "main:refs/heads/topic/x", "main:refs/heads/v1.9"]);
    let repo = &site.repo;
    site.block_on(async {
        let found = |text: &'static str| async move { repo.resolve(text).await.unwrap().map(|found| found.commit) };
        assert_eq!(found("v1.9").await.unwrap().as_str(), second);
        assert_eq!(found("refs/tags/v1.9").await.unwrap().as_str(), first);
        assert_eq!(found("v1.10").await.unwrap().as_str(), first);
        assert_eq!(found("tree").await, None);
        assert_eq!(found("tags/v1.9").await, None);
        let short = repo.resolve(&first[..8]).await.unwrap().unwrap();
        assert_eq!((short.name.as_str(), short.reference), (first.as_str(), None));
        assert_eq!(repo.resolve(&first[..6]).await.unwrap(), None);
        assert_eq!(repo.resolve(&format!("{first}0")).await.unwrap(), None);
        let (revision, rest) = repo.resolve_path(b"topic/x/dir/a").await.unwrap().unwrap();
        assert_eq!((revision.name.as_str(), rest), ("topic/x", path("dir/a")));
        let (revision, rest) = repo.resolve_path(format!("{first}/dir").as_bytes()).await.unwrap().unwrap();
        assert_eq!((revision.commit.as_str(), rest), (first.as_str(), path("dir")));
        assert_eq!(repo.resolve_path(b"topic/../main").await.unwrap(), None);
        assert_eq!(repo.resolve_path(&[b'/'; 4096]).await.unwrap(), None);
        let tags: Vec<_> = repo.tags(10).await.unwrap().refs.iter().map(|tag| tag.name.short().to_owned()).collect();
        assert_eq!(tags, ["v1.10", "v1.9"]);
        let branches = repo.branches(2).await.unwrap();
        assert!(branches.is_cut && branches.refs.len() == 2);
    });
}

#[test]
fn trees_list_directories_first_with_sizes() {
    let (site, tree) = pushed();
    std::os::unix::fs::symlink("b", tree.directory.join("link")).unwrap();
    tree.commit("b", b"12345");
    tree.commit("z/deep/file", b"");
    tree.git(&["push", "--quiet", "origin", "main"]);
    let repo = &site.repo;
    site.block_on(async {
        let commit = repo.resolve("main").await.unwrap().unwrap().commit;
        let listing = repo.tree(&commit, &path(""), 10).await.unwrap().unwrap();
        let shown: Vec<_> = listing.entries.iter().map(|e| (e.path.to_string(), e.kind, e.size)).collect();
        let expected = [
            ("z".to_owned(), EntryKind::Tree, None),
            ("b".to_owned(), EntryKind::File, Some(5)),
            ("link".to_owned(), EntryKind::Symlink, Some(1)),
        ];
        assert_eq!(shown, expected);
        assert!(repo.tree(&commit, &path(""), 2).await.unwrap().unwrap().is_cut);
        assert!(repo.tree(&commit, &path("b"), 2).await.unwrap().is_none());
        assert!(repo.entry(&commit, &path("z/deep/none")).await.unwrap().is_none());
        assert!(repo.entry(&commit, &path("b/below/a/file")).await.unwrap().is_none());
        let file = repo.entry(&commit, &path("b")).await.unwrap().unwrap();
        assert_eq!(repo.blob(&file.id, 5).await.unwrap().unwrap().content.as_deref(), Some(&b"12345"[..]));
        let over = repo.blob(&file.id, 4).await.unwrap().unwrap();
        assert_eq!((over.size, over.content), (5, None));
        assert!(repo.blob(&commit, 1000).await.unwrap().is_none());
    });
}

#[test]
fn a_history_is_paged_newest_first() {
    let (site, tree) = pushed();
    let commits: Vec<_> = (0..7_u8).map(|number| tree.commit("a", &[number])).collect();
    tree.git(&["push", "--quiet", "origin", "main"]);
    let repo = &site.repo;
    site.block_on(async {
        let tip = Oid::parse(&commits[6]).unwrap();
        let log = repo.log(&tip, 2, 3).await.unwrap();
        let ids: Vec<_> = log.commits.iter().map(|commit| commit.id.as_str()).collect();
        assert_eq!(ids, [&commits[4], &commits[3], &commits[2]]);
        assert!(log.has_more);
        assert!(!repo.log(&tip, 4, 3).await.unwrap().has_more);
        assert!(repo.log(&tip, 100, 3).await.unwrap().commits.is_empty());
        let commit = repo.commit(&tip).await.unwrap().unwrap();
        assert_eq!((commit.summary.title.as_str(), commit.body.as_str()), ("change a", "body of a"));
        assert_eq!((commit.committer.as_str(), commit.committed.seconds()), ("Ann Author", 1_700_000_000));
    });
}

#[test]
fn a_commit_shows_its_renames_hunks_and_binaries() {
    let (site, tree) = pushed();
    let text = |range: std::ops::Range<u32>| range.map(|n| format!("line {n}\n")).collect::<Vec<_>>().concat();
    tree.commit("exact", text(0..50).as_bytes());
    tree.commit("like", text(100..200).as_bytes());
    tree.commit("bin", b"\0a");
    let root = tree.commit("edit", text(0..20).as_bytes());
    tree.git(&["mv", "exact", "moved"]);
    tree.git(&["mv", "like", "sub"]);
    base::file::write_atomic(&tree.directory.join("sub"), text(105..200).as_bytes(), 0o644).unwrap();
    base::file::write_atomic(&tree.directory.join("bin"), b"\0b", 0o644).unwrap();
    let edited = tree.commit("edit", text(0..20).replace("line 10\n", "ten\n").as_bytes());
    tree.git(&["push", "--quiet", "origin", "main"]);
    let repo = &site.repo;
    site.block_on(async {
        let diff = repo.diff(&Oid::parse(&edited).unwrap(), DiffLimits::PAGE).await.unwrap();
        let shown: Vec<_> = diff
            .files
            .iter()
            .map(|f| (f.path.to_string(), f.old_path.as_ref().map(ToString::to_string), f.kind, f.added, f.removed))
            .collect();
        let expected = [
            ("bin".to_owned(), None, ChangeKind::Modified, 0, 0),
            ("edit".to_owned(), None, ChangeKind::Modified, 1, 1),
            ("moved".to_owned(), Some("exact".to_owned()), ChangeKind::Renamed, 0, 0),
            ("sub".to_owned(), Some("like".to_owned()), ChangeKind::Renamed, 0, 5),
        ];
        assert_eq!(shown, expected);
        assert_eq!(diff.files[0].content, DiffContent::Binary);
        let DiffContent::Hunks(hunks) = &diff.files[1].content else { panic!("text") };
        assert_eq!(hunks[0].header, "@@ -8,7 +8,7 @@");
        let lines: Vec<_> = hunks[0].lines.iter().map(|l| (l.kind, l.old, l.new, l.text.as_str())).collect();
        assert_eq!(
            lines[2..5],
            [
                (LineKind::Context, Some(10), Some(10), "line 9"),
                (LineKind::Removed, Some(11), None, "line 10"),
                (LineKind::Added, None, Some(11), "ten"),
            ]
        );
        let small = DiffLimits { files: 2, file_lines: 1, ..DiffLimits::PAGE };
        let cut = repo.diff(&Oid::parse(&edited).unwrap(), small).await.unwrap();
        assert_eq!((cut.files.len(), cut.file_count), (2, 4));
        assert_eq!(cut.files[1].content, DiffContent::TooLarge);
        let first = site.git(&["rev-list", "--max-parents=0", &root]);
        let diff = repo.diff(&Oid::parse(first.trim()).unwrap(), DiffLimits::PAGE).await.unwrap();
        assert_eq!((diff.files[0].kind, diff.added), (ChangeKind::Added, 50));
    });
}

/// git's own `diff` is the oracle for headers and counts.
#[test]
fn hunks_have_the_headers_that_git_gives_them() {
    let (site, tree) = pushed();
    let lines = |range: std::ops::Range<u32>| range.map(|n| format!("{n}\n")).collect::<Vec<_>>().concat();
    let versions = [
        String::new(),
        lines(0..40),
        lines(1..40),
        lines(1..39),
        lines(1..39).replace("20\n", "").replace("28\n", "x\n"),
        lines(1..39).replace("5\n", "five\n"),
        "no newline".into(),
        String::new(),
        "a\n".into(),
    ];
    for version in &versions {
        tree.commit("f", version.as_bytes());
        let commit = tree.git(&["rev-parse", "HEAD"]);
        tree.git(&["push", "--quiet", "origin", "main"]);
        let diff = site.block_on(site.repo.diff(&Oid::parse(&commit).unwrap(), DiffLimits::PAGE)).unwrap();
        let DiffContent::Hunks(hunks) = &diff.files[0].content else { panic!("text") };
        let ours: Vec<_> = hunks.iter().map(|hunk| hunk.header.clone()).collect();
        let shown = tree.git(&["show", "--format=", "--diff-algorithm=histogram", "--no-indent-heuristic"]);
        let theirs: Vec<_> = shown
            .lines()
            .filter(|l| l.starts_with("@@"))
            .map(|l| format!("{} @@", l.split(" @@").next().unwrap()))
            .collect();
        assert_eq!(ours, theirs, "{shown}");
    }
}

#[test]
fn a_tree_that_names_itself_over_and_over_is_given_up() {
    let (site, tree) = pushed();
    let mut id = tree.git_with(&["hash-object", "-w", "--stdin"], b"bomb");
    let mut kind = "100644 blob";
    for _ in 0..12 {
        let hash = String::from_utf8(id).unwrap().trim().to_owned();
        let list = (0..10).map(|n| format!("{kind} {hash}\tn{n}\n")).collect::<Vec<_>>().concat();
        id = tree.git_with(&["mktree"], list.as_bytes());
        kind = "040000 tree";
    }
    let root = String::from_utf8(id).unwrap().trim().to_owned();
    let commit = tree.git(&["commit-tree", &root, "-m", "bomb"]);
    tree.git(&["push", "--quiet", "origin", &format!("{commit}:refs/heads/main")]);
    let started = std::time::Instant::now();
    let diff = site.block_on(site.repo.diff(&Oid::parse(&commit).unwrap(), DiffLimits::PAGE)).unwrap();
    assert!(diff.file_count > 0 && started.elapsed() < std::time::Duration::from_secs(20));
}

#[test]
fn a_commit_larger_than_is_read_is_an_error_not_a_full_memory() {
    let (site, tree) = pushed();
    tree.commit("a", b"1");
    let root = tree.git(&["rev-parse", "HEAD^{tree}"]);
    let made = tree.git_with(&["commit-tree", &root], &vec![b'x'; 2 << 20]);
    let commit = String::from_utf8(made).unwrap().trim().to_owned();
    tree.git(&["push", "--quiet", "origin", &format!("{commit}:refs/heads/main")]);
    let read = site.block_on(site.repo.commit(&Oid::parse(&commit).unwrap()));
    assert!(matches!(read, Err(Error::Read { .. })));
}

#[test]
fn trees_that_name_more_than_fits_in_memory_are_given_up() {
    let (site, tree) = pushed();
    let blob = String::from_utf8(tree.git_with(&["hash-object", "-w", "--stdin"], b"1")).unwrap();
    let list = (0..45_000).map(|n| format!("100644 blob {}\t{n:0>250}\n", blob.trim())).collect::<Vec<_>>().concat();
    let wide = String::from_utf8(tree.git_with(&["mktree"], list.as_bytes())).unwrap();
    let list = ["a", "b", "c"].map(|name| format!("040000 tree {}\t{name}\n", wide.trim())).concat();
    let root = String::from_utf8(tree.git_with(&["mktree"], list.as_bytes())).unwrap();
    let commit = tree.git(&["commit-tree", root.trim(), "-m", "bomb"]);
    tree.git(&["push", "--quiet", "origin", &format!("{commit}:refs/heads/main")]);
    let diff = site.block_on(site.repo.diff(&Oid::parse(&commit).unwrap(), DiffLimits::PAGE)).unwrap();
    assert!((45_000..90_000).contains(&diff.file_count), "{}", diff.file_count);
}

#[test]
fn a_small_object_that_is_a_delta_of_a_huge_one_is_an_error_not_a_full_memory() {
    let (site, tree) = pushed();
    base::file::write_atomic(&tree.directory.join("ba"), &vec![b'x'; 80 << 20], 0o644).unwrap();
    tree.commit("a", &vec![b'x'; 3 << 20]);
    tree.git(&["push", "--quiet", "origin", "main"]);
    let small = tree.git(&["rev-parse", "HEAD:a"]);
    let base = site.git(&["rev-parse", "main:ba"]);
    let asked =
        crate::testing::client().options(["cat-file", "--batch-check=%(deltabase)"]).env("GIT_DIR", site.repo.path());
    assert_eq!(String::from_utf8(asked.run(b"main:a\n").unwrap().stdout).unwrap(), base, "the client made a delta");
    let read = site.block_on(site.repo.blob(&Oid::parse(&small).unwrap(), 64 << 20));
    assert!(matches!(read, Err(Error::Read { .. })), "{:?}", read.map(|blob| blob.map(|blob| blob.size)));
}

#[test]
fn a_large_commit_waits_for_its_turn_without_its_bytes_and_is_shown_all_the_same() {
    let (site, tree) = pushed();
    tree.commit("a", b"1");
    let root = tree.git(&["rev-parse", "HEAD^{tree}"]);
    let made = tree.git_with(&["commit-tree", &root, "-p", "HEAD"], &[&b"large\n\n"[..], &[b'x'; 4000]].concat());
    let large = String::from_utf8(made).unwrap().trim().to_owned();
    tree.git(&["push", "--quiet", "origin", &format!("{large}:refs/heads/main")]);
    let log = site.block_on(site.repo.log(&Oid::parse(&large).unwrap(), 0, 10)).unwrap();
    let titles: Vec<_> = log.commits.iter().map(|commit| commit.title.as_str()).collect();
    assert_eq!(titles, ["large", "change a"]);
}

/// Packing moves a ref from a file of its own into the file of all: whoever reads meanwhile must find it in one of them.
#[test]
fn refs_are_all_there_while_git_packs_them() {
    let (site, tree) = pushed();
    let ids = [tree.commit("a", b"1"), tree.commit("a", b"2")];
    tree.git(&["push", "--quiet", &site.url(), "HEAD:main"]);
    let repository = site.repo.path().display().to_string();
    let dir = format!("--git-dir={repository}");
    let move_all = |id: &str| {
        let lines: Vec<String> = (0..200).map(|number| format!("update refs/tags/t{number} {id}\n")).collect();
        tree.git_with(&[&dir, "update-ref", "--stdin"], lines.concat().as_bytes());
    };
    move_all(&ids[0]);
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for turn in 0..15 {
                move_all(&ids[turn % 2]);
                tree.git(&[&dir, "pack-refs", "--all"]);
            }
            is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
            let table = site.block_on(site.repo.table()).unwrap();
            assert_eq!(table.refs.len(), 201, "refs are missing");
        }
    });
}

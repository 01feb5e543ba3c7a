//! Pushes by a real client, and by one that lies.

use crate::pktline;
use crate::testing::{Site, push};
use crate::{Error, Repositories};

const ZERO: &str = "0000000000000000000000000000000000000000";

/// Commands (the first with capabilities), a flush, then a pack.
fn raw(commands: &[String], pack: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for (at, command) in commands.iter().enumerate() {
        let command = if at == 0 { format!("{command}\0report-status") } else { command.clone() };
        pktline::put(&mut out, command.as_bytes());
    }
    pktline::put_flush(&mut out);
    out.extend_from_slice(pack);
    out
}

fn assert_untouched(site: &Site) {
    assert_eq!(site.leftovers(), Vec::<String>::new());
    assert_eq!(site.packs(), 0);
    assert_eq!(site.git(&["for-each-ref"]), "");
}

#[test]
fn a_pack_cut_anywhere_or_damaged_leaves_nothing_behind() {
    let site = Site::start();
    let tree = site.work_tree("w");
    let commit = tree.commit("a", &[7; 5000]);
    let pack = tree.pack();
    let command = format!("{ZERO} {commit} refs/heads/main");
    for length in [0, 4, 11, 12, 40, pack.len() / 2, pack.len() - 20, pack.len() - 1] {
        let report = site.raw_push(&raw(std::slice::from_ref(&command), &pack[..length])).unwrap();
        assert!(report.contains("unpack the pack ended early"), "{length}: {report}");
        assert!(report.contains("ng refs/heads/main the pack was not taken in"), "{report}");
        assert_untouched(&site);
    }
    let mut damaged = pack.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0xff;
    let report = site.raw_push(&raw(std::slice::from_ref(&command), &damaged)).unwrap();
    assert!(report.contains("ng refs/heads/main"), "{report}");
    assert!(!report.contains("tmp_objdir") && !report.contains("/tmp"), "{report}");
    assert_untouched(&site);
    assert!(site.raw_push(&raw(&[command], &pack)).unwrap().contains("ok refs/heads/main"));
}

#[test]
fn a_push_whose_objects_are_not_all_there_is_refused() {
    let site = Site::start();
    let tree = site.work_tree("w");
    tree.commit("a", b"1");
    let first = tree.pack();
    let second = tree.commit("a", b"2");
    let report = site.raw_push(&raw(&[format!("{ZERO} {second} refs/heads/main")], &first)).unwrap();
    assert!(report.contains("unpack ok") && report.contains("ng refs/heads/main missing objects"), "{report}");
    let lonely = tree.git_with(&["pack-objects", "--stdout", "--quiet"], format!("{second}\n").as_bytes());
    let report = site.raw_push(&raw(&[format!("{ZERO} {second} refs/heads/main")], &lonely)).unwrap();
    assert!(report.contains("ng refs/heads/main"), "{report}");
    assert_untouched(&site);
}

#[test]
fn one_update_without_its_objects_does_not_stop_the_other() {
    let site = Site::start();
    let tree = site.work_tree("w");
    let first = tree.commit("a", b"1");
    let pack = tree.pack();
    let second = tree.commit("a", b"2");
    let commands = [format!("{ZERO} {first} refs/heads/one"), format!("{ZERO} {second} refs/heads/two")];
    let report = site.raw_push(&raw(&commands, &pack)).unwrap();
    assert!(report.contains("ok refs/heads/one") && report.contains("ng refs/heads/two missing objects"), "{report}");
}

#[test]
fn a_name_that_looks_like_an_option_is_refused_and_nothing_else_happens() {
    let site = Site::start();
    let tree = site.work_tree("w");
    let commit = tree.commit("a", b"1");
    for name in ["--upload-pack=x", "refs/heads/--upload-pack=x", "refs/heads/../../config", "HEAD", "refs/heads/a b"] {
        let report = site.raw_push(&raw(&[format!("{ZERO} {commit} {name}")], &tree.pack())).unwrap();
        assert!(report.contains(&format!("ng {name} this is not a ref name")), "{report}");
        assert_untouched(&site);
    }
}

#[test]
fn a_branch_that_names_no_commit_is_refused() {
    let site = Site::start();
    let tree = site.work_tree("w");
    tree.commit("a", b"1");
    let blob = tree.git(&["rev-parse", "HEAD:a"]);
    let report = site.raw_push(&raw(&[format!("{ZERO} {blob} refs/heads/main")], &tree.pack())).unwrap();
    assert!(report.contains("ng refs/heads/main a branch must name a commit"), "{report}");
    assert_eq!(site.git(&["for-each-ref"]), "");
}

#[test]
fn a_malformed_object_is_refused_by_its_id() {
    let site = Site::start();
    let tree = site.work_tree("w");
    tree.commit("a", b"1");
    let root = tree.git(&["rev-parse", "HEAD^{tree}"]);
    let text = format!("tree {root}\nauthor nobody\ncommitter nobody\n\nx\n");
    let made = tree.git_with(&["hash-object", "-t", "commit", "-w", "--stdin", "--literally"], text.as_bytes());
    let commit = String::from_utf8(made).unwrap().trim().to_owned();
    let list = format!("{commit}\n{root}\n");
    let pack = tree.git_with(&["pack-objects", "--stdout", "--quiet"], list.as_bytes());
    let report = site.raw_push(&raw(&[format!("{ZERO} {commit} refs/heads/main")], &pack)).unwrap();
    assert!(report.contains("unpack an object is malformed"), "{report}");
    assert_untouched(&site);
}

#[test]
fn a_pack_above_the_limit_is_refused() {
    let site = Site::start();
    let tree = site.work_tree("w");
    // Pseudo-random, so that it does not compress below the limit of the test's site.
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        u8::try_from(state >> 56).unwrap()
    })
    .take(2 << 20)
    .collect();
    let commit = tree.commit("big", &noise);
    let done = tree.tries(&["push", "origin", "main"]);
    assert!(done.stderr.contains("the pack is larger than this site takes"), "{}", done.stderr);
    let bytes = raw(&[format!("{ZERO} {commit} refs/heads/main")], &tree.pack());
    let report = site.raw_push(&bytes).unwrap();
    assert!(report.contains("unpack the pack is larger than this site takes"), "{report}");
    assert_untouched(&site);
}

#[test]
fn an_atomic_push_moves_all_or_nothing() {
    let site = Site::start();
    let tree = site.work_tree("w");
    tree.commit("a", b"1");
    tree.git(&["push", "--quiet", "origin", "main:one", "main:two"]);
    let next = tree.commit("a", b"2");
    site.judge(|update, _| (update.name.as_str() == "refs/heads/two").then_some("protected"));
    let done = tree.tries(&["push", "--atomic", "origin", "main:one", "main:two"]);
    assert!(!done.status.success() && done.stderr.contains("protected"), "{}", done.stderr);
    assert!(!site.git(&["for-each-ref"]).contains(&next));
    let done = tree.tries(&["push", "origin", "main:one", "main:two"]);
    assert!(!done.status.success() && done.stderr.contains("remote: judged by a test"), "{}", done.stderr);
    assert_eq!(site.git(&["for-each-ref", "--format=%(refname)", &format!("--points-at={next}")]), "refs/heads/one\n");
}

#[test]
fn a_ref_that_moved_meanwhile_is_not_overwritten() {
    let site = Site::start();
    let tree = site.work_tree("w");
    let first = tree.commit("a", b"1");
    tree.git(&["push", "--quiet", "origin", "main"]);
    let second = tree.commit("a", b"2");
    let stale = [format!("{ZERO} {second} refs/heads/main"), format!("{ZERO} {second} refs/heads/new")];
    let report = site.raw_push(&raw(&stale, &tree.pack())).unwrap();
    assert!(report.contains("ng refs/heads/main the ref has moved meanwhile; fetch first"), "{report}");
    assert!(report.contains("ok refs/heads/new"), "{report}");
    assert_eq!(site.git(&["rev-parse", "refs/heads/main"]).trim(), first);
    let conflict = [format!("{ZERO} {first} refs/heads/main/below")];
    let report = site.raw_push(&raw(&conflict, &tree.pack())).unwrap();
    assert!(report.contains("ng refs/heads/main/below the name conflicts with another ref"), "{report}");
}

#[test]
fn the_one_of_many_that_cannot_move_is_found_and_the_others_move() {
    let site = Site::start();
    let tree = site.work_tree("w");
    let first = tree.commit("a", b"1");
    tree.git(&["push", "--quiet", "origin", "main", "main:n"]);
    let mut commands: Vec<_> = (0..200).map(|number| format!("{ZERO} {first} refs/heads/b{number}")).collect();
    commands.insert(70, format!("{ZERO} {first} refs/heads/main"));
    commands.push(format!("{ZERO} {first} refs/heads/n/below"));
    commands.push(format!("{first} {ZERO} refs/heads/n"));
    let report = site.raw_push(&raw(&commands, &tree.pack())).unwrap();
    assert_eq!(report.matches("ok refs/heads/").count(), 202, "{report}");
    assert!(report.contains("ng refs/heads/main the ref has moved meanwhile"), "{report}");
}

#[test]
fn rewriting_is_told_apart_from_adding() {
    let site = Site::start();
    let tree = site.work_tree("w");
    tree.commit("a", b"1");
    tree.git(&["push", "--quiet", "origin", "main"]);
    site.judge(|update, is_forward| (update.new.is_some() && !is_forward).then_some("not a fast-forward"));
    tree.commit("a", b"2");
    tree.git(&["push", "--quiet", "origin", "main"]);
    tree.git(&["commit", "--quiet", "--amend", "--message=other"]);
    let done = tree.tries(&["push", "--force", "origin", "main"]);
    assert!(!done.status.success() && done.stderr.contains("not a fast-forward"), "{}", done.stderr);
    tree.git(&["push", "--quiet", "origin", "main:other", "main~1:refs/heads/gone"]);
    tree.git(&["push", "--quiet", "origin", ":gone"]);
    assert_eq!(site.git(&["for-each-ref", "--format=%(refname)"]), "refs/heads/main\nrefs/heads/other\n");
}

#[test]
fn what_is_pushed_comes_back_by_clone() {
    let site = Site::start();
    let tree = site.work_tree("w");
    for number in 0..30_u8 {
        tree.commit(&format!("d{}/f", number % 5), &[b'a' + number % 20; 3000]);
        tree.git(&["push", "--quiet", "origin", "main"]);
    }
    tree.git(&["tag", "-a", "v1", "-m", "one"]);
    tree.git(&["push", "--quiet", "--tags", "origin"]);
    assert_eq!(tree.tries(&["push", "origin", "main"]).stderr, "Everything up-to-date\n");
    assert_eq!(site.leftovers(), Vec::<String>::new());
    site.git(&["fsck", "--strict", "--full"]);
    let whole = tree.git(&["rev-parse", "HEAD^{tree}"]);
    for options in [&[][..], &["--depth=1"], &["--filter=blob:none"], &["-c", "protocol.version=0"]] {
        let target = tempfile::tempdir().unwrap();
        let place = target.path().join("c").display().to_string();
        let url = site.url();
        let arguments = [&["clone", "--quiet"], options, &[&url, &place]].concat();
        tree.git(&arguments);
        assert_eq!(tree.git(&["-C", &place, "rev-parse", "HEAD^{tree}"]), whole, "{options:?}");
        tree.git(&["-C", &place, "fsck", "--strict"]);
    }
}

#[test]
fn a_shallow_clone_can_push_what_builds_on_what_is_here() {
    let site = Site::start();
    let tree = site.work_tree("w");
    tree.commit("a", b"1");
    tree.commit("a", b"2");
    tree.git(&["push", "--quiet", "origin", "main"]);
    let place = site.root().join("shallow").display().to_string();
    tree.git(&["clone", "--quiet", "--depth=1", &site.url(), &place]);
    tree.git(&["-C", &place, "commit", "--quiet", "--allow-empty", "--message=3"]);
    tree.git(&["-C", &place, "push", "--quiet", "origin", "main"]);
    assert_eq!(site.git(&["rev-list", "--count", "main"]), "3\n");
}

#[test]
fn a_push_that_only_deletes_carries_no_pack() {
    let site = Site::start();
    let tree = site.work_tree("w");
    let commit = tree.commit("a", b"1");
    tree.git(&["push", "--quiet", "origin", "main:topic"]);
    let report = site.raw_push(&raw(&[format!("{commit} {ZERO} refs/heads/topic")], b"")).unwrap();
    assert!(report.contains("unpack ok") && report.contains("ok refs/heads/topic"), "{report}");
    assert_eq!(site.git(&["for-each-ref"]), "");
    assert_eq!(site.raw_push(b"0000").unwrap(), "");
}

#[test]
fn a_push_that_is_dropped_half_way_leaves_nothing_behind() {
    let site = Site::start();
    let tree = site.work_tree("w");
    let commit = tree.commit("a", &[9; 9000]);
    let pack = tree.pack();
    let half = raw(&[format!("{ZERO} {commit} refs/heads/main")], &pack[..pack.len() / 2]);
    let (mut ours, theirs) = tokio::io::duplex(1 << 20);
    site.block_on(async {
        tokio::io::AsyncWriteExt::write_all(&mut ours, &half).await.unwrap();
        let mut output = Vec::new();
        let running = push(&site.repo, theirs, &mut output, None);
        tokio::pin!(running);
        while site.leftovers().is_empty() {
            let waited = tokio::time::timeout(std::time::Duration::from_millis(5), &mut running).await;
            assert!(waited.is_err(), "half a push cannot end");
        }
    });
    assert_eq!(site.leftovers(), Vec::<String>::new());
}

#[test]
fn a_dead_quarantine_is_swept_and_a_living_one_is_left() {
    let site = Site::start();
    let objects = site.repo.path().join("objects");
    let make = |name: &str| {
        let path = objects.join(format!("{}{name}", super::INCOMING));
        std::fs::create_dir(&path).unwrap();
        base::file::Lock::take(&path.join("lock")).unwrap()
    };
    let living = make("living");
    drop(make("dead"));
    Repositories::open(&site.root().join("repositories")).unwrap();
    assert_eq!(site.leftovers(), ["tmp_objdir-incoming-living"]);
    drop(living);
}

/// The Git of a killed process goes on for a moment, and made the directory anew that was swept from under it.
#[test]
fn who_is_alone_waits_for_what_a_killed_push_left_running_and_sweeps_all() {
    let site = Site::start();
    let place = |name: &str| site.repo.path().join("objects").join(format!("{}{name}", super::INCOMING));
    std::fs::create_dir(place("half-made")).unwrap();
    std::fs::create_dir(place("orphaned")).unwrap();
    let lock = base::file::Lock::take(&place("orphaned").join("lock")).unwrap();
    let begun = std::time::Instant::now();
    let script = base::process::Program::new("sh").options(["-c", "sleep 0.3"]);
    let mut orphan = script.start_detached(lock.for_child().unwrap()).unwrap();
    drop(lock);
    Repositories::open(&site.root().join("repositories")).unwrap();
    assert_eq!(site.leftovers().len(), 2, "another process may be at work");
    site.block_on(site.repositories.sweep_alone()).unwrap();
    assert_eq!(site.leftovers(), Vec::<String>::new());
    assert!(begun.elapsed() > std::time::Duration::from_millis(250));
    orphan.wait().unwrap();
}

#[test]
fn a_client_that_goes_away_while_sending_is_an_ended_transfer() {
    let site = Site::start();
    let bytes = raw(&[format!("{ZERO} {} refs/heads/main", "a".repeat(40))], b"");
    assert!(matches!(site.raw_push(&bytes[..30]), Err(Error::Transfer(_))));
    assert_untouched(&site);
}

/// Each would take its own transaction if it were looked for by halves.
#[test]
fn deletions_of_what_is_not_there_are_refused_at_once_and_the_rest_moves() {
    let site = Site::start();
    let tree = site.work_tree("w");
    let commit = tree.commit("a", b"1");
    tree.git(&["push", "--quiet", "origin", "main", "main:old", "main:busy"]);
    let other = "1".repeat(40);
    let mut commands: Vec<_> = (0..1_000).map(|number| format!("{commit} {ZERO} refs/heads/gone-{number}")).collect();
    commands.push(format!("{commit} {ZERO} refs/heads/old"));
    commands.push(format!("{other} {ZERO} refs/heads/busy"));
    // HEAD names it, and no judge of this room knows.
    commands.push(format!("{commit} {ZERO} refs/heads/main"));
    let report = site.raw_push(&raw(&commands, b"")).unwrap();
    assert_eq!(report.matches("the ref has moved meanwhile").count(), 1_001);
    assert!(report.contains("ok refs/heads/old") && report.contains("main the default branch cannot be deleted"));
    assert_eq!(site.git(&["for-each-ref", "--format=%(refname)"]), "refs/heads/busy\nrefs/heads/main\n");
}

//! Stories of large files with the real Git LFS client, over HTTPS and with a pass from SSH.

use std::path::{Path, PathBuf};

use base::process::Program;

use crate::api_caller::Caller;
use crate::git::Git;
use crate::require;
use crate::site::{ADMIN, Site};
use crate::ssh::Key;

/// Says whether Git LFS is there.
fn has_client() -> bool {
    require::has("git-lfs", require::program("git-lfs").map(drop))
}

/// A work tree whose `*.bin` are large files, with one of `size` bytes, committed.
fn work(git: &Git, name: &str, size: usize) -> PathBuf {
    let path = git.path(name);
    git.ok(git.home(), ["init", "--quiet", name]);
    git.ok(&path, ["lfs", "install", "--local"]);
    git.ok(&path, ["lfs", "track", "--lockable", "*.bin"]);
    base::file::write_atomic(&path.join("large.bin"), &content(size), 0o644).unwrap();
    git.ok(&path, ["add", "--all"]);
    git.ok(&path, ["commit", "--quiet", "--message", "a large file"]);
    path
}

fn content(size: usize) -> Vec<u8> {
    let mut state = 7_u64;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(&mut next).take(size).collect()
}

/// A clone in which large files have come.
fn clone(git: &Git, address: &str, name: &str) -> PathBuf {
    git.ok(
        git.home(),
        ["-c", "filter.lfs.smudge=", "-c", "filter.lfs.required=false", "clone", "--quiet", address, name],
    );
    let path = git.path(name);
    git.ok(&path, ["lfs", "install", "--local"]);
    git.ok(&path, ["lfs", "pull"]);
    path
}

fn count(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { count(&entry.path()) } else { 1 }).sum()
}

/// Two people who may push to `olga/large`, and `olga` herself, each over both transports.
struct Ground {
    site: Site,
    https: Git,
    ssh: Git,
}

impl Ground {
    fn new() -> Self {
        let site = Site::start();
        let admin = site.admin();
        admin.make_repository("large", "private");
        let key = Key::generate("ed25519");
        admin.add_key("k", &key.public());
        let https = site.git().with_password(ADMIN, &admin.make_token("t", "write"));
        let ssh = site.git_with_key(&key).keeping(key);
        Self { site, https, ssh }
    }
}

#[test]
fn large_files_travel_both_ways_over_both_transports() {
    if !has_client() {
        return;
    }
    let Ground { site, https, ssh } = Ground::new();
    let (over_https, over_ssh) = (site.https(&format!("{ADMIN}/large")), site.ssh(&format!("{ADMIN}/large")));
    let first = work(&https, "first", 3_000_000);
    https.ok(&first, ["push", "--quiet", &over_https, "main"]);
    let back = clone(&ssh, &over_ssh, "back");
    assert_eq!(std::fs::read(back.join("large.bin")).unwrap(), content(3_000_000));
    ssh.ok(&back, ["lfs", "fsck"]);

    // A page's raw view gives the file and not its pointer, and lets it run nowhere.
    let raw = site.admin().get(&format!("/{ADMIN}/large/raw/main/large.bin"));
    assert_eq!((raw.status, raw.body.len()), (200, 3_000_000));
    assert_eq!(raw.header("content-security-policy"), "sandbox; default-src 'none'");
    assert!(raw.header("content-disposition").starts_with("attachment"), "{:?}", raw.headers);

    let program = Caller::knowing(&site, ADMIN);
    assert_eq!(program.get(&format!("/repos/{ADMIN}/large/media/large.bin")).body, content(3_000_000));
    assert!(program.get(&format!("/repos/{ADMIN}/large/raw/large.bin")).text().starts_with("version https://git-lfs"));

    // The other way round, and only what is new goes up.
    let chmod = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(back.join("large.bin"), chmod).unwrap();
    base::file::write_atomic(&back.join("large.bin"), &content(2_000_000), 0o644).unwrap();
    ssh.ok(&back, ["commit", "--quiet", "--all", "--message", "another"]);
    ssh.ok(&back, ["push", "--quiet", "origin", "main"]);
    let again = clone(&https, &over_https, "again");
    assert_eq!(std::fs::read(again.join("large.bin")).unwrap(), content(2_000_000));
    assert_eq!(count(&site.dir().data().join("lfs")), 2);

    // A repository that is gone takes them with it.
    let page = format!("/{ADMIN}/large/settings");
    site.admin().submit(&page, "confirm", &[("confirm", &format!("{ADMIN}/large"))]);
    require::until(20, "the end of the large files", || (count(&site.dir().data().join("lfs")) == 0).then_some(()));
}

#[test]
fn a_stranger_and_a_token_that_only_reads_send_nothing() {
    if !has_client() {
        return;
    }
    let Ground { site, https, .. } = Ground::new();
    let address = site.https(&format!("{ADMIN}/large"));
    let local = work(&https, "local", 10_000);
    let reader = site.git().with_password(ADMIN, &site.admin().make_token("r", "read"));
    reader.refused(&local, ["push", &address, "main"]);
    reader.refused(&local, ["lfs", "push", "--all", &address]);
    let stranger = site.user("mallory");
    let git = site.git().with_password("mallory", &stranger.make_token("t", "write"));
    git.refused(&local, ["lfs", "push", "--all", &address]);
    assert_eq!(count(&site.dir().data().join("lfs")), 0);
    https.ok(&local, ["push", "--quiet", &address, "main"]);
    assert_eq!(count(&site.dir().data().join("lfs")), 1);
}

#[test]
fn a_lock_is_seen_by_others_and_given_back() {
    if !has_client() {
        return;
    }
    let Ground { site, https, ssh } = Ground::new();
    let (over_https, over_ssh) = (site.https(&format!("{ADMIN}/large")), site.ssh(&format!("{ADMIN}/large")));
    let local = work(&https, "local", 1000);
    https.ok(&local, ["remote", "add", "origin", &over_https]);
    https.ok(&local, ["push", "--quiet", "origin", "main"]);
    https.ok(&local, ["lfs", "lock", "large.bin"]);
    assert!(https.ok(&local, ["lfs", "locks"]).contains("large.bin"));
    https.refused(&local, ["lfs", "lock", "large.bin"]);
    let other = clone(&ssh, &over_ssh, "other");
    assert!(
        ssh.ok(&other, ["lfs", "locks", "--verify"]).contains("O large.bin"),
        "the lock is one's own, over SSH too"
    );
    ssh.ok(&other, ["lfs", "unlock", "large.bin"]);
    assert_eq!(https.ok(&local, ["lfs", "locks"]), "");
}

/// Killed after the content was put away and before its row was: the next start finds what nobody has.
#[test]
fn an_upload_cut_by_a_kill_leaves_nothing_that_anyone_has() {
    if !has_client() {
        return;
    }
    let Ground { mut site, https, .. } = Ground::new();
    let address = site.https(&format!("{ADMIN}/large"));
    site.stop();
    let log = std::fs::File::create(site.home().join("later.log")).unwrap();
    let server = site.program().option("serve").env("GITGRIT_FAULT", "forge:lfs:shelved").start_detached(log);
    require::until(30, "the server's start", || site.is_serving().then_some(()));
    site.refresh();
    let local = work(&https, "local", 5000);
    let _ = https.program(&local).options(["-c", "lfs.transfer.maxretries=1", "push", &address, "main"]).run(b"");
    server.unwrap().wait().unwrap();
    assert_eq!(count(&site.dir().data().join("lfs")), 1);
    let up: Program = site.program().option("up");
    assert!(up.run(b"").unwrap().status.success());
    site.refresh();
    require::until(20, "the sweep", || (count(&site.dir().data().join("lfs")) == 0).then_some(()));
    https.ok(&local, ["push", "--quiet", &address, "main"]);
}

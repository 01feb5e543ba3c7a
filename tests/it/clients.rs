//! What Git's own client does all day, over both transports and with every Git on this machine: each verb once, with what
//! it must leave behind.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use base::process::Program;

use crate::git::Git;
use crate::site::{ADMIN, Site};
use crate::ssh::Key;

/// One site, one private repository, and a client for each transport.
struct Ground {
    site: Site,
    https: Git,
    ssh: Git,
}

impl Ground {
    fn new() -> Self {
        let site = Site::start();
        let admin = site.admin();
        let key = Key::generate("ed25519");
        admin.add_key("k", &key.public());
        let https = site.git().with_password(ADMIN, &admin.make_token("t", "write"));
        let ssh = site.git_with_key(&key).keeping(key);
        Self { site, https, ssh }
    }

    /// Makes a repository for each transport, and gives its client and address.
    fn both(&self, name: &str) -> [(&Git, String); 2] {
        let admin = self.site.admin();
        let path = |transport: &str| {
            admin.make_repository(&format!("{name}-{transport}"), "private");
            format!("{ADMIN}/{name}-{transport}")
        };
        [(&self.https, self.site.https(&path("https"))), (&self.ssh, self.site.ssh(&path("ssh")))]
    }
}

fn tip(git: &Git, at: &Path, name: &str) -> String {
    git.ok(at, ["rev-parse", name])
}

fn remote_tip(git: &Git, at: &Path, address: &str, name: &str) -> String {
    git.ok(at, ["ls-remote", address, name]).split('\t').next().unwrap_or_default().to_owned()
}

#[test]
fn a_lease_holds_while_nobody_else_pushed() {
    let ground = Ground::new();
    for (git, address) in ground.both("lease") {
        let local = git.history("lease", 3);
        git.ok(&local, ["remote", "add", "origin", &address]);
        git.ok(&local, ["push", "--quiet", "--set-upstream", "origin", "main"]);
        git.ok(&local, ["commit", "--quiet", "--amend", "--message", "again"]);
        git.refused(&local, ["push", "origin", "main"]);
        git.ok(&local, ["push", "--quiet", "--force-with-lease", "origin", "main"]);
        assert_eq!(remote_tip(git, &local, &address, "refs/heads/main"), tip(git, &local, "main"));

        let other = git.clone(&address, "lease-other");
        git.ok(&other, ["commit", "--quiet", "--allow-empty", "--message", "meanwhile"]);
        git.ok(&other, ["push", "--quiet", "origin", "main"]);
        git.ok(&local, ["commit", "--quiet", "--amend", "--message", "too late"]);
        let said = git.refused(&local, ["push", "--force-with-lease", "origin", "main"]);
        assert!(said.contains("stale info"), "{said}");
        assert_eq!(remote_tip(git, &local, &address, "refs/heads/main"), tip(git, &other, "main"));
    }
}

#[test]
fn tags_of_both_kinds_come_and_go() {
    let ground = Ground::new();
    for (git, address) in ground.both("tags") {
        let local = git.history("tags", 3);
        git.ok(&local, ["tag", "light", "main~1"]);
        git.ok(&local, ["tag", "--annotate", "--message", "one", "v1.0", "main"]);
        git.ok(&local, ["push", "--quiet", "--follow-tags", &address, "main"]);
        assert_eq!(
            remote_tip(git, &local, &address, "refs/tags/light"),
            "",
            "--follow-tags takes annotated ones alone"
        );
        git.ok(&local, ["push", "--quiet", "--tags", &address]);
        let peeled = remote_tip(git, &local, &address, "refs/tags/v1.0^{}");
        assert_eq!(peeled, tip(git, &local, "main"));
        let copy = git.clone(&address, "tags-copy");
        assert_eq!(git.ok(&copy, ["describe", "main"]), "v1.0");
        git.ok(&local, ["push", "--quiet", &address, "--delete", "light", "v1.0"]);
        assert_eq!(git.ok(&local, ["ls-remote", "--tags", &address]), "");
        git.ok(&copy, ["fetch", "--quiet", "--prune", "--prune-tags"]);
        assert_eq!(git.ok(&copy, ["tag"]), "");
    }
}

#[test]
fn submodules_are_found_beside_their_parent() {
    let ground = Ground::new();
    let [(_, inner_https), (_, inner_ssh)] = ground.both("inner");
    for ((git, address), inner) in ground.both("outer").into_iter().zip([inner_https, inner_ssh]) {
        let part = git.history("inner", 2);
        git.ok(&part, ["push", "--quiet", &inner, "main"]);
        let local = git.history("outer", 1);
        git.ok(&local, ["remote", "add", "origin", &address]);
        let name = inner.rsplit('/').next().unwrap();
        git.ok(&local, ["submodule", "--quiet", "add", &format!("../{name}"), "part"]);
        git.ok(&local, ["commit", "--quiet", "--message", "with a part"]);
        git.ok(&local, ["push", "--quiet", "origin", "main"]);
        git.ok(git.home(), ["clone", "--quiet", "--recurse-submodules", &address, "outer-copy"]);
        assert_eq!(tip(git, &git.path("outer-copy/part"), "HEAD"), tip(git, &part, "main"));
    }
}

/// Over HTTPS since Git 2.44; before that, clients say that they cannot.
#[test]
fn an_archive_comes_from_the_site_and_only_of_what_refs_lead_to() {
    let ground = Ground::new();
    for (git, address) in ground.both("archive") {
        let local = git.history("archive", 4);
        git.ok(&local, ["push", "--quiet", &address, "main", "main:refs/heads/other"]);
        let hidden = tip(git, &local, "main~2");
        let list = |what: &str| {
            let out = git.path("out.tar");
            let done = git.program(git.home()).options(["archive", "--format=tar", "--prefix=p/"]);
            let done = done.option(format!("--remote={address}")).option(format!("--output={}", out.display()));
            let done = done.option(what).run(b"").unwrap();
            let names = done.status.success().then(|| {
                let listed = Program::new("tar").options(["--list", "--file"]).option(&out).run(b"").unwrap();
                String::from_utf8_lossy(&listed.stdout).into_owned()
            });
            names.ok_or(done.stderr)
        };
        match list("main") {
            Ok(names) => assert!(names.contains("p/README.md"), "{names}"),
            Err(said) => {
                assert!(address.starts_with("https") && said.contains("not supported by protocol"), "{said}");
                eprintln!("absent: git archive over HTTPS: this git is older than 2.44");
                continue;
            }
        }
        assert!(list("main:src").is_ok(), "a path below a ref");
        for refused in [hidden.as_str(), "refs/heads/no-such", "--output=/tmp/x", "main^{/change}", "--exec=sh"] {
            assert!(list(refused).is_err(), "{refused}");
        }
    }
}

#[test]
fn partial_and_sparse_clones_fetch_what_is_missing_when_it_is_needed() {
    let ground = Ground::new();
    for (git, address) in ground.both("partial") {
        let local = git.history("partial", 40);
        git.ok(&local, ["push", "--quiet", &address, "main"]);
        for filter in ["--filter=blob:none", "--filter=tree:0", "--filter=blob:limit=1k"] {
            let name = filter.replace([':', '=', '-'], "");
            git.ok(git.home(), ["clone", "--quiet", "--sparse", filter, &address, &name]);
            let copy = git.path(&name);
            git.ok(&copy, ["sparse-checkout", "set", "src/part1"]);
            assert!(copy.join("src/part1").is_dir() && !copy.join("src/part2").exists(), "{filter}");
            // Lazily, one by one and in the middle of a walk.
            git.ok(&copy, ["sparse-checkout", "disable"]);
            git.ok(&copy, ["log", "--patch", "--max-count=5"]);
            assert!(copy.join("src/part2").is_dir(), "{filter}");
            assert_eq!(tip(git, &copy, "HEAD^{tree}"), tip(git, &local, "main^{tree}"));
        }
    }
}

#[test]
fn shallow_clones_deepen_and_become_whole() {
    let ground = Ground::new();
    for (git, address) in ground.both("shallow") {
        let local = git.history("shallow", 30);
        git.ok(&local, ["push", "--quiet", &address, "main"]);
        git.ok(git.home(), ["clone", "--quiet", "--depth", "3", &address, "s"]);
        let copy = git.path("s");
        let commits = || git.ok(&copy, ["rev-list", "--count", "HEAD"]);
        assert_eq!(commits(), "3");
        git.ok(&copy, ["fetch", "--quiet", "--deepen", "4"]);
        assert_eq!(commits(), "7");
        // `history` makes a commit an hour; the last is number 30.
        let since = format!("--shallow-since={}", 1_600_000_000 + 11 * 3600);
        git.ok(&copy, ["fetch", "--quiet", &since]);
        assert_eq!(commits(), "20");
        git.ok(&copy, ["fetch", "--quiet", "--unshallow"]);
        assert_eq!(commits(), "30");
        git.ok(&copy, ["fsck", "--full", "--strict"]);
        // A shallow clone may push what it made, and not what it does not have.
        git.ok(git.home(), ["clone", "--quiet", "--depth", "1", &address, "p"]);
        let copy = git.path("p");
        git.ok(&copy, ["commit", "--quiet", "--allow-empty", "--message", "from a shallow one"]);
        git.ok(&copy, ["push", "--quiet", "origin", "main"]);
        assert_eq!(remote_tip(git, &copy, &address, "refs/heads/main"), tip(git, &copy, "HEAD"));
    }
}

#[test]
fn a_bundle_of_a_clone_holds_all_and_can_be_pushed_from() {
    let ground = Ground::new();
    let [(git, from), (_, to)] = ground.both("bundle");
    let local = git.history("bundle", 12);
    git.ok(&local, ["push", "--quiet", &from, "main", "main~3:refs/tags/v1"]);
    let copy = git.clone(&from, "bundle-copy");
    git.ok(&copy, ["bundle", "create", "--quiet", "../all.bundle", "--all"]);
    git.ok(git.home(), ["clone", "--quiet", "--mirror", "all.bundle", "from-bundle"]);
    let mirror = git.path("from-bundle");
    ground.ssh.ok(&mirror, ["push", "--quiet", &to, "refs/heads/main", "refs/tags/v1"]);
    assert_eq!(remote_tip(&ground.ssh, &mirror, &to, "refs/heads/main"), tip(git, &local, "main"));
}

#[test]
fn atomic_pushes_and_push_options_are_heard() {
    let ground = Ground::new();
    for (git, address) in ground.both("atomic") {
        let local = git.history("atomic", 5);
        git.ok(&local, ["push", "--quiet", &address, "main~1:refs/heads/main"]);
        let said = git.refused(&local, ["push", "--atomic", &address, "main", "main:refs/heads/HEAD"]);
        assert!(said.contains("atomic"), "{said}");
        assert_eq!(remote_tip(git, &local, &address, "refs/heads/main"), tip(git, &local, "main~1"));
        git.ok(&local, ["push", "--quiet", "--atomic", "-o", "ci.skip", "-o", "note=ä", &address, "main", "main:b"]);
        assert_eq!(remote_tip(git, &local, &address, "refs/heads/b"), tip(git, &local, "main"));
    }
}

#[test]
fn every_version_of_the_protocol_is_spoken() {
    let ground = Ground::new();
    for (git, address) in ground.both("protocol") {
        let local = git.history("protocol", 8);
        for version in ["0", "1", "2"] {
            let setting = format!("protocol.version={version}");
            let branch = format!("main:refs/heads/v{version}");
            git.ok(&local, ["-c", &setting, "push", "--quiet", &address, &branch]);
            let name = format!("protocol-{version}");
            git.ok(
                git.home(),
                ["-c", &setting, "clone", "--quiet", "--branch", &format!("v{version}"), &address, &name],
            );
            assert_eq!(tip(git, &git.path(&name), "HEAD"), tip(git, &local, "main"));
        }
    }
}

/// Bodies in chunks, after `100 Continue`, compressed, and in one piece are all one push.
#[test]
fn http_bodies_come_in_every_form_that_git_sends() {
    let ground = Ground::new();
    let [(git, address), _] = ground.both("bodies");
    let local = git.history("bodies", 400);
    let forms: [(&str, &[&str]); 4] = [
        ("chunked", &["-c", "http.postBuffer=70000"]),
        ("continued", &["-c", "http.postBuffer=70000", "-c", "http.emptyAuth=true"]),
        ("whole", &["-c", "http.postBuffer=524288000"]),
        ("old", &["-c", "http.version=HTTP/1.1", "-c", "protocol.version=0"]),
    ];
    for (name, settings) in forms {
        let push =
            git.program(&local).options(settings).options(["push", "--quiet", &address, &format!("main:{name}")]);
        let done = push.run(b"").unwrap();
        assert!(done.status.success(), "{name}: {}", done.stderr);
        let copy = format!("bodies-{name}");
        let clone = git.program(git.home()).options(settings).options(["clone", "--quiet", "--branch", name, &address]);
        let done = clone.option(&copy).run(b"").unwrap();
        assert!(done.status.success(), "{name}: {}", done.stderr);
        assert_eq!(tip(git, &git.path(&copy), "HEAD"), tip(git, &local, "main"));
    }
    // A fetch with many haves is what Git compresses.
    let copy = git.path("bodies-whole");
    git.ok(&local, ["commit", "--quiet", "--allow-empty", "--message", "more"]);
    git.ok(&local, ["push", "--quiet", &address, "main:whole"]);
    for number in 0..200 {
        git.ok(&copy, ["commit", "--quiet", "--allow-empty", "--message", &number.to_string()]);
    }
    git.ok(&copy, ["fetch", "--quiet", "origin", "whole"]);
    assert_eq!(tip(git, &copy, "FETCH_HEAD"), tip(git, &local, "main"));
}

#[test]
fn an_empty_repository_is_cloned_and_filled() {
    let ground = Ground::new();
    for (git, address) in ground.both("empty") {
        for version in ["0", "2"] {
            let name = format!("empty-{version}");
            git.ok(git.home(), ["-c", &format!("protocol.version={version}"), "clone", "--quiet", &address, &name]);
        }
        let copy = git.path("empty-2");
        assert_eq!(git.ok(&copy, ["symbolic-ref", "HEAD"]), "refs/heads/main");
        git.ok(&copy, ["commit", "--quiet", "--allow-empty", "--message", "first"]);
        git.ok(&copy, ["push", "--quiet", "origin", "main"]);
        git.ok(&git.path("empty-0"), ["pull", "--quiet", "origin", "main"]);
        assert_eq!(tip(git, &git.path("empty-0"), "HEAD"), tip(git, &copy, "HEAD"));
    }
}

#[test]
fn odd_names_and_five_thousand_refs_are_all_there() {
    let ground = Ground::new();
    for (git, address) in ground.both("refs") {
        let local = git.history("refs", 2);
        let odd = [
            "ä/€",
            "a.b.c",
            "UPPER",
            "release#1",
            "a+b=c",
            "'quoted'",
            "\"double\"",
            "$HOME",
            "`id`",
            "a;b",
            "%41",
            "<b>",
            "@",
        ];
        let id = tip(git, &local, "main");
        let mut commands = String::new();
        for name in odd {
            writeln!(commands, "create refs/heads/{name} {id}").unwrap();
        }
        // The many over one transport; what is many is the same over both.
        let (many, matching) = if address.starts_with("https") { (5_000, 111) } else { (500, 11) };
        for number in 0..many {
            writeln!(commands, "create refs/tags/t{number} {id}").unwrap();
        }
        let update = git.program(&local).options(["update-ref", "--stdin"]).run(commands.as_bytes()).unwrap();
        assert!(update.status.success(), "{}", update.stderr);
        git.ok(&local, ["push", "--quiet", "--all", &address]);
        git.ok(&local, ["push", "--quiet", "--tags", &address]);

        let heads = git.ok(&local, ["ls-remote", "--heads", &address]);
        for name in odd {
            assert!(heads.lines().any(|line| line.ends_with(&format!("\trefs/heads/{name}"))), "{name}: {heads}");
        }
        assert_eq!(git.ok(&local, ["ls-remote", "--tags", &address]).lines().count(), many);
        assert_eq!(
            git.ok(&local, ["ls-remote", &address, "t49*"]).lines().count(),
            matching,
            "t49, t490 to t499, t4900 to t4999"
        );
        assert_eq!(git.ok(&local, ["ls-remote", &address, "refs/tags/t499"]).lines().count(), 1);
        let copy = git.clone(&address, "refs-copy");
        assert_eq!(git.ok(&copy, ["tag"]).lines().count(), many);
    }
}

/// Every Git on this machine, the newest and the distribution's own.
#[test]
fn every_git_on_this_machine_clones_commits_and_pushes() {
    let ground = Ground::new();
    let places = ["/usr/local/bin", "/usr/bin", "/opt/git/bin"].map(PathBuf::from);
    let found: Vec<_> = places.into_iter().filter(|place| place.join("git").is_file()).collect();
    assert!(!found.is_empty(), "no git in any of the usual places");
    for (git, address) in ground.both("every") {
        let local = git.history("every", 20);
        git.ok(&local, ["push", "--quiet", &address, "main"]);
        for (number, place) in found.iter().enumerate() {
            let run = |at: &Path, arguments: &[&str]| {
                let path = format!("{}:/usr/bin:/bin", place.display());
                let done = git.program(at).options(arguments).env("PATH", path).run(b"").unwrap();
                assert!(done.status.success(), "{}/git {arguments:?}: {}", place.display(), done.stderr);
                String::from_utf8_lossy(&done.stdout).trim().to_owned()
            };
            let name = format!("every-{number}");
            run(git.home(), &["clone", "--quiet", &address, &name]);
            let copy = git.path(&name);
            run(&copy, &["commit", "--quiet", "--allow-empty", "--message", "from here"]);
            run(&copy, &["push", "--quiet", "origin", &format!("HEAD:refs/heads/{name}")]);
            eprintln!("{} at {}", run(&copy, &["--version"]), place.display());
            assert_eq!(
                remote_tip(git, &copy, &address, &format!("refs/heads/{name}")),
                run(&copy, &["rev-parse", "HEAD"])
            );
        }
    }
}

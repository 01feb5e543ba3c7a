//! Stories of Git over HTTPS and SSH with the real client: what goes in comes out, and what is refused harms nothing.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::git::Git;
use crate::require;
use crate::site::{ADMIN, PASSWORD, Site};
use crate::ssh::Key;

/// Says whether the repository at `path` is whole, and gives its tree and its number of commits.
fn inspect(git: &Git, path: &Path) -> (String, String) {
    git.ok(path, ["fsck", "--full", "--strict"]);
    (git.ok(path, ["rev-parse", "HEAD^{tree}"]), git.ok(path, ["rev-list", "--count", "HEAD"]))
}

/// One person with a token that may write and a key, and the clients that use them.
struct Person {
    https: Git,
    ssh: Git,
}

fn person(site: &Site, name: &str) -> Person {
    let visitor = site.user(name);
    let token = visitor.make_token("laptop", "write");
    let key = Key::generate("ed25519");
    visitor.add_key("laptop", &key.public());
    for repository in ["history", "other"] {
        visitor.make_repository(repository, "private");
    }
    let ssh = site.git_with_key(&key).keeping(key);
    Person { https: site.git().with_password(name, &token), ssh }
}

#[test]
fn a_thousand_commits_travel_both_ways_over_both_transports() {
    let site = Site::start();
    let ada = person(&site, "ada");
    let local = ada.https.history("local", 1200);
    let sent = inspect(&ada.https, &local);

    ada.https.ok(&local, ["push", "--quiet", &site.https("ada/history"), "main"]);
    ada.ssh.ok(&local, ["push", "--quiet", &site.ssh("ada/other"), "main"]);
    let over_https = ada.https.clone(&site.https("ada/other"), "over-https");
    let over_ssh = ada.ssh.clone(&site.ssh("ada/history"), "over-ssh");

    assert_eq!(sent.1, "1200");
    assert_eq!(inspect(&ada.https, &over_https), sent);
    assert_eq!(inspect(&ada.ssh, &over_ssh), sent);
}

#[test]
fn partial_and_shallow_clones_leave_out_what_was_asked() {
    let site = Site::start();
    let ada = person(&site, "ada");
    let local = ada.https.history("local", 60);
    ada.https.ok(&local, ["push", "--quiet", &site.https("ada/history"), "main"]);

    for (git, address) in [(&ada.https, site.https("ada/history")), (&ada.ssh, site.ssh("ada/history"))] {
        git.ok(git.home(), ["clone", "--quiet", "--depth", "1", &address, "shallow"]);
        assert_eq!(git.ok(&git.path("shallow"), ["rev-list", "--count", "HEAD"]), "1");

        git.ok(git.home(), ["clone", "--quiet", "--no-checkout", "--filter=blob:none", &address, "partial"]);
        let objects = git.ok(&git.path("partial"), ["rev-list", "--objects", "--missing=print", "HEAD"]);
        assert!(objects.lines().any(|line| line.starts_with('?')), "no blob was left out");
        assert_eq!(git.ok(&git.path("partial"), ["rev-list", "--count", "HEAD"]), "60");
        // What was left out comes when it is asked for.
        git.ok(&git.path("partial"), ["checkout", "--quiet", "main"]);
    }
}

#[test]
fn a_moved_a_new_and_a_deleted_ref_arrive_over_both_transports() {
    let site = Site::start();
    let ada = person(&site, "ada");
    let local = ada.https.history("local", 12);
    for (git, address) in [(&ada.https, site.https("ada/history")), (&ada.ssh, site.ssh("ada/other"))] {
        git.ok(&local, ["push", "--quiet", &address, "main~4:refs/heads/main", "main~2:refs/heads/gone"]);
        git.ok(&local, ["push", "--quiet", &address, "main", "main~1:refs/tags/v1", ":refs/heads/gone"]);
        let listed = git.ok(&local, ["ls-remote", "--heads", "--tags", &address]);
        let names: Vec<_> = listed.lines().filter_map(|line| line.split('\t').nth(1)).collect();
        assert_eq!(names, ["refs/heads/main", "refs/tags/v1"]);
        assert_eq!(listed.lines().next().unwrap().split('\t').next().unwrap(), git.ok(&local, ["rev-parse", "main"]));
    }
}

#[test]
fn wrong_passwords_and_unknown_people_are_refused_alike() {
    let site = Site::start();
    site.user("ada").make_repository("secret", "private");
    let said = |user: &str, password: &str| {
        let git = site.git().with_password(user, password);
        git.refused(git.home(), ["ls-remote", &site.https("ada/secret")])
    };
    let wrong = said("ada", "not the password");
    assert_eq!(said("nobody", PASSWORD), wrong);
    assert!(wrong.contains("Authentication failed"), "{wrong}");
}

#[test]
fn a_token_that_only_reads_may_not_push() {
    let site = Site::start();
    let visitor = site.user("ada");
    visitor.make_repository("project", "private");
    let writer = site.git().with_password("ada", &visitor.make_token("writer", "write"));
    let reader = site.git().with_password("ada", &visitor.make_token("reader", "read"));
    let local = writer.history("local", 3);
    writer.ok(&local, ["push", "--quiet", &site.https("ada/project"), "main~1:refs/heads/main"]);

    reader.refused(&local, ["push", &site.https("ada/project"), "main"]);

    let there = reader.ok(&local, ["ls-remote", &site.https("ada/project"), "refs/heads/main"]);
    assert!(there.starts_with(&writer.ok(&local, ["rev-parse", "main~1"])), "{there}");
}

#[test]
fn a_token_stops_when_its_time_is_over() {
    let library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
    let found = Path::new(library).is_file().then_some(()).ok_or_else(|| format!("{library} is not installed"));
    if !require::has("faketime", found) {
        return;
    }
    let mut site = Site::start();
    let visitor = site.user("ada");
    visitor.make_repository("project", "private");
    let git = site.git().with_password("ada", &visitor.make_token("laptop", "write"));
    git.ok(git.home(), ["ls-remote", &site.https("ada/project")]);
    // A client that is not polled would not hear the server say goodbye.
    drop(visitor);
    site.stop();

    // The same site, forty days later.
    let log = std::fs::File::create(site.home().join("later.log")).unwrap();
    let later = site.program().option("serve").env("LD_PRELOAD", library).env("FAKETIME", "+40d");
    let mut server = later.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").start_detached(log).unwrap();
    require::until(30, "the server's start", || site.is_serving().then_some(()));
    site.refresh();
    let said = git.refused(git.home(), ["ls-remote", &site.https("ada/project")]);
    assert!(said.contains("Authentication failed"), "{said}");
    site.stop();
    server.wait().unwrap();
}

/// A stranger must not learn that a private repository exists.
#[test]
fn a_private_repository_looks_like_a_missing_one() {
    let site = Site::start();
    site.user("ada").make_repository("secret", "private");
    let stranger = site.user("mallory");
    let git = site.git().with_password("mallory", &stranger.make_token("t", "write"));
    let local = git.history("local", 1);
    let said = |path: &str, verb: &str| {
        let done = match verb {
            "read" => git.refused(git.home(), ["ls-remote", &site.https(path)]),
            _ => git.refused(&local, ["push", &site.https(path), "main"]),
        };
        done.replace(path, "[REPOSITORY]")
    };
    assert_eq!(said("ada/secret", "read"), said("ada/nosuch", "read"));
    assert_eq!(said("ada/secret", "push"), said("ada/nosuch", "push"));
    assert_eq!(said("ada/secret", "read"), said("nobody/at-all", "read"));

    let key = Key::generate("ed25519");
    stranger.add_key("k", &key.public());
    let git = site.git_with_key(&key);
    let said = |path: &str| git.refused(git.home(), ["ls-remote", &site.ssh(path)]).replace(path, "[REPOSITORY]");
    assert_eq!(said("ada/secret"), said("ada/nosuch"));

    for (hidden, missing) in [("/ada/secret", "/ada/nosuch"), ("/ada/secret/commits/main", "/ada/nosuch/commits/main")]
    {
        for visitor in [&stranger, &site.anonymous()] {
            let (hidden, missing) = (visitor.get(hidden), visitor.get(missing));
            assert_eq!(hidden.status, missing.status);
            let (hidden, missing) = (hidden.text().replace("secret", "nosuch"), missing.text());
            assert_eq!(without_request_id(&hidden), without_request_id(&missing));
        }
    }
}

/// Neither must the clock tell. Asked in turn, so that the machine's own noise falls on both alike.
#[test]
fn a_private_repository_takes_as_long_as_a_missing_one() {
    let site = Site::start();
    site.user("ada").make_repository("secret", "private");
    let stranger = site.user("mallory");
    for visitor in [&stranger, &site.anonymous()] {
        for rest in ["", ".git/info/refs?service=git-upload-pack"] {
            let time = |name: &str| {
                let begun = Instant::now();
                visitor.send(reqwest::Method::GET, &format!("/ada/{name}{rest}"), None);
                begun.elapsed()
            };
            let (mut hidden, mut missing): (Vec<_>, Vec<_>) = (0..41).map(|_| (time("secret"), time("nosuch"))).unzip();
            hidden.sort_unstable();
            missing.sort_unstable();
            let (hidden, missing) = (hidden[20], missing[20]);
            let apart = hidden.abs_diff(missing);
            assert!(apart < Duration::from_millis(1) || apart < missing / 2, "`{rest}`: {hidden:?}, {missing:?}");
        }
    }
}

/// Request ids and one-time form values differ from answer to answer; nothing else may.
fn without_request_id(page: &str) -> String {
    regex::Regex::new(r"[A-Za-z0-9_-]{16,}").unwrap().replace_all(page, "[ID]").into_owned()
}

#[test]
fn an_unknown_key_gets_no_session() {
    let site = Site::start();
    site.user("ada").make_repository("open", "public");
    let git = site.git_with_key(&Key::generate("ed25519"));
    let said = git.refused(git.home(), ["ls-remote", &site.ssh("ada/open")]);
    assert!(said.contains("Permission denied"), "{said}");
}

/// The class of CVE-2024-39930, CVE-2025-22130 and CVE-2025-58355: commands, arguments and names over SSH that ran a program
/// or left the directory of repositories.
#[test]
fn a_key_opens_git_and_nothing_else() {
    let site = Site::start();
    let ada = site.user("ada");
    ada.make_repository("project", "private");
    let key = Key::generate("ed25519");
    ada.add_key("k", &key.public());
    let known_hosts = site.known_hosts();
    for command in [
        "git-upload-pack '--upload-pack=touch x'",
        "git-upload-pack '../../../etc'",
        "git-upload-pack 'ada/../ada/project'",
        "git-upload-pack '/etc/passwd'",
        "git-upload-pack 'ada/project'; id",
        "git-upload-pack `id`",
        "git-upload-archive '../../../etc'",
        "git-upload-pack",
        "sh -c id",
        "id",
    ] {
        let done = key.session(site.serving().ssh, &known_hosts).option(command).run(b"").unwrap();
        assert!(!done.status.success(), "`{command}` was not refused");
        assert!(!String::from_utf8_lossy(&done.stdout).contains("uid="), "`{command}` ran");
    }
    let shell = key.session(site.serving().ssh, &known_hosts).run(b"id\n").unwrap();
    assert!(!String::from_utf8_lossy(&shell.stdout).contains("uid="));
    assert_eq!(site.anonymous().get("/healthz").status, 200);
}

/// The class of CVE-2026-52806, CVE-2022-42968 and CVE-2026-26194: a ref name that Git took for an option.
#[test]
fn a_ref_named_like_an_option_is_refused_and_others_still_work() {
    let site = Site::start();
    let ada = person(&site, "ada");
    let local = ada.https.history("local", 2);
    for (git, address) in [(&ada.https, site.https("ada/history")), (&ada.ssh, site.ssh("ada/history"))] {
        let refused = git.refused(&local, ["push", &address, "main:refs/heads/--upload-pack=x"]);
        assert!(refused.contains("--upload-pack=x"), "{refused}");
        assert_eq!(git.ok(&local, ["ls-remote", &address, "refs/heads/--upload-pack=x"]), "");
    }
    ada.https.ok(&local, ["push", "--quiet", &site.https("ada/history"), "main"]);
}

#[test]
fn fifty_clones_at_once_are_all_whole() {
    let site = Site::start();
    let ada = person(&site, "ada");
    let local = ada.https.history("local", 300);
    ada.https.ok(&local, ["push", "--quiet", &site.https("ada/history"), "main"]);
    let tip = ada.https.ok(&local, ["rev-parse", "main"]);
    let tips: Vec<_> = thread::scope(|scope| {
        let clones: Vec<_> = (0..50)
            .map(|number| {
                let (git, address) = if number % 2 == 0 {
                    (&ada.https, site.https("ada/history"))
                } else {
                    (&ada.ssh, site.ssh("ada/history"))
                };
                scope.spawn(move || {
                    let path = git.clone(&address, &format!("clone-{number}"));
                    git.ok(&path, ["rev-parse", "HEAD"])
                })
            })
            .collect();
        clones.into_iter().map(|clone| clone.join().unwrap()).collect()
    });
    assert!(tips.iter().all(|found| *found == tip));
    assert_eq!(site.anonymous().get("/readyz").status, 200);
}

/// What docs/pushing.md tells who has a line that breaks: the very words of it, with smaller pieces.
#[test]
fn a_long_history_goes_up_in_pieces_as_the_documentation_says() {
    let text = include_str!("../../docs/pushing.md");
    let (_, section) = text.split_once("## When a push breaks off").unwrap();
    let recipe = section.split("```").nth(1).unwrap().trim().replace("500", "2");
    let site = Site::start();
    let admin = site.admin();
    admin.make_repository("long", "private");
    let git = site.git().with_password(ADMIN, &admin.make_token("t", "write"));
    let local = git.history("local", 7);
    git.ok(&local, ["remote", "add", "origin", &site.https(&format!("{ADMIN}/long"))]);
    let alias = format!("alias.pieces=!{recipe}");
    for round in ["at first", "again"] {
        git.ok(&local, ["-c", &alias, "pieces"]);
        let there = git.ok(&local, ["ls-remote", "origin", "refs/heads/main"]);
        assert!(there.starts_with(git.ok(&local, ["rev-parse", "main"]).trim()), "{round}: {there}");
    }
    assert_eq!(std::fs::read_to_string(local.join("steps")).unwrap().lines().count(), 3);
    let moved = admin.get("/admin/audit?action=ref.moved").text().matches("refs/heads/main").count();
    assert!(moved >= 4, "three pieces and the rest, each by itself: {moved}");
}

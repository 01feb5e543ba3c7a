//! What went wrong in other forges, tried on a whole site: the real server, real Git, the real log. Public ids name the
//! incident whose kind a test is about; `docs/security.md` has the whole list, and a test here holds it to the tree.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use regex::Regex;

use crate::git::Git;
use crate::site::{ADMIN, PASSWORD, Site};
use crate::tidy::{hold, root};

/// The oid that `git` prints.
fn made(git: &Git, local: &Path, arguments: &[&str], input: &str) -> String {
    let done = git.program(local).options(arguments).run(input.as_bytes()).unwrap();
    assert!(done.status.success(), "git {arguments:?}: {}", done.stderr);
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

/// A commit whose tree holds one entry.
fn commit_of(git: &Git, local: &Path, mode: &str, name: &str, content: &str) -> String {
    let blob = made(git, local, &["hash-object", "-w", "--stdin"], content);
    let kind = if mode == "160000" { "commit" } else { "blob" };
    let tree = made(git, local, &["mktree", "--missing"], &format!("{mode} {kind} {blob}\t{name}\n"));
    made(git, local, &["commit-tree", "-m", "x", &tree], "")
}

/// CVE-2018-17456, CVE-2024-32002, CVE-2022-39253: objects that make a client write where it should not, or run what it
/// fetched, stay out of every repository.
#[test]
fn objects_that_harm_whoever_clones_them_are_refused() {
    let site = Site::start();
    let ada = site.user("ada");
    ada.make_repository("project", "public");
    let git = site.git().with_password("ada", &ada.make_token("t", "write"));
    let local = git.history("local", 1);
    for (mode, name, content) in [
        ("100644", ".git", "x"),
        ("100644", ".GIT", "x"),
        ("100644", "git~1", "x"),
        ("100644", ".g\u{200c}it", "x"),
        ("100644", "..", "x"),
        ("120000", ".gitmodules", "/etc/passwd"),
        ("100644", ".gitmodules", "[submodule \"x\"]\n\tpath = x\n\turl = --upload-pack=touch\n"),
        ("100644", ".gitmodules", "[submodule \"../../x\"]\n\tpath = x\n\turl = https://example.test/x\n"),
    ] {
        let commit = commit_of(&git, &local, mode, name, content);
        let target = format!("{commit}:refs/heads/evil");
        let pushed = git.run(&local, ["push", "--quiet", &site.https("ada/project"), &target]);
        assert!(!pushed.status.success(), "{mode} {name} was taken");
    }
    assert_eq!(git.ok(&local, ["ls-remote", &site.https("ada/project")]), "");
}

/// CVE-2020-14144, CVE-2026-23633: nothing that lies in a repository's directory runs, whoever put it there.
#[test]
fn no_hook_of_a_repository_ever_runs() {
    let site = Site::start();
    let ada = site.user("ada");
    ada.make_repository("project", "private");
    let ran = site.home().join("a-hook-ran");
    let mut count = 0;
    for fan in std::fs::read_dir(site.dir().repositories()).unwrap().flatten() {
        for repository in std::fs::read_dir(fan.path()).into_iter().flatten().flatten() {
            let hooks = repository.path().join("hooks");
            std::fs::create_dir_all(&hooks).unwrap();
            for name in
                ["pre-receive", "update", "post-receive", "post-update", "reference-transaction", "proc-receive"]
            {
                let hook = hooks.join(name);
                base::file::write_atomic(&hook, format!("#!/bin/sh\ntouch {}\n", ran.display()).as_bytes(), 0o755)
                    .unwrap();
                std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
                count += 1;
            }
        }
    }
    assert!(count >= 6, "no repository was found");
    let git = site.git().with_password("ada", &ada.make_token("t", "write"));
    let local = git.history("local", 2);
    git.ok(&local, ["push", "--quiet", &site.https("ada/project"), "main"]);
    git.clone(&site.https("ada/project"), "copy");
    assert!(!ran.exists(), "a hook ran");
}

/// Passwords in logs, tokens in addresses (CVE-2026-26196), ANSI escapes and forged lines in logs (CVE-2025-64494).
#[test]
fn the_servers_log_holds_no_secret_no_escape_and_no_line_of_a_visitors() {
    let site = Site::start();
    let ada = site.user("ada");
    ada.make_repository("project", "private");
    let token = ada.make_token("t", "write");
    let git = site.git().with_password("ada", &token);
    let local = git.history("local", 1);
    git.ok(&local, ["push", "--quiet", &site.https("ada/project"), "main"]);
    let visitor = site.anonymous();
    let forged = "x\u{1b}[2J\r\n{\"level\":\"ERROR\",\"message\":\"forged\"}";
    for name in ["ada", ADMIN, forged] {
        visitor.submit("/sign-in", "password", &[("name", name), ("password", "hunter2hunter2")]);
    }
    for path in [
        format!("/explore?token={token}&password=hunter2hunter2"),
        "/%1b%5B2J%0d%0aforged".into(),
        format!("/ada/{token}/raw/main/%1b%5B31m"),
        format!("/ada/project.git/info/refs?service=git-upload-pack&token={token}"),
    ] {
        visitor.get(&path);
    }
    let wrong = site.git().with_password("ada", "hunter2hunter2");
    assert!(!wrong.run(wrong.home(), ["ls-remote", &site.https("ada/project")]).status.success());
    site.stop();
    let log = site.log();
    assert!(log.lines().count() > 5, "{log}");
    for secret in ["hunter2", token.as_str(), PASSWORD, "forged", "\u{1b}"] {
        assert!(!log.contains(secret), "{secret:?} is in the log:\n{log}");
    }
}

/// What goes back to a Git client is one line each, without what would move its terminal's cursor.
#[test]
fn what_a_git_client_prints_of_the_server_holds_no_escape() {
    let site = Site::start();
    let ada = site.user("ada");
    ada.make_repository("project", "private");
    let git = site.git().with_password("ada", &ada.make_token("t", "write"));
    let local = git.history("local", 1);
    for target in
        [":refs/heads/\u{9b}31mx", "main:refs/heads/\u{202e}x", "main:refs/heads/a\u{7f}", "main:refs/x/\u{1b}"]
    {
        let said = git.run(&local, ["push", &site.https("ada/project"), target]).stderr;
        let remote = said.lines().filter(|line| line.starts_with("remote:"));
        for line in remote {
            assert!(!line.chars().any(|c| c.is_control() || c == '\u{202e}'), "{line:?}");
        }
    }
}

/// Reads the table of incidents in the manual.
fn rows() -> Vec<(String, String)> {
    let page = std::fs::read_to_string(root().join("docs/security.md")).unwrap();
    let row = Regex::new(r"(?m)^\| (\d+) \|(.*)\|$").unwrap();
    row.captures_iter(&page).map(|found| (found[1].to_owned(), found[2].to_owned())).collect()
}

#[test]
fn every_test_that_the_manual_names_for_an_incident_is_there() {
    let mut sources = String::new();
    for folder in ["src", "tests/it"] {
        read_all(&root().join(folder), &mut sources);
    }
    let named = Regex::new(r"`([a-z0-9]+(?:_[a-z0-9]+){2,})`").unwrap();
    let (mut faults, mut count) = (Vec::new(), 0);
    for (number, text) in rows() {
        for test in named.captures_iter(&text) {
            count += 1;
            if !sources.contains(&format!("fn {}(", &test[1])) {
                faults.push(format!("row {number} names `{}`, which is no test of the tree", &test[1]));
            }
        }
    }
    assert!(count > 60, "only {count} tests are named");
    hold(faults);
}

#[test]
fn every_incident_has_its_row_once_and_in_order() {
    let numbers: Vec<usize> = rows().iter().map(|(number, _)| number.parse().unwrap()).collect();
    assert_eq!(numbers, (1..=75).collect::<Vec<_>>());
}

fn read_all(folder: &Path, into: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            read_all(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

//! `env init` and `env check` through the real binary: files, modes, exit codes, and that no secret is shown.

use std::os::unix::fs::PermissionsExt;

use base::process::{Finished, Program};

use crate::site::{binary, out};
use crate::snapshot::Run;

/// The program in `home`, so that several runs share a directory.
fn run<const N: usize>(home: &std::path::Path, arguments: [&str; N]) -> Finished {
    let program = Program::new(binary().to_str().unwrap()).options(arguments).env("HOME", home).directory(home);
    program.run(b"").unwrap()
}

#[test]
fn a_fresh_file_is_private_passes_and_is_never_overwritten() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join(".env");
    let made = run(home.path(), ["env", "init", "--site-url", "https://forge.acme.internal"]);
    assert_eq!((made.status.code(), out(&made).as_str()), (Some(0), ".env\n"), "{}", made.stderr);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let values = base::envfile::read(&path).unwrap();
    assert!(values.get("SECRET_KEY").unwrap().len() >= 50);
    for name in ["SECRET_KEY", "GITGRIT_ENCRYPTION_KEY", "POSTGRES_PASSWORD"] {
        let said = format!("{}{}", out(&made), made.stderr);
        assert!(!said.contains(values.get(name).unwrap()), "{name} was shown");
    }
    let check = run(home.path(), ["env", "check", "--strict", ".env"]);
    assert_eq!(check.status.code(), Some(0), "{}", out(&check));
    let before = std::fs::read(&path).unwrap();
    let again = run(home.path(), ["env", "init"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(again.stderr.contains("`.env` is already there"), "{}", again.stderr);
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn two_fresh_files_share_no_secret() {
    let home = tempfile::tempdir().unwrap();
    let made = ["a", "b"].map(|name| {
        assert!(run(home.path(), ["env", "init", name]).status.success());
        base::envfile::read(&home.path().join(name)).unwrap()
    });
    for name in ["SECRET_KEY", "GITGRIT_ENCRYPTION_KEY", "POSTGRES_PASSWORD"] {
        assert_ne!(made[0].get(name), made[1].get(name), "{name}");
    }
}

#[test]
fn errors_are_exit_3_and_warnings_4_only_when_strict() {
    let home = tempfile::tempdir().unwrap();
    let fresh = |more: &str| {
        let path = home.path().join(".env");
        let _ = std::fs::remove_file(&path);
        assert!(run(home.path(), ["env", "init", "--site-url", "https://forge.acme.internal"]).status.success());
        let text = format!("{}{more}", std::fs::read_to_string(&path).unwrap());
        base::file::write_atomic(&path, text.as_bytes(), 0o600).unwrap();
    };
    fresh("SITE_ULR=x\n");
    let warned = run(home.path(), ["env", "check"]);
    assert_eq!(warned.status.code(), Some(0));
    assert!(out(&warned).contains("SITE_ULR: no such variable; did you mean SITE_URL?"), "{}", out(&warned));
    assert_eq!(run(home.path(), ["env", "check", "--strict"]).status.code(), Some(4));
    fresh("AUTH_PROVIDER_GITLAB_ENABLED=true\nSANDBOX_DNS=127.0.0.11\nSECRET_KEY=changeme\n");
    let wrong = run(home.path(), ["env", "check", "--json"]);
    assert_eq!(wrong.status.code(), Some(3));
    let report: serde_json::Value = serde_json::from_str(&out(&wrong)).unwrap();
    let ids: Vec<_> =
        report["findings"].as_array().unwrap().iter().map(|found| found["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["GG-ENV-053", "GG-ENV-015", "GG-ENV-016", "GG-ENV-007", "GG-ENV-020"]);
}

#[test]
fn a_file_that_is_not_there_is_said_to_be_so() {
    let done = Run::new(["env", "check", "none.env"]).finished();
    assert_eq!(done.status.code(), Some(3));
    assert!(out(&done).starts_with("error    GG-ENV-001  none.env: does not exist\n"), "{}", out(&done));
}

/// Writes `name` in `home` for the owner alone.
fn put(home: &std::path::Path, name: &str, text: &str) {
    base::file::write_atomic(&home.join(name), text.as_bytes(), 0o600).unwrap();
}

#[test]
fn no_shape_of_a_report_says_a_secret_or_a_refused_line() {
    for canary in ["hunter2CANARY", "hunter2/CANARY", "hunter2#C", "HUNTER2CANARY"] {
        no_report_says(canary);
    }
}

fn no_report_says(canary: &str) {
    let home = tempfile::tempdir().unwrap();
    let text = format!(
        "SECRET_KEY={canary}\nPOSTGRES_PASSWORD='{canary}\\' x'\nDATABASE_URL=mysql://u:{canary}@h/d\nMY_TOKEN=${{NONE:-{canary}}}\n\
         SITE_URL=https://u:{canary}@h\nTAG=x$SECRET_KEY!\nSSH_CLONE_HOST=https://u:{canary}@h\n{canary} {canary}\n"
    );
    put(home.path(), ".env", &text);
    put(home.path(), "read.env", &text.replace(&format!("{canary} {canary}\n"), "").replace("\\' x", ""));
    for file in [".env", "read.env"] {
        for shape in [&["--strict"][..], &["--json"], &["--report", "junit"], &["--report", "sarif"]] {
            let program = Program::new(binary().to_str().unwrap()).options(["env", "check", file]).options(shape);
            let done = program.env("HOME", home.path()).directory(home.path()).run(b"").unwrap();
            let said = format!("{}{}", out(&done), done.stderr);
            assert_eq!(done.status.code(), Some(3), "{said}");
            assert!(said.contains("GG-ENV-0") && !said.to_lowercase().contains("hunter2"), "{said}");
        }
    }
}

#[test]
fn a_pipeline_reads_junit_and_sarif() {
    let home = tempfile::tempdir().unwrap();
    put(home.path(), ".env", "SITE_URL=https://forge.acme.internal\nAPP_PORT=x\n");
    let junit = out(&run(home.path(), ["env", "check", "--report", "junit"]));
    assert!(junit.starts_with("<?xml ") && junit.contains("<failure type=\"GG-ENV-012\""), "{junit}");
    let sarif = out(&run(home.path(), ["env", "check", "--report", "sarif"]));
    let log: serde_json::Value = serde_json::from_str(&sarif).unwrap();
    let results = log["runs"][0]["results"].as_array().unwrap();
    assert!(results.iter().any(|result| result["ruleId"] == "GG-ENV-012" && result["level"] == "error"), "{sarif}");
}

#[test]
fn two_files_are_compared_without_showing_their_secrets() {
    let home = tempfile::tempdir().unwrap();
    put(home.path(), "a", "TAG=1.1\nSECRET_KEY=hunter2\nPOSTGRES_PASSWORD=hunter3\nAPP_PORT=3000\n");
    put(home.path(), "b", "export TAG=\"1.2\" # new\nSECRET_KEY='hunter2'\nPOSTGRES_PASSWORD=hunter4\nAPP_PORT=3000\n");
    let done = run(home.path(), ["env", "diff", "a", "b"]);
    let expected = "~ POSTGRES_PASSWORD  differs\n  SECRET_KEY  equal\n~ TAG  `1.1` -> `1.2`\n";
    assert_eq!((done.status.code(), out(&done).as_str()), (Some(0), expected));
    let json = out(&run(home.path(), ["env", "diff", "a", "b", "--json"]));
    assert!(json.contains("\"differs\"") && !json.contains("hunter"), "{json}");
    put(home.path(), "c", "my password\n");
    let refused = run(home.path(), ["env", "diff", "a", "c"]);
    let said = format!("{}{}", out(&refused), refused.stderr);
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains("GG-ENV-051") && !said.contains("password\n"), "{said}");
}

#[test]
fn a_migration_keeps_what_the_operator_wrote_and_runs_twice() {
    let home = tempfile::tempdir().unwrap();
    let template = base::template::render(&base::envfile::Values::default()).unwrap();
    put(home.path(), "old.example", &template.replace("# host port for", "# older words for").replace("3000", "8000"));
    let mine = "# ours\nSECRET_KEY='hunter2'\n\n# older words for Git over SSH, shown in clone addresses\nSSH_PORT=22 # see ticket\n";
    put(home.path(), ".env", mine);
    let dry = run(home.path(), ["env", "migrate", "--from", "old.example", "--dry-run"]);
    assert_eq!(
        (dry.status.code(), std::fs::read_to_string(home.path().join(".env")).unwrap().as_str()),
        (Some(0), mine)
    );
    let done = run(home.path(), ["env", "migrate", "--from", "old.example"]);
    assert_eq!(done.status.code(), Some(0), "{}", done.stderr);
    assert_eq!((out(&done), out(&dry)), ("updated   SSH_PORT\n".to_owned(), "updated   SSH_PORT\n".to_owned()));
    let now = std::fs::read_to_string(home.path().join(".env")).unwrap();
    assert_eq!(now, mine.replace("# older words for", "# host port for"));
    assert_eq!(std::fs::read_to_string(home.path().join(".env.before")).unwrap(), mine);
    assert_eq!(std::fs::metadata(home.path().join(".env.before")).unwrap().permissions().mode() & 0o777, 0o600);
    put(home.path(), "new.example", &template);
    let again = run(home.path(), ["env", "migrate", "--from", "new.example", "--json"]);
    assert!(out(&again).contains("\"changed\": false") && !out(&again).contains("hunter2"), "{}", out(&again));
}

#[test]
fn an_address_is_refused_without_its_tail() {
    let home = tempfile::tempdir().unwrap();
    let done = run(home.path(), ["env", "init", "--site-url", "https://h/hunter2"]);
    let said = format!("{}{}", out(&done), done.stderr);
    assert_eq!(done.status.code(), Some(2), "{said}");
    assert!(said.contains("it goes on after the host") && !said.contains("hunter2"), "{said}");
}

#[test]
fn a_comparison_of_files_that_do_not_read_says_all_findings_as_json() {
    let home = tempfile::tempdir().unwrap();
    put(home.path(), "a", "TAG=1\nmy password\n");
    put(home.path(), "b", "TAG='1\n");
    let done = run(home.path(), ["env", "diff", "a", "b", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&out(&done)).unwrap();
    let found: Vec<_> = report["findings"].as_array().unwrap().iter().map(|found| &found["id"]).collect();
    assert_eq!((done.status.code(), found.len()), (Some(3), 4), "{}", out(&done));
    let done = run(home.path(), ["env", "check", "a", "--json", "--report", "sarif"]);
    assert_eq!(done.status.code(), Some(2), "{}", out(&done));
}

#[test]
fn a_pipe_is_refused_at_once() {
    let home = tempfile::tempdir().unwrap();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, home.path().join(".env"), mode).unwrap();
    let done = run(home.path(), ["env", "check"]);
    assert_eq!(done.status.code(), Some(3));
    assert!(out(&done).starts_with("error    GG-ENV-001  .env: is not a regular file\n"), "{}", out(&done));
    put(home.path(), "old.example", "#TAG=\n");
    assert_eq!(run(home.path(), ["env", "migrate", "--from", "old.example"]).status.code(), Some(1));
}

#[test]
fn a_migration_keeps_links_owners_and_earlier_states() {
    use std::os::unix::fs::MetadataExt;
    let home = tempfile::tempdir().unwrap();
    let real = home.path().join("real.env");
    put(home.path(), "real.env", "TAG=1\n#GONE=\n");
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).unwrap();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&real, Some(1000), Some(1000)).unwrap();
    }
    std::os::unix::fs::symlink("real.env", home.path().join(".env")).unwrap();
    put(home.path(), "real.env.before", "precious\n");
    put(home.path(), "old.example", "#TAG=\n#GONE=\n");
    put(home.path(), "new.example", "#TAG=\n");
    let facts = |name: &str| {
        let facts = std::fs::symlink_metadata(home.path().join(name)).unwrap();
        (facts.mode(), facts.uid(), facts.gid())
    };
    let before = facts("real.env");
    let done = run(home.path(), ["env", "migrate", "--from", "old.example", "--to", "new.example"]);
    assert_eq!((done.status.code(), out(&done).as_str()), (Some(0), "removed   GONE\n"), "{}", done.stderr);
    let read = |name: &str| std::fs::read_to_string(home.path().join(name)).unwrap();
    assert_eq!((read("real.env").as_str(), facts("real.env")), ("TAG=1\n", before));
    assert_eq!((read("real.env.before.2").as_str(), facts("real.env.before.2")), ("TAG=1\n#GONE=\n", before));
    assert_eq!(read("real.env.before"), "precious\n");
    assert!(home.path().join(".env").is_symlink());
    put(home.path(), "real.env", "my password\n");
    let done = run(home.path(), ["env", "migrate", "--from", "old.example"]);
    assert_eq!(done.status.code(), Some(3), "{}", done.stderr);
}

#[test]
fn a_kill_at_any_point_leaves_a_whole_file_and_a_second_run_ends_well() {
    let killed = |home: &std::path::Path, arguments: &[&str], place: &str| {
        let program = Program::new(binary().to_str().unwrap()).options(arguments).env("HOME", home);
        let done = program.env("GITGRIT_FAULT", place).directory(home).run(b"").unwrap();
        assert_eq!(done.status.code(), None, "{place}: {}", done.stderr);
    };
    for (place, is_there) in [("file:new", false), ("env:init:written", true)] {
        let home = tempfile::tempdir().unwrap();
        let init = ["env", "init", "--site-url", "https://forge.acme.internal"];
        killed(home.path(), &init, place);
        assert_eq!(home.path().join(".env").exists(), is_there, "{place}");
        let again = run(home.path(), init).status.code();
        assert_eq!(again, Some(i32::from(is_there)), "{place}");
        assert_eq!(run(home.path(), ["env", "check", "--strict"]).status.code(), Some(0), "{place}");
    }
    let (mine, merged) = ("SECRET_KEY=hunter2\n#GONE=\n", "SECRET_KEY=hunter2\n");
    for (place, expected) in
        [("file:new", mine), ("env:migrate:kept", mine), ("file:replace", mine), ("env:migrate:written", merged)]
    {
        let home = tempfile::tempdir().unwrap();
        put(home.path(), ".env", mine);
        put(home.path(), "old.example", "#GONE=\n#SECRET_KEY=\n");
        put(home.path(), "new.example", "#SECRET_KEY=\n");
        let migrate = ["env", "migrate", "--from", "old.example", "--to", "new.example"];
        killed(home.path(), &migrate, place);
        let now = || std::fs::read_to_string(home.path().join(".env")).unwrap();
        assert_eq!(now(), expected, "{place}");
        assert_eq!(run(home.path(), migrate).status.code(), Some(0), "{place}");
        assert_eq!(now(), merged, "{place}");
        // Whatever else a kill leaves is for the owner alone.
        for entry in std::fs::read_dir(home.path()).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{place}: {:?}", entry.path());
        }
    }
}

#[test]
fn a_finding_is_explained_offline() {
    let done = Run::new(["explain", "gg-env-007"]).finished();
    assert_eq!(done.status.code(), Some(0));
    assert!(out(&done).starts_with("GG-ENV-007\n\n  the value is not exactly `True` or `False`\n"), "{}", out(&done));
    let done = Run::new(["explain", "GG-ENV-0077"]).finished();
    assert_eq!(done.status.code(), Some(2));
    assert!(done.stderr.contains("the nearest is GG-ENV-007"), "{}", done.stderr);
    // What a bundle is refused for, too.
    let said = out(&Run::new(["explain", "gg-bundle-017"]).finished());
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[..3], ["GG-BUNDLE-017", "", "  a frame is damaged"], "{said}");
    assert!(lines[3].starts_with("  why: ") && lines[4].starts_with("  fix: copy it again"), "{said}");
    assert_eq!(lines[5], "  manual: docs/refusals.md#gg-bundle-017");
    let done = Run::new(["explain", "GG-BUNDLE-999"]).finished();
    assert!(done.status.code() == Some(2) && done.stderr.contains("docs/refusals.md"), "{}", done.stderr);
}

#[test]
fn a_gibibyte_is_a_finding_at_once() {
    let home = tempfile::tempdir().unwrap();
    std::fs::File::create(home.path().join(".env")).unwrap().set_len(1 << 30).unwrap();
    let begun = std::time::Instant::now();
    let done = run(home.path(), ["env", "check"]);
    assert_eq!(done.status.code(), Some(3));
    assert!(out(&done).starts_with("error    GG-ENV-050  "), "{}", out(&done));
    assert!(begun.elapsed().as_secs() < 60);
}

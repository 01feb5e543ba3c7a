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
    assert_eq!(ids, ["GG-ENV-015", "GG-ENV-016", "GG-ENV-007", "GG-ENV-020"]);
}

#[test]
fn a_file_that_is_not_there_is_said_to_be_so() {
    let done = Run::new(["env", "check", "none.env"]).finished();
    assert_eq!(done.status.code(), Some(3));
    assert!(out(&done).starts_with("error    GG-ENV-001  none.env: not a readable text file\n"), "{}", out(&done));
}

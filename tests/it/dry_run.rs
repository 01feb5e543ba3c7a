//! `--dry-run` on verbs that change a host: it says what would be done, and nothing is done.

use crate::site::{Ground, Site, out};
use crate::snapshot::Run;

#[test]
fn a_server_keeps_running_while_its_end_is_only_talked_about() {
    let site = Site::start();
    let pid = site.serving().pid;
    for (verb, said) in [
        ("down", format!("would stop process {pid}\n")),
        ("restart", format!("would stop process {pid}\nwould start the server in the background\n")),
        ("up", format!("the server runs already (process {pid})\n")),
    ] {
        let done = site.program().options([verb, "--dry-run"]).run(b"").unwrap();
        assert_eq!((done.status.code(), done.stderr), (Some(0), said), "{verb}");
    }
    assert!(site.is_serving());
    site.stop();
    let done = site.program().options(["up", "--dry-run"]).run(b"").unwrap();
    assert_eq!(done.stderr, "would start the server in the background\n");
    assert!(!site.is_serving());
}

#[test]
fn settings_are_not_written_while_they_are_only_talked_about() {
    let ground = Ground::new();
    let done = ground.program().options(["env", "init", "--dry-run"]).run(b"").unwrap();
    let said = "would write .env with a new SECRET_KEY, GITGRIT_ENCRYPTION_KEY, POSTGRES_PASSWORD\n";
    assert_eq!((done.stderr.as_str(), out(&done).as_str()), (said, ""));
    assert!(!ground.home().join(".env").exists());
}

/// The seeds' lines stay as they are up to the migrations.
#[test]
fn setup_lists_its_migrations_without_running_them() {
    let home = tempfile::tempdir().unwrap();
    let ca = home.path().join("ca.pem");
    let authority = crate::gitlab_stub::Authorities::new("operator");
    base::file::write_atomic(&ca, authority.root_pem().as_bytes(), 0o644).unwrap();
    let site = home.path().join("site");
    let run = Run::new(["setup", "--dry-run", "--site-dir", site.to_str().unwrap()])
        .env("SITE_URL", "https://gitgrit.acme.internal")
        .env("GITGRIT_CUSTOM_CA_FILE_PATH", ca.to_str().unwrap())
        .env("SECRET_KEY", &"x7".repeat(30))
        .env("GITGRIT_ENCRYPTION_KEY", "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=");
    let done = run.finished();
    let lines: Vec<_> = out(&done).lines().skip(2).map(str::to_owned).collect();
    let expected = [
        "Migrations that would run:",
        "  would apply 0001 first light",
        "  would apply 0002 audit log",
        "  would apply 0003 access",
        "  would apply 0004 jobs",
        "  would apply 0005 push rules",
        "  would apply 0006 large files",
        "  would apply 0007 second factor",
        "  would apply 0008 commit statuses",
        "Nothing was changed.",
    ];
    assert_eq!(lines, expected);
    assert!(!site.exists());
}

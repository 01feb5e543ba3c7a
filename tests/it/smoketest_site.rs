//! `smoketest --site` on a site that really runs, and on sites that are broken in one way each.

use base::process::Finished;

use crate::site::{Site, out};
use crate::snapshot::Run;

/// Another key than any site was written with.
const OTHER_KEY: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";

fn smoke(site: &Site) -> Finished {
    site.program().options(["smoketest", "--site", "--site-dir"]).option(site.dir().root()).run(b"").unwrap()
}

#[test]
fn a_running_site_gives_its_users_everything() {
    let site = Site::start();
    let done = smoke(&site);
    let text = out(&done);
    assert_eq!((done.status.code(), done.stderr.as_str()), (Some(0), ""), "{text}");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("OK    the TLS chain of https://") && lines[0].ends_with("data/tls/ca.pem"), "{text}");
    assert!(lines[1].starts_with("OK    https://") && lines[1].ends_with("/sign-in shows the sign-in form"), "{text}");
    assert_eq!(
        lines[2..],
        [
            "OK    the database answers",
            "OK    GITGRIT_ENCRYPTION_KEY encrypts, decrypts, and reads what the site was begun with",
            "OK    clone over HTTPS works",
            "OK    push over HTTPS works",
            "OK    clone over SSH works",
            "OK    push over SSH works",
            "airgap_smoketest PASSED",
        ]
    );
    let left = site.dir().repositories();
    let directories = std::fs::read_dir(&left).unwrap().flatten().filter(|entry| entry.path().is_dir());
    let repositories = directories.flat_map(|fan| std::fs::read_dir(fan.path()).unwrap().flatten());
    let named: Vec<_> = repositories.map(|entry| entry.file_name()).collect();
    assert!(!named.iter().any(|name| name.to_string_lossy().ends_with(".git")), "left behind: {named:?}");
}

#[test]
fn another_encryption_key_is_exit_12_and_touches_nothing() {
    let site = Site::start_on_file();
    let database = || std::fs::read(site.dir().database()).unwrap();
    let before = database();
    let done = site
        .program()
        .env("GITGRIT_ENCRYPTION_KEY", OTHER_KEY)
        .options(["smoketest", "--site", "--site-dir"])
        .option(site.dir().root())
        .run(b"")
        .unwrap();
    let text = out(&done);
    assert_eq!(done.status.code(), Some(12), "{text}");
    assert!(
        text.contains("FAIL  GITGRIT_ENCRYPTION_KEY is not the key that this site's data was written with\n"),
        "{text}"
    );
    assert!(before == database(), "the database was written to");
}

#[test]
fn a_stopped_site_is_named_by_its_address() {
    let site = Site::start();
    site.stop();
    let done = smoke(&site);
    let text = out(&done);
    assert_eq!(done.status.code(), Some(1), "{text}");
    assert!(text.lines().next().unwrap().starts_with("FAIL  could not connect to https://"), "{text}");
    assert!(text.ends_with("airgap_smoketest FAILED — see lines marked FAIL above.\n"), "{text}");
}

#[test]
fn where_no_site_is_there_is_nothing_to_test() {
    let done = Run::new(["smoketest", "--site", "--site-dir", "nowhere"]).finished();
    assert_eq!(done.status.code(), Some(10), "{}", done.stderr);
    assert!(done.stderr.contains("no site is installed in"), "{}", done.stderr);
}

/// What an installation writes must please the check that judges it.
#[test]
fn a_fresh_sites_own_settings_and_authority_pass_their_checks() {
    let site = Site::start();
    let env = site.program().options(["env", "check", "--lab"]).option(site.dir().env()).run(b"").unwrap();
    assert_eq!(env.status.code(), Some(0), "{}", out(&env));
    let ca = site.program().options(["ca", "check", "--strict"]).option(site.ca_file()).run(b"").unwrap();
    assert_eq!(ca.status.code(), Some(0), "{}", out(&ca));
}

/// A check that made an empty database would also call it a good one.
#[test]
fn a_lost_database_is_named_and_not_made_anew() {
    let site = Site::start_on_file();
    site.stop();
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", site.dir().database().display()));
    }
    let done = smoke(&site);
    let text = out(&done);
    assert_eq!(done.status.code(), Some(1), "{text}");
    assert!(text.contains("FAIL  there is no database `") && !site.dir().database().exists(), "{text}");
    base::file::create_dir(&site.dir().repositories().join("01/1.git"), 0o700).unwrap();
    let up = site.program().option("up").option(site.dir().root()).run(b"").unwrap();
    assert_eq!(up.status.code(), Some(1), "{}", up.stderr);
    assert!(
        up.stderr.contains("`data/gitgrit.sqlite` is not there") && !site.dir().database().exists(),
        "{}",
        up.stderr
    );
}

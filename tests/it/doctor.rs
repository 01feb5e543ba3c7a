//! `doctor` on a live site: fine while nothing is wrong, and each thing that is broken here for real is named; `--fix` mends what
//! is safe, says so first, and finds nothing to do the second time.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::time::Duration;

use base::process::{Finished, Program};
use rustix::process::{Pid, Signal, kill_process};

use crate::gitlab_stub::Authorities;
use crate::require;
use crate::site::{ADMIN, PASSWORD, Site, binary, out};
use crate::stage::{Said, Stage};

/// A site, where a test may hide this host's resolver from the checks.
fn site() -> Option<Site> {
    Stage::is_possible().then(Site::start_on_file)
}

/// Runs `doctor` with a resolver that is nobody's, so that no question leaves this host.
fn doctor(site: &Site, options: &[&str]) -> Finished {
    let resolver = site.home().join("resolv.conf");
    fs::write(&resolver, "nameserver 127.0.0.1\n").unwrap();
    Program::new("unshare")
        .options(["--mount", "sh", "-c", "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\""])
        .option(&resolver)
        .option(binary())
        .options(["doctor"])
        .option(site.dir().root())
        .options(["--lab"])
        .options(options)
        .env("HOME", site.home())
        .env("TMPDIR", site.home())
        .directory(site.home())
        .env("DOCKER_HOST", "unix:///nonexistent/docker.sock")
        .run(b"")
        .unwrap()
}

fn said(site: &Site) -> Said {
    let done = doctor(site, &["--json"]);
    Said(serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", out(&done), done.stderr)))
}

/// Changes the site's database behind its back, as somebody with a shell on the host could; `tamper.py` knows how.
fn tampers(site: &Site, what: &str) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/tamper.py");
    let done = Program::new("python3").option(script).option(site.dir().database()).option(what).run(b"").unwrap();
    assert!(done.status.success(), "{}", done.stderr);
}

fn signal(site: &Site, signal: Signal) {
    kill_process(Pid::from_raw(site.serving().pid).unwrap(), signal).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The only directory of a repository on disk.
fn a_repository(site: &Site) -> std::path::PathBuf {
    let shelves = fs::read_dir(site.dir().repositories()).unwrap().flatten().filter(|shelf| shelf.path().is_dir());
    let mut all = shelves.flat_map(|shelf| fs::read_dir(shelf.path()).unwrap().flatten()).map(|entry| entry.path());
    all.find(|path| path.extension().is_some_and(|extension| extension == "git")).unwrap()
}

#[test]
fn a_healthy_site_has_nothing_wrong_and_nothing_to_mend() {
    let Some(site) = site() else { return };
    site.sign_in(ADMIN, PASSWORD).make_repository("plans", "private");
    let report = said(&site);
    let checks = report.0["checks"].as_array().unwrap();
    let own: Vec<_> = checks.iter().filter(|one| one["check"].as_str().unwrap().starts_with("GG-DOCTOR-")).collect();
    assert_eq!(own.len(), 27);
    let wrong: Vec<_> = own.iter().filter(|one| one["outcome"] != "ok").collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    // What the live site stands on is looked at as well: its chain, as each TLS stack judges it, and its settings.
    report.holds(&[("GG-CONF-004", "ok", "accepts"), ("GG-HOST-022", "ok", ""), ("GG-NET-020", "ok", "localhost")]);
    let fixed = doctor(&site, &["--fix"]);
    assert!(fixed.stderr.contains("there is nothing to mend"), "{}", fixed.stderr);
}

#[test]
fn what_is_safe_to_mend_is_said_done_and_done_once() {
    let Some(site) = site() else { return };
    site.sign_in(ADMIN, PASSWORD).make_repository("plans", "private");
    let dir = site.dir();
    let repository = a_repository(&site);
    set_mode(&dir.env(), 0o644);
    set_mode(&dir.server_key(), 0o640);
    // What killed processes leave: a quarantine that nobody holds, a lock of a ref, a removal that was cut short, and an
    // unfinished pack of yesterday.
    let quarantine = repository.join("objects/tmp_objdir-incoming-Ab3dEf");
    fs::create_dir(&quarantine).unwrap();
    fs::write(quarantine.join("lock"), "").unwrap();
    let lock = repository.join("HEAD.lock");
    fs::write(&lock, "").unwrap();
    let gone = repository.with_file_name(".gone-77");
    fs::create_dir(&gone).unwrap();
    fs::create_dir_all(repository.join("objects/pack")).unwrap();
    let pack = repository.join("objects/pack/tmp_pack_x");
    let file = fs::File::create(&pack).unwrap();
    file.set_modified(file.metadata().unwrap().modified().unwrap() - Duration::from_hours(30)).unwrap();

    said(&site).holds(&[
        ("GG-DOCTOR-020", "error", ".env: has mode 0644, not 0600"),
        ("GG-DOCTOR-020", "error", "server.key: has mode 0640, not 0600"),
        ("GG-DOCTOR-023", "warning", "4 files and directories lie about"),
    ]);
    let left = [&quarantine, &lock, &gone, &pack];
    let planned = doctor(&site, &["--fix", "--dry-run"]);
    assert!(planned.status.success() && out(&planned).is_empty());
    assert!(planned.stderr.contains("would set the mode of"), "{}", planned.stderr);
    for path in left {
        assert!(planned.stderr.contains(path.to_str().unwrap()) && path.exists(), "{}", planned.stderr);
    }
    let planned: Vec<String> =
        serde_json::from_slice(&doctor(&site, &["--fix", "--dry-run", "--json"]).stdout).unwrap();
    assert_eq!(planned.len(), 3, "{planned:?}");
    assert_eq!(mode(&dir.env()), 0o644);

    let done = doctor(&site, &["--fix", "--json"]);
    assert!(done.stderr.contains("will remove what killed processes left"), "{}", done.stderr);
    assert_eq!((mode(&dir.env()), mode(&dir.server_key())), (0o600, 0o600));
    for path in left {
        assert!(!path.exists(), "{}", path.display());
    }
    let after = Said(serde_json::from_slice(&done.stdout).unwrap());
    after.holds(&[("GG-DOCTOR-020", "ok", ""), ("GG-DOCTOR-023", "ok", "")]);
    assert!(doctor(&site, &["--fix"]).stderr.contains("there is nothing to mend"));
}

#[test]
fn a_server_that_hangs_or_was_killed_is_named() {
    let Some(site) = site() else { return };
    let note = fs::read_to_string(site.dir().serve_lock()).unwrap();
    signal(&site, Signal::STOP);
    let hanging = said(&site);
    signal(&site, Signal::CONT);
    hanging.holds(&[
        ("GG-DOCTOR-001", "ok", "runs as process"),
        ("GG-DOCTOR-004", "error", "/healthz: "),
        ("GG-DOCTOR-005", "error", "/readyz: "),
        ("GG-DOCTOR-006", "error", "does not greet"),
    ]);
    // Another program has been put in place since the server began.
    fs::write(site.dir().serve_lock(), note.replace(env!("CARGO_PKG_VERSION"), "0.0.1")).unwrap();
    said(&site).holds(&[("GG-DOCTOR-003", "warning", "is 0.0.1, and this program is")]);
    fs::write(site.dir().serve_lock(), &note).unwrap();

    fs::write(site.dir().serve_lock(), "").unwrap();
    said(&site).holds(&[("GG-DOCTOR-001", "warning", "does not say where it answers")]);
    fs::write(site.dir().serve_lock(), &note).unwrap();

    signal(&site, Signal::KILL);
    require::until(30, "the end of the killed server", || (!site.is_serving()).then_some(()));
    said(&site).holds(&[
        ("GG-DOCTOR-001", "error", "does not run"),
        ("GG-DOCTOR-002", "warning", "was left by a server that was killed"),
        ("GG-DOCTOR-004", "unknown", "the server does not run"),
        ("GG-CONF-004", "error", "no connection"),
    ]);
    let fixed = doctor(&site, &["--fix"]);
    assert!(fixed.stderr.contains("will empty") && fixed.status.code() == Some(3), "{}", fixed.stderr);
    said(&site).holds(&[("GG-DOCTOR-002", "ok", "")]);
    let up = site.program().option("up").option(site.dir().root()).run(b"").unwrap();
    assert!(up.status.success(), "{}", up.stderr);
}

/// The site's user owns `state`, and root may run this.
#[test]
fn a_link_in_place_of_the_servers_note_is_named_and_not_followed() {
    let Some(site) = site() else { return };
    site.stop();
    let (target, lock) = (site.home().join("precious"), site.dir().serve_lock());
    fs::write(&target, "precious").unwrap();
    fs::remove_file(&lock).unwrap();
    std::os::unix::fs::symlink(&target, &lock).unwrap();
    let fixed = doctor(&site, &["--fix"]);
    assert!(!fixed.stderr.contains("will empty"), "{}", fixed.stderr);
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    said(&site).holds(&[("GG-DOCTOR-002", "error", "somebody put it there")]);
    // A pipe is not waited for.
    fs::remove_file(&lock).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, &lock, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
    said(&site).holds(&[("GG-DOCTOR-002", "error", "somebody put it there")]);
}

#[test]
fn a_look_makes_nothing_among_the_repositories_and_a_sweep_leaves_locks_to_their_owner() {
    let Some(site) = site() else { return };
    site.sign_in(ADMIN, PASSWORD).make_repository("plans", "private");
    site.stop();
    let repository = a_repository(&site);
    let (own, left) = (repository.join("gitgrit-refs.lock"), repository.join("HEAD.lock"));
    let _ = fs::remove_file(&own);
    said(&site).holds(&[("GG-DOCTOR-023", "ok", "")]);
    assert!(!own.exists(), "a look made a lock");
    fs::write(&left, "").unwrap();
    chown(&repository, Some(65534), Some(65534)).unwrap();
    assert!(doctor(&site, &["--fix"]).stderr.contains("will remove"));
    let facts = fs::metadata(&own).unwrap();
    assert!(!left.exists());
    assert_eq!((facts.uid(), facts.gid()), (65534, 65534));
}

#[test]
fn secrets_of_another_user_are_his_to_close() {
    let Some(site) = site() else { return };
    let dir = site.dir();
    // As an administrator hands settings to a service of its own user.
    chown(dir.data(), Some(65534), Some(65534)).unwrap();
    chown(dir.env(), Some(0), Some(65534)).unwrap();
    set_mode(&dir.env(), 0o640);
    doctor(&site, &["--fix"]);
    assert_eq!(mode(&dir.env()), 0o640);
    let found = said(&site).of("GG-DOCTOR-020");
    assert!(found.iter().all(|(_, subject, _)| !subject.contains(".env")), "{found:?}");
    set_mode(&dir.env(), 0o644);
    let fixed = doctor(&site, &["--fix"]);
    assert!(!fixed.stderr.contains(".env to"), "{}", fixed.stderr);
    assert_eq!(mode(&dir.env()), 0o644);
    said(&site).holds(&[("GG-DOCTOR-020", "error", ".env: has mode 0644, not 0600, and belongs to user 0")]);
}

#[test]
fn one_repository_that_is_broken_hides_no_other_and_a_lost_key_of_the_authority_is_named() {
    let Some(site) = site() else { return };
    let visitor = site.sign_in(ADMIN, PASSWORD);
    visitor.make_repository("plans", "private");
    let broken = a_repository(&site);
    fs::rename(broken.join("objects"), broken.join("elsewhere")).unwrap();
    let gone = broken.with_file_name(".gone-77");
    fs::create_dir(&gone).unwrap();
    said(&site).holds(&[
        ("GG-DOCTOR-023", "warning", ".gone-77"),
        ("GG-DOCTOR-027", "error", broken.to_str().unwrap()),
        ("GG-DOCTOR-026", "ok", ""),
    ]);
    fs::remove_file(site.dir().ca_key()).unwrap();
    fs::write(site.dir().ssh().join("README"), "not a key").unwrap();
    said(&site).holds(&[("GG-DOCTOR-026", "error", "ca.key"), ("GG-DOCTOR-004", "ok", "answers")]);
}

#[test]
fn files_that_are_wrong_or_missing_are_named() {
    let Some(site) = site() else { return };
    let dir = site.dir();
    let authorities = Authorities::new("Other Root");
    // Another certificate than the server's own, without its key, and years past its end.
    base::file::write_atomic(
        &dir.server_certificate(),
        authorities.leaf_between(2020, 2024).leaf_pem().as_bytes(),
        0o644,
    )
    .unwrap();
    fs::rename(dir.ssh(), dir.data().join("ssh-elsewhere")).unwrap();
    chown(dir.env(), Some(65534), None).unwrap();
    base::file::write_atomic(&dir.initial_password(), b"olga:secret", 0o600).unwrap();
    fs::File::options().write(true).open(dir.serve_log()).unwrap().set_len(2 << 30).unwrap();
    said(&site).holds(&[
        ("GG-DOCTOR-007", "error", "is another than the one on disk"),
        ("GG-DOCTOR-008", "error", "ended "),
        ("GG-DOCTOR-009", "error", "does not belong to the certificate"),
        ("GG-DOCTOR-021", "error", "belongs to another user than data"),
        ("GG-DOCTOR-022", "error", "holds no host key"),
        ("GG-DOCTOR-024", "warning", "is still there"),
        ("GG-DOCTOR-025", "warning", "has 2048 MiB"),
    ]);
}

#[test]
fn data_that_was_changed_behind_the_sites_back_is_named() {
    if !require::has("python3", require::program("python3").map(drop)) {
        return;
    }
    let Some(site) = site() else { return };
    site.sign_in(ADMIN, PASSWORD).make_repository("plans", "private");
    let repository = a_repository(&site);
    site.stop();
    fs::rename(&repository, repository.with_file_name("999999.git")).unwrap();
    for what in ["jobs", "audit", "owners"] {
        tampers(&site, what);
    }
    let report = said(&site);
    report.holds(&[
        ("GG-DOCTOR-011", "ok", "opens"),
        ("GG-DOCTOR-014", "error", "a row of repos names one of owners that is not there"),
        ("GG-DOCTOR-015", "error", "record 2 is not as it was written"),
        ("GG-DOCTOR-016", "warning", "were given up: tidy dead"),
        ("GG-DOCTOR-017", "warning", "overdue"),
        ("GG-DOCTOR-019", "warning", "999999.git"),
    ]);
    tampers(&site, "numbers");
    said(&site).holds(&[("GG-DOCTOR-018", "error", "are not on disk")]);
    tampers(&site, "canary");
    said(&site).holds(&[("GG-DOCTOR-013", "unknown", "holds nothing yet")]);
    tampers(&site, "schema");
    said(&site).holds(&[("GG-DOCTOR-012", "warning", "1 are due"), ("GG-DOCTOR-014", "unknown", "migrations are due")]);
}

#[test]
fn a_key_or_settings_that_do_not_fit_are_named_and_a_lost_database_is_not_made_anew() {
    let Some(site) = site() else { return };
    site.stop();
    let dir = site.dir();
    let settings = fs::read_to_string(dir.env()).unwrap();
    let own = base::envfile::read(&dir.env()).unwrap().get("GITGRIT_ENCRYPTION_KEY").unwrap().to_owned();
    let other = settings.replace(&own, "012345678901234567890123456789012345678901A=");
    base::file::write_atomic(&dir.env(), other.as_bytes(), 0o600).unwrap();
    said(&site).holds(&[("GG-DOCTOR-013", "error", "is not the one that the data was begun with")]);
    base::file::write_atomic(&dir.env(), settings.as_bytes(), 0o600).unwrap();

    fs::rename(dir.database(), dir.data().join("elsewhere")).unwrap();
    said(&site).holds(&[("GG-DOCTOR-011", "error", "there is no database")]);
    assert!(!dir.database().exists());

    base::file::write_atomic(&dir.env(), format!("{settings}\nSITE_URL=ftp://x\n").as_bytes(), 0o600).unwrap();
    said(&site)
        .holds(&[("GG-DOCTOR-010", "error", "SITE_URL"), ("GG-DOCTOR-011", "error", "the settings are not read")]);
    let nowhere = site.program().options(["doctor", "/nonexistent"]).run(b"").unwrap();
    assert_eq!(nowhere.status.code(), Some(10));
}

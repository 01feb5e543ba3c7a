//! Installations in a scratch directory with a forge that only counts: whole, again, cut off at every step, with what
//! operators leave behind.

use std::cell::{Cell, RefCell};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use base::clock::FixedClock;
use base::url::BaseUrl;
use vault::authority::read_served;

use base::clock::Timestamp;
use base::envfile::Values;
use base::file::{FileError, write_atomic};
use base::site::SiteDir;
use base::{Clock, Secret};
use vault::authority::Authority;

use crate::apply::{Administrator, HookError, Hooks, Operation, Outcome};
use crate::error::InstallError;
use crate::facts::{is_installed, look, refuse_foreign};
use crate::plan::{Action, Plan, Planned, Request, Step, plan};
use crate::running::{Listen, Serving};

/// 2026-11-21T00:00:00Z.
const NOW: Timestamp = Timestamp(1_795_219_200_000_000);
const DAY: i64 = 86_400;

/// A forge that keeps its database in an empty file and its administrators in memory.
struct Forge {
    site: SiteDir,
    administrators: RefCell<Vec<(String, String)>>,
    starts: Cell<u32>,
    told: RefCell<Vec<Step>>,
    /// The step whose hook fails, once.
    fails_at: Cell<Option<Step>>,
}

impl Forge {
    fn fail(&self, step: Step) -> Result<(), HookError> {
        if self.fails_at.get() == Some(step) {
            self.fails_at.set(None);
            return Err("the disk is full".into());
        }
        Ok(())
    }
}

impl Hooks for Forge {
    fn migrate(&self) -> Result<(), HookError> {
        self.fail(Step::Database)?;
        if !self.site.database().exists() {
            write_atomic(&self.site.database(), b"", 0o600)?;
        }
        Ok(())
    }

    fn has_administrator(&self) -> Result<bool, HookError> {
        Ok(!self.administrators.borrow().is_empty())
    }

    fn make_administrator(&self, name: &str, password: &Secret<String>) -> Result<(), HookError> {
        self.fail(Step::Administrator)?;
        self.administrators.borrow_mut().push((name.into(), password.expose().clone()));
        Ok(())
    }

    fn start(&self) -> Result<Serving, HookError> {
        self.fail(Step::Serve)?;
        self.starts.set(self.starts.get() + 1);
        let listen = request().listen;
        Ok(Serving { pid: 1, http: listen.http, ssh: listen.ssh, version: "0".into() })
    }

    fn smoketest(&self) -> Result<bool, HookError> {
        self.fail(Step::Smoketest)?;
        Ok(true)
    }

    fn tell(&self, planned: &Planned) {
        self.told.borrow_mut().push(planned.step);
    }
}

struct Ground {
    directory: tempfile::TempDir,
    forge: Forge,
    clock: FixedClock,
}

impl Ground {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let site = SiteDir::new(directory.path().join("site"));
        let forge = Forge {
            site,
            administrators: RefCell::default(),
            starts: Cell::default(),
            told: RefCell::default(),
            fails_at: Cell::default(),
        };
        Self { directory, forge, clock: FixedClock::new(NOW) }
    }

    fn site(&self) -> &SiteDir {
        &self.forge.site
    }

    fn plan(&self, request: &Request) -> Result<Plan, InstallError> {
        plan(request, &look(self.site())?, self.clock.now())
    }

    /// Runs up to `steps` steps, as if killed then; a whole run is finished.
    fn run(&self, request: &Request, steps: usize) -> Result<Outcome, InstallError> {
        self.forge.told.borrow_mut().clear();
        let mut operation = Operation::begin(self.site(), &self.clock)?;
        let mut plan = self.plan(request)?;
        plan.steps.truncate(steps);
        let outcome = operation.apply(&plan, request, &self.forge)?;
        if steps >= Step::ALL.len() {
            operation.finish()?;
        }
        Ok(outcome)
    }

    fn install(&self) -> Outcome {
        self.run(&request(), Step::ALL.len()).unwrap()
    }

    /// What must be the same after any number of further runs.
    fn identity(&self) -> [String; 5] {
        let site = self.site();
        [site.env(), site.ca_certificate(), site.ca_key(), site.server_certificate(), site.listen()]
            .map(|path| read(&path))
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn request() -> Request {
    Request {
        site_url: BaseUrl::parse("https://localhost:8828").unwrap(),
        listen: Listen { http: "127.0.0.1:8828".parse().unwrap(), ssh: "127.0.0.1:2525".parse().unwrap() },
        is_lab: true,
        administrator: "root".into(),
        password: None,
        values: Values::default(),
        is_foreground: false,
    }
}

/// Stands for a directory that only its owner may look into, which root always may: neither is simply absent.
#[test]
fn a_site_that_cannot_be_seen_is_not_a_missing_one() {
    let ground = Ground::new();
    assert!(!is_installed(ground.site()).unwrap());
    ground.install();
    assert!(is_installed(ground.site()).unwrap());
    let endless = ground.directory.path().join("endless");
    std::os::unix::fs::symlink(&endless, &endless).unwrap();
    assert!(matches!(is_installed(&SiteDir::new(endless)), Err(FileError::Read { .. })));
}

#[test]
fn a_second_operation_is_locked_out() {
    let ground = Ground::new();
    let _first = Operation::begin(ground.site(), &ground.clock).unwrap();
    let second = Operation::begin(ground.site(), &ground.clock);
    assert!(matches!(second, Err(InstallError::File(FileError::Locked { .. }))));
}

#[test]
fn a_directory_with_other_things_in_it_is_left_alone() {
    let ground = Ground::new();
    std::fs::create_dir(ground.site().root()).unwrap();
    write_atomic(&ground.site().root().join("thesis.tex"), b"", 0o600).unwrap();
    assert!(matches!(refuse_foreign(ground.site()), Err(InstallError::Foreign { .. })));
    // A project of somebody's own may have settings and data, too.
    write_atomic(&ground.site().env(), b"", 0o600).unwrap();
    std::fs::create_dir(ground.site().data()).unwrap();
    assert!(matches!(refuse_foreign(ground.site()), Err(InstallError::Foreign { .. })));
}

#[test]
fn data_without_the_key_that_wrote_it_is_not_given_a_new_one() {
    let ground = Ground::new();
    ground.install();
    std::fs::remove_file(ground.site().env()).unwrap();
    let error = ground.plan(&request()).unwrap_err();
    assert!(matches!(error, InstallError::SecretLost { name: "SECRET_KEY", .. }), "{error:?}");
    assert!(!ground.site().env().exists());
}

#[test]
fn an_authority_without_its_key_is_not_replaced() {
    let ground = Ground::new();
    ground.install();
    std::fs::remove_file(ground.site().ca_key()).unwrap();
    assert!(matches!(look(ground.site()), Err(InstallError::AuthorityKey { .. })));
}

#[test]
fn another_address_than_the_sites_own_is_refused() {
    let ground = Ground::new();
    ground.install();
    let other = Request { site_url: BaseUrl::parse("https://forge.acme.internal").unwrap(), ..request() };
    assert!(matches!(ground.plan(&other), Err(InstallError::SiteUrl { .. })));
}

#[test]
fn a_whole_installation_makes_a_site_that_reads_back() {
    let ground = Ground::new();
    let outcome = ground.install();
    let Administrator { name, password } = outcome.administrator.unwrap();
    assert_eq!(name, "root");
    assert_eq!(*ground.forge.administrators.borrow(), [("root".to_owned(), password.expose().clone())]);
    assert_eq!((password.expose().len(), outcome.has_passed), (20, Some(true)));
    assert_eq!(*ground.forge.told.borrow(), Step::ALL);
    let settings = crate::facts::settings(ground.site()).unwrap();
    assert!(settings.secret_key.expose().len() >= 50);
    vault::fernet::Key::parse(&settings.encryption_key).unwrap();
    assert_eq!((settings.site_url, settings.ssh_port), (request().site_url, 2525));
    for (path, mode) in [(ground.site().env(), 0o600), (ground.site().ca_key(), 0o600), (ground.site().data(), 0o700)] {
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode, "{}", path.display());
    }
    let served = read_served(&read(&ground.site().server_certificate())).unwrap();
    assert_eq!(served.names.iter().map(String::as_str).collect::<Vec<_>>(), ["127.0.0.1", "::1", "localhost"]);
    assert!(!ground.site().initial_password().exists());
}

#[test]
fn a_second_run_changes_nothing_and_shows_no_password() {
    let ground = Ground::new();
    ground.install();
    let before = ground.identity();
    // The real server would hold its lock; here the start is the one step that is due again.
    let steps = ground.plan(&request()).unwrap().steps;
    let made: Vec<_> =
        steps.iter().filter(|planned| planned.action == Action::Make).map(|planned| planned.step).collect();
    assert_eq!(made, [Step::Serve]);
    let outcome = ground.install();
    assert!(outcome.administrator.is_none());
    assert_eq!(ground.identity(), before);
    assert_eq!(ground.forge.administrators.borrow().len(), 1);
}

#[test]
fn cut_off_after_any_step_the_next_run_goes_on() {
    for steps in 0..Step::ALL.len() {
        let ground = Ground::new();
        ground.run(&request(), steps).unwrap();
        let before = ground.identity();
        let outcome = ground.install();
        for (before, after) in before.iter().zip(ground.identity()) {
            assert!(before.is_empty() || *before == after, "changed after {steps} steps");
        }
        let administrators = ground.forge.administrators.borrow();
        let password = outcome.administrator.unwrap().password.expose().clone();
        assert_eq!(*administrators, [("root".to_owned(), password)], "after {steps} steps");
    }
}

#[test]
fn a_failed_step_is_named_and_the_next_run_mends_it() {
    for step in [Step::Database, Step::Administrator, Step::Serve, Step::Smoketest] {
        let ground = Ground::new();
        ground.forge.fails_at.set(Some(step));
        let error = ground.run(&request(), Step::ALL.len()).unwrap_err();
        assert_eq!(error.to_string(), format!("the step `{step}` failed"));
        let operation = Operation::begin(ground.site(), &ground.clock).unwrap();
        assert_eq!(operation.stopped_at(), Some(step.name()));
        drop(operation);
        let password = ground.install().administrator.unwrap().password;
        assert_eq!(ground.forge.administrators.borrow()[0].1, *password.expose());
        assert_eq!(ground.forge.administrators.borrow().len(), 1);
    }
}

#[test]
fn keys_without_certificates_are_what_a_kill_leaves_and_are_replaced() {
    let ground = Ground::new();
    ground.run(&request(), 4).unwrap();
    std::fs::remove_file(ground.site().ca_certificate()).unwrap();
    std::fs::remove_file(ground.site().server_certificate()).unwrap();
    ground.install();
    let facts = look(ground.site()).unwrap();
    let certificate = facts.certificate.unwrap();
    assert!(facts.authority.is_some() && certificate.is_ours && certificate.is_paired);
}

#[test]
fn a_renewed_key_without_its_certificate_is_issued_again_by_the_same_authority() {
    let ground = Ground::new();
    ground.install();
    let authority = read(&ground.site().ca_certificate());
    let other = Authority::generate("other", NOW).unwrap().issue(&["localhost"], NOW).unwrap();
    write_atomic(&ground.site().server_key(), other.key_pem.expose().as_bytes(), 0o600).unwrap();
    ground.install();
    assert_eq!(read(&ground.site().ca_certificate()), authority);
    assert!(look(ground.site()).unwrap().certificate.unwrap().is_paired);
}

#[test]
fn a_certificate_near_its_end_is_renewed_and_one_of_the_operators_own_is_not() {
    let ground = Ground::new();
    ground.install();
    let authority = read(&ground.site().ca_certificate());
    let first = read(&ground.site().server_certificate());
    ground.clock.advance(367 * DAY - 1);
    ground.install();
    assert_eq!(read(&ground.site().server_certificate()), first);
    ground.clock.advance(DAY);
    ground.install();
    let second = read(&ground.site().server_certificate());
    assert_ne!(second, first);
    assert_eq!(read(&ground.site().ca_certificate()), authority);

    let own = Authority::generate("operator", NOW).unwrap().issue(&["localhost"], NOW).unwrap();
    write_atomic(&ground.site().server_certificate(), own.chain_pem.as_bytes(), 0o644).unwrap();
    assert!(matches!(ground.plan(&request()), Err(InstallError::OwnCertificate)));
    write_atomic(&ground.site().server_key(), own.key_pem.expose().as_bytes(), 0o600).unwrap();
    ground.clock.advance(1000 * DAY);
    ground.install();
    assert_eq!(read(&ground.site().server_certificate()), own.chain_pem);
}

#[test]
fn a_changed_address_gets_a_new_certificate_from_the_same_authority() {
    let ground = Ground::new();
    ground.install();
    let authority = read(&ground.site().ca_certificate());
    let env = read(&ground.site().env()).replace("https://localhost:8828", "https://forge.acme.internal:8828");
    write_atomic(&ground.site().env(), env.as_bytes(), 0o600).unwrap();
    let moved = Request { site_url: BaseUrl::parse("https://forge.acme.internal:8828").unwrap(), ..request() };
    ground.run(&moved, 8).unwrap();
    let facts = look(ground.site()).unwrap();
    assert!(facts.certificate.unwrap().served.names.contains("forge.acme.internal"));
    assert_eq!(read(&ground.site().ca_certificate()), authority);
    assert_eq!(read(&ground.site().env()), env);
}

#[test]
fn an_operators_env_is_kept_and_missing_secrets_go_beside_it() {
    let ground = Ground::new();
    std::fs::create_dir(ground.site().root()).unwrap();
    let env = "SITE_URL=https://localhost:8828\nSECRET_KEY=mine-and-long-enough\n";
    write_atomic(&ground.site().env(), env.as_bytes(), 0o600).unwrap();
    ground.install();
    assert_eq!(read(&ground.site().env()), env);
    let settings = crate::facts::settings(ground.site()).unwrap();
    assert_eq!(settings.secret_key.expose(), "mine-and-long-enough");
    vault::fernet::Key::parse(&settings.encryption_key).unwrap();
}

/// The second run is asked for another name, or for none; what it shows must still open the site.
#[test]
fn a_kept_password_is_shown_with_the_name_it_belongs_to() {
    let ground = Ground::new();
    let alice = Request { administrator: "alice".into(), ..request() };
    ground.run(&alice, 6).unwrap();
    let shown = ground.install().administrator.unwrap();
    assert_eq!(*ground.forge.administrators.borrow(), [("alice".to_owned(), shown.password.expose().clone())]);
    assert_eq!(shown.name, "alice");
}

#[test]
fn the_operators_own_password_is_used_and_not_shown() {
    let ground = Ground::new();
    let own = Request { password: Some(Secret::new("correct horse battery".into())), ..request() };
    let outcome = ground.run(&own, 8).unwrap();
    assert!(outcome.administrator.is_none());
    assert_eq!(ground.forge.administrators.borrow()[0].1, "correct horse battery");
    assert!(ground.directory.path().join("site/.env").exists());
}

#[test]
fn a_site_behind_a_proxy_needs_no_certificate() {
    let ground = Ground::new();
    let plain = Request { site_url: BaseUrl::parse("http://forge.acme.internal").unwrap(), ..request() };
    ground.run(&plain, 8).unwrap();
    assert!(!ground.site().server_certificate().exists());
}

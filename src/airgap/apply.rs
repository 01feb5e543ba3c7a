//! Carries a plan out: under the site's lock, each step in the journal, each effect whole or not at all. Killed at any
//! point, the next run goes on. Never prints; the caller is told and asked through [`Hooks`].

use std::collections::BTreeMap;
use std::time::Duration;

use base::clock::Timestamp;
use base::envfile::Values;
use base::file::{FileError, Lock, create_dir, read_text, write_atomic};
use base::site::SiteDir;
use base::{Clock, Secret, fault};
use vault::authority::Authority;

use crate::error::InstallError;
use crate::facts::{authority, directories};
use crate::journal::{Event, Journal};
use crate::plan::{Action, Plan, Planned, Request, Step};
use crate::running::{self, Serving};

/// The operation's name in the journal.
const INSTALL: &str = "install";
/// The length of a generated password: 20 letters and digits, 119 bits.
const PASSWORD_LENGTH: usize = 20;
/// The length of a generated SECRET_KEY.
const SECRET_KEY_LENGTH: usize = 64;
/// How long a running server may take to end, before it is started elsewhere.
const STOP: Duration = Duration::from_secs(30);
/// The SSH port that a site has when its settings name none.
const DEFAULT_SSH_PORT: u16 = 2424;

/// What a hook may fail with.
pub type HookError = Box<dyn std::error::Error + Send + Sync>;

/// What only the caller can do: it knows the forge, the program's own path and the terminal.
pub trait Hooks {
    /// Makes or migrates the database; does nothing when it is as it should be.
    fn migrate(&self) -> Result<(), HookError>;
    /// Says whether the site has an administrator.
    fn has_administrator(&self) -> Result<bool, HookError>;
    /// Makes the administrator, unless there is one.
    fn make_administrator(&self, name: &str, password: &Secret<String>) -> Result<(), HookError>;
    /// Starts the server in the background and waits until it is healthy.
    fn start(&self) -> Result<Serving, HookError>;
    /// Runs the site's smoke test, showing its lines: `true` when it passed.
    fn smoketest(&self) -> Result<bool, HookError>;
    /// Says which step is next, also when there is nothing to do for it.
    fn tell(&self, planned: &Planned);
}

/// The first administrator, with a password that this site made and has not shown yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Administrator {
    /// The account's name.
    pub name: String,
    /// Its password.
    pub password: Secret<String>,
}

/// How an installation ended.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Who can sign in, when that has not been shown yet.
    pub administrator: Option<Administrator>,
    /// What the smoke test said; `None` when it was not part of the plan.
    pub has_passed: Option<bool>,
}

/// A site under change: its lock and its journal.
pub struct Operation<'a> {
    site: &'a SiteDir,
    clock: &'a dyn Clock,
    journal: Journal,
    outcome: Outcome,
    _lock: Lock,
}

impl<'a> Operation<'a> {
    /// Takes the site's lock, making its directory first when there is none. Fails with `Locked` when another operation
    /// has it.
    pub fn begin(site: &'a SiteDir, clock: &'a dyn Clock) -> Result<Self, InstallError> {
        fault::point("install:directory:before");
        create_dir(site.root(), 0o700)?;
        create_dir(&site.state(), 0o700)?;
        let lock = Lock::take(&site.lock())?;
        let journal = Journal::open(&site.journal())?;
        Ok(Self { site, clock, journal, outcome: Outcome::default(), _lock: lock })
    }

    /// The step at which the last installation stopped; `None` when it ended well, or there was none.
    pub fn stopped_at(&self) -> Option<&str> {
        self.journal.stopped_at(INSTALL)
    }

    /// Carries out the plan, which was made under this lock. A smoke test that did not pass is no error here.
    pub fn apply(&mut self, plan: &Plan, request: &Request, hooks: &dyn Hooks) -> Result<Outcome, InstallError> {
        for planned in &plan.steps {
            hooks.tell(planned);
            if planned.action == Action::Keep {
                continue;
            }
            self.note(planned.step.name(), Event::Begun)?;
            fault::point(&format!("install:{}:before", planned.step));
            let made = self.make(planned.step, plan, request, hooks);
            if let Err(error) = made {
                self.note(planned.step.name(), Event::Failed)?;
                return Err(error);
            }
            fault::point(&format!("install:{}:after", planned.step));
            self.note(planned.step.name(), Event::Done)?;
        }
        Ok(std::mem::take(&mut self.outcome))
    }

    /// Ends the installation, once the operator has seen its outcome: from here on the password is nowhere.
    pub fn finish(mut self) -> Result<(), InstallError> {
        fault::point("install:finish:before");
        let path = self.site.initial_password();
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(FileError::Write { path, source }.into())
            }
            _ => self.note("", Event::Done),
        }
    }

    fn note(&mut self, step: &str, event: Event) -> Result<(), InstallError> {
        Ok(self.journal.write(self.clock.now(), INSTALL, step, event)?)
    }

    fn make(&mut self, step: Step, plan: &Plan, request: &Request, hooks: &dyn Hooks) -> Result<(), InstallError> {
        let hook = |source| InstallError::Hook { step, source };
        match step {
            Step::Directory => {
                directories(self.site).iter().try_for_each(|directory| create_dir(directory, 0o700))?;
            }
            Step::Env => self.env(request)?,
            Step::Authority => make_authority(self.site, plan, self.clock.now())?,
            Step::Certificate => issue(self.site, plan, self.clock.now())?,
            Step::Database => hooks.migrate().map_err(hook)?,
            Step::Administrator => self.outcome.administrator = self.administrator(request, hooks)?,
            Step::Serve => {
                running::stop(self.site, STOP)?;
                hooks.start().map_err(hook)?;
            }
            Step::Smoketest => self.outcome.has_passed = Some(hooks.smoketest().map_err(hook)?),
        }
        Ok(())
    }

    /// Addresses first: the address in `.env` depends on them, and a later run takes them from here.
    fn env(&self, request: &Request) -> Result<(), InstallError> {
        running::set_listen(self.site, request.listen)?;
        fault::point("install:env:listen");
        let values = base::settings::Sources { site: Some(self.site.clone()), ..Default::default() }.values()?;
        if self.site.env().exists() {
            return store_secrets(self.site, &values);
        }
        let mut fresh = request.values.clone();
        fresh.set("SITE_URL", request.site_url.as_str());
        if request.listen.ssh.port() != DEFAULT_SSH_PORT && fresh.get("SSH_PORT").is_none() {
            fresh.set("SSH_PORT", request.listen.ssh.port().to_string());
        }
        for (name, secret) in made_secrets() {
            // What `secrets.json` has stays there alone: one secret, one place.
            if values.get(name).is_none() && fresh.get(name).is_none_or(str::is_empty) {
                fresh.set(name, secret.expose());
            }
        }
        Ok(write_atomic(&self.site.env(), base::template::render(&fresh)?.as_bytes(), 0o600)?)
    }

    /// Gives the account to show, when its password is not the operator's own. Both are on the disk before the account is
    /// made, so that a run which is killed in between or right after can still show them.
    fn administrator(&self, request: &Request, hooks: &dyn Hooks) -> Result<Option<Administrator>, InstallError> {
        let hook = |source| InstallError::Hook { step: Step::Administrator, source };
        let kept = self.unshown()?;
        if hooks.has_administrator().map_err(hook)? {
            return Ok(kept);
        }
        let name = request.administrator.clone();
        if let Some(own) = &request.password {
            hooks.make_administrator(&name, own).map_err(hook)?;
            return Ok(None);
        }
        let password = kept.map_or_else(|| vault::random::text(PASSWORD_LENGTH), |kept| kept.password);
        let path = self.site.initial_password();
        write_atomic(&path, format!("{name}:{}\n", password.expose()).as_bytes(), 0o600)?;
        fault::point("install:administrator:password");
        hooks.make_administrator(&name, &password).map_err(hook)?;
        Ok(Some(Administrator { name, password }))
    }

    /// The account of an earlier run that was not shown to its end.
    fn unshown(&self) -> Result<Option<Administrator>, InstallError> {
        let path = self.site.initial_password();
        if !path.exists() {
            return Ok(None);
        }
        let text = read_text(&path, 1024)?;
        let parts = text.trim_end().split_once(':');
        Ok(parts.map(|(name, password)| Administrator { name: name.into(), password: Secret::new(password.into()) }))
    }
}

fn made_secrets() -> [(&'static str, Secret<String>); 2] {
    [("SECRET_KEY", vault::random::text(SECRET_KEY_LENGTH)), ("GITGRIT_ENCRYPTION_KEY", vault::fernet::Key::generate())]
}

/// Adds to `data/secrets.json` what neither it nor the operator's `.env` gives.
fn store_secrets(site: &SiteDir, values: &Values) -> Result<(), InstallError> {
    let missing: Vec<_> =
        made_secrets().into_iter().filter(|(name, _)| values.get(name).is_none_or(str::is_empty)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let path = site.secrets();
    let mut stored: BTreeMap<String, String> = if path.exists() {
        let text = read_text(&path, 64 << 10)?;
        serde_json::from_str(&text).map_err(|_| base::settings::SettingsError::SecretsFormat { path: path.clone() })?
    } else {
        BTreeMap::new()
    };
    stored.extend(missing.into_iter().map(|(name, secret)| (name.to_owned(), secret.expose().clone())));
    let text = serde_json::to_string_pretty(&stored)
        .map_err(|error| FileError::Write { path: path.clone(), source: error.into() })?;
    Ok(write_atomic(&path, format!("{text}\n").as_bytes(), 0o600)?)
}

/// Key first: a key without a certificate has signed nothing, so that a run killed in between starts over.
fn make_authority(site: &SiteDir, plan: &Plan, now: Timestamp) -> Result<(), InstallError> {
    let path = site.ca_certificate();
    let made = Authority::generate(&format!("GitGrit site {}", plan.site_url.host()), now)
        .map_err(|source| InstallError::Authority { path: path.clone(), source })?;
    write_atomic(&site.ca_key(), made.key_pem().expose().as_bytes(), 0o600)?;
    fault::point("install:authority:key");
    Ok(write_atomic(&path, made.certificate_pem().as_bytes(), 0o644)?)
}

fn issue(site: &SiteDir, plan: &Plan, now: Timestamp) -> Result<(), InstallError> {
    let path = site.server_certificate();
    let authority = authority(site)?.ok_or_else(|| InstallError::AuthorityKey { path: site.ca_key() })?;
    let names: Vec<&str> = plan.names.iter().map(String::as_str).collect();
    let issued =
        authority.issue(&names, now).map_err(|source| InstallError::Certificate { path: path.clone(), source })?;
    write_atomic(&site.server_key(), issued.key_pem.expose().as_bytes(), 0o600)?;
    fault::point("install:certificate:key");
    Ok(write_atomic(&path, issued.chain_pem.as_bytes(), 0o644)?)
}

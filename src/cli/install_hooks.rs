//! What an installation asks of this program: the forge, the server, the smoke test, and how far it has come.

use std::cell::RefCell;
use std::time::Duration;

use airgap::apply::{HookError, Hooks};
use airgap::plan::Planned;
use airgap::running::Serving;
use base::Secret;
use base::site::SiteDir;
use forge::Forge;

use super::site::{open_forge, runtime, start, this_program};
use super::{Console, Exit, Failure};

/// How long the whole smoke test may take.
const SMOKETEST: Duration = Duration::from_mins(5);

/// The hooks of one installation. Words go to the console's `err`.
pub(crate) struct InstallHooks<'c> {
    site: SiteDir,
    console: RefCell<&'c mut Console>,
}

impl<'c> InstallHooks<'c> {
    pub(crate) fn new(site: SiteDir, console: &'c mut Console) -> Self {
        Self { site, console: RefCell::new(console) }
    }

    /// Opens the forge with the settings that the server will see, lets `act` use it, and closes it again.
    fn with_forge<T>(&self, act: impl AsyncFnOnce(&Forge) -> Result<T, forge::Error>) -> Result<T, HookError> {
        let opened = || -> Result<T, Failure> {
            let settings = airgap::facts::settings(&self.site)?;
            runtime()?.block_on(async {
                let forge = open_forge(&self.site, settings).await?;
                let acted = act(&forge).await;
                forge.close().await;
                Ok(acted?)
            })
        };
        Ok(opened()?)
    }

    /// A reader that went away is no reason to stop half-way.
    fn say(&self, line: &str) {
        let _ = writeln!(self.console.borrow_mut().err, "{line}");
    }
}

impl Hooks for InstallHooks<'_> {
    fn migrate(&self) -> Result<(), HookError> {
        self.with_forge(async |_| Ok(()))
    }

    fn has_administrator(&self) -> Result<bool, HookError> {
        self.with_forge(async |forge| forge.has_administrator().await)
    }

    fn make_administrator(&self, name: &str, password: &Secret<String>) -> Result<(), HookError> {
        self.with_forge(async |forge| forge.ensure_administrator(name, password).await.map(drop))
    }

    fn start(&self) -> Result<Serving, HookError> {
        let _sign = self.console.borrow().working("waiting for the server");
        Ok(start(&self.site)?)
    }

    fn smoketest(&self) -> Result<bool, HookError> {
        let program = this_program()?.options(["smoketest", "--site", "--site-dir"]).option(self.site.root());
        // The scratch directory goes where the operator's own TMPDIR says, as the smoke test's hint promises.
        let program = program.env("TMPDIR", std::env::temp_dir());
        let sign = self.console.borrow().working("trying what a user needs");
        let done = program.deadline(SMOKETEST).run(b"").map_err(|error| Failure::new(Exit::Failure, error))?;
        drop(sign);
        for line in String::from_utf8_lossy(&done.stdout).lines().chain(done.stderr.lines()) {
            self.say(&format!("  {line}"));
        }
        match done.status.code() {
            Some(0) => Ok(true),
            Some(12) => Err(Failure::said(Exit::KeyMismatch, "the smoke test met another encryption key").into()),
            _ => Ok(false),
        }
    }

    fn tell(&self, planned: &Planned) {
        let Planned { step, action, text } = planned;
        self.say(&format!("{action:<5} {step:<14} {text}"));
    }
}

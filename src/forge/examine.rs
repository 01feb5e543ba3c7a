//! A look at a site's data for who looks after it, also while its server runs. Opens the database alone: what opening the
//! forge sweeps and settles stays as it is, and a database that is due for a migration is left alone.

use base::clock::Timestamp;
use store::{Store, integrity, jobs, loose_directories, repos};
use vault::fernet::Key;

use crate::audit::{self, AuditVerdict};
use crate::site::{address, is_known};
use crate::{Forge, OpenError, Options};

/// Names of jobs that are shown.
const SHOWN: i64 = 20;

/// What was found.
#[derive(Clone, Debug)]
pub struct Examined {
    /// Migrations that the next start runs; with some, nothing else was looked at.
    pub pending: usize,
    /// Says whether the encryption key is the one that the data was begun with; `None` where nothing was written with one yet.
    pub is_key_known: Option<bool>,
    /// What the database says is wrong with it.
    pub faults: Vec<String>,
    /// Whether the audit log is whole.
    pub audit: Option<AuditVerdict>,
    /// How many jobs were given up.
    pub dead: i64,
    /// Some of those, by name.
    pub dead_names: Vec<String>,
    /// Seconds that the next job is overdue.
    pub overdue: i64,
    /// Every repository that the database knows: id and path.
    pub repositories: Vec<(i64, String)>,
    /// Ids of directories that are about to be filled or removed.
    pub loose: Vec<i64>,
}

impl Forge {
    /// Looks at the data of the site of `options`, and changes nothing in it. Fails where there is no database to look at.
    pub async fn examine(options: &Options) -> Result<Examined, OpenError> {
        let now = options.clock.now();
        let pending = Self::pending_migrations(options).await?.len();
        let address = address(&options.settings, &options.database)?;
        let look = Store::look(&address).await?;
        let key = Key::parse(&options.settings.encryption_key).map_err(|_| OpenError::KeyFormat)?;
        let canary = look.and_then(|look| look.canary);
        let is_key_known = canary.map(|canary| is_known(&key, &canary).is_ok());
        let mut examined = Examined {
            pending,
            is_key_known,
            faults: Vec::new(),
            audit: None,
            dead: 0,
            dead_names: Vec::new(),
            overdue: 0,
            repositories: Vec::new(),
            loose: Vec::new(),
        };
        if pending == 0 {
            let store = Store::open(&address, now).await?;
            let filled = examined.fill(&store, now).await;
            store.close().await;
            filled?;
        }
        Ok(examined)
    }
}

impl Examined {
    async fn fill(&mut self, store: &Store, now: Timestamp) -> Result<(), OpenError> {
        self.faults = integrity::faults(store).await?;
        let database = store.read();
        self.audit = Some(audit::verify(&database).await?);
        self.dead = jobs::counts(&database).await?.dead;
        let dead = jobs::of_state(&database, "dead", SHOWN).await?;
        self.dead_names = dead.into_iter().map(|job| job.dedupe_key).collect();
        let due = jobs::next_due(&database).await?;
        self.overdue = due.map_or(0, |due| now.0.saturating_sub(due.0).div_euclid(1_000_000).max(0));
        self.repositories = repos::all_paths(&database).await?;
        self.loose = loose_directories::all(&database).await?;
        Ok(())
    }
}

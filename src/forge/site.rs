//! The forge itself: what it is opened with, what it holds, and how it is opened. Writes nothing before it knows that
//! the encryption key is the one the site's data was written with.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use base::clock::Timestamp;
use base::confine::Walls;
use base::file::Lock;
use base::settings::Settings;
use base::{Clock, Hint};
use git::Repositories;
use store::{Address, Login, SignalError, Signals, Store, StoreError, facts};
use tokio::sync::watch;
use tokio::task::JoinSet;
use vault::fernet::{FernetError, Key};

use crate::audit_queue::AuditQueue;
use crate::lfs_pass::LfsReaders;
use crate::lfs_shelf::Shelf;
use crate::passwords::Passwords;
use crate::seen::Seen;
use crate::throttle::Throttle;
use crate::{Error, settle, site_settings};

/// What the canary says.
const SONG: &[u8] = b"gitgrit";

/// What a forge is opened with.
pub struct Options {
    /// The site's parsed settings.
    pub settings: Settings,
    /// The database of an embedded site. With one on a server, only the locks beside it are used.
    pub database: PathBuf,
    /// Where bare repositories are.
    pub repositories: PathBuf,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
}

/// Why a forge did not open. Nothing was changed, but for migrations that ran whole.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database was written by a newer program.
    #[error("the database has schema {found}, and this program knows {known}")]
    NewerSchema {
        /// The database's schema number.
        found: u32,
        /// The newest that this program knows.
        known: u32,
    },
    /// The data was written with another GITGRIT_ENCRYPTION_KEY.
    #[error("GITGRIT_ENCRYPTION_KEY is not the key that this site's data was written with")]
    KeyMismatch,
    /// The key is not a Fernet key.
    #[error("GITGRIT_ENCRYPTION_KEY is not a Fernet key")]
    KeyFormat,
    /// DATABASE_URL is set, and names no PostgreSQL server that this version can enter.
    #[error("DATABASE_URL names a database that this version cannot use")]
    OtherDatabase(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// There are repositories, and nothing of the forge's in the server's database.
    #[error("there are repositories, and the database that knows them is empty")]
    DatabaseLost,
    /// The database did not open.
    #[error("could not open the database")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// REDIS_URL names no Redis server that this version can enter.
    #[error("could not set up the way to Redis")]
    Redis(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The repositories' directory is not usable.
    #[error("could not open the repositories")]
    Git(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Hint for OpenError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NewerSchema { .. } => Some("start the version that wrote it, or a newer one".into()),
            Self::KeyMismatch => {
                Some("set GITGRIT_ENCRYPTION_KEY to the former key, from the former .env or from a backup".into())
            }
            Self::KeyFormat => {
                Some("a Fernet key is 32 random bytes in URL-safe base64: 44 characters ending with `=`".into())
            }
            Self::OtherDatabase(_) => Some(
                "write it like postgres://user:password@host:5432/gitgrit, special signs as %XX; or remove it to keep the data in the site's own SQLite file"
                    .into(),
            ),
            Self::DatabaseLost => Some(
                "check that DATABASE_URL or DB_NAME is the database of before, or restore it; to begin anew without it, \
                 move data/repositories away"
                    .into(),
            ),
            Self::Store(error) => error.downcast_ref::<StoreError>().and_then(Hint::hint),
            Self::Redis(error) => error.downcast_ref::<SignalError>().and_then(Hint::hint),
            Self::Git(_) => None,
        }
    }
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NewerSchema { found, known } => Self::NewerSchema { found, known },
            address @ StoreError::Address { .. } => Self::OtherDatabase(Box::new(address)),
            other => Self::Store(Box::new(other)),
        }
    }
}

/// The forge of one site. Cheap to clone.
#[derive(Clone)]
pub struct Forge(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) settings: Settings,
    pub(crate) database: PathBuf,
    pub(crate) store: Store,
    pub(crate) repositories: Repositories,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) key: Key,
    pub(crate) passwords: Passwords,
    pub(crate) throttle: Throttle,
    /// What the administrator has set.
    pub(crate) site_settings: site_settings::Cached,
    /// Takes what is told after the fact.
    pub(crate) audit: AuditQueue,
    /// The content of large files.
    pub(crate) shelf: Shelf,
    pub(crate) readers: LfsReaders,
    /// Where pushes measure and take room, one for each repository.
    pub(crate) places: crate::quota::Places,
    /// The way to other replicas, and the wake-ups of this one.
    pub(crate) signals: Signals,
    /// What pages were made of before.
    pub(crate) seen: Seen,
    pub(crate) tasks: Mutex<JoinSet<()>>,
    /// Becomes true when the forge closes, for tasks that can be cut short.
    pub(crate) closing: watch::Sender<bool>,
    /// Tells other processes that a forge is open here; see [`settle`].
    _presence: Lock,
}

impl Forge {
    /// Opens the site's forge: migrates the database, checks the key canary (writing it on the first run), and settles
    /// what a crash left between a ref move and its event. With another key, or a newer schema, nothing is written.
    pub async fn open(options: Options) -> Result<Self, OpenError> {
        let Options { settings, database, repositories, clock } = options;
        let address = address(&settings, &database)?;
        let key = Key::parse(&settings.encryption_key).map_err(|_| OpenError::KeyFormat)?;
        if let Some(look) = Store::look(&address).await? {
            if look.schema > store::KNOWN_SCHEMA {
                return Err(OpenError::NewerSchema { found: look.schema, known: store::KNOWN_SCHEMA });
            }
            look.canary.map_or(Ok(()), |canary| is_known(&key, &canary))?;
        } else if matches!(address, Address::Server(_)) && has_repositories(&repositories) {
            return Err(OpenError::DatabaseLost);
        }
        let store = Store::open(&address, clock.now()).await?;
        let canary = key.encrypt(SONG, clock.now()).map_err(|error| OpenError::Store(Box::new(error)))?;
        is_known(&key, &settle_canary(&store, &canary).await?)?;

        let large_files = beside(&repositories, "lfs");
        let shelf = on_thread(move || Shelf::open(&large_files)).await;
        let shelf = shelf.map_err(|error| OpenError::Store(Box::new(error)))?;
        let opened = on_thread(move || Repositories::open(&repositories)).await;
        let repositories = opened.map_err(|error| OpenError::Git(Box::new(error)))?;
        let presence = settle::run(&store, &repositories, &database, clock.now()).await?;
        let cached = site_settings::Cached::load(&store, clock.now()).await;
        let site_settings = cached.map_err(|error| OpenError::Store(Box::new(error)))?;
        let signals = signals(&settings, &store).await?;
        let audit = AuditQueue::start(store.clone(), Arc::clone(&clock));
        let forge = Self(Arc::new(Inner {
            settings,
            database,
            store,
            repositories,
            clock,
            key,
            passwords: Passwords::new(),
            throttle: Throttle::new(),
            site_settings,
            audit,
            signals,
            shelf,
            readers: LfsReaders::default(),
            places: crate::quota::Places::default(),
            seen: Seen::new(),
            tasks: Mutex::default(),
            closing: watch::Sender::new(false),
            _presence: presence,
        }));
        tell_walls();
        forge.sweep_lfs_aside();
        Ok(forge)
    }

    /// The migrations that opening would run, number and name. Changes nothing.
    pub async fn pending_migrations(options: &Options) -> Result<Vec<(u32, &'static str)>, OpenError> {
        let address = address(&options.settings, &options.database)?;
        let schema = Store::look(&address).await?.map_or(0, |look| look.schema);
        Ok(store::pending(schema).collect())
    }

    /// One round trip to the database; what `/readyz` asks.
    pub async fn is_ready(&self) -> Result<(), Error> {
        facts::get(&self.0.store.read(), facts::CANARY).await?;
        Ok(())
    }

    /// Encrypts and decrypts once, and reads the canary that the site's data was begun with.
    pub async fn check_key(&self) -> Result<(), Error> {
        let fresh = self.0.key.encrypt(SONG, self.now())?;
        let canary = facts::get(&self.0.store.read(), facts::CANARY).await?.unwrap_or_default();
        for token in [fresh, canary] {
            if self.0.key.decrypt(&token)? != SONG {
                return Err(FernetError::Token.into());
            }
        }
        Ok(())
    }

    /// Which walls the kernel of this host gives to the Git that the forge starts: around files, around system calls.
    pub fn confinement(&self) -> std::io::Result<Walls> {
        git::confinement()
    }

    /// The settings that the forge was opened with.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Waits for running work and closes the database.
    pub async fn close(&self) {
        self.0.closing.send_replace(true);
        let mut tasks = std::mem::take(&mut *self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        while tasks.join_next().await.is_some() {}
        self.0.audit.close().await;
        self.0.store.close().await;
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Runs `work` to its end whatever becomes of the caller; [`Forge::close`] waits for it.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(work);
    }
}

/// Taking no notice of an address would put the data where the operator does not look for it.
pub(crate) fn address(settings: &Settings, database: &Path) -> Result<Address, OpenError> {
    match &settings.database_url {
        Some(url) => Ok(Address::Server(Login::parse(url, settings.custom_authorities.as_deref())?)),
        None => Ok(Address::File(database.to_owned())),
    }
}

/// Repositories are at `xx/<id>.git`. A new database would number its own from the start, and hand those of the lost
/// one to others.
fn has_repositories(root: &Path) -> bool {
    let fans = std::fs::read_dir(root).into_iter().flatten().flatten();
    let mut all = fans.filter_map(|fan| std::fs::read_dir(fan.path()).ok()).flatten().flatten();
    all.any(|entry| entry.path().extension().is_some_and(|extension| extension == "git"))
}

/// Says once which walls the Git of this process gets.
fn tell_walls() {
    match git::confinement() {
        Ok(Walls { files: true, calls: true }) => tracing::info!("Git children are walled off from files and calls"),
        Ok(Walls { files, calls }) => {
            tracing::warn!(files, calls, "this kernel does not give all walls around Git children (Landlock, seccomp)");
        }
        Err(error) => tracing::error!(%error, "walls around Git children cannot be built; no Git will start"),
    }
}

async fn settle_canary(store: &Store, canary: &str) -> Result<String, StoreError> {
    if let Some(found) = facts::get(&store.read(), facts::CANARY).await? {
        return Ok(found);
    }
    let tx = store.begin().await?;
    let kept = facts::put_once(&tx, facts::CANARY, canary).await?;
    tx.commit().await?;
    Ok(kept)
}

/// Over Redis when the settings name one. The canary is the site's own for good, so that sites can share a server.
async fn signals(settings: &Settings, store: &Store) -> Result<Signals, OpenError> {
    let Some(url) = &settings.redis_url else { return Ok(Signals::in_process()) };
    let canary = facts::get(&store.read(), facts::CANARY).await?.unwrap_or_default();
    let site: String = vault::digest::sha256_hex(canary.as_bytes()).chars().take(16).collect();
    let made = Signals::over_redis(url, settings.custom_authorities.as_deref(), &site);
    made.map_err(|error| OpenError::Redis(Box::new(error)))
}

pub(crate) fn is_known(key: &Key, canary: &str) -> Result<(), OpenError> {
    match key.decrypt(canary) {
        Ok(song) if song == SONG => Ok(()),
        _ => Err(OpenError::KeyMismatch),
    }
}

/// Runs what blocks on a thread that may.
pub(crate) async fn on_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        // The task is never aborted, so this is its panic, and it is the caller's as well.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// A file beside the database, or beside the repositories.
pub(crate) fn beside(database: &Path, name: &str) -> PathBuf {
    database.with_file_name(name)
}

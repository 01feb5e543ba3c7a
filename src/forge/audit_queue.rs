//! Access records on their way into the audit log: beside the transfer that they tell of, never in its way. The queues
//! are bounded; what finds no room is counted, logged, and becomes a record of the gap. Nothing is lost in silence.
//! Refused sign-ins, which anybody can make many of, have a queue of their own, so that they crowd out nothing else.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base::Clock;
use base::clock::Timestamp;
use store::{Store, StoreError};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::access::Who;
use crate::events::{Happened, record};
use crate::{Forge, RepoRead};

/// Records that may wait in each queue.
const ROOM: usize = 1024;
/// Records that one transaction writes at most.
const BATCH: usize = 256;

/// An access that happened.
pub(crate) struct Access {
    pub(crate) at: Timestamp,
    pub(crate) who: Who,
    pub(crate) what: Accessed,
}

/// What was tried or done.
pub(crate) enum Accessed {
    SignInRefused {
        name: Option<String>,
        door: &'static str,
    },
    /// A certificate let somebody in: what its authority calls it, and which one it is.
    Certificate {
        key_id: String,
        told: String,
    },
    Fetched {
        id: i64,
        path: String,
        transport: &'static str,
    },
}

/// The queues and who empties them.
pub(crate) struct AuditQueue {
    accesses: Lane,
    refusals: Lane,
}

/// One queue.
struct Lane {
    sender: Mutex<Option<mpsc::Sender<Access>>>,
    lost: Arc<AtomicU64>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl AuditQueue {
    pub(crate) fn start(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { accesses: Lane::start(store.clone(), Arc::clone(&clock)), refusals: Lane::start(store, clock) }
    }

    /// Puts a record in its queue, without waiting.
    pub(crate) fn put(&self, access: Access) {
        let is_refusal = matches!(access.what, Accessed::SignInRefused { .. });
        if is_refusal { self.refusals.put(access) } else { self.accesses.put(access) }
    }

    /// Writes what waits, and takes nothing more.
    pub(crate) async fn close(&self) {
        self.accesses.close().await;
        self.refusals.close().await;
    }
}

impl Lane {
    fn start(store: Store, clock: Arc<dyn Clock>) -> Self {
        let (sender, receiver) = mpsc::channel(ROOM);
        let lost = Arc::new(AtomicU64::new(0));
        let writer = Writer { store, clock, lost: Arc::clone(&lost) };
        let writer = tokio::spawn(writer.run(receiver));
        Self { sender: Mutex::new(Some(sender)), lost, writer: Mutex::new(Some(writer)) }
    }

    fn put(&self, access: Access) {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if sender.is_none_or(|sender| sender.try_send(access).is_err()) {
            let lost = self.lost.fetch_add(1, Ordering::Relaxed).saturating_add(1);
            tracing::error!(lost, "an access record found no room in the audit queue");
        }
    }

    async fn close(&self) {
        drop(self.sender.lock().unwrap_or_else(PoisonError::into_inner).take());
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer
            && let Err(error) = writer.await
        {
            tracing::error!(%error, "the audit queue did not end in order");
        }
    }
}

struct Writer {
    store: Store,
    clock: Arc<dyn Clock>,
    lost: Arc<AtomicU64>,
}

impl Writer {
    async fn run(self, mut receiver: mpsc::Receiver<Access>) {
        let mut batch = Vec::with_capacity(BATCH);
        while receiver.recv_many(&mut batch, BATCH).await > 0 {
            self.write_or_count(&batch).await;
            batch.clear();
        }
        // The last ones may have found no room with nothing behind them.
        if self.lost.load(Ordering::Relaxed) > 0 {
            self.write_or_count(&[]).await;
        }
    }

    async fn write_or_count(&self, batch: &[Access]) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if let Err(error) = self.write(batch, lost).await {
            let missing = lost.saturating_add(u64::try_from(batch.len()).unwrap_or(u64::MAX));
            let lost = self.lost.fetch_add(missing, Ordering::Relaxed).saturating_add(missing);
            tracing::error!(lost, error = &error as &dyn std::error::Error, "access records were not written");
        }
    }

    async fn write(&self, batch: &[Access], lost: u64) -> Result<(), StoreError> {
        let tx = self.store.begin().await?;
        for Access { at, who, what } in batch {
            let happened = match what {
                Accessed::SignInRefused { name, door } => Happened::SignInRefused { name: name.as_deref(), door },
                Accessed::Certificate { key_id, told } => Happened::Noted {
                    kind: "ssh_certificate.used",
                    repo: None,
                    subject: key_id,
                    old: None,
                    new: Some(told),
                },
                Accessed::Fetched { id, path, transport } => Happened::RepoFetched { id: *id, path, transport },
            };
            record(&tx, *at, who, happened).await?;
        }
        if lost > 0 {
            record(&tx, self.clock.now(), &Who::default(), Happened::Lost { count: lost }).await?;
        }
        tx.commit().await
    }
}

impl Forge {
    /// Puts on record that somebody takes a repository's content, when not everyone may read it.
    pub(crate) fn tell_fetched(&self, repo: &RepoRead, transport: &'static str) {
        let RepoRead { id, summary, by, is_open_to_all, .. } = repo;
        if !is_open_to_all {
            let what = Accessed::Fetched { id: *id, path: summary.path.to_string(), transport };
            self.0.audit.put(Access { at: self.now(), who: by.clone().unwrap_or_default(), what });
        }
    }

    /// The same for single files: once an hour for each reader, repository and way, as somebody may read thousands.
    pub(crate) fn tell_read(&self, repo: &RepoRead, way: &'static str) {
        let nobody = Who::default();
        let who = repo.by.as_ref().unwrap_or(&nobody);
        if !repo.is_open_to_all && self.0.readers.is_first(repo.id, way, who, self.now()) {
            self.tell_fetched(repo, way);
        }
    }
}

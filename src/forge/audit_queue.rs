//! Access records on their way into the audit log: beside the transfer that they tell of, never in its way. The queue
//! is bounded; what finds no room in it is counted, logged, and becomes a record of the gap. Nothing is lost in silence.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base::Clock;
use base::clock::Timestamp;
use store::{Store, StoreError};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::Visibility;
use crate::access::Who;
use crate::events::{Happened, record};

/// Records that may wait.
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

/// The queue and who empties it.
pub(crate) struct AuditQueue {
    sender: Mutex<Option<mpsc::Sender<Access>>>,
    lost: Arc<AtomicU64>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl AuditQueue {
    pub(crate) fn start(store: Store, clock: Arc<dyn Clock>) -> Self {
        let (sender, receiver) = mpsc::channel(ROOM);
        let lost = Arc::new(AtomicU64::new(0));
        let writer = Writer { store, clock, lost: Arc::clone(&lost) };
        let writer = tokio::spawn(writer.run(receiver));
        Self { sender: Mutex::new(Some(sender)), lost, writer: Mutex::new(Some(writer)) }
    }

    /// Puts a record in the queue, without waiting.
    pub(crate) fn put(&self, access: Access) {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if sender.is_none_or(|sender| sender.try_send(access).is_err()) {
            let lost = self.lost.fetch_add(1, Ordering::Relaxed).saturating_add(1);
            tracing::error!(lost, "an access record found no room in the audit queue");
        }
    }

    /// Writes what waits, and takes nothing more.
    pub(crate) async fn close(&self) {
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

impl Visibility {
    /// Says whether a clone of it is a matter of record.
    pub(crate) fn is_watched(self) -> bool {
        self != Self::Public
    }
}

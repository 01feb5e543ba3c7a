//! What replicas tell each other, and what they need not find out twice: wake-ups, live events and a cache, over Redis,
//! or within this process when there is none. Nothing here lasts and nothing may depend on it: when Redis is away, a
//! value is missing and a wake-up does not come. Never shows the address, which may hold a password.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::broadcast;

use base::{Hint, Secret};

use crate::signals_redis::Remote;

/// Signals that a slow listener may be behind before it misses some.
const BEHIND: usize = 1024;
/// The largest value that is kept, in bytes, and the longest key.
const VALUE: usize = 64 << 10;
const KEY: usize = 200;
/// The longest text of a signal, in bytes.
const TEXT: usize = 8 << 10;
/// Values that this process keeps when there is no Redis.
const KEPT: usize = 2048;

/// Something that was told to everyone who listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// What it is about. One line.
    pub topic: String,
    /// What is said of it.
    pub text: String,
}

/// What there is between replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Nothing: this process is alone.
    InProcess,
    /// Redis, and it answers.
    Connected,
    /// Redis, and it does not answer.
    Away,
}

/// Why there can be no signals over Redis.
#[derive(Debug, thiserror::Error)]
pub enum SignalError {
    /// The address does not tell where a Redis server is. It may hold a password and is not shown.
    #[error("REDIS_URL is not the address of a Redis server")]
    Address,
    /// The authorities that shall vouch for the server cannot be read.
    #[error("could not read the authorities for the Redis server")]
    Authorities(#[source] base::file::FileError),
}

impl Hint for SignalError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Address => Some("write it like redis://:password@redis:6379, or rediss:// for TLS".into()),
            Self::Authorities(error) => error.hint(),
        }
    }
}

/// The way to other replicas, and to other tasks of this process. Cheap to clone.
#[derive(Clone)]
pub struct Signals(Arc<Inner>);

struct Inner {
    heard: broadcast::Sender<Signal>,
    kept: Mutex<HashMap<String, Kept>>,
    remote: Option<Remote>,
}

struct Kept {
    value: String,
    ends: Instant,
}

impl Signals {
    /// Within this process alone.
    pub fn in_process() -> Self {
        Self(Arc::new(Inner { heard: broadcast::Sender::new(BEHIND), kept: Mutex::default(), remote: None }))
    }

    /// Over the Redis server at `address`, under names that begin with `site`, so that sites can share a server.
    /// `authorities` is a PEM file that stands in place of the host's own for `rediss://`. Connects in the background,
    /// again and again when it has to; call it inside a Tokio runtime.
    pub fn over_redis(address: &Secret<String>, authorities: Option<&Path>, site: &str) -> Result<Self, SignalError> {
        let heard = broadcast::Sender::new(BEHIND);
        let remote = Remote::start(address, authorities, site, heard.clone())?;
        Ok(Self(Arc::new(Inner { heard, kept: Mutex::default(), remote: Some(remote) })))
    }

    /// Tells everyone, here and at other replicas, without waiting. What is longer than 8 KiB is not told.
    pub fn publish(&self, topic: &str, text: &str) {
        if text.len() > TEXT || topic.contains('\n') {
            return;
        }
        let signal = Signal { topic: topic.to_owned(), text: text.to_owned() };
        if let Some(remote) = &self.0.remote {
            remote.publish(signal.clone());
        }
        // That nobody listens is no fault.
        let _ = self.0.heard.send(signal);
    }

    /// Hears all that is told from now on, here and at other replicas.
    pub fn listen(&self) -> broadcast::Receiver<Signal> {
        self.0.heard.subscribe()
    }

    /// A value that was kept; `None` also when Redis does not answer at once.
    pub async fn get(&self, key: &str) -> Option<String> {
        if let Some(remote) = &self.0.remote {
            return remote.get(key).await;
        }
        let kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(key).filter(|kept| Instant::now() < kept.ends).map(|kept| kept.value.clone())
    }

    /// Keeps a value for some time, or for less. One larger than 64 KiB is not kept.
    pub async fn put(&self, key: &str, value: &str, time: Duration) {
        if value.len() > VALUE || key.len() > KEY || time.is_zero() {
            return;
        }
        if let Some(remote) = &self.0.remote {
            return remote.put(key, value, time).await;
        }
        let now = Instant::now();
        let Some(ends) = now.checked_add(time) else { return };
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.retain(|_, kept| now < kept.ends);
        }
        if kept.len() < KEPT || kept.contains_key(key) {
            kept.insert(key.to_owned(), Kept { value: value.to_owned(), ends });
        }
    }

    /// What there is between replicas at this moment.
    pub fn link(&self) -> Link {
        match &self.0.remote {
            None => Link::InProcess,
            Some(remote) if remote.is_connected() => Link::Connected,
            Some(_) => Link::Away,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn values_are_kept_for_their_time_and_large_ones_not_at_all() {
        let signals = Signals::in_process();
        signals.put("key", "value", Duration::from_mins(1)).await;
        signals.put("large", &"x".repeat(VALUE + 1), Duration::from_mins(1)).await;
        signals.put("over", "value", Duration::ZERO).await;
        assert_eq!(signals.get("key").await.as_deref(), Some("value"));
        assert_eq!((signals.get("large").await, signals.get("over").await), (None, None));
        for number in 0..KEPT * 2 {
            signals.put(&format!("{number}"), "x", Duration::from_mins(1)).await;
        }
        assert!(signals.0.kept.lock().unwrap().len() <= KEPT);
        assert_eq!(signals.link(), Link::InProcess);
    }

    #[tokio::test]
    async fn what_is_told_is_heard_by_everyone_who_listens() {
        let signals = Signals::in_process();
        signals.publish("nobody", "listens");
        let (mut one, mut other) = (signals.listen(), signals.clone().listen());
        signals.publish("jobs", "");
        signals.publish("two\nlines", "");
        signals.publish("long", &"x".repeat(TEXT + 1));
        let expected = Signal { topic: "jobs".into(), text: String::new() };
        assert_eq!(one.recv().await.unwrap(), expected);
        assert_eq!(other.recv().await.unwrap(), expected);
        assert!(one.try_recv().is_err());
    }

    #[tokio::test]
    async fn an_address_of_something_else_is_refused_without_being_shown() {
        for address in ["http://:hunter2@redis", "redis", ""] {
            let refused = Signals::over_redis(&Secret::new(address.into()), None, "site").err().unwrap();
            assert!(!format!("{refused} {refused:?}").contains("hunter2"));
        }
        let missing = Signals::over_redis(&Secret::new("rediss://redis".into()), Some(Path::new("/no/such")), "site");
        assert!(matches!(missing.err(), Some(SignalError::Authorities(_))));
    }
}

//! Whose turn it is: how many Git transfers run at once, in all, for one address, one user and one repository, and how
//! often one user may begin one. Who is over a number waits; who begins too often is told when to come back.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use base::name::RepoPath;
use base::settings::TransferSettings;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::counted;

/// Time that a transfer waits for its turn before the client is told to come back.
const TURN: Duration = Duration::from_mins(5);
/// Users whose rate is remembered before those who have their full measure again are forgotten.
const REMEMBERED: usize = 4_096;

/// Who asks for a turn, and where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker<'a> {
    /// The user; `None` for nobody signed in, who is counted by address.
    pub(crate) user: Option<i64>,
    /// The address.
    pub(crate) from: IpAddr,
    /// The repository. The right to it was proven before.
    pub(crate) repository: &'a RepoPath,
}

impl Asker<'_> {
    fn party(&self) -> Party {
        self.user.map_or(Party::Address(counted(self.from)), Party::User)
    }

    fn place(&self) -> String {
        let RepoPath { owner, name } = self.repository;
        format!("{}/{}", owner.key(), name.key())
    }
}

/// Why there is no turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoTurn {
    /// None came in time.
    Busy,
    /// The user begins too many; there will be a turn after so many seconds.
    TooOften {
        /// From 1.
        seconds: u64,
    },
    /// So many were begun of the repository; there will be a turn after so many seconds.
    Crowded {
        /// From 1.
        seconds: u64,
    },
}

impl NoTurn {
    /// What the client is told.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Busy => "too many transfers run now; try again in a minute".into(),
            Self::TooOften { seconds } => format!("you begin too many transfers; try again in {seconds} s"),
            Self::Crowded { seconds } => format!("this repository is in great demand; try again in {seconds} s"),
        }
    }

    /// 429 for who is over a number of their own or of the repository, 503 when there is no turn for anybody.
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooOften { .. } | Self::Crowded { .. } => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// Seconds after which it is worth coming back.
    pub(crate) const fn retry_after(self) -> u64 {
        match self {
            Self::Busy => 60,
            Self::TooOften { seconds } | Self::Crowded { seconds } => seconds,
        }
    }
}

/// Whom a rate or a share is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Party {
    User(i64),
    Address(IpAddr),
}

/// Lets a bounded number of Git transfers run, three quarters of them for one address; the others wait for their turn.
/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Transfers {
    turns: Arc<Semaphore>,
    width: usize,
    addresses: Shares<IpAddr>,
    users: Option<Shares<Party>>,
    repositories: Option<Shares<String>>,
    rates: Option<Rates<Party>>,
    repository_rates: Option<Rates<String>>,
}

/// The right to run one transfer; given back when dropped.
pub(crate) struct Turn {
    _permits: Vec<OwnedSemaphorePermit>,
}

impl Transfers {
    /// Four for each core, and never fewer than eight.
    pub(crate) fn for_this_machine(settings: &TransferSettings) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self::new((cores * 4).max(8), settings)
    }

    fn new(width: usize, settings: &TransferSettings) -> Self {
        Self {
            turns: Arc::new(Semaphore::new(width)),
            width,
            // Slow clients on one host must not keep out everyone else.
            addresses: Shares::of(width - width / 4),
            users: settings.per_user.map(Shares::of),
            repositories: settings.per_repository.map(Shares::of),
            rates: settings.per_minute.map(Rates::new),
            repository_rates: settings.per_repository_minute.map(Rates::new),
        }
    }

    /// Waits for a turn, five minutes at most.
    pub(crate) async fn turn(&self, asker: &Asker<'_>) -> Result<Turn, NoTurn> {
        if let Some(rates) = &self.rates {
            rates.take(asker.party(), Instant::now()).map_err(|seconds| NoTurn::TooOften { seconds })?;
        }
        if let Some(rates) = &self.repository_rates {
            rates.take(asker.place(), Instant::now()).map_err(|seconds| NoTurn::Crowded { seconds })?;
        }
        self.place(asker).await
    }

    /// Waits for a turn as [`Transfers::turn`] does, for what is not counted as begun.
    pub(crate) async fn place(&self, asker: &Asker<'_>) -> Result<Turn, NoTurn> {
        let address = counted(asker.from);
        let shares = [
            self.users.as_ref().map(|users| users.get(asker.party())),
            self.repositories.as_ref().map(|repositories| repositories.get(asker.place())),
            Some(self.addresses.get(address)),
            Some(Arc::clone(&self.turns)),
        ];
        let turn = async {
            let mut permits = Vec::with_capacity(shares.len());
            for share in shares.into_iter().flatten() {
                permits.push(share.acquire_owned().await.ok()?);
            }
            Some(Turn { _permits: permits })
        };
        tokio::time::timeout(TURN, turn).await.ok().flatten().ok_or(NoTurn::Busy)
    }

    /// Says whether a turn is free.
    #[cfg(test)]
    pub(crate) fn is_free(&self) -> bool {
        self.turns.available_permits() > 0
    }

    /// How many run now.
    pub(crate) fn running(&self) -> usize {
        self.width.saturating_sub(self.turns.available_permits())
    }
}

/// One semaphore for each party that holds or waits for a turn now.
#[derive(Clone)]
struct Shares<K> {
    each: usize,
    shares: Arc<Mutex<HashMap<K, Weak<Semaphore>>>>,
}

impl<K: Eq + Hash> Shares<K> {
    fn of(each: usize) -> Self {
        Self { each: each.min(Semaphore::MAX_PERMITS), shares: Arc::default() }
    }

    fn get(&self, party: K) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = shares.get(&party).and_then(Weak::upgrade) {
            return share;
        }
        shares.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(Semaphore::new(self.each));
        shares.insert(party, Arc::downgrade(&share));
        share
    }
}

/// A bucket for each party: full for who did nothing for a minute, one taken for each transfer.
#[derive(Clone)]
struct Rates<K> {
    per_minute: f64,
    buckets: Arc<Mutex<HashMap<K, Bucket>>>,
}

#[derive(Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl<K: Eq + Hash> Rates<K> {
    fn new(per_minute: u32) -> Self {
        Self { per_minute: per_minute.into(), buckets: Arc::default() }
    }

    /// Takes one; fails with the seconds after which there will be one.
    fn take(&self, party: K, now: Instant) -> Result<(), u64> {
        let filled = |bucket: &Bucket| {
            let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
            (bucket.left + passed * self.per_minute / 60.0).min(self.per_minute)
        };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= REMEMBERED {
            buckets.retain(|_, bucket| filled(bucket) < self.per_minute);
        }
        let bucket = buckets.entry(party).or_insert(Bucket { left: self.per_minute, at: now });
        *bucket = Bucket { left: filled(bucket), at: now };
        if bucket.left < 1.0 {
            let missing = Duration::from_secs_f64((1.0 - bucket.left) * 60.0 / self.per_minute);
            return Err(missing.as_secs().saturating_add(1));
        }
        bucket.left -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const FREE: TransferSettings = TransferSettings {
        deadline: None,
        least_rate: None,
        per_user: None,
        per_repository: None,
        per_minute: None,
        per_repository_minute: None,
    };

    fn take(transfers: &Transfers, user: Option<i64>, from: &str, repository: &str) -> Option<Turn> {
        let repository = RepoPath::parse_joined(repository).unwrap();
        let asker = Asker { user, from: from.parse().unwrap(), repository: &repository };
        transfers.turn(&asker).now_or_never().and_then(Result::ok)
    }

    #[tokio::test]
    async fn transfers_give_their_turn_back() {
        let transfers = Transfers::new(1, &FREE);
        let turn = take(&transfers, None, "10.0.0.1", "a/b").unwrap();
        assert_eq!(transfers.running(), 1);
        drop(turn);
        assert_eq!(transfers.running(), 0);
    }

    #[tokio::test]
    async fn one_address_leaves_turns_for_others() {
        let transfers = Transfers::new(8, &FREE);
        let held: Vec<_> = std::iter::from_fn(|| take(&transfers, None, "10.0.0.1", "a/b")).collect();
        assert_eq!(held.len(), 6);
        assert!(take(&transfers, None, "10.0.0.2", "a/b").is_some());
        drop(held);
        assert!(take(&transfers, None, "10.0.0.1", "a/b").is_some());
    }

    #[tokio::test]
    async fn one_user_and_one_repository_leave_turns_for_others() {
        let transfers = Transfers::new(9, &TransferSettings { per_user: Some(2), per_repository: Some(3), ..FREE });
        let _first = take(&transfers, Some(1), "10.0.0.1", "a/b").unwrap();
        let _second = take(&transfers, Some(1), "10.0.0.2", "a/b").unwrap();
        assert!(take(&transfers, Some(1), "10.0.0.3", "a/c").is_none(), "whatever the address and the repository");
        let _third = take(&transfers, Some(2), "10.0.0.3", "A/B").unwrap();
        assert!(take(&transfers, Some(2), "10.0.0.3", "a/b").is_none(), "the repository has its three");
        assert!(take(&transfers, Some(2), "10.0.0.3", "a/c").is_some());
    }

    #[tokio::test]
    async fn a_repository_in_demand_is_begun_so_often_a_minute_whoever_asks() {
        let transfers = Transfers::new(9, &TransferSettings { per_repository_minute: Some(2), ..FREE });
        let ask = async |user, repository| {
            let repository = RepoPath::parse_joined(repository).unwrap();
            let asker = Asker { user: Some(user), from: [10, 0, 0, 1].into(), repository: &repository };
            (transfers.turn(&asker).await.err(), transfers.place(&asker).await.err())
        };
        for user in [1, 2] {
            assert_eq!(ask(user, "a/b").await, (None, None));
        }
        let (refused, listed) = ask(3, "A/B").await;
        assert!(matches!(refused, Some(why @ NoTurn::Crowded { .. }) if why.status() == StatusCode::TOO_MANY_REQUESTS));
        assert_eq!(listed, None, "an advertisement is not counted");
        assert_eq!(ask(3, "a/c").await, (None, None));
    }

    #[test]
    fn who_begins_too_often_is_told_when_to_come_back() {
        let (rates, start) = (Rates::new(60), Instant::now());
        for _ in 0..60 {
            rates.take(Party::User(1), start).unwrap();
        }
        assert_eq!(rates.take(Party::User(1), start), Err(2));
        assert_eq!(rates.take(Party::User(2), start), Ok(()));
        assert_eq!(rates.take(Party::User(1), start + Duration::from_millis(1_100)), Ok(()));
        assert!(rates.take(Party::User(1), start + Duration::from_millis(1_200)).is_err());
    }
}

//! Failed sign-ins, counted per account and per address. The database counts, so that a restart forgives nobody and
//! replicas count together; what is held here is what was last seen there. Holds no password and no more keys than its
//! limit; the database holds the keys by their hashes.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use base::clock::Timestamp;
use store::sign_in_failures::{self, FailureRecord};
use store::{Query, Store, StoreError, Tx};

use crate::Error;

/// Failures that one address may have within one window.
const OF_ADDRESS: u32 = 10;
/// Failures that one account may have, from everywhere: more, so that one host cannot lock somebody else out, and few
/// enough for a hundred guesses an hour.
const OF_ACCOUNT: u32 = 25;
/// Length of a window, in seconds, from its first failure.
const WINDOW: i64 = 15 * 60;
/// How the keys of accounts and of addresses begin.
const ACCOUNT: &str = "account ";
const ADDRESS: &str = "address ";
/// Keys that are kept of each kind.
const KEYS: usize = 10_000;

#[derive(Clone, Copy)]
struct Count {
    failures: u32,
    until: Timestamp,
}

/// Keys, and what the database counts for each.
type Seen = Vec<(String, Option<Count>)>;

#[derive(Default)]
struct Counts {
    accounts: HashMap<String, Count>,
    addresses: HashMap<String, Count>,
}

/// What was tried, and from where. An account need not exist.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) account: Option<String>,
    /// `None` when the account alone counts.
    pub(crate) from: Option<IpAddr>,
}

#[derive(Default)]
pub(crate) struct Throttle(Mutex<Counts>);

impl Throttle {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Fails with `TooManyAttempts` when the account or the address has used up its failures.
    pub(crate) fn check(&self, attempt: &Attempt, now: Timestamp) -> Result<(), Error> {
        self.lock().judge(attempt, now)
    }

    /// Counts a failure, for good. Done before the outcome is known, so that who hangs up early is counted too, and so
    /// that of many who come at once no more get through than may fail: fails with `TooManyAttempts` when what the same
    /// transaction found is used up already.
    pub(crate) async fn count(&self, store: &Store, attempt: &Attempt, now: Timestamp) -> Result<(), Error> {
        let tx = store.begin().await?;
        sign_in_failures::remove_ended(&tx, now).await?;
        let seen = seen(&tx, attempt, now).await?;
        for (key, count) in self.counted(attempt, seen, now)? {
            put(&tx, &key, count).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Takes a counted failure back, as it was none; the account starts afresh, the address does not.
    pub(crate) async fn forgive(&self, store: &Store, attempt: &Attempt, now: Timestamp) -> Result<(), StoreError> {
        let tx = store.begin().await?;
        let seen = seen(&tx, attempt, now).await?;
        for (key, count) in self.forgiven(attempt, seen) {
            put(&tx, &key, count).await?;
        }
        tx.commit().await
    }

    /// Takes over what the database says of an attempt.
    pub(crate) async fn refresh(&self, store: &Store, attempt: &Attempt, now: Timestamp) -> Result<(), StoreError> {
        let seen = seen(&store.read(), attempt, now).await?;
        self.lock().take_over(seen, now);
        Ok(())
    }

    /// Counts a failure on top of what the database says, and gives the keys that changed.
    fn counted(&self, attempt: &Attempt, seen: Seen, now: Timestamp) -> Result<Seen, Error> {
        // Under one lock with what was seen: a check beside this one may have seen less.
        let mut counts = self.lock();
        counts.take_over(seen, now);
        counts.judge(attempt, now)?;
        let mut changed = Vec::new();
        for key in attempt.keys() {
            let counts = counts.of(&key);
            changed.extend(add(counts, key.clone(), now).map(|gone| (gone, None)));
            changed.push((key.clone(), counts.get(&key).copied()));
        }
        Ok(changed)
    }

    /// Takes one back from what the database says, and gives the keys that changed.
    fn forgiven(&self, attempt: &Attempt, seen: Seen) -> Seen {
        let mut counts = self.lock();
        counts.take_over(seen, Timestamp(i64::MIN));
        let mut changed = Vec::new();
        if let Some(key) = attempt.account_key() {
            counts.accounts.remove(&key);
            changed.push((key, None));
        }
        if let Some(key) = attempt.address_key() {
            if let Some(count) = counts.addresses.get_mut(&key) {
                count.failures = count.failures.saturating_sub(1);
            }
            let left = counts.addresses.get(&key).copied().filter(|count| count.failures > 0);
            changed.push((key, left));
        }
        changed
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn judge(&self, attempt: &Attempt, now: Timestamp) -> Result<(), Error> {
        let account = attempt.account_key().and_then(|key| self.accounts.get(&key));
        let address = attempt.address_key().and_then(|key| self.addresses.get(&key));
        let account = account.filter(|count| count.is_full(OF_ACCOUNT, now));
        let address = address.filter(|count| count.is_full(OF_ADDRESS, now));
        let until = [account, address].into_iter().flatten().map(|count| count.until);
        match until.max() {
            None => Ok(()),
            Some(until) => {
                let seconds = until.0.saturating_sub(now.0).div_euclid(1_000_000).saturating_add(1);
                Err(Error::TooManyAttempts { seconds: u64::try_from(seconds).unwrap_or(1) })
            }
        }
    }

    fn of(&mut self, key: &str) -> &mut HashMap<String, Count> {
        if key.starts_with(ACCOUNT) { &mut self.accounts } else { &mut self.addresses }
    }

    fn take_over(&mut self, seen: Seen, now: Timestamp) {
        for (key, count) in seen {
            let counts = self.of(&key);
            match count {
                Some(count) => {
                    if !counts.contains_key(&key) && counts.len() >= KEYS {
                        make_room(counts, now);
                    }
                    counts.insert(key, count);
                }
                None => drop(counts.remove(&key)),
            }
        }
    }
}

/// What the database says of the keys of an attempt.
async fn seen(database: &impl Query, attempt: &Attempt, now: Timestamp) -> Result<Seen, StoreError> {
    let mut seen = Seen::new();
    for key in attempt.keys() {
        let found = sign_in_failures::by_key(database, &key, now).await?;
        let count = found.map(|FailureRecord { failures, until, .. }| Count {
            failures: u32::try_from(failures).unwrap_or(u32::MAX),
            until,
        });
        seen.push((key, count));
    }
    Ok(seen)
}

async fn put(tx: &Tx, key: &str, count: Option<Count>) -> Result<(), StoreError> {
    match count {
        Some(Count { failures, until }) => {
            let record = FailureRecord { key: key.to_owned(), failures: failures.into(), until };
            sign_in_failures::put(tx, &record).await
        }
        None => sign_in_failures::remove(tx, key).await,
    }
}

impl Attempt {
    fn keys(&self) -> impl Iterator<Item = String> {
        self.account_key().into_iter().chain(self.address_key())
    }

    fn account_key(&self) -> Option<String> {
        let account = self.account.as_ref()?;
        Some(format!("{ACCOUNT}{}", vault::digest::sha256_hex(format!("sign-in account {account}").as_bytes())))
    }

    fn address_key(&self) -> Option<String> {
        let network = network(self.from?);
        Some(format!("{ADDRESS}{}", vault::digest::sha256_hex(format!("sign-in address {network}").as_bytes())))
    }
}

impl Count {
    fn is_full(&self, most: u32, now: Timestamp) -> bool {
        self.failures >= most && now < self.until
    }
}

/// Counts one, and gives the key that had to go for it.
fn add(counts: &mut HashMap<String, Count>, key: String, now: Timestamp) -> Option<String> {
    let is_crowded = !counts.contains_key(&key) && counts.len() >= KEYS;
    let gone = if is_crowded { make_room(counts, now) } else { None };
    let fresh = Count { failures: 0, until: now.plus_seconds(WINDOW) };
    let count = counts.entry(key).or_insert(fresh);
    if now >= count.until {
        *count = fresh;
    }
    count.failures = count.failures.saturating_add(1);
    gone
}

/// Drops what is over, else the one that has failed least: a flood of new keys must not free those that are held back.
fn make_room(counts: &mut HashMap<String, Count>, now: Timestamp) -> Option<String> {
    counts.retain(|_, count| now < count.until);
    if counts.len() >= KEYS
        && let Some(key) =
            counts.iter().min_by_key(|(_, count)| (count.failures, count.until)).map(|(key, _)| key.clone())
    {
        counts.remove(&key);
        return Some(key);
    }
    None
}

/// One subscriber has a whole /64 of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_000_000_000);

    fn attempt(account: &str, from: &str) -> Attempt {
        Attempt { account: Some(account.into()), from: from.parse().ok() }
    }

    fn note(throttle: &Throttle, attempt: &Attempt, now: Timestamp) {
        let _ = throttle.counted(attempt, Vec::new(), now);
    }

    #[test]
    fn the_eleventh_try_waits_for_the_rest_of_the_window() {
        let throttle = Throttle::new();
        for number in 0..10 {
            assert!(throttle.check(&attempt("alice", "10.0.0.1"), START).is_ok(), "{number}");
            note(&throttle, &attempt("alice", "10.0.0.1"), START);
        }
        let later = START.plus_seconds(WINDOW - 60);
        for held in [attempt("alice", "10.0.0.1"), attempt("bob", "10.0.0.1"), attempt("bob", "::ffff:10.0.0.1")] {
            let refused = throttle.check(&held, later);
            assert!(matches!(refused, Err(Error::TooManyAttempts { seconds: 61 })), "{held:?}: {refused:?}");
        }
        assert!(throttle.check(&attempt("alice", "10.0.0.2"), later).is_ok());
        assert!(throttle.check(&attempt("alice", "10.0.0.1"), START.plus_seconds(WINDOW)).is_ok());
    }

    #[test]
    fn one_host_locks_nobody_else_out_and_many_hosts_guess_no_faster() {
        let throttle = Throttle::new();
        let hosts = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].into_iter().flat_map(|host| [host; 10]);
        let tried: Vec<_> = hosts
            .take_while(|host| throttle.check(&attempt("alice", host), START).is_ok())
            .inspect(|host| note(&throttle, &attempt("alice", host), START))
            .collect();
        assert_eq!(tried.len(), 25);
        assert!(throttle.check(&attempt("alice", "10.9.9.9"), START).is_err());
    }

    #[test]
    fn addresses_of_one_ipv6_subscriber_count_as_one() {
        let throttle = Throttle::new();
        for number in 0..10 {
            note(&throttle, &attempt(&format!("user{number}"), &format!("2001:db8::{number}")), START);
        }
        assert!(throttle.check(&attempt("x", "2001:db8::ffff:1"), START).is_err());
        assert!(throttle.check(&attempt("x", "2001:db8:0:1::1"), START).is_ok());
    }

    #[test]
    fn success_clears_the_account_and_only_its_own_try_from_the_address() {
        let throttle = Throttle::new();
        for _ in 0..10 {
            note(&throttle, &attempt("alice", "10.0.0.1"), START);
        }
        throttle.forgiven(&attempt("alice", "10.0.0.1"), Vec::new());
        assert!(throttle.check(&attempt("alice", "10.0.0.2"), START).is_ok());
        note(&throttle, &attempt("bob", "10.0.0.1"), START);
        assert!(throttle.check(&attempt("carol", "10.0.0.1"), START).is_err());
    }

    #[test]
    fn a_flood_of_names_frees_nobody_who_is_held_back() {
        let throttle = Throttle::new();
        for _ in 0..OF_ACCOUNT {
            note(&throttle, &attempt("alice", "nowhere"), START);
        }
        for number in 0..KEYS + 50 {
            note(&throttle, &attempt(&format!("user{number}"), "nowhere"), START);
        }
        assert!(throttle.check(&attempt("alice", "10.9.9.9"), START).is_err());
        assert!(throttle.lock().accounts.len() <= KEYS);
    }
}

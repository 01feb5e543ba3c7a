//! Failed sign-ins, counted per account and per address. Holds no password and no more keys than its limit.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use base::clock::Timestamp;

use crate::Error;

/// Failures that one address may have within one window.
const OF_ADDRESS: u32 = 10;
/// Failures that one account may have, from everywhere: more, so that one host cannot lock somebody else out, and few
/// enough for a hundred guesses an hour.
const OF_ACCOUNT: u32 = 25;
/// Length of a window, in seconds, from its first failure.
const WINDOW: i64 = 15 * 60;
/// Keys that are kept of each kind.
const KEYS: usize = 10_000;

#[derive(Clone, Copy)]
struct Count {
    failures: u32,
    until: Timestamp,
}

#[derive(Default)]
struct Counts {
    accounts: HashMap<String, Count>,
    addresses: HashMap<IpAddr, Count>,
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
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let account = attempt.account.as_ref().and_then(|account| counts.accounts.get(account));
        let address = attempt.from.and_then(|from| counts.addresses.get(&network(from)));
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

    /// Counts a failure. Done before the outcome is known, so that who hangs up early is counted too.
    pub(crate) fn count(&self, attempt: &Attempt, now: Timestamp) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = &attempt.account {
            add(&mut counts.accounts, account.clone(), now);
        }
        if let Some(from) = attempt.from {
            add(&mut counts.addresses, network(from), now);
        }
    }

    /// Takes a counted failure back, as it was none; the account starts afresh, the address does not.
    pub(crate) fn forgive(&self, attempt: &Attempt) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = &attempt.account {
            counts.accounts.remove(account);
        }
        let address = attempt.from.map(network);
        if let Some(count) = address.and_then(|address| counts.addresses.get_mut(&address)) {
            count.failures = count.failures.saturating_sub(1);
        }
    }
}

impl Count {
    fn is_full(&self, most: u32, now: Timestamp) -> bool {
        self.failures >= most && now < self.until
    }
}

fn add<K: std::hash::Hash + Eq + Clone>(counts: &mut HashMap<K, Count>, key: K, now: Timestamp) {
    if !counts.contains_key(&key) && counts.len() >= KEYS {
        make_room(counts, now);
    }
    let fresh = Count { failures: 0, until: now.plus_seconds(WINDOW) };
    let count = counts.entry(key).or_insert(fresh);
    if now >= count.until {
        *count = fresh;
    }
    count.failures = count.failures.saturating_add(1);
}

/// Drops what is over, else the one that has failed least: a flood of new keys must not free those that are held back.
fn make_room<K: std::hash::Hash + Eq + Clone>(counts: &mut HashMap<K, Count>, now: Timestamp) {
    counts.retain(|_, count| now < count.until);
    if counts.len() >= KEYS
        && let Some(key) =
            counts.iter().min_by_key(|(_, count)| (count.failures, count.until)).map(|(key, _)| key.clone())
    {
        counts.remove(&key);
    }
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

    #[test]
    fn the_eleventh_try_waits_for_the_rest_of_the_window() {
        let throttle = Throttle::new();
        for number in 0..10 {
            assert!(throttle.check(&attempt("alice", "10.0.0.1"), START).is_ok(), "{number}");
            throttle.count(&attempt("alice", "10.0.0.1"), START);
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
            .inspect(|host| throttle.count(&attempt("alice", host), START))
            .collect();
        assert_eq!(tried.len(), 25);
        assert!(throttle.check(&attempt("alice", "10.9.9.9"), START).is_err());
    }

    #[test]
    fn addresses_of_one_ipv6_subscriber_count_as_one() {
        let throttle = Throttle::new();
        for number in 0..10 {
            throttle.count(&attempt(&format!("user{number}"), &format!("2001:db8::{number}")), START);
        }
        assert!(throttle.check(&attempt("x", "2001:db8::ffff:1"), START).is_err());
        assert!(throttle.check(&attempt("x", "2001:db8:0:1::1"), START).is_ok());
    }

    #[test]
    fn success_clears_the_account_and_only_its_own_try_from_the_address() {
        let throttle = Throttle::new();
        for _ in 0..10 {
            throttle.count(&attempt("alice", "10.0.0.1"), START);
        }
        throttle.forgive(&attempt("alice", "10.0.0.1"));
        assert!(throttle.check(&attempt("alice", "10.0.0.2"), START).is_ok());
        throttle.count(&attempt("bob", "10.0.0.1"), START);
        assert!(throttle.check(&attempt("carol", "10.0.0.1"), START).is_err());
    }

    #[test]
    fn a_flood_of_names_frees_nobody_who_is_held_back() {
        let throttle = Throttle::new();
        for _ in 0..OF_ACCOUNT {
            throttle.count(&attempt("alice", "10.0.0.1"), START);
        }
        for number in 0..KEYS + 50 {
            throttle.count(&attempt(&format!("user{number}"), "10.0.0.1"), START);
        }
        assert!(throttle.check(&attempt("alice", "10.9.9.9"), START).is_err());
        assert!(throttle.0.lock().unwrap().accounts.len() <= KEYS);
    }
}

//! How much the doors take on at once: connections in all and for each address, and Git transfers.
//! Counts only; knows nothing of what a connection carries.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Web connections in all.
pub(crate) const HTTP_CONNECTIONS: usize = 600;
/// Web connections of one address; a reverse proxy counts as one, so this is no small number.
pub(crate) const HTTP_CONNECTIONS_EACH: usize = 300;
/// SSH connections in all.
pub(crate) const SSH_CONNECTIONS: usize = 300;
/// SSH connections of one address, signed in or not.
pub(crate) const SSH_CONNECTIONS_EACH: usize = 100;
/// Streams of live events in all: over HTTP/1 each of them holds a connection, and half of those are for pages.
pub(crate) const STREAMS: usize = 300;
/// Streams of one address.
pub(crate) const STREAMS_EACH: usize = 30;
/// Time that a transfer waits for its turn before the client is told to come back.
const TURN: Duration = Duration::from_mins(5);

/// Counts connections, in all and by address. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Slots {
    taken: Arc<Mutex<Taken>>,
    total: usize,
    each: usize,
}

#[derive(Default)]
struct Taken {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One counted connection; given back when dropped.
pub(crate) struct Slot {
    taken: Arc<Mutex<Taken>>,
    address: IpAddr,
}

impl Slots {
    /// At most `total` at once, and `each` of one address.
    pub(crate) fn new(total: usize, each: usize) -> Self {
        Self { taken: Arc::default(), total, each }
    }

    /// Counts one more from `address`; `None` when either number is reached.
    pub(crate) fn take(&self, address: IpAddr) -> Option<Slot> {
        let address = counted(address);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let of_this = taken.by_address.get(&address).copied().unwrap_or(0);
        if taken.total >= self.total || of_this >= self.each {
            return None;
        }
        taken.total += 1;
        taken.by_address.insert(address, of_this + 1);
        Some(Slot { taken: Arc::clone(&self.taken), address })
    }

    /// How many are counted now.
    pub(crate) fn count(&self) -> usize {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).total
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.total = taken.total.saturating_sub(1);
        if let Some(count) = taken.by_address.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.by_address.remove(&self.address);
            }
        }
    }
}

/// The address that is counted: an IPv6 host owns at least a /64, so that is one.
fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Lets a bounded number of Git transfers run, three quarters of them for one address; the others wait for their turn.
/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Transfers {
    turns: Arc<Semaphore>,
    width: usize,
    shares: Arc<Mutex<HashMap<IpAddr, Weak<Semaphore>>>>,
}

/// The right to run one transfer; given back when dropped.
pub(crate) struct Turn {
    _turn: OwnedSemaphorePermit,
    _of_share: OwnedSemaphorePermit,
}

impl Transfers {
    /// Four for each core, and never fewer than eight.
    pub(crate) fn for_this_machine() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self::new((cores * 4).max(8))
    }

    fn new(width: usize) -> Self {
        Self { turns: Arc::new(Semaphore::new(width)), width, shares: Arc::default() }
    }

    /// Waits for a turn, five minutes at most; `None` when it did not come.
    pub(crate) async fn turn(&self, address: IpAddr) -> Option<Turn> {
        let share = self.share(counted(address));
        let turn = async {
            let of_share = share.acquire_owned().await.ok()?;
            let turn = Arc::clone(&self.turns).acquire_owned().await.ok()?;
            Some(Turn { _turn: turn, _of_share: of_share })
        };
        tokio::time::timeout(TURN, turn).await.ok().flatten()
    }

    /// What one address may hold: slow clients on one host must not keep out everyone else.
    fn share(&self, address: IpAddr) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = shares.get(&address).and_then(Weak::upgrade) {
            return share;
        }
        shares.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(Semaphore::new(self.width - self.width / 4));
        shares.insert(address, Arc::downgrade(&share));
        share
    }

    /// How many run now.
    pub(crate) fn running(&self) -> usize {
        self.width.saturating_sub(self.turns.available_permits())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_cannot_take_every_slot() {
        let slots = Slots::new(3, 2);
        let first = slots.take(address("10.0.0.1")).unwrap();
        let _second = slots.take(address("::ffff:10.0.0.1")).unwrap();
        assert!(slots.take(address("10.0.0.1")).is_none());
        let _third = slots.take(address("10.0.0.2")).unwrap();
        assert!(slots.take(address("10.0.0.3")).is_none(), "the total is reached");
        drop(first);
        assert!(slots.take(address("10.0.0.1")).is_some());
    }

    #[test]
    fn addresses_of_one_ipv6_network_count_as_one() {
        let slots = Slots::new(9, 1);
        let _first = slots.take(address("2001:db8::1")).unwrap();
        assert!(slots.take(address("2001:db8::2")).is_none());
        assert!(slots.take(address("2001:db8:0:1::2")).is_some());
        assert_eq!(slots.count(), 1);
    }

    #[tokio::test]
    async fn transfers_give_their_turn_back() {
        let transfers = Transfers::new(1);
        let turn = transfers.turn(address("10.0.0.1")).now_or_never().flatten().unwrap();
        assert_eq!(transfers.running(), 1);
        drop(turn);
        assert_eq!(transfers.running(), 0);
    }

    #[tokio::test]
    async fn one_address_leaves_turns_for_others() {
        let transfers = Transfers::new(8);
        let take = |from: &str| transfers.turn(address(from)).now_or_never().flatten();
        let held: Vec<_> = std::iter::from_fn(|| take("10.0.0.1")).collect();
        assert_eq!(held.len(), 6);
        assert!(take("10.0.0.2").is_some());
        drop(held);
        assert!(take("10.0.0.1").is_some());
    }
}

//! How many connections the doors take on at once, in all and for each address.
//! Counts only; knows nothing of what a connection carries.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

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
    each: usize,
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
        Some(Slot { taken: Arc::clone(&self.taken), address, each: self.each })
    }

    /// How many are counted now.
    pub(crate) fn count(&self) -> usize {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).total
    }
}

impl Slot {
    /// Counts the connection for another address from now on, as it turned out to be that one's; `None` when that one
    /// has as many as it may.
    pub(crate) fn pass_to(mut self, address: IpAddr) -> Option<Self> {
        let address = counted(address);
        let each = self.each;
        let taken = Arc::clone(&self.taken);
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        if address != self.address {
            if taken.by_address.get(&address).copied().unwrap_or(0) >= each {
                // What drops at the end of this gives the old place back, and needs the lock for that.
                drop(taken);
                return None;
            }
            taken.leave(self.address);
            *taken.by_address.entry(address).or_default() += 1;
            self.address = address;
        }
        drop(taken);
        Some(self)
    }
}

impl Taken {
    fn leave(&mut self, address: IpAddr) {
        if let Some(count) = self.by_address.get_mut(&address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_address.remove(&address);
            }
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.total = taken.total.saturating_sub(1);
        taken.leave(self.address);
    }
}

/// The address that is counted: an IPv6 host owns at least a /64, so that is one.
pub(crate) fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
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
}

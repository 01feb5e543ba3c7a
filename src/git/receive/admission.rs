//! Who may send a pack, when, and how large: asked before the first byte of it is written. Reads nothing of the pack.

use std::time::Duration;

use crate::Repo;
use crate::gates::Turn;

/// How long a client's pack waits for a place, and how long one that was made here does.
const CLIENT_WAITS: Duration = Duration::from_mins(5);
const OWN_WAITS: Duration = Duration::from_secs(30);
/// Bytes that a pack may always have, however little room a quota leaves: what is kept of it is measured again.
const LEAST: u64 = 64 << 10;

/// Where a pack comes from.
#[derive(Clone, Copy, Debug)]
pub enum Source {
    /// From a client of this account, over the network and as slowly as it likes.
    Client(i64),
    /// From memory, in the name of this account.
    Own(i64),
}

/// How large a push may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Where the pack comes from.
    pub source: Source,
    /// Bytes of the pack as it comes in; 0 means no limit.
    pub pack_bytes: u64,
    /// Bytes that quotas leave room for; `None` means no limit.
    pub room: Option<u64>,
    /// Bytes that stay free on the file system.
    pub least_free: u64,
}

/// What may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cap {
    /// The most bytes; never 0.
    pub(super) bytes: u64,
    /// What who sends more is told.
    pub(super) reason: &'static str,
}

impl Limits {
    /// Waits for a place. The error is why there is none, for the pusher.
    pub(super) async fn admit(&self, repo: &Repo) -> Result<(Turn, Cap), &'static str> {
        let turn = match self.source {
            Source::Client(account) => repo.gates().receives.enter(account, CLIENT_WAITS).await,
            Source::Own(account) => repo.gates().commits.enter(account, OWN_WAITS).await,
        };
        let turn = turn.ok_or("too many pushes are under way here; try again later")?;
        // A file system that does not say how full it is will say so when it is.
        let free = base::file::free_bytes(repo.path()).unwrap_or(u64::MAX);
        Ok((turn, self.cap(free)?))
    }

    fn cap(&self, free: u64) -> Result<Cap, &'static str> {
        let left = free.saturating_sub(self.least_free);
        if left == 0 {
            return Err("the server has too little space left to take pushes; its administrator has to make room");
        }
        let cap = |bytes, reason| Some(Cap { bytes, reason });
        let caps = [
            cap(self.pack_bytes, "the pack is larger than this site takes").filter(|cap| cap.bytes > 0),
            self.room
                .and_then(|room| cap(room.max(LEAST), "over quota: the pack is larger than the room that is left")),
            cap(left, "the pack is larger than the space that the server has left"),
        ];
        let least = caps.into_iter().flatten().min_by_key(|cap| cap.bytes);
        least.ok_or("the server takes no pushes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_of_limit_room_and_space_holds() {
        let limits = |pack_bytes, room| Limits { source: Source::Client(1), pack_bytes, room, least_free: 1_000_000 };
        for (pack_bytes, room, free, expected) in [
            (0, None, 3_000_000, Some((2_000_000, "space"))),
            (500_000, None, 3_000_000, Some((500_000, "site takes"))),
            (500_000, Some(300_000), 3_000_000, Some((300_000, "over quota"))),
            (0, Some(0), 3_000_000, Some((LEAST, "over quota"))),
            (0, Some(300_000), 1_200_000, Some((200_000, "space"))),
            (0, None, 1_000_000, None),
        ] {
            let found = limits(pack_bytes, room).cap(free);
            assert_eq!(
                found.ok().map(|cap| cap.bytes),
                expected.map(|(bytes, _)| bytes),
                "{pack_bytes} {room:?} {free}"
            );
            assert!(expected.is_none_or(|(_, word)| found.is_ok_and(|cap| cap.reason.contains(word))), "{found:?}");
        }
    }
}

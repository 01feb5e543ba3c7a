//! The words of the isolation probe: what is looked for, from where, and how each look ended. Holds values alone; the
//! packets, the sockets and the judgement have files of their own.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::isolation;
use crate::text::line;

/// What is spoken to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A TCP connection; on ports of TLS also a look at the certificate.
    Tcp,
    /// `GET /generate_204` over plain HTTP.
    Http,
    /// A QUIC packet of a version that nobody speaks, which servers answer with those that they do.
    Quic,
    /// A DNS query over UDP, to a resolver outside.
    Dns,
    /// An NTP query.
    Ntp,
    /// A public name, asked of the vantage point's own resolvers.
    Name,
    /// An HTTP proxy, asked to lead out.
    Proxy,
    /// The address where clouds hand credentials to machines.
    Metadata,
    /// A registry mirror that the engine is set to.
    Mirror,
}

/// Which Internet Protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Family {
    /// Version 4.
    #[serde(rename = "4")]
    V4,
    /// Version 6.
    #[serde(rename = "6")]
    V6,
}

/// How one look ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Outcome {
    /// The name is not known here.
    #[serde(rename = "no name")]
    NoName,
    /// The system knows no way there.
    #[serde(rename = "no route")]
    NoRoute,
    /// Silence, or a firewall of the vantage point itself.
    #[serde(rename = "filtered")]
    Filtered,
    /// Something said no.
    #[serde(rename = "refused")]
    Refused,
    /// Nothing is proven: the probe itself does not work here, or had no time.
    #[serde(rename = "broken")]
    Broken,
    /// Something answered, but not the target.
    #[serde(rename = "intercepted")]
    Intercepted,
    /// The target answered.
    #[serde(rename = "reachable")]
    Reachable,
}

/// One look at one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// What was spoken.
    pub kind: Kind,
    /// The protocol version, where the look has one.
    pub family: Option<Family>,
    /// The target: a place, and for proxies and resolvers what was asked of them.
    pub target: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What was seen, when the outcome alone does not say it.
    pub detail: String,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// How the probe did against a listener of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It reached the listener and read its answer.
    Works,
    /// The vantage point has no such protocol at all, which the system says itself.
    Absent,
    /// It did not, so that its silence proves nothing.
    Broken,
}

/// The positive control of one kind of look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// What was spoken.
    pub kind: Kind,
    /// The protocol version.
    pub family: Family,
    /// How it did.
    pub state: State,
    /// What was seen, unless it works.
    pub detail: String,
}

/// Everything seen from one vantage point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// The vantage point: `host`, `network NAME` or `netns PATH`.
    pub vantage: String,
    /// The positive controls.
    pub controls: Vec<Control>,
    /// The looks, in the order of the targets.
    pub rows: Vec<Row>,
    /// Why nobody could look from there.
    pub unseen: Option<String>,
}

/// What a look that ran out of time says of itself.
pub(crate) const OUT_OF_TIME: &str = "the budget ended first";
/// What a row says of a proxy that wants a password, from one whose address here holds none, and from one that does.
pub(crate) const ASKS_PASSWORD: &str = "the proxy asks for a password (407): who has one may get out";
pub(crate) const HAS_PASSWORD: &str = "the proxy asks for a password (407), and its address here holds one";
/// What a row says of a public name for which the site has an answer of its own, before the address.
pub(crate) const SITES_OWN: &str = "it has an address of the site's own";

impl Kind {
    /// Every kind.
    pub(crate) const ALL: [Self; 9] = [
        Self::Tcp,
        Self::Http,
        Self::Quic,
        Self::Dns,
        Self::Ntp,
        Self::Name,
        Self::Proxy,
        Self::Metadata,
        Self::Mirror,
    ];

    /// The word for it, on the command line and in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Http => "http",
            Self::Quic => "quic",
            Self::Dns => "dns",
            Self::Ntp => "ntp",
            Self::Name => "name",
            Self::Proxy => "proxy",
            Self::Metadata => "metadata",
            Self::Mirror => "mirror",
        }
    }

    /// The port when none is given.
    pub(crate) fn port(self) -> u16 {
        match self {
            Self::Tcp | Self::Quic | Self::Mirror => 443,
            Self::Http | Self::Metadata => 80,
            Self::Dns | Self::Name => 53,
            Self::Ntp => 123,
            Self::Proxy => 3128,
        }
    }

    /// The kind whose control stands for it: those that share a way to send and to read.
    pub(crate) fn wire(self) -> Self {
        match self {
            Self::Tcp | Self::Http | Self::Proxy | Self::Metadata | Self::Mirror => Self::Tcp,
            Self::Dns | Self::Name => Self::Dns,
            Self::Quic => Self::Quic,
            Self::Ntp => Self::Ntp,
        }
    }
}

impl Family {
    /// Both.
    pub(crate) const BOTH: [Self; 2] = [Self::V4, Self::V6];

    /// That of an address.
    pub(crate) fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// `4` or `6`.
    pub fn word(self) -> &'static str {
        match self {
            Self::V4 => "4",
            Self::V6 => "6",
        }
    }
}

impl Outcome {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::NoName => "no name",
            Self::NoRoute => "no route",
            Self::Filtered => "filtered",
            Self::Refused => "refused",
            Self::Broken => "broken",
            Self::Intercepted => "intercepted",
            Self::Reachable => "reachable",
        }
    }

    /// Says whether nothing came back that could carry data out.
    pub fn is_closed(self) -> bool {
        matches!(self, Self::NoName | Self::NoRoute | Self::Filtered | Self::Refused)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

impl Look {
    /// The same with every text fit for one line, also when it comes from a probe that somebody else may have replaced.
    pub(crate) fn plain(mut self) -> Self {
        for row in &mut self.rows {
            (row.target, row.detail) = (line(&row.target), line(&row.detail));
        }
        for control in &mut self.controls {
            control.detail = line(&control.detail);
        }
        self.vantage = line(&self.vantage);
        self.unseen = self.unseen.map(|why| line(&why));
        self
    }

    /// A vantage point that nobody could look from.
    pub(crate) fn unseen(vantage: &str, why: impl Into<String>) -> Self {
        Self { vantage: vantage.into(), controls: Vec::new(), rows: Vec::new(), unseen: Some(why.into()) }
    }
}

/// How the smoke test's probe says the same, and why it broke.
impl From<isolation::Outcome> for (Outcome, String) {
    fn from(outcome: isolation::Outcome) -> Self {
        match outcome {
            isolation::Outcome::NoName => (Outcome::NoName, String::new()),
            isolation::Outcome::NoRoute => (Outcome::NoRoute, String::new()),
            isolation::Outcome::Refused => (Outcome::Refused, String::new()),
            isolation::Outcome::Filtered => (Outcome::Filtered, String::new()),
            isolation::Outcome::Reachable => (Outcome::Reachable, String::new()),
            isolation::Outcome::Broken(reason) => (Outcome::Broken, reason),
        }
    }
}

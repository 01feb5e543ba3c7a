//! The isolation probe: one TCP connection attempt per target, and which way it ended. Never an HTTP client: with an
//! operator-only CA every public TLS host fails, which would look like "blocked".

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::catalogue;
use crate::probe_lookup::{self as lookup, Unknown};
use crate::smoke::Line;
use crate::text::line;

/// How long one connection may take.
pub const DEADLINE: Duration = Duration::from_secs(3);

/// How long the look-up of a name may take: the system asks the second of its resolvers after five seconds.
const LOOKUP: Duration = Duration::from_secs(11);

/// The seeds' target, when GITGRIT_ISOLATION_TARGETS is not set.
pub const DEFAULT_TARGET: &str = "www.google.com:443";

/// What stands in for the seeds' target where no resolver can tell its address.
const STAND_INS: [&str; 2] = ["8.8.8.8:443", "[2001:4860:4860::8888]:443"];

/// Addresses of one name that are tried at once; more add nothing.
const ADDRESSES: usize = 8;

/// What to probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// What to probe, all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Targets {
    /// The seeds' one target, with the seeds' lines.
    Seeds,
    /// The operator's own; each line names its outcome.
    Given(Vec<Target>),
}

/// A part of GITGRIT_ISOLATION_TARGETS that is not `host:port`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not host:port")]
pub struct TargetError(String);

impl base::Hint for TargetError {
    fn hint(&self) -> Option<String> {
        Some("write GITGRIT_ISOLATION_TARGETS=host:port,host:port".into())
    }
}

/// How a probe ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The name does not resolve.
    NoName,
    /// The system knows no way there.
    NoRoute,
    /// Something said no.
    Refused,
    /// Silence, or a firewall of this host.
    Filtered,
    /// A connection came about.
    Reachable,
    /// The probe itself failed, so it proves nothing.
    Broken(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NoName => "no name",
            Self::NoRoute => "no route",
            Self::Refused => "refused",
            Self::Filtered => "filtered",
            Self::Reachable => "reachable",
            Self::Broken(reason) => reason,
        })
    }
}

impl Target {
    /// Parses `host:port`; an IPv6 address stands in brackets.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let refused = || TargetError(line(text));
        let (host, port) = text.rsplit_once(':').ok_or_else(refused)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host_fine = match bare {
            Some(address) => six(address),
            None => {
                !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
            }
        };
        let port = port.parse().ok().filter(|port| *port != 0 && is_host_fine).ok_or_else(refused)?;
        Ok(Self { host: bare.unwrap_or(host).into(), port })
    }

    /// The address, when the host is one and no name.
    pub(crate) fn literal(&self) -> Option<IpAddr> {
        self.host.split('%').next().and_then(|address| address.parse().ok())
    }
}

/// Says whether this is an address of version 6 that can be reached: one that is good for a single link names its interface.
fn six(text: &str) -> bool {
    let (address, interface) = text.split_once('%').map_or((text, None), |(address, name)| (address, Some(name)));
    let is_interface = |name: &str| {
        (1..=15).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
    };
    address.parse::<Ipv6Addr>().is_ok_and(|address| {
        address.is_unicast_link_local() == interface.is_some() && interface.is_none_or(is_interface)
    })
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(out, "[{}]:{}", self.host, self.port)
        } else {
            write!(out, "{}:{}", self.host, self.port)
        }
    }
}

impl Targets {
    /// Reads the value of GITGRIT_ISOLATION_TARGETS; not set or empty means the seeds' target.
    pub fn parse(value: Option<&str>) -> Result<Self, TargetError> {
        match value.map(str::trim).filter(|value| !value.is_empty()) {
            None => Ok(Self::Seeds),
            Some(value) => {
                value.split(',').map(|part| Target::parse(part.trim())).collect::<Result<_, _>>().map(Self::Given)
            }
        }
    }

    /// Probes every target and judges each.
    pub async fn probe(&self) -> Vec<Line> {
        match self {
            Self::Seeds => vec![seeds().await],
            Self::Given(targets) => {
                // An address proves without a resolver what a name cannot when the resolver fails.
                let stands_in = targets.iter().any(|target| target.literal().is_some());
                let mut probes = JoinSet::new();
                for (index, target) in targets.iter().cloned().enumerate() {
                    probes.spawn(async move {
                        let outcome = match found(&target).await {
                            Ok(addresses) => connected(addresses).await,
                            Err(unknown) => unheard(unknown, stands_in),
                        };
                        (index, judge(&target, &outcome, true))
                    });
                }
                let mut lines = probes.join_all().await;
                lines.sort_by_key(|(index, _)| *index);
                lines.into_iter().map(|(_, line)| line).collect()
            }
        }
    }
}

fn judge(target: &Target, outcome: &Outcome, is_named: bool) -> Line {
    match outcome {
        Outcome::Reachable => Line::fail(
            &catalogue::SMOKE_REACHABLE,
            format!(
                "public internet is reachable: TCP {target} accepted a connection. This is NOT an air-gapped install."
            ),
        ),
        Outcome::Broken(reason) => Line::warn(
            &catalogue::SMOKE_PROBE_BROKEN,
            format!("could not probe {target}: {reason} — this proves neither isolation nor access"),
        ),
        blocked => {
            let detail = if is_named { format!(": {blocked}") } else { String::new() };
            Line::ok(
                &catalogue::SMOKE_ISOLATED,
                format!("public internet appears blocked ({target} is unreachable{detail})"),
            )
        }
    }
}

/// The seeds' one target; where no resolver can tell its address, others of its operator that need none.
async fn seeds() -> Line {
    let target = match Target::parse(DEFAULT_TARGET) {
        Ok(target) => target,
        Err(error) => return Line::fail(&catalogue::SMOKE_TARGETS, error.to_string()),
    };
    let unknown = match found(&target).await {
        Ok(addresses) => return judge(&target, &connected(addresses).await, false),
        Err(unknown) => unknown,
    };
    if matches!(unknown, Unknown::Failing(_)) {
        for literal in STAND_INS.iter().filter_map(|text| Target::parse(text).ok()) {
            let addresses = found(&literal).await.unwrap_or_default();
            let outcome = connected(addresses).await;
            if matches!(outcome, Outcome::Reachable | Outcome::Broken(_)) {
                return judge(&literal, &outcome, false);
            }
        }
    }
    judge(&target, &unheard(unknown, true), false)
}

async fn found(target: &Target) -> Result<Vec<SocketAddr>, Unknown> {
    let found = lookup::addresses(&target.host, target.port, LOOKUP).await?;
    Ok(found.into_iter().take(ADDRESSES).collect())
}

/// What a look-up without an address says. `stands_in` says whether some address is tried without any look-up, too.
pub(crate) fn unheard(unknown: Unknown, stands_in: bool) -> Outcome {
    match unknown {
        Unknown::NoName => Outcome::NoName,
        Unknown::Failing(_) if stands_in => Outcome::NoName,
        Unknown::Failing(why) | Unknown::Broken(why) => Outcome::Broken(why),
        Unknown::Late => Outcome::Broken("the resolver did not answer in time".into()),
    }
}

async fn connected(addresses: Vec<SocketAddr>) -> Outcome {
    let mut attempts = JoinSet::new();
    for address in addresses {
        attempts.spawn(async move { outcome(timeout(DEADLINE, TcpStream::connect(address)).await) });
    }
    let mut worst = Outcome::NoName;
    while let Some(attempt) = attempts.join_next().await {
        let outcome = attempt.unwrap_or_else(|error| Outcome::Broken(line(&error.to_string())));
        if outcome == Outcome::Reachable {
            return outcome;
        }
        worst = more_telling(worst, outcome);
    }
    worst
}

/// One line per target: what says most about the way there wins.
fn more_telling(left: Outcome, right: Outcome) -> Outcome {
    let rank = |outcome: &Outcome| match outcome {
        Outcome::NoName => 0,
        Outcome::NoRoute => 1,
        Outcome::Filtered => 2,
        Outcome::Refused => 3,
        Outcome::Broken(_) => 4,
        Outcome::Reachable => 5,
    };
    if rank(&right) > rank(&left) { right } else { left }
}

fn outcome(attempt: Result<io::Result<TcpStream>, tokio::time::error::Elapsed>) -> Outcome {
    match attempt {
        Err(_) => Outcome::Filtered,
        Ok(Ok(_)) => Outcome::Reachable,
        Ok(Err(error)) => refusal(&error),
    }
}

/// What an error of a socket says about the way there.
pub(crate) fn refusal(error: &io::Error) -> Outcome {
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => Outcome::Refused,
        io::ErrorKind::TimedOut | io::ErrorKind::PermissionDenied => Outcome::Filtered,
        // No address of that family on this host: the usual answer for IPv6 in a closed network. A route of the kind
        // "blackhole" says that the address is no fitting argument.
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::AddrNotAvailable
        | io::ErrorKind::InvalidInput => Outcome::NoRoute,
        _ => Outcome::Broken(line(&error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_host_and_port() {
        for text in ["a.b:443", "[::1]:1", "10.0.0.1:53", "[fe80::1%eth0]:1", "[fe80::1%2]:1"] {
            assert_eq!(Target::parse(text).unwrap().to_string(), text);
        }
        for refused in ["", "a", "a:", ":1", "a:0", "a:70000", "::1:1", "[a]:1", "a b:1", "http://a:1"] {
            assert!(Target::parse(refused).is_err(), "{refused}");
        }
        for refused in ["[fe80::1]:1", "[fe80::1%]:1", "[fe80::1%a b]:1", "[2001:db8::1%eth0]:1", "[%eth0]:1", "a%b:1"]
        {
            assert!(Target::parse(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn no_value_means_the_seeds_target() {
        assert_eq!(Targets::parse(None), Ok(Targets::Seeds));
        assert_eq!(Targets::parse(Some(" ")), Ok(Targets::Seeds));
        assert!(matches!(Targets::parse(Some("a:1, b:2")), Ok(Targets::Given(given)) if given.len() == 2));
        assert!(Targets::parse(Some("a:1,,b:2")).is_err());
    }

    #[test]
    fn the_seeds_target_has_the_seeds_lines() {
        let target = Target::parse(DEFAULT_TARGET).unwrap();
        assert_eq!(target, Target { host: "www.google.com".into(), port: 443 });
        for blocked in [Outcome::NoName, Outcome::NoRoute, Outcome::Refused, Outcome::Filtered] {
            assert_eq!(
                judge(&target, &blocked, false).to_string(),
                "OK    public internet appears blocked (www.google.com:443 is unreachable)"
            );
        }
        assert_eq!(
            judge(&target, &Outcome::Reachable, false).to_string(),
            "FAIL  public internet is reachable: TCP www.google.com:443 accepted a connection. This is NOT an air-gapped \
             install."
        );
    }

    #[test]
    fn a_resolver_that_says_nothing_proves_nothing() {
        assert_eq!(unheard(Unknown::NoName, false), Outcome::NoName);
        assert_eq!(unheard(Unknown::Failing("why".into()), true), Outcome::NoName);
        assert_eq!(unheard(Unknown::Failing("why".into()), false), Outcome::Broken("why".into()));
        for stands_in in [true, false] {
            assert!(matches!(unheard(Unknown::Late, stands_in), Outcome::Broken(_)));
            assert!(matches!(unheard(Unknown::Broken("why".into()), stands_in), Outcome::Broken(_)));
        }
    }

    #[test]
    fn a_probe_that_broke_is_not_blocked() {
        let target = Target::parse("a:1").unwrap();
        let broken = judge(&target, &Outcome::Broken("too many open files".into()), true).to_string();
        assert_eq!(broken, "WARN  could not probe a:1: too many open files — this proves neither isolation nor access");
        assert_eq!(
            judge(&target, &Outcome::Filtered, true).to_string(),
            "OK    public internet appears blocked (a:1 is unreachable: filtered)"
        );
    }
}

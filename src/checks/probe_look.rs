//! Looks at every target from where this process is, all at once and within the budget: controls, canaries and targets,
//! each a task of its own. Judges nothing itself.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::timeout_at;

use crate::isolation::Target as Place;
use crate::probe::{Family, Kind, Look, OUT_OF_TIME, Outcome, Row};
use crate::probe_attempt::{self as attempt, Seen};
use crate::probe_control as control;
use crate::probe_exchange as exchange;
use crate::probe_judge::{Against, judge};
use crate::probe_proxy::{self as proxy, Through};
use crate::probe_target::Target;

/// Where the system keeps the addresses of its resolvers.
const RESOLVERS: &str = "/etc/resolv.conf";
/// Resolvers that are asked, at most; the system asks no more either.
const MOST_RESOLVERS: usize = 3;
/// The longest that one step of an attempt may take. An attempt has at most six: name, connection, request, certificate,
/// and a connection and a request for the canary.
const STEP: Duration = Duration::from_millis(2_500);
const STEPS: u32 = 6;
/// The shortest: silence for less than this says nothing, and then the budget is said to have ended.
const SHORTEST: Duration = Duration::from_millis(300);

/// What to look for.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) targets: Vec<Target>,
    /// Addresses that no host has, of each version at most one.
    pub(crate) canaries: Vec<IpAddr>,
}

/// One row to be: what is asked of whom.
#[derive(Clone, Debug)]
struct Job {
    kind: Kind,
    family: Option<Family>,
    subject: String,
    work: Work,
}

#[derive(Clone, Debug)]
enum Work {
    Wire(Place, Family),
    Name(String, SocketAddr),
    Proxy(Place, Through, Option<IpAddr>),
    Known(Seen),
}

/// A question to a canary: of which kind, in which version, on which port.
type Question = (Kind, Family, u16);

/// Looks from where this process is. Ends at `end`; what is not answered by then is said to be so.
pub(crate) async fn look(vantage: &str, plan: &Plan, end: Instant) -> Look {
    let step = (end.saturating_duration_since(Instant::now()) / STEPS).clamp(SHORTEST, STEP);
    let jobs = jobs(plan, &resolvers(Path::new(RESOLVERS)));
    let deadline = tokio::time::Instant::from_std(end);
    let mut asked = JoinSet::new();
    for (index, job) in jobs.iter().cloned().enumerate() {
        asked.spawn(async move {
            let began = Instant::now();
            let seen = timeout_at(deadline, work(job.work, job.kind, step)).await;
            let seen = seen.unwrap_or_else(|_| Seen::new(Outcome::Broken, OUT_OF_TIME));
            (index, seen, began.elapsed())
        });
    }
    let canaries = canaries(plan, &jobs, step);
    let (controls, canaries) = tokio::join!(timeout_at(deadline, control::run(step)), timeout_at(deadline, canaries));
    let (controls, canaries) = (controls.unwrap_or_default(), canaries.unwrap_or_default());
    let mut all = asked.join_all().await;
    all.sort_by_key(|(index, ..)| *index);
    let row = |(job, (_, seen, took)): (Job, (usize, Seen, Duration))| {
        let family = job.family.unwrap_or(Family::V4);
        let canary = match &job.work {
            Work::Wire(place, family) => canaries.get(&(job.kind.wire(), *family, place.port)).copied(),
            _ => None,
        };
        let (outcome, detail) = judge(job.kind, family, seen, Against { canary, controls: &controls });
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        Row { kind: job.kind, family: job.family, target: job.subject, outcome, detail, took_ms }
    };
    let rows = jobs.into_iter().zip(all).map(row).collect();
    Look { vantage: vantage.into(), controls, rows, unseen: None }
}

/// The canaries that answered what the targets are asked.
async fn canaries(plan: &Plan, jobs: &[Job], step: Duration) -> BTreeMap<Question, IpAddr> {
    let questions: BTreeSet<Question> = jobs
        .iter()
        .filter_map(|job| match &job.work {
            Work::Wire(place, family) => Some((job.kind.wire(), *family, place.port)),
            _ => None,
        })
        .collect();
    let mut asked = JoinSet::new();
    for question @ (kind, family, port) in questions {
        let Some(canary) = plan.canaries.iter().copied().find(|canary| Family::of(*canary) == family) else { continue };
        asked.spawn(async move {
            let address = SocketAddr::new(canary, port);
            let is_there = match kind {
                Kind::Tcp => attempt::connect(address, step).await.is_ok(),
                kind => exchange::udp(kind, address, step).await.outcome == Outcome::Reachable,
            };
            is_there.then_some((question, canary))
        });
    }
    asked.join_all().await.into_iter().flatten().collect()
}

async fn work(work: Work, kind: Kind, step: Duration) -> Seen {
    match work {
        Work::Known(seen) => seen,
        Work::Name(name, resolver) => exchange::name(&name, resolver, step).await,
        Work::Proxy(place, through, canary) => proxy::ask(&place, &through, canary, step).await,
        Work::Wire(place, family) => {
            let addresses = match attempt::addresses(&place.host, place.port, family, step).await {
                Ok(addresses) => addresses,
                Err(seen) => return seen,
            };
            let mut asked = JoinSet::new();
            for address in addresses {
                let host = place.host.clone();
                asked.spawn(async move { wire(kind, address, &host, step).await });
            }
            let none = Seen::new(Outcome::NoName, "");
            asked.join_all().await.into_iter().fold(none, Seen::or)
        }
    }
}

async fn wire(kind: Kind, address: SocketAddr, host: &str, step: Duration) -> Seen {
    let name = Some(host).filter(|host| host.parse::<IpAddr>().is_err());
    match kind {
        Kind::Http => attempt::http(address, host, step).await,
        Kind::Dns | Kind::Quic | Kind::Ntp => exchange::udp(kind, address, step).await,
        _ => attempt::tcp(address, name, step).await,
    }
}

fn jobs(plan: &Plan, resolvers: &[SocketAddr]) -> Vec<Job> {
    plan.targets.iter().flat_map(|target| of_target(target, plan, resolvers)).collect()
}

fn of_target(target: &Target, plan: &Plan, resolvers: &[SocketAddr]) -> Vec<Job> {
    let job = |family, subject, work| Job { kind: target.kind, family, subject, work };
    let place = &target.place;
    match target.kind {
        Kind::Name => {
            let resolvers = target.resolver.as_ref().map_or(resolvers, std::slice::from_ref);
            if resolvers.is_empty() {
                let seen = Seen::new(Outcome::NoName, "no resolver is set here");
                return vec![job(None, place.host.clone(), Work::Known(seen))];
            }
            let ask = |resolver: &SocketAddr| {
                let subject = format!("{} @{}", place.host, resolver.ip());
                job(Some(Family::of(resolver.ip())), subject, Work::Name(place.host.clone(), *resolver))
            };
            resolvers.iter().map(ask).collect()
        }
        Kind::Proxy => {
            let canary = plan.canaries.iter().copied().find(IpAddr::is_ipv4);
            let ask = |through: Through| {
                let subject = format!("{place} {}", through.shown());
                let unspoken =
                    Seen::new(Outcome::Broken, format!("speaks {}, which this probe does not", target.scheme));
                let work = match target.scheme.as_str() {
                    "http" => Work::Proxy(place.clone(), through, canary),
                    _ => Work::Known(unspoken),
                };
                job(None, subject, work)
            };
            throughs(&plan.targets).into_iter().map(ask).collect()
        }
        _ => {
            let families = target.family.map_or(Family::BOTH.to_vec(), |family| vec![family]);
            let ask = |family| job(Some(family), place.to_string(), Work::Wire(place.clone(), family));
            families.into_iter().map(ask).collect()
        }
    }
}

/// What proxies are asked for: the first targets of the kinds that lead through one.
fn throughs(targets: &[Target]) -> Vec<Through> {
    let first = |kind| targets.iter().find(|target| target.kind == kind).map(|target| target.place.clone());
    let connect = first(Kind::Tcp).map(Through::Connect);
    connect.into_iter().chain(first(Kind::Http).map(Through::Get)).collect()
}

fn resolvers(path: &Path) -> Vec<SocketAddr> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver")?.trim().parse::<IpAddr>().ok())
        .take(MOST_RESOLVERS)
        .map(|address| SocketAddr::new(address, 53))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe_target::Origin;

    fn subjects(targets: &[&str], resolvers: &[&str]) -> Vec<String> {
        let targets = targets.iter().map(|text| Target::parse(text, Origin::Given).unwrap()).collect();
        let resolvers: Vec<_> = resolvers.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 53)).collect();
        let plan = Plan { targets, canaries: Vec::new() };
        let shown = |job: Job| format!("{}{} {}", job.kind.word(), job.family.map_or("", Family::word), job.subject);
        jobs(&plan, &resolvers).into_iter().map(shown).collect()
    }

    #[test]
    fn a_target_is_a_row_for_each_version_resolver_and_way_through() {
        for (targets, resolvers, expected) in [
            (&["tcp=a.b:1"][..], &[][..], &["tcp4 a.b:1", "tcp6 a.b:1"][..]),
            (&["tcp6=a.b:1"], &[], &["tcp6 a.b:1"]),
            (&["dns=[2001:db8::1]"], &[], &["dns6 [2001:db8::1]:53"]),
            (&["name=a.b"], &[], &["name a.b"]),
            (&["name=a.b"], &["192.0.2.1", "::1"], &["name4 a.b @192.0.2.1", "name6 a.b @::1"]),
            (&["name=a.b@192.0.2.9"], &["192.0.2.1"], &["name4 a.b @192.0.2.9"]),
            (
                &["tcp4=a.b:1", "proxy=p:2", "http4=c.d"],
                &[],
                &["tcp4 a.b:1", "proxy p:2 CONNECT a.b:1", "proxy p:2 GET c.d:80", "http4 c.d:80"],
            ),
        ] {
            assert_eq!(subjects(targets, resolvers), expected);
        }
    }

    #[tokio::test]
    async fn what_has_no_time_proves_nothing() {
        let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let text = format!("ntp={}", silent.local_addr().unwrap());
        let plan = Plan { targets: vec![Target::parse(&text, Origin::Given).unwrap()], canaries: Vec::new() };
        let look = look("host", &plan, Instant::now() + Duration::from_millis(50)).await;
        let row = &look.rows[0];
        assert_eq!((row.outcome, row.detail.as_str()), (Outcome::Broken, OUT_OF_TIME));
        assert!(row.took_ms < 300, "{row:?}");
    }

    #[test]
    fn resolvers_are_those_that_the_system_asks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("resolv.conf");
        let text = "# one\nnameserver 192.0.2.1\n nameserver\t::1\nsearch a.b\nnameserver fe80::1%eth0\nnameserver x\n";
        std::fs::write(&path, text).unwrap();
        assert_eq!(resolvers(&path), ["192.0.2.1:53".parse().unwrap(), "[::1]:53".parse().unwrap()]);
        assert!(resolvers(&folder.path().join("none")).is_empty());
    }
}

//! Looks at every target from where this process is, all at once and within the budget: controls, canaries and targets,
//! each a task of its own. Judges nothing itself.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::timeout_at;

use crate::isolation::Target as Place;
use crate::probe::{Family, Kind, Look, OUT_OF_TIME, Outcome, Row};
use crate::probe_attempt::{self as attempt, Seen};
use crate::probe_control as control;
use crate::probe_exchange as exchange;
use crate::probe_judge::{Against, judge};
use crate::probe_pace::{Pace, STEP};
use crate::probe_proxy::{self as proxy, Proxy, Through};
use crate::probe_resolvers::{self as resolvers, Set};
use crate::probe_target::Target;

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
    /// The last says whether a literal address of the kind is tried too, so that no resolver is needed.
    Wire(Place, Family, bool),
    Name(String, Place),
    Proxy(Proxy, Through, Option<IpAddr>),
    Known(Seen),
}

/// A question to a canary: of which kind, in which version, on which port.
type Question = (Kind, Family, u16);

/// Looks from where this process is. Ends at `end`; what is not answered by then is said to be so.
pub(crate) async fn look(vantage: &str, plan: &Plan, end: Instant) -> Look {
    let pace = Pace::until(end);
    let began = tokio::time::Instant::now();
    let jobs = jobs(plan, &resolvers::set(resolvers::RESOLVERS.as_ref()));
    let deadline = tokio::time::Instant::from_std(end);
    let mut asked = JoinSet::new();
    for (index, job) in jobs.iter().cloned().enumerate() {
        asked.spawn(async move {
            let began = Instant::now();
            let seen = timeout_at(deadline, work(job.work, job.kind, pace)).await;
            let seen = seen.unwrap_or_else(|_| Seen::new(Outcome::Broken, OUT_OF_TIME));
            (index, seen, began.elapsed())
        });
    }
    let canaries = canaries(plan, &jobs, pace);
    let controls = timeout_at(deadline, control::run(pace.short())).await.unwrap_or_default();
    let mut all = asked.join_all().await;
    all.sort_by_key(|(index, ..)| *index);
    // A canary is given as long as the slowest target that answered, and no longer.
    let canaries = answered(canaries, (began + STEP).max(tokio::time::Instant::now()).min(deadline)).await;
    let row = |(job, (_, seen, took)): (Job, (usize, Seen, Duration))| {
        let family = job.family.or(seen.family);
        let canary = match &job.work {
            Work::Wire(place, family, _) => canaries.get(&(job.kind.wire(), *family, place.port)).copied(),
            _ => None,
        };
        let (outcome, detail) = judge(job.kind, family, seen, Against { canary, controls: &controls });
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        Row { kind: job.kind, family, target: job.subject, outcome, detail, took_ms }
    };
    let rows = jobs.into_iter().zip(all).map(row).collect();
    Look { vantage: vantage.into(), controls, rows, unseen: None }
}

/// Asks the canaries what the targets are asked.
fn canaries(plan: &Plan, jobs: &[Job], pace: Pace) -> JoinSet<Option<(Question, IpAddr)>> {
    let questions: BTreeSet<Question> = jobs
        .iter()
        .filter_map(|job| match &job.work {
            Work::Wire(place, family, _) => Some((job.kind.wire(), *family, place.port)),
            _ => None,
        })
        .collect();
    let mut asked = JoinSet::new();
    for question @ (kind, family, port) in questions {
        let Some(canary) = plan.canaries.iter().copied().find(|canary| Family::of(*canary) == family) else { continue };
        asked.spawn(async move {
            let address = SocketAddr::new(canary, port);
            let is_there = match kind {
                Kind::Tcp => attempt::connect(address, pace).await.is_ok(),
                kind => exchange::udp(kind, address, pace).await.outcome == Outcome::Reachable,
            };
            is_there.then_some((question, canary))
        });
    }
    asked
}

/// The canaries that answered before `end`.
async fn answered(
    mut asked: JoinSet<Option<(Question, IpAddr)>>,
    end: tokio::time::Instant,
) -> BTreeMap<Question, IpAddr> {
    let mut found = BTreeMap::new();
    while let Ok(Some(done)) = timeout_at(end, asked.join_next()).await {
        found.extend(done.ok().flatten());
    }
    found
}

async fn work(work: Work, kind: Kind, pace: Pace) -> Seen {
    match work {
        Work::Known(seen) => seen,
        Work::Name(name, resolver) => exchange::name(&name, &resolver, pace).await,
        Work::Proxy(proxy, through, canary) => proxy::ask(&proxy, &through, canary, pace).await,
        Work::Wire(place, family, stands_in) => {
            let found = attempt::addresses(&place, stands_in, pace).await;
            let addresses = match found.and_then(|found| attempt::only(found, family)) {
                Ok(addresses) => addresses,
                Err(seen) => return seen,
            };
            let mut asked = JoinSet::new();
            for address in addresses {
                let place = place.clone();
                asked.spawn(async move { wire(kind, address, &place, pace).await });
            }
            let none = Seen::new(Outcome::NoName, "");
            asked.join_all().await.into_iter().fold(none, Seen::or)
        }
    }
}

async fn wire(kind: Kind, address: SocketAddr, place: &Place, pace: Pace) -> Seen {
    let name = Some(place.host.as_str()).filter(|_| place.literal().is_none());
    match kind {
        Kind::Http => attempt::http(address, &place.host, pace).await,
        Kind::Dns | Kind::Quic | Kind::Ntp => exchange::udp(kind, address, pace).await,
        _ => attempt::tcp(address, name, pace).await,
    }
}

fn jobs(plan: &Plan, resolvers: &[Set]) -> Vec<Job> {
    plan.targets.iter().flat_map(|target| of_target(target, plan, resolvers)).collect()
}

fn of_target(target: &Target, plan: &Plan, resolvers: &[Set]) -> Vec<Job> {
    match target.kind {
        Kind::Name => of_name(target, resolvers),
        Kind::Proxy => of_proxy(target, plan),
        kind => {
            let is_literal = |other: &Target| !other.is_name() && other.kind.wire() == kind.wire();
            let stands_in = plan.targets.iter().filter(|other| other.kind != Kind::Proxy).any(is_literal);
            let families = target.family.map_or(Family::BOTH.to_vec(), |family| vec![family]);
            let place = &target.place;
            let ask = |family| Job {
                kind,
                family: Some(family),
                subject: place.to_string(),
                work: Work::Wire(place.clone(), family, stands_in),
            };
            families.into_iter().map(ask).collect()
        }
    }
}

fn of_name(target: &Target, resolvers: &[Set]) -> Vec<Job> {
    let own: Vec<Set> = target.resolver.iter().cloned().map(Ok).collect();
    let resolvers = if own.is_empty() { resolvers } else { &own };
    let name = &target.place.host;
    let ask = |resolver: &Set| match resolver {
        Ok(place) => Job {
            kind: Kind::Name,
            family: place.literal().map(Family::of),
            subject: asked_of(name, place),
            work: Work::Name(name.clone(), place.clone()),
        },
        Err((word, why)) => Job {
            kind: Kind::Name,
            family: None,
            subject: format!("{name} @{word}"),
            work: Work::Known(Seen::new(Outcome::Broken, format!("the resolver {why}"))),
        },
    };
    resolvers.iter().map(ask).collect()
}

/// A name and whom it is asked of, as reports show it.
fn asked_of(name: &str, resolver: &Place) -> String {
    if resolver.port == Kind::Name.port() {
        format!("{name} @{}", resolver.host)
    } else {
        format!("{name} @{resolver}")
    }
}

fn of_proxy(target: &Target, plan: &Plan) -> Vec<Job> {
    let canary = plan.canaries.iter().copied().find(IpAddr::is_ipv4);
    let proxy = Proxy { place: target.place.clone(), has_credentials: target.has_credentials };
    let ask = |through: Through| {
        let subject = format!("{} {}", target.place, through.shown());
        let work = match target.scheme.as_str() {
            "http" => Work::Proxy(proxy.clone(), through, canary),
            other => Work::Known(Seen::new(Outcome::Broken, format!("speaks {other}, which this probe does not"))),
        };
        Job { kind: Kind::Proxy, family: target.place.literal().map(Family::of), subject, work }
    };
    throughs(&plan.targets).into_iter().map(ask).collect()
}

/// What proxies are asked for: a tunnel to each name among the targets, for a proxy may let through some and not others,
/// and each page. Where the targets name none, the program's own do: a proxy that nobody asks is not closed.
fn throughs(targets: &[Target]) -> Vec<Through> {
    let own = Target::defaults();
    let places = |targets: &[Target], kind: Kind, is_name: bool| {
        let mut places: Vec<Place> = Vec::new();
        for target in targets.iter().filter(|target| target.kind == kind && target.is_name() == is_name) {
            if !places.contains(&target.place) {
                places.push(target.place.clone());
            }
        }
        places
    };
    let or_own = |mut given: Vec<Place>, kind| {
        if given.is_empty() {
            given = places(&own, kind, true);
        }
        given
    };
    let names = places(targets, Kind::Tcp, true);
    let literal = places(targets, Kind::Tcp, false).into_iter().next().filter(|_| names.is_empty());
    let connects = literal.into_iter().chain(or_own(names, Kind::Tcp)).map(Through::Connect);
    let pages = [places(targets, Kind::Http, true), places(targets, Kind::Http, false)].concat();
    connects.chain(or_own(pages, Kind::Http).into_iter().map(Through::Get)).collect()
}

/// The plan for a network namespace, whose resolvers are not those that a program finds there: each name is asked of each
/// of them, and those that cannot be asked from there are rows already.
pub(crate) fn with_resolvers(plan: &Plan, resolvers: &[Set]) -> (Plan, Vec<Row>) {
    let (mut targets, mut rows) = (Vec::new(), Vec::new());
    for target in &plan.targets {
        if target.kind != Kind::Name || target.resolver.is_some() {
            targets.push(target.clone());
            continue;
        }
        for job in of_name(target, resolvers) {
            match job.work {
                Work::Name(_, resolver) => targets.push(Target { resolver: Some(resolver), ..target.clone() }),
                Work::Known(Seen { outcome, detail, .. }) => {
                    rows.push(Row {
                        kind: job.kind,
                        family: job.family,
                        target: job.subject,
                        outcome,
                        detail,
                        took_ms: 0,
                    });
                }
                _ => {}
            }
        }
    }
    (Plan { targets, canaries: plan.canaries.clone() }, rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe_target::Origin;

    fn subjects(targets: &[&str], resolvers: &[&str]) -> Vec<String> {
        let targets = targets.iter().map(|text| Target::parse(text, Origin::Given).unwrap()).collect();
        let set = |text: &&str| crate::probe_target::resolver(text).ok_or(((*text).to_owned(), "is none".to_owned()));
        let resolvers: Vec<_> = resolvers.iter().map(set).collect();
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
            (&["name=a.b"], &["192.0.2.1", "::1"], &["name4 a.b @192.0.2.1", "name6 a.b @::1"]),
            (&["name=a.b"], &["127.0.0.5:54", "x"], &["name4 a.b @127.0.0.5:54", "name a.b @x"]),
            (&["name=a.b@192.0.2.9"], &["192.0.2.1"], &["name4 a.b @192.0.2.9"]),
            (
                &["tcp4=a.b:1", "proxy=p:2", "http4=c.d"],
                &[],
                &["tcp4 a.b:1", "proxy p:2 CONNECT a.b:1", "proxy p:2 GET c.d:80", "http4 c.d:80"],
            ),
            (
                &["tcp4=a:1", "tcp6=a:1", "tcp=b:2", "tcp=192.0.2.1:3", "http=192.0.2.1", "proxy=192.0.2.2:4"],
                &[],
                &[
                    "tcp4 a:1",
                    "tcp6 a:1",
                    "tcp4 b:2",
                    "tcp6 b:2",
                    "tcp4 192.0.2.1:3",
                    "http4 192.0.2.1:80",
                    "proxy4 192.0.2.2:4 CONNECT a:1",
                    "proxy4 192.0.2.2:4 CONNECT b:2",
                    "proxy4 192.0.2.2:4 GET 192.0.2.1:80",
                ],
            ),
        ] {
            assert_eq!(subjects(targets, resolvers), expected);
        }
    }

    #[test]
    fn a_proxy_alone_is_asked_for_the_programs_own_places() {
        let own = subjects(&["proxy=p:2"], &[]);
        assert!(own.contains(&"proxy p:2 CONNECT www.google.com:443".to_owned()), "{own:?}");
        assert!(own.contains(&"proxy p:2 GET connectivitycheck.gstatic.com:80".to_owned()), "{own:?}");
        let with_address = subjects(&["tcp=192.0.2.1:443", "proxy=p:2"], &[]);
        assert_eq!(with_address.len(), own.len() + 2);
        assert_eq!(with_address[1], "proxy p:2 CONNECT 192.0.2.1:443");
    }

    #[test]
    fn names_in_a_namespace_are_asked_of_the_resolvers_of_that_place() {
        let targets = ["tcp=a:1", "name=a.b", "name=c.d@192.0.2.9"];
        let targets = targets.iter().map(|text| Target::parse(text, Origin::Given).unwrap()).collect();
        let plan = Plan { targets, canaries: Vec::new() };
        let set = [Ok(crate::probe_target::resolver("192.0.2.1").unwrap()), Err(("127.0.0.1".into(), "is not".into()))];
        let (plan, rows) = with_resolvers(&plan, &set);
        let shown: Vec<_> = plan.targets.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["tcp=a:1", "name=a.b@192.0.2.1:53", "name=c.d@192.0.2.9:53"]);
        assert_eq!((rows.len(), rows[0].target.as_str(), rows[0].outcome), (1, "a.b @127.0.0.1", Outcome::Broken));
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
}

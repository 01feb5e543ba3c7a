//! One UDP exchange of each protocol that the isolation probe speaks, and a name asked of one resolver. Builds and reads
//! packets elsewhere; here they meet a socket.

use std::net::{IpAddr, SocketAddr};

use crate::isolation::Target as Place;
use crate::probe::{Kind, Outcome, SITES_OWN};
use crate::probe_attempt::{self as attempt, Proof, Seen, random, udp as exchange};
use crate::probe_pace::Pace;
use crate::{probe_dns, probe_ntp, probe_quic};

/// Asks what a server of `kind` answers, whoever it is.
pub(crate) async fn udp(kind: Kind, address: SocketAddr, pace: Pace) -> Seen {
    let done = match kind {
        Kind::Quic => {
            let question = probe_quic::query(random(), random());
            let read = |packet: &[u8]| probe_quic::read(&question, packet);
            exchange(address, &question, pace, read)
                .await
                .map(|count| answered(format!("it speaks {count} version(s) of QUIC")))
        }
        Kind::Ntp => {
            let question = probe_ntp::query(random());
            let read = |packet: &[u8]| probe_ntp::read(&question, packet);
            exchange(address, &question, pace, read)
                .await
                .map(|stratum| answered(format!("a clock of stratum {stratum}")))
        }
        _ => {
            // The root's own servers: every resolver knows them, and the question tells nobody anything.
            let question = probe_dns::query(id(), "", probe_dns::NS).unwrap_or_default();
            let read = |packet: &[u8]| probe_dns::read(&question, packet);
            exchange(address, &question, pace, read).await.map(|answer| answered(answer.word()))
        }
    };
    done.unwrap_or_else(|seen| seen)
}

/// Asks `resolver` for `name`. A resolver that gives an address to a name which cannot exist is believed nothing.
pub(crate) async fn name(name: &str, resolver: &Place, pace: Pace) -> Seen {
    let resolver = match attempt::addresses(resolver, false, pace).await.map(|found| found.first().copied()) {
        Ok(Some(resolver)) => resolver,
        Ok(None) => return Seen::new(Outcome::Broken, "the resolver has no address"),
        Err(seen) => return seen,
    };
    let nowhere = format!("{:016x}.invalid", u64::from_be_bytes(random()));
    let (four, six, canary) = tokio::join!(
        asked(name, probe_dns::A, resolver, pace),
        asked(name, probe_dns::AAAA, resolver, pace),
        asked(&nowhere, probe_dns::A, resolver, pace.short()),
    );
    let known = |answer: &Result<probe_dns::Answer, Seen>| answer.as_ref().is_ok_and(probe_dns::Answer::is_found);
    let found = match if known(&six) && !known(&four) { six } else { four.or(six) } {
        Ok(answer) if answer.is_found() => answer,
        Ok(answer) => return Seen::new(Outcome::NoName, answer.word()),
        Err(seen) => return seen,
    };
    let shown = found.address.map_or_else(|| "it is known".to_owned(), |address| format!("it is {address}"));
    if canary.is_ok_and(|answer| answer.is_found()) {
        let detail = format!("{shown}, but the resolver has an address for every name");
        return Seen { proof: Proof::Other, ..Seen::new(Outcome::Reachable, detail) };
    }
    if let Some(address) = found.address.filter(is_the_sites_own)
        && !asks_on(resolver, pace).await
    {
        return Seen::new(Outcome::NoName, format!("{SITES_OWN}: {address}"));
    }
    Seen { proof: Proof::Target, ..answered(shown) }
}

/// Says whether an address is of no use outside of the site, so that who gives it needs to have asked nobody.
fn is_the_sites_own(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => four.is_loopback() || four.is_unspecified() || four.is_private() || four.is_link_local(),
        IpAddr::V6(six) => {
            six.is_loopback() || six.is_unspecified() || six.is_unique_local() || six.is_unicast_link_local()
        }
    }
}

/// Says whether the resolver asks others: a random name of a public domain, which nobody can have set here, tells.
async fn asks_on(resolver: SocketAddr, pace: Pace) -> bool {
    let unset = format!("{:016x}.com", u64::from_be_bytes(random()));
    let answer = asked(&unset, probe_dns::A, resolver, pace.short()).await;
    answer.is_ok_and(|answer| answer.is_asked_on())
}

async fn asked(name: &str, kind: u16, resolver: SocketAddr, pace: Pace) -> Result<probe_dns::Answer, Seen> {
    let none = || Seen::new(Outcome::Broken, "the name does not fit into a question");
    let question = probe_dns::query(id(), name, kind).ok_or_else(none)?;
    exchange(resolver, &question, pace, |packet| probe_dns::read(&question, packet)).await
}

/// An answer, from the target or from whoever stands in its place: these protocols do not say.
fn answered(detail: String) -> Seen {
    Seen::new(Outcome::Reachable, detail)
}

fn id() -> u16 {
    u16::from_be_bytes(random())
}

//! One UDP exchange of each protocol that the isolation probe speaks, and a name asked of one resolver. Builds and reads
//! packets elsewhere; here they meet a socket.

use std::net::SocketAddr;
use std::time::Duration;

use crate::probe::{Kind, Outcome};
use crate::probe_attempt::{Proof, Seen, random, udp as exchange};
use crate::{probe_dns, probe_ntp, probe_quic};

/// Asks what a server of `kind` answers, whoever it is.
pub(crate) async fn udp(kind: Kind, address: SocketAddr, step: Duration) -> Seen {
    let done = match kind {
        Kind::Quic => {
            let question = probe_quic::query(random(), random());
            exchange(address, &question, step, |packet| Some(probe_quic::read(&question, packet))).await.map(quic)
        }
        Kind::Ntp => {
            let question = probe_ntp::query(random());
            let read = |packet: &[u8]| probe_ntp::read(&question, packet);
            exchange(address, &question, step, read)
                .await
                .map(|stratum| answered(format!("a clock of stratum {stratum}")))
        }
        _ => {
            // The root's own servers: every resolver knows them, and the question tells nobody anything.
            let question = probe_dns::query(id(), "", probe_dns::NS).unwrap_or_default();
            let read = |packet: &[u8]| probe_dns::read(&question, packet);
            exchange(address, &question, step, read).await.map(|answer| answered(answer.word()))
        }
    };
    done.unwrap_or_else(|seen| seen)
}

/// Asks `resolver` for `name`. A resolver that gives an address to a name which cannot exist is believed nothing.
pub(crate) async fn name(name: &str, resolver: SocketAddr, step: Duration) -> Seen {
    let nowhere = format!("{:016x}.invalid", u64::from_be_bytes(random()));
    let (four, six, canary) = tokio::join!(
        asked(name, probe_dns::A, resolver, step),
        asked(name, probe_dns::AAAA, resolver, step),
        asked(&nowhere, probe_dns::A, resolver, step),
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
    Seen { proof: Proof::Target, ..answered(shown) }
}

async fn asked(name: &str, kind: u16, resolver: SocketAddr, step: Duration) -> Result<probe_dns::Answer, Seen> {
    let none = || Seen::new(Outcome::Broken, "the name does not fit into a question");
    let question = probe_dns::query(id(), name, kind).ok_or_else(none)?;
    exchange(resolver, &question, step, |packet| probe_dns::read(&question, packet)).await
}

fn quic(answer: probe_quic::Answer) -> Seen {
    match answer {
        probe_quic::Answer::Versions(count) => answered(format!("it speaks {count} version(s) of QUIC")),
        probe_quic::Answer::Other => answered("something answers, not in QUIC".into()),
    }
}

/// An answer, from the target or from whoever stands in its place: these protocols do not say.
fn answered(detail: String) -> Seen {
    Seen::new(Outcome::Reachable, detail)
}

fn id() -> u16 {
    u16::from_be_bytes(random())
}

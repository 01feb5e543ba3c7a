//! Asks an HTTP proxy to lead out, in both ways that clients have: CONNECT, and a request with a whole address. Sends no
//! credentials and nothing beyond the one request.

use std::net::{IpAddr, SocketAddr};

use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::isolation::Target as Place;
use crate::probe::{ASKS_PASSWORD, Family, HAS_PASSWORD, Outcome};
use crate::probe_attempt::{self as attempt, Proof, Seen};
use crate::probe_http::Said;
use crate::probe_pace::Pace;

/// What a proxy is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Through {
    /// A tunnel to this place.
    Connect(Place),
    /// `/generate_204` of this place.
    Get(Place),
}

impl Through {
    /// As reports show it.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Connect(place) => format!("CONNECT {place}"),
            Self::Get(place) => format!("GET {place}"),
        }
    }
}

/// A proxy as it is set.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    pub(crate) place: Place,
    /// Says whether its address holds a user name or a password.
    pub(crate) has_credentials: bool,
}

/// Asks the proxy. `canary` is an address that no host has: a proxy that tunnels there as well says yes to everything.
pub(crate) async fn ask(proxy: &Proxy, through: &Through, canary: Option<IpAddr>, pace: Pace) -> Seen {
    match connected(&proxy.place, pace).await {
        Ok((stream, address)) => {
            let seen = asked(stream, address, through, canary, pace).await;
            let is_password_known = proxy.has_credentials && seen.detail == ASKS_PASSWORD;
            let seen = if is_password_known { Seen::new(Outcome::Broken, HAS_PASSWORD) } else { seen };
            Seen { family: Some(Family::of(address.ip())), ..seen }
        }
        Err(mut seen) => {
            seen.detail = format!("the proxy itself{}{}", if seen.detail.is_empty() { "" } else { ": " }, seen.detail);
            seen
        }
    }
}

/// The first connection to one of the proxy's addresses, all of which are tried at once.
async fn connected(place: &Place, pace: Pace) -> Result<(TcpStream, SocketAddr), Seen> {
    let found = attempt::addresses(place, false, pace).await?;
    let mut families: Vec<_> = found.iter().map(|address| Family::of(address.ip())).collect();
    families.dedup();
    let mut tried = JoinSet::new();
    for family in &families {
        for address in attempt::only(found.clone(), *family)? {
            tried.spawn(async move { attempt::connect(address, pace).await.map(|stream| (stream, address)) });
        }
    }
    let mut none = Seen::new(Outcome::NoName, "");
    while let Some(done) = tried.join_next().await {
        match done {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(seen)) => none = none.or(seen),
            Err(_) => none = none.or(Seen::new(Outcome::Broken, "the attempt broke down")),
        }
    }
    let family = families.first().copied().filter(|_| families.len() == 1);
    Err(Seen { family, ..none })
}

async fn asked(
    mut stream: TcpStream,
    address: SocketAddr,
    through: &Through,
    canary: Option<IpAddr>,
    pace: Pace,
) -> Seen {
    let place = match through {
        Through::Get(place) => {
            let request =
                format!("GET http://{place}/generate_204 HTTP/1.1\r\nHost: {place}\r\nConnection: close\r\n\r\n");
            return got(attempt::ask(&mut stream, &request, pace.end()).await);
        }
        Through::Connect(place) => place,
    };
    let said = attempt::ask(&mut stream, &connect_request(place), pace.end()).await;
    let seen = tunnelled(said);
    if seen.outcome != Outcome::Reachable || seen.proof == Proof::Other {
        return seen;
    }
    // The port decides whether a certificate is to be expected; the address is the proxy's, the port the target's.
    let beyond = SocketAddr::new(address.ip(), place.port);
    let name = Some(place.host.as_str()).filter(|_| place.literal().is_none());
    let whose = attempt::whose(stream, beyond, name, pace).await;
    if whose.proof != Proof::Open {
        return whose;
    }
    let Some(canary) = canary else { return seen };
    let nowhere = Place { host: canary.to_string(), port: place.port };
    let Ok(mut second) = attempt::connect(address, pace).await else { return seen };
    match tunnelled(attempt::ask(&mut second, &connect_request(&nowhere), pace.step()).await).outcome {
        Outcome::Reachable => Seen { proof: Proof::Other, detail: "it says yes to every CONNECT".into(), ..seen },
        _ => seen,
    }
}

fn connect_request(place: &Place) -> String {
    format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n")
}

/// How the answer to CONNECT reads.
fn tunnelled(said: Said) -> Seen {
    match said {
        Said::Status(200..=299) => Seen::new(Outcome::Reachable, "the proxy leads out"),
        other => denied(other),
    }
}

/// How the answer to GET reads.
fn got(said: Said) -> Seen {
    match said {
        Said::Status(204) => Seen {
            proof: Proof::Target,
            ..Seen::new(Outcome::Reachable, "the proxy leads out, and the target answers")
        },
        other => denied(other),
    }
}

fn denied(said: Said) -> Seen {
    let other = |detail: String| Seen { proof: Proof::Other, ..Seen::new(Outcome::Reachable, detail) };
    match said {
        Said::Status(407) => Seen::new(Outcome::Refused, ASKS_PASSWORD),
        Said::Status(status @ (401 | 403 | 405 | 451)) => {
            Seen::new(Outcome::Refused, format!("the proxy says {status}"))
        }
        Said::Status(status @ 500..) => Seen::new(Outcome::Filtered, format!("the proxy finds no way: {status}")),
        Said::Status(status) => other(format!("the answer is {status}")),
        Said::Other => other("what answers is no HTTP proxy".into()),
        // It is there and may only be slow: silence says nothing of what it would do.
        Said::Nothing => Seen::new(Outcome::Broken, "the proxy takes the request and says nothing"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_proxy_says_is_a_way_out_a_no_or_somebody_else() {
        for (said, connect, get) in [
            (Said::Status(200), Outcome::Reachable, Outcome::Reachable),
            (Said::Status(204), Outcome::Reachable, Outcome::Reachable),
            (Said::Status(302), Outcome::Reachable, Outcome::Reachable),
            (Said::Status(403), Outcome::Refused, Outcome::Refused),
            (Said::Status(407), Outcome::Refused, Outcome::Refused),
            (Said::Status(503), Outcome::Filtered, Outcome::Filtered),
            (Said::Nothing, Outcome::Broken, Outcome::Broken),
            (Said::Other, Outcome::Reachable, Outcome::Reachable),
        ] {
            assert_eq!((tunnelled(said).outcome, got(said).outcome), (connect, get), "{said:?}");
        }
        assert_eq!((tunnelled(Said::Status(200)).proof, got(Said::Status(200)).proof), (Proof::Open, Proof::Other));
        assert_eq!(got(Said::Status(204)).proof, Proof::Target);
        assert_eq!((tunnelled(Said::Status(302)).proof, tunnelled(Said::Other).proof), (Proof::Other, Proof::Other));
    }
}

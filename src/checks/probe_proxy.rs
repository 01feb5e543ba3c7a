//! Asks an HTTP proxy to lead out, in both ways that clients have: CONNECT, and a request with a whole address. Sends no
//! credentials and nothing beyond the one request.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;

use crate::isolation::Target as Place;
use crate::probe::{Family, Outcome};
use crate::probe_attempt::{self as attempt, Proof, Said, Seen};

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

/// Asks the proxy at `proxy`. `canary` is an address that no host has: a proxy that tunnels there as well says yes to
/// everything.
pub(crate) async fn ask(proxy: &Place, through: &Through, canary: Option<IpAddr>, step: Duration) -> Seen {
    let mut last = Seen::new(Outcome::NoName, "");
    for family in Family::BOTH {
        let addresses = match attempt::addresses(&proxy.host, proxy.port, family, step).await {
            Ok(addresses) => addresses,
            Err(seen) => {
                last = last.or(seen);
                continue;
            }
        };
        for address in addresses {
            match attempt::connect(address, step).await {
                Ok(stream) => return asked(stream, address, through, canary, step).await,
                Err(seen) => last = last.or(seen),
            }
        }
        if proxy.host.parse::<IpAddr>().is_ok() {
            break;
        }
    }
    last.detail = format!("the proxy itself{}{}", if last.detail.is_empty() { "" } else { ": " }, last.detail);
    last
}

async fn asked(
    mut stream: TcpStream,
    address: SocketAddr,
    through: &Through,
    canary: Option<IpAddr>,
    step: Duration,
) -> Seen {
    let place = match through {
        Through::Get(place) => {
            let request =
                format!("GET http://{place}/generate_204 HTTP/1.1\r\nHost: {place}\r\nConnection: close\r\n\r\n");
            return got(attempt::ask(&mut stream, &request, step).await);
        }
        Through::Connect(place) => place,
    };
    let said = attempt::ask(&mut stream, &connect_request(place), step).await;
    let seen = tunnelled(said);
    if seen.outcome != Outcome::Reachable || seen.proof == Proof::Other {
        return seen;
    }
    // The port decides whether a certificate is to be expected; the address is the proxy's, the port the target's.
    let beyond = SocketAddr::new(address.ip(), place.port);
    let name = Some(place.host.as_str()).filter(|host| host.parse::<IpAddr>().is_err());
    let whose = attempt::whose(stream, beyond, name, step).await;
    if whose.proof != Proof::Open {
        return whose;
    }
    let Some(canary) = canary else { return seen };
    let nowhere = Place { host: canary.to_string(), port: place.port };
    let Ok(mut second) = attempt::connect(address, step).await else { return seen };
    match tunnelled(attempt::ask(&mut second, &connect_request(&nowhere), step).await).outcome {
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
        Said::Status(407) => {
            Seen::new(Outcome::Refused, "the proxy asks for a password (407): who has one may get out")
        }
        Said::Status(status @ (401 | 403 | 405 | 451)) => {
            Seen::new(Outcome::Refused, format!("the proxy says {status}"))
        }
        Said::Status(status @ 500..) => Seen::new(Outcome::Filtered, format!("the proxy finds no way: {status}")),
        Said::Status(status) => other(format!("the answer is {status}")),
        Said::Other => other("what answers is no HTTP proxy".into()),
        Said::Nothing => Seen::new(Outcome::Filtered, "the proxy takes the request and says nothing"),
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
            (Said::Nothing, Outcome::Filtered, Outcome::Filtered),
            (Said::Other, Outcome::Reachable, Outcome::Reachable),
        ] {
            assert_eq!((tunnelled(said).outcome, got(said).outcome), (connect, get), "{said:?}");
        }
        assert_eq!((tunnelled(Said::Status(200)).proof, got(Said::Status(200)).proof), (Proof::Open, Proof::Other));
        assert_eq!(got(Said::Status(204)).proof, Proof::Target);
        assert_eq!((tunnelled(Said::Status(302)).proof, tunnelled(Said::Other).proof), (Proof::Other, Proof::Other));
    }
}

//! The positive control: listeners of the probe's own, on the vantage point's loopback, to which it speaks just as to its
//! targets. What does not reach them proves nothing by not reaching others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;

use crate::probe::{Control, Family, Kind, Outcome, State};
use crate::probe_attempt::{self as attempt, Proof, Seen};
use crate::probe_exchange as exchange;
use crate::probe_lookup::{self as lookup, Unknown};
use crate::probe_pace::Pace;
use crate::text::line;
use crate::{probe_dns, probe_ntp, probe_quic};

/// Where the system shows its network, and lists its addresses of version 6: empty or missing when it has none.
const NETWORK: &str = "/proc/self/net";
const SIX: &str = "if_inet6";
/// The name that every system knows without asking anybody.
const OWN_NAME: &str = "localhost";

/// Every control, v4 apart from v6, all at once.
pub(crate) async fn run(pace: Pace) -> Vec<Control> {
    let mut controls = JoinSet::new();
    for family in Family::BOTH {
        for kind in [Kind::Tcp, Kind::Dns, Kind::Quic, Kind::Ntp] {
            controls.spawn(one(kind, family, pace));
        }
    }
    controls.spawn(names(pace));
    let mut done: Vec<Control> = controls.join_all().await;
    done.sort_by_key(|control| (control.family, control.kind));
    done
}

/// The system's look-up, with a name that needs no resolver.
async fn names(pace: Pace) -> Control {
    let (state, detail) = match lookup::addresses(OWN_NAME, 0, pace.left()).await {
        Ok(_) => (State::Works, String::new()),
        Err(Unknown::NoName | Unknown::Failing(_)) => (State::Broken, format!("{OWN_NAME} is not in /etc/hosts")),
        Err(Unknown::Late) => (State::Broken, format!("the look-up of {OWN_NAME} did not end")),
        Err(Unknown::Broken(why)) => (State::Broken, format!("{OWN_NAME}: {why}")),
    };
    Control { kind: Kind::Name, family: Family::V4, state, detail }
}

/// Says whether there is no version 6 at all. A list that cannot be read says nothing.
fn is_six_absent(network: &Path) -> std::io::Result<bool> {
    match std::fs::read(network.join(SIX)) {
        Ok(list) => Ok(list.is_empty()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && network.exists() => Ok(true),
        Err(error) => Err(error),
    }
}

async fn one(kind: Kind, family: Family, pace: Pace) -> Control {
    let state = |state, detail: String| Control { kind, family, state, detail };
    if family == Family::V6 {
        match is_six_absent(Path::new(NETWORK)) {
            Ok(true) => return state(State::Absent, "no address of version 6 here".into()),
            Ok(false) => {}
            Err(error) => return state(State::Broken, line(&format!("{NETWORK}/{SIX} cannot be read: {error}"))),
        }
    }
    let loopback: IpAddr = match family {
        Family::V4 => Ipv4Addr::LOCALHOST.into(),
        Family::V6 => Ipv6Addr::LOCALHOST.into(),
    };
    let seen = match reached(kind, SocketAddr::new(loopback, 0), pace).await {
        Ok(seen) => seen,
        Err(error) => return state(State::Broken, format!("no listener came about: {error}")),
    };
    // Over TCP the answer itself must have been read; the readers over UDP take nothing but an answer.
    let wanted = if kind == Kind::Tcp { Proof::Target } else { Proof::Open };
    match seen {
        Seen { outcome: Outcome::Reachable, proof, .. } if proof == wanted => state(State::Works, String::new()),
        Seen { outcome, detail, .. } => {
            let detail = if detail.is_empty() { outcome.to_string() } else { format!("{outcome}: {detail}") };
            state(State::Broken, format!("the probe's own listener at {loopback}: {detail}"))
        }
    }
}

/// How the probe sees a listener that answers rightly.
async fn reached(kind: Kind, local: SocketAddr, pace: Pace) -> std::io::Result<Seen> {
    let mut listening = JoinSet::new();
    let address = if kind == Kind::Tcp {
        let listener = TcpListener::bind(local).await?;
        let address = listener.local_addr()?;
        listening.spawn(serve_tcp(listener));
        address
    } else {
        let socket = UdpSocket::bind(local).await?;
        let address = socket.local_addr()?;
        listening.spawn(serve_udp(kind, socket));
        address
    };
    let seen = match kind {
        Kind::Tcp => attempt::http(address, "control.invalid", pace).await,
        kind => exchange::udp(kind, address, pace).await,
    };
    listening.abort_all();
    Ok(seen)
}

async fn serve_tcp(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    }
}

async fn serve_udp(kind: Kind, socket: UdpSocket) {
    let mut packet = vec![0; 2048];
    while let Ok((length, from)) = socket.recv_from(&mut packet).await {
        let question = packet.get(..length).unwrap_or_default();
        let answer = match kind {
            Kind::Quic => probe_quic::answer(question),
            Kind::Ntp => probe_ntp::answer(question),
            _ => probe_dns::answer(question),
        };
        if let Some(answer) = answer {
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_addresses_that_cannot_be_read_is_not_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let network = folder.path().join("net");
        assert!(is_six_absent(&network).is_err(), "no network is shown at all");
        std::fs::create_dir(&network).unwrap();
        assert!(is_six_absent(&network).unwrap(), "a kernel without version 6");
        std::fs::write(network.join(SIX), "").unwrap();
        assert!(is_six_absent(&network).unwrap());
        std::fs::write(network.join(SIX), "0001 01 80 10 80 lo").unwrap();
        assert!(!is_six_absent(&network).unwrap());
        std::fs::remove_file(network.join(SIX)).unwrap();
        std::fs::create_dir(network.join(SIX)).unwrap();
        assert!(is_six_absent(&network).is_err());
    }
}

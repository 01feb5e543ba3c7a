//! The positive control: listeners of the probe's own, on the vantage point's loopback, to which it speaks just as to its
//! targets. What does not reach them proves nothing by not reaching others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;

use crate::probe::{Control, Family, Kind, Outcome, State};
use crate::probe_attempt::{self as attempt, Proof, Seen};
use crate::probe_exchange as exchange;
use crate::{probe_dns, probe_ntp, probe_quic};

/// Where the system lists its addresses of version 6; empty or missing when it has none.
const SIX: &str = "/proc/self/net/if_inet6";

/// Every control, v4 apart from v6, all at once.
pub(crate) async fn run(step: Duration) -> Vec<Control> {
    let mut controls = JoinSet::new();
    for family in Family::BOTH {
        for kind in [Kind::Tcp, Kind::Dns, Kind::Quic, Kind::Ntp] {
            controls.spawn(one(kind, family, step));
        }
    }
    let mut done: Vec<Control> = controls.join_all().await;
    done.sort_by_key(|control| (control.family, control.kind));
    done
}

async fn one(kind: Kind, family: Family, step: Duration) -> Control {
    let state = |state, detail: String| Control { kind, family, state, detail };
    if family == Family::V6 && std::fs::read(SIX).unwrap_or_default().is_empty() {
        return state(State::Absent, "no address of version 6 here".into());
    }
    let loopback: IpAddr = match family {
        Family::V4 => Ipv4Addr::LOCALHOST.into(),
        Family::V6 => Ipv6Addr::LOCALHOST.into(),
    };
    let seen = match reached(kind, SocketAddr::new(loopback, 0), step).await {
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
async fn reached(kind: Kind, local: SocketAddr, step: Duration) -> std::io::Result<Seen> {
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
        Kind::Tcp => attempt::http(address, "control.invalid", step).await,
        kind => exchange::udp(kind, address, step).await,
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

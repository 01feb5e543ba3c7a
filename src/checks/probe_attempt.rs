//! One attempt at one address: a TCP connection or a UDP exchange, and what it showed. Sends no data of the site, follows
//! nothing that it is told, and gives up after the time it was given.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio::time::timeout;

use crate::isolation;
use crate::link::Link;
use crate::peer::{Habit, Peer, is_for};
use crate::presented;
use crate::probe::{Family, Outcome};
use crate::text::line;

/// Ports that speak TLS from the first byte.
const TLS: [u16; 5] = [443, 465, 853, 993, 8443];
/// The most of an HTTP answer's head that is read, in bytes.
const HEAD: usize = 8 << 10;
/// Addresses of one name that are tried; more add nothing.
const ADDRESSES: usize = 4;
/// How often a UDP question is sent before silence counts.
const SENDINGS: u32 = 3;

/// What an attempt showed, before it is held against the canaries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) outcome: Outcome,
    pub(crate) detail: String,
    pub(crate) proof: Proof,
}

/// Whether it was the target that answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Nobody can say.
    Open,
    /// It was: it showed a certificate for the name, or what nobody else would say.
    Target,
    /// It was not.
    Other,
}

/// What a server said first over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// An answer with this status.
    Status(u16),
    /// Something that is no HTTP.
    Other,
    /// Nothing.
    Nothing,
}

impl Seen {
    pub(crate) fn new(outcome: Outcome, detail: impl Into<String>) -> Self {
        Self { outcome, detail: detail.into(), proof: Proof::Open }
    }

    pub(crate) fn refusal(error: &std::io::Error) -> Self {
        let (outcome, detail) = isolation::refusal(error).into();
        Self::new(outcome, detail)
    }

    fn proven(proof: Proof, detail: impl Into<String>) -> Self {
        Self { outcome: Outcome::Reachable, detail: detail.into(), proof }
    }

    /// One row for all addresses of a name: what says most about the way there wins.
    pub(crate) fn or(self, other: Self) -> Self {
        if other.outcome > self.outcome { other } else { self }
    }
}

/// The addresses of `host` in this protocol version, or why there are none.
pub(crate) async fn addresses(host: &str, port: u16, family: Family, step: Duration) -> Result<Vec<SocketAddr>, Seen> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let none = |why: &str| Seen::new(Outcome::NoName, why);
    match timeout(step, lookup_host((host, port))).await {
        Err(_) => Err(none("the resolver did not answer in time")),
        Ok(Err(_)) => Err(none("")),
        Ok(Ok(found)) => {
            let of: Vec<_> = found.filter(|address| Family::of(address.ip()) == family).take(ADDRESSES).collect();
            if of.is_empty() { Err(none("the name has no address of this version")) } else { Ok(of) }
        }
    }
}

/// A TCP connection. Where the port speaks TLS and a name is known, the certificate says who answers.
pub(crate) async fn tcp(address: SocketAddr, host: Option<&str>, step: Duration) -> Seen {
    let stream = match connect(address, step).await {
        Ok(stream) => stream,
        Err(seen) => return seen,
    };
    let (seen, is_everything) = tokio::join!(whose(stream, address, host, step), accepts_anything(address.ip(), step));
    with_ports(seen, is_everything)
}

/// `GET /generate_204`, which the right server answers with just that.
pub(crate) async fn http(address: SocketAddr, host: &str, step: Duration) -> Seen {
    let mut stream = match connect(address, step).await {
        Ok(stream) => stream,
        Err(seen) => return seen,
    };
    let request = format!("GET /generate_204 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let (said, is_everything) = tokio::join!(ask(&mut stream, &request, step), accepts_anything(address.ip(), step));
    match said {
        Said::Status(204) => Seen::proven(Proof::Target, "it answers as it should"),
        Said::Status(status) => Seen::proven(Proof::Other, format!("it answers {status} in place of 204")),
        Said::Other => Seen::proven(Proof::Other, "what answers speaks no HTTP"),
        Said::Nothing => with_ports(Seen::new(Outcome::Reachable, "connected, but nothing is said"), is_everything),
    }
}

/// Connects, or says why not.
pub(crate) async fn connect(address: SocketAddr, step: Duration) -> Result<TcpStream, Seen> {
    match timeout(step, TcpStream::connect(address)).await {
        Err(_) => Err(Seen::new(Outcome::Filtered, "")),
        Ok(Err(error)) => Err(Seen::refusal(&error)),
        Ok(Ok(stream)) => Ok(stream),
    }
}

/// Sends a request's head and reads the answer's, whole: what follows it is left in the stream, but for a body's beginning.
pub(crate) async fn ask(stream: &mut TcpStream, request: &str, step: Duration) -> Said {
    let mut head = Vec::new();
    let exchange = async {
        stream.write_all(request.as_bytes()).await?;
        while head.len() < HEAD && !head.windows(4).any(|four| four == b"\r\n\r\n") {
            let mut chunk = [0; 1024];
            let read = stream.read(&mut chunk).await?;
            if read == 0 {
                break;
            }
            head.extend_from_slice(chunk.get(..read).unwrap_or_default());
        }
        std::io::Result::Ok(())
    };
    let _ = timeout(step, exchange).await;
    said(&head)
}

fn said(head: &[u8]) -> Said {
    if head.is_empty() {
        return Said::Nothing;
    }
    let status = head.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(1..5)).filter(|rest| rest[0] == b' ');
    let digits = status.and_then(|rest| std::str::from_utf8(rest.get(1..)?).ok());
    match digits.and_then(|digits| digits.parse().ok()).filter(|status| (100..600).contains(status)) {
        Some(status) => Said::Status(status),
        None => Said::Other,
    }
}

/// Whose certificate comes, where one should.
pub(crate) async fn whose(stream: TcpStream, address: SocketAddr, host: Option<&str>, step: Duration) -> Seen {
    let connected = Seen::new(Outcome::Reachable, "");
    let Some(peer) = host.filter(|_| TLS.contains(&address.port())).and_then(Peer::parse) else { return connected };
    let Ok(stream) = stream.into_std().and_then(|stream| stream.set_nonblocking(false).map(|()| stream)) else {
        return connected;
    };
    let end = Instant::now() + step;
    let asked = peer.clone();
    let shown = tokio::task::spawn_blocking(move || presented::over(stream, &asked, end)).await;
    let Ok(Ok(chain)) = shown else { return Seen::new(Outcome::Reachable, "connected, but no certificate is shown") };
    let habit = Habit { common_name: false, partial_wildcards: false };
    match chain.first().and_then(|leaf| Link::parse(leaf)) {
        Some(leaf) if is_for(&leaf, &peer, habit) => {
            let issuer = line(&leaf.facts.issuer);
            Seen::proven(Proof::Target, format!("a certificate for the name, issued by `{issuer}`"))
        }
        Some(leaf) => Seen::proven(Proof::Other, format!("the certificate is of `{}`", line(&leaf.facts.subject))),
        None => Seen::proven(Proof::Other, "the certificate cannot be read"),
    }
}

/// Says whether the address takes connections on two ports that nobody listens on: then it is no target but whatever
/// accepts everything.
async fn accepts_anything(address: IpAddr, step: Duration) -> bool {
    let [one, other] = [random_port(20_000), random_port(40_000)];
    let try_port = |port| connect(SocketAddr::new(address, port), step / 2);
    let (one, other) = tokio::join!(try_port(one), try_port(other));
    one.is_ok() && other.is_ok()
}

fn with_ports(seen: Seen, is_everything: bool) -> Seen {
    if is_everything && seen.proof == Proof::Open {
        return Seen::proven(Proof::Other, "ports that nobody listens on accept as well");
    }
    seen
}

/// Sends `question` until something comes back that `read` knows, at most three times within `step`. Bytes that it does
/// not know are something else's.
pub(crate) async fn udp<T>(
    address: SocketAddr,
    question: &[u8],
    step: Duration,
    read: impl Fn(&[u8]) -> Option<T>,
) -> Result<T, Seen> {
    let local: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(local, 0)).await.map_err(|error| Seen::refusal(&error))?;
    socket.connect(address).await.map_err(|error| Seen::refusal(&error))?;
    let mut strange = false;
    for _ in 0..SENDINGS {
        socket.send(question).await.map_err(|error| Seen::refusal(&error))?;
        let end = tokio::time::Instant::now() + step / SENDINGS;
        let mut packet = vec![0; 4096];
        while let Ok(received) = tokio::time::timeout_at(end, socket.recv(&mut packet)).await {
            let length = received.map_err(|error| Seen::refusal(&error))?;
            if let Some(answer) = packet.get(..length).and_then(&read) {
                return Ok(answer);
            }
            strange = true;
        }
    }
    Err(if strange {
        Seen::proven(Proof::Other, "what answers does not speak the protocol")
    } else {
        Seen::new(Outcome::Filtered, "")
    })
}

/// Random bytes, for ids that a stranger must not guess.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Without randomness the ids are zeros, which only makes them easier to guess.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    bytes
}

fn random_port(from: u16) -> u16 {
    from + u16::from_be_bytes(random()) % 19_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_line_is_read_and_nothing_else() {
        for (head, expected) in [
            ("HTTP/1.1 204 No Content\r\n", Said::Status(204)),
            ("HTTP/1.0 407 \r\n\r\n", Said::Status(407)),
            ("HTTP/1.1 200", Said::Status(200)),
            ("HTTP/1.1 20", Said::Other),
            ("HTTP/1.1 999 X", Said::Other),
            ("HTTP/1.1 +20 X", Said::Other),
            ("HTTP/1.", Said::Other),
            ("SSH-2.0-OpenSSH", Said::Other),
            ("\0\0\0", Said::Other),
            ("", Said::Nothing),
        ] {
            assert_eq!(said(head.as_bytes()), expected, "{head}");
        }
    }

    #[test]
    fn the_outcome_that_says_most_wins() {
        let seen = |outcome| Seen::new(outcome, "");
        for (one, other) in [
            (Outcome::NoName, Outcome::NoRoute),
            (Outcome::NoRoute, Outcome::Filtered),
            (Outcome::Filtered, Outcome::Refused),
            (Outcome::Refused, Outcome::Broken),
            (Outcome::Broken, Outcome::Reachable),
        ] {
            assert_eq!(seen(one).or(seen(other)).outcome, other);
            assert_eq!(seen(other).or(seen(one)).outcome, other);
        }
    }

    /// A server with a certificate for `public.test`.
    fn tls_server() -> SocketAddr {
        let pair = rcgen::generate_simple_self_signed(["public.test".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(pair.signing_key.serialize_der()).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![pair.cert.der().clone()], key)
            .unwrap();
        let config = std::sync::Arc::new(config);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut connection = rustls::ServerConnection::new(std::sync::Arc::clone(&config)).unwrap();
                let _ = connection.complete_io(&mut stream);
            }
        });
        address
    }

    #[tokio::test]
    async fn a_certificate_says_whether_it_is_the_target_that_answers() {
        let (server, step) = (tls_server(), Duration::from_secs(5));
        let beyond = SocketAddr::new(server.ip(), 443);
        for (host, proof) in [
            (Some("public.test"), Proof::Target),
            (Some("PUBLIC.test"), Proof::Target),
            (Some("other.test"), Proof::Other),
            (None, Proof::Open),
        ] {
            let stream = connect(server, step).await.unwrap();
            let seen = whose(stream, beyond, host, step).await;
            assert_eq!((seen.outcome, seen.proof), (Outcome::Reachable, proof), "{host:?} {}", seen.detail);
        }
        let plain = SocketAddr::new(server.ip(), 22);
        let seen = whose(connect(server, step).await.unwrap(), plain, Some("other.test"), step).await;
        assert_eq!(seen.proof, Proof::Open, "port 22 speaks no TLS");
    }
}

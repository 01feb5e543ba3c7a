//! One attempt at one address: a TCP connection or a UDP exchange, and what it showed. Sends no data of the site, follows
//! nothing that it is told, and gives up after the time it was given.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout_at};

use crate::isolation::{self, Target as Place};
use crate::link::Link;
use crate::peer::{Habit, Peer, is_for};
use crate::presented;
use crate::probe::{Family, Outcome};
use crate::probe_http::{self, Said};
use crate::probe_lookup as lookup;
use crate::probe_pace::Pace;
use crate::text::line;

/// Ports that speak TLS from the first byte.
const TLS: [u16; 5] = [443, 465, 853, 993, 8443];
/// Addresses of one name that are tried; more add nothing.
const ADDRESSES: usize = 4;
/// How long a UDP question waits for its answer before it is sent again; each time twice as long.
const AGAIN: Duration = Duration::from_millis(300);
/// How often a UDP question is sent to a place that says no, or something else.
const SENDINGS: u32 = 3;

/// What an attempt showed, before it is held against the canaries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) outcome: Outcome,
    pub(crate) detail: String,
    pub(crate) proof: Proof,
    /// In which protocol version, where the look has not settled that before.
    pub(crate) family: Option<Family>,
}

/// Whether it was the target that answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Proof {
    /// It was not.
    Other,
    /// Nobody can say.
    Open,
    /// It was: it showed a certificate for the name, or what nobody else would say.
    Target,
}

impl Seen {
    pub(crate) fn new(outcome: Outcome, detail: impl Into<String>) -> Self {
        Self { outcome, detail: detail.into(), proof: Proof::Open, family: None }
    }

    pub(crate) fn refusal(error: &std::io::Error) -> Self {
        Self::from(isolation::refusal(error))
    }

    fn proven(proof: Proof, detail: impl Into<String>) -> Self {
        Self { outcome: Outcome::Reachable, detail: detail.into(), proof, family: None }
    }

    /// One row for all addresses of a name: what says most about the way there wins, and of two that answer the target.
    pub(crate) fn or(self, other: Self) -> Self {
        if (other.outcome, other.proof) > (self.outcome, self.proof) { other } else { self }
    }
}

impl From<isolation::Outcome> for Seen {
    fn from(outcome: isolation::Outcome) -> Self {
        let (outcome, detail) = outcome.into();
        Self::new(outcome, detail)
    }
}

/// The addresses of `place`, those of version 4 first, or why there are none. `stands_in` says whether some address is
/// tried without any look-up, too: then a resolver that fails is no more than a name that is not known.
pub(crate) async fn addresses(place: &Place, stands_in: bool, pace: Pace) -> Result<Vec<SocketAddr>, Seen> {
    match lookup::addresses(&place.host, place.port, pace.left()).await {
        Ok(mut found) => {
            found.sort_by_key(SocketAddr::is_ipv6);
            found.dedup();
            Ok(found)
        }
        Err(unknown) => Err(Seen::from(isolation::unheard(unknown, stands_in))),
    }
}

/// Those of one protocol version, or why there are none.
pub(crate) fn only(found: Vec<SocketAddr>, family: Family) -> Result<Vec<SocketAddr>, Seen> {
    let own = found.into_iter().filter(|address| Family::of(address.ip()) == family).take(ADDRESSES);
    let own: Vec<_> = own.collect();
    if own.is_empty() { Err(Seen::new(Outcome::NoName, "the name has no address of this version")) } else { Ok(own) }
}

/// A TCP connection. Where the port speaks TLS and a name is known, the certificate says who answers.
pub(crate) async fn tcp(address: SocketAddr, host: Option<&str>, pace: Pace) -> Seen {
    let stream = match connect(address, pace).await {
        Ok(stream) => stream,
        Err(seen) => return seen,
    };
    let (seen, is_everything) = tokio::join!(whose(stream, address, host, pace), accepts_anything(address, pace));
    with_ports(seen, is_everything)
}

/// `GET /generate_204`, which the right server answers with just that.
pub(crate) async fn http(address: SocketAddr, host: &str, pace: Pace) -> Seen {
    let mut stream = match connect(address, pace).await {
        Ok(stream) => stream,
        Err(seen) => return seen,
    };
    let request = format!("GET /generate_204 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let answer = ask(&mut stream, &request, pace.step());
    let (said, is_everything) = tokio::join!(answer, accepts_anything(address, pace));
    match said {
        Said::Status(204) => Seen::proven(Proof::Target, "it answers as it should"),
        Said::Status(status) => Seen::proven(Proof::Other, format!("it answers {status} in place of 204")),
        Said::Other => Seen::proven(Proof::Other, "what answers speaks no HTTP"),
        Said::Nothing => with_ports(Seen::new(Outcome::Reachable, "connected, but nothing is said"), is_everything),
    }
}

/// Connects, or says why not.
pub(crate) async fn connect(address: SocketAddr, pace: Pace) -> Result<TcpStream, Seen> {
    let pace = pace.anew();
    match timeout_at(pace.step(), TcpStream::connect(address)).await {
        Err(_) => Err(pace.silence()),
        Ok(Err(error)) => Err(Seen::refusal(&error)),
        Ok(Ok(stream)) => Ok(stream),
    }
}

/// Sends a request's head and reads the answer's, whole: what follows it is left in the stream, but for a body's beginning.
pub(crate) async fn ask(stream: &mut TcpStream, request: &str, end: Instant) -> Said {
    let mut head = Vec::new();
    let exchange = async {
        stream.write_all(request.as_bytes()).await?;
        while !probe_http::is_whole(&head) {
            let mut chunk = [0; 1024];
            let read = stream.read(&mut chunk).await?;
            if read == 0 {
                break;
            }
            head.extend_from_slice(chunk.get(..read).unwrap_or_default());
        }
        std::io::Result::Ok(())
    };
    let _ = timeout_at(end, exchange).await;
    probe_http::said(&head)
}

/// Whose certificate comes, where one should.
pub(crate) async fn whose(stream: TcpStream, address: SocketAddr, host: Option<&str>, pace: Pace) -> Seen {
    let connected = Seen::new(Outcome::Reachable, "");
    let Some(peer) = host.filter(|_| TLS.contains(&address.port())).and_then(Peer::parse) else { return connected };
    let Ok(stream) = stream.into_std().and_then(|stream| stream.set_nonblocking(false).map(|()| stream)) else {
        return connected;
    };
    let end = pace.step().into_std();
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
async fn accepts_anything(mut address: SocketAddr, pace: Pace) -> bool {
    let mut try_port = |port| {
        address.set_port(port);
        connect(address, pace)
    };
    let [one, other] = [random_port(20_000), random_port(40_000)];
    let (one, other) = (try_port(one), try_port(other));
    let (one, other) = tokio::join!(one, other);
    one.is_ok() && other.is_ok()
}

fn with_ports(seen: Seen, is_everything: bool) -> Seen {
    if is_everything && seen.proof == Proof::Open {
        return Seen::proven(Proof::Other, "ports that nobody listens on accept as well");
    }
    seen
}

/// Sends `question` again and again until something comes back that `read` knows, or everything is over. Bytes that it
/// does not know are something else's; a "no" is waited over, for more may follow it.
pub(crate) async fn udp<T>(
    address: SocketAddr,
    question: &[u8],
    pace: Pace,
    read: impl Fn(&[u8]) -> Option<T>,
) -> Result<T, Seen> {
    let pace = pace.anew();
    let local: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(local, 0)).await.map_err(|error| Seen::refusal(&error))?;
    socket.connect(address).await.map_err(|error| Seen::refusal(&error))?;
    let (mut is_strange, mut no, mut sent, mut pause) = (false, None, 0, AGAIN);
    while !pace.left().is_zero() && (sent < SENDINGS || (!is_strange && no.is_none())) {
        if let Err(error) = socket.send(question).await {
            no = Some(Seen::refusal(&error));
        }
        let until = (Instant::now() + pause).min(pace.end());
        let mut packet = vec![0; 4096];
        while let Ok(received) = timeout_at(until, socket.recv(&mut packet)).await {
            match received {
                Err(error) => no = Some(Seen::refusal(&error)),
                Ok(length) => match packet.get(..length).and_then(&read) {
                    Some(answer) => return Ok(answer),
                    None => is_strange = true,
                },
            }
        }
        (sent, pause) = (sent + 1, pause * 2);
    }
    if is_strange {
        return Err(Seen::proven(Proof::Other, "what answers does not speak the protocol"));
    }
    Err(no.unwrap_or_else(|| pace.silence()))
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
        let with = |proof| Seen { proof, ..seen(Outcome::Reachable) };
        for (one, other) in [(Proof::Other, Proof::Open), (Proof::Open, Proof::Target)] {
            assert_eq!(with(one).or(with(other)).proof, other);
            assert_eq!(with(other).or(with(one)).proof, other);
        }
    }

    fn pace() -> Pace {
        Pace::until(std::time::Instant::now() + Duration::from_secs(10))
    }

    /// Junk, and then a closed door: what answered before the door closed is not gone.
    #[tokio::test]
    async fn a_no_that_follows_strange_bytes_does_not_hide_them() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let asked = tokio::spawn(async move { udp(address, b"?", pace(), |_| None::<()>).await });
        let (_, from) = server.recv_from(&mut [0; 8]).await.unwrap();
        server.send_to(b"junk", from).await.unwrap();
        drop(server);
        let seen = asked.await.unwrap().unwrap_err();
        assert_eq!((seen.outcome, seen.proof), (Outcome::Reachable, Proof::Other));
        let seen = udp(address, b"?", pace(), |_| None::<()>).await.unwrap_err();
        assert_eq!(seen.outcome, Outcome::Refused);
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
        let server = tls_server();
        let beyond = SocketAddr::new(server.ip(), 443);
        for (host, proof) in [
            (Some("public.test"), Proof::Target),
            (Some("PUBLIC.test"), Proof::Target),
            (Some("other.test"), Proof::Other),
            (None, Proof::Open),
        ] {
            let stream = connect(server, pace()).await.unwrap();
            let seen = whose(stream, beyond, host, pace()).await;
            assert_eq!((seen.outcome, seen.proof), (Outcome::Reachable, proof), "{host:?} {}", seen.detail);
        }
        let plain = SocketAddr::new(server.ip(), 22);
        let seen = whose(connect(server, pace()).await.unwrap(), plain, Some("other.test"), pace()).await;
        assert_eq!(seen.proof, Proof::Open, "port 22 speaks no TLS");
    }
}

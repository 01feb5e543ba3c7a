//! Takes the chain that a server presents, also one that does not verify: the handshake ends as soon as the chain is known, and no
//! byte of ours follows it, unless the caller takes it further. Nothing is proven by what is seen here.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{AlertDescription, ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};

use crate::peer::Peer;
use crate::text::line;

/// How long name, connection and handshake may take together.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// The least time for one address, when there are many.
const SHORTEST: Duration = Duration::from_millis(50);

/// Why a server shows no chain.
#[derive(Debug, thiserror::Error)]
pub enum PresentedError {
    /// The name is not known, or its answer did not come in time.
    #[error("`{host}` has no address: {reason}")]
    Name {
        /// The host.
        host: String,
        /// What the system says.
        reason: String,
    },
    /// Nobody answers there.
    #[error("no connection to {address}: {reason}")]
    Connect {
        /// The address that was tried last.
        address: String,
        /// What the system says.
        reason: String,
    },
    /// The handshake did not come to a chain within the deadline.
    #[error("{address} sent no whole chain within {seconds} s")]
    Slow {
        /// The address.
        address: SocketAddr,
        /// The deadline, in seconds.
        seconds: u64,
    },
    /// What answers does not speak TLS, or breaks off.
    #[error("{address} shows no certificate: {reason}")]
    Handshake {
        /// The address.
        address: SocketAddr,
        /// What went wrong.
        reason: String,
    },
}

/// Where to ask, and whom for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whom the certificate must be for.
    pub peer: Peer,
    /// The port.
    pub port: u16,
    /// Where to connect in place of what the name service says.
    pub address: Option<SocketAddr>,
}

impl Target {
    /// Reads `HOST[:PORT]` and an address `IP[:PORT]`. `None` when one of them is neither.
    pub fn parse(host: &str, connect: Option<&str>) -> Option<Self> {
        let (peer, port) = if let Some(peer) = Peer::parse(host) {
            (peer, 443)
        } else {
            let (name, port) = host.rsplit_once(':')?;
            (Peer::parse(name)?, port.parse().ok()?)
        };
        let address = match connect {
            None => None,
            Some(text) => Some(text.parse().or_else(|_| text.parse().map(|ip| SocketAddr::new(ip, port))).ok()?),
        };
        Some(Self { peer, port, address })
    }
}

/// The chain that `target` presents, as DER, its own certificate first. Returns within `deadline`.
pub fn chain(target: &Target, deadline: Duration) -> Result<Vec<Vec<u8>>, PresentedError> {
    let end = Instant::now() + deadline;
    let (stream, address) = connect(target, end)?;
    over(stream, &target.peer, end).map_err(|error| match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            PresentedError::Slow { address, seconds: deadline.as_secs() }
        }
        _ => PresentedError::Handshake { address, reason: line(&told(&error)) },
    })
}

/// The chain that is presented over a connection which is there already, until `end`.
pub(crate) fn over(mut stream: TcpStream, peer: &Peer, end: Instant) -> io::Result<Vec<Vec<u8>>> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let name = ServerName::try_from(peer.to_string()).map_err(io::Error::other)?;
    let config = config(&seen, Ending::Refuses).map_err(io::Error::other)?;
    let mut connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let result = shake(&mut connection, &mut stream, end);
    let chain = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
    match result {
        _ if !chain.is_empty() => Ok(chain),
        Err(error) => Err(error),
        Ok(()) => Err(io::Error::other("the handshake ended without a certificate")),
    }
}

/// What a failed handshake means, where the server said so itself by an alert or by its version.
pub(crate) fn told(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::AlertReceived(AlertDescription::ProtocolVersion)) => {
            "the server refuses TLS 1.2 and 1.3 (alert protocol_version): it only speaks an older one".into()
        }
        Some(rustls::Error::AlertReceived(AlertDescription::HandshakeFailure)) => {
            "the server takes none of the ciphers of TLS 1.2 with forward secrecy or of TLS 1.3 (alert handshake_failure): \
             it wants an older protocol or RSA key exchange"
                .into()
        }
        Some(rustls::Error::PeerIncompatible(why)) => {
            format!("the server speaks TLS, but an older version or with other ciphers than ours ({why:?})")
        }
        _ => error.to_string(),
    }
}

pub(crate) fn left(end: Instant) -> io::Result<Duration> {
    let left = end.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

pub(crate) fn connect(target: &Target, end: Instant) -> Result<(TcpStream, SocketAddr), PresentedError> {
    let addresses = match target.address {
        Some(address) => vec![address],
        None => resolve(&target.peer.to_string(), target.port, end)?,
    };
    first(&target.peer.to_string(), &addresses, end, TcpStream::connect_timeout)
}

/// What `connect` makes of the first of the addresses that answers. One that nobody answers at must not use up the time of
/// those after it.
fn first<T>(
    host: &str,
    addresses: &[SocketAddr],
    end: Instant,
    mut connect: impl FnMut(&SocketAddr, Duration) -> io::Result<T>,
) -> Result<(T, SocketAddr), PresentedError> {
    let mut last = PresentedError::Name { host: host.to_owned(), reason: "the answer is empty".into() };
    for (index, address) in addresses.iter().enumerate() {
        let share = |left: Duration| left / u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        match left(end).and_then(|left| connect(address, share(left).max(SHORTEST))) {
            Ok(stream) => return Ok((stream, *address)),
            Err(error) => {
                last = PresentedError::Connect { address: address.to_string(), reason: line(&error.to_string()) };
            }
        }
    }
    Err(last)
}

/// The system's resolver knows no deadline, so it is asked from a thread that may be left behind.
fn resolve(host: &str, port: u16, end: Instant) -> Result<Vec<SocketAddr>, PresentedError> {
    let (sender, receiver) = mpsc::channel();
    let asked = host.to_owned();
    std::thread::spawn(move || {
        let answer = (asked.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
        let _ = sender.send(answer);
    });
    let unknown = |reason: String| PresentedError::Name { host: line(host), reason: line(&reason) };
    let left = left(end).map_err(|error| unknown(error.to_string()))?;
    match receiver.recv_timeout(left) {
        Ok(answer) => answer.map_err(|error| unknown(error.to_string())),
        Err(_) => Err(unknown("the resolver did not answer in time".into())),
    }
}

pub(crate) fn shake(connection: &mut ClientConnection, stream: &mut TcpStream, end: Instant) -> io::Result<()> {
    while connection.is_handshaking() {
        while connection.wants_write() {
            stream.set_write_timeout(Some(left(end)?))?;
            connection.write_tls(stream)?;
        }
        stream.set_read_timeout(Some(left(end)?))?;
        if connection.read_tls(stream)? == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the server closed the connection during the handshake",
            ));
        }
        connection.process_new_packets().map_err(io::Error::other)?;
    }
    Ok(())
}

/// What happens once the chain is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The handshake ends there.
    Refuses,
    /// It goes on, and nothing is proven by it.
    Goes,
}

impl Ending {
    fn of<T>(self, fine: impl FnOnce() -> T) -> Result<T, rustls::Error> {
        match self {
            Self::Goes => Ok(fine()),
            Self::Refuses => Err(rustls::Error::General("the chain is only looked at".into())),
        }
    }
}

pub(crate) fn config(seen: &Arc<Mutex<Vec<Vec<u8>>>>, ending: Ending) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let schemes = provider.signature_verification_algorithms.supported_schemes();
    let recorder = Recorder { seen: Arc::clone(seen), schemes, ending };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(recorder))
        .with_no_client_auth();
    Ok(config)
}

/// Keeps the chain.
#[derive(Debug)]
struct Recorder {
    ending: Ending,
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
    schemes: Vec<SignatureScheme>,
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain = std::iter::once(end_entity).chain(intermediates).map(|der| der.to_vec()).collect();
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = chain;
        self.ending.of(ServerCertVerified::assertion)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.ending.of(HandshakeSignatureValid::assertion)
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.ending.of(HandshakeSignatureValid::assertion)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    fn at(listener: &TcpListener) -> Target {
        let address = listener.local_addr().unwrap();
        Target { peer: Peer::Host("git.acme.internal".into()), port: address.port(), address: Some(address) }
    }

    #[test]
    fn targets_are_a_host_and_perhaps_a_port() {
        let parsed = |host, connect| Target::parse(host, connect).map(|target| (target.port, target.address));
        assert_eq!(parsed("git.acme.internal", None), Some((443, None)));
        assert_eq!(parsed("git.acme.internal:8443", Some("127.0.0.1")), Some((8443, "127.0.0.1:8443".parse().ok())));
        assert_eq!(parsed("[::1]:8443", Some("[::1]:1")), Some((8443, "[::1]:1".parse().ok())));
        for wrong in ["", "https://git", "git:x", "git:99999"] {
            assert_eq!(parsed(wrong, None), None, "{wrong}");
        }
        assert_eq!(parsed("git", Some("here")), None);
    }

    #[test]
    fn a_server_that_sends_a_byte_now_and_then_is_given_up_at_the_deadline() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = at(&listener);
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // The head of a handshake record of 16 KiB, of which only zeros follow.
            let _ = stream.write_all(&[22, 3, 3, 0x40, 0]);
            let mut pause = [0; 1];
            stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            while stream.write_all(&[0]).is_ok() {
                let _ = stream.read(&mut pause);
            }
        });
        let began = Instant::now();
        let error = chain(&target, Duration::from_secs(1)).unwrap_err();
        assert!(matches!(error, PresentedError::Slow { .. }), "{error}");
        assert!(began.elapsed() < Duration::from_secs(20));
        server.join().unwrap();
    }

    /// Answers the greeting with this record, and gives what is said of it.
    fn answered(record: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = at(&listener);
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut greeting = [0; 4096];
            let _ = stream.read(&mut greeting);
            let _ = stream.write_all(record);
            let _ = stream.read(&mut greeting);
        });
        let error = chain(&target, Duration::from_secs(5)).unwrap_err().to_string();
        server.join().unwrap();
        error
    }

    #[test]
    fn a_server_of_an_older_protocol_or_other_ciphers_is_told_from_one_without_tls() {
        for (record, expected) in [
            (&[21, 3, 1, 0, 2, 2, 70][..], "alert protocol_version"),
            (&[21, 3, 3, 0, 2, 2, 40], "alert handshake_failure"),
        ] {
            let error = answered(record);
            assert!(error.contains(expected), "{error}");
        }
    }

    /// The first address is filtered: it takes all the time that it is given.
    #[test]
    fn an_address_that_does_not_answer_leaves_time_for_the_next() {
        let addresses: Vec<SocketAddr> = vec!["[::1]:1".parse().unwrap(), "127.0.0.1:1".parse().unwrap()];
        let mut given = Vec::new();
        let (tried, address) = first("git", &addresses, Instant::now() + Duration::from_secs(10), |address, time| {
            given.push(time);
            if address.is_ipv4() { Ok("tried") } else { Err(io::ErrorKind::TimedOut.into()) }
        })
        .unwrap();
        assert_eq!((tried, address), ("tried", addresses[1]));
        assert!(given[0] <= Duration::from_secs(5), "{given:?}");
    }

    #[test]
    fn what_does_not_speak_tls_is_said_to_show_no_certificate() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = at(&listener);
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            let _ = stream.read(&mut [0; 1024]);
        });
        let error = chain(&target, Duration::from_secs(5)).unwrap_err();
        assert!(matches!(error, PresentedError::Handshake { .. }), "{error}");
        server.join().unwrap();
        let error = chain(&target, Duration::from_secs(5)).unwrap_err();
        assert!(matches!(error, PresentedError::Connect { .. }), "{error}");
    }
}

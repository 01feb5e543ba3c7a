//! What a server that proves nothing says is the time: where this host's clock is wrong no certificate verifies, and that is just
//! when another's clock is wanted. The answer may be compared and shown; nothing may be set or trusted by it.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConnection;
use rustls::pki_types::ServerName;

use crate::peer::Peer;
use crate::presented::{Ending, PresentedError, Target, config, connect, left, shake, told};
use crate::text::line;

/// Bytes of an answer's head that are read at most.
const HEAD: usize = 16 << 10;

/// The `Date` that `target` sends with its answer, believed without any proof of who it is: it may only be compared, and never
/// be acted on. Asks for nothing but the head of `/`, and sends no credentials. Returns within `deadline`.
pub(crate) fn date(target: &Target, deadline: Duration) -> Result<String, PresentedError> {
    let end = Instant::now() + deadline;
    let (stream, address) = connect(target, end)?;
    asked_date(stream, &target.peer, end)
        .map_err(|error| PresentedError::Handshake { address, reason: line(&told(&error)) })
}

fn asked_date(mut stream: TcpStream, peer: &Peer, end: Instant) -> io::Result<String> {
    let name = ServerName::try_from(peer.to_string()).map_err(io::Error::other)?;
    let config = config(&Arc::default(), Ending::Goes).map_err(io::Error::other)?;
    let mut connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    shake(&mut connection, &mut stream, end)?;
    stream.set_write_timeout(Some(left(end)?))?;
    let mut tls = rustls::Stream::new(&mut connection, &mut stream);
    tls.write_all(format!("HEAD / HTTP/1.1\r\nHost: {peer}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let (mut head, mut part) = (Vec::new(), [0; 1024]);
    while head.len() < HEAD && !head.windows(4).any(|end| end == b"\r\n\r\n") {
        tls.sock.set_read_timeout(Some(left(end)?))?;
        match tls.read(&mut part) {
            Ok(0) => break,
            Ok(length) => head.extend(part.iter().take(length)),
            // Closed without a word: what came is all there is.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(':'));
    let date = lines.find(|(name, _)| name.eq_ignore_ascii_case("date")).map(|(_, date)| date.trim().to_owned());
    date.ok_or_else(|| io::Error::other("the answer has no Date"))
}

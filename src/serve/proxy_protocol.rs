//! The PROXY protocol, versions 1 and 2, as HAProxy's specification has it: a reverse proxy says first whom it speaks
//! for. Read from trusted proxies alone, and only when the site's settings say so; anybody else's bytes go on to TLS,
//! HTTP or SSH as they are, where they mean nothing and end the connection.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use base::network::Network;
use base::settings::ProxyProtocol;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tracing::debug;

use crate::limits::Slot;

/// The longest line of version 1, its end included (section 2.1).
const LINE: usize = 107;
const WORD: &[u8] = b"PROXY ";
/// What version 2 begins with (section 2.2).
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, length.
const HEAD: usize = 16;
/// Version 2 with its two commands.
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
/// The longest addresses and extensions of version 2 that are taken, in bytes; proxies send some hundred.
const MOST: usize = 2048;

/// A connection and whose it is.
pub(crate) struct Arrived {
    /// The connection.
    pub(crate) stream: TcpStream,
    /// Bytes of the client that were read already.
    pub(crate) front: Vec<u8>,
    /// Who it is: the other end, or whom a trusted proxy speaks for.
    pub(crate) peer: SocketAddr,
}

/// Which connections begin with a header. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Reception {
    /// What the settings say.
    pub(crate) protocol: ProxyProtocol,
    /// Whose headers are believed.
    pub(crate) trusted: Arc<[Network]>,
    /// Time for a proxy to say whom it speaks for.
    pub(crate) patience: Duration,
}

impl Reception {
    /// Reads the header of a trusted proxy, and counts the connection for whom it speaks for. `None` ends it.
    pub(crate) async fn welcome(self, mut stream: TcpStream, peer: SocketAddr, slot: Slot) -> Option<(Arrived, Slot)> {
        let is_trusted = self.trusted.iter().any(|proxy| proxy.contains(peer.ip()));
        if self.protocol == ProxyProtocol::Off || !is_trusted {
            return Some((Arrived { stream, front: Vec::new(), peer }, slot));
        }
        let reading = tokio::time::timeout(self.patience, read(&mut stream));
        let Ok(Ok((header, front))) = reading.await else {
            debug!("a proxy's header did not come whole");
            return None;
        };
        let named = match header {
            Header::Absent if self.protocol == ProxyProtocol::Require => {
                debug!("a proxy sent no header");
                return None;
            }
            Header::Absent | Header::Own => return Some((Arrived { stream, front, peer }, slot)),
            Header::Named(named) => named,
        };
        let slot = slot.pass_to(named.ip())?;
        Some((Arrived { stream, front, peer: named }, slot))
    }
}

/// What a connection began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Header {
    /// No header.
    Absent,
    /// The proxy speaks for itself: a check of its own, or it does not know.
    Own,
    /// Whom the proxy speaks for.
    Named(SocketAddr),
}

/// What the bytes so far amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parsed {
    /// More bytes are needed.
    Partial,
    /// A header and its length, or no header and 0.
    Whole(Header, usize),
    /// A header that is none.
    Broken,
}

/// Reads until the header is whole; gives it and what stood behind it.
async fn read(stream: &mut TcpStream) -> std::io::Result<(Header, Vec<u8>)> {
    let mut bytes = Vec::with_capacity(256);
    loop {
        match parse(&bytes) {
            Parsed::Whole(header, length) => return Ok((header, bytes.split_off(length))),
            Parsed::Broken => return Err(std::io::ErrorKind::InvalidData.into()),
            Parsed::Partial => {}
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn parse(bytes: &[u8]) -> Parsed {
    if bytes.is_empty() {
        return Parsed::Partial;
    }
    if bytes.starts_with(WORD) {
        return line(bytes);
    }
    if bytes.starts_with(SIGNATURE) {
        return binary(bytes);
    }
    if WORD.starts_with(bytes) || SIGNATURE.starts_with(bytes) {
        return Parsed::Partial;
    }
    Parsed::Whole(Header::Absent, 0)
}

fn line(bytes: &[u8]) -> Parsed {
    let head = bytes.get(..LINE).unwrap_or(bytes);
    let Some(end) = head.windows(2).position(|pair| pair == b"\r\n") else {
        return if bytes.len() < LINE { Parsed::Partial } else { Parsed::Broken };
    };
    let text = head.get(WORD.len()..end).and_then(|text| std::str::from_utf8(text).ok());
    match text.and_then(named) {
        Some(header) => Parsed::Whole(header, end + 2),
        None => Parsed::Broken,
    }
}

/// `TCP4 source destination port port`, `TCP6 …`, or `UNKNOWN …`.
fn named(text: &str) -> Option<Header> {
    if text == "UNKNOWN" || text.starts_with("UNKNOWN ") {
        return Some(Header::Own);
    }
    let parts: Vec<&str> = text.split(' ').collect();
    let [family, source, destination, port, to] = parts.as_slice() else { return None };
    let (source, destination): (IpAddr, IpAddr) = (source.parse().ok()?, destination.parse().ok()?);
    let is_four = *family == "TCP4";
    if !is_four && *family != "TCP6" || source.is_ipv4() != is_four || destination.is_ipv4() != is_four {
        return None;
    }
    let _: u16 = number(to)?;
    Some(Header::Named(SocketAddr::new(source, number(port)?)))
}

/// A port without sign or leading zeros.
fn number(text: &str) -> Option<u16> {
    let is_plain = text == "0" || !text.starts_with(['0', '+']);
    if is_plain { text.parse().ok() } else { None }
}

fn binary(bytes: &[u8]) -> Parsed {
    let Some(head) = bytes.first_chunk::<HEAD>() else { return Parsed::Partial };
    let [.., command, family, high, low] = *head;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if ![LOCAL, PROXY].contains(&command) || length > MOST {
        return Parsed::Broken;
    }
    let Some(body) = bytes.get(HEAD..HEAD + length) else { return Parsed::Partial };
    let whole = |header| Parsed::Whole(header, HEAD + length);
    if command == LOCAL {
        return whole(Header::Own);
    }
    let source = match family {
        0x11 => body.get(..12).and_then(|body| Some((IpAddr::from(*body.first_chunk::<4>()?), body.get(8..10)?))),
        0x21 => body.get(..36).and_then(|body| Some((IpAddr::from(*body.first_chunk::<16>()?), body.get(32..34)?))),
        // A family that is no TCP: the proxy does not say who it is.
        0x00 => return whole(Header::Own),
        _ => None,
    };
    match source.and_then(|(address, port)| Some((address, *port.first_chunk::<2>()?))) {
        Some((address, port)) => whole(Header::Named(SocketAddr::new(address, u16::from_be_bytes(port)))),
        None => Parsed::Broken,
    }
}

#[cfg(test)]
#[path = "proxy_protocol_test.rs"]
mod tests;

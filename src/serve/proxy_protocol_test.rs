//! Headers of proxies, good and bad, whole and in pieces, and whose are believed on a real connection.

use proptest::prelude::*;
use tokio::io::AsyncWriteExt;

use super::*;
use crate::limits::Slots;
use crate::listen;

fn version_2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&SIGNATURE[..], &[command, family], &length, body].concat()
}

fn four() -> Vec<u8> {
    version_2(0x21, 0x11, &[192, 0, 2, 7, 10, 0, 0, 1, 0x1f, 0x90, 0, 80])
}

#[test]
fn headers_of_both_versions_name_the_client() {
    let six = [&[0x20, 1, 0x0d, 0xb8][..], &[0; 11], &[7], &[0; 16], &[0x1f, 0x90, 0, 80], b"extension"].concat();
    for (bytes, expected) in [
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 8080 80\r\n".to_vec(), "192.0.2.7:8080"),
        (b"PROXY TCP6 2001:db8::7 ::1 8080 80\r\n".to_vec(), "[2001:db8::7]:8080"),
        (four(), "192.0.2.7:8080"),
        (version_2(0x21, 0x21, &six), "[2001:db8::7]:8080"),
    ] {
        let expected = Header::Named(expected.parse().unwrap());
        assert_eq!(parse(&[&bytes[..], b"GET /"].concat()), Parsed::Whole(expected, bytes.len()));
        for cut in 0..bytes.len() {
            assert_eq!(parse(&bytes[..cut]), Parsed::Partial, "{cut}");
        }
    }
}

#[test]
fn a_proxy_that_speaks_for_itself_names_nobody() {
    for bytes in [
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(),
        version_2(0x20, 0, b""),
        version_2(0x20, 0x11, &[1; 12]),
        version_2(0x21, 0, b""),
    ] {
        assert_eq!(parse(&bytes), Parsed::Whole(Header::Own, bytes.len()));
    }
}

#[test]
fn headers_that_are_none_are_refused() {
    let long = [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 200]].concat();
    for bytes in [
        b"PROXY \r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 10.0.0.1 8080\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 10.0.0.1 8080 80 x\r\n".to_vec(),
        b"PROXY TCP4  192.0.2.7 10.0.0.1 8080 80\r\n".to_vec(),
        b"PROXY TCP4 ::1 ::1 8080 80\r\n".to_vec(),
        b"PROXY TCP6 192.0.2.7 10.0.0.1 8080 80\r\n".to_vec(),
        b"PROXY UDP4 192.0.2.7 10.0.0.1 8080 80\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 10.0.0.1 65536 80\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 10.0.0.1 +80 80\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 10.0.0.1 080 80\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.007 10.0.0.1 80 80\r\n".to_vec(),
        b"PROXY TCP4 \xff\r\n".to_vec(),
        long,
        version_2(0x11, 0x11, &[0; 12]),
        version_2(0x22, 0x11, &[0; 12]),
        version_2(0x21, 0x11, &[0; 11]),
        version_2(0x21, 0x21, &[0; 35]),
        version_2(0x21, 0x31, &[0; 216]),
        version_2(0x21, 0x12, &[0; 12]),
        version_2(0x21, 0x11, &[0; MOST + 1]),
    ] {
        assert_eq!(parse(&bytes), Parsed::Broken, "{:?}", String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn what_begins_another_way_has_no_header() {
    for bytes in [&b"\x16\x03\x01"[..], b"GET / HTTP/1.1", b"POST /", b"PROPFIND", b"SSH-2.0-x", b"\r\nx", b"PROXY\t"] {
        assert_eq!(parse(bytes), Parsed::Whole(Header::Absent, 0), "{bytes:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_break_the_parser_and_none_beyond_the_limit_are_asked_for(
        start in 0..4_usize, tail in proptest::collection::vec(any::<u8>(), 0..3000)
    ) {
        let heads: [&[u8]; 4] = [b"", WORD, b"PROXY TCP4 ", SIGNATURE];
        let bytes = [heads[start], &tail].concat();
        match parse(&bytes) {
            Parsed::Whole(_, length) => prop_assert!(length <= bytes.len()),
            Parsed::Partial => prop_assert!(bytes.len() < HEAD + MOST),
            Parsed::Broken => {}
        }
    }
}

/// What becomes of a connection over loopback: whose it is, and what is left to read.
async fn received(protocol: ProxyProtocol, trusted: &str, sent: &[u8]) -> Option<(SocketAddr, Vec<u8>)> {
    let listener = listen::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    client.write_all(sent).await.unwrap();
    client.shutdown().await.unwrap();
    let (stream, peer) = listener.accept().await.unwrap();
    let trusted = Network::parse_list(trusted).unwrap().into();
    let reception = Reception { protocol, trusted, patience: Duration::from_secs(20) };
    let slots = Slots::new(10, 1);
    let slot = slots.take(peer.ip()).unwrap();
    let (mut arrived, slot) = reception.welcome(stream, peer, slot).await?;
    // The proxy's own place is free again once it has named somebody else.
    assert_eq!(slots.take(peer.ip()).is_some(), arrived.peer != peer);
    arrived.stream.read_to_end(&mut arrived.front).await.unwrap();
    drop(slot);
    let is_own = arrived.peer == peer;
    Some((if is_own { "127.0.0.1:0".parse().unwrap() } else { arrived.peer }, arrived.front))
}

const LOOPBACK: &str = "127.0.0.0/8";
const SENT: &[u8] = b"PROXY TCP4 192.0.2.7 10.0.0.1 8080 80\r\nGET /";

#[tokio::test]
async fn a_trusted_proxy_names_the_client_and_loses_no_byte_of_it() {
    let named = Some(("192.0.2.7:8080".parse().unwrap(), b"GET /".to_vec()));
    assert_eq!(received(ProxyProtocol::Accept, LOOPBACK, SENT).await, named);
    assert_eq!(received(ProxyProtocol::Require, LOOPBACK, SENT).await, named);
    let binary = [&four()[..], b"GET /"].concat();
    assert_eq!(received(ProxyProtocol::Require, LOOPBACK, &binary).await, named);
}

#[tokio::test]
async fn nobody_but_a_trusted_proxy_names_anybody() {
    let own = "127.0.0.1:0".parse().unwrap();
    for (protocol, trusted) in [
        (ProxyProtocol::Accept, "10.0.0.0/8"),
        (ProxyProtocol::Require, "10.0.0.0/8"),
        (ProxyProtocol::Require, ""),
        (ProxyProtocol::Off, LOOPBACK),
    ] {
        assert_eq!(received(protocol, trusted, SENT).await, Some((own, SENT.to_vec())), "{protocol:?} {trusted}");
    }
}

#[tokio::test]
async fn a_header_may_be_left_out_only_where_it_is_not_required() {
    let own = "127.0.0.1:0".parse().unwrap();
    assert_eq!(received(ProxyProtocol::Accept, LOOPBACK, b"POST /").await, Some((own, b"POST /".to_vec())));
    assert_eq!(received(ProxyProtocol::Require, LOOPBACK, b"POST /").await, None);
    for cut in [&SENT[..20], &four()[..14], b"PROXY nonsense\r\n", b""] {
        assert_eq!(received(ProxyProtocol::Accept, LOOPBACK, cut).await, None, "{cut:?}");
    }
}

#[tokio::test]
async fn a_header_that_never_ends_is_not_waited_for() {
    let listener = listen::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    client.write_all(b"PROXY TCP4").await.unwrap();
    let (stream, peer) = listener.accept().await.unwrap();
    let trusted = Network::parse_list(LOOPBACK).unwrap().into();
    let slot = Slots::new(1, 1).take(peer.ip()).unwrap();
    let reception = Reception { protocol: ProxyProtocol::Accept, trusted, patience: Duration::from_millis(20) };
    assert!(reception.welcome(stream, peer, slot).await.is_none());
    drop(client);
}

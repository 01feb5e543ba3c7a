//! Databases that are reached over a network: encrypted as asked, never in clear when TLS was asked for, and given up in
//! time when nobody answers.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use base::Secret;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::server_for_tests::Server;
use crate::tests::NOW;
use crate::{Address, Login, Query, Store, StoreError, users};

fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
}

/// A server at `port` with a certificate for `localhost`, and the files of its own authority and of another one.
fn server(port: u16, directory: &Path) -> Option<Server> {
    let (own, other) = (authority(), authority());
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".into()]).unwrap().signed_by(&key, &own).unwrap();
    for (name, pem) in [("own.pem", own.pem()), ("other.pem", other.pem())] {
        base::file::write_atomic(&directory.join(name), pem.as_bytes(), 0o600).unwrap();
    }
    Server::start_at(port, |home| {
        base::file::write_atomic(&home.join("server.pem"), certificate.pem().as_bytes(), 0o600).unwrap();
        base::file::write_atomic(&home.join("server.key"), key.serialize_pem().as_bytes(), 0o600).unwrap();
        let file = |setting: &str, name: &str| format!("{setting}={}", home.join(name).display());
        let (certificate, key) = (file("ssl_cert_file", "server.pem"), file("ssl_key_file", "server.key"));
        ["-h", "127.0.0.1", "-c", "ssl=on", "-c", &certificate, "-c", &key].map(str::to_owned).into()
    })
}

async fn open(url: &str) -> Result<Store, StoreError> {
    Store::open(&Address::Server(Login::parse(&Secret::new(url.into()), None)?), NOW).await
}

#[test]
fn connections_are_encrypted_as_asked_and_go_to_nobody_else() {
    const ENCRYPTED: &str = "SELECT CASE WHEN ssl THEN 1 ELSE 0 END FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let (directory, port) = (tempfile::tempdir().unwrap(), port());
    let Some(server) = server(port, directory.path()) else { return };
    server.database("site");
    let file = |name: &str| directory.path().join(name).display().to_string();
    let (own, other) = (file("own.pem"), file("other.pem"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (host, options, expected) in [
        ("127.0.0.1", String::new(), Some(1)),
        ("127.0.0.1", "sslmode=disable".into(), Some(0)),
        ("127.0.0.1", "sslmode=require".into(), Some(1)),
        ("127.0.0.1", "sslmode=require&channel_binding=require".into(), Some(1)),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={own}"), Some(1)),
        ("localhost", format!("sslmode=verify-full&sslrootcert={own}"), Some(1)),
        ("127.0.0.1", format!("sslmode=verify-full&sslrootcert={own}"), None),
        ("localhost", format!("sslmode=verify-full&sslrootcert={other}"), None),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={other}"), None),
        ("127.0.0.1", format!("sslmode=require&sslrootcert={other}"), None),
        ("localhost", "sslmode=verify-full".into(), None),
    ] {
        let url = format!("postgres://gitgrit:hunter2@{host}:{port}/site?{options}");
        let found = runtime.block_on(async {
            let store = open(&url).await?;
            store.read().rows(ENCRYPTED, Vec::new()).await?.first().expect("a row").get::<i64>(0)
        });
        match (expected, found) {
            (Some(expected), Ok(found)) => assert_eq!(found, expected, "{options}"),
            (None, Err(refused @ StoreError::Away(_))) => assert!(!format!("{refused:?}").contains("hunter2")),
            (_, found) => panic!("{host} {options}: {found:?}"),
        }
    }
}

#[test]
fn a_server_without_tls_is_not_entered_in_clear() {
    let port = port();
    let doors = |_: &Path| ["-h", "127.0.0.1"].map(str::to_owned).into();
    let Some(server) = Server::start_at(port, doors) else { return };
    server.database("site");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (options, is_fine) in [("sslmode=prefer", true), ("sslmode=require", false), ("sslmode=verify-full", false)] {
        let opened = runtime.block_on(open(&format!("postgres://gitgrit:hunter2@127.0.0.1:{port}/site?{options}")));
        assert_eq!(opened.is_ok(), is_fine, "{options}");
    }
    let wrong = runtime.block_on(open(&format!("postgres://gitgrit:hunter3@127.0.0.1:{port}/site")));
    assert!(!format!("{:?}", wrong.err().expect("refused")).contains("hunter3"));
}

#[tokio::test]
async fn a_server_that_takes_connections_and_says_nothing_is_given_up_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for mode in ["disable", "require"] {
        let begun = Instant::now();
        let silent = open(&format!("postgres://gitgrit:hunter2@127.0.0.1:{port}/site?sslmode={mode}")).await;
        assert!(matches!(silent.err(), Some(StoreError::Away(_))), "{mode}");
        assert!(begun.elapsed() < Duration::from_secs(15), "{mode}: {:?}", begun.elapsed());
    }
    drop(listener);
}

/// Passes bytes between a client and the server at `port`, until `is_silent`: then it takes them and passes nothing.
fn relay(port: u16, is_silent: &Arc<AtomicBool>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    let is_silent = Arc::clone(is_silent);
    let pass = |mut from: TcpStream, mut to: TcpStream, is_silent: Arc<AtomicBool>| {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if !is_silent.load(Ordering::Relaxed) && to.write_all(&buffer[..count]).is_err() {
                return;
            }
        }
    };
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { return };
            let (back, forth) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            let (one, other) = (Arc::clone(&is_silent), Arc::clone(&is_silent));
            std::thread::spawn(move || pass(client, server, one));
            std::thread::spawn(move || pass(forth, back, other));
        }
    });
    own
}

#[test]
fn a_server_that_falls_silent_is_given_up_in_time_and_used_again_when_it_speaks() {
    let port = port();
    let doors = |_: &Path| ["-h", "127.0.0.1"].map(str::to_owned).into();
    let Some(server) = Server::start_at(port, doors) else { return };
    server.database("site");
    let is_silent = Arc::new(AtomicBool::new(false));
    let url = format!("postgres://gitgrit:hunter2@127.0.0.1:{}/site?sslmode=disable", relay(port, &is_silent));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = open(&url).await.unwrap();
        assert!(users::people(&store.read()).await.unwrap().is_empty());
        is_silent.store(true, Ordering::Relaxed);
        let begun = Instant::now();
        let silent = users::people(&store.read()).await.err();
        assert!(matches!(silent, Some(StoreError::Away(_))), "{silent:?}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        is_silent.store(false, Ordering::Relaxed);
        assert!(users::people(&store.read()).await.unwrap().is_empty());
    });
}

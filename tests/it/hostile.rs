//! Bytes that no client of good will sends: paths that climb, packs cut in half, answers half read. The site refuses them
//! and serves the next visitor.

use std::io::Write;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::git::Git;
use crate::site::Site;

/// Sends `request` over TLS as it is, and reads the answer to its end.
fn raw(site: &Site, request: &[u8]) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(site.ca_file()).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::IpAddress(site.serving().http.ip().into());
    let answer = runtime.block_on(async {
        let stream = TcpStream::connect(site.serving().http).await.unwrap();
        let mut stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        // A server may close without saying goodbye when it does not like what it reads.
        let _ = tokio::time::timeout(std::time::Duration::from_secs(20), read).await.expect("no end of the answer");
        answer
    });
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

#[test]
fn paths_that_climb_find_nothing() {
    let site = Site::start();
    site.user("ada").make_repository("open", "public");
    // An operator's own `.env` is left as it is; what was made for it is then in a file beside it.
    let files = [site.dir().env(), site.dir().secrets()].map(|path| std::fs::read_to_string(path).unwrap_or_default());
    let key = crate::html::find(&files.concat(), r#"SECRET_KEY"?[=:] ?["']?([A-Za-z0-9]{32,})"#).unwrap();
    let key = key.as_str();
    for path in [
        "/../../.env",
        "/assets/../../../.env",
        "/assets/..%2f..%2f..%2f.env",
        "/assets/%2e%2e/%2e%2e/.env",
        "/assets/....//....//.env",
        "/ada/open/raw/main/../../../../.env",
        "/ada/open/raw/..%2f..%2f.env",
        "/ada/..%2fada%2fopen.git/info/refs?service=git-upload-pack",
        "/ada/open.git/../../info/refs?service=git-upload-pack",
        "/%00",
        "/ada/open%00.git/info/refs?service=git-upload-pack",
        "//etc/passwd",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", site.serving().http);
        let answer = raw(&site, request.as_bytes());
        assert!((300..500).contains(&status(&answer)), "`{path}`: {}", answer.lines().next().unwrap_or_default());
        assert!(!answer.contains(key), "`{path}` shows the site's settings");
    }
    assert_eq!(site.anonymous().get("/ada/open").status, 200);
}

fn pkt_line(text: &str) -> String {
    format!("{:04x}{text}", text.len() + 4)
}

/// A push of `main` as a client sends it, with its pack.
fn push_body(git: &Git, local: &std::path::Path) -> Vec<u8> {
    let tip = git.ok(local, ["rev-parse", "main"]);
    let pack = git.program(local).options(["pack-objects", "--revs", "--stdout", "-q"]).run(b"main\n").unwrap();
    assert!(pack.status.success(), "{}", pack.stderr);
    let zero = "0".repeat(40);
    let mut body = pkt_line(&format!("{zero} {tip} refs/heads/main\0report-status agent=git/test\n")).into_bytes();
    body.extend(b"0000");
    body.extend(pack.stdout);
    body
}

fn post(site: &Site, path: &str, authorization: &str, extra: &str, body: &[u8]) -> String {
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Basic {authorization}\r\nconnection: close\r\n\
         content-type: application/x-git-receive-pack-request\r\n{extra}content-length: {}\r\n\r\n",
        site.serving().http,
        body.len()
    )
    .into_bytes();
    request.extend(body);
    raw(site, &request)
}

fn basic(user: &str, password: &str) -> String {
    STANDARD.encode(format!("{user}:{password}"))
}

#[test]
fn a_pack_cut_in_half_moves_nothing_and_leaves_nothing() {
    let site = Site::start();
    let ada = site.user("ada");
    ada.make_repository("project", "private");
    let token = ada.make_token("t", "write");
    let git = site.git().with_password("ada", &token);
    let local = git.history("local", 200);
    let whole = push_body(&git, &local);
    let half = whole.get(..whole.len() / 2).unwrap();
    let path = "/ada/project.git/git-receive-pack";

    let cut = post(&site, path, &basic("ada", &token), "", half);
    assert!(!cut.contains("ok refs/heads/main"), "{cut}");
    assert_eq!(git.ok(&local, ["ls-remote", &site.https("ada/project")]), "");
    let left = quarantines(site.dir().repositories().as_path());
    assert!(left.is_empty(), "left behind: {left:?}");

    let mut flipped = whole.clone();
    let middle = flipped.len() - 30;
    flipped[middle] ^= 0x55;
    let answer = post(&site, path, &basic("ada", &token), "", &flipped);
    assert!(!answer.contains("ok refs/heads/main"), "{answer}");
    assert_eq!(git.ok(&local, ["ls-remote", &site.https("ada/project")]), "");

    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&whole).unwrap();
    let answer = post(&site, path, &basic("ada", &token), "content-encoding: gzip\r\n", &packed.finish().unwrap());
    assert!(answer.contains("ok refs/heads/main"), "{answer}");
    let clone = git.clone(&site.https("ada/project"), "back");
    assert_eq!(git.ok(&clone, ["rev-list", "--count", "HEAD"]), "200");
}

/// Directories below `folder` that a push in flight would have made.
fn quarantines(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.contains("incoming") || name.contains("quarantine") || name.starts_with("tmp_") {
            found.push(path);
        } else if path.is_dir() {
            found.extend(quarantines(&path));
        }
    }
    found
}

#[test]
fn a_body_that_unpacks_without_end_is_cut_off() {
    let site = Site::start();
    let ada = site.user("ada");
    ada.make_repository("project", "private");
    let token = ada.make_token("t", "write");
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..64 {
        packed.write_all(&vec![b'0'; 1 << 20]).unwrap();
    }
    let body = packed.finish().unwrap();
    let extra = "content-encoding: gzip\r\n";
    let answer = post(&site, "/ada/project.git/git-upload-pack", &basic("ada", &token), extra, &body);
    assert!(!answer.contains("ok refs"), "{answer}");
    assert_eq!(site.anonymous().get("/readyz").status, 200);
}

//! SSH certificates as the real `ssh-keygen` makes them and the real `ssh` shows them: which open a door, and what the
//! server offers to anybody before it knows who that is.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base::process::{Finished, Program};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::test_site::Site;

fn keygen(arguments: &[&str], directory: &Path) {
    let done = Program::new("ssh-keygen").options(arguments.iter()).directory(directory).run(b"").unwrap();
    assert!(done.status.success(), "ssh-keygen {arguments:?}: {}", done.stderr);
}

/// A key of its own kind for each certificate, so that none is known to the site by itself.
fn certified(site: &Site, name: &str, kind: &str, authority: &Path, more: &[&str]) -> PathBuf {
    keygen(&["-q", "-t", kind, "-N", "", "-f", name], site.dir.path());
    let authority = authority.to_str().unwrap();
    let public = format!("{name}.pub");
    keygen(&[&["-q", "-s", authority, "-I", name, "-z", "42"], more, &[&public]].concat(), site.dir.path());
    site.dir.path().join(name)
}

fn authority(site: &Site, name: &str, kind: &str) -> PathBuf {
    keygen(&["-q", "-t", kind, "-N", "", "-f", name], site.dir.path());
    site.dir.path().join(name)
}

async fn ssh(site: &Site, key: &Path) -> Finished {
    let program = Program::new("ssh")
        .options(site.ssh_options(key))
        .options(["-p", &site.addresses.ssh.port().to_string(), "-T", "-l", "git", "localhost"])
        .env("HOME", site.dir.path())
        .deadline(Duration::from_secs(20));
    tokio::task::spawn_blocking(move || program.run(b"").unwrap()).await.unwrap()
}

async fn register(site: &Site, authority: &Path) -> i64 {
    let line = std::fs::read_to_string(authority.with_extension("pub")).unwrap();
    let root = site.actor("root").await;
    site.forge.add_ssh_authority(&root, "people", &line).await.unwrap().id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_opens_the_account_that_it_names_with_every_kind_of_key() {
    let site = Site::start().await;
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let ours = authority(&site, &format!("ca-{kind}"), kind);
        register(&site, &ours).await;
        let names: &[&str] = if kind == "rsa" { &["-t", "rsa-sha2-512"] } else { &[] };
        let more = [names, &["-n", "git,alice", "-V", "-5m:+1h"]].concat();
        let key = certified(&site, &format!("good-{kind}"), kind, &ours, &more);
        let done = ssh(&site, &key).await;
        assert!(done.stderr.contains("hello alice, your key works"), "{kind}: {}", done.stderr);
    }
    let root = site.actor("root").await;
    let asked = forge::AuditFilter { action: Some("ssh_certificate.used".into()), ..forge::AuditFilter::default() };
    let mut told = site.forge.audit(&root, &asked).await.unwrap().records;
    for _ in 0..200 {
        if told.len() >= 3 {
            break;
        }
        tokio::task::yield_now().await;
        told = site.forge.audit(&root, &asked).await.unwrap().records;
    }
    let last = told.iter().find(|record| record.object == "good-ed25519").unwrap();
    assert_eq!((last.actor.as_deref(), last.address.as_deref()), (Some("alice"), Some("127.0.0.1")));
    assert!(last.new.as_deref().unwrap().starts_with("serial 42, key SHA256:"), "{last:?}");
}

/// A pass for large files holds what let its owner in: the certificate, as long as its authority is known.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_gets_a_pass_for_large_files_that_ends_with_its_authority() {
    let site = Site::start().await;
    let ours = authority(&site, "ca", "ed25519");
    let id = register(&site, &ours).await;
    let key = certified(&site, "good", "ed25519", &ours, &["-n", "git,alice", "-V", "-5m:+1h"]);
    let program = Program::new("ssh")
        .options(site.ssh_options(&key))
        .options(["-p", &site.addresses.ssh.port().to_string(), "-T", "-l", "git", "localhost"])
        .option("git-lfs-authenticate 'alice/notes.git' upload")
        .env("HOME", site.dir.path())
        .deadline(Duration::from_secs(20));
    let done = tokio::task::spawn_blocking(move || program.run(b"").unwrap()).await.unwrap();
    assert!(done.status.success(), "{}", done.stderr);
    let said = String::from_utf8(done.stdout).unwrap();
    let pass = said.split("Bearer ").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let headers = format!("Authorization: Bearer {pass}\r\n");
    let path = "/alice/notes.git/info/lfs/locks";
    assert_eq!(crate::test_client::get(&site, path, &headers).await.status, 200);
    site.forge.remove_ssh_authority(&site.actor("root").await, id).await.unwrap();
    assert_eq!(crate::test_client::get(&site, path, &headers).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_does_not_hold_opens_nothing() {
    let site = Site::start().await;
    let (ours, theirs) = (authority(&site, "ours", "ed25519"), authority(&site, "theirs", "ed25519"));
    let good = certified(&site, "good", "ed25519", &ours, &["-n", "alice", "-V", "-5m:+1h"]);
    assert!(ssh(&site, &good).await.stderr.contains("Permission denied"), "no authority is registered yet");
    let id = register(&site, &ours).await;
    assert!(ssh(&site, &good).await.stderr.contains("hello alice"));
    let cases: [(&str, &Path, &[&str]); 9] = [
        ("expired", &ours, &["-n", "alice", "-V", "-2h:-1h"]),
        ("not-yet", &ours, &["-n", "alice", "-V", "+1h:+2h"]),
        ("nobody", &ours, &["-n", "nobody-here", "-V", "-5m:+1h"]),
        ("no-principal", &ours, &["-V", "-5m:+1h"]),
        ("two-people", &ours, &["-n", "alice,bob", "-V", "-5m:+1h"]),
        ("other-authority", &theirs, &["-n", "alice", "-V", "-5m:+1h"]),
        ("elsewhere", &ours, &["-n", "alice", "-V", "-5m:+1h", "-O", "source-address=192.0.2.0/24"]),
        ("forced", &ours, &["-n", "alice", "-V", "-5m:+1h", "-O", "force-command=true"]),
        ("for-hosts", &ours, &["-h", "-n", "alice", "-V", "-5m:+1h"]),
    ];
    for (name, by, more) in cases {
        let key = certified(&site, name, "ed25519", by, more);
        let done = ssh(&site, &key).await;
        assert!(done.stderr.contains("Permission denied"), "{name}: {}", done.stderr);
    }
    let from_here = &["-n", "alice", "-V", "-5m:+1h", "-O", "source-address=127.0.0.0/8"];
    let here = certified(&site, "here", "ed25519", &ours, from_here);
    assert!(ssh(&site, &here).await.stderr.contains("hello alice"));

    let root = site.actor("root").await;
    site.forge.set_user_active(&root, "alice", false).await.unwrap();
    assert!(ssh(&site, &good).await.stderr.contains("Permission denied"), "a deactivated account");
    site.forge.set_user_active(&root, "alice", true).await.unwrap();
    site.forge.remove_ssh_authority(&root, id).await.unwrap();
    assert!(ssh(&site, &good).await.stderr.contains("Permission denied"), "the authority is gone");
}

/// As another forge's users could make any key theirs: an authority comes from the site's administrators alone.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_an_administrator_registers_an_authority() {
    let site = Site::start().await;
    let ours = authority(&site, "ours", "ed25519");
    let line = std::fs::read_to_string(ours.with_extension("pub")).unwrap();
    let alice = site.actor("alice").await;
    let refused = site.forge.add_ssh_authority(&alice, "mine", &line).await;
    assert!(matches!(refused, Err(forge::Error::NotFound)), "{refused:?}");
    assert!(matches!(site.forge.ssh_authorities(&alice).await, Err(forge::Error::NotFound)));
}

fn name_list(payload: &[u8], at: &mut usize) -> Vec<String> {
    let length = u32::from_be_bytes(payload[*at..*at + 4].try_into().unwrap()) as usize;
    let text = std::str::from_utf8(&payload[*at + 4..*at + 4 + length]).unwrap();
    *at += 4 + length;
    text.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The server's own words (RFC 4253, section 7.1), as a scanner of weak algorithms reads them (GHSA-3m6q of another
/// forge): only these, whatever the library under it would also know.
#[tokio::test(flavor = "multi_thread")]
async fn the_server_offers_strong_algorithms_and_no_others() {
    let site = Site::start().await;
    let mut stream = TcpStream::connect(site.addresses.ssh).await.unwrap();
    stream.write_all(b"SSH-2.0-test\r\n").await.unwrap();
    let mut said = Vec::new();
    while !said.ends_with(b"\r\n") {
        said.push(stream.read_u8().await.unwrap());
    }
    let length = stream.read_u32().await.unwrap() as usize;
    let mut packet = vec![0; length];
    stream.read_exact(&mut packet).await.unwrap();
    let payload = &packet[1..];
    assert_eq!(payload[0], 20, "KEXINIT");
    let mut at = 17;
    let lists: Vec<Vec<String>> = (0..8).map(|_| name_list(payload, &mut at)).collect();
    let aead = ["chacha20-poly1305@openssh.com", "aes256-gcm@openssh.com", "aes128-gcm@openssh.com"];
    let macs = ["hmac-sha2-512-etm@openssh.com", "hmac-sha2-256-etm@openssh.com"];
    let kex = [
        "mlkem768x25519-sha256",
        "curve25519-sha256",
        "curve25519-sha256@libssh.org",
        "ext-info-s",
        "kex-strict-s-v00@openssh.com",
    ];
    assert_eq!(lists[0], kex);
    assert_eq!(lists[1], ["ssh-ed25519"]);
    assert_eq!((&lists[2][..], &lists[3][..]), (&aead.map(str::to_owned)[..], &aead.map(str::to_owned)[..]));
    assert_eq!((&lists[4][..], &lists[5][..]), (&macs.map(str::to_owned)[..], &macs.map(str::to_owned)[..]));
    assert_eq!((&lists[6][..], &lists[7][..]), (&["none".to_owned()][..], &["none".to_owned()][..]));
}

/// CVE-2026-52814 of another forge: clients that stall in the handshake used up its file descriptors.
#[tokio::test(flavor = "multi_thread")]
async fn clients_that_stall_before_signing_in_keep_nobody_out_for_long() {
    let site = Site::start().await;
    let key = site.ssh_key("alice").await;
    let mut stalled = Vec::new();
    for number in 0..crate::limits::SSH_CONNECTIONS_EACH + 5 {
        let mut stream = TcpStream::connect(site.addresses.ssh).await.unwrap();
        if number % 2 == 0 {
            let _ = stream.write_all(b"SSH-2.0-stall").await;
        }
        stalled.push(stream);
    }
    // From another address there is a place at once.
    let other = std::net::SocketAddr::from(([127, 0, 0, 2], 0));
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(other).unwrap();
    let mut second = socket.connect(site.addresses.ssh).await.unwrap();
    let mut greeting = [0; 8];
    tokio::time::timeout(Duration::from_secs(10), second.read_exact(&mut greeting)).await.unwrap().unwrap();
    assert_eq!(&greeting, b"SSH-2.0-");
    // The stalled ones are cut after the grace, and their places are free again.
    for mut stream in stalled {
        let mut rest = Vec::new();
        let end = stream.read_to_end(&mut rest);
        let _ = tokio::time::timeout(Duration::from_secs(40), end).await.expect("a stalled client was not cut");
    }
    let done = ssh(&site, &key).await;
    assert!(done.stderr.contains("hello alice"), "{}", done.stderr);
}

/// CVE-2023-43809 of another server: a second method let in who had failed with the first.
#[tokio::test(flavor = "multi_thread")]
async fn no_other_method_than_public_keys_is_taken() {
    let site = Site::start().await;
    let unknown = site.new_key("mallory");
    for methods in ["keyboard-interactive", "password", "gssapi-with-mic,hostbased,keyboard-interactive,password"] {
        let program = Program::new("ssh")
            .options(["-v", "-o", &format!("PreferredAuthentications={methods}")])
            .options(site.ssh_options(&unknown))
            .options(["-p", &site.addresses.ssh.port().to_string(), "-T", "-l", "git", "localhost"])
            .env("HOME", site.dir.path())
            .deadline(Duration::from_secs(20));
        let done = tokio::task::spawn_blocking(move || program.run(b"").unwrap()).await.unwrap();
        assert_eq!(done.status.code(), Some(255), "{}", done.stderr);
        assert!(done.stderr.contains("Permission denied (publickey)"), "{}", done.stderr);
    }
}

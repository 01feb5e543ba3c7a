//! Real `ssh` against a bound server: who gets in, as whom, and what there is not.

use std::path::Path;
use std::time::Duration;

use base::process::{Finished, Program};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::test_site::Site;

async fn ssh(site: &Site, key: &Path, user: &str, arguments: &[&str]) -> Finished {
    let program = Program::new("ssh")
        .options(site.ssh_options(key))
        .options(["-p", &site.addresses.ssh.port().to_string()])
        .options(["-l", user, "localhost"])
        .options(arguments)
        .env("HOME", site.dir.path())
        .deadline(Duration::from_secs(20));
    tokio::task::spawn_blocking(move || program.run(b"").unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_a_password_and_another_user_do_not_get_in() {
    let site = Site::start().await;
    let (known, unknown) = (site.ssh_key("alice").await, site.new_key("mallory"));
    let refused = ssh(&site, &unknown, "git", &["git-upload-pack 'alice/notes'"]).await;
    assert_eq!(refused.status.code(), Some(255));
    assert!(refused.stderr.contains("Permission denied (publickey)"), "{}", refused.stderr);
    let told = ssh(&site, &known, "alice", &["git-upload-pack 'alice/notes'"]).await;
    assert_eq!((told.status.code(), told.stderr.trim()), (Some(128), "gitgrit: sign in as the user `git`: git@host"));
}

/// Whether a repository that is hidden is busy is nothing to be told of: the right is proven before a turn is waited for.
/// And the list of refs has its turn like the rest.
#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_is_refused_at_once_also_when_no_turn_is_free() {
    let site = Site::start().await;
    let bob = site.ssh_key("bob").await;
    let repository = base::name::RepoPath::parse_joined("alice/notes").unwrap();
    let mut held = Vec::new();
    let mut host = 0_u8;
    while site.state.doors.transfers.is_free() {
        host += 1;
        let from = std::net::IpAddr::from([10, 0, 0, host]);
        let asker = crate::turns::Asker { user: None, from, repository: &repository };
        held.push(site.state.doors.transfers.place(&asker).await.ok());
    }
    for command in ["git-upload-pack", "git-receive-pack", "git-upload-archive"] {
        let refused = ssh(&site, &bob, "git", &[&format!("{command} 'alice/notes'")]).await;
        assert_eq!((refused.status.code(), refused.stderr.trim()), (Some(128), "gitgrit: repository not found"));
    }
    let url = "/root/open.git/info/refs?service=git-upload-pack";
    let asking = crate::test_client::get(&site, url, "");
    tokio::pin!(asking);
    let early = tokio::time::timeout(Duration::from_millis(300), &mut asking).await;
    assert!(early.is_err(), "an advertisement waits for its turn");
    drop(held);
    assert_eq!(asking.await.status, 200);
}

/// CVE-2024-45337 and CVE-2026-24058 of other servers: whoever offered a key and signed with another was the first one.
#[tokio::test(flavor = "multi_thread")]
async fn identity_is_that_of_the_key_that_signed_not_of_the_one_offered_before() {
    let site = Site::start().await;
    let (alice, bob) = (site.ssh_key("alice").await, site.ssh_key("bob").await);
    // Bob's public half alone: it can be offered, and the server knows it, but nobody here can sign with it.
    let offered = site.dir.path().join("only-public.pub");
    std::fs::copy(bob.with_extension("pub"), &offered).unwrap();
    let first = format!("IdentityFile={}", offered.display());
    let program = Program::new("ssh")
        .options(["-o", "LogLevel=DEBUG1", "-o", &first])
        .options(site.ssh_options(&alice))
        .options(["-p", &site.addresses.ssh.port().to_string(), "-T", "-l", "git", "localhost"])
        .env("HOME", site.dir.path())
        .deadline(Duration::from_secs(20));
    let done = tokio::task::spawn_blocking(move || program.run(b"").unwrap()).await.unwrap();
    let accepted = format!("Server accepts key: {}", offered.display());
    assert!(done.stderr.contains(&accepted), "the case is the one that is meant: {}", done.stderr);
    assert!(done.stderr.contains("hello alice"), "{}", done.stderr);
    let of_bob = site.forge.ssh_keys(&site.actor("bob").await).await.unwrap();
    assert!(of_bob.iter().all(|key| key.used.is_none()), "an offered key was not used");
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_shell_no_other_program_no_sftp_and_no_forwarding() {
    let site = Site::start().await;
    let key = site.ssh_key("alice").await;
    let shell = ssh(&site, &key, "git", &[]).await;
    assert_eq!(shell.status.code(), Some(128));
    assert!(shell.stderr.contains("hello alice, your key works; there is no shell here"), "{}", shell.stderr);
    for command in ["id", "sh -c id", "git-upload-pack 'alice/notes'; id", "git-upload-archive 'bob/notes'"] {
        let done = ssh(&site, &key, "git", &[command]).await;
        assert_eq!((done.status.code(), done.stdout.as_slice()), (Some(128), &b""[..]), "{command}");
    }
    let sftp = ssh(&site, &key, "git", &["-s", "sftp"]).await;
    assert_eq!(sftp.status.code(), Some(255), "{}", sftp.stderr);
    let forward = ssh(&site, &key, "git", &["-W", "127.0.0.1:22"]).await;
    assert!(!forward.status.success());
}

/// A connection that is kept open must not outlive the account: its owner could have gone on cloning for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_kept_connection_of_a_deactivated_user_opens_nothing() {
    let site = Site::start().await;
    let key = site.ssh_key("alice").await;
    let control = format!("ControlPath={}", site.dir.path().join("control").display());
    let kept = ["-o", "ControlMaster=auto", "-o", "ControlPersist=60", "-o", &control];
    let clone = "git-upload-pack 'alice/notes'";
    let first = ssh(&site, &key, "git", &[&kept[..], &["-T"]].concat()).await;
    assert!(first.stderr.contains("hello alice"), "{}", first.stderr);
    site.forge.set_user_active(&site.actor("root").await, "alice", false).await.unwrap();
    let second = ssh(&site, &key, "git", &[&kept[..], &["-T"]].concat()).await;
    assert!(second.stderr.contains("hello alice"), "the case is the one that is meant: {}", second.stderr);
    let third = ssh(&site, &key, "git", &[&kept[..], &[clone]].concat()).await;
    assert_eq!((third.status.code(), third.stdout.as_slice()), (Some(128), &b""[..]), "{}", third.stderr);
    assert!(third.stderr.contains("not in use any more"), "{}", third.stderr);
    ssh(&site, &key, "git", &["-O", "exit", "-o", &control]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_still_serves_after_junk_and_half_a_greeting() {
    use tokio::io::AsyncWriteExt;
    let site = Site::start().await;
    let key = site.ssh_key("alice").await;
    for junk in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"SSH-2.0-x\r\n\xff\xff\xff\xff", b"SSH-1.5-old\r\n"] {
        let mut stream = TcpStream::connect(site.addresses.ssh).await.unwrap();
        stream.write_all(junk).await.unwrap();
        stream.shutdown().await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    let shell = ssh(&site, &key, "git", &["-T"]).await;
    assert!(shell.stderr.contains("hello alice"), "{}", shell.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_closes_idle_connections() {
    let mut site = Site::start().await;
    let mut idle = TcpStream::connect(site.addresses.http).await.unwrap();
    tokio::time::timeout(Duration::from_secs(20), site.stop()).await.unwrap();
    let mut rest = Vec::new();
    let _ = idle.read_to_end(&mut rest).await;
    assert_eq!(rest, b"");
}

//! Real `git` against a bound server, over both transports: what works, and what is refused without harm.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::test_client::{Answer, connect, get, send};
use crate::test_site::{PASSWORD, Site};

fn basic(name: &str, secret: &str) -> String {
    format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("{name}:{secret}")))
}

const REFS: &str = "info/refs?service=git-upload-pack";
const FETCH: &str = "Content-Type: application/x-git-upload-pack-request\r\n";
const PUSH: &str = "Content-Type: application/x-git-receive-pack-request\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_private_repository_looks_like_one_that_is_not_there() {
    let site = Site::start().await;
    let token = site.token("bob", true).await;
    for credentials in [String::new(), basic("bob", &token), basic("bob", "wrong")] {
        let mut answers = Vec::new();
        for path in ["alice/notes", "alice/missing", "nobody/notes", "alice/..", "-x/y", "alice/notes.git"] {
            let answer = get(&site, &format!("/{path}/{REFS}"), &credentials).await;
            answers.push(answer.without_request_id());
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "{answers:?}");
    }
    let anonymous = get(&site, &format!("/alice/notes/{REFS}"), "").await;
    assert_eq!(anonymous.status, 401);
    assert!(anonymous.head.contains("www-authenticate: Basic realm=\"GitGrit\""), "{}", anonymous.head);
    assert_eq!(get(&site, &format!("/alice/notes/{REFS}"), &basic("bob", &token)).await.status, 404);
    let key = site.ssh_key("bob").await;
    let hidden = site.git("x", Some(&key), &["ls-remote", &site.ssh_url("alice/notes")]).await;
    let absent = site.git("x", Some(&key), &["ls-remote", &site.ssh_url("alice/absent")]).await;
    assert_eq!(hidden.stderr, absent.stderr);
    assert!(hidden.stderr.contains("gitgrit: repository not found"), "{}", hidden.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_and_tokens_past_their_end_are_refused() {
    let site = Site::start().await;
    let token = site.token("alice", true).await;
    let path = format!("/alice/notes/{REFS}");
    assert_eq!(get(&site, &path, &basic("alice", "wrong")).await.status, 401);
    assert_eq!(get(&site, &path, "Authorization: Bearer x\r\n").await.status, 401);
    assert_eq!(get(&site, &path, &basic("alice", PASSWORD)).await.status, 200);
    assert_eq!(get(&site, &path, &basic("alice", &token)).await.status, 200);
    site.clock.advance(2 * 24 * 3600);
    let late = get(&site, &path, &basic("alice", &token)).await;
    assert_eq!(late.status, 401);
    assert!(late.body.contains("has expired"), "{}", late.body);
}

/// The class of CVE-2026-52810 (the right followed from `service=` and not from the program) and CVE-2025-68941.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_only_reads_cannot_push_by_any_spelling() {
    let site = Site::start().await;
    let (reader, writer) = (site.token("alice", false).await, site.token("alice", true).await);
    site.push_some("work", &site.http_url("alice", &writer, "alice/notes"), 1).await;
    let refused =
        site.git("work", None, &["push", &site.http_url("alice", &reader, "alice/notes"), "main:other"]).await;
    assert!(!refused.status.success());
    let credentials = basic("alice", &reader);
    for query in ["service=git-receive-pack", "service=git-receive-pack&service=git-upload-pack"] {
        let answer = get(&site, &format!("/alice/notes/info/refs?{query}"), &credentials).await;
        assert_eq!(answer.status, 403, "{query}");
    }
    let path = "/alice/notes/git-receive-pack?service=git-upload-pack";
    let answer = send(&site, "POST", path, &format!("{credentials}{PUSH}"), b"0000").await;
    assert_eq!(answer.status, 403, "{}", answer.body);
    let refs = site.git_ok("work", None, &["ls-remote", &site.http_url("alice", &reader, "alice/notes")]).await;
    assert!(!refs.contains("other"), "{refs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_the_smart_protocol_is_refused() {
    let site = Site::start().await;
    let credentials = basic("alice", PASSWORD);
    for path in ["/alice/notes/info/refs", "/alice/notes/info/refs?service=git-upload-archive", "/no/such/info/refs"] {
        assert_eq!(get(&site, path, &credentials).await.status, 403, "{path}");
    }
    let path = "/alice/notes/git-upload-pack";
    let form = format!("{credentials}Content-Type: application/x-www-form-urlencoded\r\n");
    assert_eq!(send(&site, "POST", path, &form, b"0000").await.status, 415);
    let packed = format!("{credentials}{FETCH}Content-Encoding: br\r\n");
    assert_eq!(send(&site, "POST", path, &packed, b"0000").await.status, 415);
    assert_ne!(get(&site, path, &credentials).await.status, 200);
    assert_ne!(get(&site, "/alice/notes/HEAD", &credentials).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_pack_moves_no_ref_and_harms_no_server() {
    let site = Site::start().await;
    let credentials = format!("{}{PUSH}", basic("alice", PASSWORD));
    let zero = "0".repeat(40);
    let line = format!("{zero} {} refs/heads/main\0 report-status", "1".repeat(40));
    let mut body = format!("{:04x}{line}0000PACK", line.len() + 4).into_bytes();
    body.extend_from_slice(&[0, 0, 0, 2, 0, 0, 0, 9, 0x33]);
    let answer = send(&site, "POST", "/alice/notes/git-receive-pack", &credentials, &body).await;
    assert!(answer.status == 200 || answer.status == 400, "{} {}", answer.status, answer.body);
    assert!(!answer.body.contains("unpack ok"), "{}", answer.body);
    let refs = site.git_ok("x", None, &["ls-remote", &site.http_url("alice", PASSWORD, "alice/notes")]).await;
    assert_eq!(refs, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn push_clone_and_fetch_work_over_both_transports() {
    let site = Site::start().await;
    let token = site.token("alice", true).await;
    let key = site.ssh_key("alice").await;
    let (http, ssh) = (site.http_url("alice", &token, "alice/notes.git"), site.ssh_url("alice/notes.git"));
    site.push_some("work", &http, 5).await;
    for (directory, url) in [("http", &http), ("ssh", &ssh)] {
        site.git_ok(directory, Some(&key), &["clone", "--quiet", url, "whole"]).await;
        site.git_ok(directory, Some(&key), &["clone", "--quiet", "--depth", "1", url, "shallow"]).await;
        site.git_ok(directory, Some(&key), &["clone", "--quiet", "--filter=blob:none", url, "partial"]).await;
        let whole = format!("{directory}/whole");
        site.git_ok(&whole, None, &["fsck", "--strict"]).await;
        assert_eq!(site.git_ok(&whole, None, &["rev-list", "--count", "HEAD"]).await, "5\n");
        let shallow = site.git_ok(&format!("{directory}/shallow"), None, &["rev-list", "--count", "HEAD"]).await;
        assert_eq!(shallow, "1\n");
        let message = ["commit", "--quiet", "--allow-empty", "--message", "more"];
        site.git_ok(&whole, None, &message).await;
        site.git_ok(&whole, Some(&key), &["push", "--quiet", "origin", &format!("HEAD:refs/heads/{directory}")]).await;
        site.git_ok("work", Some(&key), &["fetch", "--quiet", url, directory]).await;
        let (pushed, fetched) = (
            site.git_ok(&whole, None, &["rev-parse", "HEAD"]).await,
            site.git_ok("work", None, &["rev-parse", "FETCH_HEAD"]).await,
        );
        assert_eq!(pushed, fetched);
    }
    let metrics = get(&site, "/metrics", "").await.body;
    assert!(metrics.contains(r#"transport="ssh",outcome="ok""#), "{metrics}");
    assert!(!metrics.contains("alice"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_clones_at_once_are_all_served() {
    let site = Site::start().await;
    let token = site.token("alice", true).await;
    let key = site.ssh_key("alice").await;
    site.push_some("work", &site.http_url("alice", &token, "alice/notes"), 3).await;
    let (http, ssh) = (site.http_url("alice", &token, "alice/notes"), site.ssh_url("alice/notes"));
    let clones = (0..50).map(|number| {
        let (site, key) = (&site, &key);
        let url = if number % 2 == 0 { &http } else { &ssh };
        async move { site.git(&format!("many/{number}"), Some(key), &["clone", "--quiet", url, "."]).await }
    });
    for done in join_all(clones).await {
        assert!(done.status.success(), "{}", done.stderr);
    }
    assert_eq!(site.state.doors.transfers.running(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn git_ends_with_the_client_that_went_away() {
    let site = Site::start().await;
    let token = site.token("alice", true).await;
    // Random bytes do not shrink: the pack is larger than all buffers between Git and the client.
    let noise = rustls::crypto::aws_lc_rs::default_provider().secure_random;
    let mut bytes = vec![0; 32 << 20];
    noise.fill(&mut bytes).unwrap();
    site.git_ok("work", None, &["init", "--quiet"]).await;
    base::file::write_atomic(&site.dir.path().join("work/noise"), &bytes, 0o644).unwrap();
    site.git_ok("work", None, &["add", "noise"]).await;
    site.git_ok("work", None, &["commit", "--quiet", "--message", "noise"]).await;
    let url = site.http_url("alice", &token, "alice/notes");
    site.git_ok("work", None, &["push", "--quiet", &url, "main"]).await;
    let tip = site.git_ok("work", None, &["rev-parse", "HEAD"]).await;

    let want = format!("want {}\n", tip.trim());
    let body = format!("0011command=fetch0001000fno-progress{:04x}{want}0009done\n0000", want.len() + 4);
    let mut client = connect(&site).await;
    let head = format!(
        "POST /alice/notes/git-upload-pack HTTP/1.1\r\nHost: localhost\r\n{}{FETCH}Git-Protocol: version=2\r\n\
         Content-Length: {}\r\n\r\n",
        basic("alice", &token),
        body.len()
    );
    client.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut start = vec![0; 64 << 10];
    client.read_exact(&mut start).await.unwrap();
    assert!(start.starts_with(b"HTTP/1.1 200 "));
    assert_eq!(site.state.doors.transfers.running(), 1);
    drop(client);
    eventually("the transfer ends", || site.state.doors.transfers.running() == 0).await;
    eventually("no git child is left", || git_children() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_whose_client_goes_away_leaves_no_git_and_no_ref() {
    let site = Site::start().await;
    let line = format!("{} {} refs/heads/main\0 report-status", "0".repeat(40), "1".repeat(40));
    let head = format!(
        "POST /alice/notes/git-receive-pack HTTP/1.1\r\nHost: localhost\r\n{}{PUSH}Content-Length: 9000000\r\n\r\n",
        basic("alice", PASSWORD),
    );
    let mut client = connect(&site).await;
    client.write_all(format!("{head}{:04x}{line}0000PACK", line.len() + 4).as_bytes()).await.unwrap();
    client.flush().await.unwrap();
    eventually("the push begins", || site.state.doors.transfers.running() == 1).await;
    drop(client);
    eventually("the push ends", || site.state.doors.transfers.running() == 0).await;
    eventually("no git child is left", || git_children() == 0).await;
    let refs = site.git_ok("x", None, &["ls-remote", &site.http_url("alice", PASSWORD, "alice/notes")]).await;
    assert_eq!(refs, "");
}

/// Children of this process that are Git's; each test is a process of its own.
fn git_children() -> usize {
    let me = std::process::id().to_string();
    let stats = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let text = std::fs::read_to_string(entry.ok()?.path().join("stat")).ok()?;
        let (head, tail) = text.rsplit_once(')')?;
        Some(head.contains("(git") && tail.split_whitespace().nth(1) == Some(&me))
    });
    stats.filter(|is_child| *is_child).count()
}

async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_never_kept_and_carry_an_id() {
    let site = Site::start().await;
    let answer: Answer = get(&site, &format!("/root/open/{REFS}"), "").await;
    assert_eq!(answer.status, 200);
    for line in [
        "content-type: application/x-git-upload-pack-advertisement",
        "cache-control: no-cache, max-age=0, must-revalidate",
        "x-request-id: ",
        "x-content-type-options: nosniff",
        "content-security-policy: default-src 'self'; frame-ancestors 'none'",
    ] {
        assert!(answer.head.contains(line), "{line} in {}", answer.head);
    }
    assert!(!answer.head.contains("strict-transport-security"), "not for localhost");
}

//! The isolation probe from real container networks: one that the engine keeps closed, one that it does not. Every target
//! is a listener of the test's own; no image is pulled.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use base::process::Program;
use serde_json::Value;

use crate::isolation_world::{Found, found};
use crate::require;
use crate::site::binary;

/// Minimal Debian 12, built by `scripts/dev-setup`; anything with the C library that the program was built for would do.
const IMAGE: &str = "debian:bookworm-slim";

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A network of the engine; gone when dropped.
struct Network {
    name: String,
}

impl Network {
    fn new(subnet: &str, more: &[&str]) -> Self {
        let name = format!("gitgrit-probe-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let made = docker(&[&["network", "create", "--subnet", subnet], more, &[&name]].concat());
        assert!(made.is_ok(), "{made:?}");
        Self { name }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = docker(&["network", "rm", &self.name]);
    }
}

fn docker(words: &[&str]) -> Result<String, String> {
    let done = Program::new("docker").options(words).run(b"").map_err(|error| error.to_string())?;
    if done.status.success() { Ok(crate::site::out(&done)) } else { Err(done.stderr) }
}

fn probe(words: &[&str]) -> Found {
    let program = Program::new(binary().to_str().unwrap())
        .deadline(Duration::from_mins(1))
        .options(["isolation", "probe", "--json", "--only-targets"])
        .options(words);
    found(&program.run(b"").unwrap())
}

#[test]
fn a_network_that_the_engine_closes_is_closed_and_another_is_not() {
    if !require::has("docker", require::docker(IMAGE)) {
        return;
    }
    // The listener is on the open network's own gateway: a port of this host, and nothing beyond it.
    let open = Network::new("203.0.113.64/28", &["--gateway", "203.0.113.65"]);
    let closed = Network::new("203.0.113.96/28", &["--gateway", "203.0.113.97", "--internal"]);
    let listener = TcpListener::bind("203.0.113.65:0").unwrap();
    let target = format!("tcp={}", listener.local_addr().unwrap());
    let canary = ["--canary", "203.0.113.66"];
    let words =
        [&["--image", IMAGE, "--network", &open.name, "--network", &closed.name, "--target", &target][..], &canary]
            .concat();
    let found = probe(&words);
    let vantages = found.report["vantages"].as_array().unwrap();
    let outcomes: Vec<_> = vantages.iter().map(|vantage| &vantage["rows"][0]["outcome"]).collect();
    let is_closed = ["no route", "filtered", "refused"].iter().any(|word| outcomes[1] == word);
    assert!(outcomes[0] == "reachable" && is_closed, "{:#}", found.report);
    for vantage in vantages {
        let control = |control: &Value| control["family"] == "4" && control["state"] != "works";
        assert!(!vantage["controls"].as_array().unwrap().iter().any(control), "{:#}", found.report);
    }
    let subjects: Vec<_> = found.report["findings"].as_array().unwrap().iter().map(|one| &one["subject"]).collect();
    assert_eq!(subjects, [&format!("network {}", open.name), &format!("network {}", closed.name)]);
    assert_eq!((found.ids(), found.code), (vec!["GG-ISO-002", "GG-ISO-001"], Some(3)));
}

#[test]
fn a_container_network_that_cannot_be_looked_from_is_named() {
    if !require::has("docker", require::docker(IMAGE)) {
        return;
    }
    let network = Network::new("203.0.113.112/28", &["--internal"]);
    let words = ["--network", &network.name, "--network", "gitgrit-no-such", "--target", "tcp=203.0.113.113:9"];
    let found = probe(&[&words[..], &["--image", "gitgrit-no-such-image"]].concat());
    for vantage in found.report["vantages"].as_array().unwrap() {
        assert!(vantage["unseen"].as_str().is_some_and(|why| !why.is_empty()), "{:#}", found.report);
    }
    assert_eq!((found.ids(), found.code), (vec!["GG-ISO-012", "GG-ISO-012"], Some(3)));
}

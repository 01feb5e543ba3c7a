//! The isolation probe from real container networks: one that the engine keeps closed, one that it does not. Every target
//! is a listener of the test's own; no image is pulled.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use base::process::Program;
use serde_json::Value;

use crate::isolation_outside::Outside;
use crate::isolation_world::{Found, found, run};
use crate::require;
use crate::site::binary;

/// Minimal Debian 12, built by `scripts/dev-setup`; anything with the C library that the program was built for would do.
const IMAGE: &str = "debian:bookworm-slim";

/// What is served beyond, and looked for.
const SERVICES: [&str; 5] = [
    "tcp=203.0.113.130:443",
    "http=203.0.113.130:80",
    "dns=203.0.113.130:53",
    "quic=203.0.113.130:443",
    "ntp=203.0.113.130:123",
];

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

/// An outside beyond this host: a namespace on a cable of its own, to which the engine lets its open networks out.
struct Beyond {
    namespace: String,
    _outside: Outside,
}

impl Beyond {
    /// `None` when this machine cannot have one.
    fn new() -> Option<Self> {
        let namespace = format!("ggd-{}", std::process::id());
        if !require::has("netns", run("ip", &["netns", "add", &namespace])) {
            return None;
        }
        let cable = format!("ggd{}", std::process::id());
        let ip = |words: String| run("ip", &words.split(' ').collect::<Vec<_>>()).unwrap();
        ip(format!("link add {cable} type veth peer name cable netns {namespace}"));
        ip(format!("addr add 203.0.113.129/30 dev {cable}"));
        ip(format!("link set {cable} up"));
        ip(format!("-n {namespace} addr add 203.0.113.130/30 dev cable"));
        ip(format!("-n {namespace} link set cable up"));
        let outside = Outside::serve(&namespace, &SERVICES);
        Some(Self { namespace, _outside: outside })
    }
}

impl Drop for Beyond {
    fn drop(&mut self) {
        // The cable goes with its other end.
        let _ = run("ip", &["netns", "del", &self.namespace]);
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
    let Some(_beyond) = Beyond::new() else { return };
    let open = Network::new("203.0.113.64/28", &["--gateway", "203.0.113.65"]);
    let closed = Network::new("203.0.113.96/28", &["--gateway", "203.0.113.97", "--internal"]);
    let places: Vec<_> = SERVICES.iter().flat_map(|target| ["--target", *target]).collect();
    let from = ["--image", IMAGE, "--network", &open.name, "--network", &closed.name, "--canary", "203.0.113.78"];
    let found = probe(&[&from[..], &places].concat());
    let vantages = found.report["vantages"].as_array().unwrap();
    let outcomes = |vantage: &Value| -> Vec<String> {
        let rows = vantage["rows"].as_array().unwrap_or_else(|| panic!("{:#}", found.report));
        rows.iter().map(|row| row["outcome"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(outcomes(&vantages[0]), ["reachable"; SERVICES.len()], "{:#}", found.report);
    let is_closed = |outcome: &String| ["no route", "filtered", "refused"].contains(&outcome.as_str());
    assert!(outcomes(&vantages[1]).iter().all(is_closed), "{:#}", found.report);
    for vantage in vantages {
        let is_broken = |control: &Value| control["family"] == "4" && control["state"] != "works";
        assert!(!vantage["controls"].as_array().unwrap().iter().any(is_broken), "{:#}", found.report);
    }
    let subjects: Vec<_> = found.report["findings"].as_array().unwrap().iter().map(|one| &one["subject"]).collect();
    assert_eq!(subjects[0], &format!("network {}", open.name));
    assert_eq!(*subjects.last().unwrap(), &format!("network {}", closed.name));
    let ids = vec!["GG-ISO-002", "GG-ISO-003", "GG-ISO-005", "GG-ISO-006", "GG-ISO-001"];
    assert_eq!((found.ids(), found.code), (ids, Some(3)));
    let left = docker(&["ps", "--all", "--quiet", "--filter", &format!("network={}", open.name)]).unwrap();
    assert_eq!(left, "", "a probe container is left behind");
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

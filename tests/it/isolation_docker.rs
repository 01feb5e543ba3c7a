//! The isolation probe from real container networks: one that the engine keeps closed, one that it does not. Every target
//! is a listener of the test's own; no image is pulled.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use base::process::Program;
use serde_json::Value;

use crate::isolation_outside::Outside;
use crate::isolation_world::{Found, found, ip, run};
use crate::require;
use crate::site::{binary, out};

/// Minimal Debian 12, built by `scripts/dev-setup`; anything with the C library that the program was built for would do.
pub(crate) const IMAGE: &str = "debian:bookworm-slim";

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A network of the engine; gone when dropped.
pub(crate) struct Network {
    pub(crate) name: String,
}

impl Network {
    /// With this subnet, and what else `docker network create` takes.
    pub(crate) fn new(subnet: &str, more: &[&str]) -> Self {
        let name = format!("gitgrit-probe-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let made = docker(&[&["network", "create", "--subnet", subnet], more, &[&name]].concat());
        assert!(made.is_ok(), "{made:?}");
        Self { name }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // The story that looks from every network may have a container on this one at this moment.
        for _ in 0..60 {
            if docker(&["network", "rm", &self.name]).is_ok() || docker(&["network", "inspect", &self.name]).is_err() {
                break;
            }
            std::thread::sleep(Duration::from_millis(250));
        }
    }
}

/// An outside beyond this host: a namespace on a cable of its own, to which the engine lets its open networks out.
pub(crate) struct Beyond {
    namespace: String,
    /// What is served there, and looked for.
    pub(crate) services: Vec<String>,
    outside: Vec<Outside>,
}

impl Beyond {
    /// At the addresses .129 and .130 of `prefix`; `None` when this machine cannot have one.
    pub(crate) fn new(prefix: &str) -> Option<Self> {
        let number = format!("{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let namespace = format!("ggd-{number}");
        if !require::has("netns", run("ip", &["netns", "add", &namespace])) {
            return None;
        }
        let services = [("tcp", 443), ("http", 80), ("dns", 53), ("quic", 443), ("ntp", 123)];
        let services: Vec<_> = services.iter().map(|(kind, port)| format!("{kind}={prefix}.130:{port}")).collect();
        let mut beyond = Self { outside: Vec::new(), services, namespace };
        let (cable, namespace) = (format!("gg{number}"), &beyond.namespace);
        ip(&format!("link add {cable} type veth peer name cable netns {namespace}"));
        ip(&format!("addr add {prefix}.129/30 dev {cable}"));
        ip(&format!("link set {cable} up"));
        ip(&format!("-n {namespace} addr add {prefix}.130/30 dev cable"));
        ip(&format!("-n {namespace} link set cable up"));
        let services: Vec<_> = beyond.services.iter().map(String::as_str).collect();
        let outside = Outside::serve(namespace, &services);
        beyond.outside.push(outside);
        Some(beyond)
    }

    /// Serves some more there.
    pub(crate) fn also(&mut self, service: &str) {
        self.outside.push(Outside::serve(&self.namespace, &[service]));
    }

    /// Runs a command there.
    pub(crate) fn run(&self, command: &str) {
        ip(&format!("netns exec {} {command}", self.namespace));
    }
}

impl Drop for Beyond {
    fn drop(&mut self) {
        self.outside.clear();
        // The cable goes with its other end.
        let _ = run("ip", &["netns", "del", &self.namespace]);
    }
}

/// Runs `docker` with these words.
pub(crate) fn docker(words: &[&str]) -> Result<String, String> {
    let done = Program::new("docker").options(words).run(b"").map_err(|error| error.to_string())?;
    if done.status.success() { Ok(out(&done)) } else { Err(done.stderr) }
}

/// Runs the probe over just what `words` name.
pub(crate) fn probe(words: &[&str]) -> Found {
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
    let Some(beyond) = Beyond::new("203.0.113") else { return };
    let open = Network::new("203.0.113.64/28", &["--gateway", "203.0.113.65"]);
    let closed = Network::new("203.0.113.96/28", &["--gateway", "203.0.113.97", "--internal"]);
    let places: Vec<_> = beyond.services.iter().flat_map(|target| ["--target", target]).collect();
    let from = ["--image", IMAGE, "--network", &open.name, "--network", &closed.name, "--canary", "203.0.113.78"];
    let found = probe(&[&from[..], &places].concat());
    let vantages = found.report["vantages"].as_array().unwrap();
    let outcomes = |vantage: &Value| -> Vec<String> {
        let rows = vantage["rows"].as_array().unwrap_or_else(|| panic!("{:#}", found.report));
        rows.iter().map(|row| row["outcome"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(outcomes(&vantages[0]), ["reachable"; 5], "{:#}", found.report);
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

#[test]
fn without_a_word_on_it_the_host_and_every_network_are_looked_from() {
    if !require::has("docker", require::docker(IMAGE)) {
        return;
    }
    let network = Network::new("203.0.113.144/28", &["--gateway", "203.0.113.145"]);
    let listener = std::net::TcpListener::bind("203.0.113.145:0").unwrap();
    let target = format!("tcp={}", listener.local_addr().unwrap());
    // No image is named: the engine's own have to do.
    let found = probe(&["--no-canary", "--target", &target]);
    let outcome = |name: &str| {
        let vantages = found.report["vantages"].as_array().unwrap();
        let vantage = vantages.iter().find(|vantage| vantage["vantage"] == name);
        vantage.unwrap_or_else(|| panic!("{name}: {:#}", found.report))["rows"][0]["outcome"].clone()
    };
    for name in ["host", &format!("network {}", network.name)] {
        assert_eq!(outcome(name), "reachable", "{name}: {:#}", found.report);
    }
}

/// What a probe leaves that is killed between making its container and starting it.
#[test]
fn a_container_that_an_earlier_probe_left_behind_is_taken_away() {
    if !require::has("docker", require::docker(IMAGE)) {
        return;
    }
    let network = Network::new("203.0.113.160/28", &["--internal"]);
    let create = |done: &str| {
        let label = format!("gitgrit-ops.probe={done}");
        let words = ["create", "--pull", "never", "--network", &network.name, "--label", &label, IMAGE, "true"];
        docker(&words).unwrap().trim().to_owned()
    };
    let (left, another) = (create("1000"), create("99999999999"));
    let found =
        probe(&["--image", IMAGE, "--network", &network.name, "--no-canary", "--target", "tcp=203.0.113.166:9"]);
    assert!(found.report["vantages"][0]["unseen"].is_null(), "{:#}", found.report);
    let is_there = |id: &str| docker(&["inspect", "--format", "{{.Id}}", id]).is_ok();
    require::until(30, "the sweep", || (!is_there(&left)).then_some(()));
    let is_kept = is_there(&another);
    let _ = docker(&["rm", "--force", &another]);
    assert!(is_kept, "the container of a probe that runs at this moment was taken away");
}

/// Without capabilities root reads no file of somebody else's.
#[test]
fn a_program_that_its_owner_alone_may_run_looks_from_containers_too() {
    if !require::has("docker", require::docker(IMAGE)) {
        return;
    }
    let network = Network::new("203.0.113.176/28", &["--internal"]);
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("gitgrit-ops");
    std::fs::copy(binary(), &own).unwrap();
    run("chown", &["12345:12345", own.to_str().unwrap()]).unwrap();
    run("chmod", &["0700", own.to_str().unwrap()]).unwrap();
    let words = ["isolation", "probe", "--json", "--only-targets", "--image", IMAGE, "--network", &network.name];
    let program = Program::new(own.to_str().unwrap()).deadline(Duration::from_mins(1)).options(words);
    let done = program.options(["--no-canary", "--budget", "9", "--target", "tcp=203.0.113.182:9"]).run(b"").unwrap();
    let found = found(&done);
    assert!(found.report["vantages"][0]["unseen"].is_null(), "{:#}", found.report);
}

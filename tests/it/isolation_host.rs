//! The isolation probe on a host: what settings, environment and engine name, and what pipelines get. Every target is a
//! listener of the test's own, on the loopback address or in a namespace.

use std::path::Path;

use base::process::Program;
use serde_json::Value;

use crate::isolation_outside::serve;
use crate::isolation_world::found;
use crate::require;
use crate::site::{binary, out};

/// A `docker` that says what this engine would, were it set to a proxy and a mirror.
#[test]
fn the_proxies_of_engine_and_environment_and_the_engines_mirror_are_looked_at() {
    let (proxy, mirror, denying) = (serve("yes=127.0.0.1:0"), serve("tcp=127.0.0.1:0"), serve("no=127.0.0.1:0"));
    let target = serve("tcp=127.0.0.1:0");
    let info =
        format!(r#"{{"HttpProxy":"http://who:secret@{proxy}","RegistryConfig":{{"Mirrors":["http://{mirror}/"]}}}}"#);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("docker");
    let script = format!("#!/bin/sh\ncase $1 in info) echo '{info}';; esac\n");
    base::file::write_atomic(&path, script.as_bytes(), 0o755).unwrap();
    let program = Program::new(binary().to_str().unwrap())
        .env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()))
        .env("https_proxy", format!("http://who:secret@{denying}"))
        .directory(folder.path())
        .options(["isolation", "probe", "--json", "--host", "--no-canary", "--budget", "5"])
        .options(["--target", &format!("tcp={target}")]);
    let found = found(&program.run(b"").unwrap());
    assert!(!found.report.to_string().contains("secret"), "{:#}", found.report);
    let origins: Vec<_> = found.report["targets"].as_array().unwrap().iter().map(|one| &one["origin"]).collect();
    assert_eq!(origins, ["given", "environment", "engine", "engine"]);
    let outcomes = found.outcomes();
    for (row, expected) in [
        (format!("mirror4 {mirror}"), "reachable"),
        (format!("proxy4 {denying} CONNECT {target}"), "refused"),
        (format!("proxy4 {denying} CONNECT registry-1.docker.io:443"), "refused"),
        (format!("proxy4 {proxy} CONNECT {target}"), "reachable"),
        (format!("tcp4 {target}"), "reachable"),
    ] {
        assert_eq!(outcomes.get(&row).map(String::as_str), Some(expected), "{row}: {outcomes:?}");
    }
    assert_eq!((found.ids(), found.code), (vec!["GG-ISO-002", "GG-ISO-007", "GG-ISO-009", "GG-ISO-010"], Some(3)));
}

#[test]
fn a_host_without_docker_is_looked_from_alone_and_the_settings_targets_count() {
    // A network with nothing but its own loopback: the built-in targets that are left go nowhere.
    let command = format!("ip link set lo up && PATH=/none exec {} isolation probe --json", binary().display());
    let in_network = |command: &str| Program::new("unshare").options(["--net", "sh", "-c", command]);
    let tried = in_network("true").run(b"").map_err(|error| error.to_string());
    let tried = tried.and_then(|done| if done.status.success() { Ok(()) } else { Err(done.stderr) });
    if !require::has("netns", tried) {
        return;
    }
    let program = in_network(&command)
        .env("GITGRIT_ISOLATION_TARGETS", "192.0.2.1:443, 192.0.2.2:22")
        .env("SANDBOX_DNS", "192.0.2.53,::1")
        .directory(Path::new("/"));
    let found = found(&program.run(b"").unwrap());
    let outcomes = found.outcomes();
    let tcp: Vec<_> = outcomes.iter().filter(|(row, _)| row.starts_with("tcp")).map(|(row, _)| row.as_str()).collect();
    assert_eq!(tcp, ["tcp4 192.0.2.1:443", "tcp4 192.0.2.2:22"]);
    for resolver in ["name4 github.com @192.0.2.53", "name6 github.com @::1"] {
        assert!(outcomes.contains_key(resolver), "{outcomes:?}");
    }
    // Of this loopback alone it is known that nobody listens.
    let outcomes: Vec<_> = outcomes.into_iter().filter(|(row, _)| !row.contains("@::1")).collect();
    assert!(
        outcomes.len() > 15 && outcomes.iter().all(|(_, outcome)| outcome == "no route" || outcome == "no name"),
        "{outcomes:?}"
    );
    assert_eq!(found.report["vantages"].as_array().unwrap().len(), 1);
    assert_eq!((found.ids(), found.code), (vec!["GG-ISO-013", "GG-ISO-001"], Some(0)));
}

#[test]
fn a_pipeline_gets_the_findings_in_its_own_shape_and_a_typo_is_a_matter_of_use() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("tcp={}", listener.local_addr().unwrap());
    let run = |words: &[&str]| {
        let fixed = ["isolation", "probe", "--host", "--only-targets", "--no-canary"];
        Program::new(binary().to_str().unwrap()).options(fixed).options(words).run(b"").unwrap()
    };
    let done = run(&["--target", &target, "--report", "junit"]);
    assert_eq!(done.status.code(), Some(3));
    assert!(out(&done).contains("<testsuite") && out(&done).contains("GG-ISO-002"), "{}", out(&done));
    let sarif: Value = serde_json::from_str(&out(&run(&["--target", &target, "--report", "sarif"]))).unwrap();
    assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "GG-ISO-002");
    let done = run(&["--target", "tpc=127.0.0.1:1"]);
    assert_eq!(done.status.code(), Some(2));
    assert!(done.stderr.contains("`tpc=127.0.0.1:1` is not a target: no such kind"), "{}", done.stderr);
}

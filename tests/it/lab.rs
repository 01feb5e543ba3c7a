//! The real parts that later issues build on, each used for real: an engine, gVisor, compose, PostgreSQL, Redis.
//! Every server here has its own directory and port, and ends with its test.

use std::time::Duration;

use base::process::Program;

use crate::require;
use crate::site::out;

/// The image that `scripts/dev-setup` imports: minimal Debian 12 with CA certificates.
const IMAGE: &str = "debian:bookworm-slim";

fn docker() -> Program {
    Program::new("docker").deadline(Duration::from_mins(3))
}

#[test]
fn a_container_runs_and_its_output_arrives() {
    if !require::has("docker", require::docker(IMAGE)) {
        return;
    }
    let done =
        docker().options(["run", "--rm", "--network", "none", IMAGE, "cat", "/etc/os-release"]).run(b"").unwrap();
    assert!(out(&done).contains("VERSION_CODENAME=bookworm"), "{}{}", out(&done), done.stderr);
}

#[test]
fn a_sandbox_runs_on_a_kernel_of_its_own() {
    if !require::has("docker", require::docker(IMAGE)) || !require::has("runsc", require::runsc()) {
        return;
    }
    let run = |runtime: &str| {
        let arguments = ["run", "--rm", "--network", "none", "--runtime", runtime, IMAGE, "dmesg"];
        out(&docker().options(arguments).run(b"").unwrap())
    };
    assert!(run("runsc").contains("Starting gVisor"));
    assert!(!run("runc").contains("gVisor"));
}

#[test]
fn compose_starts_a_project_and_takes_it_down() {
    if !require::has("docker", require::docker(IMAGE)) {
        return;
    }
    let version = docker().options(["compose", "version", "--short"]).run(b"").unwrap();
    let answers = if version.status.success() { Ok(()) } else { Err("no compose plugin".to_owned()) };
    if !require::has("compose", answers) {
        return;
    }
    let home = tempfile::Builder::new().prefix("gitgrit-compose-").tempdir().unwrap();
    let file = format!(
        "services:\n  hello:\n    image: {IMAGE}\n    network_mode: none\n    command: echo hello-from-compose\n"
    );
    base::file::write_atomic(&home.path().join("compose.yaml"), file.as_bytes(), 0o600).unwrap();
    let compose = |arguments: &[&str]| {
        docker().option("compose").options(arguments).env("HOME", home.path()).directory(home.path()).run(b"").unwrap()
    };
    let up = compose(&["up", "--no-color", "--abort-on-container-exit"]);
    let down = compose(&["down", "--timeout", "1"]);
    assert!(out(&up).contains("hello-from-compose"), "{}{}", out(&up), up.stderr);
    assert!(down.status.success(), "{}", down.stderr);
}

#[test]
fn a_database_of_the_tests_own_starts_and_answers() {
    let Some(server) = crate::postgres::Server::start() else { return };
    let query = "SELECT 6 * 7 || ' on ' || current_setting('server_encoding')";
    assert_eq!(server.ask("postgres", query), (true, "42 on UTF8\n".into()));
}

#[test]
fn a_cache_of_the_tests_own_starts_and_answers() {
    let Some(redis) = crate::redis_server::Server::start() else { return };
    redis.ask(&["set", "key", "value"]);
    assert_eq!(redis.ask(&["get", "key"]), "value\n");
}

//! The real parts that later issues build on, each used for real: an engine, gVisor, compose, PostgreSQL, Redis.
//! Every server here has its own directory and port, and ends with its test.

use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use base::process::{Program, kill_group};
use tempfile::TempDir;

use crate::require;
use crate::site::out;

/// The image that `scripts/dev-setup` imports: minimal Debian 12 with CA certificates.
const IMAGE: &str = "debian:bookworm-slim";

fn docker() -> Program {
    Program::new("docker").deadline(Duration::from_mins(3))
}

/// A child that is killed, with all it started, when the test ends.
struct Server {
    child: Child,
    home: TempDir,
}

impl Server {
    fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        kill_group(self.child.id());
        let _ = self.child.wait();
    }
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

/// PostgreSQL refuses to run as root, so it then runs as the user that its package made.
fn as_postgres(program: &Path, home: &Path) -> Program {
    if !rustix::process::geteuid().is_root() {
        return Program::new(program.to_str().unwrap());
    }
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let fields = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| fields[0] == "postgres");
    let fields = fields.expect("no user postgres");
    let (user, group): (u32, u32) = (fields[2].parse().unwrap(), fields[3].parse().unwrap());
    for entry in std::fs::read_dir(home).unwrap().flatten() {
        chown(entry.path(), Some(user), Some(group)).unwrap();
    }
    chown(home, Some(user), Some(group)).unwrap();
    let identity = [format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".to_owned()];
    Program::new("setpriv").options(identity).option(program)
}

#[test]
fn a_database_of_the_tests_own_starts_and_answers() {
    let programs = ["initdb", "postgres", "psql"].map(require::program);
    let found = programs.iter().find_map(|program| program.as_ref().err()).map_or(Ok(()), |why| Err(why.clone()));
    if !require::has("postgres", found) {
        return;
    }
    let [initdb, postgres, psql] = programs.map(Result::unwrap);
    let home = tempfile::Builder::new().prefix("gitgrit-postgres-").tempdir().unwrap();
    let (data, port) = (home.path().join("data"), require::free_port());
    let made = as_postgres(&initdb, home.path())
        .options(["--no-sync", "--auth=trust", "--username=gitgrit", "--encoding=UTF8", "--locale=C", "-D"])
        .option(&data)
        .run(b"")
        .unwrap();
    assert!(made.status.success(), "initdb: {}", made.stderr);

    let log = std::fs::File::create(home.path().join("log")).unwrap();
    let settings = [format!("-p{port}"), "-h127.0.0.1".to_owned(), format!("-k{}", home.path().display())];
    let child = as_postgres(&postgres, home.path()).option("-D").option(&data).options(settings).start_detached(log);
    let server = Server { child: child.unwrap(), home };
    let query = "SELECT 6 * 7 || ' on ' || current_setting('server_encoding')";
    let answer = require::until(30, "an answer from PostgreSQL", || {
        let client = Program::new(psql.to_str().unwrap())
            .options(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", "gitgrit", "-At", "-c", query, "postgres"])
            .run(b"")
            .unwrap();
        client.status.success().then(|| out(&client))
    });
    assert_eq!(answer, "42 on UTF8\n", "{}", server.log());
}

#[test]
fn a_cache_of_the_tests_own_starts_and_answers() {
    let programs = ["redis-server", "redis-cli"].map(require::program);
    let found = programs.iter().find_map(|program| program.as_ref().err()).map_or(Ok(()), |why| Err(why.clone()));
    if !require::has("redis", found) {
        return;
    }
    let [redis, client] = programs.map(Result::unwrap);
    let home = tempfile::Builder::new().prefix("gitgrit-redis-").tempdir().unwrap();
    let (log, port) = (std::fs::File::create(home.path().join("log")).unwrap(), require::free_port().to_string());
    let child = Program::new(redis.to_str().unwrap())
        .options(["--port", &port, "--bind", "127.0.0.1", "--appendonly", "yes", "--save", "", "--dir"])
        .option(home.path())
        .start_detached(log);
    let server = Server { child: child.unwrap(), home };
    let ask = |command: &[&str]| {
        let done = Program::new(client.to_str().unwrap()).options(["-p", &port]).options(command).run(b"").unwrap();
        out(&done)
    };
    require::until(30, "a PONG from Redis", || (ask(&["ping"]) == "PONG\n").then_some(()));
    ask(&["set", "key", "value"]);
    assert_eq!(ask(&["get", "key"]), "value\n", "{}", server.log());
}

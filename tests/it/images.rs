//! The images that travel, each started for real: what the stack and the seeds ask of them. `scripts/soak images` builds
//! them and leaves them in the engine; without them these stories name what is absent.

use crate::images_containers::{Container, Volume, docker, has, image, said};
use crate::require::{self, until};
use crate::site::out;

const ALL: [&str; 6] = ["app", "sandbox", "db", "redis", "trusted-builder", "dind"];

/// What a site's settings hold, as compose hands them over; the key is of this test alone.
const SETTINGS: [&str; 6] = [
    "--env",
    "SITE_URL=http://forge.test:8828",
    "--env",
    "SECRET_KEY=a-key-of-this-test-alone-0123456789abcdef",
    "--env",
    "GITGRIT_ENCRYPTION_KEY=MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
];

#[test]
fn every_image_is_stamped_and_says_when_it_is_healthy() {
    if !has(&ALL) {
        return;
    }
    for name in ALL {
        let of = |what: &str| said(&["image", "inspect", "--format", what, &image(name)]);
        let environment = of("{{json .Config.Env}}");
        assert!(environment.contains("\"GIT_SHA="), "{name}: {environment}");
        let stamp = of("GIT_SHA={{index .Config.Labels \"org.opencontainers.image.revision\"}}");
        assert!(environment.contains(&format!("\"{stamp}\"")), "{name}: {stamp} is not in {environment}");
        assert_eq!(of("{{index .Config.Labels \"org.opencontainers.image.version\"}}"), "lab", "{name}");
        // A sandbox lives for one run; everything else says whether it works.
        assert_eq!(of("{{if .Config.Healthcheck}}asked{{end}}") == "asked", name != "sandbox", "{name}");
    }
}

#[test]
fn no_image_holds_a_key_or_a_way_to_install_more() {
    if !has(&ALL) {
        return;
    }
    let look = "grep -rlE -- '-----BEGIN ([A-Z]+ )?PRIVATE KEY' /etc /var /usr/local/etc /root /home 2>/dev/null; \
        for name in apt apt-get sshd ssh gpg; do command -v $name; done; \
        cut -d: -f2 /etc/shadow | grep -v '^[*!]' ; [ ! -s /etc/machine-id ] || echo machine-id; \
        find / -xdev -name '*.pyc' -o -xdev -path '/var/log/*' -type f | head -n 3";
    for name in ALL {
        let run = ["run", "--rm", "--pull", "never", "--network", "none", "--user", "0", "--entrypoint", "/bin/sh"];
        let found = docker(&[&run[..], &[&image(name), "-c", look]].concat());
        assert_eq!(out(&found), "", "{name}");
    }
}

#[test]
fn the_application_answers_on_its_port_as_a_user_without_rights() {
    if !has(&["app"]) {
        return;
    }
    let app = Container::start("app", &[&SETTINGS[..], &["--publish", "127.0.0.1::8828"]].concat(), &[]);
    app.until_healthy(60);
    let port = said(&["port", &app.0, "8828/tcp"]);
    let page = until(20, "the published port", || {
        let asked = base::process::Program::new("curl").options(["-fsS", "--max-time", "5"]);
        let done = asked.operands([format!("http://{port}/healthz")]).run(b"").unwrap();
        done.status.success().then(|| out(&done))
    });
    assert_eq!(page, "ok\n");
    assert_eq!(app.says(&["id", "-un"]), "gitgrit");
    assert_eq!(app.says(&["id", "-u"]), "8828");
    assert!(app.says(&["id", "-Gn"]).contains("docker"));
    // The seeds' lines, without `python manage.py`.
    assert!(app.says(&["airgap_smoketest", "--help"]).contains("--check-isolation"));
    assert!(app.says(&["airgap_setup", "--help"]).contains("Usage: airgap_setup"));
    assert!(app.says(&["curl", "--version"]).starts_with("curl "));
    assert!(!app.exec(&["touch", "/usr/local/bin/gitgrit-ops"]).status.success());
}

#[test]
fn git_works_in_the_application_image() {
    if !has(&["app"]) {
        return;
    }
    let work = "set -e; cd /tmp; git init -q one; cd one; git config user.name a; git config user.email a@b.test; \
        echo 1 >file; git add file; git commit -qm one; git repack -adq; cd ..; git clone -q --bare one two.git; \
        git -C two.git fsck --full --strict; git -C two.git upload-pack --advertise-refs . | head -c 4 >/dev/null; \
        git -C two.git log --format=%s; git -C two.git archive main | tar t || git -C two.git archive master | tar t";
    let run = ["run", "--rm", "--pull", "never", "--network", "none", "--entrypoint", "/bin/sh"];
    let done = docker(&[&run[..], &[&image("app"), "-c", work]].concat());
    assert!(done.status.success() && out(&done).contains("one\n") && out(&done).contains("file"), "{}", done.stderr);
}

const DATABASE: [&str; 6] =
    ["--env", "POSTGRES_USER=gitgrit", "--env", "POSTGRES_DB=gitgrit", "--env", "POSTGRES_PASSWORD=it's \"secret\""];
const DUMP: [&str; 4] = ["pg_dump", "-U", "gitgrit", "gitgrit"];

#[test]
fn the_seeds_backup_line_works_and_the_network_is_asked_for_a_password() {
    if !has(&["db"]) {
        return;
    }
    let volume = Volume::new();
    let mount = format!("{}:/var/lib/postgresql/data", volume.0);
    let start = || Container::start("db", &[&DATABASE[..], &["--volume", &mount]].concat(), &[]);
    let ask = |db: &Container, password: &str, query: &str| {
        let password = format!("PGPASSWORD={password}");
        let asked = ["--env", &password, &db.0, "psql", "-h", "127.0.0.1", "-U", "gitgrit", "-Atc", query, "gitgrit"];
        docker(&[&["exec"], &asked[..]].concat())
    };
    let db = start();
    db.until_healthy(120);
    assert_eq!(db.says(&["id", "-un"]), "root");
    assert!(ask(&db, "it's \"secret\"", "CREATE TABLE kept (word text)").status.success(), "{}", db.log());
    assert!(ask(&db, "it's \"secret\"", "INSERT INTO kept VALUES ('here')").status.success());
    assert!(!ask(&db, "wrong", "SELECT 1").status.success());
    assert!(db.says(&DUMP).contains("here"));
    assert!(
        out(&docker(&["exec", "--user", "postgres", &db.0, "psql", "-Atc", "show jit", "gitgrit", "gitgrit"]))
            == "off\n"
    );
    // The owner's name without being the owner: an account that no map names.
    assert!(!docker(&["exec", "--user", "daemon", &db.0, "pg_dump", "-U", "gitgrit", "gitgrit"]).status.success());
    assert_eq!(db.says(&["stat", "-c", "%U %a", "/var/lib/postgresql/data"]), "postgres 700");
    said(&["stop", "--time", "30", &db.0]);
    assert_eq!(said(&["inspect", "--format", "{{.State.ExitCode}}", &db.0]), "0");
    drop(db);
    let again = start();
    again.until_healthy(60);
    assert!(again.says(&DUMP).contains("here"));
}

#[test]
fn a_database_whose_first_start_was_cut_short_starts_all_the_same() {
    if !has(&["db"]) {
        return;
    }
    let volume = Volume::new();
    let mount = format!("{}:/var/lib/postgresql/data", volume.0);
    let options = [&DATABASE[..], &["--volume", &mount]].concat();
    let first = Container::start("db", &options, &[]);
    first.until(60, &["test", "-d", "/var/lib/postgresql/data/.initialising/cluster"]);
    said(&["kill", &first.0]);
    drop(first);
    let db = Container::start("db", &options, &[]);
    db.until_healthy(120);
    assert!(db.says(&DUMP).contains("PostgreSQL database dump complete"));
    assert!(!db.exec(&["test", "-e", "/var/lib/postgresql/data/.initialising"]).status.success());
}

#[test]
fn a_database_without_a_password_or_on_somebody_elses_files_does_not_start() {
    if !has(&["db"]) {
        return;
    }
    let run = ["run", "--rm", "--pull", "never", "--network", "none"];
    let bare = docker(&[&run[..], &[&image("db")]].concat());
    assert!(!bare.status.success() && bare.stderr.contains("POSTGRES_PASSWORD is not set"), "{}", bare.stderr);
    let volume = Volume::new();
    let mount = format!("{}:/var/lib/postgresql/data", volume.0);
    let put = ["--volume", &mount, "--entrypoint", "touch", &image("db"), "/var/lib/postgresql/data/precious"];
    said(&[&run[..], &put].concat());
    let foreign = docker(&[&run[..], &DATABASE, &["--volume", &mount, &image("db")]].concat());
    assert!(foreign.stderr.contains("is not empty and holds no cluster"), "{}", foreign.stderr);
    said(
        &[
            &run[..],
            &["--volume", &mount, "--entrypoint", "test", &image("db"), "-e", "/var/lib/postgresql/data/precious"],
        ]
        .concat(),
    );
}

#[test]
fn redis_keeps_what_it_was_told_over_a_restart() {
    if !has(&["redis"]) {
        return;
    }
    let redis = Container::start("redis", &["--network", "none"], &[]);
    redis.until_healthy(30);
    assert_eq!(redis.says(&["redis-cli", "ping"]), "PONG");
    assert_eq!(redis.says(&["redis-cli", "config", "get", "appendonly"]), "appendonly\nyes");
    assert_eq!(redis.says(&["redis-cli", "set", "key", "kept"]), "OK");
    assert_eq!(redis.says(&["id", "-un"]), "redis");
    // Longer than the second within which writes reach the disk is not needed: a stop writes them all.
    said(&["restart", "--time", "20", &redis.0]);
    redis.until_healthy(30);
    assert_eq!(redis.says(&["redis-cli", "get", "key"]), "kept");
}

#[test]
fn redis_with_a_password_asks_for_it_and_shows_it_to_nobody() {
    if !has(&["redis"]) {
        return;
    }
    let redis = Container::start("redis", &["--network", "none", "--env", "REDIS_PASSWORD=a \"b\\c"], &[]);
    redis.until_healthy(30);
    assert!(redis.says(&["redis-cli", "get", "key"]).contains("NOAUTH"));
    let arguments = redis.says(&["sh", "-c", "cat /proc/1/cmdline /proc/1/environ | tr '\\0' ' '; ls /dev/shm"]);
    assert!(arguments.contains("redis-server") && !arguments.contains("b\\c"), "{arguments}");
}

#[test]
fn a_sandbox_runs_python_behind_gvisor_and_reaches_nothing() {
    if !has(&["sandbox"]) || !require::has("runsc", require::runsc()) {
        return;
    }
    let code = "import json, os, socket, ssl, urllib.request\n\
        s = socket.socket(); s.settimeout(2)\n\
        print(json.dumps([os.getuid(), s.connect_ex(('198.51.100.1', 443)) != 0, os.access('/', os.W_OK)]))";
    let run = ["run", "--rm", "--pull", "never", "--runtime", "runsc", "--network", "none", "--cap-drop", "ALL"];
    let limits = ["--memory", "128m", "--read-only", "--tmpfs", "/tmp:size=16m"];
    let done = docker(&[&run[..], &limits, &[&image("sandbox"), "python3", "-c", code]].concat());
    assert_eq!(out(&done), "[8829, true, false]\n", "{}", done.stderr);
    let kernel = docker(&[&run[..], &[&image("sandbox"), "dmesg"]].concat());
    assert!(out(&kernel).contains("Starting gVisor"), "{}", kernel.stderr);
}

/// What `dind` needs where `--privileged` is not to be had.
const ENGINE: [&str; 24] = [
    "--cap-add",
    "SYS_ADMIN",
    "--cap-add",
    "NET_ADMIN",
    "--cap-add",
    "SYS_PTRACE",
    "--cap-add",
    "DAC_READ_SEARCH",
    "--cap-add",
    "MKNOD",
    "--cap-add",
    "SYS_CHROOT",
    "--cap-add",
    "AUDIT_WRITE",
    "--cap-add",
    "SYS_NICE",
    "--security-opt",
    "seccomp=unconfined",
    "--security-opt",
    "apparmor=unconfined",
    "--volume",
    "/sys/fs/cgroup:/sys/fs/cgroup",
    "--network",
    "none",
];

#[test]
fn the_trusted_builder_uses_the_engine_in_the_other_container_through_its_socket() {
    if !has(&["dind", "trusted-builder", "sandbox"]) {
        return;
    }
    let run = Volume::new();
    let mount = format!("{}:/run/dind", run.0);
    let dind = Container::start("dind", &[&ENGINE[..], &["--volume", &mount]].concat(), &[]);
    dind.until_healthy(60);
    let builder = Container::start("trusted-builder", &["--network", "none", "--volume", &mount], &[]);
    builder.until_healthy(20);
    assert_eq!(builder.says(&["id", "-un"]), "builder");
    assert!(!builder.exec(&["dockerd", "--version"]).status.success());
    let engine = |container: &Container| container.says(&["docker", "info", "--format", "{{.ID}}"]);
    assert_eq!(engine(&builder), engine(&dind));
    // A whole image through the socket, and a container of it in there.
    let load = format!("docker save {} | docker exec --interactive {} docker load", image("sandbox"), builder.0);
    let loaded = base::process::Program::new("sh").options(["-c", &load]).run(b"").unwrap();
    assert!(out(&loaded).contains(&image("sandbox")), "{}", loaded.stderr);
    let inner = ["docker", "run", "--rm", "--network", "none", &image("sandbox"), "python3", "-c", "print(6 * 7)"];
    assert_eq!(builder.says(&inner), "42");
}

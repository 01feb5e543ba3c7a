//! `preflight` against engines that are set up wrong: a dockerd of the test's own for each way, in a network of its own.

use std::os::unix::fs::PermissionsExt;

use crate::engine::Engine;
use crate::require;
use crate::stage::Stage;

/// Everything at once that one engine can have wrong and still run.
const WRONG: &str = r#"{
    "storage-driver": "vfs", "debug": true, "rootless": true, "log-driver": "none",
    "registry-mirrors": ["https://mirror.test"], "insecure-registries": ["registry.test:5000"],
    "default-runtime": "runsc", "runtimes": {"runsc": {"path": "RUNC"}},
    "default-address-pools": [{"base": "10.77.0.0/16", "size": 24}],
    "default-ulimits": {"nofile": {"Name": "nofile", "Soft": 512, "Hard": 512}},
    "seccomp-profile": "$HOME/allow.json"
}"#;

#[test]
fn an_engine_that_is_set_up_wrong_is_named_in_each_way() {
    if !Engine::is_possible() {
        return;
    }
    let runc = require::program("runc").unwrap().display().to_string();
    let script = "echo '{\"defaultAction\": \"SCMP_ACT_ALLOW\"}' > \"$HOME/allow.json\"\n\
                  export HTTP_PROXY=http://me:hunter2@proxy.test:3128";
    let engine = Engine::start(&WRONG.replace("RUNC", &runc), script);
    // A way of the host's own, once the engine has chosen its networks.
    engine.network(
        "ip link add gg0 type veth peer name gg1 && ip link set gg1 up && ip addr add 10.77.200.1/17 dev gg0 && \
         ip link set gg0 mtu 1400 up && ip route add default dev gg0",
    );
    engine.does(&["network", "create", "--subnet", "10.77.201.0/24", "corporate"]);
    engine.does(&["network", "create", "gitgrit_internal"]);
    std::fs::set_permissions(engine.socket(), std::fs::Permissions::from_mode(0o666)).unwrap();
    // What /sys shows of devices is of the network that it was mounted in.
    let stage = Stage::new().beside(engine.process()).env("DOCKER_HOST", &engine.address());
    let said = stage.around("sh -c 'mount -t sysfs none /sys; exec \"$@\"' sh").run();
    said.holds(&[
        ("GG-ENGINE-003", "error", "has mode 0666: everybody here is root"),
        ("GG-ENGINE-008", "warning", "is vfs"),
        ("GG-ENGINE-012", "warning", "is off"),
        ("GG-ENGINE-015", "warning", "is runsc"),
        ("GG-ENGINE-016", "warning", "HTTP through a proxy with credentials"),
        ("GG-ENGINE-017", "warning", "https://mirror.test/ is asked"),
        ("GG-ENGINE-018", "warning", "registry.test:5000 is believed"),
        ("GG-ENGINE-019", "warning", "is none"),
        ("GG-ENGINE-020", "warning", "runs as a user"),
        ("GG-ENGINE-022", "warning", "allow.json, not the engine's own"),
        ("GG-ENGINE-023", "warning", "is on"),
        ("GG-ENGINE-026", "ok", "starts, under runsc"),
        ("GG-ENGINE-027", "error", "runs on this host's own kernel"),
        ("GG-ENGINE-029", "warning", "512 at most"),
        ("GG-NET-030", "error", "corporate: 10.77.201.0/24 meets this host's way to 10.77.128.0/17 on gg0"),
        ("GG-NET-031", "error", "10.77.0.0/16: meets this host's way to 10.77.128.0/17 on gg0"),
        ("GG-NET-032", "warning", "corporate: sends packets of 1500 bytes, and gg0 takes 1400"),
        ("GG-NET-041", "warning", "was not made by Compose"),
    ]);
    assert!(!said.0.to_string().contains("hunter2"));
    let left = crate::site::out(&engine.docker(&["ps", "--all", "--quiet"]));
    let images = crate::site::out(&engine.docker(&["images", "--quiet"]));
    assert_eq!((left.trim(), images.trim()), ("", ""), "preflight left something in the engine");
}

#[test]
fn an_engine_without_limits_gvisor_or_users_of_this_host_is_named() {
    if !Engine::is_possible() {
        return;
    }
    // Users and control groups of the namespace alone: the machine's stay as they are.
    let script = "for name in passwd group; do cp /etc/$name \"$HOME/$name\"; done\n\
                  echo 'dockremap:x:990:990::/:/bin/false' >> \"$HOME/passwd\"; echo 'dockremap:x:990:' >> \"$HOME/group\"\n\
                  for name in subuid subgid; do echo 'dockremap:1000000:65536' > \"$HOME/$name\"; done\n\
                  for name in passwd group subuid subgid; do mount --bind \"$HOME/$name\" /etc/$name; done\n\
                  umount /sys/fs/cgroup/memory";
    let has_first_version = std::path::Path::new("/sys/fs/cgroup/memory").is_dir();
    let first =
        if has_first_version { Ok(()) } else { Err("control groups of version 2 cannot be taken apart".to_owned()) };
    if !require::has("cgroup-v1", first) {
        return;
    }
    let engine = Engine::start("{\"storage-driver\": \"vfs\", \"userns-remap\": \"dockremap\"}", script);
    let stage = Stage::new().env("DOCKER_HOST", &engine.address());
    stage.file("/etc/docker/daemon.json", "{\"iptables\": false}").run().holds(&[
        ("GG-ENGINE-007", "warning", "has iptables switched off"),
        ("GG-ENGINE-013", "warning", "memory of a container cannot be limited"),
        ("GG-ENGINE-014", "warning", "is not registered"),
        ("GG-ENGINE-021", "warning", "is on"),
        ("GG-ENGINE-025", "warning", "No memory limit support"),
        ("GG-ENGINE-026", "ok", "starts, under runc"),
        ("GG-ENGINE-027", "unknown", "is not registered"),
        ("GG-ENGINE-028", "warning", "has no end"),
    ]);
}

#[test]
fn an_engine_that_is_away_or_elsewhere_is_named() {
    if !Stage::is_possible() || !require::has("docker-client", require::program("docker").map(drop)) {
        return;
    }
    let stage = Stage::new().env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    let plugins = "for place in /usr/local/lib/docker /usr/libexec/docker /usr/lib/docker; do \
                   [ ! -d $place ] || mount -t tmpfs none $place; done";
    stage.does(plugins).run().holds(&[
        ("GG-ENGINE-002", "error", "annot connect"),
        ("GG-ENGINE-003", "error", "is not there"),
        ("GG-ENGINE-006", "error", "`docker compose` is not installed"),
        ("GG-ENGINE-008", "unknown", "the engine does not answer"),
        ("GG-NET-040", "unknown", "annot connect"),
    ]);
    let stage = Stage::new().env("DOCKER_HOST", "tcp://127.0.0.1:9");
    stage.run().holds(&[
        ("GG-ENGINE-002", "error", "annot connect"),
        ("GG-ENGINE-003", "unknown", "is not a socket of this host"),
        ("GG-ENGINE-004", "warning", "leads to tcp://127.0.0.1:9, over a connection that nobody"),
    ]);
}

#[test]
fn an_engine_beside_systemd_has_one_keeper_of_control_groups() {
    if !Stage::is_possible() || !require::has("docker", require::engine()) {
        return;
    }
    let stage =
        Stage::new().does("mkdir \"$HOME/run\" && mount --rbind /run \"$HOME/run\" && mount -t tmpfs none /run");
    let stage = stage.does("mkdir -p /run/systemd/system && touch /run/docker.sock");
    let said = stage.does("mount --bind \"$HOME/run/docker.sock\" /run/docker.sock").run();
    said.holds(&[("GG-HOST-034", "ok", "looks after this host")]);
    let driver = crate::site::out(
        &base::process::Program::new("docker").options(["info", "--format", "{{.CgroupDriver}}"]).run(b"").unwrap(),
    );
    let expected = if driver.trim() == "cgroupfs" { "warning" } else { "ok" };
    said.holds(&[("GG-ENGINE-011", expected, driver.trim())]);
    let version = crate::site::out(
        &base::process::Program::new("docker")
            .options(["version", "--format", "{{.Server.Version}}"])
            .run(b"")
            .unwrap(),
    );
    let is_old = version.split('.').next().is_some_and(|major| major.parse::<u32>().is_ok_and(|major| major < 24));
    said.holds(&[("GG-ENGINE-005", if is_old { "warning" } else { "ok" }, version.trim())]);
}

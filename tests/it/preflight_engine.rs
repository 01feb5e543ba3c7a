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
        "ip link add br-lan type veth peer name gg1 && ip link set gg1 up && ip addr add 10.77.200.1/17 dev br-lan && \
         ip link set br-lan mtu 1400 up && ip route add default dev br-lan",
    );
    engine.does(&["network", "create", "--subnet", "10.77.201.0/24", "corporate"]);
    engine.does(&["network", "create", "gitgrit_internal"]);
    // What a run left that was killed long ago, and what is another's.
    for name in ["gitgrit-preflight:1000-00000000000000aa", "somebodys:1"] {
        engine.image(name);
    }
    let left = ["create", "--label", "gitgrit-preflight", "--name", "gitgrit-preflight-1000-00000000000000aa-plain"];
    engine.does(&[&left[..], &["gitgrit-preflight:1000-00000000000000aa", "/cat"]].concat());
    std::fs::set_permissions(engine.socket(), std::fs::Permissions::from_mode(0o666)).unwrap();
    // What /sys shows of devices is of the network that it was mounted in.
    let stage = Stage::new().beside(engine.process()).env("DOCKER_HOST", &engine.address());
    let root = engine.root().display().to_string();
    let stage = stage.does(&format!("mount --bind {root} {root} && mount -o remount,bind,noexec {root}"));
    let said = stage.around("sh -c 'mount -t sysfs none /sys; exec \"$@\"' sh").run();
    said.holds(&[
        ("GG-HOST-023", "error", "(engine): is mounted noexec, so no container starts from vfs's copies"),
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
        ("GG-NET-030", "error", "corporate: 10.77.201.0/24 meets this host's way to 10.77.128.0/17 on br-lan"),
        ("GG-NET-031", "error", "10.77.0.0/16: meets this host's way to 10.77.128.0/17 on br-lan"),
        ("GG-NET-032", "warning", "corporate: sends packets of 1500 bytes, and br-lan takes 1400"),
        ("GG-NET-041", "warning", "was not made by Compose"),
    ]);
    assert!(!said.0.to_string().contains("hunter2"));
    let left = crate::site::out(&engine.docker(&["ps", "--all", "--quiet"]));
    let images = crate::site::out(&engine.docker(&["images", "--format", "{{.Repository}}"]));
    assert_eq!((left.trim(), images.trim()), ("", "somebodys"), "preflight left something in the engine");
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
    engine.does(&["swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1:2377"]);
    let stage = Stage::new().env("DOCKER_HOST", &engine.address());
    stage.file("/etc/docker/daemon.json", "{\"iptables\": false}").run().holds(&[
        ("GG-ENGINE-007", "warning", "has iptables switched off"),
        ("GG-ENGINE-012", "ok", "as it must be in a Swarm"),
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
fn an_engine_on_a_file_system_that_keeps_no_types_is_named() {
    let tool = require::program("mkfs.ext4").map(drop);
    if !Engine::is_possible() || !require::has("mkfs.ext4", tool) {
        return;
    }
    let script = "truncate -s 64M \"$HOME/disk\" && mkfs.ext4 -q -O ^filetype \"$HOME/disk\" && mkdir \"$HOME/root\"\n\
                  mount -o loop \"$HOME/disk\" \"$HOME/root\"";
    let engine = Engine::start("{\"storage-driver\": \"vfs\"}", script);
    // The mounts that the engine sees.
    let inside = format!("nsenter --mount=/proc/{}/ns/mnt", engine.process());
    let stage = Stage::new().env("DOCKER_HOST", &engine.address()).around(&inside);
    stage.run().holds(&[("GG-ENGINE-010", "warning", "does not keep the types of entries")]);
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
    let elsewhere = [
        ("GG-ENGINE-002", "error", ""),
        ("GG-ENGINE-003", "unknown", "is not a socket of this host"),
        ("GG-ENGINE-004", "warning", "leads to tcp://127.0.0.1:9, over a connection that nobody"),
    ];
    let said = Stage::new().env("DOCKER_HOST", "tcp://me:hunter2@127.0.0.1:9").run();
    said.holds(&elsewhere);
    let shown: Vec<_> = ["GG-ENGINE-003", "GG-ENGINE-004"].into_iter().flat_map(|check| said.of(check)).collect();
    assert!(!format!("{shown:?}").contains("hunter2"), "{shown:?}");
    // The same by the client's own settings, which DOCKER_HOST knows nothing of.
    let create = "docker context create far --docker host=tcp://127.0.0.1:9 > \"$HOME/said\" 2>&1";
    let stage = Stage::new().does("unset DOCKER_HOST DOCKER_CONTEXT").does(create);
    stage.does("docker context use far > \"$HOME/said\" 2>&1").run().holds(&elsewhere);
    let stage = Stage::new().does("unset DOCKER_HOST").does(create).env("DOCKER_CONTEXT", "far");
    stage.run().holds(&elsewhere);
}

#[test]
fn compose_is_seen_while_the_engine_is_down() {
    let compose = base::process::Program::new("docker").options(["compose", "version"]).run(b"");
    let has_compose =
        compose.is_ok_and(|done| done.status.success()).then_some(()).ok_or("no compose plugin".to_owned());
    if !Stage::is_possible() || !require::has("compose", has_compose) {
        return;
    }
    let stage = Stage::new().env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    let said = stage.run();
    said.holds(&[("GG-ENGINE-002", "error", "annot connect")]);
    let compose = said.of("GG-ENGINE-006");
    assert!(
        compose.iter().all(|(severity, _, message)| severity != "error" && message.starts_with("is ")),
        "{compose:?}"
    );
}

#[test]
fn settings_of_the_engine_that_this_user_may_not_read_are_not_taken_for_absent() {
    if !Stage::is_possible() || !require::has("docker-client", require::program("docker").map(drop)) {
        return;
    }
    let stage = Stage::new().file("/etc/docker/daemon.json", "{\"iptables\": false}").does("chmod 0755 \"$HOME\"");
    let stage = stage.does("chmod 0600 /etc/docker/daemon.json").env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    let stage = stage.around("setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all");
    stage.run().holds(&[("GG-ENGINE-007", "unknown", "could not read")]);
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

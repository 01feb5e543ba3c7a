//! `preflight` on hosts that are wrong: each check of the host and of its network is provoked on the real kernel, in
//! namespaces of the test's own. The engine's are in `preflight_engine`, the seeds' table in `gotchas`.

use base::process::Program;

use crate::require;
use crate::site::{binary, out};
use crate::stage::Stage;

/// /proc/meminfo as Linux 6.18 printed it on a machine with 64 MiB of swap, while a control group that may have 20 MiB held 58 MiB
/// of noise: what did not fit was in swap.
const MEMINFO: &str = include_str!("captured/meminfo_full.txt");

#[test]
fn at_least_sixty_checks_are_named_once_each_and_counted() {
    if !Stage::is_possible() {
        return;
    }
    let said = Stage::new().run();
    let known =
        ["GG-HOST-002", "GG-HOST-004", "GG-HOST-025", "GG-HOST-026", "GG-HOST-028", "GG-HOST-035", "GG-HOST-037"];
    let free = ["GG-NET-001", "GG-NET-002", "GG-NET-003", "GG-NET-004", "GG-NET-010", "GG-NET-042"];
    said.holds(&known.into_iter().chain(free).map(|check| (check, "ok", "")).collect::<Vec<_>>());
    let said = said.0;
    let checks = said["checks"].as_array().unwrap();
    let mut ids: Vec<_> = checks.iter().map(|one| one["check"].as_str().unwrap()).collect();
    assert!(ids.len() >= 60, "{}", ids.len());
    assert_eq!(said["counts"]["checks"], ids.len());
    let sum: u64 =
        ["ok", "warnings", "failures", "not_looked"].iter().map(|name| said["counts"][name].as_u64().unwrap()).sum();
    assert_eq!(sum, ids.len() as u64);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len() as u64, sum, "an id twice");
    assert!(checks.iter().all(|one| !one["findings"].as_array().unwrap().is_empty()));
}

#[test]
fn file_systems_without_room_entries_or_rights_are_named() {
    if !Stage::is_possible() {
        return;
    }
    let stage = Stage::new().does("mount -t tmpfs -o size=1m,nr_inodes=50,mode=0777 none \"$SITE\"");
    let stage = stage.does("mkdir \"$HOME/tmp\" && mount -t tmpfs -o ro,noexec none \"$HOME/tmp\"");
    stage.does("export TMPDIR=\"$HOME/tmp\"").run().holds(&[
        ("GG-HOST-020", "error", "site): "),
        ("GG-HOST-021", "error", "of 50 entries free"),
        ("GG-HOST-022", "error", "/tmp (temporary files): is mounted read-only"),
        ("GG-HOST-023", "warning", "is mounted noexec"),
        ("GG-HOST-024", "warning", "is on tmpfs, which does not outlive"),
        ("GG-HOST-025", "error", "takes no file"),
        ("GG-HOST-026", "error", "has mode 0777"),
    ]);
}

#[test]
fn places_on_one_file_system_need_their_room_together_and_names_may_be_anything() {
    if !Stage::is_possible() {
        return;
    }
    // Enough for the site alone, and not for temporary files as well.
    let stage = Stage::new().does("mkdir \"$HOME/a b\" && mount -t tmpfs -o size=2200m none \"$HOME/a b\"");
    let stage = stage.does("odd=$(printf \"$HOME/\\377\") && mkdir \"$odd\" && mount -t tmpfs none \"$odd\"");
    let stage = stage.does("export SITE=\"$HOME/a b/site\" TMPDIR=\"$HOME/a b\"");
    stage.run().holds(&[
        ("GG-HOST-020", "error", "a b (site): 2 GiB free, less than the 11 GiB"),
        ("GG-HOST-024", "warning", "a b (site): is on tmpfs, which does not outlive"),
    ]);
}

#[test]
fn an_engine_that_hangs_keeps_nobody_from_judging_the_other_places() {
    if !Stage::is_possible() || !require::has("docker-client", require::program("docker").map(drop)) {
        return;
    }
    let stage = Stage::new().does("mount -t tmpfs -o size=1m,nr_inodes=50 none \"$SITE\"");
    let socket = stage.home().join("hangs.sock");
    // Takes every connection, and answers none.
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    stage.env("DOCKER_HOST", &format!("unix://{}", socket.display())).run().holds(&[
        ("GG-HOST-020", "error", "site): "),
        ("GG-HOST-020", "unknown", "engine: the engine has not said yet"),
        ("GG-HOST-021", "error", "of 50 entries free"),
        ("GG-HOST-024", "warning", "is on tmpfs"),
        ("GG-ENGINE-002", "error", ""),
        ("GG-ENGINE-006", "unknown", ""),
    ]);
}

#[test]
fn an_old_kernel_of_another_machine_without_its_parts_is_named() {
    if !Stage::is_possible() {
        return;
    }
    let stage = Stage::new()
        .file("/proc/filesystems", "nodev\tsysfs\n\text4\n")
        .file("/proc/sys/vm/overcommit_memory", "2\n")
        .does("echo 0 > /proc/sys/net/ipv4/ip_forward")
        .does("mount -t cgroup2 none /sys/fs/cgroup")
        .around("setarch i686 --uname-2.6");
    stage.run().holds(&[
        ("GG-HOST-001", "error", "older than 4.18"),
        ("GG-HOST-002", "error", "is i686, and this program is for"),
        ("GG-HOST-006", "warning", "is not among /proc/filesystems"),
        ("GG-HOST-007", "ok", "version 2"),
        ("GG-HOST-009", "warning", "is 0, so containers reach nothing"),
        ("GG-HOST-010", "warning", "is 2"),
    ]);
    // A kernel whose control groups and modules are another's: what /sys shows is the stage's.
    let stage = Stage::new()
        .does("mount -t tmpfs none /sys/fs && mkdir -p /sys/fs/selinux && echo 1 > /sys/fs/selinux/enforce")
        .does("mount -t tmpfs none /sys/module && mkdir -p /sys/module/apparmor/parameters")
        .does("echo Y > /sys/module/apparmor/parameters/enabled");
    stage.run().holds(&[
        ("GG-HOST-007", "error", "none are mounted"),
        ("GG-HOST-008", "error", "cpu, memory, pids cannot be limited"),
        ("GG-HOST-011", "warning", "is enforcing"),
        ("GG-HOST-012", "warning", "apparmor_parser is missing"),
    ]);
    // Version 1 with memory switched off, as distributions for small machines boot, and Ubuntu's switch for namespaces.
    let stage = Stage::new()
        .does("mount -t tmpfs none /sys/fs/cgroup && mkdir /sys/fs/cgroup/cpu /sys/fs/cgroup/pids")
        .does("mount -t tmpfs none /proc/sys/kernel")
        .does("echo 1 > /proc/sys/kernel/apparmor_restrict_unprivileged_userns");
    stage.run().holds(&[
        ("GG-HOST-005", "warning", "kernel.apparmor_restrict_unprivileged_userns is 1"),
        ("GG-HOST-007", "warning", "version 1"),
        ("GG-HOST-008", "error", "memory cannot be limited"),
    ]);
}

#[test]
fn walls_that_the_kernel_refuses_and_a_slow_disk_are_named() {
    let strace = require::program("strace").map(drop);
    if !Stage::is_possible() || !require::has("strace", strace) {
        return;
    }
    let trace = "strace -f -qq -o /dev/null -e trace=landlock_create_ruleset,seccomp,fdatasync";
    let slow = "-e inject=landlock_create_ruleset:error=ENOSYS -e inject=fdatasync:delay_exit=150000";
    Stage::new().around(&format!("{trace} {slow}")).option("--latency").run().holds(&[
        ("GG-HOST-003", "warning", "this kernel does not have it"),
        ("GG-HOST-027", "error", "99 of 100 durable writes took up to"),
    ]);
    let refused = "-e inject=seccomp:error=EINVAL";
    let said = Stage::new().around(&format!("{trace} {refused}")).run();
    said.holds(&[
        ("GG-HOST-004", "error", "this kernel does not have it"),
        ("GG-HOST-027", "unknown", "--latency measures it"),
    ]);
}

#[test]
fn limits_of_the_process_are_what_counts() {
    if !Stage::is_possible() {
        return;
    }
    let group = format!("gitgrit-test-{}", std::process::id());
    let stage = Stage::new()
        .file("/proc/meminfo", MEMINFO)
        .does(&format!("group=/sys/fs/cgroup/memory/{group}; limit=memory.limit_in_bytes"))
        .does("[ -d /sys/fs/cgroup/memory ] || { group=/sys/fs/cgroup/${group##*/}; limit=memory.max; }")
        .does("mkdir -p $group && echo 600m > $group/$limit && echo $$ > $group/cgroup.procs")
        .does("mount -t tmpfs none \"$HOME/site\" && head -c 150m /dev/zero > \"$HOME/site/taken\"")
        .does("umask 000")
        .env("TZ", "Nowhere/Land")
        .around("prlimit --nofile=512:512 --nproc=200:200 taskset -c 0");
    let said = stage.run();
    let few = Stage::new()
        .does(&format!("group=/sys/fs/cgroup/pids/{group}"))
        .does("[ -d /sys/fs/cgroup/pids ] || group=/sys/fs/cgroup/${group##*/}")
        .does("mkdir -p $group && echo 1500 > $group/pids.max && echo $$ > $group/cgroup.procs");
    few.run().holds(&[("GG-HOST-018", "warning", "1500 at most, fewer than 2048")]);
    for controller in ["/sys/fs/cgroup/memory", "/sys/fs/cgroup/pids", "/sys/fs/cgroup"] {
        let _ = std::fs::remove_dir(format!("{controller}/{group}"));
    }
    said.holds(&[
        ("GG-HOST-013", "error", "this control group has 600 MiB, less than 1 GiB"),
        ("GG-HOST-014", "warning", "can be had, less than 512 MiB"),
        ("GG-HOST-015", "warning", "are in use"),
        ("GG-HOST-016", "warning", "one may be used"),
        ("GG-HOST-017", "error", "512 at most"),
        ("GG-HOST-018", "error", "200 at most"),
        ("GG-HOST-019", "warning", "is 0000"),
        ("GG-HOST-031", "warning", "`Nowhere/Land` is no zone"),
    ]);
}

#[test]
fn a_host_without_a_name_a_time_source_or_programs_is_named() {
    if !Stage::is_possible() {
        return;
    }
    let stage = Stage::new()
        .does("hostname localhost")
        .does("mount -t tmpfs none /run && mkdir -p /run/systemd/timesync")
        .does("mkdir \"$HOME/none\" && export PATH=\"$HOME/none\"")
        .around("/usr/bin/setpriv --ruid=65534 --clear-groups");
    stage.run().holds(&[
        ("GG-HOST-029", "warning", "does not follow one"),
        ("GG-HOST-032", "warning", "is `localhost`"),
        ("GG-HOST-034", "warning", "does not run here"),
        ("GG-HOST-035", "error", "git"),
        ("GG-HOST-036", "warning", "ssh: is not in PATH"),
        ("GG-HOST-037", "warning", "as user 0 for user 65534"),
        ("GG-ENGINE-001", "error", "`docker` is not in PATH"),
        ("GG-ENGINE-003", "error", "is not there"),
        ("GG-ENGINE-002", "unknown", "`docker` is not in PATH"),
    ]);
}

#[test]
fn a_clock_that_was_kept_once_and_is_no_more_is_named() {
    if !Stage::is_possible() {
        return;
    }
    // What systemd-timesyncd touches whenever it hears of its server.
    let mark = "/run/systemd/timesync/synchronized";
    let stage = |when: &str| {
        let run = "mount -t tmpfs none /run && mkdir -p /run/systemd/timesync";
        Stage::new().does(run).does(&format!("touch -d '{when}' {mark}")).env("PATH", "/nonexistent").run()
    };
    stage("10 hours ago").holds(&[(
        "GG-HOST-029",
        "warning",
        "followed one 10 hours ago, and nothing was heard since",
    )]);
    stage("10 minutes ago").holds(&[("GG-HOST-029", "ok", "follows one")]);
}

#[test]
fn a_clock_that_is_wrong_by_years_is_named_and_the_engine_disagrees() {
    let faketime = require::program("faketime").map(drop);
    if !Stage::is_possible() || !require::has("faketime", faketime) {
        return;
    }
    let said = Stage::new().around("faketime -f '@2020-01-01 00:00:00'").run();
    said.holds(&[("GG-HOST-028", "error", "shows 2020-01-01 00:00 UTC, before this program was made")]);
    if require::has("docker", require::engine()) {
        said.holds(&[("GG-ENGINE-024", "warning", "s from this host's")]);
    }
}

#[test]
fn users_without_namespaces_and_a_host_that_does_not_know_itself_are_named() {
    if !Stage::is_possible() {
        return;
    }
    let stage = Stage::new().file("/etc/hosts", "127.0.0.1 localhost\n").does("hostname nobody-knows-this");
    let inside = "unshare --user --map-root-user sh -c 'echo 0 > /proc/sys/user/max_user_namespaces; exec \"$@\"' sh";
    stage.around(inside).run().holds(&[
        ("GG-HOST-005", "warning", "user.max_user_namespaces is 0"),
        ("GG-HOST-033", "warning", "does not know its own name"),
    ]);
}

#[test]
fn pipelines_get_every_check_and_an_exit_code() {
    if !Stage::is_possible() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let run = |options: &str| {
        let script = format!("ip link set lo up && exec {} preflight --embedded {options}", binary().display());
        let program = Program::new("unshare").options(["--net", "sh", "-c", &script]).directory(home.path());
        program.env("HOME", home.path()).env("DOCKER_HOST", "unix:///nonexistent/docker.sock").run(b"").unwrap()
    };
    let junit = run("--ci");
    assert!(out(&junit).contains("<testsuite name=\"preflight\" tests="), "{}", out(&junit));
    assert!(out(&junit).contains("<skipped message="), "{}", out(&junit));
    let sarif: serde_json::Value = serde_json::from_str(&out(&run("--ci=sarif"))).unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    let place =
        |result: &serde_json::Value| result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].clone();
    assert!(results.len() >= 60 && results.iter().all(|result| place(result).is_string()));
    // Each check is there by its own id, also those that give other verbs' findings, and each case has a name of its own.
    let checks = Stage::new().run();
    for check in checks.0["checks"].as_array().unwrap() {
        let id = check["check"].as_str().unwrap();
        assert!(
            results.iter().any(|result| result["ruleId"] == id) && out(&junit).contains(&format!("name=\"{id} ")),
            "{id}"
        );
    }
    let mut names: Vec<_> =
        out(&junit).split(" name=\"").skip(3).map(|rest| rest.split('"').next().unwrap().to_owned()).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
    // An engine that is missing does not keep an embedded site from running.
    assert!(out(&junit).contains("GG-ENGINE-002"));
    assert!(!out(&junit).contains("<failure type=\"GG-ENGINE-"), "{}", out(&junit));
    let table = run("--verbose");
    assert!(out(&table).lines().last().unwrap().contains(" checks: "), "{}", out(&table));
    let strict = run("--strict");
    assert!(matches!(strict.status.code(), Some(3 | 4)), "{:?}", strict.status);
}

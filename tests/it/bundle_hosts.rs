//! A bundle over ssh to further hosts: a real sshd on the loopback, which sees a home and a state of the story's own. A host that fails stops no
//! other, a copy that was cut goes on, and no name of a host is ever an option.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Child;

use base::process::{Finished, Program, terminate};
use serde_json::Value;

use crate::bundle_travel::Workshop;
use crate::engine::Engine;
use crate::require;
use crate::site::{binary, out};

/// A host: sshd, in which `/root` and `/var/lib` are the story's.
struct Host {
    child: Child,
    port: u16,
}

impl Host {
    fn start(home: &Path, engine: &Engine) -> Option<Self> {
        let are_there =
            ["sshd", "ssh", "ssh-keygen", "flock"].iter().try_for_each(|name| require::program(name).map(drop));
        if !require::has("sshd", are_there) {
            return None;
        }
        let port = require::free_port();
        for key in ["host", "key"] {
            let file = home.join(key).display().to_string();
            let make = ["-q", "-t", "ed25519", "-N", "", "-f", &file];
            assert!(Program::new("ssh-keygen").options(make).run(b"").unwrap().status.success());
        }
        let shown = home.display();
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nMaxStartups 100\nHostKey {shown}/host\nAuthorizedKeysFile {shown}/key.pub\nPidFile none\nStrictModes no\n\
             UsePAM no\nPermitRootLogin prohibit-password\nPasswordAuthentication no\nSetEnv DOCKER_HOST={} PATH={shown}/tools:/usr/sbin:/usr/bin:/sbin:/bin\n",
            engine.address()
        );
        std::fs::write(home.join("sshd_config"), config).unwrap();
        let server = require::program("sshd").unwrap();
        let script = format!(
            "mkdir -p '{shown}/there/root' /run/sshd && mount --bind '{shown}/there/root' /root && mount -t tmpfs none /var/lib && \
             exec {} -D -e -f '{shown}/sshd_config'",
            server.display()
        );
        let log = std::fs::File::create(home.join("sshd.log")).unwrap();
        let child = Program::new("unshare").options(["--mount", "sh", "-ec", &script]).start_detached(log).unwrap();
        require::until(20, "an sshd that listens", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        let ways = format!(
            "Host one two small\n  Port {port}\nHost dead\n  Port {}\nHost *\n  HostName 127.0.0.1\n  User root\n  IdentityFile {shown}/key\n  \
             IdentitiesOnly yes\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  LogLevel ERROR\n",
            require::free_port()
        );
        std::fs::write(home.join("ssh_config"), ways).unwrap();
        Some(Self { child, port })
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = terminate(self.child.id());
        let _ = self.child.wait();
    }
}

fn push(workshop: &Workshop, hosts: &str, more: &[&str]) -> Finished {
    let file = workshop.file("dist").display().to_string();
    let hosts = format!("--hosts={hosts}");
    let push = ["push", &hosts, &file, "--public-key", "release.pub", "--ssh-config", "ssh_config"];
    let own = ["--program", "wrapper", "--at-once", "1", "--json"];
    workshop.bundle(&[&push[..], &own, more].concat()).run(b"").unwrap()
}

fn view(done: &Finished) -> Vec<Value> {
    serde_json::from_slice(&done.stdout).unwrap_or_else(|_| panic!("{}{}", out(done), done.stderr))
}

#[test]
fn hosts_get_the_bundle_over_ssh_and_one_that_fails_stops_no_other() {
    let Some(workshop) = Workshop::open() else { return };
    let target = Engine::start("{}", "");
    let Some(host) = Host::start(&workshop.path("."), &target) else { return };
    assert!(host.port > 0);
    workshop.built("dist", &[]);
    // A program as small as one can be, that becomes ours there.
    std::fs::write(workshop.path("wrapper"), format!("#!/bin/sh\nexec '{}' \"$@\"\n", binary().display())).unwrap();
    let there = workshop.path("there/root/.local/state/gitgrit/push");

    for hostile in ["-oProxyCommand=touch pwned", "root@-v", "a;touch pwned", "$(touch pwned)"] {
        let done = push(&workshop, hostile, &[]);
        assert!(
            done.status.code() == Some(2) && out(&done).contains("GG-BUNDLE-180"),
            "{hostile}: {}{}",
            out(&done),
            done.stderr
        );
    }
    assert!(!workshop.path("pwned").exists());

    let planned = view(&push(&workshop, "one", &["--dry-run"]));
    let size = std::fs::metadata(workshop.file("dist")).unwrap().len();
    assert!(planned[0]["copied"].as_u64() > Some(size) && !there.exists(), "{planned:?}");

    // A copy that broke off: the first half lies there.
    let whole = std::fs::read(workshop.file("dist")).unwrap();
    let name = format!("{}.ggb", airgap::bundle::Digest::of(&whole));
    std::fs::create_dir_all(&there).unwrap();
    std::fs::write(there.join(format!("{name}.part")), &whole[..whole.len() / 2]).unwrap();
    let done = push(&workshop, "dead,one", &["--keep"]);
    let views = view(&done);
    assert_eq!(done.status.code(), Some(1), "{}", out(&done));
    assert_eq!(
        (views[0]["host"].as_str(), views[0]["id"].as_str()),
        (Some("dead"), Some("GG-BUNDLE-181")),
        "{views:?}"
    );
    assert_eq!((views[0]["exit"].as_u64(), views[1]["exit"].as_u64()), (Some(1), Some(0)), "{views:?}");
    assert_eq!(views[1]["is_done"].as_bool(), Some(true), "{views:?}");
    assert!(
        views[1]["copied"].as_u64() < Some(size * 2 / 3) && views[1]["sent"].as_u64() > Some(12 << 20),
        "{views:?}"
    );
    assert_eq!(Workshop::ids(&target), Workshop::ids(&workshop.engine));
    assert_eq!(std::fs::metadata(there.join(&name)).unwrap().permissions().mode() & 0o077, 0);

    // Once more: nothing is copied, nothing is sent; then what lies there was changed by somebody, and goes again.
    let views = view(&push(&workshop, "one,two", &["--keep"]));
    let numbers: Vec<_> = views.iter().map(|view| (view["copied"].as_u64(), view["sent"].as_u64())).collect();
    assert_eq!(numbers, [(Some(0), Some(0)), (Some(0), Some(0))], "{views:?}");
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 1;
    std::fs::write(there.join(&name), &changed).unwrap();
    let views = view(&push(&workshop, "one", &[]));
    assert!(views[0]["is_done"].as_bool() == Some(true) && views[0]["copied"].as_u64() == Some(size), "{views:?}");
    assert_eq!(names(&there), ["lock"], "nothing else stays there");

    // What broke off and is not the same content is found out when it has arrived.
    std::fs::write(there.join(format!("{name}.part")), &changed[..whole.len() - 10]).unwrap();
    let done = push(&workshop, "one", &[]);
    let views = view(&done);
    assert_eq!((done.status.code(), views[0]["id"].as_str()), (Some(13), Some("GG-BUNDLE-183")), "{views:?}");
    let views = view(&push(&workshop, "one", &[]));
    assert_eq!(views[0]["is_done"].as_bool(), Some(true), "and then it goes anew: {views:?}");
}

/// Names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[test]
fn what_another_push_has_on_a_host_is_left_alone() {
    let Some(workshop) = Workshop::open() else { return };
    let Some(_host) = Host::start(&workshop.path("."), &workshop.engine) else { return };
    workshop.built("dist", &[]);
    let there = workshop.path("there/root/.local/state/gitgrit/push");
    std::fs::create_dir_all(&there).unwrap();
    // While it loads, nobody clears up: the lock is held.
    let witness = workshop.path("witness");
    let script = format!(
        "#!/bin/sh\nif flock -n lock true; then echo free >>'{0}'; else echo held >>'{0}'; fi\nexec '{1}' \"$@\"\n",
        witness.display(),
        binary().display()
    );
    std::fs::write(workshop.path("wrapper"), &script).unwrap();
    // Another push has copied a part of its bundle, and one of last month never went on.
    let (other, old) = (format!("{}.ggb.part", "a".repeat(64)), format!("{}.ggb.part", "b".repeat(64)));
    for name in [&other, &old] {
        std::fs::write(there.join(name), "some").unwrap();
    }
    let file = std::fs::File::options().write(true).open(there.join(&old)).unwrap();
    file.set_modified(file.metadata().unwrap().modified().unwrap() - std::time::Duration::from_hours(24 * 30)).unwrap();
    std::fs::write(there.join("lock"), "").unwrap();
    let node = |name: &str| std::fs::metadata(there.join(name)).unwrap().ino();
    let lock = node("lock");
    let views = view(&push(&workshop, "one", &[]));
    assert_eq!(views[0]["is_done"].as_bool(), Some(true), "{views:?}");
    assert_eq!(std::fs::read_to_string(&witness).unwrap(), "held\n");
    let program = format!("{}.program", airgap::bundle::Digest::of(script.as_bytes()));
    let mut left = vec![other.clone(), program, "lock".to_owned()];
    left.sort();
    assert_eq!(names(&there), left);
    assert_eq!(node("lock"), lock, "whoever waits for it would hold another one");
    // The last one takes the program along; and while somebody else is at it, nothing goes.
    std::fs::remove_file(there.join(&other)).unwrap();
    let busy = Program::new("flock").options(["-s", there.join("lock").to_str().unwrap(), "sleep", "600"]);
    let mut busy = busy.start_detached(std::fs::File::create(workshop.path("busy.log")).unwrap()).unwrap();
    let is_held = || {
        !Program::new("flock")
            .options(["-n", there.join("lock").to_str().unwrap(), "true"])
            .run(b"")
            .unwrap()
            .status
            .success()
    };
    require::until(20, "a lock that is held", || is_held().then_some(()));
    let views = view(&push(&workshop, "one", &[]));
    base::process::kill_group(busy.id());
    let _ = busy.wait();
    assert_eq!(views[0]["is_done"].as_bool(), Some(true), "{views:?}");
    assert!(names(&there).iter().any(|name| name.ends_with(".program")), "{:?}", names(&there));
    let own = workshop.file("dist");
    let own = format!("{}.ggb", airgap::bundle::Digest::of(&std::fs::read(own).unwrap()));
    assert!(!names(&there).contains(&own), "its own bundle goes: {:?}", names(&there));
}

#[test]
fn a_host_without_room_is_told_from_one_that_fails_also_when_it_runs_full_later() {
    let Some(workshop) = Workshop::open() else { return };
    let Some(host) = Host::start(&workshop.path("."), &workshop.engine) else { return };
    workshop.built("dist", &[]);
    std::fs::write(workshop.path("wrapper"), "#!/bin/sh\nexit 0\n").unwrap();
    // A host that says it has room, and has none: as with a quota, of which `df` knows nothing.
    let space = format!("--mount=/proc/{}/ns/mnt", host.child.id());
    let mount =
        "mkdir -p /root/.local/state/gitgrit/push; mount -t tmpfs -o size=1m none /root/.local/state/gitgrit/push";
    assert!(Program::new("nsenter").options([&space, "sh", "-ec", mount]).run(b"").unwrap().status.success());
    for (tool, words) in
        [("", "bytes free"), ("#!/bin/sh\necho x; echo none 9 9 99999999\n", "No space left on device")]
    {
        if !tool.is_empty() {
            std::fs::create_dir_all(workshop.path("tools")).unwrap();
            std::fs::write(workshop.path("tools/df"), tool).unwrap();
            std::fs::set_permissions(workshop.path("tools/df"), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let done = push(&workshop, "one", &[]);
        let views = view(&done);
        assert_eq!((done.status.code(), views[0]["id"].as_str()), (Some(15), Some("GG-BUNDLE-182")), "{views:?}");
        assert!(views[0]["error"].as_str().unwrap().contains(words), "{views:?}");
        assert!(views[0]["hint"].as_str().unwrap().contains("make room there"), "{views:?}");
    }
}

#[test]
fn a_host_says_itself_why_it_does_not_load() {
    let Some(workshop) = Workshop::open() else { return };
    let Some(_host) = Host::start(&workshop.path("."), &workshop.engine) else { return };
    workshop.built("dist", &[]);
    std::fs::write(
        workshop.path("wrapper"),
        format!("#!/bin/sh\nDOCKER_HOST=unix:///nonexistent exec '{}' \"$@\"\n", binary().display()),
    )
    .unwrap();
    let done = push(&workshop, "one", &[]);
    let views = view(&done);
    assert_eq!((done.status.code(), views[0]["id"].as_str()), (Some(18), Some("GG-BUNDLE-184")), "{views:?}");
    let done = push(&workshop, "dead,one", &[]);
    let exits: Vec<_> = view(&done).iter().map(|view| view["exit"].as_u64()).collect();
    assert_eq!((done.status.code(), exits), (Some(1), vec![Some(1), Some(18)]), "they do not agree");
    let error = views[0]["error"].as_str().unwrap().to_owned();
    assert!(error.contains("exit code 18") && error.contains("could not reach the engine"), "{error}");
    // One that ends well and says nothing has loaded nothing; one that greets first is heard.
    let ours = binary().display().to_string();
    for (program, is_done) in [("exit 0".to_owned(), false), (format!("echo welcome; exec '{ours}' \"$@\""), true)] {
        std::fs::write(workshop.path("wrapper"), format!("#!/bin/sh\n{program}\n")).unwrap();
        let views = view(&push(&workshop, "one", &[]));
        assert_eq!(views[0]["is_done"].as_bool(), Some(is_done), "{program}: {views:?}");
        let id = (!is_done).then_some("GG-BUNDLE-184");
        assert_eq!(views[0]["id"].as_str(), id, "{program}: {views:?}");
    }
    // Without --program the bundle's own goes there, which its signature covers: here one that no host can start.
    let file = workshop.file("dist").display().to_string();
    let named = ["push", "--hosts=one", &file, "--public-key", "release.pub", "--ssh-config", "ssh_config"];
    let views = view(&workshop.bundle(&[&named[..], &["--keep", "--json"]].concat()).run(b"").unwrap());
    assert_eq!(views[0]["id"].as_str(), Some("GG-BUNDLE-184"), "{views:?}");
    let own = airgap::bundle::Digest::of(&std::fs::read(workshop.path("program")).unwrap());
    assert!(workshop.path("there/root/.local/state/gitgrit/push").join(format!("{own}.program")).exists());
    // A damaged bundle leaves this host for nowhere.
    let mut whole = std::fs::read(workshop.file("dist")).unwrap();
    let place = whole.len() / 2;
    whole[place] ^= 1;
    std::fs::write(workshop.file("dist"), whole).unwrap();
    assert_eq!(push(&workshop, "one", &[]).status.code(), Some(13));
}

//! A push of one 300 MB file into a server that, with its git children, may use 200 MiB of memory. The kernel holds the
//! limit: over it, something of the server's is killed and the push fails.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base::process::Program;

use crate::require;
use crate::site::{ADMIN, Site, binary};

/// The most that server and children may hold, in bytes.
const LIMIT: u64 = 200 << 20;

/// The file's size in megabytes, when no other is asked for.
const MEGABYTES: u64 = 300;

/// The file's size, in bytes. `scripts/soak large` asks for more, through `GITGRIT_TEST_PUSH_MB`.
fn size() -> u64 {
    let asked = std::env::var("GITGRIT_TEST_PUSH_MB").ok().and_then(|text| text.parse::<u64>().ok());
    asked.unwrap_or(MEGABYTES) * 1_000_000
}

/// A control group of this test's own, gone when dropped.
struct Group {
    path: PathBuf,
    is_v2: bool,
}

impl Group {
    fn new() -> Result<Self, String> {
        let name = format!("gitgrit-it-{}", std::process::id());
        let is_v2 = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
        let path = Path::new("/sys/fs/cgroup").join(if is_v2 { "" } else { "memory" }).join(name);
        let failed = |error: std::io::Error| format!("cannot use {}: {error}", path.display());
        if is_v2 {
            let _ = put(Path::new("/sys/fs/cgroup/cgroup.subtree_control"), "+memory");
        }
        std::fs::create_dir(&path).map_err(failed)?;
        let group = Self { path: path.clone(), is_v2 };
        let limits: &[&str] = if is_v2 { &["memory.max"] } else { &["memory.limit_in_bytes"] };
        for limit in limits {
            put(&path.join(limit), &LIMIT.to_string()).map_err(failed)?;
        }
        if is_v2 {
            let _ = put(&path.join("memory.swap.max"), "0");
        }
        Ok(group)
    }

    fn number(&self, v2: &str, v1: &str) -> u64 {
        let text = std::fs::read_to_string(self.path.join(if self.is_v2 { v2 } else { v1 })).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    }

    /// How often something in the group was killed for want of memory.
    fn kills(&self) -> u64 {
        let file = if self.is_v2 { "memory.events" } else { "memory.oom_control" };
        let text = std::fs::read_to_string(self.path.join(file)).unwrap_or_default();
        text.lines().find_map(|line| line.strip_prefix("oom_kill ")).and_then(|count| count.parse().ok()).unwrap_or(0)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.path);
    }
}

/// Writes to a kernel file, which cannot be replaced as files are elsewhere.
fn put(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    std::fs::OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes())
}

/// Starts the stopped site's server again, inside the group.
fn start_inside(site: &mut Site, group: &Group) {
    let enter = "echo $$ >\"$1\" && exec \"$2\" up";
    let done = Program::new("sh")
        .options(["-c", enter, "sh"])
        .option(group.path.join("cgroup.procs"))
        .option(binary())
        .directory(site.home())
        .run(b"")
        .unwrap();
    assert!(done.status.success(), "{}", done.stderr);
    site.refresh();
}

#[test]
fn three_hundred_megabytes_go_through_two_hundred_heavy() {
    let group = Group::new();
    if !require::has("cgroups", group.as_ref().map(drop).map_err(Clone::clone)) {
        return;
    }
    let group = group.unwrap();
    let mut site = Site::start();
    site.stop();
    start_inside(&mut site, &group);
    let admin = site.admin();
    let key = crate::ssh::Key::generate("ed25519");
    admin.add_key("k", &key.public());
    let https = site.git().with_password(ADMIN, &admin.make_token("t", "write")).with_setting("core.compression", "0");
    let ssh = site.git_with_key(&key).with_setting("core.compression", "0");

    let local = https.path("local");
    https.ok(https.home(), ["init", "--quiet", "local"]);
    let fill =
        Program::new("sh").options(["-c", "head -c \"$1\" /dev/urandom >\"$2\"", "sh"]).option(size().to_string());
    let fill = fill.deadline(Duration::from_mins(10));
    assert!(fill.option(local.join("large.bin")).run(b"").unwrap().status.success());
    https.ok(&local, ["add", "large.bin"]);
    https.ok(&local, ["commit", "--quiet", "--message", "one large file"]);
    let blob = https.ok(&local, ["rev-parse", "HEAD:large.bin"]);

    for (git, name) in [(&https, "large-https"), (&ssh, "large-ssh")] {
        admin.make_repository(name, "private");
        let path = format!("{ADMIN}/{name}");
        let address = if name.ends_with("ssh") { site.ssh(&path) } else { site.https(&path) };
        let push = git.program(&local).options(["push", "--quiet", &address, "main"]);
        let done = push.deadline(Duration::from_mins(20)).run(b"").unwrap();
        let (kills, peak) = (group.kills(), group.number("memory.peak", "memory.max_usage_in_bytes"));
        assert!(done.status.success(), "{name}: {}; {kills} kills, peak {peak}\n{}", done.status, done.stderr);
        assert_eq!(kills, 0, "{name}: something was killed for want of memory");
        assert!(peak <= LIMIT, "{name}: peak {peak}");
        let back = git.path(name);
        git.ok(git.home(), ["clone", "--quiet", &address, name]);
        assert_eq!(git.ok(&back, ["rev-parse", "HEAD:large.bin"]), blob);
        assert_eq!(std::fs::metadata(back.join("large.bin")).unwrap().len(), size());
        std::fs::remove_dir_all(&back).unwrap();
        eprintln!(
            "{name}: {} bytes; server and children peaked at {peak} of {LIMIT} bytes, page cache counted",
            size()
        );
    }
    site.stop();
}

//! The real program inside a container that has no network at all: everything it needs is in it, or on its own loopback.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use base::process::Program;

use crate::require;
use crate::site::{binary, out};

/// Minimal Debian 12 with git and an OpenSSH client, built by `scripts/dev-setup`.
const CLIENT_IMAGE: &str = "gitgrit-lab/client:bookworm";

/// The program needs nothing from outside: no name server, no route, no other host.
#[test]
fn a_site_works_in_a_container_without_any_network() {
    if !require::has("docker", require::docker(CLIENT_IMAGE)) {
        return;
    }
    let home = tempfile::Builder::new().prefix("gitgrit-closed-").tempdir().unwrap();
    let program = home.path().join("gitgrit-ops");
    std::fs::copy(binary(), &program).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let script = "set -e; gitgrit-ops install --embedded /gitgrit-site --lab --yes; cd /; gitgrit-ops smoketest --site; \
                  gitgrit-ops down; test $(wc -l </proc/net/route) = 1; echo closed";
    let mount = format!("{}:/usr/local/bin/gitgrit-ops:ro", program.display());
    let done = Program::new("docker")
        .deadline(Duration::from_mins(3))
        .options(["run", "--rm", "--network", "none", "--volume", &mount, CLIENT_IMAGE, "bash", "-c", script])
        .run(b"")
        .unwrap();
    assert!(done.status.success() && out(&done).ends_with("closed\n"), "{}{}", out(&done), done.stderr);
}

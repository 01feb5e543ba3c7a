//! The isolation probe in a network namespace of its own: what no machine shows on its loopback alone, a network
//! without a way out and a filter that answers nothing.

use base::process::{Finished, Program};

use crate::require;
use crate::site::{binary, out};

/// A loopback with a filter on one port, and no other way.
const NETWORK: &str = "ip link set lo up && iptables -A OUTPUT -p tcp --dport 444 -j DROP";

/// Runs `command` in a new network, with the probe's targets set.
fn in_network(command: &str) -> Result<Finished, String> {
    let program = Program::new("unshare")
        .options(["--net", "sh", "-c", &format!("{NETWORK} && {command}")])
        .env("GITGRIT_ISOLATION_TARGETS", "192.0.2.1:443,127.0.0.1:444");
    program.run(b"").map_err(|error| error.to_string())
}

#[test]
fn a_network_without_a_way_out_and_a_filter_are_told_apart() {
    let tried = in_network("true").and_then(|done| done.status.success().then_some(()).ok_or(done.stderr));
    if !require::has("netns", tried) {
        return;
    }
    let done = in_network(&format!("exec {} smoketest --check-isolation", binary().display())).unwrap();
    let said = out(&done);
    let probes: Vec<_> = said.lines().filter(|line| line.contains("public internet")).collect();
    assert_eq!(
        probes,
        [
            "OK    public internet appears blocked (192.0.2.1:443 is unreachable: no route)",
            "OK    public internet appears blocked (127.0.0.1:444 is unreachable: filtered)",
        ]
    );
}

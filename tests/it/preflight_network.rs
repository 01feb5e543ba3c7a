//! `preflight` on networks that are wrong: ports, resolvers and names, each provoked in namespaces of the test's own.

use crate::require;
use crate::stage::Stage;

#[test]
fn ports_that_are_held_or_given_away_are_named() {
    if !Stage::is_possible() {
        return;
    }
    let (http, ssh) = (held(), held());
    let stage = Stage::in_this_network().option(&format!("--http-port {} --ssh-port {}", http.1, ssh.1));
    let taken = "something on this host listens on it";
    stage.run().holds(&[("GG-NET-001", "error", taken), ("GG-NET-002", "error", taken)]);
    // As a user, the ports of old are not to be had; and a range that takes everything takes the site's as well.
    let stage = Stage::new()
        .does("echo 1024 65000 > /proc/sys/net/ipv4/ip_local_port_range")
        .does("echo 1-2423 > /proc/sys/net/ipv4/ip_local_reserved_ports")
        .does("chmod 0755 \"$HOME\" && ip link set lo down")
        .option("--http-port 443")
        .around("setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all");
    stage.run().holds(&[
        ("GG-NET-001", "error", "this user may not listen on it"),
        ("GG-NET-003", "warning", "may take port 2424"),
        ("GG-NET-004", "error", "127.0.0.1 cannot be reached"),
        ("GG-ENGINE-003", "error", "may not be written to by this user"),
        ("GG-ENGINE-002", "error", "permission denied"),
    ]);
    // What a stack publishes its engine listens on, which is root's; and a range of reserved ports keeps those in it.
    let stage = Stage::new()
        .does("echo 1024 65000 > /proc/sys/net/ipv4/ip_local_port_range")
        .does("echo 22,2400-9000 > /proc/sys/net/ipv4/ip_local_reserved_ports")
        .does("chmod 0755 \"$HOME\"")
        .env("APP_PORT", "443")
        .around("setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all");
    stage
        .run()
        .holds(&[("GG-NET-001", "unknown", "port 443: is the engine's to listen on"), ("GG-NET-003", "ok", "1024")]);
}

#[test]
fn the_ports_are_those_that_the_site_will_listen_on() {
    if !Stage::is_possible() {
        return;
    }
    for (settings, port) in [
        ("SITE_URL=https://forge.acme.test\nTAG=1\n", "port 3000: is free"),
        ("SITE_URL=https://forge.acme.test\nTRUSTED_PROXIES=192.0.2.1\n", "port 8828: is free"),
        ("SITE_URL=https://forge.acme.test:8443\n", "port 8443: is free"),
    ] {
        Stage::new().settings(settings).run().holds(&[("GG-NET-001", "ok", port)]);
    }
}

/// A port of the loopback that somebody listens on, as long as the listener lives.
fn held() -> (std::net::TcpListener, u16) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[test]
fn resolvers_that_are_missing_silent_or_local_are_named() {
    if !Stage::is_possible() {
        return;
    }
    let stage = Stage::new().resolver("# none").settings("SITE_URL=https://forge.acme.test\nSANDBOX_DNS=127.0.0.1\n");
    stage.file("/etc/nsswitch.conf", "hosts: files\n").run().holds(&[
        ("GG-NET-010", "error", "names no resolver"),
        ("GG-NET-011", "unknown", "names no resolver"),
        ("GG-NET-013", "error", "127.0.0.1: nobody listens there"),
        ("GG-NET-014", "warning", "and no resolver"),
        ("GG-NET-020", "error", "forge.acme.test: is not known here"),
    ]);
    let stage =
        Stage::new().resolver("nameserver 127.0.0.11\nnameserver 127.0.0.1\nnameserver ::1\nnameserver 127.0.0.2");
    stage.run().holds(&[
        ("GG-NET-010", "warning", "names 4 resolvers"),
        ("GG-NET-011", "warning", "is Docker's own resolver"),
        ("GG-NET-012", "error", "127.0.0.11: nobody listens there"),
    ]);
    // SANDBOX_DNS alone helps sandboxes alone; the engine's own settings help every container.
    let sandboxes = "SANDBOX_DNS=the-router\n";
    Stage::new().settings(sandboxes).run().holds(&[
        ("GG-NET-011", "warning", "on this host's loopback alone; SANDBOX_DNS is for sandboxes alone"),
        ("GG-NET-013", "error", "the-router: is no address"),
    ]);
    let stage = Stage::new().file("/etc/docker/daemon.json", "{\"dns\": [\"192.0.2.53\"]}");
    stage.run().holds(&[("GG-NET-011", "ok", "the engine gives containers others")]);
}

#[test]
fn names_that_lead_elsewhere_and_domains_that_know_everything_are_named() {
    let python = require::program("python3").map(drop);
    if !Stage::is_possible() || !require::has("python3", python) {
        return;
    }
    let resolver = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/wildcard_resolver.py");
    let stage = Stage::new()
        .settings("SITE_URL=https://forge.acme.test\nTAG=1\n")
        .does(&format!("python3 {resolver} & until [ -s \"$HOME/ready\" ]; do sleep 0.02; done"))
        .around("sh -c '\"$@\"; code=$?; kill $(cat \"$HOME/ready\"); exit $code' sh");
    stage.run().holds(&[
        ("GG-NET-012", "ok", "127.0.0.1: answers"),
        ("GG-NET-020", "ok", "is at 192.0.2.77"),
        ("GG-NET-021", "warning", "leads to 192.0.2.77, which is no address of this host"),
        ("GG-NET-022", "warning", "*.acme.test: every name is known, at 192.0.2.77"),
    ]);
    let stage = Stage::new()
        .settings("SITE_URL=https://forge.acme.test\nTAG=1\n")
        .does(&format!("KNOWS=forge.acme.test python3 {resolver} & until [ -s \"$HOME/ready\" ]; do sleep 0.02; done"))
        .around("sh -c '\"$@\"; code=$?; kill $(cat \"$HOME/ready\"); exit $code' sh");
    stage.run().holds(&[
        ("GG-NET-020", "ok", "is at 192.0.2.77"),
        ("GG-NET-022", "ok", "*.acme.test: names that nobody gave away are not known"),
    ]);
    let stage = Stage::new()
        .settings("SITE_URL=https://forge.acme.test\nGITLAB_URL=https://gitlab.acme.test\n")
        .file("/etc/hosts", "127.0.1.1 forge.acme.test\n127.0.0.1 localhost\n::1 localhost\n")
        .does("echo 1 > /proc/sys/net/ipv6/conf/lo/disable_ipv6")
        .does("mkdir \"$HOME/.docker\" && echo '{\"proxies\":{\"default\":{}}}' > \"$HOME/.docker/config.json\"")
        .env("HTTPS_PROXY", "http://me:hunter2@proxy.acme.test:3128")
        .env("NO_PROXY", "localhost");
    let said = stage.run();
    said.holds(&[
        ("GG-NET-021", "warning", "leads to the loopback"),
        ("GG-NET-022", "unknown", "no resolver answers"),
        ("GG-NET-033", "warning", "is off, and `localhost` is ::1 as well"),
        ("GG-NET-042", "warning", "a proxy with credentials for forge.acme.test and gitlab.acme.test too"),
        ("GG-NET-043", "warning", "names proxies"),
    ]);
    assert!(!said.0.to_string().contains("hunter2"));
}

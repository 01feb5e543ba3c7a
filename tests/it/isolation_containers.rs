//! Every way in which a network can be open or closed, as the isolation probe sees it from a real container network. What is
//! beyond the network is a namespace of the test's own.

use std::net::TcpListener;

use base::process::Program;

use crate::isolation_docker::{Beyond, IMAGE, Network, docker, probe};
use crate::isolation_world::{Found, run};
use crate::require::{self, until};
use crate::site::out;

/// A container that does nothing; gone when dropped.
struct Idle {
    id: String,
}

impl Idle {
    fn on(network: &Network) -> Self {
        let name = format!("--network={}", network.name);
        let id = docker(&["run", "--detach", "--rm", "--pull", "never", &name, IMAGE, "sleep", "600"]).unwrap();
        Self { id: id.trim().to_owned() }
    }

    /// The file of its network namespace.
    fn namespace(&self) -> String {
        let pid = docker(&["inspect", "--format", "{{.State.Pid}}", &self.id]).unwrap();
        format!("/proc/{}/ns/net", pid.trim())
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        let _ = docker(&["rm", "--force", &self.id]);
    }
}

/// Expects the same from inside the namespace of a container that runs on the network already, and from a container that
/// is started there; gives back what the latter found.
fn expect(beyond: &Beyond, network: &Network, idle: &Idle, more: &[&str], rules: &[(&str, &str)]) -> Found {
    let targets: Vec<_> = beyond.services.iter().flat_map(|target| ["--target", target]).collect();
    let common = ["--image", IMAGE, "--canary", "198.51.100.78"];
    let from = |from: [&str; 2]| {
        // A busy machine may take longer to start a container than a short budget lasts.
        let with = |budget| probe(&[&from[..], &common, &["--budget", budget], &targets, more].concat());
        let found = Some(with("9")).filter(|found| !found.is_out_of_time()).unwrap_or_else(|| with("45"));
        found.expect(rules);
        found
    };
    from(["--netns", &idle.namespace()]);
    from(["--network", &network.name])
}

#[test]
fn a_container_network_is_told_open_closed_and_in_between() {
    if !require::has("docker", require::docker(IMAGE)) {
        return;
    }
    let Some(mut beyond) = Beyond::new("198.51.100") else { return };
    let network = Network::new("198.51.100.64/28", &["--gateway", "198.51.100.65"]);
    let idle = Idle::on(&network);
    let see = |beyond: &Beyond, more: &[&str], rules: &[(&str, &str)]| expect(beyond, &network, &idle, more, rules);
    assert_eq!(see(&beyond, &[], &[("", "reachable")]).code, Some(3));

    for protocol in ["tcp", "udp"] {
        beyond.run(&format!("iptables -w -A INPUT -i cable -p {protocol} -j DROP"));
    }
    let found = see(&beyond, &[], &[("", "filtered")]);
    assert_eq!(found.code, Some(0), "{:#}", found.report);

    beyond.run("iptables -w -I INPUT -p udp --dport 53 -j ACCEPT");
    let found = see(
        &beyond,
        &["--target", "name=public.test@198.51.100.130"],
        &[("dns", "reachable"), ("name", "reachable"), ("", "filtered")],
    );
    assert_eq!(found.ids(), ["GG-ISO-003", "GG-ISO-004"]);

    beyond.run("iptables -w -I INPUT -p udp -j ACCEPT");
    let found = see(&beyond, &[], &[("tcp", "filtered"), ("http", "filtered"), ("", "reachable")]);
    assert_eq!(found.ids(), ["GG-ISO-003", "GG-ISO-005", "GG-ISO-006"]);

    beyond.run("iptables -w -D INPUT 1");
    beyond.run("iptables -w -D INPUT 1");
    beyond.also("proxy=198.51.100.130:3128");
    beyond.run("iptables -w -I INPUT -p tcp --dport 3128 -j ACCEPT");
    let proxy = ["--target", "proxy=http://198.51.100.130:3128"];
    let ways = ["CONNECT", "GET"].map(|way| format!("proxy4 198.51.100.130:3128 {way} 198.51.100.130:"));
    // The other rows of the proxy are of names that it finds no way to.
    let found =
        see(&beyond, &proxy, &[(ways[0].as_str(), "reachable"), (ways[1].as_str(), "reachable"), ("", "filtered")]);
    assert_eq!(found.ids(), ["GG-ISO-007"]);

    beyond.also("tcp=198.51.100.130:9999");
    beyond.run("iptables -w -I INPUT -p tcp --dport 9999 -j ACCEPT");
    beyond.run("iptables -w -t nat -A PREROUTING -i cable -p tcp -j REDIRECT --to-ports 9999");
    let found = see(&beyond, &[], &[("tcp", "intercepted"), ("http", "intercepted"), ("", "filtered")]);
    assert_eq!((found.ids(), found.code), (vec!["GG-ISO-010"], Some(3)));

    // A container network in which the probe cannot work: nothing there is called closed.
    let namespace = idle.namespace();
    run("nsenter", &[&format!("--net={namespace}"), "ip", "link", "set", "lo", "down"]).unwrap();
    let found = probe(&["--netns", &namespace, "--no-canary", "--target", "quic=198.51.100.130:443"]);
    found.expect(&[("", "broken")]);
    assert_eq!((found.ids(), found.code), (vec!["GG-ISO-011"], Some(3)));
}

#[test]
fn a_container_network_that_leads_out_over_ipv6_alone_is_seen() {
    if !require::has("docker", require::docker(IMAGE)) {
        return;
    }
    let six = ["--ipv6", "--subnet", "2001:db8:4::/64", "--gateway", "2001:db8:4::1"];
    let network = Network::new("198.51.100.96/28", &[&["--gateway", "198.51.100.97"][..], &six].concat());
    // With a container on it the network's cable is up, and its gateway's address is taken.
    let idle = Idle::on(&network);
    let listener = until(20, "the gateway's address", || TcpListener::bind("[2001:db8:4::1]:0").ok());
    let port = listener.local_addr().unwrap().port();
    let targets = [format!("tcp=[2001:db8:4::1]:{port}"), format!("tcp=198.51.100.97:{port}")];
    let targets: Vec<_> = targets.iter().flat_map(|target| ["--target", target]).collect();
    let namespace = idle.namespace();
    for from in [["--netns", &namespace], ["--network", &network.name]] {
        let found = probe(&[&from[..], &["--image", IMAGE, "--no-canary"], &targets].concat());
        found.expect(&[("tcp6", "reachable"), ("tcp4", "refused")]);
        let controls = found.report["vantages"][0]["controls"].as_array().unwrap();
        assert!(controls.iter().all(|control| control["state"] == "works"), "{:#}", found.report);
    }
    let routes = Program::new("ip").options(["-6", "route", "show", "2001:db8:4::/64"]).run(b"").unwrap();
    assert!(out(&routes).contains("br-"), "the network was this host's own");
}

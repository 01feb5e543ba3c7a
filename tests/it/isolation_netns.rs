//! The isolation probe in worlds of network namespaces: each way in which a network can be open, closed or something in
//! between, and what the probe makes of it.

use std::time::{Duration, Instant};

use crate::isolation_world::{World, arguments, found, ip};
use crate::site::out;

#[test]
fn an_open_network_is_reachable_in_every_way() {
    let Some(world) = World::open() else { return };
    let found = world.probe(&[]);
    found.expect(&[("", "reachable")]);
    let ids = ["GG-ISO-002", "GG-ISO-003", "GG-ISO-004", "GG-ISO-005", "GG-ISO-006", "GG-ISO-008"];
    assert_eq!((found.ids().as_slice(), found.code), (ids.as_slice(), Some(3)), "{:#}", found.report);
}

#[test]
fn a_network_behind_a_silent_filter_is_filtered() {
    let Some(world) = World::open() else { return };
    world.drop_all(&[]);
    let found = world.probe(&[]);
    found.expect(&[("", "filtered")]);
    assert_eq!((found.ids(), found.code), (vec!["GG-ISO-001"], Some(0)), "{:#}", found.report);
}

#[test]
fn a_network_that_says_no_is_refused() {
    let Some(world) = World::new() else { return };
    let found = world.probe(&[]);
    found.expect(&[("", "refused")]);
    assert_eq!((found.ids(), found.code), (vec!["GG-ISO-001"], Some(0)));
}

#[test]
fn a_network_without_a_way_out_has_no_route() {
    let Some(world) = World::open() else { return };
    for version in ["-4", "-6"] {
        ip(&format!("-n {} {version} route del default", world.inside()));
    }
    ip(&format!("-n {} route add blackhole 192.0.2.80/32", world.inside()));
    let found = world.probe(&[]);
    found.expect(&[("", "no route")]);
    assert_eq!((found.ids(), found.code), (vec!["GG-ISO-001"], Some(0)));
}

#[test]
fn a_leak_of_dns_alone_is_named_as_such() {
    let Some(world) = World::open() else { return };
    world.drop_all(&["-p udp --dport 53"]);
    let found = world.probe(&[]);
    found.expect(&[("dns", "reachable"), ("name", "reachable"), ("", "filtered")]);
    assert_eq!((found.ids(), found.code), (vec!["GG-ISO-003", "GG-ISO-004"], Some(3)));
}

#[test]
fn a_resolver_that_knows_no_public_name_is_no_leak() {
    let Some(world) = World::open() else { return };
    let own = "name=www.acme.invalid@192.0.2.53";
    let found = world.probe(&["--target", own]);
    found.expect(&[("name4 www.acme.invalid", "no name"), ("", "reachable")]);
}

#[test]
fn a_way_out_over_ipv6_alone_is_seen() {
    let Some(world) = World::open() else { return };
    for protocol in ["tcp", "udp"] {
        world.outside(&format!("iptables -w -A INPUT -i cable -p {protocol} -j DROP"));
    }
    let found = world.probe(&[]);
    let six = [("tcp6", "reachable"), ("dns6", "reachable"), ("quic6", "reachable"), ("", "filtered")];
    found.expect(&six);
    assert_eq!((found.ids(), found.code), (vec!["GG-ISO-002", "GG-ISO-003", "GG-ISO-005"], Some(3)));
}

#[test]
fn a_way_out_over_udp_alone_is_seen() {
    let Some(world) = World::open() else { return };
    world.drop_all(&["-p udp"]);
    let found = world.probe(&[]);
    found.expect(&[("tcp", "filtered"), ("http", "filtered"), ("metadata", "filtered"), ("", "reachable")]);
    assert_eq!(found.ids(), ["GG-ISO-003", "GG-ISO-004", "GG-ISO-005", "GG-ISO-006"]);
}

#[test]
fn a_proxy_that_accepts_every_connection_is_not_the_internet() {
    let Some(world) = World::open() else { return };
    world.drop_all(&["-p tcp --dport 9999"]);
    for table in ["iptables", "ip6tables"] {
        world.outside(&format!("{table} -w -t nat -A PREROUTING -i cable -p tcp -j REDIRECT --to-ports 9999"));
    }
    let _listener = world.also(&["tcp=[::]:9999"]);
    let found = world.probe(&[]);
    found.expect(&[("tcp", "intercepted"), ("http", "intercepted"), ("metadata", "intercepted"), ("", "filtered")]);
    assert_eq!((found.ids(), found.code), (vec!["GG-ISO-010"], Some(3)));
}

#[test]
fn a_proxy_that_leaves_the_canary_alone_is_given_away_by_ports_that_nobody_listens_on() {
    let Some(world) = World::open() else { return };
    world.drop_all(&["-p tcp --dport 9999"]);
    world.outside("iptables -w -t nat -A PREROUTING -d 192.0.2.80 -p tcp -j REDIRECT --to-ports 9999");
    let _listener = world.also(&["tcp=[::]:9999"]);
    let found = world.probe(&[]);
    found.expect(&[("tcp4", "intercepted"), ("http", "intercepted"), ("", "filtered")]);
    assert!(found.report.to_string().contains("ports that nobody listens on accept as well"), "{:#}", found.report);
}

#[test]
fn a_canary_alone_gives_away_what_answers_for_everybody() {
    let Some(world) = World::open() else { return };
    // Queries for whatever resolver come to the site's own, and connections to port 443 to its portal; no other port.
    world.drop_all(&["-p udp --dport 53", "-p tcp --dport 443"]);
    world.outside("iptables -w -t nat -A PREROUTING -i cable -p udp --dport 53 -j DNAT --to-destination 192.0.2.53");
    world.outside("iptables -w -t nat -A PREROUTING -i cable -p tcp --dport 443 -j DNAT --to-destination 192.0.2.80");
    let found = world.probe(&[]);
    found.expect(&[
        ("tcp4", "intercepted"),
        ("dns4", "intercepted"),
        ("tcp6", "reachable"),
        ("dns6", "reachable"),
        ("name", "reachable"),
        ("", "filtered"),
    ]);
}

#[test]
fn a_portal_that_answers_in_place_of_the_target_is_an_interception() {
    let Some(world) = World::new() else { return };
    let _portal = world.also(&["login=192.0.2.80:80", "junk=192.0.2.80:123"]);
    let found = world.probe(&[]);
    found.expect(&[("http", "intercepted"), ("ntp", "intercepted"), ("", "refused")]);
}

#[test]
fn a_proxy_that_leads_out_is_told_from_one_that_does_not() {
    let Some(world) = World::open() else { return };
    world.drop_all(&["-p tcp --dport 3128:3131"]);
    let _no = world.also(&["no=198.51.100.1:3130"]);
    let proxies = ["http://198.51.100.1:3128", "198.51.100.1:3129", "198.51.100.1:3130", "198.51.100.1:3131"];
    let proxies: Vec<_> = proxies.iter().map(|proxy| format!("proxy={proxy}")).collect();
    let socks = ["--target", "proxy=socks5://198.51.100.1:3132"];
    let more: Vec<_> = proxies.iter().flat_map(|proxy| ["--target", proxy]).chain(socks).collect();
    let found = world.probe(&more);
    found.expect(&[
        ("proxy4 198.51.100.1:3128 CONNECT 192.0.2.80", "reachable"),
        ("proxy4 198.51.100.1:3128 GET 192.0.2.80", "reachable"),
        // The names among the program's own targets, which this one does not know.
        ("proxy4 198.51.100.1:3128", "filtered"),
        ("proxy4 198.51.100.1:3129", "intercepted"),
        ("proxy4 198.51.100.1:3130", "refused"),
        ("proxy4 198.51.100.1:3131", "refused"),
        ("proxy4 198.51.100.1:3132", "broken"),
        ("", "filtered"),
    ]);
    assert_eq!((found.ids(), found.code), (vec!["GG-ISO-007", "GG-ISO-010", "GG-ISO-011"], Some(3)));
}

#[test]
fn a_probe_that_cannot_work_calls_nothing_closed() {
    let Some(world) = World::open() else { return };
    world.drop_all(&["-p udp --dport 123"]);
    ip(&format!("-n {} link set lo down", world.inside()));
    let found = world.probe(&[]);
    // What answers is proven by its answer.
    found.expect(&[("ntp", "reachable"), ("", "broken")]);
    assert_eq!((found.ids(), found.code), (vec!["GG-ISO-006", "GG-ISO-011"], Some(3)));
}

#[test]
fn a_host_without_ipv6_has_no_route_there_and_a_working_probe() {
    let Some(world) = World::open() else { return };
    ip(&format!("netns exec {} sysctl -qw net.ipv6.conf.all.disable_ipv6=1", world.inside()));
    let found = world.probe(&[]);
    let six = [("tcp6", "no route"), ("dns6", "no route"), ("quic6", "no route"), ("", "reachable")];
    found.expect(&six);
}

#[test]
fn the_budget_is_kept_whatever_stays_silent() {
    let Some(world) = World::open() else { return };
    world.drop_all(&[]);
    let began = Instant::now();
    let namespace = format!("/run/netns/{}", world.inside());
    let done = arguments(&["--netns", &namespace], &["--budget", "4"]).run(b"").unwrap();
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let found = found(&done);
    found.expect(&[("", "filtered")]);
    assert!(found.report["took_ms"].as_u64().unwrap() <= 4_500, "{:#}", found.report);
}

#[test]
fn silence_that_nobody_waited_for_is_not_called_closed() {
    let Some(world) = World::open() else { return };
    world.drop_all(&[]);
    let namespace = format!("/run/netns/{}", world.inside());
    let found = found(&arguments(&["--netns", &namespace], &["--budget", "2"]).run(b"").unwrap());
    found.expect(&[("", "broken")]);
    assert_eq!((found.ids(), found.code), (vec!["GG-ISO-014"], Some(3)), "{:#}", found.report);
}

#[test]
fn a_place_that_cannot_be_entered_is_named_and_fails() {
    let done = arguments(&["--netns", "/run/netns/gitgrit-none"], &[]).run(b"").unwrap();
    let found = found(&done);
    assert_eq!((found.ids(), found.code), (vec!["GG-ISO-012"], Some(3)));
    assert_eq!(found.report["vantages"][0]["vantage"], "netns /run/netns/gitgrit-none");
    let why = found.report["vantages"][0]["unseen"].as_str().unwrap();
    assert!(why.contains("gitgrit-none"), "{why}");
}

#[test]
fn people_get_a_matrix_within_80_columns() {
    let Some(world) = World::new() else { return };
    let namespace = format!("/run/netns/{}", world.inside());
    let own = ["isolation", "probe", "--only-targets", "--no-canary", "--netns", &namespace, "--budget", "3"];
    let targets = ["--target", "tcp=[2001:db8:2::80]:443", "--target", "name=public.test@192.0.2.53"];
    let done =
        base::process::Program::new(crate::site::binary().to_str().unwrap()).options(own).options(targets).run(b"");
    let done = done.unwrap();
    let expected = format!(
        "[1] netns {namespace}: controls work\n\n{:42}[1]\ntcp6     [2001:db8:2::80]:443             refused\n\
         name4    public.test @192.0.2.53          refused\n\n\
         ok       GG-ISO-001  netns {namespace}: none of 2 targets answers (2 refused)\n",
        ""
    );
    assert_eq!((out(&done), done.status.code()), (expected, Some(0)));
}

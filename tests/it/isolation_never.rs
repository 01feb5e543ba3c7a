//! What the isolation probe must never call closed: proxies, resolvers and its own limits, each in the way in which it can
//! mislead. Every target is a listener of the test's own, on the loopback address or in a namespace.

use std::time::Duration;

use base::process::{Finished, Program};

use crate::isolation_outside::serve;
use crate::isolation_world::{Found, World, found};
use crate::site::{binary, out};

/// Looks from this host at just these targets.
fn look(targets: &[&str], more: &[&str]) -> Found {
    let fixed = ["isolation", "probe", "--json", "--host", "--only-targets", "--no-canary", "--budget", "6"];
    let targets = targets.iter().flat_map(|target| ["--target", *target]);
    let program = Program::new(binary().to_str().unwrap()).deadline(Duration::from_mins(1));
    found(&program.options(fixed).options(targets).options(more).run(b"").unwrap())
}

#[test]
fn a_proxy_alone_is_asked() {
    let proxy = serve("yes=127.0.0.1:0");
    let found = look(&[&format!("proxy=http://{proxy}")], &[]);
    let outcomes = found.outcomes();
    assert!(outcomes.contains_key(&format!("proxy4 {proxy} CONNECT registry-1.docker.io:443")), "{outcomes:?}");
    assert!(outcomes.values().any(|outcome| outcome == "reachable"), "{outcomes:?}");
    assert_eq!(found.code, Some(3));
}

#[test]
fn a_proxy_that_lets_through_to_one_place_alone_leads_out() {
    let proxy = serve("list=127.0.0.1:0");
    let found = look(&["tcp=other.invalid:443", "tcp=listed.invalid:443", &format!("proxy={proxy}")], &[]);
    let row = format!("proxy4 {proxy} CONNECT listed.invalid:443");
    assert_eq!(found.outcomes()[&row], "reachable", "{:#}", found.report);
    assert!(found.ids().contains(&"GG-ISO-007"));
}

#[test]
fn a_proxy_that_wants_a_password_is_open_to_who_has_one() {
    let proxy = serve("asks=127.0.0.1:0");
    let found = look(&[&format!("proxy=http://who:12/secret@{proxy}")], &[]);
    found.expect(&[("proxy4", "broken")]);
    assert_eq!((found.ids(), found.code), (vec!["GG-ISO-015"], Some(3)), "{:#}", found.report);
    assert!(!found.report.to_string().contains("secret"), "{:#}", found.report);
    let found = look(&[&format!("proxy={proxy}")], &[]);
    found.expect(&[("proxy4", "refused")]);
    assert_eq!((found.ids(), found.code), (vec!["GG-ISO-015"], Some(0)), "{:#}", found.report);
    assert_eq!(look(&[&format!("proxy={proxy}")], &["--strict"]).code, Some(4));
}

#[test]
fn who_answers_late_answers() {
    let (resolver, proxy) = (serve("late-dns=127.0.0.1:0"), serve("late-yes=127.0.0.1:0"));
    let found =
        look(&[&format!("dns={resolver}"), &format!("name=public.test@{resolver}"), &format!("proxy={proxy}")], &[]);
    let pages = format!("proxy4 {proxy} GET");
    found.expect(&[(pages.as_str(), "intercepted"), ("", "reachable")]);
}

#[test]
fn a_proxy_that_says_nothing_is_not_closed() {
    // The listener takes connections by its backlog, and nobody answers.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let found = look(&[&format!("proxy={}", mute.local_addr().unwrap())], &[]);
    found.expect(&[("proxy4", "broken")]);
    assert_eq!((found.ids(), found.code), (vec!["GG-ISO-011"], Some(3)), "{:#}", found.report);
}

#[test]
fn bytes_that_are_no_quic_are_somebody_elses() {
    let found = look(&[&format!("quic={}", serve("junk=127.0.0.1:0"))], &[]);
    found.expect(&[("quic4", "intercepted")]);
}

#[test]
fn an_answer_of_the_sites_own_for_a_public_name_is_told_from_a_leak() {
    let own = serve("own-dns=127.0.0.1:0");
    let found = look(&[&format!("name=github.com@{own}")], &[]);
    assert_eq!((found.ids(), found.code), (vec!["GG-ISO-017"], Some(0)), "{:#}", found.report);
    let split = serve("split-dns=127.0.0.1:0");
    let found = look(&[&format!("name=github.com@{split}")], &[]);
    assert_eq!((found.ids(), found.code), (vec!["GG-ISO-004"], Some(3)), "{:#}", found.report);
}

#[test]
fn a_proxys_address_that_makes_no_sense_is_not_repeated() {
    let found = look(&["proxy=who:secret\u{1b}[2J://x@127.0.0.1:9"], &[]);
    found.expect(&[("proxy", "broken")]);
    let text = found.report.to_string();
    assert!(!text.contains("secret") && !text.contains("u001b"), "{text}");
}

/// Runs the probe in a shell, after these commands.
fn after(commands: &str, words: &str) -> Finished {
    let command =
        format!("{commands} exec {} isolation probe --json --host --only-targets {words}", binary().display());
    Program::new("sh").deadline(Duration::from_mins(1)).options(["-c", &command]).run(b"").unwrap()
}

#[test]
fn a_probe_that_may_not_open_files_calls_nothing_closed() {
    let targets = "--no-canary --target tcp=x.invalid:443 --target http=y.invalid --target tcp=127.0.0.1:1";
    let found = found(&after("ulimit -n 14;", &format!("{targets} --budget 6")));
    assert_eq!(found.code, Some(3), "{:#}", found.report);
    assert!(found.ids().contains(&"GG-ISO-011"), "{:#}", found.report);
}

#[test]
fn a_host_that_nobody_could_look_from_fails() {
    let found = found(&after("ulimit -n 8;", "--no-canary --target tcp=127.0.0.1:1 --budget 3"));
    assert_eq!(found.code, Some(3), "{:#}", found.report);
    assert!(!found.ids().contains(&"GG-ISO-001"), "{:#}", found.report);
}

/// A shell in the closed side of a world, with resolvers of its own.
fn with_resolvers(world: &World, resolvers: &str, words: &str) -> Finished {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), resolvers).unwrap();
    let bind = format!("mount --bind {} /etc/resolv.conf", file.path().display());
    let command = format!("{bind} && exec {} {words}", binary().display());
    let program = Program::new("ip").deadline(Duration::from_mins(1));
    let inside = ["netns", "exec", &world.inside(), "unshare", "--mount", "sh", "-c", &command];
    program.env("GITGRIT_ISOLATION_TARGETS", "public.test:443").options(inside).run(b"").unwrap()
}

const PROBE: &str = "isolation probe --json --host --only-targets --no-canary --budget 12";

#[test]
fn a_resolver_that_is_asked_second_is_waited_for() {
    let Some(world) = World::open() else { return };
    world.outside("iptables -w -A INPUT -d 192.0.2.254 -j DROP");
    let resolvers = "nameserver 192.0.2.254\nnameserver 192.0.2.53\n";
    let words = format!("{PROBE} --target tcp4=public.test:443");
    let found = found(&with_resolvers(&world, resolvers, &words));
    assert_eq!(found.outcomes()["tcp4 public.test:443"], "reachable", "{:#}", found.report);
    let done = with_resolvers(&world, resolvers, "smoketest --check-isolation");
    assert!(out(&done).contains("FAIL  public internet is reachable: TCP public.test:443"), "{}", out(&done));
}

#[test]
fn a_resolver_that_never_answers_proves_nothing() {
    let Some(world) = World::open() else { return };
    world.drop_all(&[]);
    let resolvers = "nameserver 192.0.2.53\nnameserver 192.0.2.254\nnameserver 192.0.2.80\n";
    let found = found(&with_resolvers(&world, resolvers, &format!("{PROBE} --target tcp4=public.test:443")));
    assert_eq!((found.outcomes()["tcp4 public.test:443"].as_str(), found.code), ("broken", Some(3)));
    let done = with_resolvers(&world, resolvers, "smoketest --check-isolation");
    let expected = "WARN  could not probe public.test:443: the resolver did not answer in time";
    assert!(out(&done).contains(expected), "{}", out(&done));
}

#[test]
fn a_resolver_that_fails_is_no_proof_where_no_address_stands_in() {
    let Some(world) = World::new() else { return };
    // Nobody listens there, so that the look-up fails at once.
    let probe = |more: &str| {
        let words = format!("{PROBE} --target tcp4=public.test:443 {more}");
        found(&with_resolvers(&world, "nameserver 192.0.2.53\n", &words))
    };
    assert_eq!(probe("").outcomes()["tcp4 public.test:443"], "broken");
    let found = probe("--target tcp=192.0.2.80:443");
    assert_eq!((found.outcomes()["tcp4 public.test:443"].as_str(), found.code), ("no name", Some(0)));
}

#[test]
fn every_resolver_that_the_system_asks_is_asked() {
    let Some(world) = World::open() else { return };
    let words = format!("{PROBE} --target name=public.test");
    for (resolvers, row, outcome) in [
        ("nameserver 192.0.2.53 # the site's\n", "name4 public.test @192.0.2.53", "reachable"),
        ("# none\n", "name4 public.test @127.0.0.1", "refused"),
        ("nameserver fe80::1\n", "name public.test @fe80::1", "broken"),
        ("nameserver fe80::1%nowhere\n", "name6 public.test @fe80::1%nowhere", "broken"),
    ] {
        let found = found(&with_resolvers(&world, resolvers, &words));
        assert_eq!(found.outcomes().get(row).map(String::as_str), Some(outcome), "{:#}", found.report);
    }
}

#[test]
fn a_hosts_loopback_resolver_is_not_that_of_another_namespace() {
    let Some(world) = World::open() else { return };
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "nameserver 127.0.0.53\nnameserver 192.0.2.53\n").unwrap();
    let command = format!(
        "mount --bind {} /etc/resolv.conf && exec {} isolation probe --json --only-targets --no-canary --budget 6 \
         --netns /run/netns/{} --target name=public.test",
        file.path().display(),
        binary().display(),
        world.inside()
    );
    let words = ["--mount", "sh", "-c", &command];
    let found = found(&Program::new("unshare").deadline(Duration::from_mins(1)).options(words).run(b"").unwrap());
    found.expect(&[("name4 public.test @192.0.2.53", "reachable"), ("name public.test @127.0.0.53", "broken")]);
}

#[test]
fn settings_that_cannot_be_read_are_named() {
    let proxy = serve("no=127.0.0.1:0");
    let folder = tempfile::tempdir().unwrap();
    let info = r#"{"HttpProxy":null,"HttpsProxy":7,"RegistryConfig":{"Mirrors":["http://a b"]}}"#;
    let script = format!("#!/bin/sh\ncase $1 in info) echo '{info}';; esac\n");
    base::file::write_atomic(&folder.path().join("docker"), script.as_bytes(), 0o755).unwrap();
    let config = format!(r#"{{"proxies":{{"default":{{"httpProxy":"http://{proxy}"}}}}}}"#);
    std::fs::write(folder.path().join("config.json"), config).unwrap();
    let program = Program::new(binary().to_str().unwrap())
        .env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()))
        .env("DOCKER_CONFIG", folder.path())
        .env("SANDBOX_DNS", format!("127.0.0.1:{} resolver.acme", proxy.port()))
        .directory(folder.path())
        .options(["isolation", "probe", "--json", "--host", "--no-canary", "--budget", "5"])
        .options(["--target", "tcp=127.0.0.1:1", "--target", "name=x.invalid@127.0.0.1:1"]);
    let found = found(&program.run(b"").unwrap());
    let findings = found.report["findings"].as_array().unwrap().iter();
    let puzzles: Vec<_> = findings.filter(|one| one["id"] == "GG-ISO-016").map(|one| one["subject"].clone()).collect();
    assert_eq!(puzzles, ["SANDBOX_DNS", "docker", "docker"], "{:#}", found.report);
    let row = format!("proxy4 {proxy} CONNECT 127.0.0.1:1");
    assert_eq!(found.outcomes().get(&row).map(String::as_str), Some("refused"), "{:#}", found.report);
}

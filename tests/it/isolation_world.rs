//! The world of an isolation story: a closed side and an outside, each a network namespace, joined by one cable. The
//! addresses are those kept for documentation; no packet of a story is on any other network.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use base::process::{Finished, Program};
use serde_json::Value;

use crate::isolation_outside::Outside;
use crate::require::{self, until};
use crate::site::{binary, out};

/// Everything that a story looks for.
pub(crate) const TARGETS: [&str; 10] = [
    "tcp=192.0.2.80:443",
    "tcp=[2001:db8:2::80]:443",
    "http=192.0.2.80:80",
    "dns=192.0.2.53",
    "dns=[2001:db8:2::53]:53",
    "quic=192.0.2.80:443",
    "quic=[2001:db8:2::80]:443",
    "ntp=192.0.2.80",
    "name=public.test@192.0.2.53",
    "metadata=192.0.2.254:80",
];

/// Everything that the outside serves.
pub(crate) const SERVICES: [&str; 11] = [
    "tcp=192.0.2.80:443",
    "tcp=[2001:db8:2::80]:443",
    "http=192.0.2.80:80",
    "dns=192.0.2.53:53",
    "dns=[2001:db8:2::53]:53",
    "quic=192.0.2.80:443",
    "quic=[2001:db8:2::80]:443",
    "ntp=192.0.2.80:123",
    "tcp=192.0.2.254:80",
    "proxy=198.51.100.1:3128",
    "yes=198.51.100.1:3129",
];

/// The outside's addresses.
const OUTSIDE: [&str; 5] =
    ["192.0.2.80/32", "192.0.2.53/32", "192.0.2.254/32", "2001:db8:2::80/128", "2001:db8:2::53/128"];

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// Two namespaces and their cable; gone when dropped.
pub(crate) struct World {
    name: String,
    outside: Option<Outside>,
}

/// What a probe printed, read back.
pub(crate) struct Found {
    pub(crate) code: Option<i32>,
    pub(crate) report: Value,
}

impl World {
    /// The world with nobody in it; `None` when this machine cannot have one.
    pub(crate) fn new() -> Option<Self> {
        let name = format!("gg{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let tried = run("ip", &["netns", "add", &format!("{name}-in")]);
        if !require::has("netns", tried) {
            return None;
        }
        let world = Self { name, outside: None };
        ip(&format!("netns add {}", world.out()));
        ip(&format!("link add cable netns {} type veth peer name cable netns {}", world.inside(), world.out()));
        for (side, number) in [(world.inside(), 2), (world.out(), 1)] {
            ip(&format!("-n {side} link set lo up"));
            ip(&format!("-n {side} addr add 198.51.100.{number}/24 dev cable"));
            ip(&format!("-n {side} addr add 2001:db8:1::{number}/64 dev cable nodad"));
            ip(&format!("-n {side} link set cable up"));
        }
        ip(&format!("-n {} route add default via 198.51.100.1", world.inside()));
        ip(&format!("-n {} route add default via 2001:db8:1::1", world.inside()));
        for address in OUTSIDE {
            let nodad = if address.contains(':') { " nodad" } else { "" };
            ip(&format!("-n {} addr add {address} dev lo{nodad}", world.out()));
        }
        world.settle();
        // Each "no" shall come, however many there are.
        for setting in ["net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0"] {
            world.outside(&format!("sysctl -qw {setting}"));
        }
        Some(world)
    }

    /// Waits until the cable carries both versions: the kernel tells itself late that a link is up.
    fn settle(&self) {
        for side in [self.inside(), self.out()] {
            until(10, "the cable", || {
                let show = ["-n", &side, "addr", "show", "dev", "cable"];
                let done = Program::new("ip").options(show).run(b"").unwrap();
                let text = out(&done);
                (text.contains("state UP") && !text.contains("tentative")).then_some(())
            });
        }
    }

    /// The world with its outside awake.
    pub(crate) fn open() -> Option<Self> {
        let mut world = Self::new()?;
        world.outside = Some(Outside::serve(&world.out(), &SERVICES));
        Some(world)
    }

    /// Some more services on the outside.
    pub(crate) fn also(&self, services: &[&str]) -> Outside {
        Outside::serve(&self.out(), services)
    }

    /// The closed side's name.
    pub(crate) fn inside(&self) -> String {
        format!("{}-in", self.name)
    }

    /// The outside's name.
    pub(crate) fn out(&self) -> String {
        format!("{}-out", self.name)
    }

    /// Adds a rule of this chain on the outside, for both versions.
    pub(crate) fn filter(&self, rule: &str) {
        for table in ["iptables", "ip6tables"] {
            self.outside(&format!("{table} -w {rule}"));
        }
    }

    /// Runs a command on the outside.
    pub(crate) fn outside(&self, command: &str) {
        let own = format!("netns exec {} {command}", self.out());
        ip(&own);
    }

    /// Everything that comes to the outside is dropped, but for what `but` accepts.
    pub(crate) fn drop_all(&self, but: &[&str]) {
        for accepted in but {
            self.filter(&format!("-A INPUT {accepted} -j ACCEPT"));
        }
        for protocol in ["tcp", "udp"] {
            self.filter(&format!("-A INPUT -i cable -p {protocol} -j DROP"));
        }
    }

    /// What the probe finds from the closed side: entering it, and started inside it. Both must say the same.
    pub(crate) fn probe(&self, more: &[&str]) -> Found {
        let namespace = format!("/run/netns/{}", self.inside());
        let entered = found(&arguments(&["--netns", &namespace], more).run(b"").unwrap());
        let words = words(&["--host"], more);
        let inside = Program::new("ip")
            .deadline(Duration::from_mins(1))
            .options(["netns", "exec", &self.inside(), binary().to_str().unwrap()])
            .options(words);
        let started = found(&inside.run(b"").unwrap());
        assert_eq!((entered.outcomes(), entered.code), (started.outcomes(), started.code));
        entered
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.outside = None;
        for side in [self.inside(), self.out()] {
            let _ = run("ip", &["netns", "del", &side]);
        }
    }
}

impl Found {
    /// Kind, version and target of each row, and how it ended.
    pub(crate) fn outcomes(&self) -> BTreeMap<String, String> {
        let rows = self.report["vantages"][0]["rows"].as_array().unwrap_or_else(|| panic!("{:#}", self.report));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let row = |row: &Value| {
            (format!("{}{} {}", text(&row["kind"]), text(&row["family"]), text(&row["target"])), text(&row["outcome"]))
        };
        rows.iter().map(row).collect()
    }

    /// Panics unless each row ended as the first of `rules` says whose word it begins with.
    pub(crate) fn expect(&self, rules: &[(&str, &str)]) {
        assert!(!self.outcomes().is_empty(), "nobody looked: {:#}", self.report);
        for (row, outcome) in self.outcomes() {
            let rule = rules.iter().find(|(start, _)| row.starts_with(start));
            let (_, expected) = rule.unwrap_or_else(|| panic!("no rule for {row}"));
            assert_eq!(outcome, *expected, "{row}\n{:#}", self.report);
        }
    }

    /// Says whether the budget ended before everything was seen.
    pub(crate) fn is_out_of_time(&self) -> bool {
        self.report.to_string().contains("the budget ended first")
    }

    /// The ids of the findings.
    pub(crate) fn ids(&self) -> Vec<&str> {
        let findings = self.report["findings"].as_array().unwrap();
        findings.iter().map(|finding| finding["id"].as_str().unwrap()).collect()
    }
}

/// The probe with every target and canary of the story's own.
pub(crate) fn arguments(from: &[&str], more: &[&str]) -> Program {
    Program::new(binary().to_str().unwrap()).deadline(Duration::from_mins(1)).options(words(from, more))
}

fn words(from: &[&str], more: &[&str]) -> Vec<String> {
    let budget = if more.contains(&"--budget") { &[][..] } else { &["--budget", "7"] };
    let fixed = [&["isolation", "probe", "--json", "--only-targets"], budget].concat();
    let canaries = ["--canary", "203.0.113.7", "--canary", "2001:db8:3::7"];
    let targets = TARGETS.iter().flat_map(|target| ["--target", *target]);
    let all = fixed.into_iter().chain(canaries).chain(from.iter().copied()).chain(targets).chain(more.iter().copied());
    all.map(str::to_owned).collect()
}

/// Reads what the probe printed.
pub(crate) fn found(done: &Finished) -> Found {
    let text = out(done);
    let report = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}{}", done.stderr));
    Found { code: done.status.code(), report }
}

/// Runs `ip` with these words.
pub(crate) fn ip(words: &str) {
    run("ip", &words.split(' ').collect::<Vec<_>>()).unwrap();
}

/// Runs a program to its end.
pub(crate) fn run(name: &str, words: &[&str]) -> Result<(), String> {
    let done = Program::new(name).options(words).run(b"").map_err(|error| error.to_string())?;
    if done.status.success() { Ok(()) } else { Err(format!("{name} {}: {}", words.join(" "), done.stderr)) }
}

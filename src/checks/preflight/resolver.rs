//! The resolvers: those of this host and those of the sandboxes. Sends each one question over UDP, for a name of the settings
//! or for `localhost`, and follows no answer.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use base::Finding;

use super::{World, text};
use crate::catalogue::{self, Known};
use crate::check::Check;
use crate::text::line;

/// How long a resolver may take.
const DEADLINE: Duration = Duration::from_millis(1200);
/// The C library asks no more than so many.
const ASKED: usize = 3;
/// Where Docker's own resolver is, inside containers.
const EMBEDDED: &str = "127.0.0.11";

pub(super) static CHECKS: [Check<World>; 5] = [
    Check::new(&catalogue::NET_RESOLVER, "/etc/resolv.conf", |_| listed()),
    Check::new(&catalogue::NET_RESOLVER_LOOPBACK, "resolvers for containers", loopback),
    Check::new(&catalogue::NET_RESOLVER_ANSWERS, "resolvers", |world| {
        answers(world, &catalogue::NET_RESOLVER_ANSWERS, &servers())
    }),
    Check::new(&catalogue::NET_SANDBOX_RESOLVERS, "SANDBOX_DNS", sandboxes),
    Check::new(&catalogue::NET_NAME_SWITCH, "/etc/nsswitch.conf", |_| name_switch()),
];

fn servers() -> Vec<String> {
    servers_in(&text("/etc/resolv.conf").unwrap_or_default())
}

/// resolv.conf(5): comments begin in the first column.
fn servers_in(text: &str) -> Vec<String> {
    let words = text.lines().filter(|line| !line.starts_with(['#', ';'])).map(str::split_whitespace);
    words
        .filter_map(|mut words| if words.next()? == "nameserver" { words.next().map(str::to_owned) } else { None })
        .collect()
}

fn listed() -> Vec<Finding> {
    let known = &catalogue::NET_RESOLVER;
    let path = "/etc/resolv.conf";
    if text(path).is_none() {
        return known.fails(path, "is not there");
    }
    let servers = servers();
    match servers.len() {
        0 => known.fails(path, "names no resolver"),
        count if count > ASKED => known.warns(path, format!("names {count} resolvers, and the first three are asked")),
        _ => known.fine(path, line(&servers.join(", "))),
    }
}

fn is_local(server: &str) -> bool {
    server.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Says whether the engine gives its containers other resolvers than this host's: those of its own settings, or those that
/// systemd-resolved asks, which it takes where resolv.conf names that alone.
fn has_others(servers: &[String]) -> bool {
    let settings =
        text("/etc/docker/daemon.json").and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
    let given = settings.and_then(|settings| settings.get("dns")?.as_array().map(|list| !list.is_empty()));
    let is_systemds = servers.iter().all(|server| server == "127.0.0.53");
    let behind = || servers_in(&text("/run/systemd/resolve/resolv.conf").unwrap_or_default());
    given.unwrap_or_default() || (is_systemds && behind().iter().any(|server| !is_local(server)))
}

fn loopback(world: &World) -> Vec<Finding> {
    let known = &catalogue::NET_RESOLVER_LOOPBACK;
    let servers = servers();
    if servers.is_empty() {
        return known.unseen("/etc/resolv.conf", "names no resolver");
    }
    if servers.iter().any(|server| server == EMBEDDED) {
        return known.warns(EMBEDDED, "is Docker's own resolver: this looks like the inside of a container");
    }
    if servers.iter().all(|server| is_local(server)) {
        let subject = line(&servers.join(", "));
        if has_others(&servers) {
            return known.fine(subject, "is for this host alone, and the engine gives containers others");
        }
        let others = if world.setting("SANDBOX_DNS").is_some() { "; SANDBOX_DNS is for sandboxes alone" } else { "" };
        return known.warns(subject, format!("is reached on this host's loopback alone{others}"));
    }
    known.fine("/etc/resolv.conf", "names resolvers that containers reach as well")
}

fn sandboxes(world: &World) -> Vec<Finding> {
    let known = &catalogue::NET_SANDBOX_RESOLVERS;
    let Some(list) = world.setting("SANDBOX_DNS") else { return known.unseen("SANDBOX_DNS", "is not set") };
    let servers: Vec<_> = list.split(',').map(|server| server.trim().to_owned()).collect();
    answers(world, known, &servers)
}

fn answers(world: &World, known: &'static Known, servers: &[String]) -> Vec<Finding> {
    let name = world.address("SITE_URL").map_or_else(|| "localhost".to_owned(), |url| url.host().to_owned());
    let name = if name.parse::<IpAddr>().is_ok() || name.starts_with('[') { "localhost".to_owned() } else { name };
    let mut findings = Vec::new();
    let mut addresses: Vec<IpAddr> = Vec::new();
    for server in servers.iter().take(ASKED) {
        match server.parse() {
            Ok(address) => addresses.push(address),
            Err(_) if server.contains('%') => {
                findings.extend(known.unseen(line(server), "is of one device alone, and is not asked here"));
            }
            Err(_) => findings.extend(known.fails(line(server), "is no address")),
        }
    }
    if addresses.is_empty() && findings.is_empty() {
        return known.unseen("resolvers", "none is named");
    }
    let results: Vec<_> = std::thread::scope(|scope| {
        let asked: Vec<_> = addresses.iter().map(|address| scope.spawn(|| ask(*address, &name))).collect();
        asked
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("the question ended early".into())))
            .collect()
    });
    let silent = results.iter().filter(|result| result.is_err()).count();
    for (address, result) in addresses.iter().zip(results) {
        let subject = address.to_string();
        match result {
            Ok(_) => findings.extend(known.fine(subject, "answers")),
            // With another that answers, names are found, and each takes seconds.
            Err(reason) if silent < addresses.len() => findings.extend(known.warns(subject, reason)),
            Err(reason) => findings.extend(known.fails(subject, reason)),
        }
    }
    findings
}

/// One question, of type A, with recursion wanted (RFC 1035, 4.1).
fn question(name: &str, id: u16) -> Vec<u8> {
    let mut packet = id.to_be_bytes().to_vec();
    packet.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.trim_end_matches('.').split('.') {
        let label: Vec<u8> = label.bytes().take(63).collect();
        packet.push(u8::try_from(label.len()).unwrap_or(0));
        packet.extend(label);
    }
    packet.extend([0, 0, 1, 0, 1]);
    packet
}

/// What a resolver says of a name that it knows, and of one that nobody gave away (RFC 1035, 4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Known,
    NotThere,
}

/// What the first of this host's resolvers that answers says of a name; none answers where there is `None`.
pub(super) fn told(name: &str) -> Option<Said> {
    let addresses: Vec<IpAddr> = servers().iter().take(ASKED).filter_map(|server| server.parse().ok()).collect();
    std::thread::scope(|scope| {
        let asked: Vec<_> = addresses.iter().map(|address| scope.spawn(|| ask(*address, name))).collect();
        asked.into_iter().find_map(|thread| thread.join().ok()?.ok())
    })
}

/// What the resolver answers; that nobody gave the name away is an answer too.
fn ask(server: IpAddr, name: &str) -> Result<Said, String> {
    let said = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => "does not answer".to_owned(),
        std::io::ErrorKind::ConnectionRefused => "nobody listens there".to_owned(),
        _ => error.to_string(),
    };
    let own: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(own).map_err(said)?;
    socket.set_read_timeout(Some(DEADLINE)).map_err(said)?;
    socket.connect((server, 53)).map_err(said)?;
    let id = 0x4747;
    socket.send(&question(name, id)).map_err(said)?;
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer).map_err(said)?;
    match answer.get(..length) {
        Some([high, low, flags, code, ..]) if [*high, *low] == id.to_be_bytes() && flags & 0x80 != 0 => {
            match code & 0xf {
                0 => Ok(Said::Known),
                3 => Ok(Said::NotThere),
                5 => Err("refuses to answer this host".into()),
                code => Err(format!("answers with error {code}")),
            }
        }
        _ => Err("answers with something else".into()),
    }
}

fn name_switch() -> Vec<Finding> {
    let known = &catalogue::NET_NAME_SWITCH;
    let path = "/etc/nsswitch.conf";
    let Some(text) = text(path) else { return known.fine(path, "is not there, so files and resolvers are asked") };
    let hosts = text.lines().find_map(|line| line.trim().strip_prefix("hosts:"));
    match hosts {
        None => known.fine(path, "says nothing of hosts, so files and resolvers are asked"),
        Some(hosts) if !hosts.split_whitespace().any(|word| ["dns", "resolve"].contains(&word)) => {
            known.warns(path, format!("asks{} for hosts, and no resolver", line(hosts)))
        }
        Some(hosts) if !hosts.split_whitespace().any(|word| ["files", "myhostname"].contains(&word)) => {
            known.warns(path, format!("asks{} for hosts, and not /etc/hosts", line(hosts)))
        }
        Some(hosts) => known.fine(path, line(hosts.trim())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolvers_are_read_as_the_library_reads_them() {
        let text =
            "# nameserver 1\n;nameserver 2\nsearch a\nnameserver 10.0.0.1\n nameserver\t::1 # x\nnameserverx 3\n";
        assert_eq!(servers_in(text), ["10.0.0.1", "::1"]);
    }

    #[test]
    fn a_question_is_one_name_of_type_a() {
        let packet = question("a.bc", 7);
        assert_eq!(packet, [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'a', 2, b'b', b'c', 0, 0, 1, 0, 1]);
    }
}

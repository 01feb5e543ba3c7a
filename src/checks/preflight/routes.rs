//! The ways out of this host, against the networks that the engine makes: overlaps, and packets too large for the way. Reads
//! /proc and /sys; sends nothing.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs, UdpSocket};

use base::Finding;

use super::engine::Network;
use super::{World, text};
use crate::catalogue;
use crate::check::Check;
use crate::text::line;

/// What a bridge takes when nobody says.
const USUAL: u32 = 1500;

pub(super) static CHECKS: [Check<World>; 4] = [
    Check::new(&catalogue::NET_OVERLAP, "networks of the engine", overlap).patient(6),
    Check::new(&catalogue::NET_POOLS, "address pools of the engine", pools).patient(6),
    Check::new(&catalogue::NET_PACKET_SIZE, "packet size of bridges", packet_size).patient(6),
    Check::new(&catalogue::NET_IPV6, "IPv6", |_| ipv6()),
];

/// A range of addresses of one family; those of IPv4 are the low 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    is_v6: bool,
    address: u128,
    bits: u32,
}

/// A way: to which network, and by which device.
#[derive(Debug, PartialEq, Eq)]
struct Route {
    device: String,
    range: Range,
}

impl Range {
    /// `10.0.0.0/24` or `fd00::/64`.
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let (is_v6, address, width) = match address.parse().ok()? {
            IpAddr::V4(address) => (false, u32::from(address).into(), 32),
            IpAddr::V6(address) => (true, address.into(), 128),
        };
        Some(Self { is_v6, address, bits: bits.parse().ok().filter(|bits| *bits <= width)? })
    }

    const fn width(self) -> u32 {
        if self.is_v6 { 128 } else { 32 }
    }

    /// Says whether two share addresses: as far as the shorter mask goes they are the same.
    fn meets(self, other: Self) -> bool {
        let unlike = self.width() - self.bits.min(other.bits);
        self.is_v6 == other.is_v6
            && (self.address ^ other.address).checked_shr(unlike).is_none_or(|difference| difference == 0)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match u32::try_from(self.address).ok().filter(|_| !self.is_v6) {
            Some(address) => write!(out, "{}/{}", Ipv4Addr::from(address), self.bits),
            None => write!(out, "{}/{}", Ipv6Addr::from(self.address), self.bits),
        }
    }
}

/// /proc/net/route: addresses in hexadecimal, in the order of this machine's bytes.
fn routes(text: &str) -> Vec<Route> {
    let number = |field: &str| u32::from_str_radix(field, 16).ok().map(u32::swap_bytes);
    let row = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (device, network, mask) = (fields.first()?, number(fields.get(1)?)?, number(fields.get(7)?)?);
        let range = Range { is_v6: false, address: network.into(), bits: mask.count_ones() };
        Some(Route { device: (*device).to_owned(), range })
    };
    text.lines().skip(1).filter_map(row).collect()
}

/// /proc/net/ipv6_route: addresses in hexadecimal as they are written, lengths in hexadecimal. What every device has, its own
/// link and the groups, leads nowhere.
fn routes_v6(text: &str) -> Vec<Route> {
    let everywhere = ["fe80::/10", "ff00::/8"].map(Range::parse);
    let row = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let address = u128::from_str_radix(fields.first()?, 16).ok()?;
        let range = Range { is_v6: true, address, bits: u32::from_str_radix(fields.get(1)?, 16).ok()? };
        let is_own = !everywhere.iter().flatten().any(|link| link.meets(range)) || range.bits == 0;
        is_own.then(|| fields.get(9).map(|device| Route { device: (*device).to_owned(), range }))?
    };
    text.lines().filter_map(row).filter(|route| route.device != "lo").collect()
}

/// Says whether a device is a bridge that some engine made for a network: its name is the beginning of the network's id.
fn is_engines(device: &str) -> bool {
    let id = device.strip_prefix("br-");
    device == "docker0" || id.is_some_and(|id| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The first way of the host's own that leads into `wanted`. Default routes lead everywhere and do not count, nor do those
/// that the engine made for its bridges.
fn met<'r>(routes: &'r [Route], wanted: Range, bridges: &[String]) -> Option<&'r Route> {
    let own = routes.iter().filter(|route| route.range.bits > 0 && !bridges.contains(&route.device));
    let mut own = own.filter(|route| !is_engines(&route.device));
    own.find(|route| route.range.meets(wanted))
}

fn shown(route: &Route) -> String {
    format!("{} on {}", route.range, line(&route.device))
}

/// The devices of the engine's own bridges.
fn bridges(networks: &[Network]) -> Vec<String> {
    let named = |network: &Network| network.options.get("com.docker.network.bridge.name").cloned();
    networks.iter().map(|network| named(network).unwrap_or_else(|| format!("br-{:.12}", network.id))).collect()
}

fn own_routes() -> Vec<Route> {
    let mut all = routes(&text("/proc/net/route").unwrap_or_default());
    all.extend(routes_v6(&text("/proc/net/ipv6_route").unwrap_or_default()));
    all
}

fn overlap(world: &World) -> Vec<Finding> {
    let known = &catalogue::NET_OVERLAP;
    let networks = match world.networks() {
        Ok(networks) => networks,
        Err(reason) => return known.unseen("networks of the engine", reason.clone()),
    };
    let (routes, bridges) = (own_routes(), bridges(networks));
    let (mut findings, mut compared) = (Vec::new(), 0);
    for network in networks {
        for part in &network.addresses.config {
            let Some(wanted) = Range::parse(&part.subnet) else { continue };
            compared += 1;
            if let Some(route) = met(&routes, wanted, &bridges) {
                let message = format!("{} meets this host's way to {}", line(&part.subnet), shown(route));
                findings.extend(known.fails(line(&network.name), message));
            }
        }
    }
    if findings.is_empty() {
        known.fine("networks of the engine", format!("{compared} ranges, beside the host's own ways"))
    } else {
        findings
    }
}

fn pools(world: &World) -> Vec<Finding> {
    let known = &catalogue::NET_POOLS;
    let subject = "address pools of the engine";
    let Ok(info) = world.engine() else { return known.unseen(subject, "the engine does not answer") };
    let routes = own_routes();
    let bridges = world.networks().map(|networks| bridges(networks)).unwrap_or_default();
    let mut findings = Vec::new();
    for pool in &info.default_address_pools {
        if let Some(route) = Range::parse(&pool.base).and_then(|wanted| met(&routes, wanted, &bridges)) {
            findings.extend(known.fails(line(&pool.base), format!("meets this host's way to {}", shown(route))));
        }
    }
    if !findings.is_empty() {
        return findings;
    }
    match info.default_address_pools.len() {
        0 => known.fine(subject, "are the engine's usual ones"),
        count => known.fine(subject, format!("{count}, beside the host's own ways")),
    }
}

/// The largest packet of the device that the default route goes by; `None` without one.
fn way_out() -> Option<(String, u32)> {
    let device = own_routes().into_iter().find(|route| route.range.bits == 0)?.device;
    let size = text(format!("/sys/class/net/{device}/mtu"))?.trim().parse().ok()?;
    Some((device, size))
}

fn packet_size(world: &World) -> Vec<Finding> {
    let known = &catalogue::NET_PACKET_SIZE;
    let Some((device, most)) = way_out() else {
        return known.unseen("packet size of bridges", "there is no default route to compare with");
    };
    let networks = match world.networks() {
        Ok(networks) => networks,
        Err(reason) => return known.unseen("packet size of bridges", reason.clone()),
    };
    let mut findings = Vec::new();
    for network in networks.iter().filter(|network| network.driver == "bridge") {
        let given = network.options.get("com.docker.network.driver.mtu");
        let size = given.and_then(|size| size.parse().ok()).unwrap_or(USUAL);
        if size > most {
            let message = format!("sends packets of {size} bytes, and {} takes {most}", line(&device));
            findings.extend(known.warns(line(&network.name), message));
        }
    }
    if findings.is_empty() {
        known.fine("packet size of bridges", format!("fits {} ({most})", line(&device)))
    } else {
        findings
    }
}

fn ipv6() -> Vec<Finding> {
    let known = &catalogue::NET_IPV6;
    let has = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    let is_named = ("localhost", 0).to_socket_addrs().is_ok_and(|mut found| found.any(|address| address.is_ipv6()));
    match (has, is_named) {
        (false, true) => known.warns("IPv6", "is off, and `localhost` is ::1 as well"),
        (false, false) => known.fine("IPv6", "is off, and nothing says otherwise"),
        (true, _) => known.fine("IPv6", "is on"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the kernel of a host with one network and a bridge prints it.
    const TABLE: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
        eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
        docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
        eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";

    #[test]
    fn ways_of_the_host_are_met_and_those_of_bridges_are_not() {
        let routes = routes(TABLE);
        assert_eq!(routes.len(), 3);
        let met = |text: &str| met(&routes, Range::parse(text).unwrap(), &[]).map(shown);
        assert_eq!(met("192.0.2.128/25").as_deref(), Some("192.0.2.0/24 on eth0"));
        assert_eq!(met("192.0.0.0/16").as_deref(), Some("192.0.2.0/24 on eth0"));
        assert_eq!((met("172.17.0.0/16"), met("198.51.100.0/24"), met("fd00::/8")), (None, None, None));
        let devices = ["docker0", "br-0123456789ab", "br-lan", "br-office", "br-0123456789xyz"];
        assert_eq!(devices.map(is_engines), [true, true, false, false, false]);
    }

    /// As the kernel of a host with an address and a default route of IPv6 prints it.
    #[test]
    fn ways_of_the_other_family_are_met_as_well() {
        let zero = "00000000000000000000000000000000";
        let row = |network: &str, bits: &str, device: &str| {
            format!("{network} {bits} {zero} 00 {zero} 00000100 00000001 00000000 00000001     {device}\n")
        };
        let table = row("20010db8000000000000000000000000", "40", "eth0")
            + &row("fe800000000000000000000000000000", "40", "eth0")
            + &row("ff000000000000000000000000000000", "08", "eth0")
            + &row(zero, "00", "eth0")
            + &row("20010db8000000000000000000000007", "80", "lo");
        let routes = routes_v6(&table);
        assert_eq!(routes.len(), 2);
        let met = |text: &str| met(&routes, Range::parse(text).unwrap(), &[]).map(shown);
        assert_eq!(met("2001:db8::/32").as_deref(), Some("2001:db8::/64 on eth0"));
        assert_eq!((met("fd00::/8"), met("32.1.13.184/32")), (None, None));
    }

    #[test]
    fn networks_share_addresses_when_one_holds_the_other() {
        for (one, other, expected) in [
            ("10.0.0.0/8", "10.1.0.0/16", true),
            ("10.1.0.0/16", "10.0.0.0/8", true),
            ("10.1.0.0/16", "10.2.0.0/16", false),
            ("0.0.0.0/0", "10.2.0.0/16", true),
            ("::/0", "fd00::/8", true),
            ("fd00::/8", "fd00:1::/32", true),
        ] {
            assert_eq!(Range::parse(one).unwrap().meets(Range::parse(other).unwrap()), expected, "{one} {other}");
        }
        assert_eq!(
            (Range::parse("fd00::/129"), Range::parse("10.0.0.0/33"), Range::parse("10.0.0.0")),
            (None, None, None)
        );
    }
}

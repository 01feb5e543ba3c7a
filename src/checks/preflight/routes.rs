//! The ways out of this host, against the networks that the engine makes: overlaps, and packets too large for the way. Reads
//! /proc and /sys; sends nothing.

use std::net::{Ipv4Addr, Ipv6Addr, ToSocketAddrs, UdpSocket};

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

/// A way: to which network, and by which device.
#[derive(Debug, PartialEq, Eq)]
struct Route {
    device: String,
    network: u32,
    bits: u32,
}

/// /proc/net/route: addresses in hexadecimal, in the order of this machine's bytes.
fn routes(text: &str) -> Vec<Route> {
    let number = |field: &str| u32::from_str_radix(field, 16).ok().map(u32::swap_bytes);
    let row = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (device, network, mask) = (fields.first()?, number(fields.get(1)?)?, number(fields.get(7)?)?);
        Some(Route { device: (*device).to_owned(), network, bits: mask.count_ones() })
    };
    text.lines().skip(1).filter_map(row).collect()
}

/// `10.0.0.0/24` as number and bits; `None` for IPv6.
fn subnet(text: &str) -> Option<(u32, u32)> {
    let (address, bits) = text.split_once('/')?;
    Some((address.parse::<Ipv4Addr>().ok()?.into(), bits.parse().ok().filter(|bits| *bits <= 32)?))
}

/// Says whether two networks share addresses: as far as the shorter mask goes they are the same.
fn is_shared((one, first): (u32, u32), (other, second): (u32, u32)) -> bool {
    let bits = first.min(second);
    (one ^ other).checked_shr(32 - bits).is_none_or(|difference| difference == 0)
}

/// The first way of the host's own that leads into `wanted`. Default routes lead everywhere and do not count, nor do those
/// that the engine made for its bridges.
fn met<'r>(routes: &'r [Route], wanted: (u32, u32), bridges: &[String]) -> Option<&'r Route> {
    let own = routes.iter().filter(|route| route.bits > 0 && !bridges.contains(&route.device));
    let mut own = own.filter(|route| !route.device.starts_with("br-") && route.device != "docker0");
    own.find(|route| is_shared((route.network, route.bits), wanted))
}

fn shown(route: &Route) -> String {
    format!("{}/{} on {}", Ipv4Addr::from(route.network), route.bits, line(&route.device))
}

/// The devices of the engine's own bridges.
fn bridges(networks: &[Network]) -> Vec<String> {
    let named = |network: &Network| network.options.get("com.docker.network.bridge.name").cloned();
    networks.iter().map(|network| named(network).unwrap_or_else(|| format!("br-{:.12}", network.id))).collect()
}

fn own_routes() -> Vec<Route> {
    routes(&text("/proc/net/route").unwrap_or_default())
}

fn overlap(world: &World) -> Vec<Finding> {
    let known = &catalogue::NET_OVERLAP;
    let networks = match world.networks() {
        Ok(networks) => networks,
        Err(reason) => return known.unseen("networks of the engine", reason.clone()),
    };
    let (routes, bridges) = (own_routes(), bridges(networks));
    let mut findings = Vec::new();
    for network in networks {
        for part in &network.addresses.config {
            if let Some(route) = subnet(&part.subnet).and_then(|wanted| met(&routes, wanted, &bridges)) {
                let message = format!("{} meets this host's way to {}", line(&part.subnet), shown(route));
                findings.extend(known.fails(line(&network.name), message));
            }
        }
    }
    if findings.is_empty() {
        known.fine("networks of the engine", format!("{} beside the host's own ways", networks.len()))
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
        if let Some(route) = subnet(&pool.base).and_then(|wanted| met(&routes, wanted, &bridges)) {
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
    let device = own_routes().into_iter().find(|route| route.bits == 0)?.device;
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
        let met = |text: &str| met(&routes, subnet(text).unwrap(), &[]).map(shown);
        assert_eq!(met("192.0.2.128/25").as_deref(), Some("192.0.2.0/24 on eth0"));
        assert_eq!(met("192.0.0.0/16").as_deref(), Some("192.0.2.0/24 on eth0"));
        assert_eq!((met("172.17.0.0/16"), met("198.51.100.0/24")), (None, None));
    }

    #[test]
    fn networks_share_addresses_when_one_holds_the_other() {
        for (one, other, expected) in [
            ("10.0.0.0/8", "10.1.0.0/16", true),
            ("10.1.0.0/16", "10.0.0.0/8", true),
            ("10.1.0.0/16", "10.2.0.0/16", false),
            ("0.0.0.0/0", "10.2.0.0/16", true),
        ] {
            assert_eq!(is_shared(subnet(one).unwrap(), subnet(other).unwrap()), expected, "{one} {other}");
        }
        assert_eq!((subnet("fd00::/8"), subnet("10.0.0.0/33"), subnet("10.0.0.0")), (None, None, None));
    }
}

//! The ports of the site: free, or its own server's. Binds them for a moment, and lets go.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use base::Finding;
use base::file::Lock;
use base::site::SiteDir;

use super::{World, text};
use crate::catalogue::{self, Known};
use crate::check::Check;

/// Where an embedded site listens when nobody says.
const HTTP: u16 = 8828;
const SSH: u16 = 2424;
/// How long this host may take to answer itself.
const KNOCK: Duration = Duration::from_millis(800);

pub(super) static CHECKS: [Check<World>; 4] = [
    Check::new(&catalogue::NET_HTTP_PORT, "port for HTTP", |world| {
        free(world, &catalogue::NET_HTTP_PORT, http_port(world))
    }),
    Check::new(&catalogue::NET_SSH_PORT, "port for SSH", |world| {
        free(world, &catalogue::NET_SSH_PORT, ssh_port(world))
    }),
    Check::new(&catalogue::NET_PORT_RANGE, "ports of outgoing connections", range),
    Check::new(&catalogue::NET_LOOPBACK, "loopback", |_| loopback()),
];

/// The port of this host that people open.
fn http_port(world: &World) -> u16 {
    let published = || world.setting("APP_PORT").and_then(|port| port.parse().ok());
    let address = || world.address("SITE_URL").map(|url| url.port());
    world.asked.http_port.or_else(published).or_else(address).unwrap_or(HTTP)
}

fn ssh_port(world: &World) -> u16 {
    world.asked.ssh_port.or_else(|| world.setting("SSH_PORT")?.parse().ok()).unwrap_or(SSH)
}

fn free(world: &World, known: &'static Known, port: u16) -> Vec<Finding> {
    let subject = format!("port {port}");
    if Lock::is_held(&SiteDir::new(&world.asked.site).serve_lock()) {
        return known.fine(subject, "this site's own server runs");
    }
    let addresses: [SocketAddr; 2] = [(Ipv4Addr::UNSPECIFIED, port).into(), (Ipv6Addr::UNSPECIFIED, port).into()];
    for address in addresses {
        match TcpListener::bind(address).map_err(|error| error.kind()) {
            Err(ErrorKind::AddrInUse) => return known.fails(subject, "something on this host listens on it"),
            Err(ErrorKind::PermissionDenied) => return known.fails(subject, "this user may not listen on it"),
            // A host without IPv6 has no such address to bind.
            Ok(_) | Err(_) => {}
        }
    }
    known.fine(subject, "is free")
}

fn range(world: &World) -> Vec<Finding> {
    let known = &catalogue::NET_PORT_RANGE;
    let text = text("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut numbers = text.split_whitespace().map(str::parse::<u16>);
    let (Some(Ok(first)), Some(Ok(last))) = (numbers.next(), numbers.next()) else {
        return known.unseen("net.ipv4.ip_local_port_range", "is not readable");
    };
    let reserved = super::text("/proc/sys/net/ipv4/ip_local_reserved_ports").unwrap_or_default();
    let is_reserved = |port: u16| reserved.trim().split(',').any(|part| part == port.to_string());
    let inside = |port: &u16| (first..=last).contains(port) && !is_reserved(*port);
    let taken: Vec<_> = [http_port(world), ssh_port(world)].into_iter().filter(inside).collect();
    match taken.first() {
        None => known.fine("net.ipv4.ip_local_port_range", format!("{first} to {last}")),
        Some(port) => known.warns(
            "net.ipv4.ip_local_port_range",
            format!("{first} to {last}: an outgoing connection may take port {port} before the site does"),
        ),
    }
}

fn loopback() -> Vec<Finding> {
    let known = &catalogue::NET_LOOPBACK;
    let way = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| {
        let address = listener.local_addr()?;
        TcpStream::connect_timeout(&address, KNOCK)
    });
    match way {
        Ok(_) => known.fine("loopback", "is up"),
        Err(error) => known.fails("loopback", format!("127.0.0.1 cannot be reached: {error}")),
    }
}

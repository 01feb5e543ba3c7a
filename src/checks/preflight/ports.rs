//! The ports of the site: free, or its own server's. Binds them for a moment, and lets go.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use base::Finding;
use base::envfile::Values;
use base::file::Lock;
use base::site::SiteDir;

use super::{World, text};
use crate::catalogue::{self, Known};
use crate::check::Check;
use crate::env_ports;
use crate::env_whole::is_stack;

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

/// The settings that decide where the site listens. One that is to run without an engine is no stack, whatever they say.
fn deciding(world: &World) -> Values {
    let stack = if world.asked.is_embedded { &[][..] } else { &["TAG", "APP_PORT"] };
    let names = ["SITE_URL", "TRUSTED_PROXIES", "SSH_PORT"].iter().chain(stack);
    names.filter_map(|name| Some((*name, world.setting(name)?))).collect()
}

fn port_of(world: &World, names: &[&str]) -> Option<u16> {
    let wanted = env_ports::wanted(&deciding(world));
    wanted.into_iter().find(|(name, _)| names.contains(name)).map(|(_, port)| port)
}

/// The port of this host that the site, or its stack, listens on.
fn http_port(world: &World) -> u16 {
    world.asked.http_port.or_else(|| port_of(world, &["APP_PORT", "SITE_URL"])).unwrap_or(HTTP)
}

fn ssh_port(world: &World) -> u16 {
    world.asked.ssh_port.or_else(|| port_of(world, &["SSH_PORT"])).unwrap_or(SSH)
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
            Err(ErrorKind::PermissionDenied) if env_ports::taken().contains(&port) => {
                return known.fails(subject, "something on this host listens on it");
            }
            Err(ErrorKind::PermissionDenied) if is_stack(&deciding(world)) => {
                return known
                    .unseen(subject, "is the engine's to listen on; nothing listens there that this user sees");
            }
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
    let inside = |port: &u16| (first..=last).contains(port) && !is_in(&reserved, *port);
    let taken: Vec<_> = [http_port(world), ssh_port(world)].into_iter().filter(inside).collect();
    match taken.first() {
        None => known.fine("net.ipv4.ip_local_port_range", format!("{first} to {last}")),
        Some(port) => known.warns(
            "net.ipv4.ip_local_port_range",
            format!("{first} to {last}: an outgoing connection may take port {port} before the site does"),
        ),
    }
}

/// Says whether a list of the kernel's, of ports and ranges like `2400-9000`, has this one.
fn is_in(list: &str, port: u16) -> bool {
    list.trim().split(',').any(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        matches!((first.parse::<u16>(), last.parse::<u16>()), (Ok(first), Ok(last)) if (first..=last).contains(&port))
    })
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

//! Which ports a site will listen on, and whether something on this host listens there already. Opens no port itself: it
//! reads the kernel's own list, which holds every address and both families.

use std::collections::BTreeSet;

use base::envfile::Values;
use base::url::BaseUrl;
use base::{Finding, Severity};

use crate::catalogue;
use crate::env_whole::{effective, given, is_stack};

/// The kernel's lists of TCP sockets, for IPv4 and IPv6.
const TABLES: [&str; 2] = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];

/// The state of a socket that listens, as the kernel writes it.
const LISTENS: &str = "0A";

/// Ports of the site that something listens on now, whichever its address.
pub(crate) fn busy(values: &Values) -> Vec<Finding> {
    let taken = taken();
    let found = |(name, port): (&str, u16)| {
        catalogue::ENV_PORT_BUSY.found(Severity::Error, name, format!("port {port} is in use on this host"))
    };
    wanted(values).into_iter().filter(|(_, port)| taken.contains(port)).map(found).collect()
}

/// Every port of this host that something listens on.
pub(crate) fn taken() -> BTreeSet<u16> {
    let tables = TABLES.map(|table| std::fs::read_to_string(table).unwrap_or_default());
    tables.iter().flat_map(|table| listening(table)).collect()
}

/// What the site will listen on: a stack on the ports that it publishes, an embedded site where SITE_URL leads, unless a
/// proxy stands there.
pub(crate) fn wanted(values: &Values) -> Vec<(&'static str, u16)> {
    let port = |name: &'static str| Some((name, effective(values, name)?.parse().ok()?));
    let address = || BaseUrl::parse(given(values, "SITE_URL")?).ok();
    let web = if is_stack(values) {
        port("APP_PORT")
    } else {
        address().filter(|_| given(values, "TRUSTED_PROXIES").is_none()).map(|url| ("SITE_URL", url.port()))
    };
    web.into_iter().chain(port("SSH_PORT")).collect()
}

/// The local ports of the listening sockets in a table of the kernel. See proc_pid_net(5), "/proc/net/tcp".
fn listening(table: &str) -> impl Iterator<Item = u16> + '_ {
    table.lines().skip(1).filter_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let local = fields.nth(1)?;
        fields.nth(1).filter(|state| *state == LISTENS)?;
        u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(name, value)| (*name, *value)).collect()
    }

    #[test]
    fn a_listener_on_any_address_is_told() {
        for address in ["127.0.0.1:0", "127.0.0.2:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).unwrap();
            let port = listener.local_addr().unwrap().port();
            let found = busy(&values(&[("APP_PORT", &port.to_string())]));
            assert!(found.iter().any(|found| found.id == "GG-ENV-056" && found.subject == "APP_PORT"), "{address}");
            drop(listener);
            let url = format!("https://forge.acme.internal:{port}");
            assert!(busy(&values(&[("SITE_URL", &url)])).iter().all(|found| found.subject != "SITE_URL"), "{address}");
        }
        let table = "  sl  local_address rem_address   st\n   0: 00000000000000000000000000000000:227C 0:0 0A 0\n   1: 0100007F:0016 0:0 01 0\n";
        assert_eq!(listening(table).collect::<Vec<_>>(), [8828]);
    }

    #[test]
    fn the_ports_are_those_that_the_site_will_listen_on() {
        for (pairs, expected) in [
            (&[("SITE_URL", "https://a.internal:8828")][..], &[("SITE_URL", 8828), ("SSH_PORT", 2424)][..]),
            (&[("SITE_URL", "https://a.internal"), ("TRUSTED_PROXIES", "10.0.0.1")], &[("SSH_PORT", 2424)]),
            (&[("SITE_URL", "https://a.internal"), ("TAG", "1")], &[("APP_PORT", 3000), ("SSH_PORT", 2424)]),
            (&[("APP_PORT", "80"), ("SSH_PORT", "22")], &[("APP_PORT", 80), ("SSH_PORT", 22)]),
        ] {
            assert_eq!(wanted(&values(pairs)), expected, "{pairs:?}");
        }
    }
}

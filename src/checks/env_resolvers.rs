//! Rules for the resolvers that sandboxes ask: addresses of the closed network, and none that a sandbox cannot use.

use std::net::IpAddr;

use base::{Finding, Severity};

use crate::catalogue::{self, Known};
use crate::env_rules::Given;

/// Docker's resolver inside containers.
const DOCKER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 11));

/// Resolvers of the internet, as people know them by heart.
const PUBLIC: [&str; 18] = [
    "8.8.8.8",
    "8.8.4.4",
    "1.1.1.1",
    "1.0.0.1",
    "9.9.9.9",
    "149.112.112.112",
    "208.67.222.222",
    "208.67.220.220",
    "4.2.2.1",
    "4.2.2.2",
    "94.140.14.14",
    "114.114.114.114",
    "2001:4860:4860::8888",
    "2001:4860:4860::8844",
    "2606:4700:4700::1111",
    "2606:4700:4700::1001",
    "2620:fe::fe",
    "2620:119:35::35",
];

/// What there is to say of each address in the list.
pub(crate) fn judge(given: &Given<'_>) -> Vec<Finding> {
    given.text.split(',').filter_map(|part| one(given, part.trim())).collect()
}

fn one(given: &Given<'_>, part: &str) -> Option<Finding> {
    let found = |known: &'static Known, severity, what: &str| {
        let message = given.quoted(part).map_or_else(|| format!("lists {what}"), |part| format!("{part} is {what}"));
        Some(known.found(severity, given.setting.name, message))
    };
    let Ok(address) = part.parse::<IpAddr>() else {
        let message = given
            .quoted(part)
            .map_or_else(|| "holds a part that is not an address".into(), |part| format!("{part} is not an address"));
        return Some(catalogue::ENV_RESOLVER.found(Severity::Error, given.setting.name, message));
    };
    let address = address.to_canonical();
    let is_public = PUBLIC.iter().any(|known| known.parse() == Ok(address));
    match address {
        DOCKER => found(&catalogue::ENV_DOCKER_DNS, Severity::Error, "Docker's embedded resolver"),
        _ if address.is_loopback() || address.is_unspecified() => {
            found(&catalogue::ENV_RESOLVER_SELF, Severity::Error, "the sandbox itself")
        }
        _ if address.is_multicast() => found(&catalogue::ENV_RESOLVER, Severity::Error, "no resolver's address"),
        _ if is_public => found(&catalogue::ENV_RESOLVER_PUBLIC, Severity::Warning, "a public resolver"),
        _ => None,
    }
}

//! The targets of the isolation probe: those that it knows, and how others are written. Resolves and connects nothing.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use serde::Serialize;

use crate::isolation::Target as Place;
use crate::probe::{Family, Kind};
use crate::text::{has_credentials, line};

/// What closed networks are most often found open to. Names and literal addresses, of several operators each, so that
/// neither a resolver that is off nor one blocked provider looks like isolation. Where they come from: docs/isolation.md.
const DEFAULTS: &[&str] = &[
    "name=www.google.com",
    "name=github.com",
    "tcp=www.google.com:443",
    "tcp=registry-1.docker.io:443",
    "tcp=github.com:22",
    "tcp=1.1.1.1:443",
    "tcp=9.9.9.9:443",
    "tcp=1.1.1.1:80",
    "tcp=8.8.8.8:53",
    "tcp=9.9.9.9:853",
    "tcp=[2606:4700:4700::1111]:443",
    "tcp=[2001:4860:4860::8888]:53",
    "tcp=[2620:fe::fe]:80",
    "http=connectivitycheck.gstatic.com:80",
    "http=cp.cloudflare.com:80",
    "dns=8.8.8.8",
    "dns=1.1.1.1",
    "dns=9.9.9.9",
    "dns=2001:4860:4860::8888",
    "dns=2606:4700:4700::1111",
    "quic=1.1.1.1:443",
    "quic=8.8.8.8:443",
    "quic=[2606:4700:4700::1111]:443",
    "quic=[2001:4860:4860::8888]:443",
    "ntp=216.239.35.0",
    "ntp=162.159.200.1",
    "ntp=2606:4700:f1::1",
    "ntp=2001:4860:4806::",
    "metadata=169.254.169.254:80",
    "metadata=[fd00:ec2::254]:80",
];

/// Addresses kept for documentation (RFC 5737, RFC 3849): no host has one, so whatever accepts there is no target.
const CANARIES: [&str; 2] = ["192.0.2.1", "2001:db8::1"];

/// What stands for text that is not repeated.
const HIDDEN: &str = "…";
/// Where curl looks for a proxy whose port is not set.
const CURLS_PORT: u16 = 1080;

/// Who named a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The program's own list.
    Default,
    /// The operator, on the command line or in GITGRIT_ISOLATION_TARGETS.
    Given,
    /// The environment's proxy variables, or SANDBOX_DNS.
    Environment,
    /// The Docker engine's configuration.
    Engine,
}

/// What to look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub(crate) kind: Kind,
    /// Only this protocol version; a name is looked for over both otherwise.
    pub(crate) family: Option<Family>,
    pub(crate) place: Place,
    /// Which resolver is asked for a name, when not the vantage point's own.
    pub(crate) resolver: Option<Place>,
    /// What a proxy speaks: `http`, or another word that this probe does not.
    pub(crate) scheme: String,
    /// Says whether a proxy's address holds a user name or a password, which are neither used nor kept.
    pub(crate) has_credentials: bool,
    /// Who named it.
    pub origin: Origin,
}

/// A target that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a target: {why}")]
pub struct TargetError {
    text: String,
    why: &'static str,
}

impl base::Hint for TargetError {
    fn hint(&self) -> Option<String> {
        let words: Vec<_> = Kind::ALL.iter().map(|kind| kind.word()).collect();
        Some(format!("write KIND=HOST[:PORT]; KIND is one of {}", words.join(", ")))
    }
}

impl Target {
    /// Reads `KIND=HOST[:PORT]`; `tcp4=`, `tcp6=` and the like take one protocol version alone, `name=HOST@ADDRESS` asks
    /// that resolver.
    pub fn parse(text: &str, origin: Origin) -> Result<Self, TargetError> {
        let text = text.trim();
        let shown =
            if has_credentials(text.split_once('=').map_or(text, |(_, rest)| rest)) && !text.starts_with("name=") {
                "…".to_owned()
            } else {
                line(text)
            };
        let refused = |why| TargetError { text: shown.clone(), why };
        let (word, rest) = text.split_once('=').ok_or_else(|| refused("there is no `=`"))?;
        let (word, family) = match word.strip_suffix('4').map(|word| (word, Family::V4)) {
            Some((word, family)) => (word, Some(family)),
            None => word.strip_suffix('6').map_or((word, None), |word| (word, Some(Family::V6))),
        };
        let kind = Kind::ALL.into_iter().find(|kind| kind.word() == word).ok_or_else(|| refused("no such kind"))?;
        if family.is_some() && matches!(kind, Kind::Name | Kind::Proxy) {
            return Err(refused("this kind has no protocol version"));
        }
        let (mut resolver, mut place, mut port) = (None, rest, kind.port());
        let (mut scheme, mut has_credentials) = (String::new(), false);
        if let Some((name, address)) = rest.split_once('@').filter(|_| kind == Kind::Name) {
            resolver = Some(self::resolver(address).ok_or_else(|| refused("the resolver is no address"))?);
            place = name;
        }
        if kind == Kind::Proxy {
            let proxy = Proxy::parse(rest);
            port = proxy.port(origin);
            (scheme, has_credentials, place) = (proxy.scheme(), proxy.has_credentials, proxy.place);
        }
        if is_unscoped(place) {
            return Err(refused("an address of one link alone needs its interface, as in fe80::1%eth0"));
        }
        let place = placed(place, port).ok_or_else(|| refused("no host, or no port from 1 to 65535"))?;
        let own = place.literal().map(Family::of);
        if own.is_some() && family.is_some() && own != family {
            return Err(refused("the address is of the other protocol version"));
        }
        Ok(Self { kind, family: family.or(own), place, resolver, scheme, has_credentials, origin })
    }

    /// The program's own targets.
    pub fn defaults() -> Vec<Self> {
        DEFAULTS.iter().filter_map(|text| Self::parse(text, Origin::Default).ok()).collect()
    }

    /// The proxies that a setting names. Programs do not agree on the port of `http://proxy`: most take 80, curl takes 1080.
    pub fn proxies(text: &str, origin: Origin) -> Result<Vec<Self>, TargetError> {
        let text = text.trim();
        let first = Self::parse(&format!("proxy={text}"), origin)?;
        let is_port_open = first.scheme == "http" && Place::parse(Proxy::parse(text).place).is_err();
        let other = Self { place: Place { port: CURLS_PORT, ..first.place.clone() }, ..first.clone() };
        Ok(std::iter::once(first).chain(is_port_open.then_some(other)).collect())
    }

    /// The names among `targets`, asked of one more resolver. `None` when it is no address.
    pub fn asked_of(targets: &[Self], resolver: &str) -> Option<Vec<Self>> {
        let resolver = self::resolver(resolver)?;
        let own = targets.iter().filter(|target| target.kind == Kind::Name && target.resolver.is_none());
        let asked =
            |target: &Self| Self { resolver: Some(resolver.clone()), origin: Origin::Environment, ..target.clone() };
        Some(own.map(asked).collect())
    }

    /// What the certificate of a server there must be for.
    pub(crate) fn is_name(&self) -> bool {
        self.place.literal().is_none()
    }
}

/// A proxy's address, in parts.
struct Proxy<'t> {
    scheme: Option<&'t str>,
    has_credentials: bool,
    place: &'t str,
}

impl<'t> Proxy<'t> {
    /// A password may itself hold `/`, `:` and `@`, so the last `@` ends it.
    fn parse(text: &'t str) -> Self {
        let (scheme, rest) = text.split_once("://").map_or((None, text), |(scheme, rest)| (Some(scheme), rest));
        let (has_credentials, rest) = rest.rsplit_once('@').map_or((false, rest), |(_, rest)| (true, rest));
        Self { scheme, has_credentials, place: rest.split(['/', '?', '#']).next().unwrap_or(rest) }
    }

    /// What it speaks. A word that no scheme can be may be half a password, and is not repeated.
    fn scheme(&self) -> String {
        let word = self.scheme.unwrap_or("http").to_ascii_lowercase();
        let is_letter = |byte: u8| byte.is_ascii_lowercase();
        let is_rest = |byte: u8| is_letter(byte) || byte.is_ascii_digit() || matches!(byte, b'+' | b'.' | b'-');
        let is_scheme = word.len() <= 20 && word.bytes().next().is_some_and(is_letter) && word.bytes().all(is_rest);
        if is_scheme { word } else { HIDDEN.into() }
    }

    /// The port when none is given. Who writes a target without a scheme means a proxy as proxies are; who sets a variable
    /// means what programs read in it.
    fn port(&self, origin: Origin) -> u16 {
        match self.scheme().as_str() {
            _ if self.scheme.is_none() && origin == Origin::Given => Kind::Proxy.port(),
            "http" => 80,
            "https" => 443,
            _ => CURLS_PORT,
        }
    }
}

/// As it is read, and as a probe in another place is told of it.
impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = if self.is_name() { self.family.map_or("", Family::word) } else { "" };
        write!(out, "{}{family}=", self.kind.word())?;
        match self.kind {
            Kind::Name => {
                out.write_str(&self.place.host)?;
                self.resolver.as_ref().map_or(Ok(()), |resolver| write!(out, "@{resolver}"))
            }
            Kind::Proxy => {
                let hidden = if self.has_credentials { format!("{HIDDEN}@") } else { String::new() };
                write!(out, "{}://{hidden}{}", self.scheme, self.place)
            }
            _ => self.place.fmt(out),
        }
    }
}

/// The program's own canaries.
pub fn canaries() -> Vec<IpAddr> {
    CANARIES.iter().filter_map(|text| text.parse().ok()).collect()
}

/// A resolver's address, with or without a port.
pub(crate) fn resolver(text: &str) -> Option<Place> {
    placed(text, Kind::Dns.port()).filter(|place| place.literal().is_some())
}

/// A host with or without a port.
fn placed(text: &str, port: u16) -> Option<Place> {
    if let Ok(place) = Place::parse(text) {
        return Some(place);
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    Place::parse(&if six(bare).is_some() { format!("[{bare}]:{port}") } else { format!("{text}:{port}") }).ok()
}

/// The address of version 6 in this text, whatever its interface.
fn six(bare: &str) -> Option<Ipv6Addr> {
    bare.split('%').next()?.parse().ok()
}

fn is_unscoped(place: &str) -> bool {
    let bare = place.strip_prefix('[').and_then(|place| place.split(']').next()).unwrap_or(place);
    !bare.contains('%') && six(bare).is_some_and(|address| address.is_unicast_link_local())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_and_written_alike() {
        for (text, expected) in [
            ("tcp=a.b", "tcp=a.b:443"),
            ("tcp6=a.b:80", "tcp6=a.b:80"),
            ("tcp4=192.0.2.1", "tcp=192.0.2.1:443"),
            ("dns=2001:db8::1", "dns=[2001:db8::1]:53"),
            ("quic=[2001:db8::1]:8443", "quic=[2001:db8::1]:8443"),
            ("ntp=a", "ntp=a:123"),
            ("name=a.b", "name=a.b"),
            ("name=a.b@192.0.2.53", "name=a.b@192.0.2.53:53"),
            ("name=a.b@[2001:db8::53]:5353", "name=a.b@[2001:db8::53]:5353"),
            ("proxy=a:8080", "proxy=http://a:8080"),
            ("proxy=http://someone:secret@a:8080/", "proxy=http://…@a:8080"),
            ("proxy=http://who:12/secret@127.0.0.1:8200", "proxy=http://…@127.0.0.1:8200"),
            ("proxy=a", "proxy=http://a:3128"),
            ("proxy=http://a", "proxy=http://a:80"),
            ("proxy=https://a", "proxy=https://a:443"),
            ("proxy=socks5://a", "proxy=socks5://a:1080"),
            ("proxy=who:secret\u{1b}://x@a:1", "proxy=…://…@a:1"),
            ("tcp=[fe80::1%eth0]:1", "tcp=[fe80::1%eth0]:1"),
            ("dns=fe80::1%eth0", "dns=[fe80::1%eth0]:53"),
            ("name=a.b@fe80::1%eth0", "name=a.b@[fe80::1%eth0]:53"),
        ] {
            let read = Target::parse(text, Origin::Given).unwrap();
            assert_eq!(read.to_string(), expected, "{text}");
            assert_eq!(Target::parse(expected, Origin::Given).unwrap(), read, "{text}");
        }
    }

    #[test]
    fn what_is_no_target_is_refused_without_its_password() {
        for text in [
            "",
            "tcp",
            "tcp=",
            "tpc=a:1",
            "tcp5=a:1",
            "name4=a",
            "tcp6=192.0.2.1:1",
            "tcp=a:0",
            "tcp=a b:1",
            "name=a@b",
            "tcp=[fe80::1]:443",
            "dns=fe80::1",
            "name=a@fe80::1",
        ] {
            assert!(Target::parse(text, Origin::Given).is_err(), "{text}");
        }
        let error = Target::parse("proxy=http://someone:secret@", Origin::Given).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn the_programs_own_targets_all_count_and_cover_every_kind() {
        let targets = Target::defaults();
        assert_eq!(targets.len(), DEFAULTS.len());
        assert_eq!(canaries().len(), CANARIES.len());
        for kind in [Kind::Tcp, Kind::Http, Kind::Quic, Kind::Dns, Kind::Ntp, Kind::Name, Kind::Metadata] {
            assert!(targets.iter().any(|target| target.kind == kind), "{kind:?}");
        }
        assert_eq!(Target::asked_of(&targets, "192.0.2.53").unwrap().len(), 2);
        assert_eq!(Target::asked_of(&targets, "resolver.acme.internal"), None);
    }

    /// One blocked provider must not look like isolation.
    #[test]
    fn each_kind_has_places_of_two_operators_in_each_version() {
        let operator = |target: &Target| match target.place.host.as_str() {
            host if ["8.8.", "216.239.", "2001:4860:"].iter().any(|start| host.starts_with(start)) => "Google",
            host if ["1.1.", "162.159.", "2606:4700:"].iter().any(|start| host.starts_with(start)) => "Cloudflare",
            host if ["9.9.", "2620:fe:"].iter().any(|start| host.starts_with(start)) => "Quad9",
            host if host.ends_with(".gstatic.com") || host.ends_with(".google.com") => "Google",
            _ => "another",
        };
        let targets = Target::defaults();
        for kind in [Kind::Tcp, Kind::Http, Kind::Quic, Kind::Dns, Kind::Ntp] {
            for family in Family::BOTH {
                let own = targets.iter().filter(|target| target.kind == kind);
                let own = own.filter(|target| target.family.is_none_or(|own| own == family));
                let operators: std::collections::BTreeSet<_> = own.map(operator).collect();
                assert!(operators.len() >= 2, "{kind:?} {family:?}: {operators:?}");
            }
        }
    }

    #[test]
    fn a_proxy_without_a_port_is_looked_for_where_programs_look() {
        let shown = |text: &str| -> Vec<_> {
            Target::proxies(text, Origin::Environment).unwrap().iter().map(ToString::to_string).collect()
        };
        assert_eq!(shown("http://a:3128"), ["proxy=http://a:3128"]);
        assert_eq!(shown("http://who:secret@a/"), ["proxy=http://…@a:80", "proxy=http://…@a:1080"]);
        assert_eq!(shown("a"), ["proxy=http://a:80", "proxy=http://a:1080"]);
        assert_eq!(shown("https://a"), ["proxy=https://a:443"]);
        assert_eq!(shown("socks5h://a"), ["proxy=socks5h://a:1080"]);
        assert!(Target::proxies("http://", Origin::Environment).is_err());
    }
}

//! The targets of the isolation probe: those that it knows, and how others are written. Resolves and connects nothing.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

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
    "tcp=8.8.8.8:53",
    "tcp=9.9.9.9:853",
    "tcp=[2606:4700:4700::1111]:443",
    "tcp=[2001:4860:4860::8888]:53",
    "http=connectivitycheck.gstatic.com:80",
    "dns=8.8.8.8",
    "dns=1.1.1.1",
    "dns=9.9.9.9",
    "dns=2001:4860:4860::8888",
    "dns=2606:4700:4700::1111",
    "quic=1.1.1.1:443",
    "quic=8.8.8.8:443",
    "quic=[2606:4700:4700::1111]:443",
    "ntp=216.239.35.0",
    "ntp=162.159.200.1",
    "ntp=2606:4700:f1::1",
    "metadata=169.254.169.254:80",
    "metadata=[fd00:ec2::254]:80",
];

/// Addresses kept for documentation (RFC 5737, RFC 3849): no host has one, so whatever accepts there is no target.
const CANARIES: [&str; 2] = ["192.0.2.1", "2001:db8::1"];

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
    pub(crate) resolver: Option<SocketAddr>,
    /// What a proxy speaks: `http`, or another word that this probe does not.
    pub(crate) scheme: String,
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
        let (mut resolver, mut scheme, mut place) = (None, String::new(), rest);
        if let Some((name, address)) = rest.split_once('@').filter(|_| kind == Kind::Name) {
            resolver = Some(server(address).ok_or_else(|| refused("the resolver is no address"))?);
            place = name;
        }
        if kind == Kind::Proxy {
            let (word, rest) = rest.split_once("://").unwrap_or(("http", rest));
            scheme = word.to_ascii_lowercase();
            // Credentials are neither used nor kept.
            place = rest.split('/').next().unwrap_or(rest);
            place = place.rsplit_once('@').map_or(place, |(_, place)| place);
        }
        let place = placed(place, kind.port()).ok_or_else(|| refused("no host, or no port from 1 to 65535"))?;
        let own = place.host.parse::<IpAddr>().ok().map(Family::of);
        if own.is_some() && family.is_some() && own != family {
            return Err(refused("the address is of the other protocol version"));
        }
        Ok(Self { kind, family: family.or(own), place, resolver, scheme, origin })
    }

    /// The program's own targets.
    pub fn defaults() -> Vec<Self> {
        DEFAULTS.iter().filter_map(|text| Self::parse(text, Origin::Default).ok()).collect()
    }

    /// The same names, asked of one more resolver.
    pub fn asked_of(targets: &[Self], resolver: IpAddr) -> Vec<Self> {
        let own = targets.iter().filter(|target| target.kind == Kind::Name && target.resolver.is_none());
        let asked = |target: &Self| {
            let resolver = Some(SocketAddr::new(resolver, 53));
            Self { resolver, origin: Origin::Environment, ..target.clone() }
        };
        own.map(asked).collect()
    }

    /// What the certificate of a server there must be for.
    pub(crate) fn is_name(&self) -> bool {
        self.place.host.parse::<IpAddr>().is_err()
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
                self.resolver.map_or(Ok(()), |resolver| write!(out, "@{resolver}"))
            }
            Kind::Proxy => write!(out, "{}://{}", self.scheme, self.place),
            _ => self.place.fmt(out),
        }
    }
}

/// The program's own canaries.
pub fn canaries() -> Vec<IpAddr> {
    CANARIES.iter().filter_map(|text| text.parse().ok()).collect()
}

/// A host with or without a port.
fn placed(text: &str, port: u16) -> Option<Place> {
    if let Ok(place) = Place::parse(text) {
        return Some(place);
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let is_six = bare.parse::<std::net::Ipv6Addr>().is_ok();
    Place::parse(&if is_six { format!("[{bare}]:{port}") } else { format!("{text}:{port}") }).ok()
}

fn server(text: &str) -> Option<SocketAddr> {
    text.parse().or_else(|_| text.parse().map(|address| SocketAddr::new(address, 53))).ok()
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
            ("proxy=http://someone:secret@a:8080/", "proxy=http://a:8080"),
            ("proxy=socks5://a", "proxy=socks5://a:3128"),
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
        assert_eq!(Target::asked_of(&targets, "192.0.2.53".parse().unwrap()).len(), 2);
    }
}

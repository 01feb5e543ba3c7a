//! Whether a certificate is for a host, as each TLS stack reads its names. Pure text; resolves nothing.

use std::net::IpAddr;

use crate::link::Link;

/// Who is called: a name or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A host name, letters small.
    Host(String),
    /// An address.
    Address(IpAddr),
}

impl Peer {
    /// Reads a name or an address. `None` when it is neither.
    pub fn parse(text: &str) -> Option<Self> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = bare.parse() {
            return Some(Self::Address(address));
        }
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let text = text.strip_suffix('.').unwrap_or(text);
        let is_name =
            text.len() <= 253 && text.split('.').all(|label| !label.is_empty() && label.chars().all(is_plain));
        is_name.then(|| Self::Host(text.to_ascii_lowercase()))
    }
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Host(host) => f.write_str(host),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// What a stack takes for a name beside plain equality.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habit {
    /// The common name counts when there is no host in subjectAltName.
    pub(crate) common_name: bool,
    /// `a*.example.org` is a wildcard.
    pub(crate) partial_wildcards: bool,
}

/// Says whether `link` is a certificate for `peer`.
pub(crate) fn is_for(link: &Link, peer: &Peer, habit: Habit) -> bool {
    match peer {
        Peer::Address(address) => {
            let bytes = match address {
                IpAddr::V4(four) => four.octets().to_vec(),
                IpAddr::V6(six) => six.octets().to_vec(),
            };
            link.names.as_ref().is_some_and(|names| names.addresses.contains(&bytes))
        }
        Peer::Host(host) => {
            let fits = |pattern: &String| is_match(pattern, host, habit.partial_wildcards);
            match &link.names {
                Some(names) if !names.hosts.is_empty() => names.hosts.iter().any(fits),
                _ => habit.common_name && link.common_names.iter().any(fits),
            }
        }
    }
}

fn is_match(pattern: &str, host: &str, partial_wildcards: bool) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    if pattern == host {
        return true;
    }
    let (Some((label, rest)), Some((own, parent))) = (pattern.split_once('.'), host.split_once('.')) else {
        return false;
    };
    let Some((before, after)) = label.split_once('*') else { return false };
    if rest != parent || !rest.contains('.') || after.contains('*') || rest.contains('*') {
        return false;
    }
    let is_whole = before.is_empty() && after.is_empty();
    let is_part = partial_wildcards && !own.starts_with("xn--") && own.len() > before.len() + after.len();
    is_whole || (is_part && own.starts_with(before) && own.ends_with(after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_one_label_and_never_for_a_whole_top_domain() {
        for (pattern, host, partial, expected) in [
            ("git.acme.internal", "git.acme.internal", false, true),
            ("GIT.acme.internal", "git.acme.internal", false, true),
            ("*.acme.internal", "git.acme.internal", false, true),
            ("*.acme.internal", "a.git.acme.internal", false, false),
            ("*.acme.internal", "acme.internal", false, false),
            ("*.internal", "acme.internal", false, false),
            ("*", "acme", false, false),
            ("g*.acme.internal", "git.acme.internal", false, false),
            ("g*.acme.internal", "git.acme.internal", true, true),
            ("git.*.internal", "git.acme.internal", true, false),
        ] {
            assert_eq!(is_match(pattern, host, partial), expected, "{pattern} {host} {partial}");
        }
    }

    #[test]
    fn names_and_addresses_are_told_apart() {
        assert_eq!(Peer::parse("Git.Acme.internal."), Some(Peer::Host("git.acme.internal".into())));
        assert_eq!(Peer::parse("[::1]").map(|peer| peer.to_string()), Some("::1".into()));
        for wrong in ["", "a b", "a..b", "-\n", "http://a"] {
            assert_eq!(Peer::parse(wrong), None, "{wrong:?}");
        }
    }
}

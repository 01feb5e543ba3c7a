//! Whether an authority's nameConstraints forbid the names of a certificate below it, as each TLS stack reads them: OpenSSL
//! compares every kind, webpki refuses the kinds that it cannot compare, GnuTLS leaves some out. Pure text; resolves nothing.

use crate::link::{Constraints, Link, Names, Subtree};

/// How many names are held against subtrees; what has more is refused, as TLS stacks do.
const MOST_COMPARISONS: usize = 250_000;

/// What a certificate says it is for.
struct Presented<'l> {
    link: &'l Link,
    names: Names,
    constraints: &'l Constraints,
}

impl Presented<'_> {
    /// Says whether one of `names` is excluded, or is none of those permitted when some of its kind are.
    fn breaks<N: ?Sized>(
        &self,
        names: &[&N],
        kind: impl Fn(&Subtree) -> bool,
        fits: impl Fn(&Subtree, &N) -> bool,
    ) -> bool {
        let permitted: Vec<&Subtree> = self.constraints.permitted.iter().filter(|tree| kind(tree)).collect();
        let excluded: Vec<&Subtree> = self.constraints.excluded.iter().filter(|tree| kind(tree)).collect();
        names.iter().any(|name| {
            let is_permitted = permitted.is_empty() || permitted.iter().any(|tree| fits(tree, name));
            !is_permitted || excluded.iter().any(|tree| fits(tree, name))
        })
    }

    fn breaks_hosts(&self, hosts: &[String]) -> bool {
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        let fits = |tree: &Subtree, host: &str| matches!(tree, Subtree::Host(base) if is_below(base, host));
        self.breaks(&hosts, |tree| matches!(tree, Subtree::Host(_)), fits)
    }

    fn breaks_addresses(&self) -> bool {
        let addresses: Vec<&[u8]> = self.names.addresses.iter().map(Vec::as_slice).collect();
        let fits =
            |tree: &Subtree, bytes: &[u8]| matches!(tree, Subtree::Network(network) if is_within(network, bytes));
        self.breaks(&addresses, |tree| matches!(tree, Subtree::Network(_)), fits)
    }

    fn breaks_mail(&self, mail: &[&str], fits: impl Fn(&str, &str) -> bool) -> bool {
        let fits = |tree: &Subtree, mail: &str| matches!(tree, Subtree::Mail(base) if fits(base, mail));
        self.breaks(mail, is_mail, fits)
    }

    /// Says whether a subtree, of any list, is of this kind.
    fn speaks_of(&self, kind: impl Fn(&Subtree) -> bool) -> bool {
        self.constraints.permitted.iter().chain(&self.constraints.excluded).any(kind)
    }

    fn excludes(&self, kind: impl Fn(&Subtree) -> bool) -> bool {
        self.constraints.excluded.iter().any(kind)
    }
}

fn presented<'l>(constraints: &'l Constraints, link: &'l Link) -> Option<Presented<'l>> {
    let names = link.names.clone().unwrap_or_default();
    let comparisons = names.count.saturating_mul(constraints.permitted.len() + constraints.excluded.len());
    (comparisons <= MOST_COMPARISONS).then_some(Presented { link, names, constraints })
}

/// OpenSSL, NAME_CONSTRAINTS_check: every kind is compared; the common name counts on a server's certificate without hosts.
pub(crate) fn openssl_forbids(constraints: &Constraints, link: &Link, is_leaf: bool) -> bool {
    let Some(own) = presented(constraints, link) else { return true };
    let mut hosts = own.names.hosts.clone();
    if hosts.is_empty() && is_leaf {
        hosts.extend(link.common_names.iter().filter(|name| name.contains('.') && !name.contains(' ')).cloned());
    }
    let mut directories: Vec<&[u8]> = own.names.directories.iter().map(Vec::as_slice).collect();
    if link.has_subject {
        directories.push(&link.subject);
    }
    let fits_directory =
        |tree: &Subtree, name: &[u8]| matches!(tree, Subtree::Directory(base) if name.starts_with(base));
    let mail: Vec<&str> = link.subject_mail.iter().chain(&own.names.mail).map(String::as_str).collect();
    let is_odd_mail = own.speaks_of(is_mail) && mail.iter().any(|mail| !mail.contains('@'));
    let uris: Vec<&str> = own.names.uris.iter().map(String::as_str).collect();
    let is_odd_uri = own.speaks_of(is_uri) && uris.iter().any(|uri| host_of(uri).is_none());
    let fits_uri = |tree: &Subtree, uri: &str| matches!(tree, Subtree::Uri(base) if fits_host(base, uri));
    own.breaks(&directories, is_directory, fits_directory)
        || own.breaks_mail(&mail, fits_mailbox)
        || own.breaks_hosts(&hosts)
        || own.breaks(&uris, is_uri, fits_uri)
        || own.breaks_addresses()
        || is_odd_mail
        || is_odd_uri
        || (own.names.has_others && own.speaks_of(is_other))
}

/// webpki: a constraint on a kind that it cannot compare forbids every name of that kind, and each certificate has a subject.
pub(crate) fn webpki_forbids(constraints: &Constraints, link: &Link) -> bool {
    let Some(own) = presented(constraints, link) else { return true };
    own.breaks_hosts(&own.names.hosts)
        || own.breaks_addresses()
        || own.speaks_of(is_directory)
        || (!own.names.uris.is_empty() && own.speaks_of(is_uri))
        || (!own.names.mail.is_empty() && own.speaks_of(is_mail))
        || (own.names.has_others && own.speaks_of(is_other))
}

/// GnuTLS: hosts, addresses and mail are compared; an excluded directory name forbids everything, an excluded URI every URI.
pub(crate) fn gnutls_forbids(constraints: &Constraints, link: &Link, is_leaf: bool) -> bool {
    let Some(own) = presented(constraints, link) else { return true };
    let may_serve = link.purposes.is_none_or(|purposes| purposes.server || purposes.any);
    let has_lone_name = own.names.hosts.is_empty() && is_leaf && may_serve;
    let hosts = if has_lone_name { &own.link.common_names } else { &own.names.hosts };
    let many_names = has_lone_name && hosts.len() > 1 && own.speaks_of(|tree| matches!(tree, Subtree::Host(_)));
    let mail = if own.names.mail.is_empty() { &link.subject_mail } else { &own.names.mail };
    let mail: Vec<&str> = mail.iter().map(String::as_str).collect();
    many_names
        || own.breaks_hosts(hosts)
        || own.breaks_addresses()
        || own.breaks_mail(&mail, ends_mailbox)
        || (own.names.mail.is_empty() && mail.len() > 1 && own.speaks_of(is_mail))
        || own.excludes(is_directory)
        || (!own.names.uris.is_empty() && own.excludes(is_uri))
}

fn is_mail(tree: &Subtree) -> bool {
    matches!(tree, Subtree::Mail(_))
}

fn is_uri(tree: &Subtree) -> bool {
    matches!(tree, Subtree::Uri(_))
}

fn is_directory(tree: &Subtree) -> bool {
    matches!(tree, Subtree::Directory(_))
}

fn is_other(tree: &Subtree) -> bool {
    matches!(tree, Subtree::Other)
}

fn is_below(base: &str, host: &str) -> bool {
    let (base, host) = (base.to_ascii_lowercase(), host.to_ascii_lowercase());
    let base = base.strip_prefix('.').map_or((base.as_str(), false), |rest| (rest, true));
    let is_longer = host.strip_suffix(base.0).is_some_and(|front| front.ends_with('.'));
    base.0.is_empty() || is_longer || (!base.1 && host == base.0)
}

fn is_within(network: &[u8], address: &[u8]) -> bool {
    let (base, mask) = network.split_at(network.len() / 2);
    base.len() == address.len()
        && base.iter().zip(mask).zip(address).all(|((base, mask), own)| base & mask == own & mask)
}

/// OpenSSL: `.example.org` is every host below, `example.org` that host alone, `a@example.org` that mailbox.
fn fits_mailbox(base: &str, mail: &str) -> bool {
    let Some((local, host)) = mail.rsplit_once('@') else { return false };
    match base.rsplit_once('@') {
        Some((wanted, at)) => (wanted.is_empty() || wanted == local) && at.eq_ignore_ascii_case(host),
        None if base.starts_with('.') => is_tail(base, mail),
        None => base.eq_ignore_ascii_case(host),
    }
}

/// GnuTLS: the same three forms, letter by letter once the host is in small letters.
fn ends_mailbox(base: &str, mail: &str) -> bool {
    let mail =
        mail.rsplit_once('@').map_or(mail.to_owned(), |(local, host)| format!("{local}@{}", host.to_ascii_lowercase()));
    if base == mail || base.is_empty() {
        return true;
    }
    let Some(front) = mail.strip_suffix(base) else { return false };
    if base.len() > 1 && base.starts_with('.') { !front.is_empty() } else { front.ends_with('@') }
}

fn is_tail(base: &str, text: &str) -> bool {
    text.len() > base.len() && text.to_ascii_lowercase().ends_with(&base.to_ascii_lowercase())
}

/// The host within a URI. `None` when there is none.
fn host_of(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once(':')?;
    let rest = rest.strip_prefix("//")?;
    let host = rest.split_once(':').or_else(|| rest.split_once('/')).map_or(rest, |(host, _)| host);
    (!host.is_empty()).then_some(host)
}

fn fits_host(base: &str, uri: &str) -> bool {
    let Some(host) = host_of(uri) else { return false };
    if base.starts_with('.') { is_tail(base, host) } else { base.eq_ignore_ascii_case(host) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subtree_holds_its_own_name_and_what_is_below() {
        for (base, host, expected) in [
            ("acme.internal", "git.acme.internal", true),
            ("acme.internal", "acme.internal", true),
            ("acme.internal", "badacme.internal", false),
            (".acme.internal", "acme.internal", false),
            (".acme.internal", "git.acme.internal", true),
            ("", "git.acme.internal", true),
        ] {
            assert_eq!(is_below(base, host), expected, "{base} {host}");
        }
        assert!(is_within(&[10, 0, 0, 0, 255, 0, 0, 0], &[10, 1, 2, 3]));
        assert!(!is_within(&[10, 0, 0, 0, 255, 0, 0, 0], &[11, 1, 2, 3]) && !is_within(&[10, 0], &[10, 1, 2, 3]));
    }

    #[test]
    fn mailboxes_and_addresses_of_pages_are_held_against_hosts() {
        for (base, mail, expected) in [
            ("acme.internal", "ops@acme.internal", true),
            ("ACME.internal", "ops@acme.internal", true),
            ("acme.internal", "ops@git.acme.internal", false),
            (".acme.internal", "ops@git.acme.internal", true),
            ("ops@acme.internal", "ops@acme.internal", true),
            ("ops@acme.internal", "dev@acme.internal", false),
        ] {
            assert_eq!(fits_mailbox(base, mail), expected, "{base} {mail}");
        }
        assert!(ends_mailbox("acme.internal", "ops@acme.internal") && !ends_mailbox("internal", "ops@acme.internal"));
        for (uri, host) in [
            ("https://git.acme.internal/x", Some("git.acme.internal")),
            ("https://git.acme.internal:8443/x", Some("git.acme.internal")),
            ("urn:uuid:1", None),
            ("https:///x", None),
        ] {
            assert_eq!(host_of(uri), host, "{uri}");
        }
    }
}

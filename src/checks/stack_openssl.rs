//! OpenSSL's verdict, by the rules of X509_verify_cert(3) in OpenSSL 3, with trusted certificates looked for first. Python's
//! is the same with other habits. Calls no OpenSSL.

use crate::constraints::openssl_forbids;
use crate::link::{CERTIFICATE_SIGN, DIGITAL_SIGNATURE, KEY_AGREEMENT, KEY_ENCIPHERMENT, Link, REVOCATION_SIGN};
use crate::peer::{self, Habit};
use crate::signature::{self, Signed};
use crate::text::{ahead, behind, moment};
use crate::verdict::{Case, Cause, Refusal};

/// The extensions that may be critical, by object identifier (X509_supported_extension(3)).
const KNOWN: &[&str] = &[
    "2.16.840.1.113730.1.1",
    "2.5.29.15",
    "2.5.29.17",
    "2.5.29.19",
    "2.5.29.32",
    "2.5.29.31",
    "2.5.29.37",
    "1.3.6.1.5.5.7.1.7",
    "1.3.6.1.5.5.7.1.8",
    "1.3.6.1.5.5.7.48.1.5",
    "2.5.29.36",
    "1.3.6.1.5.5.7.1.14",
    "2.5.29.30",
    "2.5.29.33",
    "2.5.29.54",
];

/// How a client uses OpenSSL.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    /// X509_V_FLAG_X509_STRICT.
    pub(crate) is_strict: bool,
    /// X509_V_FLAG_PARTIAL_CHAIN: a path may end at any trusted certificate.
    pub(crate) takes_partial: bool,
    /// The security level, SSL_CTX_set_security_level(3).
    pub(crate) level: u8,
    /// `a*.example.org` is a wildcard.
    pub(crate) partial_wildcards: bool,
}

/// A path from the server's certificate upward.
struct Path<'c> {
    links: Vec<&'c Link>,
    /// How many of them, from the bottom, are not from the trusted store.
    untrusted: usize,
}

pub(crate) fn verify(case: &Case<'_>, habits: Habits) -> Result<(), Refusal> {
    let Some(leaf) = case.served.first() else { return Ok(()) };
    if signature::key_strength(leaf) < needed(habits.level) {
        return Err(Refusal::of(Cause::ShortKey, leaf, key_text(leaf)));
    }
    let path = build(case, habits)?;
    extensions(&path, habits)?;
    strength(&path, habits)?;
    if let Some(peer) = case.peer
        && !peer::is_for(leaf, peer, Habit { common_name: true, partial_wildcards: habits.partial_wildcards })
    {
        return Err(Refusal::of(Cause::Name, leaf, format!("it is not for {peer}")));
    }
    let not_computed = signatures(&path, case.now, habits)?;
    constraints(&path)?;
    not_computed.map_or(Ok(()), Err)
}

fn build<'c>(case: &Case<'c>, habits: Habits) -> Result<Path<'c>, Refusal> {
    let mut links = Vec::new();
    links.extend(case.served.first());
    let mut path = Path { links, untrusted: 1 };
    let mut may_take_served = true;
    while let Some(&top) = path.links.last() {
        if let Some(issuer) = best(top, case.authorities.iter(), &path, case.now) {
            let mut grew = true;
            if !top.names_itself() {
                path.links.push(issuer);
            } else if path.links.len() == path.untrusted {
                // A root that was sent counts only when the very same one is trusted.
                grew = top.facts.der == issuer.facts.der;
                path.untrusted -= usize::from(grew);
            }
            if grew && is_trusted(&path, habits) {
                return Ok(path);
            }
            if grew && !path.links.last().is_some_and(|link| link.names_itself()) {
                continue;
            }
        }
        if !may_take_served {
            break;
        }
        let from_server =
            if top.names_itself() { None } else { best(top, case.served.iter().skip(1), &path, case.now) };
        match from_server {
            // Once above a trusted certificate, what the server sent is not looked at.
            Some(issuer) if path.untrusted == path.links.len() => {
                path.links.push(issuer);
                path.untrusted += 1;
            }
            _ => may_take_served = false,
        }
        if path.links.len() > 100 {
            break;
        }
    }
    let is_pinned = |leaf: &&Link| case.authorities.iter().any(|given| given.facts.der == leaf.facts.der);
    if habits.takes_partial && path.untrusted == path.links.len() && path.links.first().is_some_and(is_pinned) {
        path.links.truncate(1);
        path.untrusted = 0;
        return Ok(path);
    }
    Err(unknown(&path))
}

fn unknown(path: &Path<'_>) -> Refusal {
    let Some(top) = path.links.last() else {
        return Refusal {
            cause: Cause::Untrusted,
            subject: String::new(),
            fingerprint: String::new(),
            why: String::new(),
        };
    };
    if top.names_itself() {
        return Refusal::of(Cause::Untrusted, top, "it is signed by itself and not among the authorities");
    }
    Refusal::of(Cause::Untrusted, top, format!("its issuer `{}` is neither sent nor trusted", top.facts.issuer))
}

/// Of those that may have issued `top`, the first that is valid now, else the one that lasts longest.
fn best<'c>(top: &Link, from: impl Iterator<Item = &'c Link>, path: &Path<'c>, now: i64) -> Option<&'c Link> {
    let is_in_path = |link: &Link| path.links.iter().any(|other| other.facts.der == link.facts.der);
    let is_single = path.links.len() == 1 && top.issuer == top.subject;
    let mut last: Option<&Link> = None;
    for candidate in from {
        let is_itself = top.names_itself() && candidate.facts.der == top.facts.der;
        if !top.names_as_issuer(candidate) || (is_in_path(candidate) && !is_single && !is_itself) {
            continue;
        }
        if candidate.is_current(now) {
            return Some(candidate);
        }
        if last.is_none_or(|last| candidate.facts.not_after > last.facts.not_after) {
            last = Some(candidate);
        }
    }
    last
}

fn is_trusted(path: &Path<'_>, habits: Habits) -> bool {
    let trusted = path.links.get(path.untrusted..).unwrap_or_default();
    trusted.iter().any(|link| link.names_itself()) || (habits.takes_partial && !trusted.is_empty())
}

/// How much of an authority it is: 1 is one by basicConstraints, 3 to 5 are tolerated ones, 0 is none.
fn authority(link: &Link) -> u8 {
    if link.usage.is_some_and(|usage| usage & CERTIFICATE_SIGN == 0) {
        return 0;
    }
    match &link.facts.basic_constraints {
        Some(constraints) => u8::from(constraints.is_ca),
        None if link.facts.version == 1 && link.names_itself() => 3,
        None if link.usage.is_some() => 4,
        None if link.netscape.is_some_and(|kind| kind & 0x07 != 0) => 5,
        None => 0,
    }
}

fn extensions(path: &Path<'_>, habits: Habits) -> Result<(), Refusal> {
    let count = path.links.len();
    let mut below = 0;
    for (index, &link) in path.links.iter().enumerate() {
        let refuse = |cause: Cause, why: &str| Err(Refusal::of(cause, link, why));
        if link.is_malformed {
            return refuse(Cause::Malformed, "an extension cannot be read, or stands there twice");
        }
        if let Some(oid) = link.critical.iter().find(|oid| !KNOWN.contains(&oid.as_str())) {
            return refuse(Cause::CriticalExtension, &format!("the critical extension {oid} is not known"));
        }
        let rank = authority(link);
        let is_authority = rank == 1 || (rank != 0 && index + 1 == count && !habits.is_strict);
        if (index > 0 && !is_authority) || (index == 0 && habits.is_strict && rank > 1) {
            return refuse(Cause::NotAuthority, &no_authority(link));
        }
        if habits.is_strict && count > 1 {
            strict_form(link, index + 1 == count)?;
        }
        purpose(link, index)?;
        let allowed = link.facts.basic_constraints.and_then(|constraints| constraints.path_length);
        if index > 0 && allowed.is_some_and(|allowed| below > allowed) {
            return refuse(
                Cause::PathLength,
                &format!("{below} authorities follow below it, its path length allows fewer"),
            );
        }
        below += u32::from(index > 0 && link.subject != link.issuer);
    }
    Ok(())
}

/// Why a certificate is not taken for an authority.
pub(crate) fn no_authority(link: &Link) -> String {
    match (&link.facts.basic_constraints, link.usage) {
        (None, _) => {
            format!("it has no basicConstraints (X.509 version {}), so it is no authority", link.facts.version)
        }
        (Some(constraints), _) if !constraints.is_ca => "it says that it is no authority (CA:FALSE)".into(),
        _ => "its keyUsage lacks keyCertSign".into(),
    }
}

fn purpose(link: &Link, index: usize) -> Result<(), Refusal> {
    if link.purposes.is_some_and(|purposes| !(purposes.server || purposes.gated)) {
        return Err(Refusal::of(Cause::Purpose, link, "its extendedKeyUsage lacks serverAuth"));
    }
    if index == 0 && link.netscape.is_some_and(|kind| kind & 0x40 == 0) {
        return Err(Refusal::of(Cause::Purpose, link, "its nsCertType does not name servers"));
    }
    let is_old_authority = authority(link) == 5 && link.netscape.is_some_and(|kind| kind & 0x04 == 0);
    if index > 0 && is_old_authority {
        return Err(Refusal::of(Cause::Purpose, link, "its nsCertType names an authority, but none for TLS"));
    }
    let for_servers = DIGITAL_SIGNATURE | KEY_ENCIPHERMENT | KEY_AGREEMENT;
    if index == 0 && link.usage.is_some_and(|usage| usage & for_servers == 0) {
        return Err(Refusal::of(
            Cause::Purpose,
            link,
            "its keyUsage allows neither digitalSignature nor keyEncipherment",
        ));
    }
    Ok(())
}

/// What `-x509_strict` asks beyond, RFC 5280, 4.1 and 4.2.
fn strict_form(link: &Link, is_top: bool) -> Result<(), Refusal> {
    let is_ca = link.facts.is_ca();
    let signs = link.usage.is_none_or(|usage| usage & CERTIFICATE_SIGN != 0);
    let length = link.facts.basic_constraints.and_then(|constraints| constraints.path_length);
    let is_uncritical = link.facts.basic_constraints.is_some_and(|constraints| !constraints.is_critical);
    let names = link.names.as_ref();
    let is_critical_name = names.is_some_and(|names| names.is_critical);
    let needs_subject = is_ca || link.usage.is_some_and(|usage| usage & REVOCATION_SIGN != 0) || names.is_none();
    let issuer_key = link.issuer_key.as_ref();
    let is_third = link.facts.version >= 3;
    let faults = [
        (length.is_some() && !is_ca, "it has a path length but is no authority"),
        (length.is_some() && !signs, "it has a path length but its keyUsage lacks keyCertSign"),
        (is_ca && is_uncritical, "its basicConstraints is not critical"),
        (is_ca && link.usage.is_none(), "the authority has no keyUsage"),
        (!is_ca && link.usage.is_some() && signs, "it is no authority, but its keyUsage has keyCertSign"),
        (!link.has_issuer, "its issuer has no name"),
        (needs_subject && !link.has_subject, "its subject has no name"),
        (
            !link.has_subject && names.is_some() && !is_critical_name,
            "it has no subject, and subjectAltName is not critical",
        ),
        (names.is_some_and(|names| names.count == 0), "its subjectAltName is empty"),
        (!link.is_algorithm_consistent, "it names two signature algorithms"),
        (issuer_key.is_some_and(|key| key.is_critical), "its authorityKeyIdentifier is critical"),
        (link.subject_key.as_ref().is_some_and(|key| key.is_critical), "its subjectKeyIdentifier is critical"),
        (is_third && !is_top && issuer_key.is_none_or(|key| key.id.is_none()), "it has no authorityKeyIdentifier"),
        (is_third && is_ca && link.subject_key.is_none(), "the authority has no subjectKeyIdentifier"),
        (!is_third && link.extensions > 0, "it has extensions, but is not of X.509 version 3"),
    ];
    match faults.iter().find(|(is_so, _)| *is_so) {
        Some((_, why)) => Err(Refusal::of(Cause::Form, link, *why)),
        None => Ok(()),
    }
}

fn needed(level: u8) -> u32 {
    match level {
        0 => 0,
        1 => 80,
        2 => 112,
        3 => 128,
        _ => 192,
    }
}

fn key_text(link: &Link) -> String {
    format!("its {} key has {} bits", link.facts.key.kind, link.facts.key.bits)
}

fn strength(path: &Path<'_>, habits: Habits) -> Result<(), Refusal> {
    let needed = needed(habits.level);
    for (index, &link) in path.links.iter().enumerate() {
        if index > 0 && signature::key_strength(link) < needed {
            return Err(Refusal::of(Cause::ShortKey, link, key_text(link)));
        }
        if index + 1 < path.links.len() && signature::strength(link) < needed {
            let why = format!("it is signed with {}", link.facts.signature.algorithm);
            return Err(Refusal::of(Cause::WeakSignature, link, why));
        }
    }
    Ok(())
}

/// Signatures and dates, from the top down. Gives what could not be computed.
fn signatures(path: &Path<'_>, now: i64, habits: Habits) -> Result<Option<Refusal>, Refusal> {
    let mut not_computed = None;
    for (index, &link) in path.links.iter().enumerate().rev() {
        if let Some(&issuer) = path.links.get(index + 1) {
            if issuer.usage.is_some_and(|usage| usage & CERTIFICATE_SIGN == 0) {
                return Err(Refusal::of(Cause::NotAuthority, issuer, "its keyUsage lacks keyCertSign"));
            }
            match signature::holds(link, issuer) {
                Signed::Yes => {}
                Signed::No => return Err(Refusal::signature(link, issuer)),
                Signed::NotComputed => not_computed = Some(Refusal::not_computed(link, issuer)),
            }
        } else if !link.names_itself() && !habits.takes_partial {
            return Err(Refusal::of(Cause::Untrusted, link, "nothing verifies it"));
        }
        dates(link, now)?;
    }
    Ok(not_computed)
}

/// Refuses what is not valid now.
pub(crate) fn dates(link: &Link, now: i64) -> Result<(), Refusal> {
    let facts = &link.facts;
    if facts.not_before > now {
        let why = format!(
            "it is valid from {}, and it is {} here; {}",
            moment(facts.not_before),
            moment(now),
            behind(facts.not_before - now)
        );
        return Err(Refusal::of(Cause::NotYetValid, link, why));
    }
    if facts.not_after < now {
        let why = format!(
            "it expired on {}, and it is {} here; {}",
            moment(facts.not_after),
            moment(now),
            ahead(now - facts.not_after)
        );
        return Err(Refusal::of(Cause::Expired, link, why));
    }
    Ok(())
}

fn constraints(path: &Path<'_>) -> Result<(), Refusal> {
    for (index, &link) in path.links.iter().enumerate().rev() {
        if index > 0 && link.subject == link.issuer {
            continue;
        }
        let above = path.links.get(index + 1..).unwrap_or_default();
        for &authority in above {
            let is_forbidden = authority.constraints.as_ref().is_some_and(|own| openssl_forbids(own, link, index == 0));
            if is_forbidden {
                let why = format!("`{}` may not speak for its names", authority.facts.subject);
                return Err(Refusal::of(Cause::NameConstraints, link, why));
            }
        }
    }
    Ok(())
}

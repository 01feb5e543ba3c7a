//! GnuTLS's verdict, by the rules of gnutls_x509_trust_list_verify_crt2(3) in GnuTLS 3.7 at its normal priority. Calls no GnuTLS.

use crate::constraints::gnutls_forbids;
use crate::link::{CERTIFICATE_SIGN, Link};
use crate::peer::{self, Habit};
use crate::signature::{self, Signed};
use crate::stack_openssl::{dates, no_authority};
use crate::verdict::{Case, Cause, Refusal};

/// The most certificates that are put into order.
const DEPTH: usize = 16;

/// Keys on elliptic curves, and the curves: P-192, P-224, P-256, P-384 and P-521.
const EC: &str = "1.2.840.10045.2.1";
const CURVES: &[&str] = &["1.2.840.10045.3.1.1", "1.3.132.0.33", "1.2.840.10045.3.1.7", "1.3.132.0.34", "1.3.132.0.35"];

/// `takes_same` says whether a server's certificate that is itself trusted is enough: for TLS clients it is, for
/// `certtool --verify` it is not.
pub(crate) fn verify(case: &Case<'_>, takes_same: bool) -> Result<(), Refusal> {
    let Some(leaf) = case.served.first() else { return Ok(()) };
    let path = ordered(case.served);
    let Some(&top) = path.last() else { return Ok(()) };
    // Authorities are looked up by the name of the last issuer, then by the name of the last certificate itself.
    let named =
        |name: &[u8]| case.authorities.iter().filter(|given| given.facts.subject_der == name).collect::<Vec<_>>();
    let by_issuer = chain(&path, &named(&top.facts.issuer_der), case.now, takes_same);
    let is_unknown = matches!(&by_issuer, Err(refusal) if refusal.cause == Cause::Untrusted);
    let by_path = if is_unknown && top.facts.subject_der != top.facts.issuer_der {
        let by_own = chain(&path, &named(&top.facts.subject_der), case.now, takes_same);
        if matches!(&by_own, Err(refusal) if refusal.cause == Cause::Untrusted) { by_issuer } else { by_own }
    } else {
        by_issuer
    };
    // What could not be computed may still be refused for something else.
    if by_path.as_ref().is_err_and(|refusal| refusal.cause != Cause::NotComputed) {
        return by_path;
    }
    purpose(leaf, true)?;
    match case.peer {
        Some(peer) if !is_for(leaf, peer) => Err(Refusal::of(Cause::Name, leaf, format!("it is not for {peer}"))),
        _ => by_path,
    }
}

fn is_for(leaf: &Link, peer: &peer::Peer) -> bool {
    let has_address = leaf.names.as_ref().is_some_and(|names| !names.addresses.is_empty());
    let may_serve = leaf.purposes.is_none_or(|purposes| purposes.server || purposes.any);
    let common_name = leaf.common_names.len() == 1 && may_serve && !has_address;
    peer::is_for(leaf, peer, Habit { common_name, partial_wildcards: false })
}

/// A server's certificate may be for anything; an authority that lists purposes must list this one.
fn purpose(link: &Link, is_leaf: bool) -> Result<(), Refusal> {
    match link.purposes {
        Some(purposes) if !(purposes.server || if is_leaf { purposes.any } else { purposes.netscape_gated }) => {
            Err(Refusal::of(Cause::Purpose, link, "its extendedKeyUsage lacks serverAuth"))
        }
        _ => Ok(()),
    }
}

/// Names compared by their text; key identifiers must agree when both are there.
fn is_issued_by(link: &Link, issuer: &Link) -> bool {
    let wanted = link.issuer_key.as_ref().and_then(|key| key.id.as_ref());
    let own = issuer.subject_key.as_ref().map(|key| &key.id);
    link.issuer == issuer.subject && !matches!((wanted, own), (Some(wanted), Some(own)) if wanted != own)
}

/// The certificates as sent, in order from the leaf, without what does not belong to the path.
fn ordered<'c>(served: &'c [Link]) -> Vec<&'c Link> {
    let mut path: Vec<&Link> = served.iter().take(1).collect();
    if served.len() > DEPTH {
        return served.iter().collect();
    }
    while let Some(&top) = path.last() {
        let is_new = |link: &&'c Link| !path.iter().any(|other| other.facts.der == link.facts.der);
        let Some(issuer) = served.iter().filter(is_new).find(|link| is_issued_by(top, link)) else { break };
        path.push(issuer);
    }
    path
}

fn chain(path: &[&Link], authorities: &[&Link], now: i64, takes_same: bool) -> Result<(), Refusal> {
    let mut path = path.to_vec();
    if path.len() > 1 && path.last().is_some_and(|top| is_issued_by(top, top)) {
        path.pop();
    }
    // A certificate that is trusted itself ends the path below it; an authority counts as the same by name and key.
    let same = |index: usize, link: &Link| {
        authorities.iter().find(|given| {
            let is_alike = given.facts.subject_der == link.facts.subject_der && given.key_info == link.key_info;
            if index == 0 { takes_same && given.facts.der == link.facts.der } else { is_alike }
        })
    };
    if let Some((index, given)) = path.iter().enumerate().find_map(|(index, link)| Some((index, same(index, link)?))) {
        dates(given, now)?;
        path.truncate(index);
    }
    let Some(&top) = path.last() else { return Ok(()) };
    let anchor = anchor(top, authorities, now)?;
    let mut room: Option<u32> = None;
    step(top, anchor, true, path.len() == 1, &mut room)?;
    let mut not_computed = signed(top, anchor)?;
    dates(anchor, now)?;
    dates(top, now)?;
    forbidden(&path, anchor)?;
    for (index, &link) in path.iter().enumerate().rev().skip(1) {
        let Some(&issuer) = path.get(index + 1) else { break };
        step(link, issuer, false, index == 0, &mut room)?;
        not_computed = not_computed.or(signed(link, issuer)?);
        dates(link, now)?;
    }
    path.iter().enumerate().try_for_each(|(index, link)| purpose(link, index == 0))?;
    not_computed.map_or(Ok(()), Err)
}

fn anchor<'c>(top: &Link, authorities: &[&'c Link], now: i64) -> Result<&'c Link, Refusal> {
    let found = authorities.iter().copied().filter(|given| is_issued_by(top, given));
    let mut all = found.peekable();
    let first = all.peek().copied();
    all.find(|given| given.is_current(now)).or(first).ok_or_else(|| {
        let why = if top.subject == top.issuer {
            "it is signed by itself and not among the authorities".to_owned()
        } else {
            format!("its issuer `{}` is neither sent nor trusted", top.facts.issuer)
        };
        Refusal::of(Cause::Untrusted, top, why)
    })
}

/// One certificate and the one that signed it. `room` is how many authorities may still follow.
fn step(link: &Link, issuer: &Link, is_anchor: bool, is_leaf: bool, room: &mut Option<u32>) -> Result<(), Refusal> {
    for checked in [link, issuer] {
        if let Some(oid) = checked.critical.iter().find(|oid| !is_known(oid)) {
            let why = format!("the critical extension {oid} is not known");
            return Err(Refusal::of(Cause::CriticalExtension, checked, why));
        }
    }
    // An authority that signed itself may lack basicConstraints, whatever its version.
    let is_bare_root = issuer.facts.basic_constraints.is_none() && is_issued_by(issuer, issuer);
    if !(is_anchor && issuer.facts.version == 1) {
        if !issuer.facts.is_ca() && !is_bare_root {
            return Err(Refusal::of(Cause::NotAuthority, issuer, no_authority(issuer)));
        }
        if issuer.usage.is_some_and(|usage| usage & CERTIFICATE_SIGN == 0) {
            return Err(Refusal::of(Cause::NotAuthority, issuer, "its keyUsage lacks keyCertSign"));
        }
    }
    let own = issuer.facts.basic_constraints.and_then(|constraints| constraints.path_length);
    *room = match (*room, own) {
        (Some(room), Some(own)) => Some(room.min(own)),
        (room, own) => room.or(own),
    };
    if !is_leaf && link.facts.is_ca() {
        if *room == Some(0) {
            return Err(Refusal::of(
                Cause::PathLength,
                issuer,
                "more authorities follow below it than its path length allows",
            ));
        }
        *room = room.map(|room| room - 1);
    }
    Ok(())
}

/// The signature of one certificate by the key of another. Gives what could not be computed.
fn signed(link: &Link, issuer: &Link) -> Result<Option<Refusal>, Refusal> {
    let not_computed = match signature::holds(link, issuer) {
        Signed::Yes => None,
        Signed::No => return Err(Refusal::signature(link, issuer)),
        Signed::NotComputed => Some(Refusal::not_computed(link, issuer)),
    };
    if issuer.key_algorithm == EC && !CURVES.contains(&issuer.curve.as_str()) {
        return Err(Refusal::of(Cause::Algorithm, issuer, "its key is on a curve that GnuTLS does not know"));
    }
    if signature::strength(link) < 80 {
        let why = format!("it is signed with {}", link.facts.signature.algorithm);
        return Err(Refusal::of(Cause::WeakSignature, link, why));
    }
    for checked in [link, issuer] {
        if signature::key_strength(checked) < 80 {
            let why = format!("its {} key has {} bits", checked.facts.key.kind, checked.facts.key.bits);
            return Err(Refusal::of(Cause::ShortKey, checked, why));
        }
    }
    Ok(not_computed)
}

fn is_known(oid: &str) -> bool {
    const KNOWN: &[&str] = &[
        "2.5.29.14",
        "2.5.29.15",
        "2.5.29.17",
        "2.5.29.19",
        "2.5.29.30",
        "2.5.29.31",
        "2.5.29.32",
        "2.5.29.35",
        "2.5.29.37",
        "2.5.29.54",
        "1.3.6.1.5.5.7.1.1",
        "1.3.6.1.5.5.7.1.24",
        "1.3.6.1.5.5.7.1.14",
        "2.5.29.16",
        "2.5.29.18",
    ];
    KNOWN.contains(&oid)
}

fn forbidden(path: &[&Link], anchor: &Link) -> Result<(), Refusal> {
    for (index, &link) in path.iter().enumerate() {
        let above = path.get(index + 1..).unwrap_or_default();
        for &authority in above.iter().chain([&anchor]) {
            let is_forbidden = authority.constraints.as_ref().is_some_and(|own| gnutls_forbids(own, link, index == 0));
            if is_forbidden {
                let why = format!("`{}` may not speak for its names", authority.facts.subject);
                return Err(Refusal::of(Cause::NameConstraints, link, why));
            }
        }
    }
    Ok(())
}

//! rustls's verdict, by the rules of webpki: every path is tried, and the most telling refusal is given. Calls no rustls.

use crate::constraints::webpki_forbids;
use crate::link::Link;
use crate::peer::{self, Habit};
use crate::signature::{self, Webpki};
use crate::stack_openssl::{dates, no_authority};
use crate::verdict::{Case, Cause, Refusal};

/// The extensions that may be critical.
const KNOWN: &[&str] = &["2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.30", "2.5.29.31", "2.5.29.37"];

/// How many authorities may stand between leaf and anchor, and how many steps a search may take.
const DEPTH: usize = 6;
const STEPS: u32 = 100;

/// One search for a path.
struct Search<'s, 'c> {
    case: &'s Case<'c>,
    steps: u32,
    /// The path went on where no more authorities are taken.
    is_too_deep: bool,
}

pub(crate) fn verify(case: &Case<'_>) -> Result<(), Refusal> {
    let Some(leaf) = case.served.first() else { return Ok(()) };
    readable(leaf)?;
    let mut search = Search { case, steps: STEPS, is_too_deep: false };
    let climbed = search.climb(&mut vec![leaf]);
    if search.is_too_deep && climbed.as_ref().is_err_and(|refusal| rank(refusal.cause) == 0) {
        let why = format!("more than {DEPTH} authorities stand between it and the root, and no more are taken");
        return Err(Refusal::of(Cause::PathLength, leaf, why));
    }
    climbed?;
    let habit = Habit { common_name: false, partial_wildcards: false };
    match case.peer {
        Some(peer) if !peer::is_for(leaf, peer, habit) => {
            let has_names = leaf.names.as_ref().is_some_and(|names| names.count > 0);
            let why = if has_names { "" } else { ", and it has no subjectAltName; the common name does not count" };
            Err(Refusal::of(Cause::Name, leaf, format!("it is not for {peer}{why}")))
        }
        _ => handshake_key(leaf),
    }
}

/// The handshake's own signature is by the leaf's key, and short RSA keys are not taken there.
fn handshake_key(leaf: &Link) -> Result<(), Refusal> {
    if !signature::is_webpki_key(leaf) {
        let why = format!("its key ({}) is of a kind that is not taken", leaf.facts.key.kind);
        return Err(Refusal::of(Cause::Algorithm, leaf, why));
    }
    if leaf.facts.key.kind == "RSA" && leaf.facts.key.bits < 2048 {
        return Err(Refusal::of(Cause::ShortKey, leaf, format!("its RSA key has {} bits", leaf.facts.key.bits)));
    }
    Ok(())
}

fn readable(link: &Link) -> Result<(), Refusal> {
    if link.facts.version != 3 {
        let why = format!("it is of X.509 version {}, and only 3 is taken", link.facts.version);
        return Err(Refusal::of(Cause::Version, link, why));
    }
    if link.is_malformed || !link.is_algorithm_consistent {
        return Err(Refusal::of(Cause::Malformed, link, "it cannot be read"));
    }
    match link.critical.iter().find(|oid| !KNOWN.contains(&oid.as_str())) {
        Some(oid) => {
            let why = format!("the critical extension {oid} is not known");
            Err(Refusal::of(Cause::CriticalExtension, link, why))
        }
        None => Ok(()),
    }
}

/// How telling a refusal is: webpki gives the one with the highest rank.
fn rank(cause: Cause) -> u32 {
    match cause {
        Cause::NotYetValid | Cause::Expired => 290,
        Cause::Name => 280,
        Cause::Signature => 260,
        Cause::Purpose => 240,
        Cause::NameConstraints => 230,
        Cause::PathLength => 220,
        Cause::NotAuthority => 210,
        Cause::WeakSignature | Cause::ShortKey | Cause::Algorithm => 150,
        Cause::CriticalExtension | Cause::Version => 130,
        Cause::Form | Cause::Malformed => 40,
        Cause::Untrusted | Cause::NotComputed => 0,
    }
}

impl<'c> Search<'_, 'c> {
    fn climb(&mut self, path: &mut Vec<&'c Link>) -> Result<(), Refusal> {
        let Some(&head) = path.last() else { return Ok(()) };
        own_facts(head, path.len() - 1, self.case.now)?;
        let unknown = format!("its issuer `{}` is neither sent nor trusted", head.facts.issuer);
        let mut worst = Refusal::of(Cause::Untrusted, head, unknown);
        let mut note = |refusal: Refusal| {
            if rank(refusal.cause) > rank(worst.cause) {
                worst = refusal;
            }
        };
        for anchor in self.case.authorities.iter().filter(|anchor| is_anchor(anchor)) {
            if anchor.facts.subject_der == head.facts.issuer_der && self.steps > 0 {
                self.steps -= 1;
                match signed(path, anchor).and_then(|()| constrained(path, anchor)) {
                    Ok(()) => return Ok(()),
                    Err(refusal) => note(refusal),
                }
            }
        }
        for sent in self.case.served.iter().skip(1) {
            let is_in_path = path
                .iter()
                .any(|link| link.key_info == sent.key_info && link.facts.subject_der == sent.facts.subject_der);
            if let Err(refusal) = readable(sent) {
                note(refusal);
                continue;
            }
            if sent.facts.subject_der != head.facts.issuer_der || is_in_path || self.steps == 0 {
                continue;
            }
            if path.len() > DEPTH {
                self.is_too_deep = true;
                continue;
            }
            self.steps -= 1;
            path.push(sent);
            let result = self.climb(path);
            path.pop();
            match result {
                Ok(()) => return Ok(()),
                Err(refusal) => note(refusal),
            }
        }
        Err(worst)
    }
}

/// An anchor is only a name, a key and its constraints; even an old version will do.
fn is_anchor(link: &Link) -> bool {
    link.facts.version == 1 || !link.is_malformed
}

fn own_facts(link: &Link, position: usize, now: i64) -> Result<(), Refusal> {
    dates(link, now)?;
    let constraints = link.facts.basic_constraints;
    let is_ca = link.facts.is_ca();
    if position == 0 && is_ca {
        return Err(Refusal::of(Cause::NotAuthority, link, "an authority's certificate stands for a server"));
    }
    if position > 0 && !is_ca {
        return Err(Refusal::of(Cause::NotAuthority, link, no_authority(link)));
    }
    let below = position.saturating_sub(1);
    let allowed = constraints.and_then(|constraints| constraints.path_length);
    if position > 0 && allowed.is_some_and(|allowed| below > allowed as usize) {
        let why = format!("{below} authorities follow below it, its path length allows fewer");
        return Err(Refusal::of(Cause::PathLength, link, why));
    }
    match link.purposes {
        Some(purposes) if !purposes.server => {
            Err(Refusal::of(Cause::Purpose, link, "its extendedKeyUsage lacks serverAuth"))
        }
        _ => Ok(()),
    }
}

fn signed(path: &[&Link], anchor: &Link) -> Result<(), Refusal> {
    let mut issuer = anchor;
    for &link in path.iter().rev() {
        let is_short = issuer.facts.key.kind == "RSA" && issuer.facts.key.bits < 2048;
        match signature::by_webpki(link, issuer) {
            Webpki::Holds => {}
            Webpki::Fails if is_short => {
                let why = format!("the RSA key of `{}` has {} bits", issuer.facts.subject, issuer.facts.key.bits);
                return Err(Refusal::of(Cause::ShortKey, issuer, why));
            }
            Webpki::Fails => return Err(Refusal::signature(link, issuer)),
            Webpki::Unlisted if link.facts.signature.is_weak => {
                let why = format!("it is signed with {}", link.facts.signature.algorithm);
                return Err(Refusal::of(Cause::WeakSignature, link, why));
            }
            Webpki::Unlisted | Webpki::OtherKey => {
                let (key, algorithm) = (&issuer.facts.key.kind, &link.facts.signature.algorithm);
                let why = format!("it is signed with {algorithm} by a key of kind {key}, which is not taken");
                return Err(Refusal::of(Cause::Algorithm, link, why));
            }
        }
        issuer = link;
    }
    Ok(())
}

fn constrained(path: &[&Link], anchor: &Link) -> Result<(), Refusal> {
    let mut authority = anchor;
    for (index, &link) in path.iter().enumerate().rev() {
        if let Some(own) = &authority.constraints {
            let subtree = path.get(..=index).unwrap_or_default();
            if let Some(&refused) = subtree.iter().find(|link| webpki_forbids(own, link)) {
                let why = format!("`{}` may not speak for its names", authority.facts.subject);
                return Err(Refusal::of(Cause::NameConstraints, refused, why));
            }
        }
        authority = link;
    }
    Ok(())
}

//! From verdicts to the one certificate to add or replace. Explains what the stacks refuse; never overrules them.

use serde::Serialize;

use crate::link::Link;
use crate::signature::{self, Signed};
use crate::verdict::{Case, Cause, Refusal, Stack, Verdict};

/// What is behind a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Diagnosis {
    /// The server keeps an intermediate back.
    MissingIntermediate,
    /// The chain ends at another root than the ones given.
    WrongRoot,
    /// The root has the given one's name but another key.
    ReplacedRoot,
    /// The authorities hold another certificate for this host by another issuer: something stands between.
    Intercepted,
    /// The server's own certificate was given as authority; only some stacks take that.
    LeafAsAuthority,
    /// An intermediate was given without its root; only some stacks take that.
    PartialChain,
    /// The server's certificate is signed by itself.
    SelfSigned,
    /// One certificate must be issued anew.
    Certificate,
    /// A clock or a date.
    Clock,
}

/// The reason and the sentence; none when every stack accepts.
pub(crate) fn of(case: &Case<'_>, verdicts: &[Verdict]) -> Option<(Diagnosis, String)> {
    let refused: Vec<&Refusal> = verdicts
        .iter()
        .filter_map(|verdict| verdict.refusal.as_ref())
        .filter(|refusal| refusal.cause != Cause::NotComputed)
        .collect();
    let first = most_common(&refused)?;
    match first.cause {
        Cause::Untrusted | Cause::Signature => Some(untrusted(case, verdicts)),
        Cause::NotYetValid => {
            Some((Diagnosis::Clock, format!("set this host's clock, or wait: `{}`: {}", first.subject, first.why)))
        }
        Cause::Expired => Some((
            Diagnosis::Clock,
            format!("replace `{}` by its renewed one, if this host's clock is right: {}", first.subject, first.why),
        )),
        Cause::Name => Some((
            Diagnosis::Certificate,
            format!("replace the server's certificate `{}` by one with this name in subjectAltName", first.subject),
        )),
        _ => Some((Diagnosis::Certificate, format!("replace `{}`: {}", first.subject, first.why))),
    }
}

/// The refusal that most stacks share; the earliest of those that tie.
fn most_common<'r>(refused: &[&'r Refusal]) -> Option<&'r Refusal> {
    let weight = |refusal: &Refusal| refused.iter().filter(|other| other.cause == refusal.cause).count();
    let most = refused.iter().map(|refusal| weight(refusal)).max()?;
    refused.iter().copied().find(|refusal| weight(refusal) == most)
}

fn untrusted(case: &Case<'_>, verdicts: &[Verdict]) -> (Diagnosis, String) {
    let Some(leaf) = case.served.first() else { return (Diagnosis::WrongRoot, String::new()) };
    let top = climb(case, leaf);
    given_itself(case, leaf, verdicts)
        .or_else(|| intercepted(case, leaf))
        .or_else(|| given_without_root(case, top, verdicts))
        .unwrap_or_else(|| above(case, top))
}

/// The server's own certificate is among the authorities.
fn given_itself(case: &Case<'_>, leaf: &Link, verdicts: &[Verdict]) -> Option<(Diagnosis, String)> {
    case.authorities.iter().find(|given| given.facts.der == leaf.facts.der)?;
    let (kind, text) = if leaf.subject == leaf.issuer {
        let text = "have the server's certificate issued by an authority, and give that one".to_owned();
        (Diagnosis::SelfSigned, text)
    } else {
        let text = format!("add `{}`, which issued the server's certificate, to the authorities", leaf.facts.issuer);
        (Diagnosis::LeafAsAuthority, text)
    };
    Some((kind, format!("{text}; {}", who_accepts(verdicts))))
}

/// The authorities hold another certificate for the same name, by another issuer.
fn intercepted(case: &Case<'_>, leaf: &Link) -> Option<(Diagnosis, String)> {
    let other = pinned_other(case, leaf)?;
    let text = format!(
        "compare with the server itself: the authorities hold `{}` issued by `{}` for this name, but `{}` issued what is \
         shown here",
        other.facts.subject, other.facts.issuer, leaf.facts.issuer
    );
    Some((Diagnosis::Intercepted, text))
}

/// An intermediate is given, and its root is not.
fn given_without_root(case: &Case<'_>, top: &Link, verdicts: &[Verdict]) -> Option<(Diagnosis, String)> {
    let mut below_root = case.authorities.iter().filter(|given| given.subject != given.issuer);
    let given = below_root.find(|given| given.subject == top.issuer)?;
    let (issuer, subject) = (&given.facts.issuer, &given.facts.subject);
    let text = format!("add `{issuer}`, the issuer of `{subject}`, to the authorities; {}", who_accepts(verdicts));
    verdicts.iter().any(|verdict| verdict.accepts == Some(true)).then_some((Diagnosis::PartialChain, text))
}

/// What is missing above the highest certificate at hand.
fn above(case: &Case<'_>, top: &Link) -> (Diagnosis, String) {
    let (subject, issuer) = (&top.facts.subject, &top.facts.issuer);
    if case.authorities.iter().any(|given| given.subject == top.issuer && signature::holds(top, given) == Signed::No) {
        let text = format!("replace `{issuer}` among the authorities: the one that signed `{subject}` has another key");
        return (Diagnosis::ReplacedRoot, text);
    }
    let is_alone = case.served.len() == 1;
    if top.subject == top.issuer {
        let kind = if is_alone { Diagnosis::SelfSigned } else { Diagnosis::WrongRoot };
        let text = format!(
            "add `{subject}` (SHA-256 {}) to the authorities if your own people issued it; if not, something between \
             intercepts",
            top.facts.fingerprint
        );
        return (kind, text);
    }
    let text = format!(
        "add `{issuer}`, the issuer of `{subject}`: to the server's chain if it is an intermediate, to the authorities if it \
         is the root"
    );
    (if is_alone { Diagnosis::MissingIntermediate } else { Diagnosis::WrongRoot }, text)
}

/// The highest certificate that names lead to from the leaf through what was sent.
fn climb<'c>(case: &Case<'c>, leaf: &'c Link) -> &'c Link {
    let mut path = vec![leaf];
    while let Some(&top) = path.last() {
        let next = case
            .served
            .iter()
            .find(|link| top.issuer == link.subject && !path.iter().any(|seen| seen.facts.der == link.facts.der));
        match next {
            Some(link) if top.subject != top.issuer => path.push(link),
            _ => return top,
        }
    }
    leaf
}

fn pinned_other<'c>(case: &Case<'c>, leaf: &Link) -> Option<&'c Link> {
    let own = leaf.names.as_ref()?;
    case.authorities.iter().find(|given| {
        let shares = given.names.as_ref().is_some_and(|names| names.hosts.iter().any(|host| own.hosts.contains(host)));
        shares && !given.facts.is_ca() && given.issuer != leaf.issuer
    })
}

fn who_accepts(verdicts: &[Verdict]) -> String {
    let names = |accepts: bool| {
        let chosen: Vec<_> = verdicts
            .iter()
            .filter(|verdict| verdict.accepts == Some(accepts))
            .map(|verdict| Stack::name(verdict.stack))
            .collect();
        if chosen.is_empty() { "none".to_owned() } else { chosen.join(", ") }
    };
    format!("accepted as it is by {}, refused by {}", names(true), names(false))
}

/// What is odd about the chain as sent.
pub(crate) fn oddities(case: &Case<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for (index, link) in case.served.iter().enumerate() {
        if case.served.iter().take(index).any(|other| other.facts.der == link.facts.der) {
            found.push(format!("the server sends `{}` twice", link.facts.subject));
        }
    }
    let is_in_order =
        case.served.windows(2).all(|pair| matches!(pair, [below, above] if below.issuer == above.subject));
    if !is_in_order && found.is_empty() {
        found.push("the server sends its certificates out of order, or ones that do not belong to its chain".into());
    }
    if case.served.len() > 1 && case.served.last().is_some_and(|top| top.subject == top.issuer) {
        found.push("the server sends its root too, which nobody needs".into());
    }
    found
}

//! What each TLS stack will say of a server's chain, and which one certificate to add or replace. Computed from the bytes
//! alone; starts no program and opens no connection.

use serde::Serialize;

use crate::certificate::Certificate;
use crate::link::Link;
use crate::peer::Peer;
use crate::{remedy, stack_gnutls, stack_openssl, stack_webpki};

/// How many certificates of a server, and how many authorities, are looked at.
const MOST_SERVED: usize = 100;
const MOST_AUTHORITIES: usize = 5000;

/// A TLS stack, as its default client uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stack {
    /// rustls with webpki: this program, and most Rust ones.
    Rustls,
    /// OpenSSL at security level 2, Debian's default: curl, git, Python before 3.13.
    Openssl,
    /// The same with `-x509_strict`.
    OpensslStrict,
    /// Python 3.13's `ssl.create_default_context()`: strict, but a trusted intermediate or leaf is enough.
    Python313,
    /// GnuTLS at its normal priority: git and wget on Debian.
    Gnutls,
}

impl Stack {
    /// Every stack, in the order of a report.
    pub const ALL: [Self; 5] = [Self::Rustls, Self::Openssl, Self::OpensslStrict, Self::Python313, Self::Gnutls];

    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rustls => "rustls",
            Self::Openssl => "OpenSSL",
            Self::OpensslStrict => "OpenSSL strict",
            Self::Python313 => "Python 3.13",
            Self::Gnutls => "GnuTLS",
        }
    }
}

/// What is wrong, in classes that every stack knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// No path leads to a given authority.
    Untrusted,
    /// A signature does not hold.
    Signature,
    /// A certificate that is no authority stands where one is needed, or the other way round.
    NotAuthority,
    /// More authorities follow than pathLenConstraint allows.
    PathLength,
    /// extendedKeyUsage or keyUsage does not allow TLS servers.
    Purpose,
    /// A certificate has expired.
    Expired,
    /// A certificate is not valid yet.
    NotYetValid,
    /// The certificate is for other names.
    Name,
    /// An authority may not speak for the name.
    NameConstraints,
    /// A signature uses SHA-1 or MD5.
    WeakSignature,
    /// A key is too short.
    ShortKey,
    /// A critical extension that the stack does not know.
    CriticalExtension,
    /// A form that only strict readers refuse.
    Form,
    /// An X.509 version that the stack does not take.
    Version,
    /// The certificate cannot be read.
    Malformed,
    /// A signature or a key is of an algorithm that the stack does not take.
    Algorithm,
    /// A signature is of an algorithm that is not computed here: the stack may accept or refuse.
    NotComputed,
}

/// Why a stack refuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// The class.
    pub cause: Cause,
    /// The certificate it is about, by its subject.
    pub subject: String,
    /// SHA-256 of that certificate, hexadecimal.
    pub fingerprint: String,
    /// What is seen, in one line.
    pub why: String,
}

impl Refusal {
    pub(crate) fn of(cause: Cause, link: &Link, why: impl Into<String>) -> Self {
        let facts = &link.facts;
        Self { cause, subject: facts.subject.clone(), fingerprint: facts.fingerprint.clone(), why: why.into() }
    }

    /// The signature on `link` is not `issuer`'s.
    pub(crate) fn signature(link: &Link, issuer: &Link) -> Self {
        let why = format!("its signature is not by the key of the `{}` at hand", issuer.facts.subject);
        Self::of(Cause::Signature, link, why)
    }

    /// Nothing is known of the signature on `link` by `issuer`.
    pub(crate) fn not_computed(link: &Link, issuer: &Link) -> Self {
        let (key, algorithm) = (&issuer.facts.key, &link.facts.signature.algorithm);
        let why =
            format!("its signature ({algorithm} by a key of {} bits, {}) is not computed here", key.bits, key.kind);
        Self::of(Cause::NotComputed, link, why)
    }
}

/// What one stack says.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// Which stack.
    pub stack: Stack,
    /// Says whether it accepts the server; `None` when that cannot be said.
    pub accepts: Option<bool>,
    /// Why not, or why it cannot be said.
    #[serde(flatten)]
    pub refusal: Option<Refusal>,
}

/// A chain, the authorities it is held against, and what all stacks say.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whom the chain was asked for.
    pub peer: Option<String>,
    /// The chain as presented, the server's own certificate first.
    pub served: Vec<Certificate>,
    /// One verdict a stack.
    pub verdicts: Vec<Verdict>,
    /// The one certificate to add or replace, in one sentence; none when every stack accepts.
    pub remedy: Option<String>,
    /// The class of the remedy's reason.
    pub diagnosis: Option<remedy::Diagnosis>,
    /// What is odd about the chain as sent, although it may verify.
    pub oddities: Vec<String>,
}

/// What a verdict is computed from.
#[derive(Debug)]
pub(crate) struct Case<'c> {
    pub(crate) served: &'c [Link],
    pub(crate) authorities: &'c [Link],
    pub(crate) peer: Option<&'c Peer>,
    /// Seconds since the epoch.
    pub(crate) now: i64,
}

/// Judges the chain `served` (DER, the server's own first) with `authorities` (DER) for `peer`. `None` when the first
/// certificate cannot be read.
pub fn judge(served: &[Vec<u8>], authorities: &[Vec<u8>], peer: Option<&Peer>, now: i64) -> Option<Report> {
    let links =
        |all: &[Vec<u8>], most: usize| all.iter().take(most).filter_map(|der| Link::parse(der)).collect::<Vec<_>>();
    Link::parse(served.first()?)?;
    let (served, authorities) = (links(served, MOST_SERVED), links(authorities, MOST_AUTHORITIES));
    let case = Case { served: &served, authorities: &authorities, peer, now };
    let verdict = |stack: Stack| {
        let refusal = says(stack, &case).err();
        let accepts = match &refusal {
            None => Some(true),
            Some(refusal) if refusal.cause == Cause::NotComputed => None,
            Some(_) => Some(false),
        };
        Verdict { stack, accepts, refusal }
    };
    let verdicts: Vec<Verdict> = Stack::ALL.map(verdict).into();
    let advice = remedy::of(&case, &verdicts);
    Some(Report {
        peer: peer.map(Peer::to_string),
        served: served.iter().map(|link| link.facts.clone()).collect(),
        verdicts,
        diagnosis: advice.as_ref().map(|(diagnosis, _)| *diagnosis),
        remedy: advice.map(|(_, sentence)| sentence),
        oddities: remedy::oddities(&case),
    })
}

/// What one stack says of one case.
pub(crate) fn says(stack: Stack, case: &Case<'_>) -> Result<(), Refusal> {
    use stack_openssl::Habits;
    let openssl = Habits { is_strict: false, takes_partial: false, level: 2, partial_wildcards: true };
    match stack {
        Stack::Rustls => stack_webpki::verify(case),
        Stack::Openssl => stack_openssl::verify(case, openssl),
        Stack::OpensslStrict => stack_openssl::verify(case, Habits { is_strict: true, ..openssl }),
        Stack::Python313 => {
            let python = Habits { is_strict: true, takes_partial: true, partial_wildcards: false, ..openssl };
            stack_openssl::verify(case, python)
        }
        Stack::Gnutls => stack_gnutls::verify(case, true),
    }
}

//! Why a registry does not have what it was to get, and what the operator can do about it. Never repeats a password or a token.

use std::io;

use base::Hint;

use crate::egress::EgressError;

/// Why a registry does not have what it was to get.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Not an address that is spoken here.
    #[error("`{address}` is no registry's address: {why}")]
    Address {
        /// The address, unless it may hold a password.
        address: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Nobody answers, or not to the end.
    #[error("could not {what} at the registry `{address}`")]
    Absent {
        /// The registry.
        address: String,
        /// What was asked.
        what: String,
        /// Why.
        source: EgressError,
    },
    /// It wants to know who is there, or knows and does not want.
    #[error("the registry `{address}` did not allow to {what}")]
    Denied {
        /// The registry.
        address: String,
        /// What was asked.
        what: String,
        /// Says whether it was told a user and a password.
        is_told: bool,
    },
    /// It wants the password to go to somebody whom nobody named.
    #[error("the registry `{address}` wants a token of `{realm}`, which nobody named")]
    Realm {
        /// The registry.
        address: String,
        /// Where it sends us.
        realm: String,
    },
    /// It said no.
    #[error("the registry `{address}` refused to {what}: HTTP {status} {message}")]
    Refused {
        /// The registry.
        address: String,
        /// What was asked.
        what: String,
        /// The HTTP status.
        status: u16,
        /// Its own words.
        message: String,
    },
    /// It has something else than what was sent.
    #[error("the registry `{address}` has `{image}` as {found}, and the bundle as {wanted}")]
    Differs {
        /// The registry.
        address: String,
        /// The repository and the tag.
        image: String,
        /// What the bundle says.
        wanted: String,
        /// What the registry says.
        found: String,
    },
    /// It answers against the protocol, or sends us elsewhere.
    #[error("the registry `{address}` answered against the protocol: {why}")]
    Protocol {
        /// The registry.
        address: String,
        /// What is wrong.
        why: String,
    },
    /// What was to be pushed does not read.
    #[error("could not read what was to be pushed")]
    Content {
        /// Why.
        source: io::Error,
    },
    /// No runtime could be had.
    #[error("could not start what talks to the registry")]
    Runtime {
        /// Why.
        source: io::Error,
    },
}

impl RegistryError {
    /// The stable id of the refusal; `None` for what is none.
    pub const fn id(&self) -> Option<&'static str> {
        match self {
            Self::Address { .. } => Some("GG-BUNDLE-175"),
            Self::Absent { .. } => Some("GG-BUNDLE-176"),
            Self::Denied { .. } => Some("GG-BUNDLE-177"),
            Self::Refused { .. } => Some("GG-BUNDLE-178"),
            Self::Protocol { .. } => Some("GG-BUNDLE-179"),
            Self::Realm { .. } => Some("GG-BUNDLE-188"),
            Self::Differs { .. } => Some("GG-BUNDLE-189"),
            Self::Content { .. } | Self::Runtime { .. } => None,
        }
    }
}

impl Hint for RegistryError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Address { .. } => Some("write https://HOST[:PORT][/FOLDER]".into()),
            Self::Absent { source: EgressError::Tls { .. }, .. } => {
                Some("give the authority that issued its certificate: --ca FILE".into())
            }
            Self::Absent { .. } => Some("run this again when it answers: what it has already is not sent again".into()),
            Self::Denied { is_told: false, .. } => Some("give --registry-user and --registry-password-file".into()),
            Self::Denied { .. } => Some("look at the user, the password, and what that user may do there".into()),
            Self::Realm { realm, .. } => Some(format!(
                "it heard no password; only when it is your site's own, name it: --registry-realm {realm}"
            )),
            Self::Differs { .. } => {
                Some("do not use what is there; look at who else writes to that registry, then run this again".into())
            }
            Self::Refused { .. } => Some("look at the registry's own log, then run this again".into()),
            _ => None,
        }
    }
}

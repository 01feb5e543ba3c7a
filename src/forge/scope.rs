//! What a credential may be used for, tokens in the names of the Gitea family. Says nothing of what its user may do: a
//! right needs both.

use std::fmt;

/// An area of the forge, and how it is touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Look at repositories and clone them.
    ReadRepository,
    /// Push, and make, change and remove repositories.
    WriteRepository,
    /// Look at the account's own data.
    ReadUser,
    /// Change them: keys, the profile.
    WriteUser,
    /// Look at organisations and teams.
    ReadOrganization,
    /// Make, change and remove them.
    WriteOrganization,
    /// Look at what administrators see.
    ReadAdmin,
    /// Administer the site.
    WriteAdmin,
    /// Look at issues and pull requests.
    ReadIssue,
    /// Write them.
    WriteIssue,
}

/// Every need that a token can be made for, with its name.
pub const SCOPE_NAMES: &[(&str, Need)] = &[
    ("read:repository", Need::ReadRepository),
    ("write:repository", Need::WriteRepository),
    ("read:user", Need::ReadUser),
    ("write:user", Need::WriteUser),
    ("read:organization", Need::ReadOrganization),
    ("write:organization", Need::WriteOrganization),
    ("read:admin", Need::ReadAdmin),
    ("write:admin", Need::WriteAdmin),
    ("read:issue", Need::ReadIssue),
    ("write:issue", Need::WriteIssue),
];

/// A set of needs. To write an area is to read it as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes(u16);

impl Scopes {
    /// All of them, also those that a later version adds to the names.
    pub const ALL: Self = Self(u16::MAX);

    /// The set of these needs.
    pub fn of(needs: &[Need]) -> Self {
        Self(needs.iter().fold(0, |bits, need| bits | need.bit()))
    }

    /// Reads names with `,` between them, or `all`. Fails with the first name that it does not know.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut set = Self::default();
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            set = match SCOPE_NAMES.iter().find(|(known, _)| *known == name) {
                Some((_, need)) => Self(set.0 | need.bit()),
                None if name == "all" => Self::ALL,
                None => return Err(name.into()),
            };
        }
        Ok(set)
    }

    /// What is stored; a name that this version does not know opens nothing.
    pub(crate) fn stored(text: &str) -> Self {
        let known = text.split(',').filter_map(|name| Self::parse(name).ok());
        Self(known.fold(0, |bits, set| bits | set.0))
    }

    /// Says whether the set is enough for `need`.
    pub const fn holds(self, need: Need) -> bool {
        let bit = need.bit();
        // The bit of writing is the one above that of reading.
        let enough = if need.is_read() { bit | bit << 1 } else { bit };
        self.0 & enough != 0
    }

    /// Says whether nothing is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The names, as they were given.
    pub fn names(self) -> Vec<&'static str> {
        if self == Self::ALL {
            return vec!["all"];
        }
        SCOPE_NAMES.iter().filter(|(_, need)| self.0 & need.bit() != 0).map(|(name, _)| *name).collect()
    }

    /// Says whether all of it is about what is in repositories.
    pub(crate) fn is_of_repositories(self) -> bool {
        use Need::{ReadIssue, ReadRepository, WriteIssue, WriteRepository};
        let allowed = Self::of(&[ReadRepository, WriteRepository, ReadIssue, WriteIssue]);
        self.0 & !allowed.0 == 0
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.names().join(","))
    }
}

impl Need {
    const fn bit(self) -> u16 {
        1 << self as u16
    }

    const fn is_read(self) -> bool {
        (self as u16).is_multiple_of(2)
    }
}

/// What a credential allows, at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A session: all that the user may do.
    Full,
    /// Name and password with one request: all but what only a session may.
    Password,
    /// An SSH key: clone and push.
    Key,
    /// A token.
    Token {
        /// What it opens.
        scopes: Scopes,
        /// The token's id, when it is for some repositories alone.
        limited: Option<i64>,
    },
}

impl Scope {
    /// Says whether the credential is enough for what is not about one repository.
    pub(crate) const fn holds(self, need: Need) -> bool {
        match self {
            Self::Full | Self::Password => true,
            Self::Key => false,
            Self::Token { scopes, limited } => limited.is_none() && scopes.holds(need),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn to_write_is_to_read_and_never_the_other_way() {
        for pair in SCOPE_NAMES.chunks(2) {
            let [(reads, read), (writes, write)] = pair else { panic!("{pair:?}") };
            let (reads, writes) = (Scopes::parse(reads).unwrap(), Scopes::parse(writes).unwrap());
            assert!(reads.holds(*read) && !reads.holds(*write), "{read:?}");
            assert!(writes.holds(*read) && writes.holds(*write), "{write:?}");
            for (_, other) in SCOPE_NAMES.iter().filter(|(_, other)| other != read && other != write) {
                assert!(!reads.holds(*other) && !writes.holds(*other), "{read:?} {other:?}");
                assert!(Scopes::ALL.holds(*other));
            }
        }
        assert!(!Scopes::default().holds(Need::ReadRepository));
    }

    #[test]
    fn names_are_read_and_told_again() {
        for text in ["read:repository", "write:repository,read:user", "all", ""] {
            assert_eq!(Scopes::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Scopes::parse("read:user, write:nothing").unwrap_err(), "write:nothing");
        assert_eq!(Scopes::stored("read:user,write:later").to_string(), "read:user");
        assert!(Scopes::stored("write:later").is_empty());
    }

    #[test]
    fn a_key_and_a_limited_token_open_nothing_beyond_repositories() {
        for (_, need) in SCOPE_NAMES {
            assert!(!Scope::Key.holds(*need));
            assert!(!Scope::Token { scopes: Scopes::ALL, limited: Some(1) }.holds(*need));
            assert!(Scope::Full.holds(*need) && Scope::Password.holds(*need));
        }
    }
}

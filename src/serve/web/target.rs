//! Addresses inside the site: how they are written, and which ones a redirect may go to. Nothing here ever yields an
//! address on another host.

use std::fmt;

use base::name::{RefName, RepoPath, TreePath};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};

/// Bytes that stay as they are in a path: RFC 3986's unreserved ones and the slash.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Encodes bytes for a URL's path; slashes stay.
pub(crate) fn encode(bytes: &[u8]) -> String {
    percent_encode(bytes, PLAIN).to_string()
}

/// The bytes behind a URL's path, as Git has them.
pub(crate) fn decode(text: &str) -> Vec<u8> {
    percent_decode(text.as_bytes()).collect()
}

/// Encodes one value for a URL's query.
pub(crate) fn encode_value(text: &str) -> String {
    percent_encode(text.as_bytes(), NON_ALPHANUMERIC).to_string()
}

/// A path on this site that a visitor's request named, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LocalPath(String);

impl LocalPath {
    /// Takes a path and query that a browser resolves to this site whatever the page: one slash first, then no second
    /// one and no backslash anywhere, printable ASCII only, at most 2,000 bytes.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_local = text.starts_with('/') && !text.starts_with("//");
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        (is_local && is_plain && text.len() <= 2000).then(|| Self(text.into()))
    }

    /// The start page.
    pub(crate) fn start() -> Self {
        Self("/".into())
    }

    /// The path and query.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a page says once after a form did its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// An SSH key was added.
    KeyAdded,
    /// An SSH key was removed.
    KeyRemoved,
    /// A token was ended.
    TokenEnded,
    /// The password was changed.
    PasswordChanged,
    /// A user was made.
    UserMade,
    /// A user was activated or deactivated.
    UserChanged,
    /// A repository was deleted.
    RepositoryDeleted,
    /// The password was given once more.
    Proved,
    /// The password is to be given once more first.
    ProofNeeded,
    /// The password was changed, and tokens and keys are gone.
    AllRevoked,
    /// An authenticator app was set up.
    AppAdded,
    /// A security key was added.
    SecurityKeyAdded,
    /// A security key has another name.
    SecurityKeyRenamed,
    /// An app or a key was removed.
    FactorRemoved,
    /// Sessions were ended.
    SessionsEnded,
    /// Somebody's second factor was taken away.
    FactorReset,
    /// A protection was made or changed.
    ProtectionSaved,
    /// A protection was removed.
    ProtectionRemoved,
    /// A quota was set.
    QuotaSaved,
    /// The site's limits were set.
    LimitsSaved,
    /// An SSH authority was added.
    AuthorityAdded,
    /// An SSH authority was removed.
    AuthorityRemoved,
    /// A user was removed.
    UserRemoved,
    /// Something was saved.
    Saved,
    /// Somebody or something was added.
    Added,
    /// Somebody or something was taken off.
    Removed,
    /// A repository has another place.
    Moved,
    /// An organisation was deleted.
    OrganisationDeleted,
    /// A job begins anew.
    JobRetried,
    /// A job was dropped.
    JobDropped,
}

impl Notice {
    const ALL: &[(Self, &'static str, &'static str)] = &[
        (Self::KeyAdded, "key-added", "The key was added."),
        (Self::KeyRemoved, "key-removed", "The key was removed. It opens nothing any more."),
        (Self::TokenEnded, "token-ended", "The token was ended. It opens nothing any more."),
        (Self::PasswordChanged, "password-changed", "The password was changed. Other sessions have ended."),
        (Self::UserMade, "user-made", "The user was made and may sign in."),
        (Self::UserChanged, "user-changed", "The user was changed."),
        (Self::RepositoryDeleted, "repository-deleted", "The repository was deleted."),
        (Self::Proved, "proved", "Thank you. For ten minutes you may change what opens accounts."),
        (Self::ProofNeeded, "proof-needed", "Nothing was done yet. Confirm with your password, then do it again."),
        (Self::AllRevoked, "all-revoked", "The password was changed. Other sessions, tokens and SSH keys are gone."),
        (Self::AppAdded, "app-added", "The app is set up. Other sessions have ended."),
        (Self::SecurityKeyAdded, "security-key-added", "The security key was added. Other sessions have ended."),
        (Self::SecurityKeyRenamed, "security-key-renamed", "The security key has its new name."),
        (Self::FactorRemoved, "factor-removed", "It was removed. Other sessions have ended."),
        (Self::SessionsEnded, "sessions-ended", "What you chose has ended."),
        (Self::FactorReset, "factor-reset", "The second factor was taken away. The user's sessions have ended."),
        (Self::ProtectionSaved, "protection-saved", "The protection was saved. It holds from the next push on."),
        (Self::ProtectionRemoved, "protection-removed", "The protection was removed."),
        (Self::QuotaSaved, "quota-saved", "The quota was saved."),
        (Self::LimitsSaved, "limits-saved", "The limits were saved. They hold from the next push on."),
        (
            Self::AuthorityAdded,
            "authority-added",
            "The authority was added. Its certificates open accounts from now on.",
        ),
        (
            Self::AuthorityRemoved,
            "authority-removed",
            "The authority was removed. Its certificates open nothing any more.",
        ),
        (Self::UserRemoved, "user-removed", "The user was removed. The name is nobody's for 90 days."),
        (Self::Saved, "saved", "The changes were saved."),
        (Self::Added, "added", "The list below has grown by one."),
        (Self::Removed, "removed", "Taken off the list. It opens nothing any more."),
        (Self::Moved, "moved", "The repository is here now. Its former address is gone."),
        (Self::OrganisationDeleted, "organisation-deleted", "The organisation was deleted."),
        (Self::JobRetried, "job-retried", "The job waits for its turn again."),
        (Self::JobDropped, "job-dropped", "The job was dropped. Nobody will do it."),
    ];

    /// The notice that a query string carries.
    pub(crate) fn in_query(query: &str) -> Option<Self> {
        let name = query.split('&').find_map(|pair| pair.strip_prefix("notice="))?;
        Self::ALL.iter().find(|(_, known, _)| *known == name).map(|(notice, _, _)| *notice)
    }

    /// Its words.
    pub(crate) fn text(self) -> &'static str {
        self.row().2
    }

    fn row(self) -> (Self, &'static str, &'static str) {
        Self::ALL.iter().find(|(notice, _, _)| *notice == self).copied().unwrap_or(Self::ALL[0])
    }
}

/// Where a redirect goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The start page.
    Start(Option<Notice>),
    /// Sign-in, coming back to a page afterwards.
    SignIn(LocalPath),
    /// A repository's home.
    Repository(RepoPath),
    /// SSH keys.
    Keys(Notice),
    /// Access tokens.
    Tokens(Notice),
    /// The password page.
    Password(Notice),
    /// The users' page.
    Users(Notice),
    /// The second step of a sign-in, going on to a page afterwards.
    SecondFactor(LocalPath),
    /// The page of second factor and sessions.
    Security(Option<Notice>),
    /// The administrators' page of second factors.
    SecondFactors(Notice),
    /// A repository's protections.
    Protections(RepoPath, Notice),
    /// The site's limits.
    Limits(Notice),
    /// The site's SSH authorities.
    SshAuthorities(Notice),
    /// A page of this site, by a path that a template of ours made.
    Page(String, Notice),
    /// The jobs' page.
    Jobs(Notice),
    /// A page that the visitor asked for before signing in.
    Back(LocalPath),
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, notice) = match self {
            Self::Start(notice) => ("/", *notice),
            Self::SignIn(next) => return write!(out, "/sign-in?next={}", encode_value(next.as_str())),
            Self::SecondFactor(next) => {
                return write!(out, "/sign-in/second-factor?next={}", encode_value(next.as_str()));
            }
            Self::Security(notice) => ("/settings/security", *notice),
            Self::SecondFactors(notice) => ("/admin/second-factors", Some(*notice)),
            Self::Repository(path) => return out.write_str(&repository(path)),
            Self::Back(path) => return out.write_str(path.as_str()),
            Self::Page(path, notice) => (path.as_str(), Some(*notice)),
            Self::Keys(notice) => ("/settings/keys", Some(*notice)),
            Self::Tokens(notice) => ("/settings/tokens", Some(*notice)),
            Self::Password(notice) => ("/settings/password", Some(*notice)),
            Self::Users(notice) => ("/admin/users", Some(*notice)),
            Self::Protections(path, notice) => {
                return write!(out, "{}/settings/protection?notice={}", repository(path), notice.row().1);
            }
            Self::Limits(notice) => ("/admin/limits", Some(*notice)),
            Self::SshAuthorities(notice) => ("/admin/ssh-authorities", Some(*notice)),
            Self::Jobs(notice) => ("/admin/jobs", Some(*notice)),
        };
        match notice {
            Some(notice) => write!(out, "{path}?notice={}", notice.row().1),
            None => out.write_str(path),
        }
    }
}

/// `/alice/notes`.
pub(crate) fn repository(path: &RepoPath) -> String {
    format!("/{}/{}", path.owner, path.name)
}

/// `/alice/notes/src/main/docs`; `view` is `src`, `raw` or `commits`.
pub(crate) fn within(path: &RepoPath, view: &str, revision: &str, below: &TreePath) -> String {
    let mut href = format!("{}/{view}/{}", repository(path), encode(revision.as_bytes()));
    if !below.is_root() {
        href.push('/');
        href.push_str(&encode(below.as_bytes()));
    }
    href
}

/// The short name of a ref as it goes into a path.
pub(crate) fn reference(name: &RefName) -> String {
    encode(name.short().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_leave_the_site_in_no_spelling() {
        for refused in [
            "",
            "x",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example",
            "/a\nb",
            "/a b",
            "/\t/evil.example",
            "/ä",
            "javascript:alert(1)",
            "/a\\b",
            &format!("/{}", "a".repeat(2000)),
        ] {
            assert_eq!(LocalPath::parse(refused), None, "{refused:?}");
        }
        for fine in ["/", "/alice/notes/src/main/a%20b?page=2", "/a//b"] {
            assert_eq!(LocalPath::parse(fine).unwrap().as_str(), fine);
        }
    }

    #[test]
    fn paths_of_any_bytes_come_back_the_same() {
        let every_byte: Vec<u8> = (1..=255).filter(|byte| *byte != b'/').collect();
        for name in [&b"a b"[..], b"#", b"?", b"%41", b"a+b", b"\xff\xfe", "ä".as_bytes(), b"a:b", &every_byte] {
            assert_eq!(decode(&encode(name)), name);
            assert!(encode(name).bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte)));
        }
        let path = RepoPath::parse("alice", "notes").unwrap();
        let below = TreePath::parse(b"a dir/100%#?.txt").unwrap();
        assert_eq!(within(&path, "src", "feature/x", &below), "/alice/notes/src/feature/x/a%20dir/100%25%23%3F.txt");
    }

    #[test]
    fn notices_are_known_words_only() {
        assert_eq!(Notice::in_query("a=b&notice=key-added"), Some(Notice::KeyAdded));
        assert_eq!(Notice::in_query("notice=<script>"), None);
        assert_eq!(Target::Keys(Notice::KeyAdded).to_string(), "/settings/keys?notice=key-added");
        let next = LocalPath::parse("/a?b=c&d").unwrap();
        assert_eq!(Target::SignIn(next).to_string(), "/sign-in?next=%2Fa%3Fb%3Dc%26d");
    }
}

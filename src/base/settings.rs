//! The one registry of settings: names, meaning, rule, default. The template, the manual page, `env check` and the
//! server all read it. A variable that is not in this table does not exist.

pub use crate::load::{ProxyProtocol, SECRETS, Settings, SettingsError, Sources, has_database_server};
pub use crate::registry::{REGISTRY, find};
pub use crate::transfers::TransferSettings;

/// One variable.
#[derive(Debug)]
pub struct Setting {
    /// The variable's name.
    pub name: &'static str,
    /// What it is for, one sentence without a full stop.
    pub purpose: &'static str,
    /// What its value must be.
    pub rule: Rule,
    /// The value when it is not set; empty when there is none.
    pub default: &'static str,
    /// Who sets it.
    pub role: Role,
}

/// Who sets a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The operator, always.
    Required,
    /// The operator, when the default does not fit.
    Optional,
    /// The operator, when a GitLab is connected.
    GitLab,
    /// The stack; an operator's own value breaks it.
    ComposeInternal,
}

/// What a value must be. The judgement itself is made by the room `checks`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Any text.
    Text,
    /// A bundle's version, as in an image tag.
    Tag,
    /// The site's address: https (http behind a proxy), public host name, no slash at the end.
    SiteUrl,
    /// GitLab's address: https, no slash at the end.
    GitLabUrl,
    /// A TCP port, 1–65535.
    Port,
    /// A host name or address without scheme or port.
    Host,
    /// A random text of at least this many characters.
    Secret(usize),
    /// A Fernet key: 32 bytes in URL-safe base64.
    Fernet,
    /// `True` or `False`, in just this spelling.
    Boolean,
    /// `True` alone.
    OnlyTrue,
    /// Addresses of resolvers, comma-separated; never Docker's own 127.0.0.11.
    Resolvers,
    /// The path of a PEM file with certificate authorities.
    CaFile,
    /// A database's address.
    DatabaseUrl,
    /// A Redis server's address.
    RedisUrl,
    /// A whole number from 0.
    Count,
    /// Addresses or networks, comma-separated.
    Networks,
    /// `host:port`, comma-separated.
    Targets,
    /// One of these words.
    OneOf(&'static [&'static str]),
}

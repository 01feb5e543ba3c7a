//! What the forge tells posterity, in words that stay the same. Never a secret, never a password's or a token's hash.

use base::clock::Timestamp;
use store::events::{EventRecord, append};
use store::{StoreError, Tx};

/// Something worth telling. `by` is `None` for the host's own shell.
pub(crate) enum Happened<'a> {
    UserCreated { by: Option<i64>, name: &'a str, is_admin: bool },
    UserActive { by: i64, name: &'a str, is_active: bool },
    PasswordChanged { by: i64 },
    KeyAdded { by: i64, fingerprint: &'a str },
    KeyRemoved { by: i64, fingerprint: &'a str },
    TokenCreated { by: i64, name: &'a str, can_write: bool },
    TokenRevoked { by: i64, name: &'a str },
    RepoCreated { by: i64, id: i64, path: &'a str, visibility: &'a str },
    RepoRemoved { by: i64, id: i64, path: &'a str },
    DefaultBranch { by: i64, id: i64, old: &'a str, new: &'a str },
}

/// Adds the event to the transaction in which it happens.
pub(crate) async fn record(tx: &Tx, at: Timestamp, happened: Happened<'_>) -> Result<(), StoreError> {
    append(tx, &told(at, happened)).await
}

fn told(at: Timestamp, happened: Happened<'_>) -> EventRecord {
    let event = |kind: &str, actor_id: Option<i64>, subject: &str| EventRecord {
        at,
        actor_id,
        kind: kind.into(),
        repo_id: None,
        subject: subject.into(),
        old_value: None,
        new_value: None,
    };
    match happened {
        Happened::UserCreated { by, name, is_admin } => {
            let role = if is_admin { "administrator" } else { "user" };
            EventRecord { new_value: Some(role.into()), ..event("user.created", by, name) }
        }
        Happened::UserActive { by, name, is_active } => {
            event(if is_active { "user.activated" } else { "user.deactivated" }, Some(by), name)
        }
        Happened::PasswordChanged { by } => event("password.changed", Some(by), ""),
        Happened::KeyAdded { by, fingerprint } => event("key.added", Some(by), fingerprint),
        Happened::KeyRemoved { by, fingerprint } => event("key.removed", Some(by), fingerprint),
        Happened::TokenCreated { by, name, can_write } => {
            let scope = if can_write { "write" } else { "read" };
            EventRecord { new_value: Some(scope.into()), ..event("token.created", Some(by), name) }
        }
        Happened::TokenRevoked { by, name } => event("token.revoked", Some(by), name),
        Happened::RepoCreated { by, id, path, visibility } => EventRecord {
            repo_id: Some(id),
            new_value: Some(visibility.into()),
            ..event("repo.created", Some(by), path)
        },
        Happened::RepoRemoved { by, id, path } => {
            EventRecord { repo_id: Some(id), ..event("repo.removed", Some(by), path) }
        }
        Happened::DefaultBranch { by, id, old, new } => EventRecord {
            repo_id: Some(id),
            old_value: Some(old.into()),
            new_value: Some(new.into()),
            ..event("repo.default_branch", Some(by), "HEAD")
        },
    }
}

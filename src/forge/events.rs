//! What the forge tells posterity, in words that stay the same, each event chained to the one before by a hash.
//! Never a secret, never a password's or a token's hash, never what somebody typed who was let in nowhere.

use std::fmt::Write;

use base::clock::Timestamp;
use store::events::{self, EventRecord, Link};
use store::{StoreError, Tx, repos, users};

use crate::access::Who;

/// Every action that the audit log knows, in the order of the alphabet.
pub const AUDIT_ACTIONS: &[&str] = &[
    "audit.gap",
    "collaborator.removed",
    "collaborator.set",
    "deploy_key.added",
    "deploy_key.removed",
    "job.dropped",
    "job.retried",
    "key.added",
    "key.removed",
    "lfs.lock_broken",
    "limit.changed",
    "organisation.changed",
    "organisation.created",
    "organisation.member_removed",
    "organisation.removed",
    "password.changed",
    "password.reset",
    "protection.added",
    "protection.changed",
    "protection.removed",
    "quota.changed",
    REF_MOVED,
    "repo.changed",
    "repo.created",
    "repo.default_branch",
    "repo.fetched",
    "repo.moved",
    "repo.removed",
    "second_factor.added",
    "second_factor.code_used",
    "second_factor.codes_made",
    "second_factor.removed",
    "second_factor.renamed",
    "second_factor.reset",
    "session.confirmed",
    "session.ended",
    "sign_in.accepted",
    "sign_in.refused",
    "sign_out",
    "ssh_authority.added",
    "ssh_authority.removed",
    "ssh_certificate.used",
    "site.changed",
    "team.changed",
    "team.created",
    "team.member_added",
    "team.member_removed",
    "team.removed",
    "team.repo_added",
    "team.repo_removed",
    "token.created",
    "token.revoked",
    "user.activated",
    "user.administers",
    "user.created",
    "user.deactivated",
    "user.removed",
];

/// The action of a push, for each ref that moved.
pub(crate) const REF_MOVED: &str = "ref.moved";

/// Something worth telling.
pub(crate) enum Happened<'a> {
    SignedIn {
        name: &'a str,
    },
    /// `name` is that of an account, never one that does not exist: a password may have been typed there.
    SignInRefused {
        name: Option<&'a str>,
        door: &'static str,
    },
    SignedOut {
        name: &'a str,
    },
    UserCreated {
        name: &'a str,
        is_admin: bool,
    },
    UserActive {
        name: &'a str,
        is_active: bool,
    },
    PasswordChanged {
        name: &'a str,
    },
    PasswordReset {
        name: &'a str,
    },
    /// `what` is the factor, or how many codes; never a code.
    SecondFactor {
        action: &'static str,
        name: &'a str,
        what: &'a str,
    },
    SessionsEnded {
        name: &'a str,
        which: &'static str,
    },
    KeyAdded {
        fingerprint: &'a str,
    },
    KeyRemoved {
        fingerprint: &'a str,
    },
    /// Somebody took the lock of somebody else away.
    LfsLockBroken {
        id: i64,
        path: &'a str,
        owner: &'a str,
    },
    TokenCreated {
        name: &'a str,
        scopes: &'a str,
    },
    TokenRevoked {
        name: &'a str,
    },
    RepoCreated {
        id: i64,
        path: &'a str,
        visibility: &'a str,
    },
    RepoRemoved {
        id: i64,
        path: &'a str,
    },
    RepoFetched {
        id: i64,
        path: &'a str,
        transport: &'static str,
    },
    DefaultBranch {
        id: i64,
        old: &'a str,
        new: &'a str,
    },
    /// What needs no words of its own: one of [`AUDIT_ACTIONS`], on what, and what it was and is.
    Noted {
        kind: &'static str,
        /// In which repository: its number and its path.
        repo: Option<(i64, &'a str)>,
        subject: &'a str,
        old: Option<&'a str>,
        new: Option<&'a str>,
    },
    JobRetried {
        name: &'a str,
    },
    JobDropped {
        name: &'a str,
    },
    /// That many access records found no room or no database.
    Lost {
        count: u64,
    },
}

/// Adds the event to the transaction in which it happens.
pub(crate) async fn record(tx: &Tx, at: Timestamp, who: &Who, happened: Happened<'_>) -> Result<(), StoreError> {
    append(tx, told(at, who, happened)).await
}

/// Adds an event to the chain, with the names that actor and repository have now where it has none.
pub(crate) async fn append(tx: &Tx, mut event: EventRecord) -> Result<(), StoreError> {
    if let (Some(id), None) = (event.actor_id, &event.actor) {
        event.actor = users::by_id(tx, id).await?.map(|user| user.name);
    }
    if let (Some(id), None) = (event.repo_id, &event.repo) {
        event.repo = repos::path(tx, id).await?;
    }
    let before = events::advance(tx).await?;
    let link = Link { hash: hash(&before.hash, before.number, &event), number: before.number };
    events::append(tx, &link, &event).await
}

/// What the chain holds for an event behind one whose hash is `previous`: SHA-256 over all of it. Each part carries its
/// length, so that no two events read the same.
pub(crate) fn hash(previous: &str, number: i64, event: &EventRecord) -> String {
    let mut text = String::from("gitgrit audit 1\n");
    let mut add = |part: Option<&str>| {
        // Writing into a String has no way to fail.
        let _ = match part {
            Some(part) => write!(text, "{}:{part},", part.len()),
            None => write!(text, "-,"),
        };
    };
    let numeral = |number: i64| number.to_string();
    add(Some(previous));
    add(Some(&numeral(number)));
    add(Some(&numeral(event.at.0)));
    add(event.actor_id.map(numeral).as_deref());
    add(event.actor.as_deref());
    add(Some(&event.kind));
    add(event.repo_id.map(numeral).as_deref());
    add(event.repo.as_deref());
    add(Some(&event.subject));
    add(event.old_value.as_deref());
    add(event.new_value.as_deref());
    add(event.address.as_deref());
    add(event.request.as_deref());
    vault::digest::sha256_hex(text.as_bytes())
}

fn told(at: Timestamp, who: &Who, happened: Happened<'_>) -> EventRecord {
    let event = |kind: &str, subject: &str| EventRecord {
        at,
        actor_id: who.id,
        actor: who.name.clone(),
        kind: kind.into(),
        repo_id: None,
        repo: None,
        subject: subject.into(),
        old_value: None,
        new_value: None,
        address: who.origin.address.map(|address| address.to_string()),
        request: who.origin.request.clone(),
    };
    let valued =
        |kind: &str, subject: &str, new: &str| EventRecord { new_value: Some(new.into()), ..event(kind, subject) };
    let within = |id: i64, event: EventRecord| EventRecord { repo_id: Some(id), ..event };
    let at_path =
        |id: i64, path: &str, event: EventRecord| within(id, EventRecord { repo: Some(path.into()), ..event });
    match happened {
        Happened::SignedIn { name } => event("sign_in.accepted", name),
        Happened::SignInRefused { name, door } => valued("sign_in.refused", name.unwrap_or_default(), door),
        Happened::SignedOut { name } => event("sign_out", name),
        Happened::UserCreated { name, is_admin } => {
            valued("user.created", name, if is_admin { "administrator" } else { "user" })
        }
        Happened::UserActive { name, is_active } => {
            event(if is_active { "user.activated" } else { "user.deactivated" }, name)
        }
        Happened::PasswordChanged { name } => event("password.changed", name),
        Happened::PasswordReset { name } => event("password.reset", name),
        Happened::SecondFactor { action, name, what } => valued(action, name, what),
        Happened::SessionsEnded { name, which } => valued("session.ended", name, which),
        Happened::KeyAdded { fingerprint } => event("key.added", fingerprint),
        Happened::KeyRemoved { fingerprint } => event("key.removed", fingerprint),
        Happened::LfsLockBroken { id, path, owner } => {
            within(id, EventRecord { old_value: Some(owner.into()), ..event("lfs.lock_broken", path) })
        }
        Happened::TokenCreated { name, scopes } => valued("token.created", name, scopes),
        Happened::TokenRevoked { name } => event("token.revoked", name),
        Happened::RepoCreated { id, path, visibility } => at_path(id, path, valued("repo.created", path, visibility)),
        Happened::RepoRemoved { id, path } => at_path(id, path, event("repo.removed", path)),
        Happened::RepoFetched { id, path, transport } => at_path(id, path, valued("repo.fetched", path, transport)),
        Happened::DefaultBranch { id, old, new } => {
            within(id, EventRecord { old_value: Some(old.into()), ..valued("repo.default_branch", "HEAD", new) })
        }
        Happened::Noted { kind, repo, subject, old, new } => {
            let (old_value, new_value) = (old.map(Into::into), new.map(Into::into));
            let noted = EventRecord { old_value, new_value, ..event(kind, subject) };
            repo.map_or(noted.clone(), |(id, path)| at_path(id, path, noted))
        }
        Happened::JobRetried { name } => event("job.retried", name),
        Happened::JobDropped { name } => event("job.dropped", name),
        Happened::Lost { count } => valued("audit.gap", "access records lost", &count.to_string()),
    }
}

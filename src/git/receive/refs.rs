//! The moment a push happens: refs move by git's own transaction, old values compared, all or nothing when asked so.
//! Ref names and ids travel on standard input between NULs, never as arguments.

use std::time::Duration;

use super::{RefUpdate, Request};
use crate::child::finish_under;
use crate::gates::enter;
use crate::{Error, Repo, environment};

/// Time for one transaction.
const TRANSACTION: Duration = Duration::from_mins(5);

/// Moves the refs of all updates that still stand, comparing old values; what Git refuses is refused in `request`.
/// Gives the updates that happened. What spoils a transaction is looked for by halves: a push may hold thousands.
pub async fn move_refs(repo: &Repo, request: &mut Request) -> Result<Vec<RefUpdate>, Error> {
    let mut updates = request.updates();
    if updates.is_empty() {
        return Ok(updates);
    }
    let _place = enter(&repo.gates().short).await?;
    // Deletions may make room for other names.
    updates.sort_by_key(|update| update.new.is_some());
    let mut happened = Vec::new();
    let mut waiting = vec![updates];
    while let Some(mut updates) = waiting.pop() {
        match transact(repo, &updates).await? {
            None => happened.extend(updates),
            Some(reason) if request.is_atomic() => request.refuse_all(reason),
            Some(reason) if updates.len() == 1 => {
                for update in updates {
                    request.refuse(&update.name, reason);
                }
            }
            Some(_) => {
                let second = updates.split_off(updates.len() / 2);
                waiting.extend([second, updates]);
            }
        }
    }
    Ok(happened)
}

/// One transaction. `Some` is why nothing moved.
async fn transact(repo: &Repo, updates: &[RefUpdate]) -> Result<Option<&'static str>, Error> {
    let mut script = b"start\0".to_vec();
    for update in updates {
        let old = update.old.as_ref().map_or(ZERO, |old| old.as_str());
        match &update.new {
            Some(new) => script.extend(format!("update {}\0{new}\0{old}\0", update.name).as_bytes()),
            None => script.extend(format!("delete {}\0{old}\0", update.name).as_bytes()),
        }
    }
    script.extend_from_slice(b"prepare\0commit\0");
    let program = environment::in_repository("update-ref", repo.path()).options(["--no-deref", "--stdin", "-z"]);
    let said = finish_under(repo.moving().await?, program, "update-ref", &script, TRANSACTION).await?;
    if said.status.success() {
        return Ok(None);
    }
    tracing::debug!(repository = repo.id(), said = said.stderr.trim(), "a ref transaction was refused");
    Ok(Some(reason(&said.stderr)))
}

const ZERO: &str = "0000000000000000000000000000000000000000";

/// What the pusher may know of update-ref's complaint.
fn reason(complaint: &str) -> &'static str {
    let known = [
        ("but expected", "the ref has moved meanwhile; fetch first"),
        ("reference already exists", "the ref has moved meanwhile; fetch first"),
        ("reference is missing", "the ref has moved meanwhile; fetch first"),
        ("unable to resolve reference", "the ref has moved meanwhile; fetch first"),
        ("cannot create", "the name conflicts with another ref"),
        ("cannot process", "the name conflicts with another ref of this push"),
        ("non-commit object", "a branch must name a commit"),
        ("nonexistent object", "missing objects"),
        ("No space left", "the server has no space left"),
        (".lock", "another push is moving this ref; try again"),
    ];
    known
        .iter()
        .find(|(sign, _)| complaint.contains(sign))
        .map_or("the ref could not be moved", |(_, meaning)| *meaning)
}

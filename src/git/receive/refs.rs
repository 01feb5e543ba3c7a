//! The moment a push happens: refs move by git's own transaction, old values compared, all or nothing when asked so.
//! Ref names and ids travel on standard input between NULs, never as arguments.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use base::name::Oid;

use super::{RefUpdate, Request};
use crate::child::finish_under;
use crate::gates::enter;
use crate::{Error, Repo, environment};

/// Time for all transactions of one push, and how many of them there may be.
const TRANSACTIONS: Duration = Duration::from_mins(5);
const MOST: usize = 200;

/// What the pusher hears of a ref that is not what it was.
const STALE: &str = "the ref has moved meanwhile; fetch first";
const TOO_MANY: &str = "too many refs of this push cannot be moved; push fewer at once";

/// Moves the refs of all updates that still stand, comparing old values; what Git refuses is refused in `request`.
/// Gives the updates that happened. When something spoils the transaction, what is stale is refused first; what else
/// does is looked for by halves, as a push may hold thousands. No branch goes that HEAD names at this moment.
pub async fn move_refs(repo: &Repo, request: &mut Request) -> Result<Vec<RefUpdate>, Error> {
    if request.updates().is_empty() {
        return Ok(Vec::new());
    }
    let _place = enter(&repo.gates().short).await?;
    let done = move_all(repo, request).await;
    if done.is_err() {
        // A Git that was killed leaves its locks, and they would refuse these refs to everybody.
        repo.sweep_locks().await;
    }
    done
}

async fn move_all(repo: &Repo, request: &mut Request) -> Result<Vec<RefUpdate>, Error> {
    // Shared with others who move refs; until it is let go nobody points HEAD elsewhere.
    let _moving = repo.moving().await?;
    if request.updates().iter().any(|update| update.new.is_none()) {
        let head = repo.head().await?;
        let is_default = |update: &RefUpdate| update.new.is_none() && update.name == head;
        request.refuse_each(|update| is_default(update).then_some("the default branch cannot be deleted"));
    }
    let (begun, mut happened, mut waiting) = (Instant::now(), Vec::<RefUpdate>::new(), vec![standing(request)]);
    for number in 0.. {
        let Some(mut updates) = waiting.pop().filter(|updates| !updates.is_empty()) else { break };
        let left = TRANSACTIONS.saturating_sub(begun.elapsed());
        if number == MOST || left.is_zero() {
            let done: HashSet<_> = happened.iter().map(|update| &update.name).collect();
            request.refuse_each(|update| (!done.contains(&update.name)).then_some(TOO_MANY));
            break;
        }
        match transact(repo, &updates, left).await? {
            None => happened.append(&mut updates),
            Some(reason) if request.is_atomic() => request.refuse_all(reason),
            Some(reason) if updates.len() == 1 => {
                request.refuse_each(|update| updates.contains(update).then_some(reason));
            }
            Some(_) if number == 0 => {
                refuse_stale(repo, request).await?;
                waiting.push(standing(request));
            }
            Some(_) => {
                let second = updates.split_off(updates.len() / 2);
                waiting.extend([second, updates]);
            }
        }
    }
    Ok(happened)
}

/// Deletions may make room for other names.
fn standing(request: &Request) -> Vec<RefUpdate> {
    let mut updates = request.updates();
    updates.sort_by_key(|update| update.new.is_some());
    updates
}

/// Refuses what cannot move because it is not where the client believes it to be.
async fn refuse_stale(repo: &Repo, request: &mut Request) -> Result<(), Error> {
    let now: HashMap<Vec<u8>, Oid> = repo.all_refs().await?.into_iter().collect();
    request.refuse_each(|update| (now.get(update.name.as_str().as_bytes()) != update.old.as_ref()).then_some(STALE));
    Ok(())
}

/// One transaction. `Some` is why nothing moved.
async fn transact(repo: &Repo, updates: &[RefUpdate], deadline: Duration) -> Result<Option<&'static str>, Error> {
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
    let said = finish_under(repo.moving().await?, program, "update-ref", &script, deadline).await?;
    if said.status.success() {
        return Ok(None);
    }
    if said.status.code().is_none() {
        // Killed half-way: some refs may have moved.
        return Err(Error::Git { command: "update-ref", message: "it was killed".into() });
    }
    tracing::debug!(repository = repo.id(), said = said.stderr.trim(), "a ref transaction was refused");
    Ok(Some(reason(&said.stderr)))
}

const ZERO: &str = "0000000000000000000000000000000000000000";

/// What the pusher may know of update-ref's complaint.
fn reason(complaint: &str) -> &'static str {
    let known = [
        ("but expected", STALE),
        ("reference already exists", STALE),
        ("reference is missing", STALE),
        ("unable to resolve reference", STALE),
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

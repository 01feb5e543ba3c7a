//! The audit log as it is read: a page of it for administrators, all of it for the host's own shell, and the proof that
//! nobody changed it. Reads alone; never mends what it finds broken.

use base::clock::Timestamp;
use store::events::{self, EventRecord, Filter, Link};
use store::{Query, StoreError};

use crate::events::hash;
use crate::{Actor, Error, Forge, Need};

/// Records on a page.
const PAGE: i64 = 50;
/// Records that are read at once.
const CHUNK: i64 = 1_000;

/// One record of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// Its number, from 1, without gaps.
    pub number: i64,
    /// When.
    pub at: Timestamp,
    /// Who, by the account's number.
    pub actor_id: Option<i64>,
    /// Who, by the name of that time; `None` for the host's own shell, and for who was let in nowhere.
    pub actor: Option<String>,
    /// What, as in `repo.fetched`.
    pub action: String,
    /// In which repository, by its number.
    pub repo_id: Option<i64>,
    /// In which repository, `owner/name`, when in one.
    pub repo: Option<String>,
    /// On what: a ref, an account, a fingerprint; may be empty.
    pub object: String,
    /// What was before.
    pub old: Option<String>,
    /// What is after.
    pub new: Option<String>,
    /// The address that it came from; `None` for the host's own shell.
    pub address: Option<String>,
    /// The request that it came with, as the server's log names it.
    pub request: Option<String>,
    /// SHA-256 over the record and the hash before it, in hexadecimal digits.
    pub hash: String,
}

/// Which records a page shows.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Those of this actor alone.
    pub actor: Option<String>,
    /// Those of this action alone.
    pub action: Option<String>,
    /// Those with a lower number; the last ones when `None`.
    pub before: Option<i64>,
}

/// A page of the audit log.
#[derive(Clone, Debug)]
pub struct AuditPage {
    /// The records, last first; at most 50.
    pub records: Vec<AuditRecord>,
    /// What to give as `before` for the records that follow, when some do.
    pub older: Option<i64>,
}

/// What a check of the chain found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditVerdict {
    /// Every record is there and as it was written.
    Whole {
        /// How many.
        records: i64,
        /// The last one's hash; empty when there is none.
        head: String,
        /// Events from before there was a chain, which nothing protects.
        unchained: i64,
    },
    /// The chain breaks.
    Broken {
        /// The first record that is not as it was written.
        number: i64,
        /// What is wrong with it.
        fault: AuditFault,
    },
}

/// How a record breaks the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditFault {
    /// It, or its hash, was changed.
    Changed,
    /// It is not there.
    Missing,
    /// It is behind the end of the chain.
    Added,
}

impl Forge {
    /// A page of the audit log, last first. For administrators; `NotFound` for everyone else.
    pub async fn audit(&self, actor: &Actor, filter: &AuditFilter) -> Result<AuditPage, Error> {
        actor.administers(Need::ReadAdmin, "read the audit log")?;
        let asked = Filter {
            actor: filter.actor.as_deref(),
            kind: filter.action.as_deref(),
            before: filter.before.unwrap_or(i64::MAX),
            limit: PAGE + 1,
        };
        let mut found = events::page(&self.0.store.read(), &asked).await?;
        let has_more = found.len() > usize::try_from(PAGE).unwrap_or(usize::MAX);
        if has_more {
            found.pop();
        }
        let older = found.last().filter(|_| has_more).map(|(link, _)| link.number);
        Ok(AuditPage { records: found.into_iter().map(view).collect(), older })
    }

    /// The records behind number `after`, in their order, at most 1,000. For the host's own shell.
    pub async fn audit_after(&self, after: i64) -> Result<Vec<AuditRecord>, Error> {
        let found = events::chain(&self.0.store.read(), after, CHUNK).await?;
        Ok(found.into_iter().map(view).collect())
    }

    /// Reads the whole chain and says whether it holds, also while a server adds to it. For the host's own shell.
    pub async fn verify_audit(&self) -> Result<AuditVerdict, Error> {
        Ok(verify(&self.0.store.read()).await?)
    }
}

/// Reads the whole chain of this database and says whether it holds.
pub(crate) async fn verify(database: &impl Query) -> Result<AuditVerdict, StoreError> {
    let mut last = Link { number: 0, hash: String::new() };
    loop {
        // Before the records: whatever it counts was written by then.
        let head = events::head(database).await?;
        let chunk = events::chain(database, last.number, CHUNK).await?;
        if chunk.is_empty() {
            if let Some(fault) = at_the_end(&last, &head) {
                let number = if fault == AuditFault::Missing { last.number.saturating_add(1) } else { last.number };
                return Ok(AuditVerdict::Broken { number, fault });
            }
            let unchained = events::unchained(database).await?;
            return Ok(AuditVerdict::Whole { records: last.number, head: last.hash, unchained });
        }
        for (link, event) in &chunk {
            let number = last.number.saturating_add(1);
            if link.number != number {
                return Ok(AuditVerdict::Broken { number, fault: AuditFault::Missing });
            }
            if link.hash != hash(&last.hash, number, event) {
                return Ok(AuditVerdict::Broken { number, fault: AuditFault::Changed });
            }
            last = link.clone();
        }
    }
}

/// What the end of the chain says of the last record that is there.
fn at_the_end(last: &Link, head: &Link) -> Option<AuditFault> {
    match last.number.cmp(&head.number) {
        std::cmp::Ordering::Less => Some(AuditFault::Missing),
        std::cmp::Ordering::Greater => Some(AuditFault::Added),
        std::cmp::Ordering::Equal => (last.hash != head.hash).then_some(AuditFault::Changed),
    }
}

fn view((link, event): (Link, EventRecord)) -> AuditRecord {
    let EventRecord { at, actor_id, actor, kind, repo_id, repo, subject, old_value, new_value, address, request } =
        event;
    AuditRecord {
        number: link.number,
        at,
        actor_id,
        actor,
        action: kind,
        repo_id,
        repo,
        object: subject,
        old: old_value,
        new: new_value,
        address,
        request,
        hash: link.hash,
    }
}

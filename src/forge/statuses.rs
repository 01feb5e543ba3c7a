//! What others (a runner, a scanner) say of a commit. Whoever may read the repository reads it; whoever may push says it.
//! A status is never changed: the newest of a context counts.

use base::clock::Timestamp;
use base::name::Oid;
use store::statuses::{self, NewStatusRecord, StatusRecord};

use crate::users::one_line;
use crate::{Account, Error, Forge, Paged, RepoRead, RepoWrite, Stretch};

/// Statuses of one commit.
const MOST: i64 = 1_000;
/// The context of a status that names none.
const DEFAULT_CONTEXT: &str = "default";

/// How things stand. The worst of several is their sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StatusState {
    /// It was not asked for.
    Skipped,
    /// All is well.
    Success,
    /// All is well enough.
    Warning,
    /// It is not known yet.
    Pending,
    /// It failed.
    Failure,
    /// It could not be found out.
    Error,
}

impl StatusState {
    /// Every state.
    pub const ALL: [Self; 6] = [Self::Skipped, Self::Success, Self::Warning, Self::Pending, Self::Failure, Self::Error];

    /// Its word, as in `success`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Success => "success",
            Self::Warning => "warning",
            Self::Pending => "pending",
            Self::Failure => "failure",
            Self::Error => "error",
        }
    }

    /// The state of this word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// What several say together: skipped and passed ones hold nothing up, and nothing at all is pending.
    pub fn sum(states: impl IntoIterator<Item = Self>) -> Self {
        let worst = states.into_iter().max();
        worst.map_or(Self::Pending, |state| if state == Self::Skipped { Self::Success } else { state })
    }
}

/// A status to add.
#[derive(Debug)]
pub struct NewStatus {
    /// How things stand.
    pub state: StatusState,
    /// What says it, at most 255 characters; `default` when empty.
    pub context: String,
    /// One line of at most 1,000 characters.
    pub description: String,
    /// An `http` or `https` address of at most 2,000 characters, or empty.
    pub target_url: String,
}

/// A status of a commit.
#[derive(Clone, Debug)]
pub struct StatusView {
    /// Its id.
    pub id: i64,
    /// How things stand.
    pub state: StatusState,
    /// What says it.
    pub context: String,
    /// One line, perhaps empty.
    pub description: String,
    /// Where to read more, perhaps empty.
    pub target_url: String,
    /// The account that said it; `None` when it is gone.
    pub creator: Option<Account>,
    /// When it was said.
    pub created: Timestamp,
}

/// Where a commit stands.
#[derive(Clone, Debug)]
pub struct CommitStatus {
    /// The commit.
    pub commit: Oid,
    /// What all say together; pending when nobody says anything.
    pub state: StatusState,
    /// The newest of each context.
    pub statuses: Vec<StatusView>,
}

impl Forge {
    /// Adds a status to a commit of the repository. Fails with `NotFound` when `commit` is none, and with `Field`.
    pub async fn add_status(&self, repo: &RepoWrite, commit: &str, new: NewStatus) -> Result<StatusView, Error> {
        let commit = self.revision(&repo.0, commit).await?.commit;
        let context = one_line("context", &new.context, 0, 255)?;
        let description = one_line("description", &new.description, 0, 1_000)?;
        let target_url = one_line("target_url", &new.target_url, 0, 2_000)?;
        let is_address = ["http://", "https://"].iter().any(|scheme| target_url.starts_with(scheme));
        if !target_url.is_empty() && !is_address {
            return Err(Error::Field { field: "target_url", problem: "must begin with http:// or https://".into() });
        }
        let tx = self.0.store.begin().await?;
        if statuses::count(&tx, repo.0.id, commit.as_str()).await? >= MOST {
            let problem = format!("is one status too many for this commit; {MOST} is the most");
            return Err(Error::Field { field: "state", problem });
        }
        let record = NewStatusRecord {
            repo_id: repo.0.id,
            commit_id: commit.as_str(),
            context: if context.is_empty() { DEFAULT_CONTEXT } else { &context },
            state: new.state.as_str(),
            description: &description,
            target_url: &target_url,
            creator_id: repo.0.by.as_ref().and_then(|who| who.id),
            created: self.now(),
        };
        let stored = statuses::insert(&tx, &record).await?;
        tx.commit().await?;
        self.with_creator(stored).await
    }

    /// A page of what was said of a commit, newest first. `text` may be a branch, a tag or an object id.
    pub async fn statuses(&self, repo: &RepoRead, text: &str, window: Stretch) -> Result<Paged<StatusView>, Error> {
        let commit = self.revision(repo, text).await?.commit;
        let database = self.0.store.read();
        let total = statuses::count(&database, repo.id, commit.as_str()).await?;
        let page = statuses::of_commit(&database, repo.id, commit.as_str(), window.in_rows()).await?;
        let total = usize::try_from(total).unwrap_or_default();
        Ok(Paged { rows: self.with_creators(page).await?, total })
    }

    /// Where a commit stands. `text` may be a branch, a tag or an object id.
    pub async fn commit_status(&self, repo: &RepoRead, text: &str) -> Result<CommitStatus, Error> {
        let commit = self.revision(repo, text).await?.commit;
        let found = statuses::latest(&self.0.store.read(), repo.id, commit.as_str()).await?;
        let statuses = self.with_creators(found).await?;
        let state = StatusState::sum(statuses.iter().map(|status| status.state));
        Ok(CommitStatus { commit, state, statuses })
    }

    async fn with_creators(&self, records: Vec<StatusRecord>) -> Result<Vec<StatusView>, Error> {
        let mut views = Vec::with_capacity(records.len());
        for record in records {
            views.push(self.with_creator(record).await?);
        }
        Ok(views)
    }

    /// What is not understood could not be found out.
    async fn with_creator(&self, record: StatusRecord) -> Result<StatusView, Error> {
        let StatusRecord { id, context, state, description, target_url, creator_id, created } = record;
        let creator = match creator_id {
            Some(id) => self.account_by_id(id).await?,
            None => None,
        };
        let state = StatusState::parse(&state).unwrap_or(StatusState::Error);
        Ok(StatusView { id, state, context, description, target_url, creator, created })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_word_is_the_sum_and_silence_is_pending() {
        use StatusState::{Error, Failure, Pending, Skipped, Success, Warning};
        for (states, sum) in [
            (&[][..], Pending),
            (&[Success, Success], Success),
            (&[Skipped], Success),
            (&[Success, Warning], Warning),
            (&[Success, Pending], Pending),
            (&[Pending, Failure, Success], Failure),
            (&[Error, Failure], Error),
        ] {
            assert_eq!(StatusState::sum(states.iter().copied()), sum, "{states:?}");
        }
        assert!(StatusState::ALL.iter().all(|state| StatusState::parse(state.as_str()) == Some(*state)));
        assert_eq!(StatusState::parse("done"), None);
    }
}

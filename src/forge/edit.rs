//! Files changed without a clone: in the browser, and through the API. A change becomes a commit in memory and goes
//! through the same door as a push, so that whatever judges pushes judges it. Never moves a ref by itself.

use base::clock::Timestamp;
use base::name::{Oid, RefName};
use git::edit::{CommitDraft, as_push, outcome};
pub use git::edit::{EditProblem, FileChange, Person};
use git::receive::RefUpdate;
use store::users;

use crate::{Actor, Error, Forge, RepoWrite, Transport};

/// Bytes of one file that an edit may bring, at most.
const FILE: usize = 32 << 20;
/// Bytes of all files of one commit.
const FILES: usize = 64 << 20;
/// Changes in one commit.
const CHANGES: usize = 500;
/// Bytes of a message.
const MESSAGE: usize = 64 << 10;
/// How often a commit is made again on a branch that moved meanwhile.
const ATTEMPTS: usize = 3;

/// Files to be changed by one commit.
#[derive(Clone, Debug)]
pub struct CommitFiles {
    /// The branch that the commit is built on. In a repository without commits, the branch it makes.
    pub branch: RefName,
    /// A branch to be made for the commit; `None` puts it on `branch`.
    pub new_branch: Option<RefName>,
    /// The commit that the branch must still name, when the caller insists; else the changes alone say what they
    /// began with.
    pub expected_tip: Option<Oid>,
    /// The message; one is made of the changes when it is empty. At most 64 KiB.
    pub message: String,
    /// At most 500 changes, 32 MiB each and 64 MiB together.
    pub changes: Vec<FileChange>,
    /// Who wrote it; the actor at this moment, when `None`.
    pub author: Option<Person>,
    /// Who puts it in; the actor at this moment, when `None`.
    pub committer: Option<Person>,
}

/// What was committed.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The commit.
    pub commit: Oid,
    /// What it is built on; `None` for the first one.
    pub parent: Option<Oid>,
    /// The branch that names it now.
    pub branch: RefName,
    /// The blob of each path that was written, in the order of the changes.
    pub blobs: Vec<(base::file_path::FilePath, Oid)>,
    /// What a pusher would have been told.
    pub said: Vec<String>,
}

/// Why nothing was committed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// As for every use case.
    #[error(transparent)]
    Forge(#[from] Error),
    /// A change does not fit the tree it was made for.
    #[error(transparent)]
    Problem(#[from] EditProblem),
    /// The branch names another commit than the caller insists on.
    #[error("the branch `{branch}` has moved")]
    Moved {
        /// Its short name.
        branch: String,
        /// What it names now.
        now: Option<Oid>,
    },
    /// The new branch is there already.
    #[error("there is a branch `{0}` already")]
    BranchExists(String),
    /// The push gate refused.
    #[error("the commit was refused: {reason}")]
    Refused {
        /// Why, in one line.
        reason: String,
        /// What a pusher would have been told besides.
        said: Vec<String>,
    },
}

impl From<git::Error> for EditError {
    fn from(error: git::Error) -> Self {
        Self::Forge(error.into())
    }
}

impl Forge {
    /// Commits the changes. `NotFound` when there is no such branch in a repository that has one; `Field` for what is
    /// too large. What a change says that it began with is compared with the branch as it is now, and the branch again
    /// when it moves.
    pub async fn commit_files(
        &self,
        actor: &Actor,
        repo: &RepoWrite,
        commit: CommitFiles,
    ) -> Result<Committed, EditError> {
        check_size(&commit)?;
        let who = self.person(actor).await?;
        let handle = self.handle(&repo.0)?;
        for attempt in 1..=ATTEMPTS {
            let parent = self.parent(repo, &commit).await?;
            let draft = draft(&commit, parent.clone(), &who);
            let made = handle.new_commit(draft).await?.map_err(EditError::Problem)?;
            let target = commit.new_branch.as_ref().unwrap_or(&commit.branch);
            let old = if commit.new_branch.is_some() { None } else { parent.clone() };
            let update = RefUpdate { name: target.clone(), old: old.clone(), new: Some(made.id.clone()) };
            let push = self.begin_push(actor, &repo.0.summary.path).await?.with_own_pack();
            if push.repo.0.id != repo.0.id {
                return Err(Error::NotFound.into());
            }
            let mut answer = Vec::new();
            push.run(Transport::Http, as_push(&update, &made.pack).as_slice(), &mut answer).await?;
            let outcome = outcome(&answer).await?;
            let (branch, said) = (target.clone(), outcome.said);
            match outcome.refusal {
                None => return Ok(Committed { commit: made.id, parent, branch, blobs: made.blobs, said }),
                Some(_) if attempt < ATTEMPTS && handle.target(target).await? != old => {}
                Some(reason) => return Err(EditError::Refused { reason, said }),
            }
        }
        Err(Error::Busy.into())
    }

    /// What the commit is built on. `None` in a repository without any branch.
    async fn parent(&self, repo: &RepoWrite, commit: &CommitFiles) -> Result<Option<Oid>, EditError> {
        let handle = self.handle(&repo.0)?;
        let tip = handle.target(&commit.branch).await?;
        if tip.is_none() && !handle.branches(1).await?.refs.is_empty() {
            return Err(Error::NotFound.into());
        }
        if commit.expected_tip.is_some() && commit.expected_tip != tip {
            return Err(EditError::Moved { branch: commit.branch.short().to_owned(), now: tip });
        }
        if let Some(new) = &commit.new_branch
            && handle.target(new).await?.is_some()
        {
            return Err(EditError::BranchExists(new.short().to_owned()));
        }
        Ok(tip)
    }

    /// The actor as the author of a commit: the account has no address, so it is one that no mail reaches.
    pub(crate) async fn person(&self, actor: &Actor) -> Result<Person, Error> {
        let user = actor.user().ok_or(Error::SignInNeeded)?;
        let record = users::by_id(&self.0.store.read(), user.id).await?.ok_or(Error::SignInNeeded)?;
        let name = if record.full_name.trim().is_empty() { record.name.clone() } else { record.full_name };
        let email = format!("{}@noreply.{}", record.name, self.settings().site_url.host());
        Ok(Person { name, email, at: self.now(), offset: 0 })
    }
}

fn draft(commit: &CommitFiles, parent: Option<Oid>, who: &Person) -> CommitDraft {
    let message =
        if commit.message.trim().is_empty() { default_message(&commit.changes) } else { commit.message.clone() };
    CommitDraft {
        parent,
        changes: commit.changes.clone(),
        message,
        author: commit.author.clone().unwrap_or_else(|| who.clone()),
        committer: commit.committer.clone().unwrap_or_else(|| who.clone()),
    }
}

fn check_size(commit: &CommitFiles) -> Result<(), Error> {
    let too_much = |field, problem: String| Err(Error::Field { field, problem });
    if commit.message.len() > MESSAGE {
        return too_much("message", format!("is longer than {} KiB", MESSAGE >> 10));
    }
    if commit.changes.len() > CHANGES {
        return too_much("changes", format!("are more than {CHANGES}"));
    }
    if let Some(large) = commit.changes.iter().find(|change| change.size() > FILE) {
        return too_much("content", format!("of `{}` is larger than {} MiB", large.path(), FILE >> 20));
    }
    if commit.changes.iter().map(FileChange::size).sum::<usize>() > FILES {
        return too_much("content", format!("of all files is larger than {} MiB", FILES >> 20));
    }
    let moment = |person: &Option<Person>| person.as_ref().map_or(Timestamp(0), |person| person.at);
    if moment(&commit.author).seconds() < 0 || moment(&commit.committer).seconds() < 0 {
        return too_much("date", "is before 1970".into());
    }
    Ok(())
}

/// What a commit says when nobody said anything: `Update docs/a.md`, or how many files it changes.
pub fn default_message(changes: &[FileChange]) -> String {
    match changes {
        [FileChange::Create { path, .. }] => format!("Add {path}"),
        [FileChange::Update { path, .. }] => format!("Update {path}"),
        [FileChange::Delete { path, .. }] => format!("Delete {path}"),
        [FileChange::Rename { from, to, .. }] => format!("Rename {from} to {to}"),
        several => format!("Change {} files", several.len()),
    }
}

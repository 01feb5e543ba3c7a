//! The commit itself: its changes done on the parent's tree, its people and its message as Git writes them.

use base::name::Oid;
use gix::ObjectId;
use gix::objs::Kind;
use gix::objs::tree::EntryKind;

use super::directory::{Directory, Fault, Found};
use super::pack::Objects;
use super::{CommitDraft, EditProblem, FileChange, NewCommit, Person};
use crate::error::Cause;
use crate::read::{object_id, oid, trees};
use crate::{Error, Repo};

impl Repo {
    /// Makes the commit, in memory alone. The inner error is what the tree has against it.
    pub async fn new_commit(&self, draft: CommitDraft) -> Result<Result<NewCommit, EditProblem>, Error> {
        self.read("an edited tree", move |git| match build(git, &draft) {
            Ok(commit) => Ok(Ok(commit)),
            Err(Fault::Problem(problem)) => Ok(Err(problem)),
            Err(Fault::Cause(cause)) => Err(cause),
        })
        .await
    }
}

fn build(git: &gix::Repository, draft: &CommitDraft) -> Result<NewCommit, Fault> {
    let mut objects = Objects::new(git.object_hash());
    let parent_tree = match &draft.parent {
        Some(parent) => Some(trees::root(git, object_id(parent)?)?.ok_or("the parent is no commit").map_err(cause)?),
        None => None,
    };
    let mut root = match parent_tree {
        Some(tree) => Directory::open(git, tree)?,
        None => Directory::default(),
    };
    let mut blobs = Vec::new();
    for change in &draft.changes {
        if let Some(blob) = apply(git, &mut root, &mut objects, change)? {
            blobs.push((change.path().clone(), oid(blob)?));
        }
    }
    let tree = match root.write(&mut objects)? {
        Some(tree) => tree,
        None => objects.add(Kind::Tree, Vec::new())?,
    };
    if parent_tree == Some(tree) || draft.changes.is_empty() {
        return Err(EditProblem::Nothing.into());
    }
    let id = objects.add(Kind::Commit, text(draft, tree))?;
    Ok(NewCommit { id: oid(id)?, pack: objects.into_pack()?, blobs })
}

fn cause(text: &str) -> Cause {
    text.into()
}

/// Does one change; gives the blob that is at its path afterwards.
fn apply(
    git: &gix::Repository,
    root: &mut Directory,
    objects: &mut Objects,
    change: &FileChange,
) -> Result<Option<ObjectId>, Fault> {
    match change {
        FileChange::Create { path, content, is_executable } => {
            let kind = if *is_executable { EntryKind::BlobExecutable } else { EntryKind::Blob };
            let id = objects.add(Kind::Blob, content.clone())?;
            root.add(git, path, Found { mode: kind.into(), id })?;
            Ok(Some(id))
        }
        FileChange::Update { path, content, expected } => {
            let found = take(git, root, path, expected.as_ref())?;
            let id = objects.add(Kind::Blob, content.clone())?;
            root.add(git, path, Found { id, ..found })?;
            Ok(Some(id))
        }
        FileChange::Delete { path, expected } => {
            take(git, root, path, expected.as_ref())?;
            Ok(None)
        }
        FileChange::Rename { from, to, expected, content } => {
            let found = take(git, root, from, expected.as_ref())?;
            let id = match content {
                Some(content) => objects.add(Kind::Blob, content.clone())?,
                None => found.id,
            };
            root.add(git, to, Found { id, ..found })?;
            Ok(Some(id))
        }
    }
}

/// Takes a file away that is still the one the change began with.
fn take(
    git: &gix::Repository,
    root: &mut Directory,
    path: &base::file_path::FilePath,
    expected: Option<&Oid>,
) -> Result<Found, Fault> {
    let found = match root.remove(git, path) {
        Err(Fault::Problem(EditProblem::Absent(path))) if expected.is_some() => {
            return Err(EditProblem::Stale { path, now: None }.into());
        }
        other => other?,
    };
    let now = oid(found.id)?;
    if expected.is_some_and(|expected| *expected != now) {
        return Err(EditProblem::Stale { path: path.clone(), now: Some(now) }.into());
    }
    Ok(found)
}

fn text(draft: &CommitDraft, tree: ObjectId) -> Vec<u8> {
    let parent = draft.parent.as_ref().map(|parent| format!("parent {parent}\n")).unwrap_or_default();
    let (author, committer, message) = (line(&draft.author), line(&draft.committer), mended(&draft.message));
    format!("tree {tree}\n{parent}author {author}\ncommitter {committer}\n\n{message}").into_bytes()
}

/// `Name <address> seconds +0100`.
pub(super) fn line(person: &Person) -> String {
    let (name, email) = (plain(&person.name), plain(&person.email));
    let offset = person.offset.clamp(-14 * 60, 14 * 60);
    let sign = if offset < 0 { '-' } else { '+' };
    let (hours, minutes) = (offset.abs() / 60, offset.abs() % 60);
    let name = if name.is_empty() { "unknown".to_owned() } else { name };
    format!("{name} <{email}> {} {sign}{hours:02}{minutes:02}", person.at.seconds().max(0))
}

/// A name without what ends one in a commit's header, and without the edges that Git would drop itself.
fn plain(text: &str) -> String {
    let kept: String = text.chars().filter(|c| !c.is_control() && !matches!(c, '<' | '>')).take(200).collect();
    kept.trim_matches(|c: char| c.is_whitespace() || ".,:;\"\\'".contains(c)).to_owned()
}

/// The message with line ends of one kind, nothing behind its lines, and one line end at the end.
pub(super) fn mended(message: &str) -> String {
    let message = message.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "");
    let lines: Vec<_> = message.lines().map(str::trim_end).collect();
    let text = lines.join("\n");
    format!("{}\n", text.trim_matches('\n'))
}

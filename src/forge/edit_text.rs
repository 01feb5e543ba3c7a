//! A file's text in an editor: what the editor is given, and how what comes back becomes the file again. Browsers know
//! one kind of line end; the file keeps its own.

use base::file_path::FilePath;
use base::name::{Oid, RefName};

use crate::{CommitFiles, Error, FileChange, Forge, RepoWrite};

/// The largest file that is edited as text, in bytes.
pub const EDITABLE: u64 = 1 << 20;

/// A file as an editor gets it.
#[derive(Clone, Debug)]
pub struct EditableFile {
    /// The branch that the edit is for.
    pub branch: RefName,
    /// The commit that the branch named when the edit began.
    pub tip: Oid,
    /// The file.
    pub path: FilePath,
    /// Its blob.
    pub blob: Oid,
    /// Its text with `\n` alone; `Err` says why it cannot be edited, as in "is not text".
    pub text: Result<String, &'static str>,
}

/// A directory that a new file goes into.
#[derive(Clone, Debug)]
pub struct EditableDirectory {
    /// The branch; in a repository without commits, the one that will be made.
    pub branch: RefName,
    /// The commit that the branch names; `None` in a repository without commits.
    pub tip: Option<Oid>,
    /// The directory with a slash behind it; empty for the root.
    pub directory: String,
}

/// What an editor sent.
#[derive(Clone, Debug)]
pub struct EditedText {
    /// The file that was edited; `None` for a new one.
    pub original: Option<(FilePath, Oid)>,
    /// Where the file shall be.
    pub path: FilePath,
    /// The text as the browser sent it.
    pub text: String,
}

impl Forge {
    /// The file that `<branch>/<path>` names, for an editor. `NotFound` when it names no file on a branch.
    pub async fn editable_file(&self, repo: &RepoWrite, rest: &[u8]) -> Result<EditableFile, Error> {
        let handle = self.handle(&repo.0)?;
        let (resolved, path) = handle.resolve_path(rest).await?.ok_or(Error::NotFound)?;
        let branch = resolved.reference.filter(RefName::is_branch).ok_or(Error::NotFound)?;
        let entry = handle.entry(&resolved.commit, &path).await?.ok_or(Error::NotFound)?;
        let is_file = matches!(entry.kind, git::EntryKind::File | git::EntryKind::Executable);
        let path = std::str::from_utf8(path.as_bytes()).ok().and_then(|path| FilePath::parse(path).ok());
        let path = path.filter(|_| is_file).ok_or(Error::NotFound)?;
        let content = handle.blob(&entry.id, EDITABLE).await?.ok_or(Error::NotFound)?.content;
        let text = content.ok_or("is larger than 1 MiB").and_then(|bytes| for_editor(&bytes));
        Ok(EditableFile { branch, tip: resolved.commit, path, blob: entry.id, text })
    }

    /// The directory that `<branch>/<path>` names, for a new file; a repository without commits has its root alone.
    pub async fn editable_directory(&self, repo: &RepoWrite, rest: &[u8]) -> Result<EditableDirectory, Error> {
        let handle = self.handle(&repo.0)?;
        let head = handle.head().await?;
        if handle.branches(1).await?.refs.is_empty() {
            let is_head = rest.is_empty() || rest == head.short().as_bytes();
            let directory = EditableDirectory { branch: head, tip: None, directory: String::new() };
            return if is_head { Ok(directory) } else { Err(Error::NotFound) };
        }
        let rest = if rest.is_empty() { head.short().as_bytes() } else { rest };
        let (resolved, path) = handle.resolve_path(rest).await?.ok_or(Error::NotFound)?;
        let branch = resolved.reference.filter(RefName::is_branch).ok_or(Error::NotFound)?;
        let entry = handle.entry(&resolved.commit, &path).await?.ok_or(Error::NotFound)?;
        let path = std::str::from_utf8(path.as_bytes()).map_err(|_| Error::NotFound)?;
        let directory = if path.is_empty() { String::new() } else { format!("{path}/") };
        let is_directory = entry.kind == git::EntryKind::Tree;
        let directory = EditableDirectory { branch, tip: Some(resolved.commit), directory };
        if is_directory { Ok(directory) } else { Err(Error::NotFound) }
    }

    /// The change that an editor's text is, with the line ends that the file had. `Field` for a text of more than 1 MiB.
    pub async fn edited(&self, repo: &RepoWrite, edit: EditedText) -> Result<FileChange, Error> {
        if edit.text.len() as u64 > EDITABLE {
            return Err(Error::Field { field: "text", problem: "is larger than 1 MiB".into() });
        }
        let Some((from, blob)) = edit.original else {
            let content = restored("", &edit.text).into_bytes();
            return Ok(FileChange::Create { path: edit.path, content, is_executable: false });
        };
        let original = self.handle(&repo.0)?.blob(&blob, EDITABLE).await?.and_then(|blob| blob.content);
        let original = original.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
        let content = restored(&original, &edit.text).into_bytes();
        let is_same = content == original.as_bytes();
        let expected = Some(blob);
        Ok(if from == edit.path {
            FileChange::Update { path: edit.path, content, expected }
        } else {
            FileChange::Rename { from, to: edit.path, expected, content: (!is_same).then_some(content) }
        })
    }

    /// The text of a file as a branch has it now, for somebody whose edit came too late; `None` when it is gone or no
    /// text.
    pub async fn text_now(
        &self,
        repo: &RepoWrite,
        branch: &RefName,
        path: &FilePath,
    ) -> Result<Option<(Oid, String)>, Error> {
        let handle = self.handle(&repo.0)?;
        let Some(commit) = handle.tip(branch).await? else { return Ok(None) };
        let Some(entry) = handle.entry(&commit, path.as_tree_path()).await? else { return Ok(None) };
        let content = handle.blob(&entry.id, EDITABLE).await?.and_then(|blob| blob.content);
        Ok(content.and_then(|bytes| for_editor(&bytes).ok()).map(|text| (entry.id, text)))
    }
}

impl CommitFiles {
    /// One change on a branch, by the actor, with a message.
    pub const fn of(branch: RefName, message: String, changes: Vec<FileChange>) -> Self {
        Self { branch, new_branch: None, expected_tip: None, message, changes, author: None, committer: None }
    }
}

/// A file's text with `\n` alone, or why it has none that an editor could give back.
fn for_editor(bytes: &[u8]) -> Result<String, &'static str> {
    if bytes.contains(&0) {
        return Err("is not text");
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8, and saving would change more than you do")?;
    let text = text.replace("\r\n", "\n");
    if text.contains('\r') { Err("holds line ends that a browser would change") } else { Ok(text) }
}

/// What the browser sent, with the line ends of the file that was edited: where all are of one kind, that one; where
/// they are mixed, each line outside the edit keeps its own. A file that ended with a line end, or is new, still does.
pub(crate) fn restored(original: &str, sent: &str) -> String {
    let sent = sent.replace("\r\n", "\n").replace('\r', "\n");
    let lines: Vec<&str> = sent.split_inclusive('\n').map(|line| line.trim_end_matches('\n')).collect();
    let before: Vec<&str> = original.split_inclusive('\n').collect();
    let bare = |line: &str| line.trim_end_matches(['\r', '\n']).to_owned();
    let windows = before.iter().filter(|line| line.ends_with("\r\n")).count();
    let ended = before.iter().filter(|line| line.ends_with('\n')).count();
    let usual = if windows * 2 > ended { "\r\n" } else { "\n" };
    let same_before = lines.iter().zip(&before).take_while(|(new, old)| **new == bare(old)).count();
    let room = lines.len().min(before.len()) - same_before;
    let pairs = lines.iter().rev().zip(before.iter().rev());
    let same_after = pairs.take(room).take_while(|(new, old)| **new == bare(old)).count();
    let had_end = before.last().is_none_or(|line| line.ends_with('\n'));
    let mut out = String::with_capacity(sent.len() + lines.len());
    for (at, line) in lines.iter().enumerate() {
        let old = if at < same_before {
            before.get(at)
        } else if lines.len() - at <= same_after {
            before.get(before.len() + at - lines.len())
        } else {
            None
        };
        let own = old.and_then(|old| old.get(line.len()..)).filter(|end| !end.is_empty());
        let is_last = at + 1 == lines.len();
        out.push_str(line);
        if !is_last || had_end || sent.ends_with('\n') {
            out.push_str(own.unwrap_or(usual));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_keeps_its_line_ends() {
        for (original, sent, expected) in [
            ("", "a\r\nb", "a\nb\n"),
            ("", "", ""),
            ("a\nb\n", "a\r\nc\r\n", "a\nc\n"),
            ("a\nb\n", "a\r\nc", "a\nc\n"),
            ("a\nb", "a\r\nc", "a\nc"),
            ("a\nb", "a\r\nb\r\n", "a\nb\n"),
            ("a\r\nb\r\n", "a\r\nx\r\nb\r\n", "a\r\nx\r\nb\r\n"),
            ("a\r\nb", "a\r\nx\r\nb", "a\r\nx\r\nb"),
            ("a\r\nb\nc\n", "a\r\nb\r\nx\r\nc\r\n", "a\r\nb\nx\nc\n"),
            ("a\nb\r\nc\r\n", "a\r\nB\r\nc\r\n", "a\nB\r\nc\r\n"),
            ("a\n", "", ""),
            ("a\na\na\n", "a\r\na\r\n", "a\na\n"),
        ] {
            assert_eq!(restored(original, sent), expected, "{original:?} {sent:?}");
        }
    }

    #[test]
    fn what_an_editor_would_spoil_is_not_given_to_one() {
        assert_eq!(for_editor(b"a\r\nb\n").as_deref(), Ok("a\nb\n"));
        for refused in [&b"a\0b"[..], b"\xff", b"a\rb\n"] {
            assert!(for_editor(refused).is_err());
        }
    }
}

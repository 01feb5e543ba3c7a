//! What Git says, in the words of pages. Copies values and decides nothing.

use crate::{
    ChangeKind, CommitSummary, DiffContent, DiffLine, FileDiff, Hunk, LatestCommit, LineKind, RefKind, RefRow,
    Revision, TagNote,
};

pub(crate) fn commit_summary(commit: git::CommitSummary) -> CommitSummary {
    let git::CommitSummary { id, title, author, authored, parents } = commit;
    CommitSummary { id, title, author, authored, parents }
}

pub(crate) fn latest_commit(commit: &git::CommitSummary) -> LatestCommit {
    LatestCommit { id: commit.id.clone(), title: commit.title.clone(), authored: commit.authored }
}

pub(crate) fn ref_row(row: git::RefRow) -> RefRow {
    let git::RefRow { name, commit, note } = row;
    let note = note.map(|git::TagNote { title, tagger, tagged }| TagNote { title, tagger, tagged });
    RefRow { name, commit: commit_summary(commit), note }
}

impl From<RefKind> for git::RefKind {
    fn from(kind: RefKind) -> Self {
        match kind {
            RefKind::Branches => Self::Branches,
            RefKind::Tags => Self::Tags,
        }
    }
}

impl From<git::Resolved> for Revision {
    fn from(resolved: git::Resolved) -> Self {
        let git::Resolved { name, reference, commit } = resolved;
        Self { name, reference, commit }
    }
}

impl From<git::FileDiff> for FileDiff {
    fn from(file: git::FileDiff) -> Self {
        let git::FileDiff { path, old_path, likeness, kind, added, removed, content } = file;
        let kind = match kind {
            git::ChangeKind::Added => ChangeKind::Added,
            git::ChangeKind::Deleted => ChangeKind::Deleted,
            git::ChangeKind::Modified => ChangeKind::Modified,
            git::ChangeKind::Renamed => ChangeKind::Renamed,
        };
        let content = match content {
            git::DiffContent::Hunks(hunks) => DiffContent::Hunks(hunks.into_iter().map(Into::into).collect()),
            git::DiffContent::Binary => DiffContent::Binary,
            git::DiffContent::TooLarge => DiffContent::TooLarge,
        };
        Self { path, old_path, likeness, kind, added, removed, content }
    }
}

impl From<git::Hunk> for Hunk {
    fn from(hunk: git::Hunk) -> Self {
        Self { header: hunk.header, section: hunk.section, lines: hunk.lines.into_iter().map(Into::into).collect() }
    }
}

impl From<git::DiffLine> for DiffLine {
    fn from(line: git::DiffLine) -> Self {
        let kind = match line.kind {
            git::LineKind::Context => LineKind::Context,
            git::LineKind::Added => LineKind::Added,
            git::LineKind::Removed => LineKind::Removed,
        };
        Self { kind, old: line.old, new: line.new, text: line.text, emphasis: line.emphasis }
    }
}

//! What the pages of branches, tags and blame show: plain values, already permitted, with no handle back into the forge.

use base::clock::Timestamp;
use base::name::RefName;

use crate::{CommitSummary, File};

/// Which refs a page shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefKind {
    /// Branches, by name.
    Branches,
    /// Tags, greatest name first (numbers compared as numbers).
    Tags,
}

/// A branch or tag that leads to a commit.
#[derive(Clone, Debug)]
pub struct RefRow {
    /// Its full name.
    pub name: RefName,
    /// The commit.
    pub commit: CommitSummary,
    /// What an annotated tag says of itself.
    pub note: Option<TagNote>,
}

/// What an annotated tag says of itself.
#[derive(Clone, Debug)]
pub struct TagNote {
    /// First line of its message, lossily decoded, at most 1,000 characters.
    pub title: String,
    /// The tagger's name, at most 200 characters; empty when the tag names none.
    pub tagger: String,
    /// When it was made.
    pub tagged: Timestamp,
}

/// One page of branches or tags.
#[derive(Clone, Debug)]
pub struct RefPage {
    /// Which.
    pub kind: RefKind,
    /// At most 50; those that lead to no commit are left out.
    pub rows: Vec<RefRow>,
    /// The page's number, from 1.
    pub page: u32,
    /// Says whether there are more.
    pub has_more: bool,
}

/// A file and who last changed its lines.
#[derive(Clone, Debug)]
pub struct Blame {
    /// The file.
    pub file: File,
    /// Its lines in order, in spans; none unless it is text of at most 20,000 lines.
    pub spans: Vec<BlameSpan>,
}

/// Lines in a row that one commit changed last.
#[derive(Clone, Debug)]
pub struct BlameSpan {
    /// How many lines.
    pub lines: usize,
    /// The commit.
    pub commit: CommitSummary,
}

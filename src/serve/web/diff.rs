//! A diff as a part of pages: files that fold, lines with anchors, the words that differ, and links to what a page has
//! no room for. Works without a script; the HTML of a line is kept short.

use base::name::{Oid, RepoPath, TreePath};
use forge::{ChangeKind, DiffChoice, DiffContent, FileDiff};

use super::diff_lines::{side_by_side, unified};
use super::query::Query;
use super::target;
use super::text::{counted, one_line};

/// Lines of one file beyond which it begins folded and is loaded when it is asked for.
const LARGE: usize = 400;
/// Unchanged lines that one link shows around a change, and the most there are.
const MORE: u32 = 25;
const ALL: u32 = 100_000;

/// Names of files that programs write, and nobody reads line by line.
const GENERATED: [&str; 13] = [
    "cargo.lock",
    "package-lock.json",
    "npm-shrinkwrap.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "go.sum",
    "poetry.lock",
    "uv.lock",
    "pipfile.lock",
    "composer.lock",
    "gemfile.lock",
    "mix.lock",
    "flake.lock",
];
/// Endings of such names.
const GENERATED_ENDS: [&str; 6] = [".min.js", ".min.css", ".map", ".pb.go", "_pb2.py", ".snap"];

/// How a visitor wants to see a diff.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) choice: DiffChoice,
    pub(crate) is_split: bool,
}

impl Look {
    /// Reads `w=1`, `view=split` and `context=…`.
    pub(crate) fn of(query: &Query) -> Self {
        let context = match query.text("context") {
            "all" => ALL,
            text => text.parse().unwrap_or(DiffChoice::default().context).min(ALL),
        };
        Self {
            choice: DiffChoice { ignores_blanks: query.text("w") == "1", context },
            is_split: query.text("view") == "split",
        }
    }

    /// The query that asks for this look; empty for the usual one.
    fn query(self) -> String {
        let mut parts = Vec::new();
        if self.choice.ignores_blanks {
            parts.push("w=1".to_owned());
        }
        if self.is_split {
            parts.push("view=split".into());
        }
        match self.choice.context {
            ALL => parts.push("context=all".into()),
            context if context != DiffChoice::default().context => parts.push(format!("context={context}")),
            _ => {}
        }
        if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
    }

    fn with_context(self, context: u32) -> Self {
        Self { choice: DiffChoice { context, ..self.choice }, ..self }
    }
}

/// Which commits a diff is between, and how it is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DiffPlace<'a> {
    pub(crate) repository: &'a RepoPath,
    /// `None` for the first parent of `head`.
    pub(crate) base: Option<&'a Oid>,
    pub(crate) head: &'a Oid,
    pub(crate) look: Look,
}

/// A link to another look, and whether it is this one.
pub(crate) struct Switch {
    pub(crate) label: &'static str,
    pub(crate) href: String,
    pub(crate) is_on: bool,
}

/// A diff on a page.
pub(crate) struct DiffView {
    pub(crate) summary: String,
    pub(crate) added: u64,
    pub(crate) removed: u64,
    pub(crate) files: Vec<DiffFile>,
    pub(crate) is_cut: bool,
    pub(crate) switches: Vec<Switch>,
    pub(crate) empty: &'static str,
}

/// One file of it.
pub(crate) struct DiffFile {
    pub(crate) anchor: String,
    pub(crate) path: String,
    pub(crate) old_path: Option<String>,
    pub(crate) kind: String,
    pub(crate) added: u64,
    pub(crate) removed: u64,
    /// The file as it is after the change; none for a deleted one.
    pub(crate) view: Option<String>,
    /// The diff of this file alone, on a page of its own.
    pub(crate) alone: String,
    /// The same with more unchanged lines, and with all of them.
    pub(crate) more: Vec<(&'static str, String)>,
    pub(crate) is_open: bool,
    pub(crate) is_split: bool,
    pub(crate) body: DiffBody,
}

/// What is shown of a file.
pub(crate) enum DiffBody {
    /// Rows of a table.
    Rows(String),
    /// Words instead.
    Note(&'static str),
    /// Words, and a link to the diff of this file alone.
    Apart(String),
}

/// The diff of a page at `here` (without a query).
pub(crate) fn view(place: DiffPlace<'_>, here: &str, files: Vec<FileDiff>, counts: (usize, u64, u64)) -> DiffView {
    let (file_count, added, removed) = counts;
    let is_cut = file_count > files.len();
    DiffView {
        summary: format!("{} changed", counted(file_count, "file")),
        added,
        removed,
        files: files.into_iter().enumerate().map(|(index, file)| one(place, index, file, false)).collect(),
        is_cut,
        switches: switches(place.look, here),
        empty: "Nothing differs.",
    }
}

/// One file on a page of its own.
pub(crate) fn alone(place: DiffPlace<'_>, file: FileDiff) -> DiffFile {
    one(place, 0, file, true)
}

/// The page's own looks: side by side or not, blanks or not.
pub(crate) fn switches(look: Look, here: &str) -> Vec<Switch> {
    let to = |look: Look| format!("{here}{}", look.query());
    let choice = DiffChoice { ignores_blanks: !look.choice.ignores_blanks, ..look.choice };
    vec![
        Switch { label: "One column", href: to(Look { is_split: false, ..look }), is_on: !look.is_split },
        Switch { label: "Side by side", href: to(Look { is_split: true, ..look }), is_on: look.is_split },
        Switch {
            label: if look.choice.ignores_blanks { "Show changes of blanks" } else { "Leave out changes of blanks" },
            href: to(Look { choice, ..look }),
            is_on: false,
        },
    ]
}

fn one(place: DiffPlace<'_>, index: usize, file: FileDiff, is_alone: bool) -> DiffFile {
    let anchor = format!("f{}", index + 1);
    let is_there = file.kind != ChangeKind::Deleted;
    let here = address(place, &file.path);
    let context = place.look.choice.context;
    let with = |label, context| (label, format!("{here}{}", place.look.with_context(context).query()));
    let mut more = Vec::new();
    if matches!(&file.content, DiffContent::Hunks(hunks) if !hunks.is_empty()) && file.kind == ChangeKind::Modified {
        more.extend((context < MORE).then(|| with("More lines around", MORE)));
        more.extend((context < ALL).then(|| with("Whole file", ALL)));
    }
    let body = body(&anchor, place.look.is_split, &file, is_alone);
    DiffFile {
        view: is_there.then(|| target::within(place.repository, "src", place.head.as_str(), &file.path)),
        alone: format!("{here}{}", place.look.query()),
        more,
        is_open: !matches!(body, DiffBody::Apart(_)),
        is_split: place.look.is_split,
        anchor,
        path: one_line(file.path.as_bytes()),
        old_path: file.old_path.as_ref().map(|path| one_line(path.as_bytes())),
        kind: match (file.kind, file.likeness) {
            (ChangeKind::Added, _) => "added".into(),
            (ChangeKind::Deleted, _) => "deleted".into(),
            (ChangeKind::Modified, _) => "changed".into(),
            (ChangeKind::Renamed, Some(likeness)) if likeness < 100 => format!("renamed, {likeness} %"),
            (ChangeKind::Renamed, _) => "renamed".into(),
        },
        added: file.added,
        removed: file.removed,
        body,
    }
}

fn body(anchor: &str, is_split: bool, file: &FileDiff, is_alone: bool) -> DiffBody {
    let lines = |count: u64| counted(usize::try_from(count).unwrap_or(usize::MAX), "line");
    let hunks = match &file.content {
        DiffContent::Binary => return DiffBody::Note("The file is not text; its bytes differ."),
        DiffContent::TooLarge if is_alone => {
            return DiffBody::Note(
                "The change is larger than a page shows. A clone shows it, or the patch of the commit.",
            );
        }
        DiffContent::TooLarge => return DiffBody::Apart("The change is larger than this page shows.".into()),
        DiffContent::Hunks(hunks) if hunks.is_empty() => {
            return DiffBody::Note("No line differs; the name, the mode or blanks alone did.");
        }
        DiffContent::Hunks(hunks) => hunks,
    };
    let changed = file.added + file.removed;
    if !is_alone && is_generated(&file.path) {
        return DiffBody::Apart(format!("A program wrote this file. {} changed.", lines(changed)));
    }
    let shown: usize = hunks.iter().map(|hunk| hunk.lines.len()).sum();
    if !is_alone && shown > LARGE {
        return DiffBody::Apart(format!("A large change: {}.", lines(changed)));
    }
    DiffBody::Rows(if is_split { side_by_side(anchor, hunks) } else { unified(anchor, hunks) })
}

/// `/alice/notes/diff/<commit>/<path>` or `/alice/notes/diff/<commit>..<commit>/<path>`.
fn address(place: DiffPlace<'_>, path: &TreePath) -> String {
    let range = place.base.map_or_else(|| place.head.to_string(), |base| format!("{base}..{}", place.head));
    target::within(place.repository, "diff", &range, path)
}

fn is_generated(path: &TreePath) -> bool {
    let name = path.parts().last().unwrap_or_default().to_ascii_lowercase();
    GENERATED.iter().any(|known| name == known.as_bytes())
        || GENERATED_ENDS.iter().any(|end| name.ends_with(end.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_written_as_it_is_read() {
        for query in ["", "?w=1", "?view=split", "?w=1&view=split&context=25", "?context=all"] {
            assert_eq!(Look::of(&Query::of(query.strip_prefix('?'))).query(), query);
        }
        assert_eq!(Look::of(&Query::of(Some("w=2&view=x&context=-1"))), Look::default());
    }

    #[test]
    fn lock_files_are_known_by_name() {
        for (path, expected) in
            [("a/Cargo.lock", true), ("x.min.js", true), ("lock.rs", false), ("cargo.lock.md", false)]
        {
            assert_eq!(is_generated(&TreePath::parse(path.as_bytes()).unwrap()), expected, "{path}");
        }
    }
}

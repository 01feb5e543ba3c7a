//! The keyboard's shortcuts: a page of its own, which the script also shows as a sheet.

use askama::Template;

use super::failure::PageResult;
use super::page::{Shell, draw};
use super::visit::Visit;

/// Keys and what they do, by where they work.
type Group = (&'static str, &'static [(&'static [&'static str], &'static str)]);

const GROUPS: [Group; 3] = [
    ("Everywhere", &[(&["?"], "Show this sheet"), (&["g", "d"], "Go to the start page"), (&["g", "e"], "Explore")]),
    (
        "In a repository",
        &[
            (&["t"], "Find a file by its name"),
            (&["/"], "Search in the files"),
            (&["g", "h"], "Files"),
            (&["g", "c"], "Commits"),
            (&["g", "b"], "Branches"),
        ],
    ),
    (
        "At a file or directory",
        &[
            (&["y"], "The same at this commit: an address that stays"),
            (&["l"], "Go to a line"),
            (&["b"], "Who last changed each line"),
            (&["h"], "History"),
            (&["e"], "Edit"),
        ],
    ),
];

/// A row of the sheet.
pub(crate) struct Shortcut {
    keys: &'static [&'static str],
    what: &'static str,
}

#[derive(Template)]
#[template(path = "pages/keyboard.html")]
pub(crate) struct KeyboardPage {
    shell: Shell,
    groups: Vec<(&'static str, Vec<Shortcut>)>,
}

/// `GET /help/keyboard`.
pub(crate) async fn keyboard(visit: Visit) -> PageResult {
    draw(&page(&visit))
}

/// The page of shortcuts.
pub(crate) fn page(visit: &Visit) -> KeyboardPage {
    let rows = |rows: &'static [(&'static [&'static str], &'static str)]| {
        rows.iter().map(|(keys, what)| Shortcut { keys, what }).collect()
    };
    KeyboardPage {
        shell: Shell::of(visit),
        groups: GROUPS.iter().map(|(title, shortcuts)| (*title, rows(shortcuts))).collect(),
    }
}

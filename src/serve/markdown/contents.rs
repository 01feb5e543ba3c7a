//! The table of contents of a text: its headings as links, folded, when there are enough of them to get lost between.

use std::fmt::Write;

use super::PREFIX;
use crate::web::text::escaped;

/// Headings that make a table of contents worth its room, and the most it lists.
const FEWEST: usize = 4;
const MOST: usize = 200;

/// A heading as it was met.
pub(super) struct Heading {
    pub(super) level: u8,
    pub(super) id: String,
    pub(super) text: String,
}

/// The table as HTML; empty where there are few headings. What a heading says is escaped here: it never was markup.
pub(super) fn list(headings: &[Heading]) -> String {
    let top = headings.iter().map(|heading| heading.level).min().unwrap_or(1);
    let near: Vec<_> = headings.iter().filter(|heading| heading.level < top.saturating_add(3)).collect();
    if near.len() < FEWEST {
        return String::new();
    }
    let mut html = String::from("<details class=\"toc\"><summary>Contents</summary><ul>");
    for heading in near.iter().take(MOST).filter(|heading| !heading.text.trim().is_empty()) {
        let depth = heading.level - top + 1;
        // Writing into a String cannot fail.
        let _ = write!(
            html,
            "<li class=\"l{depth}\"><a href=\"#{PREFIX}{}\">{}</a></li>",
            escaped(&heading.id),
            escaped(heading.text.trim())
        );
    }
    html.push_str("</ul></details>");
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heading(level: u8, text: &str) -> Heading {
        Heading { level, id: format!("{level}-id"), text: text.into() }
    }

    #[test]
    fn few_headings_need_no_table_and_what_they_say_is_text() {
        assert_eq!(list(&[heading(1, "a"), heading(2, "b"), heading(2, "c")]), "");
        let html = list(&[heading(2, "<b>a"), heading(3, "b"), heading(3, "c"), heading(6, "deep"), heading(2, "d")]);
        assert!(html.contains("<li class=\"l1\"><a href=\"#user-content-2-id\">&lt;b&gt;a</a></li>"), "{html}");
        assert!(html.contains("class=\"l2\"") && !html.contains("deep"), "{html}");
    }
}

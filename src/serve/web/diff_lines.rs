//! The rows of one changed file. Every end tag that HTML lets leave out is left out: rows are most of a page.

use std::fmt::Write;

use forge::{DiffLine, Hunk, LineKind};

use super::text::escaped_between;

/// Rows of three columns: the line's number before, after, and the line.
pub(crate) fn unified(anchor: &str, hunks: &[Hunk]) -> String {
    let mut html = String::new();
    for hunk in hunks {
        heading(&mut html, hunk, 3);
        for line in &hunk.lines {
            let (class, old, new) = match line.kind {
                LineKind::Context => ("", plain(line.old), linked(anchor, 'R', line.new)),
                LineKind::Added => (" class=p", plain(None), linked(anchor, 'R', line.new)),
                LineKind::Removed => (" class=m", linked(anchor, 'L', line.old), plain(None)),
            };
            html.push_str("<tr");
            html.push_str(class);
            put(&mut html, &[&old, &new, &text(line)]);
        }
        html.push_str("</tbody>");
    }
    html
}

/// Rows of four columns: number and line before, number and line after.
pub(crate) fn side_by_side(anchor: &str, hunks: &[Hunk]) -> String {
    let mut html = String::new();
    for hunk in hunks {
        heading(&mut html, hunk, 4);
        let mut lines = hunk.lines.as_slice();
        while let Some(first) = lines.first() {
            if first.kind == LineKind::Context {
                html.push_str("<tr");
                put(&mut html, &[&plain(first.old), &text(first), &linked(anchor, 'R', first.new), &text(first)]);
                lines = lines.get(1..).unwrap_or_default();
                continue;
            }
            let of = |lines: &[DiffLine], kind| lines.iter().take_while(|line| line.kind == kind).count();
            let (removed, rest) = lines.split_at(of(lines, LineKind::Removed));
            let (added, rest) = rest.split_at(of(rest, LineKind::Added));
            lines = rest;
            for at in 0..removed.len().max(added.len()) {
                let (old, new) = (removed.get(at), added.get(at));
                html.push_str("<tr class=b");
                let cell = |line: Option<&DiffLine>| line.map_or_else(|| ">".to_owned(), text);
                let before = linked(anchor, 'L', old.and_then(|line| line.old));
                let after = linked(anchor, 'R', new.and_then(|line| line.new));
                put(&mut html, &[&before, &cell(old), &after, &cell(new)]);
            }
        }
        html.push_str("</tbody>");
    }
    html
}

fn heading(html: &mut String, hunk: &Hunk, columns: usize) {
    let section = escaped_between(&hunk.section);
    // Writing into a String cannot fail.
    let _ =
        writeln!(html, "<tbody><tr><th colspan={columns} scope=rowgroup>{} <b>{section}</b></th></tr>", hunk.header);
}

/// Ends the row's tag that was begun, and puts its cells, each with the rest of its own tag.
fn put(html: &mut String, cells: &[&str]) {
    html.push('>');
    for cell in cells {
        html.push_str("<td");
        html.push_str(cell);
    }
    html.push('\n');
}

fn plain(number: Option<u32>) -> String {
    number.map_or_else(|| ">".to_owned(), |number| format!(">{number}"))
}

/// A number whose cell can be linked to; the script makes a click on it do so.
fn linked(anchor: &str, side: char, number: Option<u32>) -> String {
    number.map_or_else(|| ">".to_owned(), |number| format!(" id={anchor}{side}{number}>{number}"))
}

/// The line's text, marked up as what it is, so that colour alone tells nothing.
fn text(line: &DiffLine) -> String {
    let bare = line.text.strip_suffix('\r').unwrap_or(&line.text);
    let mut html = String::with_capacity(bare.len() + 12);
    let mut at = 0;
    for range in &line.emphasis {
        let (Some(before), Some(marked)) = (bare.get(at..range.start), bare.get(range.clone())) else { break };
        html.push_str(&escaped_between(before));
        html.push_str("<b>");
        html.push_str(&escaped_between(marked));
        html.push_str("</b>");
        at = range.end;
    }
    html.push_str(&escaped_between(bare.get(at..).unwrap_or_default()));
    match line.kind {
        LineKind::Context => format!(">{html}"),
        LineKind::Added => format!("><ins>{html}</ins>"),
        LineKind::Removed => format!("><del>{html}</del>"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(kind: LineKind, old: Option<u32>, new: Option<u32>, text: &str) -> DiffLine {
        DiffLine {
            kind,
            old,
            new,
            text: text.into(),
            emphasis: text.starts_with("a<").then_some(1..3).into_iter().collect(),
        }
    }

    fn hunk() -> Hunk {
        let lines = vec![
            line(LineKind::Context, Some(1), Some(1), "x"),
            line(LineKind::Removed, Some(2), None, "a<b\r"),
            line(LineKind::Added, None, Some(2), "a>c\u{202e}"),
            line(LineKind::Added, None, Some(3), "new"),
        ];
        Hunk { header: "@@ -1,2 +1,3 @@".into(), section: "f<T>()".into(), lines }
    }

    #[test]
    fn rows_are_short_escaped_and_have_anchors() {
        assert_eq!(
            unified("f1", &[hunk()]),
            "<tbody><tr><th colspan=3 scope=rowgroup>@@ -1,2 +1,3 @@ <b>f&lt;T&gt;()</b></th></tr>\n\
             <tr><td>1<td id=f1R1>1<td>x\n\
             <tr class=m><td id=f1L2>2<td><td><del>a<b>&lt;b</b></del>\n\
             <tr class=p><td><td id=f1R2>2<td><ins>a&gt;c[U+202E]</ins>\n\
             <tr class=p><td><td id=f1R3>3<td><ins>new</ins>\n</tbody>"
        );
        let split = side_by_side("f1", &[hunk()]);
        assert!(split.contains("<tr class=b><td><td><td id=f1R3>3<td><ins>new</ins>\n"), "{split}");
    }
}

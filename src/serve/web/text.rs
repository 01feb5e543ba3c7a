//! Text from outside, made fit for pages: markup is escaped, and characters that hide or turn around what stands
//! beside them are printed by name. Every template prints through [`Visible`]; nothing here decides what is shown.

use std::fmt::{self, Write};

use askama::filters::Escaper;

/// The escaper of all pages, named in `askama.toml`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Visible;

impl Escaper for Visible {
    fn write_escaped_str<W: Write>(&self, mut out: W, text: &str) -> fmt::Result {
        write_visible(&mut out, text)
    }
}

/// `text` as HTML text or attribute value, hidden characters made visible.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    // Writing into a String cannot fail.
    let _ = write_visible(&mut out, text);
    out
}

/// `text` as HTML text between tags, never inside one: quotes stay as they are, which keeps source code small.
pub(crate) fn escaped_between(text: &str) -> String {
    escaped(text).replace("&#34;", "\"").replace("&#39;", "'")
}

/// `text` with hidden characters made visible, not escaped: what Markdown is read from.
pub(crate) fn revealed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // A mark of the byte order at the very start is an editor's, and no character of the text.
    for c in text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").chars() {
        match hidden(c) {
            Some(shown) => {
                let _ = write!(out, "{shown}");
            }
            None => out.push(c),
        }
    }
    out
}

/// Says whether a text holds characters that cannot be seen.
pub(crate) fn has_hidden(text: &str) -> bool {
    text.chars().any(|c| !c.is_ascii_graphic() && c != '\r' && hidden(c).is_some())
}

/// One line for a list or a title: bytes as Git has them, line breaks made visible too.
pub(crate) fn one_line(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\n', "[U+000A]").replace('\t', "[U+0009]")
}

/// A size for people: `812 B`, `12.4 KiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = u128::from(bytes) * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS.get(unit).unwrap_or(&"TiB"))
}

/// A count with its noun: `1 line`, `2,400 lines`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{grouped} {noun}{}", if count == 1 { "" } else { "s" })
}

fn write_visible(out: &mut dyn Write, text: &str) -> fmt::Result {
    let mut plain = 0;
    for (at, c) in text.char_indices() {
        let markup = match c {
            '<' => Some("&lt;"),
            '>' => Some("&gt;"),
            '&' => Some("&amp;"),
            '"' => Some("&#34;"),
            '\'' => Some("&#39;"),
            _ => None,
        };
        let is_line_end = c == '\r' && text.as_bytes().get(at + 1) == Some(&b'\n');
        let name = if is_line_end || c.is_ascii() && !c.is_ascii_control() { None } else { hidden(c) };
        if markup.is_none() && name.is_none() {
            continue;
        }
        out.write_str(text.get(plain..at).unwrap_or_default())?;
        match (markup, name) {
            (Some(markup), _) => out.write_str(markup)?,
            (None, Some(name)) => write!(out, "{name}")?,
            (None, None) => {}
        }
        plain = at + c.len_utf8();
    }
    out.write_str(text.get(plain..).unwrap_or_default())
}

/// The code of a character that shows nothing, or changes the order of others, as its printed name has it.
struct Hidden(u32);

impl fmt::Display for Hidden {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "[U+{:04X}]", self.0)
    }
}

fn hidden(c: char) -> Option<Hidden> {
    let is_hidden = match c {
        '\n' | '\t' => false,
        '\u{61c}'
        | '\u{200b}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{2064}'
        | '\u{2066}'..='\u{2069}'
        | '\u{feff}' => true,
        other => other.is_control(),
    };
    is_hidden.then(|| Hidden(u32::from(c)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_escaped_in_text_and_attributes() {
        assert_eq!(escaped(r#"<a href='x' b="y">&"#), "&lt;a href=&#39;x&#39; b=&#34;y&#34;&gt;&amp;");
    }

    #[test]
    fn between_tags_quotes_stay_and_references_are_not_made() {
        assert_eq!(escaped_between("\"a\" &#34; <'"), "\"a\" &amp;#34; &lt;'");
    }

    #[test]
    fn control_and_bidi_characters_show() {
        assert_eq!(escaped("a\u{1b}[31m\u{202e}b\0\r\u{7f}"), "a[U+001B][31m[U+202E]b[U+0000][U+000D][U+007F]");
        assert_eq!(escaped("a\tb\nc"), "a\tb\nc");
        assert_eq!(revealed("x\u{2066}<"), "x[U+2066]<");
    }

    #[test]
    fn line_ends_of_other_systems_are_no_hidden_characters() {
        assert_eq!(escaped("a\r\nb\r"), "a\r\nb[U+000D]");
        assert_eq!(revealed("\u{feff}# a\r\n\r\nb\rc\u{feff}"), "# a\n\nb[U+000D]c[U+FEFF]");
    }

    #[test]
    fn names_stay_on_one_line() {
        assert_eq!(one_line(b"a\nb\xff"), "a[U+000A]b\u{fffd}");
    }

    #[test]
    fn sizes_and_counts_read_well() {
        let sizes = [0, 1023, 1024, 12_700, 1_048_575, 1_048_576, u64::MAX].map(size);
        assert_eq!(sizes[..6], ["0 B", "1023 B", "1.0 KiB", "12.4 KiB", "1023.9 KiB", "1.0 MiB"]);
        assert_eq!(counted(1, "line"), "1 line");
        assert_eq!(counted(2_400_000, "line"), "2,400,000 lines");
    }
}

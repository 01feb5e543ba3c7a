//! Source code as HTML with a handful of classes; the stylesheet knows their colours for light and dark. Never writes
//! a style, and gives up colours before a page grows heavy.

use std::fmt::Write;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use syntect::parsing::{BasicScopeStackOp, ParseState, Scope, ScopeStack, SyntaxReference, SyntaxSet};

use crate::web::text::escaped_between;

/// Larger texts are shown without colours, in bytes.
const LIMIT: usize = 200 << 10;

/// A text with a longer line is shown without colours from there on, in bytes: grammars are slow on minified code.
const LINE_LIMIT: usize = 2_000;

/// Bytes of HTML that a file may become before colours are given up, and for each line when it has many.
const WEIGHT: usize = 335_000;
const LINE_WEIGHT: usize = 140;

/// What colours remain at each step of giving them up.
const STEPS: [&[&str]; 4] = [&CLASSES, &["c", "s", "k", "h"], &["c", "s"], &[]];

/// How long one text may take, with all its blocks of code; the rest is shown without colours.
pub(crate) const BUDGET: Duration = Duration::from_secs(1);

/// The classes that highlighting uses.
pub(crate) const CLASSES: [&str; 8] = ["c", "s", "k", "n", "f", "t", "a", "h"];

/// Scopes and their classes; the first prefix that fits wins. The empty class ends what surrounds it.
const SCOPES: &[(&str, &str)] = &[
    ("comment", "c"),
    ("punctuation.definition.comment", "c"),
    ("meta.interpolation", ""),
    ("meta.template.expression", ""),
    ("string.unquoted.argument", ""),
    ("string.unquoted", "s"),
    ("constant.character.escape", "n"),
    ("constant.other.placeholder", "n"),
    ("string", "s"),
    ("constant", "n"),
    ("keyword.operator.word", "k"),
    ("keyword.operator", ""),
    ("keyword.other.unit", "n"),
    ("keyword", "k"),
    ("storage.type.function", "k"),
    ("storage", "k"),
    ("entity.name.function", "f"),
    ("support.function", "f"),
    ("variable.function", "f"),
    ("support.macro", "f"),
    ("entity.name.macro", "f"),
    ("entity.name.tag", "k"),
    ("entity.other.attribute-name", "a"),
    ("meta.annotation", "a"),
    ("variable.annotation", "a"),
    ("support.type.property-name", "a"),
    ("entity.name.section", "h"),
    ("markup.heading", "h"),
    ("entity.name", "t"),
    ("entity.other.inherited-class", "t"),
    ("support.type", "t"),
    ("support.class", "t"),
    ("variable.language", "k"),
    ("markup.raw", "s"),
    ("markup.inserted", "s"),
    ("markup.deleted", "k"),
];

/// Grammars, loaded when the first text is highlighted.
#[derive(Default)]
pub(crate) struct Highlighter {
    grammars: OnceLock<Grammars>,
}

struct Grammars {
    set: SyntaxSet,
    scopes: Vec<(Scope, &'static str)>,
}

impl Highlighter {
    /// The lines of a file as `<li id=L1>…`, each with its number as a link. `name` is the file's.
    pub(crate) fn lines(&self, text: &str, name: &str) -> String {
        let grammars = self.grammars();
        let Some(grammar) = grammars.for_file(name, text).filter(|_| text.len() <= LIMIT) else {
            return plain_lines(text);
        };
        let lines = Painter::new(grammars, grammar, Instant::now() + BUDGET).paint(text);
        let limit = WEIGHT.max(lines.len() * LINE_WEIGHT);
        let drawn = STEPS.iter().map(|classes| numbered(&lines, classes, 1));
        drawn.into_iter().find(|html| html.len() <= limit).unwrap_or_else(|| plain_lines(text))
    }

    /// A block of code in a text, `language` as its fence names it; plain from `until` on.
    pub(crate) fn block(&self, text: &str, language: &str, until: Instant) -> String {
        let grammars = self.grammars();
        let Some(grammar) = grammars.set.find_syntax_by_token(language).filter(|_| text.len() <= LIMIT) else {
            return escaped_between(text);
        };
        Painter::new(grammars, grammar, until).paint(text).iter().map(|line| markup(line, &CLASSES)).collect()
    }

    fn grammars(&self) -> &Grammars {
        self.grammars.get_or_init(|| Grammars {
            set: two_face::syntax::extra_newlines(),
            scopes: SCOPES.iter().filter_map(|(name, class)| Some((Scope::new(name).ok()?, *class))).collect(),
        })
    }
}

/// A piece of a line and its class, which may be none.
type Token<'t> = (&'t str, &'static str);

/// The lines of a file without colours, in the same form.
pub(crate) fn plain_lines(text: &str) -> String {
    plain_lines_from(text, 1)
}

/// The same for lines in the middle of a file, `first` being the number of the first one.
pub(crate) fn plain_lines_from(text: &str, first: usize) -> String {
    let lines: Vec<Vec<Token<'_>>> = text.split_inclusive('\n').map(|line| vec![(line, "")]).collect();
    numbered(&lines, &[], first)
}

/// End tags of list items are left out, as HTML allows: they would be a tenth of a page.
fn numbered(lines: &[Vec<Token<'_>>], classes: &[&str], first: usize) -> String {
    let mut html = String::new();
    for (index, line) in lines.iter().enumerate() {
        let number = index + first;
        // A blank line has nothing to point at, and its number alone would be too small to hit.
        let is_blank = line.iter().all(|(text, _)| text.trim().is_empty());
        let link = if is_blank { String::new() } else { format!(" href=#L{number}") };
        // Writing into a String cannot fail.
        let _ = write!(html, "<li id=L{number}><a{link}>{number}</a>");
        html.push_str(&markup(line, classes));
    }
    html
}

/// A line's tokens, neighbours of one class under one tag; blanks take the class before them.
fn markup(line: &[Token<'_>], classes: &[&str]) -> String {
    let mut html = String::new();
    let mut open = "";
    for (text, class) in line {
        let class = if classes.contains(class) { class } else { "" };
        let bare = text.trim_end_matches(['\r', '\n']);
        if class != open && !bare.trim().is_empty() {
            html.push_str(if open.is_empty() { "" } else { "</i>" });
            if !class.is_empty() {
                html.push_str("<i class=");
                html.push_str(class);
                html.push('>');
            }
            open = class;
        }
        html.push_str(&escaped_between(bare));
        if text.ends_with('\n') {
            html.push_str(if open.is_empty() { "\n" } else { "</i>\n" });
            open = "";
        }
    }
    html.push_str(if open.is_empty() { "" } else { "</i>" });
    html
}

impl Grammars {
    fn for_file(&self, name: &str, text: &str) -> Option<&SyntaxReference> {
        let ending = name.rsplit('.').next().unwrap_or_default();
        let by_name = self.set.find_syntax_by_extension(name).or_else(|| self.set.find_syntax_by_extension(ending));
        by_name.or_else(|| self.set.find_syntax_by_first_line(text.lines().next().unwrap_or_default()))
    }

    fn class_of(&self, scope: Scope) -> Option<&'static str> {
        self.scopes.iter().find(|(prefix, _)| prefix.is_prefix_of(scope)).map(|(_, class)| *class)
    }
}

/// Walks through a text line by line.
struct Painter<'g> {
    grammars: &'g Grammars,
    state: ParseState,
    scopes: ScopeStack,
    classes: Vec<Option<&'static str>>,
    until: Instant,
    is_tired: bool,
}

impl<'g> Painter<'g> {
    fn new(grammars: &'g Grammars, grammar: &SyntaxReference, until: Instant) -> Self {
        Self {
            grammars,
            state: ParseState::new(grammar),
            scopes: ScopeStack::new(),
            classes: Vec::new(),
            until,
            is_tired: false,
        }
    }

    fn paint(mut self, text: &str) -> Vec<Vec<Token<'_>>> {
        text.split_inclusive('\n').map(|line| self.line(line).unwrap_or_else(|| vec![(line, "")])).collect()
    }

    /// The tokens of the next line; `None` once this text has shown to be too slow or too odd.
    fn line<'t>(&mut self, line: &'t str) -> Option<Vec<Token<'t>>> {
        self.is_tired |= line.len() > LINE_LIMIT || Instant::now() >= self.until;
        if self.is_tired {
            return None;
        }
        // Grammars end their lines at `\n` alone.
        let changes = self.state.parse_line(line, &self.grammars.set).inspect_err(|_| self.is_tired = true).ok()?;
        let mut tokens = Vec::with_capacity(changes.len() + 1);
        let mut from = 0;
        for (at, change) in changes {
            tokens.push((line.get(from..at).unwrap_or_default(), self.class()));
            from = at.max(from);
            let (grammars, classes) = (self.grammars, &mut self.classes);
            let applied = self.scopes.apply_with_hook(&change, |change, _| match change {
                BasicScopeStackOp::Push(scope) => classes.push(grammars.class_of(scope)),
                BasicScopeStackOp::Pop => {
                    classes.pop();
                }
            });
            self.is_tired |= applied.is_err();
        }
        tokens.push((line.get(from..).unwrap_or_default(), self.class()));
        Some(tokens)
    }

    fn class(&self) -> &'static str {
        self.classes.iter().rev().find_map(|class| *class).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_source_is_escaped_in_every_language() {
        for name in ["a.html", "a.rs", "a.md", "a.js", "a", "Makefile", "a.unknown"] {
            let html = Highlighter::default().lines("<script>alert(1)</script>\n</li><b>\n", name);
            let bare = html.replace("<li id=L", "").replace("<a href=#L", "");
            assert!(!bare.contains("<script") && !bare.contains("</li") && !bare.contains("<b"), "{name}: {html}");
        }
    }

    #[test]
    fn lines_have_numbers_that_are_links_unless_blank() {
        assert_eq!(
            plain_lines("a\r\n\nb"),
            "<li id=L1><a href=#L1>1</a>a\n<li id=L2><a>2</a>\n<li id=L3><a href=#L3>3</a>b"
        );
    }

    #[test]
    fn tokens_get_one_of_our_classes() {
        let html = Highlighter::default().block("let x = \"a\"; // c\n", "rust", Instant::now() + BUDGET);
        assert_eq!(html, "<i class=k>let</i> x = <i class=s>\"a\"</i>; <i class=c>// c</i>\n");
    }

    /// A thousand slow blocks in one text held a rendering slot for a second each.
    #[test]
    fn a_block_whose_text_has_used_up_its_time_is_plain() {
        assert_eq!(Highlighter::default().block("let x;\n", "rust", Instant::now()), "let x;\n");
    }

    #[test]
    fn a_minified_line_is_shown_plain_and_whole() {
        let text = format!("var a = 1;\n{}\n", "a=1;".repeat(1_000));
        let html = Highlighter::default().lines(&text, "a.js");
        assert!(html.contains(&"a=1;".repeat(1_000)));
    }

    #[test]
    fn a_file_of_2400_lines_stays_below_350_kilobytes() {
        let dense = "    pub(crate) fn name(&self) -> Option<&str> { self.name.as_deref() }\n".repeat(2_400);
        let ordinary: String = include_str!("highlight.rs")
            .lines()
            .cycle()
            .take(2_400)
            .fold(String::new(), |text, line| text + line + "\n");
        for (text, is_coloured_in_full) in [(dense, false), (ordinary, true)] {
            let html = Highlighter::default().lines(&text, "a.rs");
            assert!(html.len() < 345_000, "{} bytes from {}", html.len(), text.len());
            assert_eq!(html.contains("<i class=t>"), is_coloured_in_full);
        }
    }
}

//! Source code as HTML with a handful of classes; the stylesheet knows their colours for light and dark. Never writes
//! a style, and never more than two spans' worth of markup around a token.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use syntect::parsing::{BasicScopeStackOp, ParseState, Scope, ScopeStack, SyntaxReference, SyntaxSet};

use crate::web::text::escaped;

/// Larger texts are shown without colours, in bytes.
const LIMIT: usize = 200 << 10;

/// A text with a longer line is shown without colours from there on, in bytes: grammars are slow on minified code.
const LINE_LIMIT: usize = 2_000;

/// How long one text may take; the rest is shown without colours.
const BUDGET: Duration = Duration::from_millis(1_000);

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
    /// The lines of a file as `<li id="L1">…`, each with its number as a link. `name` is the file's.
    pub(crate) fn lines(&self, text: &str, name: &str) -> String {
        let grammars = self.grammars();
        let grammar = grammars.for_file(name, text).filter(|_| text.len() <= LIMIT);
        let mut painter = grammar.map(|grammar| Painter::new(grammars, grammar));
        numbered(text, |line| match &mut painter {
            Some(painter) => painter.line(line),
            None => escaped(line),
        })
    }

    /// A block of code in a text, `language` as its fence names it.
    pub(crate) fn block(&self, text: &str, language: &str) -> String {
        let grammars = self.grammars();
        let Some(grammar) = grammars.set.find_syntax_by_token(language).filter(|_| text.len() <= LIMIT) else {
            return escaped(text);
        };
        let mut painter = Painter::new(grammars, grammar);
        text.split_inclusive('\n').map(|line| painter.line(line)).collect()
    }

    fn grammars(&self) -> &Grammars {
        self.grammars.get_or_init(|| Grammars {
            set: two_face::syntax::extra_newlines(),
            scopes: SCOPES.iter().filter_map(|(name, class)| Some((Scope::new(name).ok()?, *class))).collect(),
        })
    }
}

/// The lines of a file without colours, in the same form.
pub(crate) fn plain_lines(text: &str) -> String {
    numbered(text, escaped)
}

/// End tags of list items are left out, as HTML allows: they would be a tenth of a page.
fn numbered(text: &str, mut paint: impl FnMut(&str) -> String) -> String {
    let mut html = String::with_capacity(text.len() * 2);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let number = index + 1;
        let ended = line.strip_suffix("\r\n").map(|bare| format!("{bare}\n"));
        let painted = paint(ended.as_deref().unwrap_or(line));
        html.push_str(&format!("<li id=L{number}><a href=#L{number}>{number}</a>{painted}"));
    }
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
    started: Instant,
    is_tired: bool,
}

impl<'g> Painter<'g> {
    fn new(grammars: &'g Grammars, grammar: &SyntaxReference) -> Self {
        Self {
            grammars,
            state: ParseState::new(grammar),
            scopes: ScopeStack::new(),
            classes: Vec::new(),
            started: Instant::now(),
            is_tired: false,
        }
    }

    fn line(&mut self, line: &str) -> String {
        self.is_tired |= line.len() > LINE_LIMIT || self.started.elapsed() > BUDGET;
        if self.is_tired {
            return escaped(line);
        }
        let Ok(changes) = self.state.parse_line(line, &self.grammars.set) else {
            self.is_tired = true;
            return escaped(line);
        };
        let mut spans = Spans::default();
        let mut from = 0;
        for (at, change) in changes {
            spans.push(line.get(from..at).unwrap_or_default(), self.class());
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
        spans.push(line.get(from..).unwrap_or_default(), self.class());
        spans.finish()
    }

    fn class(&self) -> &'static str {
        self.classes.iter().rev().find_map(|class| *class).unwrap_or_default()
    }
}

/// Joins neighbours of one class; spaces between two of them join as well.
#[derive(Default)]
struct Spans {
    html: String,
    open: &'static str,
}

impl Spans {
    fn push(&mut self, text: &str, class: &'static str) {
        if text.is_empty() {
            return;
        }
        let is_blank = text.chars().all(char::is_whitespace);
        if class != self.open && !(is_blank && !text.contains('\n')) {
            self.close();
            if !class.is_empty() {
                self.html.push_str(&format!("<span class={class}>"));
            }
            self.open = class;
        }
        if self.open.is_empty() {
            self.html.push_str(&escaped(text));
        } else {
            let bare = text.trim_end_matches('\n');
            self.html.push_str(&escaped(bare));
            if bare.len() < text.len() {
                self.close();
                self.html.push('\n');
            }
        }
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.html.push_str("</span>");
            self.open = "";
        }
    }

    fn finish(mut self) -> String {
        self.close();
        self.html
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
    fn lines_are_numbered_links_and_blank_ones_stay() {
        assert_eq!(
            plain_lines("a\r\n\nb"),
            "<li id=L1><a href=#L1>1</a>a\n<li id=L2><a href=#L2>2</a>\n<li id=L3><a href=#L3>3</a>b"
        );
    }

    #[test]
    fn tokens_get_one_of_our_classes() {
        let html = Highlighter::default().block("let x = \"a\"; // c\n", "rust");
        assert_eq!(html, "<span class=k>let</span> x = <span class=s>&#34;a&#34;</span>; <span class=c>// c</span>\n");
    }

    #[test]
    fn a_minified_line_is_shown_plain_and_whole() {
        let text = format!("var a = 1;\n{}\n", "a=1;".repeat(1_000));
        let html = Highlighter::default().lines(&text, "a.js");
        assert!(html.contains(&"a=1;".repeat(1_000)));
    }

    #[test]
    fn a_file_of_2400_lines_stays_below_350_kilobytes() {
        let line = "    let value = compute(&input, \"text\", 42).map_err(|error| Failure::of(error))?; // why\n";
        let text = line.repeat(2_400);
        assert!(text.len() > 200_000);
        let cut: String = "    pub(crate) fn name(&self) -> Option<&str> { self.name.as_deref() }\n".repeat(2_400);
        for text in [text, cut] {
            let html = Highlighter::default().lines(&text, "a.rs");
            assert!(html.len() < 345_000, "{} bytes from {}", html.len(), text.len());
        }
    }
}

//! Reads a `.env` file as Docker Compose v2 does (compose-go, package dotenv), oddities included. Bounded in depth and
//! in what it expands to. Refusals name a line and never hold any of the file's text but a variable's name.

use std::collections::{BTreeMap, BTreeSet};

use base::Secret;
use base::envfile::Values;

use crate::compose_expand::{Expander, unescaped};
use crate::env_private::is_told;

/// What the process environment says, which wins over the file.
pub type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

/// The parts of the grammar by name, so that the proof can leave one out and has to notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The byte-order mark at the start does not count.
    ByteOrderMark,
    /// `export` before a name does not count.
    Export,
    /// A name does not hold a space.
    OneWordName,
    /// `:` stands for `=`.
    Colon,
    /// Blanks around a value do not count, the carriage return among them.
    Trim,
    /// ` #` begins a comment after a bare value.
    InlineComment,
    /// A backslash takes the meaning of a quote.
    EscapedQuote,
    /// `\n` and its like stand for one character between double quotes.
    Escapes,
    /// `\0101` is a character by its octal number.
    Octal,
    /// Nothing is expanded between single quotes.
    Literal,
    /// `$$` stands for `$`.
    Doubled,
    /// The word of `${A:-word}` is itself expanded.
    Nested,
    /// `:` before `-`, `+` or `?` takes an empty value for none.
    EmptyIsNone,
    /// `${A+word}` is the word when A is set.
    Alternative,
    /// `${A?word}` refuses the file when A is not set.
    Required,
    /// The last of two equal names wins.
    LastWins,
}

/// Which steps a reading makes: all of them, but in the proof.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Grammar {
    #[cfg(test)]
    left_out: Option<Step>,
}

impl Grammar {
    #[cfg(test)]
    pub(crate) fn has(self, step: Step) -> bool {
        self.left_out != Some(step)
    }

    #[cfg(not(test))]
    pub(crate) const fn has(self, _: Step) -> bool {
        let Self {} = self;
        true
    }
}

/// Why Compose refuses a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// A name with a space inside.
    #[error("a name holds a space, or the line has no `=`")]
    Space,
    /// A character that no name has.
    #[error("a name holds another character than letters, digits and `_ . - [ ]`")]
    Character,
    /// `export` and nothing after it.
    #[error("`export` is followed by no name")]
    Export,
    /// A quote without its end.
    #[error("a quote begins here and does not end")]
    Quote,
    /// A `${` that is no substitution.
    #[error("`${{` is not followed by a name and `}}`; write `$$` for a dollar sign")]
    Template,
    /// `${NAME:?…}` without a value.
    #[error("`${{{}:?…}}` asks for a value that is not set", if is_told(.0) { .0.as_str() } else { "…" })]
    Required(String),
    /// A value for no name.
    #[error("a value is given to no name")]
    Nameless,
    /// A zero byte.
    #[error("a value holds a zero byte")]
    Zero,
    /// Beyond our own bounds; Compose has none.
    #[error("its substitutions are nested too deeply, or grow beyond 4 MiB")]
    Bounds,
}

/// A refused file: the line, from 1, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Where the assignment begins that is refused.
    pub line: usize,
    /// Why.
    pub reason: Reason,
}

/// What a file gives.
#[derive(Debug, Default)]
pub struct Reading {
    /// Each name with its last value.
    pub values: Values,
    /// The lines that assign each name, from 1.
    pub lines: BTreeMap<String, Vec<usize>>,
    /// The names whose values may hold others': there is a `$` in them, or they came from the environment.
    pub mixed: BTreeSet<String>,
}

/// Reads the bytes of a `.env` file.
pub fn read(bytes: &[u8], environment: Environment<'_>) -> Result<Reading, Refusal> {
    read_by(Grammar::default(), bytes, environment)
}

fn read_by(grammar: Grammar, bytes: &[u8], environment: Environment<'_>) -> Result<Reading, Refusal> {
    let text = decoded(bytes);
    let first = pass(grammar, &text, environment)?;
    // Compose puts what it read into its environment, which must be able to hold it, and then reads the file again.
    for (name, assigned) in &first {
        let reason = match assigned.value.expose() {
            _ if environment(name).is_some() => continue,
            _ if name.is_empty() => Reason::Nameless,
            value if value.contains('\0') => Reason::Zero,
            _ => continue,
        };
        return Err(Refusal { line: assigned.lines.last().copied().unwrap_or(1), reason });
    }
    let after = |name: &str| environment(name).or_else(|| first.get(name).map(|found| found.value.expose().clone()));
    pass(grammar, &text, &after)?;
    let mut reading = Reading::default();
    for (name, assigned) in first {
        reading.values.set(&name, assigned.value.expose().as_str());
        if assigned.is_mixed {
            reading.mixed.insert(name.clone());
        }
        reading.lines.insert(name, assigned.lines);
    }
    Ok(reading)
}

/// One name as far as it is read.
struct Assigned {
    value: Secret<String>,
    lines: Vec<usize>,
    is_mixed: bool,
}

type Assignments = BTreeMap<String, Assigned>;

/// As Go does it: each byte that is not UTF-8 becomes one U+FFFD.
fn decoded(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '\u{fffd}'));
    }
    text
}

fn pass(grammar: Grammar, text: &str, environment: Environment<'_>) -> Result<Assignments, Refusal> {
    let rest = if grammar.has(Step::ByteOrderMark) { text.strip_prefix('\u{feff}').unwrap_or(text) } else { text };
    let expander = Expander::new(grammar, environment);
    let mut reader = Reader { rest, line: 1, grammar, expander, read: BTreeMap::new() };
    while reader.seek_statement() {
        let line = reader.line;
        reader.statement().map_err(|reason| Refusal { line, reason })?;
    }
    Ok(reader.read)
}

/// Where the reading stands.
struct Reader<'t> {
    rest: &'t str,
    line: usize,
    grammar: Grammar,
    expander: Expander<'t>,
    read: Assignments,
}

impl Reader<'_> {
    fn does(&self, step: Step) -> bool {
        self.grammar.has(step)
    }

    /// Takes `bytes` bytes off the text, and counts their line ends.
    fn skip(&mut self, bytes: usize) {
        let (gone, rest) = self.rest.split_at(bytes);
        self.line += gone.bytes().filter(|byte| *byte == b'\n').count();
        self.rest = rest;
    }

    /// Goes to the next name, over blanks, line ends and comments. Says whether there is one.
    fn seek_statement(&mut self) -> bool {
        loop {
            let blanks = self.rest.len() - self.rest.trim_start().len();
            self.skip(blanks);
            if !self.rest.starts_with('#') {
                return !self.rest.is_empty();
            }
            self.skip(self.rest.find('\n').unwrap_or(self.rest.len()));
        }
    }

    /// Reads one `NAME=value`, or a name alone, which takes its value from the environment.
    fn statement(&mut self) -> Result<(), Reason> {
        let line = self.line;
        let (name, is_inherited) = self.name()?;
        if name.contains(' ') && self.does(Step::OneWordName) {
            return Err(Reason::Space);
        }
        if is_inherited {
            if let Some(value) = self.expander.environment(&name) {
                self.assign(name, (value, true), line);
            }
            return Ok(());
        }
        let before = self.rest;
        let value = self.value()?;
        let has_dollar = before.split_at(before.len() - self.rest.len()).0.contains('$');
        let value = match self.expander.environment(&name) {
            Some(value) => (value, true),
            None => (value, has_dollar),
        };
        self.assign(name, value, line);
        Ok(())
    }

    fn assign(&mut self, name: String, (value, is_mixed): (String, bool), line: usize) {
        let is_last = self.does(Step::LastWins);
        let value = Secret::new(value);
        let fresh = || Assigned { value: value.clone(), lines: Vec::new(), is_mixed: false };
        let assigned = self.read.entry(name).or_insert_with(fresh);
        if is_last {
            assigned.value = value;
        }
        assigned.lines.push(line);
        assigned.is_mixed |= is_mixed;
    }

    /// The name and whether it stands alone on its line.
    fn name(&mut self) -> Result<(String, bool), Reason> {
        let exported = self.rest.strip_prefix("export").filter(|after| after.starts_with(EXPORT_BLANKS));
        if let Some(after) = exported.filter(|_| self.does(Step::Export)) {
            self.rest = after.trim_start_matches(is_blank);
        }
        if self.rest.is_empty() {
            return Err(Reason::Export);
        }
        let mut found = None;
        for (at, letter) in self.rest.char_indices() {
            match letter {
                '=' | '\n' => found = Some((at, letter)),
                ':' if self.does(Step::Colon) => found = Some((at, letter)),
                '_' | '.' | '-' | '[' | ']' => continue,
                _ if is_blank(letter) || letter.is_alphabetic() || letter.is_numeric() => continue,
                _ => return Err(Reason::Character),
            }
            break;
        }
        // At the end of the file a name without `=` is taken for a value without a name.
        let (at, end) = found.map_or((0, None), |(at, end)| (at, Some(end)));
        let name = self.rest.get(..at).unwrap_or_default().trim_end().to_owned();
        self.skip(at + end.map_or(0, char::len_utf8));
        self.skip(self.rest.len() - self.rest.trim_start_matches(is_blank).len());
        Ok((name, end == Some('\n')))
    }

    fn value(&mut self) -> Result<String, Reason> {
        match self.rest.chars().next() {
            Some(quote @ ('"' | '\'')) => self.quoted(quote),
            _ => self.bare(),
        }
    }

    fn bare(&mut self) -> Result<String, Reason> {
        let (line, _) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
        let taken = (line.len() + 1).min(self.rest.len());
        let value = if self.does(Step::InlineComment) { line.split(" #").next().unwrap_or(line) } else { line };
        let value = if self.does(Step::Trim) { value.trim_end() } else { value };
        let expanded = self.expander.expand(value, &|name| self.known(name));
        self.skip(taken);
        expanded
    }

    fn quoted(&mut self, quote: char) -> Result<String, Reason> {
        let mut value = String::new();
        let mut is_escaped = false;
        let mut end = None;
        for (at, letter) in self.rest.char_indices().skip(1) {
            if letter == quote && !is_escaped {
                end = Some(at + quote.len_utf8());
                break;
            }
            if letter == '\\' && !is_escaped && self.does(Step::EscapedQuote) {
                is_escaped = true;
                continue;
            }
            if is_escaped && letter != quote {
                value.push('\\');
            }
            is_escaped = false;
            value.push(letter);
        }
        let end = end.ok_or(Reason::Quote)?;
        let is_literal = quote == '\'' && self.does(Step::Literal);
        let result = if is_literal {
            Ok(value)
        } else {
            self.expander.expand(&unescaped(&value, self.grammar), &|name| self.known(name))
        };
        self.skip(end);
        result
    }

    fn known(&self, name: &str) -> Option<String> {
        self.read.get(name).map(|assigned| assigned.value.expose().clone())
    }
}

/// What Go's `\s` means.
const EXPORT_BLANKS: [char; 5] = ['\t', '\n', '\u{c}', '\r', ' '];

/// A blank that is no line end, as Compose has it.
fn is_blank(letter: char) -> bool {
    matches!(letter, '\t' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{85}' | '\u{a0}')
}

#[cfg(test)]
#[path = "compose_test.rs"]
mod tests;

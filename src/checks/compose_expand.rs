//! `$NAME`, `${NAME}` and their kin in the values of a `.env` file, and the escapes between double quotes, as Docker
//! Compose v2 has them (compose-go, package template). Bounded in depth and in the length of what comes out.

use std::cell::Cell;

use crate::compose::{Environment, Grammar, Reason, Step};

/// How deep words of substitutions may hold substitutions.
const DEPTH: usize = 64;

/// What all values of one file may expand to together, in bytes.
const LARGEST: usize = 4 << 20;

/// What may be looked up on the way, in bytes: `${A+}` reads all of A and gives nothing.
const LOOKED_UP: usize = 64 << 20;

/// Gives the value of a name that the file has set so far.
type Known<'k> = &'k dyn Fn(&str) -> Option<String>;

/// Expands the values of one file.
pub(crate) struct Expander<'e> {
    grammar: Grammar,
    environment: Environment<'e>,
    left: Cell<usize>,
    unread: Cell<usize>,
}

/// The line that a substitution is on: where it ends, and its last closing brace.
#[derive(Clone, Copy)]
struct Line {
    end: usize,
    brace: Option<usize>,
}

impl<'e> Expander<'e> {
    pub(crate) fn new(grammar: Grammar, environment: Environment<'e>) -> Self {
        Self { grammar, environment, left: Cell::new(LARGEST), unread: Cell::new(LOOKED_UP) }
    }

    /// The environment's value, which wins over the file's.
    pub(crate) fn environment(&self, name: &str) -> Option<String> {
        (self.environment)(name)
    }

    /// The text with every substitution made.
    pub(crate) fn expand(&self, text: &str, known: Known<'_>) -> Result<String, Reason> {
        self.at_depth(text, known, 0)
    }

    fn does(&self, step: Step) -> bool {
        self.grammar.has(step)
    }

    fn push(&self, out: &mut String, text: &str) -> Result<(), Reason> {
        self.left.set(self.left.get().checked_sub(text.len()).ok_or(Reason::Bounds)?);
        out.push_str(text);
        Ok(())
    }

    fn value(&self, name: &str, known: Known<'_>) -> Result<Option<String>, Reason> {
        let value = self.environment(name).or_else(|| known(name));
        let length = value.as_ref().map_or(0, String::len);
        self.unread.set(self.unread.get().checked_sub(length).ok_or(Reason::Bounds)?);
        Ok(value)
    }

    fn at_depth(&self, text: &str, known: Known<'_>, depth: usize) -> Result<String, Reason> {
        if depth > DEPTH {
            return Err(Reason::Bounds);
        }
        let mut out = String::new();
        let mut line = Line { end: 0, brace: None };
        let mut at = 0;
        while let Some((before, rest)) = text.get(at..).and_then(|rest| rest.split_once('$')) {
            self.push(&mut out, before)?;
            let dollar = at + before.len();
            let name = name_at(rest);
            if rest.starts_with('$') {
                self.push(&mut out, if self.does(Step::Doubled) { "$" } else { "$$" })?;
                at = dollar + 2;
            } else if !name.is_empty() {
                self.push(&mut out, &self.value(name, known)?.unwrap_or_default())?;
                at = dollar + 1 + name.len();
            } else if rest.starts_with('{') {
                if dollar >= line.end {
                    line = line_at(text, dollar);
                }
                let (value, next) = self.braced(text, dollar, line, (known, depth))?;
                self.push(&mut out, &value)?;
                at = next;
            } else {
                self.push(&mut out, "$")?;
                at = dollar + 1;
            }
        }
        self.push(&mut out, text.get(at..).unwrap_or_default())?;
        Ok(out)
    }

    /// The value of the `${…}` at `dollar`, and where the text goes on.
    fn braced(
        &self,
        text: &str,
        dollar: usize,
        line: Line,
        (known, depth): (Known<'_>, usize),
    ) -> Result<(String, usize), Reason> {
        let inside = text.get(dollar + 2..line.end).unwrap_or_default();
        let name = name_at(inside);
        let after = inside.strip_prefix(name).filter(|_| !name.is_empty()).ok_or(Reason::Template)?;
        if after.starts_with('}') {
            return Ok((self.value(name, known)?.unwrap_or_default(), dollar + 3 + name.len()));
        }
        let (colon, operator) = match after.strip_prefix(':') {
            Some(after) => (1, after.chars().next()),
            None => (0, after.chars().next()),
        };
        let operator = operator.filter(|letter| matches!(letter, '-' | '+' | '?')).ok_or(Reason::Template)?;
        let word = dollar + 2 + name.len() + colon + 1;
        let last = line.brace.filter(|brace| *brace >= word).ok_or(Reason::Template)?;
        let end = text.get(dollar..=last).and_then(closing).map_or(last, |closing| dollar + closing);
        let word = text.get(word..end).unwrap_or_default();
        // Expanded even where it is not used, and so refused there as well.
        let word = if self.does(Step::Nested) { self.at_depth(word, known, depth + 1)? } else { word.to_owned() };
        let value = self.value(name, known)?;
        let is_there = match &value {
            Some(value) => colon == 0 || !self.does(Step::EmptyIsNone) || !value.is_empty(),
            None => false,
        };
        let chosen = match operator {
            '+' if is_there && self.does(Step::Alternative) => word,
            '-' if !is_there => word,
            '?' if !is_there && self.does(Step::Required) => return Err(Reason::Required(name.into())),
            _ => value.unwrap_or_default(),
        };
        Ok((chosen, end + 1))
    }
}

fn line_at(text: &str, at: usize) -> Line {
    let end = text.get(at..).and_then(|rest| rest.find('\n')).map_or(text.len(), |length| at + length);
    let brace = text.get(at..end).and_then(|line| line.rfind('}')).map(|brace| at + brace);
    Line { end, brace }
}

/// The variable's name that a text begins with, perhaps empty. Go compares without regard to case, and two letters
/// beyond ASCII have their other case within it.
fn name_at(text: &str) -> &str {
    let is_first = |letter: char| letter.is_ascii_alphabetic() || matches!(letter, '_' | '\u{17f}' | '\u{212a}');
    let length = match text.chars().next().filter(|first| is_first(*first)) {
        Some(_) => text.find(|letter: char| !is_first(letter) && !letter.is_ascii_digit()).unwrap_or(text.len()),
        None => 0,
    };
    text.get(..length).unwrap_or_default()
}

/// Where the first brace closes, counted as Compose does: what follows an opening brace is not looked at.
fn closing(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    let mut letters = text.bytes().enumerate();
    while let Some((at, letter)) = letters.next() {
        match letter {
            b'}' if open == 1 => return Some(at),
            b'}' => open = open.saturating_sub(1),
            b'{' => {
                open += 1;
                letters.next();
            }
            _ => {}
        }
    }
    None
}

/// Replaces the escapes that Compose knows; others stay as they are. `\$` becomes `$$`, for the expansion that follows.
pub(crate) fn unescaped(text: &str, grammar: Grammar) -> String {
    if !grammar.has(Step::Escapes) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let letter = after.chars().next();
        let plain = match letter {
            Some('a') => "\u{7}",
            Some('b') => "\u{8}",
            Some('f') => "\u{c}",
            Some('n') => "\n",
            Some('r') => "\r",
            Some('t') => "\t",
            Some('v') => "\u{b}",
            Some('\\') => "\\",
            Some('"') => "\"",
            Some('$') => "$$",
            Some('0') if grammar.has(Step::Octal) => {
                rest = octal(after, &mut out);
                continue;
            }
            _ => {
                out.push('\\');
                rest = after;
                continue;
            }
        };
        out.push_str(plain);
        rest = after.get(1..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// `\0` and up to three digits: the character of that octal number up to 255, or the text without its zero.
fn octal<'t>(after: &'t str, out: &mut String) -> &'t str {
    let after = after.get(1..).unwrap_or_default();
    let count = after.bytes().take(3).take_while(u8::is_ascii_digit).count();
    let (digits, rest) = after.split_at(count);
    match u8::from_str_radix(digits, 8) {
        Ok(number) if count == 3 => out.push(char::from(number)),
        _ => {
            out.push('\\');
            out.push_str(digits);
        }
    }
    rest
}

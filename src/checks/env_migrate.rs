//! Brings a `.env` from one version's template to the next: a merge of three texts that keeps the operator's values,
//! comments and order. Never changes a value that the operator gave, and refuses rather than do so.

use std::collections::BTreeMap;

use base::envfile::Values;
use serde::Serialize;

use crate::compose;

/// What a migration did, or would do, to one setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The new template has it and the old one had not: put in.
    Added,
    /// The new template has it no more and the operator had not set it: taken out.
    Removed,
    /// Its comment or its default is another now, and the operator had left both alone.
    Updated,
    /// Its default is another now; the operator's own value stays.
    Kept,
    /// The new template has it no more, but the operator set it: it stays, and does nothing.
    Orphaned,
}

/// The text that a migration comes to, and how.
#[derive(Clone, PartialEq, Eq)]
pub struct Migration {
    /// The whole new file.
    pub text: String,
    /// Each setting that was touched or needs a look, in the order of the new template, orphans last.
    pub steps: Vec<(String, Step)>,
}

/// A migration that is not made.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum MigrateError {
    /// One of the three texts is not a `.env` file.
    #[error("line {line} of the {which}: {reason}")]
    Refused {
        /// Which of the three.
        which: &'static str,
        /// The line, from 1.
        line: usize,
        /// Why Docker Compose refuses it.
        reason: compose::Reason,
    },
    /// The merge would have changed what the file says.
    #[error("the value of {0} would not stay as it is")]
    Changes(String),
}

impl base::Hint for MigrateError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Refused { .. } => "correct the line, then run this again".into(),
            Self::Changes(name) => {
                format!("set {name} once, on one line, without quotes that run over line ends, then run this again")
            }
        })
    }
}

/// Merges `theirs` into `mine`, where both come from `old`: templates of two versions, and the operator's file.
pub fn migrate(old: &str, theirs: &str, mine: &str) -> Result<Migration, MigrateError> {
    let before = values("file", mine)?;
    values("older template", old)?;
    values("newer template", theirs)?;
    let (old, new) = (blocks(old), blocks(theirs));
    let is_crlf = mine.contains("\r\n");
    let mut merge = Merge { old: by_name(&old), file: blocks(mine), steps: Vec::new() };
    for (index, block) in new.iter().enumerate() {
        if let Some(name) = block.name {
            merge.setting(name, block, new.split_at(index).0);
        }
    }
    merge.retire(&by_name(&new));
    let mut text = String::new();
    for line in merge.file.iter().flat_map(|block| block.above.iter().chain(&block.lines)) {
        text.push_str(line.trim_end_matches('\r'));
        text.push_str(if is_crlf { "\r\n" } else { "\n" });
    }
    let after = values("merged file", &text)?;
    let changed = before.names().find(|name| before.get(name) != after.get(name) && !merge.is_template(name, &before));
    match changed {
        Some(name) => Err(MigrateError::Changes(crate::text::line(name))),
        None => Ok(Migration { text, steps: merge.steps }),
    }
}

/// Lines that belong together: blank lines and comments, then what they are about.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Block<'t> {
    above: Vec<&'t str>,
    lines: Vec<&'t str>,
    name: Option<&'t str>,
    is_set: bool,
}

impl<'t> Block<'t> {
    /// How many lines of `above` belong to other things: the last comment alone is about the setting.
    fn apart(&self) -> usize {
        self.above.iter().rposition(|line| line.trim().is_empty()).map_or(0, |blank| blank + 1)
    }

    fn comment(&self) -> Vec<&'t str> {
        self.above.iter().skip(self.apart()).map(|line| line.trim()).collect()
    }

    fn body(&self) -> Vec<&'t str> {
        self.lines.iter().map(|line| line.trim_end()).collect()
    }
}

struct Merge<'t> {
    old: BTreeMap<&'t str, Block<'t>>,
    file: Vec<Block<'t>>,
    steps: Vec<(String, Step)>,
}

impl<'t> Merge<'t> {
    /// Merges one setting of the new template; `before` are the template's blocks above it.
    fn setting(&mut self, name: &'t str, new: &Block<'t>, before: &[Block<'t>]) {
        let Some(old) = self.old.get(name).cloned() else {
            if !self.file.iter().any(|block| block.name == Some(name)) {
                self.insert(new, before);
                self.steps.push((name.into(), Step::Added));
            }
            return;
        };
        let is_default_new = old.body() != new.body();
        let mut step = None;
        for block in self.file.iter_mut().filter(|block| block.name == Some(name)) {
            if block.comment() == old.comment() && old.comment() != new.comment() {
                block.above.truncate(block.apart());
                block.above.extend(new.comment());
                step = Some(Step::Updated);
            }
            if is_default_new && block.body() == old.body() {
                block.lines.clone_from(&new.lines);
                step = Some(Step::Updated);
            } else if is_default_new && block.is_set && block.body() != new.body() {
                step = Some(Step::Kept);
            }
        }
        self.steps.extend(step.map(|step| (name.to_owned(), step)));
    }

    /// Puts a new block below the nearest setting above it in the template that the file has too, else at the end.
    fn insert(&mut self, new: &Block<'t>, before: &[Block<'t>]) {
        let place = |name| self.file.iter().rposition(|block| block.name.is_some() && block.name == name);
        let after = before.iter().rev().find_map(|block| place(block.name));
        let end = self.file.iter().rposition(|block| block.name.is_some());
        let at = after.or(end).map_or(self.file.len(), |index| index + 1);
        let above = std::iter::once("").chain(new.comment()).collect();
        self.file.insert(at, Block { above, ..new.clone() });
    }

    /// What the old template had and the new one has not.
    fn retire(&mut self, new: &BTreeMap<&str, Block<'_>>) {
        for (name, old) in self.old.iter().filter(|(name, _)| !new.contains_key(*name)) {
            let is_there = self.file.iter().any(|block| block.name == Some(*name));
            let is_untouched = |block: &Block<'_>| block.name == Some(*name) && block.body() == old.body();
            while let Some(at) = self.file.iter().position(is_untouched) {
                // What stands above the setting's own comment is about something else, and stays.
                let gone = self.file.remove(at);
                let apart: Vec<&str> = gone.above.iter().take(gone.apart().saturating_sub(1)).copied().collect();
                if apart.iter().any(|line| !line.trim().is_empty()) {
                    match self.file.get_mut(at) {
                        Some(next) => drop(next.above.splice(0..0, apart)),
                        None => self.file.push(Block { above: apart, lines: Vec::new(), name: None, is_set: false }),
                    }
                }
            }
            let is_left = self.file.iter().any(|block| block.name == Some(*name) && block.is_set);
            if is_there {
                self.steps.push(((*name).to_owned(), if is_left { Step::Orphaned } else { Step::Removed }));
            }
        }
    }

    /// Says whether the operator's value is just the old template's, which may follow the new one.
    fn is_template(&self, name: &str, before: &Values) -> bool {
        let old = self.old.get(name).filter(|block| block.is_set);
        let text = old.map(|block| block.lines.join("\n"));
        let value = text.and_then(|text| values("older template", &text).ok());
        value.is_some_and(|value| value.get(name) == before.get(name))
    }
}

fn by_name<'t>(blocks: &[Block<'t>]) -> BTreeMap<&'t str, Block<'t>> {
    blocks.iter().filter_map(|block| Some((block.name?, block.clone()))).collect()
}

fn values(which: &'static str, text: &str) -> Result<Values, MigrateError> {
    match compose::read(text.as_bytes(), &|_| None) {
        Ok(reading) => Ok(reading.values),
        Err(refusal) => Err(MigrateError::Refused { which, line: refusal.line, reason: refusal.reason }),
    }
}

/// Cuts a text into its blocks. A setting may be commented out, as `#NAME=default`, and may run over several lines.
fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut above = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some((name, value, is_set)) = setting(line) else {
            above.push(line);
            continue;
        };
        let mut own = vec![line];
        let quote = value.chars().next().filter(|first| is_set && matches!(first, '"' | '\''));
        if let Some(quote) = quote {
            let mut is_open = is_open(value.get(1..).unwrap_or_default(), quote);
            while is_open {
                let Some(line) = lines.next() else { break };
                own.push(line);
                is_open = self::is_open(line, quote);
            }
        }
        blocks.push(Block { above: std::mem::take(&mut above), lines: own, name: Some(name), is_set });
    }
    if !above.is_empty() {
        blocks.push(Block { above, lines: Vec::new(), name: None, is_set: false });
    }
    blocks
}

/// The name, the text after `=`, and whether it is set rather than commented out.
fn setting(line: &str) -> Option<(&str, &str, bool)> {
    let trimmed = line.trim_start_matches('\u{feff}').trim_start();
    let bare = trimmed.strip_prefix('#');
    let (name, value) = bare.unwrap_or(trimmed).split_once('=')?;
    let name = name.strip_prefix("export ").unwrap_or(name);
    let name = if bare.is_some() { name } else { name.trim() };
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (!name.is_empty() && name.bytes().all(is_letter)).then(|| (name, value.trim_start(), bare.is_none()))
}

/// Says whether a quote is still open at the end of the line.
fn is_open(line: &str, quote: char) -> bool {
    let mut is_escaped = false;
    for letter in line.chars() {
        if letter == quote && !is_escaped {
            return false;
        }
        is_escaped = letter == '\\' && !is_escaped;
    }
    true
}

#[cfg(test)]
#[path = "env_migrate_test.rs"]
mod tests;

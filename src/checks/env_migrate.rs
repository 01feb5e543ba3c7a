//! Brings a `.env` from one version's template to the next: a merge of three texts that keeps the operator's values,
//! comments and order. Never changes a value that the operator gave, and refuses rather than do so.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::compose::{self, Environment, Reading};
use crate::env_private::shown;
use crate::env_read::by_compose;

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

/// Merges `theirs` into `mine`, where both come from `old`: templates of two versions, and the operator's file, which may ask
/// the environment for values.
pub fn migrate(old: &str, theirs: &str, mine: &str, environment: Environment<'_>) -> Result<Migration, MigrateError> {
    let before = reading("file", mine, environment)?;
    reading("older template", old, &|_| None)?;
    reading("newer template", theirs, &|_| None)?;
    let (old, new) = (blocks(old), blocks(theirs));
    let mut merge = Merge::new(by_name(&old), blocks(mine));
    for (index, block) in new.iter().enumerate() {
        if let Some(name) = block.name {
            merge.setting(name, block, new.split_at(index).0);
        }
    }
    merge.retire(&by_name(&new));
    let text = merge.text(mine);
    let after = reading("merged file", &text, environment)?;
    let is_changed = |name: &&str| before.values.get(name) != after.values.get(name);
    let changed = before.values.names().find(|name| is_changed(name) && !merge.is_template(name, &before));
    match changed {
        Some(name) => Err(MigrateError::Changes(shown(name, &before))),
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
    /// Where each name stands in the file.
    places: BTreeMap<&'t str, Vec<usize>>,
    /// What goes below which block of the file; at the file's length, what goes to its end.
    added: BTreeMap<usize, Vec<Block<'t>>>,
    /// Below which block of the file each added name went.
    below: BTreeMap<&'t str, usize>,
    steps: Vec<(String, Step)>,
}

impl<'t> Merge<'t> {
    fn new(old: BTreeMap<&'t str, Block<'t>>, file: Vec<Block<'t>>) -> Self {
        let mut places: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, block) in file.iter().enumerate() {
            if let Some(name) = block.name {
                places.entry(name).or_default().push(index);
            }
        }
        Self { old, file, places, added: BTreeMap::new(), below: BTreeMap::new(), steps: Vec::new() }
    }

    /// The whole text, with the line ends of `mine`.
    fn text(&self, mine: &str) -> String {
        let end = if mine.contains("\r\n") { "\r\n" } else { "\n" };
        let added = |index: usize| self.added.get(&index).into_iter().flatten();
        let blocks = self.file.iter().enumerate().flat_map(|(index, block)| std::iter::once(block).chain(added(index)));
        let mut text = String::new();
        for line in blocks.chain(added(self.file.len())).flat_map(|block| block.above.iter().chain(&block.lines)) {
            text.push_str(line.trim_end_matches('\r'));
            text.push_str(end);
        }
        if !mine.is_empty() && !mine.ends_with('\n') {
            text.truncate(text.len().saturating_sub(end.len()));
        }
        text
    }

    /// Merges one setting of the new template; `before` are the template's blocks above it.
    fn setting(&mut self, name: &'t str, new: &Block<'t>, before: &[Block<'t>]) {
        let Some(old) = self.old.get(name).cloned() else {
            if !self.places.contains_key(name) && !self.below.contains_key(name) {
                self.insert(name, new, before);
                self.steps.push((name.into(), Step::Added));
            }
            return;
        };
        let is_default_new = old.body() != new.body();
        let mut step = None;
        for place in self.places.get(name).into_iter().flatten() {
            let Some(block) = self.file.get_mut(*place) else { continue };
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
    fn insert(&mut self, name: &'t str, new: &Block<'t>, before: &[Block<'t>]) {
        let place = |name: &str| {
            let own = self.places.get(name).and_then(|places| places.last());
            own.or_else(|| self.below.get(name)).copied()
        };
        let after = before.iter().rev().find_map(|block| place(block.name?));
        let last = self.file.iter().rposition(|block| block.name.is_some());
        let at = after.or(last).unwrap_or(self.file.len());
        let above = std::iter::once("").chain(new.comment()).collect();
        self.added.entry(at).or_default().push(Block { above, ..new.clone() });
        self.below.insert(name, at);
    }

    /// What the old template had and the new one has not.
    fn retire(&mut self, new: &BTreeMap<&str, Block<'_>>) {
        let mut carried: Vec<&'t str> = Vec::new();
        let old = std::mem::take(&mut self.old);
        let is_gone = |name: &str| old.contains_key(name) && !new.contains_key(name);
        let mut removed = BTreeSet::new();
        for block in &mut self.file {
            let before = block.name.and_then(|name| old.get(name).filter(|_| is_gone(name)));
            if before.is_some_and(|before| before.body() == block.body()) {
                // What stands above the setting's own comment is about something else, and stays.
                let apart: Vec<&str> = block.above.iter().take(block.apart().saturating_sub(1)).copied().collect();
                if apart.iter().any(|line| !line.trim().is_empty()) {
                    carried.extend(apart);
                }
                removed.extend(block.name.take());
                *block = Block { above: Vec::new(), lines: Vec::new(), name: None, is_set: false };
            } else if !carried.is_empty() {
                carried.append(&mut block.above);
                block.above = std::mem::take(&mut carried);
            }
        }
        if !carried.is_empty() {
            self.file.push(Block { above: carried, lines: Vec::new(), name: None, is_set: false });
        }
        let kept: BTreeSet<&str> =
            self.file.iter().filter(|block| block.is_set).filter_map(|block| block.name).collect();
        for name in old.keys().filter(|name| is_gone(name)) {
            // A note of the operator's, commented out, is neither.
            let step = if kept.contains(name) { Some(Step::Orphaned) } else { None };
            let step = step.or(removed.contains(name).then_some(Step::Removed));
            self.steps.extend(step.map(|step| ((*name).to_owned(), step)));
        }
        self.old = old;
    }

    /// Says whether the operator's value is just the old template's, which may follow the new one.
    fn is_template(&self, name: &str, before: &Reading) -> bool {
        let old = self.old.get(name).filter(|block| block.is_set);
        let text = old.map(|block| block.lines.join("\n"));
        let value = text.and_then(|text| reading("older template", &text, &|_| None).ok());
        value.is_some_and(|value| value.values.get(name) == before.values.get(name))
    }
}

fn by_name<'t>(blocks: &[Block<'t>]) -> BTreeMap<&'t str, Block<'t>> {
    blocks.iter().filter_map(|block| Some((block.name?, block.clone()))).collect()
}

fn reading(which: &'static str, text: &str, environment: Environment<'_>) -> Result<Reading, MigrateError> {
    by_compose(text.as_bytes(), environment).map_err(|refusal| MigrateError::Refused {
        which,
        line: refusal.line,
        reason: refusal.reason,
    })
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

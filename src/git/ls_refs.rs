//! Telling clients of refs without starting Git: the advertisement of all protocol versions and the answer to `ls-refs`,
//! byte for byte what `git upload-pack` says. Whatever is not known exactly is left to Git itself.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gix::ObjectId;
use tokio::io::AsyncWrite;

use crate::child::finish;
use crate::hear::{Line, Lines};
use crate::pktline::Lines as Sent;
use crate::read::table::{Held, Table};
use crate::upload::upload_pack;
use crate::{Error, Protocol, Repo, environment, gates, pktline};

/// Time for Git to say what it can do.
const PATIENCE: Duration = Duration::from_secs(20);
const NOTHING: &str = "0000000000000000000000000000000000000000";

/// What this host's Git says of itself, asked once: the words that are the same for all repositories.
#[derive(Debug, Default)]
pub(crate) struct Spoken(Mutex<Known>);

#[derive(Clone, Debug, Default)]
struct Known {
    /// Version 2's whole advertisement, in which no ref is named.
    v2: Option<Vec<u8>>,
    /// Versions 0 and 1: the words before and behind where HEAD's branch is named.
    v0: Option<(String, String)>,
}

/// Writes the body of `info/refs?service=git-upload-pack`, behind `head`. Says `false`, and has written nothing, when it is
/// left to Git.
pub(crate) async fn advertise(
    repo: &Repo,
    protocol: Protocol,
    mut head: Vec<u8>,
    output: &mut (impl AsyncWrite + Unpin + Send),
) -> Result<bool, Error> {
    let known = repo.shared().spoken.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if protocol == Protocol::V2 {
        let said = match known.v2 {
            Some(said) => said,
            None => match ask(repo, protocol).await? {
                Some(said) => {
                    repo.shared().spoken.0.lock().unwrap_or_else(PoisonError::into_inner).v2 = Some(said.clone());
                    said
                }
                None => return Ok(false),
            },
        };
        head.extend_from_slice(&said);
        pktline::send(output, &head).await?;
        return Ok(true);
    }
    let table = repo.table().await?;
    let Some(hidden) = hidden().filter(|_| table.is_exact) else { return Ok(false) };
    let words = match known.v0 {
        Some(words) => words,
        // A repository without a branch at HEAD does not show where that would stand.
        None => match ask(repo, Protocol::V0).await?.and_then(|said| split_words(&said)) {
            Some(words) => {
                repo.shared().spoken.0.lock().unwrap_or_else(PoisonError::into_inner).v0 = Some(words.clone());
                words
            }
            None => return Ok(false),
        },
    };
    if protocol == Protocol::V1 {
        pktline::put(&mut head, b"version 1\n");
    }
    put_all(Sent::behind(head, output), &table, &words, &hidden).await?;
    Ok(true)
}

/// What Git itself says; `None` when it says more than is kept.
async fn ask(repo: &Repo, protocol: Protocol) -> Result<Option<Vec<u8>>, Error> {
    let _place = gates::enter(&repo.gates().short).await?;
    let program = upload_pack(repo, protocol).options(["--stateless-rpc", "--http-backend-info-refs"]);
    let program = program.operands([repo.path()]);
    let said = finish(program, "upload-pack", b"", PATIENCE).await?;
    let is_whole = said.status.success() && !said.stdout.contains('\u{fffd}');
    // Of a long answer only the beginning is kept: enough for the words on its first line.
    let is_needed_whole = protocol == Protocol::V2;
    let ends = said.stdout.ends_with("0000");
    Ok((is_whole && (ends || !is_needed_whole)).then(|| said.stdout.into_bytes()))
}

/// The words behind the first NUL, split where HEAD's branch is named.
fn split_words(said: &[u8]) -> Option<(String, String)> {
    let text = String::from_utf8_lossy(said);
    let words = text.split('\0').nth(1)?.split('\n').next()?;
    let (before, rest) = words.split_once(" symref=HEAD:")?;
    let behind = rest.find(' ').and_then(|at| rest.get(at..)).unwrap_or_default();
    // Two of them would be of a Git that names more than HEAD.
    (!behind.contains(" symref=")).then(|| (before.to_owned(), behind.to_owned()))
}

/// Versions 0 and 1: HEAD, then all refs by name, tags with what they lead to.
async fn put_all(
    mut out: Sent<'_, impl AsyncWrite + Unpin + Send>,
    table: &Table,
    words: &(String, String),
    hidden: &[&str],
) -> Result<(), Error> {
    let symref = match (&table.head.target, table.head.id) {
        (Some(target), Some(_)) => format!(" symref=HEAD:{}", String::from_utf8_lossy(target)),
        _ => String::new(),
    };
    let mut words = Some(format!("\0{}{symref}{}", words.0, words.1));
    let mut line = |id: &dyn std::fmt::Display, name: &[u8]| {
        let words = words.take().unwrap_or_default();
        [format!("{id} ").as_bytes(), name, words.as_bytes(), b"\n"].concat()
    };
    if let Some(id) = table.head.id {
        out.put(&line(&id, b"HEAD")).await?;
    }
    let mut is_first = table.head.id.is_none();
    for held in table.refs.iter().filter(|held| !is_hidden(&held.name, hidden)) {
        out.put(&line(&held.id, &held.name)).await?;
        if let Some(peeled) = held.peeled {
            out.put(&line(&peeled, &[&held.name[..], b"^{}"].concat())).await?;
        }
        is_first = false;
    }
    if is_first {
        out.put(&line(&NOTHING, b"capabilities^{}")).await?;
    }
    out.end().await
}

/// The answer to a request for refs.
pub(crate) struct Answer {
    pub(crate) asked: Asked,
    pub(crate) table: Arc<Table>,
    pub(crate) hidden: Vec<&'static str>,
}

/// A request for refs, gitprotocol-v2(5).
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    has_peeled: bool,
    has_symrefs: bool,
    has_unborn: bool,
    prefixes: Vec<Vec<u8>>,
}

impl Asked {
    /// `None` for what this is not sure to answer as Git would.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.contains(&0) {
            return None;
        }
        let mut asked = Self::default();
        let mut lines = Lines(bytes);
        if lines.next() != Some(Line::Text(b"command=ls-refs")) {
            return None;
        }
        let mut is_behind_words = false;
        loop {
            match lines.next()? {
                Line::Flush => return Some(asked.in_order()),
                Line::Delimiter if !is_behind_words => is_behind_words = true,
                Line::Text(b"object-format=sha1") if !is_behind_words => {}
                Line::Text(word) if !is_behind_words && word.starts_with(b"agent=") => {}
                Line::Text(b"peel") if is_behind_words => asked.has_peeled = true,
                Line::Text(b"symrefs") if is_behind_words => asked.has_symrefs = true,
                Line::Text(b"unborn") if is_behind_words => asked.has_unborn = true,
                Line::Text(word) if is_behind_words => asked.prefixes.push(word.strip_prefix(b"ref-prefix ")?.to_vec()),
                _ => return None,
            }
        }
    }

    /// Prefixes in order, without those that another one covers: then one look tells whether any fits.
    fn in_order(mut self) -> Self {
        self.prefixes.sort();
        self.prefixes.dedup_by(|next, kept| next.starts_with(kept));
        self
    }

    fn is_wanted(&self, name: &[u8]) -> bool {
        let behind = self.prefixes.partition_point(|prefix| prefix.as_slice() <= name);
        let nearest = behind.checked_sub(1).and_then(|at| self.prefixes.get(at));
        self.prefixes.is_empty() || nearest.is_some_and(|prefix| name.starts_with(prefix))
    }

    fn line(&self, told: &Told<'_>) -> Vec<u8> {
        let Told { id, name, target, peeled } = *told;
        let mut line = id.map_or_else(|| b"unborn".to_vec(), |id| id.to_string().into_bytes());
        line.push(b' ');
        line.extend_from_slice(name);
        if let Some(target) = target.filter(|_| self.has_symrefs) {
            line.extend_from_slice(b" symref-target:");
            line.extend_from_slice(target);
        }
        if let Some(peeled) = peeled.filter(|_| self.has_peeled) {
            line.extend_from_slice(format!(" peeled:{peeled}").as_bytes());
        }
        line.push(b'\n');
        line
    }
}

impl Answer {
    /// Writes it.
    pub(crate) async fn send(&self, output: &mut (impl AsyncWrite + Unpin + Send)) -> Result<(), Error> {
        let Self { asked, table, hidden } = self;
        let mut out = Sent::behind(Vec::new(), output);
        let target = table.head.target.as_deref();
        if asked.is_wanted(b"HEAD") {
            match table.head.id {
                Some(id) => {
                    let peeled = target.and_then(|name| Held::named(table, name)).and_then(|held| held.peeled);
                    out.put(&asked.line(&Told { id: Some(id), name: b"HEAD", target, peeled })).await?;
                }
                None if asked.has_unborn && asked.has_symrefs => {
                    out.put(&asked.line(&Told { id: None, name: b"HEAD", target, peeled: None })).await?;
                }
                None => {}
            }
        }
        for held in &table.refs {
            if asked.is_wanted(&held.name) && !is_hidden(&held.name, hidden) {
                let (name, target) = (&held.name[..], held.symbolic.as_deref());
                out.put(&asked.line(&Told { id: Some(held.id), name, target, peeled: held.peeled })).await?;
            }
        }
        out.end().await
    }
}

/// One line of an answer.
struct Told<'t> {
    /// None before the first commit.
    id: Option<ObjectId>,
    name: &'t [u8],
    /// What a symbolic ref names.
    target: Option<&'t [u8]>,
    /// What a tag leads to.
    peeled: Option<ObjectId>,
}

impl Held {
    fn named<'t>(table: &'t Table, name: &[u8]) -> Option<&'t Self> {
        table.find(std::str::from_utf8(name).ok()?)
    }
}

/// The refs that clients are not told of; `None` when that is said in a way that only Git understands.
pub(crate) fn hidden() -> Option<Vec<&'static str>> {
    let is_plain = |value: &&str| !value.starts_with(['!', '^']);
    let all = environment::values(&["transfer.hiderefs", "uploadpack.hiderefs"]);
    all.iter().all(is_plain).then_some(all)
}

pub(crate) fn is_hidden(name: &[u8], hidden: &[&str]) -> bool {
    let is_below = |prefix: &&str| {
        let rest = name.strip_prefix(prefix.trim_end_matches('/').as_bytes());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    };
    hidden.iter().any(is_below)
}

#[cfg(test)]
#[path = "ls_refs_test.rs"]
mod tests;

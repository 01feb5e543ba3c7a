//! Looks at what a push brings in while it is still in quarantine: which commits are new, what was signed, how large the
//! largest object is. Judges nothing, and never holds more than a bounded part of it in memory.

use std::io;
use std::time::Duration;

use base::name::Oid;
use base::process::Program;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::ChildStdout;

use super::Quarantine;
use crate::child::{Progress, Running, complaints, one_line};
use crate::gates::enter;
use crate::{Error, environment};

/// Time for one look at the new objects.
const LOOK: Duration = Duration::from_mins(10);
/// The largest commit or tag whose signature is looked at, in bytes.
const LARGEST: u64 = 1 << 20;

/// What was signed, and how. Neither part has been checked against the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The commit or tag without its signature: what the signature is over.
    pub message: Vec<u8>,
    /// The armour, as it stands there.
    pub signature: String,
}

/// A commit or tag, seen from the side of who wants to know who signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signable {
    /// It carries a signature.
    Signed(Signed),
    /// It carries none.
    Bare,
    /// It is larger than 1 MiB, neither a commit nor an annotated tag, or carries more than one signature.
    Odd,
}

impl Quarantine {
    /// Commits that one of `tips` reaches and none of `known` does, at most `limit`; `None` when there are more.
    pub async fn new_commits(&self, tips: &[Oid], known: &[Oid], limit: usize) -> Result<Option<Vec<Oid>>, Error> {
        let program = self.git("rev-list").option(format!("--max-count={}", limit + 1)).option("--stdin");
        let mut input: String = tips.iter().flat_map(|tip| [tip.as_str(), "\n"]).collect();
        input.extend(known.iter().flat_map(|known| ["^", known.as_str(), "\n"]));
        let _place = enter(&self.repo().gates().short).await?;
        let read = |stdout: ChildStdout| async move {
            let (mut lines, mut found) = (BufReader::new(stdout).lines(), Vec::new());
            while let Some(line) = lines.next_line().await? {
                found.push(line);
            }
            Ok(found)
        };
        let found = run(program, "rev-list", input.as_bytes(), read).await?;
        if found.len() > limit {
            return Ok(None);
        }
        Ok(Some(found.iter().map(|id| Oid::parse(id)).collect::<Result<_, _>>()?))
    }

    /// What the commits and tags `ids` are signed with, in their order.
    pub async fn signables(&self, ids: &[Oid]) -> Result<Vec<Signable>, Error> {
        let _place = enter(&self.repo().gates().short).await?;
        signables(self.git("cat-file"), ids).await
    }

    /// An object of this push that is larger than `limit` bytes, and its size.
    pub async fn larger_than(&self, limit: u64) -> Result<Option<(Oid, u64)>, Error> {
        if self.is_empty() {
            return Ok(None);
        }
        // Without the repository's own objects beside it: the pack was completed, and only what came in is asked for.
        let program = environment::in_repository("cat-file", self.repo().path())
            .env("GIT_OBJECT_DIRECTORY", self.path())
            .options(["--batch-all-objects", "--unordered", "--batch-check=%(objectsize) %(objectname)"]);
        let _place = enter(&self.repo().gates().short).await?;
        let read = move |stdout: ChildStdout| async move {
            let (mut lines, mut found) = (BufReader::new(stdout).lines(), None);
            while let Some(line) = lines.next_line().await? {
                let Some((size, id)) = line.split_once(' ') else { continue };
                if found.is_none() && size.parse::<u64>().is_ok_and(|size| size > limit) {
                    found = Some((id.to_owned(), size.parse().unwrap_or(u64::MAX)));
                }
            }
            Ok(found)
        };
        let found = run(program, "cat-file", b"", read).await?;
        found.map(|(id, size)| Ok((Oid::parse(&id)?, size))).transpose()
    }
}

impl crate::Repo {
    /// What a commit or annotated tag of the repository is signed with.
    pub async fn signable(&self, id: &Oid) -> Result<Signable, Error> {
        let _place = enter(&self.gates().short).await?;
        let program = environment::in_repository("cat-file", self.path());
        let found = signables(program, std::slice::from_ref(id)).await?;
        Ok(found.into_iter().next().unwrap_or(Signable::Odd))
    }
}

async fn signables(program: Program, ids: &[Oid]) -> Result<Vec<Signable>, Error> {
    let program = program.options(["--batch", "--buffer"]);
    let input = ids.iter().fold(String::new(), |lines, id| lines + id.as_str() + "\n");
    let mut found = run(program, "cat-file", input.as_bytes(), read_signables).await?;
    found.resize(ids.len(), Signable::Odd);
    Ok(found)
}

/// Reads `<id> <kind> <size>`, then the object and a line break; `<id> missing`; and so on.
async fn read_signables(stdout: ChildStdout) -> io::Result<Vec<Signable>> {
    let (mut stdout, mut header, mut found) = (BufReader::new(stdout), String::new(), Vec::new());
    while stdout.read_line(&mut header).await? > 0 {
        let mut words = header.split_ascii_whitespace().skip(1);
        let (kind, size) = (words.next().unwrap_or_default(), words.next().and_then(|size| size.parse().ok()));
        let (is_commit, is_tag) = (kind == "commit", kind == "tag");
        header.clear();
        let Some(size): Option<u64> = size else {
            found.push(Signable::Odd);
            continue;
        };
        let mut object = Vec::new();
        (&mut stdout).take(size.min(LARGEST)).read_to_end(&mut object).await?;
        let rest = size.saturating_sub(LARGEST).saturating_add(1);
        tokio::io::copy(&mut (&mut stdout).take(rest), &mut tokio::io::sink()).await?;
        found.push(match () {
            () if size > LARGEST => Signable::Odd,
            () if is_commit => of_commit(&object),
            () if is_tag => of_tag(object),
            () => Signable::Odd,
        });
    }
    Ok(found)
}

/// Takes the header `gpgsig` out of a commit, with the lines that continue it. What is left is what was signed.
fn of_commit(commit: &[u8]) -> Signable {
    let head = commit.windows(2).position(|pair| pair == b"\n\n").map_or(commit.len(), |end| end + 1);
    let (head, body) = commit.split_at(head);
    let (mut message, mut signatures) = (Vec::with_capacity(commit.len()), Vec::new());
    let mut is_inside = false;
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        let is_continued = line.first() == Some(&b' ');
        if let Some(first) = line.strip_prefix(b"gpgsig ") {
            signatures.push(first.to_vec());
            is_inside = true;
        } else if line.starts_with(b"gpgsig") {
            // One for another kind of ids: nothing here could check it.
            return Signable::Odd;
        } else if is_inside && is_continued {
            if let Some(signature) = signatures.last_mut() {
                signature.extend(line.iter().skip(1));
            }
        } else {
            is_inside = false;
            message.extend_from_slice(line);
        }
    }
    message.extend_from_slice(body);
    match signatures.as_slice() {
        [] => Signable::Bare,
        [signature] => signed(message, signature),
        _ => Signable::Odd,
    }
}

/// Takes the signature off the end of a tag.
fn of_tag(mut tag: Vec<u8>) -> Signable {
    let begins = |line: &[u8]| line.starts_with(b"-----BEGIN ");
    let mut at = 0;
    for line in tag.split_inclusive(|byte| *byte == b'\n') {
        if begins(line) {
            let signature = tag.split_off(at);
            return signed(tag, &signature);
        }
        at += line.len();
    }
    Signable::Bare
}

fn signed(message: Vec<u8>, signature: &[u8]) -> Signable {
    match String::from_utf8(signature.to_vec()) {
        Ok(signature) => Signable::Signed(Signed { message, signature }),
        Err(_) => Signable::Odd,
    }
}

/// Runs a Git that is read as it goes.
async fn run<T: Default, F: Future<Output = io::Result<T>> + Send>(
    program: Program,
    command: &'static str,
    input: &[u8],
    read: impl FnOnce(ChildStdout) -> F + Send,
) -> Result<T, Error> {
    let mut running = Running::start(program)?;
    let (stdin, stdout, stderr) = (running.stdin.take(), running.stdout.take(), running.stderr.take());
    let progress = Progress::default();
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A child that ends early closes the pipe; its exit status says why.
            let _ = stdin.write_all(input).await;
        }
    };
    let answer = async {
        match stdout {
            Some(stdout) => read(stdout).await,
            None => Ok(T::default()),
        }
    };
    let streams = async { tokio::join!(feed, answer, complaints(stderr, &progress)) };
    let Ok(((), answered, said)) = tokio::time::timeout(LOOK, streams).await else {
        running.kill().await;
        return Err(Error::Stalled { command, seconds: LOOK.as_secs() });
    };
    let answered = answered.map_err(|error| Error::Git { command, message: error.to_string() })?;
    if running.wait().await?.success() { Ok(answered) } else { Err(Error::Git { command, message: one_line(&said) }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor a <a> 1 +0000\ncommitter a <a> 1 +0000\n";

    #[test]
    fn the_signature_of_a_commit_is_taken_out_and_the_rest_is_what_was_signed() {
        let armour = "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n";
        let folded = armour.trim_end().replace('\n', "\n ");
        let signed = Signed { message: format!("{HEAD}\nhello\n").into_bytes(), signature: armour.into() };
        let commit = format!("{HEAD}gpgsig {folded}\n\nhello\n");
        assert_eq!(of_commit(commit.as_bytes()), Signable::Signed(signed));
        for (commit, expected) in [
            (format!("{HEAD}\nhello\n"), Signable::Bare),
            // In the message, where anybody writes what they like.
            (format!("{HEAD}\ngpgsig {folded}\n\nhello\n"), Signable::Bare),
            (format!("{HEAD}gpgsig {folded}\ngpgsig {folded}\n\nhello\n"), Signable::Odd),
            (format!("{HEAD}gpgsig-sha256 {folded}\n\nhello\n"), Signable::Odd),
            (String::new(), Signable::Bare),
        ] {
            assert_eq!(of_commit(commit.as_bytes()), expected, "{commit}");
        }
    }

    #[test]
    fn the_signature_of_a_tag_is_its_end() {
        let (text, armour) = ("object 1\ntype commit\n\nfirst\n", "-----BEGIN SSH SIGNATURE-----\nAAAA\n");
        let signed = Signed { message: text.as_bytes().to_vec(), signature: armour.into() };
        assert_eq!(of_tag(format!("{text}{armour}").into_bytes()), Signable::Signed(signed));
        assert_eq!(of_tag(text.as_bytes().to_vec()), Signable::Bare);
    }
}

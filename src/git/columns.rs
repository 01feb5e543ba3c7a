//! Last-commit columns on disk, beside the objects of their repository: for a directory, the commit that it was worked out
//! at and, for each entry, what a page says of the one that last changed it, so that the first page after a start does not
//! look for hundreds of commits all over a pack. A file that does not read is none.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use base::clock::Timestamp;
use base::file::{self, FileError};
use base::name::{Oid, TreePath};
use gix::ObjectId;

use crate::CommitSummary;
use crate::read::latest::Before;

const DIRECTORY: &str = "gitgrit-latest";
const FORMAT: &[u8] = b"gitgrit latest 2";
/// Directories of one repository that are written down; the oldest makes room.
const FILES: usize = 200;
/// Bytes of one that is read.
const LARGEST: u64 = 4 << 20;

/// What was written down of the directory at `path`.
pub(crate) fn read(repository: &Path, path: &TreePath) -> Before {
    let file = place(repository, path);
    let is_small = fs::metadata(&file).is_ok_and(|found| found.len() <= LARGEST);
    let bytes = if is_small { fs::read(&file).unwrap_or_default() } else { Vec::new() };
    parse(&bytes, path).unwrap_or_default()
}

/// Writes down what was found for the directory at `path` in `commit`.
pub(crate) fn write<'a>(
    repository: &Path,
    path: &TreePath,
    commit: &Oid,
    found: impl Iterator<Item = (&'a [u8], &'a CommitSummary)>,
) -> Result<(), FileError> {
    let mut bytes = FORMAT.to_vec();
    for field in [commit.as_str().as_bytes(), path.as_bytes()] {
        bytes.push(0);
        bytes.extend_from_slice(field);
    }
    for (name, commit) in found {
        let parents = commit.parents.iter().map(Oid::as_str).collect::<Vec<_>>().join(" ");
        let authored = commit.authored.0.to_string();
        let texts = [&commit.author, &commit.title].map(|text| text.replace('\0', " "));
        let fields = [commit.id.as_str(), &parents, &authored, &texts[0], &texts[1]];
        for field in fields.map(str::as_bytes).into_iter().chain([name]) {
            bytes.push(0);
            bytes.extend_from_slice(field);
        }
    }
    let directory = repository.join(DIRECTORY);
    file::create_dir(&directory, 0o700)?;
    make_room(&directory);
    file::write_atomic(&place(repository, path), &bytes, 0o600)
}

fn parse(bytes: &[u8], path: &TreePath) -> Option<Before> {
    let mut fields = bytes.split(|byte| *byte == 0);
    if fields.next()? != FORMAT {
        return None;
    }
    let tip = ObjectId::from_hex(fields.next()?).ok()?;
    // Another path has this file's name only by a collision.
    if fields.next()? != path.as_bytes() {
        return None;
    }
    let mut commits = HashMap::new();
    while let Some(id) = fields.next() {
        let commit = CommitSummary {
            id: oid(id)?,
            parents: fields
                .next()?
                .split(|byte| *byte == b' ')
                .filter(|id| !id.is_empty())
                .map(oid)
                .collect::<Option<_>>()?,
            authored: Timestamp(text(fields.next()?)?.parse().ok()?),
            author: text(fields.next()?)?,
            title: text(fields.next()?)?,
        };
        commits.insert(fields.next()?.to_vec(), commit);
    }
    Some(Before { tip: Some(tip), commits })
}

fn text(field: &[u8]) -> Option<String> {
    String::from_utf8(field.to_vec()).ok()
}

fn oid(field: &[u8]) -> Option<Oid> {
    Oid::parse(std::str::from_utf8(field).ok()?).ok()
}

/// No name from a push becomes one of a file: a path is known by its digest.
fn place(repository: &Path, path: &TreePath) -> PathBuf {
    let digest = gix::objs::compute_hash(gix::hash::Kind::Sha1, gix::objs::Kind::Blob, path.as_bytes());
    repository.join(DIRECTORY).join(digest.map_or_else(|_| "none".to_owned(), |digest| digest.to_string()))
}

/// Takes the oldest away when there are as many as may be. What fails here leaves one too many.
fn make_room(directory: &Path) {
    let files: Vec<_> = fs::read_dir(directory).into_iter().flatten().flatten().collect();
    if files.len() >= FILES {
        let age = |file: &&fs::DirEntry| file.metadata().and_then(|found| found.modified()).ok();
        if let Some(oldest) = files.iter().min_by_key(age) {
            let _ = fs::remove_file(oldest.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TreePath {
        TreePath::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_is_written_is_read_for_its_own_path_alone() {
        let place = tempfile::tempdir().unwrap();
        let (tip, other) = (Oid::parse(&"1".repeat(40)).unwrap(), Oid::parse(&"2".repeat(40)).unwrap());
        let commit = CommitSummary {
            id: other.clone(),
            title: "say ä\0b".into(),
            author: String::new(),
            authored: Timestamp(-1_000_000),
            parents: vec![tip.clone(), other],
        };
        write(place.path(), &path("a/b"), &tip, [(&b"x\xff\n"[..], &commit)].into_iter()).unwrap();
        let found = read(place.path(), &path("a/b"));
        assert_eq!(found.tip.unwrap().to_string(), tip.to_string());
        let kept = CommitSummary { title: "say ä b".into(), ..commit };
        assert_eq!(found.commits.get(&b"x\xff\n"[..]), Some(&kept));
        assert!(read(place.path(), &path("a")).tip.is_none());
        let bytes = fs::read(super::place(place.path(), &path("a/b"))).unwrap();
        assert!(parse(&bytes, &path("a/c")).is_none());
        for end in 0..bytes.len() {
            let cut = parse(&bytes[..end], &path("a/b"));
            assert!(cut.is_none_or(|cut| cut.commits.keys().all(|name| b"x\xff\n".starts_with(name))), "{end}");
        }
    }

    #[test]
    fn there_are_never_more_files_than_may_be() {
        let place = tempfile::tempdir().unwrap();
        let tip = Oid::parse(&"1".repeat(40)).unwrap();
        for number in 0..FILES + 5 {
            write(place.path(), &path(&format!("d{number}")), &tip, std::iter::empty()).unwrap();
        }
        assert_eq!(fs::read_dir(place.path().join(DIRECTORY)).unwrap().count(), FILES);
    }
}

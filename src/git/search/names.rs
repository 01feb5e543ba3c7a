//! Files by name, the way people type them: the letters in their order, the nearest first.

use std::time::Instant;

use base::name::{Oid, TreePath};

use super::FoundNames;
use super::walk::{self, End};
use crate::error::Cause;

/// A file whose path fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameHit {
    /// The file.
    pub path: TreePath,
    rank: (u8, usize),
}

pub(super) fn find(
    git: &gix::Repository,
    commit: &Oid,
    text: &str,
    limit: usize,
    until: Instant,
) -> Result<FoundNames, Cause> {
    let wanted = text.trim().to_lowercase();
    let mut found = FoundNames::default();
    let end = walk::files(git, commit, until, |path, _, _| {
        if let Some(rank) = rank(&String::from_utf8_lossy(path.as_bytes()).to_lowercase(), &wanted) {
            found.fitting += 1;
            found.files.push(NameHit { path: path.clone(), rank });
            if found.files.len() > limit.saturating_mul(20).max(1_000) {
                keep_best(&mut found.files, limit);
            }
        }
        Ok(true)
    })?;
    keep_best(&mut found.files, limit);
    found.is_cut = end != End::Whole;
    Ok(found)
}

fn keep_best(files: &mut Vec<NameHit>, limit: usize) {
    files.sort_by(|a, b| a.rank.cmp(&b.rank).then_with(|| a.path.cmp(&b.path)));
    files.truncate(limit);
}

/// How near a path is: the whole name, its beginning, inside it, inside the path, the letters alone; then the shorter.
fn rank(path: &str, wanted: &str) -> Option<(u8, usize)> {
    let name = path.rsplit('/').next().unwrap_or_default();
    let class = match () {
        () if name == wanted => 0,
        () if name.starts_with(wanted) => 1,
        () if name.contains(wanted) => 2,
        () if path.contains(wanted) => 3,
        () if has_letters(name, wanted) => 4,
        () if has_letters(path, wanted) => 5,
        () => return None,
    };
    Some((class, path.len()))
}

fn has_letters(text: &str, wanted: &str) -> bool {
    let mut letters = text.chars();
    wanted.chars().filter(|c| !c.is_whitespace()).all(|c| letters.any(|letter| letter == c))
}

#[cfg(test)]
mod tests {
    use super::rank;

    #[test]
    fn the_nearest_name_comes_first() {
        let mut paths = ["src/main.rs", "domain/a", "src/remain.txt", "m/a/i/n", "main", "x", "src/main"];
        paths.sort_by_key(|path| rank(path, "main").unwrap_or((9, 0)));
        assert_eq!(paths, ["main", "src/main", "src/main.rs", "src/remain.txt", "domain/a", "m/a/i/n", "x"]);
        assert_eq!(rank("x", "main"), None);
    }
}

//! The last-commit column of a directory: one walk for each directory and commit, kept, and watched by every page that
//! shows it. A page never waits longer than it says; what the walk has not found yet stays empty there. What took long is
//! written down beside the objects: the next walk, also that of another process, ends where this one began.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base::kept::Kept;
use base::name::{Oid, TreePath};
use tokio::sync::watch;

use crate::columns;
use crate::error::Cause;
use crate::read::latest::{Column, Report, latest};
use crate::read::object_id;
use crate::repositories::Place;
use crate::{CommitSummary, Error, Repo};

/// Time that a walk may take, most of it after the page was sent.
const WALK: Duration = Duration::from_secs(15);
/// Time that the walk after a push may take.
const WALK_AHEAD: Duration = Duration::from_mins(3);
/// A walk that took as long as this is written down.
const COSTLY: Duration = Duration::from_millis(30);
/// Entries of all directories that are kept; one costs some 400 bytes with the commit that it has to itself.
const ENTRIES: usize = 20_000;
/// Characters of a title that are kept.
const TITLE: usize = 100;

/// For each entry, in the order of the names that were asked for: the commit that last changed it, once it is found.
pub type LatestCommits = Vec<Option<Arc<CommitSummary>>>;

/// The walks of a site, running and done, by the directory that they are for.
#[derive(Debug)]
pub(crate) struct Latest(Kept<Place, Arc<Walk>>);

impl Latest {
    pub(crate) fn new() -> Self {
        Self(Kept::new(ENTRIES))
    }
}

/// One walk: what it found so far, and whether it has ended.
#[derive(Debug)]
pub(crate) struct Walk {
    cells: Mutex<LatestCommits>,
    has_ended: watch::Sender<bool>,
    until: Instant,
}

impl Walk {
    fn new(entries: usize, time: Duration) -> Self {
        let (has_ended, _) = watch::channel(false);
        Self { cells: Mutex::new(vec![None; entries]), has_ended, until: Instant::now() + time }
    }

    fn cells(&self) -> LatestCommits {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn seen(&self, wait: Duration) -> LatestCommits {
        let mut watched = self.has_ended.subscribe();
        let _ = tokio::time::timeout(wait, watched.wait_for(|has_ended| *has_ended)).await;
        self.cells()
    }
}

impl Report for Walk {
    fn found(&self, entries: &[usize], mut commit: CommitSummary) {
        if let Some((cut, _)) = commit.title.char_indices().nth(TITLE) {
            commit.title.truncate(cut);
            commit.title.shrink_to_fit();
        }
        let commit = Arc::new(commit);
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        for at in entries {
            if let Some(cell) = cells.get_mut(*at) {
                *cell = Some(Arc::clone(&commit));
            }
        }
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }
}

impl Repo {
    /// The commit that last changed each of `names`, the entries of the directory at `path`, titles cut to 100
    /// characters. Waits no longer than `wait`; what was not found by then is `None`, and found for the next who asks
    /// if the walk has some seconds more.
    pub async fn latest_commits(
        &self,
        commit: &Oid,
        path: &TreePath,
        names: Vec<Vec<u8>>,
        wait: Duration,
    ) -> Result<LatestCommits, Error> {
        let place = (self.id(), commit.clone(), path.clone());
        let nothing = vec![None; names.len()];
        match self.walk(place, names, WALK) {
            Some(walk) => Ok(walk.seen(wait).await),
            None => Ok(nothing),
        }
    }

    /// Works out the column of the default branch's root, as the first visitor after a push would have it worked out. Gives
    /// up when the walks of visitors leave no room.
    pub async fn look_ahead(&self, limit: usize) -> Result<(), Error> {
        let Some(tip) = self.overview().await?.tip else { return Ok(()) };
        let root = TreePath::default();
        let Some(listing) = self.tree(&tip, &root, limit).await? else { return Ok(()) };
        let names = listing.entries.into_iter().map(|entry| entry.name).collect();
        if let Some(walk) = self.walk((self.id(), tip, root), names, WALK_AHEAD) {
            walk.seen(WALK_AHEAD).await;
        }
        Ok(())
    }

    /// The walk for this directory, begun unless it was before; `None` when too many run.
    fn walk(&self, place: Place, names: Vec<Vec<u8>>, time: Duration) -> Option<Arc<Walk>> {
        let kept = &self.shared().latest.0;
        if let Some(walk) = kept.get(&place) {
            return Some(walk);
        }
        let room = Arc::clone(&self.gates().walks).try_acquire_owned().ok()?;
        let walk = Arc::new(Walk::new(names.len(), time));
        kept.put(place.clone(), names.len().max(1), Arc::clone(&walk));
        let (repo, running) = (self.clone(), Arc::clone(&walk));
        tokio::task::spawn_blocking(move || {
            let _room = room;
            if let Err(error) = repo.run_walk(&place, &names, &running) {
                // Packs may have been replaced meanwhile: whoever asks next walks again.
                tracing::debug!(repository.id = repo.id(), %error, "walk for last commits ended early");
                repo.shared().handles.forget(repo.id());
                repo.shared().latest.0.forget(&place);
            }
            running.has_ended.send_replace(true);
        });
        Some(walk)
    }

    fn run_walk(&self, (_, commit, path): &Place, names: &[Vec<u8>], walk: &Walk) -> Result<(), Cause> {
        let begun = Instant::now();
        let git = self.shared().handles.get(self.id(), self.path())?;
        let before = columns::read(self.path(), path);
        latest(&git, &Column { commit, path, names }, &before, walk)?;
        // That of another branch would be of no use to the walks after the next push.
        let is_default = || Ok::<_, Cause>(self.shared().tables.get(self.id(), self.path(), &git)?.head.id);
        if begun.elapsed() > COSTLY
            && before.tip != Some(object_id(commit)?)
            && is_default()? == Some(object_id(commit)?)
        {
            let cells = walk.cells();
            let found = names.iter().zip(&cells).filter_map(|(name, cell)| Some((name.as_slice(), &**cell.as_ref()?)));
            // A column that is not whole is of use as well: what it lacks is walked for.
            columns::write(self.path(), path, commit, found)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Site, WorkTree};

    const LONG: Duration = Duration::from_secs(30);

    fn titles(site: &Site, tree: &WorkTree, path: &str) -> Vec<(String, String)> {
        let commit = Oid::parse(&tree.git(&["rev-parse", "HEAD"])).unwrap();
        let path = TreePath::parse(path.as_bytes()).unwrap();
        let listing = site.block_on(site.repo.tree(&commit, &path, 100)).unwrap().unwrap();
        let names: Vec<_> = listing.entries.iter().map(|entry| entry.name.clone()).collect();
        let found = site.block_on(site.repo.latest_commits(&commit, &path, names.clone(), LONG)).unwrap();
        let name = |name: &Vec<u8>| String::from_utf8(name.clone()).unwrap();
        names.iter().map(name).zip(found.into_iter().map(|commit| commit.unwrap().id.to_string())).collect()
    }

    /// Git's own answer is the measure, on a history with a merge, a revert and an entry that became a directory.
    #[test]
    fn each_entry_has_the_commit_that_git_log_names() {
        let site = Site::start();
        let tree = site.work_tree("w");
        tree.commit("a", b"1");
        tree.commit("b", b"1");
        std::fs::create_dir_all(tree.directory.join("d/deep")).unwrap();
        tree.commit("d/deep/x", b"1");
        tree.commit("d/y", b"1");
        tree.git(&["checkout", "--quiet", "-b", "side"]);
        tree.commit("b", b"side");
        tree.commit("d/deep/x", b"side");
        tree.git(&["checkout", "--quiet", "main"]);
        tree.commit("a", b"2");
        tree.commit("a", b"1");
        tree.commit("d/y", b"2");
        tree.git(&["merge", "--quiet", "--no-edit", "side"]);
        tree.git(&["push", "--quiet", "origin", "main"]);
        for path in ["", "d", "d/deep"] {
            let found = titles(&site, &tree, path);
            assert!(!found.is_empty());
            for (name, commit) in found {
                let whole = format!("{path}/{name}");
                let expected = tree.git(&["log", "-1", "--format=%H", "--", whole.trim_start_matches('/')]);
                assert_eq!(commit, expected, "{whole}");
            }
        }
    }

    #[test]
    fn a_page_that_does_not_wait_is_told_nothing_false() {
        let site = Site::start();
        let tree = site.work_tree("w");
        let tip = Oid::parse(&tree.commit("a", b"1")).unwrap();
        tree.git(&["push", "--quiet", "origin", "main"]);
        let (root, names) = (TreePath::default(), vec![b"a".to_vec(), b"absent".to_vec()]);
        let now = site.block_on(site.repo.latest_commits(&tip, &root, names.clone(), Duration::ZERO)).unwrap();
        assert!(now.iter().flatten().all(|commit| commit.id == tip) && now[1].is_none());
        let later = site.block_on(site.repo.latest_commits(&tip, &root, names, LONG)).unwrap();
        assert_eq!(
            later.iter().map(|cell| cell.as_ref().map(|commit| commit.id.clone())).collect::<Vec<_>>(),
            [Some(tip), None]
        );
    }

    /// What is written down is of another commit: only what it says of unchanged entries is believed.
    #[test]
    fn a_walk_ends_where_an_earlier_one_began_and_finds_the_same() {
        let site = Site::start();
        let tree = site.work_tree("w");
        for (name, text) in [("a", "1"), ("b", "1"), ("c", "1"), ("a", "2")] {
            tree.commit(name, text.as_bytes());
        }
        let earlier = Oid::parse(&tree.git(&["rev-parse", "HEAD"])).unwrap();
        let last = |name: &str| tree.git(&["log", "-1", "--format=%H", "--", name]);
        // The note says it in words of its own, so that what was read there is told from what was walked for.
        let noted = |name: &str| CommitSummary {
            id: Oid::parse(&last(name)).unwrap(),
            title: format!("noted of {name}"),
            author: "Note".into(),
            authored: base::clock::Timestamp(0),
            parents: Vec::new(),
        };
        let column = ["a", "b"].map(|name| (name, noted(name)));
        let found = column.iter().map(|(name, commit)| (name.as_bytes(), commit));
        columns::write(site.repo.path(), &TreePath::default(), &earlier, found).unwrap();
        tree.git(&["checkout", "--quiet", "-b", "side", "HEAD~2"]);
        tree.commit("b", b"side");
        tree.git(&["checkout", "--quiet", "main"]);
        tree.commit("d", b"1");
        tree.git(&["merge", "--quiet", "--no-edit", "side"]);
        tree.git(&["push", "--quiet", "origin", "main"]);
        for (name, commit) in titles(&site, &tree, "") {
            assert_eq!(commit, last(&name), "{name}");
        }
        let tip = Oid::parse(&tree.git(&["rev-parse", "HEAD"])).unwrap();
        let names = vec![b"a".to_vec(), b"b".to_vec()];
        let cells = site.block_on(site.repo.latest_commits(&tip, &TreePath::default(), names, LONG)).unwrap();
        let shown: Vec<_> = cells.iter().map(|cell| cell.as_ref().unwrap().title.as_str()).collect();
        assert_eq!(shown[0], "noted of a");
        assert_ne!(shown[1], "noted of b", "changed since");
    }

    #[test]
    fn the_walk_after_a_push_is_there_for_the_first_visitor() {
        let site = Site::start();
        let tree = site.work_tree("w");
        site.block_on(site.repo.look_ahead(100)).unwrap();
        let tip = Oid::parse(&tree.commit("a", b"1")).unwrap();
        tree.git(&["push", "--quiet", "origin", "main"]);
        site.block_on(site.repo.look_ahead(100)).unwrap();
        let names = vec![b"a".to_vec()];
        let now = site.block_on(site.repo.latest_commits(&tip, &TreePath::default(), names, Duration::ZERO)).unwrap();
        assert_eq!(now[0].as_ref().unwrap().id, tip);
    }
}

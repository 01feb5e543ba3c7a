//! Keeps repositories quick: every push adds a pack, so now and then small packs are joined, and what walks and clones
//! look things up in (the commit-graph with its changed paths, the index over all packs with its bitmaps) is brought up to
//! date. Removes no object, reachable or not, and may run beside pushes, clones and reads.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use base::file::{FileError, Lock};

use crate::child::{Said, finish_holding, finish_under, one_line};
use crate::gates::enter;
use crate::litter::{self, TIDY_LOCK};
use crate::repositories::failed;
use crate::{Error, Repo, environment};

/// Packs that a repository may have before they are joined.
const PACKS: usize = 40;
/// Refs in files of their own, and directories of them, that a repository may have before they are packed: pages look at
/// each of these directories.
const LOOSE: usize = 1_000;
const DIRECTORIES: usize = 200;
/// Time for one step.
const STEP: Duration = Duration::from_hours(1);

/// Packs, or bytes in them, that the commit-graph may lack before it is written on.
const GRAPH_LACKS: Newer = Newer { packs: 16, bytes: 256 << 10 };
/// The same for bitmaps, which take a walk over whatever they lack.
const BITMAPS_LACK: Newer = Newer { packs: 24, bytes: 8 << 20 };

/// Joins packs in geometric steps, so that each object is written again only a few times.
const JOIN: &[&str] = &["--geometric=2", "-d", "-n", "--quiet", "--write-midx", "--write-bitmap-index"];
const BITMAPS: &[&str] = &["write", "--bitmap", "--no-progress"];
/// In layers: each writing only adds what is new, until the layers are joined.
const GRAPH: &[&str] = &["write", "--reachable", "--changed-paths", "--split", "--no-progress"];

/// Where Git keeps what is looked after here.
const GRAPHS: [&str; 2] = ["objects/info/commit-graphs/commit-graph-chain", "objects/info/commit-graph"];
const INDEX: &str = "objects/pack/multi-pack-index";
/// What a killed Git may have left: these are only ever taken under the lock of whoever tidies.
const LOCKS: [&str; 3] = [
    "objects/info/commit-graphs/commit-graph-chain.lock",
    "objects/info/commit-graph.lock",
    "objects/pack/multi-pack-index.lock",
];

impl Repo {
    /// Brings up to date what makes reading quick, as far as it is needed; asking costs one look into a directory. Says
    /// whether something was done; a repository that somebody else is tidying is left alone.
    pub async fn tidy(&self) -> Result<bool, Error> {
        if !Needs::of(self.path())?.any() {
            return Ok(false);
        }
        let _place = enter(&self.gates().tidies).await?;
        let held = match Lock::take(&self.path().join(TIDY_LOCK)) {
            Err(FileError::Locked { .. }) => return Ok(false),
            other => other?.into_file(),
        };
        // Again: whoever had the lock may have done it.
        let needs = Needs::of(self.path())?;
        for lock in LOCKS {
            let _ = fs::remove_file(self.path().join(lock));
        }
        litter::remove(&litter::find(self.path())?)?;
        // First what helps pages: it is the quickest.
        if needs.packed_refs {
            self.pack_refs().await?;
        }
        if needs.graph {
            self.step(&held, "commit-graph", GRAPH).await?;
        }
        if needs.joining {
            let joined = self.step(&held, "repack", JOIN).await;
            // The warm handle still maps packs that are gone, and their space with them.
            self.forget_handle();
            joined?;
        } else if needs.bitmaps {
            self.step(&held, "multi-pack-index", BITMAPS).await?;
            self.forget_handle();
        }
        Ok(needs.any())
    }

    async fn pack_refs(&self) -> Result<(), Error> {
        let program = environment::in_repository("pack-refs", self.path()).options(["--all", "--prune"]);
        let packed = finish_under(self.moving().await?, program, "pack-refs", b"", STEP).await;
        if packed.as_ref().map_or(true, |said| said.status.code().is_none()) {
            self.sweep_locks().await;
        }
        succeeded("pack-refs", packed?)
    }

    /// One command that holds the lock for as long as it runs, also when this program is killed meanwhile.
    async fn step(&self, held: &File, command: &'static str, options: &[&str]) -> Result<(), Error> {
        let held = held.try_clone().map_err(failed("use", self.path()))?;
        let program = environment::in_repository(command, self.path()).options(options);
        succeeded(command, finish_holding(held, program, command, b"", STEP).await?)
    }
}

/// What a repository is in need of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Needs {
    graph: bool,
    bitmaps: bool,
    joining: bool,
    packed_refs: bool,
    sweeping: bool,
}

impl Needs {
    /// Looks at names, sizes and times alone.
    fn of(repository: &Path) -> Result<Self, Error> {
        let packs = packs(&repository.join("objects/pack"))?;
        let written = |paths: &[&str]| {
            let times = paths.iter().filter_map(|path| fs::metadata(repository.join(path)).ok()?.modified().ok());
            times.max()
        };
        let newer = |than: Option<SystemTime>| {
            let newer = packs.iter().filter(|(_, modified)| than.is_none_or(|than| *modified > than));
            newer.fold(Newer::default(), |sum, (bytes, _)| Newer { packs: sum.packs + 1, bytes: sum.bytes + bytes })
        };
        Ok(Self {
            graph: newer(written(&GRAPHS)).exceeds(&GRAPH_LACKS),
            bitmaps: newer(written(&[INDEX])).exceeds(&BITMAPS_LACK),
            joining: packs.len() > PACKS,
            packed_refs: packs.len() > PACKS || has_many_loose_refs(&repository.join("refs")),
            sweeping: !litter::find(repository)?.is_empty(),
        })
    }

    const fn any(self) -> bool {
        self.graph || self.bitmaps || self.joining || self.packed_refs || self.sweeping
    }
}

/// Packs that are younger than something, and their bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Newer {
    packs: usize,
    bytes: u64,
}

impl Newer {
    const fn exceeds(&self, allowed: &Self) -> bool {
        self.packs > allowed.packs || self.bytes > allowed.bytes
    }
}

/// Counts no further than to the answer. What cannot be read is not counted.
fn has_many_loose_refs(refs: &Path) -> bool {
    let (mut files, mut directories, mut waiting) = (0, 0, vec![refs.to_owned()]);
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().filter_map(Result::ok) {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                directories += 1;
                waiting.push(entry.path());
            } else {
                files += 1;
            }
            if files > LOOSE || directories > DIRECTORIES {
                return true;
            }
        }
    }
    false
}

/// Size and age of each pack.
fn packs(directory: &Path) -> Result<Vec<(u64, SystemTime)>, Error> {
    let entries = fs::read_dir(directory).map_err(failed("read", directory))?;
    let is_pack = |entry: &fs::DirEntry| entry.path().extension().is_some_and(|extension| extension == "pack");
    // A pack that is gone meanwhile was joined with others.
    let look =
        |entry: fs::DirEntry| entry.metadata().ok().and_then(|found| Some((found.len(), found.modified().ok()?)));
    Ok(entries.filter_map(Result::ok).filter(is_pack).filter_map(look).collect())
}

fn succeeded(command: &'static str, said: Said) -> Result<(), Error> {
    if said.status.success() { Ok(()) } else { Err(Error::Git { command, message: one_line(&said.stderr) }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Site;
    use base::name::RefName;

    #[test]
    fn many_packs_become_few_and_nothing_is_lost() {
        let site = Site::start();
        let tree = site.work_tree("w");
        let main = RefName::branch("main").unwrap();
        for number in 0..=u8::try_from(PACKS).unwrap() {
            tree.commit("a", &[number; 50]);
            tree.git(&["push", "--quiet", "origin", "main"]);
        }
        let tip = site.block_on(site.repo.tip(&main)).unwrap().unwrap();
        assert!(site.block_on(site.repo.tidy()).unwrap());
        assert!(site.packs() < 5, "{}", site.packs());
        assert!(!site.block_on(site.repo.tidy()).unwrap());
        assert!(has(&site, "objects/pack", ".bitmap"));
        let log = site.block_on(site.repo.log(&tip, 0, 100)).unwrap();
        assert_eq!(log.commits.len(), PACKS + 1);
        assert_eq!(site.block_on(site.repo.tip(&main)).unwrap(), Some(tip));
        site.git(&["fsck", "--strict"]);
        assert_eq!(site.git(&["rev-list", "--count", "main"]).trim(), (PACKS + 1).to_string());
    }

    fn has(site: &Site, directory: &str, ending: &str) -> bool {
        let files = fs::read_dir(site.repo.path().join(directory)).into_iter().flatten().flatten();
        files.into_iter().any(|file| file.file_name().to_string_lossy().ends_with(ending))
    }

    /// Bytes that no compression makes few.
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 7_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[0]
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn a_first_push_of_much_has_its_graph_and_its_bitmaps_at_once() {
        let site = Site::start();
        let tree = site.work_tree("w");
        tree.commit("a", b"1");
        tree.git(&["push", "--quiet", "origin", "main"]);
        assert!(!site.block_on(site.repo.tidy()).unwrap(), "a small push needs nothing");
        tree.commit("large", &noise(9 << 20)[..]);
        let path = site.repo.path().display().to_string();
        // Past the limit that this room's tests set for a push.
        tree.git_with(&["--git-dir", &path, "index-pack", "--stdin"], &tree.pack());
        let tip = tree.git(&["rev-parse", "HEAD"]);
        tree.git(&["--git-dir", &path, "update-ref", "refs/heads/main", &tip]);
        // What a killed Git left must not be in the way for ever.
        let lock = site.repo.path().join(LOCKS[2]);
        fs::File::create(&lock).unwrap();
        assert!(site.block_on(site.repo.tidy()).unwrap());
        assert!(has(&site, "objects/info/commit-graphs", ".graph") && has(&site, "objects/pack", ".bitmap"));
        assert!(!lock.exists());
        assert!(!site.block_on(site.repo.tidy()).unwrap(), "and is not tidied again");
        site.git(&["fsck", "--strict"]);
        site.git(&["commit-graph", "verify"]);
        site.git(&["multi-pack-index", "verify"]);
    }

    #[test]
    fn refs_in_many_directories_are_packed_though_packs_are_few() {
        let site = Site::start();
        let tree = site.work_tree("w");
        tree.commit("a", b"1");
        tree.git(&["push", "--quiet", "origin", "main"]);
        let tip = tree.git(&["rev-parse", "HEAD"]);
        let lines = (0..=DIRECTORIES).map(|number| format!("create refs/heads/topic-{number}/x {}\n", tip.trim()));
        let script = lines.collect::<Vec<_>>().concat();
        let path = site.repo.path().display().to_string();
        tree.git_with(&["--git-dir", &path, "update-ref", "--stdin"], script.as_bytes());
        assert_eq!(site.block_on(site.repo.branches(1_000)).unwrap().refs.len(), DIRECTORIES + 2);
        assert!(site.block_on(site.repo.tidy()).unwrap());
        assert!(!site.block_on(site.repo.tidy()).unwrap(), "once is enough");
        assert_eq!(fs::read_dir(site.repo.path().join("refs/heads")).unwrap().count(), 0);
        assert_eq!(site.block_on(site.repo.branches(1_000)).unwrap().refs.len(), DIRECTORIES + 2);
    }

    #[test]
    fn who_tidies_already_is_not_disturbed() {
        let site = Site::start();
        let tree = site.work_tree("w");
        tree.commit("large", &noise(300 << 10));
        tree.git(&["push", "--quiet", "origin", "main"]);
        let lock = Lock::take(&site.repo.path().join("gitgrit-tidy.lock")).unwrap();
        assert!(!site.block_on(site.repo.tidy()).unwrap());
        drop(lock);
        assert!(site.block_on(site.repo.tidy()).unwrap());
    }
}

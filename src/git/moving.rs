//! The lock of whoever moves refs. The Git that does it holds the lock itself, so that it says the truth also after this
//! program was killed and its child was not.

use std::path::Path;
use std::time::{Duration, Instant};

use base::file::{FileError, Lock};
use base::plain::plain;

use crate::gates::blocking;
use crate::repositories::sweep_locks;
use crate::{Error, Repo};

const NAME: &str = "gitgrit-refs.lock";
/// Time to wait for what a killed process left running.
const PATIENCE: Duration = Duration::from_secs(30);
/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Shuts out everyone who moves refs in the repository at `path`. Fails with `Locked` when somebody does.
pub(crate) fn shut(path: &Path) -> Result<Lock, FileError> {
    Lock::take_for_owner(&path.join(NAME))
}

/// What `look` sees in the repository at `path` while nobody moves refs there; `None` when somebody does. Makes nothing: where
/// no lock was ever made, no ref was ever moved.
pub(crate) fn while_at_rest<T>(path: &Path, look: impl FnOnce() -> T) -> Result<Option<T>, FileError> {
    let path = path.join(NAME);
    let file = plain(&path, std::fs::File::options().read(true));
    match file.map_err(|source| FileError::Read { path: path.clone(), source })? {
        None => Ok(Some(look())),
        Some(file) => Ok(Lock::of(file, &path)?.map(|_shut| look())),
    }
}

/// As [`shut`], once nobody moves refs any more. Blocks, for 30 seconds at most.
pub(crate) fn shut_when_free(path: &Path) -> Result<Lock, FileError> {
    let begun = Instant::now();
    loop {
        match shut(path) {
            Err(FileError::Locked { .. }) if begun.elapsed() < PATIENCE => std::thread::sleep(PAUSE),
            other => return other,
        }
    }
}

impl Repo {
    /// For a Git that moves refs: several may at once.
    pub(crate) async fn moving(&self) -> Result<Lock, Error> {
        let path = self.path().join(NAME);
        blocking(&self.gates().reads, move || Ok(Lock::share(&path)?)).await
    }

    /// Removes the locks that a Git left which was killed at moving refs: they would refuse those refs to everybody.
    pub(crate) async fn sweep_locks(&self) {
        let path = self.path().to_owned();
        if let Err(error) = blocking(&self.gates().reads, move || sweep_locks(&path)).await {
            let error: &dyn std::error::Error = &error;
            tracing::error!(repository = self.id(), error, "what a killed Git left was not removed");
        }
    }

    /// Waits until no Git moves refs here, also none whose parent was killed; then the refs say what has happened.
    /// Fails with `File` after 30 seconds.
    pub async fn at_rest(&self) -> Result<(), Error> {
        let begun = Instant::now();
        loop {
            match shut(self.path()) {
                Err(FileError::Locked { .. }) if begun.elapsed() < PATIENCE => tokio::time::sleep(PAUSE).await,
                other => return Ok(other.map(drop)?),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use base::process::Program;

    use super::*;
    use crate::testing::Site;

    /// As a Git that goes on after its parent was killed.
    #[test]
    fn refs_are_at_rest_when_the_last_child_that_moves_them_is_gone() {
        let site = Site::start();
        let lock = site.block_on(site.repo.moving()).unwrap();
        let script = Program::new("sh").options(["-c", "sleep 0.3"]);
        let child = script.start_detached(lock.into_file());
        let begun = Instant::now();
        assert!(matches!(shut(site.repo.path()), Err(FileError::Locked { .. })));
        site.block_on(site.repo.at_rest()).unwrap();
        assert!(begun.elapsed() > Duration::from_millis(200));
        child.unwrap().wait().unwrap();
    }
}

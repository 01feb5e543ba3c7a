//! Packages: asks apt which ones an image takes and fetches exactly those that a lock names, into a cache named by digest.
//! apt works in a state of its own with this host's sources: the host's lists, caches and packages are never touched.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base::file::{create_dir, write_atomic};
use base::process::{Finished, Program};
use vault::digest::Sha256;

use super::error::ImagesError;
use super::lock::Package;

/// apt with a state of its own.
pub(super) struct Apt {
    state: PathBuf,
    sources: Option<PathBuf>,
    is_updated: bool,
}

impl Apt {
    /// `state` is made when it is not there. `sources` are used instead of the host's own.
    pub(super) fn new(state: PathBuf, suite: &str, sources: Option<PathBuf>) -> Result<Self, ImagesError> {
        for folder in ["lists/partial", "cache/archives/partial", "new"] {
            create_dir(&state.join(folder), 0o755)?;
        }
        // Another archive on the same host must not slip its packages in.
        let pin = |codename: &str, priority: i32| {
            format!("Package: *\nPin: release o=Debian, n={codename}\nPin-Priority: {priority}\n\n")
        };
        let wanted = ["", "-security", "-updates"].map(|part| pin(&format!("{suite}{part}"), 990)).concat();
        let preferences = format!("{wanted}Package: *\nPin: release o=*\nPin-Priority: -1\n");
        write_atomic(&state.join("preferences"), preferences.as_bytes(), 0o644)?;
        write_atomic(&state.join("status"), b"", 0o644)?;
        Ok(Self { state, sources, is_updated: false })
    }

    fn program(&self, name: &str) -> Program {
        let folder = |part: &str| self.state.join(part).display().to_string();
        let mut settings = vec![
            format!("Dir::State={}", folder("")),
            format!("Dir::State::Lists={}", folder("lists")),
            format!("Dir::State::status={}", folder("status")),
            format!("Dir::Cache={}", folder("cache")),
            format!("Dir::Log={}", folder("")),
            format!("Dir::Etc::Preferences={}", folder("preferences")),
            "Dir::Etc::PreferencesParts=/dev/null".into(),
            "APT::Sandbox::User=root".into(),
            "APT::Install-Recommends=false".into(),
            "APT::Install-Suggests=false".into(),
            "Acquire::Languages=none".into(),
            "Acquire::Retries=3".into(),
            "Acquire::ForceHash=SHA256".into(),
        ];
        if let Some(sources) = &self.sources {
            settings.push(format!("Dir::Etc::SourceList={}", sources.display()));
            settings.push("Dir::Etc::SourceParts=/dev/null".into());
        }
        let settings = settings.into_iter().flat_map(|setting| ["-o".into(), setting]);
        Program::new(name).option("-qq").options(settings).deadline(Duration::from_mins(20))
    }

    /// Fetches the lists, once.
    fn update(&mut self) -> Result<(), ImagesError> {
        if !self.is_updated {
            let done = self.program("apt-get").option("update").run(b"")?;
            succeeded("the lists of packages", &done)?;
            self.is_updated = true;
        }
        Ok(())
    }

    /// What an empty machine would get for `names`, with all that they depend on, sorted.
    pub(super) fn resolve(&mut self, names: &[String]) -> Result<Vec<Package>, ImagesError> {
        self.update()?;
        let done = self.program("apt-get").options(["install", "--print-uris"]).operands(names).run(b"")?;
        let what = names.join(", ");
        succeeded(&what, &done)?;
        let text = String::from_utf8_lossy(&done.stdout);
        let unread = |line: &str| ImagesError::Packages { what: what.clone(), said: format!("`{line}`") };
        let mut found = text
            .lines()
            .map(|line| announced(line).ok_or_else(|| unread(line)))
            .collect::<Result<Vec<_>, ImagesError>>()?;
        found.sort();
        Ok(found)
    }

    /// Fetches these packages into a folder of apt's own, which it gives.
    fn fetch(&mut self, packages: &[&Package]) -> Result<PathBuf, ImagesError> {
        self.update()?;
        let folder = self.state.join("new");
        let wanted = packages.iter().map(|package| format!("{}={}", package.name, package.version));
        let done = self.program("apt-get").option("download").operands(wanted).directory(&folder).run(b"")?;
        succeeded(&format!("{} packages of the lock", packages.len()), &done)?;
        Ok(folder)
    }
}

/// One line of `--print-uris`: `'ADDRESS' NAME_VERSION_ARCHITECTURE.deb SIZE SHA256:DIGEST`.
fn announced(line: &str) -> Option<Package> {
    let [_, file, _, digest] = line.split(' ').collect::<Vec<_>>()[..] else { return None };
    let [name, version, architecture] = file.strip_suffix(".deb")?.split('_').collect::<Vec<_>>()[..] else {
        return None;
    };
    Some(Package {
        name: name.into(),
        version: version.replace("%3a", ":"),
        architecture: architecture.into(),
        sha256: digest.strip_prefix("SHA256:")?.into(),
    })
}

fn succeeded(what: &str, done: &Finished) -> Result<(), ImagesError> {
    if done.status.success() {
        return Ok(());
    }
    let said = done.stderr.lines().filter(|line| line.starts_with("E: ")).take(5).collect::<Vec<_>>().join("; ");
    Err(ImagesError::Packages { what: what.into(), said })
}

/// The `.deb` files that were fetched before, each under its digest.
pub(super) struct Debs {
    folder: PathBuf,
}

impl Debs {
    /// `folder` is made when it is not there.
    pub(super) fn new(folder: PathBuf) -> Result<Self, ImagesError> {
        create_dir(&folder, 0o755)?;
        Ok(Self { folder })
    }

    fn path(&self, package: &Package) -> PathBuf {
        self.folder.join(format!("{}.deb", package.sha256))
    }

    /// Makes sure that every package of a lock is there, to the byte; asks apt for those that are not.
    pub(super) fn complete(&self, packages: &[Package], apt: &mut Apt) -> Result<(), ImagesError> {
        let mut missing = Vec::new();
        for package in packages {
            match digest(&self.path(package)) {
                Ok(found) if found == package.sha256 => {}
                _ => missing.push(package),
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let folder = apt.fetch(&missing)?;
        for package in missing {
            let Package { name, version, architecture, sha256 } = package;
            let fetched = folder.join(format!("{name}_{}_{architecture}.deb", version.replace(':', "%3a")));
            let found = digest(&fetched)?;
            if found != *sha256 {
                // What is not Debian's must not lie where the next run would find it.
                fs::remove_file(&fetched).map_err(ImagesError::at(&fetched))?;
                let package = format!("{name} {version}");
                return Err(ImagesError::Digest { package, expected: sha256.clone(), found });
            }
            fs::rename(&fetched, self.path(package)).map_err(ImagesError::at(&fetched))?;
        }
        Ok(())
    }

    /// Makes a repository of these packages alone in `folder`, as apt reads it.
    pub(super) fn repository(&self, packages: &[Package], folder: &Path) -> Result<(), ImagesError> {
        let mut index = String::new();
        for package in packages {
            let (from, name) = (self.path(package), format!("{}_{}.deb", package.name, package.architecture));
            let to = folder.join(&name);
            fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(drop)).map_err(ImagesError::at(&to))?;
            let done = Program::new("dpkg-deb").option("--field").operands([&from]).run(b"")?;
            if !done.status.success() {
                return Err(ImagesError::Program { program: "dpkg-deb", said: done.stderr });
            }
            let size = fs::metadata(&to).map_err(ImagesError::at(&to))?.len();
            index.push_str(String::from_utf8_lossy(&done.stdout).trim_end());
            // Writing into a String has no way to fail.
            let _ = write!(index, "\nFilename: ./{name}\nSize: {size}\nSHA256: {}\n\n", package.sha256);
        }
        write_atomic(&folder.join("Packages"), index.as_bytes(), 0o644)?;
        Ok(())
    }
}

/// The digest of a file, read in pieces.
pub(super) fn digest(path: &Path) -> Result<String, ImagesError> {
    let mut file = fs::File::open(path).map_err(ImagesError::at(path))?;
    let mut hash = Hashing(Sha256::default());
    std::io::copy(&mut file, &mut hash).map_err(ImagesError::at(path))?;
    Ok(hash.0.finish_hex())
}

/// A writer that keeps nothing but the digest.
struct Hashing(Sha256);

impl std::io::Write for Hashing {
    fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
        self.0.update(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_apt_announces_names_a_package() {
        let digest = "0".repeat(64);
        let line = format!(
            "'http://mirror/pool/g/git_1%253a2.39_amd64.deb' git_1%3a2.39-0+deb12u3_amd64.deb 7 SHA256:{digest}"
        );
        let package = announced(&line).unwrap();
        assert_eq!((&*package.name, &*package.version, &*package.architecture), ("git", "1:2.39-0+deb12u3", "amd64"));
        assert_eq!(package.sha256, digest);
        assert_eq!(announced("'http://mirror/git.deb' git.deb 7 MD5Sum:0"), None);
    }

    /// A mirror that hands out something else under the same name and version must not get into an image.
    #[test]
    fn a_package_in_the_cache_that_was_changed_is_not_taken() {
        let home = tempfile::tempdir().unwrap();
        let debs = Debs::new(home.path().join("debs")).unwrap();
        let package = Package {
            name: "no-such-package".into(),
            version: "1".into(),
            architecture: "all".into(),
            sha256: vault::digest::sha256_hex(b"right"),
        };
        let empty = home.path().join("sources.list");
        fs::write(&empty, "").unwrap();
        let mut apt = Apt::new(home.path().join("apt"), "bookworm", Some(empty)).unwrap();
        fs::write(debs.path(&package), b"right").unwrap();
        debs.complete(std::slice::from_ref(&package), &mut apt).unwrap();
        fs::write(debs.path(&package), b"wrong").unwrap();
        let error = debs.complete(std::slice::from_ref(&package), &mut apt).unwrap_err();
        assert!(error.to_string().contains("no-such-package"), "{error}");
    }
}

//! Lock files: which packages an image is made of, to the byte. Text in, text out; a line that is not understood stops
//! the build, since a lock that is read wrong locks nothing.

use std::fmt::Write;

use super::error::ImagesError;

/// What a lock file says at its top.
const HEADER: &str =
    "# Written by `gitgrit-ops bundle images --relock`: a build takes exactly these packages, or stops.\n";

/// One Debian package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version, with an epoch if it has one.
    pub version: String,
    /// Its architecture, or `all`.
    pub architecture: String,
    /// The digest of the `.deb`.
    pub sha256: String,
}

/// A lock file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// The architecture that it was written for.
    pub architecture: String,
    /// The time that everything in the image's layers gets, in seconds since 1970.
    pub epoch: u64,
    /// The packages, sorted.
    pub packages: Vec<Package>,
}

impl Lock {
    /// Reads the lock of `image`.
    pub fn parse(image: &str, text: &str) -> Result<Self, ImagesError> {
        let failed = |line: &str| ImagesError::Lock { image: image.into(), line: line.into() };
        let mut lock = Self { architecture: String::new(), epoch: 0, packages: Vec::new() };
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["architecture", name] if is_word(name) => lock.architecture = name.into(),
                ["epoch", seconds] => lock.epoch = seconds.parse().map_err(|_| failed(line))?,
                [name, version, architecture, sha256]
                    if [name, version, architecture].into_iter().all(is_word) && is_digest(sha256) =>
                {
                    lock.packages.push(Package {
                        name: name.into(),
                        version: version.into(),
                        architecture: architecture.into(),
                        sha256: sha256.into(),
                    });
                }
                _ => return Err(failed(line)),
            }
        }
        if lock.architecture.is_empty() || !lock.packages.is_sorted() {
            return Err(failed("its packages are not sorted, or it names no architecture"));
        }
        Ok(lock)
    }

    /// The file.
    pub fn render(&self) -> String {
        let mut text = format!("{HEADER}architecture {}\nepoch {}\n", self.architecture, self.epoch);
        for Package { name, version, architecture, sha256 } in &self.packages {
            // Writing into a String has no way to fail.
            let _ = writeln!(text, "{name} {version} {architecture} {sha256}");
        }
        text
    }
}

/// What names, versions and architectures are made of (deb-version(7)); never an option.
fn is_word(text: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.:~".contains(&byte);
    !text.is_empty() && !text.starts_with(['-', '.']) && text.bytes().all(is_known)
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_reads_back_as_it_was_written() {
        let package = |name: &str, version: &str| Package {
            name: name.into(),
            version: version.into(),
            architecture: "amd64".into(),
            sha256: "0123456789abcdef".repeat(4),
        };
        let packages = vec![package("git", "1:2.39.5-0+deb12u3"), package("libc6", "2.36-9~x")];
        let lock = Lock { architecture: "amd64".into(), epoch: 1_763_683_200, packages };
        assert_eq!(Lock::parse("app", &lock.render()).unwrap(), lock);
    }

    #[test]
    fn a_line_that_is_not_understood_stops() {
        let digest = "0".repeat(64);
        for line in [
            "git 1.0 amd64 abc".to_owned(),
            format!("git 1.0 amd64 {digest} more"),
            format!("--git 1.0 amd64 {digest}"),
            format!("git 1.0;x amd64 {digest}"),
            "epoch soon".to_owned(),
            String::new(),
        ] {
            let error = Lock::parse("app", &format!("architecture amd64\n{line}\n")).unwrap_err();
            assert_eq!(error.to_string(), format!("could not read the lock of image `app` at `{line}`"));
        }
    }
}

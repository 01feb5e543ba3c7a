//! What the program is made of: the crates that `Cargo.lock` of the commit names, as a bill of materials.

use serde::Deserialize;

use super::Digest;
use super::program_mark::Mark;
use super::sbom::{self, Bill, Part, Whole, encoded};

/// Where the lock lies in a tree.
pub(crate) const LOCK: &str = "Cargo.lock";

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
}

/// The crates that come from elsewhere, sorted; `None` when the lock does not read.
fn crates(lock: &str) -> Option<Vec<Part>> {
    let lock: Lock = toml::from_str(lock).ok()?;
    let is_word = |text: &str| {
        !text.is_empty()
            && text.len() <= 128
            && text.chars().all(|sign| sign.is_ascii_alphanumeric() || "._+-".contains(sign))
    };
    let mut parts = Vec::new();
    for Locked { name, version, source, checksum } in lock.package {
        // Without a source, it is a part of the tree itself.
        let Some(source) = source else { continue };
        if !is_word(&name) || !is_word(&version) {
            return None;
        }
        let from = if source == "registry+https://github.com/rust-lang/crates.io-index" {
            String::new()
        } else {
            format!("?vcs_url={}", encoded(&source))
        };
        let purl = format!("pkg:cargo/{}@{}{from}", encoded(&name), encoded(&version));
        let sha256 = checksum.filter(|checksum| Digest::parse(checksum).is_some());
        parts.push(Part { name, version, purl, sha256 });
    }
    parts.sort();
    parts.dedup();
    Some(parts)
}

/// The bill of the program with the digest `digest`; `None` when `lock`, which is the commit's, does not read. `mark` is what the program says of
/// itself, and `is_of_commit` whether that is the commit.
pub(crate) fn bill(
    digest: Digest,
    mark: Option<&Mark>,
    is_of_commit: bool,
    lock: Option<&str>,
    (epoch, tool): (u64, &str),
) -> Option<Bill> {
    let parts = match lock {
        Some(lock) => Some(crates(lock)?),
        None => None,
    };
    let tie = match mark.and_then(|mark| mark.commit.as_deref()) {
        Some(commit) => format!("The program says that it was built from the commit {commit}."),
        None => "The program does not say which commit it was built from.".to_owned(),
    };
    let (aggregate, known) = match &parts {
        Some(_) => (
            if is_of_commit { "incomplete" } else { "unknown" },
            "The crates are those of the commit's Cargo.lock, also those that only tests or other systems use; what they carry in other \
             languages, and the compiler's own library, are not listed.",
        ),
        None => ("unknown", "The tree has no Cargo.lock: only the file is known."),
    };
    Some(Bill {
        of: Whole::Program,
        name: sbom::PROGRAM.into(),
        version: mark.map_or("unknown", |mark| mark.version.as_str()).to_owned(),
        digest,
        note: format!("{known} {tie}"),
        aggregate,
        release: None,
        parts: parts.unwrap_or_default(),
        epoch,
        tool: tool.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_from_elsewhere_are_listed_with_their_checksums() {
        let sum = "a".repeat(64);
        let lock = format!(
            "version = 4\n\n[[package]]\nname = \"zlib-rs\"\nversion = \"0.5.0+x\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\n\
             checksum = \"{sum}\"\ndependencies = [\n \"b\",\n]\n\n[[package]]\nname = \"room\"\nversion = \"0.1.0\"\n\n[[package]]\nname = \"b\"\nversion = \"1.0.0\"\n\
             source = \"git+https://example.org/b?rev=1\"\n"
        );
        let found = crates(&lock).unwrap();
        let shown: Vec<_> = found.iter().map(|part| (part.purl.as_str(), part.sha256.is_some())).collect();
        let wanted = [
            ("pkg:cargo/b@1.0.0?vcs_url=git%2Bhttps:%2F%2Fexample.org%2Fb%3Frev%3D1", false),
            ("pkg:cargo/zlib-rs@0.5.0%2Bx", true),
        ];
        assert_eq!(shown, wanted);
        assert_eq!(crates("[[package]]\nname = \"a b\"\nversion = \"1\"\nsource = \"x\"\n"), None);
        assert_eq!(crates("no toml"), None);
    }

    #[test]
    fn the_lock_of_this_tree_reads() {
        let lock = include_str!("../../../Cargo.lock");
        let digest = Digest::of(b"program");
        let found = bill(digest, None, false, Some(lock), (0, "0.1.0")).unwrap();
        assert!(found.parts.len() > 100 && found.parts.iter().any(|part| part.name == "serde"));
        assert!(found.note.contains("does not say which commit"), "{}", found.note);
        assert_eq!(found.aggregate, "unknown");
        let aggregate = |lock| bill(digest, None, true, lock, (0, "0.1.0")).map(|bill| bill.aggregate);
        assert_eq!((aggregate(Some(lock)), aggregate(None)), (Some("incomplete"), Some("unknown")));
        assert_eq!(aggregate(Some("no toml")), None);
    }
}

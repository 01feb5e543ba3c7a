//! Takes a CA bundle apart: one PEM file a certificate, named after it. Writes no private key, and over no file that is there.

use std::path::{Path, PathBuf};

use base::Hint;

use crate::certificate::Certificate;
use crate::pem;

/// The longest part of a file name that comes from a certificate, in characters.
const LONGEST: usize = 60;

/// One file to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where to.
    pub path: PathBuf,
    /// PEM text of one certificate.
    pub text: String,
    /// Whose certificate it is.
    pub subject: String,
}

/// Why a bundle was not taken apart.
#[derive(Debug, thiserror::Error)]
pub enum SplitError {
    /// A file of this name is there already.
    #[error("`{path}` is there already")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file could not be written.
    #[error("could not write the certificate of `{subject}`")]
    Write {
        /// Whose certificate.
        subject: String,
        /// Why.
        source: base::file::FileError,
    },
}

impl Hint for SplitError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Exists { .. } => Some("name an empty directory with `--into DIRECTORY`".into()),
            Self::Write { source, .. } => source.hint(),
        }
    }
}

/// The files that `certificates` become below `directory`: `01-acme-root.pem`, in the bundle's order.
pub fn plan(certificates: &[Certificate], directory: &Path) -> Vec<Part> {
    let part = |(index, certificate): (usize, &Certificate)| Part {
        path: directory.join(format!("{:02}-{}.pem", index + 1, plain(&certificate.subject))),
        text: pem::block("CERTIFICATE", &certificate.der),
        subject: certificate.subject.clone(),
    };
    certificates.iter().enumerate().map(part).collect()
}

/// Writes what was planned. Fails with `Exists` before the first file is written.
pub fn apply(parts: &[Part]) -> Result<(), SplitError> {
    if let Some(part) = parts.iter().find(|part| part.path.symlink_metadata().is_ok()) {
        return Err(SplitError::Exists { path: part.path.clone() });
    }
    for part in parts {
        base::file::write_atomic(&part.path, part.text.as_bytes(), 0o644)
            .map_err(|source| SplitError::Write { subject: part.subject.clone(), source })?;
    }
    Ok(())
}

/// The common name, or all of the subject, as a file name: small letters, digits and single dashes.
pub(crate) fn plain(subject: &str) -> String {
    let name = subject.rsplit_once("CN=").map_or(subject, |(_, name)| name);
    let dashed: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .take(LONGEST)
        .collect();
    let words: Vec<_> = dashed.split('-').filter(|word| !word.is_empty()).collect();
    if words.is_empty() { "certificate".into() } else { words.join("-") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus_certificate::{Key, Spec};

    #[test]
    fn names_are_plain_whatever_the_subject_holds() {
        for (subject, expected) in [
            ("C=DE, O=Acme, CN=Acme Root CA", "acme-root-ca"),
            ("CN=../../etc/passwd", "etc-passwd"),
            ("O=Acme", "o-acme"),
            ("", "certificate"),
        ] {
            assert_eq!(plain(subject), expected);
        }
    }

    #[test]
    fn each_certificate_gets_a_file_and_none_is_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let ring = [Key::curve(), Key::curve()];
        let read =
            |name, key| Certificate::parse(&Spec::root(name, key).der(&ring, 1_795_000_000, dir.path())).unwrap();
        let parts = plan(&[read("Acme Root", 0), read("Beta Root", 1)], dir.path());
        apply(&parts).unwrap();
        let text = std::fs::read_to_string(dir.path().join("02-beta-root.pem")).unwrap();
        let der = pem::read(text.as_bytes()).unwrap().certificates;
        assert_eq!(Certificate::parse(&der[0]).unwrap().subject, "CN=Beta Root");
        std::fs::remove_file(dir.path().join("01-acme-root.pem")).unwrap();
        assert!(matches!(apply(&parts), Err(SplitError::Exists { .. })));
        assert!(!dir.path().join("01-acme-root.pem").exists());
    }
}

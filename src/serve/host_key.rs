//! The SSH host key: made once, in OpenSSH's own format, and loaded ever after. Never replaced by itself: clients would
//! take a new key for an attack, and rightly.

use std::path::{Path, PathBuf};

use base::Hint;
use base::file::{FileError, create_dir, read_text, write_atomic};
use russh::keys::PrivateKey;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use rustls::crypto::SecureRandom;

/// OpenSSH's name for the file.
const NAME: &str = "ssh_host_ed25519_key";
/// The largest key file that is read, in bytes.
const LIMIT: u64 = 64 << 10;

/// A host key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HostKeyError {
    /// A file did not read or write.
    #[error("could not use the SSH host key")]
    File(#[from] FileError),
    /// The file is there but holds no key that we can use.
    #[error("`{path}` is not an unencrypted private key in OpenSSH's format")]
    Format {
        /// The file.
        path: PathBuf,
        /// Why.
        source: russh::keys::ssh_key::Error,
    },
    /// The machine gave no random bytes, or they did not become a key.
    #[error("could not make an SSH host key")]
    Make,
}

impl Hint for HostKeyError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::Format { path, .. } => Some(format!(
                "restore `{}` from a backup; removing it makes a new key, which every client will have to accept anew",
                path.display()
            )),
            Self::Make => None,
        }
    }
}

/// Loads the host key of `directory`, or makes it when there is none: the private half at 0600, the public half beside
/// it in the one-line form from which `known_hosts` lines are made.
pub(crate) fn load_or_make(directory: &Path) -> Result<PrivateKey, HostKeyError> {
    let path = directory.join(NAME);
    let key = if path.try_exists().map_err(|source| FileError::Read { path: path.clone(), source })? {
        let text = read_text(&path, LIMIT)?;
        let format = |source| HostKeyError::Format { path: path.clone(), source };
        let key = PrivateKey::from_openssh(&text).map_err(format)?;
        if key.is_encrypted() {
            return Err(format(russh::keys::ssh_key::Error::Encrypted));
        }
        key
    } else {
        create_dir(directory, 0o700)?;
        let key = make()?;
        let text = key.to_openssh(LineEnding::LF).map_err(|_| HostKeyError::Make)?;
        write_atomic(&path, text.as_bytes(), 0o600)?;
        key
    };
    write_public(&directory.join(format!("{NAME}.pub")), &key)?;
    Ok(key)
}

/// Writes the public half when it is not there or says something else.
fn write_public(path: &Path, key: &PrivateKey) -> Result<(), HostKeyError> {
    let line = key.public_key().to_openssh().map_err(|_| HostKeyError::Make)? + "\n";
    if read_text(path, LIMIT).is_ok_and(|found| found == line) {
        return Ok(());
    }
    Ok(write_atomic(path, line.as_bytes(), 0o644)?)
}

fn make() -> Result<PrivateKey, HostKeyError> {
    let mut seed = [0; 32];
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let random: &dyn SecureRandom = provider.secure_random;
    random.fill(&mut seed).map_err(|_| HostKeyError::Make)?;
    let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed));
    PrivateKey::new(pair, "gitgrit").map_err(|_| HostKeyError::Make)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_damaged_key_is_an_error_and_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        write_atomic(&path, b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", 0o600).unwrap();
        let error = load_or_make(dir.path()).unwrap_err();
        assert!(matches!(error, HostKeyError::Format { .. }));
        assert!(read_text(&path, LIMIT).unwrap().starts_with("-----BEGIN"));
    }

    #[test]
    fn the_key_is_made_once_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let ssh = dir.path().join("ssh");
        let first = load_or_make(&ssh).unwrap();
        let second = load_or_make(&ssh).unwrap();
        assert_eq!(first.public_key(), second.public_key());
        let mode = std::fs::metadata(ssh.join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let public = read_text(&ssh.join(format!("{NAME}.pub")), LIMIT).unwrap();
        assert!(public.starts_with("ssh-ed25519 AAAA"), "{public}");
    }
}

//! Secret keys and their passwords: from a file, standard input, the environment, or a person. Shows neither.

use std::path::{Path, PathBuf};

use base::Secret;
use base::file::read_text;
use clap::Args;
use vault::minisign::{LONGEST, MinisignError, SecretKey, Signature};

use super::terminal::ask_hidden;
use super::{Exit, Failure};

/// The variable that may hold the password of secret keys.
const VARIABLE: &str = "GITGRIT_KEY_PASSWORD";
/// The largest password file, in bytes.
const PASSWORD_LIMIT: u64 = 4096;

/// Where a secret key's password comes from.
#[derive(Debug, Args)]
pub(crate) struct PasswordArgs {
    /// A file with the keys' password, `-` for standard input [default: `GITGRIT_KEY_PASSWORD`, or ask]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl PasswordArgs {
    /// What a file or the environment says; `None` when neither says anything.
    fn given(&self) -> Result<Option<Secret<String>>, Failure> {
        let Some(path) = &self.password_file else {
            return Ok(std::env::var(VARIABLE).ok().map(Secret::new));
        };
        let text = if path == Path::new("-") {
            use std::io::Read;
            let mut text = String::new();
            std::io::stdin().take(PASSWORD_LIMIT).read_to_string(&mut text)?;
            text
        } else {
            read_text(path, PASSWORD_LIMIT)?
        };
        Ok(Some(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned())))
    }

    /// A password for a new key; a person gives it twice.
    pub(crate) fn fresh(&self) -> Result<Secret<String>, Failure> {
        let password = if let Some(password) = self.given()? {
            password
        } else {
            let first = ask("password for the new key: ")?;
            if ask("the same again: ")? != first {
                return Err(Failure::said(Exit::Failure, "the two passwords differ"));
            }
            first
        };
        if password.expose().is_empty() {
            let failure = Failure::said(Exit::Failure, "the password is empty");
            return Err(failure.hinted("for a key without one, use --no-password"));
        }
        Ok(password)
    }
}

fn ask(question: &str) -> Result<Secret<String>, Failure> {
    ask_hidden(question)?.ok_or_else(|| {
        let failure = Failure::said(Exit::Failure, "there is no terminal to ask for the key's password");
        failure.hinted(format!("use --password-file FILE, or set {VARIABLE}"))
    })
}

/// Which keys sign, and where their password comes from.
#[derive(Debug, Args)]
pub(crate) struct SigningArgs {
    /// A secret key to sign with; may be given several times
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<PathBuf>,

    #[command(flatten)]
    password: PasswordArgs,
}

impl SigningArgs {
    /// The keys, opened. Fails with exit code 12 on a wrong password.
    pub(crate) fn open(&self) -> Result<Vec<SecretKey>, Failure> {
        let mut given = None;
        let mut is_read = false;
        let mut keys: Vec<SecretKey> = Vec::new();
        for path in &self.keys {
            let failed = |error: MinisignError| {
                let exit = if error == MinisignError::Password { Exit::KeyMismatch } else { Exit::Failure };
                Failure::new(exit, KeyError { path: path.clone(), source: error })
            };
            let text = Secret::new(read_text(path, LONGEST as u64)?);
            let is_encrypted = SecretKey::is_encrypted(text.expose()).map_err(failed)?;
            if is_encrypted && !is_read {
                // Once for all keys: standard input has an end.
                (given, is_read) = (self.password.given()?, true);
            }
            let password = match &given {
                _ if !is_encrypted => None,
                Some(password) => Some(password.clone()),
                None => Some(ask(&format!("password of {}: ", path.display()))?),
            };
            let key = SecretKey::parse(text.expose(), password.as_ref()).map_err(failed)?;
            if !keys.iter().any(|other| other.public().is_same_key(key.public())) {
                keys.push(key);
            }
        }
        Ok(keys)
    }
}

/// Signs `bytes` with each key.
pub(crate) fn sign_all(keys: &[SecretKey], bytes: &[u8], comment: &str) -> Result<Vec<Signature>, MinisignError> {
    keys.iter().map(|key| key.sign(bytes, comment)).collect()
}

/// A secret key that was not opened.
#[derive(Debug, thiserror::Error)]
#[error("could not use the secret key `{path}`")]
struct KeyError {
    path: PathBuf,
    source: MinisignError,
}

impl base::Hint for KeyError {
    fn hint(&self) -> Option<String> {
        self.source.hint()
    }
}

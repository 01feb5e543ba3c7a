//! SSH public keys as people paste them. Takes nothing that is weak, malformed or ambiguous; never reads a private key.

use std::fmt;

use aws_lc_rs::signature::{self, ParsedPublicKey};
use base::Hint;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use crate::digest;
pub use crate::ssh_pair::{KeyPair, generate};
use crate::ssh_wire::Reader;

/// The longest line that is looked at, in bytes: an RSA key of 16384 bits needs 2.8 KB.
const LONGEST_LINE: usize = 8 << 10;
/// The longest comment that is kept, in characters.
pub(crate) const LONGEST_COMMENT: usize = 200;
const SMALLEST_RSA: u32 = 2048;
const LARGEST_RSA: u32 = 16_384;

/// What kind of key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// `ssh-ed25519`.
    Ed25519,
    /// `ecdsa-sha2-nistp256`.
    EcdsaP256,
    /// `ecdsa-sha2-nistp384`.
    EcdsaP384,
    /// `ecdsa-sha2-nistp521`.
    EcdsaP521,
    /// `ssh-rsa`, of 2048 bits or more.
    Rsa,
    /// `sk-ssh-ed25519@openssh.com`, in a security key.
    SecurityKeyEd25519,
    /// `sk-ecdsa-sha2-nistp256@openssh.com`, in a security key.
    SecurityKeyEcdsaP256,
}

impl KeyKind {
    const ALL: [Self; 7] = [
        Self::Ed25519,
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::EcdsaP521,
        Self::Rsa,
        Self::SecurityKeyEd25519,
        Self::SecurityKeyEcdsaP256,
    ];

    /// The name in a key's line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ssh-ed25519",
            Self::EcdsaP256 => "ecdsa-sha2-nistp256",
            Self::EcdsaP384 => "ecdsa-sha2-nistp384",
            Self::EcdsaP521 => "ecdsa-sha2-nistp521",
            Self::Rsa => "ssh-rsa",
            Self::SecurityKeyEd25519 => "sk-ssh-ed25519@openssh.com",
            Self::SecurityKeyEcdsaP256 => "sk-ecdsa-sha2-nistp256@openssh.com",
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// Why a text is not a public key that the site takes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SshKeyError {
    /// Not one line of kind, base64 and perhaps a comment.
    #[error("the text is not one line of an SSH public key")]
    Syntax,
    /// A private key was pasted.
    #[error("the text is a private key")]
    Private,
    /// A kind that the site does not take.
    #[error("keys of kind `{0}` are not taken")]
    Kind(String),
    /// A certificate.
    #[error("certificates are not taken, only plain keys")]
    Certificate,
    /// An RSA key that is too small or too large.
    #[error("an RSA key of {bits} bits is not taken")]
    Bits {
        /// Its size, in bits.
        bits: u32,
    },
    /// The base64 part does not hold a key of that kind.
    #[error("the data is not a key of kind `{0}`")]
    Data(KeyKind),
    /// A comment with a control character, or longer than 200 characters.
    #[error("the comment is not one short line of text")]
    Comment,
    /// No key pair could be made.
    #[error("could not make a key pair")]
    Generate,
}

impl Hint for SshKeyError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Generate => return None,
            Self::Private => "paste the file that ends with `.pub`; the other one must never leave your machine".into(),
            Self::Syntax | Self::Data(_) | Self::Comment => {
                "paste the whole line of the file that ends with `.pub`, as in ~/.ssh/id_ed25519.pub".into()
            }
            Self::Kind(_) | Self::Certificate | Self::Bits { .. } => "make one with `ssh-keygen -t ed25519`".into(),
        })
    }
}

/// A public key that the site takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// What kind of key it is.
    pub kind: KeyKind,
    /// `SHA256:` and the digest in base64, as `ssh-keygen -l` prints it.
    pub fingerprint: String,
    /// The size, as `ssh-keygen -l` prints it.
    pub bits: u32,
    /// Kind and base64, one space between, no comment.
    pub line: String,
    /// The comment; may be empty.
    pub comment: String,
}

impl PublicKey {
    /// Reads one line as in a `.pub` file: kind, base64, comment. Options before the kind are refused.
    pub fn parse(line: &str) -> Result<Self, SshKeyError> {
        let line = line.trim();
        if line.starts_with("-----BEGIN") && line.contains("PRIVATE KEY") {
            return Err(SshKeyError::Private);
        }
        if line.len() > LONGEST_LINE || line.chars().any(|sign| sign.is_control() && sign != '\t') {
            return Err(SshKeyError::Syntax);
        }
        let mut parts = line.splitn(3, [' ', '\t']);
        let (Some(name), Some(data)) = (parts.next(), parts.next()) else {
            return Err(SshKeyError::Syntax);
        };
        let kind = find_kind(name)?;
        let blob = STANDARD.decode(data).map_err(|_| SshKeyError::Data(kind))?;
        let bits = read_blob(kind, &blob).ok_or(SshKeyError::Data(kind))?;
        if kind == KeyKind::Rsa && !(SMALLEST_RSA..=LARGEST_RSA).contains(&bits) {
            return Err(SshKeyError::Bits { bits });
        }
        let comment = parts.next().unwrap_or_default().trim().chars().take(LONGEST_COMMENT).collect();
        Ok(Self { kind, fingerprint: fingerprint(&blob), bits, line: format!("{kind} {data}"), comment })
    }
}

fn find_kind(name: &str) -> Result<KeyKind, SshKeyError> {
    if let Some(kind) = KeyKind::ALL.into_iter().find(|kind| kind.name() == name) {
        return Ok(kind);
    }
    let is_name = |sign: char| sign.is_ascii_alphanumeric() || "-@.".contains(sign);
    if name.contains("-cert-v0") {
        Err(SshKeyError::Certificate)
    } else if name.len() <= 64 && (name.starts_with("ssh-") || name.starts_with("sk-")) && name.chars().all(is_name) {
        Err(SshKeyError::Kind(name.into()))
    } else {
        Err(SshKeyError::Syntax)
    }
}

/// Reads a key's blob to its very end and gives its size in bits; `None` when it is not a key of that kind.
fn read_blob(kind: KeyKind, blob: &[u8]) -> Option<u32> {
    let mut reader = Reader::new(blob);
    if reader.string()? != kind.name().as_bytes() {
        return None;
    }
    let bits = match kind {
        KeyKind::Ed25519 | KeyKind::SecurityKeyEd25519 => (reader.string()?.len() == 32).then_some(256)?,
        KeyKind::EcdsaP256 | KeyKind::SecurityKeyEcdsaP256 => {
            read_point(&mut reader, "nistp256", &signature::ECDSA_P256_SHA256_ASN1).then_some(256)?
        }
        KeyKind::EcdsaP384 => read_point(&mut reader, "nistp384", &signature::ECDSA_P384_SHA384_ASN1).then_some(384)?,
        KeyKind::EcdsaP521 => read_point(&mut reader, "nistp521", &signature::ECDSA_P521_SHA512_ASN1).then_some(521)?,
        KeyKind::Rsa => read_rsa(&mut reader)?,
    };
    if matches!(kind, KeyKind::SecurityKeyEd25519 | KeyKind::SecurityKeyEcdsaP256) {
        let application = std::str::from_utf8(reader.string()?).ok()?;
        if application.is_empty() || application.chars().any(char::is_control) {
            return None;
        }
    }
    reader.is_at_end().then_some(bits)
}

/// Says whether the next two strings are the curve's name and an uncompressed point that lies on it.
fn read_point(reader: &mut Reader<'_>, curve: &str, on: &'static signature::EcdsaVerificationAlgorithm) -> bool {
    let (Some(name), Some(point)) = (reader.string(), reader.string()) else {
        return false;
    };
    name == curve.as_bytes() && point.first() == Some(&4) && ParsedPublicKey::new(on, point).is_ok()
}

/// The modulus' size in bits, when exponent and modulus could be those of an RSA key.
fn read_rsa(reader: &mut Reader<'_>) -> Option<u32> {
    let (exponent, modulus) = (reader.number()?, reader.number()?);
    let is_odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
    let is_usable = exponent.len() <= 8 && exponent != [1] && is_odd(exponent) && is_odd(modulus);
    let zeros = modulus.first()?.leading_zeros();
    let bits = u32::try_from(modulus.len()).ok()?.checked_mul(8)?.checked_sub(zeros)?;
    is_usable.then_some(bits)
}

fn fingerprint(blob: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(digest::sha256(blob)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kind, size and fingerprint as OpenSSH 9.2's `ssh-keygen -l` prints them, and the line.
    const TAKEN: [(KeyKind, u32, &str, &str); 7] = [
        (
            KeyKind::Ed25519,
            256,
            "SHA256:dWRBGMllrh1b2KWkFqNy096qe6x09iur3ovMt/eszLs",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBOAXxqGdfTLvNBceX+7fjK6+FMHgawT+ElA8WUVF1aT",
        ),
        (
            KeyKind::EcdsaP256,
            256,
            "SHA256:Z1oWo2tpY3J8b7B8oVLAOMJZsWPX0uD5cGpGwsWJdRo",
            "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBL4Hd7ZjkacJN0YNrXOolU3/aHrxvCYbB7gce9AMz/aN4avanQq26nv+y3zeQkx+Qg193CnUnz17rCC++UYqC7o=",
        ),
        (
            KeyKind::EcdsaP384,
            384,
            "SHA256:rxUmMrundR8qPipeNf3T+ZWN0ncMuCupfh6PI5ofK+s",
            "ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBC20OYwtxZqoeItlZsjLLYq/+GvfSQlMVeRovQ3d56JhbD0K9O/Qq3K1g3bcCh/PhOd+8ZXy2EtZeHVlVE+A+9YGRIu5HNrnk+DrNl8GJgxUl8y402cbLxGIq0XDHUsbQA==",
        ),
        (
            KeyKind::EcdsaP521,
            521,
            "SHA256:X1KOSruVawOTOH9QFbjAsNig7FZVhcQ5tcD+RzbjN8k",
            "ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBAAa7CzJsXdRHrW/Y7Zl8oBRpD6o9ZjK2rOgaYQ5TvziCBy4WcmGuQod0LtpByUzhfNJ5IPW3nT08Yn9bkT8njdtMgEnFTI2jC1SlW2Une/33+dPtDA5NZf8Qvznu8kolwv4eJJisZo/J7ALe91mGbSH6PihuFd6dJ7cvXB38t/brPsxlQ==",
        ),
        (
            KeyKind::Rsa,
            2048,
            "SHA256:/i30KJeZEP2cRkzP1gutD/8kwSqUHd6sPxoRQUOo+lc",
            "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC2A2EOBSflkpVCaMUHnl1+17HrI5hDKEwfxVkrG7bPdqv2rFnlDx42JC0FwthaTGcPiKxdAKMLmz+mDUW8OcFWkEa4grjjwowkbYIp1ehbDxPGDOxNlDSOOKr5M0WInXjDLFbLgusXJxIUvSLcGO2NTCe3aA36WC6U4MjvrCWXcLhJ61sy0EAqt05ZRMicOUaxis4S5ZEM/TeA6L/fADZ0fx//KE4HLoiyvFHp3v04L3WxnMb6XyUm1aTs1fCXBzrm/rdJ3XnFz08YTS3VER7SXiPCZY8l88/dQ1jStPanvICU7J8TIgNRWYpo1FiTsIwipJoNlMi3wSAGl/LgbAI7",
        ),
        (
            KeyKind::SecurityKeyEd25519,
            256,
            "SHA256:6gcI7q24Uf/4jZEyRdzDIZ2x5pW2AxPAQt/lgHoHae0",
            "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAINSoElFleH+nN83FoLqqepJjN+y7Gs5lrn7qXjBqQZyuAAAABHNzaDo=",
        ),
        (
            KeyKind::SecurityKeyEcdsaP256,
            256,
            "SHA256:UINe2WXFh3SiqwLxsBv34fBO2ei+g7uOeJJXVEK95iE",
            "sk-ecdsa-sha2-nistp256@openssh.com AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZAb3BlbnNzaC5jb20AAAAIbmlzdHAyNTYAAABBBIELQJ2DgvaX1yQlKFokfWM2suuaCFI2qp0eJodHyg6O4ifxc3XpRKd1OS8dNYQtE/YjdXSrA+AOnMF5ns2Nkx4AAAAEc3NoOg==",
        ),
    ];
    const SMALL_RSA: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQCjLQtkaCefqlXxZAwylSCV4cEQkmeqO/Ep3mdFPz316b72JG6+eeKlIoiFyGXniR1ZnQ/adT1O35KveQP/edohAs/jBl9OxES1dO6b1RNHJx3B5+/mDrZt0cbKUpmcVYVqvnV/+7vQUfsCW3vqgSBK3h24e9EnaYCZ0vI67kk4FQ==";

    #[test]
    fn what_is_not_a_plain_strong_key_is_refused_by_name() {
        let ed25519 = TAKEN[0].3;
        let data = ed25519.split(' ').nth(1).unwrap();
        let cases = [
            (String::new(), SshKeyError::Syntax),
            ("ssh-ed25519".into(), SshKeyError::Syntax),
            (format!("{ed25519}\n{ed25519}"), SshKeyError::Syntax),
            (format!("command=\"sh\" {ed25519}"), SshKeyError::Syntax),
            (format!("{ed25519} {}", "a".repeat(9000)), SshKeyError::Syntax),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blbn".into(), SshKeyError::Private),
            (format!("ssh-dss {data}"), SshKeyError::Kind("ssh-dss".into())),
            (format!("ssh-ed25519-cert-v01@openssh.com {data}"), SshKeyError::Certificate),
            (SMALL_RSA.into(), SshKeyError::Bits { bits: 1024 }),
            (format!("ssh-rsa {data}"), SshKeyError::Data(KeyKind::Rsa)),
            (format!("ssh-ed25519 {}", &data[..data.len() - 4]), SshKeyError::Data(KeyKind::Ed25519)),
            (format!("ssh-ed25519 {data}AAAA"), SshKeyError::Data(KeyKind::Ed25519)),
            ("ssh-ed25519 %%%%".into(), SshKeyError::Data(KeyKind::Ed25519)),
        ];
        for (line, error) in cases {
            assert_eq!(PublicKey::parse(&line), Err(error), "{line}");
        }
    }

    #[test]
    fn a_point_that_is_not_on_its_curve_is_refused() {
        let (kind, _, _, line) = TAKEN[1];
        let mut blob = STANDARD.decode(line.split(' ').nth(1).unwrap()).unwrap();
        *blob.last_mut().unwrap() ^= 1;
        let line = format!("{kind} {}", STANDARD.encode(blob));
        assert_eq!(PublicKey::parse(&line), Err(SshKeyError::Data(kind)));
    }

    #[test]
    fn every_kind_is_read_as_openssh_reads_it() {
        for (kind, bits, fingerprint, line) in TAKEN {
            let key = PublicKey::parse(&format!("  {line}\t me@host  \n")).unwrap();
            let expected =
                PublicKey { kind, fingerprint: fingerprint.into(), bits, line: line.into(), comment: "me@host".into() };
            assert_eq!(key, expected);
        }
    }
}

//! Security keys and passkeys as browsers bring them (W3C Web Authentication, level 3): registration and assertion are
//! verified here, bytes in, verdict out. What a key says of its maker is not asked for and never looked at. Never says
//! which check failed to who sent it: the errors are for the log.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::cbor::{self, Item};
use crate::digest;

/// The algorithms whose keys are taken, by their COSE numbers, the one that we like best first.
pub const ALGORITHMS: [i64; 3] = [ED_DSA, ES256, RS256];
const ES256: i64 = -7;
const ED_DSA: i64 = -8;
const RS256: i64 = -257;
/// The largest credential id (section 5.8.3).
const LONGEST_ID: usize = 1023;
/// SHA-256 of the relying party's id, flags, counter (section 6.1).
const HEAD: usize = 32 + 1 + 4;
const PRESENT: u8 = 0x01;
const ATTESTED: u8 = 0x40;
const EXTENDED: u8 = 0x80;

/// Why a key was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebauthnError {
    /// What came is not of the form that browsers send.
    #[error("what the browser sent does not parse")]
    Form,
    /// Made for another purpose, another challenge, another origin, or within a frame of another site.
    #[error("what the browser sent was made for another page or moment")]
    Context,
    /// Made for another site.
    #[error("the key answered for another site")]
    Site,
    /// Nobody touched the key.
    #[error("nobody touched the key")]
    Presence,
    /// An algorithm that was not offered, or a key that is none.
    #[error("the key uses an algorithm that is not known here")]
    Algorithm,
    /// The signature does not hold.
    #[error("the key's signature does not hold")]
    Signature,
    /// The counter did not grow: the key was copied, or the answer is an old one.
    #[error("the key's counter went backwards: it may have been copied")]
    Counter,
}

/// Whom keys answer to, and what for.
#[derive(Clone, Copy, Debug)]
pub struct Ceremony<'c> {
    /// The site's host name.
    pub site: &'c str,
    /// The site's origin, just as browsers write it.
    pub origin: &'c str,
    /// The random bytes that were given out for this ceremony alone.
    pub challenge: &'c [u8],
}

/// A new credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Its id.
    pub id: Vec<u8>,
    /// Its public key in COSE form, as it came.
    pub public_key: Vec<u8>,
    /// Its signature counter.
    pub counter: u32,
}

/// What a browser sends back of a key that signed.
#[derive(Clone, Copy, Debug)]
pub struct Assertion<'a> {
    /// The JSON text that the browser made.
    pub client_data: &'a [u8],
    /// What the key said.
    pub authenticator_data: &'a [u8],
    /// The key's signature over both.
    pub signature: &'a [u8],
}

impl Ceremony<'_> {
    /// Verifies what a browser brought of a new key (section 7.1).
    pub fn register(&self, client_data: &[u8], attestation: &[u8]) -> Result<Credential, WebauthnError> {
        self.judge_client(client_data, "webauthn.create")?;
        let attestation = cbor::whole(attestation).ok_or(WebauthnError::Form)?;
        let data = attestation.named("authData").and_then(Item::as_bytes).ok_or(WebauthnError::Form)?;
        let head = self.judge_head(data)?;
        if head.flags & ATTESTED == 0 {
            return Err(WebauthnError::Form);
        }
        // The model's id comes first; it is not asked for, so browsers leave it empty.
        let (_, rest) = head.rest.split_at_checked(16).ok_or(WebauthnError::Form)?;
        let (length, rest) = rest.split_first_chunk::<2>().ok_or(WebauthnError::Form)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (id, rest) = rest.split_at_checked(length).ok_or(WebauthnError::Form)?;
        if id.is_empty() || id.len() > LONGEST_ID {
            return Err(WebauthnError::Form);
        }
        let (_, behind) = cbor::first(rest).ok_or(WebauthnError::Form)?;
        let public_key = rest.get(..rest.len() - behind.len()).ok_or(WebauthnError::Form)?;
        judge_extensions(head.flags, behind)?;
        PublicKey::parse(public_key)?;
        Ok(Credential { id: id.to_vec(), public_key: public_key.to_vec(), counter: head.counter })
    }

    /// Verifies that a key signed this ceremony (section 7.2). `public_key` and `counter` are those known so far; gives
    /// the new counter, which the caller keeps in the same step in which it acts on the verdict.
    pub fn assert(&self, public_key: &[u8], counter: u32, sent: &Assertion<'_>) -> Result<u32, WebauthnError> {
        self.judge_client(sent.client_data, "webauthn.get")?;
        let head = self.judge_head(sent.authenticator_data)?;
        if head.flags & ATTESTED != 0 {
            return Err(WebauthnError::Form);
        }
        judge_extensions(head.flags, head.rest)?;
        let signed = [sent.authenticator_data, &digest::sha256(sent.client_data)].concat();
        PublicKey::parse(public_key)?.verify(&signed, sent.signature)?;
        // A key without a counter always says 0.
        if (counter != 0 || head.counter != 0) && head.counter <= counter {
            return Err(WebauthnError::Counter);
        }
        Ok(head.counter)
    }

    fn judge_client(&self, text: &[u8], kind: &str) -> Result<(), WebauthnError> {
        let client: ClientData = serde_json::from_slice(text).map_err(|_| WebauthnError::Form)?;
        let challenge = URL_SAFE_NO_PAD.decode(client.challenge).map_err(|_| WebauthnError::Form)?;
        let is_own = client.kind == kind
            && digest::is_same(&challenge, self.challenge)
            && !self.challenge.is_empty()
            && client.origin == self.origin
            && !client.is_cross_origin;
        if is_own { Ok(()) } else { Err(WebauthnError::Context) }
    }

    fn judge_head<'d>(&self, data: &'d [u8]) -> Result<Head<'d>, WebauthnError> {
        let (head, rest) = data.split_at_checked(HEAD).ok_or(WebauthnError::Form)?;
        let (site, head) = head.split_at_checked(32).ok_or(WebauthnError::Form)?;
        let (flags, counter) = head.split_first().ok_or(WebauthnError::Form)?;
        let counter = counter.first_chunk::<4>().ok_or(WebauthnError::Form)?;
        if !digest::is_same(site, &digest::sha256(self.site.as_bytes())) {
            return Err(WebauthnError::Site);
        }
        if flags & PRESENT == 0 {
            return Err(WebauthnError::Presence);
        }
        Ok(Head { flags: *flags, counter: u32::from_be_bytes(*counter), rest })
    }
}

/// The part of the browser's JSON that is judged. Later browsers may say more.
#[derive(Deserialize)]
struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(rename = "crossOrigin", default)]
    is_cross_origin: bool,
}

/// What every answer of a key begins with.
struct Head<'d> {
    flags: u8,
    counter: u32,
    rest: &'d [u8],
}

/// Extensions are not asked for; those that come all the same must at least be one whole map.
fn judge_extensions(flags: u8, rest: &[u8]) -> Result<(), WebauthnError> {
    let is_fine = if flags & EXTENDED == 0 { rest.is_empty() } else { matches!(cbor::whole(rest), Some(Item::Map(_))) };
    if is_fine { Ok(()) } else { Err(WebauthnError::Form) }
}

/// A key in the form that the cipher library takes.
enum PublicKey<'k> {
    P256([u8; 65]),
    Ed25519(&'k [u8]),
    Rsa { modulus: &'k [u8], exponent: &'k [u8] },
}

impl<'k> PublicKey<'k> {
    /// Reads a COSE key (RFC 9053, sections 7.1 and 7.2; RFC 8230, section 4).
    fn parse(bytes: &'k [u8]) -> Result<Self, WebauthnError> {
        let key = cbor::whole(bytes).ok_or(WebauthnError::Form)?;
        let int = |place| key.at(place).and_then(Item::as_int);
        let part = |place| key.at(place).and_then(Item::as_bytes).ok_or(WebauthnError::Algorithm);
        let coordinate = |place| part(place).and_then(|part| part.try_into().map_err(|_| WebauthnError::Algorithm));
        match (int(1), int(3), int(-1)) {
            (Some(2), Some(ES256), Some(1)) => {
                let (x, y): (&[u8; 32], &[u8; 32]) = (coordinate(-2)?, coordinate(-3)?);
                let mut point = [4; 65];
                let places = point.iter_mut().skip(1);
                places.zip(x.iter().chain(y)).for_each(|(place, byte)| *place = *byte);
                Ok(Self::P256(point))
            }
            (Some(1), Some(ED_DSA), Some(6)) => {
                let x: &[u8; 32] = coordinate(-2)?;
                Ok(Self::Ed25519(x))
            }
            (Some(3), Some(RS256), _) => Ok(Self::Rsa { modulus: part(-1)?, exponent: part(-2)? }),
            _ => Err(WebauthnError::Algorithm),
        }
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), WebauthnError> {
        let held = match self {
            Self::P256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(message, signature),
            Self::Ed25519(x) => UnparsedPublicKey::new(&ED25519, x).verify(message, signature),
            Self::Rsa { modulus, exponent } => {
                let key = RsaPublicKeyComponents { n: modulus, e: exponent };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
        };
        held.map_err(|_| WebauthnError::Signature)
    }
}

#[cfg(test)]
#[path = "webauthn_test.rs"]
mod tests;

//! Reads PEM text into blocks. The only file that names rustls-pemfile; knows nothing of what is inside a block.

use rustls_pemfile::Item;

/// What a PEM file holds.
#[derive(Debug)]
pub(crate) struct Blocks {
    /// The certificates as DER, in the file's order.
    pub(crate) certificates: Vec<Vec<u8>>,
    /// How many private keys are inside, encrypted ones too.
    pub(crate) private_keys: usize,
    /// PKCS#7 structures as DER.
    pub(crate) containers: Vec<Vec<u8>>,
    /// OpenSSL's trusted certificates, with its remarks after the DER.
    pub(crate) trusted: Vec<Vec<u8>>,
}

/// Why a file is not a PEM file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PemFault {
    /// No `-----BEGIN` line.
    NotPem,
    /// DER: the binary form of a certificate.
    Der,
    /// A block that does not end, or is not base64. Says which.
    Damaged(String),
}

/// Reads every block of `bytes`. Fails when there is none, or one is cut or garbled.
pub(crate) fn read(bytes: &[u8]) -> Result<Blocks, PemFault> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let labels = labels(bytes);
    if labels.is_empty() {
        return Err(if looks_like_der(bytes) { PemFault::Der } else { PemFault::NotPem });
    }
    let private_keys = labels.iter().filter(|label| label.ends_with("PRIVATE KEY")).count();
    let (containers, trusted) = (labelled(bytes, CONTAINERS), labelled(bytes, TRUSTED));
    let mut blocks = Blocks { certificates: Vec::new(), private_keys, containers, trusted };
    let mut rest = bytes;
    loop {
        match rustls_pemfile::read_one_from_slice(rest) {
            Ok(Some((Item::X509Certificate(certificate), after))) => {
                blocks.certificates.push(certificate.to_vec());
                rest = after;
            }
            Ok(Some((_, after))) => rest = after,
            Ok(None) => return Ok(blocks),
            Err(error) => return Err(PemFault::Damaged(said(&error))),
        }
    }
}

const CONTAINERS: &[&str] = &["PKCS7", "CMS", "PKCS #7 SIGNED DATA"];
const TRUSTED: &[&str] = &["TRUSTED CERTIFICATE", "X509 CERTIFICATE"];

/// The whole blocks with one of these labels, which rustls-pemfile passes over. Each is read under a label that it knows.
fn labelled(bytes: &[u8], wanted: &[&str]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut block: Option<(&str, String)> = None;
    for line in bytes.split(|byte| matches!(byte, b'\n' | b'\r')) {
        let Ok(line) = std::str::from_utf8(line).map(str::trim_end) else { continue };
        let label = |start: &str| line.strip_prefix(start).and_then(|rest| rest.strip_suffix("-----"));
        if let Some(label) = label("-----BEGIN ") {
            let name = wanted.iter().find(|name| **name == label);
            block = name.map(|name| (*name, "-----BEGIN CERTIFICATE-----\n".to_owned()));
        } else if let Some(label) = label("-----END ") {
            if let Some((_, mut text)) = block.take().filter(|(name, _)| *name == label) {
                text.push_str("-----END CERTIFICATE-----\n");
                if let Ok(Some((Item::X509Certificate(der), _))) = rustls_pemfile::read_one_from_slice(text.as_bytes())
                {
                    found.push(der.to_vec());
                }
            }
        } else if let Some((_, text)) = &mut block {
            text.push_str(line);
            text.push('\n');
        }
    }
    found
}

/// Writes one block.
pub(crate) fn block(label: &str, der: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(der.len() * 3 / 2);
    for (index, chunk) in der.chunks(3).enumerate() {
        if index > 0 && index % 16 == 0 {
            text.push('\n');
        }
        let word = chunk.iter().fold(0_usize, |word, byte| word << 8 | usize::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let letter = LETTERS.get(word >> (18 - 6 * place) & 63).filter(|_| place <= chunk.len());
            text.push(letter.map_or('=', |letter| char::from(*letter)));
        }
    }
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

/// A DER certificate is one SEQUENCE with a two-byte length; text never begins so.
fn looks_like_der(bytes: &[u8]) -> bool {
    matches!(bytes, [0x30, 0x80..=0x84, ..])
}

fn labels(bytes: &[u8]) -> Vec<String> {
    let label = |line: &[u8]| {
        let line = std::str::from_utf8(line).ok()?.trim_end();
        let label = line.strip_prefix("-----BEGIN ")?.strip_suffix("-----")?;
        Some(label.to_owned())
    };
    bytes.split(|byte| matches!(byte, b'\n' | b'\r')).filter_map(label).collect()
}

fn said(error: &rustls_pemfile::Error) -> String {
    match error {
        rustls_pemfile::Error::MissingSectionEnd { end_marker } => {
            format!("a block `{}` has no END line", crate::text::line(&String::from_utf8_lossy(end_marker)))
        }
        rustls_pemfile::Error::IllegalSectionStart { .. } => "a BEGIN line is not well formed".into(),
        rustls_pemfile::Error::Base64Decode(_) => "a block is not base64".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_pem_is_told_apart() {
        for (bytes, expected) in [
            (&b"hello"[..], PemFault::NotPem),
            (b"", PemFault::NotPem),
            (b"\x30\x82\x01\x0a\x30", PemFault::Der),
            (b"-----BEGIN CERTIFICATE-----\nAAAA\n", PemFault::Damaged("a block `CERTIFICATE` has no END line".into())),
            (
                b"-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n",
                PemFault::Damaged("a block is not base64".into()),
            ),
        ] {
            assert_eq!(read(bytes).unwrap_err(), expected, "{bytes:?}");
        }
    }

    #[test]
    fn keys_are_counted_by_their_label_and_other_blocks_passed_over() {
        let text = "\u{feff}-----BEGIN ENCRYPTED PRIVATE KEY-----\r\nAAAA\r\n-----END ENCRYPTED PRIVATE KEY-----\r\n\
                    -----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n\
                    -----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let blocks = read(text.as_bytes()).unwrap();
        assert_eq!((blocks.private_keys, blocks.certificates.len()), (1, 1));
    }

    #[test]
    fn what_is_written_is_read_again() {
        for length in [1, 2, 3, 47, 48, 49, 200] {
            let der: Vec<u8> = (0..length).collect();
            let text = block("CERTIFICATE", &der);
            assert_eq!(read(text.as_bytes()).map(|blocks| blocks.certificates).ok(), Some(vec![der]), "{text}");
            assert!(text.lines().all(|line| line.len() <= 64), "{text}");
        }
    }

    #[test]
    fn containers_and_trusted_certificates_are_kept_apart() {
        let text = "some words\n-----BEGIN PKCS7-----\nAAAA\n-----END PKCS7-----\nmore words\n\
                    -----BEGIN TRUSTED CERTIFICATE-----\r\nAAEC\r\n-----END TRUSTED CERTIFICATE-----\r\n";
        let blocks = read(text.as_bytes()).unwrap();
        assert_eq!((blocks.containers, blocks.trusted), (vec![vec![0, 0, 0]], vec![vec![0, 1, 2]]));
    }
}

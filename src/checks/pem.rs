//! Reads PEM text into blocks. The only file that names rustls-pemfile; knows nothing of what is inside a block.

use rustls_pemfile::Item;

/// What a PEM file holds.
#[derive(Debug)]
pub(crate) struct Blocks {
    /// The certificates as DER, in the file's order.
    pub(crate) certificates: Vec<Vec<u8>>,
    /// How many private keys are inside, encrypted ones too.
    pub(crate) private_keys: usize,
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
    let mut blocks = Blocks { certificates: Vec::new(), private_keys };
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
}

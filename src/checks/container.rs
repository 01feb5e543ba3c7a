//! Certificates out of the wrappings they travel in: PKCS#7 (also called CMS, .p7b) and OpenSSL's trusted certificates. Walks
//! DER within the bytes it is given; follows no length beyond them, and verifies nothing.

/// signedData, PKCS #7, 14.
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];

/// The most certificates that are taken out of one container.
const MOST: usize = 10_000;

/// One element: its tag, what is inside, and all of it.
struct Element<'b> {
    tag: u8,
    content: &'b [u8],
    whole: &'b [u8],
}

/// The certificates of a PKCS#7 structure in DER. `None` when it is none; those in BER's open-ended form are not read.
pub(crate) fn signed_data(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (outer, _) = element(bytes).filter(|(outer, _)| outer.tag == 0x30)?;
    let (kind, rest) = element(outer.content)?;
    if kind.tag != 0x06 || kind.content != SIGNED_DATA {
        return None;
    }
    let (explicit, _) = element(rest).filter(|(explicit, _)| explicit.tag == 0xa0)?;
    let (data, _) = element(explicit.content).filter(|(data, _)| data.tag == 0x30)?;
    let mut found = Vec::new();
    let mut rest = data.content;
    while let Some((part, after)) = element(rest) {
        rest = after;
        let mut inside = if part.tag == 0xa0 { part.content } else { &[] };
        while let Some((certificate, after)) = element(inside).filter(|_| found.len() < MOST) {
            inside = after;
            if certificate.tag == 0x30 {
                found.push(certificate.whole.to_vec());
            }
        }
    }
    Some(found)
}

/// The first element of `bytes`: a trusted certificate is a plain one with OpenSSL's own remarks after it.
pub(crate) fn first(bytes: &[u8]) -> Option<&[u8]> {
    element(bytes).filter(|(first, _)| first.tag == 0x30).map(|(first, _)| first.whole)
}

/// What is inside the element that `bytes` begin with, and what follows it.
pub(crate) fn inside(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    element(bytes).map(|(first, after)| (first.content, after))
}

fn element(bytes: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&short, rest) = rest.split_first()?;
    let (length, rest) = match short {
        0..=0x7f => (usize::from(short), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(length)?;
    let whole = bytes.get(..bytes.len() - after.len())?;
    Some((Element { tag, content, whole }, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus_certificate::{oid, sequence, tlv};

    #[test]
    fn certificates_come_out_of_a_container_in_its_order() {
        let (one, two) = (sequence(&[&[5, 0]]), sequence(&[&[5, 0], &[5, 0]]));
        let data = sequence(&[&[2, 1, 1], &tlv(0x31, &[]), &sequence(&[]), &tlv(0xa0, &[&one, &two]), &tlv(0x31, &[])]);
        let whole = sequence(&[&oid("1.2.840.113549.1.7.2"), &tlv(0xa0, &[&data])]);
        assert_eq!(signed_data(&whole), Some(vec![one.clone(), two]));
        for cut in 0..whole.len() {
            assert_eq!(signed_data(&whole[..cut]), None, "cut at {cut}");
        }
        assert_eq!((signed_data(&one), first(&[&one[..], b"more"].concat())), (None, Some(&one[..])));
    }
}

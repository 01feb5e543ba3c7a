//! Writes certificates byte by byte, so that each can be wrong in just one way. For tests alone; rcgen and openssl refuse
//! most of what is made here.

use std::path::Path;

pub(crate) use crate::corpus_key::Key;
pub(crate) use crate::pem::block as pem;

/// Everything that is in a certificate. Times in days from now.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) subject: String,
    pub(crate) issuer: String,
    pub(crate) version: u8,
    pub(crate) from: i64,
    pub(crate) until: i64,
    /// Places in the ring of keys.
    pub(crate) key: usize,
    pub(crate) signer: usize,
    /// What it is signed with: `sha256`, `sha1`, `pss-sha256-32`.
    pub(crate) hash: &'static str,
    /// Critical, CA, path length.
    pub(crate) constraints: Option<(bool, bool, Option<u8>)>,
    /// The first byte of the bit string.
    pub(crate) usage: Option<u8>,
    pub(crate) purposes: Vec<&'static str>,
    pub(crate) has_subject_key: bool,
    pub(crate) is_subject_key_critical: bool,
    pub(crate) has_issuer_key: bool,
    pub(crate) is_issuer_key_wrong: bool,
    pub(crate) hosts: Vec<String>,
    pub(crate) addresses: Vec<[u8; 4]>,
    pub(crate) permitted: Vec<&'static str>,
    pub(crate) excluded: Vec<&'static str>,
    /// Further subtrees: excluded or not, the kind's tag, the name.
    pub(crate) trees: Vec<(bool, u8, &'static str)>,
    /// Further names in subjectAltName: the kind's tag, the name.
    pub(crate) more_names: Vec<(u8, &'static str)>,
    /// nsCertType.
    pub(crate) netscape: Option<u8>,
    /// An extension of this object identifier, critical.
    pub(crate) critical: Option<&'static str>,
    pub(crate) is_subject_printable: bool,
    pub(crate) is_tampered: bool,
}

impl Spec {
    /// A root.
    pub(crate) fn root(name: &str, key: usize) -> Self {
        Self {
            subject: name.into(),
            issuer: name.into(),
            version: 3,
            from: -100,
            until: 1000,
            key,
            signer: key,
            hash: "sha256",
            constraints: Some((true, true, None)),
            usage: Some(0x06),
            purposes: Vec::new(),
            has_subject_key: true,
            is_subject_key_critical: false,
            has_issuer_key: true,
            is_issuer_key_wrong: false,
            hosts: Vec::new(),
            addresses: Vec::new(),
            permitted: Vec::new(),
            excluded: Vec::new(),
            trees: Vec::new(),
            more_names: Vec::new(),
            netscape: None,
            critical: None,
            is_subject_printable: false,
            is_tampered: false,
        }
    }

    /// An authority below `above`.
    pub(crate) fn below(above: &Self, name: &str, key: usize) -> Self {
        Self { issuer: above.subject.clone(), signer: above.key, ..Self::root(name, key) }
    }

    /// A server's certificate below `above`.
    pub(crate) fn server(above: &Self, host: &str, key: usize) -> Self {
        Self {
            constraints: Some((true, false, None)),
            usage: Some(0x80),
            purposes: vec!["1.3.6.1.5.5.7.3.1"],
            hosts: vec![host.into()],
            ..Self::below(above, host, key)
        }
    }

    /// The certificate as DER.
    pub(crate) fn der(&self, ring: &[Key], now: i64, dir: &Path) -> Vec<u8> {
        let signer = &ring[self.signer];
        let algorithm = signer.algorithm(self.hash);
        let serial =
            (self.subject.len() * 64 + self.key + 1) as u64 + (self.hash.len() as u64) * 7 + self.until.unsigned_abs();
        let serial = tlv(2, &[&[1], &serial.to_be_bytes()]);
        let validity = sequence(&[&moment(now + self.from * 86400), &moment(now + self.until * 86400)]);
        let version = tlv(0xa0, &[&tlv(2, &[&[self.version - 1]])]);
        let version = if self.version == 1 { Vec::new() } else { version };
        let extensions = if self.version == 1 { Vec::new() } else { self.extensions(ring) };
        let signed = sequence(&[
            &version,
            &serial,
            &algorithm,
            &name(&self.issuer, false),
            &validity,
            &name(&self.subject, self.is_subject_printable),
            &ring[self.key].info(),
            &extensions,
        ]);
        let mut signature = signer.sign(&signed, self.hash, dir);
        if self.is_tampered {
            let last = signature.len() - 1;
            signature[last] ^= 1;
        }
        sequence(&[&signed, &algorithm, &tlv(3, &[&[0], &signature])])
    }

    fn extensions(&self, ring: &[Key]) -> Vec<u8> {
        let mut all = Vec::new();
        let mut add = |id: &str, critical: bool, value: Vec<u8>| {
            let flag: &[u8] = if critical { &[1, 1, 0xff] } else { &[] };
            all.extend(sequence(&[&oid(id), flag, &tlv(4, &[&value])]));
        };
        if let Some((critical, ca, length)) = self.constraints {
            let ca: &[u8] = if ca { &[1, 1, 0xff] } else { &[] };
            let length = length.map(|length| vec![2, 1, length]).unwrap_or_default();
            add("2.5.29.19", critical, sequence(&[ca, &length]));
        }
        if let Some(bits) = self.usage {
            add("2.5.29.15", true, tlv(3, &[&[u8::try_from(bits.trailing_zeros()).unwrap(), bits]]));
        }
        if !self.purposes.is_empty() {
            let purposes: Vec<u8> = self.purposes.iter().flat_map(|purpose| oid(purpose)).collect();
            add("2.5.29.37", false, sequence(&[&purposes]));
        }
        if self.has_subject_key {
            add("2.5.29.14", self.is_subject_key_critical, tlv(4, &[&key_id(&ring[self.key])]));
        }
        if self.has_issuer_key {
            let mut id = key_id(&ring[self.signer]);
            id[0] ^= u8::from(self.is_issuer_key_wrong);
            add("2.5.29.35", false, sequence(&[&tlv(0x80, &[&id])]));
        }
        let mut names: Vec<u8> = self.hosts.iter().flat_map(|host| tlv(0x82, &[host.as_bytes()])).collect();
        names.extend(self.addresses.iter().flat_map(|address| tlv(0x87, &[address])));
        names.extend(self.more_names.iter().flat_map(|(tag, text)| general(*tag, text)));
        if !names.is_empty() {
            add("2.5.29.17", false, sequence(&[&names]));
        }
        if let Some(bits) = self.netscape {
            add("2.16.840.1.113730.1.1", false, tlv(3, &[&[u8::try_from(bits.trailing_zeros()).unwrap(), bits]]));
        }
        if !self.permitted.is_empty() || !self.excluded.is_empty() || !self.trees.is_empty() {
            let trees = |is_excluded: bool, hosts: &[&str]| {
                let hosts = hosts.iter().map(|host| (0x82, *host));
                let others = self.trees.iter().filter(|tree| tree.0 == is_excluded).map(|tree| (tree.1, tree.2));
                let trees: Vec<u8> =
                    hosts.chain(others).flat_map(|(tag, text)| sequence(&[&general(tag, text)])).collect();
                if trees.is_empty() { trees } else { tlv(0xa0 + u8::from(is_excluded), &[&trees]) }
            };
            add("2.5.29.30", true, sequence(&[&trees(false, &self.permitted), &trees(true, &self.excluded)]));
        }
        if let Some(id) = self.critical {
            // Certificate policies need a sequence of sequences; the others may hold anything.
            let value = if id == "2.5.29.32" { sequence(&[&sequence(&[&oid("1.2.3.4")])]) } else { vec![5, 0] };
            add(id, true, value);
        }
        if all.is_empty() { all } else { tlv(0xa3, &[&sequence(&[&all])]) }
    }
}

/// One name of a kind: 0x81 mail, 0x82 host, 0x86 URI; 0xa4 a directory name, of which the common name is given.
fn general(tag: u8, text: &str) -> Vec<u8> {
    if tag == 0xa4 { tlv(tag, &[&name(text, false)]) } else { tlv(tag, &[text.as_bytes()]) }
}

/// An identifier that only this key has.
fn key_id(key: &Key) -> Vec<u8> {
    let info = key.info();
    let middle = info.len() / 2;
    info[middle..middle + 20].to_vec()
}

fn moment(seconds: i64) -> Vec<u8> {
    let format = time::macros::format_description!("[year repr:last_two][month][day][hour][minute][second]Z");
    let text = time::OffsetDateTime::from_unix_timestamp(seconds).unwrap().format(format).unwrap();
    tlv(0x17, &[text.as_bytes()])
}

fn name(common: &str, is_printable: bool) -> Vec<u8> {
    let tag = if is_printable { 0x13 } else { 0x0c };
    let attribute = sequence(&[&oid("2.5.4.3"), &tlv(tag, &[common.as_bytes()])]);
    sequence(&[&tlv(0x31, &[&attribute])])
}

pub(crate) fn oid(text: &str) -> Vec<u8> {
    let arcs: Vec<u64> = text.split('.').map(|arc| arc.parse().unwrap()).collect();
    let mut bytes = vec![u8::try_from(arcs[0] * 40 + arcs[1]).unwrap()];
    for arc in &arcs[2..] {
        let mut groups = vec![u8::try_from(arc & 0x7f).unwrap()];
        let mut rest = arc >> 7;
        while rest > 0 {
            groups.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
            rest >>= 7;
        }
        bytes.extend(groups.iter().rev());
    }
    tlv(6, &[&bytes])
}

pub(crate) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, parts)
}

pub(crate) fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content: Vec<u8> = parts.concat();
    let length = content.len();
    let mut bytes = vec![tag];
    if length < 128 {
        bytes.push(u8::try_from(length).unwrap());
    } else {
        let all = length.to_be_bytes();
        let start = all.iter().position(|byte| *byte != 0).unwrap();
        bytes.push(0x80 | u8::try_from(all.len() - start).unwrap());
        bytes.extend(&all[start..]);
    }
    bytes.extend(content);
    bytes
}

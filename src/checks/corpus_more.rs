//! More of the corpus: every algorithm with every hash, kinds of names with constraints of their kind, and paths that are long.
//! For tests alone.

use crate::corpus::{Fault, HOST, SERVER, Scenario, rekey, sound};
use crate::corpus_certificate::Spec;
use crate::corpus_key::{Key, Kind};

/// The first of the keys that [`keys`] makes, in the ring.
pub(crate) const FIRST: usize = 8;

/// Kinds of keys with the hashes that they are tried with.
const MATRIX: &[(Kind, &str, &[&str])] = &[
    (Kind::Ec, "P-224", &["sha256", "sha512"]),
    (Kind::Ec, "P-256", &["sha1", "sha224", "sha256", "sha384", "sha512", "sha3-256"]),
    (Kind::Ec, "P-384", &["sha256", "sha384", "sha512", "sha3-384"]),
    (Kind::Ec, "P-521", &["sha1", "sha224", "sha256", "sha384", "sha512", "sha3-512"]),
    (Kind::Ec, "secp256k1", &["sha256", "sha512"]),
    (Kind::Ec, "brainpoolP256r1", &["sha256"]),
    (Kind::Rsa, "1024", &["sha1", "sha256", "sha384", "sha512"]),
    (
        Kind::Rsa,
        "2048",
        &[
            "md5",
            "sha1",
            "sha224",
            "sha256",
            "sha384",
            "sha512",
            "sha3-256",
            "sha3-512",
            "pss-sha256-32",
            "pss-sha256-20",
            "pss-sha384-48",
            "pss-sha512-64",
            "pss-sha1-20",
        ],
    ),
    (Kind::Rsa, "4096", &["sha256", "sha512"]),
    (Kind::Pss, "2048", &["pss-sha256-32", "pss-sha256-20", "pss-sha384-48", "pss-sha512-64", "sha256"]),
    (Kind::Ed25519, "", &[""]),
    (Kind::Ed448, "", &[""]),
];

/// One key a row of the matrix.
pub(crate) fn keys() -> Vec<Key> {
    MATRIX.iter().map(|(kind, what, _)| Key::made(*kind, what)).collect()
}

/// What follows [`crate::corpus::all`].
pub(crate) fn all() -> Vec<Scenario> {
    let mut all = Vec::new();
    for (row, (kind, what, hashes)) in MATRIX.iter().enumerate() {
        for hash in *hashes {
            for place in 0..2 {
                let mut scenario = sound(1);
                rekey(&mut scenario, place, FIRST + row);
                for spec in scenario.specs.iter_mut().filter(|spec| spec.signer == FIRST + row) {
                    spec.hash = hash;
                }
                scenario.name = format!("signed by {kind:?} {what} with {hash} at {place}");
                all.push(scenario);
            }
        }
    }
    constraints(&mut all);
    for between in [5, 6, 7, 8] {
        all.push(long(between));
    }
    all
}

/// A sound path that is longer than there are plain keys in the ring.
fn long(between: usize) -> Scenario {
    let mut specs = vec![Spec::root("Acme Root", 0)];
    for place in 1..=between {
        let next = Spec::below(&specs[place - 1], &format!("Acme Issuing {place}"), place % SERVER);
        specs.push(next);
    }
    specs.push(Spec::server(&specs[between], HOST, SERVER));
    let served = (1..specs.len()).rev().collect();
    Scenario { name: format!("{between} between"), specs, served, given: vec![0], host: HOST }
}

const MAIL: u8 = 0x81;
const URI: u8 = 0x86;
const DIRECTORY: u8 = 0xa4;

/// Subtrees of every kind, and what the server's certificate may be for beside its host.
const TREES: &[(u8, &str)] = &[
    (MAIL, "acme.internal"),
    (MAIL, ".acme.internal"),
    (MAIL, "ops@acme.internal"),
    (MAIL, "other.internal"),
    (URI, "git.acme.internal"),
    (URI, ".acme.internal"),
    (URI, "other.internal"),
    (DIRECTORY, "git.acme.internal"),
    (DIRECTORY, "Somebody"),
];
const MORE: &[Fault] = &[
    ("nothing more", |_| ()),
    ("mail", |spec| spec.more_names = vec![(MAIL, "ops@acme.internal")]),
    ("mail below", |spec| spec.more_names = vec![(MAIL, "ops@git.acme.internal")]),
    ("mail in large letters", |spec| spec.more_names = vec![(MAIL, "ops@ACME.internal")]),
    ("a page", |spec| spec.more_names = vec![(URI, "https://git.acme.internal/x")]),
    ("a page at a port", |spec| spec.more_names = vec![(URI, "https://git.acme.internal:8443/x")]),
    ("a name that is no page", |spec| spec.more_names = vec![(URI, "urn:acme:1")]),
    ("a directory name", |spec| spec.more_names = vec![(DIRECTORY, "Somebody")]),
];

fn constraints(all: &mut Vec<Scenario>) {
    for (tag, tree) in TREES {
        for is_excluded in [false, true] {
            for (what, more) in MORE {
                let mut scenario = sound(0);
                scenario.specs[0].trees = vec![(is_excluded, *tag, tree)];
                more(&mut scenario.specs[1]);
                scenario.name = format!("{tag:x} {tree}, excluded {is_excluded}, {what}");
                all.push(scenario);
            }
        }
    }
    // A common name alone, held against hosts.
    let trees: [Fault; 3] = [
        ("permitted here", |spec| spec.permitted = vec!["acme.internal"]),
        ("permitted elsewhere", |spec| spec.permitted = vec!["other.internal"]),
        ("excluded here", |spec| spec.excluded = vec!["acme.internal"]),
    ];
    for between in 0..2 {
        for (what, tree) in trees {
            for purposes in [vec![], vec!["2.5.29.37.0"], vec!["1.3.6.1.5.5.7.3.1"]] {
                let mut scenario = sound(between);
                tree(&mut scenario.specs[0]);
                scenario.specs[between + 1].hosts = Vec::new();
                scenario.name = format!("{between} between, common name alone, {what}, {purposes:?}");
                scenario.specs[between + 1].purposes = purposes;
                all.push(scenario);
            }
        }
    }
}

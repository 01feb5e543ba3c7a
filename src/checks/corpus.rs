//! The corpus: chains that are good, and chains that are wrong in every way that is known, alone and two ways at once. For
//! tests alone; made anew at each run from one seed, so nothing in it goes out of date.

use crate::corpus_certificate::{Key, Spec};
use crate::corpus_key::Kind;
use crate::corpus_more;

/// The host that every chain is asked for, if its scenario says nothing else.
pub(crate) const HOST: &str = "git.acme.internal";

/// Keys: roots and intermediates have the first, the server its own; then what is special.
pub(crate) const SERVER: usize = 4;
pub(crate) const OTHER: usize = 5;
pub(crate) const RSA_1024: usize = 6;
pub(crate) const RSA_2048: usize = 7;

/// One chain with the authorities that it is held against.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    /// From the root down to the server; then what is beside it.
    pub(crate) specs: Vec<Spec>,
    pub(crate) served: Vec<usize>,
    pub(crate) given: Vec<usize>,
    pub(crate) host: &'static str,
}

/// One key a role, made at each run.
pub(crate) fn ring() -> Vec<Key> {
    let mut ring: Vec<Key> = (0..6).map(|_| Key::curve()).collect();
    ring.extend([Key::made(Kind::Rsa, "1024"), Key::made(Kind::Rsa, "2048")]);
    ring.extend(corpus_more::keys());
    ring
}

pub(crate) type Fault = (&'static str, fn(&mut Spec));

/// What may be wrong with one certificate, wherever it stands.
const FAULTS: &[Fault] = &[
    ("expired", |spec| spec.until = -3),
    ("not yet valid", |spec| spec.from = 2),
    ("no basicConstraints", |spec| spec.constraints = None),
    ("CA:FALSE", |spec| spec.constraints = Some((true, false, None))),
    ("CA:TRUE", |spec| spec.constraints = Some((true, true, None))),
    ("basicConstraints not critical", |spec| {
        spec.constraints = spec.constraints.map(|(_, ca, length)| (false, ca, length));
    }),
    ("no keyUsage", |spec| spec.usage = None),
    ("no basicConstraints, no keyUsage", |spec| (spec.constraints, spec.usage) = (None, None)),
    ("keyUsage cRLSign", |spec| spec.usage = Some(0x02)),
    ("keyUsage keyCertSign", |spec| spec.usage = Some(0x04)),
    ("keyUsage all", |spec| spec.usage = Some(0x86)),
    ("extendedKeyUsage clientAuth", |spec| spec.purposes = vec!["1.3.6.1.5.5.7.3.2"]),
    ("extendedKeyUsage any", |spec| spec.purposes = vec!["2.5.29.37.0"]),
    ("extendedKeyUsage both", |spec| spec.purposes = vec!["1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1"]),
    ("extendedKeyUsage msSGC", |spec| spec.purposes = vec!["1.3.6.1.4.1.311.10.3.3"]),
    ("extendedKeyUsage nsSGC", |spec| spec.purposes = vec!["2.16.840.1.113730.4.1"]),
    ("nsCertType client", |spec| spec.netscape = Some(0x80)),
    ("nsCertType server", |spec| spec.netscape = Some(0x40)),
    ("nsCertType CA alone", |spec| (spec.netscape, spec.constraints, spec.usage) = (Some(0x04), None, None)),
    ("nsCertType mail CA alone", |spec| (spec.netscape, spec.constraints, spec.usage) = (Some(0x02), None, None)),
    ("no extendedKeyUsage", |spec| spec.purposes = Vec::new()),
    ("no subjectKeyIdentifier", |spec| spec.has_subject_key = false),
    ("subjectKeyIdentifier critical", |spec| spec.is_subject_key_critical = true),
    ("no authorityKeyIdentifier", |spec| spec.has_issuer_key = false),
    ("authorityKeyIdentifier of another", |spec| spec.is_issuer_key_wrong = true),
    ("neither identifier", |spec| (spec.has_subject_key, spec.has_issuer_key) = (false, false)),
    ("version 1", |spec| spec.version = 1),
    ("critical extension of nobody", |spec| spec.critical = Some("1.2.3.4.5")),
    ("critical policies", |spec| spec.critical = Some("2.5.29.32")),
    ("broken signature", |spec| spec.is_tampered = true),
    ("path length 0", |spec| spec.constraints = spec.constraints.map(|(critical, ca, _)| (critical, ca, Some(0)))),
    ("path length 1", |spec| spec.constraints = spec.constraints.map(|(critical, ca, _)| (critical, ca, Some(1)))),
    ("permitted elsewhere", |spec| spec.permitted = vec!["other.internal"]),
    ("permitted here", |spec| spec.permitted = vec!["acme.internal"]),
    ("excluded here", |spec| spec.excluded = vec!["acme.internal"]),
    ("excluded elsewhere", |spec| spec.excluded = vec!["other.internal"]),
    ("subject in another string type", |spec| spec.is_subject_printable = true),
];

/// What the server's certificate may say of its names.
const NAMES: &[Fault] = &[
    ("another name", |spec| spec.hosts = vec!["www.acme.internal".into()]),
    ("common name alone", |spec| spec.hosts = Vec::new()),
    ("another common name alone", |spec| (spec.hosts, spec.subject) = (Vec::new(), "www.acme.internal".into())),
    ("wildcard", |spec| spec.hosts = vec!["*.acme.internal".into()]),
    ("wildcard for a top domain", |spec| spec.hosts = vec!["*.internal".into()]),
    ("wildcard in part", |spec| spec.hosts = vec!["g*.acme.internal".into()]),
    ("wildcard within", |spec| spec.hosts = vec!["git.*.internal".into()]),
    ("large letters", |spec| spec.hosts = vec!["GIT.Acme.Internal".into()]),
    ("an address alone, and the common name", |spec| (spec.hosts, spec.addresses) = (Vec::new(), vec![[10, 0, 0, 7]])),
    ("wildcard as common name", |spec| (spec.hosts, spec.subject) = (Vec::new(), "*.acme.internal".into())),
];

/// A sound chain with `between` intermediates; nothing is sent that is trusted.
pub(crate) fn sound(between: usize) -> Scenario {
    let mut specs = vec![Spec::root("Acme Root", 0)];
    for place in 1..=between {
        let next = Spec::below(&specs[place - 1], &format!("Acme Issuing {place}"), place);
        specs.push(next);
    }
    specs.push(Spec::server(&specs[between], HOST, SERVER));
    let served = (1..specs.len()).rev().collect();
    Scenario { name: format!("{between} between"), specs, served, given: vec![0], host: HOST }
}

/// Gives a certificate another key, and what it signed the right signature again.
pub(crate) fn rekey(scenario: &mut Scenario, place: usize, key: usize) {
    let old = scenario.specs[place].key;
    let subject = scenario.specs[place].subject.clone();
    for spec in &mut scenario.specs {
        if spec.signer == old && spec.issuer == subject {
            spec.signer = key;
        }
    }
    scenario.specs[place].key = key;
}

/// Every chain, in an order that never changes; `pairs` of them are wrong in two ways, chosen by `seed`.
pub(crate) fn all(seed: u64, pairs: usize) -> Vec<Scenario> {
    let mut all = Vec::new();
    for between in 0..3 {
        let base = sound(between);
        all.push(base.clone());
        for place in 0..base.specs.len() {
            for (what, fault) in FAULTS {
                let mut scenario = base.clone();
                fault(&mut scenario.specs[place]);
                scenario.name = format!("{}, {what} at {place}", base.name);
                all.push(scenario);
            }
            keys(&base, place, &mut all);
        }
        names(&base, &mut all);
        shapes(&base, &mut all);
    }
    let mut chance = seed;
    let mut next = |below: usize| {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(chance >> 33).unwrap() % below
    };
    for _ in 0..pairs {
        let mut scenario = sound(next(3));
        for _ in 0..2 {
            let (what, fault) = FAULTS[next(FAULTS.len())];
            let place = next(scenario.specs.len());
            fault(&mut scenario.specs[place]);
            scenario.name = format!("{}, {what} at {place}", scenario.name);
        }
        all.push(scenario);
    }
    all.extend(corpus_more::all());
    all
}

fn keys(base: &Scenario, place: usize, all: &mut Vec<Scenario>) {
    for (what, key) in [("RSA 1024", RSA_1024), ("RSA 2048", RSA_2048)] {
        let mut scenario = base.clone();
        rekey(&mut scenario, place, key);
        scenario.name = format!("{}, {what} at {place}", base.name);
        all.push(scenario);
    }
    if place + 1 < base.specs.len() {
        let mut scenario = base.clone();
        rekey(&mut scenario, place, RSA_2048);
        scenario.specs[place + 1].hash = "sha1";
        scenario.name = format!("{}, SHA-1 at {}", base.name, place + 1);
        all.push(scenario);
    }
}

fn names(base: &Scenario, all: &mut Vec<Scenario>) {
    let leaf = base.specs.len() - 1;
    for (what, fault) in NAMES {
        let mut scenario = base.clone();
        fault(&mut scenario.specs[leaf]);
        scenario.name = format!("{}, {what}", base.name);
        all.push(scenario);
    }
    for (what, address) in [("its address", [10, 0, 0, 7]), ("another address", [10, 0, 0, 8])] {
        let mut scenario = base.clone();
        (scenario.specs[leaf].addresses, scenario.host) = (vec![address], "10.0.0.7");
        scenario.name = format!("{}, {what}", base.name);
        all.push(scenario);
    }
    let mut scenario = base.clone();
    scenario.host = "10.0.0.7";
    scenario.name = format!("{}, asked by address", base.name);
    all.push(scenario);
}

/// What may be wrong with what is sent, and with what is given.
fn shapes(base: &Scenario, all: &mut Vec<Scenario>) {
    let leaf = base.specs.len() - 1;
    let mut add = |what: &str, change: &dyn Fn(&mut Scenario)| {
        let mut scenario = base.clone();
        change(&mut scenario);
        scenario.name = format!("{}, {what}", base.name);
        all.push(scenario);
    };
    add("server alone", &|scenario| scenario.served = vec![leaf]);
    add("root sent too", &|scenario| scenario.served.push(0));
    add("all twice", &|scenario| scenario.served = scenario.served.iter().flat_map(|at| [*at, *at]).collect());
    add("order reversed above the server", &|scenario| scenario.served[1..].reverse());
    add("root before intermediates", &|scenario| scenario.served.insert(1, 0));
    add("server given", &|scenario| scenario.given = vec![leaf]);
    add("server given, everything sent", &|scenario| (scenario.given = vec![leaf], scenario.served.push(0)).0);
    add("server and root given", &|scenario| scenario.given = vec![leaf, 0]);
    add("last issuer given", &|scenario| scenario.given = vec![leaf - 1]);
    add("last issuer given, server alone sent", &|scenario| {
        (scenario.given, scenario.served) = (vec![leaf - 1], vec![leaf]);
    });
    add("all authorities given, server alone sent", &|scenario| {
        (scenario.given, scenario.served) = ((0..leaf).collect(), vec![leaf]);
    });
    add("given twice", &|scenario| scenario.given = vec![0, 0]);
    roots(&mut add);
    crossings(&mut add);
    for is_given in [true, false] {
        alone(is_given, &mut add);
    }
}

type Add<'a> = &'a mut dyn FnMut(&str, &dyn Fn(&mut Scenario));

/// Adds a certificate that is not of the chain, and gives its place.
fn beside(scenario: &mut Scenario, spec: Spec) -> usize {
    scenario.specs.push(spec);
    scenario.specs.len() - 1
}

/// Roots that are not the chain's own, or not in the form that is at hand.
fn roots(add: Add<'_>) {
    add("another root", &|scenario| scenario.given = vec![beside(scenario, Spec::root("Beta Root", OTHER))]);
    add("another root, own root sent", &|scenario| {
        scenario.given = vec![beside(scenario, Spec::root("Beta Root", OTHER))];
        scenario.served.push(0);
    });
    add("root of the same name", &|scenario| scenario.given = vec![beside(scenario, Spec::root("Acme Root", OTHER))]);
    add("root of the same name without identifiers", &|scenario| {
        let twin = Spec { has_subject_key: false, has_issuer_key: false, ..Spec::root("Acme Root", OTHER) };
        scenario.given = vec![beside(scenario, twin)];
        scenario.specs[1].has_issuer_key = false;
    });
    add("roots of the same name", &|scenario| {
        let twin = beside(scenario, Spec::root("Acme Root", OTHER));
        scenario.given = vec![twin, 0];
    });
    add("root renewed, old one sent", &|scenario| {
        let renewed = Spec { until: 2000, ..scenario.specs[0].clone() };
        scenario.given = vec![beside(scenario, renewed)];
        scenario.served.push(0);
    });
    add("root expired and renewed", &|scenario| {
        scenario.specs[0].until = -3;
        let renewed = Spec { until: 2000, ..scenario.specs[0].clone() };
        scenario.given = vec![0, beside(scenario, renewed)];
    });
    add("a stranger sent", &|scenario| {
        let stranger = beside(scenario, Spec::root("Beta Root", OTHER));
        scenario.served.push(stranger);
    });
}

/// The chain's root signed by another authority as well.
fn crossings(add: Add<'_>) {
    add("root cross-signed by a stranger", &|scenario| {
        let stranger = Spec::root("Beta Root", OTHER);
        let crossed = Spec { issuer: "Beta Root".into(), signer: OTHER, ..scenario.specs[0].clone() };
        let crossed = beside(scenario, crossed);
        scenario.served.push(crossed);
        scenario.given = vec![beside(scenario, stranger)];
    });
    add("root cross-signed, its own given", &|scenario| {
        let crossed = Spec { issuer: "Beta Root".into(), signer: OTHER, ..scenario.specs[0].clone() };
        let crossed = beside(scenario, crossed);
        scenario.served.push(crossed);
    });
}

/// A server without an authority above it.
fn alone(is_given: bool, add: Add<'_>) {
    add(&format!("server signed by itself, given {is_given}"), &|scenario| {
        let own = Spec { issuer: HOST.into(), signer: SERVER, ..Spec::server(&scenario.specs[0], HOST, SERVER) };
        let own = beside(scenario, own);
        scenario.served = vec![own];
        scenario.given = if is_given { vec![own] } else { vec![0] };
    });
    add(&format!("authority as server, given {is_given}"), &|scenario| {
        let own = Spec { hosts: vec![HOST.into()], usage: Some(0x86), ..Spec::root(HOST, SERVER) };
        let own = beside(scenario, own);
        scenario.served = vec![own];
        scenario.given = if is_given { vec![own] } else { vec![0] };
    });
    add(&format!("bare server signed by itself, given {is_given}"), &|scenario| {
        let own = Spec { constraints: None, usage: None, purposes: Vec::new(), ..Spec::root(HOST, SERVER) };
        let own = beside(scenario, Spec { hosts: vec![HOST.into()], ..own });
        scenario.served = vec![own];
        scenario.given = if is_given { vec![own] } else { vec![0] };
    });
}

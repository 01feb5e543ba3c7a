//! The proof that the verdicts are right: every chain of the corpus is shown to OpenSSL, Python, GnuTLS and rustls, and what
//! they say is held against what was computed. For tests alone; the verdicts themselves are computed before any is asked.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base::process::Program;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::internal::msgs::codec::{Codec, Reader};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore};

use crate::corpus::{self, Scenario};
use crate::corpus_certificate::{Key, pem};
use crate::link::Link;
use crate::peer::Peer;
use crate::stack_gnutls;
use crate::stack_openssl::{self, Habits};
use crate::verdict::{Case, Cause, Refusal, Stack, says};

const SEED: u64 = 20_261_121;

/// A chain as bytes and as files, and what was computed for it.
struct Made {
    name: String,
    folder: PathBuf,
    host: &'static str,
    served: Vec<Vec<u8>>,
    given: Vec<Vec<u8>>,
    /// In the order of [`ORACLES`].
    predicted: Vec<Result<(), Refusal>>,
}

/// What a stack said: nothing against it, or classes of which one must be ours.
type Said = Result<(), (Vec<Cause>, String)>;

const ORACLES: [&str; 9] = [
    "rustls",
    "openssl verify",
    "openssl verify -x509_strict",
    "openssl verify -partial_chain",
    "openssl verify -auth_level 2",
    "openssl verify -auth_level 2 -x509_strict",
    "openssl verify -auth_level 2 -x509_strict -partial_chain",
    "python ssl",
    "certtool --verify",
];

fn seconds() -> i64 {
    base::Clock::now(&base::clock::SystemClock).seconds()
}

fn predict(case: &Case<'_>) -> Vec<Result<(), Refusal>> {
    let habits = |level: u8, is_strict: bool, takes_partial: bool| Habits {
        is_strict,
        takes_partial,
        level,
        partial_wildcards: true,
    };
    let openssl = |level, strict, partial| stack_openssl::verify(case, habits(level, strict, partial));
    vec![
        says(Stack::Rustls, case),
        openssl(0, false, false),
        openssl(0, true, false),
        openssl(0, false, true),
        says(Stack::Openssl, case),
        says(Stack::OpensslStrict, case),
        openssl(2, true, true),
        says(Stack::Python313, case),
        stack_gnutls::verify(case, false),
    ]
}

fn make(scenario: &Scenario, number: usize, ring: &[Key], now: i64, dir: &Path) -> Made {
    let all: Vec<Vec<u8>> = scenario.specs.iter().map(|spec| spec.der(ring, now, dir)).collect();
    let take = |places: &[usize]| places.iter().map(|place| all[*place].clone()).collect::<Vec<_>>();
    let (served, given) = (take(&scenario.served), take(&scenario.given));
    let links = |ders: &[Vec<u8>]| ders.iter().map(|der| Link::parse(der).unwrap()).collect::<Vec<_>>();
    let peer = Peer::parse(scenario.host);
    let case = Case { served: &links(&served), authorities: &links(&given), peer: peer.as_ref(), now };
    let predicted = predict(&case);
    let folder = dir.join(number.to_string());
    base::file::create_dir(&folder, 0o700).unwrap();
    let write =
        |name: &str, text: String| base::file::write_atomic(&folder.join(name), text.as_bytes(), 0o600).unwrap();
    let block = |ders: &[Vec<u8>]| ders.iter().map(|der| pem("CERTIFICATE", der)).collect::<String>();
    write("served.pem", block(&served));
    write("leaf.pem", block(&served[..1]));
    write("given.pem", block(&given));
    write("server.key", ring[scenario.specs[scenario.served[0]].key].pem());
    Made { name: scenario.name.clone(), folder, host: scenario.host, served, given, predicted }
}

fn openssl(made: &Made, options: &[&str]) -> Said {
    let name = if made.host.parse::<std::net::IpAddr>().is_ok() { "-verify_ip" } else { "-verify_hostname" };
    let program = Program::new("openssl")
        .options(["verify", "-no-CApath", "-no-CAstore", "-purpose", "sslserver", name, made.host, "-CAfile"])
        .option(made.folder.join("given.pem"))
        .option("-untrusted")
        .option(made.folder.join("served.pem"))
        .options(options)
        .option(made.folder.join("leaf.pem"));
    let done = program.run(b"").unwrap();
    if done.status.success() {
        return Ok(());
    }
    let text = format!("{}{}", done.stderr, String::from_utf8_lossy(&done.stdout));
    let code = text.split_once("error ").and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
    Err((code.map(openssl_cause).unwrap_or_default(), text.replace('\n', " | ")))
}

/// The classes of X509_V_ERR numbers.
fn openssl_cause(code: u32) -> Vec<Cause> {
    vec![match code {
        2 | 18..=21 => Cause::Untrusted,
        7 => Cause::Signature,
        24 | 32 | 79 => Cause::NotAuthority,
        25 => Cause::PathLength,
        26 => Cause::Purpose,
        10 => Cause::Expired,
        9 => Cause::NotYetValid,
        62..=64 => Cause::Name,
        47..=53 => Cause::NameConstraints,
        68 => Cause::WeakSignature,
        66 | 67 => Cause::ShortKey,
        34 => Cause::CriticalExtension,
        80..=95 => Cause::Form,
        _ => Cause::Malformed,
    }]
}

fn certtool(made: &Made) -> Said {
    let program = Program::new("certtool")
        .options(["--verify", "--verify-purpose", "1.3.6.1.5.5.7.3.1", "--verify-hostname", made.host])
        .option("--load-ca-certificate")
        .option(made.folder.join("given.pem"))
        .option("--infile")
        .option(made.folder.join("served.pem"));
    let done = program.run(b"").unwrap();
    if done.status.success() {
        return Ok(());
    }
    let text = format!("{}{}", String::from_utf8_lossy(&done.stdout), done.stderr);
    let phrases = [
        ("issuer is unknown", Cause::Untrusted),
        ("chain signature failed", Cause::Signature),
        ("signature in the certificate is invalid", Cause::Signature),
        ("issuer is not a CA", Cause::NotAuthority),
        ("violates the signer's constraints", Cause::NotAuthority),
        ("violates the signer's constraints", Cause::PathLength),
        ("violates the signer's constraints", Cause::NameConstraints),
        ("not valid for the requested purpose", Cause::Purpose),
        ("does not match the intended purpose", Cause::Purpose),
        ("marked purpose", Cause::Purpose),
        ("expired certificate", Cause::Expired),
        ("has expired", Cause::Expired),
        ("not yet", Cause::NotYetValid),
        ("does not match the hostname", Cause::Name),
        ("name in the certificate does not match", Cause::Name),
        ("insecure algorithm", Cause::WeakSignature),
        ("insecure algorithm", Cause::ShortKey),
        ("unknown critical extension", Cause::CriticalExtension),
    ];
    let text = text.replace('\n', " | ");
    let last = text.rsplit_once("Chain verification output").map_or(text.as_str(), |(_, last)| last);
    let causes = phrases.iter().filter(|(phrase, _)| last.contains(phrase)).map(|(_, cause)| *cause).collect();
    Err((causes, last.to_owned()))
}

fn rustls(made: &Made, now: i64) -> Said {
    let ders = |all: &[Vec<u8>]| all.iter().map(|der| CertificateDer::from(der.clone())).collect::<Vec<_>>();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(ders(&made.given));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = match WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build() {
        Ok(verifier) => verifier,
        Err(error) => return Err((vec![Cause::Untrusted], error.to_string())),
    };
    let served = ders(&made.served);
    let name = ServerName::try_from(made.host).unwrap();
    let time = UnixTime::since_unix_epoch(Duration::from_secs(now.unsigned_abs()));
    let result = verifier.verify_server_cert(&served[0], &served[1..], &name, &[], time);
    let Err(error) = result.and_then(|_| proves_its_key(&verifier, &served[0], &made.folder)) else {
        return Ok(());
    };
    let text = format!("{error:?}");
    let causes = match &error {
        rustls::Error::InvalidCertificate(refusal) => webpki_cause(refusal, &text),
        _ => Vec::new(),
    };
    Err((causes, text))
}

/// What a handshake asks of the server's key beside its certificate; for RSA, where length matters.
fn proves_its_key(
    verifier: &WebPkiServerVerifier,
    leaf: &CertificateDer<'_>,
    folder: &Path,
) -> Result<(), rustls::Error> {
    let link = Link::parse(leaf).unwrap();
    if link.facts.key.kind != "RSA" {
        return Ok(());
    }
    let program = Program::new("openssl").options(["dgst", "-sha256", "-sign"]).option(folder.join("server.key"));
    let signature = program.run(b"hello").unwrap().stdout;
    let length = u16::try_from(signature.len()).unwrap().to_be_bytes();
    let bytes = [&[4, 1][..], &length, &signature].concat();
    let signed = DigitallySignedStruct::read(&mut Reader::init(&bytes)).unwrap();
    verifier.verify_tls12_signature(b"hello", leaf, &signed).map(|_| ())
}

fn webpki_cause(refusal: &CertificateError, text: &str) -> Vec<Cause> {
    let named = |part: &str| text.contains(part);
    vec![match refusal {
        CertificateError::UnknownIssuer => Cause::Untrusted,
        CertificateError::BadSignature => return vec![Cause::Signature, Cause::ShortKey],
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Cause::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Cause::NotYetValid,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Cause::Name,
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => Cause::Purpose,
        CertificateError::UnhandledCriticalExtension => Cause::CriticalExtension,
        CertificateError::BadEncoding => Cause::Malformed,
        _ if named("UnsupportedSignatureAlgorithm") && !text.contains("1, 5, 5, 0") => Cause::Algorithm,
        _ if named("UnsupportedSignatureAlgorithm") => Cause::WeakSignature,
        _ if named("UsedAs") => Cause::NotAuthority,
        _ if named("PathLen") || named("MaximumPathDepth") => Cause::PathLength,
        _ if named("NameConstraint") => Cause::NameConstraints,
        _ if named("Version") => Cause::Version,
        _ if named("CriticalExtension") => Cause::CriticalExtension,
        _ => Cause::Malformed,
    }]
}

/// One answer a chain, in order.
fn python(all: &[Made]) -> Vec<Said> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus_handshake.py");
    let lines = all.iter().fold(String::new(), |mut lines, made| {
        let _ = writeln!(lines, "{} {}", made.folder.display(), made.host);
        lines
    });
    let program = Program::new("python3").option(script).deadline(Duration::from_mins(4)).output_limit(1 << 20);
    let done = program.run(lines.as_bytes()).unwrap();
    assert!(done.status.success(), "{}", done.stderr);
    let text = String::from_utf8(done.stdout).unwrap();
    let said = |line: &str| match line {
        "0" => Ok(()),
        other => Err((other.parse().map(openssl_cause).unwrap_or_default(), other.to_owned())),
    };
    let answers: Vec<Said> = text.lines().map(said).collect();
    assert_eq!(answers.len(), all.len());
    answers
}

/// Every answer for the chains of one share, in the order of [`ORACLES`].
fn ask(all: &[Made], now: i64) -> Vec<Vec<Said>> {
    let python = python(all);
    let each = all.iter().zip(python).map(|(made, python)| {
        vec![
            rustls(made, now),
            openssl(made, &[]),
            openssl(made, &["-x509_strict"]),
            openssl(made, &["-partial_chain"]),
            openssl(made, &["-auth_level", "2"]),
            openssl(made, &["-auth_level", "2", "-x509_strict"]),
            openssl(made, &["-auth_level", "2", "-x509_strict", "-partial_chain"]),
            python,
            certtool(made),
        ]
    });
    each.collect()
}

/// The wall clock is read once: no chain is so near an end of its validity that the run could reach it.
#[test]
fn the_verdicts_are_those_of_openssl_python_gnutls_and_rustls() {
    if let Err(why) = tools() {
        let required = std::env::var("GITGRIT_TEST_REQUIRE").unwrap_or_default();
        assert!(!required.split(',').any(|part| part.trim() == "tls-stacks"), "{why}");
        eprintln!("absent: tls-stacks: {why}; this test did not run");
        return;
    }
    let pairs = std::env::var("GITGRIT_CA_PAIRS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let dir = tempfile::tempdir().unwrap();
    let (now, ring) = (seconds(), corpus::ring());
    let scenarios = corpus::all(SEED, pairs);
    let made: Vec<Made> =
        scenarios.iter().enumerate().map(|(number, scenario)| make(scenario, number, &ring, now, dir.path())).collect();
    let share = made.len().div_ceil(4);
    let answers: Vec<Vec<Said>> = std::thread::scope(|scope| {
        let threads: Vec<_> = made.chunks(share).map(|share| scope.spawn(move || ask(share, now))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    compare(&made, &answers);
}

fn compare(made: &[Made], answers: &[Vec<Said>]) {
    let (mut wrong, mut classes, mut refusals, mut rejected) = (String::new(), 0, 0, 0);
    let (mut other, mut unsaid) = (String::new(), Vec::new());
    for (made, answers) in made.iter().zip(answers) {
        for ((oracle, ours), theirs) in ORACLES.iter().zip(&made.predicted).zip(answers) {
            rejected += usize::from(theirs.is_err());
            if ours.as_ref().is_err_and(|refusal| refusal.cause == Cause::NotComputed) {
                unsaid.push(format!("{oracle}: {}", made.name));
                continue;
            }
            match (ours, theirs) {
                (Ok(()), Ok(())) => {}
                (Err(ours), Err((causes, text))) => {
                    refusals += 1;
                    classes += usize::from(causes.contains(&ours.cause));
                    if !causes.contains(&ours.cause) {
                        let _ = writeln!(
                            other,
                            "{oracle}: {}: ours {:?} ({}), theirs {text}",
                            made.name, ours.cause, ours.why
                        );
                    }
                }
                _ => {
                    let _ = writeln!(wrong, "{oracle}: {}: ours {ours:?}, theirs {theirs:?}", made.name);
                }
            }
        }
    }
    let verdicts = made.len() * ORACLES.len();
    let share = classes * 1000 / refusals.max(1);
    eprintln!(
        "{} chains, seed {SEED}, {verdicts} verdicts, {rejected} refusals; {} disagreements; class right in {classes} of \
         {refusals}; not computed: {}",
        made.len(),
        wrong.lines().count(),
        unsaid.len()
    );
    if std::env::var_os("GITGRIT_CA_TELL").is_some() {
        eprintln!("{other}");
    }
    assert!(made.len() >= 300 && rejected > verdicts / 4 && rejected < verdicts * 3 / 4, "a lopsided corpus");
    assert!(
        unsaid.iter().all(|name| name.contains(": signed by ")),
        "only odd algorithms are not computed: {unsaid:?}"
    );
    assert!(wrong.is_empty(), "{wrong}");
    assert!(share >= 950, "the class is right in {share} of 1000 refusals:\n{other}");
}

fn tools() -> Result<(), String> {
    for (name, option) in [("openssl", "version"), ("certtool", "--version"), ("python3", "--version")] {
        Program::new(name).option(option).run(b"").map_err(|error| error.to_string())?;
    }
    Ok(())
}

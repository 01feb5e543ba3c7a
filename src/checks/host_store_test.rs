//! Tests of host_store.rs: what a run that was cut short leaves, and what the next one makes of it.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;

use base::process::{Finished, ProcessError, Program};

use crate::certificate::Certificate;
use crate::corpus_certificate::{Key, Spec};
use crate::host_store::{Change, Held, Place, StoreError, apply, plan, plan_undo};
use crate::pem;

const REGISTRY: &str = "etc/docker/certs.d/registry.acme.internal:5000/ca.crt";

/// A host with a root of its own; update-ca-certificates is played here.
struct Host {
    dir: tempfile::TempDir,
    place: Place,
    /// How often the bundle was made anew.
    refreshed: RefCell<u32>,
}

impl Host {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let place = Place { root: dir.path().into(), registry: Some("registry.acme.internal:5000".into()) };
        Self { dir, place, refreshed: RefCell::new(0) }
    }

    /// The public root of `name` with the key of that place.
    fn authority(&self, name: &str) -> Certificate {
        let ring = [Key::curve()];
        Certificate::parse(&Spec::root(name, 0).der(&ring, 1_795_000_000, self.dir.path())).unwrap()
    }

    fn apply(&self, changes: &[Change]) -> Result<(), StoreError> {
        let held = Held::take(&self.place).unwrap();
        apply(changes, &self.place, &held, &|_| {
            *self.refreshed.borrow_mut() += 1;
            ended(0)
        })
    }

    fn trust(&self, authorities: &[&Certificate]) -> Result<(), StoreError> {
        let all: Vec<Certificate> = authorities.iter().copied().cloned().collect();
        self.apply(&plan(&all, &self.place)?)
    }

    fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    fn registry(&self) -> String {
        std::fs::read_to_string(self.path(REGISTRY)).unwrap_or_default()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "what a runner gives")]
fn ended(code: i32) -> Result<Finished, ProcessError> {
    Ok(Finished { status: ExitStatus::from_raw(code << 8), stdout: Vec::new(), stderr: "no space".into() })
}

fn block(certificate: &Certificate) -> String {
    pem::block("CERTIFICATE", &certificate.der)
}

#[test]
fn what_is_trusted_is_found_by_docker_and_the_host_and_can_be_taken_back() {
    let host = Host::new();
    let root = host.authority("Acme Root");
    let ring = [Key::curve(), Key::curve()];
    let leaf = Spec::server(&Spec::root("Acme Root", 0), "git.acme.internal", 1);
    let leaf = Certificate::parse(&leaf.der(&ring, 1_795_000_000, host.dir.path())).unwrap();
    assert!(matches!(plan(std::slice::from_ref(&leaf), &host.place), Err(StoreError::NoAuthority)));
    let changes = plan(&[root.clone(), leaf], &host.place).unwrap();
    assert_eq!(changes.len(), 3);
    host.apply(&changes).unwrap();
    assert_eq!(host.registry(), block(&root));
    assert_eq!(plan(&[root], &host.place).unwrap(), []);
    let back = plan_undo(&host.place).unwrap();
    assert_eq!(back.len(), 3);
    host.apply(&back).unwrap();
    assert!(!host.path(REGISTRY).exists() && plan_undo(&host.place).unwrap().is_empty());
    assert_eq!(*host.refreshed.borrow(), 2);
}

#[test]
fn a_file_of_others_is_neither_written_over_nor_taken_out() {
    let host = Host::new();
    let root = host.authority("Acme Root");
    host.trust(&[&root]).unwrap();
    base::file::write_atomic(&host.path(REGISTRY), b"mine", 0o644).unwrap();
    assert!(matches!(host.trust(&[&root]), Err(StoreError::Foreign { .. })));
    let back = plan_undo(&host.place).unwrap();
    assert!(back.contains(&Change::Keep { path: host.path(REGISTRY) }));
    host.apply(&back).unwrap();
    assert_eq!(host.registry(), "mine");
}

/// The first run ends where update-ca-certificates should have run: it is not there, or it fails.
#[test]
fn a_refresh_that_failed_is_made_up_for_by_the_next_run_and_by_undo() {
    let missing = |_: Program| {
        Err(ProcessError::Start { program: "update-ca-certificates".into(), source: ErrorKind::NotFound.into() })
    };
    let host = Host::new();
    let root = host.authority("Acme Root");
    let held = Held::take(&host.place).unwrap();
    let changes = plan(std::slice::from_ref(&root), &host.place).unwrap();
    let error = apply(&changes, &host.place, &held, &missing).unwrap_err();
    assert_eq!(error.to_string(), "the files are changed, but the host's bundle was not made anew");
    drop(held);
    assert_eq!(plan(std::slice::from_ref(&root), &host.place).unwrap(), [Change::Refresh]);
    host.trust(&[&root]).unwrap();
    assert_eq!(*host.refreshed.borrow(), 1);
    assert_eq!(plan(&[root], &host.place).unwrap(), []);

    let held = Held::take(&host.place).unwrap();
    let back = plan_undo(&host.place).unwrap();
    let error = apply(&back, &host.place, &held, &|_| ended(1)).unwrap_err();
    assert_eq!(error.to_string(), "the files are changed, but update-ca-certificates failed: no space");
    assert_eq!(plan_undo(&host.place).unwrap(), [Change::Refresh]);
    let options = RefCell::new(String::new());
    let seen = |program: Program| {
        options.replace(format!("{:?}", program.into_command()));
        ended(0)
    };
    apply(&[Change::Refresh], &host.place, &held, &seen).unwrap();
    assert!(options.borrow().contains("\"--fresh\""), "links to what is gone must go: {}", options.borrow());
    assert_eq!(plan_undo(&host.place).unwrap(), []);
}

/// The certificate that is taken out stands in the bundle alone, where update-ca-certificates leaves it.
#[test]
fn what_an_interrupted_undo_took_out_leaves_the_bundle_at_the_next_one() {
    let host = Host::new();
    let root = host.authority("Acme Root");
    host.trust(&[&root]).unwrap();
    let bundle = host.path("etc/ssl/certs/ca-certificates.crt");
    base::file::create_dir(bundle.parent().unwrap(), 0o755).unwrap();
    base::file::write_atomic(&bundle, format!("other\n{}", block(&root)).as_bytes(), 0o644).unwrap();
    let held = Held::take(&host.place).unwrap();
    apply(&plan_undo(&host.place).unwrap(), &host.place, &held, &|_| ended(1)).unwrap_err();
    drop(held);
    host.apply(&plan_undo(&host.place).unwrap()).unwrap();
    assert_eq!(std::fs::read_to_string(&bundle).unwrap(), "other\n");
}

/// A folder stands where the second authority's file belongs, so its write fails before the registry's file is replaced.
#[test]
fn a_run_that_fails_before_a_file_is_replaced_leaves_that_file_ours() {
    let host = Host::new();
    let (first, second) = (host.authority("Acme Root"), host.authority("Beta Root"));
    host.trust(&[&first]).unwrap();
    let changes = plan(std::slice::from_ref(&second), &host.place).unwrap();
    let Change::Write { path, .. } = &changes[0] else { panic!("{changes:?}") };
    base::file::create_dir(&path.join("in the way"), 0o755).unwrap();
    assert!(matches!(host.apply(&changes), Err(StoreError::File { .. })));
    std::fs::remove_dir_all(path).unwrap();
    assert!(plan_undo(&host.place).unwrap().contains(&Change::Remove { path: host.path(REGISTRY) }));
    host.trust(&[&second]).unwrap();
    assert_eq!(host.registry(), format!("{}{}", block(&first), block(&second)));
    host.apply(&plan_undo(&host.place).unwrap()).unwrap();
    assert!(!host.path(REGISTRY).exists());
}

#[test]
fn what_docker_trusts_already_stays_beside_what_comes_new() {
    let host = Host::new();
    let (first, second) = (host.authority("Acme Root"), host.authority("Beta Root"));
    host.trust(&[&first]).unwrap();
    host.trust(&[&second]).unwrap();
    assert_eq!(host.registry(), format!("{}{}", block(&first), block(&second)));
    assert_eq!(plan(&[first], &host.place).unwrap(), []);
}

#[test]
fn a_second_run_at_once_is_kept_out() {
    let host = Host::new();
    let held = Held::take(&host.place).unwrap();
    let error = Held::take(&host.place).unwrap_err();
    assert!(matches!(&error, StoreError::File { source: base::file::FileError::Locked { .. } }), "{error}");
    drop(held);
    Held::take(&host.place).unwrap();
}

#[test]
fn a_registry_is_a_host_and_never_a_way_up() {
    for (registry, is_one) in [
        ("registry.acme.internal", true),
        ("registry.acme.internal:5000", true),
        ("../..", false),
        ("a/b", false),
        ("a:b", false),
        ("", false),
        ("a:99999", false),
        ("https://a", false),
    ] {
        let host = Host::new();
        let place = Place { registry: Some(registry.into()), ..host.place.clone() };
        assert_eq!(plan(&[host.authority("Acme Root")], &place).is_ok(), is_one, "{registry}");
    }
}

//! Parts whose media fail while they are read: the source of a split that changes, a part that becomes shorter under a join.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::delta_test::Turning;
use super::join::{Parts, files};
use super::split::{apply, plan};
use super::split_error::PartsError;
use super::whole_test::{assembly_of, noise, signature};
use super::*;

const HOW: Thoroughness = Thoroughness { hashes: Hashes::Blake3, is_full: false, threads: 2 };

/// A bundle of some 700 kB.
fn written(folder: &Path) -> PathBuf {
    let out = folder.join("x.ggb");
    let layers = [noise(900_000, 1), noise(90_000, 2), noise(1024, 3), noise(100_000, 4)];
    assembly_of(&layers, &noise(90_000, 6), 2, folder).write(&out, &mut |_| Ok(vec![signature(1)])).unwrap();
    out
}

fn split(folder: &Path) -> Vec<PathBuf> {
    let (bundle, ()) = Bundle::open(&written(folder), |_, _| Ok(())).unwrap();
    let out = folder.join("parts");
    apply(&bundle, &plan(&bundle, 200_000, true, &out).unwrap(), HOW, &|_| ()).unwrap();
    files(&out).unwrap().0.into_iter().filter(|path| path.extension().is_some_and(|end| end != "sha256")).collect()
}

#[test]
fn what_is_split_is_what_was_verified() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path());
    let before = std::fs::read(&path).unwrap();
    for at in [700, before.len() / 2] {
        let mut after = before.clone();
        after[at] ^= 1;
        let has_turned = Arc::default();
        let medium = Turning { before: before.clone(), after, has_turned: Arc::clone(&has_turned) };
        let (bundle, ()) = Bundle::on(Box::new(medium), &path, |_, _| Ok(())).unwrap();
        let out = folder.path().join(format!("parts-{at}"));
        let plan = plan(&bundle, 200_000, true, &out).unwrap();
        bundle.verify(HOW, &|_| ()).unwrap();
        has_turned.store(true, Ordering::SeqCst);
        let refused = apply(&bundle, &plan, HOW, &|_| ()).unwrap_err();
        assert!(matches!(refused, BundleError::Parts(PartsError::Changed { .. })), "{refused}");
        assert_eq!((refused.id(), files(&out).unwrap().0), ("GG-BUNDLE-149", Vec::new()));
    }
}

#[test]
fn a_part_that_does_not_read_is_made_from_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let parts = split(folder.path());
    let whole = std::fs::read(folder.path().join("x.ggb")).unwrap();
    let found = Parts::find(&[folder.path().join("parts")]).unwrap();
    let (span, notes) = Parts::find(&[folder.path().join("parts")]).unwrap().medium().unwrap();
    assert!(notes.is_empty(), "{notes:?}");
    // From here on its bytes are not there, as with a sector that does not read.
    let short = |path: &Path| std::fs::File::options().write(true).open(path).unwrap().set_len(50_000).unwrap();
    short(&parts[1]);
    let out = folder.path().join("joined.ggb");
    let joined = found.join(Some(&out), &|_| ()).unwrap();
    assert_eq!(joined.mended, Some(2));
    assert!(joined.notes.iter().any(|note| note.contains("x.ggb.002` does not read")), "{:?}", joined.notes);
    assert!(std::fs::read(&out).unwrap() == whole);
    let (bundle, ()) = Bundle::on(Box::new(span), &out, |_, _| Ok(())).unwrap();
    bundle.verify(HOW, &|_| ()).unwrap();
    // Without a parity it is a file that does not read, not one that is damaged.
    let parts = split(folder.path());
    std::fs::remove_file(folder.path().join("parts/x.ggb.par")).unwrap();
    std::fs::remove_file(&out).unwrap();
    let found = Parts::find(&[folder.path().join("parts")]).unwrap();
    short(&parts[2]);
    let refused = found.join(Some(&out), &|_| ()).unwrap_err();
    assert!(matches!(&refused, BundleError::Read { path, .. } if path == &parts[2]), "{refused}");
    assert!(!out.exists());
}

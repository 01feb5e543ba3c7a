//! Deltas: made, applied, and bent by somebody who can make every hash in them but not a signature.

use std::path::{Path, PathBuf};

use super::apply::Pair;
use super::delta::{Base, Report, write};
use super::delta_error::DeltaError;
use super::delta_file::{Delta, END, Index, Origin, Patch, Step};
use super::inventory::{HeldBundle, Inventory};
use super::whole_test::{assembly_of, noise, signature};
use super::*;

fn open(path: &Path) -> Bundle {
    Bundle::open(path, |_, _| Ok(())).unwrap().0
}

/// An old bundle, and a new one with a changed program, a changed layer, a new layer that holds the program, and two layers
/// that are the same.
fn pair(folder: &Path) -> (PathBuf, PathBuf) {
    let bundle = |name: &str, layers: &[Vec<u8>; 4], program: &[u8]| {
        let mut assembly = assembly_of(layers, program, 2, folder);
        assembly.version = name.into();
        assembly.sequence += u64::from(name == "2.0");
        assembly.epoch += u64::from(name == "2.0");
        let out = folder.join(format!("{name}.ggb"));
        assembly.write(&out, &mut |_| Ok(vec![signature(1)])).unwrap();
        out
    };
    let (layer, program) = (noise(9 << 20, 1), noise(400_000, 6));
    let old = [layer.clone(), noise(90_000, 2), noise(1024, 3), noise(8 << 20, 4)];
    let mut new = old.clone();
    new[0].splice(5_000_000..5_000_100, *b"something else, of another length");
    let mut next = program.clone();
    next[200_000..200_050].fill(1);
    new[1] = [b"a header".as_slice(), &next, b"its end"].concat();
    (bundle("1.0", &old, &program), bundle("2.0", &new, &next))
}

fn made(folder: &Path) -> (Bundle, Bundle, Report, Vec<u8>) {
    let (old, new) = pair(folder);
    let (old, new) = (open(&old), open(&new));
    let out = folder.join("x.ggd");
    let report = write(&new, &Base::of_bundle(&old), Some(&out), &|_| ()).unwrap();
    let bytes = std::fs::read(out).unwrap();
    (old, new, report, bytes)
}

fn taken(bytes: &[u8]) -> Result<Delta, BundleError> {
    Delta::on(Box::new(bytes.to_vec()), Path::new("x.ggd"), |_, _| Ok(())).map(|(delta, ())| delta)
}

/// The delta applied in memory.
fn applied(bytes: &[u8], base: Option<&Bundle>) -> Result<Vec<u8>, BundleError> {
    Pair::new(&taken(bytes)?, base)?.bytes()
}

/// Everything before the list of steps, and the list.
fn apart(bytes: &[u8]) -> (Vec<u8>, Index) {
    let end = bytes.len() - usize::try_from(END).unwrap();
    let length = u32::from_le_bytes(bytes[end..end + 4].try_into().unwrap()) as usize;
    (bytes[..end - length].to_vec(), serde_json::from_slice(&bytes[end - length..end]).unwrap())
}

/// A delta with every hash as it should be.
fn sealed(mut before: Vec<u8>, index: &[u8]) -> Vec<u8> {
    before.extend_from_slice(index);
    before.extend(u32::try_from(index.len()).unwrap().to_le_bytes());
    let sum = Digest::of(&before).0;
    before.extend(sum);
    before
}

#[test]
fn a_delta_is_small_and_gives_the_new_bundle_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new, report, bytes) = made(folder.path());
    let whole = std::fs::read(new.path()).unwrap();
    assert_eq!(report.size, bytes.len() as u64);
    assert!(bytes.len() * 20 < whole.len(), "{} of {}", bytes.len(), whole.len());
    // Two layers are kept; the changed layer has two frames, of which one is as it was before.
    assert!(report.kept.frames >= 2 && report.patched.frames >= 3 && report.patches < 20_000, "{report:?}");
    assert!(apart(&bytes).1.steps.iter().any(|step| matches!(step, Step::Patch(Patch { of: Origin::Made, .. }))));
    assert!(applied(&bytes, Some(&old)).unwrap() == whole);
    let out = folder.path().join("applied.ggb");
    let delta = taken(&bytes).unwrap();
    let pair = Pair::new(&delta, Some(&old)).unwrap();
    assert_eq!(pair.size(), whole.len() as u64);
    pair.write(&out, &|_| ()).unwrap();
    assert!(std::fs::read(&out).unwrap() == whole);
    write(&new, &Base::of_bundle(&old), Some(&out), &|_| ()).unwrap();
    assert!(std::fs::read(&out).unwrap() == bytes, "the same bundles gave another delta");
}

#[test]
fn an_inventory_stands_for_a_bundle_that_is_not_here() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = pair(folder.path());
    let (old, new) = (open(&old), open(&new));
    let text = Inventory::new(vec![HeldBundle::of(old.manifest()), HeldBundle::of(new.manifest())]).text();
    let inventory = Inventory::parse(text.as_bytes()).unwrap();
    let nearest = inventory.nearest(new.manifest()).unwrap();
    assert!(matches!(
        write(&new, &Base::of_inventory(nearest), None, &|_| ()),
        Err(BundleError::Delta(DeltaError::Pair(_)))
    ));
    let out = folder.path().join("x.ggd");
    let held = HeldBundle::of(old.manifest());
    let report = write(&new, &Base::of_inventory(&held), Some(&out), &|_| ()).unwrap();
    // The program is in the bundle a second time.
    assert!(report.kept.frames >= 2 && report.patched.frames == 1, "{report:?}");
    assert!(applied(&std::fs::read(out).unwrap(), Some(&old)).unwrap() == std::fs::read(new.path()).unwrap());
}

#[test]
fn another_base_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new, _, bytes) = made(folder.path());
    for (base, words) in [(None, "and none was named"), (Some(&new), "this is 2.0")] {
        let refused = applied(&bytes, base).unwrap_err();
        assert!(refused.is_base() && refused.id() == "GG-BUNDLE-154", "{refused}");
        let needed = format!("gitgrit 1.0 (manifest {})", Digest::of(&old.manifest().bytes()).named());
        assert!(refused.to_string().contains(&needed) && refused.to_string().contains(words), "{refused}");
    }
}

/// The number of a refusal, and what leads to it.
type Bend<'b> = (&'b str, &'b dyn Fn(&mut Index));

/// What the head's signatures do not cover can say anything.
#[test]
fn steps_that_lie_are_refused_for_their_reason() {
    let folder = tempfile::tempdir().unwrap();
    let (old, _, _, bytes) = made(folder.path());
    let (before, good) = apart(&bytes);
    let patch = good.steps.iter().position(|step| matches!(step, Step::Patch(Patch { of: Origin::Base, .. }))).unwrap();
    let own = good.steps.iter().position(|step| matches!(step, Step::Patch(Patch { of: Origin::Made, .. }))).unwrap();
    let kept = good.steps.iter().position(|step| matches!(step, Step::Base(_))).unwrap();
    let with = |bend: &dyn Fn(&mut Index)| {
        let mut bent = good.clone();
        bend(&mut bent);
        applied(&sealed(before.clone(), &bent.bytes()), Some(&old)).map(drop).map_err(|error| error.id())
    };
    assert_eq!(with(&|_| ()), Ok(()));
    // However long the delta is, a patch of it takes less memory than its frame.
    let number = |step: &Step| match step {
        Step::Base(count) | Step::Whole(count) => *count,
        Step::Patch(_) => 1,
    };
    let before_it: usize = good.steps[..patch].iter().map(number).sum();
    let as_large = taken(&bytes).unwrap().manifest().frames[before_it].packed;
    let change = |index: &mut Index, at: usize, bend: &dyn Fn(&mut Patch)| {
        if let Some(Step::Patch(patch)) = index.steps.get_mut(at) {
            bend(patch);
        }
    };
    let bends: &[Bend<'_>] = &[
        ("153", &|index| index.steps.clear()),
        ("153", &|index| index.steps.push(Step::Base(1))),
        ("153", &|index| index.steps[kept] = Step::Base(0)),
        ("153", &|index| index.steps[kept] = Step::Base(usize::MAX)),
        ("153", &|index| index.steps[kept] = Step::Whole(u32::MAX as usize)),
        ("153", &|index| index.steps.insert(kept, Step::Base(1))),
        ("153", &|index| index.base.version = "1.0\u{1b}[2J".into()),
        ("153", &|index| index.base.version = String::new()),
        ("153", &|index| change(index, patch, &|patch| patch.length = u64::MAX)),
        ("153", &|index| change(index, patch, &|patch| patch.length = (24 << 20) + 1)),
        ("154", &|index| index.base.manifest = Digest::of(b"another")),
        ("151", &|index| change(index, patch, &|patch| patch.size += 1)),
        ("153", &|index| change(index, patch, &|patch| patch.size = u64::MAX)),
        ("153", &|index| change(index, patch, &|patch| patch.size = 0)),
        ("153", &|index| change(index, patch, &|patch| patch.size = as_large)),
        ("151", &|index| change(index, patch, &|patch| patch.size = as_large - 1)),
        ("151", &|index| index.steps[patch] = Step::Base(1)),
        ("156", &|index| change(index, patch, &|patch| patch.from = u64::MAX)),
        ("156", &|index| change(index, patch, &|patch| patch.from = 1 << 40)),
        ("156", &|index| change(index, patch, &|patch| patch.length = 0)),
        ("156", &|index| change(index, own, &|patch| patch.from = 18 << 20)),
        ("156", &|index| change(index, patch, &|patch| (patch.of, patch.from) = (Origin::Made, 1 << 24))),
        ("157", &|index| change(index, patch, &|patch| patch.from += 1)),
        ("157", &|index| change(index, patch, &|patch| patch.length = 1)),
    ];
    for (place, (number, bend)) in bends.iter().enumerate() {
        assert_eq!(with(bend), Err(format!("GG-BUNDLE-{number}").as_str()), "{place}");
    }
    let spaced = [b" ".as_slice(), &good.bytes()].concat();
    for index in [spaced, vec![b'['; 100], vec![b'x'; 100_000], Vec::new()] {
        assert_eq!(taken(&sealed(before.clone(), &index)).err().unwrap().id(), "GG-BUNDLE-153");
    }
    for bytes in [b"".as_slice(), b"gitgrit-delta 2\n", &std::fs::read(old.path()).unwrap(), &bytes[1..]] {
        assert_eq!(taken(bytes).err().unwrap().id(), "GG-BUNDLE-150");
    }
}

/// A medium that gives other bytes from some moment on.
pub(crate) struct Turning {
    pub(crate) before: Vec<u8>,
    pub(crate) after: Vec<u8>,
    pub(crate) has_turned: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl Medium for Turning {
    fn read_at(&self, buffer: &mut [u8], from: u64) -> std::io::Result<usize> {
        let has_turned = self.has_turned.load(std::sync::atomic::Ordering::SeqCst);
        (if has_turned { &self.after } else { &self.before }).read_at(buffer, from)
    }

    fn size(&self) -> std::io::Result<u64> {
        self.before.size()
    }
}

#[test]
fn the_head_that_is_written_is_the_one_that_was_judged() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new, _, before) = made(folder.path());
    let mut after = before.clone();
    after[2000] ^= 1;
    let has_turned = std::sync::Arc::default();
    let medium = Turning { before, after, has_turned: std::sync::Arc::clone(&has_turned) };
    let (delta, ()) = Delta::on(Box::new(medium), Path::new("x.ggd"), |_, _| Ok(())).unwrap();
    has_turned.store(true, std::sync::atomic::Ordering::SeqCst);
    let found = Pair::new(&delta, Some(&old)).unwrap().bytes().unwrap();
    assert!(found == std::fs::read(new.path()).unwrap());
}

/// A stick that is pulled out is no damaged base.
#[test]
fn a_base_that_does_not_read_is_not_called_damaged() {
    struct Pulled(Turning);
    impl Medium for Pulled {
        fn read_at(&self, buffer: &mut [u8], from: u64) -> std::io::Result<usize> {
            let is_pulled = self.0.has_turned.load(std::sync::atomic::Ordering::SeqCst);
            if is_pulled { Err(rustix::io::Errno::IO.into()) } else { self.0.read_at(buffer, from) }
        }

        fn size(&self) -> std::io::Result<u64> {
            self.0.size()
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let (old, _, _, bytes) = made(folder.path());
    let before = std::fs::read(old.path()).unwrap();
    let has_turned = std::sync::Arc::default();
    let medium = Turning { before, after: Vec::new(), has_turned: std::sync::Arc::clone(&has_turned) };
    let (base, ()) = Bundle::on(Box::new(Pulled(medium)), old.path(), |_, _| Ok(())).unwrap();
    has_turned.store(true, std::sync::atomic::Ordering::SeqCst);
    let refused = applied(&bytes, Some(&base)).unwrap_err();
    assert!(matches!(&refused, BundleError::Read { path, .. } if path == old.path()), "{refused}");
}

/// Every flipped bit is found by the hash at the end; with that made anew, by what comes out, or it changes nothing that is written.
#[test]
fn no_flipped_bit_and_no_cut_makes_another_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new, _, bytes) = made(folder.path());
    let whole = std::fs::read(new.path()).unwrap();
    let hashed = |mut bytes: Vec<u8>| {
        bytes.truncate(bytes.len().saturating_sub(32));
        let sum = Digest::of(&bytes).0;
        bytes.extend(sum);
        bytes
    };
    for number in 0..120 {
        let at = number * (bytes.len() - 1) / 119;
        let mut bent = bytes.clone();
        bent[at] ^= 1 << (number % 8);
        assert!(applied(&bent, Some(&old)).is_err(), "byte {at}");
        if number % 4 == 0
            && let Ok(found) = applied(&hashed(bent), Some(&old))
        {
            assert!(found == whole, "byte {at}");
        }
        assert!(applied(&bytes[..at], Some(&old)).is_err(), "cut at {at}");
        if number % 4 == 0 {
            assert!(applied(&hashed(bytes[..at].to_vec()), Some(&old)).is_err(), "cut and sealed at {at}");
        }
    }
}

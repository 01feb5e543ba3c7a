//! Writes a bundle as parts that fit on media. All of them are written before any gets its name, and read back for the list
//! of their hashes. Holds one piece of one part at a time.

use std::collections::BTreeSet;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use base::file::{FileError, create_dir, write_atomic};
use vault::digest::Sha256;

use super::draft::{Draft, check_room};
use super::join::files;
use super::join_medium::Span;
use super::parity::lay;
use super::split_error::PartsError;
use super::split_header::{Header, LEAST, MOST, Part, Set, is_name};
use super::{Bundle, BundleError, Digest, Signature, Thoroughness};

/// How much of each part is read at a time, in bytes.
const PIECE: usize = 1 << 20;

/// What will be written.
#[derive(Clone, Debug)]
pub struct SplitPlan {
    /// The parts; their hashes are not known yet.
    pub set: Set,
    /// The folder that they go into.
    pub out: PathBuf,
}

/// A file that was written.
#[derive(Clone, Debug)]
pub struct Written {
    /// Its name.
    pub name: String,
    /// Its size, in bytes.
    pub size: u64,
    /// Of the whole file.
    pub sha256: Digest,
}

/// A bundle in parts.
#[derive(Clone, Debug)]
pub struct Split {
    /// The parts.
    pub set: Set,
    /// Their files, the parity last.
    pub files: Vec<Written>,
    /// Of the bundle's file.
    pub whole: Digest,
}

/// Plans parts whose files are at most `size` bytes long. Changes nothing.
pub fn plan(bundle: &Bundle, size: u64, has_parity: bool, out: &Path) -> Result<SplitPlan, PartsError> {
    let refused = |why| PartsError::Size { size, why };
    let manifest = bundle.manifest();
    let own = bundle.path().file_name().map(|name| name.to_string_lossy().into_owned());
    let name = own.filter(|name| is_name(name));
    let name = name.unwrap_or_else(|| format!("gitgrit-{}-{}.ggb", manifest.version, manifest.arch.name()));
    let whole = bundle.size();
    let mut header = 0;
    loop {
        let part = size.saturating_sub(header).min(whole);
        if part < LEAST && part < whole {
            return Err(refused("they are too small"));
        }
        let count = u32::try_from(whole.div_ceil(part)).unwrap_or(u32::MAX);
        if count > MOST {
            return Err(refused("there would be more than 512"));
        }
        if has_parity && count < 2 {
            return Err(refused("there is one alone, and no parity of it"));
        }
        let zero = Digest([0; 32]);
        let set = Set {
            name: name.clone(),
            manifest: Digest::of(&manifest.bytes()),
            size: whole,
            part,
            count,
            parts: vec![zero; usize::try_from(count).unwrap_or_default()],
            parity: has_parity.then_some(zero),
        };
        let needed = set.header_size() as u64;
        if needed <= header {
            return left_over(&set, out)?
                .map_or(Ok(SplitPlan { set, out: out.into() }), |path| Err(PartsError::Left { path }));
        }
        header = needed;
    }
}

/// A part that this split would not replace and that would lie among its own, or what a split of this bundle that was ended
/// has left of one.
fn left_over(set: &Set, out: &Path) -> Result<Option<PathBuf>, PartsError> {
    if !out.exists() {
        return Ok(None);
    }
    let is_planned = |number: &u32| *number <= set.count && (*number > 0 || set.parity.is_some());
    let (planned, others): (Vec<u32>, Vec<u32>) = (0..=MOST).partition(is_planned);
    let planned: BTreeSet<String> = planned.into_iter().map(|number| set.file(number)).collect();
    let others: BTreeSet<String> = others.into_iter().map(|number| format!("{}.part", set.file(number))).collect();
    let is_left = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let is_unfinished = path.extension().is_some_and(|end| end == "part");
        let is_part = || matches!(Part::open(path), Ok(Some(_)) | Err(PartsError::NoPart { .. }));
        others.contains(&name) || (!is_unfinished && !planned.contains(&name) && is_part())
    };
    Ok(files(out)?.0.into_iter().find(is_left))
}

impl SplitPlan {
    /// The bytes of all files.
    pub fn room(&self) -> u64 {
        let headers = (u64::from(self.set.count) + 1) * self.set.header_size() as u64;
        let parity = if self.set.parity.is_some() { self.set.part } else { 0 };
        self.set.size.saturating_add(parity).saturating_add(headers)
    }

    /// The numbers of the parts, the parity last.
    pub fn numbers(&self) -> Vec<u32> {
        (1..=self.set.count).chain([0].into_iter().filter(|_| self.set.parity.is_some())).collect()
    }

    /// The name of the file with part `number`; the parity is 0.
    pub fn file(&self, number: u32) -> String {
        self.set.file(number)
    }
}

/// Writes the parts, and the list of their hashes that `sha256sum -c` takes; verifies what was written `how` the bundle was.
/// `tell` hears of bytes written, read back and verified. A run that was ended leaves files that end in `.part`, and the next
/// replaces them.
pub fn apply(
    bundle: &Bundle,
    plan: &SplitPlan,
    how: Thoroughness,
    tell: &(dyn Fn(u64) + Sync),
) -> Result<Split, BundleError> {
    // Every part is open twice.
    base::process::raise_open_files();
    let out = &plan.out;
    create_dir(out, 0o755).map_err(|error| unwritten(out, error))?;
    let drafts = plan.numbers().into_iter().map(|number| Draft::begin(&out.join(plan.file(number))));
    let drafts: Vec<Draft> = drafts.collect::<Result<_, _>>()?;
    // What a run that was ended has left has made room by now.
    check_room(out, plan.room())?;
    let set = contents(bundle, plan, &drafts, tell)?;
    base::fault::point("bundle:split:contents");
    let (files, whole) = read_back(&set, plan, &drafts, tell)?;
    is_verified(bundle, &set, &drafts, how, tell)?;
    for (count, draft) in (1..).zip(drafts) {
        draft.seal()?;
        base::fault::point(&format!("bundle:split:named:{count}"));
    }
    let lines = files.iter().map(|file| format!("{}  {}\n", file.sha256, file.name));
    let sums = out.join(format!("{}.parts.sha256", set.name));
    let text = lines.collect::<String>();
    write_atomic(&sums, text.as_bytes(), 0o644).map_err(|error| unwritten(&sums, error))?;
    Ok(Split { set, files, whole })
}

fn unwritten(path: &Path, error: FileError) -> BundleError {
    match error {
        FileError::Write { path, source } => BundleError::Write { path, source },
        other => BundleError::Write { path: path.into(), source: std::io::Error::other(other) },
    }
}

/// What was written is the bundle that was verified: what it was read from may have given other bytes since.
fn is_verified(
    bundle: &Bundle,
    set: &Set,
    drafts: &[Draft],
    how: Thoroughness,
    tell: &(dyn Fn(u64) + Sync),
) -> Result<(), BundleError> {
    let part = |(number, draft): (u32, &Draft)| {
        let path = PathBuf::from(set.file(number));
        let file = draft.file().try_clone();
        let file = file.map_err(|source| BundleError::Read { path: path.clone(), source })?;
        let sha256 = set.digest(number).unwrap_or(Digest([0; 32]));
        Ok(Some(Part::written(path, Header { part: number, sha256, set: set.clone() }, file)))
    };
    let parts = (1..=set.count).zip(drafts).map(part).collect::<Result<_, BundleError>>()?;
    let span = Span { set: set.clone(), parts, parity: None };
    let judge = |bytes: &[u8], signatures: &[Signature]| Ok((Digest::of(bytes), signatures.to_vec()));
    let found = Bundle::on(Box::new(span), bundle.path(), judge);
    let found = found.and_then(|(again, head)| again.verify(how, tell).map(|_| head));
    let changed = |why: String| PartsError::Changed { why }.into();
    match found {
        Ok((manifest, signatures)) if manifest == set.manifest && signatures == bundle.signatures() => Ok(()),
        Ok(_) => Err(changed("its head is another".into())),
        Err(error) if error.is_outside() => Err(error),
        Err(error) => Err(changed(error.to_string())),
    }
}

/// Writes what the parts hold, a piece of each in turn so that the parity is made on the way, and then their headers.
fn contents(bundle: &Bundle, plan: &SplitPlan, drafts: &[Draft], tell: &dyn Fn(u64)) -> Result<Set, BundleError> {
    let set = &plan.set;
    let header = set.header_size() as u64;
    let mut hashes: Vec<Sha256> = drafts.iter().map(|_| Sha256::default()).collect();
    let (mut piece, mut over) = (vec![0; PIECE], vec![0; PIECE]);
    let mut from = 0;
    while from < set.part {
        let wide = usize::try_from(set.part - from).unwrap_or(PIECE).min(PIECE);
        over.fill(0);
        for (number, (draft, hash)) in (1..=set.count).zip(drafts.iter().zip(&mut hashes)) {
            let length = set.length(number).saturating_sub(from).min(wide as u64);
            let bytes = piece.get_mut(..usize::try_from(length).unwrap_or_default()).unwrap_or_default();
            bundle.whole(u64::from(number - 1) * set.part + from, bytes)?;
            hash.update(bytes);
            lay(&mut over, bytes);
            draft.put_at(bytes, header + from)?;
            tell(length);
        }
        if let (Some(_), Some(draft), Some(hash)) = (set.parity, drafts.last(), hashes.last_mut()) {
            let bytes = over.get(..wide).unwrap_or_default();
            hash.update(bytes);
            draft.put_at(bytes, header + from)?;
        }
        from += wide as u64;
    }
    base::fault::point("bundle:split:headers");
    let mut digests: Vec<Digest> = hashes.into_iter().map(|hash| Digest(hash.finish())).collect();
    let parity = set.parity.and_then(|_| digests.pop());
    let set = Set { parts: digests, parity, ..set.clone() };
    for (number, draft) in plan.numbers().into_iter().zip(drafts) {
        let sha256 = set.digest(number).or(set.parity).unwrap_or(Digest([0; 32]));
        draft.put_at(&Header { part: number, sha256, set: set.clone() }.bytes(), 0)?;
    }
    Ok(set)
}

/// Reads the files again as they lie there: the hash of each, and that of the bundle that they make.
fn read_back(
    set: &Set,
    plan: &SplitPlan,
    drafts: &[Draft],
    tell: &dyn Fn(u64),
) -> Result<(Vec<Written>, Digest), BundleError> {
    let header = set.header_size() as u64;
    let mut whole = Sha256::default();
    let mut piece = vec![0; PIECE];
    let mut files = Vec::new();
    for (number, draft) in plan.numbers().into_iter().zip(drafts) {
        let size = header + set.length(number);
        let path = plan.out.join(set.file(number));
        let failed = |source| BundleError::Read { path: path.clone(), source };
        draft.file().sync_all().map_err(|source| BundleError::Write { path: path.clone(), source })?;
        let (mut hash, mut content) = (Sha256::default(), Sha256::default());
        let mut from = 0;
        while from < size {
            // The first piece is the header alone.
            let until = if from < header { header } else { size };
            let wide = usize::try_from(until - from).unwrap_or(PIECE).min(PIECE);
            let bytes = piece.get_mut(..wide).unwrap_or_default();
            draft.file().read_exact_at(bytes, from).map_err(failed)?;
            hash.update(bytes);
            if from >= header {
                content.update(bytes);
                if number > 0 {
                    whole.update(bytes);
                    tell(wide as u64);
                }
            }
            from += wide as u64;
        }
        if set.digest(number).or(set.parity) != Some(Digest(content.finish())) {
            return Err(PartsError::Damaged {
                parts: vec![format!("`{}` right after it was written", set.file(number))],
            }
            .into());
        }
        files.push(Written { name: set.file(number), size, sha256: Digest(hash.finish()) });
    }
    Ok((files, Digest(whole.finish())))
}

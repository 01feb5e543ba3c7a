//! Writes a bundle as parts that fit on media. All of them are written before any gets its name, and read back for the list
//! of their hashes. Holds one piece of one part at a time.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use base::file::{create_dir, write_atomic};
use vault::digest::Sha256;

use super::draft::{Draft, check_room};
use super::parity::lay;
use super::split_error::PartsError;
use super::split_header::{Header, LEAST, MOST, Part, Set, is_name};
use super::{Bundle, BundleError, Digest};

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
        if needed <= header || part == whole {
            return left_over(&set, out)
                .map_or(Ok(SplitPlan { set, out: out.into() }), |path| Err(PartsError::Left { path }));
        }
        header = needed;
    }
}

/// A part of an earlier split that this one would not replace, and that would be taken for one of it.
fn left_over(set: &Set, out: &Path) -> Option<PathBuf> {
    let parity = [0].into_iter().filter(|_| set.parity.is_none());
    let others = (set.count + 1..=MOST).chain(parity).map(|number| out.join(set.file(number)));
    others.into_iter().find(|path| path.exists() && !matches!(Part::open(path), Ok(None)))
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

/// Writes the parts, and the list of their hashes that `sha256sum -c` takes. `tell` hears of bytes written and of bytes read
/// back. A run that was ended leaves files that end in `.part`, and the next replaces them.
pub fn apply(bundle: &Bundle, plan: &SplitPlan, tell: &dyn Fn(u64)) -> Result<Split, BundleError> {
    let out = &plan.out;
    let failed = |source| BundleError::Write { path: out.clone(), source };
    create_dir(out, 0o755).map_err(|error| failed(std::io::Error::other(error)))?;
    check_room(out, plan.room())?;
    let drafts = plan.numbers().into_iter().map(|number| Draft::begin(&out.join(plan.file(number))));
    let drafts: Vec<Draft> = drafts.collect::<Result<_, _>>()?;
    let set = contents(bundle, plan, &drafts, tell)?;
    base::fault::point("bundle:split:contents");
    let (files, whole) = read_back(&set, plan, &drafts, tell)?;
    for draft in drafts {
        draft.seal()?;
        base::fault::point("bundle:split:named");
    }
    let lines = files.iter().map(|file| format!("{}  {}\n", file.sha256, file.name));
    let sums = out.join(format!("{}.parts.sha256", set.name));
    let text = lines.collect::<String>();
    write_atomic(&sums, text.as_bytes(), 0o644).map_err(|error| failed(std::io::Error::other(error)))?;
    Ok(Split { set, files, whole })
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
        let failed = |source| BundleError::Read { path: plan.out.join(set.file(number)), source };
        draft.file().sync_all().map_err(failed)?;
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

//! Finds the parts of a bundle and puts them together again. Parts are known by what they say of themselves, never by their
//! names; what is lost or damaged is named, and one of them is made again from the parity. Believes no hash of an index for
//! more than damage: the bundle's own signatures and hashes come after.

use std::fs;
use std::path::{Path, PathBuf};

use vault::digest::Sha256;

use super::draft::{Draft, check_room, folder_of};
use super::join_medium::Span;
use super::split_error::PartsError;
use super::split_header::{MAGIC, Part, Set};
use super::{Bundle, BundleError, Digest};

/// How much is read at a time, in bytes.
const PIECE: usize = 256 << 10;
/// The most files of a folder that are looked at.
const CROWD: usize = 10_000;

/// The parts of one bundle, as they were found.
pub struct Parts {
    set: Set,
    /// By their numbers, the first at 0.
    all: Vec<Option<Part>>,
    parity: Option<Part>,
    /// What lies there and is no whole part of this bundle.
    notes: Vec<String>,
}

/// What joining has found.
#[derive(Debug)]
pub struct Joined {
    /// The bundle's parts.
    pub set: Set,
    /// The part that was lost or damaged, and made again from the others.
    pub mended: Option<u32>,
    /// What lay there and was not used.
    pub notes: Vec<String>,
}

/// Says whether a bundle that is named by `path` lies there in parts.
pub(crate) fn in_place(path: &Path, file: &fs::File) -> Option<Result<Span, PartsError>> {
    let is_parts = file.metadata().is_ok_and(|facts| facts.is_dir()) || {
        let mut start = [0; MAGIC.len()];
        std::os::unix::fs::FileExt::read_exact_at(file, &mut start, 0).is_ok() && start == MAGIC
    };
    is_parts.then(|| Parts::find(&[path.to_owned()]).and_then(Parts::medium))
}

impl Parts {
    /// Finds the parts: all in one folder, those beside the one that is named, or just those that are named.
    pub fn find(paths: &[PathBuf]) -> Result<Self, PartsError> {
        match paths {
            [folder] if folder.is_dir() => {
                let mut found = Found::default();
                for path in files(folder)? {
                    match Part::open(&path) {
                        Ok(Some(part)) => found.add(part)?,
                        Ok(None) => {}
                        Err(error) => found.notes.push(error.to_string()),
                    }
                }
                found.sorted(folder)
            }
            [one] => {
                let first = Part::open(one)?.ok_or_else(|| no_part(one))?;
                let folder = one.parent().unwrap_or(Path::new("")).to_owned();
                let set = first.header.set.clone();
                let mut found = Found { parts: vec![first], notes: Vec::new() };
                for path in (1..=set.count).chain([0]).map(|number| folder.join(set.file(number))) {
                    match Part::open(&path) {
                        _ if path == *one || !path.exists() => {}
                        Ok(Some(part)) if part.header.set == set => found.add(part)?,
                        Ok(Some(part)) => {
                            let of = part.header.set.shown();
                            found.notes.push(format!("`{}` is a part of another bundle, {of}", path.display()));
                        }
                        Ok(None) => found.notes.push(no_part(&path).to_string()),
                        Err(error) => found.notes.push(error.to_string()),
                    }
                }
                found.sorted(one)
            }
            several => {
                let mut found = Found::default();
                for path in several {
                    match Part::open(path) {
                        Ok(part) => found.add(part.ok_or_else(|| no_part(path))?)?,
                        Err(error) => found.notes.push(error.to_string()),
                    }
                }
                found.sorted(Path::new("the files that were named"))
            }
        }
    }

    /// Which bundle's they are.
    pub const fn set(&self) -> &Set {
        &self.set
    }

    /// The part that has to be made from the others; `None` when all are there.
    fn lost(&self) -> Result<Option<u32>, PartsError> {
        let missing: Vec<u32> =
            (1..=self.set.count).zip(&self.all).filter(|(_, part)| part.is_none()).map(|(number, _)| number).collect();
        match missing.as_slice() {
            [] => Ok(None),
            [one] if self.parity.is_some() => Ok(Some(*one)),
            _ => Err(PartsError::Missing {
                name: self.set.name.clone(),
                count: self.set.count,
                missing,
                notes: self.notes.clone(),
            }),
        }
    }

    /// A medium over the parts where they lie. Nothing of them is hashed: that is for whoever reads the bundle.
    pub(crate) fn medium(self) -> Result<Span, PartsError> {
        self.lost()?;
        Ok(Span { set: self.set, parts: self.all, parity: self.parity })
    }

    /// Checks every part, and with `out` writes the bundle there. `tell` hears of the bytes that were read.
    pub fn join(self, out: Option<&Path>, tell: &dyn Fn(u64)) -> Result<Joined, BundleError> {
        let lost = self.lost()?;
        if let Some(out) = out {
            check_room(folder_of(out), self.set.size)?;
        }
        let draft = out.map(Draft::begin).transpose()?;
        let mut spoilt: Vec<u32> = lost.into_iter().collect();
        for (number, part) in (1..=self.set.count).zip(&self.all) {
            if let Some(part) = part
                && !self.copy(number, part, draft.as_ref(), tell)?
            {
                spoilt.push(number);
            }
        }
        let Self { set, all: mut parts, parity, notes } = self;
        let names = |numbers: &[u32]| PartsError::Damaged {
            parts: numbers.iter().map(|number| format!("`{}`", set.file(*number))).collect(),
        };
        if let ([number], Some(_)) = (spoilt.as_slice(), &parity) {
            for (index, part) in (1..=set.count).zip(&mut parts) {
                if index == *number {
                    *part = None;
                }
            }
        } else if !spoilt.is_empty() {
            return Err(names(&spoilt).into());
        }
        let span = Span { set: set.clone(), parts, parity };
        if let Some(number) = spoilt.first() {
            mend(&span, *number, draft.as_ref())
                .map_err(|error| error.unwrap_or_else(|| names(&[*number, 0]).into()))?;
        }
        belongs(span, &set)?;
        base::fault::point("bundle:join:written");
        draft.map_or(Ok(()), Draft::seal)?;
        Ok(Joined { set, mended: spoilt.first().copied(), notes })
    }

    /// Copies a part to its place. Gives whether its bytes are those of the index.
    fn copy(&self, number: u32, part: &Part, draft: Option<&Draft>, tell: &dyn Fn(u64)) -> Result<bool, BundleError> {
        let start = self.set.part * u64::from(number - 1);
        let mut hash = Sha256::default();
        let mut piece = vec![0; PIECE];
        let mut from = 0;
        while from < part.length() {
            let size =
                part.read(&mut piece, from).map_err(|source| BundleError::Read { path: part.path.clone(), source })?;
            let bytes = piece.get(..size).unwrap_or_default();
            hash.update(bytes);
            if let Some(draft) = draft {
                draft.put_at(bytes, start + from)?;
            }
            from += size as u64;
            tell(size as u64);
        }
        Ok(self.set.digest(number) == Some(Digest(hash.finish())))
    }
}

/// Makes the part that is not there. `None` as the failure when what comes out is not it either.
fn mend(span: &Span, number: u32, draft: Option<&Draft>) -> Result<(), Option<BundleError>> {
    use super::Medium;
    let (start, length) = (span.set.part * u64::from(number - 1), span.set.length(number));
    let mut hash = Sha256::default();
    let mut piece = vec![0; PIECE];
    let mut from = 0;
    while from < length {
        let wide = usize::try_from(length - from).unwrap_or(PIECE).min(PIECE);
        let buffer = piece.get_mut(..wide).unwrap_or_default();
        let failed = |source| Some(BundleError::Read { path: span.set.file(0).into(), source });
        let size = span.read_at(buffer, start + from).map_err(failed)?;
        let bytes = buffer.get(..size).unwrap_or_default();
        hash.update(bytes);
        if let Some(draft) = draft {
            draft.put_at(bytes, start + from)?;
        }
        from += size as u64;
    }
    if span.set.digest(number) == Some(Digest(hash.finish())) { Ok(()) } else { Err(None) }
}

/// The parts make a bundle with the manifest that they name. Whose it is does not matter here.
fn belongs(span: Span, set: &Set) -> Result<(), BundleError> {
    let other = |why: String| PartsError::Other { why };
    let digest = |bytes: &[u8], _: &[super::Signature]| Ok(Digest::of(bytes));
    match Bundle::on(Box::new(span), Path::new(&set.name), digest) {
        Ok((_, found)) if found == set.manifest => Ok(()),
        Ok((_, found)) => Err(other(format!("its manifest is {}, not {}", found.named(), set.manifest.named())).into()),
        Err(error) if error.is_outside() => Err(error),
        Err(error) => Err(other(error.to_string()).into()),
    }
}

/// Parts as they come.
#[derive(Default)]
struct Found {
    parts: Vec<Part>,
    notes: Vec<String>,
}

impl Found {
    /// Takes a part. Fails on one of another bundle than the first, and on one that was there already.
    fn add(&mut self, part: Part) -> Result<(), PartsError> {
        if let Some(first) = self.parts.first().filter(|first| first.header.set != part.header.set) {
            return Err(PartsError::Strangers {
                one: first.path.clone(),
                one_of: first.header.set.shown(),
                other: part.path,
                other_of: part.header.set.shown(),
            });
        }
        let number = part.header.part;
        if let Some(other) = self.parts.iter().find(|other| other.header.part == number) {
            return Err(PartsError::Twice { number, one: other.path.clone(), other: part.path });
        }
        self.parts.push(part);
        Ok(())
    }

    /// Puts the parts into their order. Fails when there is none.
    fn sorted(self, place: &Path) -> Result<Parts, PartsError> {
        let Self { parts: found, notes } = self;
        let Some(first) = found.first() else {
            return Err(match notes.into_iter().next() {
                Some(note) => PartsError::Damaged { parts: vec![note] },
                None => PartsError::Nothing { path: place.into() },
            });
        };
        let set = first.header.set.clone();
        let mut parts: Vec<Option<Part>> = (0..set.count).map(|_| None).collect();
        let mut parity = None;
        for part in found {
            let place = usize::try_from(part.header.part).ok().and_then(|number| number.checked_sub(1));
            match place {
                None => parity = Some(part),
                Some(index) => {
                    if let Some(place) = parts.get_mut(index) {
                        *place = Some(part);
                    }
                }
            }
        }
        Ok(Parts { set, all: parts, parity, notes })
    }
}

fn no_part(path: &Path) -> PartsError {
    PartsError::NoPart { path: path.into(), why: "does not begin as one does".into() }
}

/// The files of a folder, sorted.
fn files(folder: &Path) -> Result<Vec<PathBuf>, PartsError> {
    let failed =
        |error: std::io::Error| PartsError::NoPart { path: folder.into(), why: format!("does not read: {error}") };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)?.take(CROWD) {
        files.push(entry.map_err(failed)?.path());
    }
    files.retain(|path| path.is_file());
    files.sort();
    Ok(files)
}

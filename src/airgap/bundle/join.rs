//! Finds the parts of a bundle and puts them together again. Parts are known by what they say of themselves, never by their
//! names; what is lost or damaged is named, and one of them is made again from the parity. Believes no hash of an index for
//! more than damage: the bundle's own signatures and hashes come after.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use vault::digest::Sha256;

use super::draft::{Draft, check_room, folder_of};
use super::join_medium::Span;
use super::split_error::{PartsError, told};
use super::split_header::{Header, MAGIC, Part, Set};
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

/// Says whether a bundle that is named by `path` lies there in parts; then also what to tell whoever reads it.
pub(crate) fn in_place(path: &Path, file: &fs::File) -> Option<Result<(Span, Vec<String>), PartsError>> {
    let is_parts = file.metadata().is_ok_and(|facts| facts.is_dir()) || {
        let mut start = [0; MAGIC.len()];
        std::os::unix::fs::FileExt::read_exact_at(file, &mut start, 0).is_ok() && start == MAGIC
    };
    is_parts.then(|| Parts::find(&[path.to_owned()]).and_then(Parts::medium))
}

impl Parts {
    /// Finds the parts: those of one folder, those beside the one that is named, or those in the files and folders that are
    /// named.
    pub fn find(paths: &[PathBuf]) -> Result<Self, PartsError> {
        // The parts of one bundle are open at once, and there may be 513.
        base::process::raise_open_files();
        let mut found = Found::default();
        match paths {
            [one] if !one.is_dir() => found.beside(one)?,
            several => several.iter().try_for_each(|path| found.inside(path))?,
        }
        let place = if let [one] = paths { one.as_path() } else { Path::new("the files that were named") };
        found.sorted(place)
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

    /// A medium over the parts where they lie, and what to tell whoever reads it. Nothing of them is hashed: that is for
    /// whoever reads the bundle.
    pub(crate) fn medium(self) -> Result<(Span, Vec<String>), PartsError> {
        let lost = self.lost()?;
        let Self { set, all: parts, parity, mut notes } = self;
        if let Some(number) = lost {
            let file = set.file(number);
            notes.push(format!("`{file}` is missing, and is made from the others while reading: no other may be lost"));
        }
        notes.extend(bare(&set, parity.as_ref()));
        Ok((Span { set, parts, parity }, notes))
    }

    /// Checks every part, and with `out` writes the bundle there. `tell` hears of the bytes that were read.
    pub fn join(self, out: Option<&Path>, tell: &dyn Fn(u64)) -> Result<Joined, BundleError> {
        let mut spoilt: Vec<u32> = self.lost()?.into_iter().collect();
        // What a run that was ended has left makes room first.
        let draft = out.map(Draft::begin).transpose()?;
        if let Some(out) = out {
            check_room(folder_of(out), self.set.size)?;
        }
        let Self { set, all: mut parts, parity, mut notes } = self;
        let mut unread = None;
        for (number, place) in (1..=set.count).zip(&mut parts) {
            let Some(part) = place else { continue };
            let start = set.part * u64::from(number - 1);
            let found = hashed(part, &mut |from, bytes| {
                tell(bytes.len() as u64);
                draft.as_ref().map_or(Ok(()), |draft| draft.put_at(bytes, start + from))
            });
            match found {
                Ok(found) if set.digest(number) == Some(found) => continue,
                Ok(_) => notes.push(format!("`{}` is damaged", told(&part.path))),
                Err(BundleError::Read { path, source }) => {
                    notes.push(format!("`{}` does not read: {source}", path.display()));
                    unread = unread.or(Some(BundleError::Read { path, source }));
                }
                Err(error) => return Err(error),
            }
            spoilt.push(number);
            *place = None;
        }
        if spoilt.len() > usize::from(parity.is_some()) {
            return Err(unread.unwrap_or_else(|| damaged(&set, &spoilt).into()));
        }
        notes.extend(bare(&set, parity.as_ref()));
        if let (None, Some(part)) = (spoilt.first(), &parity)
            && hashed(part, &mut |_, _| Ok(())).ok() != set.parity
        {
            notes.push(format!("`{}` is damaged: no part may be lost any more", told(&part.path)));
        }
        let span = Span { set: set.clone(), parts, parity };
        if let Some(number) = spoilt.first() {
            mend(&span, *number, draft.as_ref())
                .map_err(|error| error.unwrap_or_else(|| damaged(&set, &[*number, 0]).into()))?;
        }
        belongs(span, &set)?;
        base::fault::point("bundle:join:written");
        draft.map_or(Ok(()), Draft::seal)?;
        Ok(Joined { set, mended: spoilt.first().copied(), notes })
    }
}

/// Takes bytes, and where they begin in their part.
type Put<'p> = dyn FnMut(u64, &[u8]) -> Result<(), BundleError> + 'p;

/// Reads a part, gives its bytes to `put`, and gives their hash.
fn hashed(part: &Part, put: &mut Put<'_>) -> Result<Digest, BundleError> {
    let mut hash = Sha256::default();
    let mut piece = vec![0; PIECE];
    let mut from = 0;
    while from < part.length() {
        let failed = |source| BundleError::Read { path: told(&part.path).into(), source };
        let size = part.read(&mut piece, from).map_err(failed)?;
        let bytes = piece.get(..size).unwrap_or_default();
        hash.update(bytes);
        put(from, bytes)?;
        from += size as u64;
    }
    Ok(Digest(hash.finish()))
}

fn damaged(set: &Set, numbers: &[u32]) -> PartsError {
    PartsError::Damaged { parts: numbers.iter().map(|number| format!("`{}`", set.file(*number))).collect() }
}

/// What to tell when a parity part was made and is not there.
fn bare(set: &Set, parity: Option<&Part>) -> Option<String> {
    let is_bare = set.parity.is_some() && parity.is_none();
    is_bare.then(|| format!("`{}` is missing: no part may be lost any more", set.file(0)))
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

/// The most bundles of which parts are looked at in one place.
const BUNDLES: usize = 4;

/// Parts as they come, those of one bundle together.
#[derive(Default)]
struct Found {
    groups: Vec<Vec<Part>>,
    /// The files that were looked at.
    seen: BTreeSet<PathBuf>,
    /// The first file that was no part.
    refused: Option<PartsError>,
    notes: Vec<String>,
}

impl Found {
    /// Takes a file, or the parts in a folder.
    fn inside(&mut self, path: &Path) -> Result<(), PartsError> {
        let is_folder = path.is_dir();
        let files = if is_folder { self.files(path)? } else { vec![path.to_owned()] };
        for path in files {
            match self.open(&path)? {
                Some(Ok(Some(part))) => self.add(part)?,
                Some(Ok(None)) if !is_folder => self.note(no_part(&path)),
                Some(Err(error)) => self.note(error),
                Some(Ok(None)) | None => {}
            }
        }
        Ok(())
    }

    /// Takes the parts that lie beside this one, in its folder and where it really is. They may have any names; of what is no
    /// part of the same bundle only that is noted which has the name of one.
    fn beside(&mut self, one: &Path) -> Result<(), PartsError> {
        let first = Part::open(one)?.ok_or_else(|| no_part(one))?;
        let set = first.header.set.clone();
        let real = one.canonicalize().unwrap_or_else(|_| one.to_owned());
        let folders = BTreeSet::from([folder_of(one), folder_of(&real)]);
        let names: Vec<String> = (0..=set.count).map(|number| set.file(number)).collect();
        self.seen.insert(real.clone());
        self.add(first)?;
        for folder in folders {
            for path in self.files(folder)? {
                let own = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                let is_meant = names.iter().any(|name| name.eq_ignore_ascii_case(&own));
                match self.open(&path)? {
                    Some(Ok(Some(part))) if part.header.set == set => self.add(part)?,
                    Some(Ok(Some(part))) if is_meant || part.header.set.is_nearly(&set) => self.stray(&part),
                    Some(Ok(None)) if is_meant => self.note(no_part(&path)),
                    Some(Err(error)) if is_meant => self.note(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// The files of a folder that may be parts. What ends in `.part` is still being written, or was left of that.
    fn files(&mut self, folder: &Path) -> Result<Vec<PathBuf>, PartsError> {
        let (mut files, is_all) = files(folder)?;
        if !is_all {
            self.notes.push(format!("only {CROWD} files of `{}` were looked at", told(folder)));
        }
        files.retain(|path| path.extension().is_none_or(|end| end != "part"));
        Ok(files)
    }

    /// Opens a file that was not looked at yet. Fails when no more can be opened.
    fn open(&mut self, path: &Path) -> Result<Option<Result<Option<Part>, PartsError>>, PartsError> {
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if !self.seen.insert(real) {
            return Ok(None);
        }
        match Part::open(path) {
            Err(error) if error.is_crowd() => Err(error),
            found => Ok(Some(found)),
        }
    }

    fn note(&mut self, error: PartsError) {
        self.notes.push(match &error {
            PartsError::Read { source, .. } => format!("{error}: {source}"),
            _ => error.to_string(),
        });
        self.refused.get_or_insert(error);
    }

    fn stray(&mut self, part: &Part) {
        let of = part.header.set.shown();
        self.notes.push(format!("`{}` is a part of another bundle, {of}", told(&part.path)));
    }

    /// Takes a part. Fails on one that was there already, and on parts of too many bundles.
    fn add(&mut self, part: Part) -> Result<(), PartsError> {
        let is_same = |group: &&mut Vec<Part>| group.first().is_some_and(|one| one.header.set == part.header.set);
        let Some(group) = self.groups.iter_mut().find(is_same) else {
            self.groups.push(vec![part]);
            return if self.groups.len() > BUNDLES { Err(self.strangers()) } else { Ok(()) };
        };
        let number = part.header.part;
        if let Some(other) = group.iter().find(|other| other.header.part == number) {
            return Err(PartsError::Twice { number, one: other.path.clone(), other: part.path });
        }
        group.push(part);
        Ok(())
    }

    /// The first two bundles of which there are parts.
    fn strangers(&self) -> PartsError {
        let mut firsts = self.groups.iter().filter_map(|group| group.first());
        let mut next = || firsts.next().map(|part| (part.path.clone(), part.header.set.shown())).unwrap_or_default();
        let ((one, one_of), (other, other_of)) = (next(), next());
        PartsError::Strangers { one, one_of, other, other_of }
    }

    /// Puts the parts into their order. Fails when there is none, and when there are parts of two bundles: unless one is
    /// whole with its parity, and what else there is can be its own part with a damaged header.
    fn sorted(mut self, place: &Path) -> Result<Parts, PartsError> {
        let refusal = (self.groups.len() > 1).then(|| self.strangers());
        let mut whole = Vec::new();
        for (index, group) in self.groups.iter().enumerate() {
            let Some(Header { set, .. }) = group.first().map(|part| &part.header) else { continue };
            let count = group.iter().filter(|part| part.header.part > 0).count();
            let has_parity = group.len() > count;
            let others = self.groups.iter().filter_map(|group| group.first()).map(|part| &part.header.set);
            if count + usize::from(has_parity) >= set.parts.len()
                && others.into_iter().all(|other| other.is_nearly(set))
            {
                whole.push(index);
            }
        }
        let group = match (refusal, whole.as_slice()) {
            (None, _) => self.groups.pop().unwrap_or_default(),
            (Some(_), [one]) => self.groups.swap_remove(*one),
            (Some(refusal), _) => return Err(refusal),
        };
        for part in std::mem::take(&mut self.groups).iter().flatten() {
            self.stray(part);
        }
        let Some(set) = group.first().map(|part| part.header.set.clone()) else {
            return Err(self.refused.unwrap_or_else(|| PartsError::Nothing { path: place.into() }));
        };
        let mut parts: Vec<Option<Part>> = (0..set.count).map(|_| None).collect();
        let mut parity = None;
        for part in group {
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
        Ok(Parts { set, all: parts, parity, notes: self.notes })
    }
}

fn no_part(path: &Path) -> PartsError {
    PartsError::NoPart { path: path.into(), why: "does not begin as one does".into() }
}

/// The files of a folder, sorted, and whether they are all.
pub(crate) fn files(folder: &Path) -> Result<(Vec<PathBuf>, bool), PartsError> {
    let failed = |source| PartsError::Read { path: folder.into(), source };
    let mut files = Vec::new();
    let mut is_all = true;
    for entry in fs::read_dir(folder).map_err(failed)? {
        is_all = files.len() < CROWD;
        if !is_all {
            break;
        }
        files.push(entry.map_err(failed)?.path());
    }
    files.retain(|path| path.is_file());
    files.sort();
    Ok((files, is_all))
}

//! Builds a bundle: looks at the tree and the engine's images, has gathered what the cache does not have, and writes the file.
//! The same tree, images, tag and profile give the same bytes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use base::file::free_bytes;
use base::settings::REGISTRY;
use docker::{Engine, Reference};
use git::Worktree;

use super::accompany;
pub use super::asked::Asked;
use super::asked::find_all;
use super::build_error::BuildError;
use super::cache::Cache;
use super::gather::{check_recipes, check_tree, gather};
use super::program_mark::{self, Mark};
use super::reference::whole;
use super::{Arch, Assembly, Commit, Manifest, Packed, Profile, Signer, Source, ustar};
use crate::images;

/// Room for the manifest and what else is not counted, in bytes.
const MANIFEST_ROOM: u64 = 1 << 20;
/// The names of images that are built from the tree, and so must say which one.
const OWN: &str = "gitgrit-";

/// What to build.
#[derive(Debug)]
pub struct Request {
    /// A checkout of the product.
    pub source: PathBuf,
    /// The version, as the images' tag has it.
    pub tag: String,
    /// The images.
    pub images: Vec<Asked>,
    /// How frames are packed.
    pub profile: Profile,
    /// The folder that the bundle goes into.
    pub out: PathBuf,
    /// Where packed layers are kept.
    pub cache: PathBuf,
    /// The program that travels.
    pub program: PathBuf,
    /// gVisor's program, when it travels too.
    pub runsc: Option<PathBuf>,
    /// What the program says of itself that builds.
    pub builder: Mark,
    /// Says whether a tree with changes may be built from, and a program of another commit may travel.
    pub allow_dirty: bool,
    /// Says whether files that no commit has count as changes.
    pub counts_untracked: bool,
    /// How many threads pack.
    pub threads: usize,
    /// Grows with every release; the commit's time when not given.
    pub sequence: Option<u64>,
    /// The time of all files, in seconds since 1970; the commit's when not given.
    pub epoch: Option<u64>,
    /// From when on whoever verifies it is warned, in seconds since 1970.
    pub expires: Option<u64>,
}

/// What will be built from what.
#[derive(Debug)]
pub struct BuildPlan {
    /// The tree.
    pub worktree: Worktree,
    /// The images with what the engine knows of them.
    pub images: Vec<(Asked, docker::Image)>,
    /// The images that are made first; none but in what is foreseen.
    pub made: Vec<Asked>,
    /// Their processor.
    pub arch: Arch,
    /// What the program says of itself that travels; `None` when it says nothing.
    pub program: Option<Mark>,
    /// The bundle's file.
    pub file: PathBuf,
}

/// A bundle that was built.
#[derive(Debug)]
pub struct Built {
    /// Its file.
    pub file: PathBuf,
    /// What is in it.
    pub manifest: Manifest,
    /// How many layers were packed now; the others came from the cache.
    pub packed: usize,
}

/// A tree and a program that belong together.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The tree.
    pub worktree: Worktree,
    /// What the program says of itself; `None` when it says nothing.
    pub program: Option<Mark>,
}

impl Judged {
    /// What is made of the program is stamped with the tree's commit: the program must say that it is of that one.
    pub fn may_be_stamped(&self, request: &Request) -> Result<(), BuildError> {
        let commit = self.program.as_ref().and_then(|program| program.commit.as_ref());
        if commit == Some(&self.worktree.commit) || request.allow_dirty {
            return Ok(());
        }
        let said = self.program.as_ref().map_or_else(|| "of no commit".to_owned(), Mark::word);
        Err(BuildError::Program { said, commit: self.worktree.commit.clone() })
    }
}

/// Judges all that can be judged without an engine: what was asked for, the tree, the programs. Changes nothing.
pub fn judged(request: &Request) -> Result<Judged, BuildError> {
    if request.images.is_empty() {
        return Err(BuildError::Nothing);
    }
    judge(request)?;
    let worktree = read_tree(request)?;
    check_tree(&worktree)?;
    let program = program_mark::find(&request.program)?;
    for mark in program.iter().chain([&request.builder]) {
        if mark.is_of_another(&worktree.commit) && !request.allow_dirty {
            return Err(BuildError::Program { said: mark.word(), commit: worktree.commit });
        }
    }
    check_recipes(request, &worktree)?;
    Ok(Judged { worktree, program })
}

/// Looks whether the images are there and belong to the tree. Changes nothing.
pub fn plan(request: &Request, judged: Judged, engine: &Engine) -> Result<BuildPlan, BuildError> {
    let Judged { worktree, program } = judged;
    let images = find_all(&request.images, engine, &request.tag)?;
    for (asked, found) in &images {
        check_stamp(&asked.reference, found, &worktree, &request.tag)?;
    }
    let arch = arch(all(&images))?;
    Ok(BuildPlan { worktree, images, made: Vec::new(), arch, program, file: file(request, arch) })
}

/// As [`plan`], before the images of the recipes are made: those need not be there, and are of this host's kind. Changes nothing.
pub fn foreseen(request: &Request, judged: Judged, engine: &Engine) -> Result<BuildPlan, BuildError> {
    judged.may_be_stamped(request)?;
    let Judged { worktree, program } = judged;
    let (made, others): (Vec<Asked>, Vec<Asked>) = request.images.iter().cloned().partition(|asked| asked.is_made);
    let images = find_all(&others, engine, &request.tag)?;
    for (asked, found) in &images {
        check_stamp(&asked.reference, found, &worktree, &request.tag)?;
    }
    let here = made.first().map(|asked| (asked.reference.to_string(), images::architecture()));
    let arch = arch(all(&images).chain(here.iter().map(|(name, found)| (name.as_str(), *found))))?;
    Ok(BuildPlan { worktree, images, made, arch, program, file: file(request, arch) })
}

/// The bundle's file.
fn file(request: &Request, arch: Arch) -> PathBuf {
    request.out.join(format!("gitgrit-{}-{}.ggb", request.tag, arch.name()))
}

/// The tree, which must be what its commit says unless a changed one will do.
fn read_tree(request: &Request) -> Result<Worktree, BuildError> {
    let mut worktree =
        Worktree::read(&request.source).map_err(|source| BuildError::Tree { path: request.source.clone(), source })?;
    if !request.counts_untracked {
        worktree.dirty.clone_from(&worktree.edited);
    }
    match worktree.dirty.clone().filter(|_| !request.allow_dirty) {
        Some(first) => Err(BuildError::Dirty { first }),
        None => Ok(worktree),
    }
}

/// What the builder asked for must be what a bundle can be, before anything is fetched.
fn judge(request: &Request) -> Result<(), BuildError> {
    if request.epoch.is_some_and(|epoch| epoch > ustar::LARGEST) {
        return Err(BuildError::Epoch { most: ustar::LARGEST });
    }
    let (mut names, mut references) = (BTreeSet::new(), BTreeSet::new());
    for asked in &request.images {
        asked.judge()?;
        // Their lists of packages lie beside each other, also where capitals do not count.
        if !names.insert(asked.name.to_ascii_lowercase()) || !references.insert(whole(asked.reference.as_str())) {
            return Err(BuildError::Name { name: format!("{}={}", asked.name, asked.reference) });
        }
    }
    Ok(())
}

/// Says whether it is called as what is built from the tree.
pub(crate) fn is_ours(reference: &Reference) -> bool {
    reference.as_str().rsplit('/').next().is_some_and(|name| name.starts_with(OWN))
}

/// An image of ours must come from this commit and carry this tag.
fn check_stamp(reference: &Reference, image: &docker::Image, worktree: &Worktree, tag: &str) -> Result<(), BuildError> {
    let is_ours = is_ours(reference);
    let refused = |name, found: Option<&String>, wanted: &str| BuildError::Stamp {
        image: reference.to_string(),
        name,
        found: found.map_or("nothing", String::as_str).chars().filter(|sign| !sign.is_control()).take(80).collect(),
        wanted: wanted.to_owned(),
    };
    let commit = image.environment.get("GIT_SHA").or_else(|| image.labels.get("org.opencontainers.image.revision"));
    let is_this = |found: &String| {
        let id = found.strip_suffix("-dirty").filter(|_| worktree.dirty.is_some()).unwrap_or(found);
        id == worktree.commit
    };
    if is_ours && !commit.is_some_and(is_this) {
        return Err(refused("the commit", commit, &worktree.commit));
    }
    // The variable is the commit's own tag, which may be none, or written otherwise than the images'.
    let variable = || image.environment.get("GIT_TAG").filter(|tag| !tag.is_empty());
    let version = image.labels.get("org.opencontainers.image.version").or_else(variable);
    if is_ours && version.is_none_or(|version| version != tag) {
        return Err(refused("the tag", version, tag));
    }
    Ok(())
}

/// The images with their processors.
fn all(images: &[(Asked, docker::Image)]) -> impl Iterator<Item = (&str, &str)> {
    images.iter().map(|(asked, image)| (asked.reference.as_str(), image.architecture.as_str()))
}

/// The one processor of them all.
fn arch<'i>(images: impl Iterator<Item = (&'i str, &'i str)>) -> Result<Arch, BuildError> {
    let mut found = None;
    for (image, architecture) in images {
        let arch = match architecture {
            "amd64" => Some(Arch::Amd64),
            "arm64" => Some(Arch::Arm64),
            _ => None,
        };
        if arch.is_none() || found.is_some_and(|found| Some(found) != arch) {
            return Err(BuildError::Arch { image: image.into(), found: architecture.into() });
        }
        found = arch;
    }
    found.ok_or(BuildError::Nothing)
}

/// Builds what was planned. `sign` signs the manifest; `tell` hears of the bytes of layers as they come by.
pub fn apply(
    request: &Request,
    plan: &BuildPlan,
    engine: &Engine,
    sign: &mut Signer<'_>,
    tell: &dyn Fn(u64),
) -> Result<Built, BuildError> {
    let mut cache = Cache::open(&request.cache, request.profile, request.threads, tell)?;
    let mut gathered = gather(request, plan, engine, &mut cache)?;
    accompany::add(request, plan, &mut gathered, &cache)?;
    let assembly = Assembly {
        version: request.tag.clone(),
        arch: plan.arch,
        sequence: request.sequence.unwrap_or(plan.worktree.seconds),
        epoch: request.epoch.unwrap_or(plan.worktree.seconds),
        commit: Commit { id: plan.worktree.commit.clone(), is_dirty: plan.worktree.dirty.is_some() },
        expires: request.expires,
        profile: request.profile,
        program: Some(plan.program.as_ref().map_or_else(|| "unknown".to_owned(), Mark::word)),
        keys: REGISTRY.iter().map(|setting| setting.name.to_owned()).collect(),
        migrations: store::migration_names(),
        files: gathered.files,
        images: gathered.images,
        layers: gathered.layers,
    };
    base::file::create_dir(&request.out, 0o755)?;
    let packed = |packed: &Packed| packed.frames.iter().map(|frame| frame.packed).sum::<u64>();
    let files = assembly.files.values().map(|(_, source)| match source {
        Source::Bytes(bytes) => bytes.len() as u64,
        Source::Packed(found) => packed(found),
    });
    check_room(files.chain(assembly.layers.values().map(packed)).sum(), &request.out)?;
    let manifest = assembly.write(&plan.file, sign)?;
    Ok(Built { file: plan.file.clone(), manifest, packed: cache.packed })
}

/// There must be room for what is written; what has its name stays until it is whole.
pub(crate) fn check_room(content: u64, out: &Path) -> Result<(), BuildError> {
    let needed = content + MANIFEST_ROOM;
    match free_bytes(out) {
        Some(free) if free < needed => Err(BuildError::Space { path: out.into(), free, needed }),
        _ => Ok(()),
    }
}

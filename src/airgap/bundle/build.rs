//! Builds a bundle: looks at the tree and the engine's images, packs what the cache does not have out of one `docker save`,
//! and writes the file. The same tree, images, tag and profile give the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use base::file::{FileError, free_bytes, read_bytes};
use base::settings::REGISTRY;
use docker::{Engine, Reference};
use git::{TreeFile, TreeKind, Worktree};

use super::build_error::BuildError;
use super::cache::Cache;
use super::save_archive::take_apart;
use super::{
    Arch, Assembly, Commit, Digest, EntryPath, Manifest, Mode, Packed, Profile, Signer, Source, SourceImage, reference,
    rules,
};

/// What of the tree travels: folders and files.
const CARRIED: [&str; 5] = ["CHANGELOG.md", "LICENSE", "compose/", "docs/", "templates/"];
/// The folders without which it is no tree of the product.
const NEEDED: [&str; 2] = ["compose/", "docs/"];
/// The largest file of the tree that travels, in bytes.
const LARGEST: u64 = 64 << 20;
/// Room for the manifest and what else is not counted, in bytes.
const MANIFEST_ROOM: u64 = 1 << 20;
/// The names of images that are built from the tree, and so must say which one.
const OWN: &str = "gitgrit-";
/// How often an engine is asked for its archive: a second time when a layer was taken for one that begins alike.
const ROUNDS: usize = 3;

/// An image that shall travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its name in the bundle, as in `app`.
    pub name: String,
    /// What the engine calls it.
    pub reference: Reference,
}

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
    /// What its `--version` says.
    pub program_version: String,
    /// Says whether a tree with changes may be built from.
    pub allow_dirty: bool,
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
    /// Their processor.
    pub arch: Arch,
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

/// Looks whether everything is there and belongs together. Changes nothing.
pub fn plan(request: &Request, engine: &Engine) -> Result<BuildPlan, BuildError> {
    if request.images.is_empty() {
        return Err(BuildError::Nothing);
    }
    let worktree =
        Worktree::read(&request.source).map_err(|source| BuildError::Tree { path: request.source.clone(), source })?;
    if let Some(first) = worktree.dirty.clone().filter(|_| !request.allow_dirty) {
        return Err(BuildError::Dirty { first });
    }
    check_tree(&worktree)?;
    let mut names = BTreeSet::new();
    let mut images = Vec::new();
    for asked in &request.images {
        if !names.insert(&asked.name) || !rules::is_reference(&reference::whole(asked.reference.as_str())) {
            return Err(BuildError::Name { name: asked.name.clone() });
        }
        let found = engine.image(&asked.reference)?;
        let found = found.ok_or_else(|| BuildError::NoImage { image: asked.reference.to_string() })?;
        check_stamp(&asked.reference, &found, &worktree, &request.tag)?;
        images.push((asked.clone(), found));
    }
    let arch = arch(&images)?;
    let file = request.out.join(format!("gitgrit-{}-{}.ggb", request.tag, arch.name()));
    Ok(BuildPlan { worktree, images, arch, file })
}

/// The tree must be whole, and what of it travels must be files.
fn check_tree(worktree: &Worktree) -> Result<(), BuildError> {
    let refused = |path: &str, why| Err(BuildError::Part { path: path.into(), why });
    if !worktree.inside.is_empty() {
        return refused(&worktree.inside, "is a folder in it, and not the whole");
    }
    if let Some(link) = carried(worktree).find(|file| file.kind == TreeKind::Other) {
        return refused(&link.path, "is a link or another repository, and no bundle carries those");
    }
    match NEEDED.iter().find(|folder| !carried(worktree).any(|file| file.path.starts_with(**folder))) {
        Some(folder) => refused(folder, "has no files"),
        None => Ok(()),
    }
}

/// What of the tree travels.
fn carried(worktree: &Worktree) -> impl Iterator<Item = &TreeFile> {
    let is_carried = |path: &str| {
        CARRIED.iter().any(|carried| path == *carried || (carried.ends_with('/') && path.starts_with(carried)))
    };
    worktree.files.iter().filter(move |file| is_carried(&file.path))
}

/// An image of ours must come from this commit and carry this tag.
fn check_stamp(reference: &Reference, image: &docker::Image, worktree: &Worktree, tag: &str) -> Result<(), BuildError> {
    let is_ours = reference.as_str().rsplit('/').next().is_some_and(|name| name.starts_with(OWN));
    let refused = |name, found: Option<&String>, wanted: &str| BuildError::Stamp {
        image: reference.to_string(),
        name,
        found: found.map_or("nothing", String::as_str).chars().filter(|sign| !sign.is_control()).take(80).collect(),
        wanted: wanted.to_owned(),
    };
    let mark = |variable: &str, label: &str| image.environment.get(variable).or_else(|| image.labels.get(label));
    let commit = mark("GIT_SHA", "org.opencontainers.image.revision");
    let is_this = |found: &String| {
        let id = found.strip_suffix("-dirty").filter(|_| worktree.dirty.is_some()).unwrap_or(found);
        id.len() >= 7 && worktree.commit.starts_with(id)
    };
    if is_ours && !commit.is_some_and(is_this) {
        return Err(refused("the commit", commit, &worktree.commit));
    }
    let version = mark("GIT_TAG", "org.opencontainers.image.version");
    if is_ours && version.is_none_or(|version| version != tag) {
        return Err(refused("the tag", version, tag));
    }
    Ok(())
}

fn arch(images: &[(Asked, docker::Image)]) -> Result<Arch, BuildError> {
    let mut found = None;
    for (asked, image) in images {
        let arch = match image.architecture.as_str() {
            "amd64" => Some(Arch::Amd64),
            "arm64" => Some(Arch::Arm64),
            _ => None,
        };
        if arch.is_none() || found.is_some_and(|found| Some(found) != arch) {
            return Err(BuildError::Arch { image: asked.reference.to_string(), found: image.architecture.clone() });
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
    fetch(plan, engine, &mut cache)?;
    base::fault::point("bundle:build:fetched");
    let mut layers = BTreeMap::new();
    let mut images = Vec::new();
    for (asked, image) in &plan.images {
        let id = Digest::parse_named(&image.id).ok_or(BuildError::Cache)?;
        let config = cache.config(&id).ok_or(BuildError::Cache)?;
        let digests: Option<Vec<Digest>> = image.layers.iter().map(|layer| Digest::parse_named(layer)).collect();
        let digests = digests.ok_or(BuildError::Cache)?;
        for digest in &digests {
            layers.insert(*digest, cache.layer(digest).ok_or(BuildError::Cache)?);
        }
        let reference = reference::whole(asked.reference.as_str());
        images.push(SourceImage { name: asked.name.clone(), reference, config, layers: digests });
    }
    let files = files(request, plan, &mut cache)?;
    let assembly = Assembly {
        version: request.tag.clone(),
        arch: plan.arch,
        sequence: request.sequence.unwrap_or(plan.worktree.seconds),
        epoch: request.epoch.unwrap_or(plan.worktree.seconds),
        commit: Commit { id: plan.worktree.commit.clone(), is_dirty: plan.worktree.dirty.is_some() },
        expires: request.expires,
        profile: request.profile,
        program: Some(request.program_version.clone()),
        keys: REGISTRY.iter().map(|setting| setting.name.to_owned()).collect(),
        migrations: store::migration_names(),
        files,
        images,
        layers,
    };
    base::file::create_dir(&request.out, 0o755)?;
    check_room(&assembly, &request.out)?;
    let manifest = assembly.write(&plan.file, sign)?;
    Ok(Built { file: plan.file.clone(), manifest, packed: cache.packed })
}

/// There must be room for the bundle; one of that name stays until the new one is whole.
fn check_room(assembly: &Assembly, out: &Path) -> Result<(), BuildError> {
    let packed = |packed: &Packed| packed.frames.iter().map(|frame| frame.packed).sum::<u64>();
    let files = assembly.files.values().map(|(_, source)| match source {
        Source::Bytes(bytes) => bytes.len() as u64,
        Source::Packed(found) => packed(found),
    });
    let needed = files.chain(assembly.layers.values().map(packed)).sum::<u64>() + MANIFEST_ROOM;
    match free_bytes(out) {
        Some(free) if free < needed => Err(BuildError::Space { path: out.into(), free, needed }),
        _ => Ok(()),
    }
}

/// Gets what the cache lacks out of one archive. An image whose parts are all there is not asked for.
fn fetch(plan: &BuildPlan, engine: &Engine, cache: &mut Cache<'_>) -> Result<(), BuildError> {
    for _ in 0..ROUNDS {
        let lacking: Vec<&docker::Image> = lacking(plan, cache).collect();
        if lacking.is_empty() {
            return Ok(());
        }
        let ids: BTreeSet<String> = lacking.iter().map(|image| image.id.clone()).collect();
        let layers: BTreeSet<String> = lacking.iter().flat_map(|image| image.layers.iter().cloned()).collect();
        cache.expect(layers.iter().filter_map(|layer| Digest::parse_named(layer)));
        let references: Result<Vec<Reference>, _> = ids.iter().map(|id| Reference::parse(id)).collect();
        let archive = engine.save(&references.map_err(docker::EngineError::from)?);
        let saved = take_apart(archive, &ids, &layers, cache)?;
        saved.values().try_for_each(|image| cache.keep_config(&image.config))?;
    }
    if lacking(plan, cache).next().is_none() { Ok(()) } else { Err(BuildError::Cache) }
}

/// The images of which a part is not in the cache.
fn lacking<'p>(plan: &'p BuildPlan, cache: &Cache<'_>) -> impl Iterator<Item = &'p docker::Image> {
    let is_there = |digest: &String, find: &dyn Fn(&Digest) -> bool| {
        Digest::parse_named(digest).is_some_and(|digest| find(&digest))
    };
    plan.images.iter().map(|(_, image)| image).filter(move |image| {
        !is_there(&image.id, &|id| cache.config(id).is_some())
            || !image.layers.iter().all(|layer| is_there(layer, &|layer| cache.layer(layer).is_some()))
    })
}

/// The program, and what of the tree travels.
fn files(
    request: &Request,
    plan: &BuildPlan,
    cache: &mut Cache<'_>,
) -> Result<BTreeMap<EntryPath, (Mode, Source)>, BuildError> {
    let mut files = BTreeMap::new();
    let program = cache.file(&request.program)?;
    files.insert(EntryPath::parse("bin/gitgrit-ops")?, (Mode::Program, Source::Packed(program)));
    let travelling: Vec<&TreeFile> = carried(&plan.worktree).collect();
    let contents = if plan.worktree.dirty.is_none() {
        Worktree::contents(&request.source, &travelling)
            .map_err(|source| BuildError::Tree { path: request.source.clone(), source })?
    } else {
        let lying = travelling.iter().map(|file| lying(&request.source, &file.path));
        lying.collect::<Result<_, _>>()?
    };
    for (file, content) in travelling.iter().zip(contents) {
        let place = EntryPath::parse(&file.path)?;
        let mode = if file.kind == TreeKind::Program { Mode::Program } else { Mode::Plain };
        files.insert(place, (mode, Source::Bytes(content)));
    }
    Ok(files)
}

/// What lies in a tree with changes. No link is followed: it leads to what is no file of the tree.
fn lying(source: &Path, path: &str) -> Result<Vec<u8>, BuildError> {
    let mut place = source.to_path_buf();
    for part in Path::new(path) {
        place.push(part);
        let facts = std::fs::symlink_metadata(&place);
        let facts = facts.map_err(|source| FileError::Read { path: place.clone(), source })?;
        if facts.is_symlink() {
            return Err(BuildError::Part { path: path.into(), why: "is behind a link, and no bundle carries those" });
        }
    }
    Ok(read_bytes(&place, LARGEST)?)
}

//! Builds a bundle: looks at the tree and the engine's images, packs what the cache does not have out of one `docker save`,
//! and writes the file. The same tree, images, tag and profile give the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use base::file::read_bytes;
use base::settings::REGISTRY;
use docker::{Engine, Reference};
use git::Worktree;

use super::build_error::BuildError;
use super::cache::Cache;
use super::save_archive::take_apart;
use super::{
    Arch, Assembly, Commit, Digest, EntryPath, Manifest, Mode, Profile, Signer, Source, SourceImage, reference,
};

/// What of the tree travels: folders and files.
const CARRIED: [&str; 5] = ["CHANGELOG.md", "LICENSE", "compose/", "docs/", "templates/"];
/// The largest file of the tree that travels, in bytes.
const LARGEST: u64 = 64 << 20;
/// The names of images that are built from the tree, and so must say which one.
const OWN: &str = "gitgrit-";
/// How often an engine is asked for its archive, when layers of one length begin alike.
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
    let mut names = BTreeSet::new();
    let mut images = Vec::new();
    for asked in &request.images {
        if !names.insert(&asked.name) || asked.reference.tagged().is_none() {
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
    let manifest = assembly.write(&plan.file, sign)?;
    Ok(Built { file: plan.file.clone(), manifest, packed: cache.packed })
}

/// Gets what the cache lacks out of one archive. An image whose parts are all there is not asked for.
fn fetch(plan: &BuildPlan, engine: &Engine, cache: &mut Cache<'_>) -> Result<(), BuildError> {
    for _ in 0..ROUNDS {
        let is_there = |digest: &String, find: &dyn Fn(&Digest) -> bool| {
            Digest::parse_named(digest).is_some_and(|digest| find(&digest))
        };
        let lacking: Vec<&docker::Image> = plan
            .images
            .iter()
            .map(|(_, image)| image)
            .filter(|image| {
                !is_there(&image.id, &|id| cache.config(id).is_some())
                    || !image.layers.iter().all(|layer| is_there(layer, &|layer| cache.layer(layer).is_some()))
            })
            .collect();
        if lacking.is_empty() {
            return Ok(());
        }
        let ids: BTreeSet<String> = lacking.iter().map(|image| image.id.clone()).collect();
        let layers = lacking.iter().flat_map(|image| image.layers.iter().cloned()).collect();
        let references: Result<Vec<Reference>, _> = ids.iter().map(|id| Reference::parse(id)).collect();
        let archive = engine.save(&references.map_err(docker::EngineError::from)?);
        match take_apart(archive, &ids, &layers, cache) {
            Ok(saved) => saved.values().try_for_each(|image| cache.keep_config(&image.config))?,
            Err(BuildError::Again) => {}
            Err(error) => return Err(error),
        }
    }
    Err(BuildError::Cache)
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
    let is_carried = |path: &str| {
        CARRIED.iter().any(|carried| path == *carried || (carried.ends_with('/') && path.starts_with(carried)))
    };
    for (path, is_program) in plan.worktree.files.iter().filter(|(path, _)| is_carried(path)) {
        let place = EntryPath::parse(path)?;
        let mode = if *is_program { Mode::Program } else { Mode::Plain };
        files.insert(place, (mode, Source::Bytes(read_bytes(&request.source.join(Path::new(path)), LARGEST)?)));
    }
    Ok(files)
}

//! Gathers what a bundle is made of: layers and configurations out of the engine's archives as far as the cache lacks them, the
//! program, and what of the tree travels. The tree's files are those of its commit, unless it has changes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use base::file::{FileError, read_bytes};
use docker::{Archive, Engine, Reference};
use git::{TreeFile, TreeKind, Worktree};

use super::accompany::RUNSC;
use super::build::{BuildPlan, Request};
use super::build_error::BuildError;
use super::cache::Cache;
use super::save_archive::take_apart;
use super::{Digest, EntryPath, Mode, Packed, Source, SourceImage, reference, rules};

/// What of the tree travels: folders and files.
const CARRIED: [&str; 5] = ["CHANGELOG.md", "LICENSE", "compose/", "docs/", "templates/"];
/// The folders without which it is no tree of the product.
const NEEDED: [&str; 2] = ["compose/", "docs/"];
/// Which images there are, and the folder with what they are built from.
pub(crate) const LIST: &str = "bundle/images.toml";
pub(crate) const RECIPES: &str = "bundle/images/";
/// The largest file of the tree that travels, in bytes.
const LARGEST: u64 = 64 << 20;
/// How many archives the engine makes at a time.
const ARCHIVES: usize = 2;
/// How often an engine is asked for its archives: a second time when a layer was taken for one that begins alike.
const ROUNDS: usize = 3;

/// Files for a bundle.
pub(crate) type Files = BTreeMap<EntryPath, (Mode, Source)>;

/// What a bundle is made of. What was packed lies in the cache, which has to stay open.
pub(crate) struct Gathered {
    pub(crate) images: Vec<SourceImage>,
    pub(crate) layers: BTreeMap<Digest, Packed>,
    pub(crate) files: Files,
}

/// The tree must be whole, and what of it travels must be files that can lie beside each other in a bundle.
pub(crate) fn check_tree(worktree: &Worktree) -> Result<(), BuildError> {
    let refused = |path: &str, why| Err(BuildError::Part { path: path.into(), why });
    if !worktree.inside.is_empty() {
        return refused(&worktree.inside, "is a folder in it, and not the whole");
    }
    if let Some(link) = carried(worktree).find(|file| file.kind == TreeKind::Other) {
        return refused(&link.path, "is a link or another repository, and no bundle carries those");
    }
    let mut folded = BTreeMap::new();
    for file in carried(worktree) {
        EntryPath::parse(&file.path).map_err(|source| BuildError::Path { source: Box::new(source) })?;
        // A folder counts as what it is called first.
        for (end, _) in file.path.match_indices('/').chain([(file.path.len(), "")]) {
            let (part, _) = file.path.split_at(end);
            if folded.insert(part.to_ascii_lowercase(), part).is_some_and(|other| other != part) {
                return refused(
                    &file.path,
                    "differs from another in capitals alone, and not every file system has both",
                );
            }
        }
    }
    match NEEDED.iter().find(|folder| !carried(worktree).any(|file| file.path.starts_with(**folder))) {
        Some(folder) => refused(folder, "has no files"),
        None => Ok(()),
    }
}

/// Recipes are read where they lie; in a tree without changes that must be what its commit has, whatever git was told not to look at.
pub(crate) fn check_recipes(request: &Request, worktree: &Worktree) -> Result<(), BuildError> {
    let is_of_recipe = request.images.iter().any(|asked| asked.is_made || asked.pinned.is_some());
    if !is_of_recipe || worktree.dirty.is_some() {
        return Ok(());
    }
    let refused = |path: &str, why| BuildError::Part { path: path.into(), why };
    let files: Vec<&TreeFile> = worktree.files.iter().filter(|file| is_recipe(&file.path)).collect();
    if let Some(link) = files.iter().find(|file| file.kind == TreeKind::Other) {
        return Err(refused(&link.path, "is a link or another repository, and no recipe is one"));
    }
    let failed = |source| BuildError::Tree { path: request.source.clone(), source };
    let contents = Worktree::contents(&request.source, &files).map_err(failed)?;
    for (file, content) in files.iter().zip(contents) {
        if lying(&request.source, &file.path)? != content {
            return Err(refused(&file.path, "is not what its commit has, and images are built from it"));
        }
    }
    let known: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let mut folders = vec![RECIPES.trim_end_matches('/').to_owned()];
    while let Some(folder) = folders.pop() {
        let place = request.source.join(&folder);
        let failed = |source| FileError::Read { path: place.clone(), source };
        for entry in
            place.is_dir().then(|| std::fs::read_dir(&place).map_err(failed)).transpose()?.into_iter().flatten()
        {
            let entry = entry.map_err(failed)?;
            let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if entry.file_type().map_err(failed)?.is_dir() {
                folders.push(path);
            } else if !known.contains(path.as_str()) {
                return Err(refused(&path, "is in no commit, and images are built from what lies beside it"));
            }
        }
    }
    if known.contains(LIST) { Ok(()) } else { Err(refused(LIST, "is in no commit, and images are built from it")) }
}

/// Says whether images are built from the file.
fn is_recipe(path: &str) -> bool {
    path == LIST || path.starts_with(RECIPES)
}

/// What of the tree travels.
fn carried(worktree: &Worktree) -> impl Iterator<Item = &TreeFile> {
    worktree.files.iter().filter(move |file| is_carried(&file.path))
}

fn is_carried(path: &str) -> bool {
    CARRIED.iter().any(|carried| path == *carried || (carried.ends_with('/') && path.starts_with(carried)))
}

/// Gathers what was planned.
pub(crate) fn gather(
    request: &Request,
    plan: &BuildPlan,
    engine: &Engine,
    cache: &mut Cache<'_>,
) -> Result<Gathered, BuildError> {
    // An engine takes its time before it sends its first byte: what is no layer is packed meanwhile.
    let mut asked = ask(plan, engine, cache)?;
    let files = files(request, plan, cache)?;
    for round in 1..=ROUNDS {
        for asked in asked {
            cache.expect(asked.layers.iter().filter_map(|layer| Digest::parse_named(layer)));
            let saved = take_apart(asked.archive, &asked.ids, &asked.layers, cache)?;
            saved.values().try_for_each(|image| cache.keep_config(&image.config))?;
        }
        if round == ROUNDS && lacking(plan, cache).next().is_some() {
            return Err(BuildError::Cache);
        }
        asked = ask(plan, engine, cache)?;
    }
    cache.rest();
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
    Ok(Gathered { images, layers, files })
}

/// What an engine was asked for: images and their layers, in one archive that it has begun to make.
struct Lacking<'e> {
    ids: BTreeSet<String>,
    layers: BTreeSet<String>,
    archive: Archive<'e>,
}

/// Asks for the images of which the cache lacks a part. An engine writes an archive on one thread, most of it before its first byte:
/// two archives of about the same size are made side by side.
fn ask<'e>(plan: &BuildPlan, engine: &'e Engine, cache: &Cache<'_>) -> Result<Vec<Lacking<'e>>, BuildError> {
    // An image may have two names.
    let images: BTreeMap<&str, &docker::Image> = lacking(plan, cache).map(|image| (image.id.as_str(), image)).collect();
    let mut images: Vec<&docker::Image> = images.into_values().collect();
    images.sort_by_key(|image| std::cmp::Reverse(image.size));
    let mut parts: [(u64, Vec<&docker::Image>); ARCHIVES] = Default::default();
    for image in images {
        if let Some((size, part)) = parts.iter_mut().min_by_key(|(size, _)| *size) {
            *size += image.size;
            part.push(image);
        }
    }
    let full = parts.into_iter().map(|(_, part)| part).filter(|part| !part.is_empty());
    full.map(|part| archive(&part, engine)).collect()
}

fn archive<'e>(images: &[&docker::Image], engine: &'e Engine) -> Result<Lacking<'e>, BuildError> {
    let ids: BTreeSet<String> = images.iter().map(|image| image.id.clone()).collect();
    let layers = images.iter().flat_map(|image| image.layers.iter().cloned()).collect();
    let references: Result<Vec<Reference>, _> = ids.iter().map(|id| Reference::parse(id)).collect();
    let archive = engine.save(&references.map_err(docker::EngineError::from)?);
    Ok(Lacking { ids, layers, archive })
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

/// The program, gVisor's, and what of the tree travels.
fn files(request: &Request, plan: &BuildPlan, cache: &mut Cache<'_>) -> Result<Files, BuildError> {
    let mut files = Files::new();
    let mut program = |path: &str, file: &Path| {
        files.insert(EntryPath::parse(path)?, (Mode::Program, Source::Packed(cache.file(file)?)));
        Ok::<_, BuildError>(())
    };
    program(rules::PROGRAM, &request.program)?;
    request.runsc.iter().try_for_each(|file| program(RUNSC, file))?;
    let kinds: BTreeMap<&str, TreeKind> =
        plan.worktree.files.iter().map(|file| (file.path.as_str(), file.kind)).collect();
    for (path, content) in tree_contents(request, plan, is_carried)? {
        let mode = if kinds.get(path.as_str()) == Some(&TreeKind::Program) { Mode::Program } else { Mode::Plain };
        files.insert(EntryPath::parse(&path)?, (mode, Source::Bytes(content)));
    }
    Ok(files)
}

/// The files of the tree whose paths are `wanted`, sorted by path. Links and other repositories are left out.
pub(crate) fn tree_contents(
    request: &Request,
    plan: &BuildPlan,
    wanted: impl Fn(&str) -> bool,
) -> Result<BTreeMap<String, Vec<u8>>, BuildError> {
    let is_meant = |file: &&TreeFile| file.kind != TreeKind::Other && wanted(&file.path);
    let files: Vec<&TreeFile> = plan.worktree.files.iter().filter(is_meant).collect();
    let contents = if plan.worktree.dirty.is_none() {
        Worktree::contents(&request.source, &files)
            .map_err(|source| BuildError::Tree { path: request.source.clone(), source })?
    } else {
        let lying = files.iter().map(|file| lying(&request.source, &file.path));
        lying.collect::<Result<_, _>>()?
    };
    Ok(files.into_iter().map(|file| file.path.clone()).zip(contents).collect())
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

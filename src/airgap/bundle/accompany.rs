//! What goes with the images and the program so that others can judge a bundle: bills of materials and provenance. Everything
//! in it was hashed by this build; nothing in it says on which host, by whom or when it was built.

use vault::digest::sha256;

use super::build::{BuildPlan, Request};
use super::build_error::BuildError;
use super::cache::Cache;
use super::crates::{self, LOCK};
use super::gather::{Files, Gathered, tree_contents};
use super::layer_facts::Inventory;
use super::provenance::{self, Provenance};
use super::sbom::{self, Bill};
use super::{Digest, EntryPath, Mode, Source, rules};

/// The largest list of crates, in bytes.
const LOCK_LIMIT: usize = 16 << 20;

/// Adds bills and provenance to what was gathered.
pub(crate) fn add(
    request: &Request,
    plan: &BuildPlan,
    gathered: &mut Gathered,
    cache: &Cache<'_>,
) -> Result<(), BuildError> {
    let written = (request.epoch.unwrap_or(plan.worktree.seconds), request.builder.version.as_str());
    let mut subjects = Vec::new();
    let mut materials = Vec::new();
    for path in [rules::PROGRAM, RUNSC] {
        let digest = gathered.files.get(&EntryPath::parse(path)?).map(|(_, source)| source.digest());
        let list = if path == RUNSC { &mut materials } else { &mut subjects };
        list.extend(digest.map(|digest| (path.to_owned(), digest)));
    }
    let locks = tree_contents(request, plan, is_lock)?;
    if let Some((_, program)) = subjects.first() {
        let lock = locks.iter().find(|(path, content)| *path == LOCK && content.len() <= LOCK_LIMIT);
        let lock = lock.and_then(|(_, content)| std::str::from_utf8(content).ok());
        put_all(
            &mut gathered.files,
            crates::bill(*program, plan.program.as_ref(), lock, written).documents(sbom::PROGRAM),
        )?;
    }
    for image in &gathered.images {
        let refused = |why| BuildError::Packages { image: image.name.clone(), why };
        let facts: Result<Vec<_>, _> = image.layers.iter().map(|layer| cache.facts(layer)).collect();
        let found = Inventory::stacked(facts.map_err(refused)?.iter()).map_err(refused)?;
        let digest = Digest::of(&image.config);
        let bill = Bill::of_image(&image.reference, digest, found, image.layers.len(), written);
        put_all(&mut gathered.files, bill.documents(&image.name))?;
        subjects.push((image.reference.clone(), digest));
    }
    materials.extend(locks.into_iter().map(|(path, content)| (path, Digest(sha256(&content)))));
    let document = Provenance {
        commit: plan.worktree.commit.clone(),
        is_dirty: plan.worktree.dirty.is_some(),
        tag: request.tag.clone(),
        profile: request.profile,
        sequence: request.sequence.unwrap_or(plan.worktree.seconds),
        epoch: written.0,
        expires: request.expires,
        builder: request.builder.word(),
        subjects,
        images: gathered.images.iter().map(|image| (image.name.clone(), image.reference.clone())).collect(),
        materials,
    };
    put_all(&mut gathered.files, [(provenance::PATH.to_owned(), document.document())])
}

/// Where gVisor's program lies, when it travels.
pub(crate) const RUNSC: &str = "bin/runsc";

/// Says whether a file of the tree fixes what images or the program are made of.
fn is_lock(path: &str) -> bool {
    let is_of_image = path.starts_with("bundle/images/") && path.ends_with("/packages.lock");
    path == LOCK || path == "bundle/images.toml" || is_of_image
}

fn put_all(files: &mut Files, documents: impl IntoIterator<Item = (String, Vec<u8>)>) -> Result<(), BuildError> {
    for (path, bytes) in documents {
        files.insert(EntryPath::parse(&path)?, (Mode::Plain, Source::Bytes(bytes)));
    }
    Ok(())
}

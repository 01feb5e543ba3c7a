//! What goes with the images and the program so that others can judge a bundle: bills of materials and provenance. Everything
//! in it was hashed by this build; nothing in it says on which host, by whom or when it was built.

use std::collections::BTreeMap;

use vault::digest::sha256;

use super::build::{Asked, BuildPlan, Request, is_ours};
use super::build_error::BuildError;
use super::cache::Cache;
use super::crates::{self, LOCK};
use super::gather::{Files, Gathered, LIST, RECIPES, tree_contents};
use super::provenance::{self, Material, Provenance};
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
    let (mut subjects, mut materials) = (Vec::new(), Vec::new());
    let locks = tree_contents(request, plan, |path| is_lock(plan, path))?;
    for path in [rules::PROGRAM, RUNSC] {
        let Some((_, source)) = gathered.files.get(&EntryPath::parse(path)?) else { continue };
        let digest = source.digest();
        if path == RUNSC {
            materials.push(Material::of(path, digest));
            continue;
        }
        // The file's own word is all that ties it to the commit.
        let commit = plan.program.as_ref().and_then(|mark| mark.commit.as_ref());
        let is_of_commit = commit == Some(&plan.worktree.commit);
        put_all(&mut gathered.files, program(digest, plan, is_of_commit, (&locks, written))?)?;
        let notes = plan.program.iter().map(|mark| ("says", mark.word().into())).collect();
        let found = Material { notes, ..Material::of(path, digest) };
        if is_of_commit { &mut subjects } else { &mut materials }.push(found);
    }
    for (image, (asked, _)) in gathered.images.iter().zip(&plan.images) {
        let refused = |why| BuildError::Packages { image: image.name.clone(), why };
        let found = cache.inventory(&image.layers).map_err(refused)?;
        let digest = Digest::of(&image.config);
        let bill = Bill::of_image(&image.reference, digest, found, image.layers.len(), written);
        put_all(&mut gathered.files, bill.documents(&image.name))?;
        let notes = asked.pinned.iter().map(|digest| ("pinned", digest.as_str().into())).collect();
        let found = Material { notes, ..Material::of(&image.reference, digest) };
        if is_ours(&asked.reference) { &mut subjects } else { &mut materials }.push(found);
    }
    materials.extend(locks.iter().map(|(path, content)| Material::of(path, Digest(sha256(content)))));
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

/// Says whether a file of the tree fixes what these images or the program are made of.
fn is_lock(plan: &BuildPlan, path: &str) -> bool {
    let made = || plan.images.iter().filter(|(asked, _)| asked.is_made);
    let of = path.strip_prefix(RECIPES).and_then(|rest| rest.strip_suffix("/packages.lock"));
    let is_of_image = of.is_some_and(|name| made().any(|(asked, _)| name == "base" || name == asked.name));
    let is_pinned = |(asked, _): &(Asked, docker::Image)| asked.is_made || asked.pinned.is_some();
    path == LOCK || is_of_image || (path == LIST && plan.images.iter().any(is_pinned))
}

/// The bills of the program.
fn program(
    digest: Digest,
    plan: &BuildPlan,
    is_of_commit: bool,
    (locks, written): (&BTreeMap<String, Vec<u8>>, (u64, &str)),
) -> Result<[(String, Vec<u8>); 2], BuildError> {
    let unread = || BuildError::Part { path: LOCK.into(), why: "does not read, and says what the program is made of" };
    let lock = match locks.get(LOCK) {
        Some(content) if content.len() > LOCK_LIMIT => return Err(unread()),
        Some(content) => Some(std::str::from_utf8(content).map_err(|_| unread())?),
        None => None,
    };
    let bill = crates::bill(digest, plan.program.as_ref(), is_of_commit, lock, written).ok_or_else(unread)?;
    Ok(bill.documents(sbom::PROGRAM))
}

fn put_all(files: &mut Files, documents: impl IntoIterator<Item = (String, Vec<u8>)>) -> Result<(), BuildError> {
    for (path, bytes) in documents {
        files.insert(EntryPath::parse(&path)?, (Mode::Plain, Source::Bytes(bytes)));
    }
    Ok(())
}

//! Brings the images of a verified bundle into an engine: asks what it has, sends what it lacks, one image after the other,
//! and looks afterwards. Names are given when all images are there. Writes nothing but a journal and the sequence that was reached; a run that was killed is run again.

use std::io::{self, Read};
use std::path::Path;

use base::file::free_bytes;
use docker::{Engine, EngineError, Reference, Store};

use super::docker_archive::{LIST, Listed, Outgoing, Piece};
use super::load_error::LoadError;
use super::load_plan::{Action, Layer, Plan, Present, Wanted};
use super::load_state::State;
use super::source::Source;
use super::{Digest, Manifest, reference};
use crate::journal::Event;

/// What is heard of a load on its way.
#[derive(Clone, Copy, Debug)]
pub enum Told {
    /// So many more bytes were sent, or written.
    Sent(u64),
    /// The engine unpacked so many more bytes of layers.
    Unpacked(u64),
}

/// Whoever hears of it.
pub type Tell<'t> = dyn Fn(Told) + Sync + 't;

/// The images of a manifest, as an engine will know them.
pub fn wanted(manifest: &Manifest) -> Vec<Wanted> {
    let sizes = manifest.sizes();
    let layer =
        |digest: &Digest| Layer { digest: digest.named(), size: sizes.get(digest).copied().unwrap_or_default() };
    let images = manifest.images.iter().map(|image| Wanted {
        reference: reference::short(&image.reference).to_owned(),
        id: image.id.named(),
        layers: image.layers.iter().map(layer).collect(),
    });
    images.collect()
}

/// The engine's host must have the bundle's processor.
pub fn fits(manifest: &Manifest, engine: &Engine) -> Result<(), LoadError> {
    let (found, host) = (manifest.arch.name(), engine.architecture());
    if found == host { Ok(()) } else { Err(LoadError::Arch { found, host: host.to_owned() }) }
}

/// Looks what the engine has, and plans. When every image is there by its id, nothing else is asked, and no store is given.
pub fn plan(wanted: Vec<Wanted>, engine: &Engine) -> Result<(Plan, Option<Store>), LoadError> {
    let mut present = look(engine, wanted.iter().map(|image| image.id.clone()))?;
    if present.len() == wanted.len() {
        return Ok((Plan::new(wanted, &present, false), None));
    }
    let others = engine.images()?.into_iter().filter(|id| present.iter().all(|known| known.id != *id));
    let others: Vec<String> = others.collect();
    present.extend(look(engine, others.into_iter())?);
    let store = engine.store()?;
    Ok((Plan::new(wanted, &present, store.is_containerd), Some(store)))
}

/// Those of the images that are there.
fn look(engine: &Engine, ids: impl Iterator<Item = String>) -> Result<Vec<Present>, EngineError> {
    let ids: Result<Vec<Reference>, _> = ids.map(|id| Reference::parse(&id)).collect();
    let found = engine.each(&ids?)?.into_iter().flatten();
    Ok(found.map(|image| Present { id: image.id, tags: image.tags, layers: image.layers }).collect())
}

/// Says whether the engine's disk has room for `needed` bytes, as far as this host can see it: one on another host is not asked.
pub fn check_room(needed: u64, store: &Store, host: &str) -> Result<(), LoadError> {
    let root = Path::new(&store.root);
    if !host.starts_with("unix:") || !root.is_dir() {
        return Ok(());
    }
    match free_bytes(root) {
        Some(free) if free < needed => Err(LoadError::Space { root: store.root.clone(), free, needed }),
        _ => Ok(()),
    }
}

/// Carries a plan out, image by image. When the engine's disk is full, what this run brought is taken away again.
pub fn apply(
    plan: &Plan,
    engine: &Engine,
    source: &dyn Source,
    state: &mut State<'_>,
    tell: &Tell<'_>,
) -> Result<(), LoadError> {
    state.write("", Event::Begun)?;
    let mut brought = Vec::new();
    for (image, action) in &plan.steps {
        let Action::Send { below } = *action else { continue };
        state.write(&image.reference, Event::Begun)?;
        if let Err(error) = step(image, below, plan.sends_all, engine, &Way { source, tell }) {
            let error = told_full(error, plan.room(), engine, &brought);
            // Why it stopped is what counts, also when a full disk does not take the record of it.
            let _ = state.write(&image.reference, Event::Failed);
            return Err(error);
        }
        brought.push(image);
        state.write(&image.reference, Event::Done)?;
        base::fault::point("bundle:load:image");
    }
    name_all(plan, engine, state)?;
    state.write("", Event::Done)
}

/// Gives all images their names. Until here every name is still what it was; images of an engine with ids of its own came with theirs.
pub(crate) fn name_all(plan: &Plan, engine: &Engine, state: &mut State<'_>) -> Result<(), LoadError> {
    for (image, action) in &plan.steps {
        if *action == Action::Name || (*action != Action::Nothing && !plan.sends_all) {
            name(image, plan.sends_all, engine, state)?;
        }
    }
    Ok(())
}

/// Gives an image that is there its name. Which image had that name is in the journal before.
fn name(image: &Wanted, has_own_ids: bool, engine: &Engine, state: &mut State<'_>) -> Result<(), LoadError> {
    let reference = Reference::parse(&image.reference).map_err(EngineError::from)?;
    if let Some(other) = engine.image(&reference)?.filter(|other| other.id != image.id) {
        state.write(&format!("{} was {}", image.reference, other.id), Event::Begun)?;
    }
    let (name, tag) = reference.tagged().unwrap_or((&image.reference, "latest"));
    engine.tag(&Reference::parse(&image.id).map_err(EngineError::from)?, name, tag)?;
    state.write(&format!("{} named", image.reference), Event::Done)?;
    base::fault::point("bundle:load:named");
    is_there(image, &reference, has_own_ids, engine)
}

/// A full disk of the engine's, with what it takes; the images that were brought until then go, as far as nobody has given them a name.
pub(crate) fn told_full(error: LoadError, needed: u64, engine: &Engine, brought: &[&Wanted]) -> LoadError {
    let LoadError::Engine(refused) = &error else { return error };
    let EngineError::Refused { message, .. } = refused else { return error };
    if !refused.is_full() {
        return error;
    }
    take_away(engine, brought);
    let root = engine.store().map(|store| store.root).unwrap_or_default();
    LoadError::Full { root, needed, message: message.clone() }
}

/// Removes images that have no name: nobody but this run knows of them. One that the engine does not let go stays.
pub(crate) fn take_away(engine: &Engine, brought: &[&Wanted]) {
    for image in brought.iter().rev() {
        let Ok(id) = Reference::parse(&image.id) else { continue };
        if engine.image(&id).is_ok_and(|found| found.is_some_and(|found| found.tags.is_empty())) {
            let _ = engine.remove(&id);
        }
    }
}

/// Where content comes from, and who hears of it.
struct Way<'w> {
    source: &'w dyn Source,
    tell: &'w Tell<'w>,
}

fn step(image: &Wanted, below: usize, has_own_ids: bool, engine: &Engine, way: &Way<'_>) -> Result<(), LoadError> {
    match send(image, below, has_own_ids, engine, way) {
        // An image that was there when the plan was made may be gone; some engines want the content also of layers that they have.
        Err(error) if below > 0 && error.is_missing_layer() => send(image, 0, has_own_ids, engine, way)?,
        other => other?,
    }
    let known_as = if has_own_ids { &image.reference } else { &image.id };
    is_there(image, &Reference::parse(known_as).map_err(EngineError::from)?, has_own_ids, engine)
}

/// The engine has the image by that name or id, and it is the bundle's.
pub(crate) fn is_there(
    image: &Wanted,
    reference: &Reference,
    has_own_ids: bool,
    engine: &Engine,
) -> Result<(), LoadError> {
    let found = engine.image(reference)?;
    let is_it = |found: &docker::Image| {
        let has_layers = found.layers.iter().eq(image.layers.iter().map(|layer| &layer.digest));
        found.id == image.id || (has_own_ids && has_layers)
    };
    if found.as_ref().is_some_and(is_it) {
        return Ok(());
    }
    let found = found.map_or_else(|| "nothing".to_owned(), |found| found.id);
    Err(LoadError::Differs { image: image.reference.clone(), wanted: image.id.clone(), found })
}

/// Where an archive has what is called `sha256:…`.
pub(crate) fn place(digest: &str) -> String {
    format!("blobs/sha256/{}", digest.strip_prefix("sha256:").unwrap_or(digest))
}

/// What the archive's list says of an image.
pub(crate) fn listed(image: &Wanted, is_named: bool) -> Listed {
    Listed {
        config: place(&image.id),
        repo_tags: is_named.then(|| vec![image.reference.clone()]),
        layers: image.layers.iter().map(|layer| place(&layer.digest)).collect(),
    }
}

/// The content of a blob, opened when its turn comes.
pub(crate) fn piece(source: &dyn Source, digest: Digest, size: u64, is_hashed: bool) -> Piece<'_> {
    Piece::Stream(size, Box::new(move || source.blob(&digest, is_hashed)))
}

/// Sends an image, without its name unless the engine would not find it again.
fn send(image: &Wanted, below: usize, is_named: bool, engine: &Engine, way: &Way<'_>) -> Result<(), EngineError> {
    let Way { source, tell } = *way;
    let broken = |source| EngineError::Archive { source };
    let unnamed = || broken(io::Error::new(io::ErrorKind::InvalidData, "a digest is none"));
    let digest = |text: &str| Digest::parse_named(text).ok_or_else(unnamed);
    let list = serde_json::to_vec(&[listed(image, is_named)]).map_err(|error| broken(error.into()))?;
    let mut config = Vec::new();
    source.blob(&digest(&image.id)?, false).and_then(|mut file| file.read_to_end(&mut config)).map_err(broken)?;
    let mut files = vec![(LIST.to_owned(), Piece::Bytes(list)), (place(&image.id), Piece::Bytes(config))];
    for layer in image.layers.iter().skip(below) {
        let name = place(&layer.digest);
        // An image may hold the same layer twice; an archive need not.
        if files.iter().all(|(other, _)| *other != name) {
            files.push((name, piece(source, digest(&layer.digest)?, layer.size, false)));
        }
    }
    let mut archive = Outgoing::new(files, 0, sending(tell));
    engine.load_telling(&mut archive, &mut |more| tell(Told::Unpacked(more))).map(drop)
}

/// Tells of what goes out.
pub(crate) fn sending<'t>(tell: &'t Tell<'t>) -> Box<dyn FnMut(u64) + Send + 't> {
    let mut sent = 0_u64;
    Box::new(move |more| {
        tell(Told::Sent(more));
        sent += more;
        if sent > 1 << 20 {
            base::fault::point("bundle:load:sent");
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan_of(size: u64) -> Plan {
        let layers = vec![Layer { digest: "sha256:00".into(), size }];
        Plan::new(vec![Wanted { reference: "a:1".into(), id: "sha256:01".into(), layers }], &[], false)
    }

    #[test]
    fn a_disk_without_room_is_named_with_what_it_takes() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().display().to_string();
        let store =
            Store { version: String::new(), root: root.clone(), driver: "overlay2".into(), is_containerd: false };
        check_room(plan_of(1000).room(), &store, "unix:///docker.sock").unwrap();
        let large = plan_of(1 << 60).room();
        let error = check_room(large, &store, "unix:///docker.sock").unwrap_err();
        assert!(matches!(&error, LoadError::Space { root: there, needed, .. } if *there == root && *needed > 1 << 61));
        assert_eq!(error.id(), Some("GG-BUNDLE-201"));
        check_room(large, &store, "tcp://host:2375").unwrap();
    }
}

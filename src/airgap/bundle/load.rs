//! Brings the images of a verified bundle into an engine: asks what it has, sends what it lacks, one image after the other,
//! and looks afterwards. Names are given when all images are there. Writes nothing but a journal and the sequence that was reached; a run that was killed is run again.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use base::Clock;
use base::file::{FileError, Lock, create_dir, free_bytes, read_bytes, write_atomic};
use docker::{Engine, EngineError, Reference, Store};
use serde::{Deserialize, Serialize};

use super::load_archive::{Outgoing, Piece};
use super::load_error::LoadError;
use super::load_plan::{Action, Layer, Plan, Present, Wanted};
use super::{Digest, Manifest, reference};
use crate::journal::{Event, Journal};

/// What the journal calls this.
const OPERATION: &str = "bundle load";
/// The largest note of a sequence, in bytes.
const NOTE_LIMIT: u64 = 4096;

/// Opens a file of the bundle, whose content was verified.
pub type Open<'o> = dyn Fn(&Digest) -> io::Result<Box<dyn Read + Send + 'o>> + Sync + 'o;

/// The images of a manifest, as an engine will know them.
pub fn wanted(manifest: &Manifest) -> Vec<Wanted> {
    let layer =
        |digest: &Digest| Layer { digest: digest.named(), size: manifest.blob_size(digest).unwrap_or_default() };
    let images = manifest.images.iter().map(|image| Wanted {
        reference: reference::short(&image.reference).to_owned(),
        id: image.id.named(),
        layers: image.layers.iter().map(layer).collect(),
    });
    images.collect()
}

/// Looks what the engine has, and plans. When every image is there by its id, nothing else is asked, and no store is given.
pub fn plan(wanted: Vec<Wanted>, engine: &Engine) -> Result<(Plan, Option<Store>), LoadError> {
    let mut present = Vec::new();
    for image in &wanted {
        present.extend(look(engine, &image.id)?);
    }
    if present.len() == wanted.len() {
        return Ok((Plan::new(wanted, &present, false), None));
    }
    for id in engine.images()? {
        if present.iter().all(|other: &Present| other.id != id) {
            present.extend(look(engine, &id)?);
        }
    }
    let store = engine.store()?;
    Ok((Plan::new(wanted, &present, store.is_containerd), Some(store)))
}

fn look(engine: &Engine, id: &str) -> Result<Option<Present>, EngineError> {
    let found = engine.image(&Reference::parse(id)?)?;
    Ok(found.map(|image| Present { id: image.id, tags: image.tags, layers: image.layers }))
}

/// Says whether the engine's disk has room for the plan, as far as this host can see it: one on another host is not asked.
pub fn check_room(plan: &Plan, store: &Store, host: &str) -> Result<(), LoadError> {
    let needed = plan.room();
    let root = Path::new(&store.root);
    if !host.starts_with("unix:") || !root.is_dir() {
        return Ok(());
    }
    match free_bytes(root) {
        Some(free) if free < needed => Err(LoadError::Space { root: store.root.clone(), free, needed }),
        _ => Ok(()),
    }
}

/// Carries a plan out. `tell` hears of every byte that is sent.
pub fn apply(
    plan: &Plan,
    engine: &Engine,
    open: &Open<'_>,
    state: &mut State<'_>,
    tell: &(dyn Fn(u64) + Sync),
) -> Result<(), LoadError> {
    state.write("", Event::Begun)?;
    for (image, action) in &plan.steps {
        let Action::Send { below } = *action else { continue };
        state.write(&image.reference, Event::Begun)?;
        if let Err(error) = step(image, below, plan.sends_all, engine, &Way { open, tell }) {
            state.write(&image.reference, Event::Failed)?;
            return Err(error);
        }
        state.write(&image.reference, Event::Done)?;
        base::fault::point("bundle:load:image");
    }
    // Until here every name is still what it was. Images of an engine with ids of its own came with their names.
    for (image, action) in &plan.steps {
        if *action == Action::Name || (*action != Action::Nothing && !plan.sends_all) {
            name(image, plan.sends_all, engine, state)?;
        }
    }
    state.write("", Event::Done)
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

/// Where content comes from, and who hears of it.
struct Way<'w, 'o> {
    open: &'w Open<'o>,
    tell: &'w (dyn Fn(u64) + Sync),
}

fn step(image: &Wanted, below: usize, has_own_ids: bool, engine: &Engine, way: &Way<'_, '_>) -> Result<(), LoadError> {
    match send(image, below, has_own_ids, engine, way) {
        // Some engines want the content also of layers that they have.
        Err(EngineError::Refused { .. }) if below > 0 => send(image, 0, has_own_ids, engine, way)?,
        other => other?,
    }
    let known_as = if has_own_ids { &image.reference } else { &image.id };
    is_there(image, &Reference::parse(known_as).map_err(EngineError::from)?, has_own_ids, engine)
}

/// The engine has the image by that name or id, and it is the bundle's.
fn is_there(image: &Wanted, reference: &Reference, has_own_ids: bool, engine: &Engine) -> Result<(), LoadError> {
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

/// The engine's own list of what an archive holds.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Listed<'l> {
    config: String,
    repo_tags: Option<[&'l str; 1]>,
    layers: Vec<String>,
}

/// Sends an image, without its name unless the engine would not find it again.
fn send(image: &Wanted, below: usize, is_named: bool, engine: &Engine, way: &Way<'_, '_>) -> Result<(), EngineError> {
    let Way { open, tell } = *way;
    let path = |digest: &str| format!("blobs/sha256/{}", digest.strip_prefix("sha256:").unwrap_or(digest));
    let broken = |source| EngineError::Archive { source };
    let unnamed = || broken(io::Error::new(io::ErrorKind::InvalidData, "a digest is none"));
    let digest = |text: &str| Digest::parse_named(text).ok_or_else(unnamed);
    let listed = Listed {
        config: path(&image.id),
        repo_tags: is_named.then_some([image.reference.as_str()]),
        layers: image.layers.iter().map(|layer| path(&layer.digest)).collect(),
    };
    let list = serde_json::to_vec(&[listed]).map_err(|error| broken(error.into()))?;
    let mut config = Vec::new();
    open(&digest(&image.id)?).and_then(|mut file| file.read_to_end(&mut config)).map_err(broken)?;
    let mut files = vec![("manifest.json".to_owned(), Piece::Bytes(list)), (path(&image.id), Piece::Bytes(config))];
    for layer in image.layers.iter().skip(below) {
        let name = path(&layer.digest);
        // An image may hold the same layer twice; an archive need not.
        if files.iter().all(|(other, _)| *other != name) {
            let digest = digest(&layer.digest)?;
            files.push((name, Piece::Stream(layer.size, Box::new(move || open(&digest)))));
        }
    }
    let mut sent = 0_u64;
    let mut archive = Outgoing::new(
        files,
        Box::new(move |more| {
            tell(more);
            sent += more;
            if sent > 1 << 20 {
                base::fault::point("bundle:load:sent");
            }
        }),
    );
    engine.load(&mut archive).map(drop)
}

/// What loading leaves behind: a journal, and the highest sequence that was loaded. Held by one run at a time.
pub struct State<'c> {
    folder: PathBuf,
    journal: Journal,
    clock: &'c dyn Clock,
    _lock: Lock,
}

/// The note of the bundle that was loaded last.
#[derive(Debug, Serialize, Deserialize)]
struct Reached {
    sequence: u64,
    version: String,
}

impl<'c> State<'c> {
    /// Opens the folder, or makes it. Fails when another run holds it.
    pub fn open(folder: &Path, clock: &'c dyn Clock) -> Result<Self, LoadError> {
        create_dir(folder, 0o755)?;
        let lock = Lock::take(&folder.join("bundle.lock"))?;
        let journal = Journal::open(&folder.join("bundle.jsonl"))?;
        Ok(Self { folder: folder.into(), journal, clock, _lock: lock })
    }

    fn write(&mut self, step: &str, event: Event) -> Result<(), LoadError> {
        Ok(self.journal.write(self.clock.now(), OPERATION, step, event)?)
    }

    /// Remembers that this bundle was loaded, so that no older one comes after it. Going back on purpose is remembered too.
    pub fn reached(&self, manifest: &Manifest) -> Result<(), LoadError> {
        let note = Reached { sequence: manifest.sequence, version: manifest.version.clone() };
        let bytes = serde_json::to_vec(&note).unwrap_or_default();
        Ok(write_atomic(&note_of(&self.folder), &bytes, 0o644)?)
    }
}

/// The sequence of the bundle that was loaded last; 0 when there was none.
pub fn least(folder: &Path) -> Result<u64, LoadError> {
    let path = note_of(folder);
    match read_bytes(&path, NOTE_LIMIT) {
        Ok(bytes) => {
            let note: Result<Reached, _> = serde_json::from_slice(&bytes);
            let broken = |error: serde_json::Error| FileError::Read { path, source: error.into() };
            Ok(note.map_err(broken)?.sequence)
        }
        Err(FileError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error.into()),
    }
}

fn note_of(folder: &Path) -> PathBuf {
    folder.join("bundle.json")
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
        check_room(&plan_of(1000), &store, "unix:///docker.sock").unwrap();
        let large = plan_of(1 << 60);
        let error = check_room(&large, &store, "unix:///docker.sock").unwrap_err();
        assert!(matches!(&error, LoadError::Space { root: there, needed, .. } if *there == root && *needed > 1 << 61));
        assert_eq!(error.id(), Some("GG-BUNDLE-201"));
        check_room(&large, &store, "tcp://host:2375").unwrap();
    }

    #[test]
    fn the_sequence_that_was_reached_is_remembered_and_a_broken_note_is_not_passed_over() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(least(home.path()).unwrap(), 0);
        std::fs::write(note_of(home.path()), r#"{"sequence":7,"version":"v1"}"#).unwrap();
        assert_eq!(least(home.path()).unwrap(), 7);
        std::fs::write(note_of(home.path()), "7").unwrap();
        assert!(matches!(least(home.path()), Err(LoadError::File(_))));
    }
}

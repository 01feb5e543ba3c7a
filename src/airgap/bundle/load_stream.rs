//! Brings images into an engine out of a bundle that comes once, from its beginning to its end. All images go as one archive whose list
//! comes last: until every byte of the bundle held, the engine has nothing that it could make an image of.

use std::collections::BTreeSet;
use std::io::{self, Cursor, Read};
use std::sync::atomic::{AtomicBool, Ordering};

use docker::{Engine, EngineError, Reference};

use super::docker_archive::{LIST, Outgoing, Piece};
use super::load::{Tell, Told, is_there, listed, name_all, piece, place, sending, take_away, told_full};
use super::load_error::LoadError;
use super::load_plan::{Action, Plan, Wanted};
use super::load_state::State;
use super::source::{Source, blobs};
use crate::journal::Event;

/// Reads a stream to its end and carries the plan out. A bundle that does not hold leaves nothing in the engine.
pub fn apply(
    plan: &Plan,
    engine: &Engine,
    source: &dyn Source,
    state: &mut State<'_>,
    tell: &Tell<'_>,
) -> Result<(), LoadError> {
    state.write("", Event::Begun)?;
    let sent: Vec<&Wanted> = plan.steps.iter().filter(|(_, action)| is_sent(*action)).map(|(image, _)| image).collect();
    let is_listed = AtomicBool::new(false);
    let done = send(plan, &sent, engine, source, (tell, &is_listed)).and_then(|()| {
        // An engine may answer before it has read all of it.
        source.hold()?;
        base::fault::point("bundle:load:image");
        sent.iter().try_for_each(|image| {
            let known_as = if plan.sends_all { &image.reference } else { &image.id };
            is_there(image, &Reference::parse(known_as).map_err(EngineError::from)?, plan.sends_all, engine)
        })
    });
    if let Err(error) = done {
        // Without the list the engine made no image: what is there is somebody else's. What it made of the list has no name.
        let is_there = !matches!(&error, LoadError::Engine(error) if error.is_unavailable());
        let made = if is_listed.load(Ordering::Relaxed) && is_there { sent.as_slice() } else { &[] };
        take_away(engine, made);
        let error = told_full(error, plan.room_at_once(), engine, made);
        // Why it stopped is what counts, also when a full disk does not take the record of it.
        let _ = state.write("", Event::Failed);
        return Err(error);
    }
    name_all(plan, engine, state)?;
    state.write("", Event::Done)
}

const fn is_sent(action: Action) -> bool {
    matches!(action, Action::Send { .. })
}

/// Sends all images at once. Says in `is_listed` when the list went out, from which the engine makes them.
fn send(
    plan: &Plan,
    sent: &[&Wanted],
    engine: &Engine,
    source: &dyn Source,
    (tell, is_listed): (&Tell<'_>, &AtomicBool),
) -> Result<(), LoadError> {
    if sent.is_empty() {
        return Ok(source.hold()?);
    }
    let broken = |source| LoadError::Engine(EngineError::Archive { source });
    let listed: Vec<_> = sent.iter().map(|image| listed(image, plan.sends_all)).collect();
    let list = serde_json::to_vec(&listed).map_err(|error| broken(error.into()))?;
    let mut needed: BTreeSet<String> = sent.iter().map(|image| place(&image.id)).collect();
    for (image, action) in &plan.steps {
        if let Action::Send { below } = *action {
            needed.extend(image.layers.iter().skip(below).map(|layer| place(&layer.digest)));
        }
    }
    let mut files = Vec::new();
    for (digest, size) in blobs(source.manifest()) {
        let name = format!("blobs/sha256/{digest}");
        if needed.remove(&name) {
            files.push((name, piece(source, digest, size, false)));
        }
    }
    let size = list.len() as u64;
    let last = move || -> io::Result<Box<dyn Read + Send>> {
        source.hold()?;
        is_listed.store(true, Ordering::Relaxed);
        Ok(Box::new(Cursor::new(list)))
    };
    files.push((LIST.to_owned(), Piece::Stream(size, Box::new(last))));
    let mut archive = Outgoing::new(files, 0, sending(tell));
    Ok(engine.load_telling(&mut archive, &mut |more| tell(Told::Unpacked(more))).map(drop)?)
}

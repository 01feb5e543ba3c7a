//! Loads an installer's `.tgz`, which nobody has signed: says so, and goes on only when the operator knows it.

use std::io::Write;
use std::path::Path;

use airgap::bundle::load_tgz::{Tgz, TgzError, is_tgz};
use serde::Serialize;

use super::bundle_engine::{engine, engine_failure, progress};
use super::{Console, Exit, Failure};

#[derive(Serialize)]
struct TgzView {
    /// Always false: an installer's file has no signature.
    is_signed: bool,
    sha256: String,
    images: Vec<ImageView>,
    /// The bytes that are sent.
    sent: u64,
    dry_run: bool,
}

#[derive(Serialize)]
struct ImageView {
    tags: Vec<String>,
    id: String,
}

/// Loads the file when it is compressed as an installer's is; `None` when it is not.
pub(crate) fn run(file: &Path, is_known: bool, dry_run: bool, console: &mut Console) -> Result<Option<Exit>, Failure> {
    if !is_tgz(file)? {
        return Ok(None);
    }
    writeln!(console.err, "warning: this file is unsigned: nothing says who made it, or that nobody changed it since")?;
    let tgz = Tgz::open(file, is_known).map_err(failed)?;
    writeln!(console.err, "sha256 {}", tgz.sha256)?;
    if !dry_run {
        let engine = engine()?;
        let bar = progress(console, tgz.size(), "loading");
        tgz.load(&engine, &|more| bar.inc(more)).map_err(failed)?;
    }
    let images = tgz.images.iter().map(|image| ImageView { tags: image.tags.clone(), id: image.id.clone() });
    let images: Vec<ImageView> = images.collect();
    if console.is_json {
        let (sha256, sent) = (tgz.sha256.to_string(), tgz.size());
        console.json(&TgzView { is_signed: false, sha256, images, sent, dry_run })?;
        return Ok(Some(Exit::Ok));
    }
    for image in images {
        writeln!(console.out, "{}  {}", image.id, image.tags.join(" "))?;
    }
    Ok(Some(Exit::Ok))
}

fn failed(error: TgzError) -> Failure {
    let id = error.id();
    let failure = match error {
        TgzError::Engine(error) => return engine_failure(error),
        error @ TgzError::Read { .. } => Failure::new(Exit::Failure, error),
        error @ TgzError::Space { .. } => Failure::new(Exit::Space, error),
        error => Failure::new(Exit::Integrity, error),
    };
    match id {
        Some(id) => failure.identified(id),
        None => failure,
    }
}

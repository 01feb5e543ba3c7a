//! Writes what the first installers took: a docker archive, and a `.tgz` with it, compose's files and the manual. Says on standard
//! output what `scripts/build-airgap-bundle.sh` always said.

use std::io::Write;
use std::path::{Path, PathBuf};

use airgap::bundle::build::plan;
use airgap::bundle::build_error::BuildError;
use airgap::bundle::installer::{Installer, apply, judged};
use clap::Args;
use serde::Serialize;

use super::bundle_engine::{engine, progress};
use super::bundle_source::{SourceArgs, failed};
use super::{Console, Exit, Failure};

const EXAMPLES: &str = "Example:\n  gitgrit-ops bundle tgz --tag 1.2 --build-images --out dist";

/// Write the images as a docker archive, and a .tgz with it, compose's files and the manual
///
/// What `scripts/build-airgap-bundle.sh` writes: gitgrit-bundle-TAG.tar, which `docker load --input` takes, gitgrit-install-TAG.tgz and its
/// .sha256. Nobody signs them; the signed file is that of `bundle build`. Files that no commit has do not count as changes of the tree.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TgzArgs {
    #[command(flatten)]
    from: SourceArgs,

    /// The folder for the files
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,

    /// Say what would be written, and change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct TgzView {
    archive: String,
    package: String,
    sum: String,
    commit: String,
    is_dirty: bool,
    dry_run: bool,
}

pub(crate) fn run(args: &TgzArgs, console: &mut Console) -> Result<Exit, Failure> {
    let request = args.from.request(args.out.clone(), false)?;
    let judged = match judged(&request) {
        Err(error @ BuildError::Dirty { .. }) => {
            writeln!(console.err, "error: working tree is dirty, and a bundle says which commit it is")?;
            writeln!(console.err, "error: commit or stash the changes, or set ALLOW_DIRTY=1 to bundle anyway")?;
            return Err(failed(error));
        }
        other => other.map_err(failed)?,
    };
    let tree = judged.worktree.clone();
    if tree.dirty.is_some() {
        writeln!(console.err, "warning: working tree is dirty — bundling anyway because ALLOW_DIRTY=1")?;
    }
    let files = Installer::of(&request.out, &request.tag);
    if files.archive.exists() {
        writeln!(console.err, "note: {} exists and will be overwritten", files.archive.display())?;
    }
    let engine = engine()?;
    let tag = tree.tag.map(|tag| format!(" (tag: {tag})")).unwrap_or_default();
    if !console.is_json {
        writeln!(console.out, "→ Bundle source: HEAD={}{tag}", tree.commit)?;
    }
    if args.dry_run {
        for asked in args.from.foreseen(&request, judged, &engine)?.made {
            writeln!(console.err, "would build {}", asked.reference)?;
        }
    } else {
        args.from.build_images(&request, &judged, &engine, console)?;
        let planned = plan(&request, judged, &engine).map_err(failed)?;
        let total = planned.images.iter().map(|(_, image)| image.size).sum();
        let bar = progress(console, total, "packing");
        apply(&request, &planned, &engine, &|more| bar.inc(more)).map_err(failed)?;
    }
    let (commit, is_dirty) = (tree.commit, tree.dirty.is_some());
    show(args.dry_run, &files, (commit, is_dirty), console)
}

fn show(
    dry_run: bool,
    files: &Installer,
    (commit, is_dirty): (String, bool),
    console: &mut Console,
) -> Result<Exit, Failure> {
    if console.is_json {
        let text = |path: &Path| path.display().to_string();
        let (archive, package, sum) = (text(&files.archive), text(&files.package), text(&files.sum));
        console.json(&TgzView { archive, package, sum, commit, is_dirty, dry_run })?;
        return Ok(Exit::Ok);
    }
    if dry_run {
        for path in [&files.archive, &files.package, &files.sum] {
            writeln!(console.err, "would write {}", path.display())?;
        }
        return Ok(Exit::Ok);
    }
    writeln!(console.out, "\nBundle ready:")?;
    for path in [&files.archive, &files.package] {
        let size = std::fs::metadata(path)?.len().div_ceil(1_000_000);
        writeln!(console.out, "  {}  ({size} MB)", path.display())?;
    }
    writeln!(console.out, "  {}", files.sum.display())?;
    writeln!(
        console.out,
        "\nNobody has signed these files; `gitgrit-ops bundle build` makes the file that is signed."
    )?;
    Ok(Exit::Ok)
}

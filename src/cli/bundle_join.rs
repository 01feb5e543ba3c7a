//! Joins a bundle that was split: every part is checked, one that is lost or damaged is made again from the parity, and the
//! bundle is there as a whole or not at all.

use std::io::Write;
use std::path::PathBuf;

use airgap::bundle::join::Parts;
use clap::Args;
use serde::Serialize;

use super::bundle_engine::progress;
use super::bundle_sign::refused;
use super::{Console, Exit, Failure};

const EXAMPLES: &str = "Examples:\n  gitgrit-ops bundle join /media/stick\n  \
                        gitgrit-ops bundle join a/gitgrit-v1.0.0-amd64.ggb.001 b/gitgrit-v1.0.0-amd64.ggb.002 --out gitgrit.ggb";

/// Join a bundle that was split
///
/// Each part is compared with the index that every part has. Parts of another bundle, missing, damaged and doubled ones are named, and
/// nothing is written; one that is missing or damaged is made again when there is a parity part. `verify`, `inspect` and `load` read parts where they
/// lie, without joining them. Whose bundle it is is for `verify` and `load` to say.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct JoinArgs {
    /// The folder with the parts, one part beside the others, or all files and folders that have some
    #[arg(required = true)]
    parts: Vec<PathBuf>,

    /// The bundle to write [default: the name that the parts have for it, in the current folder, where it may not be there yet]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Check the parts, and write nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct JoinView {
    file: String,
    manifest: String,
    size: u64,
    parts: u32,
    /// The part that was lost or damaged, and made again from the others.
    mended: Option<u32>,
    /// What lay there and was not used.
    warnings: Vec<String>,
    dry_run: bool,
}

pub(crate) fn run(args: &JoinArgs, console: &mut Console) -> Result<Exit, Failure> {
    let parts = Parts::find(&args.parts).map_err(|error| refused(error.into()))?;
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(&parts.set().name));
    // The name comes out of parts that nothing has signed; what has it already was perhaps verified.
    if args.out.is_none() && !args.dry_run && out.symlink_metadata().is_ok() {
        let failure = Failure::said(Exit::Usage, format!("`{}` is there already", out.display()));
        return Err(failure.hinted("name it with --out to replace it, or another file"));
    }
    let bar = progress(console, parts.set().size, "joining");
    let joined = parts.join((!args.dry_run).then_some(out.as_path()), &|more| bar.inc(more)).map_err(refused)?;
    drop(bar);
    let view = JoinView {
        file: out.display().to_string(),
        manifest: joined.set.manifest.named(),
        size: joined.set.size,
        parts: joined.set.count,
        mended: joined.mended,
        warnings: joined.notes,
        dry_run: args.dry_run,
    };
    if console.is_json {
        console.json(&view)?;
        return Ok(Exit::Ok);
    }
    for warning in &view.warnings {
        writeln!(console.err, "warning: {warning}")?;
    }
    if let Some(number) = view.mended {
        writeln!(console.err, "warning: part {number:03} was lost or damaged, and made again from the others")?;
    }
    let done = if args.dry_run { "would write" } else { "wrote" };
    writeln!(console.err, "{done} {} bytes of {} parts, manifest {}", view.size, view.parts, view.manifest)?;
    writeln!(console.err, "no signature was checked: `gitgrit-ops bundle verify` does that")?;
    writeln!(console.out, "{}", view.file)?;
    Ok(Exit::Ok)
}

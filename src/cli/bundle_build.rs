//! Builds a bundle from a checkout and the engine's images.

use std::io::Write;
use std::path::PathBuf;

use airgap::bundle::build::{Asked, BuildPlan, Built, Request, apply, judged, plan};
use airgap::bundle::{BundleError, Profile};
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::bundle_engine::{engine, progress};
use super::bundle_keys::SigningArgs;
use super::bundle_sign::sign_manifest;
use super::bundle_source::{SourceArgs, failed};
use super::{Console, Exit, Failure};

const EXAMPLES: &str = "Examples:\n  gitgrit-ops bundle build --tag v1.0.0 --build-images --profile release --key release.key\n  \
                        gitgrit-ops bundle build --tag v1.0.0 --image gitgrit-app:v1.0.0 --image db=postgres:15 --out /media/stick";

/// Build a bundle: the images, the program, compose files, templates and manual in one file
///
/// The images are those that bundle/images.toml of the tree names, or those that --image names. They are taken from the engine (`DOCKER_HOST`); those whose name begins with gitgrit- must have been built from this commit and
/// for this tag (`GIT_SHA` and `GIT_TAG`, or their labels). The same commit, images, tag and profile give the same bytes. Packed layers stay in
/// the cache: a build that was ended goes on from there, and a layer is packed once.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BuildArgs {
    #[command(flatten)]
    from: SourceArgs,

    /// The folder for the bundle
    #[arg(long, value_name = "DIR", default_value = "target/bundle")]
    out: PathBuf,

    /// How to pack: fast to build, or small to carry
    #[arg(long, default_value = "fast")]
    profile: ProfileArg,

    /// gVisor's program, to carry as bin/runsc
    #[arg(long, value_name = "FILE")]
    runsc: Option<PathBuf>,

    /// Which of several bundles this is: a lower one than before is refused where it arrives [default: the commit's time]
    #[arg(long, value_name = "NUMBER")]
    sequence: Option<u64>,

    /// Warn whoever uses it after this time, in seconds since 1970
    #[arg(long, value_name = "SECONDS")]
    expires: Option<u64>,

    #[command(flatten)]
    signing: SigningArgs,

    /// Say what would be built, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// The two profiles.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ProfileArg {
    /// Quick to build: frames of 8 MiB, zstd level 3
    Fast,
    /// Small to carry: frames of 12 MiB, a higher level
    Release,
}

#[derive(Serialize)]
struct BuildView {
    file: String,
    commit: String,
    is_dirty: bool,
    images: Vec<ImageView>,
    /// The bundle's size in bytes, and how many layers were packed now; `null` in a dry run.
    size: Option<u64>,
    packed: Option<usize>,
    sequence: Option<u64>,
    /// Version and commit of the program, as far as it says them.
    program: Option<String>,
    dry_run: bool,
}

#[derive(Serialize)]
struct ImageView {
    name: String,
    reference: String,
    /// `null` for one that would be made first.
    id: Option<String>,
}

pub(crate) fn run(args: &BuildArgs, console: &mut Console) -> Result<Exit, Failure> {
    let request = request(args)?;
    let keys = args.signing.open()?;
    let judged = judged(&request).map_err(failed)?;
    let engine = engine()?;
    let planned = if args.dry_run {
        args.from.foreseen(&request, judged, &engine)?
    } else {
        args.from.build_images(&request, &judged, &engine, console)?;
        plan(&request, judged, &engine).map_err(failed)?
    };
    let built = if args.dry_run {
        None
    } else {
        let total = planned.images.iter().map(|(_, image)| image.size).sum();
        let bar = progress(console, total, "packing");
        let mut unsigned = None;
        let sign = &mut |bytes: &[u8]| {
            let manifest = airgap::bundle::Manifest::parse(bytes)?;
            sign_manifest(&manifest, &keys).map_err(|failure| {
                unsigned = Some(failure);
                BundleError::Signature("it was not made")
            })
        };
        let built = apply(&request, &planned, &engine, sign, &|more| bar.inc(more));
        if let Some(failure) = unsigned {
            return Err(failure);
        }
        Some(built.map_err(failed)?)
    };
    show(&planned, built.as_ref(), keys.len(), console)
}

fn show(planned: &BuildPlan, built: Option<&Built>, keys: usize, console: &mut Console) -> Result<Exit, Failure> {
    let file = planned.file.display().to_string();
    if console.is_json {
        let image =
            |asked: &Asked, id| ImageView { name: asked.name.clone(), reference: asked.reference.to_string(), id };
        let made = planned.made.iter().map(|asked| image(asked, None));
        let images = planned.images.iter().map(|(asked, found)| image(asked, Some(found.id.clone())));
        console.json(&BuildView {
            size: built.and_then(|built| std::fs::metadata(&built.file).ok()).map(|facts| facts.len()),
            packed: built.map(|built| built.packed),
            sequence: built.map(|built| built.manifest.sequence),
            commit: planned.worktree.commit.clone(),
            is_dirty: planned.worktree.dirty.is_some(),
            images: made.chain(images).collect(),
            program: planned.program.as_ref().map(airgap::bundle::program_mark::Mark::word),
            dry_run: built.is_none(),
            file,
        })?;
        return Ok(Exit::Ok);
    }
    for asked in &planned.made {
        writeln!(console.err, "{:<12}  would be built  {}", asked.name, asked.reference)?;
    }
    for (asked, image) in &planned.images {
        writeln!(console.err, "{:<12}  {}  {}", asked.name, image.id, asked.reference)?;
    }
    if planned.program.as_ref().is_none_or(|program| program.commit.is_none()) {
        writeln!(
            console.err,
            "warning: the program does not say which commit it was built from; the bundle says that"
        )?;
    }
    let Some(built) = built else {
        writeln!(console.err, "would write {file}")?;
        return Ok(Exit::Ok);
    };
    if keys == 0 {
        writeln!(console.err, "warning: nobody has signed it; use `gitgrit-ops bundle sign {file} --key KEY`")?;
    }
    writeln!(console.err, "{} of {} layers were packed now", built.packed, layers(built))?;
    writeln!(console.out, "{file}")?;
    Ok(Exit::Ok)
}

fn layers(built: &Built) -> usize {
    let all: std::collections::BTreeSet<_> = built.manifest.images.iter().flat_map(|image| &image.layers).collect();
    all.len()
}

fn request(args: &BuildArgs) -> Result<Request, Failure> {
    let profile = match args.profile {
        ProfileArg::Fast => Profile::Fast,
        ProfileArg::Release => Profile::Release,
    };
    let (runsc, sequence, expires) = (args.runsc.clone(), args.sequence, args.expires);
    Ok(Request { profile, runsc, sequence, expires, ..args.from.request(args.out.clone(), true)? })
}

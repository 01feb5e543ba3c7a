//! Builds a bundle from a checkout and the engine's images.

use std::io::Write;
use std::path::PathBuf;

use airgap::bundle::build::{Asked, BuildPlan, Built, Request, apply, plan};
use airgap::bundle::build_error::BuildError;
use airgap::bundle::{BundleError, Profile};
use base::file::read_text;
use clap::{Args, ValueEnum};
use docker::Reference;
use serde::Serialize;

use super::bundle_engine::{engine, engine_failure, progress};
use super::bundle_keys::SigningArgs;
use super::bundle_sign::{refused, sign_manifest};
use super::{Console, Exit, Failure};

/// The largest list of images, in bytes.
const LIST_LIMIT: u64 = 64 << 10;
/// The variable that fixes the time of all files (reproducible-builds.org).
const EPOCH: &str = "SOURCE_DATE_EPOCH";

const EXAMPLES: &str = "Examples:\n  gitgrit-ops bundle build --tag v1.0.0 --image gitgrit-app:v1.0.0 --image db=postgres:15 --key release.key\n  \
                        gitgrit-ops bundle build --tag v1.0.0 --images images.txt --profile release --out /media/stick";

/// Build a bundle: the images, the program, compose files, templates and manual in one file
///
/// The images are those of the engine (`DOCKER_HOST`); those whose name begins with gitgrit- must have been built from this commit and
/// for this tag (`GIT_SHA` and `GIT_TAG`, or their labels). The same commit, images, tag and profile give the same bytes. Packed layers stay in
/// the cache: a build that was ended goes on from there, and a layer is packed once.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BuildArgs {
    /// The version, as in the images' tags
    #[arg(long)]
    tag: String,

    /// An image to carry, as in gitgrit-app:v1 or db=postgres:15; may be given several times
    #[arg(long, value_name = "[NAME=]REFERENCE")]
    image: Vec<String>,

    /// A file with one image a line, written as for --image
    #[arg(long, value_name = "FILE")]
    images: Option<PathBuf>,

    /// The folder for the bundle
    #[arg(long, value_name = "DIR", default_value = "target/bundle")]
    out: PathBuf,

    /// How to pack: fast to build, or small to carry
    #[arg(long, default_value = "fast")]
    profile: ProfileArg,

    /// Where packed layers are kept
    #[arg(long, value_name = "DIR", default_value = "target/bundle-cache")]
    cache: PathBuf,

    /// A checkout of the product
    #[arg(long, value_name = "DIR", default_value = ".")]
    source: PathBuf,

    /// The program to carry [default: this one]
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,

    /// Build from a tree with changes; the bundle says so
    #[arg(long)]
    allow_dirty: bool,

    /// How many threads pack; the bytes do not depend on it [default: one per core]
    #[arg(long, value_name = "COUNT")]
    threads: Option<usize>,

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
    /// Small to carry: frames of 16 MiB, a higher level
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
    dry_run: bool,
}

#[derive(Serialize)]
struct ImageView {
    name: String,
    reference: String,
    id: String,
}

pub(crate) fn run(args: &BuildArgs, console: &mut Console) -> Result<Exit, Failure> {
    let request = request(args)?;
    let keys = args.signing.open()?;
    let engine = engine()?;
    let planned = plan(&request, &engine).map_err(failed)?;
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
        let image = |(asked, image): &(Asked, docker::Image)| ImageView {
            name: asked.name.clone(),
            reference: asked.reference.to_string(),
            id: image.id.clone(),
        };
        console.json(&BuildView {
            size: built.and_then(|built| std::fs::metadata(&built.file).ok()).map(|facts| facts.len()),
            packed: built.map(|built| built.packed),
            sequence: built.map(|built| built.manifest.sequence),
            commit: planned.worktree.commit.clone(),
            is_dirty: planned.worktree.dirty.is_some(),
            images: planned.images.iter().map(image).collect(),
            dry_run: built.is_none(),
            file,
        })?;
        return Ok(Exit::Ok);
    }
    for (asked, image) in &planned.images {
        writeln!(console.err, "{:<12}  {}  {}", asked.name, image.id, asked.reference)?;
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
    if !docker::reference::is_tag(&args.tag) {
        return Err(Failure::said(Exit::Usage, format!("`{}` is no tag of an image", args.tag)));
    }
    let mut lines = args.image.clone();
    if let Some(path) = &args.images {
        let text = read_text(path, LIST_LIMIT)?;
        lines.extend(
            text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned),
        );
    }
    let program = match &args.program {
        Some(program) => program.clone(),
        None => std::env::current_exe()?,
    };
    let epoch = match std::env::var(EPOCH) {
        Ok(text) => Some(text.parse().map_err(|_| Failure::said(Exit::Usage, format!("{EPOCH} is not a number")))?),
        Err(_) => None,
    };
    Ok(Request {
        source: args.source.clone(),
        tag: args.tag.clone(),
        images: lines.iter().map(|line| asked(line)).collect::<Result<_, _>>()?,
        profile: match args.profile {
            ProfileArg::Fast => Profile::Fast,
            ProfileArg::Release => Profile::Release,
        },
        out: args.out.clone(),
        cache: args.cache.clone(),
        program,
        program_version: env!("CARGO_PKG_VERSION").into(),
        allow_dirty: args.allow_dirty,
        threads: args.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)),
        sequence: args.sequence,
        epoch,
        expires: args.expires,
    })
}

/// Reads `NAME=REFERENCE`; without a name it is the image's own, without `gitgrit-` before it.
fn asked(line: &str) -> Result<Asked, Failure> {
    let (name, text) = line.split_once('=').map_or((None, line), |(name, text)| (Some(name), text));
    let reference = Reference::parse(text.trim()).map_err(|error| engine_failure(error.into()))?;
    let own = reference.tagged().map_or(reference.as_str(), |(name, _)| name);
    let own = own.rsplit('/').next().unwrap_or(own);
    let name =
        name.map_or_else(|| own.strip_prefix("gitgrit-").unwrap_or(own).to_owned(), |name| name.trim().to_owned());
    Ok(Asked { name, reference })
}

fn failed(error: BuildError) -> Failure {
    match error {
        BuildError::Engine(error) => engine_failure(error),
        BuildError::Bundle(error) => refused(error),
        BuildError::File(error) => error.into(),
        other => {
            Failure::new(if matches!(other, BuildError::Space { .. }) { Exit::Space } else { Exit::Failure }, other)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_named_by_its_line_or_by_itself() {
        let cases = [
            ("gitgrit-app:v1", ("app", "gitgrit-app:v1")),
            ("db=postgres:15", ("db", "postgres:15")),
            ("registry.example:5000/x/redis", ("redis", "registry.example:5000/x/redis:latest")),
            ("one = two:3 ", ("one", "two:3")),
        ];
        for (line, (name, reference)) in cases {
            let asked = asked(line).unwrap();
            assert_eq!((asked.name.as_str(), asked.reference.as_str()), (name, reference), "{line}");
        }
        assert!(asked("a=b c").is_err());
    }
}

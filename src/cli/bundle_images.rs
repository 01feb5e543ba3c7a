//! Builds the images of the stack from their recipes and locks, or writes the locks anew: parses, hands over, prints.

use std::path::PathBuf;

use airgap::images::{self, Built, ImagesError, Recipes, Request, Stamp};
use base::Clock;
use base::clock::SystemClock;
use clap::Args;
use serde::Serialize;

use super::{Console, Exit, Failure};

/// Build the images of the stack from Debian packages
///
/// Takes exactly the packages that the locks beside the recipes name. The same recipes, locks, program and stamp give
/// the same image ids on every machine. Needs mmdebstrap and apt; the network only for packages that are not in the cache.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitgrit-ops bundle images --tag 1.2 --out target/images.tar && docker load -i target/images.tar\n  gitgrit-ops bundle images --relock"
)]
pub(crate) struct ImagesArgs {
    /// The recipes
    #[arg(long, value_name = "FILE", default_value = "bundle/images.toml")]
    recipes: PathBuf,

    /// The tag of the images
    #[arg(long, value_name = "TAG", required_unless_present = "relock", value_parser = tag)]
    tag: Option<String>,

    /// Build this image alone; may be given several times
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,

    /// Write the images as one archive, for `docker load`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// The program that goes into `app`; this one when not given
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,

    /// The commit that the images say they are built from
    #[arg(long, value_name = "ID", env = "GIT_SHA", default_value = "", hide_env = true)]
    commit: String,

    /// The commit's own tag
    #[arg(long, value_name = "TAG", env = "GIT_TAG", default_value = "", hide_env = true)]
    git_tag: String,

    /// The time that the images say they were made, in seconds since 1970
    #[arg(long, value_name = "SECONDS", env = "SOURCE_DATE_EPOCH", default_value = "0", hide_env = true)]
    epoch: u64,

    /// Where packages and layers are kept from one build to the next
    #[arg(long, value_name = "DIR", default_value = "target/images")]
    cache: PathBuf,

    /// Sources for apt instead of this host's own
    #[arg(long, value_name = "FILE")]
    sources: Option<PathBuf>,

    /// Ask which packages there are now, write the locks anew, and build nothing
    #[arg(long, conflicts_with_all = ["tag", "only", "out"])]
    relock: bool,
}

/// The documented shape of `bundle images --json`.
#[derive(Serialize)]
struct ImagesView<'i> {
    images: Vec<ImageView<'i>>,
}

#[derive(Serialize)]
struct ImageView<'i> {
    name: &'i str,
    reference: &'i str,
    id: String,
    size: u64,
    layers: Vec<String>,
}

impl<'i> From<&'i Built> for ImageView<'i> {
    fn from(image: &'i Built) -> Self {
        Self {
            name: &image.name,
            reference: &image.reference,
            id: format!("sha256:{}", image.id),
            size: image.size(),
            layers: image.layers.iter().map(|layer| format!("sha256:{}", layer.digest)).collect(),
        }
    }
}

/// The documented shape of `bundle images --relock --json`.
#[derive(Serialize)]
struct LocksView {
    locks: Vec<String>,
}

pub(crate) fn run(args: &ImagesArgs, console: &mut Console) -> Result<Exit, Failure> {
    let recipes = Recipes::read(&args.recipes)?;
    let here = std::env::current_dir()?;
    let (cache, sources) = (here.join(&args.cache), args.sources.as_ref().map(|sources| here.join(sources)));
    let Some(tag) = args.tag.clone().filter(|_| !args.relock) else {
        let now = u64::try_from(SystemClock.now().seconds()).unwrap_or_default();
        let locks = images::relock(&recipes, &cache, sources, now)?;
        return show_locks(locks, console);
    };
    let program = match &args.program {
        Some(program) => program.clone(),
        None => std::env::current_exe()?,
    };
    let stamp = Stamp { tag, commit: args.commit.clone(), git_tag: args.git_tag.clone(), epoch: args.epoch };
    let only = args.only.clone();
    let request = Request { recipes, only, cache, work: std::env::temp_dir(), sources, program, stamp };
    let sign = console.is_terminal.then(|| console.working("building images"));
    let words = &mut console.err;
    let built = images::build(&request, &mut |name| {
        // Words that nobody reads are no reason to stop.
        let _ = writeln!(words, "image {name}");
    })?;
    if let Some(out) = &args.out {
        images::write_archive(&built, args.epoch, out)?;
    }
    drop(sign);
    for recipe in request.recipes.images.iter().filter(|recipe| recipe.reference.is_some()) {
        let reference = recipe.reference.as_deref().unwrap_or_default();
        writeln!(console.err, "image {} is not built: it is {reference}", recipe.name)?;
    }
    show(&built, console)
}

fn show(built: &[Built], console: &mut Console) -> Result<Exit, Failure> {
    if console.is_json {
        console.json(&ImagesView { images: built.iter().map(ImageView::from).collect() })?;
        return Ok(Exit::Ok);
    }
    for image in built {
        let megabytes = image.size().div_ceil(1_000_000);
        writeln!(console.out, "{}  sha256:{}  {megabytes} MB", image.reference, image.id)?;
    }
    Ok(Exit::Ok)
}

fn show_locks(locks: Vec<PathBuf>, console: &mut Console) -> Result<Exit, Failure> {
    let locks: Vec<_> = locks.into_iter().map(|path| path.display().to_string()).collect();
    if console.is_json {
        console.json(&LocksView { locks })?;
    } else {
        for lock in locks {
            writeln!(console.out, "{lock}")?;
        }
    }
    Ok(Exit::Ok)
}

/// What Docker takes for a tag.
fn tag(text: &str) -> Result<String, String> {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_tag = !text.is_empty() && text.len() <= 128 && !text.starts_with(['.', '-']) && text.bytes().all(is_known);
    if is_tag { Ok(text.into()) } else { Err("a tag has letters, digits, `.`, `_` and `-`, 128 at most".into()) }
}

impl From<ImagesError> for Failure {
    fn from(error: ImagesError) -> Self {
        let exit = match &error {
            ImagesError::Unknown { .. } => Exit::Usage,
            ImagesError::Digest { .. } => Exit::Integrity,
            ImagesError::File(base::file::FileError::Locked { .. }) => Exit::Locked,
            _ => Exit::Failure,
        };
        Self::new(exit, error)
    }
}

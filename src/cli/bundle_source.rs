//! What a bundle, or what the first installers took, is built from: parsed once for both verbs. And the images of the recipes, built and
//! given to the engine when somebody wants that in one go.

use std::io::Write;
use std::path::PathBuf;

use airgap::bundle::Profile;
use airgap::bundle::build::{Asked, BuildPlan, Judged, Request, foreseen, plan};
use airgap::bundle::build_error::BuildError;
use airgap::images::{self, Recipes, Stamp};
use base::file::read_text;
use clap::Args;
use docker::{Engine, Reference};

use super::bundle_engine::engine_failure;
use super::bundle_sign::refused;
use super::version::mark;
use super::{Console, Exit, Failure};

/// The largest list of images, in bytes.
const LIST_LIMIT: u64 = 64 << 10;
/// The variable that fixes the time of all files (reproducible-builds.org).
const EPOCH: &str = "SOURCE_DATE_EPOCH";
/// Where the recipes lie in a tree.
const RECIPES: &str = "bundle/images.toml";

/// From what, and with what.
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// The version, as in the images' tags
    #[arg(long)]
    pub(crate) tag: String,

    /// An image to carry, as in gitgrit-app:v1 or db=postgres:15; may be given several times [default: those of bundle/images.toml]
    #[arg(long, value_name = "[NAME=]REFERENCE")]
    image: Vec<String>,

    /// A file with one image a line, written as for --image
    #[arg(long, value_name = "FILE")]
    images: Option<PathBuf>,

    /// Build the images of bundle/images.toml first, as `bundle images` does, and give them to the engine
    #[arg(long, conflicts_with_all = ["image", "images"])]
    build_images: bool,

    /// Where packed layers are kept
    #[arg(long, value_name = "DIR", default_value = "target/bundle-cache")]
    cache: PathBuf,

    /// A checkout of the product
    #[arg(long, value_name = "DIR", default_value = ".")]
    source: PathBuf,

    /// The program to carry [default: this one]
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,

    /// Build from a tree with changes, or with a program of another commit; the bundle says so
    #[arg(long)]
    allow_dirty: bool,

    /// How many threads pack; the bytes do not depend on it [default: one per core]
    #[arg(long, value_name = "COUNT")]
    threads: Option<usize>,
}

impl SourceArgs {
    /// What to build into `out`.
    pub(crate) fn request(&self, out: PathBuf, counts_untracked: bool) -> Result<Request, Failure> {
        if !docker::reference::is_tag(&self.tag) {
            return Err(Failure::said(Exit::Usage, format!("`{}` is no tag of an image", self.tag)));
        }
        let mut lines = self.image.clone();
        if let Some(path) = &self.images {
            let text = read_text(path, LIST_LIMIT)?;
            let named = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
            lines.extend(named.map(str::to_owned));
        }
        let mut images: Vec<Asked> = lines.iter().map(|line| asked(line)).collect::<Result<_, _>>()?;
        let recipes = self.source.join(RECIPES);
        if self.image.is_empty() && self.images.is_none() && recipes.is_file() {
            images = Asked::of_recipes(&Recipes::read(&recipes)?, &self.tag).map_err(failed)?;
        }
        let program = match &self.program {
            Some(program) => program.clone(),
            None => std::env::current_exe()?,
        };
        Ok(Request {
            source: self.source.clone(),
            tag: self.tag.clone(),
            images,
            profile: Profile::Fast,
            out,
            cache: self.cache.clone(),
            program,
            runsc: None,
            builder: mark(),
            allow_dirty: self.allow_dirty,
            counts_untracked,
            threads: self.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)),
            sequence: None,
            epoch: epoch()?,
            expires: None,
        })
    }

    /// What would be built: with images that are made first, those need not be there yet.
    pub(crate) fn foreseen(&self, request: &Request, judged: Judged, engine: &Engine) -> Result<BuildPlan, Failure> {
        let planned = if self.build_images { foreseen } else { plan };
        planned(request, judged, engine).map_err(failed)
    }

    /// Builds the images of the recipes and gives them to the engine, when that was asked for.
    pub(crate) fn build_images(
        &self,
        request: &Request,
        judged: &Judged,
        engine: &Engine,
        console: &mut Console,
    ) -> Result<(), Failure> {
        if !self.build_images {
            return Ok(());
        }
        judged.may_be_stamped(request).map_err(failed)?;
        if judged.program.as_ref().is_none_or(|program| program.commit.is_none()) {
            writeln!(console.err, "warning: the program in the images does not say which commit it was built from")?;
        }
        let tree = judged.worktree.clone();
        let dirty = if tree.dirty.is_some() { "-dirty" } else { "" };
        let stamp = Stamp {
            tag: self.tag.clone(),
            commit: format!("{}{dirty}", tree.commit),
            git_tag: tree.tag.unwrap_or_default(),
            epoch: request.epoch.unwrap_or(tree.seconds),
        };
        let epoch = stamp.epoch;
        let cache = std::env::current_dir()?.join("target/images");
        let wanted = images::Request {
            recipes: Recipes::read(&self.source.join(RECIPES))?,
            only: Vec::new(),
            cache,
            work: std::env::temp_dir(),
            sources: None,
            program: request.program.clone(),
            stamp,
        };
        let sign = console.is_terminal.then(|| console.working("building images"));
        let words = &mut console.err;
        let built = images::build(&wanted, &mut |name| {
            // Words that nobody reads are no reason to stop.
            let _ = writeln!(words, "image {name}");
        })?;
        engine.load(&mut images::archive(&built, epoch)?).map_err(engine_failure)?;
        drop(sign);
        Ok(())
    }
}

/// What `SOURCE_DATE_EPOCH` says.
fn epoch() -> Result<Option<u64>, Failure> {
    match std::env::var(EPOCH) {
        Ok(text) => match text.parse() {
            Ok(epoch) => Ok(Some(epoch)),
            Err(_) => Err(Failure::said(Exit::Usage, format!("{EPOCH} is not a number"))),
        },
        Err(_) => Ok(None),
    }
}

/// Reads `NAME=REFERENCE`; without a name it is the image's own, without `gitgrit-` before it.
fn asked(line: &str) -> Result<Asked, Failure> {
    let (name, text) = line.split_once('=').map_or((None, line), |(name, text)| (Some(name), text));
    let reference = Reference::parse(text.trim()).map_err(|error| {
        Failure::new(Exit::Usage, BuildError::Engine(error.into())).hinted("write NAME=REFERENCE, as in db=postgres:15")
    })?;
    let own = reference.tagged().map_or(reference.as_str(), |(name, _)| name);
    let own = own.rsplit('/').next().unwrap_or(own);
    let name =
        name.map_or_else(|| own.strip_prefix("gitgrit-").unwrap_or(own).to_owned(), |name| name.trim().to_owned());
    Ok(Asked { name, reference, pinned: None, is_made: false })
}

/// A failure of a build, with its exit code: 2 where the command line asks for what no bundle can be.
pub(crate) fn failed(error: BuildError) -> Failure {
    let exit = match error {
        BuildError::Engine(error) => return engine_failure(error),
        BuildError::Bundle(error) => return refused(error),
        BuildError::File(error) => return error.into(),
        BuildError::Images(error) => return error.into(),
        BuildError::Space { .. } => Exit::Space,
        BuildError::Name { .. } | BuildError::Untagged { .. } | BuildError::Epoch { .. } | BuildError::Nothing => {
            Exit::Usage
        }
        _ => Exit::Failure,
    };
    Failure::new(exit, error)
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

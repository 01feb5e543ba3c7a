//! One build: for each image the layers of its packages, from the cache where the same inputs were built before, and the
//! layer of its own files. What is in the cache is used only when its digest still holds.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use base::file::{Lock as Held, create_dir, read_text, write_atomic};
use vault::digest::sha256_hex;

use super::config::config;
use super::error::ImagesError;
use super::layer::{self, Blob};
use super::lock::{Lock, Package};
use super::packages::{Apt, Debs, digest};
use super::pattern::Patterns;
use super::recipe::{Group, Recipe, User};
use super::rootfs::Rootfs;
use super::tree::{Node, Tree};
use super::{BASE, Built, Request, host_architecture, read_lock, reference};

/// Changes when the same inputs shall give other layers than before.
const FORMAT: u32 = 1;

/// Layers of packages, with what makes them what they are.
#[derive(Clone)]
struct Stack {
    key: String,
    layers: Vec<Blob>,
}

/// What one build knows.
struct Build<'r> {
    request: &'r Request,
    architecture: String,
    base: Lock,
    apt: Apt,
    debs: Debs,
    work: tempfile::TempDir,
    /// File systems of this run, by what they are made of: two images of the same packages share one.
    made: HashMap<String, PathBuf>,
    stacks: BTreeMap<String, Stack>,
}

/// Builds the images asked for, in the order of the recipes; `say` hears which one is worked on. A recipe that names
/// somebody else's image is left out.
pub fn build(request: &Request, say: &mut dyn FnMut(&str)) -> Result<Vec<Built>, ImagesError> {
    let recipes = &request.recipes;
    if let Some(image) = request.only.iter().find(|name| recipes.named(name).is_none()) {
        return Err(ImagesError::Unknown { image: image.clone() });
    }
    create_dir(&request.cache.join("layers"), 0o755)?;
    create_dir(&request.cache.join("own"), 0o755)?;
    let _held = Held::take(&request.cache.join("lock"))?;
    let architecture = host_architecture()?;
    let work = tempfile::Builder::new().prefix("gitgrit-images-").tempdir_in(&request.work);
    let work = work.map_err(ImagesError::at(&request.work))?;
    // Whatever the umask: without root's rights, mmdebstrap looks in there under another number than ours.
    fs::set_permissions(work.path(), Permissions::from_mode(0o755)).map_err(ImagesError::at(work.path()))?;
    let mut build = Build {
        base: read_lock(recipes, BASE, &architecture)?,
        apt: Apt::new(request.cache.join("apt"), &recipes.suite, request.sources.clone())?,
        debs: Debs::new(request.cache.join("debs"))?,
        work,
        made: HashMap::new(),
        stacks: BTreeMap::new(),
        architecture,
        request,
    };
    let is_wanted = |recipe: &&Recipe| request.only.is_empty() || request.only.contains(&recipe.name);
    let wanted = recipes.images.iter().filter(is_wanted).filter(|recipe| recipe.reference.is_none());
    wanted.map(|recipe| build.image(recipe, say)).collect()
}

impl Build<'_> {
    fn image(&mut self, recipe: &Recipe, say: &mut dyn FnMut(&str)) -> Result<Built, ImagesError> {
        say(&recipe.name);
        let stack = self.stack(recipe)?;
        let Request { recipes, stamp, cache, program, .. } = self.request;
        let mut layers: Vec<_> = stack.layers.into_iter().map(|layer| (layer, "packages of the lock")).collect();
        let own = layer::additions(recipe, &recipes.folder, program)?;
        if !own.is_empty() {
            let path = cache.join("own").join(format!("{}.tar", recipe.name));
            layers.push((layer::write(&own, &path, self.base.epoch, &path)?, "files of the recipe"));
        }
        let config = config(recipe, &layers, stamp, &self.architecture);
        Ok(Built {
            name: recipe.name.clone(),
            reference: reference(&recipe.name, &stamp.tag),
            id: sha256_hex(&config),
            config,
            layers: layers.into_iter().map(|(layer, _)| layer).collect(),
        })
    }

    /// The layers of a recipe's packages, and those below.
    fn stack(&mut self, recipe: &Recipe) -> Result<Stack, ImagesError> {
        if let Some(stack) = self.stacks.get(&recipe.name) {
            return Ok(stack.clone());
        }
        let recipes = &self.request.recipes;
        let below = match recipe.parent.as_deref().and_then(|name| recipes.named(name)) {
            Some(parent) => self.stack(parent)?,
            None => self.base()?,
        };
        let lock = read_lock(recipes, &recipe.name, &self.architecture)?;
        let mut packages = [self.base.packages.clone(), lock.packages].concat();
        packages.sort();
        let whole = Whole { image: &recipe.name, packages, users: &recipe.users, groups: &recipe.groups };
        let exclude = [recipes.exclude.as_slice(), recipe.exclude.as_slice()];
        let stack = self.layer(&whole, exclude, below)?;
        self.stacks.insert(recipe.name.clone(), stack.clone());
        Ok(stack)
    }

    /// The layer that all images start with.
    fn base(&mut self) -> Result<Stack, ImagesError> {
        if let Some(stack) = self.stacks.get(BASE) {
            return Ok(stack.clone());
        }
        let whole = Whole { image: BASE, packages: self.base.packages.clone(), users: &[], groups: &[] };
        let below = Stack { key: String::new(), layers: Vec::new() };
        let stack = self.layer(&whole, [self.request.recipes.exclude.as_slice(), &[]], below)?;
        self.stacks.insert(BASE.into(), stack.clone());
        Ok(stack)
    }

    fn layer(&mut self, whole: &Whole<'_>, exclude: [&[String]; 2], below: Stack) -> Result<Stack, ImagesError> {
        let key = sha256_hex(format!("{}{exclude:?}{}", whole.key(self), below.key).as_bytes());
        let (note, archive) = (self.kept(&key, "digest"), self.kept(&key, "tar"));
        let kept = read_text(&note, 64).ok();
        let blob = if let Some(digest) = kept.filter(|kept| digest(&archive).is_ok_and(|found| found == *kept)) {
            let size = fs::metadata(&archive).map_err(ImagesError::at(&archive))?.len();
            Blob { digest, size, path: archive }
        } else {
            let rootfs = self.rootfs(whole)?;
            let tree = Tree::of_rootfs(&rootfs, whole.image, &Patterns::new(exclude))?;
            let nodes = layer::difference(&tree, &seen(whole.image, &below.layers)?);
            let draft = self.kept(&key, "part");
            let blob = layer::write(&nodes, &rootfs, self.base.epoch, &draft)?;
            fs::rename(&draft, &archive).map_err(ImagesError::at(&draft))?;
            write_atomic(&note, blob.digest.as_bytes(), 0o644)?;
            Blob { path: archive, ..blob }
        };
        Ok(Stack { key, layers: below.layers.into_iter().chain([blob]).collect() })
    }

    fn kept(&self, key: &str, kind: &str) -> PathBuf {
        self.request.cache.join("layers").join(format!("{key}.{kind}"))
    }

    fn rootfs(&mut self, whole: &Whole<'_>) -> Result<PathBuf, ImagesError> {
        let key = whole.key(self);
        if let Some(archive) = self.made.get(&key) {
            return Ok(archive.clone());
        }
        self.debs.complete(&whole.packages, &mut self.apt)?;
        let work = self.work.path().join(whole.image);
        create_dir(&work, 0o755)?;
        let archive = self.work.path().join(format!("{}.tar", whole.image));
        let suite = &self.request.recipes.suite;
        let Whole { packages, users, groups, .. } = whole;
        Rootfs { suite, epoch: self.base.epoch, packages, users, groups }.make(&self.debs, &work, &archive)?;
        self.made.insert(key, archive.clone());
        Ok(archive)
    }
}

/// What the file system of an image is made of.
struct Whole<'r> {
    image: &'r str,
    packages: Vec<Package>,
    users: &'r [User],
    groups: &'r [Group],
}

impl Whole<'_> {
    /// The same for the same file system, whatever the image is called.
    fn key(&self, build: &Build<'_>) -> String {
        let Self { packages, users, groups, .. } = self;
        let (suite, epoch) = (&build.request.recipes.suite, build.base.epoch);
        sha256_hex(format!("{FORMAT} {suite} {epoch} {packages:?} {users:?} {groups:?}").as_bytes())
    }
}

/// What a container of these layers alone would see.
fn seen(image: &str, layers: &[Blob]) -> Result<BTreeMap<String, Node>, ImagesError> {
    let trees = layers.iter().map(|layer| Tree::of_layer(&layer.path, image)).collect::<Result<Vec<_>, _>>()?;
    Ok(layer::stacked(&trees))
}

//! Recipes: what an image is made of, as `bundle/images.toml` says it. Reads and judges text alone; a name or a path that
//! could mean something else to a shell, to apt or to tar is refused here, so nothing below has to look again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base::file::read_text;
use serde::{Deserialize, Serialize};

use super::error::ImagesError;

/// Bytes that the file of recipes may have.
const LIMIT: u64 = 1 << 20;

/// All recipes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipes {
    /// The Debian release that packages are taken from.
    pub suite: String,
    /// Paths that no image holds; see [`super::pattern`].
    pub exclude: Vec<String>,
    /// What every image starts with.
    pub base: Base,
    /// The images, in the order in which they travel.
    #[serde(rename = "image")]
    pub images: Vec<Recipe>,
    /// The folder of the file, which holds what recipes name.
    #[serde(skip)]
    pub folder: PathBuf,
}

/// What every image starts with.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// The packages that it is made of; what they depend on comes along.
    pub packages: Vec<String>,
}

/// One image.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Its name: `db` becomes the image `gitgrit-db`.
    pub name: String,
    /// What it is for, in one line.
    pub title: String,
    /// An image of somebody else instead, `registry/name@sha256:…`: then nothing is built, and nothing else may stand here.
    pub reference: Option<String>,
    /// Another image of this file whose layers this one continues; what the base holds when not given.
    pub parent: Option<String>,
    /// Debian packages beyond the base; what they depend on comes along.
    #[serde(default)]
    pub packages: Vec<String>,
    /// Paths of those packages that the image does not need.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Accounts, made before any package is installed, so that their numbers never change.
    #[serde(default)]
    pub users: Vec<User>,
    /// Groups beside those of the users.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// Where this program goes, in the one image that holds it.
    pub program: Option<String>,
    /// Files from the recipe's own folder.
    #[serde(default)]
    pub files: Vec<File>,
    /// Directories to be made.
    #[serde(default)]
    pub folders: Vec<Folder>,
    /// Symbolic links.
    #[serde(default)]
    pub links: Vec<Link>,
    /// How a container of it starts.
    #[serde(default)]
    pub run: Run,
}

/// An account with a group of the same name and number.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Its name.
    pub name: String,
    /// The number of the user and of the group.
    pub id: u32,
    /// Its home directory.
    pub home: String,
}

/// A group.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its number.
    pub id: u32,
    /// Users in it.
    #[serde(default)]
    pub members: Vec<String>,
}

/// A file of the recipe's folder.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Where it goes.
    pub path: String,
    /// Its name in `bundle/images/<image>/`.
    pub source: String,
    /// It can be started: mode 0755, else 0644.
    #[serde(default)]
    pub is_program: bool,
}

/// A directory.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Folder {
    /// Where it is.
    pub path: String,
    /// The number of its owner and group.
    #[serde(default)]
    pub owner: u32,
    /// Its mode, as `chmod` takes it; `0755` when not given.
    pub mode: Option<String>,
}

/// A symbolic link.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Where it is.
    pub path: String,
    /// What it names.
    pub to: String,
}

/// How a container starts; each part means what it means to Docker.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Run {
    /// The user's number, or root when not given.
    pub user: Option<String>,
    /// Variables.
    pub env: BTreeMap<String, String>,
    /// The program and its first arguments.
    pub entrypoint: Vec<String>,
    /// Further arguments, which whoever starts the container replaces.
    pub command: Vec<String>,
    /// The directory to start in.
    pub directory: Option<String>,
    /// Ports such as `8828/tcp`.
    pub ports: Vec<String>,
    /// Directories that hold what must outlive the container.
    pub volumes: Vec<String>,
    /// The signal that ends it; SIGTERM when not given.
    pub stop_signal: Option<String>,
    /// A shell line that says whether it is healthy.
    pub health: Option<String>,
    /// Seconds that a start may take before an unhealthy answer counts.
    pub start_seconds: Option<u32>,
}

impl Recipes {
    /// Reads `path`, such as `bundle/images.toml`.
    pub fn read(path: &Path) -> Result<Self, ImagesError> {
        let text = read_text(path, LIMIT)?;
        let failed = |source| ImagesError::Recipes { path: path.into(), source: Box::new(source) };
        let mut recipes: Self = toml::from_str(&text).map_err(failed)?;
        recipes.folder = path.parent().unwrap_or(Path::new(".")).join("images");
        recipes.judge()?;
        Ok(recipes)
    }

    /// The recipe of this name.
    pub fn named(&self, name: &str) -> Option<&Recipe> {
        self.images.iter().find(|recipe| recipe.name == name)
    }

    fn judge(&self) -> Result<(), ImagesError> {
        let said = |image: &str, what: String| Err(ImagesError::Recipe { image: image.into(), what });
        if !is_word(&self.suite) {
            return said("base", format!("suite `{}`", self.suite));
        }
        if let Some(name) = self.base.packages.iter().find(|name| !is_word(name)) {
            return said("base", format!("package `{name}`"));
        }
        for (place, recipe) in self.images.iter().enumerate() {
            if let Some(what) = recipe.fault() {
                return said(&recipe.name, what);
            }
            let before = &self.images[..place];
            if before.iter().any(|other| other.name == recipe.name) {
                return said(&recipe.name, "it is there twice".into());
            }
            if let Some(parent) = &recipe.parent {
                let is_ready = before.iter().any(|other| other.name == *parent && other.reference.is_none());
                if !is_ready {
                    return said(&recipe.name, format!("parent `{parent}` is not built before it"));
                }
            }
        }
        Ok(())
    }
}

impl Recipe {
    /// What does not fit, if anything.
    fn fault(&self) -> Option<String> {
        if !is_word(&self.name) {
            return Some("its name".into());
        }
        if let Some(reference) = &self.reference {
            let is_pinned = reference.split_once("@sha256:").is_some_and(|(name, digest)| {
                !name.is_empty() && digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
            });
            let is_alone = self.packages.is_empty() && self.parent.is_none() && self.program.is_none();
            return match (is_pinned, is_alone) {
                (false, _) => Some(format!("reference `{reference}` has no digest `@sha256:…`")),
                (_, false) => Some("a reference is not built, so nothing else may stand there".into()),
                _ => None,
            };
        }
        let names = self.packages.iter().chain(self.users.iter().map(|user| &user.name));
        let names = names.chain(self.groups.iter().flat_map(|group| group.members.iter().chain([&group.name])));
        if let Some(name) = names.into_iter().find(|name| !is_word(name)) {
            return Some(format!("name `{name}`"));
        }
        let paths = self.files.iter().map(|file| &file.path).chain(self.folders.iter().map(|folder| &folder.path));
        let paths = paths.chain(self.links.iter().map(|link| &link.path)).chain(&self.program);
        let paths = paths.chain(self.users.iter().map(|user| &user.home));
        if let Some(path) = paths.into_iter().find(|path| !is_path(path)) {
            return Some(format!("path `{path}`"));
        }
        if let Some(file) = self.files.iter().find(|file| !is_word(&file.source)) {
            return Some(format!("source `{}`", file.source));
        }
        let mode = |folder: &&Folder| folder.mode.as_deref().is_some_and(|mode| u32::from_str_radix(mode, 8).is_err());
        self.folders.iter().find(mode).map(|folder| format!("mode of `{}`", folder.path))
    }
}

/// Letters, digits and `+ - . _`, and no option: what package, user and file names are made of.
fn is_word(text: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._".contains(&byte);
    !text.is_empty() && !text.starts_with(['-', '.']) && text.bytes().all(is_known)
}

/// An absolute path of words.
fn is_path(text: &str) -> bool {
    text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(image: &str) -> Result<Recipes, String> {
        let text = format!("suite = 'bookworm'\nexclude = []\nbase = {{ packages = ['dash'] }}\n{image}");
        let recipes: Recipes = toml::from_str(&text).map_err(|error| error.to_string())?;
        recipes.judge().map_err(|error| error.to_string())?;
        Ok(recipes)
    }

    #[test]
    fn what_could_mean_something_else_to_a_shell_is_refused() {
        let cases = [
            ("name = 'a b'\ntitle = ''", "recipe of image `a b`: its name"),
            ("name = 'a'\ntitle = ''\npackages = ['--no-check']", "recipe of image `a`: name `--no-check`"),
            ("name = 'a'\ntitle = ''\npackages = ['git;id']", "recipe of image `a`: name `git;id`"),
            ("name = 'a'\ntitle = ''\nprogram = '/usr/../etc/x'", "recipe of image `a`: path `/usr/../etc/x`"),
            ("name = 'a'\ntitle = ''\nprogram = 'bin/x'", "recipe of image `a`: path `bin/x`"),
            ("name = 'a'\ntitle = ''\nparent = 'b'", "recipe of image `a`: parent `b` is not built before it"),
            (
                "name = 'a'\ntitle = ''\nfiles = [{ path = '/a', source = '../../key' }]",
                "recipe of image `a`: source `../../key`",
            ),
        ];
        for (image, said) in cases {
            assert_eq!(judged(&format!("[[image]]\n{image}")).unwrap_err(), said);
        }
    }

    #[test]
    fn somebody_elses_image_is_named_by_digest() {
        let of = |reference: &str| judged(&format!("[[image]]\nname = 'db'\ntitle = ''\nreference = '{reference}'"));
        let digest = "a".repeat(64);
        assert!(of(&format!("docker.io/library/postgres:15@sha256:{digest}")).is_ok());
        assert!(of("docker.io/library/postgres:15").unwrap_err().contains("has no digest"));
        let more = format!("[[image]]\nname = 'db'\ntitle = ''\nreference = 'x@sha256:{digest}'\npackages = ['git']");
        assert!(judged(&more).unwrap_err().contains("nothing else"));
    }

    #[test]
    fn a_word_that_no_recipe_knows_is_refused() {
        assert!(judged("[[image]]\nname = 'a'\ntitle = ''\npackage = ['git']").unwrap_err().contains("unknown field"));
    }

    #[test]
    fn the_recipes_of_this_tree_hold() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bundle/images.toml");
        let recipes = Recipes::read(&path).unwrap();
        let names: Vec<_> = recipes.images.iter().map(|recipe| recipe.name.as_str()).collect();
        assert_eq!(names, ["app", "sandbox", "db", "redis", "trusted-builder", "dind"]);
    }
}

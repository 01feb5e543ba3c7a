//! Which images shall travel, and which of the engine's those are. Asks the engine, changes nothing.

use docker::{Engine, Reference};

use super::build_error::BuildError;
use super::{EntryPath, reference, rules, sbom};
use crate::images::{self, Recipes};

/// An image that shall travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its name in the bundle, as in `app`.
    pub name: String,
    /// What it is called, with a tag.
    pub reference: Reference,
    /// The digest that it must have, as in `sha256:…`; any when not given.
    pub pinned: Option<String>,
    /// Says whether a recipe of the tree makes it.
    pub is_made: bool,
}

impl Asked {
    /// The images of a tree's recipes, in their order: those that are made, under `tag`, and those of somebody else.
    pub fn of_recipes(recipes: &Recipes, tag: &str) -> Result<Vec<Self>, BuildError> {
        let one = |recipe: &images::recipe::Recipe| {
            let name = recipe.name.clone();
            let wrong = || BuildError::Name { name: name.clone() };
            let Some(text) = &recipe.reference else {
                let reference = Reference::parse(&images::reference(&name, tag)).map_err(|_| wrong())?;
                return Ok(Self { name, reference, pinned: None, is_made: true });
            };
            let (text, digest) = text.split_once('@').ok_or_else(wrong)?;
            // Engines know no name with neither a tag nor a digest, and a bundle carries no digests of registries.
            let tagged = Reference::parse(text).ok().filter(|reference| reference.as_str() == text);
            let reference = tagged.ok_or_else(|| BuildError::Untagged { reference: text.into() })?;
            let reference = reference::short(reference.as_str()).to_owned();
            let reference = Reference::parse(&reference).map_err(|_| wrong())?;
            Ok(Self { name, reference, pinned: Some(digest.to_ascii_lowercase()), is_made: false })
        };
        recipes.images.iter().map(one).collect()
    }

    /// Says what is wrong with the name or the reference, as far as that can be said without an engine.
    pub(crate) fn judge(&self) -> Result<(), BuildError> {
        let is_reference = rules::is_reference(&reference::whole(self.reference.as_str()));
        let is_name =
            EntryPath::parse(&sbom::path(&self.name, "spdx")).is_ok() && !self.name.contains(['/', '@', '=', '~']);
        if is_reference && is_name && !self.name.eq_ignore_ascii_case(sbom::PROGRAM) {
            return Ok(());
        }
        Err(BuildError::Name { name: format!("{}={}", self.name, self.reference) })
    }

    /// The engine's image; `None` when it has none. Fails when what it has is another than the pinned one.
    fn find(&self, engine: &Engine) -> Result<Option<docker::Image>, BuildError> {
        let Some(digest) = &self.pinned else { return Ok(engine.image(&self.reference)?) };
        let (name, _) = self.reference.tagged().unwrap_or((self.reference.as_str(), ""));
        let mut other = None;
        // What was pulled by its digest has no tag; what was loaded has no digest but its id.
        for text in [format!("{name}@{digest}"), digest.clone(), self.reference.to_string()] {
            let Some(found) = engine.image(&Reference::parse(&text).map_err(docker::EngineError::from)?)? else {
                continue;
            };
            let is_it = found.id == *digest || found.digests.iter().any(|own| own.rsplit('@').next() == Some(digest));
            if is_it {
                return Ok(Some(found));
            }
            other = Some(found.id);
        }
        match other {
            Some(found) => Err(BuildError::Pinned { image: self.reference.to_string(), wanted: digest.clone(), found }),
            None => Ok(None),
        }
    }
}

/// The engine's images for those that were asked for, in their order. What is missing is told at once, with how to get it.
pub(crate) fn find_all(asked: &[Asked], engine: &Engine, tag: &str) -> Result<Vec<(Asked, docker::Image)>, BuildError> {
    let mut found = Vec::new();
    let (mut made, mut pulled) = (Vec::new(), Vec::new());
    for asked in asked {
        match asked.find(engine)? {
            Some(image) => found.push((asked.clone(), image)),
            None if asked.is_made => made.push(asked.reference.to_string()),
            None => match &asked.pinned {
                Some(digest) => pulled.push(format!("{}@{digest}", asked.reference)),
                None => return Err(BuildError::NoImage { image: asked.reference.to_string() }),
            },
        }
    }
    if made.is_empty() && pulled.is_empty() {
        return Ok(found);
    }
    Err(BuildError::Missing { made, pulled, tag: tag.into() })
}

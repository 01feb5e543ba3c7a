//! A tag that says something, as an object of its own; and the pack of a push that brings nothing new.

use base::name::Oid;
use gix::objs::Kind;

use super::Person;
use super::commit::{line, mended};
use super::pack::Objects;
use crate::{Error, Repo};

/// An annotated tag to be made.
#[derive(Clone, Debug)]
pub struct TagDraft {
    /// Its short name.
    pub name: String,
    /// The commit that it is of.
    pub commit: Oid,
    /// What it says.
    pub message: String,
    /// Who makes it.
    pub tagger: Person,
}

impl Repo {
    /// Makes the tag's object, in memory alone: its id and its pack.
    pub async fn new_tag(&self, draft: TagDraft) -> Result<(Oid, Vec<u8>), Error> {
        self.read("a new tag", move |git| {
            let mut objects = Objects::new(git.object_hash());
            let TagDraft { name, commit, message: said, tagger } = &draft;
            let head = format!("object {commit}\ntype commit\ntag {name}\ntagger {}\n\n", line(tagger));
            let id = objects.add(Kind::Tag, [head.as_bytes(), mended(said).as_bytes()].concat())?;
            Ok((crate::read::oid(id)?, objects.into_pack()?))
        })
        .await
    }

    /// The pack of a push that only names objects that are here.
    pub async fn empty_pack(&self) -> Result<Vec<u8>, Error> {
        self.read("nothing", |git| Objects::new(git.object_hash()).into_pack()).await
    }
}

//! A tree while it is being changed: only the directories that a change reaches are opened. Never writes through a
//! link or a submodule, and never makes a file of a directory or the other way round.

use std::collections::BTreeMap;

use base::file_path::FilePath;
use gix::ObjectId;
use gix::objs::tree::{Entry, EntryKind, EntryMode};
use gix::objs::{Kind, Tree, TreeRefIter, WriteTo};

use super::EditProblem;
use super::pack::Objects;
use crate::error::Cause;
use crate::read::{TREE_BYTES, load};

/// Why a change was not done.
#[derive(Debug)]
pub(super) enum Fault {
    /// It does not fit the tree.
    Problem(EditProblem),
    /// Objects could not be read or made.
    Cause(Cause),
}

impl From<EditProblem> for Fault {
    fn from(problem: EditProblem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Cause> for Fault {
    fn from(cause: Cause) -> Self {
        Self::Cause(cause)
    }
}

/// A directory that was opened.
#[derive(Debug, Default)]
pub(super) struct Directory(BTreeMap<Vec<u8>, Item>);

#[derive(Debug)]
enum Item {
    /// As it is in the repository, or a new blob.
    Kept(EntryMode, ObjectId),
    Open(Directory),
}

/// A file in a tree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) mode: EntryMode,
    pub(super) id: ObjectId,
}

impl Directory {
    /// Opens the tree. Fails when it is larger than is read.
    pub(super) fn open(git: &gix::Repository, id: ObjectId) -> Result<Self, Cause> {
        let data = load(git, id, Kind::Tree, TREE_BYTES)?.ok_or("a tree is not there")?;
        let mut items = BTreeMap::new();
        for item in TreeRefIter::from_bytes(&data, id.kind()) {
            let item = item?;
            items.insert(item.filename.to_vec(), Item::Kept(item.mode, item.oid.to_owned()));
        }
        Ok(Self(items))
    }

    /// The file at `path`. `Absent` when there is none, `NotAFile` for what is something else.
    pub(super) fn file(&mut self, git: &gix::Repository, path: &FilePath) -> Result<Found, Fault> {
        let (directories, name) = path.split();
        let directory = self.below(git, &directories, path, false)?;
        match directory.0.get(name) {
            None => Err(EditProblem::Absent(path.clone()).into()),
            Some(Item::Kept(mode, id)) if mode.is_blob() => Ok(Found { mode: *mode, id: *id }),
            Some(item) => Err(EditProblem::NotAFile { path: path.clone(), what: item.word() }.into()),
        }
    }

    /// Puts a file where nothing is, making the directories above it.
    pub(super) fn add(&mut self, git: &gix::Repository, path: &FilePath, file: Found) -> Result<(), Fault> {
        let (directories, name) = path.split();
        let directory = self.below(git, &directories, path, true)?;
        if let Some(item) = directory.0.get(name) {
            return Err(EditProblem::Present { path: path.clone(), what: item.word() }.into());
        }
        directory.0.insert(name.to_vec(), Item::Kept(file.mode, file.id));
        Ok(())
    }

    /// Takes the file at `path` away. `Absent` and `NotAFile` as [`Directory::file`].
    pub(super) fn remove(&mut self, git: &gix::Repository, path: &FilePath) -> Result<Found, Fault> {
        let found = self.file(git, path)?;
        let (directories, name) = path.split();
        self.below(git, &directories, path, false)?.0.remove(name);
        Ok(found)
    }

    /// Writes what was opened, from the leaves up; `None` for a directory that holds nothing any more.
    pub(super) fn write(self, objects: &mut Objects) -> Result<Option<ObjectId>, Cause> {
        let mut tree = Tree::default();
        for (name, item) in self.0 {
            let (mode, oid) = match item {
                Item::Kept(mode, id) => (mode, id),
                Item::Open(directory) => match directory.write(objects)? {
                    Some(id) => (EntryKind::Tree.into(), id),
                    None => continue,
                },
            };
            tree.entries.push(Entry { mode, filename: name.into(), oid });
        }
        if tree.entries.is_empty() {
            return Ok(None);
        }
        // Git's own order is not that of plain names.
        tree.entries.sort();
        let mut data = Vec::new();
        tree.write_to(&mut data)?;
        objects.add(Kind::Tree, data).map(Some)
    }

    fn below(
        &mut self,
        git: &gix::Repository,
        parts: &[&[u8]],
        path: &FilePath,
        is_made: bool,
    ) -> Result<&mut Self, Fault> {
        let mut here = self;
        for part in parts {
            here = here.child(git, part, path, is_made)?;
        }
        Ok(here)
    }

    fn child(
        &mut self,
        git: &gix::Repository,
        name: &[u8],
        path: &FilePath,
        is_made: bool,
    ) -> Result<&mut Self, Fault> {
        if !self.0.contains_key(name) && is_made {
            self.0.insert(name.to_vec(), Item::Open(Self::default()));
        }
        let Some(item) = self.0.get_mut(name) else { return Err(EditProblem::Absent(path.clone()).into()) };
        if let Item::Kept(mode, id) = item
            && mode.is_tree()
        {
            *item = Item::Open(Self::open(git, *id)?);
        }
        match item {
            Item::Open(directory) => Ok(directory),
            item @ Item::Kept(..) => Err(EditProblem::NotAFile { path: path.clone(), what: item.word() }.into()),
        }
    }
}

impl Item {
    fn word(&self) -> &'static str {
        match self {
            Self::Open(_) => "directory",
            Self::Kept(mode, _) => match mode.kind() {
                EntryKind::Tree => "directory",
                EntryKind::Blob | EntryKind::BlobExecutable => "file",
                EntryKind::Link => "symbolic link",
                EntryKind::Commit => "submodule",
            },
        }
    }
}

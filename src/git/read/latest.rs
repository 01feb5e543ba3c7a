//! Which commit last changed each entry of a directory, found in one walk for all of them. Follows each entry as
//! `git log -- <entry>` does: to the first parent that holds it unchanged. Stops whenever its caller says so.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use base::name::{Oid, TreePath};
use gix::ObjectId;
use gix::commitgraph::Graph;
use gix::objs::tree::EntryMode;
use gix::objs::{CommitRef, Kind, TreeRefIter};

use super::commits::{PARENTS, seconds, summary};
use super::{COMMIT_BYTES, TREE_BYTES, load, object_id};
use crate::CommitSummary;
use crate::error::Cause;

/// What a walk tells its caller.
pub(crate) trait Report {
    /// These entries, by their place among the names, were last changed by this commit.
    fn found(&self, entries: &[usize], commit: CommitSummary);
    /// Says whether to go no further.
    fn is_over(&self) -> bool;
}

/// What is asked for: the entries `names` of the directory at `path` in `commit`.
pub(crate) struct Column<'a> {
    pub(crate) commit: &'a Oid,
    pub(crate) path: &'a TreePath,
    pub(crate) names: &'a [Vec<u8>],
}

/// What an earlier walk found for the same directory at another commit.
#[derive(Debug, Default)]
pub(crate) struct Before {
    /// That commit.
    pub(crate) tip: Option<ObjectId>,
    /// By the entry's name.
    pub(crate) commits: HashMap<Vec<u8>, CommitSummary>,
}

/// Walks until each entry has its commit, or the report says stop. What comes to where an earlier walk began is answered
/// by that one: from there on it is the same history.
pub(crate) fn latest(
    git: &gix::Repository,
    asked: &Column<'_>,
    before: &Before,
    report: &dyn Report,
) -> Result<(), Cause> {
    let Column { commit, path, names } = *asked;
    let tip = object_id(commit)?;
    // A graph that does not read is one that is not there: the commits themselves say the same.
    let graph = git.commit_graph_if_enabled().ok().flatten();
    let Some(first) = Node::load(git, graph.as_ref(), tip, path)? else { return Ok(()) };
    let index: HashMap<&[u8], usize> = names.iter().enumerate().map(|(at, name)| (name.as_slice(), at)).collect();
    let wanted = vec![None; names.len()];
    let mut walk = Walk { git, graph, path, index, wanted, nodes: HashMap::new(), order: BinaryHeap::new() };
    let wanted = walk.entries(first.directory, |_, _| true)?;
    for (at, entry) in wanted {
        if let Some(slot) = walk.wanted.get_mut(at) {
            *slot = Some(entry);
        }
    }
    let searched = (0..names.len()).filter(|at| walk.wanted.get(*at).is_some_and(Option::is_some)).collect();
    walk.add(tip, first, searched);
    while let Some((id, mut node)) = walk.next() {
        if report.is_over() {
            break;
        }
        if before.tip == Some(id) {
            let known = |at: &usize| before.commits.get(names.get(*at)?);
            let mut by_commit: HashMap<&Oid, (&CommitSummary, Vec<usize>)> = HashMap::new();
            for at in std::mem::take(&mut node.entries) {
                match known(&at) {
                    Some(commit) => by_commit.entry(&commit.id).or_insert((commit, Vec::new())).1.push(at),
                    None => node.entries.push(at),
                }
            }
            for (commit, entries) in by_commit.into_values() {
                report.found(&entries, commit.clone());
            }
        }
        let left = walk.follow(&node)?;
        if let Some(commit) = if left.is_empty() { None } else { summary_of(git, id)? } {
            report.found(&left, commit);
        }
    }
    Ok(())
}

fn summary_of(git: &gix::Repository, id: ObjectId) -> Result<Option<CommitSummary>, Cause> {
    let Some(data) = load(git, id, Kind::Commit, COMMIT_BYTES)? else { return Ok(None) };
    summary(id, &CommitRef::from_bytes(&data, id.kind())?).map(Some)
}

/// An entry as its tree has it: whatever differs is a change.
type Content = (EntryMode, ObjectId);

/// A commit on the way: where the directory is in it, and the entries that are followed through it.
struct Node {
    parents: Vec<ObjectId>,
    date: i64,
    directory: Option<ObjectId>,
    entries: Vec<usize>,
}

impl Node {
    fn load(
        git: &gix::Repository,
        graph: Option<&Graph>,
        id: ObjectId,
        path: &TreePath,
    ) -> Result<Option<Self>, Cause> {
        let known = graph.and_then(|graph| Some((graph, graph.commit_by_id(id)?)));
        let (parents, date, tree) = if let Some((graph, commit)) = known {
            let parents = commit.iter_parents().take(PARENTS);
            let parents = parents.map(|at| Ok(graph.id_at(at?).to_owned())).collect::<Result<Vec<_>, Cause>>()?;
            let date = i64::try_from(commit.committer_timestamp()).unwrap_or(i64::MAX);
            (parents, date, commit.root_tree_id().to_owned())
        } else {
            let Some(data) = load(git, id, Kind::Commit, COMMIT_BYTES)? else { return Ok(None) };
            let commit = CommitRef::from_bytes(&data, id.kind())?;
            (commit.parents().take(PARENTS).collect(), seconds(commit.committer), commit.tree())
        };
        let directory = directory(git, tree, path)?;
        Ok(Some(Self { parents, date, directory, entries: Vec::new() }))
    }
}

struct Walk<'a> {
    git: &'a gix::Repository,
    graph: Option<Graph>,
    path: &'a TreePath,
    index: HashMap<&'a [u8], usize>,
    wanted: Vec<Option<Content>>,
    nodes: HashMap<ObjectId, Node>,
    order: BinaryHeap<(i64, Reverse<ObjectId>)>,
}

impl Walk<'_> {
    /// The newest commit that waits.
    fn next(&mut self) -> Option<(ObjectId, Node)> {
        loop {
            let (_, Reverse(id)) = self.order.pop()?;
            if let Some(node) = self.nodes.remove(&id) {
                return Some((id, node));
            }
        }
    }

    fn add(&mut self, id: ObjectId, node: Node, entries: Vec<usize>) {
        self.order.push((node.date, Reverse(id)));
        self.nodes.entry(id).or_insert(node).entries.extend(entries);
    }

    /// Hands each entry to the first parent that holds it unchanged; gives those that no parent holds so.
    fn follow(&mut self, node: &Node) -> Result<Vec<usize>, Cause> {
        let mut left = node.entries.clone();
        for parent in &node.parents {
            if left.is_empty() {
                break;
            }
            let is_known = self.nodes.contains_key(parent);
            let loaded = if is_known { None } else { Node::load(self.git, self.graph.as_ref(), *parent, self.path)? };
            if !is_known && loaded.is_none() {
                // The history is shallow here: what was followed ends with its child.
                continue;
            }
            let directory = loaded.as_ref().or_else(|| self.nodes.get(parent)).and_then(|parent| parent.directory);
            let same = self.unchanged(node.directory, directory, &mut left)?;
            if same.is_empty() {
                continue;
            }
            if let Some(loaded) = loaded {
                self.add(*parent, loaded, same);
            } else if let Some(known) = self.nodes.get_mut(parent) {
                known.entries.extend(same);
            }
        }
        Ok(left)
    }

    /// Takes the entries out of `left` that the parent's directory holds as wanted.
    fn unchanged(
        &self,
        here: Option<ObjectId>,
        parent: Option<ObjectId>,
        left: &mut Vec<usize>,
    ) -> Result<Vec<usize>, Cause> {
        if here == parent {
            return Ok(std::mem::take(left));
        }
        let mut is_same = vec![false; self.wanted.len()];
        for (at, _) in self.entries(parent, |at, content| self.wanted.get(at) == Some(&Some(*content)))? {
            if let Some(slot) = is_same.get_mut(at) {
                *slot = true;
            }
        }
        let (same, changed) = left.iter().partition(|at| is_same.get(**at) == Some(&true));
        *left = changed;
        Ok(same)
    }

    /// The entries of a directory that are among the names and that `takes` takes.
    fn entries(
        &self,
        directory: Option<ObjectId>,
        takes: impl Fn(usize, &Content) -> bool,
    ) -> Result<Vec<(usize, Content)>, Cause> {
        let Some(id) = directory else { return Ok(Vec::new()) };
        let Some(data) = load(self.git, id, Kind::Tree, TREE_BYTES)? else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for item in TreeRefIter::from_bytes(&data, id.kind()) {
            let item = item?;
            let content = (item.mode, item.oid.to_owned());
            if let Some(at) = self.index.get(&**item.filename).filter(|at| takes(**at, &content)) {
                found.push((*at, content));
            }
        }
        Ok(found)
    }
}

/// The tree at `path` below `root`; `None` when there is none.
fn directory(git: &gix::Repository, root: ObjectId, path: &TreePath) -> Result<Option<ObjectId>, Cause> {
    let mut id = root;
    for part in path.parts() {
        let Some(data) = load(git, id, Kind::Tree, TREE_BYTES)? else { return Ok(None) };
        let mut below = None;
        for item in TreeRefIter::from_bytes(&data, id.kind()) {
            let item = item?;
            if item.filename == part {
                below = item.mode.is_tree().then(|| item.oid.to_owned());
                break;
            }
        }
        let Some(below) = below else { return Ok(None) };
        id = below;
    }
    Ok(Some(id))
}

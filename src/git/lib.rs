//! Everything that touches git objects or starts git. Reads in process, with every size looked at before loading;
//! starts `git` for packs alone. Knows repositories by number: no name from outside becomes a path or an argument,
//! and no hook ever runs.

mod archive;
mod blame;
mod child;
pub mod client;
mod columns;
mod compare;
pub mod edit;
mod environment;
mod error;
mod everything;
mod gates;
mod handles;
mod head;
mod hear;
mod latest;
mod left;
mod litter;
mod ls_refs;
mod maintenance;
mod moving;
mod piped;
mod pktline;
mod read;
pub mod receive;
mod records;
mod repo;
mod repositories;
pub mod search;
mod spawned;
#[cfg(test)]
mod testing;
pub mod upload;
mod value;
mod verbatim;
mod worktree;

pub use archive::{Archive, ArchiveFormat};
pub use blame::{Blame, BlameSpan};
pub use compare::Ahead;
pub use error::Error;
pub use latest::LatestCommits;
pub use left::{Left, ids, left_behind};
pub use piped::Piped;
pub use records::{ChangeSums, CommitPerson, CommitRecord, RefRecord, RefRecords, TagRecord, WalkEntry, WalkedTree};
pub use repo::Repo;
pub use repositories::Repositories;
pub use upload::{Protocol, Transport};
pub use value::*;
pub use worktree::{TreeFile, TreeKind, Worktree};

/// Which walls this kernel gives to the `git` that we start. Blocks for less than a millisecond.
pub fn confinement() -> std::io::Result<base::confine::Walls> {
    base::confine::Confinement::walls()
}

/// What `git --version` says, as in `2.47.3`. Fails when there is no `git` on this host.
pub async fn version() -> Result<String, Error> {
    let program = environment::hermetic::<&str, &str>([]).option("--version");
    let said = child::finish(program, "version", b"", std::time::Duration::from_secs(10)).await?;
    let version = said.stdout.strip_prefix("git version ").and_then(|rest| rest.split_ascii_whitespace().next());
    version.map(str::to_owned).ok_or_else(|| Error::Git { command: "version", message: child::one_line(&said.stdout) })
}

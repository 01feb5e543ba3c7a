//! Everything that touches git objects or starts git. Reads in process, with every size looked at before loading;
//! starts `git` for packs alone. Knows repositories by number: no name from outside becomes a path or an argument,
//! and no hook ever runs.

pub mod client;
mod error;
pub mod receive;
mod repo;
mod repositories;
pub mod upload;
mod value;

pub use error::Error;
pub use repo::Repo;
pub use repositories::Repositories;
pub use upload::{Protocol, Transport};
pub use value::*;

/// What `git --version` says, as in `2.47.3`. Fails when there is no `git` on this host.
pub async fn version() -> Result<String, Error> {
    todo!("skeleton")
}

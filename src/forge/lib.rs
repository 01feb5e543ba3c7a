//! Use cases and rights of the forge. Opens transactions; holds no SQL, starts no program, knows no HTTP.
//! The fetch is the authorisation: whatever an actor may not read is [`Error::NotFound`], as if it were absent.

mod access;
mod archive;
mod audit;
mod audit_queue;
mod browse;
mod convert;
mod error;
mod events;
mod keys;
mod passwords;
mod probe;
mod push;
mod repositories;
mod seen;
mod session;
mod settle;
mod site;
mod throttle;
mod tokens;
mod upkeep;
mod upload;
mod users;
mod view;
mod view_history;

#[cfg(test)]
#[path = "../../tests/it/postgres.rs"]
mod server_for_tests;
#[cfg(test)]
mod stories;

pub use access::{Access, Actor, Origin, RepoAdmin, RepoRead, RepoWrite, Scope, User};
pub use archive::{Archive, ArchiveFormat};
pub use audit::{AuditFault, AuditFilter, AuditPage, AuditRecord, AuditVerdict};
pub use browse::RawFile;
pub use error::Error;
pub use events::AUDIT_ACTIONS;
pub use probe::Probe;
pub use push::Push;
pub use repositories::NewRepo;
pub use session::{Session, SignedIn};
pub use site::{Forge, OpenError, Options};
pub use tokens::NewToken;
pub use upload::{Protocol, Transport, Upload};
pub use users::NewUser;
pub use view::*;
pub use view_history::*;

//! Use cases and rights of the forge. Opens transactions; holds no SQL, starts no program, knows no HTTP.
//! The fetch is the authorisation: whatever an actor may not read is [`Error::NotFound`], as if it were absent.

mod access;
mod accounts;
mod archive;
mod audit;
mod audit_queue;
mod browse;
mod collaborators;
mod convert;
mod deploy_keys;
mod error;
mod events;
mod keys;
mod organisations;
mod owners;
mod passwords;
mod probe;
mod proof;
mod push;
mod repositories;
mod repository_changes;
mod scope;
mod session;
mod settle;
mod site;
mod site_settings;
mod teams;
mod throttle;
mod tokens;
mod upkeep;
mod upload;
mod users;
mod view;
mod view_access;
mod view_history;

#[cfg(test)]
#[path = "../../tests/it/postgres.rs"]
mod server_for_tests;
#[cfg(test)]
mod stories;

pub use access::{Access, Actor, DeployKey, Origin, User};
pub use archive::{Archive, ArchiveFormat};
pub use audit::{AuditFault, AuditFilter, AuditPage, AuditRecord, AuditVerdict};
pub use browse::RawFile;
pub use error::Error;
pub use events::AUDIT_ACTIONS;
pub use organisations::{NewOrganisation, OrganisationMember, OrganisationOwner, OrganisationRead};
pub use probe::Probe;
pub use proof::{RepoAdmin, RepoMaintain, RepoRead, RepoTriage, RepoWrite};
pub use push::Push;
pub use repositories::{NewRepo, RepoPage, RepoQuery};
pub use repository_changes::RepoChange;
pub use scope::{Need, SCOPE_NAMES, Scope, Scopes};
pub use session::{Session, SignedIn};
pub use site::{Forge, OpenError, Options};
pub use site_settings::{Banner, BannerColour, SiteSettings};
pub use teams::TeamForm;
pub use tokens::NewToken;
pub use upload::{Protocol, Transport, Upload};
pub use users::NewUser;
pub use view::*;
pub use view_access::*;
pub use view_history::*;

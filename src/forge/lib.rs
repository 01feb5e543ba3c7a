//! Use cases and rights of the forge. Opens transactions; holds no SQL, starts no program, knows no HTTP.
//! The fetch is the authorisation: whatever an actor may not read is [`Error::NotFound`], as if it were absent.

mod access;
mod accounts;
mod archive;
mod audit;
mod audit_queue;
mod browse;
mod collaborators;
mod compare;
mod convert;
mod deploy_keys;
mod describe;
mod edit;
mod edit_text;
mod error;
mod events;
mod key_lines;
mod keys;
mod missing;
mod organisations;
mod owners;
mod passwords;
mod people;
mod probe;
mod proof;
mod push;
mod raw;
mod records;
mod ref_changes;
mod repositories;
mod repository_changes;
mod scope;
mod search;
mod session;
mod settle;
mod site;
mod site_settings;
mod statuses;
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
pub use compare::{CompareSpec, Compared, Comparison, DiffChoice, OneDiff, PatchFormat, Pieces};
pub use describe::RepoDetails;
pub use edit::{CommitFiles, Committed, EditError, EditProblem, FileChange, Person, default_message};
pub use edit_text::{EDITABLE, EditableDirectory, EditableFile, EditedText};
pub use error::Error;
pub use events::AUDIT_ACTIONS;
pub use key_lines::SshKeyLine;
pub use missing::Missing;
pub use organisations::{NewOrganisation, OrganisationMember, OrganisationOwner, OrganisationRead};
pub use people::Account;
pub use probe::Probe;
pub use proof::{RepoAdmin, RepoMaintain, RepoRead, RepoTriage, RepoWrite};
pub use push::Push;
pub use raw::{RawFile, Window};
pub use records::*;
pub use repositories::{NewRepo, RepoPage, RepoQuery};
pub use repository_changes::RepoChange;
pub use scope::{Need, SCOPE_NAMES, Scope, Scopes};
pub use search::{
    SearchFile, SearchFound, SearchLine, SearchLines, SearchNames, SearchQuery, SearchResult, SearchStop,
};
pub use session::{Session, SignedIn};
pub use site::{Forge, OpenError, Options};
pub use site_settings::{Banner, BannerColour, SiteSettings};
pub use statuses::*;
pub use teams::TeamForm;
pub use tokens::NewToken;
pub use upload::{Protocol, Transport, Upload};
pub use users::NewUser;
pub use view::*;
pub use view_access::*;
pub use view_history::*;

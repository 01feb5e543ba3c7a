//! Use cases and rights of the forge. Opens transactions; holds no SQL, starts no program, knows no HTTP.
//! The fetch is the authorisation: whatever an actor may not read is [`Error::NotFound`], as if it were absent.

mod access;
mod accounts;
mod archive;
mod audit;
mod audit_queue;
mod authenticator;
mod browse;
mod collaborators;
mod compare;
mod convert;
mod deploy_keys;
mod edit;
mod edit_text;
mod error;
mod events;
mod keys;
mod lfs;
mod lfs_locks;
mod lfs_pass;
mod lfs_shelf;
mod missing;
mod organisations;
mod own_sessions;
mod owners;
mod passkey;
mod passwords;
mod probe;
mod proof;
mod protection;
mod push;
mod push_rules;
mod quota;
mod raw;
mod recovery;
mod ref_pattern;
mod repositories;
mod repository_changes;
mod scope;
mod search;
mod second_factor;
mod session;
mod settle;
mod signing;
mod site;
mod site_settings;
mod ssh_authorities;
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
pub use authenticator::Enrolment;
pub use compare::{CompareSpec, Compared, Comparison, DiffChoice, OneDiff, PatchFormat, Pieces};
pub use edit::{CommitFiles, Committed, EditError, EditProblem, FileChange, Person, default_message};
pub use edit_text::{EDITABLE, EditableDirectory, EditableFile, EditedText};
pub use error::Error;
pub use events::AUDIT_ACTIONS;
pub use lfs::{LFS_OBJECT_LIMIT, LfsObject, LfsOid, LfsPointer, LfsState};
pub use lfs_locks::{LfsLock, LfsLockFilter, LfsLocked, LfsLocks};
pub use lfs_pass::{LFS_PASS_SECONDS, LfsCaller, LfsOperation};
pub use missing::Missing;
pub use organisations::{NewOrganisation, OrganisationMember, OrganisationOwner, OrganisationRead};
pub use passkey::{KeyAnswer, KeyQuestion, NewKeyQuestion};
pub use probe::Probe;
pub use proof::{RepoAdmin, RepoMaintain, RepoRead, RepoTriage, RepoWrite};
pub use protection::{NewProtection, ProtectedKind, Protection, PushLevel};
pub use push::Push;
pub use quota::{RepoUsage, SiteLimit, SiteLimits};
pub use raw::{RawFile, Window};
pub use ref_pattern::RefPattern;
pub use repositories::{NewRepo, RepoPage, RepoQuery};
pub use repository_changes::RepoChange;
pub use scope::{Need, SCOPE_NAMES, Scope, Scopes};
pub use search::{
    SearchFile, SearchFound, SearchLine, SearchLines, SearchNames, SearchQuery, SearchResult, SearchStop,
};
pub use second_factor::{HolderView, SecondFactor, SecondFactorView, SignIn, Strengthened, Waiting, WaitingView};
pub use session::{Session, SignedIn};
pub use signing::Signature;
pub use site::{Forge, OpenError, Options};
pub use site_settings::{Banner, BannerColour, SiteSettings};
pub use ssh_authorities::{ShownCertificate, SshAuthorityView};
pub use teams::TeamForm;
pub use tokens::NewToken;
pub use upload::{Protocol, Transport, Upload};
pub use users::NewUser;
pub use view::*;
pub use view_access::*;
pub use view_history::*;

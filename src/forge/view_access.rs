//! What pages show of who may do what: plain values, already permitted, with no handle back into the forge.

use base::clock::Timestamp;
use base::name::{OwnerName, RepoName, TeamName};

use crate::{Access, Visibility};

/// What is behind an owner's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnerKind {
    /// A person.
    User,
    /// Teams of persons.
    Organisation,
}

/// An owner as everyone sees it.
#[derive(Clone, Debug)]
pub struct OwnerView {
    /// What is behind the name.
    pub kind: OwnerKind,
    /// The name.
    pub name: OwnerName,
    /// The name to show; the name when none was given.
    pub full_name: String,
    /// Since when.
    pub created: Timestamp,
}

/// An organisation, as the actor finds it.
#[derive(Clone, Debug)]
pub struct OrganisationView {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: OwnerName,
    /// The name to show; the name when none was given.
    pub full_name: String,
    /// One line, perhaps empty.
    pub description: String,
    /// Who may know of it.
    pub visibility: Visibility,
    /// When it was made.
    pub created: Timestamp,
    /// Says whether the actor sees members and teams.
    pub is_member: bool,
    /// Says whether the actor may change it.
    pub is_owner: bool,
    /// Says whether the actor may make repositories in it.
    pub can_create: bool,
}

/// A member of an organisation or of a team.
#[derive(Clone, Debug)]
pub struct MemberView {
    /// The account's number.
    pub id: i64,
    /// The user's name.
    pub name: OwnerName,
    /// The name to show; the name when none was given.
    pub full_name: String,
    /// Says whether the member is in the team of owners.
    pub is_owner: bool,
}

/// A team.
#[derive(Clone, Debug)]
pub struct TeamView {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: TeamName,
    /// One line, perhaps empty.
    pub description: String,
    /// What it may do in its repositories.
    pub permission: Access,
    /// Says whether it is the team of owners, which every organisation has.
    pub is_owners: bool,
    /// Says whether all repositories of the organisation are its.
    pub includes_all_repositories: bool,
    /// Says whether its members may make repositories.
    pub can_create_repositories: bool,
    /// How many members.
    pub member_count: usize,
    /// How many repositories it was given one by one.
    pub repository_count: usize,
}

/// A team with those who are in it.
#[derive(Clone, Debug)]
pub struct TeamDetails {
    /// The team.
    pub team: TeamView,
    /// Its members, by name.
    pub members: Vec<MemberView>,
    /// The repositories that it was given one by one, by name.
    pub repositories: Vec<RepoName>,
}

/// A user whom a repository was opened to.
#[derive(Clone, Debug)]
pub struct CollaboratorView {
    /// The account's number.
    pub id: i64,
    /// The user's name.
    pub name: OwnerName,
    /// What the user may do.
    pub access: Access,
}

/// A deploy key of a repository.
#[derive(Clone, Debug)]
pub struct DeployKeyView {
    /// Its number among all deploy keys.
    pub id: i64,
    /// The title it was given.
    pub title: String,
    /// `SHA256:…`, as ssh-keygen prints it.
    pub fingerprint: String,
    /// `ssh-ed25519` and the like.
    pub kind: String,
    /// The key in OpenSSH's one-line form.
    pub line: String,
    /// Says whether it may push.
    pub can_write: bool,
    /// When it was added.
    pub created: Timestamp,
    /// When it last came, to the minute.
    pub used: Option<Timestamp>,
}

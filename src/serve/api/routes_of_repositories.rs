//! Addresses about repositories as things that are owned, listed and opened to others.

use axum::routing::{delete, get, patch, post, put};

use super::collaborator::{self, AddCollaboratorOption, CreateDeployKeyOption, DeployKey, RepoCollaboratorPermission};
use super::document::Shape;
use super::repository::{self, EditRepoOption, Repository, TransferRepoOption};
use super::repository_list::{self, SearchResults};
use super::route::{ApiRoute, READ, WRITE, changes, json, list, lists, makes, puts, removes, shows};
use super::user::User;
use crate::web::Audience;

/// The addresses.
pub(crate) const ROUTES: &[ApiRoute] = {
    use Audience::{Everyone, Reader, RepositoryAdministrator};
    &[
        lists("/repos/search", Everyone, READ, "Repositories that fit a text", || get(repository_list::search))
            .with(&["q", "uid", "archived", "page", "limit"])
            .gives(json::<SearchResults>()),
        shows("/repositories/{id}", Reader, READ, "A repository by its number", || get(repository_list::by_id))
            .gives(json::<Repository>()),
        shows("/repos/{owner}/{repo}", Reader, READ, "A repository", || get(repository::show))
            .gives(json::<Repository>()),
        changes("/repos/{owner}/{repo}", RepositoryAdministrator, WRITE, "Change a repository", || {
            patch(repository::change)
        })
        .takes(json::<EditRepoOption>())
        .gives(json::<Repository>()),
        removes("/repos/{owner}/{repo}", RepositoryAdministrator, WRITE, "Remove a repository", || {
            delete(repository::remove)
        }),
        makes("/repos/{owner}/{repo}/transfer", RepositoryAdministrator, WRITE, "Give it to another owner", || {
            post(repository::transfer)
        })
        .takes(json::<TransferRepoOption>())
        .says(202)
        .gives(json::<Repository>()),
        shows("/repos/{owner}/{repo}/languages", Reader, READ, "Its languages: none are counted", || {
            get(repository::languages)
        })
        .gives(Shape::AnyJson),
        lists("/repos/{owner}/{repo}/collaborators", RepositoryAdministrator, READ, "Collaborators", || {
            get(collaborator::list)
        })
        .gives(list::<User>()),
        shows(
            "/repos/{owner}/{repo}/collaborators/{collaborator}",
            RepositoryAdministrator,
            READ,
            "Says whether one is a collaborator",
            || get(collaborator::show),
        )
        .says(204),
        puts(
            "/repos/{owner}/{repo}/collaborators/{collaborator}",
            RepositoryAdministrator,
            WRITE,
            "Let one in",
            || put(collaborator::set),
        )
        .takes(json::<AddCollaboratorOption>()),
        removes(
            "/repos/{owner}/{repo}/collaborators/{collaborator}",
            RepositoryAdministrator,
            WRITE,
            "Let one go",
            || delete(collaborator::remove),
        ),
        shows(
            "/repos/{owner}/{repo}/collaborators/{collaborator}/permission",
            RepositoryAdministrator,
            READ,
            "What a collaborator may do",
            || get(collaborator::permission),
        )
        .gives(json::<RepoCollaboratorPermission>()),
        lists("/repos/{owner}/{repo}/keys", RepositoryAdministrator, READ, "Deploy keys", || get(collaborator::keys))
            .gives(list::<DeployKey>()),
        makes("/repos/{owner}/{repo}/keys", RepositoryAdministrator, WRITE, "Add a deploy key", || {
            post(collaborator::add_key)
        })
        .takes(json::<CreateDeployKeyOption>())
        .gives(json::<DeployKey>()),
        shows("/repos/{owner}/{repo}/keys/{id}", RepositoryAdministrator, READ, "A deploy key", || {
            get(collaborator::key)
        })
        .gives(json::<DeployKey>()),
        removes("/repos/{owner}/{repo}/keys/{id}", RepositoryAdministrator, WRITE, "Remove a deploy key", || {
            delete(collaborator::remove_key)
        }),
    ]
};

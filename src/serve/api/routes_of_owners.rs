//! Addresses about accounts, organisations and teams.

use axum::routing::{delete, get, patch, post, put};

use super::administration::{self, CreateUserOption, EditUserOption};
use super::key::{self, CreateKeyOption, PublicKey};
use super::organisation::{self, CreateOrgOption, EditOrgOption, Organization, OrganizationPermissions};
use super::repository::{self, CreateRepoOption, Repository};
use super::repository_list;
use super::route::{ApiRoute, READ, WRITE, changes, json, list, lists, makes, puts, removes, shows};
use super::team::{self, Team, TeamOption};
use super::token::{self, AccessToken, CreateAccessTokenOption};
use super::user::{self, Email, User, UserSearch};
use crate::web::Audience;

/// The addresses.
pub(crate) const ROUTES: &[ApiRoute] = {
    use Audience::{Everyone, Member, OrganisationOwner, OwnerSeen, SignedIn, SiteAdministrator};
    &[
        shows("/user", SignedIn, "read:user", "The caller's own account", || get(user::me)).gives(json::<User>()),
        makes("/user/repos", SignedIn, WRITE, "Make a repository of one's own", || post(repository::create))
            .takes(json::<CreateRepoOption>())
            .gives(json::<Repository>()),
        lists("/user/repos", SignedIn, READ, "Repositories of one's own and those that one was given", || {
            get(repository_list::own)
        })
        .gives(list::<Repository>()),
        lists("/user/orgs", SignedIn, "read:organization", "The caller's organisations", || get(organisation::own))
            .gives(list::<Organization>()),
        lists("/user/teams", SignedIn, "read:organization", "The caller's teams", || get(team::own))
            .gives(list::<Team>()),
        lists("/user/emails", SignedIn, "read:user", "The caller's mail address", || get(user::emails))
            .gives(list::<Email>()),
        lists("/user/keys", SignedIn, "read:user", "The caller's SSH keys", || get(key::own))
            .gives(list::<PublicKey>()),
        makes("/user/keys", SignedIn, "write:user", "Add an SSH key", || post(key::add))
            .takes(json::<CreateKeyOption>())
            .gives(json::<PublicKey>()),
        shows("/user/keys/{id}", SignedIn, "read:user", "One of the caller's SSH keys", || get(key::show))
            .gives(json::<PublicKey>()),
        removes("/user/keys/{id}", SignedIn, "write:user", "Remove an SSH key", || delete(key::remove)),
        lists("/users/search", SignedIn, "read:user", "Accounts that fit a text", || get(user::search))
            .with(&["q", "uid", "page", "limit"])
            .gives(json::<UserSearch>()),
        shows("/users/{username}", SignedIn, "read:user", "An account", || get(user::show)).gives(json::<User>()),
        lists("/users/{username}/repos", OwnerSeen, READ, "An owner's repositories", || get(repository_list::of_user))
            .gives(list::<Repository>()),
        lists("/users/{username}/orgs", Everyone, "read:organization", "A user's organisations", || {
            get(organisation::of_user)
        })
        .gives(list::<Organization>()),
        shows(
            "/users/{username}/orgs/{org}/permissions",
            SignedIn,
            "read:organization",
            "What one may do there",
            || get(organisation::permissions),
        )
        .gives(json::<OrganizationPermissions>()),
        lists("/users/{username}/tokens", SignedIn, "password", "The caller's tokens", || get(token::list))
            .gives(list::<AccessToken>()),
        makes("/users/{username}/tokens", SignedIn, "password", "Make a token", || post(token::create))
            .takes(json::<CreateAccessTokenOption>())
            .gives(json::<AccessToken>()),
        removes("/users/{username}/tokens/{token}", SignedIn, "password", "End a token", || delete(token::remove)),
        lists("/users/{username}/keys", SignedIn, "read:user", "An account's SSH keys", || get(key::of_user))
            .gives(list::<PublicKey>()),
        lists("/orgs", Everyone, "read:organization", "Organisations", || get(organisation::list))
            .gives(list::<Organization>()),
        makes("/orgs", SignedIn, "write:organization", "Make an organisation", || post(organisation::create))
            .takes(json::<CreateOrgOption>())
            .gives(json::<Organization>()),
        shows("/orgs/{org}", OwnerSeen, "read:organization", "An organisation", || get(organisation::show))
            .gives(json::<Organization>()),
        changes("/orgs/{org}", OrganisationOwner, "write:organization", "Change an organisation", || {
            patch(organisation::change)
        })
        .takes(json::<EditOrgOption>())
        .gives(json::<Organization>()),
        removes("/orgs/{org}", OrganisationOwner, "write:organization", "Remove an organisation", || {
            delete(organisation::remove)
        }),
        lists("/orgs/{org}/repos", OwnerSeen, READ, "An organisation's repositories", || {
            get(repository_list::of_organisation)
        })
        .gives(list::<Repository>()),
        makes("/orgs/{org}/repos", Member, WRITE, "Make a repository in an organisation", || {
            post(repository_list::create_in_organisation)
        })
        .takes(json::<CreateRepoOption>())
        .gives(json::<Repository>()),
        lists("/orgs/{org}/members", Member, "read:organization", "Members", || get(organisation::members))
            .gives(list::<User>()),
        shows("/orgs/{org}/members/{username}", Member, "read:organization", "Says whether one is a member", || {
            get(organisation::is_member)
        })
        .says(204),
        removes("/orgs/{org}/members/{username}", Member, "write:organization", "Take a member off all teams", || {
            delete(organisation::remove_member)
        }),
        lists("/orgs/{org}/teams", Member, "read:organization", "Teams", || get(team::list)).gives(list::<Team>()),
        makes("/orgs/{org}/teams", OrganisationOwner, "write:organization", "Make a team", || post(team::create))
            .takes(json::<TeamOption>())
            .gives(json::<Team>()),
        shows("/teams/{id}", Member, "read:organization", "A team", || get(team::show)).gives(json::<Team>()),
        changes("/teams/{id}", OrganisationOwner, "write:organization", "Change a team", || patch(team::change))
            .takes(json::<TeamOption>())
            .gives(json::<Team>()),
        removes("/teams/{id}", OrganisationOwner, "write:organization", "Remove a team", || delete(team::remove)),
        lists("/teams/{id}/members", Member, "read:organization", "A team's members", || get(team::members))
            .gives(list::<User>()),
        shows("/teams/{id}/members/{username}", Member, "read:organization", "A member of a team", || {
            get(team::show_member)
        })
        .gives(json::<User>()),
        puts("/teams/{id}/members/{username}", OrganisationOwner, "write:organization", "Add a user to a team", || {
            put(team::add_member)
        }),
        removes(
            "/teams/{id}/members/{username}",
            OrganisationOwner,
            "write:organization",
            "Take a user off a team",
            || delete(team::remove_member),
        ),
        lists("/teams/{id}/repos", Member, "read:organization", "A team's repositories", || get(team::repos))
            .gives(list::<Repository>()),
        shows("/teams/{id}/repos/{org}/{repo}", Member, "read:organization", "A repository that a team has", || {
            get(team::show_repo)
        })
        .gives(json::<Repository>()),
        puts(
            "/teams/{id}/repos/{org}/{repo}",
            OrganisationOwner,
            "write:organization",
            "Give a team a repository",
            || put(team::add_repo),
        ),
        removes(
            "/teams/{id}/repos/{org}/{repo}",
            OrganisationOwner,
            "write:organization",
            "Take one from a team",
            || delete(team::remove_repo),
        ),
        lists("/admin/orgs", SiteAdministrator, "read:admin", "All organisations", || get(organisation::administered))
            .gives(list::<Organization>()),
        lists("/admin/users", SiteAdministrator, "read:admin", "All accounts", || get(administration::list))
            .gives(list::<User>()),
        makes("/admin/users", SiteAdministrator, "write:admin", "Make an account", || post(administration::create))
            .takes(json::<CreateUserOption>())
            .gives(json::<User>()),
        changes("/admin/users/{username}", SiteAdministrator, "write:admin", "Change an account", || {
            patch(administration::change)
        })
        .takes(json::<EditUserOption>())
        .gives(json::<User>()),
        removes("/admin/users/{username}", SiteAdministrator, "write:admin", "Remove an account", || {
            delete(administration::remove)
        }),
    ]
};

//! Addresses about protected branches and tags.

use axum::routing::{delete, get, patch, post};

use super::protection::{self, BranchProtection, BranchProtectionOption, TagProtection, TagProtectionOption};
use super::route::{ApiRoute, WRITE, changes, json, list, lists, makes, removes, shows};
use crate::web::Audience;

/// The addresses.
pub(crate) const ROUTES: &[ApiRoute] = {
    use Audience::RepositoryAdministrator as Admin;
    &[
        lists("/repos/{owner}/{repo}/branch_protections", Admin, WRITE, "Protections of branches", || {
            get(protection::branches)
        })
        .gives(list::<BranchProtection>()),
        makes("/repos/{owner}/{repo}/branch_protections", Admin, WRITE, "Protect branches", || {
            post(protection::add_branch)
        })
        .takes(json::<BranchProtectionOption>())
        .gives(json::<BranchProtection>()),
        shows("/repos/{owner}/{repo}/branch_protections/{*name}", Admin, WRITE, "A protection of branches", || {
            get(protection::branch)
        })
        .gives(json::<BranchProtection>()),
        changes("/repos/{owner}/{repo}/branch_protections/{*name}", Admin, WRITE, "Change one", || {
            patch(protection::change_branch)
        })
        .takes(json::<BranchProtectionOption>())
        .gives(json::<BranchProtection>()),
        removes("/repos/{owner}/{repo}/branch_protections/{*name}", Admin, WRITE, "Protect them no longer", || {
            delete(protection::remove_branch)
        }),
        lists("/repos/{owner}/{repo}/tag_protections", Admin, WRITE, "Protections of tags", || get(protection::tags))
            .gives(list::<TagProtection>()),
        makes("/repos/{owner}/{repo}/tag_protections", Admin, WRITE, "Protect tags", || post(protection::add_tag))
            .takes(json::<TagProtectionOption>())
            .gives(json::<TagProtection>()),
        shows("/repos/{owner}/{repo}/tag_protections/{id}", Admin, WRITE, "A protection of tags", || {
            get(protection::tag)
        })
        .gives(json::<TagProtection>()),
        changes("/repos/{owner}/{repo}/tag_protections/{id}", Admin, WRITE, "Change one", || {
            patch(protection::change_tag)
        })
        .takes(json::<TagProtectionOption>())
        .gives(json::<TagProtection>()),
        removes("/repos/{owner}/{repo}/tag_protections/{id}", Admin, WRITE, "Protect them no longer", || {
            delete(protection::remove_tag)
        }),
    ]
};

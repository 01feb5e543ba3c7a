//! What a live site has on disk, and what killed processes left there. Looks, and removes only what every start of the server
//! removes as well.

use base::site::SiteDir;
use git::Repositories;

/// The ids of the repositories on disk, lowest first.
pub fn repositories(site: &SiteDir) -> Result<Vec<i64>, git::Error> {
    git::ids(&site.repositories())
}

/// What killed processes left among them.
pub fn left_behind(site: &SiteDir) -> Result<git::Left, git::Error> {
    git::left_behind(&site.repositories())
}

/// Removes it, as a start of the server does. Leaves alone what somebody holds.
pub fn sweep(site: &SiteDir) -> Result<(), git::Error> {
    Repositories::open(&site.repositories()).map(drop)
}

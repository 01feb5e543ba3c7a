//! Every address of the API, from the tables of its parts. The router is made from this table, the description is written
//! from it, and tests walk it.

use super::route::ApiRoute;
use super::{routes_of_git, routes_of_owners, routes_of_protections, routes_of_repositories, routes_of_site};

const PARTS: [&[ApiRoute]; 5] = [
    routes_of_site::ROUTES,
    routes_of_owners::ROUTES,
    routes_of_repositories::ROUTES,
    routes_of_protections::ROUTES,
    routes_of_git::ROUTES,
];

/// Every address that there is.
pub const API_ROUTES: &[ApiRoute] = &joined::<{ count() }>();

const fn count() -> usize {
    let (mut count, mut part) = (0, 0);
    while part < PARTS.len() {
        count += PARTS[part].len();
        part += 1;
    }
    count
}

const fn joined<const COUNT: usize>() -> [ApiRoute; COUNT] {
    let mut all = [PARTS[0][0]; COUNT];
    let (mut at, mut part) = (0, 0);
    while part < PARTS.len() {
        let mut row = 0;
        while row < PARTS[part].len() {
            all[at] = PARTS[part][row];
            at += 1;
            row += 1;
        }
        part += 1;
    }
    all
}

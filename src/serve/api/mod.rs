//! The API under `/api/v1`, in the dialect of the Gitea family, for programs. A sibling of the pages: each handler turns
//! a request into one use case of the forge and its answer into JSON; no right is decided here, and no cookie is read.

mod administration;
mod branch;
mod caller;
mod collaborator;
mod commit;
mod compare;
mod contents;
mod document;
mod edit;
mod immutable;
mod input;
mod key;
mod links;
mod object;
mod organisation;
mod protection;
mod refusal;
mod repository;
mod repository_list;
mod route;
mod routes;
mod routes_of_git;
mod routes_of_owners;
mod routes_of_protections;
mod routes_of_repositories;
mod routes_of_site;
mod site;
mod status;
mod tag;
mod team;
mod token;
mod user;

use axum::routing::any;
use axum::{Extension, Router, middleware};

use crate::state::AppState;
use crate::web::render::Renderer;

pub use route::{ApiMethod, ApiRoute, PREFIX};
pub use routes::API_ROUTES;

/// The whole API. Answers every path below the prefix.
pub(crate) fn router(state: &AppState) -> Router<AppState> {
    let mut router = Router::new();
    for route in API_ROUTES {
        router = router.route(&format!("{PREFIX}{}", route.pattern), (route.handler)());
    }
    router
        .route(&format!("{PREFIX}/{{*rest}}"), any(caller::absent))
        .method_not_allowed_fallback(caller::wrong_method)
        .layer(Extension(Renderer::new()))
        .layer(Extension(input::Places::new()))
        .layer(middleware::from_fn_with_state(state.clone(), caller::layer))
        .layer(middleware::from_fn(input::read_small))
}

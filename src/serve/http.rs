//! The router of everything that speaks HTTP, and the middleware around it.

use axum::Router;

use crate::state::AppState;
use crate::web;

/// All routes of the site.
pub(crate) fn router(state: AppState) -> Router {
    web::router().with_state(state)
}

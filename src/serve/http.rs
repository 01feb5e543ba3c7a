//! The router of everything that speaks HTTP, and the middleware around it.

use axum::Router;
use axum::middleware::from_fn_with_state;
use tower_http::compression::CompressionLayer;

use crate::request::around;
use crate::state::AppState;
use crate::{api, git_http, health, lfs, web};

/// All routes of the site.
pub(crate) fn router(state: AppState) -> Router {
    web::router(&state)
        .merge(api::router(&state))
        .layer(CompressionLayer::new())
        .merge(git_http::router())
        .merge(lfs::router())
        .merge(health::router())
        .layer(from_fn_with_state(state.clone(), around))
        .with_state(state)
}

//! The router of everything that speaks HTTP, and the middleware around it.

use std::time::Duration;

use axum::Router;
use axum::extract::{Extension, Request};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower_http::compression::CompressionLayer;
use tower_http::limit::RequestBodyLimitLayer;

use crate::request::{RequestId, around};
use crate::state::AppState;
use crate::{git_http, health, web};

/// The largest body of a form, in bytes.
const FORM_LIMIT: usize = 1 << 20;
/// Time that a page may take to begin its answer.
const PAGE_DEADLINE: Duration = Duration::from_secs(30);

/// All routes of the site.
pub(crate) fn router(state: AppState) -> Router {
    let pages = web::router(&state)
        .layer(CompressionLayer::new())
        .layer(from_fn(in_time))
        .layer(RequestBodyLimitLayer::new(FORM_LIMIT));
    pages
        .merge(git_http::router())
        .merge(health::router())
        .layer(from_fn_with_state(state.clone(), around))
        .with_state(state)
}

/// Gives a page up that takes too long.
async fn in_time(Extension(id): Extension<RequestId>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(PAGE_DEADLINE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, format!("this took too long, request {id}\n")).into_response(),
    }
}

//! What the site says of itself: which level of the family's API it speaks, its limits, its own description; and
//! Markdown for who wants to see it before it is written.

use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use base::name::{RepoPath, TreePath};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::document::document;
use super::input::{BODY, MOST_ROWS, ROWS, Taken, whole};
use super::refusal::{ApiResult, Refusal};
use crate::markdown::{LIMIT, Place};
use crate::state::AppState;
use crate::web::render::Renderer;

/// The level of the family's API that is spoken; clients take it for a version, so it begins like one.
const LEVEL: &str = concat!("1.24.0+gitgrit-", env!("CARGO_PKG_VERSION"));

/// Bytes of a body with a text in it: as JSON, quotes and line ends take two.
const TEXT: usize = 2 * LIMIT + BODY;

/// The version.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServerVersion {
    /// As in `1.24.0+gitgrit-0.1.0`: the level of the family's API, and the program's own version.
    version: String,
}

/// Limits of the API.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GeneralApiSettings {
    max_response_items: usize,
    default_paging_num: usize,
    default_git_trees_per_page: usize,
    default_max_blob_size: u64,
    default_max_response_size: u64,
}

/// What repositories of this site may have.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GeneralRepoSettings {
    mirrors_disabled: bool,
    http_git_disabled: bool,
    migrations_disabled: bool,
    stars_disabled: bool,
    forks_disabled: bool,
    time_tracking_disabled: bool,
}

/// How pages look.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GeneralUiSettings {
    default_theme: String,
    allowed_reactions: Vec<String>,
    custom_emojis: Vec<String>,
}

/// A text to be shown as a page would show it.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct MarkdownOption {
    /// The text, at most 512 KiB.
    #[serde(rename = "Text")]
    text: String,
    /// A repository, as in `alice/notes`, whose files relative links are to.
    #[serde(rename = "Context")]
    context: Option<String>,
    /// Not looked at: all texts are rendered alike.
    #[serde(rename = "Mode")]
    #[expect(dead_code, reason = "clients send it, and its type is held to")]
    mode: Option<String>,
}

/// `GET /version`.
pub(crate) async fn version() -> Json<ServerVersion> {
    Json(ServerVersion { version: LEVEL.into() })
}

/// `GET /settings/api`.
pub(crate) async fn api_settings() -> Json<GeneralApiSettings> {
    Json(GeneralApiSettings {
        max_response_items: MOST_ROWS,
        default_paging_num: ROWS,
        default_git_trees_per_page: 1_000,
        default_max_blob_size: 16 << 20,
        default_max_response_size: 64 << 20,
    })
}

/// `GET /settings/repository`.
pub(crate) async fn repository_settings() -> Json<GeneralRepoSettings> {
    Json(GeneralRepoSettings {
        mirrors_disabled: true,
        http_git_disabled: false,
        migrations_disabled: true,
        stars_disabled: true,
        forks_disabled: true,
        time_tracking_disabled: true,
    })
}

/// `GET /settings/ui`.
pub(crate) async fn ui_settings() -> Json<GeneralUiSettings> {
    let (allowed_reactions, custom_emojis) = (Vec::new(), Vec::new());
    Json(GeneralUiSettings { default_theme: "gitgrit".into(), allowed_reactions, custom_emojis })
}

/// `GET /nodeinfo`.
pub(crate) async fn nodeinfo() -> Json<Value> {
    Json(json!({
        "version": "2.1",
        "software": { "name": "gitgrit-ops", "version": env!("CARGO_PKG_VERSION"), "repository": "", "homepage": "" },
        "protocols": [],
        "services": { "inbound": [], "outbound": [] },
        "openRegistrations": false,
        "usage": { "users": {} },
        "metadata": {},
    }))
}

/// `GET /openapi.json`.
pub(crate) async fn description() -> Json<Value> {
    Json(document())
}

/// `POST /markdown`.
pub(crate) async fn markdown(
    State(_): State<AppState>,
    Extension(renderer): Extension<Renderer>,
    Taken(option): Taken<MarkdownOption, TEXT>,
) -> ApiResult {
    let repo = option.context.as_deref().and_then(|context| RepoPath::parse_joined(context.trim_matches('/')).ok());
    rendered(&renderer, option.text, repo.as_ref()).await
}

/// `POST /markdown/raw`.
pub(crate) async fn raw_markdown(Extension(renderer): Extension<Renderer>, body: Body) -> ApiResult {
    let bytes = whole(body, LIMIT).await?;
    rendered(&renderer, String::from_utf8_lossy(&bytes).into_owned(), None).await
}

async fn rendered(renderer: &Renderer, text: String, repo: Option<&RepoPath>) -> ApiResult {
    if text.len() > LIMIT {
        return Err(Refusal::TooLarge);
    }
    let below = |view: &str| repo.map(|repo| format!("/{repo}/{view}/HEAD")).unwrap_or_default();
    let place = Place { pages: below("src"), raw: below("raw"), directory: TreePath::default() };
    let html = renderer.passing(text, place).await.ok_or(Refusal::TooSlow)?;
    Ok(html_of(html.to_string()))
}

fn html_of(text: String) -> Response {
    ([(CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response()
}

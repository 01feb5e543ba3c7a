//! Stylesheet, script and pictures, embedded in the program. Each is served under a name that holds a digest of its
//! bytes, so that browsers keep it for good; nothing is read from disk and nothing comes from outside the site.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::failure::{Failure, PageResult};

struct Source {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
}

macro_rules! source {
    ($name:literal, $kind:literal) => {
        Source { name: $name, kind: $kind, text: include_str!(concat!("../../../templates/static/", $name)) }
    };
}

/// The pictures come first: the stylesheet names them.
const SOURCES: &[Source] = &[
    source!("logo.svg", "image/svg+xml"),
    source!("icon-branch.svg", "image/svg+xml"),
    source!("icon-directory.svg", "image/svg+xml"),
    source!("icon-down.svg", "image/svg+xml"),
    source!("icon-file.svg", "image/svg+xml"),
    source!("icon-submodule.svg", "image/svg+xml"),
    source!("icon-symlink.svg", "image/svg+xml"),
    source!("copy.js", "text/javascript; charset=utf-8"),
    source!("keys.js", "text/javascript; charset=utf-8"),
    source!("site.css", "text/css; charset=utf-8"),
];

struct Asset {
    name: &'static str,
    served: String,
    kind: &'static str,
    body: String,
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let mut assets: Vec<Asset> = Vec::new();
    for source in SOURCES {
        let mut body = source.text.to_owned();
        for earlier in &assets {
            body = body.replace(&format!("url({})", earlier.name), &format!("url({})", earlier.served));
        }
        let served = served_name(source.name, &body);
        assets.push(Asset { name: source.name, served, kind: source.kind, body });
    }
    assets
});

/// The address of an asset; empty when there is none of that name.
pub(crate) fn address(name: &str) -> String {
    ASSETS.iter().find(|asset| asset.name == name).map(|asset| format!("/assets/{}", asset.served)).unwrap_or_default()
}

/// Every asset's address and content.
#[cfg(test)]
pub(crate) fn all() -> Vec<(String, &'static str)> {
    ASSETS.iter().map(|asset| (address(asset.name), asset.body.as_str())).collect()
}

/// `GET /assets/{file}`.
pub(crate) async fn show(Path(file): Path<String>, headers: HeaderMap) -> PageResult {
    let asset = ASSETS.iter().find(|asset| asset.served == file).ok_or(Failure::NotFound)?;
    Ok(respond(asset, &headers, "public, max-age=31536000, immutable"))
}

/// `GET /favicon.ico`, which browsers ask for beside a text that names no icon.
pub(crate) async fn favicon(headers: HeaderMap) -> PageResult {
    let asset = ASSETS.iter().find(|asset| asset.name == "logo.svg").ok_or(Failure::NotFound)?;
    Ok(respond(asset, &headers, "public, max-age=86400"))
}

fn respond(asset: &'static Asset, headers: &HeaderMap, caching: &'static str) -> Response {
    let tag = format!("\"{}\"", asset.served);
    let is_known = headers.get(IF_NONE_MATCH).is_some_and(|given| given.as_bytes() == tag.as_bytes());
    let common = [(CACHE_CONTROL, caching.to_owned()), (ETAG, tag), (CONTENT_TYPE, asset.kind.to_owned())];
    if is_known {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    (common, asset.body.as_str()).into_response()
}

/// The digest tells versions of our own files apart; nobody gains by colliding it.
fn served_name(name: &str, body: &str) -> String {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    format!("{stem}.{:016x}.{extension}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stylesheet_names_only_pictures_that_are_served() {
        let css = &ASSETS.iter().find(|asset| asset.name == "site.css").unwrap().body;
        for rest in css.split("url(").skip(1) {
            let name = rest.split(')').next().unwrap();
            assert!(ASSETS.iter().any(|asset| asset.served == name), "{name}");
        }
        assert!(!css.contains("data:") && !css.contains("//"), "the stylesheet reaches outside");
    }

    #[tokio::test]
    async fn an_asset_that_the_browser_has_is_not_sent_again() {
        let served = ASSETS[0].served.clone();
        let mut headers = HeaderMap::new();
        headers.insert(IF_NONE_MATCH, format!("\"{served}\"").parse().unwrap());
        let response = show(Path(served), headers).await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
    }
}

//! Answers that an object's id stands for: a client that has one is told so in a few bytes. Only ever private caches: who
//! may read a repository changes, its objects do not.

use axum::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

/// The answer with its tag, or 304 when the client has it. `tag` is made of ids alone; without one nothing is kept.
pub(crate) fn immutable(headers: &HeaderMap, tag: Option<&str>, answer: impl FnOnce() -> Response) -> Response {
    let Some(tag) = tag.and_then(|tag| HeaderValue::from_str(&format!("\"{tag}\"")).ok()) else { return answer() };
    let mut response = if knows(headers, &tag) { StatusCode::NOT_MODIFIED.into_response() } else { answer() };
    // Asked again each time, so that a right that ended ends at once.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response.headers_mut().insert(ETAG, tag);
    response
}

fn knows(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let sent = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = sent.flat_map(|value| value.split(',')).map(|tag| tag.trim().trim_start_matches("W/"));
    tags.any(|known| known == "*" || known.as_bytes() == tag.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_the_object_gets_nothing_twice() {
        for (sent, status) in [
            (None, 200),
            (Some("\"abc\""), 304),
            (Some("W/\"abc\""), 304),
            (Some("\"x\", \"abc\""), 304),
            (Some("*"), 304),
            (Some("\"abcd\""), 200),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(sent) = sent {
                headers.insert(IF_NONE_MATCH, HeaderValue::from_static(sent));
            }
            let response = immutable(&headers, Some("abc"), || "x".into_response());
            assert_eq!(response.status().as_u16(), status, "{sent:?}");
            assert_eq!(response.headers().get(ETAG).unwrap(), "\"abc\"");
        }
    }
}

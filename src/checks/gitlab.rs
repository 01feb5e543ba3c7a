//! Judges whether an address and an answer are a GitLab's. Pure; the request itself is made by the smoke test.

use serde_json::Value;
use url::Url;

use crate::catalogue::{self, Known};
use crate::egress::{Answer, EgressError};
use crate::smoke::Line;
use crate::text::{has_credentials, line};

/// What always answers 401 with JSON on a GitLab, and on little else.
pub(crate) const VERSION_PATH: &str = "/api/v4/version";

/// Judges GITLAB_URL. The second part is the address to ask, without a slash at the end; none after a FAIL.
pub fn address(value: Option<&str>) -> (Line, Option<String>) {
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        let text = "GITLAB_URL is not set in the container environment".to_owned();
        return (Line::fail(&catalogue::SMOKE_URL_UNSET, text), None);
    };
    let shown = line(value);
    let refused = |known: &'static Known, problem: String| (Line::fail(known, problem), None);
    // Whatever else is wrong with the value, it may not be repeated then.
    if has_credentials(value) {
        let text = "GITLAB_URL holds a user name or a password — give the address alone".to_owned();
        return refused(&catalogue::SMOKE_URL_SHAPE, text);
    }
    let scheme = scheme(value);
    if scheme != "https" {
        let text = format!("GITLAB_URL='{shown}' must use https:// — got '{}://'", line(&scheme));
        return refused(&catalogue::SMOKE_URL_SCHEME, text);
    }
    let Some(url) = Url::parse(value.trim()).ok().filter(|url| url.host_str().is_some()) else {
        return refused(&catalogue::SMOKE_URL_SHAPE, format!("GITLAB_URL='{shown}' is not a URL with a host name"));
    };
    if url.query().is_some() || url.fragment().is_some() {
        let text = format!("GITLAB_URL='{shown}' has a '?' or '#' in it — give the root address alone");
        return refused(&catalogue::SMOKE_URL_SHAPE, text);
    }
    let base = value.trim().trim_end_matches('/').to_owned();
    if url.host_str() == Some("gitlab.com") {
        let text = format!(
            "GITLAB_URL='{shown}' points at public gitlab.com — air-gap installs usually point at an internal hostname"
        );
        return (Line::warn(&catalogue::SMOKE_URL_PUBLIC, text), Some(base));
    }
    (Line::ok(&catalogue::SMOKE_URL, format!("GITLAB_URL={shown}")), Some(base))
}

/// Judges what came back from `base` + `VERSION_PATH`.
pub fn answer(base: &str, result: &Result<Answer, EgressError>) -> Line {
    let shown = line(base);
    let answer = match result {
        Ok(answer) => answer,
        Err(EgressError::Tls { reason }) => {
            let text = format!(
                "TLS handshake to {shown} failed: {reason}. Make sure REQUESTS_CA_BUNDLE points at the CA chain that \
                 signed your GitLab's cert (not the server cert itself)."
            );
            return Line::fail(&catalogue::SMOKE_TLS, text);
        }
        Err(EgressError::Connect { reason }) => {
            let text = format!(
                "could not connect to {shown}: {reason}. Check DNS, routing, and that the app container is on a network \
                 that can reach your internal GitLab."
            );
            return Line::fail(&catalogue::SMOKE_CONNECT, text);
        }
        Err(EgressError::Request { reason }) => {
            return Line::fail(&catalogue::SMOKE_REQUEST, format!("request to {shown} failed: {reason}"));
        }
    };
    let target = format!("{shown}{VERSION_PATH}");
    if is_gitlab(answer) {
        let text = format!("{target} returned 401 JSON with GitLab-shaped body — looks like a real GitLab");
        return Line::ok(&catalogue::SMOKE_GITLAB, text);
    }
    let content_type = answer.content_type.as_deref().unwrap_or("?");
    let text = format!(
        "{target} returned HTTP {} (Content-Type: {content_type}) — does not look like a GitLab API. Wrong GITLAB_URL?",
        answer.status
    );
    Line::fail(&catalogue::SMOKE_NOT_GITLAB, text)
}

fn is_gitlab(answer: &Answer) -> bool {
    let is_json = answer.content_type.as_deref().is_some_and(|kind| kind.to_ascii_lowercase().contains("json"));
    if answer.status != 401 || !is_json {
        return false;
    }
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let message = body.as_ref().and_then(|body| body.get("message")).map(|message| match message {
        Value::String(text) => text.to_lowercase(),
        other => other.to_string().to_lowercase(),
    });
    message.is_some_and(|message| message.contains("unauthorized") || message.contains("401"))
}

/// The part before `://`, lower case; empty when there is none.
fn scheme(value: &str) -> String {
    value.trim().split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(value: &str) -> String {
        address(Some(value)).0.to_string()
    }

    #[test]
    fn addresses_are_judged_as_the_seeds_do() {
        let public = "points at public gitlab.com — air-gap installs usually point at an internal hostname";
        for (value, expected) in [
            ("", "FAIL  GITLAB_URL is not set in the container environment".to_owned()),
            (
                "http://gitlab.acme.internal",
                "FAIL  GITLAB_URL='http://gitlab.acme.internal' must use https:// — got 'http://'".into(),
            ),
            ("gitlab.acme.internal", "FAIL  GITLAB_URL='gitlab.acme.internal' must use https:// — got '://'".into()),
            ("https://", "FAIL  GITLAB_URL='https://' is not a URL with a host name".into()),
            (
                "https://a?b",
                "FAIL  GITLAB_URL='https://a?b' has a '?' or '#' in it — give the root address alone".into(),
            ),
            ("https://gitlab.com", format!("WARN  GITLAB_URL='https://gitlab.com' {public}")),
            ("https://GitLab.com/", format!("WARN  GITLAB_URL='https://GitLab.com/' {public}")),
            ("https://gitlab.acme.com", "OK    GITLAB_URL=https://gitlab.acme.com".into()),
            ("https://a/gitlab/", "OK    GITLAB_URL=https://a/gitlab/".into()),
        ] {
            assert_eq!(judged(value), expected);
        }
        for secret in ["https://me:hunter2@a", "http://me:hunter2@a", "https://me:hunter2@", "me:hunter2@a/x"] {
            assert_eq!(
                judged(secret),
                "FAIL  GITLAB_URL holds a user name or a password — give the address alone",
                "{secret}"
            );
        }
        assert_eq!(address(Some("https://a/gitlab/")).1.as_deref(), Some("https://a/gitlab"));
        assert_eq!(address(Some("http://a")).1, None);
        assert_eq!(address(None).1, None);
    }

    #[test]
    fn only_a_401_with_the_message_is_a_gitlab() {
        let answer = |status: u16, kind: Option<&str>, body: &str| Answer {
            status,
            content_type: kind.map(str::to_owned),
            date: None,
            body: body.as_bytes().to_vec(),
        };
        let json = Some("application/json");
        for fine in [
            answer(401, json, r#"{"message":"401 Unauthorized"}"#),
            answer(401, Some("application/JSON; charset=utf-8"), r#"{"message":"you are UNAUTHORIZED"}"#),
            answer(401, json, r#"{"message":401}"#),
        ] {
            assert!(is_gitlab(&fine), "{fine:?}");
        }
        for refused in [
            answer(200, json, r#"{"message":"401 Unauthorized"}"#),
            answer(401, Some("text/html"), r#"{"message":"401 Unauthorized"}"#),
            answer(401, None, r#"{"message":"401 Unauthorized"}"#),
            answer(401, json, r#"{"error":"no_token"}"#),
            answer(401, json, r#"["401 Unauthorized"]"#),
            answer(401, json, r#""401""#),
            answer(401, json, r#"{"message":"401"#),
            answer(401, json, ""),
        ] {
            assert!(!is_gitlab(&refused), "{refused:?}");
        }
    }

    #[test]
    fn an_answer_without_content_type_shows_a_question_mark() {
        let result = Ok(Answer { status: 404, content_type: None, date: None, body: Vec::new() });
        assert_eq!(
            answer("https://a", &result).to_string(),
            "FAIL  https://a/api/v4/version returned HTTP 404 (Content-Type: ?) — does not look like a GitLab API. Wrong \
             GITLAB_URL?"
        );
    }
}

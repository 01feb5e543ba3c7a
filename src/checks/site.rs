//! What the outside of a site must show to a user: a chain that verifies and a sign-in page. Reads two pages, signs
//! nobody in. What needs the forge or git is joined by the command line.

use crate::catalogue;
use crate::egress::{Answer, Egress, EgressError};
use crate::smoke::Line;
use crate::text::line;
use crate::trust::{Trust, TrustError};

/// Where people sign in.
const SIGN_IN: &str = "/sign-in";

/// Asks the site at `url` for its sign-in page, over a chain that must verify with `trust`. Over plain http there is no
/// chain to speak of, and no line about one.
pub async fn outside(url: &str, trust: Result<Trust, TrustError>, say: &mut dyn FnMut(Line)) {
    let trust = match trust {
        Ok(trust) => trust,
        Err(error) => {
            return say(Line::fail(&catalogue::SITE_TLS, format!("no CA to verify {} with: {error}", line(url))));
        }
    };
    let result = match Egress::new(url, &trust) {
        Ok(egress) => egress.get(SIGN_IN).await,
        Err(error) => Err(error),
    };
    judge(url, &trust, &result).into_iter().for_each(say);
}

fn judge(url: &str, trust: &Trust, result: &Result<Answer, EgressError>) -> Vec<Line> {
    let shown = line(url);
    let answer = match result {
        Ok(answer) => answer,
        Err(EgressError::Tls { reason }) => {
            return vec![Line::fail(&catalogue::SITE_TLS, format!("TLS handshake to {shown} failed: {reason}"))];
        }
        Err(EgressError::Connect { reason }) => {
            return vec![Line::fail(&catalogue::SITE_CONNECT, format!("could not connect to {shown}: {reason}"))];
        }
        Err(EgressError::Request { reason }) => {
            return vec![Line::fail(&catalogue::SITE_PAGE, format!("request to {shown}{SIGN_IN} failed: {reason}"))];
        }
    };
    let mut lines = Vec::new();
    if url.starts_with("https://") {
        let text = format!("the TLS chain of {shown} verifies with {}", trust.path.display());
        lines.push(Line::ok(&catalogue::SITE_TLS, text));
    }
    lines.push(page(&format!("{shown}{SIGN_IN}"), answer));
    lines
}

fn page(target: &str, answer: &Answer) -> Line {
    let content_type = answer.content_type.as_deref().unwrap_or("?");
    let body = String::from_utf8_lossy(&answer.body);
    let is_form = body.contains("<form") && body.contains("type=\"password\"");
    if answer.status == 200 && content_type.starts_with("text/html") && is_form {
        return Line::ok(&catalogue::SITE_PAGE, format!("{target} shows the sign-in form"));
    }
    let text = format!(
        "{target} returned HTTP {} (Content-Type: {content_type}) without a sign-in form — is another service there?",
        answer.status
    );
    Line::fail(&catalogue::SITE_PAGE, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_page_with_a_password_field_is_a_sign_in_page() {
        let answer = |status: u16, kind: &str, body: &str| Answer {
            status,
            content_type: Some(kind.into()),
            date: None,
            body: body.as_bytes().to_vec(),
        };
        let form = r#"<form><input type="password"></form>"#;
        assert_eq!(
            page("T", &answer(200, "text/html; charset=utf-8", form)).to_string(),
            "OK    T shows the sign-in form"
        );
        for refused in [
            answer(200, "text/html", "<h1>Welcome to nginx</h1>"),
            answer(200, "application/json", form),
            answer(503, "text/html", form),
        ] {
            assert!(page("T", &refused).to_string().starts_with("FAIL  T returned HTTP"), "{refused:?}");
        }
    }
}

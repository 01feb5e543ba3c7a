//! Reads an `Authorization: Basic` header. Knows no account: who the credentials belong to is the forge's to say.

use axum::http::{HeaderMap, header};
use base::Secret;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

/// Name and secret as a Git client sends them.
#[derive(Debug)]
pub(crate) struct Credentials {
    /// The user name; may be empty.
    pub(crate) name: String,
    /// A password or a token.
    pub(crate) secret: Secret<String>,
}

/// Why the header holds no credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the Authorization header is not one of the Basic scheme")]
pub(crate) struct BasicError;

/// The request's credentials; `None` when it carries none. Fails on more than one header, another scheme, text that is
/// not base64 of UTF-8, and more than 1,024 bytes.
pub(crate) fn credentials(headers: &HeaderMap) -> Result<Option<Credentials>, BasicError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() || value.len() > 1024 {
        return Err(BasicError);
    }
    let (scheme, encoded) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(BasicError)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(BasicError);
    }
    let encoded = encoded.trim();
    let bytes = STANDARD.decode(encoded).or_else(|_| STANDARD_NO_PAD.decode(encoded)).map_err(|_| BasicError)?;
    let text = String::from_utf8(bytes).map_err(|_| BasicError)?;
    let (name, secret) = text.split_once(':').ok_or(BasicError)?;
    Ok(Some(Credentials { name: name.to_owned(), secret: Secret::new(secret.to_owned()) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Result<Option<Credentials>, BasicError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        credentials(&headers)
    }

    #[test]
    fn headers_of_another_shape_are_refused() {
        for value in ["Basic", "Basic !!!", "Bearer YTpi", "Basic YQ==", "Basic /w==", ""] {
            assert_eq!(read(value).unwrap_err(), BasicError, "{value}");
        }
        assert!(read(&format!("Basic {}", "YTpi".repeat(400))).is_err());
        let mut twice = HeaderMap::new();
        twice.append(header::AUTHORIZATION, "Basic YTpi".parse().unwrap());
        twice.append(header::AUTHORIZATION, "Basic YTpi".parse().unwrap());
        assert!(credentials(&twice).is_err());
    }

    #[test]
    fn a_colon_belongs_to_the_secret() {
        let found = read("basic YWxpY2U6YTpi").unwrap().unwrap();
        assert_eq!((found.name.as_str(), found.secret.expose().as_str()), ("alice", "a:b"));
        assert!(credentials(&HeaderMap::new()).unwrap().is_none());
    }
}

//! What an image is called when the engine is asked for it: a name with a tag, a digest, or an id. Parsed once, at the edge,
//! so that no text of anybody's reaches the engine's URL as anything else.

use std::fmt;

/// The longest name that is taken, in bytes.
const LONGEST: usize = 255;

/// A text that names no image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` does not name an image")]
pub struct ReferenceError(String);

/// The name, with a tag or a digest, or the id of an image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference(String);

impl Reference {
    /// Reads `name`, `name:tag`, `host:port/name:tag`, `name@sha256:…` or `sha256:…`. A bare name is the one tagged `latest`.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let shown: String = text.chars().filter(|sign| !sign.is_control()).take(LONGEST).collect();
        let refused = || ReferenceError(shown.clone());
        if text.is_empty() || text.len() > LONGEST {
            return Err(refused());
        }
        if text.starts_with("sha256:") {
            return if is_digest(text) { Ok(Self(text.into())) } else { Err(refused()) };
        }
        let (name, digest) = text.split_once('@').map_or((text, None), |(name, digest)| (name, Some(digest)));
        let (name, tag) = split_tag(name);
        let is_good = name.split('/').enumerate().all(|(place, part)| is_part(part, place == 0 && name.contains('/')))
            && tag.is_none_or(is_tag)
            && digest.is_none_or(is_digest);
        if !is_good {
            return Err(refused());
        }
        let is_bare = tag.is_none() && digest.is_none();
        Ok(Self(if is_bare { format!("{text}:latest") } else { text.into() }))
    }

    /// As the engine takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Name and tag; `None` for an id or a digest.
    pub fn tagged(&self) -> Option<(&str, &str)> {
        if self.0.starts_with("sha256:") || self.0.contains('@') {
            return None;
        }
        let (name, tag) = split_tag(&self.0);
        tag.map(|tag| (name, tag))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// A colon behind the last slash begins the tag; one before it a port.
fn split_tag(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once(':') {
        Some((before, tag)) if !tag.contains('/') => (before, Some(tag)),
        _ => (name, None),
    }
}

/// A part of a name; the first of several may be a host with a port.
fn is_part(part: &str, is_first: bool) -> bool {
    let is_host = is_first && (part.contains(['.', ':']) || part == "localhost");
    if !is_host {
        return is_component(part);
    }
    let (host, port) = part.split_once(':').map_or((part, None), |(host, port)| (host, Some(port)));
    host.split('.').all(is_label)
        && port.is_none_or(|port| port.len() <= 5 && !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A label of a host: letters, digits, and `-` between them.
fn is_label(label: &str) -> bool {
    let is_edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    is_edge(label.bytes().next())
        && is_edge(label.bytes().next_back())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Lower-case letters and digits; between them one `.`, one or two `_`, or any number of `-`, as engines take it.
fn is_component(part: &str) -> bool {
    let is_inner = |sign: char| sign.is_ascii_lowercase() || sign.is_ascii_digit();
    let is_edge = |sign: Option<char>| sign.is_some_and(is_inner);
    let is_separator = |text: &str| matches!(text, "" | "." | "_" | "__") || text.bytes().all(|byte| byte == b'-');
    is_edge(part.chars().next()) && is_edge(part.chars().next_back()) && part.split(is_inner).all(is_separator)
}

/// Says whether `text` is a tag: at most 128 letters, digits, `_`, `.` and `-`, none of the last two first.
pub fn is_tag(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= 128
        && text.bytes().next().is_some_and(is_word)
        && text.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
}

/// Says whether `text` is `sha256:` and 64 lower-case hexadecimal digits.
pub fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_images_are_taken() {
        let hex = "a".repeat(64);
        let (id, digest) = (format!("sha256:{hex}"), format!("a/b@sha256:{hex}"));
        let cases = [
            ("gitgrit-app", "gitgrit-app:latest", Some(("gitgrit-app", "latest"))),
            ("gitgrit-app:v1.0_rc-1", "gitgrit-app:v1.0_rc-1", Some(("gitgrit-app", "v1.0_rc-1"))),
            ("docker.io/library/a:1", "docker.io/library/a:1", Some(("docker.io/library/a", "1"))),
            ("localhost:5000/a", "localhost:5000/a:latest", Some(("localhost:5000/a", "latest"))),
            ("Registry.example:5000/a/b:2", "Registry.example:5000/a/b:2", Some(("Registry.example:5000/a/b", "2"))),
            ("b--c/a__b.c:1", "b--c/a__b.c:1", Some(("b--c/a__b.c", "1"))),
            (id.as_str(), id.as_str(), None),
            (digest.as_str(), digest.as_str(), None),
        ];
        for (text, whole, tagged) in cases {
            let reference = Reference::parse(text).unwrap();
            assert_eq!((reference.as_str(), reference.tagged()), (whole, tagged), "{text}");
        }
    }

    #[test]
    fn what_could_be_more_than_a_name_is_refused() {
        let long = "a".repeat(256);
        let cases = [
            "",
            "a b",
            "a?force=1",
            "a#b",
            "a/../b",
            "../a",
            "/a",
            "a/",
            "a//b",
            "a:",
            "a:-1",
            "a:b:c",
            "A",
            "a%2fb",
            "a\nb",
            "-a",
            "a@b",
            "a@sha256:00",
            "sha256:",
            "sha256:zz",
            "é",
            &long,
            ":1",
            "a&names=b",
            "a._b",
            "a___b",
            "a.-b/c",
            "host.:5000/a",
            "ho_st.example/a",
            "Host/a",
        ];
        for text in cases {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
    }
}

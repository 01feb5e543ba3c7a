//! How a registry wants to be told who asks: its `WWW-Authenticate`, read as text of somebody hostile. Opens no connection, and judges
//! nothing.
//!
//! <https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1>, and for the parameters of `Bearer`
//! <https://distribution.github.io/distribution/spec/auth/token>.

/// How much of it is read in all, in bytes.
const LONGEST: usize = 4096;

/// A way to say who asks that is spoken here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// User and password, to the registry itself.
    Basic,
    /// A token of a service.
    Bearer {
        /// Where it is asked for.
        realm: String,
        /// What the registry is called there.
        service: Option<String>,
    },
}

/// What is named of the ways that are spoken here, in its order; `None` for what does not parse.
pub(crate) fn read<'h>(headers: impl Iterator<Item = &'h [u8]>) -> Option<Vec<Challenge>> {
    let whole = headers.collect::<Vec<_>>().join(&b", "[..]);
    // Other challenges may hold what is no ASCII, within quotation marks.
    let is_plain = |sign: &u8| matches!(sign, b' '..=b'~' | b'\t' | 0x80..);
    if whole.len() > LONGEST || !whole.iter().all(is_plain) {
        return None;
    }
    let text = String::from_utf8_lossy(&whole);
    let mut rest = Text(&text);
    let mut found: Vec<(String, Vec<(String, String)>)> = Vec::new();
    loop {
        rest.skip(&[' ', '\t', ',']);
        if rest.0.is_empty() {
            break;
        }
        let word = rest.word()?;
        let mut after = Text(rest.0);
        after.skip(&[' ', '\t']);
        let Some(value) = after.0.strip_prefix('=') else {
            found.push((word, Vec::new()));
            continue;
        };
        rest = Text(value);
        rest.skip(&[' ', '\t']);
        let value = rest.value()?;
        let (_, parameters) = found.last_mut()?;
        if parameters.iter().any(|(name, _)| *name == word) {
            return None;
        }
        parameters.push((word, value));
    }
    let (mut spoken, mut is_puzzling) = (Vec::new(), false);
    for (scheme, parameters) in found {
        let mut parameters = parameters.into_iter();
        match scheme.as_str() {
            "basic" => spoken.push(Challenge::Basic),
            "bearer" => {
                let service = parameters.clone().find(|(name, _)| name == "service").map(|(_, value)| value);
                let realm = parameters.find(|(name, _)| name == "realm").map(|(_, realm)| realm);
                match realm
                    .filter(|realm| realm.is_ascii() && service.as_ref().is_none_or(|service| service.is_ascii()))
                {
                    Some(realm) => spoken.push(Challenge::Bearer { realm, service }),
                    None => is_puzzling = true,
                }
            }
            _ => {}
        }
    }
    (!is_puzzling || !spoken.is_empty()).then_some(spoken)
}

/// What is still to be read.
struct Text<'t>(&'t str);

impl Text<'_> {
    fn skip(&mut self, signs: &[char]) {
        self.0 = self.0.trim_start_matches(signs);
    }

    /// A scheme's or a parameter's name, in lower case, or what of other schemes stands in such a place.
    fn word(&mut self) -> Option<String> {
        let is_inner = |sign: char| sign.is_ascii_alphanumeric() || "!#$%&'*+-./^_`|~".contains(sign);
        let end = self.0.find(|sign| !is_inner(sign)).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at_checked(end).filter(|(word, _)| !word.is_empty())?;
        self.0 = rest;
        Some(word.to_ascii_lowercase())
    }

    /// A parameter's value, within quotation marks or without.
    fn value(&mut self) -> Option<String> {
        let Some(quoted) = self.0.strip_prefix('"') else {
            let end = self.0.find([' ', '\t', ',']).unwrap_or(self.0.len());
            let (value, rest) = self.0.split_at_checked(end)?;
            self.0 = rest;
            return Some(value.to_owned());
        };
        let mut value = String::new();
        let mut signs = quoted.chars();
        loop {
            match signs.next()? {
                '"' => break,
                '\\' => value.push(signs.next()?),
                sign => value.push(sign),
            }
        }
        self.0 = signs.as_str();
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(headers: &[&str]) -> Option<Vec<Challenge>> {
        read(headers.iter().map(|header| header.as_bytes()))
    }

    fn bearer(realm: &str, service: Option<&str>) -> Challenge {
        Challenge::Bearer { realm: realm.into(), service: service.map(str::to_owned) }
    }

    #[test]
    fn what_registries_send_is_read() {
        let site = || bearer("https://a.site/jwt/auth", Some("container_registry"));
        let one = r#"Bearer realm="https://a.site/jwt/auth",service="container_registry""#;
        for (headers, found) in [
            (&[][..], vec![]),
            (&[r#"Basic realm="it""#], vec![Challenge::Basic]),
            (&["Basic"], vec![Challenge::Basic]),
            (&[one], vec![site()]),
            (
                &[
                    r#"Bearer realm="https://a.site/jwt/auth",service="container_registry",scope="repository:a/b:pull,push",error="invalid_token""#,
                ],
                vec![site()],
            ),
            (&[r#"bEARER service=container_registry , REALM = "https://a.site/jwt/auth""#], vec![site()]),
            (&[one, r#"Basic realm="Gitea""#], vec![site(), Challenge::Basic]),
            (
                &[r#"Basic realm="a, Bearer realm=b", Bearer realm="https://a/t?x=\"1\"""#],
                vec![Challenge::Basic, bearer("https://a/t?x=\"1\"", None)],
            ),
            (&["Negotiate YII==, Basic realm=x"], vec![Challenge::Basic]),
            (&["Negotiate ab/c==", "Basic realm=\"Gesch\u{fc}tzt\""], vec![Challenge::Basic]),
            (&["Bearer", "Basic realm=x"], vec![Challenge::Basic]),
        ] {
            assert_eq!(read_all(headers), Some(found), "{headers:?}");
        }
    }

    #[test]
    fn what_does_not_parse_is_nothing() {
        let long = format!(r#"Bearer realm="https://{}""#, "a".repeat(LONGEST));
        for header in [
            "Bearer",
            r#"Bearer service="x""#,
            r#"Bearer realm="https://a"#,
            r#"Bearer realm="https://a\"#,
            r#"Bearer realm="https://a",realm="https://b""#,
            r#"realm="https://a""#,
            "Bearer realm=\"https://\u{e9}\"",
            "Bearer realm=\"https://a\u{7f}\"",
            "(",
            "Bearer realm=\"a\";x",
            &long,
        ] {
            assert_eq!(read_all(&[header]), None, "{header}");
        }
    }
}

//! Which paths a list of patterns names. `*` stands for anything but `/`, `**` for anything; `!` in front keeps what an
//! earlier pattern named. Knows texts alone.

/// A list of patterns; the last one that fits decides.
#[derive(Clone, Debug, Default)]
pub struct Patterns(Vec<(bool, String)>);

impl Patterns {
    /// The patterns of these lists, one after the other. They are absolute; the paths asked for have no slash in front.
    pub fn new<'a>(lists: impl IntoIterator<Item = &'a [String]>) -> Self {
        let read = |text: &String| match text.strip_prefix('!') {
            Some(kept) => (false, kept.trim_start_matches('/').to_owned()),
            None => (true, text.trim_start_matches('/').to_owned()),
        };
        Self(lists.into_iter().flatten().map(read).collect())
    }

    /// Says whether the list names `path`.
    pub fn names(&self, path: &str) -> bool {
        let fits = |(_, pattern): &&(bool, String)| fits(pattern.as_bytes(), path.as_bytes());
        self.0.iter().rev().find(fits).is_some_and(|(is_named, _)| *is_named)
    }
}

fn fits(pattern: &[u8], path: &[u8]) -> bool {
    match pattern {
        [] => path.is_empty(),
        [b'*', b'*', rest @ ..] => (0..=path.len()).any(|taken| fits(rest, &path[taken..])),
        [b'*', rest @ ..] => {
            let most = path.iter().position(|byte| *byte == b'/').unwrap_or(path.len());
            (0..=most).any(|taken| fits(rest, &path[taken..]))
        }
        [first, rest @ ..] => path.split_first().is_some_and(|(found, left)| found == first && fits(rest, left)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_exceptions() {
        let list = ["/usr/share/doc/**", "!/usr/share/doc/*/copyright", "/etc/*-", "**.pyc"].map(String::from);
        let patterns = Patterns::new([&list[..]]);
        let cases = [
            ("usr/share/doc/git/README", true),
            ("usr/share/doc/git/copyright", false),
            ("usr/share/doc/git/more/copyright", true),
            ("usr/share/docs", false),
            ("etc/shadow-", true),
            ("etc/a/shadow-", false),
            ("usr/lib/python3/x.pyc", true),
            ("usr/lib/python3/x.pyc.txt", false),
        ];
        for (path, is_named) in cases {
            assert_eq!(patterns.names(path), is_named, "{path}");
        }
    }
}

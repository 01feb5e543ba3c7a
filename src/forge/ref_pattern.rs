//! Patterns of ref names: `*` for any signs but a slash, `**` for any signs, `?` for one sign but a slash. Matched in a time
//! that grows with pattern and name alone: no pattern can keep a push waiting.

/// The longest pattern, in characters.
const LONGEST: usize = 200;

/// A pattern that parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefPattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Sign(char),
    AnySign,
    AnySigns,
    Anything,
}

impl RefPattern {
    /// Reads a pattern of short names: `main`, `release/*`, `v**`. The error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let is_odd = |sign: char| sign.is_control() || sign.is_whitespace() || r"~^:\[".contains(sign);
        if text.is_empty() {
            return Err("must not be empty".into());
        }
        if text.chars().count() > LONGEST {
            return Err(format!("must have at most {LONGEST} characters"));
        }
        if let Some(odd) = text.chars().find(|sign| is_odd(*sign)) {
            return Err(format!("holds `{}`, which no name of a branch or tag has", odd.escape_default()));
        }
        if text.starts_with("refs/") || text.starts_with('/') || text.ends_with('/') {
            return Err("must be a short name, as in `main` or `release/*`".into());
        }
        let mut parts = Vec::with_capacity(text.len());
        for sign in text.chars() {
            match (sign, parts.last()) {
                ('*', Some(Part::AnySigns)) => {
                    parts.pop();
                    parts.push(Part::Anything);
                }
                // Three and more are no more than two.
                ('*', Some(Part::Anything)) => {}
                ('*', _) => parts.push(Part::AnySigns),
                ('?', _) => parts.push(Part::AnySign),
                (sign, _) => parts.push(Part::Sign(sign)),
            }
        }
        Ok(Self { text: text.into(), parts })
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Says whether the short name `name` fits.
    pub(crate) fn fits(&self, name: &str) -> bool {
        // One truth for each place in the pattern that may have been reached; the last is the end.
        let mut reached = vec![false; self.parts.len() + 1];
        if let Some(first) = reached.first_mut() {
            *first = true;
        }
        self.skip(&mut reached);
        for sign in name.chars() {
            let mut next = vec![false; reached.len()];
            for (place, part) in self.parts.iter().enumerate() {
                if !reached.get(place).is_some_and(|reached| *reached) {
                    continue;
                }
                let to = match part {
                    Part::Sign(wanted) if *wanted == sign => place + 1,
                    Part::AnySign if sign != '/' => place + 1,
                    Part::AnySigns if sign != '/' => place,
                    Part::Anything => place,
                    _ => continue,
                };
                if let Some(to) = next.get_mut(to) {
                    *to = true;
                }
            }
            self.skip(&mut next);
            reached = next;
        }
        reached.last().is_some_and(|is_at_end| *is_at_end)
    }

    /// How close a pattern is to one name: an exact one before all others, then the one with more signs of its own.
    pub(crate) fn closeness(&self) -> (bool, usize) {
        let own = self.parts.iter().filter(|part| matches!(part, Part::Sign(_))).count();
        (own == self.parts.len(), own)
    }

    /// Stars also stand for nothing at all.
    fn skip(&self, reached: &mut [bool]) {
        for (place, part) in self.parts.iter().enumerate() {
            let is_star = matches!(part, Part::AnySigns | Part::Anything);
            if is_star
                && reached.get(place).is_some_and(|reached| *reached)
                && let Some(behind) = reached.get_mut(place + 1)
            {
                *behind = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, name: &str) -> bool {
        RefPattern::parse(pattern).unwrap().fits(name)
    }

    #[test]
    fn a_star_stops_at_a_slash_and_two_do_not() {
        for (pattern, inside, outside) in [
            ("main", &["main"][..], &["Main", "main2", "ma", "x/main", ""][..]),
            ("release/*", &["release/1", "release/"], &["release/1/2", "release", "prerelease/1"]),
            ("release/**", &["release/1", "release/1/2"], &["release", "prerelease/1"]),
            ("*", &["main", ""], &["a/b"]),
            ("**", &["main", "a/b/c"], &[]),
            ("**/hotfix", &["a/hotfix", "a/b/hotfix"], &["hotfix", "a/hotfix/b"]),
            ("v?.*", &["v1.0", "v2."], &["v10.0", "v/.0"]),
            ("a*b*c", &["abc", "axxbyyc"], &["ab", "axxbyy"]),
            ("a***b", &["ab", "a/x/b"], &["a", "b"]),
            ("ä?", &["äö"], &["ä", "äöö"]),
        ] {
            for name in inside {
                assert!(fits(pattern, name), "{pattern} {name}");
            }
            for name in outside {
                assert!(!fits(pattern, name), "{pattern} {name}");
            }
        }
    }

    #[test]
    fn what_fits_no_name_is_no_pattern() {
        let long = "a".repeat(LONGEST + 1);
        for text in ["", "  ", "refs/heads/main", "/main", "main/", "a b", "a\u{1b}", "a:b", "[ab]", r"a\*", &long] {
            assert!(RefPattern::parse(text).is_err(), "{text}");
        }
    }

    /// A regular expression of this kind keeps a backtracking engine busy for longer than the sun will shine (CVE-2026-58421).
    #[test]
    fn no_pattern_keeps_a_push_waiting() {
        let pattern = RefPattern::parse(&"a*".repeat(LONGEST / 2)).unwrap();
        let begun = std::time::Instant::now();
        assert!(!pattern.fits(&format!("{}/b", "a".repeat(4_000))));
        assert!(begun.elapsed() < std::time::Duration::from_secs(5));
    }
}

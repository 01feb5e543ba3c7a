//! Patterns of ref names: `*` for any signs but a slash, `**` for any signs, `?` for one sign but a slash. Matched in a time
//! that grows with pattern and name alone: no pattern can keep a push waiting.

/// The longest pattern, in characters: a bit for each, and one for the end.
const LONGEST: usize = 127;

/// A pattern that parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefPattern {
    text: String,
    parts: Vec<Part>,
    marks: Marks,
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
        let marks = Marks::of(&parts);
        Ok(Self { text: text.into(), parts, marks })
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Says whether the short name `name` fits.
    pub(crate) fn fits(&self, name: &str) -> bool {
        // One bit for each place in the pattern that may have been reached; the last is the end.
        let mut reached = self.marks.behind_stars(1);
        for sign in name.chars() {
            reached = self.marks.step(reached, sign);
            if reached == 0 {
                return false;
            }
        }
        (reached >> self.parts.len()) & 1 == 1
    }

    /// How close a pattern is to one name: an exact one before all others, then the one with more signs of its own.
    pub(crate) fn closeness(&self) -> (bool, usize) {
        let own = self.parts.iter().filter(|part| matches!(part, Part::Sign(_))).count();
        (own == self.parts.len(), own)
    }
}

/// The parts of a pattern as bits, the first part the lowest, so that one sign of a name costs a few steps however long
/// the pattern is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Marks {
    /// Where each sign stands, by sign.
    signs: Vec<(char, u128)>,
    any_sign: u128,
    any_signs: u128,
    anything: u128,
}

impl Marks {
    fn of(parts: &[Part]) -> Self {
        let mut marks = Self::default();
        for (place, part) in parts.iter().enumerate() {
            let bit: u128 = 1 << place;
            match part {
                Part::AnySign => marks.any_sign |= bit,
                Part::AnySigns => marks.any_signs |= bit,
                Part::Anything => marks.anything |= bit,
                Part::Sign(sign) => match marks.signs.binary_search_by_key(sign, |(sign, _)| *sign) {
                    Ok(at) => marks.signs.get_mut(at).map_or((), |(_, places)| *places |= bit),
                    Err(at) => marks.signs.insert(at, (*sign, bit)),
                },
            }
        }
        marks
    }

    fn step(&self, reached: u128, sign: char) -> u128 {
        let found = self.signs.binary_search_by_key(&sign, |(sign, _)| *sign).ok();
        let own = found.and_then(|at| self.signs.get(at)).map_or(0, |(_, places)| *places);
        let is_slash = sign == '/';
        let on = own | if is_slash { 0 } else { self.any_sign };
        let stay = self.anything | if is_slash { 0 } else { self.any_signs };
        self.behind_stars(((reached & on) << 1) | (reached & stay))
    }

    /// Stars also stand for nothing at all; no two of them stand beside each other.
    const fn behind_stars(&self, reached: u128) -> u128 {
        reached | ((reached & (self.any_signs | self.anything)) << 1)
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
        let name = format!("{}/b", "a".repeat(200));
        // Of each of many refs against each of many patterns.
        assert!((0..20_000).all(|_| !pattern.fits(&name)));
        assert!(begun.elapsed() < std::time::Duration::from_secs(20));
        assert!(fits(&"a".repeat(LONGEST), &"a".repeat(LONGEST)) && fits(&"*a".repeat(63), &"ba".repeat(63)));
    }
}

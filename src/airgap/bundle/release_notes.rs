//! The lines of the release notes that somebody has to act on. Markdown in, whole sentences out.

/// The most lines that are given, and the longest, in characters.
const MOST: usize = 200;
const LONGEST: usize = 2000;

/// The entries of `CHANGELOG.md` that say that they break something: those that begin with `Breaking:`, and those under a
/// heading with that word. Of the newest release alone, or of all.
pub(crate) fn breaking(text: &str, is_newest: bool) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let (mut releases, mut is_under, mut is_open) = (0, false, false);
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix('#') {
            is_open = false;
            if !heading.starts_with('#') {
                continue;
            }
            let level = heading.chars().take_while(|sign| *sign == '#').count();
            releases += usize::from(level == 1);
            is_under = heading.to_ascii_lowercase().contains("breaking") || (is_under && level > 2);
            if is_newest && releases > 1 {
                break;
            }
        } else if let Some(entry) = line.strip_prefix("* ").or_else(|| line.strip_prefix("- ")) {
            let word = entry.trim_start_matches(['*', '_']).to_ascii_lowercase();
            is_open = is_under || word.starts_with("breaking");
            if is_open {
                found.push(entry.trim().to_owned());
            }
        } else if line.trim().is_empty() {
            is_open = false;
        } else if is_open && let Some(entry) = found.last_mut() {
            entry.push(' ');
            entry.push_str(line.trim());
        }
    }
    let plain = |entry: String| entry.chars().filter(|sign| !sign.is_control()).take(LONGEST).collect();
    found.into_iter().take(MOST).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTES: &str = "# Changelog\n\n## 2.0\n\n### Breaking\n\n* The setting A is gone;\n  use B instead.\n* C\u{1b}[2J too.\n\n\
                         ### Added\n\n* Something.\n* **Breaking:** the port is another.\n\n## 1.0\n\n* Breaking: everything.\n";

    #[test]
    fn what_breaks_is_given_in_whole_sentences() {
        let newest = ["The setting A is gone; use B instead.", "C[2J too.", "**Breaking:** the port is another."];
        assert_eq!(breaking(NOTES, true), newest);
        assert_eq!(breaking(NOTES, false), [&newest[..], &["Breaking: everything."]].concat());
        assert!(breaking("no headings\n* nothing breaks\n", true).is_empty());
    }
}

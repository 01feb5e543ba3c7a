//! What of a file a report must not repeat: secrets, whatever we know nothing about, and each value that holds one of these.
//! The one place that decides it, for findings and for comparisons.

use std::collections::{BTreeMap, BTreeSet};

use base::envfile::Values;
use base::settings::{REGISTRY, Rule};

use crate::compose::Reading;
use crate::text::{distance, has_credentials, line};

/// The shortest private value that is looked for inside others, in bytes: shorter ones are everywhere.
const SHORTEST: usize = 6;

/// The longest value that is repeated at all, in bytes.
const LONGEST: usize = 400;

/// Beginnings of names that Docker and Compose read from the same file.
const FOREIGN: [&str; 2] = ["COMPOSE_", "DOCKER_"];

/// The private values of one file. Holds secrets, so it has no `Debug`.
#[derive(Clone, Default)]
pub(crate) struct Private {
    values: BTreeSet<String>,
    secrets: BTreeSet<String>,
    mixed: BTreeSet<String>,
}

impl Private {
    /// Learns what the values of one reading make private.
    pub(crate) fn learn(&mut self, values: &Values) {
        for name in values.names() {
            let Some(value) = values.get(name).filter(|value| value.len() >= SHORTEST) else { continue };
            if is_secret(name) {
                self.secrets.insert(value.into());
            }
            if value.len() <= LONGEST && is_private(name, value) {
                self.values.insert(value.into());
            }
        }
    }

    /// Learns which names have values that are put together from others.
    pub(crate) fn mix(&mut self, names: impl IntoIterator<Item = String>) {
        self.mixed.extend(names);
    }

    /// Learns secrets that are kept elsewhere.
    pub(crate) fn keep(&mut self, stored: &BTreeMap<String, String>) {
        self.learn(&stored.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect());
    }

    /// Says whether the value of `name` must not be repeated, whole or in part.
    pub(crate) fn hides(&self, name: &str, value: &str) -> bool {
        let is_piece = |secret: &String| value.len() >= SHORTEST && secret.contains(value);
        value.len() > LONGEST
            || is_private(name, value)
            || self.mixed.contains(name)
            || self.values.iter().any(|private| private.len() <= value.len() && value.contains(private.as_str()))
            || self.secrets.iter().any(is_piece)
    }
}

/// Says whether a name may be repeated: one of ours, or nearly, or Docker's. Any other may be a line of a cut secret.
pub(crate) fn is_told(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
    let is_foreign = is_foreign(name) && name.len() <= 40 && name.bytes().all(is_letter);
    is_foreign || base::settings::find(name).is_some() || nearest(name).is_some()
}

/// Says whether Docker or Compose may read this name.
pub(crate) fn is_foreign(name: &str) -> bool {
    FOREIGN.iter().any(|start| name.starts_with(start))
}

/// The setting that an unknown name was most likely meant to be.
pub(crate) fn nearest(name: &str) -> Option<&'static str> {
    const EDITS: usize = 3;
    let length = name.chars().take(64).count();
    let upper = name.to_uppercase();
    let is_alike = |known: &str| known.len().abs_diff(length) <= EDITS;
    let near = REGISTRY.iter().map(|setting| setting.name).filter(|known| is_alike(known));
    let (edits, near) = near.map(|known| (distance(&upper, known), known)).min()?;
    (edits <= EDITS && edits * 2 < length).then_some(near)
}

/// How a report calls a name: by itself where it may, else by its line.
pub(crate) fn shown(name: &str, reading: &Reading) -> String {
    if is_told(name) {
        return line(name);
    }
    match reading.lines.get(name).and_then(|lines| lines.last()) {
        Some(line) => format!("line {line}"),
        None => "a name".into(),
    }
}

fn is_secret(name: &str) -> bool {
    let rule = base::settings::find(name).map(|setting| setting.rule);
    matches!(rule, Some(Rule::Secret(_) | Rule::Fernet)) || name == "DB_PASSWORD"
}

/// By its name and by itself: secrets, and whatever we know nothing about.
fn is_private(name: &str, value: &str) -> bool {
    let Some(setting) = base::settings::find(name) else { return true };
    is_secret(name) || matches!(setting.rule, Rule::DatabaseUrl | Rule::RedisUrl) || has_credentials(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_private_by_its_name_by_itself_and_by_what_it_holds() {
        let values: Values =
            [("SECRET_KEY", "hunter2CANARY"), ("MINE", "abcdef"), ("ODD", "abc")].into_iter().collect();
        let mut private = Private::default();
        private.learn(&values);
        private.mix(["TAG".to_owned()]);
        for (name, value, expected) in [
            ("SECRET_KEY", "x", true),
            ("NO_SETTING", "x", true),
            ("DATABASE_URL", "x", true),
            ("TAG", "1.2", true),
            ("APP_PORT", "3000", false),
            ("APP_PORT", "xhunter2CANARYx", true),
            ("APP_PORT", "CANARY", true),
            ("APP_PORT", "abcdefg", true),
            ("APP_PORT", "abcde", false),
            ("SITE_URL", "https://forge.acme.internal", false),
            ("SITE_URL", "https://u:a#b@h", true),
            ("SITE_URL", "https://u:12/hunter2@h", true),
            ("POSTGRES_USER", &"x".repeat(401), true),
        ] {
            assert_eq!(private.hides(name, value), expected, "{name}={value}");
        }
    }

    #[test]
    fn only_names_that_are_nearly_ours_are_told() {
        for (name, expected) in [
            ("SITE_URL", true),
            ("SITE_ULR", true),
            ("site_url", true),
            ("COMPOSE_PROJECT_NAME", true),
            ("COMPOSE_hunter2", false),
            ("ABCDEFGHSECRETTAIL", false),
            ("abcdEFGHsecretTail", false),
            ("FROBNICATE", false),
            ("", false),
        ] {
            assert_eq!(is_told(name), expected, "{name}");
        }
    }
}

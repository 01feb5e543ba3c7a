//! Compares the settings of two files. Of a secret it says whether both are equal, never what they are.

use std::collections::BTreeSet;

use base::envfile::Values;
use serde::Serialize;

use crate::env_read::is_private;

/// How a name stands in two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Both have the same value.
    Equal,
    /// Both have a value, not the same.
    Differs,
    /// Only the first file sets it.
    OnlyLeft,
    /// Only the second file sets it.
    OnlyRight,
}

/// One name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The variable.
    pub name: String,
    /// How it stands.
    pub change: Change,
    /// Says whether the values are kept back.
    pub is_secret: bool,
    /// The first file's value, where it may be shown.
    pub left: Option<String>,
    /// The second file's value, where it may be shown.
    pub right: Option<String>,
}

/// Every name that differs, and every secret that both have, sorted by name.
pub fn diff(left: &Values, right: &Values) -> Vec<Difference> {
    let names: BTreeSet<&str> = left.names().chain(right.names()).collect();
    names.into_iter().filter_map(|name| one(name, left.get(name), right.get(name))).collect()
}

fn one(name: &str, left: Option<&str>, right: Option<&str>) -> Option<Difference> {
    let change = match (left, right) {
        (Some(left), Some(right)) if left == right => Change::Equal,
        (Some(_), Some(_)) => Change::Differs,
        (Some(_), None) => Change::OnlyLeft,
        _ => Change::OnlyRight,
    };
    let is_secret = [left, right].into_iter().flatten().any(|value| is_private(name, value));
    let shown = |value: Option<&str>| value.filter(|_| !is_secret).map(crate::text::line);
    (change != Change::Equal || is_secret).then(|| Difference {
        name: crate::text::line(name),
        change,
        is_secret,
        left: shown(left),
        right: shown(right),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_and_secrets_only_compared() {
        let left: Values =
            [("TAG", "1"), ("SECRET_KEY", "hunter2"), ("APP_PORT", "1"), ("MINE", "hunter2"), ("POSTGRES_USER", "a")]
                .into_iter()
                .collect();
        let right: Values =
            [("TAG", "2"), ("SECRET_KEY", "hunter2"), ("APP_PORT", "1"), ("MINE", "other"), ("POSTGRES_DB", "b")]
                .into_iter()
                .collect();
        let found = diff(&left, &right);
        let short: Vec<_> = found.iter().map(|found| (found.name.as_str(), found.change, found.is_secret)).collect();
        let expected = [
            ("MINE", Change::Differs, true),
            ("POSTGRES_DB", Change::OnlyRight, false),
            ("POSTGRES_USER", Change::OnlyLeft, false),
            ("SECRET_KEY", Change::Equal, true),
            ("TAG", Change::Differs, false),
        ];
        assert_eq!(short, expected);
        assert_eq!((found[4].left.as_deref(), found[4].right.as_deref()), (Some("1"), Some("2")));
        let said = format!("{found:?}{}", serde_json::to_string(&found).unwrap());
        assert!(!said.contains("hunter2") && !said.contains("other"), "{said}");
    }
}

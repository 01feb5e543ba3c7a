//! Compares the settings of two files. Of a secret it says whether both are equal, never what they are.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::env::Side;
use crate::env_private::{is_told, shown};
use crate::text::line;

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
pub fn diff(left: &Side, right: &Side) -> Vec<Difference> {
    let names: BTreeSet<&str> = [left, right].into_iter().flat_map(|side| side.reading.values.names()).collect();
    names.into_iter().filter_map(|name| one(name, left, right)).collect()
}

fn one(name: &str, left: &Side, right: &Side) -> Option<Difference> {
    let value = |side: &Side| side.reading.values.get(name).map(str::to_owned);
    let values = [value(left), value(right)];
    let change = match &values {
        [Some(left), Some(right)] if left == right => Change::Equal,
        [Some(_), Some(_)] => Change::Differs,
        [Some(_), None] => Change::OnlyLeft,
        _ => Change::OnlyRight,
    };
    // What is secret in one file is so in the other.
    let hides = |value: &String| [left, right].iter().any(|side| side.private.hides(name, value));
    let is_secret = values.iter().flatten().any(hides);
    if change == Change::Equal && !is_secret {
        return None;
    }
    let [left_value, right_value] = values.map(|value| value.filter(|_| !is_secret).map(|value| line(&value)));
    let name = called(name, left, right);
    Some(Difference { name, change, is_secret, left: left_value, right: right_value })
}

/// The name, or the line of one that may itself be a piece of a secret.
fn called(name: &str, left: &Side, right: &Side) -> String {
    let which = if left.reading.lines.contains_key(name) { (left, "first") } else { (right, "second") };
    let called = shown(name, &which.0.reading);
    if is_told(name) { called } else { format!("{called} of the {} file", which.1) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env_private::Private;

    fn side(text: &str) -> Side {
        let reading = crate::compose::read(text.as_bytes(), &|_| None).unwrap();
        let mut private = Private::default();
        private.learn(&reading.values);
        private.mix(reading.mixed.iter().cloned());
        Side { reading, private }
    }

    #[test]
    fn values_are_shown_and_secrets_only_compared() {
        let left = side("TAG=1\nSECRET_KEY=hunter2\nAPP_PORT=1\nMINE=hunter2\nPOSTGRES_USER=a\n");
        let right = side("TAG=2\nSECRET_KEY=hunter2\nAPP_PORT=1\nMINE=other\nPOSTGRES_DB=b\n");
        let found = diff(&left, &right);
        let short: Vec<_> = found.iter().map(|found| (found.name.as_str(), found.change, found.is_secret)).collect();
        let expected = [
            ("line 4 of the first file", Change::Differs, true),
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

    #[test]
    fn no_secret_is_shown_wherever_it_stands_in_either_file() {
        let right = side("POSTGRES_PASSWORD=hunter2CANARY\nTAG=1\n");
        for text in [
            "GITLAB_CLIENT_ID=x${POSTGRES_PASSWORD}\n",
            "A=hunter2\nGITLAB_CLIENT_ID=x$A\n",
            "TAG=xhunter2CANARY\n",
            "TAG=hunter2\n",
            "SITE_URL=https://u:a#hunter2@h\n",
            "TAG=postgres://u:hun/hunter2@h\n",
            "hunter2CANARY=1\n",
            "POSTGRES_PASSWORD='a\nb'\nHUNTER2=x\n",
        ] {
            let left = side(&format!("POSTGRES_PASSWORD=hunter2CANARY\n{text}"));
            for found in [diff(&left, &right), diff(&right, &left)] {
                let said = format!("{found:?}{}", serde_json::to_string(&found).unwrap()).to_lowercase();
                assert!(!found.is_empty() && !said.contains("hunter2"), "{text}: {said}");
            }
        }
    }
}

//! Rules for secrets: length, shape, and whether others can guess them. Says of a secret how long it is and no more.

use base::settings::Setting;
use base::{Finding, Severity};

use crate::catalogue;

/// The longest secret that is judged, in bytes.
const LONGEST: usize = 4096;

/// What stands in examples where a secret belongs, and what people choose. Long enough that chance does not write it.
const PLACEHOLDERS: [&str; 30] = [
    "changeme",
    "change-me",
    "change_me",
    "example",
    "placeholder",
    "password",
    "passwort",
    "passw0rd",
    "replace",
    "insecure",
    "secret",
    "random",
    "fill-in",
    "fill_in",
    "fillme",
    "gitgrit",
    "qwerty",
    "letmein",
    "welcome",
    "postgres",
    "default",
    "foobar",
    "12345678",
    "spring20",
    "spring!",
    "summer",
    "autumn",
    "winter",
    "<",
    "p@ssw",
];

/// Words that count only between signs that are no letters: chance writes such letters into a long secret.
const WORDS: [&str; 11] = ["your", "todo", "fixme", "test", "dummy", "admin", "root", "sample", "value", "here", "xxx"];

pub(crate) fn secret(setting: &Setting, value: &str, length: usize) -> Vec<Finding> {
    if let Some(long) = too_long(setting, value) {
        return vec![long];
    }
    let mut findings = Vec::new();
    let count = value.chars().count();
    if count < length {
        let message = format!("has {count} characters, and {length} are the least");
        findings.push(catalogue::ENV_SHORT.found(Severity::Error, setting.name, message));
    }
    findings.extend(placeholder(setting, value));
    findings.into_iter().map(|finding| Finding { fix: fix(setting.name, finding.fix), ..finding }).collect()
}

pub(crate) fn fernet(setting: &Setting, value: &str) -> Vec<Finding> {
    if !is_fernet(value) {
        let message = "is not 44 characters of URL-safe base64";
        return vec![catalogue::ENV_FERNET.found(Severity::Error, setting.name, message)];
    }
    let is_pattern = is_pattern(value.trim_end_matches('='));
    let weak = || catalogue::ENV_PLACEHOLDER.found(Severity::Error, setting.name, "repeats itself");
    let weak = is_pattern.then(weak).map(|finding| Finding { fix: catalogue::ENV_FERNET.fix.into(), ..finding });
    weak.into_iter().collect()
}

/// A secret that an example or a keyboard wrote. The word is not told: it may be the whole secret.
pub(crate) fn placeholder(setting: &Setting, value: &str) -> Option<Finding> {
    let lower = value.to_lowercase();
    let is_word = |word: &str| WORDS.contains(&word);
    let has_word = lower.split(|letter: char| !letter.is_ascii_alphanumeric()).any(is_word);
    let message = if has_word || PLACEHOLDERS.iter().any(|word| lower.contains(word)) {
        "holds a word that examples and people use"
    } else if is_pattern(value) {
        "repeats itself"
    } else {
        return None;
    };
    Some(catalogue::ENV_PLACEHOLDER.found(Severity::Error, setting.name, message))
}

fn too_long(setting: &Setting, value: &str) -> Option<Finding> {
    let message = || format!("has {} bytes, and {LONGEST} are the most", value.len());
    (value.len() > LONGEST).then(|| catalogue::ENV_LONG.found(Severity::Error, setting.name, message()))
}

/// Where another value comes from, and when it must stay: some secrets are known elsewhere too.
fn fix(name: &str, otherwise: String) -> String {
    let fresh = "before the first start, copy one from a fresh file: `gitgrit-ops env init new.env`";
    match name {
        "SECRET_KEY" => format!("{fresh}; a live site keeps its SECRET_KEY as it is"),
        "POSTGRES_PASSWORD" => format!(
            "{fresh}; an initialised database keeps its password until ALTER ROLE gives it the new one, so change both together"
        ),
        "GITLAB_CLIENT_SECRET" => {
            "copy the secret that GitLab shows for the OAuth application, or renew it there first".into()
        }
        _ => otherwise,
    }
}

/// Few different characters, one part over and over, or mostly neighbours as in `abcdef` and `87654`.
fn is_pattern(value: &str) -> bool {
    let bytes = value.as_bytes();
    let neighbours =
        bytes.windows(2).filter(|pair| matches!(pair, [left, right] if left.abs_diff(*right) <= 1)).count();
    if bytes.len() >= 8 && neighbours * 2 >= bytes.len() {
        return true;
    }
    let different: std::collections::BTreeSet<_> = bytes.iter().collect();
    let repeats = |period: usize| bytes.iter().zip(bytes.iter().skip(period)).all(|(left, right)| left == right);
    different.len() < bytes.len().min(32) / 4 + 1 || (1..=bytes.len() / 2).any(repeats)
}

/// 32 bytes as base64: 43 characters of which the last stands for two bits less, and one `=`.
fn is_fernet(value: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let Some(letters) = value.strip_suffix('=') else { return false };
    let has_clean_end = letters.bytes().last().is_some_and(|last| b"AEIMQUYcgkosw048".contains(&last));
    letters.len() == 43 && letters.bytes().all(is_letter) && has_clean_end
}

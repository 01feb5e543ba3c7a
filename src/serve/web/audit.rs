//! The audit log, for the administrator of the site. The forge tells everyone else that there is no such page.

use std::fmt::Write;

use askama::Template;
use axum::extract::{Query, State};
use base::clock::Timestamp;
use forge::{AUDIT_ACTIONS, AuditFilter, AuditPage, AuditRecord};

use super::failure::PageResult;
use super::moment;
use super::page::{Shell, draw};
use super::target::encode_value;
use super::visit::Visit;
use crate::state::AppState;

/// What `/admin/audit` may carry. What is not understood filters nothing.
#[derive(Debug, Default, serde::Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    actor: String,
    #[serde(default)]
    action: String,
    #[serde(default)]
    before: String,
}

/// A record in the list.
pub(crate) struct AuditRow {
    number: i64,
    when: String,
    actor: String,
    action: String,
    object: String,
    change: String,
    address: String,
    request: String,
}

/// An action that the form offers.
pub(crate) struct Choice {
    name: &'static str,
    is_chosen: bool,
}

#[derive(Template)]
#[template(path = "pages/audit.html")]
pub(crate) struct AuditListPage {
    pub(crate) shell: Shell,
    pub(crate) records: Vec<AuditRow>,
    pub(crate) actor: String,
    pub(crate) actions: Vec<Choice>,
    pub(crate) newest: Option<String>,
    pub(crate) older: Option<String>,
}

/// `GET /admin/audit`.
pub(crate) async fn show(State(state): State<AppState>, visit: Visit, Query(asked): Query<Asked>) -> PageResult {
    let filter = asked.filter();
    let found = state.forge.audit(&visit.actor, &filter).await?;
    draw(&page(&visit, &filter, &found))
}

impl Asked {
    fn filter(&self) -> AuditFilter {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        AuditFilter { actor: given(&self.actor), action: given(&self.action), before: self.before.parse().ok() }
    }
}

/// The page with these records.
pub(crate) fn page(visit: &Visit, filter: &AuditFilter, found: &AuditPage) -> AuditListPage {
    let wanted = filter.action.as_deref();
    let actions = AUDIT_ACTIONS.iter().map(|name| Choice { name, is_chosen: wanted == Some(*name) }).collect();
    AuditListPage {
        shell: Shell::of(visit),
        records: found.records.iter().map(|record| row(record, visit.now)).collect(),
        actor: filter.actor.clone().unwrap_or_default(),
        actions,
        newest: filter.before.map(|_| address(filter, None)),
        older: found.older.map(|before| address(filter, Some(before))),
    }
}

/// The page of the same filter from another record on.
fn address(filter: &AuditFilter, before: Option<i64>) -> String {
    let named = [("actor", filter.actor.clone()), ("action", filter.action.clone())];
    let parts = named.into_iter().chain([("before", before.map(|number| number.to_string()))]);
    let given = parts.filter_map(|(name, value)| Some(format!("{name}={}", encode_value(&value?))));
    let query = given.collect::<Vec<_>>().join("&");
    if query.is_empty() { "/admin/audit".into() } else { format!("/admin/audit?{query}") }
}

fn row(record: &AuditRecord, now: Timestamp) -> AuditRow {
    let repo = record.repo.as_deref().filter(|repo| *repo != record.object);
    let object = match repo {
        Some(repo) if record.object.is_empty() => repo.to_owned(),
        Some(repo) => format!("{repo} {}", record.object),
        None => record.object.clone(),
    };
    let shell = if record.address.is_none() { "host" } else { "nobody" };
    AuditRow {
        number: record.number,
        when: moment::ago(record.at, now),
        actor: record.actor.clone().unwrap_or_else(|| shell.into()),
        action: record.action.clone(),
        object,
        change: change(record.old.as_deref(), record.new.as_deref()),
        address: record.address.clone().unwrap_or_default(),
        request: record.request.clone().unwrap_or_default(),
    }
}

/// What was before and what is after; object ids as short as elsewhere.
fn change(old: Option<&str>, new: Option<&str>) -> String {
    let mut text = String::new();
    for (arrow, value) in [("", old), (if old.is_some() { " → " } else { "" }, new)] {
        if let Some(value) = value {
            // Writing into a String has no way to fail.
            let _ = write!(text, "{arrow}{}", short(value));
        }
    }
    text
}

fn short(value: &str) -> &str {
    let is_id = value.len() == 40 && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    match value {
        _ if is_id && value.bytes().all(|byte| byte == b'0') => "nothing",
        _ if is_id => value.get(..10).unwrap_or(value),
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_short() {
        let (zero, id) = ("0".repeat(40), "1234567890".repeat(4));
        for (old, new, expected) in [
            (None, None, ""),
            (None, Some("ssh"), "ssh"),
            (Some(zero.as_str()), Some(id.as_str()), "nothing → 1234567890"),
            (Some("refs/heads/main"), Some("refs/heads/next"), "refs/heads/main → refs/heads/next"),
        ] {
            assert_eq!(change(old, new), expected);
        }
    }

    #[test]
    fn links_keep_the_filter() {
        let asked = Asked { actor: " a&b ".into(), action: String::new(), before: "x".into() };
        let filter = asked.filter();
        assert_eq!(address(&filter, Some(7)), "/admin/audit?actor=a%26b&before=7");
        assert_eq!(address(&AuditFilter::default(), None), "/admin/audit");
    }
}

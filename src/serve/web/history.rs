//! The commits of a branch, tag or object id, or those of them that changed one path, by day.

use askama::Template;
use axum::extract::{RawQuery, State};
use base::clock::Timestamp;
use forge::{CommitSummary, History, RepoFrame};

use super::failure::PageResult;
use super::frame::{At, Crumb, RefMenu, RepoHead, Tab, crumbs};
use super::page::{Shell, draw};
use super::target;
use super::visit::Visit;
use super::{missing, moment};
use crate::state::AppState;

/// The commits of one day in a row.
pub(crate) struct Day {
    title: String,
    commits: Vec<CommitRow>,
}

struct CommitRow {
    href: String,
    title: String,
    author: String,
    when: String,
    short: String,
}

#[derive(Template)]
#[template(path = "pages/commits.html")]
pub(crate) struct CommitsPage {
    pub(crate) shell: Shell,
    pub(crate) repo: RepoHead,
    pub(crate) refs: RefMenu,
    /// The path whose history it is; empty for that of everything.
    pub(crate) crumbs: Vec<Crumb>,
    pub(crate) days: Vec<Day>,
    pub(crate) newer: Option<String>,
    pub(crate) older: Option<String>,
    pub(crate) compare: String,
}

/// `GET /{owner}/{repo}/commits[/{rest}]`.
pub(crate) async fn show(State(state): State<AppState>, visit: Visit, at: At, RawQuery(query): RawQuery) -> PageResult {
    let repo = state.forge.repo(&visit.actor, &at.repository).await?;
    let history = state.forge.history(&repo, &at.rest, page_number(query.as_deref()));
    let (frame, history) = tokio::join!(state.forge.frame(&repo), history);
    match (frame, history) {
        (Ok(frame), Ok(history)) => draw(&page(&visit, &frame, &history)),
        (Err(error), _) => Err(error.into()),
        (_, Err(error)) if at.rest.is_empty() => Err(error.into()),
        (_, Err(error)) => Err(missing::explained(&state, &repo, &at.rest, error).await),
    }
}

/// The page of a history.
pub(crate) fn page(visit: &Visit, frame: &RepoFrame, history: &History) -> CommitsPage {
    let (repository, path) = (&frame.repo.path, &history.path);
    let here = target::within(repository, "commits", &history.revision.name, path);
    let link = |page: u32| if page <= 1 { here.clone() } else { format!("{here}?page={page}") };
    CommitsPage {
        shell: Shell::of(visit),
        repo: RepoHead::of(frame, Tab::Commits, Some(&history.revision)),
        refs: RefMenu::of(frame, "commits", &history.revision, path),
        crumbs: if path.is_root() { Vec::new() } else { crumbs(repository, &history.revision, path) },
        days: days(frame, &history.commits, visit.now),
        newer: (history.page > 1).then(|| link(history.page - 1)),
        older: history.has_more.then(|| link(history.page.saturating_add(1))),
        compare: format!("{}/compare", target::repository(repository)),
    }
}

fn days(frame: &RepoFrame, commits: &[CommitSummary], now: Timestamp) -> Vec<Day> {
    let base = target::repository(&frame.repo.path);
    let mut days: Vec<Day> = Vec::new();
    for commit in commits {
        let title = moment::day(commit.authored);
        let row = CommitRow {
            href: format!("{base}/commit/{}", commit.id),
            title: if commit.title.is_empty() { "(no message)".into() } else { commit.title.clone() },
            author: commit.author.clone(),
            when: moment::ago(commit.authored, now),
            short: commit.id.short().to_owned(),
        };
        match days.last_mut() {
            Some(day) if day.title == title => day.commits.push(row),
            _ => days.push(Day { title, commits: vec![row] }),
        }
    }
    days
}

/// The page that a query asks for, 1 when it asks for none.
pub(crate) fn page_number(query: Option<&str>) -> u32 {
    let asked = query.and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("page=")));
    asked.and_then(|text| text.parse().ok()).filter(|page| *page > 0).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::page_number;

    #[test]
    fn a_page_number_that_is_none_is_the_first() {
        for (query, expected) in
            [(None, 1), (Some("page=3"), 3), (Some("page=0"), 1), (Some("page=-1"), 1), (Some("x"), 1)]
        {
            assert_eq!(page_number(query), expected);
        }
    }
}

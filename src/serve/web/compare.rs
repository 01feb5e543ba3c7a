//! Two revisions beside each other: `/compare/…`, and the form that asks which.

use askama::Template;
use axum::extract::{RawQuery, State};
use base::name::RefName;
use forge::{CompareSpec, Compared, Comparison, Error, PatchFormat, RepoFrame};

use super::diff::{self, DiffBody, DiffPlace, DiffView, Look};
use super::failure::{Failure, PageResult, redirect};
use super::frame::{At, RepoHead, Tab};
use super::moment;
use super::page::{Shell, draw};
use super::patch;
use super::query::Query;
use super::target::{self, LocalPath, Target, encode};
use super::visit::Visit;
use crate::state::AppState;

/// A commit that the newer side has.
pub(crate) struct CommitRow {
    href: String,
    title: String,
    author: String,
    when: String,
    short: String,
}

/// What is shown below the form.
pub(crate) enum Answer {
    /// Nothing was asked yet.
    Nothing,
    /// Why there is no comparison, and what to do.
    Refused(String),
    /// The comparison.
    Found(Box<Shown>),
}

/// A comparison as it is shown.
pub(crate) struct Shown {
    commits: Vec<CommitRow>,
    commit_count: String,
    left_out: usize,
    from: String,
    from_short: String,
    is_direct: bool,
    swapped: String,
    patch: String,
    other: (&'static str, String),
    diff: DiffView,
}

#[derive(Template)]
#[template(path = "pages/compare.html")]
pub(crate) struct ComparePage {
    pub(crate) shell: Shell,
    pub(crate) repo: RepoHead,
    pub(crate) base: String,
    pub(crate) head: String,
    pub(crate) names: Vec<String>,
    pub(crate) answer: Answer,
}

/// `GET /{owner}/{repo}/compare[/{rest}]`; `?base=…&head=…`, as the form sends it, leads to the address of its own.
pub(crate) async fn show(State(state): State<AppState>, visit: Visit, at: At, RawQuery(query): RawQuery) -> PageResult {
    let repo = state.forge.repo(&visit.actor, &at.repository).await?;
    let query = Query::of(query.as_deref());
    if at.rest.is_empty() && query.has("head") {
        return Ok(redirect(&Target::Back(chosen(&at, &query))));
    }
    for (ending, format) in [(".diff", PatchFormat::Diff), (".patch", PatchFormat::Mail)] {
        let spec = at.rest.strip_suffix(ending.as_bytes()).and_then(CompareSpec::parse);
        if let Some(spec) = spec {
            match state.forge.compare_patch(&repo, &spec, format).await {
                // A branch may be named so.
                Err(Error::NotFound) => {}
                other => return Ok(patch::respond(&state, other?)),
            }
        }
    }
    let frame = state.forge.frame(&repo).await?;
    let look = Look::of(&query);
    let spec = CompareSpec::parse(&at.rest).ok_or(Failure::NotFound)?;
    if at.rest.is_empty() {
        return draw(&page(&visit, &frame, &spec, None, look));
    }
    let compared = state.forge.compare(&repo, &spec, look.choice).await?;
    draw(&page(&visit, &frame, &spec, Some(compared), look))
}

/// The address that the form's choice has.
fn chosen(at: &At, query: &Query) -> LocalPath {
    let (base, head) = (query.text("base").trim(), query.text("head").trim());
    let dots = if query.text("dots") == "2" { ".." } else { "..." };
    let href = address(&target::repository(&at.repository), base, dots, head);
    LocalPath::parse(&href).unwrap_or_else(LocalPath::start)
}

fn address(repository: &str, base: &str, dots: &str, head: &str) -> String {
    format!("{repository}/compare/{}{dots}{}", encode(base.as_bytes()), encode(head.as_bytes()))
}

/// The page, before and after something was asked.
pub(crate) fn page(
    visit: &Visit,
    frame: &RepoFrame,
    spec: &CompareSpec,
    compared: Option<Compared>,
    look: Look,
) -> ComparePage {
    let answer = match compared {
        None => Answer::Nothing,
        Some(Compared::Unrelated) => Answer::Refused(
            "These two have no commit in common, so there is no point where they parted. Compare them directly instead."
                .into(),
        ),
        Some(Compared::Missing(names)) => {
            let names: Vec<_> = names.iter().map(|name| base::name::shown(name)).collect();
            let or_empty = |name: &String| if name.is_empty() { "the default branch".into() } else { format!("“{name}”") };
            let names = names.iter().map(or_empty).collect::<Vec<_>>().join(" and ");
            Answer::Refused(format!("There is no branch, tag or commit named {names}. Choose from the lists above."))
        }
        Some(Compared::Found(comparison)) => Answer::Found(Box::new(shown(visit, frame, spec, *comparison, look))),
    };
    let default = frame.default_branch.short().to_owned();
    let or = |text: &String| if text.is_empty() { default.clone() } else { text.clone() };
    ComparePage {
        shell: Shell::of(visit),
        repo: RepoHead::of(frame, Tab::Commits, None),
        base: or(&spec.base),
        head: if matches!(answer, Answer::Nothing) { spec.head.clone() } else { or(&spec.head) },
        names: frame.branches.iter().chain(&frame.tags).map(RefName::short).map(str::to_owned).collect(),
        answer,
    }
}

fn shown(visit: &Visit, frame: &RepoFrame, spec: &CompareSpec, comparison: Comparison, look: Look) -> Shown {
    let path = &frame.repo.path;
    let repository = target::repository(path);
    let (base, head) = (&comparison.base.name, &comparison.head.name);
    let (dots, other) = if spec.is_direct { ("..", "...") } else { ("...", "..") };
    let here = address(&repository, base, dots, head);
    let commits: Vec<_> = comparison
        .commits
        .iter()
        .map(|commit| CommitRow {
            href: format!("{repository}/commit/{}", commit.id),
            title: if commit.title.is_empty() { "(no message)".into() } else { commit.title.clone() },
            author: commit.author.clone(),
            when: moment::ago(commit.authored, visit.now),
            short: commit.id.short().to_owned(),
        })
        .collect();
    let place = DiffPlace { repository: path, base: Some(&comparison.from), head: &comparison.head.commit, look };
    let counts = (comparison.file_count, comparison.added, comparison.removed);
    let label = if spec.is_direct { "Compare from where they parted" } else { "Compare directly" };
    let more = if comparison.commit_count >= 10_000 { " or more" } else { "" };
    Shown {
        commit_count: super::text::counted(comparison.commit_count, "commit") + more,
        left_out: comparison.commit_count.saturating_sub(commits.len()),
        commits,
        from: format!("{repository}/commit/{}", comparison.from),
        from_short: comparison.from.short().to_owned(),
        is_direct: spec.is_direct,
        swapped: address(&repository, head, dots, base),
        patch: here.clone(),
        other: (label, address(&repository, base, other, head)),
        diff: diff::view(place, &here, comparison.files, counts),
    }
}

//! What a repository protects: branches and tags, and how much room it may take. The forge decides what holds; these pages
//! show it and take it.

use askama::Template;
use axum::extract::State;
use forge::{NewProtection, ProtectedKind, Protection, PushLevel, RepoAdmin, RepoFrame, RepoUsage};

use super::failure::{Failure, PageResult, redirect};
use super::form::{Draft, Fields, Form, Problem};
use super::frame::{At, RepoHead, Tab};
use super::page::{Shell, draw, draw_refused};
use super::target::{Notice, Target};
use super::visit::Visit;
use crate::state::AppState;

/// What these pages are among a repository's settings.
const PART: &str = "protection";

/// A protection in the list.
pub(crate) struct ProtectionRow {
    pub(crate) id: i64,
    pub(crate) kind: &'static str,
    pub(crate) pattern: String,
    pub(crate) who: String,
    pub(crate) allowed: String,
    pub(crate) is_signed: bool,
}

/// What a repository takes and may take, in words.
pub(crate) struct Room {
    pub(crate) own: String,
    pub(crate) owner: String,
}

#[derive(Template)]
#[template(path = "pages/protections.html")]
pub(crate) struct ProtectionsPage {
    pub(crate) shell: Shell,
    pub(crate) repo: RepoHead,
    pub(crate) part: &'static str,
    pub(crate) protections: Vec<ProtectionRow>,
    pub(crate) room: Room,
    pub(crate) draft: Draft,
    pub(crate) quota: Draft,
}

#[derive(Template)]
#[template(path = "pages/protection.html")]
pub(crate) struct ProtectionPage {
    pub(crate) shell: Shell,
    pub(crate) repo: RepoHead,
    pub(crate) part: &'static str,
    pub(crate) id: i64,
    pub(crate) draft: Draft,
}

/// `GET /{owner}/{repo}/settings/protection`.
pub(crate) async fn show(State(state): State<AppState>, visit: Visit, at: At) -> PageResult {
    let (frame, repo) = administered(&state, &visit, &at).await?;
    draw(&list(&state, &visit, (&frame, &repo), (fresh(), None)).await?)
}

/// `POST /{owner}/{repo}/settings/protection`.
pub(crate) async fn add(State(state): State<AppState>, visit: Visit, at: At, form: Form) -> PageResult {
    let (frame, repo) = administered(&state, &visit, &at).await?;
    let Err(error) = state.forge.protect(&repo, &typed(&form)).await else {
        return Ok(redirect(&Target::Protections(frame.repo.path, Notice::ProtectionSaved)));
    };
    let draft = form.draft(Problem::from_forge(error, "users")?);
    draw_refused(&list(&state, &visit, (&frame, &repo), (draft, None)).await?)
}

/// `GET /{owner}/{repo}/settings/protection/{id}`.
pub(crate) async fn edit(State(state): State<AppState>, visit: Visit, at: At) -> PageResult {
    let (frame, repo) = administered(&state, &visit, &at).await?;
    let id = number(&at)?;
    let all = state.forge.protections(&repo).await?;
    let protection = all.into_iter().find(|one| one.id == id).ok_or(Failure::NotFound)?;
    draw(&page(&visit, &frame, id, as_typed(&protection)))
}

/// `POST /{owner}/{repo}/settings/protection/{id}`.
pub(crate) async fn save(State(state): State<AppState>, visit: Visit, at: At, form: Form) -> PageResult {
    let (frame, repo) = administered(&state, &visit, &at).await?;
    let id = number(&at)?;
    let Err(error) = state.forge.change_protection(&repo, id, &typed(&form)).await else {
        return Ok(redirect(&Target::Protections(frame.repo.path, Notice::ProtectionSaved)));
    };
    draw_refused(&page(&visit, &frame, id, form.draft(Problem::from_forge(error, "users")?)))
}

/// `POST /{owner}/{repo}/settings/protection/{id}/delete`.
pub(crate) async fn remove(State(state): State<AppState>, visit: Visit, at: At, _: Form) -> PageResult {
    let (frame, repo) = administered(&state, &visit, &at).await?;
    state.forge.unprotect(&repo, number(&at)?).await?;
    Ok(redirect(&Target::Protections(frame.repo.path, Notice::ProtectionRemoved)))
}

/// `POST /{owner}/{repo}/settings/quota`, for administrators of the site.
pub(crate) async fn save_quota(State(state): State<AppState>, visit: Visit, at: At, form: Form) -> PageResult {
    let (frame, repo) = administered(&state, &visit, &at).await?;
    let Err(error) = state.forge.set_repo_quota(&visit.actor, &repo, form.text("quota")).await else {
        return Ok(redirect(&Target::Protections(frame.repo.path, Notice::QuotaSaved)));
    };
    let quota = form.draft(Problem::from_forge(error, "quota")?);
    draw_refused(&list(&state, &visit, (&frame, &repo), (fresh(), Some(quota))).await?)
}

async fn administered(state: &AppState, visit: &Visit, at: &At) -> Result<(RepoFrame, RepoAdmin), Failure> {
    let repo = state.forge.repo(&visit.actor, &at.repository).await?;
    let frame = state.forge.frame(&repo).await?;
    Ok((frame, repo.for_admin()?))
}

async fn list(
    state: &AppState,
    visit: &Visit,
    (frame, repo): (&RepoFrame, &RepoAdmin),
    (draft, quota): (Draft, Option<Draft>),
) -> Result<ProtectionsPage, Failure> {
    let (protections, usage) = (state.forge.protections(repo).await?, state.forge.usage(repo).await?);
    let own = if usage.is_own_limit { usage.limit.div_euclid(MIB).to_string() } else { String::new() };
    let quota = quota.unwrap_or_else(|| Draft::with(&[("quota", &own)]));
    Ok(listed(visit, frame, rows(&protections), room(&usage), (draft, quota)))
}

/// The page with these protections.
pub(crate) fn listed(
    visit: &Visit,
    frame: &RepoFrame,
    protections: Vec<ProtectionRow>,
    room: Room,
    (draft, quota): (Draft, Draft),
) -> ProtectionsPage {
    let (shell, repo) = (Shell::of(visit), RepoHead::of(frame, Tab::Settings, None));
    ProtectionsPage { shell, repo, part: PART, protections, room, draft, quota }
}

/// The page of one protection.
pub(crate) fn page(visit: &Visit, frame: &RepoFrame, id: i64, draft: Draft) -> ProtectionPage {
    let (shell, repo) = (Shell::of(visit), RepoHead::of(frame, Tab::Settings, None));
    ProtectionPage { shell, repo, part: PART, id, draft }
}

/// The form for a new one: what most people want of a main branch.
pub(crate) fn fresh() -> Draft {
    Draft::with(&[("kind", "branch"), ("level", "write")])
}

const MIB: u64 = 1 << 20;

/// What is taken and may be taken, in words.
pub(crate) fn room(usage: &RepoUsage) -> Room {
    let told = |taken: u64, limit: u64| {
        let taken = taken.div_ceil(MIB);
        if limit == 0 { format!("{taken} MiB, without a limit") } else { format!("{taken} of {} MiB", limit / MIB) }
    };
    Room {
        own: told(usage.git_bytes.saturating_add(usage.lfs_bytes), usage.limit),
        owner: told(usage.owner_bytes, usage.owner_limit),
    }
}

fn rows(protections: &[Protection]) -> Vec<ProtectionRow> {
    protections.iter().map(row).collect()
}

fn row(protection: &Protection) -> ProtectionRow {
    let level = match protection.level {
        PushLevel::Nobody => "nobody",
        PushLevel::Write => "everybody who may push to the repository",
        PushLevel::Maintain => "maintainers and administrators of the repository",
        PushLevel::Admin => "administrators of the repository",
    };
    let names: Vec<_> = protection.users.iter().map(ToString::to_string).collect();
    let force = if protection.kind == ProtectedKind::Tag { "move" } else { "force" };
    let allowed = [
        (protection.kind == ProtectedKind::Branch, "fast-forward"),
        (protection.may_create, "create"),
        (protection.may_force, force),
        (protection.may_delete, "delete"),
    ];
    let allowed: Vec<_> = allowed.iter().filter(|(is_set, _)| *is_set).map(|(_, word)| *word).collect();
    let who = match (names.is_empty(), protection.level) {
        (true, _) => level.to_owned(),
        (false, PushLevel::Nobody) => names.join(", "),
        (false, _) => format!("{level}, and {}", names.join(", ")),
    };
    ProtectionRow {
        id: protection.id,
        kind: protection.kind.as_str(),
        pattern: protection.pattern.as_str().to_owned(),
        who,
        allowed: if allowed.is_empty() { "nothing".to_owned() } else { allowed.join(", ") },
        is_signed: protection.require_signed,
    }
}

fn typed(form: &Fields) -> NewProtection {
    let is_on = |name: &str| form.text(name) == "yes";
    NewProtection {
        kind: form.text("kind").into(),
        pattern: form.text("pattern").into(),
        level: form.text("level").into(),
        users: form.text("users").into(),
        may_create: is_on("may_create"),
        may_force: is_on("may_force"),
        may_delete: is_on("may_delete"),
        require_signed: is_on("require_signed"),
    }
}

/// A protection as it would be typed into its form.
fn as_typed(protection: &Protection) -> Draft {
    let names: Vec<_> = protection.users.iter().map(ToString::to_string).collect();
    let (users, word) = (names.join(", "), |is_set: bool| if is_set { "yes" } else { "" });
    Draft::with(&[
        ("kind", protection.kind.as_str()),
        ("pattern", protection.pattern.as_str()),
        ("level", protection.level.as_str()),
        ("users", &users),
        ("may_create", word(protection.may_create)),
        ("may_force", word(protection.may_force)),
        ("may_delete", word(protection.may_delete)),
        ("require_signed", word(protection.require_signed)),
    ])
}

/// The number in `/settings/protection/{id}`, with or without a part behind it.
fn number(at: &At) -> Result<i64, Failure> {
    let rest = std::str::from_utf8(&at.rest).ok();
    let number = rest.and_then(|rest| rest.strip_prefix("protection/")?.split('/').next()?.parse().ok());
    number.ok_or(Failure::NotFound)
}

//! Accounts, for the administrator of the site. The forge tells everyone else that there is no such page.

use askama::Template;
use axum::extract::{Path, State};
use base::clock::Timestamp;
use forge::{Error, NewUser, UserView};

use super::failure::{PageResult, redirect};
use super::form::{Draft, Fields, Form, Problem};
use super::moment;
use super::page::{Shell, draw, draw_refused};
use super::target::{Notice, Target};
use super::visit::Visit;
use crate::state::AppState;

/// A user in the list.
pub(crate) struct UserRow {
    name: String,
    full_name: String,
    is_active: bool,
    is_admin: bool,
    is_self: bool,
    created: String,
    seen: String,
}

#[derive(Template)]
#[template(path = "pages/users.html")]
pub(crate) struct UsersPage {
    pub(crate) shell: Shell,
    pub(crate) users: Vec<UserRow>,
    pub(crate) draft: Draft,
}

/// `GET /admin/users`.
pub(crate) async fn show(State(state): State<AppState>, visit: Visit) -> PageResult {
    let users = state.forge.users(&visit.actor).await?;
    draw(&page(&visit, &users, Draft::default()))
}

/// `POST /admin/users`.
pub(crate) async fn create(State(state): State<AppState>, visit: Visit, form: Form) -> PageResult {
    let new = NewUser {
        name: form.text("name").into(),
        full_name: form.text("full_name").into(),
        password: form.secret("password"),
        is_admin: form.text("is_admin") == "yes",
    };
    let Err(error) = state.forge.create_user(&visit.actor, new).await else {
        return Ok(redirect(&Target::Users(Notice::UserMade)));
    };
    let draft = form.draft(Problem::from_forge(error, "name")?);
    let users = state.forge.users(&visit.actor).await?;
    draw_refused(&page(&visit, &users, draft))
}

/// `POST /admin/users/{name}/activate`.
pub(crate) async fn activate(state: State<AppState>, visit: Visit, name: Path<String>, _: Form) -> PageResult {
    act(state, visit, name, Deed::Activate).await
}

/// `POST /admin/users/{name}/deactivate`.
pub(crate) async fn deactivate(state: State<AppState>, visit: Visit, name: Path<String>, _: Form) -> PageResult {
    act(state, visit, name, Deed::Suspend).await
}

/// `POST /admin/users/{name}/promote`.
pub(crate) async fn promote(state: State<AppState>, visit: Visit, name: Path<String>, _: Form) -> PageResult {
    act(state, visit, name, Deed::Promote).await
}

/// `POST /admin/users/{name}/demote`.
pub(crate) async fn demote(state: State<AppState>, visit: Visit, name: Path<String>, _: Form) -> PageResult {
    act(state, visit, name, Deed::Demote).await
}

/// `POST /admin/users/{name}/delete`.
pub(crate) async fn delete(state: State<AppState>, visit: Visit, name: Path<String>, _: Form) -> PageResult {
    act(state, visit, name, Deed::Delete).await
}

enum Deed {
    Activate,
    Suspend,
    Promote,
    Demote,
    Delete,
}

/// Does one thing to a user, and shows the page again with what was wrong.
async fn act(State(state): State<AppState>, visit: Visit, Path(name): Path<String>, deed: Deed) -> PageResult {
    let (forge, actor) = (&state.forge, &visit.actor);
    let done = match deed {
        Deed::Activate => forge.set_user_active(actor, &name, true).await,
        Deed::Suspend => forge.set_user_active(actor, &name, false).await,
        Deed::Promote => forge.set_user_admin(actor, &name, true).await,
        Deed::Demote => forge.set_user_admin(actor, &name, false).await,
        Deed::Delete => forge.delete_user(actor, &name).await,
    };
    match done {
        Ok(()) if matches!(deed, Deed::Delete) => Ok(redirect(&Target::Users(Notice::UserRemoved))),
        Ok(()) => Ok(redirect(&Target::Users(Notice::UserChanged))),
        Err(Error::Field { problem, .. }) => {
            let draft = Fields::default().draft(Problem::of_form(format!("{name} {problem}")));
            draw_refused(&page(&visit, &forge.users(actor).await?, draft))
        }
        Err(error) => Err(error.into()),
    }
}

/// The page with these users.
pub(crate) fn page(visit: &Visit, users: &[UserView], draft: Draft) -> UsersPage {
    let own = visit.actor.user().map(|user| &user.name);
    let users = users.iter().map(|user| row(user, own == Some(&user.name), visit.now)).collect();
    UsersPage { shell: Shell::of(visit), users, draft }
}

fn row(user: &UserView, is_self: bool, now: Timestamp) -> UserRow {
    UserRow {
        name: user.name.to_string(),
        full_name: user.full_name.clone(),
        is_active: user.is_active,
        is_admin: user.is_admin,
        is_self,
        created: moment::ago(user.created, now),
        seen: moment::ago_or_never(user.seen, now),
    }
}

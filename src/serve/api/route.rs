//! One address of the API and all that is known of it: who may ask, what it takes, what it gives.

use axum::routing::MethodRouter;
use utoipa::ToSchema;

use super::document::{SchemaOf, Shape, schema};
use crate::state::AppState;
use crate::web::Audience;

/// What every address of the API begins with.
pub const PREFIX: &str = "/api/v1";

/// How an address is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiMethod {
    /// It only shows.
    Get,
    /// It makes something.
    Post,
    /// It puts something in a place.
    Put,
    /// It changes something.
    Patch,
    /// It removes something.
    Delete,
}

impl ApiMethod {
    /// As HTTP writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// One address of the API.
#[derive(Clone, Copy, Debug)]
pub struct ApiRoute {
    /// How it is asked.
    pub method: ApiMethod,
    /// Its path below [`PREFIX`]; `{name}` stands for one part, `{*name}` for the end of it.
    pub pattern: &'static str,
    /// Whom it is for.
    pub audience: Audience,
    /// What a token must have, as in `read:repository`; empty where any caller will do, `password` where no token will.
    pub scope: &'static str,
    /// What it does, in a line.
    pub summary: &'static str,
    /// The status of success.
    pub status: u16,
    /// Says whether a client that has the answer already may be told so.
    pub(crate) can_be_known: bool,
    pub(crate) parameters: &'static [&'static str],
    pub(crate) body: Shape,
    pub(crate) answer: Shape,
    pub(crate) handler: fn() -> MethodRouter<AppState>,
}

/// Looking at repositories, as tokens name it.
pub(crate) const READ: &str = "read:repository";
/// Changing them.
pub(crate) const WRITE: &str = "write:repository";
const LIST: &[&str] = &["page", "limit"];

pub(crate) const fn json<T: ToSchema>() -> Shape {
    Shape::Json(schema::<T> as SchemaOf)
}

pub(crate) const fn list<T: ToSchema>() -> Shape {
    Shape::List(schema::<T> as SchemaOf)
}

pub(crate) type Handler = fn() -> MethodRouter<AppState>;
pub(crate) type Text = &'static str;

const fn route(
    method: ApiMethod,
    pattern: Text,
    (audience, scope): (Audience, Text),
    summary: Text,
    handler: Handler,
) -> ApiRoute {
    ApiRoute {
        method,
        pattern,
        audience,
        scope,
        summary,
        status: 200,
        can_be_known: false,
        parameters: &[],
        body: Shape::Nothing,
        answer: Shape::Nothing,
        handler,
    }
}

pub(crate) const fn shows(pattern: Text, audience: Audience, scope: Text, summary: Text, handler: Handler) -> ApiRoute {
    route(ApiMethod::Get, pattern, (audience, scope), summary, handler)
}

pub(crate) const fn lists(pattern: Text, audience: Audience, scope: Text, summary: Text, handler: Handler) -> ApiRoute {
    shows(pattern, audience, scope, summary, handler).with(LIST)
}

pub(crate) const fn makes(pattern: Text, audience: Audience, scope: Text, summary: Text, handler: Handler) -> ApiRoute {
    route(ApiMethod::Post, pattern, (audience, scope), summary, handler).says(201)
}

pub(crate) const fn removes(
    pattern: Text,
    audience: Audience,
    scope: Text,
    summary: Text,
    handler: Handler,
) -> ApiRoute {
    route(ApiMethod::Delete, pattern, (audience, scope), summary, handler).says(204)
}

pub(crate) const fn changes(
    pattern: Text,
    audience: Audience,
    scope: Text,
    summary: Text,
    handler: Handler,
) -> ApiRoute {
    route(ApiMethod::Patch, pattern, (audience, scope), summary, handler)
}

pub(crate) const fn puts(pattern: Text, audience: Audience, scope: Text, summary: Text, handler: Handler) -> ApiRoute {
    route(ApiMethod::Put, pattern, (audience, scope), summary, handler).says(204)
}

impl ApiRoute {
    pub(crate) const fn says(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(crate) const fn known(mut self) -> Self {
        self.can_be_known = true;
        self
    }

    pub(crate) const fn with(mut self, parameters: &'static [&'static str]) -> Self {
        self.parameters = parameters;
        self
    }

    pub(crate) const fn takes(mut self, body: Shape) -> Self {
        self.body = body;
        self
    }

    pub(crate) const fn gives(mut self, answer: Shape) -> Self {
        self.answer = answer;
        self
    }
}

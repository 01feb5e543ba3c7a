//! Forms that visitors send. A form of a session is given to a handler only when it carries the session's own token.

use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Request};
use base::{Hint, Secret};
use url::form_urlencoded;

use super::failure::Failure;
use super::visit::Visit;

/// The largest form that is read, in bytes.
const LIMIT: usize = 64 << 10;

/// The largest form that holds a file's text: 1 MiB, each byte of it written as three.
const LONG_LIMIT: usize = 4 << 20;

/// The fields of a form that came with its session's token.
pub(crate) struct Form(Fields);

/// The same for a form that holds a file's text.
pub(crate) struct LongForm(Fields);

/// The fields of a form that needs no session: sign-in. Guarded by where it came from alone.
pub(crate) struct OpenForm(Fields);

/// Names and values, as sent.
#[derive(Default)]
pub(crate) struct Fields(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        guarded(request, state, LIMIT).await.map(Self)
    }
}

impl<S: Send + Sync> FromRequest<S> for LongForm {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        guarded(request, state, LONG_LIMIT).await.map(Self)
    }
}

async fn guarded<S: Send + Sync>(request: Request, state: &S, limit: usize) -> Result<Fields, Failure> {
    let (mut parts, body) = request.into_parts();
    let visit = Visit::from_request_parts(&mut parts, state).await?;
    let expected = visit.csrf.ok_or(Failure::SignInNeeded)?;
    let fields = read(body, limit).await?;
    let is_own = is_same(fields.text("csrf").as_bytes(), expected.expose().as_bytes());
    if is_own { Ok(fields) } else { Err(Failure::ForeignForm) }
}

impl<S: Send + Sync> FromRequest<S> for OpenForm {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        Ok(Self(read(request.into_body(), LIMIT).await?))
    }
}

impl std::ops::Deref for Form {
    type Target = Fields;

    fn deref(&self) -> &Fields {
        &self.0
    }
}

impl std::ops::Deref for LongForm {
    type Target = Fields;

    fn deref(&self) -> &Fields {
        &self.0
    }
}

impl std::ops::Deref for OpenForm {
    type Target = Fields;

    fn deref(&self) -> &Fields {
        &self.0
    }
}

impl Fields {
    /// The value of a field; empty when it was not sent.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The value of a field as a secret.
    pub(crate) fn secret(&self, name: &str) -> Secret<String> {
        Secret::new(self.text(name).to_owned())
    }

    /// What was sent, to be shown again with what is wrong with it. Passwords are left out.
    pub(crate) fn draft(&self, problem: Problem) -> Draft {
        let is_shown = |name: &str| !matches!(name, "csrf" | "old" | "password" | "again");
        let values = self.0.iter().filter(|(name, _)| is_shown(name)).cloned().collect();
        Draft { values, problem: Some(problem) }
    }
}

/// What is wrong with a form, and with which field, when it is one.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    field: Option<&'static str>,
    text: String,
}

impl Problem {
    /// A problem of one field.
    pub(crate) fn of(field: &'static str, text: impl Into<String>) -> Self {
        Self { field: Some(field), text: text.into() }
    }

    /// A problem of the whole form.
    pub(crate) fn of_form(text: impl Into<String>) -> Self {
        Self { field: None, text: text.into() }
    }

    /// What the forge refused, as a problem of this form; other failures pass through. `name_field` is the field that
    /// names are typed into.
    pub(crate) fn from_forge(error: forge::Error, name_field: &'static str) -> Result<Self, Failure> {
        match error {
            forge::Error::Name(error) => {
                let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
                Ok(Self::of(name_field, format!("{error}{hint}")))
            }
            forge::Error::NameTaken(name) => Ok(Self::of(name_field, format!("the name `{name}` is taken"))),
            forge::Error::Field { field, problem } => Ok(Self::of(field, format!("{field} {problem}"))),
            refused @ forge::Error::SignInRefused => Ok(Self::of_form(refused.to_string())),
            other => Err(other.into()),
        }
    }
}

/// A form as a page shows it: values, and what is wrong with them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    values: Vec<(String, String)>,
    problem: Option<Problem>,
}

impl Draft {
    /// A form with these values chosen to begin with.
    pub(crate) fn with(values: &[(&str, &str)]) -> Self {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { values, problem: None }
    }

    /// The same form on top of what the page shows of its other forms.
    #[must_use]
    pub(crate) fn over(mut self, page: Self) -> Self {
        let others: Vec<_> =
            page.values.into_iter().filter(|(name, _)| !self.values.iter().any(|(known, _)| known == name)).collect();
        self.values.extend(others);
        self
    }

    /// The value of a field.
    pub(crate) fn value(&self, name: &str) -> &str {
        self.values.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// Says whether a choice or a box is on.
    pub(crate) fn is_chosen(&self, name: &str, value: &str) -> bool {
        self.values.iter().any(|(known, chosen)| known == name && chosen == value)
    }

    /// What is wrong with a field, as a sentence.
    pub(crate) fn problem(&self, name: &str) -> Option<String> {
        self.problem.as_ref().filter(|problem| problem.field == Some(name)).map(|problem| sentence(&problem.text))
    }

    /// What is wrong with the whole form, as a sentence.
    pub(crate) fn summary(&self) -> Option<String> {
        self.problem.as_ref().map(|problem| match problem.field {
            None => sentence(&problem.text),
            Some(_) => "Nothing was saved. The field that needs a change is marked below.".into(),
        })
    }

    /// The attributes that tie a field to its hint and its problem. Names are ours, so they need no escaping.
    pub(crate) fn described(&self, name: &str, is_without_hint: bool) -> String {
        let has_problem = self.problem(name).is_some();
        let mut ids = Vec::new();
        if has_problem {
            ids.push(format!("{name}-problem"));
        }
        if !is_without_hint {
            ids.push(format!("{name}-hint"));
        }
        let described =
            if ids.is_empty() { String::new() } else { format!(r#" aria-describedby="{}""#, ids.join(" ")) };
        if has_problem { format!(r#"{described} aria-invalid="true" autofocus"#) } else { described }
    }
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

async fn read(body: Body, limit: usize) -> Result<Fields, Failure> {
    // Refused before it is sent when the sender says how much it will be.
    if body.size_hint().lower() > limit as u64 {
        return Err(Failure::UnreadableForm);
    }
    let bytes = to_bytes(body, limit).await.map_err(|_| Failure::UnreadableForm)?;
    let pairs = form_urlencoded::parse(&bytes).map(|(name, value)| (name.into_owned(), value.into_owned()));
    Ok(Fields(pairs.collect()))
}

/// Compares in a time that depends on lengths alone.
fn is_same(left: &[u8], right: &[u8]) -> bool {
    let differing = left.iter().zip(right).fold(0, |sum, (left, right)| sum | (left ^ right));
    !right.is_empty() && left.len() == right.len() && differing == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_compared_whole() {
        assert!(is_same(b"abc", b"abc"));
        for (left, right) in [(&b""[..], &b""[..]), (b"ab", b"abc"), (b"abc", b"ab"), (b"abd", b"abc")] {
            assert!(!is_same(left, right));
        }
    }

    #[test]
    fn passwords_are_never_shown_again() {
        let fields = Fields(vec![("name".into(), "alice".into()), ("password".into(), "hunter2".into())]);
        let draft = fields.draft(Problem::of("name", "is taken"));
        assert_eq!((draft.value("name"), draft.value("password")), ("alice", ""));
        assert_eq!(draft.problem("name").as_deref(), Some("Is taken."));
    }

    #[test]
    fn a_problem_is_tied_to_its_field() {
        let draft = Fields::default().draft(Problem::of("name", "x"));
        assert_eq!(
            draft.described("name", false),
            r#" aria-describedby="name-problem name-hint" aria-invalid="true" autofocus"#
        );
        assert_eq!(draft.described("other", true), "");
    }

    #[tokio::test]
    async fn a_form_beyond_the_limit_is_refused() {
        let body = Body::from(vec![b'a'; LIMIT + 1]);
        assert!(matches!(read(body, LIMIT).await, Err(Failure::UnreadableForm)));
    }
}

//! Git LFS over HTTP (the batch and the locks): what is asked, whether it may be, and where the objects themselves are
//! to be had. The right that is asked for follows from the route and the operation, and from nothing else.
//!
//! The protocol: <https://github.com/git-lfs/git-lfs/tree/main/docs/api>.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use base::Secret;
use base::name::RepoPath;
use forge::{Actor, Error, LfsCaller, LfsLockFilter, LfsLocked, LfsOperation, LfsState, Origin, RepoRead, RepoWrite};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::lfs_answer::{self, MEDIA_TYPE, answer, failure, no_turn, not_understood, refused};
use crate::lfs_request::{self, BODY_LIMIT, LockPage, Named};
use crate::lfs_transfer;
use crate::request::{Peer, RequestId};
use crate::state::AppState;
use crate::turns::{Asker, Turn};

/// The routes. No body limit of the pages applies to them.
pub(crate) fn router() -> Router<AppState> {
    let short = Router::new()
        .route("/{owner}/{repo}/info/lfs/objects/batch", post(batch))
        .route("/{owner}/{repo}/info/lfs/verify", post(verify))
        .route("/{owner}/{repo}/info/lfs/locks", get(list_locks).post(take_lock))
        .route("/{owner}/{repo}/info/lfs/locks/verify", post(sort_locks))
        .route("/{owner}/{repo}/info/lfs/locks/{id}/unlock", post(release_lock))
        .layer(DefaultBodyLimit::max(BODY_LIMIT));
    let object = put(lfs_transfer::upload).get(lfs_transfer::download);
    Router::new().route("/{owner}/{repo}/info/lfs/objects/{oid}", object).merge(short)
}

/// Who asks, and of which repository.
pub(crate) struct Asked {
    pub(crate) state: AppState,
    pub(crate) id: RequestId,
    pub(crate) peer: Peer,
    pub(crate) caller: LfsCaller,
    path: RepoPath,
    /// The pass that the caller came with, to be shown again with each object.
    pass: Option<String>,
}

/// The repository's two names, as every route here has them.
#[derive(Deserialize)]
struct Names {
    owner: String,
    repo: String,
}

impl FromRequestParts<AppState> for Asked {
    type Rejection = Response;

    /// A name that no repository could have reveals nothing more than an absent one.
    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Response> {
        let known = (parts.extensions.get::<RequestId>().cloned(), parts.extensions.get::<Peer>().copied());
        let (Some(id), Some(peer)) = known else { return Err(StatusCode::INTERNAL_SERVER_ERROR.into_response()) };
        let names = Path::<Names>::from_request_parts(parts, state).await;
        let Path(Names { owner, repo }) = names.map_err(|_| failure(&Error::NotFound, &id))?;
        let origin = Origin { address: Some(peer.address()), request: Some(id.to_string()) };
        let pass = pass(&parts.headers);
        let caller = match (&pass, crate::basic::credentials(&parts.headers)) {
            (Some(pass), _) => state.forge.by_lfs_pass(&Secret::new(pass.clone()), origin).await,
            (None, Err(_)) => Err(Error::SignInRefused),
            (None, Ok(None)) => Ok(Actor::Anonymous.into()),
            (None, Ok(Some(sent))) => state.forge.basic(&sent.name, &sent.secret, origin).await.map(Into::into),
        };
        let caller: LfsCaller = caller.map_err(|error| failure(&error, &id))?;
        let absent = if caller.actor().is_anonymous() { Error::SignInNeeded } else { Error::NotFound };
        let path = RepoPath::parse(&owner, &repo).map_err(|_| failure(&absent, &id))?;
        Ok(Self { state: state.clone(), id, peer, caller, path, pass })
    }
}

impl Asked {
    pub(crate) async fn for_read(&self) -> Result<RepoRead, Error> {
        self.state.forge.lfs_read(&self.caller, &self.path).await
    }

    pub(crate) async fn for_write(&self) -> Result<RepoWrite, Error> {
        self.state.forge.lfs_write(&self.caller, &self.path).await
    }

    /// A turn to send or take an object, or the answer of who gets none.
    pub(crate) async fn turn(&self) -> Result<Turn, Response> {
        let user = self.caller.actor().user().map(|user| user.id);
        let asker = Asker { user, from: self.peer.address(), repository: &self.path };
        self.state.doors.transfers.turn(&asker).await.map_err(no_turn)
    }

    /// The answer, or what a failure is told as.
    pub(crate) fn told(&self, result: Result<Response, Error>) -> Response {
        result.unwrap_or_else(|error| failure(&error, &self.id))
    }

    /// Where and how a client gets something done with an object.
    fn action(&self, repo: &RepoRead, rest: &str) -> Value {
        let mut action = json!({ "href": format!("{}/{rest}", self.state.forge.lfs_url(repo)) });
        if let (Some(pass), Some(fields)) = (&self.pass, action.as_object_mut()) {
            fields.insert("header".into(), json!({ "Authorization": format!("Bearer {pass}") }));
        }
        action
    }
}

/// The pass of an `Authorization: Bearer` header; a second header is none.
fn pass(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let (scheme, pass) = value.to_str().ok()?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && pass.len() <= 2048).then(|| pass.trim().to_owned())
}

/// A body of JSON. A form of a browser cannot have its type.
struct Json(Bytes);

impl FromRequest<AppState> for Json {
    type Rejection = Response;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Response> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case(MEDIA_TYPE) {
            return Err(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, &format!("the body must be {MEDIA_TYPE}")));
        }
        let body = Bytes::from_request(request, state).await;
        body.map(Self).map_err(|error| refused(error.status(), "the body is too large or did not come whole"))
    }
}

/// `POST objects/batch`: which of these objects can be transferred, and how.
async fn batch(asked: Asked, Json(body): Json) -> Response {
    let batch = match lfs_request::batch(&body) {
        Ok(batch) => batch,
        Err(error) => return not_understood(error),
    };
    let result = async {
        let repo = asked.for_read().await?;
        if batch.operation == LfsOperation::Upload {
            // So that a client hears of it before it sends anything.
            asked.for_write().await?;
        } else {
            asked.state.forge.tell_lfs_read(&repo);
        }
        let mut objects = Vec::with_capacity(batch.objects.len());
        for named in &batch.objects {
            objects.push(offer(&asked, &repo, batch.operation, named).await?);
        }
        let body = json!({ "transfer": "basic", "objects": objects, "hash_algo": "sha256" });
        Ok(answer(StatusCode::OK, &body))
    };
    asked.told(result.await)
}

/// What a batch says of one object.
async fn offer(asked: &Asked, repo: &RepoRead, operation: LfsOperation, named: &Named) -> Result<Value, Error> {
    let wrong = |code: u16, message: &str| json!({ "oid": named.oid, "size": named.size, "error": { "code": code, "message": message } });
    let Some(object) = named.object else { return Ok(wrong(422, "this names no object")) };
    if operation == LfsOperation::Upload && object.size > forge::LFS_OBJECT_LIMIT {
        return Ok(wrong(422, "the object is larger than this site takes"));
    }
    let state = asked.state.forge.lfs_state(repo, &object).await?;
    let path = format!("objects/{}", object.oid);
    let actions = match (operation, state) {
        (LfsOperation::Download, LfsState::Absent) => return Ok(wrong(404, "this repository has no such object")),
        (_, LfsState::OtherSize) => return Ok(wrong(422, "the object has another size")),
        (LfsOperation::Download, LfsState::Present) => json!({ "download": asked.action(repo, &path) }),
        // Nothing is left to be done.
        (LfsOperation::Upload, LfsState::Present) => return Ok(json!({ "oid": named.oid, "size": named.size })),
        (LfsOperation::Upload, LfsState::Absent) => {
            json!({ "upload": asked.action(repo, &path), "verify": asked.action(repo, "verify") })
        }
    };
    let is_authenticated = asked.pass.is_some();
    Ok(json!({ "oid": named.oid, "size": named.size, "authenticated": is_authenticated, "actions": actions }))
}

/// `POST verify`: whether an upload has arrived.
async fn verify(asked: Asked, Json(body): Json) -> Response {
    let result = async {
        asked.for_write().await?;
        let repo = asked.for_read().await?;
        let object = match lfs_request::object(&body) {
            Ok(object) => object,
            Err(error) => return Ok(not_understood(error)),
        };
        Ok(match asked.state.forge.lfs_state(&repo, &object).await? {
            LfsState::Present => answer(StatusCode::OK, &json!({})),
            LfsState::OtherSize => refused(StatusCode::UNPROCESSABLE_ENTITY, "the object has another size"),
            LfsState::Absent => refused(StatusCode::NOT_FOUND, "the object has not arrived"),
        })
    };
    asked.told(result.await)
}

/// `GET locks`, with `path`, `id`, `cursor` and `limit`.
async fn list_locks(asked: Asked, Query(query): Query<Vec<(String, String)>>) -> Response {
    // No lock has a NUL in what it is named by, and a database takes none.
    if query.iter().any(|(_, value)| value.contains('\0')) {
        return refused(StatusCode::UNPROCESSABLE_ENTITY, "the parameters do not read");
    }
    let value = |name: &str| {
        let found = query.iter().find(|(key, value)| key == name && !value.is_empty());
        found.map(|(_, value)| value.clone())
    };
    let limit = value("limit").and_then(|limit| limit.parse().ok());
    let filter = LfsLockFilter { path: value("path"), id: value("id"), cursor: value("cursor"), limit };
    let result = async {
        let found = asked.state.forge.lfs_locks(&asked.for_read().await?, &filter).await?;
        let locks: Vec<_> = found.locks.iter().map(lfs_answer::lock).collect();
        Ok(answer(StatusCode::OK, &with_cursor(json!({ "locks": locks }), found.next)))
    };
    asked.told(result.await)
}

/// `POST locks/verify`: the locks again, one's own apart from those of others.
async fn sort_locks(asked: Asked, Json(body): Json) -> Response {
    let LockPage { cursor, limit } = match lfs_request::lock_page(&body) {
        Ok(page) => page,
        Err(error) => return not_understood(error),
    };
    let result = async {
        asked.for_write().await?;
        let filter = LfsLockFilter { cursor, limit, ..LfsLockFilter::default() };
        let found = asked.state.forge.lfs_locks(&asked.for_read().await?, &filter).await?;
        let of = |is_own: bool| -> Vec<Value> {
            found.locks.iter().filter(|lock| lock.is_own == is_own).map(lfs_answer::lock).collect()
        };
        let body = json!({ "ours": of(true), "theirs": of(false) });
        Ok(answer(StatusCode::OK, &with_cursor(body, found.next)))
    };
    asked.told(result.await)
}

/// `POST locks`: 201 with the lock, or 409 with the one that is there.
async fn take_lock(asked: Asked, Json(body): Json) -> Response {
    let result = async {
        let repo = asked.for_write().await?;
        let path = match lfs_request::lock(&body) {
            Ok(path) => path,
            Err(error) => return Ok(not_understood(error)),
        };
        Ok(match asked.state.forge.take_lfs_lock(&repo, &path).await? {
            LfsLocked::Taken(lock) => answer(StatusCode::CREATED, &json!({ "lock": lfs_answer::lock(&lock) })),
            LfsLocked::Held(lock) => {
                let message = format!("`{}` is locked by {} already", lock.path, lock.owner);
                answer(StatusCode::CONFLICT, &json!({ "lock": lfs_answer::lock(&lock), "message": message }))
            }
        })
    };
    asked.told(result.await)
}

/// The lock's id.
#[derive(Deserialize)]
struct LockId {
    id: String,
}

/// `POST locks/{id}/unlock`, with `force`.
async fn release_lock(asked: Asked, Path(LockId { id }): Path<LockId>, Json(body): Json) -> Response {
    let result = async {
        let repo = asked.for_write().await?;
        if id.contains('\0') {
            return Err(Error::NotFound);
        }
        let wish = match lfs_request::unlock(&body) {
            Ok(wish) => wish,
            Err(error) => return Ok(not_understood(error)),
        };
        let actor = asked.caller.actor();
        let lock = asked.state.forge.release_lfs_lock(&repo, actor, &id, wish.force).await?;
        Ok(answer(StatusCode::OK, &json!({ "lock": lfs_answer::lock(&lock) })))
    };
    asked.told(result.await)
}

fn with_cursor(mut body: Value, next: Option<String>) -> Value {
    if let (Some(next), Some(fields)) = (next, body.as_object_mut()) {
        fields.insert("next_cursor".into(), next.into());
    }
    body
}

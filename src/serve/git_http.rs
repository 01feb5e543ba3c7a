//! Git's smart HTTP protocol (gitprotocol-http(5)). The right that is asked for follows from the program in the URL and
//! from nothing else. Bodies are streamed both ways; a client that goes away takes its Git process along.

use std::net::IpAddr;

use axum::Router;
use axum::extract::{FromRequestParts, Path, RawQuery, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base::name::RepoPath;
use forge::{Actor, Error, Origin, Protocol, Transport};
use serde::Deserialize;
use tokio_util::io::StreamReader;

use crate::body;
use crate::git_answer::{Answer, failure, no_turn, refused, streamed};
use crate::pace::{paced, within};
use crate::permitted::Permitted;
use crate::request::{Peer, RequestId};
use crate::service::Service;
use crate::state::AppState;
use crate::turns::{Asker, Turn};

/// The largest body of a fetch, inflated, in bytes: wants and haves, never a pack.
const FETCH_LIMIT: u64 = 64 << 20;
/// The largest pushed body that came compressed, inflated, in bytes. Git compresses small bodies alone.
const INFLATED_PUSH_LIMIT: u64 = 64 << 20;

/// The routes. No body limit of the pages applies to them.
pub(crate) fn router() -> Router<AppState> {
    Router::new()
        .route("/{owner}/{repo}/info/refs", get(advertise))
        .route("/{owner}/{repo}/git-upload-pack", post(upload_pack))
        .route("/{owner}/{repo}/git-receive-pack", post(receive_pack))
        .route("/{owner}/{repo}/git-upload-archive", post(upload_archive))
}

/// What every handler learns from a request.
struct Asked {
    state: AppState,
    id: RequestId,
    actor: Actor,
    protocol: Protocol,
    path: Option<RepoPath>,
    from: IpAddr,
}

/// The repository's two names, as every route here has them.
#[derive(Deserialize)]
struct Names {
    owner: String,
    repo: String,
}

impl FromRequestParts<AppState> for Asked {
    type Rejection = Response;

    /// Finds out who asks. A rejection is the whole answer.
    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Response> {
        let known = (parts.extensions.get::<RequestId>().cloned(), parts.extensions.get::<Peer>().copied());
        let (Some(id), Some(peer)) = known else { return Err(StatusCode::INTERNAL_SERVER_ERROR.into_response()) };
        let names = Path::<Names>::from_request_parts(parts, state).await;
        let path = names.ok().and_then(|Path(Names { owner, repo })| RepoPath::parse(&owner, &repo).ok());
        let actor = match crate::basic::credentials(&parts.headers) {
            Err(_) => Err(Error::SignInRefused),
            Ok(None) => Ok(Actor::Anonymous),
            Ok(Some(sent)) => {
                let origin = Origin { address: Some(peer.address()), request: Some(id.to_string()) };
                state.forge.basic(&sent.name, &sent.secret, origin).await
            }
        };
        let actor = actor.map_err(|error| failure(&error, &id))?;
        let protocol = parts.headers.get("git-protocol").and_then(|value| value.to_str().ok());
        let protocol = protocol.map(Protocol::parse).unwrap_or_default();
        Ok(Self { state: state.clone(), id, actor, protocol, path, from: peer.address() })
    }
}

impl Asked {
    /// The path, or the answer that an absent repository gets: a name that none could have reveals nothing more.
    fn path(&self) -> Result<&RepoPath, Error> {
        self.path.as_ref().ok_or(match self.actor {
            Actor::Anonymous => Error::SignInNeeded,
            Actor::User(_) | Actor::DeployKey(_) => Error::NotFound,
        })
    }

    /// A turn to run, or the answer of who gets none.
    async fn turn(&self) -> Result<Turn, Response> {
        let asker = self.asker().map_err(|error| failure(&error, &self.id))?;
        self.state.doors.transfers.turn(&asker).await.map_err(no_turn)
    }

    fn asker(&self) -> Result<Asker<'_>, Error> {
        Ok(Asker { user: self.actor.user().map(|user| user.id), from: self.from, repository: self.path()? })
    }

    fn answer(&self, service: Service, kind: &str) -> Answer {
        let content_type = format!("application/x-{}-{kind}", service.name());
        Answer { id: self.id.clone(), content_type, service, doors: self.state.doors.clone() }
    }

    /// The first request of every exchange. It takes a turn, as any transfer, but is not counted as one that was begun:
    /// what it announces comes next.
    async fn advertised(&self, service: Service) -> Result<Response, Error> {
        let (path, forge) = (self.path()?, &self.state.forge);
        let permitted = Permitted::begin(forge, &self.actor, path, service).await?;
        let turn = match self.state.doors.transfers.place(&self.asker()?).await {
            Ok(turn) => turn,
            Err(why) => return Ok(no_turn(why)),
        };
        let (protocol, limits) = (self.protocol, forge.settings().transfers);
        let run = |output| async move {
            let _turn = turn;
            let (_, output) = paced(limits, tokio::io::empty(), output);
            Box::pin(within(limits, permitted.advertise(protocol, output))).await
        };
        Ok(streamed(self.answer(service, "advertisement"), run).await)
    }

    /// The exchange itself. The right comes first, then the body is looked at, then it waits for its turn.
    async fn exchanged(&self, service: Service, request: Request) -> Result<Response, Error> {
        let (path, forge) = (self.path()?, &self.state.forge);
        let permitted = Permitted::begin(forge, &self.actor, path, service).await?;
        let pieces = match input(service, request) {
            Ok(pieces) => pieces,
            Err(text) => return Ok(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, text)),
        };
        let turn = match self.turn().await {
            Ok(turn) => turn,
            Err(answer) => return Ok(answer),
        };
        let (protocol, limits) = (self.protocol, forge.settings().transfers);
        let run = |output| async move {
            let _turn = turn;
            let (input, output) = paced(limits, StreamReader::new(pieces), output);
            Box::pin(within(limits, permitted.run(Transport::Http, protocol, input, output))).await
        };
        Ok(streamed(self.answer(service, "result"), run).await)
    }
}

/// `GET info/refs?service=…`. A client that wants an archive asks for what `git-upload-pack` says.
async fn advertise(RawQuery(query): RawQuery, asked: Result<Asked, Response>) -> Response {
    let service = query.as_deref().and_then(|query| query.strip_prefix("service=")).and_then(Service::parse);
    let Some(service) = service.filter(|service| *service != Service::UploadArchive) else {
        return refused(StatusCode::FORBIDDEN, "only the smart protocol of Git 1.6.6 and later is spoken here");
    };
    let asked = match asked {
        Ok(asked) => asked,
        Err(answer) => return answer,
    };
    asked.advertised(service).await.unwrap_or_else(|error| failure(&error, &asked.id))
}

/// `POST git-upload-pack`: one round of a clone or fetch.
async fn upload_pack(asked: Asked, request: Request) -> Response {
    asked.exchanged(Service::UploadPack, request).await.unwrap_or_else(|error| failure(&error, &asked.id))
}

/// `POST git-upload-archive`: `git archive --remote`, from Git 2.44 on.
async fn upload_archive(asked: Asked, request: Request) -> Response {
    asked.exchanged(Service::UploadArchive, request).await.unwrap_or_else(|error| failure(&error, &asked.id))
}

/// `POST git-receive-pack`: a push.
async fn receive_pack(asked: Asked, request: Request) -> Response {
    asked.exchanged(Service::ReceivePack, request).await.unwrap_or_else(|error| failure(&error, &asked.id))
}

/// The request's body, inflated when it came compressed. Fails with what to tell under 415. Called after the right
/// was proven: a client that waits for `100 Continue` sends nothing before that.
fn input(service: Service, request: Request) -> Result<body::Pieces, &'static str> {
    let (parts, body) = request.into_parts();
    let text = |name| parts.headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let wanted = format!("application/x-{}-request", service.name());
    if text(header::CONTENT_TYPE) != Some(&wanted) {
        return Err("the body is not one that Git sends");
    }
    let pieces = body::plain(body);
    let pieces = match text(header::CONTENT_ENCODING) {
        None | Some("identity") => pieces,
        Some("gzip" | "x-gzip") => body::limited(body::inflated(pieces), INFLATED_PUSH_LIMIT),
        Some(_) => return Err("only gzip is understood as a content encoding"),
    };
    Ok(if service == Service::ReceivePack { pieces } else { body::limited(pieces, FETCH_LIMIT) })
}

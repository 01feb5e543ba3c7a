//! Git's smart HTTP protocol (gitprotocol-http(5)). The right that is asked for follows from the program in the URL and
//! from nothing else. Bodies are streamed both ways; a client that goes away takes its Git process along.

use std::net::IpAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base::name::RepoPath;
use forge::{Actor, Error, Origin, Protocol, Transport};
use tokio_util::io::StreamReader;

use crate::body;
use crate::git_answer::{Answer, failure, refused, streamed};
use crate::request::{Peer, RequestId};
use crate::service::Service;
use crate::state::AppState;

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
}

/// What every handler learns from a request.
struct Asked {
    state: AppState,
    id: RequestId,
    service: Service,
    actor: Actor,
    protocol: Protocol,
    path: Option<RepoPath>,
    from: IpAddr,
}

impl Asked {
    /// Finds out who asks. `Err` is the whole answer.
    async fn read(
        state: AppState,
        Known { id, peer, owner, repo }: Known,
        service: Service,
        headers: &HeaderMap,
    ) -> Result<Self, Response> {
        let actor = match crate::basic::credentials(headers) {
            Err(_) => Err(Error::SignInRefused),
            Ok(None) => Ok(Actor::Anonymous),
            Ok(Some(sent)) => {
                let origin = Origin { address: Some(peer.address()), request: Some(id.to_string()) };
                state.forge.basic(&sent.name, &sent.secret, origin).await
            }
        };
        let actor = actor.map_err(|error| failure(&error, &id))?;
        let protocol = headers.get("git-protocol").and_then(|value| value.to_str().ok());
        let protocol = protocol.map(Protocol::parse).unwrap_or_default();
        Ok(Self {
            path: RepoPath::parse(&owner, &repo).ok(),
            state,
            id,
            service,
            actor,
            protocol,
            from: peer.address(),
        })
    }

    /// The path, or the answer that an absent repository gets: a name that none could have reveals nothing more.
    fn path(&self) -> Result<&RepoPath, Error> {
        self.path.as_ref().ok_or(match self.actor {
            Actor::Anonymous => Error::SignInNeeded,
            Actor::User(_) | Actor::DeployKey(_) => Error::NotFound,
        })
    }

    fn answer(&self, kind: &str) -> Answer {
        Answer {
            id: self.id.clone(),
            content_type: format!("application/x-{}-{kind}", self.service.name()),
            service: self.service,
            doors: self.state.doors.clone(),
        }
    }
}

/// The parts of a request that extractors find.
struct Known {
    id: RequestId,
    peer: Peer,
    owner: String,
    repo: String,
}

/// `GET info/refs?service=…`: the first request of every exchange.
async fn advertise(
    State(state): State<AppState>,
    (Extension(id), Extension(peer)): (Extension<RequestId>, Extension<Peer>),
    Path((owner, repo)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let Some(service) = query.as_deref().and_then(|query| query.strip_prefix("service=")).and_then(Service::parse)
    else {
        return refused(StatusCode::FORBIDDEN, "only the smart protocol of Git 1.6.6 and later is spoken here");
    };
    let asked = match Asked::read(state, Known { id, peer, owner, repo }, service, &headers).await {
        Ok(asked) => asked,
        Err(answer) => return answer,
    };
    let result = async {
        let path = asked.path()?;
        let answer = asked.answer("advertisement");
        Ok(match service {
            Service::UploadPack => {
                let upload = asked.state.forge.begin_upload(&asked.actor, path).await?;
                streamed(answer, |output| upload.advertise(asked.protocol, output)).await
            }
            Service::ReceivePack => {
                let push = asked.state.forge.begin_push(&asked.actor, path).await?;
                streamed(answer, |output| push.advertise(output)).await
            }
        })
    };
    result.await.unwrap_or_else(|error: Error| failure(&error, &asked.id))
}

/// `POST git-upload-pack`: one round of a clone or fetch.
async fn upload_pack(
    State(state): State<AppState>,
    (Extension(id), Extension(peer)): (Extension<RequestId>, Extension<Peer>),
    Path((owner, repo)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let asked = Asked::read(state, Known { id, peer, owner, repo }, Service::UploadPack, &headers).await;
    let asked = match asked {
        Ok(asked) => asked,
        Err(answer) => return answer,
    };
    let result = async {
        let upload = asked.state.forge.begin_upload(&asked.actor, asked.path()?).await?;
        let input = match input(asked.service, &headers, body) {
            Ok(pieces) => StreamReader::new(body::limited(pieces, FETCH_LIMIT)),
            Err(text) => return Ok(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, text)),
        };
        let Some(turn) = asked.state.doors.transfers.turn(asked.from).await else { return Ok(busy()) };
        let protocol = asked.protocol;
        let run = |output| async move {
            let _turn = turn;
            upload.run(Transport::Http, protocol, input, output).await
        };
        Ok(streamed(asked.answer("result"), run).await)
    };
    result.await.unwrap_or_else(|error: Error| failure(&error, &asked.id))
}

/// `POST git-receive-pack`: a push.
async fn receive_pack(
    State(state): State<AppState>,
    (Extension(id), Extension(peer)): (Extension<RequestId>, Extension<Peer>),
    Path((owner, repo)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let asked = Asked::read(state, Known { id, peer, owner, repo }, Service::ReceivePack, &headers).await;
    let asked = match asked {
        Ok(asked) => asked,
        Err(answer) => return answer,
    };
    let result = async {
        let push = asked.state.forge.begin_push(&asked.actor, asked.path()?).await?;
        let input = match input(asked.service, &headers, body) {
            Ok(pieces) => StreamReader::new(pieces),
            Err(text) => return Ok(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, text)),
        };
        let Some(turn) = asked.state.doors.transfers.turn(asked.from).await else { return Ok(busy()) };
        let run = |output| async move {
            let _turn = turn;
            push.run(Transport::Http, input, output).await
        };
        Ok(streamed(asked.answer("result"), run).await)
    };
    result.await.unwrap_or_else(|error: Error| failure(&error, &asked.id))
}

/// The request's body, inflated when it came compressed. Fails with what to tell under 415. Called after the right
/// was proven: a client that waits for `100 Continue` sends nothing before that.
fn input(service: Service, headers: &HeaderMap, body: Body) -> Result<body::Pieces, &'static str> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let wanted = format!("application/x-{}-request", service.name());
    if text(header::CONTENT_TYPE) != Some(&wanted) {
        return Err("the body is not one that Git sends");
    }
    let pieces = body::plain(body);
    match text(header::CONTENT_ENCODING) {
        None | Some("identity") => Ok(pieces),
        Some("gzip" | "x-gzip") => Ok(body::limited(body::inflated(pieces), INFLATED_PUSH_LIMIT)),
        Some(_) => Err("only gzip is understood as a content encoding"),
    }
}

fn busy() -> Response {
    let text = "too many transfers run now; try again in a minute";
    ([(header::RETRY_AFTER, "60")], refused(StatusCode::SERVICE_UNAVAILABLE, text)).into_response()
}

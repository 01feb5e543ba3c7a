//! Pushes, our own receive-pack: no hook runs, and no ref moves before whoever drives this says so.
//!
//! The order is: [`advertise`], [`Request::read`], [`Reply::new`], [`Quarantine::take_in`], judge (with
//! [`Request::refuse`]), [`Quarantine::migrate`], [`move_refs`], [`Reply::finish`].

use tokio::io::{AsyncRead, AsyncWrite};

use base::name::{Oid, RefName};

use crate::{Error, Repo, Transport};

/// One change that a push asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefUpdate {
    /// The ref.
    pub name: RefName,
    /// What the client believes it to be; `None` when it believes that there is no such ref.
    pub old: Option<Oid>,
    /// What it is to become; `None` deletes it.
    pub new: Option<Oid>,
}

/// What a push asks for, and what was said to it so far.
#[derive(Debug)]
pub struct Request {}

impl Request {
    /// Reads commands, capabilities and push options; leaves `input` at the pack.
    pub async fn read(input: &mut (impl AsyncRead + Unpin + Send)) -> Result<Self, Error> {
        let _ = input;
        todo!("skeleton")
    }

    /// Says whether the client asked for nothing at all; then there is nothing to answer either.
    pub fn is_empty(&self) -> bool {
        todo!("skeleton")
    }

    /// The updates that nobody has refused yet.
    pub fn updates(&self) -> Vec<RefUpdate> {
        todo!("skeleton")
    }

    /// Refuses one update with a reason of one line; in an atomic push all others fall with it.
    pub fn refuse(&mut self, name: &RefName, reason: &str) {
        let _ = (name, reason);
        todo!("skeleton")
    }

    /// Refuses every update that still stands.
    pub fn refuse_all(&mut self, reason: &str) {
        let _ = reason;
        todo!("skeleton")
    }

    /// What `--push-option` gave, lossily decoded.
    pub fn push_options(&self) -> &[String] {
        todo!("skeleton")
    }

    /// Says whether all updates must happen or none.
    pub fn is_atomic(&self) -> bool {
        todo!("skeleton")
    }
}

/// The way back to the client: side bands when it knows them.
#[derive(Debug)]
pub struct Reply<W> {
    output: W,
}

impl<W: AsyncWrite + Unpin + Send> Reply<W> {
    /// Takes the output; how it is spoken to is in the request's capabilities.
    pub fn new(output: W, request: &Request) -> Self {
        let _ = request;
        Self { output }
    }

    /// Shows the pusher a line (`remote: …`); nothing when the client knows no side bands.
    pub async fn say(&mut self, line: &str) -> Result<(), Error> {
        let _ = (line, &mut self.output);
        todo!("skeleton")
    }

    /// Reports what became of every command and ends the conversation.
    pub async fn finish(self, request: &Request) -> Result<(), Error> {
        let _ = request;
        todo!("skeleton")
    }
}

/// How large a push may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the pack as it comes in; 0 means no limit.
    pub pack_bytes: u64,
}

/// New objects, not yet part of the repository. Dropped without [`Quarantine::migrate`], they are gone.
#[derive(Debug)]
pub struct Quarantine {}

impl Quarantine {
    /// Takes the pack in and checks that everything the updates need is there. A pack that does not hold is a refusal
    /// inside `request`, not an error. Keeps the connection alive through `reply` meanwhile.
    pub async fn take_in<W: AsyncWrite + Unpin + Send>(
        repo: &Repo,
        request: &mut Request,
        input: impl AsyncRead + Unpin + Send,
        reply: &mut Reply<W>,
        limits: Limits,
    ) -> Result<Self, Error> {
        let _ = (repo, request, input, reply, limits);
        todo!("skeleton")
    }

    /// Objects that came in.
    pub fn object_count(&self) -> u64 {
        todo!("skeleton")
    }

    /// Bytes on disk that came in, indexes included.
    pub fn byte_count(&self) -> u64 {
        todo!("skeleton")
    }

    /// Says whether the update only adds commits: true for a new ref, false for a deletion.
    pub async fn is_fast_forward(&self, update: &RefUpdate) -> Result<bool, Error> {
        let _ = update;
        todo!("skeleton")
    }

    /// Moves the objects into the repository, durably.
    pub async fn migrate(self) -> Result<(), Error> {
        todo!("skeleton")
    }
}

/// Writes the ref advertisement: for HTTP the body of `info/refs?service=git-receive-pack`, service line included.
pub async fn advertise(
    repo: &Repo,
    transport: Transport,
    output: &mut (impl AsyncWrite + Unpin + Send),
) -> Result<(), Error> {
    let _ = (repo, transport, output);
    todo!("skeleton")
}

/// Moves the refs of all updates that still stand, comparing old values; what Git refuses is refused in `request`.
/// Gives the updates that happened.
pub async fn move_refs(repo: &Repo, request: &mut Request) -> Result<Vec<RefUpdate>, Error> {
    let _ = (repo, request);
    todo!("skeleton")
}

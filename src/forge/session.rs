//! Signing in and out. Sessions are opaque random tokens; the database holds their hashes.

use std::net::IpAddr;

use base::Secret;
use base::clock::Timestamp;

use crate::{Actor, Error, Forge};

/// A fresh session.
#[derive(Debug)]
pub struct SignedIn {
    /// Goes into the cookie and nowhere else.
    pub token: Secret<String>,
    /// When it ends at the latest.
    pub expires: Timestamp,
}

/// A session that a request came with.
#[derive(Clone, Debug)]
pub struct Session {
    /// Who it is, with [`crate::Scope::Full`].
    pub actor: Actor,
    /// What forms of this session must carry back.
    pub csrf: Secret<String>,
}

impl Forge {
    /// Checks name and password. One answer, in one time, for an unknown name and a wrong password.
    /// Fails with `SignInRefused` or `TooManyAttempts` (10 failures for an account or an address in 15 minutes).
    pub async fn sign_in(&self, name: &str, password: &Secret<String>, from: IpAddr) -> Result<SignedIn, Error> {
        let _ = (name, password, from);
        todo!("skeleton")
    }

    /// The session that a cookie names; `None` when it is unknown, expired, or its user is not active.
    pub async fn session(&self, token: &Secret<String>) -> Result<Option<Session>, Error> {
        let _ = token;
        todo!("skeleton")
    }

    /// Ends one session.
    pub async fn sign_out(&self, token: &Secret<String>) -> Result<(), Error> {
        let _ = token;
        todo!("skeleton")
    }

    /// The user behind HTTP Basic credentials of a Git client: a token (any user name beside it, or its own user's), or
    /// name and password. Limited as [`Forge::sign_in`].
    pub async fn basic(&self, name: &str, secret: &Secret<String>, from: IpAddr) -> Result<Actor, Error> {
        let _ = (name, secret, from);
        todo!("skeleton")
    }

    /// The user who owns an SSH key that proved itself; `None` when nobody does. `fingerprint` is `SHA256:…`.
    pub async fn by_ssh_key(&self, fingerprint: &str) -> Result<Option<Actor>, Error> {
        let _ = fingerprint;
        todo!("skeleton")
    }
}

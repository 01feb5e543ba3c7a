//! The SSH door: public keys only, the user `git`, Git's programs, no shell, no terminal, no forwarding.
//! Who somebody is follows from the key that signed, or from a certificate of the site's own authority for it; never from
//! a key that was only offered or from a name.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use forge::{Actor, Protocol, ShownCertificate};
use russh::keys::ssh_key::Algorithm;
use russh::keys::{Certificate, EcdsaCurve, HashAlg, PrivateKey, PublicKey};
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelOpenFailure, MethodKind, MethodSet, Preferred, Pty, SshId, cipher, kex, mac};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::listen::{Activity, Cuttable, Ending};
use crate::proxy_protocol::Arrived;
use crate::request::chain;
use crate::ssh_certificate::shown;
use crate::ssh_command::{self, CommandError};
use crate::ssh_transfer::{Refusal, Transfer};
use crate::state::AppState;

/// Time to sign in, from the first byte on.
const GRACE: Duration = Duration::from_secs(20);
/// Time that a connection may stay open with nothing running on it; as long as OpenSSH's usual ControlPersist.
const IDLE: Duration = Duration::from_mins(10);
/// Time for the last exit status to reach the client when the server stops.
const FLUSH: Duration = Duration::from_secs(1);
/// Exchanges that may run on one connection at the same time.
const CHANNELS: usize = 10;
/// Keys that a client may try.
const ATTEMPTS: usize = 10;
/// The one user name, as in `git@host`.
const USER: &str = "git";

/// How the server speaks SSH: AEAD ciphers, elliptic curves and ML-KEM, no SHA-1.
pub(crate) fn config(host_key: PrivateKey) -> Arc<Config> {
    let preferred = Preferred {
        kex: Cow::Borrowed(&[
            kex::MLKEM768X25519_SHA256,
            kex::CURVE25519,
            kex::CURVE25519_PRE_RFC_8731,
            kex::EXTENSION_SUPPORT_AS_SERVER,
            kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
        ]),
        key: Cow::Borrowed(&[
            Algorithm::Ed25519,
            Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
            Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
            Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
            Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
            Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
        ]),
        cipher: Cow::Borrowed(&[cipher::CHACHA20_POLY1305, cipher::AES_256_GCM, cipher::AES_128_GCM]),
        mac: Cow::Borrowed(&[mac::HMAC_SHA512_ETM, mac::HMAC_SHA256_ETM]),
        ..Preferred::DEFAULT
    };
    Arc::new(Config {
        server_id: SshId::Standard(Cow::Borrowed("SSH-2.0-GitGrit")),
        methods: MethodSet::from([MethodKind::PublicKey].as_slice()),
        // Nothing secret is compared before a signature is checked: waiting would slow down honest clients alone.
        auth_rejection_time: Duration::ZERO,
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![host_key],
        window_size: 8 << 20,
        maximum_packet_size: 32 << 10,
        channel_buffer_size: 32,
        preferred,
        max_auth_attempts: ATTEMPTS,
        inactivity_timeout: Some(IDLE),
        keepalive_interval: Some(Duration::from_secs(30)),
        keepalive_max: 4,
        ..Config::default()
    })
}

/// Serves one connection to its end.
pub(crate) async fn serve(state: AppState, config: Arc<Config>, arrived: Arrived, ending: Ending) {
    let Arrived { stream, front, peer } = arrived;
    let cut = ending.cut.child_token();
    let _cut_at_the_end = cut.clone().drop_guard();
    let activity = Activity::new();
    let (signed_in, mut is_signed_in) = watch::channel(false);
    let connection = Connection {
        state,
        address: peer.ip().to_canonical(),
        actor: None,
        proof: None,
        is_git_user: false,
        signed_in,
        activity: activity.clone(),
        channels: HashMap::new(),
        gone: CancellationToken::new(),
        ending: ending.clone(),
    };
    let deadline = tokio::time::Instant::now() + GRACE;
    let opening =
        russh::server::run_stream(config, Cuttable::new(stream, cut.clone()).after(front).prompt(), connection);
    let opened = tokio::select! {
        opened = tokio::time::timeout_at(deadline, opening) => opened,
        () = ending.stop.cancelled() => return,
    };
    let mut session = match opened {
        Ok(Ok(session)) => session,
        Ok(Err(error)) => return debug!(error = chain(&error), "an SSH connection did not begin"),
        Err(_) => return debug!("an SSH client said nothing"),
    };
    let idle = async {
        let signing_in = is_signed_in.wait_for(|is_signed_in| *is_signed_in);
        let is_in = matches!(tokio::time::timeout_at(deadline, signing_in).await, Ok(Ok(_)));
        if is_in {
            activity.idle_for(IDLE).await;
        }
    };
    let stopped = async {
        ending.stop.cancelled().await;
        activity.idle_for(FLUSH).await;
    };
    tokio::select! {
        result = &mut session => {
            if let Err(error) = result {
                debug!(error = chain(&error), "an SSH connection ended early");
            }
        }
        () = idle => debug!("closed an SSH connection that did nothing"),
        () = stopped => {}
        () = cut.cancelled() => {}
    }
}

/// One client.
struct Connection {
    state: AppState,
    address: IpAddr,
    /// Set by a verified signature alone.
    actor: Option<Actor>,
    /// What signed: asked again before each exchange, as a connection may outlive it.
    proof: Option<Proof>,
    is_git_user: bool,
    signed_in: watch::Sender<bool>,
    activity: Activity,
    channels: HashMap<ChannelId, Waiting>,
    gone: CancellationToken,
    ending: Ending,
}

/// What somebody signed in with.
#[derive(Clone)]
enum Proof {
    /// A key, by its fingerprint.
    Key(String),
    /// A certificate of an authority of the site.
    Certificate(Arc<ShownCertificate>),
}

/// A channel on which nothing runs yet.
struct Waiting {
    channel: Channel<Msg>,
    protocol: Protocol,
}

impl Connection {
    fn job(&self, Waiting { channel, protocol }: Waiting) -> Transfer {
        Transfer { state: self.state.clone(), channel, protocol, from: self.address, gone: self.gone.clone() }
    }

    /// Starts a transfer, or says why not.
    fn run(&self, waiting: Waiting, command: &[u8]) {
        let transfer = match (&self.proof, ssh_command::parse(command)) {
            (Some(_), _) if !self.is_git_user => Err(Refusal::User),
            (Some(proof), Ok(command)) => Ok((proof.clone(), command)),
            (Some(_), Err(CommandError::Program)) => Err(Refusal::Program),
            (Some(_), Err(CommandError::Path)) | (None, _) => Err(Refusal::Path),
        };
        let (running, job) = (self.activity.begin(), self.job(waiting));
        self.ending.tasks.spawn(async move {
            let _running = running;
            match transfer {
                Ok((proof, command)) => match owner(&job.state, &proof, job.from).await {
                    Some(actor) => Box::pin(job.run(&actor, &command)).await,
                    None => job.refuse(&Refusal::Key).await,
                },
                Err(refusal) => job.refuse(&refusal).await,
            }
        });
    }
}

/// Whom a proof lets in; a database that does not answer lets nobody in.
async fn owner(state: &AppState, proof: &Proof, from: IpAddr) -> Option<Actor> {
    let found = match proof {
        Proof::Key(fingerprint) => state.forge.by_ssh_key(fingerprint).await,
        Proof::Certificate(certificate) => state.forge.by_certificate(certificate, from).await,
    };
    found.inspect_err(|error| warn!(error = chain(error), "could not look up an SSH key")).ok().flatten()
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.gone.cancel();
    }
}

impl Handler for Connection {
    type Error = russh::Error;

    async fn auth_publickey_offered(&mut self, _user: &str, offer: PublicKeyOffer<'_>) -> Result<Auth, russh::Error> {
        // A hint for the client which of its keys to sign with. Nothing is remembered of it.
        let Some(fingerprint) = usable(offer.public_key, offer.algorithm) else { return Ok(Auth::reject()) };
        let forge = &self.state.forge;
        let known = async { Ok(forge.is_ssh_key_known(&fingerprint).await? || forge.has_ssh_authority().await?) };
        // What is offered may also be the key of a certificate, which cannot be told here. Nothing follows from it.
        let known: Result<bool, forge::Error> = known.await;
        let known = known.inspect_err(|error| warn!(error = chain(error), "could not look up an SSH key"));
        Ok(if known.unwrap_or(false) { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_openssh_certificate(&mut self, user: &str, certificate: &Certificate) -> Result<Auth, russh::Error> {
        let Some(shown) = shown(certificate) else { return Ok(Auth::reject()) };
        let proof = Proof::Certificate(Arc::new(shown.clone()));
        let Some(actor) = owner(&self.state, &proof, self.address).await else { return Ok(Auth::reject()) };
        self.state.forge.tell_certificate(&actor, &shown);
        self.actor = Some(actor);
        self.proof = Some(proof);
        self.is_git_user = user == USER;
        Ok(Auth::Accept)
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, russh::Error> {
        let Some(fingerprint) = usable(key.public_key, key.algorithm) else { return Ok(Auth::reject()) };
        let proof = Proof::Key(fingerprint);
        let Some(actor) = owner(&self.state, &proof, self.address).await else { return Ok(Auth::reject()) };
        self.actor = Some(actor);
        self.proof = Some(proof);
        self.is_git_user = user == USER;
        Ok(Auth::Accept)
    }

    async fn auth_succeeded(&mut self, _session: &mut Session) -> Result<(), russh::Error> {
        self.signed_in.send_replace(true);
        let user = self.actor.as_ref().and_then(Actor::user).map(|user| user.id);
        info!(user.id = user, peer = %self.address, "an SSH client signed in");
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        if self.channels.len() + self.activity.running() >= CHANNELS || self.ending.stop.is_cancelled() {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        }
        self.channels.insert(channel.id(), Waiting { channel, protocol: Protocol::V0 });
        reply.accept().await;
        Ok(())
    }

    async fn channel_close(&mut self, channel: ChannelId, _session: &mut Session) -> Result<(), russh::Error> {
        self.channels.remove(&channel);
        Ok(())
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        match self.channels.get_mut(&channel) {
            Some(waiting) if name == "GIT_PROTOCOL" && is_protocol(value) => {
                waiting.protocol = Protocol::parse(value);
                session.channel_success(channel)
            }
            _ => session.channel_failure(channel),
        }
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        let Some(waiting) = self.channels.remove(&channel) else { return session.channel_failure(channel) };
        session.channel_success(channel)?;
        self.run(waiting, command);
        Ok(())
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), russh::Error> {
        let Some(waiting) = self.channels.remove(&channel) else { return session.channel_failure(channel) };
        session.channel_success(channel)?;
        let name = self.actor.as_ref().and_then(Actor::name).map(ToOwned::to_owned);
        let (running, job) = (self.activity.begin(), self.job(waiting));
        self.ending.tasks.spawn(async move {
            let _running = running;
            job.refuse(&Refusal::Shell { name: name.unwrap_or_default() }).await;
        });
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _terminal: &str,
        _columns: u32,
        _rows: u32,
        _width: u32,
        _height: u32,
        _modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        session.channel_failure(channel)
    }

    async fn x11_request(
        &mut self,
        channel: ChannelId,
        _is_single: bool,
        _protocol: &str,
        _cookie: &str,
        _screen: u32,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        session.channel_failure(channel)
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        _name: &str,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        session.channel_failure(channel)
    }
}

/// The fingerprint of a key; `None` with RSA and SHA-1, which a client may still name.
fn usable(key: &PublicKey, algorithm: &Algorithm) -> Option<String> {
    let is_sha1 = matches!(algorithm, Algorithm::Rsa { hash: None });
    (!is_sha1).then(|| key.fingerprint(HashAlg::Sha256).to_string())
}

/// Says whether a GIT_PROTOCOL value is one that Git sends: keys and values of plain characters, colons between them.
fn is_protocol(value: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "=:.-_".contains(c);
    !value.is_empty() && value.len() <= 64 && value.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The class of CVE-2024-39930: an environment variable of the client that became an argument.
    #[test]
    fn only_a_plain_protocol_value_is_taken() {
        for value in ["", "version=2\nPATH=/tmp", "version=2;id", "$(id)", "version 2", &"v".repeat(65)] {
            assert!(!is_protocol(value), "{value}");
        }
        assert!(is_protocol("version=2"));
        assert!(is_protocol("version=1:object-format=sha256"));
    }

    #[test]
    fn no_sha1_and_no_cbc_is_offered() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(crate::host_key::load_or_make(dir.path()).unwrap());
        let names = |list: Vec<&str>| list.into_iter().map(str::to_owned).collect::<Vec<_>>();
        let mut all = names(config.preferred.kex.iter().map(AsRef::as_ref).collect());
        all.extend(names(config.preferred.cipher.iter().map(AsRef::as_ref).collect()));
        all.extend(names(config.preferred.mac.iter().map(AsRef::as_ref).collect()));
        assert!(all.iter().all(|name| !name.contains("sha1") && !name.contains("cbc")), "{all:?}");
        assert!(!config.preferred.key.contains(&Algorithm::Rsa { hash: None }));
        assert_eq!(&*config.methods, &[MethodKind::PublicKey]);
    }
}

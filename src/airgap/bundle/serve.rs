//! A read-only registry straight from a verified bundle: what `docker pull`, `skopeo` and containerd ask of one, and nothing else. Answers
//! `GET` and `HEAD`, one question a connection; takes no body, writes nothing, opens no connection of its own. Each blob's frames are checked
//! again while they go out.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ServerConfig;

use super::serve_line::Line;
use super::serve_question::{Answer, Method, Question, Range};
use super::serve_turns::Turns;
use super::source::Source;
use super::{Digest, Verified, export_registry};

/// How many are heard at a time.
const CONNECTIONS: usize = 64;
/// How many of them may come from one address; the usual clients open three to six. As many more may wait for their turn: whoever
/// opens more is sent away, so that no one address holds all places.
const OF_ONE: usize = 6;
/// How many blobs go out at a time: each holds a frame, packed and unpacked.
const BLOBS: usize = 8;
/// How long a handshake and a question may each take to arrive, and how long whoever comes may wait for a turn.
const QUESTION: Duration = Duration::from_secs(10);
/// How long any answer may take, and how many bytes a second whoever asked has to take beyond that.
const PATIENCE: Duration = Duration::from_mins(1);
const SLOWEST: u64 = 256 << 10;
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const BYTES: &str = "application/octet-stream";

/// What is served: repositories with their tags, and the bundle that their blobs come from.
pub struct Shelf<'b> {
    source: &'b Verified<'b>,
    sizes: BTreeMap<Digest, u64>,
    /// By repository and tag, the OCI manifest.
    tags: BTreeMap<String, BTreeMap<String, Digest>>,
    /// The OCI manifests themselves.
    manifests: BTreeMap<Digest, Vec<u8>>,
    /// What each repository has.
    blobs: BTreeMap<String, Vec<Digest>>,
    peers: Turns<IpAddr>,
    unpacking: Turns<()>,
    tls: Option<Arc<ServerConfig>>,
}

impl<'b> Shelf<'b> {
    /// Looks through a bundle. Fails when the medium is not what was verified any more.
    pub fn new(source: &'b Verified<'b>) -> Result<Self, super::load_error::LoadError> {
        let manifest = source.manifest();
        let mut shelf = Self {
            source,
            sizes: manifest.sizes().into_iter().collect(),
            tags: BTreeMap::new(),
            manifests: BTreeMap::new(),
            blobs: BTreeMap::new(),
            peers: Turns::new(OF_ONE, OF_ONE),
            unpacking: Turns::new(BLOBS, CONNECTIONS),
            tls: None,
        };
        let targets = export_registry::targets(&manifest.images)?;
        for (image, (name, tag)) in manifest.images.iter().zip(targets) {
            shelf.manifests.insert(image.manifest, super::export::document(source, &image.manifest)?);
            shelf.tags.entry(name.clone()).or_default().insert(tag, image.manifest);
            let blobs = shelf.blobs.entry(name).or_default();
            blobs.push(image.id);
            blobs.extend(&image.layers);
        }
        Ok(shelf)
    }

    /// Speaks TLS with whoever comes, and nothing else.
    #[must_use]
    pub fn over_tls(mut self, config: Arc<ServerConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// What can be pulled, as in `gitgrit-app:v1`.
    pub fn names(&self) -> Vec<String> {
        let names = self.tags.iter().flat_map(|(name, tags)| tags.keys().map(move |tag| format!("{name}:{tag}")));
        names.collect()
    }

    /// Answers whoever comes to `listener`, until this process ends. `tell` hears of every answer: what was asked, and how it went.
    pub fn serve(&self, listener: &TcpListener, tell: &(dyn Fn(&str, u16) + Sync)) {
        std::thread::scope(|scope| {
            for _ in 0..CONNECTIONS {
                scope.spawn(|| {
                    loop {
                        match listener.accept() {
                            Ok((stream, peer)) => self.answer(&stream, peer.ip(), tell),
                            // No more files, or whoever came has gone: the next one may fare better.
                            Err(_) => std::thread::sleep(Duration::from_millis(50)),
                        }
                    }
                });
            }
        });
    }

    fn answer(&self, stream: &TcpStream, peer: IpAddr, tell: &(dyn Fn(&str, u16) + Sync)) {
        let Some(_turn) = self.peers.take(peer, QUESTION) else { return };
        let mut line = Line::new(stream, Instant::now() + QUESTION);
        let (question, answer) = match self.hear(&mut line, tell) {
            Some(Ok(question)) => {
                let answer = self.find(&question);
                (Some(question), answer)
            }
            Some(Err(answer)) => (None, answer),
            None => return,
        };
        let status = answer.status;
        let is_head = question.as_ref().is_some_and(|question| question.method == Method::Head);
        // Whoever asked may go in the middle of the answer.
        let _ = self.send(&mut line, answer, is_head);
        let asked = question.map_or_else(|| "?".into(), |question| format!("{} {}", question.method, question.path));
        tell(&asked, status);
    }

    /// Hears a question; nothing when whoever came goes, or says nothing that can be answered.
    fn hear(&self, line: &mut Line<'_>, tell: &(dyn Fn(&str, u16) + Sync)) -> Option<Result<Question, Answer>> {
        if let Some(tls) = &self.tls {
            if line.begins_as_text().ok()? {
                return Some(Err(Answer::refused(400, "UNSUPPORTED", "this registry speaks TLS: https")));
            }
            if let Err(error) = line.encrypt(tls) {
                tell(&format!("? (no handshake: {error})"), 400);
                return None;
            }
            line.until(Instant::now() + QUESTION);
        }
        Question::read(line, QUESTION).transpose()
    }

    fn find(&self, question: &Question) -> Answer {
        let path = question.path.as_str();
        let Some(rest) = path.strip_prefix("/v2").filter(|rest| rest.is_empty() || rest.starts_with('/')) else {
            return Answer::refused(404, "NAME_UNKNOWN", "there is only /v2/");
        };
        let rest = rest.trim_start_matches('/');
        if rest.is_empty() {
            return Answer::json(b"{}".to_vec());
        }
        if rest == "_catalog" {
            let names: Vec<&String> = self.tags.keys().collect();
            return Answer::json(serde_json::to_vec(&serde_json::json!({ "repositories": names })).unwrap_or_default());
        }
        if let Some(name) = rest.strip_suffix("/tags/list") {
            let Some(tags) = self.tags.get(name) else { return Answer::unknown_name() };
            let tags: Vec<&String> = tags.keys().collect();
            let list = serde_json::json!({ "name": name, "tags": tags });
            return Answer::json(serde_json::to_vec(&list).unwrap_or_default());
        }
        if let Some((name, reference)) = rest.split_once("/manifests/") {
            return self.manifest(name, reference);
        }
        if let Some((name, digest)) = rest.split_once("/blobs/") {
            return self.blob(name, digest, question.range);
        }
        Answer::refused(404, "UNSUPPORTED", "this registry answers to pulls alone")
    }

    fn manifest(&self, name: &str, reference: &str) -> Answer {
        let Some(tags) = self.tags.get(name) else { return Answer::unknown_name() };
        let digest = tags.get(reference).copied().or_else(|| {
            let digest = Digest::parse_named(reference)?;
            tags.values().any(|other| *other == digest).then_some(digest)
        });
        let found = digest.and_then(|digest| Some((digest, self.manifests.get(&digest)?)));
        let Some((digest, bytes)) = found else {
            return Answer::refused(404, "MANIFEST_UNKNOWN", "the bundle has no such image");
        };
        Answer { digest: Some(digest), media_type: MANIFEST, ..Answer::json(bytes.clone()) }
    }

    fn blob(&self, name: &str, digest: &str, range: Option<Range>) -> Answer {
        let Some(blobs) = self.blobs.get(name) else { return Answer::unknown_name() };
        let digest = Digest::parse_named(digest).filter(|digest| blobs.contains(digest));
        let Some((digest, size)) = digest.and_then(|digest| Some((digest, *self.sizes.get(&digest)?))) else {
            return Answer::refused(404, "BLOB_UNKNOWN", "the bundle has no such blob");
        };
        let whole = Answer { digest: Some(digest), media_type: BYTES, ..Answer::blob(200, 0, size, size) };
        let Some(range) = range else { return whole };
        match range.within(size) {
            Some((from, to)) => Answer { digest: Some(digest), ..Answer::blob(206, from, to, size) },
            None => Answer { whole: size, ..Answer::refused(416, "RANGE_INVALID", "the blob has no such part") },
        }
    }

    /// Sends an answer before its time is over, however little of it at a time is taken.
    fn send(&self, line: &mut Line<'_>, answer: Answer, is_head: bool) -> io::Result<()> {
        let size = if answer.is_blob && !is_head { answer.to - answer.from } else { 0 };
        line.until(Instant::now() + PATIENCE + Duration::from_secs(size / SLOWEST));
        line.write_all(answer.head().as_bytes())?;
        if !is_head && !answer.is_blob {
            line.write_all(&answer.body)?;
        }
        if is_head || !answer.is_blob {
            line.flush()?;
            return line.close();
        }
        let _turn = self.unpacking.take((), PATIENCE).ok_or(io::ErrorKind::TimedOut)?;
        let digest = answer.digest.ok_or(io::ErrorKind::NotFound)?;
        let mut content = if answer.from == 0 && answer.to == answer.whole {
            self.source.blob(&digest, true)?
        } else {
            Box::new(self.source.part(&digest, answer.from)?)
        };
        let mut left = size;
        let mut piece = vec![0; 256 << 10];
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
            let size = content.read(piece.get_mut(..most).unwrap_or_default())?;
            if size == 0 {
                // Whoever asked sees an answer that breaks off, not a short one.
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            line.write_all(piece.get(..size).unwrap_or_default())?;
            left -= size as u64;
        }
        line.flush()?;
        line.close()
    }
}

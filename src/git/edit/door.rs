//! A commit of our own at the door of pushes: what a client would send, and what it would read in the answer. So that
//! whatever judges pushes judges this one too.

use base::name::Oid;

use crate::Error;
use crate::pktline::{self, Packet, protocol};
use crate::receive::RefUpdate;

const ZERO: &str = "0000000000000000000000000000000000000000";

/// What became of one update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Why it did not happen; `None` when it did.
    pub refusal: Option<String>,
    /// Lines that a pusher would have read meanwhile.
    pub said: Vec<String>,
}

/// The bytes of a push of one update and its pack.
pub fn as_push(update: &RefUpdate, pack: &[u8]) -> Vec<u8> {
    let shown = |id: &Option<Oid>| id.as_ref().map_or(ZERO, Oid::as_str).to_owned();
    let command = format!(
        "{} {} {}\0 report-status side-band-64k atomic object-format=sha1",
        shown(&update.old),
        shown(&update.new),
        update.name
    );
    let mut bytes = Vec::with_capacity(pack.len() + command.len() + 8);
    pktline::put(&mut bytes, command.as_bytes());
    pktline::put_flush(&mut bytes);
    bytes.extend_from_slice(pack);
    bytes
}

/// Reads the answer to [`as_push`]. Fails with `Protocol` for what is none.
pub async fn outcome(mut answer: &[u8]) -> Result<Outcome, Error> {
    let (mut report, mut said) = (Vec::new(), Vec::new());
    while let Packet::Line(line) = pktline::read(&mut answer).await? {
        match line.split_first() {
            Some((1, rest)) => report.extend_from_slice(rest),
            Some((2, rest)) => said.extend_from_slice(rest),
            _ => {}
        }
    }
    let (mut report, mut refusal, mut is_reported) = (report.as_slice(), None, false);
    while let Packet::Line(line) = pktline::read(&mut report).await? {
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        if let Some(rest) = line.strip_prefix("ng ") {
            // `ng <ref> <reason>`: a ref's name holds no space.
            refusal = Some(rest.split_once(' ').map_or(rest, |(_, reason)| reason).to_owned());
            is_reported = true;
        } else if line.starts_with("ok ") {
            is_reported = true;
        } else if let Some(problem) = line.strip_prefix("unpack ").filter(|problem| *problem != "ok") {
            said.extend(format!("{problem}\n").bytes());
        }
    }
    if !is_reported {
        return Err(protocol("a push of our own was not reported on"));
    }
    let said = String::from_utf8_lossy(&said).lines().map(|line| line.trim_end().to_owned()).collect();
    Ok(Outcome { refusal, said })
}

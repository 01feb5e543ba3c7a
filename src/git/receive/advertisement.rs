//! What a pusher is told first: the refs, and what we understand. Nothing here changes anything.

use std::fmt::Display;

use tokio::io::AsyncWrite;

use crate::pktline::Lines;
use crate::{Error, Repo, Transport, pktline};

/// What we understand, gitprotocol-capabilities(5). No `push-cert`, no `delete` of hidden refs, SHA-1 only.
const CAPABILITIES: &str = concat!(
    "report-status report-status-v2 delete-refs side-band-64k quiet atomic ofs-delta push-options object-format=sha1 ",
    "agent=gitgrit/",
    env!("CARGO_PKG_VERSION")
);

/// Writes the ref advertisement: for HTTP the body of `info/refs?service=git-receive-pack`, service line included.
pub async fn advertise(
    repo: &Repo,
    transport: Transport,
    output: &mut (impl AsyncWrite + Unpin + Send),
) -> Result<(), Error> {
    let mut head = Vec::new();
    if transport == Transport::Http {
        pktline::put(&mut head, b"# service=git-receive-pack\n");
        pktline::put_flush(&mut head);
    }
    let table = repo.table().await?;
    // What leads nowhere is not in the table, and is there to be removed.
    let stored = if table.is_exact { Vec::new() } else { repo.all_refs().await? };
    let mut out = Lines::behind(head, output);
    let mut words = Some(format!("\0{CAPABILITIES}"));
    let mut line = |id: &dyn Display, name: &[u8]| {
        let words = words.take().unwrap_or_default();
        [format!("{id} ").as_bytes(), name, words.as_bytes(), b"\n"].concat()
    };
    let mut is_empty = true;
    if table.is_exact {
        for held in table.refs.iter().filter(|held| held.symbolic.is_none()) {
            is_empty = false;
            out.put(&line(&held.id, &held.name)).await?;
        }
    }
    for (name, id) in &stored {
        is_empty = false;
        out.put(&line(id, name)).await?;
    }
    if is_empty {
        out.put(&line(&"0".repeat(40), b"capabilities^{}")).await?;
    }
    out.end().await
}

//! What a pusher is told first: the refs, and what we understand. Nothing here changes anything.

use tokio::io::AsyncWrite;

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
    let mut out = Vec::new();
    if transport == Transport::Http {
        pktline::put(&mut out, b"# service=git-receive-pack\n");
        pktline::put_flush(&mut out);
    }
    let refs = repo.all_refs().await?;
    let mut has_capabilities = false;
    for (name, id) in &refs {
        let mut line = id.as_str().as_bytes().to_vec();
        line.push(b' ');
        line.extend_from_slice(name);
        if !has_capabilities {
            line.push(0);
            line.extend_from_slice(CAPABILITIES.as_bytes());
            has_capabilities = true;
        }
        line.push(b'\n');
        pktline::put(&mut out, &line);
    }
    if !has_capabilities {
        let nothing = "0".repeat(40);
        pktline::put(&mut out, format!("{nothing} capabilities^{{}}\0{CAPABILITIES}\n").as_bytes());
    }
    pktline::put_flush(&mut out);
    pktline::send(output, &out).await
}

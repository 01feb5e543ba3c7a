//! What goes back to the pusher: keepalives, lines to read, and the report. Never what Git said word for word.

use tokio::io::AsyncWrite;

use crate::pktline::{self, BAND_PAYLOAD};
use crate::{Error, receive::Request};

/// The way back to the client: side bands when it knows them.
#[derive(Debug)]
pub struct Reply<W> {
    output: W,
    has_side_bands: bool,
}

impl<W: AsyncWrite + Unpin + Send> Reply<W> {
    /// Takes the output; how it is spoken to is in the request's capabilities.
    pub fn new(output: W, request: &Request) -> Self {
        Self { output, has_side_bands: request.capabilities.has_side_bands }
    }

    /// Shows the pusher a line (`remote: …`); nothing when the client knows no side bands.
    pub async fn say(&mut self, line: &str) -> Result<(), Error> {
        let text: String = line.chars().take(1_000).map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.on_band(2, format!("{text}\n").as_bytes()).await
    }

    /// Reports what became of every command and ends the conversation.
    pub async fn finish(mut self, request: &Request) -> Result<(), Error> {
        if request.capabilities.has_report {
            let report = report(request);
            if self.has_side_bands {
                self.on_band(1, &report).await?;
            } else {
                pktline::send(&mut self.output, &report).await?;
            }
        }
        if self.has_side_bands {
            pktline::send(&mut self.output, b"0000").await?;
        }
        Ok(())
    }

    /// An empty packet that keeps proxies and clients from giving up.
    pub(crate) async fn keep_alive(&mut self) -> Result<(), Error> {
        if !self.has_side_bands {
            return Ok(());
        }
        pktline::send(&mut self.output, b"0005\x01").await
    }

    async fn on_band(&mut self, band: u8, payload: &[u8]) -> Result<(), Error> {
        if !self.has_side_bands {
            return Ok(());
        }
        for piece in payload.chunks(BAND_PAYLOAD) {
            let mut out = Vec::with_capacity(piece.len() + 5);
            let mut banded = vec![band];
            banded.extend_from_slice(piece);
            pktline::put(&mut out, &banded);
            pktline::send(&mut self.output, &out).await?;
        }
        Ok(())
    }
}

/// gitprotocol-pack(5), "Report Status".
fn report(request: &Request) -> Vec<u8> {
    let mut out = Vec::new();
    let unpack = request.unpack_failure.as_deref().unwrap_or("ok");
    pktline::put(&mut out, format!("unpack {unpack}\n").as_bytes());
    for command in &request.commands {
        let mut line = if command.refusal.is_some() { b"ng ".to_vec() } else { b"ok ".to_vec() };
        // A longer name is no ref name, and nobody's client needs it back in full.
        line.extend(command.raw_name.iter().filter(|byte| !byte.is_ascii_control()).take(4_096));
        if let Some(reason) = &command.refusal {
            line.push(b' ');
            line.extend_from_slice(reason.as_bytes());
        }
        line.push(b'\n');
        pktline::put(&mut out, &line);
    }
    pktline::put_flush(&mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZERO: &str = "0000000000000000000000000000000000000000";

    /// What goes out for a push of `refs/heads/a` by a client with these capabilities.
    fn answered(capabilities: &str, refusal: Option<&str>) -> String {
        let mut bytes = Vec::new();
        pktline::put(&mut bytes, format!("{ZERO} {} refs/heads/a\0{capabilities}", "a".repeat(40)).as_bytes());
        pktline::put_flush(&mut bytes);
        let mut output = Vec::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut request = Request::read(&mut bytes.as_slice()).await.unwrap();
            if let Some(reason) = refusal {
                request.refuse_all(reason);
            }
            let mut reply = Reply::new(&mut output, &request);
            reply.keep_alive().await.unwrap();
            reply.say("hi\x1b[31m\nthere").await.unwrap();
            reply.finish(&request).await.unwrap();
        });
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn each_client_is_answered_as_it_understands() {
        assert_eq!(answered("", None), "");
        assert_eq!(answered("report-status", None), "000eunpack ok\n0014ok refs/heads/a\n0000");
        assert_eq!(answered("side-band-64k", None), "0005\x010013\x02hi [31m there\n0000");
        let banded = answered("report-status-v2 side-band-64k", None);
        assert!(banded.ends_with("002b\x01000eunpack ok\n0014ok refs/heads/a\n00000000"), "{banded:?}");
    }

    #[test]
    fn a_reason_stays_on_its_line() {
        let reported = answered("report-status", Some("no\n0000ok refs/heads/a"));
        assert_eq!(reported, "000eunpack ok\n002dng refs/heads/a no\u{fffd}0000ok refs/heads/a\n0000");
    }
}

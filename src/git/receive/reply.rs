//! What goes back to the pusher: keepalives, lines to read, and the report. Never what Git said word for word.

use tokio::io::{AsyncWrite, AsyncWriteExt};

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
                self.output.write_all(&report).await.map_err(Error::Transfer)?;
            }
        }
        if self.has_side_bands {
            self.output.write_all(b"0000").await.map_err(Error::Transfer)?;
        }
        self.output.flush().await.map_err(Error::Transfer)
    }

    /// An empty packet that keeps proxies and clients from giving up.
    pub(crate) async fn keep_alive(&mut self) -> Result<(), Error> {
        if !self.has_side_bands {
            return Ok(());
        }
        self.output.write_all(b"0005\x01").await.map_err(Error::Transfer)?;
        self.output.flush().await.map_err(Error::Transfer)
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
            self.output.write_all(&out).await.map_err(Error::Transfer)?;
        }
        self.output.flush().await.map_err(Error::Transfer)
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

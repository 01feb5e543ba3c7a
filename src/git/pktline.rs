//! Git's line framing, gitprotocol-common(5): strict when reading, never more than one line in memory.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::Error;
use crate::child::IDLE;

/// The longest line, its four digits of length included.
pub(crate) const LONGEST: usize = 65_520;

/// Bytes of a side band's packet that are ours, after length and band.
pub(crate) const BAND_PAYLOAD: usize = LONGEST - 5;

/// One packet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    /// A line, with the newline it may end with.
    Line(Vec<u8>),
    /// `0000`.
    Flush,
    /// The stream ended where a packet could have begun.
    End,
}

/// Appends a line. Longer payloads than fit are cut; callers hold their texts below that.
pub(crate) fn put(out: &mut Vec<u8>, payload: &[u8]) {
    let payload = payload.get(..LONGEST - 4).unwrap_or(payload);
    out.extend_from_slice(format!("{:04x}", payload.len() + 4).as_bytes());
    out.extend_from_slice(payload);
}

/// Appends a flush.
pub(crate) fn put_flush(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0000");
}

/// Reads one packet. Fails with `Protocol` on what is no packet, with `Transfer` when the stream ends inside one.
pub(crate) async fn read(input: &mut (impl AsyncRead + Unpin)) -> Result<Packet, Error> {
    let mut digits = [0_u8; 4];
    let first = input.read(&mut digits).await.map_err(Error::Transfer)?;
    if first == 0 {
        return Ok(Packet::End);
    }
    let rest = digits.get_mut(first..).unwrap_or_default();
    input.read_exact(rest).await.map_err(Error::Transfer)?;
    let length = length(digits).ok_or_else(|| protocol("a line does not begin with its length"))?;
    match length {
        0 => Ok(Packet::Flush),
        5..=LONGEST => {
            let mut payload = vec![0_u8; length - 4];
            input.read_exact(&mut payload).await.map_err(Error::Transfer)?;
            Ok(Packet::Line(payload))
        }
        _ => Err(protocol("a line has a length that is not allowed")),
    }
}

/// Writes to the client. Fails with `Transfer` when it takes nothing for ten minutes: a place is held for it.
pub(crate) async fn send(output: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<(), Error> {
    for piece in bytes.chunks(LONGEST) {
        in_time(IDLE, output.write_all(piece)).await?;
    }
    in_time(IDLE, output.flush()).await
}

/// Lines on their way to the client: never more of them in memory than one write takes.
pub(crate) struct Lines<'o, W> {
    output: &'o mut W,
    out: Vec<u8>,
}

impl<'o, W: AsyncWrite + Unpin> Lines<'o, W> {
    /// Begins with these bytes as they are.
    pub(crate) fn behind(head: Vec<u8>, output: &'o mut W) -> Self {
        Self { output, out: head }
    }

    /// The next line; written once there are enough of them.
    pub(crate) async fn put(&mut self, payload: &[u8]) -> Result<(), Error> {
        put(&mut self.out, payload);
        if self.out.len() >= LONGEST {
            in_time(IDLE, self.output.write_all(&self.out)).await?;
            self.out.clear();
        }
        Ok(())
    }

    /// A flush, and all that is left.
    pub(crate) async fn end(mut self) -> Result<(), Error> {
        put_flush(&mut self.out);
        send(self.output, &self.out).await
    }
}

/// Waits for the client, but not for ever.
async fn in_time<T>(patience: std::time::Duration, work: impl Future<Output = io::Result<T>>) -> Result<T, Error> {
    tokio::time::timeout(patience, work)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(Error::Transfer)
}

/// A protocol error.
pub(crate) fn protocol(problem: &str) -> Error {
    Error::Protocol { problem: problem.into() }
}

/// The stream ended too early.
pub(crate) fn cut_short() -> Error {
    Error::Transfer(io::ErrorKind::UnexpectedEof.into())
}

fn length(digits: [u8; 4]) -> Option<usize> {
    digits.iter().try_fold(0_usize, |sum, digit| {
        let value = char::from(*digit).to_digit(16)?;
        Some(sum * 16 + value as usize)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(mut bytes: &[u8]) -> Result<Vec<Packet>, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut packets = Vec::new();
            loop {
                match read(&mut bytes).await? {
                    Packet::End => return Ok(packets),
                    packet => packets.push(packet),
                }
            }
        })
    }

    #[test]
    fn what_is_no_packet_is_refused() {
        for refused in ["0001", "0002", "0003", "0004", "+005a", "-001", "zzzz", "fff1", "ffff", " 5 a"] {
            assert!(matches!(read_all(refused.as_bytes()), Err(Error::Protocol { .. })), "{refused}");
        }
        for cut in ["0", "000", "0006a", "fff0abc"] {
            assert!(matches!(read_all(cut.as_bytes()), Err(Error::Transfer(_))), "{cut}");
        }
    }

    #[test]
    fn lines_and_flushes_are_read_in_order() {
        let mut bytes = Vec::new();
        put(&mut bytes, b"hi\n");
        put_flush(&mut bytes);
        put(&mut bytes, b"x");
        let expected = vec![Packet::Line(b"hi\n".into()), Packet::Flush, Packet::Line(b"x".into())];
        assert_eq!(read_all(&bytes).unwrap(), expected);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_an_answer_and_never_a_panic(bytes: Vec<u8>) {
            let _ = read_all(&bytes);
        }

        #[test]
        fn what_is_put_is_read(payload in proptest::collection::vec(proptest::num::u8::ANY, 1..2000)) {
            let mut bytes = Vec::new();
            put(&mut bytes, &payload);
            proptest::prop_assert_eq!(read_all(&bytes).unwrap(), vec![Packet::Line(payload)]);
        }
    }
}

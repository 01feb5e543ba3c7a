//! One connection, plain or over TLS, on which nothing waits beyond one moment. Knows nothing of what is said on it.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection, Stream};

/// A connection.
pub(crate) struct Line<'s> {
    socket: Timed<'s>,
    tls: Option<ServerConnection>,
}

/// A socket, until one moment: however little at a time comes or goes, after it nothing does.
struct Timed<'s> {
    stream: &'s TcpStream,
    until: Instant,
}

impl<'s> Line<'s> {
    /// A plain one.
    pub(crate) const fn new(stream: &'s TcpStream, until: Instant) -> Self {
        Self { socket: Timed { stream, until }, tls: None }
    }

    /// From now on it is this moment that nothing waits beyond.
    pub(crate) const fn until(&mut self, until: Instant) {
        self.socket.until = until;
    }

    /// Says whether what comes begins like text, and so is no handshake. What comes stays there to be read.
    pub(crate) fn begins_as_text(&self) -> io::Result<bool> {
        let mut first = [0];
        self.socket.stream.set_read_timeout(Some(self.socket.left()?))?;
        let size = self.socket.stream.peek(&mut first)?;
        Ok(size > 0 && first[0].is_ascii_graphic())
    }

    /// Goes over to TLS. Fails when the handshake does, or is not over in time.
    pub(crate) fn encrypt(&mut self, config: &Arc<ServerConfig>) -> io::Result<()> {
        let mut tls = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut self.socket)?;
        }
        self.tls = Some(tls);
        Ok(())
    }

    /// Sends what is still here, and says that nothing more comes.
    pub(crate) fn close(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            while tls.wants_write() {
                tls.write_tls(&mut self.socket)?;
            }
        }
        Ok(())
    }
}

impl Read for Line<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => Stream::new(tls, &mut self.socket).read(buffer),
            None => self.socket.read(buffer),
        }
    }
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => Stream::new(tls, &mut self.socket).write(bytes),
            None => self.socket.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => Stream::new(tls, &mut self.socket).flush(),
            None => self.socket.flush(),
        }
    }
}

impl Timed<'_> {
    fn left(&self) -> io::Result<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut stream = self.stream;
        stream.set_read_timeout(Some(self.left()?))?;
        stream.read(buffer)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut stream = self.stream;
        stream.set_write_timeout(Some(self.left()?))?;
        stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut stream = self.stream;
        stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let there = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (there, listener.accept().unwrap().0)
    }

    fn is_over(begun: Instant, failed: &io::Error) {
        assert!(matches!(failed.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock), "{failed}");
        assert!(begun.elapsed() >= Duration::from_millis(500), "given up early");
    }

    #[test]
    fn whoever_takes_a_little_now_and_then_is_given_up_when_the_time_is_over() {
        let (mut slow, stream) = pair();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let mut some = [0; 4096];
                // Until the other side gives up: it closes, or what it sent ends.
                while slow.read(&mut some).is_ok_and(|size| size > 0) {
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
            let begun = Instant::now();
            let mut line = Line::new(&stream, begun + Duration::from_millis(500));
            is_over(begun, &line.write_all(&vec![0; 256 << 20]).unwrap_err());
            stream.shutdown(std::net::Shutdown::Both).unwrap();
        });
    }

    #[test]
    fn whoever_says_a_little_now_and_then_is_given_up_when_the_time_is_over() {
        let (mut slow, stream) = pair();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                while slow.write_all(b"x").is_ok() {
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
            let begun = Instant::now();
            let mut line = Line::new(&stream, begun + Duration::from_millis(500));
            is_over(begun, &line.read_exact(&mut vec![0; 1 << 20]).unwrap_err());
            stream.shutdown(std::net::Shutdown::Both).unwrap();
        });
    }
}

//! What a push asks for. Parsed strictly and once; a ref name that is none is refused alone, a line that is none ends
//! the conversation.

use std::io;
use std::time::Duration;

use base::name::{Oid, RefName};
use tokio::io::AsyncRead;

use crate::Error;
use crate::child::IDLE;
use crate::pktline::{self, Packet, cut_short, protocol};

/// Commands in one push, and bytes of all of them together.
const COMMANDS: usize = 10_000;
const COMMAND_BYTES: usize = 16 << 20;
/// Characters of a reason that go back to the pusher.
const REASON: usize = 300;
/// Shallow boundaries in one push.
const SHALLOWS: usize = 100_000;
/// Push options in one push, and bytes of all of them together.
const OPTIONS: usize = 100;
const OPTION_BYTES: usize = 64 << 10;

/// One change that a push asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefUpdate {
    /// The ref.
    pub name: RefName,
    /// What the client believes it to be; `None` when it believes that there is no such ref.
    pub old: Option<Oid>,
    /// What it is to become; `None` deletes it.
    pub new: Option<Oid>,
}

/// One command as it was sent, and what became of it.
#[derive(Debug)]
pub(crate) struct Command {
    /// The ref's name as the client wrote it, for the report.
    pub(crate) raw_name: Vec<u8>,
    /// The update; `None` when the name is no ref name, and then `refusal` is set.
    pub(crate) update: Option<RefUpdate>,
    /// Says whether it only takes a ref away.
    is_deletion: bool,
    /// Why it does not happen.
    pub(crate) refusal: Option<String>,
}

/// What the client understands.
#[derive(Debug, Default)]
pub(crate) struct Capabilities {
    pub(crate) has_report: bool,
    pub(crate) has_side_bands: bool,
    pub(crate) is_atomic: bool,
    has_push_options: bool,
}

/// What a push asks for, and what was said to it so far.
#[derive(Debug, Default)]
pub struct Request {
    pub(crate) commands: Vec<Command>,
    pub(crate) capabilities: Capabilities,
    /// Why the pack was not taken in.
    pub(crate) unpack_failure: Option<String>,
    pub(crate) is_shallow: bool,
    push_options: Vec<String>,
}

impl Request {
    /// Reads commands, capabilities and push options; leaves `input` at the pack. A client that hangs up before its
    /// first command asked for nothing. Fails with `Transfer` when it is not all there after ten minutes: a place is
    /// held for the client, and over SSH it may stay silent for as long as it likes.
    pub async fn read(input: &mut (impl AsyncRead + Unpin + Send)) -> Result<Self, Error> {
        Self::read_within(IDLE, input).await
    }

    async fn read_within(patience: Duration, input: &mut (impl AsyncRead + Unpin + Send)) -> Result<Self, Error> {
        let late = |_| Error::Transfer(io::ErrorKind::TimedOut.into());
        tokio::time::timeout(patience, Self::read_all(input)).await.map_err(late)?
    }

    async fn read_all(input: &mut (impl AsyncRead + Unpin + Send)) -> Result<Self, Error> {
        let mut request = Self::default();
        let (mut shallows, mut bytes) = (0_usize, 0_usize);
        loop {
            let line = match pktline::read(input).await? {
                Packet::Flush => break,
                Packet::End if request.commands.is_empty() && shallows == 0 => break,
                Packet::End => return Err(cut_short()),
                Packet::Line(line) => line,
            };
            if let Some(id) = line.strip_prefix(b"shallow ") {
                oid(id.strip_suffix(b"\n").unwrap_or(id))?;
                shallows += 1;
                request.is_shallow = true;
            } else {
                bytes += line.len();
                request.add(&line)?;
            }
            if request.commands.len() > COMMANDS || bytes > COMMAND_BYTES || shallows > SHALLOWS {
                return Err(protocol("the push has more commands than are taken at once"));
            }
        }
        if request.capabilities.has_push_options && !request.commands.is_empty() {
            request.read_options(input).await?;
        }
        request.refuse_doubles();
        request.spread_refusal();
        Ok(request)
    }

    /// Says whether the client asked for nothing at all; then there is nothing to answer either.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// The updates that nobody has refused yet.
    pub fn updates(&self) -> Vec<RefUpdate> {
        let standing = self.commands.iter().filter(|command| command.refusal.is_none());
        standing.filter_map(|command| command.update.clone()).collect()
    }

    /// Refuses one update with a reason of one line; in an atomic push all others fall with it.
    pub fn refuse(&mut self, name: &RefName, reason: &str) {
        for command in &mut self.commands {
            if command.update.as_ref().is_some_and(|update| update.name == *name) {
                command.refuse(reason);
            }
        }
        self.spread_refusal();
    }

    /// Refuses the updates that still stand and that `why` has something against.
    pub fn refuse_each<S: AsRef<str>>(&mut self, why: impl Fn(&RefUpdate) -> Option<S>) {
        for command in self.commands.iter_mut().filter(|command| command.refusal.is_none()) {
            if let Some(reason) = command.update.as_ref().and_then(&why) {
                command.refuse(reason.as_ref());
            }
        }
        self.spread_refusal();
    }

    /// Refuses every update that still stands.
    pub fn refuse_all(&mut self, reason: &str) {
        for command in &mut self.commands {
            command.refuse(reason);
        }
    }

    /// What `--push-option` gave, lossily decoded.
    pub fn push_options(&self) -> &[String] {
        &self.push_options
    }

    /// Says whether all updates must happen or none.
    pub fn is_atomic(&self) -> bool {
        self.capabilities.is_atomic
    }

    /// Says whether a pack follows: only when something is to be created or changed.
    pub(crate) fn has_pack(&self) -> bool {
        self.commands.iter().any(|command| !command.is_deletion)
    }

    fn add(&mut self, line: &[u8]) -> Result<(), Error> {
        let mut parts = line.splitn(2, |byte| *byte == 0);
        let command = parts.next().unwrap_or_default();
        let command = command.strip_suffix(b"\n").unwrap_or(command);
        if let Some(capabilities) = parts.next() {
            if !self.commands.is_empty() {
                return Err(protocol("capabilities stand behind another command than the first"));
            }
            self.capabilities = Capabilities::parse(capabilities)?;
        }
        self.commands.push(Command::parse(command)?);
        Ok(())
    }

    async fn read_options(&mut self, input: &mut (impl AsyncRead + Unpin + Send)) -> Result<(), Error> {
        let mut bytes = 0_usize;
        loop {
            match pktline::read(input).await? {
                Packet::Flush => return Ok(()),
                Packet::End => return Err(cut_short()),
                Packet::Line(line) => {
                    let line = line.strip_suffix(b"\n").unwrap_or(&line);
                    bytes += line.len();
                    self.push_options.push(String::from_utf8_lossy(line).into_owned());
                }
            }
            if self.push_options.len() > OPTIONS || bytes > OPTION_BYTES {
                return Err(protocol("the push has more options than are taken"));
            }
        }
    }

    fn refuse_doubles(&mut self) {
        let mut seen = std::collections::HashMap::new();
        for command in &self.commands {
            *seen.entry(command.raw_name.clone()).or_insert(0_usize) += 1;
        }
        for command in &mut self.commands {
            if seen.get(&command.raw_name).is_some_and(|count| *count > 1) {
                command.refuse("the push names this ref more than once");
            }
        }
    }

    fn spread_refusal(&mut self) {
        if self.capabilities.is_atomic && self.commands.iter().any(|command| command.refusal.is_some()) {
            self.refuse_all("atomic push: another ref was refused");
        }
    }
}

impl Command {
    /// Parses `<old> <new> <name>`.
    fn parse(line: &[u8]) -> Result<Self, Error> {
        let mut parts = line.splitn(3, |byte| *byte == b' ');
        let (Some(old), Some(new), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(protocol("a command is not `<old> <new> <ref>`"));
        };
        let (old, new) = (oid(old)?, oid(new)?);
        let is_deletion = new.is_none();
        let parsed = std::str::from_utf8(name).ok().and_then(|name| RefName::parse(name).ok());
        let update = parsed.map(|name| RefUpdate { name, old, new });
        let refusal = match &update {
            None => Some("this is not a ref name".to_owned()),
            Some(RefUpdate { old: None, new: None, .. }) => Some("there is no such ref to delete".to_owned()),
            Some(_) => None,
        };
        Ok(Self { raw_name: name.into(), update, is_deletion, refusal })
    }

    fn refuse(&mut self, reason: &str) {
        if self.refusal.is_none() {
            let plain = |sign: char| if sign.is_control() { '\u{fffd}' } else { sign };
            self.refusal = Some(reason.chars().take(REASON).map(plain).collect());
        }
    }
}

impl Capabilities {
    fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let text = String::from_utf8_lossy(bytes);
        let mut found = Self::default();
        for word in text.split_ascii_whitespace() {
            match word {
                "report-status" | "report-status-v2" => found.has_report = true,
                "side-band-64k" => found.has_side_bands = true,
                "atomic" => found.is_atomic = true,
                "push-options" => found.has_push_options = true,
                other => {
                    if other.strip_prefix("object-format=").is_some_and(|format| format != "sha1") {
                        return Err(protocol("the repository holds SHA-1 objects and the client others"));
                    }
                }
            }
        }
        Ok(found)
    }
}

/// Parses an id of 40 digits; the zero id is none.
fn oid(bytes: &[u8]) -> Result<Option<Oid>, Error> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() == 40);
    let oid = text.and_then(|text| Oid::parse(text).ok()).ok_or_else(|| protocol("a command holds no object id"))?;
    Ok(Some(oid).filter(|oid| !oid.is_zero()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const ZERO: &str = "0000000000000000000000000000000000000000";

    fn packets(lines: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        for line in lines {
            pktline::put(&mut out, line);
        }
        pktline::put_flush(&mut out);
        out
    }

    fn read(mut bytes: &[u8]) -> Result<Request, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(Request::read(&mut bytes))
    }

    fn refusals(request: &Request) -> Vec<Option<&str>> {
        request.commands.iter().map(|command| command.refusal.as_deref()).collect()
    }

    #[test]
    fn malformed_lines_end_the_conversation() {
        let lines = [
            String::new(),
            "push-cert\0atomic".into(),
            format!("{A} {A}"),
            format!("{A}  refs/heads/a"),
            format!("{} {A} refs/heads/a", A.to_uppercase()),
            format!("{A}{A} {A} refs/heads/a"),
            "shallow x".into(),
            format!("{A} {A} refs/heads/a\0object-format=sha256"),
        ];
        for line in lines {
            assert!(matches!(read(&packets(&[line.as_bytes()])), Err(Error::Protocol { .. })), "{line}");
        }
        let second = format!("{ZERO} {A} refs/heads/a\0atomic");
        assert!(read(&packets(&[second.as_bytes(), second.as_bytes()])).is_err());
        let line = format!("{ZERO} {A} refs/heads/a");
        let many: Vec<_> = std::iter::repeat_n(line.as_bytes(), COMMANDS + 1).collect();
        assert!(matches!(read(&packets(&many)), Err(Error::Protocol { .. })));
    }

    #[test]
    fn a_name_that_is_no_ref_is_refused_alone_unless_the_push_is_atomic() {
        let names: [&[u8]; 6] = [
            b"--upload-pack=x",
            b"refs/heads/--upload-pack=x",
            b"HEAD",
            b"refs/heads/../x",
            b"refs/heads/\xff",
            b"config",
        ];
        for name in names {
            let odd = [format!("{ZERO} {A} ").as_bytes(), name].concat();
            let fine = format!("{ZERO} {A} refs/heads/a\0report-status");
            let request = read(&packets(&[fine.as_bytes(), &odd])).unwrap();
            assert_eq!(refusals(&request), [None, Some("this is not a ref name")]);
            let atomic = format!("{ZERO} {A} refs/heads/a\0report-status atomic");
            let request = read(&packets(&[atomic.as_bytes(), &odd])).unwrap();
            assert!(request.updates().is_empty() && request.is_atomic());
        }
    }

    #[test]
    fn a_ref_named_twice_is_refused_twice() {
        let line = format!("{ZERO} {A} refs/heads/a");
        let request = read(&packets(&[line.as_bytes(), line.as_bytes()])).unwrap();
        assert!(request.updates().is_empty());
    }

    #[test]
    fn a_client_that_says_nothing_is_not_waited_for_for_ever() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (_held, mut silent) = tokio::io::duplex(16);
        let read = runtime.block_on(Request::read_within(Duration::from_millis(20), &mut silent));
        assert!(matches!(read, Err(Error::Transfer(error)) if error.kind() == io::ErrorKind::TimedOut));
    }

    #[test]
    fn names_that_are_long_together_are_refused_as_many_are() {
        let name = vec![b'n'; 60_000];
        let line = [format!("{ZERO} {A} ").as_bytes(), &name].concat();
        let lines = vec![line.as_slice(); 300];
        assert!(matches!(read(&packets(&lines)), Err(Error::Protocol { .. })));
    }

    #[test]
    fn a_flush_or_a_hang_up_asks_for_nothing() {
        assert!(read(b"0000").unwrap().is_empty());
        assert!(read(b"").unwrap().is_empty());
        let cut = packets(&[format!("{ZERO} {A} refs/heads/a").as_bytes()]);
        assert!(matches!(read(&cut[..cut.len() - 4]), Err(Error::Transfer(_))));
    }

    #[test]
    fn options_follow_the_commands() {
        let mut bytes = packets(&[format!("{A} {ZERO} refs/heads/a\0push-options side-band-64k").as_bytes()]);
        bytes.extend(packets(&[b"ci.skip\n"]));
        let request = read(&bytes).unwrap();
        assert_eq!(request.push_options(), ["ci.skip"]);
        assert!(request.capabilities.has_side_bands && !request.has_pack());
        assert_eq!(request.updates().first().and_then(|update| update.new.clone()), None);
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_an_answer_and_never_a_panic(lines: Vec<Vec<u8>>) {
            let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
            let _ = read(&packets(&lines));
        }
    }
}

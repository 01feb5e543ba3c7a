//! Asking a person at the terminal for what nobody may read over the shoulder. What is typed is shown nowhere, and the
//! terminal is as it was when the question is over, whatever happens.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};

use base::Secret;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// The longest line that is taken, in bytes.
const LONGEST: u64 = 4096;

/// Asks on the terminal of this process. `None` when it has none.
pub(crate) fn ask_hidden(question: &str) -> io::Result<Option<Secret<String>>> {
    let Ok(terminal) = File::options().read(true).write(true).open("/dev/tty") else { return Ok(None) };
    let before = tcgetattr(&terminal)?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    silent.local_modes.insert(LocalModes::ECHONL);
    let quiet = Quiet { terminal: &terminal, before };
    tcsetattr(&terminal, OptionalActions::Flush, &silent)?;
    (&terminal).write_all(question.as_bytes())?;
    let mut line = String::new();
    let read = BufReader::new((&terminal).take(LONGEST)).read_line(&mut line);
    drop(quiet);
    read?;
    Ok(Some(Secret::new(line.trim_end_matches(['\r', '\n']).to_owned())))
}

/// Gives the terminal back as it was.
struct Quiet<'t> {
    terminal: &'t File,
    before: Termios,
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}

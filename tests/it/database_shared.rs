//! The databases of a run whose sites share one server: what only their administrator could do to them.

use std::path::Path;

use crate::postgres::{PORT, ask_at};

/// Changes what an event is about, as somebody could who administers the server.
pub(crate) fn change_subject(socket: &Path, database: &str, before: &str, after: &str) {
    let change = format!(
        "ALTER TABLE events DISABLE TRIGGER USER;
         UPDATE events SET subject = '{after}' WHERE kind = 'user.created' AND subject = '{before}'"
    );
    let done = ask_at(socket, PORT, database, &change);
    assert!(done.0 && done.1.contains("UPDATE 1"), "{}", done.1);
}

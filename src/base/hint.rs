//! How an error says what to do about it. The text of the error itself never holds the hint or its source.

/// An error that may know its remedy. Printed once at the edge, after the chain of causes, as `hint:` lines.
pub trait Hint: std::error::Error {
    /// What the reader should do, in one sentence without a full stop; `None` when there is nothing to add.
    fn hint(&self) -> Option<String> {
        None
    }
}

/// An error and its causes in one line, for reports whose lines stand alone.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ").replace(char::is_control, " ")
}

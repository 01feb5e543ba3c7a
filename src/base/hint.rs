//! How an error says what to do about it. The text of the error itself never holds the hint or its source.

/// An error that may know its remedy. Printed once at the edge, after the chain of causes, as `hint:` lines.
pub trait Hint: std::error::Error {
    /// What the reader should do, in one sentence without a full stop; `None` when there is nothing to add.
    fn hint(&self) -> Option<String> {
        None
    }
}

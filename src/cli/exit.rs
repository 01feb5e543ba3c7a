//! The one table of exit codes. The manual's page and the help text are held against it by tests.

use std::process::ExitCode;

macro_rules! exits {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $meaning:literal;)*) => {
        /// How a command ended.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Exit {
            $($(#[$doc])* $name = $code,)*
        }

        /// The table as `--help` shows it.
        pub(crate) const HELP: &str = concat!("Exit codes:\n", $("  ", $code, "\t", $meaning, "\n",)*);

        #[cfg(test)]
        const TABLE: &[(u8, &str)] = &[$(($code, $meaning),)*];
    };
}

exits! {
    /// Done.
    Ok = 0, "done";
    /// Failed; the message says why.
    Failure = 1, "failed";
    /// The command line is wrong.
    Usage = 2, "the command line is wrong";
    /// A check found an error.
    ChecksFailed = 3, "checks failed";
    /// Checks found warnings only, and `--strict` was given.
    Warnings = 4, "warnings only, with --strict";
    /// No site there.
    NotInstalled = 10, "not installed";
    /// Another operation holds the site's lock.
    Locked = 11, "locked by another operation";
    /// The encryption key is not the one that the data was written with.
    KeyMismatch = 12, "the key does not match the data";
    /// A signature does not hold, or what was written was changed since.
    Integrity = 13, "signature or integrity";
    /// A delta is for another bundle than the one that was named.
    Base = 14, "base bundle needed";
    /// Not enough room, on a disk that the message names.
    Space = 15, "not enough resources";
    /// A newer program wrote the data.
    Version = 16, "version or schema refused";
    /// No container engine answers.
    Engine = 18, "engine unavailable";
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An operator scripts against these numbers; the manual must not lag behind.
    #[test]
    fn the_manual_lists_every_exit_code_with_its_meaning() {
        let page = include_str!("../../docs/exit-codes.md");
        for (code, meaning) in TABLE {
            assert!(page.contains(&format!("| {code} | {meaning} |")), "{code} {meaning}");
        }
    }
}

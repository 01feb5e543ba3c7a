//! Words, names, errors with hints, settings, clock, files and processes that every room shares.
//! Never imports an async runtime, HTTP or SQL, and never talks to the operator.
//!
//! # Glossary, one word per thing
//!
//! *site*: one installation. *bundle*: the file that crosses the gap. *stack*: the compose project.
//! *operator*: who keeps a site alive. *check*: looks at one thing and gives *findings*. *probe*: an isolation
//! check. *policy*: code that judges a repository. *repository*: a bare Git repository with an owner and a name.
//! *actor*: who asks, signed in or not. *key fingerprint*: the SHA-256 name of a key. *evidence*: the signed
//! record of an operation.

pub mod clock;
pub mod confine;
pub mod envfile;
pub mod fault;
pub mod file;
pub mod file_path;
pub mod finding;
pub mod hint;
pub mod kept;
mod load;
pub mod name;
pub mod network;
pub mod plain;
pub mod process;
mod registry;
mod reserved;
pub mod secret;
pub mod settings;
pub mod site;
pub mod template;
pub mod time_source;
mod transfers;
pub mod url;

pub use clock::Clock;
pub use finding::{Finding, Severity};
pub use hint::Hint;
pub use secret::Secret;

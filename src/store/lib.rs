//! The forge's tables: migrations and queries, one file per noun. Holds all the SQL of the forge and none of its rights:
//! whoever calls has already decided that the actor may.

mod error;
mod handle;
mod login;
mod migrations;
mod postgres;
mod sqlite;
mod value;

#[cfg(test)]
mod file_test;
#[cfg(test)]
#[path = "../../tests/it/postgres.rs"]
mod server_for_tests;
#[cfg(test)]
mod server_test;
#[cfg(test)]
mod tests;

pub mod collaborators;
pub mod deploy_keys;
pub mod events;
pub mod facts;
pub mod intents;
pub mod loose_directories;
pub mod organisations;
pub mod repos;
pub mod sessions;
pub mod sign_in_failures;
pub mod ssh_keys;
pub mod statuses;
pub mod teams;
pub mod tokens;
pub mod users;

pub use error::{Cause, StoreError};
pub use handle::{Address, Look, Query, Reader, Store, Tx};
pub use login::Login;
pub use migrations::{KNOWN_SCHEMA, pending};
pub use value::{FromValue, Row, Value};

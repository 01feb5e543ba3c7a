//! The forge's tables: migrations and queries, one file per noun. Holds all the SQL of the forge and none of its rights:
//! whoever calls has already decided that the actor may.

mod copy_order;
mod copy_source;
mod copy_target;
mod error;
mod handle;
mod login;
mod migrations;
mod postgres;
mod signals;
mod signals_redis;
mod sqlite;
mod tls;
mod value;

#[cfg(test)]
mod copy_test;
#[cfg(test)]
mod file_test;
#[cfg(test)]
#[path = "../../tests/it/redis_server.rs"]
mod redis_for_tests;
#[cfg(test)]
#[path = "../../tests/it/postgres.rs"]
mod server_for_tests;
#[cfg(test)]
mod server_test;
#[cfg(test)]
mod signals_test;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_test;

pub mod authenticators;
pub mod ceremonies;
pub mod collaborators;
pub mod copy;
pub mod deploy_keys;
pub mod events;
pub mod facts;
pub mod integrity;
pub mod intents;
pub mod jobs;
pub mod lfs;
pub mod lfs_locks;
pub mod loose_directories;
pub mod organisations;
pub mod protections;
pub mod quotas;
pub mod recovery_codes;
pub mod repos;
pub mod security_keys;
pub mod sessions;
pub mod sign_in_failures;
pub mod ssh_authorities;
pub mod ssh_keys;
pub mod statuses;
pub mod teams;
pub mod tokens;
pub mod users;

pub use error::{Cause, StoreError};
pub use handle::{Address, Look, Query, Reader, Store, Tx};
pub use login::Login;
pub use migrations::{KNOWN_SCHEMA, migration_names, pending};
pub use signals::{Link, Signal, SignalError, Signals};
pub use value::{FromValue, Row, Value};

//! The forge at its doors: pages and Git over HTTP(S), Git over SSH, health and metrics. Turns bytes into an actor and a
//! typed request, and an answer of the forge into bytes. Never imports `store` or `git`, and decides no right by itself.

pub mod api;
mod basic;
mod body;
mod connection;
#[cfg(test)]
mod connection_test;
mod git_answer;
mod git_http;
#[cfg(test)]
mod git_test;
mod health;
#[cfg(test)]
mod health_test;
mod highlight;
mod host_key;
mod http;
#[cfg(test)]
mod http_test;
mod lfs;
mod lfs_answer;
pub mod lfs_request;
#[cfg(test)]
mod lfs_test;
mod lfs_transfer;
mod limits;
mod listen;
pub mod markdown;
mod metrics;
mod pace;
mod patience;
mod permitted;
mod proxy_protocol;
mod pump;
mod request;
mod server;
mod service;
mod ssh;
mod ssh_certificate;
#[cfg(test)]
mod ssh_certificate_test;
pub mod ssh_command;
#[cfg(test)]
mod ssh_test;
mod ssh_transfer;
mod state;
#[cfg(test)]
mod test_client;
#[cfg(test)]
mod test_site;
mod tls;
mod turns;
pub mod web;

pub use host_key::HostKeyError;
pub use server::{Addresses, Options, ServeError, Server};
pub use tls::{TlsError, TlsFiles, http1_config};

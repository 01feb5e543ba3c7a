//! Installs a site and looks after its running server, from the host's own shell. Works on a host where the server
//! cannot start: never imports the forge, whose migrations and accounts come in through [`apply::Hooks`].

pub mod apply;
#[cfg(test)]
mod apply_test;
pub mod bundle;
pub mod error;
pub mod facts;
pub mod images;
pub mod journal;
pub mod live;
pub mod plan;
pub mod running;
pub mod site_git;
pub mod status;
pub mod unit;

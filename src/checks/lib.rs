//! Checks of certificates, settings, GitLab and the network; each gives lines or findings. Changes nothing it looks at,
//! and never prints: the command line does.

pub mod authority;
pub mod catalogue;
pub mod certificate;
pub mod compose;
mod compose_expand;
pub mod egress;
pub mod env;
mod env_rules;
mod explain;
mod gitlab;
pub mod isolation;
mod pem;
pub mod setup;
pub mod site;
pub mod smoke;
mod text;
pub mod trust;

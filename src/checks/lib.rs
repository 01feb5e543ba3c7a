//! Checks of certificates, settings, GitLab and the network; each gives lines or findings. Changes nothing it looks at,
//! and never prints: the command line does.

#[cfg(test)]
extern crate self as checks;

pub mod authority;
pub mod catalogue;
pub mod certificate;
pub mod compose;
mod compose_expand;
mod container;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod corpus_certificate;
#[cfg(test)]
mod corpus_proof;
pub mod egress;
pub mod env;
#[cfg(test)]
mod env_corpus_test;
pub mod env_diff;
pub mod env_migrate;
mod env_ports;
mod env_private;
mod env_read;
mod env_resolvers;
mod env_rules;
mod env_secret;
mod env_whole;
mod explain;
mod gitlab;
pub mod host_store;
pub mod isolation;
mod link;
pub mod peer;
mod pem;
pub mod presented;
pub mod remedy;
pub mod render;
mod render_junit;
mod render_sarif;
mod render_terminal;
pub mod served;
pub mod setup;
mod signature;
pub mod site;
pub mod smoke;
pub mod split;
mod stack_gnutls;
mod stack_openssl;
mod stack_webpki;
mod text;
pub mod trust;
pub mod verdict;

//! Checks of certificates, settings, GitLab and the network; each gives lines or findings. Changes nothing it looks at,
//! and never prints: the command line does.

pub mod authority;
pub mod catalogue;
pub mod certificate;
mod container;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod corpus_certificate;
#[cfg(test)]
mod corpus_proof;
pub mod egress;
pub mod env;
mod env_rules;
mod explain;
mod gitlab;
pub mod host_store;
pub mod isolation;
mod link;
pub mod peer;
mod pem;
pub mod presented;
pub mod remedy;
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

//! Checks of certificates, settings, GitLab and the network; each gives lines or findings. Changes nothing it looks at,
//! and never prints: the command line does.

#[cfg(test)]
extern crate self as checks;

pub mod authority;
#[cfg(test)]
mod authority_test;
pub mod catalogue;
pub mod certificate;
pub mod check;
pub mod compose;
mod compose_expand;
mod constraints;
mod container;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod corpus_certificate;
#[cfg(test)]
mod corpus_key;
#[cfg(test)]
mod corpus_more;
#[cfg(test)]
mod corpus_proof;
pub mod doctor;
pub mod drawing;
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
pub mod gitlab;
mod host_record;
pub mod host_store;
#[cfg(test)]
mod host_store_test;
pub mod isolation;
mod link;
pub mod peer;
mod pem;
pub mod preflight;
pub mod presented;
mod presented_date;
pub mod probe;
mod probe_attempt;
mod probe_container;
mod probe_control;
mod probe_dns;
mod probe_engine;
mod probe_exchange;
mod probe_http;
mod probe_judge;
mod probe_look;
mod probe_lookup;
mod probe_ntp;
mod probe_pace;
mod probe_proxy;
mod probe_quic;
pub mod probe_report;
mod probe_resolvers;
pub mod probe_target;
pub mod probe_vantage;
pub mod registry;
mod registry_challenge;
mod registry_error;
mod registry_login;
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

//! The stories: everything a user could notice, through the real binary, real git, real ssh and a real browser.
//! Holds module lines alone. Talks to nothing beyond this machine, and ends only what it started.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test says what is wrong by panicking, and what is absent on standard error"
)]

mod access;
mod api;
mod api_caller;
mod api_fj;
mod api_matrix;
mod api_rights;
mod api_schema;
mod audit;
mod authz_matrix;
mod authz_people;
mod browser;
mod bundle_delta;
mod bundle_distrust;
mod bundle_forger;
mod bundle_hostile;
mod bundle_hostile_manifest;
mod bundle_keys;
mod bundle_kills;
mod bundle_plain;
mod bundle_split;
mod bundle_split_damage;
mod bundle_split_hostile;
mod bundle_split_load;
mod bundle_travel;
mod ca;
mod cli;
mod clients;
mod corpora;
mod database_copy;
mod database_server;
mod database_shared;
mod docker_room;
mod doctor;
mod doors;
mod dry_run;
mod egress;
mod engine;
mod env;
mod git;
mod gitlab_stub;
mod gotchas;
mod hostile;
mod html;
mod images;
mod images_containers;
mod images_refused;
mod incidents;
mod inspect;
mod interrupted;
mod isolation_containers;
mod isolation_docker;
mod isolation_host;
mod isolation_netns;
mod isolation_never;
mod isolation_outside;
mod isolation_world;
mod jobs;
mod kill_drill;
mod lab;
mod lab_closed;
mod large_push;
mod lfs;
mod lfs_matrix;
mod postgres;
mod preflight;
mod preflight_engine;
mod preflight_network;
mod protection;
mod proxies;
mod redis;
mod redis_server;
mod require;
mod second_factor;
mod setup;
mod site;
mod smoketest;
mod smoketest_netns;
mod smoketest_site;
mod snapshot;
mod ssh;
mod stage;
mod tidy;
mod tidy_text;
mod transports;
mod visitor;
mod webdriver;
mod wrong_key;

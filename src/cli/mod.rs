//! The command line: parse, call, print, exit code. Joins the rooms; holds no logic of its own.

mod admin;
mod admin_audit;
mod admin_db;
mod admin_organisation;
mod admin_repository;
mod admin_token;
mod admin_user;
mod bundle;
mod bundle_apply;
mod bundle_build;
mod bundle_delta;
mod bundle_diff;
mod bundle_engine;
mod bundle_export;
mod bundle_images;
mod bundle_inspect;
mod bundle_inventory;
mod bundle_join;
mod bundle_keygen;
mod bundle_keys;
mod bundle_load;
mod bundle_load_tgz;
mod bundle_push;
mod bundle_serve;
mod bundle_sign;
mod bundle_source;
mod bundle_split;
mod bundle_tgz;
mod bundle_trust;
mod bundle_verify;
mod ca;
mod ca_trust;
mod completions;
mod console;
mod doctor;
mod down;
mod env;
mod env_diff;
mod env_migrate;
mod exit;
mod explain;
mod failure;
mod findings;
mod install;
mod install_hooks;
mod install_request;
mod install_systemd;
mod isolation;
mod logs;
mod man;
mod preflight;
#[cfg(test)]
mod reference;
mod restart;
mod serve;
mod setup;
mod site;
mod smoketest;
mod smoketest_site;
mod sources;
mod status;
mod terminal;
mod up;
mod version;

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

pub(crate) use console::Console;
pub(crate) use exit::Exit;
pub(crate) use failure::Failure;

/// Install, prove, and keep alive a Git forge in a network that has no internet
#[derive(Debug, Parser)]
#[command(name = "gitgrit-ops", version, after_help = exit::HELP)]
struct Cli {
    /// Print data as JSON
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Install(install::InstallArgs),
    Up(up::UpArgs),
    Down(down::DownArgs),
    Restart(restart::RestartArgs),
    Status(status::StatusArgs),
    Logs(logs::LogsArgs),
    Setup(setup::SetupArgs),
    Smoketest(smoketest::SmoketestArgs),
    Preflight(preflight::PreflightArgs),
    Doctor(doctor::DoctorArgs),
    Env(env::EnvArgs),
    Ca(ca::CaArgs),
    Isolation(isolation::IsolationArgs),
    Bundle(bundle::BundleArgs),
    Explain(explain::ExplainArgs),
    Admin(admin::AdminArgs),
    Serve(serve::ServeArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
    Version(version::VersionArgs),
}

/// Runs one command line and says how it ended.
pub(crate) fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let mut console = Console::standard();
    let exit = match Cli::try_parse_from(by_name(arguments)) {
        Ok(cli) => {
            console.is_json = cli.json;
            run(&cli.verb, &mut console).unwrap_or_else(|failure| failure.print(&mut console))
        }
        Err(error) => usage(&error, &mut console),
    };
    let _ = console.out.flush();
    exit.into()
}

fn run(verb: &Verb, console: &mut Console) -> Result<Exit, Failure> {
    match verb {
        Verb::Install(args) => install::run(args, console),
        Verb::Up(args) => up::run(args, console),
        Verb::Down(args) => down::run(args, console),
        Verb::Restart(args) => restart::run(args, console),
        Verb::Status(args) => status::run(args, console),
        Verb::Logs(args) => logs::run(args, console),
        Verb::Setup(args) => setup::run(args, console),
        Verb::Smoketest(args) => smoketest::run(args, console),
        Verb::Preflight(args) => preflight::run(args, console),
        Verb::Doctor(args) => doctor::run(args, console),
        Verb::Env(args) => env::run(args, console),
        Verb::Ca(args) => ca::run(args, console),
        Verb::Isolation(args) => isolation::run(args, console),
        Verb::Bundle(args) => bundle::run(args, console),
        Verb::Explain(args) => explain::run(args, console),
        Verb::Admin(args) => admin::run(args, console),
        Verb::Serve(args) => serve::run(args, console),
        Verb::Completions(args) => completions::run(args, console),
        Verb::Man(args) => man::run(args, console),
        Verb::Version(args) => version::run(args, console),
    }
}

/// The whole command line as clap knows it, for completions and manual pages.
fn command() -> clap::Command {
    Cli::command()
}

/// The program under the names that the seeds use is the verb of that name.
fn by_name(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.collect();
    let name = arguments.first().and_then(|first| Path::new(first).file_name()).and_then(|name| name.to_str());
    let verb = match name {
        Some("airgap_smoketest") => "smoketest",
        Some("airgap_setup") => "setup",
        _ => return arguments,
    };
    arguments.insert(1, verb.into());
    arguments
}

/// Help and version are data; everything else clap says is an error of use.
fn usage(error: &clap::Error, console: &mut Console) -> Exit {
    let text = error.render();
    if error.use_stderr() {
        let _ = write!(console.err, "{text}");
        Exit::Usage
    } else {
        let _ = write!(console.out, "{text}");
        Exit::Ok
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn the_seeds_names_are_verbs() {
        let run = |name: &str| by_name([OsString::from(name), "--json".into()].into_iter());
        assert_eq!(run("/usr/bin/airgap_smoketest"), ["/usr/bin/airgap_smoketest", "smoketest", "--json"]);
        assert_eq!(run("airgap_setup"), ["airgap_setup", "setup", "--json"]);
        assert_eq!(run("gitgrit-ops"), ["gitgrit-ops", "--json"]);
    }
}

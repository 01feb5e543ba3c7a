//! What the engine says of itself, asked through its own command line: its socket is opened by nobody here. Reads, and starts
//! nothing; the engine's words are those of another program and are taken as such.

use std::collections::BTreeMap;
use std::time::Duration;

use base::process::{Finished, Program};
use serde::Deserialize;

use super::World;
use crate::text::line;

/// How long one question may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// What the command line of the engine is told by the environment.
const ENVIRONMENT: [&str; 7] = [
    "HOME",
    "DOCKER_HOST",
    "DOCKER_CONFIG",
    "DOCKER_CONTEXT",
    "DOCKER_CERT_PATH",
    "DOCKER_TLS_VERIFY",
    "DOCKER_API_VERSION",
];

/// `docker info`, as far as it is looked at. Engines of other versions leave fields out.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Info {
    pub(super) server_version: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) server_errors: Vec<String>,
    #[serde(rename = "ClientInfo")]
    pub(super) client: Client,
    pub(super) driver: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) driver_status: Vec<(String, String)>,
    #[serde(rename = "DockerRootDir")]
    pub(super) root_dir: String,
    pub(super) cgroup_driver: String,
    pub(super) cgroup_version: String,
    #[serde(rename = "LiveRestoreEnabled")]
    pub(super) is_live_restored: bool,
    pub(super) runtimes: BTreeMap<String, Runtime>,
    pub(super) default_runtime: String,
    pub(super) http_proxy: String,
    pub(super) https_proxy: String,
    pub(super) no_proxy: String,
    pub(super) registry_config: Registries,
    pub(super) logging_driver: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) security_options: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) default_address_pools: Vec<Pool>,
    pub(super) system_time: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) warnings: Vec<String>,
    #[serde(rename = "Debug")]
    pub(super) is_debugging: bool,
    pub(super) memory_limit: bool,
    pub(super) pids_limit: bool,
    pub(super) cpu_cfs_quota: bool,
}

/// The command line's own part.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Client {
    #[serde(deserialize_with = "or_default")]
    pub(super) plugins: Vec<Plugin>,
}

/// A plugin of the command line.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Plugin {
    pub(super) name: String,
    pub(super) version: String,
}

/// A registered runtime.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Runtime {
    pub(super) path: String,
}

/// Which registries the engine asks, and how.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Registries {
    #[serde(deserialize_with = "or_default")]
    pub(super) mirrors: Vec<String>,
    #[serde(rename = "InsecureRegistryCIDRs", deserialize_with = "or_default")]
    pub(super) insecure_networks: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) index_configs: BTreeMap<String, Registry>,
}

/// One registry.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Registry {
    #[serde(rename = "Secure")]
    pub(super) is_secure: bool,
}

/// Where the engine takes the subnets of new networks from.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Pool {
    pub(super) base: String,
}

/// A network of the engine.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Network {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) driver: String,
    #[serde(rename = "IPAM")]
    pub(super) addresses: Addresses,
    #[serde(deserialize_with = "or_default")]
    pub(super) options: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) containers: BTreeMap<String, Member>,
    #[serde(deserialize_with = "or_default")]
    pub(super) labels: BTreeMap<String, String>,
}

/// The addresses of a network.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Addresses {
    #[serde(deserialize_with = "or_default")]
    pub(super) config: Vec<Subnet>,
}

/// One range of them.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Subnet {
    pub(super) subnet: String,
}

/// A container in a network.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Member {
    pub(super) name: String,
}

/// Why the engine says nothing.
#[derive(Debug)]
pub(super) struct Away {
    pub(super) reason: String,
    /// Says whether even its command line is missing.
    pub(super) is_program_missing: bool,
    /// What the command line has, where it is there.
    pub(super) client: Client,
}

/// Go writes an empty list or map as null.
fn or_default<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(from).map(Option::unwrap_or_default)
}

/// The engine's command line with the environment that it knows.
pub(super) fn program(world: &World) -> Program {
    let mut program = Program::new("docker").deadline(DEADLINE);
    for name in ENVIRONMENT {
        if let Some(value) = (world.asked.environment)(name) {
            program = program.env(name, value);
        }
    }
    program
}

/// The first line that is an error of the engine's command line.
pub(super) fn reason(done: &Finished) -> String {
    line(done.stderr.lines().find(|line| !line.trim().is_empty()).unwrap_or("it says nothing").trim())
}

/// Asks for `docker info`.
pub(super) fn info(world: &World) -> Result<Info, Away> {
    let away = |reason: String, is_program_missing| Away { reason, is_program_missing, client: Client::default() };
    let done = match program(world).options(["info", "--format", "{{json .}}"]).run(b"") {
        Ok(done) => done,
        Err(base::process::ProcessError::Start { .. }) => return Err(away("`docker` is not in PATH".into(), true)),
        Err(error) => return Err(away(base::hint::chain(&error), false)),
    };
    let info: Info = match serde_json::from_slice(&done.stdout) {
        Ok(info) => info,
        Err(_) if !done.status.success() => return Err(away(reason(&done), false)),
        Err(error) => return Err(away(format!("`docker info` is not read: {error}"), false)),
    };
    if let Some(error) = info.server_errors.first() {
        return Err(Away { reason: line(error), is_program_missing: false, client: info.client });
    }
    if !done.status.success() || info.server_version.is_empty() {
        return Err(Away { reason: reason(&done), is_program_missing: false, client: info.client });
    }
    Ok(info)
}

/// Asks for every network.
pub(super) fn networks(world: &World) -> Result<Vec<Network>, String> {
    world.engine().map_err(|away| away.reason.clone())?;
    let list = program(world).options(["network", "ls", "--quiet", "--no-trunc"]).run(b"");
    let list = list.map_err(|error| base::hint::chain(&error))?;
    let ids = String::from_utf8_lossy(&list.stdout).into_owned();
    if ids.trim().is_empty() {
        return Err(reason(&list));
    }
    let inspect = program(world).options(["network", "inspect"]).operands(ids.split_whitespace()).run(b"");
    let inspect = inspect.map_err(|error| base::hint::chain(&error))?;
    serde_json::from_slice(&inspect.stdout).map_err(|error| format!("`docker network inspect` is not read: {error}"))
}

/// Where the engine's socket is, when it is a file of this host; the address elsewhere, when it is not.
pub(super) fn door(world: &World) -> Result<std::path::PathBuf, String> {
    match (world.asked.environment)("DOCKER_HOST").filter(|host| !host.is_empty()) {
        None => Ok("/var/run/docker.sock".into()),
        Some(host) => host.strip_prefix("unix://").map(Into::into).ok_or(host),
    }
}

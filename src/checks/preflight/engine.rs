//! What the engine says of itself, asked through its own command line: its socket is opened by nobody here. Reads, and starts
//! nothing; the engine's words are those of another program and are taken as such.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use base::process::{Finished, ProcessError, Program};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

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
    pub(super) server_errors: Vec<String>,
    #[serde(rename = "ClientInfo")]
    pub(super) client: Client,
    pub(super) driver: String,
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
    pub(super) security_options: Vec<String>,
    pub(super) default_address_pools: Vec<Pool>,
    pub(super) system_time: String,
    pub(super) warnings: Vec<String>,
    #[serde(rename = "Debug")]
    pub(super) is_debugging: bool,
    pub(super) memory_limit: bool,
    pub(super) pids_limit: bool,
    pub(super) cpu_cfs_quota: bool,
    pub(super) swarm: Swarm,
    /// What podman says in place of all the others.
    #[serde(rename = "version")]
    pub(super) podman: Podman,
}

/// Podman's own name and version, from `podman info`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Podman {
    pub(super) version: String,
}

/// Whether the engine is a part of several.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Swarm {
    pub(super) local_node_state: String,
}

/// Nothing but the command line's own part.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Only {
    #[serde(rename = "ClientInfo")]
    client: Option<Client>,
}

/// The command line's own part.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Client {
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
    pub(super) mirrors: Vec<String>,
    #[serde(rename = "InsecureRegistryCIDRs")]
    pub(super) insecure_networks: Vec<String>,
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
    pub(super) options: BTreeMap<String, String>,
    pub(super) containers: BTreeMap<String, Member>,
    pub(super) labels: BTreeMap<String, String>,
}

/// The addresses of a network.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Addresses {
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
    /// What the command line has, where it says so.
    pub(super) client: Option<Client>,
}

/// What the engine's command line printed. Go writes an empty list, an empty map and what is not known as null: all of them are
/// left out here, wherever they are.
pub(super) fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, serde_json::Error> {
    let mut value = serde_json::from_slice(text)?;
    leave_out(&mut value);
    serde_json::from_value(value)
}

fn leave_out(value: &mut Value) {
    match value {
        Value::Array(items) => {
            items.retain(|item| !item.is_null());
            items.iter_mut().for_each(leave_out);
        }
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(leave_out);
        }
        _ => {}
    }
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
    let away = |reason: String| Away { reason, is_program_missing: false, client: None };
    let done = match program(world).options(["info", "--format", "{{json .}}"]).run(b"") {
        Ok(done) => done,
        Err(ProcessError::Start { .. }) => {
            return Err(Away { is_program_missing: true, ..away("`docker` is not in PATH".into()) });
        }
        Err(error) => return Err(away(base::hint::chain(&error))),
    };
    // What the command line says of itself counts also where the rest is not read.
    let client = read::<Only>(&done.stdout).ok().and_then(|only| only.client);
    let away = |reason: String| Away { reason, is_program_missing: false, client };
    let info: Info = match read(&done.stdout) {
        Ok(info) => info,
        Err(_) if !done.status.success() => return Err(away(reason(&done))),
        Err(error) => return Err(away(format!("`docker info` is not read: {error}"))),
    };
    if let Some(error) = info.server_errors.first() {
        return Err(away(line(error)));
    }
    if !info.podman.version.is_empty() {
        let version = line(&info.podman.version);
        return Err(away(format!("`docker` is podman {version} under another name, not Docker's own")));
    }
    if !done.status.success() || info.server_version.is_empty() {
        return Err(away(reason(&done)));
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
    read(&inspect.stdout).map_err(|error| format!("`docker network inspect` is not read: {error}"))
}

/// Where the engine's command line looks for the engine.
#[derive(Debug)]
pub(super) enum Door {
    /// A socket of this host.
    Here(PathBuf),
    /// An address elsewhere, as it may be shown, and whether each side proves itself.
    Elsewhere { address: String, is_proven: bool },
    /// The command line does not say.
    Unknown(String),
}

/// A context of the command line.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Context {
    endpoints: BTreeMap<String, Endpoint>,
    #[serde(rename = "TLSMaterial")]
    proofs: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Endpoint {
    host: String,
}

/// By DOCKER_HOST, which wins, else by the context that is in use: DOCKER_CONTEXT's, or the one of the client's settings.
pub(super) fn door(world: &World) -> Door {
    let usual = || Door::Here("/var/run/docker.sock".into());
    let given = |name: &str| (world.asked.environment)(name).filter(|value| !value.is_empty());
    if let Some(host) = given("DOCKER_HOST") {
        return leads_to(&host, given("DOCKER_TLS_VERIFY").is_some());
    }
    let done = match program(world).options(["context", "inspect", "--format", "{{json .}}"]).run(b"") {
        Ok(done) if done.status.success() => done,
        Ok(done) => return Door::Unknown(reason(&done)),
        Err(ProcessError::Start { .. }) => return usual(),
        Err(error) => return Door::Unknown(base::hint::chain(&error)),
    };
    match read::<Context>(&done.stdout) {
        Err(error) => Door::Unknown(format!("`docker context inspect` is not read: {error}")),
        Ok(context) => {
            let is_proven = context.proofs.get("docker").is_some_and(|files| !files.is_empty());
            let host = context.endpoints.get("docker").map(|endpoint| endpoint.host.as_str()).unwrap_or_default();
            if host.is_empty() { usual() } else { leads_to(host, is_proven) }
        }
    }
}

fn leads_to(host: &str, is_proven: bool) -> Door {
    if let Some(path) = host.strip_prefix("unix://") {
        return Door::Here(path.into());
    }
    // A user name may be shown, a password may not; which of them it is, the address does not say for certain.
    let address = match (host.split_once("://"), host.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
        _ => host.to_owned(),
    };
    Door::Elsewhere { address: line(&address), is_proven: is_proven || host.starts_with("ssh://") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_left_out_wherever_it_is() {
        let text =
            br#"{"Runtimes": null, "RegistryConfig": null, "ClientInfo": {"Plugins": [null, {"Name": "compose"}]}}"#;
        let info: Info = read(text).unwrap();
        assert_eq!((info.runtimes.len(), info.client.plugins.len()), (0, 1));
    }
}

//! Whether there is an engine, how it is reached, and whether it is new enough. Judges what `docker info` said.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};

use base::Finding;

use super::engine::{Away, Door};
use super::{World, there};
use crate::catalogue;
use crate::check::Check;
use crate::text::line;

/// Engines: older than the first lack what compose files of today say; the second still gets mended.
const ENGINE: ((u32, u32), (u32, u32)) = ((20, 10), (24, 0));
/// Compose: the first that is version 2, and the first that knows all that our file says.
const COMPOSE: ((u32, u32), (u32, u32)) = ((2, 0), (2, 20));

pub(super) static CHECKS: [Check<World>; 7] = [
    Check::new(&catalogue::ENGINE_PROGRAM, "docker command", command).patient(6),
    Check::new(&catalogue::ENGINE_REACHED, "engine", reached).patient(6),
    Check::new(&catalogue::ENGINE_SOCKET, "engine's socket", socket).patient(6),
    Check::new(&catalogue::ENGINE_REMOTE, "where the engine is", remote).patient(6),
    Check::new(&catalogue::ENGINE_VERSION, "engine's version", version).patient(6),
    Check::new(&catalogue::ENGINE_COMPOSE, "Compose", compose).patient(6),
    Check::new(&catalogue::ENGINE_IPTABLES, "engine's firewall rules", iptables).patient(6),
];

fn command(world: &World) -> Vec<Finding> {
    let known = &catalogue::ENGINE_PROGRAM;
    match world.engine() {
        Err(away) if away.is_program_missing => known.fails("docker", away.reason.clone()),
        _ => known.fine("docker", "is in PATH"),
    }
}

fn reached(world: &World) -> Vec<Finding> {
    let known = &catalogue::ENGINE_REACHED;
    match world.engine() {
        Ok(info) => known.fine("engine", format!("answers, version {}", line(&info.server_version))),
        Err(away) if away.is_program_missing => known.unseen("engine", away.reason.clone()),
        Err(away) => known.fails("engine", away.reason.clone()),
    }
}

fn socket(world: &World) -> Vec<Finding> {
    let known = &catalogue::ENGINE_SOCKET;
    let path = match world.door() {
        Door::Here(path) => path,
        Door::Elsewhere { address, .. } => return known.unseen(address.clone(), "is not a socket of this host"),
        Door::Unknown(reason) => return known.unseen("docker context", reason.clone()),
    };
    let subject = line(&path.display().to_string());
    match std::fs::metadata(path) {
        Err(_) if world.engine().is_ok() => known.unseen(subject, "is not there, and the engine answers elsewhere"),
        Err(error) => known.fails(subject, format!("is not there: {}", error.kind())),
        Ok(facts) if !facts.file_type().is_socket() => known.fails(subject, "is no socket"),
        Ok(facts) if facts.permissions().mode() & 0o002 != 0 => known
            .fails(subject, format!("has mode {:04o}: everybody here is root", facts.permissions().mode() & 0o7777)),
        Ok(_) if rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_err() => {
            known.fails(subject, "may not be written to by this user")
        }
        Ok(facts) => known.fine(subject, format!("has mode {:04o}", facts.permissions().mode() & 0o7777)),
    }
}

fn remote(world: &World) -> Vec<Finding> {
    let known = &catalogue::ENGINE_REMOTE;
    let is_given = (world.asked.environment)("DOCKER_HOST").is_some_and(|host| !host.is_empty());
    let subject = if is_given { "DOCKER_HOST" } else { "docker context" };
    match world.door() {
        Door::Here(path) => known.fine(subject, format!("leads to {}", line(&path.display().to_string()))),
        Door::Unknown(reason) => known.unseen(subject, reason.clone()),
        Door::Elsewhere { address, is_proven } => {
            let is_plain = address.starts_with("tcp://") && !is_proven;
            let how = if is_plain { ", over a connection that nobody is asked to prove himself on" } else { "" };
            known.warns(subject, format!("leads to {address}{how}"))
        }
    }
}

/// The first two numbers of a version.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim_start_matches('v').split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn version(world: &World) -> Vec<Finding> {
    let known = &catalogue::ENGINE_VERSION;
    let Ok(info) = world.engine() else { return known.unseen("engine's version", "the engine does not answer") };
    let shown = line(&info.server_version);
    let (oldest, kept) = ENGINE;
    match numbers(&info.server_version) {
        None => known.unseen("engine's version", format!("`{shown}` is no version")),
        Some(is) if is < oldest => known.fails("engine's version", format!("is {shown}, older than 20.10")),
        Some(is) if is < kept => known.warns("engine's version", format!("is {shown}, older than 24.0")),
        Some(_) => known.fine("engine's version", format!("is {shown}")),
    }
}

fn compose(world: &World) -> Vec<Finding> {
    let known = &catalogue::ENGINE_COMPOSE;
    let client = match world.engine() {
        Ok(info) => &info.client,
        Err(Away { client: Some(client), .. }) => client,
        Err(away) => return known.unseen("Compose", away.reason.clone()),
    };
    let Some(plugin) = client.plugins.iter().find(|plugin| plugin.name == "compose") else {
        return known.fails("Compose", "`docker compose` is not installed");
    };
    let shown = line(&plugin.version);
    let (oldest, whole) = COMPOSE;
    match numbers(&plugin.version) {
        None => known.unseen("Compose", format!("`{shown}` is no version")),
        Some(is) if is < oldest => known.fails("Compose", format!("is {shown}, older than 2.0")),
        Some(is) if is < whole => known.warns("Compose", format!("is {shown}, older than 2.20")),
        Some(_) => known.fine("Compose", format!("is {shown}")),
    }
}

/// The engine does not say it; its settings' file does.
fn iptables(world: &World) -> Vec<Finding> {
    let known = &catalogue::ENGINE_IPTABLES;
    let path = "/etc/docker/daemon.json";
    if !matches!(world.door(), Door::Here(_)) {
        return known.unseen(path, "the engine is not known to be on this host");
    }
    let text = match there(path) {
        Ok(Some(text)) => text,
        Ok(None) => return known.fine(path, "is not there, so the engine sets its rules"),
        Err(reason) => return known.unseen(path, reason),
    };
    match serde_json::from_str::<serde_json::Value>(&text) {
        Err(error) => known.fails(path, format!("is not JSON, so the engine does not start again: {error}")),
        Ok(settings) if settings.get("iptables") == Some(&false.into()) => {
            known.warns(path, "has iptables switched off, so no port of a container is published")
        }
        Ok(_) => known.fine(path, "lets the engine set its rules"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_as_engines_and_plugins_write_them() {
        for (text, expected) in [
            ("20.10.24+dfsg1", Some((20, 10))),
            ("v2.26.1-desktop.1", Some((2, 26))),
            ("2.26.1-4", Some((2, 26))),
            ("dev", None),
            ("", None),
        ] {
            assert_eq!(numbers(text), expected, "{text}");
        }
    }
}

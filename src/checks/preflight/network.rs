//! Who else uses the network of the stack's fixed name, and which proxies stand between the site and others. Reads the
//! engine's lists, the environment and the engine's client settings; changes nothing.

use std::collections::BTreeSet;

use base::Finding;

use super::{World, engine, there};
use crate::catalogue;
use crate::check::Check;
use crate::text::{has_credentials, line};

/// The bridge that sandboxes are attached to from outside Compose, so that its name is fixed.
const INTERNAL: &str = "gitgrit_internal";
/// The label by which Compose knows its containers.
const PROJECT: &str = "com.docker.compose.project";

/// How the names of the site's own sandboxes begin, which are attached one by one and belong to no project.
const SANDBOX: &str = "gitgrit-sandbox-";

pub(super) static CHECKS: [Check<World>; 4] = [
    Check::new(&catalogue::NET_SECOND_STACK, INTERNAL, second_stack).patient(8),
    Check::new(&catalogue::NET_INTERNAL_DRIVER, "driver of gitgrit_internal", internal_driver).patient(8),
    Check::new(&catalogue::NET_PROXY, "proxies of the environment", proxies),
    Check::new(&catalogue::NET_CLIENT_PROXY, "proxies of the engine's client", client_proxies),
];

/// The Compose project of this site: its own name, else that of its directory, as Compose makes it.
fn own_project(world: &World) -> String {
    let directory = || world.asked.site.file_name().map(|name| name.to_string_lossy().to_lowercase());
    let name = world.setting("COMPOSE_PROJECT_NAME").or_else(directory).unwrap_or_default();
    name.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect()
}

fn second_stack(world: &World) -> Vec<Finding> {
    let known = &catalogue::NET_SECOND_STACK;
    let networks = match world.networks() {
        Ok(networks) => networks,
        Err(reason) => return known.unseen(INTERNAL, reason.clone()),
    };
    let named: Vec<_> = networks.iter().filter(|network| network.name == INTERNAL).collect();
    match named.as_slice() {
        [] => return known.fine(INTERNAL, "no network of this name is there"),
        [_] => {}
        several => return known.fails(INTERNAL, format!("{} networks have this name", several.len())),
    }
    let format = format!("{{{{.Names}}}}\t{{{{.Label \"{PROJECT}\"}}}}");
    let filter = format!("network={INTERNAL}");
    // What does not run is in no network.
    let listed = engine::program(world).options(["ps", "--filter", &filter, "--format", &format]).run(b"");
    let listed = match listed {
        Ok(done) if done.status.success() => String::from_utf8_lossy(&done.stdout).into_owned(),
        Ok(done) => return known.unseen(INTERNAL, engine::reason(&done)),
        Err(error) => return known.unseen(INTERNAL, base::hint::chain(&error)),
    };
    let own = own_project(world);
    let rows = listed.lines().filter_map(|row| row.split_once('\t'));
    let rows = rows.filter(|(name, project)| *project != own && !(project.is_empty() && name.starts_with(SANDBOX)));
    let (unknown, foreign): (Vec<_>, Vec<_>) = rows.partition(|(_, project)| project.is_empty());
    let names = |rows: &[(&str, &str)]| rows.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let mut findings = Vec::new();
    if !foreign.is_empty() {
        let projects: BTreeSet<&str> = foreign.iter().map(|(_, project)| *project).collect();
        let projects = projects.into_iter().collect::<Vec<_>>().join(", ");
        let message = format!("another stack ({projects}) shares the bridge: {}", names(&foreign));
        findings.extend(known.fails(INTERNAL, line(&message)));
    }
    if !unknown.is_empty() {
        let message = format!("containers of no stack are attached as well: {}", names(&unknown));
        findings.extend(known.warns(INTERNAL, line(&message)));
    }
    if findings.is_empty() {
        findings = known.fine(INTERNAL, "is used by this site's own stack alone, or by nobody");
    }
    findings
}

fn internal_driver(world: &World) -> Vec<Finding> {
    let known = &catalogue::NET_INTERNAL_DRIVER;
    let networks = match world.networks() {
        Ok(networks) => networks,
        Err(reason) => return known.unseen(INTERNAL, reason.clone()),
    };
    match networks.iter().find(|network| network.name == INTERNAL) {
        None => known.fine(INTERNAL, "is not there yet; Compose makes it"),
        Some(network) if network.driver != "bridge" => {
            known.fails(INTERNAL, format!("is of driver {}, not bridge", line(&network.driver)))
        }
        Some(network) if !network.labels.contains_key("com.docker.compose.network") => {
            known.warns(INTERNAL, "was not made by Compose, which will refuse to use it")
        }
        Some(_) => known.fine(INTERNAL, "is a bridge that Compose made"),
    }
}

/// Says whether a list like NO_PROXY keeps `host` away from the proxy.
fn is_excepted(list: &str, host: &str) -> bool {
    let mut entries = list.split(',').map(|entry| entry.trim().trim_start_matches('*').trim_start_matches('.'));
    entries.any(|entry| !entry.is_empty() && (host == entry || host.ends_with(&format!(".{entry}"))))
        || list.trim() == "*"
}

fn either(world: &World, name: &str) -> Option<String> {
    let of = |name: &str| (world.asked.environment)(name).filter(|value| !value.is_empty());
    of(name).or_else(|| of(&name.to_lowercase()))
}

fn proxies(world: &World) -> Vec<Finding> {
    let known = &catalogue::NET_PROXY;
    let given =
        ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].into_iter().find_map(|name| Some((name, either(world, name)?)));
    let Some((name, value)) = given else { return known.fine("HTTP_PROXY, HTTPS_PROXY", "are not set") };
    let shown = if has_credentials(&value) { "a proxy with credentials".to_owned() } else { line(&value) };
    let list = either(world, "NO_PROXY").unwrap_or_default();
    let hosts = ["SITE_URL", "GITLAB_URL"].into_iter().filter_map(|name| world.address(name));
    let behind: Vec<_> = hosts.filter(|url| !is_excepted(&list, url.host())).map(|url| line(url.host())).collect();
    if behind.is_empty() {
        return known.fine(name, format!("leads to {shown}, and not for this site"));
    }
    known.warns(name, format!("sends programs through {shown} for {} too", behind.join(" and ")))
}

fn client_proxies(world: &World) -> Vec<Finding> {
    let known = &catalogue::NET_CLIENT_PROXY;
    let home = || (world.asked.environment)("HOME").map(|home| format!("{home}/.docker"));
    let Some(folder) = (world.asked.environment)("DOCKER_CONFIG").or_else(home) else {
        return known.unseen("config.json", "neither DOCKER_CONFIG nor HOME says where it is");
    };
    let path = format!("{folder}/config.json");
    let subject = line(&path);
    let text = match there(&path) {
        Ok(Some(text)) => text,
        Ok(None) => return known.fine(subject, "is not there"),
        Err(reason) => return known.unseen(subject, reason),
    };
    match serde_json::from_str::<serde_json::Value>(&text) {
        Err(error) => known.warns(subject, format!("is not JSON: {error}")),
        Ok(settings) if settings.get("proxies").is_some_and(|proxies| !proxies.is_null()) => {
            known.warns(subject, "names proxies, which every new container gets into its environment")
        }
        Ok(_) => known.fine(subject, "names no proxies"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_excepted_with_all_below_them() {
        for (list, host, expected) in [
            ("", "a.b", false),
            ("a.b", "a.b", true),
            (".b, c", "a.b", true),
            ("*.b", "a.b", true),
            ("*", "a.b", true),
            ("b", "ab", false),
            ("a.b.c", "a.b", false),
        ] {
            assert_eq!(is_excepted(list, host), expected, "{list} {host}");
        }
    }
}

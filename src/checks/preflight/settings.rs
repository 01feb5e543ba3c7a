//! The checks that have verbs of their own, run and counted here: the settings, the operator's authorities, and the chains of
//! GitLab and of the site. Judges nothing itself.

use std::path::{Path, PathBuf};

use base::Finding;
use base::site::SiteDir;

use super::World;
use crate::catalogue;
use crate::check::Check;
use crate::env::{self, Asked};
use crate::presented::Target;
use crate::text::line;
use crate::trust::SYSTEM_BUNDLE;
use crate::{authority, served};

pub(super) static CHECKS: [Check<World>; 4] = [
    Check::new(&catalogue::CONF_SETTINGS, "settings", settings),
    Check::new(&catalogue::CONF_AUTHORITIES, "the operator's authorities", authorities),
    Check::new(&catalogue::CONF_GITLAB_CHAIN, "GITLAB_URL's chain", gitlab).patient(11),
    Check::new(&catalogue::CONF_SITE_CHAIN, "SITE_URL's chain", site).patient(11),
];

fn settings(world: &World) -> Vec<Finding> {
    let path = &world.asked.env_file;
    if !path.exists() {
        return catalogue::CONF_SETTINGS.unseen(line(&path.display().to_string()), "is not there yet");
    }
    let asked = Asked { purpose: world.asked.purpose, are_ports_free: false, environment: &world.asked.environment };
    env::check(path, &asked)
}

fn authorities(world: &World) -> Vec<Finding> {
    match world.setting("GITGRIT_CUSTOM_CA_FILE_PATH") {
        None => catalogue::CONF_AUTHORITIES.unseen("GITGRIT_CUSTOM_CA_FILE_PATH", "is not set"),
        Some(path) => authority::check(Path::new(&path), world.asked.now).findings,
    }
}

/// The chain at `setting`, judged with the authorities in `file`. That nobody answers is for others to say.
fn chain(world: &World, setting: &str, file: &Path) -> Result<Vec<Finding>, String> {
    let url = world.setting(setting).filter(|url| url.starts_with("https://"));
    let url = url.and_then(|url| url::Url::parse(url.trim()).ok()).ok_or("is not set to an https address")?;
    let host = url.host_str().ok_or("names no host")?;
    let target = format!("{host}:{}", url.port_or_known_default().unwrap_or(443));
    let target = Target::parse(&target, None).ok_or("names no host")?;
    let given = authority::check(file, world.asked.now).certificates;
    let findings = served::ask(&target, &given, world.asked.now).findings;
    match findings.iter().find(|finding| finding.id == catalogue::CA_NO_CONNECTION.id) {
        Some(away) => Err(away.message.clone()),
        None => Ok(findings),
    }
}

fn gitlab(world: &World) -> Vec<Finding> {
    let file = world.authorities().unwrap_or_else(|| SYSTEM_BUNDLE.to_owned());
    let known = &catalogue::CONF_GITLAB_CHAIN;
    chain(world, "GITLAB_URL", Path::new(&file)).unwrap_or_else(|reason| known.unseen("GITLAB_URL", reason))
}

/// Its own authority, where it has one; else the operator's, else the host's.
fn site(world: &World) -> Vec<Finding> {
    let own = SiteDir::new(&world.asked.site).ca_certificate();
    let given = || world.authorities().map_or_else(|| PathBuf::from(SYSTEM_BUNDLE), PathBuf::from);
    let file = if own.exists() { own } else { given() };
    let known = &catalogue::CONF_SITE_CHAIN;
    chain(world, "SITE_URL", &file).unwrap_or_else(|reason| known.unseen("SITE_URL", reason))
}

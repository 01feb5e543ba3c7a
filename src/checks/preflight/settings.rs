//! The checks that have verbs of their own, run and counted here: the settings, the operator's authorities, and the chains of
//! GitLab and of the site. Judges nothing itself.

use std::path::{Path, PathBuf};

use base::Finding;
use base::site::SiteDir;

use super::{World, names};
use crate::catalogue::{self, Known};
use crate::check::Check;
use crate::env::{self, Asked};
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

/// Why there is no chain to judge.
enum NoChain {
    /// The setting is no https address.
    NotAsked,
    /// Nobody answers there.
    Away(String),
}

impl NoChain {
    fn said(self, known: &'static Known, setting: &str) -> Vec<Finding> {
        match self {
            Self::NotAsked => known.unseen(setting, "is not set to an https address"),
            Self::Away(reason) => known.unseen(setting, reason),
        }
    }
}

/// The chain at `setting`, judged with the authorities in `file`. That nobody answers is for others to say.
fn chain(world: &World, setting: &str, file: &Path) -> Result<Vec<Finding>, NoChain> {
    let target = names::target(world, setting).ok_or(NoChain::NotAsked)?;
    let given = authority::check(file, world.asked.now).certificates;
    let findings = served::ask(&target, &given, world.asked.now).findings;
    match findings.iter().find(|finding| finding.id == catalogue::CA_NO_CONNECTION.id) {
        Some(away) => Err(NoChain::Away(away.message.clone())),
        None => Ok(findings),
    }
}

fn gitlab(world: &World) -> Vec<Finding> {
    let file = world.authorities().unwrap_or_else(|| SYSTEM_BUNDLE.to_owned());
    let known = &catalogue::CONF_GITLAB_CHAIN;
    chain(world, "GITLAB_URL", Path::new(&file)).unwrap_or_else(|none| none.said(known, "GITLAB_URL"))
}

/// Its own authority, where it has one; else the operator's, else the host's.
fn site(world: &World) -> Vec<Finding> {
    let own = SiteDir::new(&world.asked.site).ca_certificate();
    let given = || world.authorities().map_or_else(|| PathBuf::from(SYSTEM_BUNDLE), PathBuf::from);
    let file = if own.exists() { own } else { given() };
    let known = &catalogue::CONF_SITE_CHAIN;
    match chain(world, "SITE_URL", &file) {
        Ok(findings) => findings,
        // Before an installation nobody answers there; after it somebody should.
        Err(NoChain::Away(reason)) if world.asked.is_live => known.fails("SITE_URL", reason),
        Err(none) => none.said(known, "SITE_URL"),
    }
}

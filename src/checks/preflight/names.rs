//! The names of the settings: that they are known, where they lead, and that a GitLab answers at its own. Asks the host's name
//! service as every program here does.

use std::net::{IpAddr, ToSocketAddrs, UdpSocket};
use std::path::Path;

use base::{Finding, Severity};

use super::resolver::{self, Said};
use super::{World, clock};
use crate::catalogue::{self, Known};
use crate::check::Check;
use crate::egress::{Answer, Egress, EgressError};
use crate::presented::Target;
use crate::smoke::Status;
use crate::text::line;
use crate::trust::Trust;

pub(super) static CHECKS: [Check<World>; 5] = [
    Check::new(&catalogue::NET_SITE_NAME, "SITE_URL's name", |world| {
        known_name(world, &catalogue::NET_SITE_NAME, "SITE_URL")
    }),
    Check::new(&catalogue::NET_SITE_HERE, "SITE_URL's address", leads_here),
    Check::new(&catalogue::NET_WILDCARD, "wildcard names", wildcard),
    Check::new(&catalogue::NET_GITLAB_NAME, "GITLAB_URL's name", |world| {
        known_name(world, &catalogue::NET_GITLAB_NAME, "GITLAB_URL")
    }),
    Check::new(&catalogue::NET_GITLAB, "GITLAB_URL's service", gitlab).patient(16),
];

/// The host of a setting that is an address.
fn host(world: &World, setting: &str) -> Option<String> {
    let url = url::Url::parse(world.setting(setting)?.trim()).ok()?;
    let host = url.host_str()?;
    Some(host.trim_start_matches('[').trim_end_matches(']').to_owned())
}

/// Where a setting that is an https address leads.
pub(super) fn target(world: &World, setting: &str) -> Option<Target> {
    let url = url::Url::parse(world.setting(setting)?.trim()).ok().filter(|url| url.scheme() == "https")?;
    Target::parse(&format!("{}:{}", url.host_str()?, url.port_or_known_default().unwrap_or(443)), None)
}

fn resolve(host: &str) -> Result<Vec<IpAddr>, String> {
    let found = (host, 0).to_socket_addrs().map_err(|error| line(&error.to_string()))?;
    Ok(found.map(|address| address.ip()).collect())
}

fn known_name(world: &World, known: &'static Known, setting: &str) -> Vec<Finding> {
    let Some(host) = host(world, setting) else { return known.unseen(setting, "is not set to an address") };
    match resolve(&host) {
        Ok(addresses) => {
            let shown: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            known.fine(line(&host), format!("is at {}", shown.join(", ")))
        }
        Err(reason) => known.fails(line(&host), format!("is not known here: {reason}")),
    }
}

/// An address is this host's when a socket can be bound to it; nothing is sent.
fn is_own(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

fn leads_here(world: &World) -> Vec<Finding> {
    let known = &catalogue::NET_SITE_HERE;
    let Some(host) = host(world, "SITE_URL") else { return known.unseen("SITE_URL", "is not set to an address") };
    let Ok(addresses) = resolve(&host) else { return known.unseen(line(&host), "is not known here") };
    let is_meant = world.address("SITE_URL").is_some_and(|url| url.is_local());
    if !is_meant && addresses.iter().any(IpAddr::is_loopback) {
        return known.warns(line(&host), "leads to the loopback of whoever asks, on this host at least");
    }
    match addresses.into_iter().find(|address| !is_own(*address)) {
        None => known.fine(line(&host), "leads to this host"),
        Some(_) if world.setting("TRUSTED_PROXIES").is_some() => {
            known.fine(line(&host), "leads elsewhere, as it may with a proxy before the site")
        }
        Some(other) => known.warns(line(&host), format!("leads to {other}, which is no address of this host")),
    }
}

/// A name that nobody has given away, below the domain of the site.
fn wildcard(world: &World) -> Vec<Finding> {
    let known = &catalogue::NET_WILDCARD;
    let Some(host) = host(world, "SITE_URL").filter(|host| host.parse::<IpAddr>().is_err()) else {
        return known.unseen("SITE_URL", "names no host whose domain could be asked");
    };
    let Some((_, domain)) = host.split_once('.') else {
        return known.unseen(line(&host), "is in no domain");
    };
    let made_up = format!("gitgrit-preflight-{:x}.{domain}", world.asked.now.0);
    match resolve(&made_up) {
        // The library says the same of a resolver that is silent: only a resolver's own word proves it.
        Err(reason) => match resolver::told(&made_up) {
            Some(Said::NotThere) => {
                known.fine(format!("*.{}", line(domain)), "names that nobody gave away are not known")
            }
            Some(Said::Known) => {
                known.unseen(format!("*.{}", line(domain)), "every name may be known, without an address")
            }
            None => known.unseen(format!("*.{}", line(domain)), format!("no resolver answers: {reason}")),
        },
        Ok(addresses) => {
            let shown: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            known.warns(format!("*.{}", line(domain)), format!("every name is known, at {}", shown.join(", ")))
        }
    }
}

/// One request to the GitLab of the settings, verified with the operator's authorities or the host's own.
pub(super) fn request(world: &World, base: &str) -> Result<Answer, EgressError> {
    let trust = match world.authorities() {
        Some(path) => Trust::load(Path::new(&path)).map_err(|error| EgressError::Tls { reason: error.to_string() })?,
        None => Trust::system(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| EgressError::Request { reason: error.to_string() })?;
    runtime.block_on(async { Egress::new(base, &trust)?.get(crate::gitlab::VERSION_PATH).await })
}

/// The smoke test's own judgement; where the name is not even known, that check has said so.
fn gitlab(world: &World) -> Vec<Finding> {
    let known = &catalogue::NET_GITLAB;
    let Some((base, result)) = world.gitlab() else {
        return known.unseen("GITLAB_URL", "is not set to an https address");
    };
    let subject = line(&base);
    if host(world, "GITLAB_URL").is_some_and(|host| resolve(&host).is_err()) {
        return known.unseen(subject, "its name is not known here");
    }
    if let (Err(EgressError::Tls { .. }), Some((_, Ok(apart)))) = (result, world.unproven())
        && apart.seconds.abs() > clock::APART.1
    {
        let message =
            format!("its certificate does not verify, while this host's clock is {apart}: see to the clock first");
        return known.unseen(subject, message);
    }
    let said = crate::gitlab::answer(&base, result);
    let severity = match said.status {
        Status::Ok => Severity::Ok,
        Status::Warn => Severity::Warning,
        Status::Fail => Severity::Error,
    };
    vec![catalogue::find(said.id).unwrap_or(known).found(severity, subject, said.text)]
}

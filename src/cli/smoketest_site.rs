//! The part of the smoke test that a site's own users would notice: joins what the checks see from outside with the
//! forge and a stock git. What it makes, it takes away again.

use std::path::Path;

use airgap::site_git::{self, Target};
use base::Secret;
use base::envfile::Values;
use base::hint::chain;
use base::settings::Settings;
use base::site::SiteDir;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use checks::catalogue;
use checks::smoke::Line;
use checks::trust::{Trust, TrustError};
use forge::{Forge, OpenError, Probe};
use vault::ssh_key::{self, KeyPair};

use super::site::forge_options;

/// The branch that the probe pushes to.
const BRANCH: &str = "main";

/// Whether the encryption key is the one that the site's data was written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyState {
    /// It is, or nothing says otherwise.
    Fits,
    /// It is not; nothing was written.
    Differs,
}

type Say<'s> = &'s mut dyn FnMut(Line);

/// Asks everything that a user of the site needs, a line for each.
pub(crate) async fn check(site: &SiteDir, settings: &Settings, values: &Values, say: Say<'_>) -> KeyState {
    checks::site::outside(settings.site_url.as_str(), trust(site, values), say).await;
    if let Some(problem) = unready(site, settings).await {
        say(Line::fail(&catalogue::SITE_DATABASE, problem));
        return KeyState::Fits;
    }
    let forge = match Forge::open(forge_options(site, settings.clone())).await {
        Ok(forge) => forge,
        Err(error @ (OpenError::KeyMismatch | OpenError::KeyFormat)) => {
            say(Line::fail(&catalogue::SITE_KEY, chain(&error)));
            return KeyState::Differs;
        }
        Err(error) => {
            say(Line::fail(&catalogue::SITE_DATABASE, chain(&error)));
            return KeyState::Fits;
        }
    };
    say(match forge.is_ready().await {
        Ok(()) => Line::ok(&catalogue::SITE_DATABASE, "the database answers".into()),
        Err(error) => Line::fail(&catalogue::SITE_DATABASE, chain(&error)),
    });
    say(match forge.check_key().await {
        Ok(()) => Line::ok(
            &catalogue::SITE_KEY,
            "GITGRIT_ENCRYPTION_KEY encrypts, decrypts, and reads what the site was begun with".into(),
        ),
        Err(error) => Line::fail(&catalogue::SITE_KEY, format!("GITGRIT_ENCRYPTION_KEY: {}", chain(&error))),
    });
    if let Err(problem) = clone_and_push(site, settings, &forge, say).await {
        say(Line::fail(&catalogue::SITE_PROBE, problem));
    }
    forge.close().await;
    KeyState::Fits
}

/// Why the database is not one to open: a check must neither make it nor migrate it under a server that runs.
async fn unready(site: &SiteDir, settings: &Settings) -> Option<String> {
    match Forge::pending_migrations(&forge_options(site, settings.clone())).await {
        Ok(pending) if pending.is_empty() => None,
        Ok(_) if settings.database_url.is_none() && !site.database().exists() => {
            Some(format!("there is no database `{}`", site.database().display()))
        }
        Ok(pending) => Some(format!("{} migration(s) are due; `gitgrit-ops restart` applies them", pending.len())),
        // Opening it says what is wrong, and whether it is the key.
        Err(_) => None,
    }
}

/// The site's own authority when it issued the server's certificate; else the operator's bundle, else the system's store.
fn trust(site: &SiteDir, values: &Values) -> Result<Trust, TrustError> {
    let is_ours = airgap::facts::look(site).is_ok_and(|facts| facts.certificate.is_some_and(|found| found.is_ours));
    if is_ours {
        return Trust::load(&site.ca_certificate());
    }
    let given = ["REQUESTS_CA_BUNDLE", "GITGRIT_CUSTOM_CA_FILE_PATH"].iter().filter_map(|name| values.get(name));
    match given.into_iter().find(|path| !path.is_empty()) {
        Some(path) => Trust::load(Path::new(path)),
        None => Ok(Trust::system()),
    }
}

/// A user, a key, a token and a repository for the length of this test. Fails when they cannot be made or removed.
async fn clone_and_push(site: &SiteDir, settings: &Settings, forge: &Forge, say: Say<'_>) -> Result<(), String> {
    let key = ssh_key::generate("gitgrit-smoketest").map_err(|error| chain(&error))?;
    let probe = forge.begin_probe(&key.public).await.map_err(|error| chain(&error))?;
    let target = target(settings, &probe, key);
    let tried = site_git::check(site, &target).await;
    let removed = forge.end_probe(probe).await;
    for line in tried.map_err(|error| chain(&error))? {
        let known = if line.what.contains("SSH") { &catalogue::SITE_SSH } else { &catalogue::SITE_HTTP };
        say(match line.problem {
            None => Line::ok(known, format!("{} works", line.what)),
            Some(problem) => Line::fail(known, format!("{} failed: {problem}", line.what)),
        });
    }
    removed.map_err(|error| chain(&error))
}

fn target(settings: &Settings, probe: &Probe, key: KeyPair) -> Target {
    let credentials = STANDARD.encode(format!("{}:{}", probe.user, probe.token.expose()));
    let (host, port) = (&settings.ssh_clone_host, settings.ssh_port);
    Target {
        http_url: format!("{}/{}.git", settings.site_url, probe.repo),
        authorization: Secret::new(format!("Basic {credentials}")),
        ssh_url: format!("ssh://git@{host}:{port}/{}.git", probe.repo),
        ssh_host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
        ssh_port: port,
        private_key: key.private,
        branch: BRANCH.into(),
    }
}

//! Looks at a host before a site is installed on it, or while one runs: kernel, resources, engine, network, settings. Opens no
//! connection but to the engine, to the host's own resolvers and to the addresses in the settings.

mod clock;
mod container;
mod daemon;
mod engine;
mod engine_use;
mod host;
mod kernel;
mod latency;
mod mounts;
mod names;
mod network;
mod ports;
mod resolver;
mod resources;
mod routes;
mod settings;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use base::Severity;
use base::clock::Timestamp;
use base::envfile::Values;
use base::url::BaseUrl;

use crate::check::{self, Check, Looked};
use crate::egress::{Answer, EgressError};
use crate::env::Purpose;

/// What preflight is asked about.
#[derive(Debug)]
pub struct Question {
    /// The site's directory, which need not be there yet.
    pub site: PathBuf,
    /// The settings' file, which need not be there yet.
    pub env_file: PathBuf,
    /// How strict the settings are judged.
    pub purpose: Purpose,
    /// Says whether the site is to run without an engine, so that what the engine lacks is only worth a warning.
    pub is_embedded: bool,
    /// Says whether the file system's latency is measured, which takes seconds.
    pub with_latency: bool,
    /// Says whether the site is to be running now.
    pub is_live: bool,
    /// The port for HTTP, where the settings do not decide.
    pub http_port: Option<u16>,
    /// The port for SSH, likewise.
    pub ssh_port: Option<u16>,
    /// The environment of this process.
    pub environment: fn(&str) -> Option<String>,
    /// Asks for git's version, as in `2.47.3`, or says why there is none.
    pub git_version: fn() -> Result<String, String>,
    /// The time on this host.
    pub now: Timestamp,
}

/// The question, and what several checks read once.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) asked: Question,
    pub(crate) values: Values,
    engine: OnceLock<Result<engine::Info, engine::Away>>,
    /// Who waits for the engine's answer with an end of his own.
    waiting: (Mutex<()>, Condvar),
    door: OnceLock<engine::Door>,
    networks: OnceLock<Result<Vec<engine::Network>, String>>,
    container: OnceLock<Result<container::Inside, String>>,
    gitlab: OnceLock<Result<Answer, EgressError>>,
    unproven: OnceLock<Option<(&'static str, Result<clock::Apart, String>)>>,
}

impl World {
    /// The value of a setting, in the file or in the environment, which wins.
    pub(crate) fn setting(&self, name: &str) -> Option<String> {
        let given = (self.asked.environment)(name).or_else(|| self.values.get(name).map(str::to_owned));
        given.filter(|value| !value.is_empty())
    }

    /// A setting that is an address.
    pub(crate) fn address(&self, name: &str) -> Option<BaseUrl> {
        BaseUrl::parse(&self.setting(name)?).ok()
    }

    /// What the engine says of itself.
    fn engine(&self) -> Result<&engine::Info, &engine::Away> {
        let said = self.engine.get_or_init(|| engine::info(self));
        drop(self.waiting.0.lock());
        self.waiting.1.notify_all();
        said.as_ref()
    }

    /// The same for who has more to say than what the engine knows; `None` when it takes longer. Somebody else asks.
    fn engine_within(&self, time: Duration) -> Option<Result<&engine::Info, &engine::Away>> {
        let held = self.waiting.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self.waiting.1.wait_timeout_while(held, time, |()| self.engine.get().is_none());
        self.engine.get().map(Result::as_ref)
    }

    /// Where the engine is looked for.
    fn door(&self) -> &engine::Door {
        self.door.get_or_init(|| engine::door(self))
    }

    /// The engine's networks.
    fn networks(&self) -> Result<&Vec<engine::Network>, &String> {
        self.networks.get_or_init(|| engine::networks(self)).as_ref()
    }

    /// What a container of the engine sees.
    fn container(&self) -> Result<&container::Inside, &String> {
        self.container.get_or_init(|| container::both(self)).as_ref()
    }

    /// GitLab's address and what it answers; `None` when the settings name none that can be asked.
    pub(crate) fn gitlab(&self) -> Option<(String, &Result<Answer, EgressError>)> {
        let base = crate::gitlab::address(self.setting("GITLAB_URL").as_deref()).1?;
        let answer = self.gitlab.get_or_init(|| names::request(self, &base));
        Some((base, answer))
    }

    /// How far this host's clock is from that of the server at a setting, without any proof: GitLab's, or where that says nothing
    /// the site's. `None` when neither is set to an https address.
    fn unproven(&self) -> Option<&(&'static str, Result<clock::Apart, String>)> {
        let ask = || {
            let asked = |setting: &'static str| Some((setting, clock::unproven(self, setting)?));
            let gitlab = asked("GITLAB_URL");
            if gitlab.as_ref().is_some_and(|(_, said)| said.is_ok()) { gitlab } else { asked("SITE_URL").or(gitlab) }
        };
        self.unproven.get_or_init(ask).as_ref()
    }

    /// The operator's authorities, by their file.
    pub(crate) fn authorities(&self) -> Option<String> {
        ["GITGRIT_CUSTOM_CA_FILE_PATH", "REQUESTS_CA_BUNDLE"].into_iter().find_map(|name| self.setting(name))
    }
}

/// All checks, in the order of the report.
fn checks() -> Vec<&'static Check<World>> {
    let groups: [&'static [Check<World>]; 16] = [
        &kernel::CHECKS,
        &resources::CHECKS,
        &mounts::CHECKS,
        &latency::CHECKS,
        &clock::CHECKS,
        &host::CHECKS,
        &daemon::CHECKS,
        &engine_use::CHECKS,
        &engine_use::CLOCK,
        &container::CHECKS,
        &ports::CHECKS,
        &resolver::CHECKS,
        &names::CHECKS,
        &routes::CHECKS,
        &network::CHECKS,
        &settings::CHECKS,
    ];
    groups.into_iter().flatten().collect()
}

/// What of a host matters to a site that runs: the areas of the checks that no installation waits for.
fn of_site() -> Vec<&'static Check<World>> {
    let groups: [&'static [Check<World>]; 5] =
        [&mounts::CHECKS, &clock::CHECKS, &resolver::CHECKS, &names::CHECKS, &settings::CHECKS];
    groups.into_iter().flatten().collect()
}

/// Looks at everything, as before an installation.
pub fn run(question: Question) -> Vec<Looked> {
    with(question, &checks())
}

/// Looks at what a site that runs stands on.
pub fn of_live_site(question: Question) -> Vec<Looked> {
    with(question, &of_site())
}

fn with(question: Question, checks: &[&'static Check<World>]) -> Vec<Looked> {
    let side = crate::env::side(&question.env_file, &question.environment);
    let read = side.map(|side| side.reading.values).unwrap_or_default();
    let is_embedded = question.is_embedded;
    let world = World {
        asked: question,
        values: read,
        engine: OnceLock::new(),
        waiting: (Mutex::new(()), Condvar::new()),
        door: OnceLock::new(),
        networks: OnceLock::new(),
        container: OnceLock::new(),
        gitlab: OnceLock::new(),
        unproven: OnceLock::new(),
    };
    let world = Arc::new(world);
    let asks = Arc::clone(&world);
    // Where no thread may start, those who need the engine ask for themselves, and the others say that they do not know.
    let _ = std::thread::Builder::new().name("engine".into()).spawn(move || {
        let _ = asks.engine();
    });
    let mut looked = check::run(&world, checks);
    if is_embedded {
        looked.iter_mut().filter(|one| one.check.starts_with("GG-ENGINE-")).for_each(spared);
    }
    looked
}

/// Without an engine a site lacks workflows and sandboxes, and runs.
fn spared(one: &mut Looked) {
    for finding in one.findings.iter_mut().filter(|finding| finding.severity == Severity::Error) {
        finding.severity = Severity::Warning;
    }
    one.outcome = one.outcome.min(Severity::Warning);
}

/// A file of the kernel's or of the host's configuration as text; `None` when it is not there or not readable.
fn text(path: impl AsRef<Path>) -> Option<String> {
    base::file::read_text(path.as_ref(), 1 << 20).ok()
}

/// The same where it matters that a file which is not there is another thing than one that this user may not read.
fn there(path: impl AsRef<Path>) -> Result<Option<String>, String> {
    match base::file::read_text(path.as_ref(), 1 << 20) {
        Ok(text) => Ok(Some(text)),
        Err(base::file::FileError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(base::hint::chain(&error)),
    }
}

/// Bytes for people.
fn size(bytes: u64) -> String {
    const UNITS: [(u32, &str); 3] = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let unit = UNITS.into_iter().find(|(bits, _)| bytes >> bits > 0);
    unit.map_or_else(|| format!("{bytes} bytes"), |(bits, name)| format!("{} {name}", bytes >> bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_has_an_id_of_its_own() {
        let mut ids: Vec<_> = checks().iter().map(|check| check.known.id).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all);
    }

    #[test]
    fn sizes_are_rounded_down() {
        assert_eq!(
            [0, 1023, 1024, 3 << 19, u64::MAX].map(size).join(", "),
            "0 bytes, 1023 bytes, 1 KiB, 1 MiB, 17179869183 GiB"
        );
    }
}

//! What the Docker engine knows: its own proxies and mirrors, its networks, and images that a probe container can be made
//! of. Asks the `docker` program, pulls nothing, and changes nothing.

use std::time::{Duration, Instant};

use base::process::Program;
use serde::Deserialize;

use crate::probe_target::{Origin, Target};
use crate::text::line;

/// How long one question to the engine may take.
const DEADLINE: Duration = Duration::from_secs(4);
/// Images that are tried for one probe container.
const IMAGES: usize = 3;

/// How to talk to the engine: variables like DOCKER_HOST, which the caller read from its own environment.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) end: Instant,
}

/// Why there is nothing to know.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// No `docker` program on this host.
    Absent,
    /// It is there, but no engine answers.
    Unanswered(String),
}

/// What it said.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// Its proxies and mirrors.
    pub(crate) targets: Vec<Target>,
    /// Networks that containers can be on.
    pub(crate) networks: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Info {
    #[serde(default, rename = "HttpProxy")]
    http: String,
    #[serde(default, rename = "HttpsProxy")]
    https: String,
    registry_config: Option<Registries>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Registries {
    #[serde(default)]
    mirrors: Option<Vec<String>>,
}

impl Engine {
    /// Asks for everything but images.
    pub(crate) fn facts(&self) -> Result<Facts, Silence> {
        let info = match self.docker(["info", "--format", "{{json .}}"]) {
            Err(error) if error.is_absent => return Err(Silence::Absent),
            Err(error) => return Err(Silence::Unanswered(error.why)),
            Ok(info) => info,
        };
        let networks = self
            .docker(["network", "ls", "--format", "{{.Driver}}\t{{.Name}}"])
            .map_err(|error| Silence::Unanswered(error.why))?;
        Ok(Facts { targets: targets(&info), networks: network_names(&networks) })
    }

    /// Images of this engine, the likeliest to start this program first: those of containers on the network.
    pub(crate) fn images(&self, network: &str) -> Vec<String> {
        let filter = format!("network={network}");
        let near = self.docker(["ps", "--filter", &filter, "--format", "{{.Image}}"]).unwrap_or_default();
        let all = self.docker(["image", "ls", "--format", "{{.ID}}\t{{.Repository}}"]).unwrap_or_default();
        let mut listed: Vec<_> = all.lines().filter_map(|image| image.split_once('\t')).collect();
        listed.sort_by_key(|(_, name)| !name.contains("gitgrit"));
        let mut images: Vec<String> = Vec::new();
        for image in near.lines().chain(listed.into_iter().map(|(id, _)| id)) {
            if images.len() < IMAGES && !images.iter().any(|known| known == image) {
                images.push(image.into());
            }
        }
        images
    }

    /// The program, ready for its first word, with what is left of the time.
    pub(crate) fn program(&self, most: Duration) -> Program {
        let left = self.end.saturating_duration_since(Instant::now()).min(most);
        let program = Program::new("docker").deadline(left).output_limit(1 << 20);
        self.environment.iter().fold(program, |program, (name, value)| program.env(name, value))
    }

    fn docker<const N: usize>(&self, words: [&str; N]) -> Result<String, Failed> {
        let done = self.program(DEADLINE).options(words).run(b"").map_err(|error| {
            let is_absent = matches!(&error, base::process::ProcessError::Start { source, .. }
                if source.kind() == std::io::ErrorKind::NotFound);
            Failed { is_absent, why: line(&error.to_string()) }
        })?;
        if done.status.success() {
            return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
        }
        Err(Failed { is_absent: false, why: line(done.stderr.lines().next().unwrap_or("it ended without a word")) })
    }
}

struct Failed {
    is_absent: bool,
    why: String,
}

fn network_names(listed: &str) -> Vec<String> {
    let lines = listed.lines().filter_map(|line| line.split_once('\t'));
    // `host` is the host itself and `none` has no network at all; `ingress` takes no containers.
    let real = lines.filter(|(driver, name)| !matches!(*driver, "host" | "null") && *name != "ingress");
    real.map(|(_, name)| name.to_owned()).collect()
}

fn targets(info: &str) -> Vec<Target> {
    let Ok(info) = serde_json::from_str::<Info>(info) else { return Vec::new() };
    let proxies =
        [info.http, info.https].into_iter().filter(|proxy| !proxy.is_empty()).map(|proxy| format!("proxy={proxy}"));
    let mirrors = info.registry_config.and_then(|registries| registries.mirrors).unwrap_or_default();
    let mirrors = mirrors.iter().map(|mirror| mirror_target(mirror));
    let mut targets: Vec<Target> = Vec::new();
    for text in proxies.chain(mirrors) {
        if let Ok(target) = Target::parse(&text, Origin::Engine)
            && !targets.contains(&target)
        {
            targets.push(target);
        }
    }
    targets
}

fn mirror_target(mirror: &str) -> String {
    let (scheme, rest) = mirror.split_once("://").unwrap_or(("https", mirror));
    let place = rest.split('/').next().unwrap_or(rest);
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    let has_port = place.rsplit_once(':').is_some_and(|(_, port)| !port.is_empty() && !port.ends_with(']'));
    let port = if has_port {
        ""
    } else if scheme == "http" {
        ":80"
    } else {
        ":443"
    };
    format!("mirror={place}{port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_proxies_and_mirrors_become_targets() {
        let info = r#"{"HttpProxy":"http://who:secret@proxy.acme.internal:3128","HttpsProxy":"http://proxy.acme.internal:3128",
            "NoProxy":"","RegistryConfig":{"Mirrors":["https://mirror.acme.internal/","http://192.0.2.7:5000/"]}}"#;
        let found: Vec<_> = targets(info).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            ["proxy=http://proxy.acme.internal:3128", "mirror=mirror.acme.internal:443", "mirror=192.0.2.7:5000"]
        );
        for none in ["", "null", "{}", r#"{"RegistryConfig":{"Mirrors":null}}"#, r#"{"HttpProxy":7}"#] {
            assert!(targets(none).is_empty(), "{none}");
        }
    }

    #[test]
    fn only_networks_that_take_containers_are_looked_from() {
        let listed =
            "bridge\tbridge\nhost\thost\nnull\tnone\nbridge\tgitgrit_internal\noverlay\tingress\nmacvlan\tlan\n";
        assert_eq!(network_names(listed), ["bridge", "gitgrit_internal", "lan"]);
    }
}

//! What the Docker engine knows: its own proxies and mirrors, its networks, and images that a probe container can be made
//! of. Asks the `docker` program, pulls nothing, and changes nothing.

use std::time::{Duration, Instant};

use base::process::Program;
use serde_json::Value;

use crate::probe_target::{Origin, Target};
use crate::text::line;

/// How long one question to the engine may take.
const DEADLINE: Duration = Duration::from_secs(4);
/// Images that are tried for one probe container, while there is time.
const IMAGES: usize = 12;
/// Parts of images' names, the likeliest to have the C library that this program needs first, and then those that have
/// another or none.
const LIKELY: [&str; 9] = ["gitgrit", "debian", "ubuntu", "rocky", "alma", "centos", "fedora", "redhat", "suse"];
const UNLIKELY: [&str; 6] = ["alpine", "musl", "busybox", "scratch", "distroless", "<none>"];

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
    /// What it is set to that cannot be read, so that nobody was asked.
    pub(crate) puzzles: Vec<String>,
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
        let (targets, puzzles) = targets(&info);
        Ok(Facts { targets, networks: network_names(&networks), puzzles })
    }

    /// Images of this engine, the likeliest to start this program first: those of containers on the network.
    pub(crate) fn images(&self, network: &str) -> Vec<String> {
        let filter = format!("network={network}");
        let near = self.docker(["ps", "--filter", &filter, "--format", "{{.Image}}"]).unwrap_or_default();
        let all = self.docker(["image", "ls", "--format", "{{.ID}}\t{{.Repository}}"]).unwrap_or_default();
        let mut listed: Vec<_> = all.lines().filter_map(|image| image.split_once('\t')).collect();
        listed.sort_by_key(|(_, name)| unlikeliness(name));
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

fn unlikeliness(name: &str) -> usize {
    let place = |words: &[&str]| words.iter().position(|word| name.contains(word));
    match (place(&LIKELY), place(&UNLIKELY)) {
        (_, Some(_)) => LIKELY.len() + 1,
        (likely, None) => likely.unwrap_or(LIKELY.len()),
    }
}

/// The proxies and mirrors in what `docker info` says, and what of it cannot be read.
fn targets(info: &str) -> (Vec<Target>, Vec<String>) {
    let Ok(info) = serde_json::from_str::<Value>(info) else {
        return (Vec::new(), vec!["what `docker info` says is no JSON".into()]);
    };
    let mut found = Found::default();
    for name in ["HttpProxy", "HttpsProxy"] {
        found.proxy(name, info.get(name));
    }
    match info.pointer("/RegistryConfig/Mirrors") {
        None | Some(Value::Null) => {}
        Some(Value::Array(mirrors)) => mirrors.iter().for_each(|mirror| found.mirror(mirror)),
        Some(_) => found.puzzles.push("RegistryConfig.Mirrors is no list".into()),
    }
    (found.targets, found.puzzles)
}

/// The proxies that Docker's client puts into every container, from the text of its configuration, and what of it cannot
/// be read.
pub(crate) fn client_proxies(config: &str) -> (Vec<Target>, Vec<String>) {
    let mut found = Found::default();
    match serde_json::from_str::<Value>(config) {
        Err(_) => found.puzzles.push("it is no JSON".into()),
        Ok(config) => match config.get("proxies") {
            None | Some(Value::Null) => {}
            Some(Value::Object(hosts)) => {
                for proxies in hosts.values() {
                    for name in ["httpProxy", "httpsProxy", "ftpProxy", "allProxy"] {
                        found.proxy(name, proxies.get(name));
                    }
                }
            }
            Some(_) => found.puzzles.push("proxies is no object".into()),
        },
    }
    (found.targets, found.puzzles)
}

#[derive(Default)]
struct Found {
    targets: Vec<Target>,
    puzzles: Vec<String>,
}

impl Found {
    /// A value may hold a password, so it is never repeated.
    fn proxy(&mut self, name: &str, value: Option<&Value>) {
        match value {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) if text.trim().is_empty() => {}
            Some(Value::String(text)) => match Target::proxies(text, Origin::Engine) {
                Ok(targets) => targets.into_iter().for_each(|target| self.add(target)),
                Err(_) => self.puzzles.push(format!("{name} is no proxy's address")),
            },
            Some(_) => self.puzzles.push(format!("{name} is no text")),
        }
    }

    fn mirror(&mut self, value: &Value) {
        let target = value.as_str().and_then(|text| Target::parse(&mirror_target(text), Origin::Engine).ok());
        match target {
            Some(target) => self.add(target),
            None => self.puzzles.push("a mirror in RegistryConfig.Mirrors is no address".into()),
        }
    }

    fn add(&mut self, target: Target) {
        if !self.targets.contains(&target) {
            self.targets.push(target);
        }
    }
}

fn mirror_target(mirror: &str) -> String {
    let (scheme, rest) = mirror.split_once("://").unwrap_or(("https", mirror));
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    let place = place.split('/').next().unwrap_or(place);
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
        let info = r#"{"HttpProxy":"http://who:sec/ret@proxy.acme.internal:3128","HttpsProxy":"http://proxy.acme.internal",
            "NoProxy":"","RegistryConfig":{"Mirrors":["https://mirror.acme.internal/","http://192.0.2.7:5000/"]}}"#;
        assert_eq!(
            shown(targets(info)),
            [
                "proxy=http://…@proxy.acme.internal:3128",
                "proxy=http://proxy.acme.internal:80",
                "proxy=http://proxy.acme.internal:1080",
                "mirror=mirror.acme.internal:443",
                "mirror=192.0.2.7:5000"
            ]
        );
        for none in ["null", "{}", r#"{"RegistryConfig":{"Mirrors":null}}"#, r#"{"HttpProxy":null,"HttpsProxy":""}"#] {
            assert!(shown(targets(none)).is_empty(), "{none}");
        }
    }

    fn shown((targets, puzzles): (Vec<Target>, Vec<String>)) -> Vec<String> {
        assert!(puzzles.iter().all(|why| !why.contains("secret")), "{puzzles:?}");
        targets.iter().map(ToString::to_string).chain(puzzles.into_iter().map(|why| format!("? {why}"))).collect()
    }

    /// One part that cannot be read takes nothing else away, and is not left out in silence.
    #[test]
    fn what_cannot_be_read_is_named() {
        for (info, expected) in [
            ("", &["? what `docker info` says is no JSON"][..]),
            (r#"{"HttpProxy":7,"HttpsProxy":"a:1"}"#, &["proxy=http://a:1", "? HttpProxy is no text"]),
            (r#"{"HttpProxy":"http://who:secret@"}"#, &["? HttpProxy is no proxy's address"]),
            (r#"{"RegistryConfig":{"Mirrors":7}}"#, &["? RegistryConfig.Mirrors is no list"]),
            (
                r#"{"RegistryConfig":{"Mirrors":[7,"https://a"]}}"#,
                &["mirror=a:443", "? a mirror in RegistryConfig.Mirrors is no address"],
            ),
        ] {
            assert_eq!(shown(targets(info)), expected, "{info}");
        }
    }

    #[test]
    fn the_proxies_of_dockers_client_are_those_of_every_engine() {
        let config = r#"{"auths":{},"proxies":{"default":{"httpProxy":"http://a:1","noProxy":"x"},
            "tcp://b":{"httpsProxy":"http://who:secret@c:2"}}}"#;
        assert_eq!(shown(client_proxies(config)), ["proxy=http://a:1", "proxy=http://…@c:2"]);
        assert_eq!(shown(client_proxies("{}")), [""; 0]);
        assert_eq!(shown(client_proxies("{")), ["? it is no JSON"]);
        assert_eq!(shown(client_proxies(r#"{"proxies":[]}"#)), ["? proxies is no object"]);
    }

    #[test]
    fn images_with_this_programs_library_come_first() {
        let mut names = ["a/alpine", "postgres", "<none>", "debian", "gitgrit-app", "gitgrit-lab-alpine"];
        names.sort_by_key(|name| unlikeliness(name));
        assert_eq!(names, ["gitgrit-app", "debian", "postgres", "a/alpine", "<none>", "gitgrit-lab-alpine"]);
    }

    #[test]
    fn only_networks_that_take_containers_are_looked_from() {
        let listed =
            "bridge\tbridge\nhost\thost\nnull\tnone\nbridge\tgitgrit_internal\noverlay\tingress\nmacvlan\tlan\n";
        assert_eq!(network_names(listed), ["bridge", "gitgrit_internal", "lan"]);
    }
}

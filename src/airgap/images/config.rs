//! An image's configuration, as engines read it (OCI image-spec, "config.md"; the health check is Docker's). The digest of
//! these bytes is the image's id, so they hold nothing that differs between two builds of the same inputs.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Stamp;
use super::layer::Blob;
use super::recipe::Recipe;

const SECOND: u64 = 1_000_000_000;

#[derive(Serialize)]
struct Image<'i> {
    architecture: &'i str,
    config: Config<'i>,
    created: String,
    history: Vec<History>,
    os: &'static str,
    rootfs: Rootfs,
}

#[derive(Serialize)]
struct Rootfs {
    diff_ids: Vec<String>,
    r#type: &'static str,
}

#[derive(Serialize)]
struct History {
    created: String,
    created_by: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Config<'i> {
    cmd: &'i [String],
    entrypoint: &'i [String],
    env: Vec<String>,
    #[serde(skip_serializing_if = "Named::is_empty")]
    exposed_ports: Named<'i>,
    #[serde(skip_serializing_if = "Option::is_none")]
    healthcheck: Option<Health<'i>>,
    labels: BTreeMap<&'static str, &'i str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_signal: Option<&'i str>,
    user: &'i str,
    #[serde(skip_serializing_if = "Named::is_empty")]
    volumes: Named<'i>,
    working_dir: &'i str,
}

/// Names as the keys of an object whose values say nothing.
struct Named<'i>(BTreeSet<&'i str>);

impl<'i> Named<'i> {
    fn new(names: &'i [String]) -> Self {
        Self(names.iter().map(String::as_str).collect())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Named<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|name| (name, serde_json::json!({}))))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Health<'i> {
    interval: u64,
    retries: u32,
    start_period: u64,
    test: [&'i str; 2],
    timeout: u64,
}

/// The configuration of an image with these layers, the lowest first.
pub(super) fn config(recipe: &Recipe, layers: &[(Blob, &'static str)], stamp: &Stamp, architecture: &str) -> Vec<u8> {
    let run = &recipe.run;
    let moment = i64::try_from(stamp.epoch).ok().and_then(|epoch| OffsetDateTime::from_unix_timestamp(epoch).ok());
    let created = moment.and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_default();
    // Last, so that a recipe cannot say that it is something else.
    let stamps = [("GIT_SHA", stamp.commit.as_str()), ("GIT_TAG", stamp.git_tag.as_str())];
    let own = run.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let image = Image {
        architecture,
        config: Config {
            cmd: &run.command,
            entrypoint: &run.entrypoint,
            env: own.chain(stamps).map(|(name, value)| format!("{name}={value}")).collect(),
            exposed_ports: Named::new(&run.ports),
            healthcheck: run.health.as_deref().map(|line| Health {
                interval: 15 * SECOND,
                retries: 3,
                start_period: u64::from(run.start_seconds.unwrap_or(30)) * SECOND,
                test: ["CMD-SHELL", line],
                timeout: 10 * SECOND,
            }),
            labels: BTreeMap::from([
                ("org.opencontainers.image.revision", stamp.commit.as_str()),
                ("org.opencontainers.image.title", recipe.title.as_str()),
                ("org.opencontainers.image.version", stamp.tag.as_str()),
            ]),
            stop_signal: run.stop_signal.as_deref(),
            user: run.user.as_deref().unwrap_or_default(),
            volumes: Named::new(&run.volumes),
            working_dir: run.directory.as_deref().unwrap_or("/"),
        },
        history: layers.iter().map(|(_, what)| History { created: created.clone(), created_by: what }).collect(),
        created,
        os: "linux",
        rootfs: Rootfs {
            diff_ids: layers.iter().map(|(layer, _)| format!("sha256:{}", layer.digest)).collect(),
            r#type: "layers",
        },
    };
    serde_json::to_vec(&image).unwrap_or_default()
}

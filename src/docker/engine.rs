//! The engine, asked one thing at a time. Every answer has a deadline; nothing here starts a container.

use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

use bollard::models::{BuildInfo, ImageInspect};
use bollard::query_parameters::{
    ImportImageOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptionsBuilder, TagImageOptionsBuilder,
};
use bollard::{API_DEFAULT_VERSION, Docker};
use futures_util::StreamExt;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::error::EngineError;
use crate::passage::{self, Archive, Stopped};
use crate::reference::Reference;

/// Where an engine listens when nobody says.
pub const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";
/// How long a question without an archive may take.
const ANSWER: Duration = Duration::from_secs(30);
/// How long an archive may stand still: an engine that unpacks a large layer on a slow disk says nothing meanwhile.
const PATIENCE: Duration = Duration::from_mins(10);
/// The client's own limit, which counts from the beginning and would cut a long archive off: out of the way.
const NEVER: u64 = 60 * 60 * 24 * 365;

/// What is known of an image in the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its id, the digest of its configuration.
    pub id: String,
    /// The digests of its layers, uncompressed, the lowest first.
    pub layers: Vec<String>,
    /// The names with tags that it has.
    pub tags: Vec<String>,
    /// The names with digests of registries that it has.
    pub digests: Vec<String>,
    /// Its size, in bytes.
    pub size: u64,
    /// The processor it is for, as in `amd64`.
    pub architecture: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What its containers find in their environment.
    pub environment: BTreeMap<String, String>,
}

/// Where and how the engine keeps images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// The engine's version, as in `20.10.24`.
    pub version: String,
    /// The directory, on the engine's own host.
    pub root: String,
    /// The storage driver, as in `overlay2`.
    pub driver: String,
    /// Says whether containerd keeps the images: it wants every blob of each, also of those that it has.
    pub is_containerd: bool,
}

/// An engine that has answered once.
#[derive(Debug)]
pub struct Engine {
    runtime: Runtime,
    docker: Docker,
    host: String,
}

impl Engine {
    /// Connects to the engine at `host`, as `DOCKER_HOST` would name it; an empty one is the default. Fails with an error that
    /// [`EngineError::is_unavailable`] when nobody answers.
    pub fn connect(host: &str) -> Result<Self, EngineError> {
        let host = if host.is_empty() { DEFAULT_HOST } else { host }.to_owned();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .thread_name("engine")
            .build()
            .map_err(|source| EngineError::Runtime { source })?;
        let docker = if host.starts_with("unix:///") {
            Docker::connect_with_unix(&host, NEVER, API_DEFAULT_VERSION)
        } else if host.starts_with("tcp://") || host.starts_with("http://") {
            Docker::connect_with_http(&host, NEVER, API_DEFAULT_VERSION)
        } else {
            return Err(EngineError::Address { host });
        };
        let absent = |source| EngineError::Absent { host: host.clone(), source };
        let docker = docker.map_err(|error| absent(error.into()))?;
        let answer = runtime.block_on(async { tokio::time::timeout(ANSWER, docker.negotiate_version()).await });
        let docker = match answer {
            Ok(Ok(docker)) => docker,
            Ok(Err(error)) => return Err(absent(error.into())),
            Err(_) => {
                return Err(EngineError::Silent { host, what: "say its version".into(), seconds: ANSWER.as_secs() });
            }
        };
        Ok(Self { runtime, docker, host })
    }

    /// Where it was reached.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Where and how it keeps images.
    pub fn store(&self) -> Result<Store, EngineError> {
        let info = self.ask("describe itself", self.docker.info())?;
        let status = info.driver_status.unwrap_or_default();
        Ok(Store {
            version: info.server_version.unwrap_or_default(),
            root: info.docker_root_dir.unwrap_or_default(),
            driver: info.driver.unwrap_or_default(),
            is_containerd: status.iter().flatten().any(|word| word.contains("io.containerd.snapshotter")),
        })
    }

    /// The image of that name or id; `None` when the engine has none.
    pub fn image(&self, reference: &Reference) -> Result<Option<Image>, EngineError> {
        let what = format!("show the image `{reference}`");
        match self.answer(&what, self.docker.inspect_image(reference.as_str()))? {
            Ok(found) => Ok(Some(image(found))),
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(self.failed(&what, error)),
        }
    }

    /// The ids of all images that the engine has, also of those without a name.
    pub fn images(&self) -> Result<Vec<String>, EngineError> {
        let options = ListImagesOptionsBuilder::new().all(true).build();
        let found = self.ask("list its images", self.docker.list_images(Some(options)))?;
        Ok(found.into_iter().map(|image| image.id).collect())
    }

    /// The images as one archive, in the engine's own layout (`docker save`), read as it comes.
    pub fn save(&self, references: &[Reference]) -> Archive<'_> {
        let docker = self.docker.clone();
        let names: Vec<String> = references.iter().map(|reference| reference.as_str().to_owned()).collect();
        let stream = async move {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            docker.export_images(&names).boxed()
        };
        Archive::new(&self.runtime, futures_util::stream::once(stream).flatten(), PATIENCE)
    }

    /// Sends an archive (`docker load`), and gives what the engine says that it loaded. When `archive` fails to read, the
    /// request breaks off and the engine keeps no image of it.
    pub fn load(&self, archive: &mut (dyn Read + Send)) -> Result<Vec<String>, EngineError> {
        let what = "load an archive";
        let (sender, receiver) = mpsc::channel(2);
        let options = ImportImageOptionsBuilder::new().quiet(true).build();
        let answer = self.docker.import_image_stream(options, passage::stream(receiver), None);
        let listening = self.runtime.spawn(answer.collect::<Vec<_>>());
        match self.runtime.block_on(passage::pump(archive, sender, PATIENCE)) {
            Ok(()) => {}
            Err(Stopped::Archive(source)) => {
                // The engine must have let go of it before anybody tries again.
                let _ = self.runtime.block_on(async { tokio::time::timeout(ANSWER, listening).await });
                return Err(EngineError::Archive { source });
            }
            Err(Stopped::Silent) => return Err(self.silent(what, PATIENCE)),
        }
        let said = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, listening).await });
        let said = said.map_err(|_| self.silent(what, PATIENCE))?;
        let said = said.map_err(|error| EngineError::Answer { what: what.into(), source: error.into() })?;
        let mut loaded = Vec::new();
        for message in said {
            let BuildInfo { stream, error_detail, .. } = message.map_err(|error| self.failed(what, error))?;
            if let Some(message) = error_detail.and_then(|detail| detail.message) {
                return Err(EngineError::Refused { what: what.into(), message: plain(&message) });
            }
            let lines = stream.unwrap_or_default();
            loaded.extend(
                lines
                    .lines()
                    .filter_map(|line| line.strip_prefix("Loaded image"))
                    .map(|line| line.trim_start_matches(" ID").trim_start_matches(':').trim().to_owned()),
            );
        }
        Ok(loaded)
    }

    /// Gives the image another name.
    pub fn tag(&self, image: &Reference, name: &str, tag: &str) -> Result<(), EngineError> {
        let what = format!("name the image `{image}` `{name}:{tag}`");
        Reference::parse(&format!("{name}:{tag}"))?;
        let options = TagImageOptionsBuilder::new().repo(name).tag(tag).build();
        self.ask(&what, self.docker.tag_image(image.as_str(), Some(options)))
    }

    /// Removes a name, and the image with its last one. Fails with `Refused` when a container uses it.
    pub fn remove(&self, reference: &Reference) -> Result<(), EngineError> {
        let what = format!("remove the image `{reference}`");
        let options = RemoveImageOptionsBuilder::new().build();
        self.ask(&what, self.docker.remove_image(reference.as_str(), Some(options), None)).map(drop)
    }

    fn ask<T>(
        &self,
        what: &str,
        question: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, EngineError> {
        self.answer(what, question)?.map_err(|error| self.failed(what, error))
    }

    fn answer<T>(&self, what: &str, question: impl Future<Output = T>) -> Result<T, EngineError> {
        let answer = self.runtime.block_on(async { tokio::time::timeout(ANSWER, question).await });
        answer.map_err(|_| self.silent(what, ANSWER))
    }

    fn silent(&self, what: &str, waited: Duration) -> EngineError {
        EngineError::Silent { host: self.host.clone(), what: what.into(), seconds: waited.as_secs() }
    }

    fn failed(&self, what: &str, error: bollard::errors::Error) -> EngineError {
        use bollard::errors::Error;
        match error {
            Error::DockerResponseServerError { message, .. } | Error::DockerStreamError { error: message } => {
                EngineError::Refused { what: what.into(), message: plain(&message) }
            }
            Error::HyperLegacyError { .. }
            | Error::HyperResponseError { .. }
            | Error::IOError { .. }
            | Error::SocketNotFoundError(_) => EngineError::Absent { host: self.host.clone(), source: error.into() },
            other => EngineError::Answer { what: what.into(), source: other.into() },
        }
    }
}

/// The engine's words in one line, without what a terminal would obey.
fn plain(message: &str) -> String {
    message.trim().chars().map(|sign| if sign.is_control() { ' ' } else { sign }).take(2000).collect()
}

fn image(found: ImageInspect) -> Image {
    let config = found.config.unwrap_or_default();
    let pair = |line: String| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    Image {
        id: found.id.unwrap_or_default(),
        layers: found.root_fs.and_then(|root| root.layers).unwrap_or_default(),
        tags: found.repo_tags.unwrap_or_default(),
        digests: found.repo_digests.unwrap_or_default(),
        size: found.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
        architecture: found.architecture.unwrap_or_default(),
        labels: config.labels.unwrap_or_default().into_iter().collect(),
        environment: config.env.unwrap_or_default().into_iter().filter_map(pair).collect(),
    }
}

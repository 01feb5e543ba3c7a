//! The engine, asked one thing at a time. Every answer has a deadline; nothing here starts a container.

use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

use bollard::models::{BuildInfo, ImageInspect};
use bollard::query_parameters::{
    ImportImageOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptionsBuilder, TagImageOptionsBuilder,
};
use bollard::{API_DEFAULT_VERSION, ClientVersion, Docker};
use futures_util::{Stream, StreamExt, TryStreamExt};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{self, Sender};

use crate::error::EngineError;
use crate::passage::{self, Archive, Stopped};
use crate::reference::Reference;

/// Where an engine listens when nobody says.
pub const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";
/// How long a question without an archive may take.
const ANSWER: Duration = Duration::from_secs(30);
/// How long an archive may stand still: an engine that unpacks a large layer on a slow disk says nothing meanwhile.
const PATIENCE: Duration = Duration::from_mins(10);
/// How many questions wait for their answers side by side.
const AT_ONCE: usize = 8;
/// How many words of the engine may wait to be heard.
const SAID: usize = 256;
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
    architecture: String,
    patience: Duration,
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
        let first = client(&host, API_DEFAULT_VERSION)?;
        let absent = |error: bollard::errors::Error| EngineError::Absent { host: host.clone(), source: error.into() };
        // Engines start other programs to answer this: it is asked once.
        let said = runtime.block_on(async { tokio::time::timeout(ANSWER, first.version()).await });
        let (what, seconds) = ("say its version".into(), ANSWER.as_secs());
        let said = said.map_err(|_| EngineError::Silent { host: host.clone(), what, seconds })?.map_err(absent)?;
        let version = said.api_version.as_deref().and_then(version);
        let version = version.ok_or_else(|| absent(bollard::errors::Error::APIVersionParseError {}))?;
        let docker = if version < *API_DEFAULT_VERSION { client(&host, &version)? } else { first };
        let architecture = said.arch.unwrap_or_default();
        Ok(Self { runtime, docker, host, architecture, patience: PATIENCE })
    }

    /// The same engine, which may stand still this long in the middle of an archive. Default 10 minutes.
    #[must_use]
    pub const fn patient(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The processor of its host, as in `amd64`.
    pub fn architecture(&self) -> &str {
        &self.architecture
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
        Ok(self.each(std::slice::from_ref(reference))?.pop().flatten())
    }

    /// The same of several, some of them asked for at a time.
    pub fn each(&self, references: &[Reference]) -> Result<Vec<Option<Image>>, EngineError> {
        use bollard::errors::Error::DockerResponseServerError;
        let what = |reference: &Reference| format!("show the image `{reference}`");
        let asked = references.iter().map(|reference| async move {
            match tokio::time::timeout(ANSWER, self.docker.inspect_image(reference.as_str())).await {
                Ok(Ok(found)) => Ok(Some(image(found))),
                Ok(Err(DockerResponseServerError { status_code: 404, .. })) => Ok(None),
                Ok(Err(error)) => Err(self.failed(&what(reference), error)),
                Err(_) => Err(self.silent(&what(reference), ANSWER)),
            }
        });
        // The first failure ends it: an engine that is silent once would be so for each.
        let found = async { futures_util::stream::iter(asked).buffered(AT_ONCE).try_collect().await };
        self.runtime.block_on(found)
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
        Archive::new(&self.runtime, futures_util::stream::once(stream).flatten(), self.patience)
    }

    /// Sends an archive (`docker load`), and gives what the engine says that it loaded. When `archive` fails to read, the
    /// request breaks off and the engine keeps no image of it.
    pub fn load(&self, archive: &mut (dyn Read + Send)) -> Result<Vec<String>, EngineError> {
        self.load_telling(archive, &mut |_| ())
    }

    /// The same. `heard` is told how many bytes of layers the engine unpacked since it spoke last; each word of it begins its time
    /// anew.
    pub fn load_telling(
        &self,
        archive: &mut (dyn Read + Send),
        heard: &mut dyn FnMut(u64),
    ) -> Result<Vec<String>, EngineError> {
        let what = "load an archive";
        let (sender, receiver) = mpsc::channel(2);
        let options = ImportImageOptionsBuilder::new().quiet(false).build();
        let answer = self.docker.import_image_stream(options, passage::stream(receiver), None);
        let (speaking, mut words) = mpsc::channel(SAID);
        self.runtime.spawn(listen(answer, speaking));
        match self.runtime.block_on(passage::pump(archive, sender, self.patience)) {
            Ok(()) => {}
            Err(Stopped::Archive(source)) => {
                // The engine must have let go of it before anybody tries again.
                let until_silent = async { while words.recv().await.is_some() {} };
                let _ = self.runtime.block_on(async { tokio::time::timeout(ANSWER, until_silent).await });
                return Err(EngineError::Archive { source });
            }
            Err(Stopped::Silent) => return Err(self.silent(what, self.patience)),
        }
        let mut loaded = Vec::new();
        loop {
            let next = self.runtime.block_on(async { tokio::time::timeout(self.patience, words.recv()).await });
            match next.map_err(|_| self.silent(what, self.patience))? {
                Some(Word::Ended) => return Ok(loaded),
                None => {
                    let source = "its answer was lost".into();
                    return Err(EngineError::Answer { what: what.into(), source });
                }
                Some(Word::Unpacked(more)) => heard(more),
                Some(Word::Loaded(names)) => loaded.extend(names),
                Some(Word::Failed(error)) => return Err(self.failed(what, error)),
            }
        }
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

/// Speaks to `host` in this version of the engine's API. Asks nothing yet.
fn client(host: &str, version: &ClientVersion) -> Result<Docker, EngineError> {
    let docker = if host.starts_with("unix:///") {
        Docker::connect_with_unix(host, NEVER, version)
    } else if host.starts_with("tcp://") || host.starts_with("http://") {
        Docker::connect_with_http(host, NEVER, version)
    } else {
        return Err(EngineError::Address { host: host.into() });
    };
    docker.map_err(|error| EngineError::Absent { host: host.into(), source: error.into() })
}

/// A version of the API, as in `1.41`.
fn version(text: &str) -> Option<ClientVersion> {
    let (major, minor) = text.split_once('.')?;
    Some(ClientVersion { major_version: major.parse().ok()?, minor_version: minor.parse().ok()? })
}

/// What an engine says while it loads.
enum Word {
    /// That it unpacked so many bytes of a layer since it spoke of that layer last.
    Unpacked(u64),
    /// What it loaded.
    Loaded(Vec<String>),
    /// That this was all.
    Ended,
    /// That it will not, or is gone.
    Failed(bollard::errors::Error),
}

/// Hands on what the engine says until it ends, or nobody listens. Of progress, what nobody has time to hear is left out.
async fn listen(answer: impl Stream<Item = Result<BuildInfo, bollard::errors::Error>>, speaking: Sender<Word>) {
    let mut answer = std::pin::pin!(answer);
    let mut layers: BTreeMap<String, i64> = BTreeMap::new();
    while let Some(message) = answer.next().await {
        let word = match message {
            Err(error) => Word::Failed(error),
            Ok(BuildInfo { error_detail: Some(bollard::models::ErrorDetail { message: Some(error), .. }), .. }) => {
                Word::Failed(bollard::errors::Error::DockerStreamError { error })
            }
            Ok(BuildInfo { id, progress_detail: Some(progress), .. }) => {
                // Keys are the engine's; an engine has not more layers at a time than these.
                if layers.len() > 10_000 {
                    layers.clear();
                }
                let now = progress.current.unwrap_or_default();
                let before = layers.insert(id.unwrap_or_default(), now).unwrap_or_default();
                let _ =
                    speaking.try_send(Word::Unpacked(u64::try_from(now.saturating_sub(before)).unwrap_or_default()));
                continue;
            }
            Ok(BuildInfo { stream, .. }) => Word::Loaded(loaded(&stream.unwrap_or_default())),
        };
        let is_last = matches!(word, Word::Failed(_));
        if speaking.send(word).await.is_err() || is_last {
            return;
        }
    }
    let _ = speaking.send(Word::Ended).await;
}

/// The names and ids in what the engine says of images that it loaded.
fn loaded(lines: &str) -> Vec<String> {
    let names = lines.lines().filter_map(|line| line.strip_prefix("Loaded image"));
    names.map(|name| name.trim_start_matches(" ID").trim_start_matches(':').trim().to_owned()).collect()
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

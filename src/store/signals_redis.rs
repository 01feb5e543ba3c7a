//! Signals and cache over a Redis server: one task that connects, listens and tells, for as long as anybody holds it.
//! A server that does not answer costs a caller a quarter of a second once, and nothing until it is back.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use redis::aio::{MultiplexedConnection, PubSubSink, PubSubStream};
use redis::{Client, Cmd, FromRedisValue, IntoConnectionInfo, RedisError, TlsCertificates};
use tokio::sync::{Notify, broadcast, mpsc};

use base::Secret;

use crate::signals::{Signal, SignalError};

/// Time for a caller's question.
const ANSWER: Duration = Duration::from_millis(250);
/// Time for the task's own ones, and for a connection to come about.
const PATIENCE: Duration = Duration::from_secs(2);
/// Time between two looks at whether the server is there.
const LOOK: Duration = Duration::from_secs(2);
/// Time before the next try to connect.
const PAUSE: Duration = Duration::from_millis(500);
/// Signals that may wait to be told.
const WAITING: usize = 1024;
/// The largest file of authorities, in bytes.
const AUTHORITIES: u64 = 4 << 20;

/// The way to a Redis server.
pub(crate) struct Remote {
    orders: mpsc::Sender<Signal>,
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    /// Begins every key and names the channel.
    prefix: String,
    /// Says who told a signal, so that nobody hears itself.
    own: String,
    /// What callers ask on; none while the server is away.
    open: Mutex<Option<MultiplexedConnection>>,
    /// Rung by a caller that got no answer.
    broken: Notify,
    heard: broadcast::Sender<Signal>,
}

struct Line {
    connection: MultiplexedConnection,
    sink: PubSubSink,
    stream: PubSubStream,
}

impl Remote {
    pub(crate) fn start(
        address: &Secret<String>,
        authorities: Option<&Path>,
        site: &str,
        heard: broadcast::Sender<Signal>,
    ) -> Result<Self, SignalError> {
        let text = address.expose().as_str();
        let info = text.into_connection_info().map_err(|_| SignalError::Address)?;
        let client = match authorities.filter(|_| text.starts_with("rediss:")) {
            Some(path) => {
                let pem = base::file::read_bytes(path, AUTHORITIES).map_err(SignalError::Authorities)?;
                Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert: Some(pem) })
            }
            None => Client::open(info),
        };
        let client = client.map_err(|_| SignalError::Address)?;
        let (orders, receiver) = mpsc::channel(WAITING);
        let shared = Arc::new(Shared {
            client,
            prefix: format!("gitgrit:{site}:"),
            own: own_name(),
            open: Mutex::default(),
            broken: Notify::new(),
            heard,
        });
        tokio::spawn(keep(Arc::clone(&shared), receiver));
        Ok(Self { orders, shared })
    }

    /// Never waits: what finds no room is not told.
    pub(crate) fn publish(&self, signal: Signal) {
        if self.is_connected() {
            let _ = self.orders.try_send(signal);
        }
    }

    pub(crate) async fn get(&self, key: &str) -> Option<String> {
        let key = format!("{}{key}", self.shared.prefix);
        self.shared.ask::<Option<String>>(redis::cmd("GET").arg(key)).await.flatten()
    }

    pub(crate) async fn put(&self, key: &str, value: &str, time: Duration) {
        let key = format!("{}{key}", self.shared.prefix);
        let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut command = redis::cmd("SET");
        command.arg(key).arg(value).arg("PX").arg(milliseconds);
        self.shared.ask::<()>(&command).await;
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.shared.open.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

impl Shared {
    /// Asks, unless the server is known to be away. One that does not answer is.
    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Option<T> {
        let mut connection = self.open.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        match tokio::time::timeout(ANSWER, command.query_async(&mut connection)).await {
            Ok(Ok(value)) => Some(value),
            Ok(Err(error)) if !error.is_io_error() => {
                tracing::warn!(error = &error as &dyn std::error::Error, "redis refused a command");
                None
            }
            Ok(Err(_)) | Err(_) => {
                self.set(None);
                self.broken.notify_one();
                None
            }
        }
    }

    fn set(&self, connection: Option<MultiplexedConnection>) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = connection;
    }

    async fn connect(&self) -> Result<Line, RedisError> {
        let connection = async {
            let connection = self.client.get_multiplexed_async_connection().await?;
            let (mut sink, stream) = self.client.get_async_pubsub().await?.split();
            sink.subscribe(self.channel()).await?;
            Ok(Line { connection, sink, stream })
        };
        tokio::time::timeout(PATIENCE, connection).await.unwrap_or_else(|_| Err(late()))
    }

    /// Works the line until it breaks: then it says how. `None` when nobody is left to work for.
    async fn work(&self, line: &mut Line, orders: &mut mpsc::Receiver<Signal>) -> Option<RedisError> {
        let mut looks = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                message = line.stream.next() => match message {
                    Some(message) => self.hear(message.get_payload().unwrap_or_default()),
                    None => return Some(late()),
                },
                order = orders.recv() => {
                    let Signal { topic, text } = order?;
                    let mut tell = redis::cmd("PUBLISH");
                    tell.arg(self.channel()).arg(format!("{}\n{topic}\n{text}", self.own));
                    if let Err(error) = within(tell.query_async::<()>(&mut line.connection)).await {
                        return Some(error);
                    }
                }
                _ = looks.tick() => {
                    let ping = redis::cmd("PING");
                    let both = async {
                        ping.query_async::<()>(&mut line.connection).await?;
                        line.sink.ping::<redis::Value>().await
                    };
                    if let Err(error) = within(both).await {
                        return Some(error);
                    }
                }
                () = self.broken.notified() => return Some(late()),
            }
        }
    }

    fn hear(&self, message: String) {
        let mut parts = message.splitn(3, '\n');
        let (Some(from), Some(topic), Some(text)) = (parts.next(), parts.next(), parts.next()) else { return };
        if from != self.own {
            let _ = self.heard.send(Signal { topic: topic.to_owned(), text: text.to_owned() });
        }
    }

    fn channel(&self) -> String {
        format!("{}signals", self.prefix)
    }
}

/// Connects, works, and connects again. Ends with whoever holds the other end of `orders`.
async fn keep(shared: Arc<Shared>, mut orders: mpsc::Receiver<Signal>) {
    let mut was_told = false;
    loop {
        let error = match shared.connect().await {
            Ok(mut line) => {
                tracing::info!("connected to redis");
                was_told = false;
                shared.set(Some(line.connection.clone()));
                let ended = shared.work(&mut line, &mut orders).await;
                shared.set(None);
                let Some(error) = ended else { return };
                error
            }
            Err(error) => error,
        };
        if !was_told {
            tracing::warn!(error = &error as &dyn std::error::Error, "redis does not answer; going on without it");
            was_told = true;
        }
        // What was to be told meanwhile is old news.
        let pause = tokio::time::sleep(PAUSE);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                order = orders.recv() => if order.is_none() { return },
                () = &mut pause => break,
            }
        }
    }
}

async fn within<T>(answer: impl Future<Output = Result<T, RedisError>>) -> Result<T, RedisError> {
    tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err(late()))
}

fn late() -> RedisError {
    RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut))
}

/// Different for every process and every start: the process id alone repeats itself in containers.
fn own_name() -> String {
    use std::hash::{BuildHasher, RandomState};
    format!("{:x}-{:x}", std::process::id(), RandomState::new().hash_one(0))
}

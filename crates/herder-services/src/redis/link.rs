//! [`Link`]: the one connection to the store, and what is done while it is away.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, FromRedisValue,
    IntoConnectionInfo, ProtocolVersion, PushInfo, PushKind, ScriptInvocation, Value,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::guard::Guarded;

/// How long a call waits for a connection that is being made.
const CONNECTING: Duration = Duration::from_millis(40);

/// How long the making of a connection may take.
const CONNECT: Duration = Duration::from_secs(1);

/// So many answers in a row that do not come are taken for a dead connection.
const FAILURES: u32 = 5;

/// How often an idle connection is asked whether it lives.
const IDLE: Duration = Duration::from_secs(1);

/// The first and the longest pause between two attempts to connect, up to a fifth more or less.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];

/// How the store is reached, and what is wanted of it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `redis://[user:password@]host[:port][/database]`, or `redis+unix:///path`.
    pub url: String,
    /// Changes of keys that begin so are told.
    pub tracked: Vec<String>,
    /// Messages of these channels are told.
    pub channels: Vec<String>,
    /// What an answer may take. Who waits for the store waits no longer.
    pub patience: Duration,
}

impl Settings {
    /// The patience that promises an answer or an error within a quarter of a second.
    pub const PATIENCE: Duration = Duration::from_millis(200);
}

/// What the link tells, in order, on a task that must not be blocked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum News {
    /// The connection is lost: whatever was known by it is not known any more.
    Down,
    /// Somebody changed these keys, or we did; `None` = any key.
    Invalidated(Option<Vec<String>>),
    /// Somebody published this, or we did.
    Message { channel: String, payload: Vec<u8> },
    /// There is a connection, a new one; nothing is known by it yet.
    Up,
}

/// Why the store did not answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LinkError {
    /// It was not asked: there is no connection.
    #[error("there is no connection to {0}: {1}")]
    NoConnection(String, String),
    /// It was asked, and whether it did what it was asked, nobody knows.
    #[error("{0} does not answer: {1}")]
    NoAnswer(String, String),
    /// It answered that it will not.
    #[error("{0} refuses: {1}")]
    Refused(String, String),
    /// The address is none.
    #[error("{0} is not the address of a store, such as redis://127.0.0.1:6379: {1}")]
    Address(String, String),
}

/// The connection. Cheap to clone.
#[derive(Clone)]
pub struct Link {
    shared: Arc<Shared>,
    patience: Duration,
    _keeper: Arc<Keeper>,
}

struct Shared {
    /// The address without its password, for people.
    name: String,
    live: watch::Sender<Option<Live>>,
    /// Why there is no connection.
    why: Mutex<String>,
    failures: AtomicU32,
}

/// A connection that is there.
#[derive(Clone)]
struct Live {
    connection: MultiplexedConnection,
    /// It is to be given up.
    dead: Arc<Notify>,
}

/// Ends the task that keeps the connection.
struct Keeper(JoinHandle<()>);

type Teller = Arc<dyn Fn(News) + Send + Sync>;

impl Link {
    /// Begins to connect, and goes on connecting whenever the connection is lost. To be called on
    /// a runtime.
    ///
    /// # Errors
    /// [`LinkError::Address`].
    pub fn open(
        settings: Settings,
        tell: impl Fn(News) + Send + Sync + 'static,
    ) -> Result<Link, LinkError> {
        let name = without_password(&settings.url);
        let client = client(&settings.url)?;
        let shared = Arc::new(Shared {
            name,
            live: watch::Sender::new(None),
            why: Mutex::new("it is being made".to_owned()),
            failures: AtomicU32::new(0),
        });
        let patience = settings.patience;
        let keeping = keep(Arc::clone(&shared), client, settings, Arc::new(tell));
        let keeper = Keeper(tokio::spawn(keeping));
        Ok(Link {
            shared,
            patience,
            _keeper: Arc::new(keeper),
        })
    }

    /// Whether a link can be opened to this address; nobody is asked.
    ///
    /// # Errors
    /// [`LinkError::Address`].
    pub fn check(url: &str) -> Result<(), LinkError> {
        client(url).map(drop)
    }

    /// Has the store run a script.
    ///
    /// # Errors
    /// Any [`LinkError`], soon after the patience is over.
    pub async fn run<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, LinkError> {
        let mut connection = self.connection().await?;
        let answer = timeout(self.patience, script.invoke_async(&mut connection)).await;
        self.heed(answer)
    }

    /// Publishes a message, and says how many connections got it.
    ///
    /// # Errors
    /// Any [`LinkError`], soon after the patience is over.
    pub async fn publish(&self, channel: &str, payload: &[u8]) -> Result<usize, LinkError> {
        let mut connection = self.connection().await?;
        let mut command = redis::cmd("PUBLISH");
        command.arg(channel).arg(payload);
        let answer = timeout(self.patience, command.query_async(&mut connection)).await;
        self.heed(answer)
    }

    /// Whether there is a connection.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.shared.live.borrow().is_some()
    }

    async fn connection(&self) -> Result<MultiplexedConnection, LinkError> {
        let present = self.shared.live.borrow().clone();
        if let Some(live) = present {
            return Ok(live.connection);
        }
        let mut live = self.shared.live.subscribe();
        let connected = timeout(CONNECTING, live.wait_for(Option::is_some)).await;
        let live = connected
            .ok()
            .and_then(Result::ok)
            .and_then(|live| live.clone());
        let connection = live.map(|live| live.connection);
        connection.ok_or_else(|| {
            let why = self.shared.lock_why().clone();
            LinkError::NoConnection(self.shared.name.clone(), why)
        })
    }

    fn heed<T>(
        &self,
        answer: Result<Result<T, redis::RedisError>, tokio::time::error::Elapsed>,
    ) -> Result<T, LinkError> {
        let name = || self.shared.name.clone();
        match answer {
            Ok(Ok(value)) => {
                self.shared.failures.store(0, Ordering::Relaxed);
                Ok(value)
            }
            Ok(Err(error)) if error.code().is_some() => {
                self.shared.failures.store(0, Ordering::Relaxed);
                Err(LinkError::Refused(name(), error.to_string()))
            }
            Ok(Err(error)) => {
                self.shared.failed();
                Err(LinkError::NoAnswer(name(), error.to_string()))
            }
            Err(_elapsed) => {
                self.shared.failed();
                let waited = format!("waited for {} ms", self.patience.as_millis());
                Err(LinkError::NoAnswer(name(), waited))
            }
        }
    }
}

impl Shared {
    fn lock_why(&self) -> MutexGuard<'_, String> {
        self.why.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self) {
        if self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= FAILURES {
            let live = self.live.borrow();
            if let Some(live) = live.as_ref() {
                live.dead.notify_one();
            }
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Connects, watches, and connects again.
async fn keep(shared: Arc<Shared>, client: Client, settings: Settings, tell: Teller) {
    let mut pause = PAUSES[0];
    loop {
        match connect(&client, &settings, &tell).await {
            Ok(live) => {
                pause = PAUSES[0];
                shared.failures.store(0, Ordering::Relaxed);
                tell(News::Up);
                shared.live.send_replace(Some(live.clone()));
                tokio::select! {
                    () = live.dead.notified() => {}
                    () = silence(live.connection) => {}
                }
                "it was lost".clone_into(&mut shared.lock_why());
                shared.live.send_replace(None);
                tell(News::Down);
            }
            Err(why) => *shared.lock_why() = why,
        }
        sleep(jittered(pause)).await;
        pause = (pause * 2).min(PAUSES[1]);
    }
}

/// Makes a connection, or says why there is none.
async fn connect(client: &Client, settings: &Settings, tell: &Teller) -> Result<Live, String> {
    let dead = Arc::new(Notify::new());
    let (tell, gone) = (Arc::clone(tell), Arc::clone(&dead));
    let hear = move |push| {
        match heard(push) {
            Some(Heard::Gone) => gone.notify_one(),
            Some(Heard::News(news)) => tell(news),
            None => {}
        }
        Ok::<(), ()>(())
    };
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(None)
        .set_push_sender(hear);
    let connecting = async {
        let mut connection = open(client.get_connection_info(), config).await?;
        // Our own changes are told as well: the others of this host have to hear of them.
        let mut tracking = redis::cmd("CLIENT");
        tracking.arg("TRACKING").arg("ON").arg("BCAST");
        for prefix in &settings.tracked {
            tracking.arg("PREFIX").arg(prefix);
        }
        if !settings.tracked.is_empty() {
            tracking.query_async::<()>(&mut connection).await?;
        }
        for channel in &settings.channels {
            connection.subscribe(channel).await?;
        }
        Ok::<_, redis::RedisError>(connection)
    };
    match timeout(CONNECT, connecting).await {
        Ok(Ok(connection)) => Ok(Live { connection, dead }),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_elapsed) => Err("it does not answer".to_owned()),
    }
}

/// Connects. What arrives is looked at before anything is done with it.
async fn open(
    info: &ConnectionInfo,
    config: AsyncConnectionConfig,
) -> Result<MultiplexedConnection, redis::RedisError> {
    match info.addr() {
        ConnectionAddr::Tcp(host, port) => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            stream.set_nodelay(true)?;
            speak(stream, info, config).await
        }
        ConnectionAddr::Unix(path) => {
            let stream = UnixStream::connect(path).await?;
            speak(stream, info, config).await
        }
        other @ (ConnectionAddr::TcpTls { .. } | _) => {
            let reason = format!("{other} cannot be connected to");
            Err(io::Error::new(io::ErrorKind::Unsupported, reason).into())
        }
    }
}

async fn speak<S>(
    stream: S,
    info: &ConnectionInfo,
    config: AsyncConnectionConfig,
) -> Result<MultiplexedConnection, redis::RedisError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (info, stream) = (info.redis_settings(), Guarded::new(stream));
    let (connection, driver) = MultiplexedConnection::new_with_config(info, stream, config).await?;
    // It ends with the connection, or with the last clone of it.
    tokio::spawn(driver);
    Ok(connection)
}

/// Ends when the other side says nothing any more.
async fn silence(mut connection: MultiplexedConnection) {
    loop {
        sleep(IDLE).await;
        let ping = redis::cmd("PING");
        let pong = timeout(IDLE, ping.query_async::<String>(&mut connection)).await;
        if !matches!(pong, Ok(Ok(_))) {
            return;
        }
    }
}

enum Heard {
    Gone,
    News(News),
}

fn heard(push: PushInfo) -> Option<Heard> {
    let mut data = push.data.into_iter();
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the others are answers to what we asked, or were not asked for"
    )]
    let news = match push.kind {
        PushKind::Disconnection => return Some(Heard::Gone),
        PushKind::Invalidate => News::Invalidated(keys(data.next()?)),
        PushKind::Message => News::Message {
            channel: text(data.next()?)?,
            payload: bytes(data.next()?)?,
        },
        _ => return None,
    };
    Some(Heard::News(news))
}

/// The keys of an invalidation; nil, or what is not understood, means all.
fn keys(value: Value) -> Option<Vec<String>> {
    let Value::Array(keys) = value else {
        return None;
    };
    keys.into_iter().map(text).collect()
}

fn text(value: Value) -> Option<String> {
    String::from_utf8(bytes(value)?).ok()
}

fn bytes(value: Value) -> Option<Vec<u8>> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what is no text is not what was published"
    )]
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.into_bytes()),
        _ => None,
    }
}

/// What opens connections to this address.
fn client(url: &str) -> Result<Client, LinkError> {
    let wrong =
        |error: redis::RedisError| LinkError::Address(without_password(url), error.to_string());
    let info = url.into_connection_info().map_err(wrong)?;
    let resp3 = info
        .redis_settings()
        .clone()
        .set_protocol(ProtocolVersion::RESP3);
    Client::open(info.set_redis_settings(resp3)).map_err(wrong)
}

fn without_password(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => {
            format!("{}{}", &url[..scheme + 3], &url[at + 1..])
        }
        _ => url.to_owned(),
    }
}

/// Up to a fifth more or less, so that not all hosts come at the same moment.
fn jittered(pause: Duration) -> Duration {
    use std::hash::{BuildHasher, RandomState};
    let random = RandomState::new().hash_one(pause) % 401;
    pause * u32::try_from(800 + random).unwrap_or(1000) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(
            without_password("redis://u:p@ss@host:1/2"),
            "redis://host:1/2"
        );
        assert_eq!(without_password("redis://host"), "redis://host");
        assert_eq!(without_password("a@b"), "a@b");
    }

    #[test]
    fn pauses_differ_a_little() {
        for _ in 0..100 {
            let pause = jittered(Duration::from_secs(1));
            assert!((800..=1200).contains(&pause.as_millis()), "{pause:?}");
        }
    }
}

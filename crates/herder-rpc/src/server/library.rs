//! A library: its objects, and who serves them.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use herder_wire::rpc::{Decoder, MAX_FRAME, Signature};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::connection::Connection;
use super::handshake::{self, Ended};
use super::host::Host;
use super::reader::{Phase, Reader};
use super::{IntoObject, Object};

/// How many panics a minute a library bears unless it says otherwise.
const PANICS: usize = 100;

/// How long a library that ends waits for what it has under way, unless it says otherwise.
const GRACE: Duration = Duration::from_secs(10);

/// How long the end of a connection waits for its methods' futures to be dropped.
const QUIET: Duration = Duration::from_secs(1);

/// After an accept that failed, for want of descriptors, the next comes so much later.
const PAUSE: Duration = Duration::from_millis(50);

/// Which incarnation of which library of which herd this process is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LibraryIdentity {
    /// The library's name.
    pub name: String,
    /// Its incarnation: 1, 2, 3 …
    pub epoch: u64,
    /// The app's name.
    pub app: String,
    /// The herd, in hex: callers of another one are refused.
    pub herd: String,
}

/// Objects that are offered to the workers of a herd.
pub struct Library {
    name: String,
    objects: HashMap<String, Arc<dyn Object>>,
    duplicate: Option<String>,
    grace: Duration,
    panics: usize,
}

/// Why a library does not serve, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Two objects have one name.
    #[error("two objects of the library are called {0}")]
    SameName(String),
    /// Methods panicked too often within a minute: it is better started anew.
    #[error("methods panicked {0} times in a minute")]
    TooManyPanics(usize),
    /// The socket cannot accept connections any more.
    #[error("cannot accept connections: {0}")]
    Accept(#[source] io::Error),
}

impl Library {
    /// A library without objects.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        let objects = HashMap::new();
        Self {
            name,
            objects,
            duplicate: None,
            grace: GRACE,
            panics: PANICS,
        }
    }

    /// Adds an object.
    #[must_use]
    pub fn object<O: IntoObject>(self, object: O) -> Self {
        let (name, object) = object.into_object();
        self.add(name, object)
    }

    /// Adds an object by any name.
    #[must_use]
    pub fn dynamic(self, name: &str, object: impl Object) -> Self {
        self.add(name.to_owned(), Arc::new(object))
    }

    /// How long the library waits at its end for what is under way; 10 seconds unless told.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// After how many panics within a minute the library ends; 100 unless told.
    #[must_use]
    pub fn max_panics(mut self, panics: usize) -> Self {
        self.panics = panics.max(1);
        self
    }

    /// The library's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the library offers.
    #[must_use]
    pub fn signature(&self) -> Signature {
        let objects = self.objects.iter();
        Signature::new(
            self.name.clone(),
            objects.map(|(name, object)| (name.clone(), object.signature())),
        )
    }

    /// Serves callers until `shutdown` ends; then tells them, and waits for what is under way.
    ///
    /// # Errors
    ///
    /// Any [`ServeError`].
    pub async fn serve_on(
        self,
        listener: UnixListener,
        identity: LibraryIdentity,
        shutdown: impl Future,
    ) -> Result<(), ServeError> {
        if let Some(name) = self.duplicate {
            return Err(ServeError::SameName(name));
        }
        let signature = self.signature();
        let host = Host::new(identity, &signature, self.objects, self.panics);
        let (phase, seen) = watch::channel(Phase::Serving);
        let mut connections = JoinSet::new();
        let result = tokio::select! {
            _ = shutdown => Ok(()),
            () = host.broken() => Err(ServeError::TooManyPanics(self.panics)),
            error = accept(&listener, &host, &seen, &mut connections) => {
                Err(ServeError::Accept(error))
            }
        };
        drop(listener);
        phase.send_replace(Phase::Draining);
        let all = async { while connections.join_next().await.is_some() {} };
        // What has not ended by then is dropped with the set.
        let _ = tokio::time::timeout(self.grace, all).await;
        result
    }

    fn add(mut self, name: String, object: Arc<dyn Object>) -> Self {
        if self.objects.contains_key(&name) {
            self.duplicate = Some(name);
            return self;
        }
        self.objects.insert(name, object);
        self
    }
}

/// Accepts until that is not possible any more.
async fn accept(
    listener: &UnixListener,
    host: &Arc<Host>,
    phase: &watch::Receiver<Phase>,
    connections: &mut JoinSet<()>,
) -> io::Error {
    let mut number = 0;
    loop {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((socket, _address)) => {
                number += 1;
                let (host, phase) = (Arc::clone(host), phase.clone());
                connections.spawn(async move {
                    // Why it ended concerns that caller alone.
                    drop(serve(socket, number, host, phase).await);
                });
            }
            Err(error) if is_final(&error) => return error,
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Whether the listener itself is broken, as opposed to one connection or a shortage.
fn is_final(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::NotConnected
    )
}

/// One connection, from its first byte to its last.
async fn serve(
    mut socket: UnixStream,
    number: u64,
    host: Arc<Host>,
    phase: watch::Receiver<Phase>,
) -> Result<(), Ended> {
    let mut decoder = Decoder::new(MAX_FRAME);
    let caller = handshake::greet(&mut socket, &mut decoder, &host).await?;
    host.arrived(&caller);
    let connection = Connection::new(number, caller, host);
    let life = Life {
        connection: Arc::clone(&connection),
        phase: phase.clone(),
    };
    let (read_half, write_half) = socket.into_split();
    let outbox = Arc::clone(&connection.outbox);
    outbox.attach(write_half);
    let mut writer = tokio::spawn(async move { outbox.write_all().await });
    let reader = Reader {
        connection: Arc::clone(&connection),
        socket: read_half,
        decoder,
        phase,
    };
    let ended = tokio::select! {
        biased;
        ended = reader.read() => ended,
        _ = &mut writer => Err(Ended::Closed),
    };
    if ended.is_ok() {
        connection.outbox.close();
        drop(writer.await);
    }
    connection.end();
    // Nobody may find the caller's calls still running when the objects learn that it is gone.
    let _ = tokio::time::timeout(QUIET, connection.until(Connection::is_quiet)).await;
    drop(life);
    ended
}

/// Ends a connection, however its task ends.
struct Life {
    connection: Arc<Connection>,
    phase: watch::Receiver<Phase>,
}

impl Drop for Life {
    fn drop(&mut self) {
        self.connection.end();
        // A caller that a library sends elsewhere lives on: what it holds stays its own.
        if *self.phase.borrow() == Phase::Serving {
            self.connection.host.left(&self.connection.caller);
        }
    }
}

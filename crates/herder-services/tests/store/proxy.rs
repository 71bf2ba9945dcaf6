//! Who stands between the hosts and the store.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use herder_services::redis::Settings;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

use crate::host::Host;
use crate::server::Server;

const SECOND: Duration = Duration::from_secs(1);

/// More than any client may take: as much as is sent without an end.
const ENDLESS: usize = 1 << 30;

/// Stands between the hosts and the store.
pub(crate) struct Proxy {
    path: PathBuf,
    pub(crate) conduct: watch::Sender<Conduct>,
    /// Whether what the store says is kept back.
    hold: watch::Sender<bool>,
    pub(crate) connections: Arc<AtomicUsize>,
    /// How much was taken of what should not be sent.
    pub(crate) taken: Arc<AtomicUsize>,
    /// How much is kept back.
    held: Arc<AtomicUsize>,
}

/// What a connection has of it.
#[derive(Clone)]
struct Side {
    conduct: watch::Receiver<Conduct>,
    hold: watch::Receiver<bool>,
    taken: Arc<AtomicUsize>,
    held: Arc<AtomicUsize>,
}

#[derive(Clone, Copy)]
pub(crate) enum Conduct {
    Pass,
    /// Sends this, and then zeros for as long as anybody takes them.
    Send(&'static str),
    /// Passes on until the first command, and ends.
    Break,
    /// Passes questions on, for a moment, and no answers.
    Deaf,
}

impl Proxy {
    pub(crate) fn start(server: &Server) -> Proxy {
        let proxy = Proxy {
            path: server.directory.join("proxy"),
            conduct: watch::Sender::new(Conduct::Pass),
            hold: watch::Sender::new(false),
            connections: Arc::default(),
            taken: Arc::default(),
            held: Arc::default(),
        };
        let listener = UnixListener::bind(&proxy.path).expect("a path of our own");
        let store = server.directory.join("socket");
        let side = Side {
            conduct: proxy.conduct.subscribe(),
            hold: proxy.hold.subscribe(),
            taken: Arc::clone(&proxy.taken),
            held: Arc::clone(&proxy.held),
        };
        let connections = Arc::clone(&proxy.connections);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(pass(client, store.clone(), side.clone()));
            }
        });
        proxy
    }

    /// Keeps back what the store says, or lets it go.
    pub(crate) fn hold(&self, hold: bool) {
        self.held.store(0, Ordering::SeqCst);
        self.hold.send_replace(hold);
    }

    /// Waits until so much more than `before` is kept back, and says how much it is.
    pub(crate) async fn holds_more_than(&self, before: usize) -> usize {
        loop {
            let held = self.held.load(Ordering::SeqCst);
            if held > before {
                return held;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    pub(crate) async fn host(&self) -> Host {
        self.host_with(Settings::PATIENCE).await
    }

    pub(crate) async fn host_with(&self, patience: Duration) -> Host {
        let url = format!("redis+unix://{}", self.path.display());
        Host::at(url, "s", patience).await
    }
}

/// Passes on what the store says; what was kept back, in one piece.
async fn answers(
    store: &mut OwnedReadHalf,
    client: &mut OwnedWriteHalf,
    side: &Side,
) -> std::io::Result<()> {
    let (mut hold, mut kept) = (side.hold.clone(), Vec::new());
    loop {
        tokio::select! {
            read = store.read_buf(&mut kept) => if read? == 0 {
                return Ok(());
            },
            _ = hold.changed() => {}
        }
        if *hold.borrow() {
            side.held.store(kept.len(), Ordering::SeqCst);
        } else {
            client.write_all(&kept).await?;
            kept.clear();
        }
    }
}

async fn pass(client: UnixStream, store: PathBuf, side: Side) {
    let Ok(store) = UnixStream::connect(store).await else {
        return;
    };
    let mut conduct = side.conduct.clone();
    conduct.mark_unchanged();
    let broken = matches!(*conduct.borrow(), Conduct::Break);
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_store, mut to_store) = store.into_split();
    let mut up = pin!(async { copy(&mut from_client, &mut to_store).await });
    let down = async { answers(&mut from_store, &mut to_client, &side).await };
    let brief = async {
        // Long enough for a greeting.
        let time = if broken { SECOND / 50 } else { 3600 * SECOND };
        tokio::time::sleep(time).await;
    };
    tokio::select! {
        _ = &mut up => return,
        _ = down => return,
        () = brief => return,
        _ = conduct.changed() => {}
    }
    let next = *conduct.borrow();
    let text = match next {
        Conduct::Send(text) => text,
        Conduct::Deaf => {
            let _elapsed = tokio::time::timeout(SECOND / 2, up).await;
            return;
        }
        Conduct::Break | Conduct::Pass => return,
    };
    let zeros = vec![b'0'; 1 << 16];
    let mut sent = to_client.write_all(text.as_bytes()).await;
    while sent.is_ok() && side.taken.fetch_add(zeros.len(), Ordering::SeqCst) < ENDLESS {
        sent = to_client.write_all(&zeros).await;
    }
}

//! A store, or whoever stands between, that sends what it should not.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use herder_services::redis::{News, Settings};
use herder_services::state::{Condition, Put};
use tokio::io::{AsyncWriteExt, copy};
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
    connections: Arc<AtomicUsize>,
    /// How much was taken of what should not be sent.
    taken: Arc<AtomicUsize>,
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
            connections: Arc::default(),
            taken: Arc::default(),
        };
        let listener = UnixListener::bind(&proxy.path).expect("a path of our own");
        let store = server.directory.join("socket");
        let (conduct, taken) = (proxy.conduct.subscribe(), Arc::clone(&proxy.taken));
        let connections = Arc::clone(&proxy.connections);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let link = pass(client, store.clone(), conduct.clone(), Arc::clone(&taken));
                tokio::spawn(link);
            }
        });
        proxy
    }

    pub(crate) async fn host(&self) -> Host {
        let url = format!("redis+unix://{}", self.path.display());
        Host::at(url, "s", Settings::PATIENCE).await
    }
}

async fn pass(
    client: UnixStream,
    store: PathBuf,
    mut conduct: watch::Receiver<Conduct>,
    taken: Arc<AtomicUsize>,
) {
    let Ok(store) = UnixStream::connect(store).await else {
        return;
    };
    conduct.mark_unchanged();
    let broken = matches!(*conduct.borrow(), Conduct::Break);
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_store, mut to_store) = store.into_split();
    let mut up = pin!(async { copy(&mut from_client, &mut to_store).await });
    let down = async { copy(&mut from_store, &mut to_client).await };
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
    while sent.is_ok() && taken.fetch_add(zeros.len(), Ordering::SeqCst) < ENDLESS {
        sent = to_client.write_all(&zeros).await;
    }
}

pub(crate) async fn works(host: &Host) {
    let put = Put {
        value: Bytes::from_static(b"1"),
        ttl: None,
        condition: Condition::Always,
    };
    let end = Instant::now() + 30 * SECOND;
    while let Err(error) = host.space.put("works", put.clone()).await {
        assert!(Instant::now() < end, "{error}");
        tokio::time::sleep(SECOND / 100).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r49_a_connection_that_brings_garbage_or_too_much_is_closed_and_another_made() {
    let server = Server::start();
    let proxy = Proxy::start(&server);
    let host = proxy.host().await;
    for hostile in [
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "\0\0\0",
        "$1073741824\r\n",
        ">1000000000\r\n",
        "*9\r\n$30000000\r\n",
        // A message without an end, of parts that are short enough.
        ">3\r\n$7\r\nmessage\r\n$8\r\ntest:bus\r\n$33000000\r\n",
    ] {
        host.forget_news();
        proxy.taken.store(0, Ordering::SeqCst);
        proxy.conduct.send_replace(Conduct::Send(hostile));
        host.until(|news| news.contains(&News::Down)).await;
        proxy.conduct.send_replace(Conduct::Pass);
        works(&host).await;
        let taken = proxy.taken.load(Ordering::SeqCst);
        assert!(taken < 64 << 20, "{taken} bytes after {hostile:?}");
    }
}

#[tokio::test]
async fn r48_a_store_that_breaks_every_connection_gets_few() {
    let server = Server::start();
    let proxy = Proxy::start(&server);
    let host = proxy.host().await;
    works(&host).await;
    proxy.conduct.send_replace(Conduct::Break);
    host.until(|news| news.contains(&News::Down)).await;
    proxy.connections.store(0, Ordering::SeqCst);
    let callers = async {
        loop {
            // Whoever calls meanwhile makes it no worse.
            let _down = host.space.get_fresh("a").await;
        }
    };
    let _elapsed = tokio::time::timeout(3 * SECOND, callers).await;
    let connections = proxy.connections.load(Ordering::SeqCst);
    assert!((3..=30).contains(&connections), "{connections} in 3 s");
    proxy.conduct.send_replace(Conduct::Pass);
    works(&host).await;
}

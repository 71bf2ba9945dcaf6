//! A front on a port of its own, and workers behind it that are sockets of the test.

use std::future::Future;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::timeout;

use super::backends::{Backend, BackendAddress, Backends};
use super::entrance::{Entrance, serve};
use super::settings::{Kind, ProxySettings};
use super::tls::Acceptor;
use super::{House, http, tcp};

/// A front that serves.
pub(super) struct Site {
    pub(super) address: SocketAddr,
    pub(super) backends: Backends,
    pub(super) house: House,
    /// Ends when the front does.
    pub(super) served: JoinHandle<()>,
}

/// Runs a test on one thread, as everything here does. Nothing that it waits for takes long.
pub(super) fn run(test: impl Future<Output = ()>) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .unwrap();
    runtime.block_on(within(test));
}

/// Waits, but not for ever.
pub(super) async fn within<T>(future: impl Future<Output = T>) -> T {
    let patience = Duration::from_secs(60);
    timeout(patience, future).await.expect("it takes too long")
}

/// Settings that wait for nobody.
pub(super) fn settings() -> ProxySettings {
    let mut settings: ProxySettings = serde_json::from_str(r#"{"app": "test"}"#).unwrap();
    settings.kind = Kind::Tcp;
    settings.wait_timeout_millis = 1;
    settings
}

impl Site {
    /// Opens a front.
    pub(super) fn open(settings: ProxySettings, tls: Option<Acceptor>) -> Site {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let settings = Rc::new(settings);
        let backends = Backends::new(&settings);
        let house = House::default();
        let entrance = Rc::new(Entrance {
            settings: Rc::clone(&settings),
            house: house.clone(),
            tls,
        });
        let (name, listener) = ("test".to_owned(), OwnedFd::from(listener));
        let (workers, doors) = (backends.clone(), house.clone());
        let served = spawn_local(async move {
            let served = match settings.kind {
                Kind::Http => {
                    let front = Rc::new(http::Front::new(settings, workers, doors));
                    serve(name, listener, entrance, front).await
                }
                Kind::Tcp => {
                    let front = Rc::new(tcp::Front::new(settings, workers));
                    serve(name, listener, entrance, front).await
                }
            };
            served.unwrap();
        });
        Site {
            address,
            backends,
            house,
            served,
        }
    }

    /// Adds a worker with this number, and gives the listener that it has.
    pub(super) async fn worker(&self, worker: u64) -> TcpListener {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        self.admit(worker, BackendAddress::Tcp(address));
        listener
    }

    /// Adds a worker that listens there.
    pub(super) fn admit(&self, worker: u64, address: BackendAddress) {
        self.backends.admit(Backend {
            worker,
            slot: u16::try_from(worker).unwrap(),
            generation: 1,
            address,
        });
    }

    /// A new client.
    pub(super) async fn client(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

/// What comes until the end.
pub(super) async fn all_of(stream: &mut (impl AsyncReadExt + Unpin)) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    bytes
}

/// Writes, and ends this half.
pub(super) async fn say(stream: &mut (impl AsyncWriteExt + Unpin), bytes: &[u8]) {
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
}

/// Bytes that no two places of have alike.
pub(super) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

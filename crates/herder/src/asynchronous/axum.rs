//! The listener as `axum::serve` wants it.

use std::future::pending;
use std::io;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;

use crate::asynchronous::connection::AsyncConnection;
use crate::asynchronous::listener::Listener;
use crate::connection::Peer;

/// How long to wait after an error; `axum` asks for an answer that cannot fail.
const RETRY: Duration = Duration::from_secs(1);

/// When the worker drains, no more connections come, and `axum::serve` must be told so:
/// `.with_graceful_shutdown(worker.draining().wait())`. It closes idle connections at once then;
/// [`AsyncWorker::serve`](crate::AsyncWorker::serve) loses no request.
impl axum::serve::Listener for Listener {
    type Io = AsyncConnection;
    type Addr = Peer;

    async fn accept(&mut self) -> (AsyncConnection, Peer) {
        loop {
            match Listener::accept(self).await {
                Ok(Some(connection)) => {
                    // A client that has gone meanwhile is found out with the first read.
                    let nobody = Peer::Tcp(([0, 0, 0, 0], 0).into());
                    let peer = connection.peer().unwrap_or(nobody);
                    return (connection, peer);
                }
                Ok(None) => pending().await,
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<Peer> {
        Listener::local_addr(self)
    }
}

/// `router.into_make_service_with_connect_info::<herder::Peer>()` gives handlers the peer.
impl Connected<IncomingStream<'_, Listener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Listener>) -> Peer {
        *stream.remote_addr()
    }
}

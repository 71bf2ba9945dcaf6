//! A task for each connection, and its end.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::answer::{Asked, accompany};
use super::io::Io;
use super::state::{Exchange, State};
use crate::asynchronous::connection::AsyncConnection;
use crate::asynchronous::worker::AsyncWorker;
use crate::worker::handle::WorkerHandle;

/// How often connections that are to end are looked at.
const SWEEP: Duration = Duration::from_millis(100);

impl AsyncWorker {
    /// Serves HTTP/1.1 on the worker's connections, with a service of hyper's, until the worker
    /// leaves and each connection has come to its end.
    ///
    /// No request is lost then: from the moment at which the worker is to leave, each response says
    /// `Connection: close`. A connection on which none is under way stays open for another second,
    /// in which a request that was on its way is still answered; then it is half-closed, and closed
    /// when the client has closed it. A response of the type `text/event-stream` ends at its own
    /// [farewell](WorkerHandle::farewell). What was upgraded (WebSocket) is the program's.
    ///
    /// # Errors
    /// When the source of connections is unusable. Return the error: the worker will be replaced.
    pub async fn serve_http<S, B>(&self, service: S) -> io::Result<()>
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Future: Send,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let listener = self.listener();
        // What is never sent: it ends when the last task has dropped its sender.
        let (serving, mut over) = mpsc::channel::<Infallible>(1);
        while let Some(connection) = listener.accept().await? {
            let (service, worker, serving) = (service.clone(), self.handle(), serving.clone());
            tokio::spawn(async move {
                serve_connection(connection, service, worker).await;
                drop(serving);
            });
        }
        drop(serving);
        let _none = over.recv().await;
        Ok(())
    }

    /// Serves a router of axum's as [`serve_http`](AsyncWorker::serve_http) does: no request is lost
    /// when the worker leaves. Handlers can ask for
    /// `axum::extract::ConnectInfo<`[`Peer`](crate::Peer)`>`.
    ///
    /// ```no_run
    /// # use axum::{Router, routing::get};
    /// async fn serve(worker: herder::AsyncWorker) -> std::io::Result<()> {
    ///     let router = Router::new().route("/", get(|| async { "hello" }));
    ///     worker.serve(router).await
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`serve_http`](AsyncWorker::serve_http).
    #[cfg(feature = "axum")]
    pub async fn serve(&self, router: axum::Router) -> io::Result<()> {
        let service = hyper_util::service::TowerToHyperService::new(router);
        self.serve_http(service).await
    }
}

/// Serves one connection to its end.
async fn serve_connection<S, B>(connection: AsyncConnection, service: S, worker: WorkerHandle)
where
    S: Service<Request<Incoming>, Response = Response<B>> + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let state = Arc::new(State::default());
    #[cfg(feature = "axum")]
    let peer = connection.peer().ok();
    let io = Io::new(connection, worker.link(), &state);
    let answering = service_fn(|request: Request<Incoming>| {
        #[cfg(feature = "axum")]
        let request = with_peer(request, peer);
        let exchange = Exchange::begin(&state);
        let asked = match *request.method() {
            Method::CONNECT => Asked::ForTunnel,
            _ => Asked::ForAnswer,
        };
        let answer = service.call(request);
        let (state, worker) = (&state, &worker);
        async move {
            let response = answer.await?;
            Ok::<_, S::Error>(accompany(response, asked, worker, state, exchange))
        }
    });
    let serving = http1::Builder::new().serve_connection(TokioIo::new(io), answering);
    let mut serving = std::pin::pin!(serving.with_upgrades());
    let lingered = async {
        worker.draining().wait().await;
        sleep(worker.link().linger()).await;
    };
    // Errors here are the client's: it went away, or does not speak HTTP.
    tokio::select! {
        _over = serving.as_mut() => return,
        () = lingered => state.close_when_idle(),
    }
    loop {
        tokio::select! {
            _over = serving.as_mut() => return,
            () = sleep(SWEEP) => {}
        }
    }
}

#[cfg(feature = "axum")]
fn with_peer(mut request: Request<Incoming>, peer: Option<crate::Peer>) -> Request<Incoming> {
    if let Some(peer) = peer {
        let info = axum::extract::ConnectInfo(peer);
        request.extensions_mut().insert(info);
    }
    request
}

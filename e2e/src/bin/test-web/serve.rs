//! The worker.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::process;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{ConnectInfo, Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;
use herder::{AsyncWorker, Peer, WorkerHandle};

use crate::args::Args;
use crate::version::{Misdeed, Version};

/// What a request finds.
struct Site {
    text: String,
    ledger: File,
}

pub(crate) async fn serve(worker: AsyncWorker, args: Args) -> io::Result<()> {
    let version = Version::of(&args.version_file)?;
    match version.misdeed {
        Misdeed::Dies(time) => drop(tokio::spawn(die(time))),
        Misdeed::Mute => std::future::pending::<()>().await,
        Misdeed::Nothing => {}
        Misdeed::Throw => {
            let reason = format!("version {} cannot be loaded", version.name);
            return Err(io::Error::other(reason));
        }
    }
    let site = Site {
        text: format!(
            "pid:{} worker:{} version:{}",
            worker.pid(),
            worker.id(),
            version.name
        ),
        ledger: OpenOptions::new()
            .append(true)
            .create(true)
            .open(&args.ledger)?,
    };
    let handle = worker.handle();
    let router = Router::new()
        .route("/", get(at_once))
        .route("/slow/{millis}", get(later))
        .route("/upload", axum::routing::post(upload))
        .route("/ws", get(|upgrade| socket(upgrade, handle)))
        .with_state(Arc::new(site));
    worker.serve(router).await
}

async fn at_once(
    State(site): State<Arc<Site>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
) -> String {
    site.saw(peer, &headers);
    site.text.clone()
}

async fn later(
    State(site): State<Arc<Site>>,
    Path(millis): Path<u64>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
) -> String {
    site.saw(peer, &headers);
    tokio::time::sleep(Duration::from_millis(millis)).await;
    site.text.clone()
}

async fn upload(
    State(site): State<Arc<Site>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> String {
    site.saw(peer, &headers);
    format!("{} bytes:{}", site.text, body.len())
}

/// Echoes what a client says, behind the worker's process number.
async fn socket(upgrade: WebSocketUpgrade, worker: WorkerHandle) -> Response {
    upgrade.on_upgrade(move |socket| echo(socket, worker))
}

async fn echo(mut socket: WebSocket, worker: WorkerHandle) {
    let mut farewell = worker.farewell();
    loop {
        let message = tokio::select! {
            () = &mut farewell => break,
            message = socket.recv() => message,
        };
        let Some(Ok(message)) = message else { return };
        if let Message::Text(text) = message {
            let echo = format!("pid:{}: {text}", worker.pid());
            if socket.send(Message::Text(echo.into())).await.is_err() {
                return;
            }
        }
    }
    let away = CloseFrame {
        code: close_code::AWAY,
        reason: "the worker leaves".into(),
    };
    // The client has gone, or answers: then the connection is over.
    let _gone = socket.send(Message::Close(Some(away))).await;
    while let Some(Ok(_)) = socket.recv().await {}
}

impl Site {
    /// Notes it, and whose connection it is on, in one call: appending is atomic, and a kill cannot cut it.
    fn saw(&self, peer: Peer, headers: &HeaderMap) {
        let id = headers.get("x-request").and_then(|id| id.to_str().ok());
        if let Some(id) = id {
            let (port, pid) = (peer_port(peer), process::id());
            let line = format!("saw {id} {pid}\ngot {port} {pid}\n");
            let written = (&self.ledger).write_all(line.as_bytes());
            written.expect("the directory of the test has room");
        }
    }
}

fn peer_port(peer: Peer) -> u16 {
    match peer {
        Peer::Tcp(address) => address.port(),
        Peer::Unix => 0,
    }
}

async fn die(after: Duration) {
    tokio::time::sleep(after).await;
    process::exit(3);
}

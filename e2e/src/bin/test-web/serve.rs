//! The worker.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::process;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::routing::get;
use herder::AsyncWorker;

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
    let router = Router::new()
        .route("/", get(at_once))
        .route("/slow/{millis}", get(later))
        .route("/upload", axum::routing::post(upload))
        .with_state(Arc::new(site));
    worker.serve(router).await
}

async fn at_once(State(site): State<Arc<Site>>, headers: HeaderMap) -> String {
    site.saw(&headers);
    site.text.clone()
}

async fn later(
    State(site): State<Arc<Site>>,
    Path(millis): Path<u64>,
    headers: HeaderMap,
) -> String {
    site.saw(&headers);
    tokio::time::sleep(Duration::from_millis(millis)).await;
    site.text.clone()
}

async fn upload(State(site): State<Arc<Site>>, headers: HeaderMap, body: Bytes) -> String {
    site.saw(&headers);
    format!("{} bytes:{}", site.text, body.len())
}

impl Site {
    /// Notes it, in one call: appending is atomic, and a kill cannot cut it.
    fn saw(&self, headers: &HeaderMap) {
        let id = headers.get("x-request").and_then(|id| id.to_str().ok());
        if let Some(id) = id {
            let line = format!("saw {id} {}\n", process::id());
            let written = (&self.ledger).write_all(line.as_bytes());
            written.expect("the directory of the test has room");
        }
    }
}

async fn die(after: Duration) {
    tokio::time::sleep(after).await;
    process::exit(3);
}

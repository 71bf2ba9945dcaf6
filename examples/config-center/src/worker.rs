//! A worker: an HTTP server that answers from its copy, or asks the library.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use herder::AsyncWorker;
use herder::rpc::CallError;
use herder::rpc::client::Subscription;
use herder::rpc::server::Change;

use crate::copy::Copy;
use crate::log::{methods, say};
use crate::object::ConfigClient;

/// What a request needs.
#[derive(Clone)]
struct Desk {
    /// `pid:P worker:N`, with which each answer begins.
    name: String,
    copy: Copy,
    config: ConfigClient,
}

type Answer = Result<String, (StatusCode, String)>;

/// Connects with the library, waits until the values are there, and serves.
pub(crate) async fn serve(worker: AsyncWorker) -> Result<(), Box<dyn std::error::Error>> {
    say("asks the library what it offers");
    let agent = worker.agent();
    for signature in agent.signatures().await? {
        for (name, object) in &signature.objects {
            say(&format!("its agent offers {}", methods(name, object)));
        }
    }
    let config: ConfigClient = agent.object().await?;
    let mut changes = config.watch("");
    let copy = Copy::default();
    until_complete(&copy, &mut changes).await?;
    say(&format!("has {} keys", copy.len()));
    tokio::spawn(follow(copy.clone(), changes));
    let name = format!("pid:{} worker:{}", worker.pid(), worker.id());
    let router = Router::new()
        .route("/{key}", get(from_copy).put(set))
        .route("/fresh/{key}", get(from_library))
        .with_state(Desk { name, copy, config });
    worker.serve(router).await?;
    Ok(())
}

async fn from_copy(State(desk): State<Desk>, Path(key): Path<String>) -> Answer {
    desk.answer(&key, desk.copy.get(&key))
}

async fn from_library(State(desk): State<Desk>, Path(key): Path<String>) -> Answer {
    let value = desk.config.get(key.clone()).await.map_err(failed)?;
    desk.answer(&key, value)
}

async fn set(State(desk): State<Desk>, Path(key): Path<String>, value: String) -> Answer {
    let set = desk.config.set(key.clone(), value.clone()).await;
    set.map_err(failed)?;
    desk.answer(&key, Some(value))
}

impl Desk {
    fn answer(&self, key: &str, value: Option<String>) -> Answer {
        let name = &self.name;
        match value {
            Some(value) => Ok(format!("{name} {key}={value}\n")),
            None => Err((StatusCode::NOT_FOUND, format!("{name} there is no {key}\n"))),
        }
    }
}

fn failed(error: CallError) -> (StatusCode, String) {
    (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n"))
}

async fn until_complete(
    copy: &Copy,
    changes: &mut Subscription<Change<String, String>>,
) -> Result<(), CallError> {
    while let Some(item) = changes.next().await {
        if copy.take(item?) {
            return Ok(());
        }
    }
    Ok(())
}

/// Follows the library, whichever of its lives it is in, as long as the worker lives.
async fn follow(copy: Copy, mut changes: Subscription<Change<String, String>>) {
    while let Some(Ok(item)) = changes.next().await {
        copy.take(item);
    }
    say("the stream of changes has ended");
}

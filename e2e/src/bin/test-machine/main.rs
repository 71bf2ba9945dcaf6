//! One of several machines that share a store. A client sends a worker one line, and gets one.
//!
//! | line | what the worker does with it |
//! |---|---|
//! | `set KEY VALUE` | `revision:R` |
//! | `get KEY` | the value in the shared namespace, or `-` |
//! | `count KEY N` | the sum |
//! | `add KEY N` | `added` |
//! | `watched KEY` | the value that this worker was told of without asking, or `-` |
//! | `say TEXT` | sends it everywhere: `receivers:R machines:M` |
//! | `heard` | what this worker heard last, or `-` |
//! | `self` | `pid:P worker:N` |
//!
//! What fails is answered by `error …`, with how long it took: `(12 ms)`.

mod args;
mod effect;
mod follow;

use std::io;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use herder::bus::To;
use herder::{AsyncWorker, ClusterError, WorkerHandle};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use args::Args;
use follow::Known;

fn main() -> Result<ExitCode, ClusterError> {
    herder::init();
    let args = Args::parse();
    let resource = args.resource;
    args.cluster()
        .run_async(move |worker| serve(worker, resource))
}

async fn serve(worker: AsyncWorker, resource: Option<std::net::SocketAddr>) -> io::Result<()> {
    let (handle, known) = (worker.handle(), Known::default());
    tokio::spawn(follow::state(handle.clone(), known.clone()));
    tokio::spawn(follow::news(handle.clone(), known.clone()));
    if let Some(resource) = resource {
        tokio::spawn(effect::run(handle.clone(), resource));
    }
    let (listener, id) = (worker.listener(), worker.id());
    while let Some(connection) = listener.accept().await? {
        let (handle, known) = (handle.clone(), known.clone());
        tokio::spawn(async move {
            let mut connection = BufReader::new(connection);
            let mut line = String::new();
            if connection.read_line(&mut line).await.is_ok() {
                let begun = Instant::now();
                let answer = match answer(&line, &handle, &known).await {
                    Ok(Some(answer)) => format!("{answer}\n"),
                    Ok(None) => format!("pid:{} worker:{id}\n", std::process::id()),
                    Err(error) => format!("error {error} ({} ms)\n", begun.elapsed().as_millis()),
                };
                // A client that has gone needs none.
                let _gone = connection.write_all(answer.as_bytes()).await;
            }
        });
    }
    Ok(())
}

async fn answer(
    line: &str,
    worker: &WorkerHandle,
    known: &Known,
) -> Result<Option<String>, Box<dyn std::error::Error + Send + Sync>> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let state = worker.state("shared");
    Ok(Some(match words[..] {
        ["set", key, value] => format!("revision:{}", state.set(key, value.to_owned()).await?),
        ["get", key] => {
            let entry = state.get(key).await?;
            let text = entry.as_ref().and_then(|entry| entry.text());
            text.unwrap_or("-").to_owned()
        }
        ["count", key, by] => state.increment(key, by.parse()?).await?.to_string(),
        ["add", key, by] => {
            state.add(key, by.parse()?).await?;
            "added".to_owned()
        }
        ["watched", key] => known.watched(key),
        ["say", text] => {
            let delivery = worker.bus().send(To::Everywhere, "news", text).await?;
            let (receivers, machines) = (delivery.receivers, delivery.machines);
            format!("receivers:{receivers} machines:{machines}")
        }
        ["heard"] => known.heard(),
        _ => return Ok(None),
    }))
}

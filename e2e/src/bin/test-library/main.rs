//! A herd with libraries for tests. A client sends a worker one line, and gets one.
//!
//! | line | what the worker does with it |
//! |---|---|
//! | `who NAME` | asks the library: `pid:P epoch:E calls:N` |
//! | `slow NAME MS` | the same, and the library answers after so many milliseconds |
//! | `self` | answers for itself: `pid:P worker:N` |
//!
//! A call that fails is answered by `error KIND EXECUTED`.

mod args;
mod trial;

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Parser;
use herder::rpc::client::{Agents, CallOptions};
use herder::rpc::server::{MethodLimits, Object};
use herder::rpc::{
    Args as CallArgs, BoxFuture, CallError, Cx, ErrorKind, Executed, MethodSignature,
    ObjectSignature, Reply,
};
use herder::{AsyncWorker, ClusterError, Library, LibrarySetup};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use args::Args;
use trial::{Subject, TrialObject};

fn main() -> Result<ExitCode, ClusterError> {
    herder::init();
    let args = Args::parse();
    let mut cluster = args.cluster();
    for name in &args.libraries {
        let args = args.clone();
        cluster = cluster.library(name, move |setup| build(setup, args.clone()));
    }
    cluster.run_async(serve)
}

/// Builds a library with one object that is called like it, and one that is called `trial`.
async fn build(setup: LibrarySetup, args: Args) -> Result<Library, io::Error> {
    tokio::time::sleep(Duration::from_millis(args.setup)).await;
    if args.fails_while.as_ref().is_some_and(|path| path.exists()) {
        return Err(io::Error::other("no database"));
    }
    let probe = Probe {
        epoch: setup.epoch(),
        calls: AtomicU64::new(0),
    };
    let trial = TrialObject::new(Subject::new(setup.epoch()));
    let library = setup.library().dynamic(setup.name(), probe);
    Ok(library.object(trial))
}

/// An object with one method: who it is, after as many milliseconds as it is told.
struct Probe {
    epoch: u64,
    calls: AtomicU64,
}

impl Object for Probe {
    fn signature(&self) -> ObjectSignature {
        let who = MethodSignature {
            variadic: true,
            ..MethodSignature::default()
        };
        ObjectSignature::new("", [("who".to_owned(), who)])
    }

    fn call(
        self: Arc<Self>,
        _cx: Cx,
        _method: u16,
        args: CallArgs,
    ) -> BoxFuture<'static, Result<Reply, CallError>> {
        Box::pin(async move {
            let (millis,): (u64,) = args.decode()?;
            let calls = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
            tokio::time::sleep(Duration::from_millis(millis)).await;
            let (pid, epoch) = (std::process::id(), self.epoch);
            let answer = format!("pid:{pid} epoch:{epoch} calls:{calls}");
            Reply::encode(args.codec(), &answer)
        })
    }

    fn subscribe(
        self: Arc<Self>,
        _cx: Cx,
        _method: u16,
        _args: CallArgs,
        _sink: herder::rpc::server::Sink,
    ) -> BoxFuture<'static, Result<(), CallError>> {
        Box::pin(async { Err(CallError::new(ErrorKind::NoMethod, Executed::No, "")) })
    }

    fn limits(&self, _method: u16) -> MethodLimits {
        MethodLimits::default()
    }
}

async fn serve(worker: AsyncWorker) -> io::Result<()> {
    let (listener, agent) = (worker.listener(), worker.agent());
    while let Some(connection) = listener.accept().await? {
        let (agent, id) = (agent.clone(), worker.id());
        tokio::spawn(async move {
            let mut connection = BufReader::new(connection);
            let mut line = String::new();
            if connection.read_line(&mut line).await.is_ok() {
                let answer = answer(&line, &agent, id).await;
                // A client that has gone needs none.
                let _gone = connection.write_all(answer.as_bytes()).await;
            }
        });
    }
    Ok(())
}

async fn answer(line: &str, agent: &Agents, id: u64) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (name, millis) = match words[..] {
        ["who", name] => (name, 0),
        ["slow", name, millis] => (name, millis.parse().unwrap_or(0)),
        _ => return format!("pid:{} worker:{id}\n", std::process::id()),
    };
    let options = CallOptions {
        deadline: Some(Duration::from_secs(20)),
        ..CallOptions::default()
    };
    match agent.call_with(name, "who", json!([millis]), options).await {
        Ok(Value::String(text)) => format!("{text}\n"),
        Ok(other) => format!("{other}\n"),
        Err(error) => format!("error {:?} {:?}\n", error.kind, error.executed),
    }
}

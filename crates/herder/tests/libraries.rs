//! Libraries of herds in one process.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use herder::rpc::server::{Object, Sink};
use herder::rpc::{
    Args, BoxFuture, CallError, Cx, ErrorKind, Executed, MethodSignature, ObjectSignature, Reply,
};
use herder::{AsyncWorker, Cluster, ClusterError, Library, LibrarySetup, Worker};
use serde_json::json;
use tokio::io::AsyncWriteExt;

const PATIENCE: Duration = Duration::from_secs(20);

/// Counts its calls.
struct Counter(AtomicU64);

impl Object for Counter {
    fn signature(&self) -> ObjectSignature {
        ObjectSignature::new("", [("next".to_owned(), MethodSignature::default())])
    }

    fn call(
        self: Arc<Self>,
        cx: Cx,
        _method: u16,
        args: Args,
    ) -> BoxFuture<'static, Result<Reply, CallError>> {
        let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        let slot = cx.caller.slot;
        Box::pin(async move { Reply::encode(args.codec(), &(number, slot)) })
    }

    fn subscribe(
        self: Arc<Self>,
        _cx: Cx,
        _method: u16,
        _args: Args,
        _sink: Sink,
    ) -> BoxFuture<'static, Result<(), CallError>> {
        Box::pin(async { Err(CallError::new(ErrorKind::NoMethod, Executed::No, "")) })
    }
}

async fn counter(setup: LibrarySetup) -> Result<Library, String> {
    assert_eq!((setup.name(), setup.epoch()), ("core", 1));
    Ok(setup
        .library()
        .dynamic("counter", Counter(AtomicU64::new(0))))
}

async fn serve(worker: AsyncWorker) -> io::Result<()> {
    let (listener, agent) = (worker.listener(), worker.agent());
    while let Some(mut connection) = listener.accept().await? {
        let answer = agent.call("counter", "next", json!([])).await;
        let answer = answer.map_err(io::Error::other)?.to_string();
        connection.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

fn serve_blocking(worker: Worker) -> io::Result<()> {
    let agent = worker.blocking_agent()?;
    while let Some(mut connection) = worker.accept()? {
        let answer = agent.call("counter", "next", json!([]));
        write!(connection, "{}", answer.map_err(io::Error::other)?)?;
    }
    Ok(())
}

fn ask(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn cluster() -> Cluster {
    let cluster = Cluster::new().listen("127.0.0.1:0").workers(1);
    cluster.grace(Duration::from_secs(5))
}

#[test]
fn workers_that_are_threads_call_libraries_that_are_threads() {
    let herd = cluster().library("core", counter);
    let herd = herd.start_in_process_async(serve).expect("it starts");
    let address = herd.tcp_address().expect("it listens on TCP");
    assert_eq!(ask(address).expect("an answer"), "[1,0]");
    assert_eq!(ask(address).expect("an answer"), "[2,0]");
    herd.stop().expect("in order");
}

#[test]
fn a_worker_that_blocks_calls_too() {
    let herd = cluster().library("core", counter);
    let herd = herd.start_in_process(serve_blocking).expect("it starts");
    let address = herd.tcp_address().expect("it listens on TCP");
    assert_eq!(ask(address).expect("an answer"), "[1,0]");
    herd.stop().expect("in order");
}

#[test]
fn a_library_that_cannot_be_built_is_an_error() {
    let fails = |_: LibrarySetup| async { Err::<Library, _>("no database") };
    let herd = cluster()
        .library("core", fails)
        .start_in_process(serve_blocking);
    let error = herd.expect_err("it cannot start");
    assert!(matches!(error, ClusterError::Library { .. }), "{error}");
    assert_eq!(error.to_string(), "library core: no database");
}

#[test]
fn without_a_library_a_call_says_so() {
    let unheard = |worker: Worker| {
        let agent = worker.blocking_agent()?;
        while let Some(mut connection) = worker.accept()? {
            let error = agent
                .call("counter", "next", json!([]))
                .expect_err("nobody");
            write!(connection, "{:?}", error.kind)?;
        }
        io::Result::Ok(())
    };
    let herd = cluster().start_in_process(unheard).expect("it starts");
    let address = herd.tcp_address().expect("it listens on TCP");
    assert_eq!(ask(address).expect("an answer"), "NoObject");
    herd.stop().expect("in order");
}

//! Libraries of herds in one process.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use herder::rpc::Cx;
use herder::{AsyncWorker, Cluster, ClusterError, Library, LibrarySetup, Worker};
use serde_json::json;
use tokio::io::AsyncWriteExt;

const PATIENCE: Duration = Duration::from_secs(20);

/// Counts its calls.
#[herder::object(name = "counter")]
trait Counter {
    /// The number of the call, and the slot of the caller.
    async fn next(&self, cx: &Cx) -> (u64, u32);
}

struct Count(AtomicU64);

impl Counter for Count {
    async fn next(&self, cx: &Cx) -> (u64, u32) {
        let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        (number, cx.caller.slot)
    }
}

async fn counter(setup: LibrarySetup) -> Result<Library, String> {
    assert_eq!((setup.name(), setup.epoch()), ("core", 1));
    Ok(setup
        .library()
        .object(CounterObject::new(Count(AtomicU64::new(0)))))
}

async fn serve(worker: AsyncWorker) -> io::Result<()> {
    let counter = worker.agent().object::<CounterClient>().await;
    let (listener, counter) = (worker.listener(), counter.map_err(io::Error::other)?);
    while let Some(mut connection) = listener.accept().await? {
        let (number, slot) = counter.next().await.map_err(io::Error::other)?;
        let answer = format!("[{number},{slot}]");
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

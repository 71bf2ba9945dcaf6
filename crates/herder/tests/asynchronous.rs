//! Asynchronous workers, and the servers that stand on them.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::convert::Infallible;
use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use futures_core::Stream;
use herder::{AsyncWorker, Cluster, Exit, HerdEvent, Peer};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const PATIENCE: Duration = Duration::from_secs(20);

fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn get_once(address: SocketAddr) -> String {
    exchange(
        address,
        b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n",
    )
}

async fn echo(worker: AsyncWorker) -> std::io::Result<()> {
    let listener = worker.listener();
    while let Some(mut connection) = listener.accept().await? {
        tokio::spawn(async move {
            let mut byte = [0];
            while connection.read_exact(&mut byte).await.is_ok() {
                match byte[0] {
                    b'p' => panic!("as asked"),
                    b'.' => break,
                    _ => connection.write_all(&byte).await.unwrap(),
                }
            }
            connection.shutdown().await.unwrap();
        });
    }
    Ok(())
}

#[test]
fn tasks_accept_read_and_write() {
    for threads in [None, Some(2)] {
        let mut cluster = Cluster::new().listen("127.0.0.1:0").workers(2);
        if let Some(threads) = threads {
            cluster = cluster.threads(threads);
        }
        let herd = cluster.start_in_process_async(echo).unwrap();
        for _ in 0..50 {
            assert_eq!(exchange(herd.tcp_address().unwrap(), b"hello."), "hello");
        }
        herd.stop().unwrap();
    }
}

/// As [`echo`], once for each connection of the stream.
async fn echo_once(worker: AsyncWorker) -> std::io::Result<()> {
    let mut incoming = std::pin::pin!(worker.listener().incoming());
    while let Some(connection) = poll_fn(|context| incoming.as_mut().poll_next(context)).await {
        let mut connection = connection?;
        let byte = connection.read_u8().await?;
        connection.write_all(&[byte]).await?;
        connection.shutdown().await?;
    }
    // It stays at its end.
    assert!(
        poll_fn(|context| incoming.as_mut().poll_next(context))
            .await
            .is_none()
    );
    Ok(())
}

#[test]
fn the_connections_are_a_stream_that_ends_with_the_worker() {
    let (exits, exited) = mpsc::channel();
    let cluster = Cluster::new().listen("127.0.0.1:0").workers(1);
    let cluster = cluster.on_exit(move |_, exit| exits.send(*exit).unwrap());
    let herd = cluster.start_in_process_async(echo_once).unwrap();
    for byte in ["a", "b", "c"] {
        assert_eq!(exchange(herd.tcp_address().unwrap(), byte.as_bytes()), byte);
    }
    herd.stop().unwrap();
    assert_eq!(exited.recv_timeout(PATIENCE), Ok(Exit::Code(0)));
}

#[test]
fn a_panic_in_a_task_replaces_the_worker_and_spares_the_other_connections() {
    let (events, received) = mpsc::channel();
    let herd = Cluster::new()
        .listen("127.0.0.1:0")
        .workers(1)
        .on_event(move |event| {
            let _gone = events.send(event.clone());
        })
        .start_in_process_async(echo)
        .unwrap();
    let address = herd.tcp_address().unwrap();
    let mut other = TcpStream::connect(address).unwrap();
    let mut byte = [0];
    other.write_all(b"a").unwrap();
    other.read_exact(&mut byte).unwrap();
    assert_eq!(exchange(address, b"p"), "");
    // The replacement serves while the old one still has a connection.
    assert_eq!(exchange(address, b"new."), "new");
    other.write_all(b"b").unwrap();
    other.read_exact(&mut byte).unwrap();
    assert_eq!(byte, *b"b");
    drop(other);
    let mut exits = std::iter::from_fn(|| received.recv_timeout(PATIENCE).ok()).map(|event| {
        let HerdEvent::Exited { worker, exit, .. } = event else {
            return None;
        };
        Some((worker.id, exit))
    });
    let exit = exits.find_map(|exit| exit);
    assert_eq!(exit, Some((1, Exit::Code(1))));
    herd.stop().unwrap();
}

async fn hello(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(
        b"hello from hyper",
    ))))
}

async fn hyper_server(worker: AsyncWorker) -> std::io::Result<()> {
    let (listener, draining) = (worker.listener(), worker.draining());
    while let Some(connection) = listener.accept().await? {
        let draining = draining.clone();
        tokio::spawn(async move {
            let http = hyper::server::conn::http1::Builder::new();
            let serving = http.serve_connection(TokioIo::new(connection), service_fn(hello));
            let mut serving = std::pin::pin!(serving);
            tokio::select! {
                _ = serving.as_mut() => return,
                () = draining.wait() => {}
            }
            serving.as_mut().graceful_shutdown();
            let _closed = serving.await;
        });
    }
    Ok(())
}

#[test]
fn hyper_serves() {
    let cluster = Cluster::new().listen("127.0.0.1:0").workers(2);
    let herd = cluster.start_in_process_async(hyper_server).unwrap();
    let address = herd.tcp_address().unwrap();
    for _ in 0..20 {
        assert!(get_once(address).ends_with("\r\n\r\nhello from hyper"));
    }
    herd.stop().unwrap();
}

async fn axum_server(worker: AsyncWorker) -> std::io::Result<()> {
    let handler = |ConnectInfo(peer): ConnectInfo<Peer>| async move { format!("hello, {peer}") };
    let router = Router::new().route("/", get(handler));
    axum::serve(
        worker.listener(),
        router.into_make_service_with_connect_info::<Peer>(),
    )
    .with_graceful_shutdown(worker.draining().wait())
    .await
}

#[test]
fn axum_serves_and_closes_idle_connections_when_the_worker_drains() {
    let cluster = Cluster::new().listen("127.0.0.1:0").workers(2);
    let herd = cluster.start_in_process_async(axum_server).unwrap();
    let address = herd.tcp_address().unwrap();
    for _ in 0..20 {
        assert!(get_once(address).contains("hello, 127.0.0.1:"));
    }
    let mut idle = TcpStream::connect(address).unwrap();
    idle.set_read_timeout(Some(PATIENCE)).unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        .unwrap();
    let mut first = [0];
    idle.read_exact(&mut first).unwrap();
    herd.stop().unwrap();
    let mut rest = String::new();
    idle.read_to_string(&mut rest).unwrap();
    assert!(
        rest.contains("hello, "),
        "the answer came whole, then the end"
    );
}

#[test]
fn draining_can_be_awaited_by_many() {
    let (said, heard) = mpsc::channel();
    let cluster = Cluster::new().workers(1);
    let herd = cluster
        .start_in_process_async(move |worker| {
            let said = said.clone();
            async move {
                worker.ready();
                let waiting: Vec<_> = (0..10)
                    .map(|_| tokio::spawn(std::future::IntoFuture::into_future(worker.draining())))
                    .collect();
                said.send(0).unwrap();
                for task in waiting {
                    task.await.unwrap();
                }
                said.send(10).unwrap();
                Ok::<_, std::io::Error>(())
            }
        })
        .unwrap();
    assert_eq!(heard.recv_timeout(PATIENCE), Ok(0));
    herd.stop().unwrap();
    assert_eq!(heard.recv_timeout(PATIENCE), Ok(10));
}

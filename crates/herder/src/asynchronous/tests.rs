//! Asynchronous workers against a master that the test plays.

use std::io::{Read, Write};
use std::num::NonZeroUsize;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use herder_wire::control::{DrainReason, ToMaster, ToWorker};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::asynchronous::run::{self, Threads};
use crate::worker::blocking::Worker;
use crate::worker::finish;
use crate::worker::link::Timing;
use crate::worker::testing::{self, CALM, PATIENCE};
use crate::{AsyncConnection, AsyncWorker};

const BOTH: [Threads; 2] = [None, NonZeroUsize::new(2)];

/// Answers one byte with itself.
async fn answer(mut connection: AsyncConnection) -> std::io::Result<u8> {
    let question = connection.read_u8().await?;
    connection.write_all(&[question]).await?;
    Ok(question)
}

fn start<F: Future<Output = Result<(), String>>>(
    worker: Worker,
    threads: Threads,
    body: impl Fn(AsyncWorker) -> F + Send + 'static,
) -> JoinHandle<i32> {
    thread::spawn(move || run::run(worker, threads, Worker::into_async, body))
}

fn ask(client: &mut UnixStream, question: u8) {
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(&[question]).unwrap();
}

/// Whether the question was answered; it was not when the connection was closed.
fn is_answered(client: &mut UnixStream) -> bool {
    client.read_exact(&mut [0]).is_ok()
}

#[test]
fn the_end_of_the_function_costs_only_the_connection_that_it_met() {
    for (threads, fault) in BOTH.into_iter().flat_map(|t| [(t, b'p'), (t, b'e')]) {
        let (master, worker) = testing::pass(CALM);
        let mut clients = master.pass(4);
        for (client, question) in clients.iter_mut().zip([fault, b'a', b'b', b'c']) {
            ask(client, question);
        }
        let running = start(worker, threads, |worker| async move {
            let listener = worker.listener();
            while let Some(connection) = listener.accept().await.map_err(|e| e.to_string())? {
                match answer(connection).await {
                    Ok(b'p') => panic!("as asked"),
                    Ok(b'e') => return Err("as asked".to_owned()),
                    _ => {}
                }
            }
            Ok(())
        });
        assert!(clients.iter_mut().all(is_answered), "{threads:?} {fault}");
        assert_eq!(running.join().unwrap(), finish::FAILED);
    }
}

#[test]
fn a_function_that_leaves_at_the_word_drain_is_called_for_what_it_had_received() {
    for threads in BOTH {
        let (mut master, worker) = testing::pass(CALM);
        let running = start(worker, threads, |worker| async move {
            let (listener, draining) = (worker.listener(), worker.draining());
            loop {
                // Takes one at a time, and stops taking at once when the end has begun.
                tokio::select! {
                    biased;
                    () = draining.clone().wait() => {
                        let left = listener.accept().await.map_err(|e| e.to_string())?;
                        if let Some(connection) = left {
                            answer(connection).await.map_err(|e| e.to_string())?;
                        }
                        return Ok(());
                    }
                    connection = listener.accept() => if let Ok(Some(connection)) = connection {
                        answer(connection).await.map_err(|e| e.to_string())?;
                    },
                }
            }
        });
        master.wait_for(|message| *message == ToMaster::Ready);
        let mut clients = master.pass(4);
        master.wait_for(|message| matches!(message, ToMaster::Counters { open: 1, .. }));
        master.tell(&ToWorker::Drain {
            reason: DrainReason::Stop,
            grace_millis: 1000,
        });
        for client in &mut clients {
            ask(client, b'a');
            assert!(is_answered(client), "{threads:?}");
        }
        assert_eq!(running.join().unwrap(), 0);
    }
}

#[test]
fn the_status_says_that_a_connection_was_cut_off() {
    for threads in BOTH {
        let (master, worker) = testing::pass(Timing {
            grace: Duration::from_millis(50),
            ..CALM
        });
        let _client = master.pass(1);
        let running = start(worker, threads, |worker| async move {
            let connection = worker.listener().accept().await.unwrap().unwrap();
            tokio::spawn(answer(connection));
            Ok(())
        });
        assert_eq!(running.join().unwrap(), finish::FAILED, "{threads:?}");
    }
}

#[test]
fn a_runtime_of_the_programs_own_can_be_followed_by_another() {
    let (master, worker) = testing::pass(CALM);
    let mut clients = master.pass(3);
    for client in &mut clients {
        ask(client, b'a');
    }
    let calls = AtomicUsize::new(0);
    let status = finish::run(worker, |worker| {
        calls.fetch_add(1, Ordering::AcqRel);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let worker = worker.into_async().map_err(|error| error.to_string())?;
            let connection = worker.listener().accept().await.unwrap().unwrap();
            answer(connection).await.unwrap();
            Err("as asked".to_owned())
        })
    });
    assert!(clients.iter_mut().all(is_answered));
    assert_eq!((status, calls.into_inner()), (finish::FAILED, 3));
}

#[cfg(feature = "axum")]
async fn serve_axum(worker: AsyncWorker) -> Result<(), String> {
    let router = axum::Router::new().route("/", axum::routing::get(|| async { "hello" }));
    axum::serve(worker.listener(), router)
        .with_graceful_shutdown(worker.draining().wait())
        .await
        .map_err(|error| error.to_string())
}

#[cfg(feature = "axum")]
#[test]
fn axum_answers_what_had_come_when_the_end_begins() {
    // With several threads a connection may be closed before its task had its first turn: axum does
    // not look for a request any more, then.
    for _ in 0..10 {
        let (mut master, worker) = testing::pass(CALM);
        let running = start(worker, None, serve_axum);
        master.wait_for(|message| *message == ToMaster::Ready);
        let mut clients = master.pass(4);
        for client in &mut clients {
            client
                .write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
                .unwrap();
        }
        master.wait_for(|message| matches!(message, ToMaster::Counters { .. }));
        master.tell(&ToWorker::Drain {
            reason: DrainReason::Stop,
            grace_millis: 1000,
        });
        for client in &mut clients {
            client.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut answer = String::new();
            let _reset = client.read_to_string(&mut answer);
            assert!(answer.ends_with("hello"), "{answer:?}");
        }
        assert_eq!(running.join().unwrap(), 0);
    }
}

//! HTTP against a master that the test plays.
#![cfg(feature = "axum")]

use std::convert::Infallible;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use axum::Router;
use axum::response::sse::{Event, Sse};
use axum::routing::get;
use futures_core::Stream;
use herder_wire::control::{DrainReason, ToMaster, ToWorker};

use crate::asynchronous::run;
use crate::worker::blocking::Worker;
use crate::worker::testing::{self, CALM, Master, PATIENCE};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n";

/// One that sends nothing after its first event.
struct Endless(Option<Event>);

impl Stream for Endless {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.0.take() {
            Some(event) => Poll::Ready(Some(Ok(event))),
            None => Poll::Pending,
        }
    }
}

fn router() -> Router {
    Router::new()
        .route("/", get(|| async { "hello" }))
        .route(
            "/slow",
            get(|| async {
                tokio::time::sleep(Duration::from_millis(1500)).await;
                "slow"
            }),
        )
        .route(
            "/events",
            get(|| async { Sse::new(Endless(Some(Event::default().data("first")))) }),
        )
}

fn start(worker: Worker) -> JoinHandle<i32> {
    let body = |worker: crate::AsyncWorker| async move { worker.serve(router()).await };
    std::thread::spawn(move || run::run(worker, None, Worker::into_async, body))
}

fn drain(master: &Master, reason: DrainReason, grace_millis: u32) {
    master.tell(&ToWorker::Drain {
        reason,
        grace_millis,
    });
}

/// Clients that have been answered once, and are idle.
fn idle(master: &Master, count: usize) -> Vec<Client> {
    let mut clients: Vec<_> = (0..count)
        .flat_map(|_| master.pass(1))
        .map(Client::new)
        .collect();
    for client in &mut clients {
        client.ask(REQUEST);
        assert_eq!(client.answer(), Answer::of("hello", Closes::No));
    }
    clients
}

#[derive(Debug, PartialEq, Eq)]
enum Closes {
    Yes,
    No,
}

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    body: String,
    closes: Closes,
}

impl Answer {
    fn of(body: &str, closes: Closes) -> Answer {
        Answer {
            body: body.to_owned(),
            closes,
        }
    }
}

struct Client {
    reader: BufReader<UnixStream>,
}

impl Client {
    fn new(stream: UnixStream) -> Client {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client {
            reader: BufReader::new(stream),
        }
    }

    fn ask(&mut self, request: &[u8]) {
        self.reader.get_mut().write_all(request).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        line.trim_end().to_ascii_lowercase()
    }

    fn answer(&mut self) -> Answer {
        assert_eq!(self.line(), "http/1.1 200 ok");
        let (mut length, mut closes) = (0, Closes::No);
        loop {
            let line = self.line();
            match line.split_once(": ") {
                None => break,
                Some(("content-length", number)) => length = number.parse().unwrap(),
                Some(("connection", "close")) => closes = Closes::Yes,
                Some(_) => {}
            }
        }
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body).unwrap();
        let body = String::from_utf8(body).unwrap();
        Answer { body, closes }
    }

    fn is_at_its_end(&mut self) -> bool {
        matches!(self.reader.read(&mut [0]), Ok(0))
    }
}

/// The race of a client's next request with the end of the worker, at every distance from it.
#[test]
fn r29_a_request_that_meets_the_end_is_answered() {
    for round in 0..20 {
        let (master, worker) = testing::pass(CALM);
        let running = start(worker);
        let mut clients = idle(&master, 20);
        drain(&master, DrainReason::Replaced, 8000);
        for (place, client) in clients.iter_mut().enumerate() {
            if place % 2 == round % 2 {
                std::thread::yield_now();
            }
            client.ask(REQUEST);
        }
        for client in &mut clients {
            // The first may be answered before the word has come.
            if client.answer() == Answer::of("hello", Closes::No) {
                client.ask(REQUEST);
                assert_eq!(client.answer(), Answer::of("hello", Closes::Yes));
            }
            assert!(client.is_at_its_end());
        }
        drop(clients);
        assert_eq!(running.join().unwrap(), 0);
    }
}

#[test]
fn r29_an_idle_connection_is_closed_after_a_moment_and_not_before() {
    let (master, worker) = testing::pass(CALM);
    let running = start(worker);
    let mut clients = idle(&master, 2);
    // One whose first request is still on its way.
    let mut fresh = Client::new(master.pass(1).remove(0));
    let began = Instant::now();
    drain(&master, DrainReason::Recycle, 2000);
    assert!(clients[0].is_at_its_end());
    assert!(
        began.elapsed() >= Duration::from_millis(500),
        "a quarter of the grace"
    );
    assert!(fresh.is_at_its_end());
    drop((clients, fresh));
    assert_eq!(running.join().unwrap(), 0);
}

#[test]
fn r29_our_side_is_closed_first_and_the_rest_when_the_client_has_closed_its_own() {
    let (master, worker) = testing::pass(CALM);
    let running = start(worker);
    let mut clients = idle(&master, 1);
    drain(&master, DrainReason::Recycle, 400);
    assert!(clients[0].is_at_its_end());
    // A socket that was closed would refuse this.
    clients[0].ask(b"G");
    assert!(!running.is_finished());
    drop(clients);
    assert_eq!(running.join().unwrap(), 0);
}

#[test]
fn r29_half_a_request_is_waited_for() {
    let (master, worker) = testing::pass(CALM);
    let running = start(worker);
    let mut clients = idle(&master, 3);
    let (head, rest) = REQUEST.split_at(9);
    clients[0].ask(head);
    clients[1].ask(b"GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
    drain(&master, DrainReason::Recycle, 4000);
    // What was idle has been closed by then.
    assert!(clients[2].is_at_its_end());
    clients[0].ask(rest);
    assert_eq!(clients[0].answer(), Answer::of("hello", Closes::Yes));
    assert_eq!(clients[1].answer(), Answer::of("slow", Closes::Yes));
    drop(clients);
    assert_eq!(running.join().unwrap(), 0);
}

#[test]
fn r30_streams_of_events_end_one_after_the_other() {
    const CLIENTS: u32 = 6;
    let (mut master, worker) = testing::pass(CALM);
    let running = start(worker);
    master.wait_for(|message| *message == ToMaster::Ready);
    let threads: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let mut client = Client::new(master.pass(1).remove(0));
            client.ask(b"GET /events HTTP/1.1\r\nHost: test\r\n\r\n");
            while client.line() != "data: first" {}
            std::thread::spawn(move || {
                // The last chunk, so that the client knows that it has all.
                while client.line() != "0" {}
                Instant::now()
            })
        })
        .collect();
    drain(&master, DrainReason::Replaced, 2400);
    let mut ends: Vec<_> = threads.into_iter().map(|it| it.join().unwrap()).collect();
    ends.sort();
    // From 0.45 s to 1.8 s for six of them.
    let spread = ends[5] - ends[0];
    assert!(spread >= Duration::from_millis(900), "{spread:?}");
    assert_eq!(running.join().unwrap(), 0);
}

#[test]
fn nobody_is_kept_when_the_whole_herd_stops() {
    let (mut master, worker) = testing::pass(CALM);
    let running = start(worker);
    master.wait_for(|message| *message == ToMaster::Ready);
    let mut client = Client::new(master.pass(1).remove(0));
    client.ask(b"GET /events HTTP/1.1\r\nHost: test\r\n\r\n");
    while client.line() != "data: first" {}
    let began = Instant::now();
    drain(&master, DrainReason::Stop, 60_000);
    let mut rest = String::new();
    client.reader.read_to_string(&mut rest).unwrap();
    assert!(began.elapsed() < Duration::from_secs(20));
    drop(client);
    assert_eq!(running.join().unwrap(), 0);
}

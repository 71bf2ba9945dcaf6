//! The load client against small servers whose every misdeed is known.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use herder_e2e::client::{Load, Outcome, ask, get};
use rustix::net::sockopt::set_socket_linger;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

const WHOLE: Outcome = Outcome::Complete { worker: None };
const CLOSING: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";
const STAYING: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

/// A server that hands each connection, with its number, to `serve`, one after the other, for ever:
/// its thread ends with the test process.
fn server(mut serve: impl FnMut(usize, TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            serve(number, stream.unwrap());
        }
    });
    address
}

/// Reads one request head and returns its number; `None` at the end of the connection.
fn read_request(stream: &TcpStream) -> Option<u64> {
    let mut reader = BufReader::with_capacity(1, stream);
    let mut id = None;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return None;
        }
        if let Some(number) = line.strip_prefix("X-Request: ") {
            id = number.trim().parse().ok();
        }
        if line == "\r\n" {
            return id;
        }
    }
}

fn reset(stream: TcpStream) {
    set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    drop(stream);
}

/// What a single request to a server that does `serve` comes to.
fn outcome_of(patience: Duration, serve: impl Fn(TcpStream) + Send + 'static) -> Outcome {
    let address = server(move |_, stream| serve(stream));
    let load = Load::http(address, "/").count(1).timeout(patience);
    load.run().entries[0].outcome
}

fn after_reading(answer: &'static [u8], end: fn(TcpStream)) -> Outcome {
    outcome_of(Duration::from_secs(10), move |mut stream| {
        read_request(&stream).unwrap();
        stream.write_all(answer).unwrap();
        end(stream);
    })
}

#[test]
fn every_way_to_fail_has_its_name() {
    assert_eq!(after_reading(CLOSING, drop), WHOLE);
    assert_eq!(
        after_reading(b"HTTP/1.1 200 OK\r\n\r\nto the end", drop),
        WHOLE
    );
    assert_eq!(after_reading(b"", drop), Outcome::Closed);
    assert_eq!(after_reading(b"", reset), Outcome::Reset);
    assert_eq!(
        after_reading(&CLOSING[..CLOSING.len() - 1], drop),
        Outcome::ShortBody
    );
    assert_eq!(after_reading(&CLOSING[..10], drop), Outcome::ShortBody);
    assert_eq!(after_reading(b"nonsense\r\n\r\n", drop), Outcome::Malformed);
    let busy = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(after_reading(busy, drop), Outcome::Status(503));
    assert_eq!(
        outcome_of(Duration::from_millis(50), std::mem::forget),
        Outcome::TimedOut
    );
}

#[test]
fn a_post_has_its_body() {
    let address = server(|_, mut stream| {
        let mut request = [0; 1024];
        let mut length = 0;
        while !request[..length].ends_with(b"all of it") {
            let more = stream.read(&mut request[length..]).unwrap();
            assert_ne!(more, 0, "the end came before");
            length += more;
        }
        let text = String::from_utf8_lossy(&request[..length]);
        assert!(text.starts_with("POST /there HTTP/1.1\r\n"), "{text}");
        assert!(text.contains("\r\nContent-Length: 9\r\n"), "{text}");
        stream.write_all(CLOSING).unwrap();
    });
    let ledger = Load::post(address, "/there", b"all of it").count(3).run();
    ledger.assert_no_failure();
    assert_eq!(ledger.entries.len(), 3);
}

#[test]
fn nobody_there_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    assert_eq!(get(address, "/"), Err(Outcome::Refused));
    assert_eq!(ask(address, b""), Err(Outcome::Refused));
}

#[test]
fn a_plain_connection_is_read_to_its_end() {
    let address = server(|number, mut stream| {
        let mut greeting = [0; 2];
        stream.read_exact(&mut greeting).unwrap();
        write!(stream, "Request {number} handled by worker-{}", 7).unwrap();
    });
    assert_eq!(
        ask(address, b"yo").unwrap(),
        "Request 0 handled by worker-7"
    );
    let ledger = Load::plain(address, b"yo")
        .count(20)
        .worker_from(|body| {
            std::str::from_utf8(body)
                .ok()?
                .rsplit_once('-')?
                .1
                .parse()
                .ok()
        })
        .run();
    ledger.assert_no_failure();
    assert_eq!(ledger.per_worker(), BTreeMap::from([(7, 20)]));
    let strange = Load::plain(address, b"yo")
        .count(1)
        .worker_from(|_| None)
        .run();
    assert_eq!(strange.entries[0].outcome, Outcome::Unexpected);
}

#[test]
fn requests_are_numbered_and_counted_exactly() {
    let (numbers, seen) = mpsc::channel();
    let address = server(move |_, mut stream| {
        numbers.send(read_request(&stream).unwrap()).unwrap();
        stream.write_all(CLOSING).unwrap();
    });
    let ledger = Load::http(address, "/")
        .clients(8)
        .threads(2)
        .count(101)
        .detailed()
        .run();
    ledger.assert_no_failure();
    let mut seen: Vec<u64> = seen.try_iter().collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..101).collect::<Vec<_>>());
    assert_eq!((ledger.entries.len(), ledger.notes.connections), (101, 101));
    assert!(
        ledger
            .entries
            .iter()
            .all(|entry| entry.body.as_deref() == Some(b"hi") && entry.port > 0)
    );
}

#[test]
fn a_kept_connection_is_used_again() {
    let address = server(|_, mut stream| {
        while read_request(&stream).is_some() {
            stream.write_all(STAYING).unwrap();
        }
    });
    let ledger = Load::http(address, "/").keep_alive().count(50).run();
    ledger.assert_no_failure();
    assert_eq!(ledger.notes.connections, 1);
}

#[test]
fn an_idle_connection_may_be_closed_and_an_announced_close_is_followed() {
    let address = server(|number, mut stream| {
        read_request(&stream).unwrap();
        stream
            .write_all(if number % 2 == 0 { STAYING } else { CLOSING })
            .unwrap();
    });
    let load = Load::http(address, "/")
        .keep_alive()
        .think(Duration::from_millis(200))
        .count(6);
    let ledger = load.run();
    ledger.assert_no_failure();
    let notes = ledger.notes;
    assert_eq!(
        (notes.connections, notes.idle_closes, notes.announced_closes),
        (6, 3, 3)
    );
}

#[test]
fn a_request_lost_on_an_idle_connection_is_apart() {
    let address = server(|_, mut stream| {
        read_request(&stream).unwrap();
        stream.write_all(STAYING).unwrap();
        // Takes the next request and closes without a word.
        read_request(&stream);
    });
    let ledger = Load::http(address, "/").keep_alive().count(4).run();
    let counts = BTreeMap::from([(WHOLE, 2), (Outcome::StaleReset, 2)]);
    assert_eq!(ledger.outcomes(), counts);
}

#[test]
fn an_open_loop_counts_the_waiting_of_a_stalled_server() {
    // The first connection is answered after 300 ms, and nothing else meanwhile.
    let address = server(|number, mut stream| {
        read_request(&stream).unwrap();
        if number == 0 {
            thread::park_timeout(Duration::from_millis(300));
        }
        stream.write_all(CLOSING).unwrap();
    });
    let begun = Instant::now();
    let ledger = Load::http(address, "/").at_rate(100).count(50).run();
    ledger.assert_no_failure();
    let waited = ledger.slower_than(Duration::from_millis(100));
    assert!(waited >= 15, "{waited} of {ledger}");
    assert!(
        ledger.longest_gap() >= Duration::from_millis(290),
        "{ledger}"
    );
    assert!(
        begun.elapsed() >= Duration::from_millis(490),
        "the schedule was kept"
    );
}

#[test]
fn a_load_without_limit_is_stopped() {
    let address = server(|_, mut stream| {
        read_request(&stream).unwrap();
        stream.write_all(CLOSING).unwrap();
    });
    let running = Load::http(address, "/").clients(4).start();
    running.wait_for_answers(100, Duration::from_secs(10));
    let ledger = running.stop_and_finish();
    ledger.assert_no_failure();
    assert!(ledger.complete() >= 100);
}

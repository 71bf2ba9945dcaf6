//! Clients whose bodies come in pieces.

use crate::client::{Entry, Ledger, Notes, Outcome, ResponseReader};
use crate::load::answer::Answer;
use crate::load::kind::Kind;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const CLIENTS: u64 = 4;
/// A body is so many pieces …
const PIECES: usize = 8;
/// … of so many bytes …
const PIECE: usize = 700;
/// … and so much time after each.
const PACE: Duration = Duration::from_millis(25);

/// Uploads being made. Dropped, they stop without a ledger.
pub(super) struct Uploads {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Ledger>>,
}

struct Shared {
    address: SocketAddr,
    kind: Kind,
    first_id: u64,
    patience: Duration,
    begun: Instant,
    answered: AtomicU64,
    failed: AtomicU64,
    stop: AtomicBool,
}

impl Uploads {
    pub(super) fn start(
        address: SocketAddr,
        kind: Kind,
        first_id: u64,
        patience: Duration,
    ) -> Uploads {
        let shared = Arc::new(Shared {
            address,
            kind,
            first_id,
            patience,
            begun: Instant::now(),
            answered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        });
        let spawn = |number| {
            let shared = shared.clone();
            thread::spawn(move || shared.run(number))
        };
        let threads = (0..CLIENTS).map(spawn).collect();
        Uploads { shared, threads }
    }

    pub(super) fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::Relaxed)
    }

    pub(super) fn failed(&self) -> u64 {
        self.shared.failed.load(Ordering::Relaxed)
    }

    pub(super) fn stop(&self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }

    pub(super) fn finish(mut self) -> Ledger {
        self.stop();
        let mut ledger = Ledger::default();
        for thread in self.threads.drain(..) {
            match thread.join() {
                Ok(part) => ledger.merge(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        ledger
    }
}

impl Drop for Uploads {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    /// One client: uploads until it is told to stop.
    fn run(&self, number: u64) -> Ledger {
        let mut ledger = Ledger::default();
        let mut kept = None;
        let mut id = self.first_id + number;
        while !self.stop.load(Ordering::Relaxed) {
            let due = Instant::now();
            let exchange = self.upload(id, &mut kept, &mut ledger.notes);
            let (outcome, body) = match exchange {
                Ok(body) => (verdict(&body), body),
                Err(outcome) => (outcome, Vec::new()),
            };
            let counter = if outcome.is_complete() {
                &self.answered
            } else {
                &self.failed
            };
            counter.fetch_add(1, Ordering::Relaxed);
            if !outcome.is_complete() {
                // Who is refused does not ask again at once.
                thread::sleep(PACE);
            }
            ledger.entries.push(Entry {
                id,
                due: due.duration_since(self.begun),
                latency: due.elapsed(),
                outcome,
                port: 0,
                body: Some(body.into()),
            });
            id += CLIENTS;
        }
        ledger.elapsed = self.begun.elapsed();
        ledger
    }

    /// One request, on the connection that was kept if it still stands.
    fn upload(
        &self,
        id: u64,
        kept: &mut Option<TcpStream>,
        notes: &mut Notes,
    ) -> Result<Vec<u8>, Outcome> {
        let before = kept.take().filter(|connection| {
            let stands = stands(connection);
            notes.idle_closes += u64::from(!stands);
            stands
        });
        let is_used = before.is_some();
        let mut connection = match before {
            Some(connection) => connection,
            None => {
                notes.connections += 1;
                TcpStream::connect(self.address).map_err(|error| refused(&error))?
            }
        };
        let mut reader = ResponseReader::default();
        let exchanged = connection
            .set_read_timeout(Some(self.patience))
            .and_then(|()| self.send(&mut connection, id))
            .and_then(|()| receive(&mut connection, &mut reader));
        if let Err(error) = exchanged {
            return Err(match (error.kind(), reader.is_untouched(), is_used) {
                (ErrorKind::WouldBlock | ErrorKind::TimedOut, ..) => Outcome::TimedOut,
                (ErrorKind::InvalidData, ..) => Outcome::Malformed,
                (_, false, _) => Outcome::ShortBody,
                (_, true, true) => Outcome::StaleReset,
                (ErrorKind::UnexpectedEof, ..) => Outcome::Closed,
                (ErrorKind::ConnectionReset | ErrorKind::BrokenPipe, ..) => Outcome::Reset,
                _ => Outcome::Failed(error.raw_os_error().unwrap_or(0)),
            });
        }
        let response = reader.response();
        if response.status != 200 {
            return Err(Outcome::Status(response.status));
        }
        if response.closes {
            notes.announced_closes += 1;
        } else if self.kind == Kind::UploadKept {
            *kept = Some(connection);
        }
        Ok(response.body.clone())
    }

    fn send(&self, connection: &mut TcpStream, id: u64) -> io::Result<()> {
        let length = PIECES * PIECE;
        let keep = if self.kind == Kind::UploadKept {
            "keep-alive"
        } else {
            "close"
        };
        write!(
            connection,
            "POST /upload HTTP/1.1\r\nHost: localhost\r\nX-Request: {id}\r\n\
             Content-Length: {length}\r\nConnection: {keep}\r\n\r\n"
        )?;
        for _ in 0..PIECES {
            connection.write_all(&[b'x'; PIECE])?;
            // The shape of the traffic: nothing is waited for.
            thread::sleep(PACE);
        }
        Ok(())
    }
}

fn receive(connection: &mut TcpStream, reader: &mut ResponseReader) -> io::Result<()> {
    let mut buffer = [0; 4096];
    while !reader.is_done() {
        match connection.read(&mut buffer) {
            // Who was stopped and goes on, for one, has not failed.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
            Ok(0) if reader.end() => return Ok(()),
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(length) => {
                let read = reader.push(&buffer[..length]);
                read.map_err(|_| io::Error::from(ErrorKind::InvalidData))?;
            }
        }
    }
    Ok(())
}

/// The whole answer says that the whole body arrived.
fn verdict(body: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(body);
    let all = format!("bytes:{}", PIECES * PIECE);
    match Answer::of_body(body) {
        Some(answer) if text.ends_with(&all) => Outcome::Complete {
            worker: Some(answer.pid),
        },
        _ => Outcome::Unexpected,
    }
}

fn refused(error: &io::Error) -> Outcome {
    let kind = error.kind();
    if kind == ErrorKind::ConnectionRefused {
        Outcome::Refused
    } else if kind == ErrorKind::TimedOut {
        Outcome::TimedOut
    } else {
        Outcome::ConnectFailed(error.raw_os_error().unwrap_or(0))
    }
}

/// Whether a connection without a request still stands.
fn stands(connection: &TcpStream) -> bool {
    let peeked = connection
        .set_nonblocking(true)
        .and_then(|()| connection.peek(&mut [0; 1]));
    let stands = matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock);
    stands && connection.set_nonblocking(false).is_ok()
}

//! One connection, and one request and its answer on it.

use crate::client::load::{Load, Reuse, Speech, Target};
use crate::client::outcome::Outcome;
use crate::client::response::ResponseReader;
use crate::client::schedule::Due;
use rustix::event::epoll;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect,
    getsockname, recv, send, socket_with,
};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A non-blocking connection, made or being made.
pub(super) struct Connection {
    socket: OwnedFd,
    /// What the epoll set reports of it; `None` while it is not in the set. Closing takes it out.
    watched: Option<epoll::EventFlags>,
}

/// How much of a request is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Partly,
    Wholly,
}

/// What an idle connection looks like.
pub(super) enum Idle {
    Alive,
    Closed,
    Reset,
}

impl Connection {
    /// Begins to connect.
    pub(super) fn open(target: &Target) -> Result<Connection, Outcome> {
        let (family, flags) = (family(target), SocketFlags::NONBLOCK | SocketFlags::CLOEXEC);
        let socket =
            socket_with(family, SocketType::STREAM, flags, None).map_err(Outcome::of_connect)?;
        let done = match target {
            Target::Tcp(address) => connect(&socket, address),
            Target::Unix(path) => {
                SocketAddrUnix::new(path).and_then(|address| connect(&socket, &address))
            }
        };
        match done {
            Ok(()) | Err(Errno::INPROGRESS) => Ok(Connection {
                socket,
                watched: None,
            }),
            Err(error) => Err(Outcome::of_connect(error)),
        }
    }

    /// Whether a connection without a request still stands.
    pub(super) fn idle(&self) -> Idle {
        match recv(&self.socket, &mut [0; 1], RecvFlags::PEEK) {
            Err(Errno::AGAIN | Errno::INTR) => Idle::Alive,
            Ok((0, _)) => Idle::Closed,
            // Bytes that nobody asked for: whatever they are, no answer can follow them.
            Ok(_) | Err(_) => Idle::Reset,
        }
    }

    /// Lets `set` report, with `token`, when there is something to read or, while the request is not out
    /// (`sent` is [`Sent::Partly`]), room to write.
    pub(super) fn watch(&mut self, set: &OwnedFd, token: u64, sent: Sent) {
        let flags = match sent {
            Sent::Wholly => epoll::EventFlags::IN,
            Sent::Partly => epoll::EventFlags::IN | epoll::EventFlags::OUT,
        };
        let data = epoll::EventData::new_u64(token);
        let done = match self.watched {
            None => epoll::add(set, &self.socket, data, flags),
            Some(watched) if watched == flags => return,
            Some(_) => epoll::modify(set, &self.socket, data, flags),
        };
        done.expect("the kernel has memory for one more socket in the set");
        self.watched = Some(flags);
    }

    /// The local port; 0 when there is none.
    pub(super) fn port(&self) -> u16 {
        let address = getsockname(&self.socket)
            .ok()
            .and_then(|any| SocketAddr::try_from(any).ok());
        address.map_or(0, |address| address.port())
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn family(target: &Target) -> AddressFamily {
    match target {
        Target::Tcp(SocketAddr::V4(_)) => AddressFamily::INET,
        Target::Tcp(SocketAddr::V6(_)) => AddressFamily::INET6,
        Target::Unix(_) => AddressFamily::UNIX,
    }
}

/// Whether a connection has served a request before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    Fresh,
    Used,
}

/// One request and its answer.
pub(super) struct Exchange {
    pub(super) due: Due,
    age: Age,
    request: Vec<u8>,
    sent: usize,
    answer: Answer,
}

enum Answer {
    Http(ResponseReader),
    Plain(Vec<u8>),
}

/// How far the answer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// There is more to come.
    Partial,
    /// The answer is whole; the connection stands.
    Whole,
    /// The answer is whole and the connection is over, in order or by a reset.
    Ended { tidy: bool },
}

impl Exchange {
    pub(super) fn new(load: &Load, due: Due, age: Age) -> Exchange {
        let (request, answer) = match &load.speech {
            Speech::Http { path, body } => {
                let id = load.first + due.id;
                let request = request(load.path(path, id), body.as_deref(), id, load.reuse);
                (request, Answer::Http(ResponseReader::default()))
            }
            Speech::Plain { greeting } => (greeting.clone(), Answer::Plain(Vec::new())),
        };
        Exchange {
            due,
            age,
            request,
            sent: 0,
            answer,
        }
    }

    /// Sends what is left of the request and returns how much that was.
    pub(super) fn send(&mut self, connection: &Connection) -> Result<Sent, Outcome> {
        while self.sent < self.request.len() {
            match send(connection, &self.request[self.sent..], SendFlags::NOSIGNAL) {
                Ok(length) => self.sent += length,
                Err(Errno::AGAIN) => return Ok(Sent::Partly),
                Err(Errno::INTR) => {}
                Err(Errno::CONNRESET | Errno::PIPE) => return Err(self.broken(Outcome::Reset)),
                Err(error) if self.sent == 0 && self.age == Age::Fresh => {
                    return Err(Outcome::of_connect(error));
                }
                Err(error) => return Err(Outcome::Failed(error.raw_os_error())),
            }
        }
        Ok(Sent::Wholly)
    }

    /// Reads what is there. In a load without keep-alive also looks whether the connection ends after the answer.
    pub(super) fn receive(
        &mut self,
        connection: &Connection,
        reuse: Reuse,
        buffer: &mut [u8],
    ) -> Result<Progress, Outcome> {
        loop {
            let whole = self.is_whole();
            if whole && reuse == Reuse::KeepAlive {
                return Ok(Progress::Whole);
            }
            match recv(connection, &mut *buffer, RecvFlags::empty()) {
                Ok((0, _)) if self.end() => return Ok(Progress::Ended { tidy: true }),
                Ok((0, _)) => return Err(self.broken(Outcome::Closed)),
                Ok((length, _)) => self.take(&buffer[..length])?,
                Err(Errno::AGAIN) if whole => return Ok(Progress::Whole),
                Err(Errno::AGAIN) => return Ok(Progress::Partial),
                Err(Errno::INTR) => {}
                Err(_) if whole => return Ok(Progress::Ended { tidy: false }),
                Err(Errno::CONNRESET | Errno::PIPE) => return Err(self.broken(Outcome::Reset)),
                Err(Errno::CONNREFUSED) => return Err(Outcome::Refused),
                Err(error) => return Err(Outcome::Failed(error.raw_os_error())),
            }
        }
    }

    /// The verdict on a whole answer.
    pub(super) fn outcome(&self, load: &Load) -> Outcome {
        if let Answer::Http(reader) = &self.answer
            && reader.response().status != 200
        {
            return Outcome::Status(reader.response().status);
        }
        match &load.worker_of {
            None => Outcome::Complete { worker: None },
            Some(read) => match read(self.body()) {
                None => Outcome::Unexpected,
                worker => Outcome::Complete { worker },
            },
        }
    }

    /// Whether the server has said that it closes the connection after this answer.
    pub(super) fn closes(&self) -> bool {
        match &self.answer {
            Answer::Http(reader) => reader.response().closes,
            Answer::Plain(_) => true,
        }
    }

    /// What there is of the body.
    pub(super) fn body(&self) -> &[u8] {
        match &self.answer {
            Answer::Http(reader) => &reader.response().body,
            Answer::Plain(body) => body,
        }
    }

    fn is_whole(&self) -> bool {
        match &self.answer {
            Answer::Http(reader) => reader.is_done(),
            Answer::Plain(_) => false,
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Outcome> {
        match &mut self.answer {
            Answer::Http(reader) => reader
                .push(bytes)
                .map(|_| ())
                .map_err(|_| Outcome::Malformed),
            Answer::Plain(body) => {
                body.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// The connection has ended in order: whether that makes the answer whole.
    fn end(&mut self) -> bool {
        match &mut self.answer {
            Answer::Http(reader) => reader.end(),
            Answer::Plain(body) => !body.is_empty(),
        }
    }

    /// What it means that the connection is over before the answer was whole.
    fn broken(&self, without_answer: Outcome) -> Outcome {
        let untouched = match &self.answer {
            Answer::Http(reader) => reader.is_untouched(),
            Answer::Plain(body) => body.is_empty(),
        };
        match (untouched, self.age) {
            (false, _) => Outcome::ShortBody,
            (true, Age::Used) => Outcome::StaleReset,
            (true, Age::Fresh) => without_answer,
        }
    }
}

fn request(path: &str, body: Option<&[u8]>, id: u64, reuse: Reuse) -> Vec<u8> {
    let connection = match reuse {
        Reuse::KeepAlive => "keep-alive",
        Reuse::PerRequest => "close",
    };
    let (method, length) = match body {
        None => ("GET", String::new()),
        Some(body) => ("POST", format!("Content-Length: {}\r\n", body.len())),
    };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nX-Request: {id}\r\n{length}Connection: {connection}\r\n\r\n"
    );
    [head.as_bytes(), body.unwrap_or_default()].concat()
}

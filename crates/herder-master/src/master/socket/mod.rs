//! The herd's socket, where the daemon asks and hears how the herd stands: `herder_api::herd` says in which
//! words.
//!
//! The main thread serves it in its one loop. What is asked for, and what is told, is the supervisors' business,
//! which no other thread may touch: one of its own would pass messages to and fro, and would have to be ended
//! and started again around an upgrade. That nobody here can hold the loop up, these limits see to:
//!
//! - all sockets are non-blocking, and a turn reads at most 8 KiB of requests from a client;
//! - who does not read the answers is not heard, and is let go when 2 MiB wait for it, or when it has not
//!   read for 30 s (`client`);
//! - the status is put together when something was done, and at most every 100 ms, or every second when it
//!   is nothing but more connections, of which nobody wakes the loop; who is slow gets the latest instead of
//!   each;
//! - without a client nothing is put together at all.
//!
//! Only who has the same user as the master, or is root, is heard (`SO_PEERCRED`), and the socket stands in a
//! directory that lets nobody else in (`bind`). When a master dies, its clients see the end of their
//! connections, and the next master listens anew in the same place. In an upgrade connections stay open,
//! and answers that are owed are given by the next image (`journey`).

mod bind;
mod client;
mod journey;
mod owed;
mod report;
mod requests;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use herder_api::Problem;
use herder_api::herd::{FromHerd, HerdAnswer, PROTOCOL};
use herder_api::problem::ProblemKind;
use herder_api::status::HerdStatus;
use herder_core::Tick;
use herder_sys::epoll::{Epoll, Interest};
use herder_sys::listener::{AcceptError, Listener, accept, accept_error};
use herder_sys::wake::Wake;
use herder_sys::{process, socket, user};

use super::token::Source;
use super::{Master, now};
use crate::event::HerdEvent;

pub(super) use bind::SocketError;
use client::Client;
pub(super) use journey::{Bound, Luggage, SocketState};
use owed::{Asker, Owed};

/// How many may be connected.
const MOST: usize = 16;

/// How many are let in in one turn.
const ROUND: usize = 16;

/// How long it is at least from one status to the next.
const PAUSE: Duration = Duration::from_millis(100);

/// How long it is at least until more connections alone are told.
const COUNT: Duration = Duration::from_secs(1);

/// How long nobody is let in after that was not possible.
const REST: Duration = Duration::from_secs(1);

/// The socket, and who is connected with it.
pub(super) struct HerdSocket {
    path: PathBuf,
    /// `None` after it could not be bound, or was broken.
    listener: Option<Listener>,
    /// Nobody is let in until then.
    rests_until: Option<Tick>,
    /// What is to be told when somebody can be told.
    complaint: Option<String>,
    clients: BTreeMap<u64, Client>,
    /// The number of the client that came last.
    last: u64,
    owed: Vec<Owed>,
    /// Rung when something was told.
    bell: Arc<Wake>,
    keeper: i32,
    /// The herd's own addresses.
    addresses: Vec<String>,
    /// The status that was told last, and its line.
    told: Option<HerdStatus>,
    line: Vec<u8>,
    /// Whether there may be another one.
    is_stale: bool,
    /// How much had been done when that was looked at.
    seen: u64,
    next_look: Tick,
    next_count: Tick,
    /// Whether everything here goes over into another image.
    travels: bool,
}

impl HerdSocket {
    fn new(path: PathBuf) -> io::Result<HerdSocket> {
        Ok(HerdSocket {
            path,
            listener: None,
            rests_until: None,
            complaint: None,
            clients: BTreeMap::new(),
            last: 0,
            owed: Vec::new(),
            bell: Arc::new(Wake::new()?),
            keeper: process::parent_pid(),
            addresses: Vec::new(),
            told: None,
            line: Vec::new(),
            is_stale: true,
            seen: 0,
            next_look: Tick::ZERO,
            next_count: Tick::ZERO,
            travels: false,
        })
    }

    /// Where the herd itself listens.
    pub(super) fn note_addresses(&mut self, listeners: &[Listener]) {
        let addresses = listeners.iter().map(|it| it.local().to_string());
        self.addresses = addresses.collect();
    }

    /// The socket file that is to be removed in the end.
    pub(super) fn listener(&self) -> Option<&Listener> {
        self.listener.as_ref()
    }

    /// Has the main loop hear of it.
    pub(super) fn watch(&self, epoll: &Epoll) -> io::Result<()> {
        epoll.add(self.bell.as_fd(), Source::Bell.token(), Interest::READABLE)?;
        self.watch_door(epoll)?;
        self.clients.values().try_for_each(|it| it.watch(epoll))
    }

    fn watch_door(&self, epoll: &Epoll) -> io::Result<()> {
        match &self.listener {
            Some(listener) if self.rests_until.is_none() => {
                epoll.add(listener.as_fd(), Source::Socket.token(), Interest::READABLE)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Lets nobody in for a while.
    fn rest(&mut self, epoll: &Epoll, now: Tick) {
        if let Some(listener) = &self.listener {
            // It was watched, and is still open.
            let _removed = epoll.remove(listener.as_fd());
        }
        self.rests_until = Some(now.after(REST));
    }

    /// When it wants attention.
    pub(super) fn poll_timeout(&self) -> Option<Tick> {
        let clients = self.clients.values().filter_map(Client::deadline);
        let look = (self.is_stale && !self.clients.is_empty()).then_some(self.next_look);
        clients.chain(look).chain(self.rests_until).min()
    }

    /// Tells everybody.
    fn tell_all(&mut self, lines: &[u8]) {
        self.clients.values_mut().for_each(|it| it.tell(lines));
    }
}

/// A message as a line.
fn line(message: &FromHerd) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(message).expect("a message has nothing that JSON lacks");
    bytes.push(b'\n');
    bytes
}

/// What is said to whom there is no request of.
fn refusal(kind: ProblemKind, text: &str) -> Vec<u8> {
    let answer = Err(Problem::new(kind, text));
    line(&FromHerd::Answer { id: 0, answer })
}

impl Master {
    /// Lets in who waits.
    pub(super) fn on_socket(&mut self) {
        for _ in 0..ROUND {
            let Some(listener) = self.socket.as_ref().and_then(HerdSocket::listener) else {
                return;
            };
            let failed = match accept(listener.as_fd()) {
                Ok(connection) => {
                    self.let_in(connection);
                    continue;
                }
                Err(error) => error,
            };
            match accept_error(&failed) {
                AcceptError::Transient => {}
                AcceptError::None => return,
                broken @ (AcceptError::OutOfDescriptors | AcceptError::Broken) => {
                    return self.shut_door(broken, &failed);
                }
            }
        }
    }

    fn shut_door(&mut self, broken: AcceptError, error: &io::Error) {
        self.caution(format!("nobody gets in at the herd's socket: {error}"));
        if let Some(socket) = &mut self.socket {
            socket.rest(&self.epoll, now());
            if broken == AcceptError::Broken {
                socket.listener = None;
            }
        }
    }

    /// Opens the door again, if it is time.
    pub(super) fn tend_door(&mut self, now: Tick) {
        let Some(socket) = &mut self.socket else {
            return;
        };
        if socket.rests_until.is_none_or(|until| until > now) {
            return;
        }
        socket.rests_until = None;
        let opened = match socket.listener {
            Some(_) => Ok(()),
            None => bind::bind(&socket.path)
                .map_err(io::Error::other)
                .and_then(|listener| {
                    self.runtime.entrust_socket(&listener)?;
                    socket.listener = Some(listener);
                    Ok(())
                }),
        };
        if let Err(error) = opened.and_then(|()| socket.watch_door(&self.epoll)) {
            socket.rest(&self.epoll, now);
            self.caution(format!("there is no herd's socket: {error}"));
        }
    }

    /// Hears a new client if it may be heard, and greets it.
    fn let_in(&mut self, connection: OwnedFd) {
        let report = self.report();
        let app = self.spec.name.to_string();
        let Some(herd_socket) = &mut self.socket else {
            return;
        };
        let refused = match socket::peer_credentials(connection.as_fd()) {
            Ok(peer) if !user::may_command(peer.uid) => refusal(
                ProblemKind::Forbidden,
                "this herd is another user's: only its owner and root are heard",
            ),
            Ok(_) if herd_socket.clients.len() >= MOST => refusal(
                ProblemKind::Busy,
                &format!("{MOST} clients are connected with this herd already"),
            ),
            Ok(_) => Vec::new(),
            // It has gone.
            Err(_) => return,
        };
        if !refused.is_empty() {
            // Who does not get this one line sees the end.
            let _unsaid = socket::send(connection.as_fd(), &refused, &[]);
            return;
        }
        herd_socket.last += 1;
        let mut client = Client::new(herd_socket.last, connection);
        if client.watch(&self.epoll).is_err() {
            // It sees the end, and may try again.
            return;
        }
        if herd_socket.clients.is_empty() {
            self.output.listen_in(Arc::clone(&herd_socket.bell));
            herd_socket.told = Some(report.clone());
        }
        client.tell(&line(&FromHerd::Hello {
            protocol: PROTOCOL,
            app,
            status: Box::new(report),
        }));
        herd_socket.clients.insert(herd_socket.last, client);
    }

    /// What is done for the clients at the end of each turn.
    pub(super) fn serve_clients(&mut self) {
        if let Some(text) = self.socket.as_mut().and_then(|it| it.complaint.take()) {
            self.tell(HerdEvent::Warning { text });
        }
        if self.socket.as_ref().is_none_or(|it| it.clients.is_empty()) {
            return;
        }
        self.pass_events_on();
        self.settle_scaling();
        self.tell_status();
        self.send_to_clients();
    }

    fn pass_events_on(&mut self) {
        let Some(socket) = &mut self.socket else {
            return;
        };
        socket.bell.clear();
        for event in self.output.overheard() {
            let mut line = br#"{"is":"event","event":"#.to_vec();
            event.write(self.spec.name.as_str(), &mut line);
            // Its newline goes behind the bracket.
            line.pop();
            line.extend_from_slice(b"}\n");
            socket.tell_all(&line);
            socket.is_stale = true;
        }
    }

    fn tell_status(&mut self) {
        let (now, done, accepted) = (now(), self.book.changes(), self.accepted());
        let Some(socket) = &mut self.socket else {
            return;
        };
        let counted = socket.told.as_ref().and_then(|told| told.connections);
        let has_counted = accepted != counted && now >= socket.next_count;
        socket.is_stale |= done != socket.seen || has_counted;
        if !socket.is_stale || now < socket.next_look {
            return;
        }
        socket.is_stale = false;
        socket.seen = done;
        socket.next_look = now.after(PAUSE);
        socket.next_count = now.after(COUNT);
        let report = self.report();
        let Some(socket) = &mut self.socket else {
            return;
        };
        let is_known = socket.told.as_ref();
        if !has_counted && is_known.is_some_and(|told| report::is_same(told, &report)) {
            return;
        }
        socket.told = Some(report.clone());
        let status = Box::new(report);
        socket.line = line(&FromHerd::Status { status });
        socket
            .clients
            .values_mut()
            .for_each(|it| it.is_behind = true);
    }

    fn send_to_clients(&mut self) {
        let now = now();
        let Some(socket) = &mut self.socket else {
            return;
        };
        for client in socket.clients.values_mut() {
            client.flush(now);
            // Who is slow gets the latest, when it has read what came before.
            if client.is_behind && client.unread() == 0 {
                client.is_behind = false;
                client.tell(&socket.line);
                client.flush(now);
            }
            client.rewatch(&self.epoll);
        }
        let gone = socket.clients.extract_if(.., |_, client| client.is_gone());
        for (number, client) in gone {
            let _removed = self.epoll.remove(client.as_fd());
            socket.owed.retain(|owed| owed.to.client != number);
        }
        if socket.clients.is_empty() {
            self.output.stop_listening();
        }
    }

    /// Answers a request.
    fn answer(&mut self, to: Asker, answer: Result<HerdAnswer, Problem>) {
        let client = self.socket.as_mut();
        let client = client.and_then(|socket| socket.clients.get_mut(&to.client));
        if let Some(client) = client {
            client.tell(&line(&FromHerd::Answer { id: to.id, answer }));
        }
    }

    /// Answers whoever waits for something that has been decided.
    fn settle(&mut self, is_settled: impl Fn(&Owed) -> bool, answer: &Result<HerdAnswer, Problem>) {
        let Some(socket) = &mut self.socket else {
            return;
        };
        let settled: Vec<_> = socket.owed.extract_if(.., |it| is_settled(it)).collect();
        for owed in settled {
            self.answer(owed.to, answer.clone());
        }
    }

    /// The herd has ended: everybody hears so, and nobody is let in any more.
    pub(super) fn dismiss_clients(&mut self) {
        let ended = Problem::new(ProblemKind::Conflict, "the herd has ended");
        self.settle(|_| true, &Err(ended));
        self.serve_clients();
        if let Some(socket) = self.socket.take()
            && let Some(listener) = &socket.listener
        {
            // The keeper removes it, too.
            let _left = listener.unlink();
        }
    }
}

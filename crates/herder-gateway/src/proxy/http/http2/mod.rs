//! Clients that speak HTTP/2. Each of their requests is given to a conversation in HTTP/1.1 of its own, as if
//! it had come by a connection with nothing else on it: what is refused, who gets it, what is tried again and
//! what workers are told is decided there, and nowhere else.
//!
//! | module | what it is |
//! |---|---|
//! | `strand` | one request and its answer, as a connection |
//! | `head` | heads from the one form into the other |
//! | `replay` | a connection of which something was read already |

mod head;
mod replay;
mod strand;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::Request;
use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep_until, timeout};

use crate::proxy::Visitor;
use crate::proxy::entrance::Client;
use crate::proxy::http::talk::Talk;
use crate::proxy::http::{Front, millis};
use crate::proxy::settings::HttpSettings;

use replay::Replay;
pub(crate) use strand::Strand;

/// Most requests of one client at a time.
const STREAMS: u32 = 100;

/// How much of one request's body may be under way, in bytes; of all of a connection's, this and some more.
const WINDOW: u32 = 64 * 1024;
const ALL_WINDOWS: u32 = 1024 * 1024;

/// How much of an answer is held for a client that does not read, in bytes.
const HELD: usize = 64 * 1024;

/// So many requests may be given up by a client before they are answered, beside as many as were answered. Who
/// gives up more has workers work for nobody.
const GIVEN_UP: u32 = 100;

/// How many frames there may be of requests that were given up before they were looked at.
const UNSEEN: usize = 20;

/// How many requests may be refused for what is wrong with their frames.
const MALFORMED: usize = 100;

/// How long is waited for a client that was told that it is over, once it has nothing open.
const FAREWELL: Duration = Duration::from_secs(5);

/// What all requests of one connection share.
#[derive(Default)]
pub(crate) struct Ledger {
    open: Cell<u32>,
    answered: Cell<u32>,
    given_up: Cell<u32>,
    /// One has ended.
    changed: Notify,
}

/// Serves a client that has said, or agreed by TLS, that it speaks HTTP/2. Of what it has said something may have been
/// read already.
pub(super) async fn serve(client: Client, ahead: BytesMut, visitor: Visitor, front: Rc<Front>) {
    let http = &front.settings.http;
    let patience = millis(http.header_timeout_millis);
    let handshake = builder(http).handshake(Replay::new(client, ahead));
    let Ok(Ok(connection)) = timeout(patience, handshake).await else {
        return;
    };
    let ledger = Rc::new(Ledger::default());
    let guests = Guests {
        connection,
        visitor,
        ledger,
        idle_since: Instant::now(),
        served: 0,
        course: Course::Open,
        front,
    };
    guests.serve().await;
}

fn builder(http: &HttpSettings) -> Builder {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(STREAMS)
        .initial_window_size(WINDOW)
        .initial_connection_window_size(ALL_WINDOWS)
        .max_send_buffer_size(HELD)
        // Of names and values; frames that go on with a head are limited by it as well.
        .max_header_list_size(http.max_head)
        .max_concurrent_reset_streams(UNSEEN)
        .max_pending_accept_reset_streams(UNSEEN)
        .max_local_error_reset_streams(Some(MALFORMED))
        // WebSocket within one of many (RFC 8441).
        .enable_connect_protocol();
    builder
}

/// A connection, and those who came by it.
struct Guests {
    connection: Connection<Replay, Bytes>,
    visitor: Visitor,
    ledger: Rc<Ledger>,
    /// Nothing is open since then, or something is.
    idle_since: Instant,
    served: u32,
    course: Course,
    front: Rc<Front>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Course {
    Open,
    /// The client was told that there will be no other request.
    Leaving,
}

impl Guests {
    async fn serve(mut self) {
        let (house, ledger) = (self.front.house.clone(), Rc::clone(&self.ledger));
        loop {
            let deadline = self.deadline();
            let until = deadline.unwrap_or_else(Instant::now);
            tokio::select! {
                biased;
                () = house.closing(), if self.course == Course::Open => self.leave(),
                accepted = self.connection.accept() => match accepted {
                    Some(Ok((request, respond))) => self.begin(request, respond),
                    // What was wrong the client has been told.
                    Some(Err(_)) | None => return,
                },
                () = ledger.changed.notified() => self.idle_since = Instant::now(),
                () = sleep_until(until), if deadline.is_some() => match self.course {
                    Course::Open => self.leave(),
                    Course::Leaving => return,
                },
            }
            if ledger.given_up.get() > ledger.answered.get().saturating_add(GIVEN_UP) {
                self.connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                let told = async { while self.connection.accept().await.is_some() {} };
                let _late = timeout(FAREWELL, told).await;
                return;
            }
        }
    }

    /// When it is over for a client that has nothing open.
    fn deadline(&self) -> Option<Instant> {
        if self.ledger.open.get() > 0 {
            return None;
        }
        let http = &self.front.settings.http;
        let span = match (self.course, self.served) {
            (Course::Leaving, _) => FAREWELL,
            // Who has just come has something to say.
            (Course::Open, 0) => millis(http.header_timeout_millis),
            (Course::Open, _) => millis(http.idle_timeout_millis),
        };
        (!span.is_zero()).then(|| self.idle_since + span)
    }

    /// Tells the client that there will be no other request. Those that are open are answered.
    fn leave(&mut self) {
        self.course = Course::Leaving;
        self.idle_since = Instant::now();
        self.connection.graceful_shutdown();
    }

    fn begin(&mut self, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
        // Each may need a connection to a worker, as each client may.
        let most = self.front.settings.max_clients;
        if self.front.strands.get() >= most {
            return respond.send_reset(Reason::REFUSED_STREAM);
        }
        self.served = self.served.saturating_add(1);
        let most = self.front.settings.http.max_requests;
        if most > 0 && self.served >= most && self.course == Course::Open {
            self.leave();
        }
        let guest = Guest::new(Rc::clone(&self.ledger), Rc::clone(&self.front));
        match Strand::new(request, respond, Rc::clone(&self.ledger)) {
            Ok(strand) => converse(Client::Strand(Box::new(strand)), &self.visitor, guest),
            Err(mut respond) => respond.send_reset(Reason::PROTOCOL_ERROR),
        }
    }
}

/// Has a request answered.
fn converse(client: Client, visitor: &Visitor, guest: Guest) {
    let talk = Talk::new(client, visitor, Rc::clone(&guest.front));
    spawn_local(async move {
        talk.run().await;
        drop(guest);
    });
}

/// A request that is open.
struct Guest {
    ledger: Rc<Ledger>,
    front: Rc<Front>,
}

impl Guest {
    fn new(ledger: Rc<Ledger>, front: Rc<Front>) -> Guest {
        ledger.open.set(ledger.open.get() + 1);
        front.strands.set(front.strands.get() + 1);
        Guest { ledger, front }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.ledger.open.set(self.ledger.open.get() - 1);
        self.front.strands.set(self.front.strands.get() - 1);
        self.ledger.changed.notify_one();
    }
}

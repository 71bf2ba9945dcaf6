//! Listeners, and everything that comes in by them.

use std::io::{self, Write};
use std::net::TcpListener as StdTcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use herder_sys::fd::{Blocking, set_blocking};
use herder_sys::listener::{AcceptError, accept_error};
use herder_sys::socket::set_keep_alive;
use tokio::net::{TcpListener, UnixListener};
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep};

use crate::edge::closing::{House, Presence};
use crate::edge::http::{self, Site};
use crate::edge::lines::Lines;
use crate::edge::session::Session;
use crate::edge::settings::Settings;
use crate::edge::stream::Stream;
use crate::edge::wire::Wire;
use crate::hub::{Hub, Protocol};

/// A listener, and what is spoken there.
#[derive(Debug)]
pub(crate) struct Door {
    /// Where it listens, for messages.
    pub(crate) name: String,
    /// TCP or Unix. It is made non-blocking.
    pub(crate) listener: OwnedFd,
    /// What its clients speak.
    pub(crate) protocol: Protocol,
}

/// All listeners and all connections.
#[derive(Clone, Debug)]
pub(crate) struct Edge {
    house: House,
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Edge {
    /// Begins to accept, in tasks of the current local set. `page` is an open directory.
    ///
    /// # Errors
    ///
    /// When a listener is none.
    pub(crate) fn open(
        hub: Hub,
        settings: Settings,
        doors: Vec<Door>,
        page: Option<OwnedFd>,
    ) -> io::Result<Edge> {
        let house = House::default();
        let site = Site::new(hub, Rc::new(settings), house.clone(), page);
        let site = Rc::new(site);
        let listeners = doors.into_iter().map(|door| {
            let listener = Listener::new(door.listener)?;
            Ok((door.name, listener, door.protocol))
        });
        for (name, listener, protocol) in listeners.collect::<io::Result<Vec<_>>>()? {
            spawn_local(attend(name, listener, protocol, Rc::clone(&site)));
        }
        Ok(Edge { house })
    }

    /// Accepts nothing more and answers no more requests. Clients that have a seat stay until the
    /// hub ends them.
    pub(crate) fn close(&self) {
        self.house.close();
    }

    /// Waits until all connections have ended.
    pub(crate) async fn empty(&self) {
        self.house.fewer_than(1).await;
    }
}

impl Listener {
    fn new(listener: OwnedFd) -> io::Result<Listener> {
        set_blocking(listener.as_fd(), Blocking::No)?;
        let tcp = StdTcpListener::from(listener);
        if tcp.local_addr().is_ok() {
            return TcpListener::from_std(tcp).map(Listener::Tcp);
        }
        let unix = StdUnixListener::from(OwnedFd::from(tcp));
        unix.local_addr()?;
        UnixListener::from_std(unix).map(Listener::Unix)
    }

    async fn accept(&self) -> io::Result<Stream> {
        match self {
            Listener::Tcp(listener) => listener.accept().await.map(|(tcp, _)| Stream::Tcp(tcp)),
            Listener::Unix(listener) => listener.accept().await.map(|(unix, _)| Stream::Unix(unix)),
        }
    }
}

/// Accepts until the herd stops.
async fn attend(name: String, listener: Listener, protocol: Protocol, site: Rc<Site>) {
    let mut said: Option<Instant> = None;
    loop {
        let accepted = tokio::select! {
            biased;
            () = site.house.closing() => return,
            accepted = next(&listener, &site) => accepted,
        };
        match accepted {
            Ok((stream, presence)) => {
                receive(stream, protocol, &site, presence);
            }
            Err(error) => match accept_error(&error) {
                AcceptError::None | AcceptError::Transient => {}
                AcceptError::OutOfDescriptors | AcceptError::Broken => {
                    if said.is_none_or(|said| said.elapsed() >= SILENCE) {
                        said = Some(Instant::now());
                        say(&name, &error);
                    }
                    sleep(PAUSE).await;
                }
            },
        }
    }
}

async fn next(listener: &Listener, site: &Site) -> io::Result<(Stream, Presence)> {
    site.house.fewer_than(site.settings.max_clients).await;
    let stream = listener.accept().await?;
    Ok((stream, site.house.enter()))
}

fn receive(stream: Stream, protocol: Protocol, site: &Rc<Site>, presence: Presence) {
    if let Stream::Tcp(tcp) = &stream {
        // What cannot be set was gone before it came; the first read says so.
        let _gone = tcp.set_nodelay(true);
        if let Some(silence) = site.settings.keep_alive {
            let _gone = set_keep_alive(tcp.as_fd(), silence);
        }
    }
    let site = Rc::clone(site);
    match protocol {
        Protocol::WebSocket => drop(spawn_local(http::serve(stream, site, presence))),
        Protocol::Lines => {
            let Some(seat) = site.hub.join(protocol) else {
                return;
            };
            let settings = Rc::clone(&site.settings);
            let language = Lines::new(settings.max_message);
            let wire = Wire::new(stream, BytesMut::new());
            let session = Session::new(wire, language, seat, settings);
            drop(spawn_local(async move {
                session.run().await;
                drop(presence);
            }));
        }
    }
}

fn say(name: &str, error: &io::Error) {
    let _closed = writeln!(
        io::stderr(),
        "herder: {name}: cannot accept for now: {error}"
    );
}

/// How long accepting rests when there is nothing to accept with.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a trouble that lasts is not spoken of again.
const SILENCE: Duration = Duration::from_secs(60);

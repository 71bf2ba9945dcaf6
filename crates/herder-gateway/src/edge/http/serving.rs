//! One connection: requests, until it ends or becomes a WebSocket.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;

use bytes::BytesMut;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::spawn_local;
use tokio::time::timeout;

use crate::edge::closing::Presence;
use crate::edge::http::body::Answer;
use crate::edge::http::patience::Patient;
use crate::edge::http::site::{Outcome, Site};
use crate::edge::session::Session;
use crate::edge::websocket::WebSocket;
use crate::edge::wire::Wire;
use crate::hub::Seat;

/// Serves a connection until it ends. One that becomes a WebSocket goes on in a task of its own,
/// with none of the memory that HTTP needed.
pub(in crate::edge) async fn serve<S>(stream: S, site: Rc<Site>, presence: Presence)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let desk = Rc::new(Reception::default());
    let Some((wire, seat)) = requests(stream, &site, &desk).await else {
        return;
    };
    let settings = Rc::clone(&site.settings);
    let language = WebSocket::new(settings.max_message);
    let session = Session::new(wire, language, seat, settings);
    spawn_local(async move {
        session.run().await;
        drop(presence);
    });
}

/// What a connection's requests leave behind.
#[derive(Default)]
struct Reception {
    begun: Cell<Begun>,
    upgraded: RefCell<Option<Seat>>,
}

/// Whether a connection has had a request.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Begun {
    #[default]
    No,
    Yes,
}

impl Reception {
    async fn receive(&self, site: &Site, request: Request<Incoming>) -> Answer {
        self.begun.set(Begun::Yes);
        Ok(match site.answer(&request).await {
            Outcome::Response(response) => response,
            Outcome::Upgraded(response, seat) => {
                self.upgraded.replace(Some(seat));
                response
            }
        })
    }
}

async fn requests<S>(stream: S, site: &Rc<Site>, desk: &Rc<Reception>) -> Option<(Wire<S>, Seat)>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let service = service_fn(|request| {
        let (site, desk) = (Rc::clone(site), Rc::clone(desk));
        Box::pin(async move { desk.receive(&site, request).await })
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(site.settings.handshake_timeout)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(Patient::new(stream)), service);
    let ended = {
        let mut requests = pin!(poll_fn(|context| connection.poll_without_shutdown(context)));
        tokio::select! {
            ended = &mut requests => Some(ended),
            () = site.house.closing() => None,
        }
    };
    let ended = match ended {
        Some(ended) => ended,
        // One that has not asked for anything yet is not waited for.
        None if desk.begun.get() == Begun::No => return None,
        None => {
            Pin::new(&mut connection).graceful_shutdown();
            let last = poll_fn(|context| connection.poll_without_shutdown(context));
            timeout(site.settings.close_timeout, last).await.ok()?
        }
    };
    let parts = connection.into_parts();
    let wire = Wire::new(parts.io.into_inner().stream, BytesMut::from(parts.read_buf));
    match (ended, desk.upgraded.take()) {
        (Ok(()), Some(seat)) => Some((wire, seat)),
        (Ok(()) | Err(_), _) => {
            wire.hang_up().await;
            None
        }
    }
}

/// The longest head of a request, in bytes.
const MAX_HEAD: usize = 16 * 1024;

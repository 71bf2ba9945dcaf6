//! How clients come in, for both fronts: they are accepted, say by the PROXY protocol for whom they come
//! if they may, and speak TLS where that is spoken.

mod listener;

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use herder_sys::listener::{AcceptError, accept_error};
use herder_wire::proxy_protocol::{Header, Tls};
use tokio::io::AsyncWrite;
use tokio::task::spawn_local;
use tokio::time::sleep;

use crate::edge::closing::Presence;
use crate::edge::stream::{Peer, Stream, speaks_as_one_of};
use crate::proxy::backends::Backends;
use crate::proxy::entrance::listener::Listener;
use crate::proxy::settings::{Kind, ProxySettings};
use crate::proxy::tls::Acceptor;
use crate::proxy::voice::Voice;
use crate::proxy::{House, Scheme, Trust, Visitor, protocol};

/// What has to be passed at a listener.
pub(crate) struct Entrance {
    /// Of the whole proxy.
    pub(crate) settings: Rc<ProxySettings>,
    /// Says when to close, and counts those who are there.
    pub(crate) house: House,
    /// Speaks TLS with everybody who comes.
    pub(crate) tls: Option<Acceptor>,
}

/// A client's connection, or one to a worker.
#[derive(Debug)]
pub(crate) enum Client {
    /// In clear text.
    Plain(Stream),
    /// Within TLS.
    #[cfg(feature = "tls")]
    Tls(Box<crate::proxy::tls::TlsStream>),
    /// One of many within HTTP/2.
    #[cfg(feature = "http2")]
    Strand(Box<crate::proxy::http::Strand>),
}

/// What is spoken behind the entrance.
pub(crate) trait Front: 'static {
    /// Between whom it chooses.
    fn backends(&self) -> &Backends;

    /// Serves one client.
    fn converse(self: Rc<Self>, client: Client, visitor: Visitor) -> impl Future<Output = ()>;
}

/// Accepts a listener's clients and has each served, until the house closes; then waits until the last of
/// all its clients has gone.
///
/// # Errors
///
/// When the listener is none.
pub(crate) async fn serve(
    name: String,
    listener: OwnedFd,
    entrance: Rc<Entrance>,
    front: Rc<impl Front>,
) -> io::Result<()> {
    front.backends().keep_tended();
    let listener = Listener::new(listener)?;
    let trouble = Voice::new(name.clone());
    let strangers = Rc::new(Voice::new(name));
    let mut closing = pin!(entrance.house.closing());
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut closing => break,
            accepted = next(&listener, &entrance) => accepted,
        };
        match accepted {
            Ok((stream, visitor, presence)) => {
                let (entrance, front) = (Rc::clone(&entrance), Rc::clone(&front));
                let strangers = Rc::clone(&strangers);
                spawn_local(async move {
                    let passed = if entrance.is_open() {
                        Some((Client::Plain(stream), visitor))
                    } else {
                        // Those who need not have no room for it either.
                        Box::pin(entrance.pass(stream, visitor, &strangers)).await
                    };
                    if let Some((client, visitor)) = passed {
                        front.converse(client, visitor).await;
                    }
                    drop(presence);
                });
            }
            Err(error) => match accept_error(&error) {
                AcceptError::None | AcceptError::Transient => {}
                AcceptError::OutOfDescriptors | AcceptError::Broken => {
                    trouble.say(format_args!("cannot accept for now: {error}"));
                    sleep(PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    entrance.house.fewer_than(1).await;
    Ok(())
}

async fn next(listener: &Listener, entrance: &Entrance) -> io::Result<(Stream, Visitor, Presence)> {
    let most = usize::try_from(entrance.settings.max_clients).unwrap_or(usize::MAX);
    entrance.house.fewer_than(most.max(1)).await;
    let (stream, client, local) = listener.accept().await?;
    let visitor = Visitor {
        client,
        local,
        scheme: Scheme::Http,
        trust: entrance.trust(client),
    };
    Ok((stream, visitor, entrance.house.enter()))
}

impl Entrance {
    /// Whether nothing is said ahead of everything else.
    fn is_open(&self) -> bool {
        self.tls.is_none() && !self.settings.proxy_protocol
    }

    /// Has a client say what is said ahead of everything else. `None` = it did not say it well, and has
    /// been closed.
    async fn pass(
        &self,
        stream: Stream,
        mut visitor: Visitor,
        voice: &Voice,
    ) -> Option<(Client, Visitor)> {
        if self.settings.proxy_protocol && visitor.trust == Trust::Yes {
            let header = tokio::select! {
                biased;
                header = protocol::read(&stream) => header,
                () = self.house.closing() => return None,
            };
            match header {
                Ok(header) => self.believe(&header, &mut visitor),
                Err(why) => {
                    let from = visitor
                        .client
                        .map_or("nowhere".to_owned(), |it| it.to_string());
                    voice.say(format_args!("a connection from {from} was closed: {why}"));
                    return None;
                }
            }
        }
        let Some(acceptor) = &self.tls else {
            return Some((Client::Plain(stream), visitor));
        };
        // Who speaks HTTP in clear text is served nothing, but told where to go.
        if self.settings.http.https_port.is_some()
            && self.settings.kind == Kind::Http
            && acceptor.is_http(&stream).await
        {
            return Some((Client::Plain(stream), visitor));
        }
        visitor.scheme = Scheme::Https;
        let client = acceptor.accept(stream).await;
        client.map(|client| (client, visitor))
    }

    /// Takes a trusted proxy at its word. Whom it speaks for is trusted for itself only: what comes
    /// after the header is not the proxy's.
    fn believe(&self, header: &Header, visitor: &mut Visitor) {
        match header {
            Header::Local => {}
            Header::Unknown => {
                visitor.client = None;
                visitor.trust = Trust::No;
            }
            Header::Client(origin) => {
                visitor.client = Some(origin.client);
                visitor.local = Some(origin.server);
                visitor.trust = self.trust(visitor.client);
                if origin.tls.is_some() {
                    visitor.scheme = Scheme::Https;
                }
            }
        }
    }

    fn trust(&self, client: Option<SocketAddr>) -> Trust {
        let trusted = &self.settings.trusted;
        match client {
            Some(client) if trusted.iter().any(|one| one.contains(client.ip())) => Trust::Yes,
            _ => Trust::No,
        }
    }
}

impl Client {
    /// The socket, if bytes go by it as they are.
    pub(crate) fn plain(&self) -> Option<&Stream> {
        match self {
            Client::Plain(stream) => Some(stream),
            #[cfg(feature = "tls")]
            Client::Tls(_) => None,
            #[cfg(feature = "http2")]
            Client::Strand(_) => None,
        }
    }

    /// As [`plain`](Client::plain), to be asked for what takes more than a look.
    pub(crate) fn plain_mut(&mut self) -> Option<&mut Stream> {
        match self {
            Client::Plain(stream) => Some(stream),
            #[cfg(feature = "tls")]
            Client::Tls(_) => None,
            #[cfg(feature = "http2")]
            Client::Strand(_) => None,
        }
    }

    /// Has the peer learn by a reset that the connection did not end as it should, once it is closed.
    pub(crate) fn reset(&mut self) {
        match self {
            Client::Plain(stream) => stream.reset(),
            #[cfg(feature = "tls")]
            Client::Tls(stream) => stream.get_ref().0.reset(),
            #[cfg(feature = "http2")]
            Client::Strand(strand) => strand.reset(),
        }
    }

    /// Whether it was agreed by TLS that HTTP/2 is spoken within.
    #[cfg(feature = "http2")]
    pub(crate) fn agreed_on_http2(&self) -> bool {
        match self {
            #[cfg(feature = "tls")]
            Client::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
            Client::Plain(_) | Client::Strand(_) => false,
        }
    }

    /// What was agreed by TLS.
    pub(crate) fn tls(&self) -> Option<Tls> {
        match self {
            Client::Plain(_) => None,
            #[cfg(feature = "tls")]
            Client::Tls(stream) => Some(crate::proxy::tls::agreed(stream)),
            #[cfg(feature = "http2")]
            Client::Strand(_) => None,
        }
    }
}

impl Peer for Client {
    fn is_watched(&self) -> bool {
        self.plain().is_none_or(Stream::is_watched)
    }

    fn poll_write_last(
        &mut self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(stream) = self.plain_mut() {
            return stream.poll_write_last(context, slices);
        }
        match slices {
            [bytes] => Pin::new(self).poll_write(context, bytes),
            _ => Pin::new(self).poll_write_vectored(context, slices),
        }
    }
}

speaks_as_one_of!(Client {
    Plain,
    #[cfg(feature = "tls")]
    Tls,
    #[cfg(feature = "http2")]
    Strand,
});

/// How long accepting rests when there is nothing to accept with.
const PAUSE: Duration = Duration::from_millis(100);

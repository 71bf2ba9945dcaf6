//! One client's connection, request by request.

use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use herder_core::proxy::Key;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::edge::stream::Stream;
use crate::proxy::backends::Lease;
use crate::proxy::entrance::Client;
use crate::proxy::http::bad::{After, Bad, Refusal, Wanted};
use crate::proxy::http::clock::Clock;
use crate::proxy::http::forwarded::Forwarding;
use crate::proxy::http::inbox::poll_read_some;
use crate::proxy::http::request::{Body, Request};
use crate::proxy::http::scan::Scan;
use crate::proxy::http::{Front, millis};
use crate::proxy::{LINGER, Scheme, Visitor, tcp};

/// How much is read, after the last answer, of what nobody wants: what a client sends before it looks
/// for an answer.
const UNWANTED: usize = 64 * 1024 * 1024;

/// How long it is read at most. A client that sends nothing for `LINGER` has stopped before.
const FAREWELL: Duration = Duration::from_secs(5);

/// How long a page of our own may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A client's connection.
pub(super) struct Talk {
    pub(super) client: Client,
    /// What was read and has not been passed on.
    pub(super) ahead: BytesMut,
    pub(super) clock: Clock,
    pub(super) front: Rc<Front>,
    ip: Option<IpAddr>,
    scheme: Scheme,
    forwarding: Forwarding,
    served: u32,
}

/// What follows a request.
pub(super) enum Next {
    /// Another one, perhaps.
    Request,
    /// The end, after the client had time to read.
    Close,
    /// The end, of which nobody needs to be told.
    Drop,
    /// Something else is spoken.
    Tunnel(Tunnel),
    /// It is HTTP/2 that is spoken.
    Http2,
}

/// An upgraded connection.
pub(super) struct Tunnel {
    pub(super) lease: Lease,
    pub(super) worker: Stream,
    /// The answer that says so, and what followed it.
    pub(super) answer: Vec<u8>,
}

/// A client that speaks HTTP/2.
#[cfg_attr(
    not(feature = "http2"),
    expect(dead_code, reason = "nobody does without the feature")
)]
pub(super) struct Handover {
    pub(super) client: Client,
    /// What was read.
    pub(super) ahead: BytesMut,
}

/// What a client of HTTP/2 begins with; it looks like a request, and no request can look like it.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";

/// What came.
enum Came {
    /// A head of so many bytes.
    Head(usize),
    Bad(Bad),
    /// Nothing any more.
    End,
    /// Nothing until it was too late.
    Silence,
}

impl Talk {
    pub(super) fn new(client: Client, visitor: &Visitor, front: Rc<Front>) -> Talk {
        let ip = visitor.client.map(|client| client.ip().to_canonical());
        Talk {
            client,
            ahead: BytesMut::new(),
            clock: Clock::new(),
            ip,
            scheme: visitor.scheme,
            forwarding: Forwarding::new(visitor, &front.settings.http, &front.ids),
            front,
            served: 0,
        }
    }

    /// Serves the client until the end, or until it turns out to speak HTTP/2.
    pub(super) async fn run(mut self) -> Option<Handover> {
        loop {
            let next = match self.come().await {
                Came::Head(length) => self.request(length).await,
                Came::Bad(bad) => self.refuse(&bad.into(), Wanted::All).await,
                Came::Silence => Next::Close,
                Came::End => Next::Drop,
            };
            match next {
                Next::Request => {}
                // What happens once at most needs no room all the time.
                Next::Close => {
                    Box::pin(self.close()).await;
                    return None;
                }
                Next::Drop => return None,
                Next::Tunnel(tunnel) => {
                    Box::pin(self.tunnel(tunnel)).await;
                    return None;
                }
                Next::Http2 => {
                    return Some(Handover {
                        client: self.client,
                        ahead: self.ahead,
                    });
                }
            }
        }
    }

    /// Waits for a request.
    async fn come(&mut self) -> Came {
        let http = &self.front.settings.http;
        let header_timeout = millis(http.header_timeout_millis);
        // Who has just come has something to say.
        let first = if self.served == 0 || !self.ahead.is_empty() {
            header_timeout
        } else {
            millis(http.idle_timeout_millis)
        };
        self.clock.allow(first);
        if self.ahead.is_empty() {
            // An idle client costs no buffer.
            self.ahead = BytesMut::new();
        }
        // Empty lines ahead of a request are no reason to wait for longer.
        let mut has_begun = self.served == 0 || !self.ahead.is_empty();
        let (mut scan, mut lingers) = (Scan::default(), false);
        let front = Rc::clone(&self.front);
        let mut closing = pin!(front.house.closing());
        poll_fn(|context| {
            loop {
                match self.look(&mut scan) {
                    Ok(Some(length)) => return Poll::Ready(Came::Head(length)),
                    Ok(None) => {}
                    Err(bad) => return Poll::Ready(Came::Bad(bad)),
                }
                match self.poll_read(context) {
                    Poll::Ready(Some(())) if !has_begun => {
                        has_begun = true;
                        self.clock.allow(header_timeout);
                    }
                    Poll::Ready(Some(())) => {}
                    Poll::Ready(None) => return Poll::Ready(Came::End),
                    Poll::Pending => break,
                }
            }
            if !lingers && closing.as_mut().poll(context).is_ready() {
                lingers = true;
                if self.ahead.is_empty() {
                    self.clock.allow(LINGER);
                }
            }
            ready!(self.clock.poll(context));
            Poll::Ready(if self.ahead.is_empty() {
                Came::Silence
            } else {
                Came::Bad(Bad::Slow)
            })
        })
        .await
    }

    /// Looks whether a whole head is there.
    fn look(&mut self, scan: &mut Scan) -> Result<Option<usize>, Bad> {
        // An empty line ahead of a request is an old habit (RFC 9112, 2.2).
        while self.ahead.starts_with(b"\r\n") {
            self.ahead.advance(2);
            *scan = Scan::default();
        }
        match self.ahead.first() {
            None => return Ok(None),
            Some(b'\r') if self.ahead.len() == 1 => return Ok(None),
            // What is no HTTP at all is not waited for.
            Some(first) if !first.is_ascii_alphabetic() => {
                return Err(Bad::Head("it does not begin with a method"));
            }
            Some(_) => {}
        }
        Ok(scan.look(&self.ahead, self.front.limits)?)
    }

    /// Reads what there is; `None` at the end.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Option<()>> {
        let read = poll_read_some(&mut self.client, context, &mut self.ahead);
        Poll::Ready(match ready!(read) {
            Ok(1..) => Some(()),
            Ok(0) | Err(_) => None,
        })
    }

    /// Answers the request whose head is there.
    async fn request(&mut self, length: usize) -> Next {
        self.served = self.served.saturating_add(1);
        if self.served == 1 && self.is_preface(length) {
            return Next::Http2;
        }
        let mut head = BytesMut::new();
        let cookie = self.front.cookie.as_ref();
        let slot = |value: &[u8]| cookie.and_then(|cookie| cookie.find(value));
        let read = Request::read(&self.ahead[..length], &self.forwarding, slot, &mut head);
        let request = match read {
            Ok(request) => request,
            Err(bad) => return self.refuse(&bad.into(), Wanted::All).await,
        };
        self.ahead.advance(length);
        let http = &self.front.settings.http;
        if let (Some(port), Scheme::Http) = (http.https_port, self.scheme) {
            return self.redirect(&head, port, &request).await;
        }
        let most = http.max_body;
        if let Body::Length(length) = request.body
            && most > 0
            && length > most
        {
            let refusal = Refusal {
                page: request.page,
                ..Bad::TooLarge(most).into()
            };
            return self.refuse(&refusal, wanted(&request)).await;
        }
        self.attempt(request, head).await
    }

    /// Whether a client begins to speak HTTP/2. Within TLS it would have said so before.
    fn is_preface(&self, length: usize) -> bool {
        cfg!(feature = "http2") && self.client.plain().is_some() && self.ahead[..length] == *PREFACE
    }

    /// Whether another request may follow this one.
    pub(super) fn after(&self, request: &Request) -> After {
        let most = self.front.settings.http.max_requests;
        let is_last = most > 0 && self.served >= most;
        if request.persists && !is_last && !self.front.house.is_closing() {
            After::GoOn
        } else {
            After::Close
        }
    }

    pub(super) fn key(&self, request: &Request) -> Key {
        Key {
            client_ip: self.ip,
            cookie: request.cookie,
        }
    }

    /// Says why there is no answer, and that there will be no other one.
    pub(super) async fn refuse(&mut self, refusal: &Refusal, wanted: Wanted) -> Next {
        self.say(refusal, wanted, After::Close).await
    }

    /// Says why there is no answer.
    pub(super) async fn say(&mut self, refusal: &Refusal, wanted: Wanted, after: After) -> Next {
        let page = refusal.write(wanted, after);
        let write = async {
            self.client.write_all(&page).await?;
            self.client.flush().await
        };
        match (timeout(PATIENCE, write).await, after) {
            (Ok(Ok(())), After::GoOn) => Next::Request,
            (Ok(Ok(())), After::Close) => Next::Close,
            (Ok(Err(_)) | Err(_), _) => Next::Drop,
        }
    }

    async fn redirect(&mut self, head: &[u8], port: u16, request: &Request) -> Next {
        let refusal = Refusal {
            status: 308,
            why: "this is spoken by https only".to_owned(),
            retry_after: None,
            page: request.page,
            location: Some(location(head, port)),
        };
        self.refuse(&refusal, wanted(request)).await
    }

    async fn tunnel(self, tunnel: Tunnel) {
        let idle = millis(self.front.settings.http.tunnel_timeout_millis);
        let ahead = tcp::Ahead {
            to_worker: self.ahead.to_vec(),
            to_client: tunnel.answer,
        };
        let idle = (!idle.is_zero()).then_some(idle);
        let (worker, tools) = (Client::Plain(tunnel.worker), self.front.tools.clone());
        let outcome = tcp::join(self.client, worker, ahead, idle, tools).await;
        tunnel.lease.end(outcome);
    }

    /// Closes the connection so that the client can read all that it was told: a close with bytes
    /// unread would be a reset, which destroys what is under way.
    async fn close(mut self) {
        let mut left = UNWANTED;
        let last = async {
            timeout(LINGER, self.client.shutdown()).await??;
            // Not an array, which idle connections would have room for as well.
            let mut space = vec![0; 16 * 1024];
            while left > 0 {
                match timeout(LINGER, self.client.read(&mut space)).await?? {
                    0 => break,
                    count => left = left.saturating_sub(count),
                }
            }
            std::io::Result::Ok(())
        };
        // Who is still there then was told that it is over.
        let _late = timeout(FAREWELL, last).await;
    }
}

pub(super) fn wanted(request: &Request) -> Wanted {
    if request.is_head {
        Wanted::Head
    } else {
        Wanted::All
    }
}

/// The address by https of what a head, as we write it, asks for.
fn location(head: &[u8], port: u16) -> String {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split("\r\n");
    let path = lines.next().and_then(|line| line.split(' ').nth(1));
    let host = lines.next().and_then(|line| line.strip_prefix("Host: "));
    let (path, host) = (path.unwrap_or("/"), host.unwrap_or_default());
    // The port that was asked for is that of this listener.
    let name = match host.rsplit_once(':') {
        Some((name, digits)) if digits.bytes().all(|it| it.is_ascii_digit()) => name,
        _ => host,
    };
    let path = if path == "*" { "/" } else { path };
    if port == 443 {
        format!("https://{name}{path}")
    } else {
        format!("https://{name}:{port}{path}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the future of a function needs.
    fn size<T, F>(_: impl FnOnce(T) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_idle_connection_is_small() {
        let size = size(Talk::run);
        println!("{size} bytes");
        assert!(size < 4096, "{size} bytes");
    }

    #[test]
    fn the_same_by_https() {
        let to = |host: &str, port| {
            let head = format!("GET /a?b HTTP/1.1\r\nHost: {host}\r\n\r\n");
            location(head.as_bytes(), port)
        };
        assert_eq!(to("shop", 443), "https://shop/a?b");
        assert_eq!(to("shop:80", 443), "https://shop/a?b");
        assert_eq!(to("shop:8080", 8443), "https://shop:8443/a?b");
        assert_eq!(to("[::1]", 443), "https://[::1]/a?b");
        assert_eq!(to("[::1]:80", 443), "https://[::1]/a?b");
    }
}

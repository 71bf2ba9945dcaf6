//! One request of a client that speaks HTTP/2, and its answer, as a connection of HTTP/1.1 by which nothing
//! else comes.

use std::fmt::Write;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Method, Request, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Ledger;
use super::head::{self, Behind, Form, Rest};
use crate::proxy::http::chunks::{Chunks, Frames};

/// Most of an answer that is taken at once, in bytes.
const PIECE: usize = 16 * 1024;

/// One request and its answer. Dropped before the answer is over, it tells the client that there will be none.
#[derive(Debug)]
pub(crate) struct Strand {
    is_head: bool,
    /// To be read before anything else.
    text: BytesMut,
    /// To be read next.
    data: Bytes,
    body: RecvStream,
    form: Form,
    reading: Reading,
    respond: SendResponse<Bytes>,
    send: Option<SendStream<Bytes>>,
    writing: Writing,
    /// Written, but not sent.
    held: BytesMut,
    leaves: Leaves,
}

/// What is read of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Body,
    Trailers,
    Over,
}

/// What is written to the client.
#[derive(Debug)]
enum Writing {
    /// So much of it came.
    Head(BytesMut),
    Length(u64),
    Chunks(Chunks),
    Raw,
    /// All of it was written, and this is to follow what is held.
    Last(HeaderMap),
    /// All of it was sent.
    Over,
}

/// Tells the ledger, at the end, how it ended.
struct Leaves {
    ledger: Rc<Ledger>,
    how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// With an answer that broke off, or without one.
    Undone,
    Answered,
    /// The client did not want the answer any more.
    GivenUp,
}

impl Strand {
    /// What came, if it is a request.
    pub(super) fn new(
        request: Request<RecvStream>,
        respond: SendResponse<Bytes>,
        ledger: Rc<Ledger>,
    ) -> Result<Strand, SendResponse<Bytes>> {
        let (parts, body) = request.into_parts();
        let rest = if body.is_end_stream() {
            Rest::Nothing
        } else {
            Rest::Something
        };
        let Ok((text, form)) = head::write(&parts, rest) else {
            return Err(respond);
        };
        let reading = match form {
            Form::Nothing => Reading::Over,
            Form::Plain | Form::Chunks | Form::Raw => Reading::Body,
        };
        Ok(Strand {
            is_head: parts.method == Method::HEAD,
            text,
            data: Bytes::new(),
            body,
            form,
            reading,
            respond,
            send: None,
            writing: Writing::Head(BytesMut::new()),
            held: BytesMut::new(),
            leaves: Leaves {
                ledger,
                how: How::Undone,
            },
        })
    }

    /// Has the client learn that the answer is not whole.
    pub(crate) fn reset(&mut self) {
        self.respond.send_reset(Reason::INTERNAL_ERROR);
    }

    /// Copies what there is to read.
    fn take(&mut self, buf: &mut ReadBuf<'_>) -> io::Result<()> {
        if !self.text.is_empty() {
            let count = self.text.len().min(buf.remaining());
            buf.put_slice(&self.text[..count]);
            self.text.advance(count);
            return Ok(());
        }
        let count = self.data.len().min(buf.remaining());
        buf.put_slice(&self.data[..count]);
        self.data.advance(count);
        if self.data.is_empty() && self.form == Form::Chunks {
            self.text.extend_from_slice(b"\r\n");
        }
        // The client may send as much again.
        let released = self.body.flow_control().release_capacity(count);
        released.map_err(|error| self.gone(error))
    }

    /// Waits for more of the request; `false` = there is no more.
    fn poll_body(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        match self.reading {
            Reading::Body => match ready!(self.body.poll_data(context)) {
                Some(Ok(data)) => self.begin(data),
                Some(Err(error)) => return Poll::Ready(Err(self.gone(error))),
                None if self.form == Form::Chunks => self.reading = Reading::Trailers,
                None => self.reading = Reading::Over,
            },
            Reading::Trailers => match ready!(self.body.poll_trailers(context)) {
                Ok(trailers) => {
                    self.text.extend_from_slice(b"0\r\n");
                    head::write_trailers(&trailers.unwrap_or_default(), &mut self.text);
                    self.text.extend_from_slice(b"\r\n");
                    self.reading = Reading::Over;
                }
                Err(error) => return Poll::Ready(Err(self.gone(error))),
            },
            // The end of what is spoken instead is one; that of a request is none.
            Reading::Over if self.form == Form::Raw => return Poll::Ready(Ok(false)),
            Reading::Over => {
                let reset = match &mut self.send {
                    Some(send) => send.poll_reset(context),
                    None => self.respond.poll_reset(context),
                };
                let error = match ready!(reset) {
                    Ok(reason) => self.gone(reason.into()),
                    Err(error) => self.gone(error),
                };
                return Poll::Ready(Err(error));
            }
        }
        Poll::Ready(Ok(true))
    }

    fn begin(&mut self, data: Bytes) {
        if self.form == Form::Chunks && !data.is_empty() {
            let _fits = write!(self.text, "{:x}\r\n", data.len());
        }
        self.data = data;
    }

    /// Takes what is written of an answer, and returns how much that was.
    fn put(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes = &bytes[..bytes.len().min(PIECE)];
        match &mut self.writing {
            Writing::Head(head) => {
                let before = head.len();
                head.extend_from_slice(bytes);
                // The end may have begun before.
                let from = before.saturating_sub(3);
                let Some(end) = memchr::memmem::find(&head[from..], b"\r\n\r\n") else {
                    return Ok(bytes.len());
                };
                let end = from + end + 4;
                let head = head.split_to(end);
                self.answer(&head)?;
                Ok(end - before)
            }
            Writing::Length(left) => {
                let count =
                    usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                self.held.extend_from_slice(&bytes[..count]);
                *left -= count as u64;
                if *left == 0 {
                    self.writing = Writing::Last(HeaderMap::new());
                }
                Ok(count)
            }
            Writing::Chunks(chunks) => {
                let begin = self.held.len();
                self.held.extend_from_slice(bytes);
                let end = chunks
                    .feed(&mut self.held, begin)
                    .map_err(io::Error::other)?;
                self.held.truncate(end);
                if chunks.is_done() {
                    let trailers = head::read_trailers(&chunks.take_trailers());
                    self.writing = Writing::Last(trailers.unwrap_or_default());
                }
                Ok(bytes.len())
            }
            Writing::Raw => {
                self.held.extend_from_slice(bytes);
                Ok(bytes.len())
            }
            Writing::Last(_) | Writing::Over => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Sends a head.
    fn answer(&mut self, head: &[u8]) -> io::Result<()> {
        let Some((mut response, behind)) = head::read(head) else {
            self.reset();
            return Err(io::ErrorKind::InvalidData.into());
        };
        let status = response.status();
        if status.is_informational() {
            self.writing = Writing::Head(BytesMut::new());
            let sent = self.respond.send_informational(response);
            return sent.map_err(|error| self.gone(error));
        }
        let is_bodiless = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status);
        let behind = if self.is_head || is_bodiless {
            Behind::Length(0)
        } else {
            behind
        };
        if self.form == Form::Raw && behind != Behind::Raw && status.is_success() {
            // Otherwise the client would take it for what it has asked for.
            *response.status_mut() = StatusCode::BAD_GATEWAY;
        }
        let ends = behind == Behind::Length(0);
        let sent = self.respond.send_response(response, ends);
        self.send = Some(sent.map_err(|error| self.gone(error))?);
        self.writing = match behind {
            Behind::Length(0) => Writing::Over,
            Behind::Length(length) => Writing::Length(length),
            Behind::Chunks => Writing::Chunks(Chunks::new(Frames::Stripped, 0)),
            Behind::Raw => Writing::Raw,
        };
        if ends {
            self.leaves.how = How::Answered;
        }
        Ok(())
    }

    /// Sends what is held, as the client has room for it.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(send) = &mut self.send else {
            return Poll::Ready(Ok(()));
        };
        while !self.held.is_empty() {
            send.reserve_capacity(self.held.len());
            let room = send.capacity();
            if room == 0 {
                match ready!(send.poll_capacity(context)) {
                    Some(Ok(_)) => continue,
                    Some(Err(error)) => return Poll::Ready(Err(self.gone(error))),
                    None => return Poll::Ready(Err(self.gone(Reason::CANCEL.into()))),
                }
            }
            let data = self.held.split_to(room.min(self.held.len())).freeze();
            let is_last = matches!(&self.writing, Writing::Last(trailers) if trailers.is_empty());
            let ends = is_last && self.held.is_empty();
            if let Err(error) = send.send_data(data, ends) {
                return Poll::Ready(Err(self.gone(error)));
            }
            if ends {
                self.end();
                return Poll::Ready(Ok(()));
            }
        }
        if let Writing::Last(trailers) = &mut self.writing {
            let trailers = std::mem::take(trailers);
            let sent = if trailers.is_empty() {
                send.send_data(Bytes::new(), true)
            } else {
                send.send_trailers(trailers)
            };
            if let Err(error) = sent {
                return Poll::Ready(Err(self.gone(error)));
            }
            self.end();
        }
        Poll::Ready(Ok(()))
    }

    fn end(&mut self) {
        self.writing = Writing::Over;
        self.leaves.how = How::Answered;
    }

    /// The client does not want this any more, or has gone.
    fn gone(&mut self, error: h2::Error) -> io::Error {
        if error.is_reset() && error.is_remote() && self.leaves.how == How::Undone {
            self.leaves.how = How::GivenUp;
        }
        io::Error::new(io::ErrorKind::ConnectionReset, error)
    }
}

impl AsyncRead for Strand {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let strand = self.get_mut();
        loop {
            // What is left of a request that has its answer nobody wants.
            if matches!(strand.writing, Writing::Over) {
                return Poll::Ready(Ok(()));
            }
            if !strand.text.is_empty() || !strand.data.is_empty() {
                return Poll::Ready(strand.take(buf));
            }
            if !ready!(strand.poll_body(context))? {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for Strand {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let strand = self.get_mut();
        ready!(strand.poll_send(context))?;
        let count = strand.put(bytes)?;
        // What has no room now goes with the next bytes, or when it is flushed.
        if let Poll::Ready(Err(error)) = strand.poll_send(context) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_send(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let strand = self.get_mut();
        if matches!(strand.writing, Writing::Raw) {
            strand.writing = Writing::Last(HeaderMap::new());
        }
        strand.poll_send(context)
    }
}

impl Drop for Leaves {
    fn drop(&mut self) {
        let count = match self.how {
            How::Undone => return,
            How::Answered => &self.ledger.answered,
            How::GivenUp => &self.ledger.given_up,
        };
        count.set(count.get().saturating_add(1));
    }
}

impl std::fmt::Debug for Leaves {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.how.fmt(out)
    }
}

//! What is added to each response.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};

use super::state::{Exchange, State};
use crate::asynchronous::farewell::Farewell;
use crate::worker::handle::WorkerHandle;

/// Whether the response to this request's method hands the connection over to somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// `CONNECT`.
    ForTunnel,
    ForAnswer,
}

/// Says that the connection ends with this response if the worker leaves, and keeps the exchange open
/// until the body has been sent. A stream of events says good-bye when its time has come.
pub(super) fn accompany<B: Body>(
    mut response: Response<B>,
    asked: Asked,
    worker: &WorkerHandle,
    state: &Arc<State>,
    exchange: Exchange,
) -> Response<Accompanied<B>> {
    let status = response.status();
    let tunnel = asked == Asked::ForTunnel && status.is_success();
    if tunnel || status == StatusCode::SWITCHING_PROTOCOLS {
        state.upgrade();
    } else if worker.link().ending().has_begun() {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    let farewell = is_event_stream(&response).then(|| worker.farewell());
    response.map(|body| Accompanied {
        body: Box::pin(body),
        farewell,
        _exchange: exchange,
    })
}

/// The body of a response, until all of it is sent.
pub(super) struct Accompanied<B> {
    body: Pin<Box<B>>,
    /// When an endless body ends.
    farewell: Option<Farewell>,
    _exchange: Exchange,
}

impl<B: Body> Body for Accompanied<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = self.body.as_mut().poll_frame(context);
        if frame.is_pending()
            && let Some(farewell) = &mut self.farewell
            && Pin::new(farewell).poll(context).is_ready()
        {
            // The client of such a stream comes back by itself, and says what it has seen.
            return Poll::Ready(None);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn is_event_stream<B>(response: &Response<B>) -> bool {
    let kind = response.headers().get(CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

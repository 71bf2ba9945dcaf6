//! Bodies of responses.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Response, StatusCode};

/// What is sent: nothing, something, or one chunk after the other.
pub(super) struct Body {
    state: State,
    /// How much is left, where that is known.
    left: Option<u64>,
}

/// Makes the chunks of a body.
pub(super) trait Chunks {
    /// The next one, and whatever makes those after it; `None` = that was all.
    fn next(self: Box<Self>) -> Pin<Box<dyn Future<Output = Chunk>>>;
}

/// See [`Chunks::next`].
pub(super) type Chunk = Option<(io::Result<Bytes>, Box<dyn Chunks>)>;

enum State {
    Making(Pin<Box<dyn Future<Output = Chunk>>>),
    Over,
    Whole(Bytes),
}

impl Body {
    pub(super) fn empty() -> Body {
        Body::from(Bytes::new())
    }

    /// `length` is that of all chunks together, where it is known.
    pub(super) fn chunks(chunks: Box<dyn Chunks>, length: Option<u64>) -> Body {
        Body {
            state: State::Making(chunks.next()),
            left: length,
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Body {
        Body {
            left: u64::try_from(bytes.len()).ok(),
            state: State::Whole(bytes),
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let made = match &mut self.state {
            State::Making(making) => ready!(making.as_mut().poll(context)),
            State::Over => return Poll::Ready(None),
            State::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                self.state = State::Over;
                self.left = Some(0);
                return Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))));
            }
        };
        let Some((chunk, chunks)) = made else {
            self.state = State::Over;
            return Poll::Ready(None);
        };
        self.state = match &chunk {
            Ok(_) => State::Making(chunks.next()),
            Err(_) => State::Over,
        };
        if let (Some(left), Ok(bytes)) = (&mut self.left, &chunk) {
            *left = left.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        }
        Poll::Ready(Some(chunk.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.state {
            State::Making(_) => false,
            State::Over => true,
            State::Whole(bytes) => bytes.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.left
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// A response of one line, for people.
pub(super) fn say(status: StatusCode, sentence: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(Bytes::from_static(sentence.as_bytes())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(CONTENT_TYPE, text);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// What a service answers: always something.
pub(super) type Answer = Result<Response<Body>, Infallible>;

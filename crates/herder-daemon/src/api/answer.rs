//! Answers, as HTTP has them.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use herder_api::Problem;
use herder_api::problem::ProblemKind;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;
use tokio::sync::mpsc;

/// What is answered.
pub(super) type Answer = Response<Content>;

/// The body of an answer.
#[derive(Debug)]
pub(super) enum Content {
    /// All at once.
    Whole(Bytes),
    /// Lines, as they come. Dropped, it tells who sends them that nobody listens any more.
    Lines(mpsc::Receiver<Bytes>),
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Content::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Content::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Content::Lines(lines) => lines
                .poll_recv(context)
                .map(|line| line.map(|line| Ok(Frame::data(line)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Content::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Lines(_) => SizeHint::default(),
        }
    }
}

/// Why there is no answer: a problem, with a status if its kind's is not exact enough.
#[derive(Debug)]
pub(super) struct Refusal {
    problem: Box<Problem>,
    status: Option<StatusCode>,
    allow: Option<String>,
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Refusal {
        Refusal {
            problem: Box::new(problem),
            status: None,
            allow: None,
        }
    }
}

impl Refusal {
    /// The request makes no sense.
    pub(super) fn invalid(message: impl Into<String>) -> Refusal {
        Problem::new(ProblemKind::Invalid, message).into()
    }

    /// With another status than its kind has.
    pub(super) fn status(mut self, status: StatusCode) -> Refusal {
        self.status = Some(status);
        self
    }

    /// With what would be allowed.
    pub(super) fn allow(mut self, methods: String) -> Refusal {
        self.allow = Some(methods);
        self
    }

    pub(super) fn into_answer(self) -> Answer {
        let kinds = StatusCode::from_u16(self.problem.kind.http_status());
        let status = self.status.or(kinds.ok());
        let mut answer = json(&self.problem);
        *answer.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if let Some(Ok(allow)) = self.allow.map(HeaderValue::try_from) {
            answer.headers_mut().insert(ALLOW, allow);
        }
        answer
    }
}

/// One JSON value.
pub(super) fn json(value: &impl Serialize) -> Answer {
    let text = serde_json::to_vec(value).expect("what the API says can be written as JSON");
    with_type("application/json", Content::Whole(text.into()))
}

/// A text of some kind.
pub(super) fn text(kind: &'static str, text: impl Into<Bytes>) -> Answer {
    with_type(kind, Content::Whole(text.into()))
}

/// JSON values, one a line.
pub(super) fn lines(lines: mpsc::Receiver<Bytes>) -> Answer {
    with_type("application/x-ndjson", Content::Lines(lines))
}

/// One of the values of [`lines`].
pub(super) fn line(value: &impl Serialize) -> Bytes {
    let mut text = serde_json::to_vec(value).expect("what the API says can be written as JSON");
    text.push(b'\n');
    text.into()
}

fn with_type(kind: &'static str, content: Content) -> Answer {
    let mut answer = Response::new(content);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let nosniff = HeaderValue::from_static("nosniff");
    headers.insert("x-content-type-options", nosniff);
    answer
}

/// What everybody has to know who asks: a list of sentences, as JSON, in a header.
pub(super) fn warn(answer: &mut Answer, warnings: &[String]) {
    if warnings.is_empty() {
        return;
    }
    let text = serde_json::to_vec(warnings).expect("sentences can be written as JSON");
    if let Ok(value) = HeaderValue::from_bytes(&text) {
        answer.headers_mut().insert("herder-warnings", value);
    }
}

/// What somebody is told who is not let in: nothing was read of what was asked.
pub(super) fn turned_away(problem: Problem) -> Vec<u8> {
    let status = problem.kind.http_status();
    let reason = StatusCode::from_u16(status).ok();
    let reason = reason.and_then(|status| status.canonical_reason());
    let body = serde_json::to_vec(&problem).expect("a problem can be written as JSON");
    let head = format!(
        "HTTP/1.1 {status} {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        reason.unwrap_or_default(),
        body.len()
    );
    [head.into_bytes(), body].concat()
}

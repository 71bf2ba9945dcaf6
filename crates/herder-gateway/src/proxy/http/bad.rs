//! What is refused, and the pages that say why.

use std::fmt::Write;

use bytes::BytesMut;

use crate::proxy::http::request::Page;
use crate::proxy::http::scan::ScanFault;

/// What is wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Bad {
    #[error("{0}")]
    Head(&'static str),
    #[error(transparent)]
    Scan(#[from] ScanFault),
    #[error("its head is no HTTP: {0}")]
    Syntax(#[from] httparse::Error),
    #[error("its method cannot be passed on")]
    Method,
    #[error("its only transfer coding can be `chunked`")]
    Coding,
    #[error("what it expects is not `100-continue`")]
    Expectation,
    #[error("its body is longer than {0} bytes")]
    TooLarge(u64),
    #[error("its body is malformed: {0}")]
    Body(crate::proxy::http::chunks::ChunkFault),
    #[error("it did not come in time")]
    Slow,
}

impl Bad {
    pub(super) fn status(&self) -> u16 {
        match self {
            Bad::Head(_) | Bad::Body(_) => 400,
            Bad::Slow => 408,
            Bad::TooLarge(_) => 413,
            Bad::Expectation => 417,
            Bad::Scan(ScanFault::BareLineFeed) => 400,
            Bad::Scan(ScanFault::TooLong(_) | ScanFault::TooManyLines(_))
            | Bad::Syntax(httparse::Error::TooManyHeaders) => 431,
            Bad::Method | Bad::Coding => 501,
            Bad::Syntax(httparse::Error::Version) => 505,
            Bad::Syntax(_) => 400,
        }
    }
}

/// An answer that no worker gave.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// What happened: a sentence.
    pub(super) why: String,
    /// When to come again, in seconds.
    pub(super) retry_after: Option<u16>,
    pub(super) page: Page,
    /// Where to go instead.
    pub(super) location: Option<String>,
}

/// Whether the connection goes on after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    Close,
    GoOn,
}

/// Whether an answer has a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    All,
    Head,
}

impl From<Bad> for Refusal {
    fn from(bad: Bad) -> Refusal {
        Refusal {
            status: bad.status(),
            why: format!("the request was refused: {bad}"),
            retry_after: None,
            page: Page::Text,
            location: None,
        }
    }
}

impl Refusal {
    /// The whole answer.
    pub(super) fn write(&self, wanted: Wanted, after: After) -> BytesMut {
        let (kind, body) = match self.page {
            Page::Text => {
                let body = format!("{} {}\n{}\n", self.status, reason(self.status), self.why);
                ("text/plain; charset=utf-8", body)
            }
            Page::Json => {
                let body = serde_json::json!({
                    "status": self.status,
                    "error": reason(self.status),
                    "detail": self.why,
                });
                ("application/json", format!("{body}\n"))
            }
        };
        let mut out = BytesMut::with_capacity(512);
        let _fits = write!(
            out,
            "HTTP/1.1 {} {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n",
            self.status,
            reason(self.status),
            body.len(),
        );
        if let Some(seconds) = self.retry_after {
            let _fits = write!(out, "Retry-After: {seconds}\r\n");
        }
        if let Some(location) = &self.location {
            let _fits = write!(out, "Location: {location}\r\n");
        }
        if after == After::Close {
            out.extend_from_slice(b"Connection: close\r\n");
        }
        out.extend_from_slice(b"\r\n");
        if wanted == Wanted::All {
            out.extend_from_slice(body.as_bytes());
        }
        out
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        308 => "Permanent Redirect",
        400 => "Bad Request",
        408 => "Request Timeout",
        413 => "Content Too Large",
        417 => "Expectation Failed",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Error",
    }
}

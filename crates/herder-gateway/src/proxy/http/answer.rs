//! A worker's answer: what it means, and what the client gets to read.

use std::fmt::Write;
use std::mem::MaybeUninit;
use std::time::Duration;

use bytes::BytesMut;

use crate::proxy::House;
use crate::proxy::http::bad::After;
use crate::proxy::http::chunks::{Chunks, Frames};
use crate::proxy::http::field::{Field, drop_named, number, words};
use crate::proxy::http::pipe::{Framing, Wrapping};
use crate::proxy::http::request::{MOST_LINES, Request, Upgrade, Version, copy_lines};

/// What an answer is, apart from what the client reads.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) framing: Framing,
    /// Whether the connection to the worker can have another request.
    pub(super) reusable: bool,
    /// For how long the worker keeps the connection, if it says so.
    pub(super) keeps_for: Option<Duration>,
    pub(super) after: After,
}

/// What the answer depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circumstances<'a> {
    pub(super) request: &'a Request,
    /// Whether the client may have another request on its connection.
    pub(super) after: After,
    /// May begin to close before the answer comes.
    pub(super) house: &'a House,
    /// Whether the client has not sent all of the request yet.
    pub(super) is_early: bool,
    /// A cookie for a client that is to come to the same worker again.
    pub(super) cookie: Option<&'a str>,
}

/// Why an answer is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error("{0}")]
    Syntax(#[from] httparse::Error),
    #[error("{0}")]
    Head(&'static str),
}

/// What the lines say together.
#[derive(Default)]
struct Sum {
    length: Option<u64>,
    chunks: bool,
    close: bool,
    keep_alive: bool,
    upgrade: bool,
    keeps_for: Option<Duration>,
}

struct Whole<'a, 'h> {
    head: &'a [u8],
    status: u16,
    reason: &'a str,
    minor: u8,
    lines: &'h [httparse::Header<'a>],
    fields: &'h mut [Field],
}

impl Answer {
    /// Reads a whole head, and writes the one for the client to `out`.
    pub(super) fn read(
        head: &[u8],
        circumstances: Circumstances<'_>,
        out: &mut BytesMut,
    ) -> Result<Answer, NoAnswer> {
        let mut space = [const { MaybeUninit::uninit() }; MOST_LINES];
        let mut parsed = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        let status = config.parse_response_with_uninit_headers(&mut parsed, head, &mut space)?;
        let (Some(code), Some(minor), false) = (parsed.code, parsed.version, status.is_partial())
        else {
            return Err(NoAnswer::Head("its head is not whole"));
        };
        if !(100..=599).contains(&code) {
            return Err(NoAnswer::Head("its status is none of HTTP"));
        }
        let mut fields = [Field::Plain; MOST_LINES];
        for (field, line) in fields.iter_mut().zip(&*parsed.headers) {
            *field = Field::of(line.name.as_bytes());
        }
        let whole = Whole {
            head,
            status: code,
            reason: parsed.reason.unwrap_or_default(),
            minor,
            lines: parsed.headers,
            fields: &mut fields[..parsed.headers.len()],
        };
        whole.read(circumstances, out)
    }

    /// Whether another answer follows to the same request.
    pub(super) fn is_interim(&self) -> bool {
        self.status < 200 && self.status != 101
    }
}

impl Whole<'_, '_> {
    fn read(
        mut self,
        circumstances: Circumstances<'_>,
        out: &mut BytesMut,
    ) -> Result<Answer, NoAnswer> {
        let mut sum = Sum::default();
        for index in 0..self.lines.len() {
            self.note(index, &mut sum)?;
        }
        let request = circumstances.request;
        if sum.chunks && (sum.length.is_some() || self.minor == 0) {
            return Err(NoAnswer::Head(
                "what it says of its length contradicts itself",
            ));
        }
        if self.status == 101 && (request.upgrade == Upgrade::No || !sum.upgrade) {
            return Err(NoAnswer::Head(
                "it upgrades a connection that nobody asked it to",
            ));
        }
        let framing = self.framing(&sum, request);
        let is_wrapped = matches!(framing, Framing::Wrap(_) | Framing::Chunks(_));
        let ends_by_closing =
            matches!(framing, Framing::Close) || (is_wrapped && request.version == Version::Http10);
        // Both sides may speak at the same time; but who refuses a request does not want the rest.
        let is_refusal = circumstances.is_early && self.status >= 400;
        let ends = ends_by_closing || is_refusal || circumstances.house.is_closing();
        let after = match circumstances.after {
            After::GoOn if ends => After::Close,
            after @ (After::GoOn | After::Close) => after,
        };
        let closes = match self.minor {
            0 => !sum.keep_alive,
            _ => sum.close,
        };
        // Of two who disagree about a body the one that is wrong says what the next answer is.
        let promises = sum.chunks || sum.length.is_some_and(|length| length > 0);
        let is_clear = self.status != 204 || !promises;
        let has_end = is_clear && !matches!(framing, Framing::Close | Framing::Wrap(_));
        self.write(&sum, out);
        if self.status >= 200 || self.status == 101 {
            let chunks = is_wrapped && request.version == Version::Http11;
            self.write_own(circumstances, after, chunks, out);
        }
        out.extend_from_slice(b"\r\n");
        Ok(Answer {
            status: self.status,
            framing,
            reusable: has_end && !closes && self.status >= 200,
            keeps_for: sum.keeps_for,
            after,
        })
    }

    fn note(&mut self, index: usize, sum: &mut Sum) -> Result<(), NoAnswer> {
        let value = self.lines[index].value;
        match self.fields[index] {
            Field::ContentLength => {
                let length = number(value);
                let length = length.ok_or(NoAnswer::Head("its `Content-Length` is no number"))?;
                if sum.length.is_some_and(|other| other != length) {
                    return Err(NoAnswer::Head("its `Content-Length` lines differ"));
                }
                if sum.length.replace(length).is_some() {
                    self.fields[index] = Field::Dropped;
                }
            }
            Field::TransferEncoding => {
                if sum.chunks || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(NoAnswer::Head("its only transfer coding can be `chunked`"));
                }
                sum.chunks = true;
            }
            Field::Connection => {
                for word in words(value) {
                    if word.eq_ignore_ascii_case(b"close") {
                        sum.close = true;
                    } else if word.eq_ignore_ascii_case(b"keep-alive") {
                        sum.keep_alive = true;
                    } else if word.eq_ignore_ascii_case(b"upgrade") {
                        sum.upgrade = true;
                    } else {
                        self.strip(word);
                    }
                }
            }
            Field::KeepAlive => sum.keeps_for = words(value).find_map(keeps_for),
            Field::Plain
            | Field::Accept
            | Field::Cookie
            | Field::Dropped
            | Field::Expect
            | Field::Told(_)
            | Field::Host
            | Field::RequestId
            | Field::Te
            | Field::Upgrade => {}
        }
        Ok(())
    }

    /// A line that is for this hop alone.
    fn strip(&mut self, name: &[u8]) {
        drop_named(name, self.lines, self.fields, |it| it == Field::Plain);
    }

    fn framing(&self, sum: &Sum, request: &Request) -> Framing {
        if request.is_head || self.status < 200 || matches!(self.status, 204 | 304) {
            return Framing::Length(0);
        }
        let is_new = request.version == Version::Http11;
        match sum.length {
            _ if sum.chunks && is_new => Framing::Chunks(Chunks::new(Frames::Kept, 0)),
            _ if sum.chunks => Framing::Chunks(Chunks::new(Frames::Stripped, 0)),
            Some(length) => Framing::Length(length),
            None if is_new => Framing::Wrap(Wrapping::First),
            None => Framing::Close,
        }
    }

    fn write(&self, sum: &Sum, out: &mut BytesMut) {
        out.reserve(self.head.len() + 128);
        out.extend_from_slice(b"HTTP/1.1 ");
        let digit = |unit: u16| b"0123456789"[usize::from(self.status / unit % 10)];
        out.extend_from_slice(&[digit(100), digit(10), digit(1), b' ']);
        out.extend_from_slice(self.reason.as_bytes());
        out.extend_from_slice(b"\r\n");
        // These two have no body, whatever they say.
        let has_length = !sum.chunks && self.status >= 200 && self.status != 204;
        let upgrades = matches!(self.status, 101 | 426);
        copy_lines(self.head, self.lines, out, |index| {
            match self.fields[index] {
                Field::ContentLength => has_length,
                Field::Upgrade => upgrades,
                Field::Connection
                | Field::Dropped
                | Field::KeepAlive
                | Field::Te
                | Field::TransferEncoding => false,
                Field::Plain
                | Field::Accept
                | Field::Cookie
                | Field::Expect
                | Field::Told(_)
                | Field::Host
                | Field::RequestId => true,
            }
        });
    }

    fn write_own(
        &self,
        circumstances: Circumstances<'_>,
        after: After,
        chunks: bool,
        out: &mut BytesMut,
    ) {
        if chunks {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        }
        if let Some(cookie) = circumstances.cookie {
            let _fits = write!(out, "Set-Cookie: {cookie}\r\n");
        }
        let connection: &[u8] = match (after, circumstances.request.version) {
            _ if self.status == 101 => b"Connection: Upgrade\r\n",
            (After::Close, _) => b"Connection: close\r\n",
            (After::GoOn, Version::Http10) => b"Connection: keep-alive\r\n",
            (After::GoOn, Version::Http11) => b"",
        };
        out.extend_from_slice(connection);
    }
}

/// What `timeout=5` means: a little less, so that the worker does not close while a request is under
/// way to it.
fn keeps_for(word: &[u8]) -> Option<Duration> {
    let (name, value) = word.split_at_checked("timeout=".len())?;
    let seconds = name
        .eq_ignore_ascii_case(b"timeout=")
        .then(|| number(value))??;
    Some(Duration::from_secs(seconds.min(86_400)).saturating_sub(MARGIN))
}

const MARGIN: Duration = Duration::from_secs(1);

//! A request's head: what it means, what is wrong with it, and what the worker gets to read.

use std::mem::MaybeUninit;

use bytes::BytesMut;
use herder_core::Slot;
use herder_core::proxy::retry::{self, Method};
use memchr::memchr;

use crate::proxy::http::bad::Bad;
use crate::proxy::http::chunks::Chunks;
use crate::proxy::http::field::{Field, drop_named, number, words};
use crate::proxy::http::forwarded::Forwarding;
use crate::proxy::http::pipe::Framing;
use crate::proxy::http::target::{self, Target};

/// Most header lines that can be allowed.
pub(super) const MOST_LINES: usize = 256;

/// Most names in `Connection`.
const MOST_NAMED: usize = 16;

/// Longest method.
const LONGEST_METHOD: usize = 32;

/// What a request is, apart from what the worker reads.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) is_head: bool,
    pub(super) version: Version,
    pub(super) body: Body,
    /// Whether the client wants to go on with this connection.
    pub(super) persists: bool,
    pub(super) upgrade: Upgrade,
    /// Whether a page about an error may be JSON.
    pub(super) page: Page,
    pub(super) cookie: Option<Slot>,
}

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http10,
    Http11,
}

/// What follows the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Length(u64),
    Chunks,
}

/// Whether the client wants to speak something else on this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Upgrade {
    Asked,
    No,
}

/// What a page about an error is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Page {
    #[default]
    Text,
    Json,
}

impl Request {
    /// Reads a whole head, and writes the one for the worker to `out`. `slot` finds the one that a
    /// cookie names.
    pub(super) fn read(
        head: &[u8],
        forwarding: &Forwarding,
        slot: impl Fn(&[u8]) -> Option<Slot>,
        out: &mut BytesMut,
    ) -> Result<Request, Bad> {
        let mut space = [const { MaybeUninit::uninit() }; MOST_LINES];
        let mut parsed = httparse::Request::new(&mut []);
        let status = parsed.parse_with_uninit_headers(head, &mut space)?;
        let (Some(method), Some(path), Some(minor)) = (parsed.method, parsed.path, parsed.version)
        else {
            return Err(Bad::Head("it is not whole"));
        };
        if status.is_partial() {
            return Err(Bad::Head("it is not whole"));
        }
        if method.len() > LONGEST_METHOD || method == "CONNECT" {
            return Err(Bad::Method);
        }
        let version = match minor {
            0 => Version::Http10,
            _ => Version::Http11,
        };
        let target = target::read(method, path)?;
        let mut fields = [Field::Plain; MOST_LINES];
        for (field, line) in fields.iter_mut().zip(&*parsed.headers) {
            *field = Field::of(line.name.as_bytes());
        }
        let lines = Whole {
            head,
            lines: parsed.headers,
            fields: &mut fields[..parsed.headers.len()],
        };
        lines.read(
            Line {
                method,
                target,
                version,
            },
            forwarding,
            slot,
            out,
        )
    }

    /// How the end of the body is known, if it may have so many bytes; 0 = any.
    pub(super) fn framing(&self, most: u64) -> Framing {
        match self.body {
            Body::Length(length) => Framing::Length(length),
            Body::Chunks => Framing::Chunks(Chunks::of_request(most)),
        }
    }
}

/// The first line.
struct Line<'a> {
    method: &'a str,
    target: Target<'a>,
    version: Version,
}

/// All of a head.
struct Whole<'a, 'h> {
    head: &'a [u8],
    lines: &'h [httparse::Header<'a>],
    fields: &'h mut [Field],
}

/// What the lines say together.
#[derive(Default)]
struct Sum<'a> {
    host: Option<&'a [u8]>,
    length: Option<u64>,
    chunks: bool,
    close: bool,
    keep_alive: bool,
    trailers: bool,
    upgrade: Option<&'a [u8]>,
    wants_upgrade: bool,
    expects: bool,
    page: Page,
    cookie: Option<Slot>,
}

impl<'a> Whole<'a, '_> {
    fn read(
        mut self,
        line: Line<'a>,
        forwarding: &Forwarding,
        slot: impl Fn(&[u8]) -> Option<Slot>,
        out: &mut BytesMut,
    ) -> Result<Request, Bad> {
        let mut sum = Sum::default();
        for index in 0..self.lines.len() {
            self.note(index, &mut sum, &slot)?;
        }
        let body = body(line.version, &sum)?;
        let host = host(&line, &sum)?;
        let wants_upgrade = sum.wants_upgrade && line.version == Version::Http11;
        // What comes behind it could be a request within the request.
        let upgrade = sum
            .upgrade
            .filter(|_| wants_upgrade && body == Body::Length(0) && sum.length.is_none());
        let persists = match line.version {
            Version::Http11 => !sum.close,
            Version::Http10 => sum.keep_alive && !sum.close,
        };
        self.write(&line, host, forwarding, out);
        write_own(&line, &sum, upgrade, out);
        Ok(Request {
            method: retry::method(line.method),
            is_head: line.method == "HEAD",
            version: line.version,
            body,
            persists,
            upgrade: upgrade.map_or(Upgrade::No, |_| Upgrade::Asked),
            page: sum.page,
            cookie: sum.cookie,
        })
    }

    /// Takes a line into account.
    fn note(
        &mut self,
        index: usize,
        sum: &mut Sum<'a>,
        slot: &impl Fn(&[u8]) -> Option<Slot>,
    ) -> Result<(), Bad> {
        let value = self.lines[index].value;
        match self.fields[index] {
            Field::Host => match sum.host.replace(value) {
                None => {}
                Some(_) => return Err(Bad::Head("there are two `Host` lines")),
            },
            Field::ContentLength => {
                let length = number(value).ok_or(Bad::Head("its `Content-Length` is no number"))?;
                if sum.length.replace(length).is_some() {
                    return Err(Bad::Head("there are two `Content-Length` lines"));
                }
            }
            Field::TransferEncoding => {
                if sum.chunks {
                    return Err(Bad::Head("there are two `Transfer-Encoding` lines"));
                }
                // With a tab behind it, it is no coding that llhttp knows.
                if !value.eq_ignore_ascii_case(b"chunked") || self.behind(value).contains(&b'\t') {
                    return Err(Bad::Coding);
                }
                sum.chunks = true;
            }
            Field::Connection => self.note_connection(value, sum)?,
            Field::Te => {
                sum.trailers |= words(value).any(|it| it.eq_ignore_ascii_case(b"trailers"));
            }
            Field::Upgrade => {
                if sum.upgrade.replace(value).is_some() || is_http2(value) {
                    // An upgrade may always be ignored.
                    sum.upgrade = None;
                    self.fields[index] = Field::Dropped;
                }
            }
            Field::Expect => {
                if !value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(Bad::Expectation);
                }
                sum.expects = true;
            }
            Field::Accept => sum.page = page(value),
            Field::Cookie => sum.cookie = sum.cookie.or_else(|| slot(value)),
            Field::Plain
            | Field::Told(_)
            | Field::KeepAlive
            | Field::RequestId
            | Field::Dropped => {}
        }
        Ok(())
    }

    /// The blanks between a value, which is a part of the head, and the end of its line.
    fn behind(&self, value: &[u8]) -> &'a [u8] {
        let end = value.as_ptr().addr() - self.head.as_ptr().addr() + value.len();
        let rest = &self.head[end..];
        let line = memchr(b'\r', rest).unwrap_or(rest.len());
        &rest[..line]
    }

    /// Takes the words of a `Connection` line into account: names of lines are for this hop alone.
    fn note_connection(&mut self, value: &[u8], sum: &mut Sum<'a>) -> Result<(), Bad> {
        for (count, word) in words(value).enumerate() {
            if count >= MOST_NAMED {
                return Err(Bad::Head("its `Connection` names too much"));
            }
            if word.eq_ignore_ascii_case(b"close") {
                sum.close = true;
            } else if word.eq_ignore_ascii_case(b"keep-alive") {
                sum.keep_alive = true;
            } else if word.eq_ignore_ascii_case(b"upgrade") {
                sum.wants_upgrade = true;
            } else {
                self.strip(word)?;
            }
        }
        Ok(())
    }

    fn strip(&mut self, name: &[u8]) -> Result<(), Bad> {
        match Field::of(name) {
            // Stripped anyway.
            Field::Te | Field::KeepAlive | Field::Connection | Field::Dropped => return Ok(()),
            Field::Plain | Field::Accept | Field::Cookie | Field::RequestId => {}
            Field::ContentLength
            | Field::Expect
            | Field::Told(_)
            | Field::Host
            | Field::TransferEncoding
            | Field::Upgrade => {
                return Err(Bad::Head("its `Connection` names what others must see"));
            }
        }
        drop_named(name, self.lines, self.fields, |_| true);
        Ok(())
    }

    /// Writes all that is passed on, in its order.
    fn write(
        &self,
        line: &Line<'a>,
        host: Option<&[u8]>,
        forwarding: &Forwarding,
        out: &mut BytesMut,
    ) {
        out.clear();
        out.reserve(self.head.len() + 512);
        out.extend_from_slice(line.method.as_bytes());
        out.extend_from_slice(b" ");
        out.extend_from_slice(line.target.path);
        if line.target.misses_path {
            out.extend_from_slice(b"/");
        }
        out.extend_from_slice(line.target.query);
        out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
        match host {
            Some(host) => out.extend_from_slice(host),
            None => forwarding.write_authority(out),
        }
        out.extend_from_slice(b"\r\n");
        copy_lines(self.head, self.lines, out, |index| {
            forwarding.passes(self.fields[index])
        });
        forwarding.write(self.lines, self.fields, host, out);
    }
}

/// Copies header lines as they stand, neighbours together.
pub(super) fn copy_lines(
    head: &[u8],
    lines: &[httparse::Header<'_>],
    out: &mut BytesMut,
    passes: impl Fn(usize) -> bool,
) {
    // Where the lines' names lie in the head: they are slices of it.
    let place = |index: usize| match lines.get(index) {
        Some(line) => line.name.as_ptr().addr() - head.as_ptr().addr(),
        // The empty line.
        None => head.len() - 2,
    };
    let mut begin = None;
    for index in 0..=lines.len() {
        if index < lines.len() && passes(index) {
            begin.get_or_insert_with(|| place(index));
        } else if let Some(begin) = begin.take() {
            out.extend_from_slice(&head[begin..place(index)]);
        }
    }
}

fn body(version: Version, sum: &Sum<'_>) -> Result<Body, Bad> {
    if !sum.chunks {
        return Ok(Body::Length(sum.length.unwrap_or(0)));
    }
    if version == Version::Http10 {
        return Err(Bad::Head("HTTP/1.0 knows no `Transfer-Encoding`"));
    }
    if sum.length.is_some() {
        return Err(Bad::Head(
            "`Transfer-Encoding` and `Content-Length` contradict each other",
        ));
    }
    Ok(Body::Chunks)
}

/// The authority that the request is for.
fn host<'a>(line: &Line<'a>, sum: &Sum<'a>) -> Result<Option<&'a [u8]>, Bad> {
    if let Some(host) = sum.host {
        target::check_authority(host)?;
    }
    match (line.target.authority, sum.host) {
        (Some(authority), Some(host)) if !authority.eq_ignore_ascii_case(host) => {
            Err(Bad::Head("its `Host` is not that of its target"))
        }
        // Also beside a target that names one: others look at the line alone.
        (_, None) if line.version == Version::Http11 => Err(Bad::Head("there is no `Host`")),
        (Some(authority), _) => Ok(Some(authority)),
        (None, host) => Ok(host),
    }
}

/// Writes what is between the proxy and the worker, and the end of the head.
fn write_own(line: &Line<'_>, sum: &Sum<'_>, upgrade: Option<&[u8]>, out: &mut BytesMut) {
    if sum.chunks {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    if sum.expects && line.version == Version::Http11 {
        out.extend_from_slice(b"Expect: 100-continue\r\n");
    }
    if let Some(upgrade) = upgrade {
        out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: ");
        out.extend_from_slice(upgrade);
        out.extend_from_slice(b"\r\n");
    } else if sum.trailers {
        out.extend_from_slice(b"Connection: TE\r\nTE: trailers\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// HTTP/2 would be spoken past this front.
fn is_http2(upgrade: &[u8]) -> bool {
    words(upgrade).any(|word| word.len() >= 2 && word[..2].eq_ignore_ascii_case(b"h2"))
}

fn page(accept: &[u8]) -> Page {
    let has = |part: &[u8]| {
        accept
            .windows(part.len())
            .any(|it| it.eq_ignore_ascii_case(part))
    };
    if has(b"json") && !has(b"text/html") && !has(b"text/plain") {
        Page::Json
    } else {
        Page::Text
    }
}

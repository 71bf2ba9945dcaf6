//! Heads from HTTP/2 into HTTP/1.1, and back.

use bytes::BytesMut;
use h2::ext::Protocol;
use http::header::{CONNECTION, CONTENT_LENGTH, COOKIE, HOST, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};

use crate::proxy::http::field::number;
use crate::proxy::http::request::MOST_LINES;

/// How the body of a request is written behind its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// There is none.
    Nothing,
    /// As it comes: its length is known.
    Plain,
    /// In chunks.
    Chunks,
    /// As it comes: it is none, but something else is spoken.
    Raw,
}

/// What of a request is not as it must be: the client is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Whether a request has anything behind its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    Nothing,
    Something,
}

/// Writes a request's head as a client of HTTP/1.1 would. What is wrong with it beyond its form is for those to judge
/// who judge theirs.
pub(super) fn write(parts: &Parts, rest: Rest) -> Result<(BytesMut, Form), Malformed> {
    let headers = &parts.headers;
    let mut out = BytesMut::with_capacity(512);
    let authority = parts.uri.authority().map(|it| it.as_str());
    let form = first_line(parts, rest, &mut out)?;
    if let Some(authority) = authority {
        line(&mut out, "host", authority.as_bytes());
    }
    for (name, value) in headers {
        let value = value.as_bytes();
        let is_trimmed = value.trim_ascii().len() == value.len();
        let says_the_same =
            || authority.is_some_and(|it| it.as_bytes().eq_ignore_ascii_case(value));
        match *name {
            _ if !is_trimmed => return Err(Malformed),
            // Named twice, it is only left out if both say the same.
            HOST if says_the_same() => {}
            // Clients may send it in crumbs (RFC 9113, 8.2.3).
            COOKIE => {}
            // The length was one of HTTP/2, whose frames are held to it; chunks say it themselves.
            CONTENT_LENGTH if form == Form::Chunks => {}
            _ => line(&mut out, name.as_str(), value),
        }
    }
    let crumbs: Vec<_> = headers.get_all(COOKIE).iter().collect();
    if !crumbs.is_empty() {
        let crumbs: Vec<_> = crumbs.iter().map(|it| it.as_bytes()).collect();
        line(&mut out, "cookie", &crumbs.join(&b"; "[..]));
    }
    match form {
        Form::Chunks => line(&mut out, "transfer-encoding", b"chunked"),
        Form::Raw => {
            line(&mut out, "connection", b"upgrade");
            line(&mut out, "upgrade", b"websocket");
            line(&mut out, "sec-websocket-key", KEY);
        }
        Form::Nothing | Form::Plain => {}
    }
    out.extend_from_slice(b"\r\n");
    Ok((out, form))
}

/// Any sixteen bytes in base64: what it is for is done by HTTP/2 itself (RFC 8441, 5).
const KEY: &[u8] = b"aGVyZGVyIHNwZWFrcyBoMg==";

fn first_line(parts: &Parts, rest: Rest, out: &mut BytesMut) -> Result<Form, Malformed> {
    let protocol = parts.extensions.get::<Protocol>().map(Protocol::as_str);
    let target = parts.uri.path_and_query().map(|it| it.as_str());
    let (method, target, form) = match (&parts.method, protocol) {
        (&Method::CONNECT, Some("websocket")) => ("GET", target, Form::Raw),
        (&Method::CONNECT, _) => {
            let authority = parts.uri.authority().map(|it| it.as_str());
            ("CONNECT", authority, Form::Nothing)
        }
        (method, _) => (method.as_str(), target, form(&parts.headers, rest)?),
    };
    out.extend_from_slice(method.as_bytes());
    out.extend_from_slice(b" ");
    out.extend_from_slice(target.unwrap_or_default().as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    Ok(form)
}

fn form(headers: &HeaderMap, rest: Rest) -> Result<Form, Malformed> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let length = lengths.next().map(HeaderValue::as_bytes);
    let is_clear = lengths.next().is_none() && length.is_none_or(|it| number(it).is_some());
    match (length, rest) {
        (None, Rest::Nothing) => Ok(Form::Nothing),
        (None, Rest::Something) => Ok(Form::Chunks),
        // Nothing can stand behind a body with a length in HTTP/1.1. Who announces that something will, is
        // taken at its word; what is wrong with its length is for others to judge.
        (Some(_), Rest::Something) if is_clear && headers.contains_key(TRAILER) => Ok(Form::Chunks),
        (Some(_), Rest::Something) => Ok(Form::Plain),
        (Some(length), Rest::Nothing) if number(length) == Some(0) => Ok(Form::Nothing),
        (Some(_), Rest::Nothing) => Err(Malformed),
    }
}

/// Writes lines behind the last chunk.
pub(super) fn write_trailers(trailers: &HeaderMap, out: &mut BytesMut) {
    for (name, value) in trailers {
        line(out, name.as_str(), value.as_bytes());
    }
}

fn line(out: &mut BytesMut, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// What follows the head of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behind {
    Length(u64),
    Chunks,
    /// Something else is spoken.
    Raw,
}

/// Reads an answer's head, which is one of our own writing or one that we have checked.
pub(super) fn read(head: &[u8]) -> Option<(Response<()>, Behind)> {
    let mut lines = [httparse::EMPTY_HEADER; MOST_LINES + 8];
    let mut parsed = httparse::Response::new(&mut lines);
    if parsed.parse(head).ok()?.is_partial() {
        return None;
    }
    let mut status = StatusCode::from_u16(parsed.code?).ok()?;
    let mut behind = Behind::Length(0);
    let mut headers = HeaderMap::with_capacity(parsed.headers.len());
    for line in &*parsed.headers {
        let name = HeaderName::from_bytes(line.name.as_bytes()).ok()?;
        if name == TRANSFER_ENCODING {
            behind = Behind::Chunks;
        } else if name == CONTENT_LENGTH {
            behind = Behind::Length(number(line.value)?);
        }
        if !is_for_one_hop(&name) {
            headers.append(name, HeaderValue::from_bytes(line.value).ok()?);
        }
    }
    if status == StatusCode::SWITCHING_PROTOCOLS {
        (status, behind) = (StatusCode::OK, Behind::Raw);
        headers.remove("sec-websocket-accept");
    }
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Some((response, behind))
}

fn is_for_one_hop(name: &HeaderName) -> bool {
    [CONNECTION, TRANSFER_ENCODING, UPGRADE].contains(name)
        || ["keep-alive", "proxy-connection"].contains(&name.as_str())
}

/// Reads the lines behind the last chunk.
pub(super) fn read_trailers(text: &[u8]) -> Option<HeaderMap> {
    let mut lines = [httparse::EMPTY_HEADER; MOST_LINES];
    let parsed = httparse::parse_headers(text, &mut lines).ok()?;
    let httparse::Status::Complete((_, lines)) = parsed else {
        return None;
    };
    let mut trailers = HeaderMap::with_capacity(lines.len());
    for line in lines {
        let name = HeaderName::from_bytes(line.name.as_bytes()).ok()?;
        trailers.append(name, HeaderValue::from_bytes(line.value).ok()?);
    }
    Some(trailers)
}

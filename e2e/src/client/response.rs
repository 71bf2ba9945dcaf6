//! A strict reader of HTTP/1.1 responses: what it accepts, every client accepts.

use std::fmt;

/// Longest head (status line and headers) read, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// Longest line of the chunked coding: a size in hexadecimal.
const MAX_CHUNK_LINE: usize = 256;

/// One response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names in lower case, values without blanks around, in order.
    pub headers: Vec<(String, String)>,
    /// The body, without any transfer coding.
    pub body: Vec<u8>,
    /// Whether the server will close the connection after it.
    pub closes: bool,
}

impl Response {
    /// The value of the first header `name` (given in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(held, _)| held == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Why something is no HTTP/1.1 response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Malformed {}

/// Reads one response from bytes as they come.
#[derive(Debug, Default)]
pub struct ResponseReader {
    state: State,
    /// Bytes not yet understood: of the head, or of a line of the chunked coding.
    pending: Vec<u8>,
    response: Response,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Head,
    Sized {
        left: usize,
    },
    UntilEnd,
    ChunkSize,
    Chunk {
        left: usize,
    },
    ChunkEnd,
    Trailer,
    Done,
}

impl ResponseReader {
    /// Takes the next bytes and returns whether the response is whole.
    ///
    /// # Errors
    /// When the bytes are no response, or go on after its end: this client never asks twice at once.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<bool, Malformed> {
        while !bytes.is_empty() {
            bytes = match self.state {
                State::Head => self.head(bytes)?,
                State::Sized { left } => {
                    let rest = self.body(bytes, left);
                    let left = left - (bytes.len() - rest.len());
                    self.state = if left == 0 {
                        State::Done
                    } else {
                        State::Sized { left }
                    };
                    rest
                }
                State::UntilEnd => self.body(bytes, bytes.len()),
                State::ChunkSize | State::ChunkEnd | State::Trailer => self.line(bytes)?,
                State::Chunk { left } => {
                    let rest = self.body(bytes, left);
                    let left = left - (bytes.len() - rest.len());
                    self.state = if left == 0 {
                        State::ChunkEnd
                    } else {
                        State::Chunk { left }
                    };
                    rest
                }
                State::Done => return Err(Malformed("bytes after the end of the response")),
            };
        }
        Ok(self.is_done())
    }

    /// Says that the connection has ended and returns whether the response is whole.
    pub fn end(&mut self) -> bool {
        if self.state == State::UntilEnd {
            self.state = State::Done;
        }
        self.is_done()
    }

    /// Whether the response is whole.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether no byte has come yet.
    pub fn is_untouched(&self) -> bool {
        self.state == State::Head && self.pending.is_empty() && self.response.status == 0
    }

    /// What there is of the response so far.
    pub fn response(&self) -> &Response {
        &self.response
    }

    /// The response, when it is whole; the reader is then ready for the next.
    pub fn take(&mut self) -> Option<Response> {
        if !self.is_done() {
            return None;
        }
        Some(std::mem::take(self).response)
    }

    fn body<'a>(&mut self, bytes: &'a [u8], at_most: usize) -> &'a [u8] {
        let (taken, rest) = bytes.split_at(at_most.min(bytes.len()));
        self.response.body.extend_from_slice(taken);
        rest
    }

    /// Collects the head to its empty line.
    fn head<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Malformed> {
        const END: &[u8] = b"\r\n\r\n";
        let before = self.pending.len();
        self.pending.extend_from_slice(bytes);
        let from = before.saturating_sub(END.len() - 1);
        let end = self.pending[from..]
            .windows(END.len())
            .position(|window| window == END);
        let Some(end) = end.map(|position| from + position + END.len()) else {
            let short = self.pending.len() <= MAX_HEAD;
            return if short {
                Ok(&[])
            } else {
                Err(Malformed("endless head"))
            };
        };
        let rest = &bytes[end - before..];
        let head = std::mem::take(&mut self.pending);
        let head = std::str::from_utf8(&head[..end - END.len()])
            .map_err(|_| Malformed("head is not UTF-8"))?;
        let (response, state) = parse_head(head)?;
        // An interim response (100 Continue …) is followed by the real one.
        if response.status >= 200 {
            self.response = response;
            self.state = state;
        }
        Ok(rest)
    }

    /// Collects one line of the chunked coding.
    fn line<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Malformed> {
        let end = bytes
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(bytes.len(), |at| at + 1);
        let (taken, rest) = bytes.split_at(end);
        self.pending.extend_from_slice(taken);
        if self.pending.len() > MAX_CHUNK_LINE {
            return Err(Malformed("endless line in the chunked coding"));
        }
        if self.pending.last() != Some(&b'\n') {
            return Ok(rest);
        }
        let line = std::mem::take(&mut self.pending);
        let line = line
            .strip_suffix(b"\r\n")
            .ok_or(Malformed("line ends without a carriage return"))?;
        self.state = match self.state {
            State::ChunkEnd if line.is_empty() => State::ChunkSize,
            State::ChunkEnd => return Err(Malformed("chunk is longer than its size")),
            State::Trailer if line.is_empty() => State::Done,
            State::Trailer => State::Trailer,
            State::Chunk { .. }
            | State::ChunkSize
            | State::Done
            | State::Head
            | State::Sized { .. }
            | State::UntilEnd => match chunk_size(line)? {
                0 => State::Trailer,
                left => State::Chunk { left },
            },
        };
        Ok(rest)
    }
}

/// The size before any extension, in hexadecimal without sign or prefix.
fn chunk_size(line: &[u8]) -> Result<usize, Malformed> {
    let wrong = Malformed("size of a chunk");
    let text = std::str::from_utf8(line).map_err(|_| wrong)?;
    let digits = text
        .split(';')
        .next()
        .unwrap_or_default()
        .trim_end_matches([' ', '\t']);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong);
    }
    usize::from_str_radix(digits, 16).map_err(|_| wrong)
}

fn parse_head(head: &str) -> Result<(Response, State), Malformed> {
    let mut lines = head.split("\r\n");
    let (version, status) = status_line(lines.next().unwrap_or_default())?;
    let mut response = Response {
        status,
        ..Response::default()
    };
    for line in lines {
        response.headers.push(header(line)?);
    }
    let says = |token: &str| {
        let values = response
            .headers
            .iter()
            .filter(|(name, _)| name == "connection");
        values
            .flat_map(|(_, value)| value.split(','))
            .any(|held| held.trim().eq_ignore_ascii_case(token))
    };
    response.closes = says("close") || (version == 0 && !says("keep-alive"));
    let state = framing(&response)?;
    response.closes |= state == State::UntilEnd;
    Ok((response, state))
}

/// The minor version and the status.
fn status_line(line: &str) -> Result<(u8, u16), Malformed> {
    let wrong = Malformed("status line");
    let rest = line.strip_prefix("HTTP/1.").ok_or(wrong)?;
    let (version, rest) = rest.split_once(' ').ok_or(wrong)?;
    let version = match version {
        "0" => 0,
        "1" => 1,
        _ => return Err(wrong),
    };
    // The blank before an empty reason is often left out; everybody accepts that.
    let digits = rest.split(' ').next().unwrap_or_default();
    if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong);
    }
    let status: u16 = digits.parse().map_err(|_| wrong)?;
    if status < 100 {
        Err(wrong)
    } else {
        Ok((version, status))
    }
}

fn header(line: &str) -> Result<(String, String), Malformed> {
    let (name, value) = line
        .split_once(':')
        .ok_or(Malformed("header without a colon"))?;
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(Malformed("name of a header"));
    }
    if value.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        return Err(Malformed("value of a header"));
    }
    Ok((
        name.to_ascii_lowercase(),
        value.trim_matches([' ', '\t']).to_owned(),
    ))
}

/// How the end of the body is known (RFC 9112, section 6.3).
fn framing(response: &Response) -> Result<State, Malformed> {
    let values = |wanted: &'static str| {
        response
            .headers
            .iter()
            .filter(move |(name, _)| name == wanted)
            .map(|(_, value)| value.as_str())
    };
    let mut lengths = values("content-length");
    let length = lengths.next();
    if lengths.any(|other| Some(other) != length) {
        return Err(Malformed("two lengths"));
    }
    let coding = values("transfer-encoding").next();
    if matches!(response.status, 100..=199 | 204 | 304) {
        return Ok(State::Done);
    }
    match (coding, length) {
        (Some(_), Some(_)) => Err(Malformed("both a length and a transfer coding")),
        (Some(coding), None) if coding.eq_ignore_ascii_case("chunked") => Ok(State::ChunkSize),
        (Some(_), None) => Err(Malformed("unknown transfer coding")),
        (None, Some(length)) if !length.bytes().all(|byte| byte.is_ascii_digit()) => {
            Err(Malformed("length is no number"))
        }
        (None, Some(length)) => match length.parse() {
            Ok(0) => Ok(State::Done),
            Ok(left) => Ok(State::Sized { left }),
            Err(_) => Err(Malformed("length is no number")),
        },
        (None, None) => Ok(State::UntilEnd),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: [(&str, &str, bool); 7] = [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "hello",
            false,
        ),
        (
            "HTTP/1.1 200\r\nContent-Length: 0\r\nConnection: Keep-Alive, CLOSE\r\n\r\n",
            "",
            true,
        ),
        ("HTTP/1.0 200 OK\r\nContent-Length:2\r\n\r\nab", "ab", true),
        (
            "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\nContent-Length:2\r\n\r\nab",
            "ab",
            false,
        ),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
            "",
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=1\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: 1\r\n\r\n",
            "abc0123456789",
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\nX: \r\n\r\nto the end",
            "to the end",
            true,
        ),
    ];

    #[test]
    fn at_once_and_byte_by_byte_are_the_same() {
        for (text, body, closes) in WELL {
            let mut at_once = ResponseReader::default();
            assert!(at_once.is_untouched());
            at_once.push(text.as_bytes()).unwrap();
            assert!(!at_once.is_untouched());
            assert!(at_once.end(), "{text}");
            let response = at_once.take().unwrap();
            assert_eq!(
                (response.body.as_slice(), response.closes),
                (body.as_bytes(), closes),
                "{text}"
            );
            assert!(at_once.is_untouched());

            let mut slowly = ResponseReader::default();
            for byte in text.bytes() {
                slowly.push(&[byte]).unwrap();
            }
            assert!(slowly.end());
            assert_eq!(slowly.take().unwrap(), response);
        }
    }

    #[test]
    fn every_true_prefix_is_incomplete() {
        for (text, _, _) in WELL.iter().take(6) {
            for length in 0..text.len() {
                let mut reader = ResponseReader::default();
                assert_eq!(
                    reader.push(&text.as_bytes()[..length]),
                    Ok(false),
                    "{length} of {text}"
                );
                assert!(!reader.end());
                assert_eq!(reader.take(), None);
            }
        }
    }

    #[test]
    fn what_is_no_response_is_refused() {
        let wrong = [
            "HTTP/2 200 OK\r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 099 OK\r\n\r\n",
            "HTTP/1.1 +20 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
            "HTTP/1.1 200 OK\r\n folded: b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\nab",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab",
        ];
        for text in wrong {
            assert!(
                ResponseReader::default().push(text.as_bytes()).is_err(),
                "{text:?}"
            );
        }
        assert!(
            ResponseReader::default()
                .push(&vec![b'H'; MAX_HEAD + 1])
                .is_err()
        );
    }

    #[test]
    fn headers_are_found_by_lower_case_name() {
        let mut reader = ResponseReader::default();
        reader
            .push(b"HTTP/1.1 503 Busy\r\nRetry-After: \t3 \r\nContent-Length: 0\r\n\r\n")
            .unwrap();
        let response = reader.take().unwrap();
        assert_eq!(
            (response.status, response.header("retry-after")),
            (503, Some("3"))
        );
    }
}

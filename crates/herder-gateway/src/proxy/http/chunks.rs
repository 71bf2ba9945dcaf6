//! Bodies in chunks, read while they pass by.

use bytes::{Buf, BytesMut};

use crate::proxy::http::extension::Extension;
use crate::proxy::http::field::Field;

/// What becomes of the framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frames {
    /// It is passed on, without extensions.
    Kept,
    /// Only the data are passed on.
    Stripped,
}

/// Who has written a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writer {
    /// A client, who may want others to read something else than we do.
    Client,
    Worker,
}

/// Why a body in chunks is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ChunkFault {
    #[error("the size of a chunk is not a number as it must be written")]
    Size,
    #[error("an extension of a chunk is longer than {EXTENSION} bytes, or malformed")]
    Extension,
    #[error("a chunk does not end where it must")]
    End,
    #[error("the lines after the last chunk are longer than {TRAILERS} bytes, or malformed")]
    Trailers,
    #[error("its body is longer than {0} bytes")]
    TooLarge(u64),
}

/// Longest extension of a chunk, in bytes.
const EXTENSION: u16 = 256;

/// Longest trailers, in bytes.
const TRAILERS: usize = 8192;

/// Most trailer lines.
const TRAILER_LINES: usize = 64;

/// A body in chunks, as far as it came.
#[derive(Debug)]
pub(super) struct Chunks {
    state: State,
    frames: Frames,
    writer: Writer,
    /// Of the chunk.
    left: u64,
    /// Of all chunks, with the one that is being read.
    total: u64,
    /// 0 = any.
    most: u64,
    trailers: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// So many digits came.
    Size(u8),
    /// So many bytes came.
    Extension(Extension, u16),
    SizeFeed,
    Data,
    DataReturn,
    DataFeed,
    /// At the beginning of a line.
    TrailerStart,
    TrailerLine,
    TrailerFeed,
    LastFeed,
    Done,
}

/// What becomes of a byte.
enum Fate {
    Pass,
    Drop,
}

impl Chunks {
    /// The body of a request, of at most so many bytes; 0 = any.
    pub(super) fn of_request(most: u64) -> Chunks {
        Chunks {
            writer: Writer::Client,
            ..Chunks::new(Frames::Kept, most)
        }
    }

    /// A body of at most so many bytes; 0 = any.
    pub(super) fn new(frames: Frames, most: u64) -> Chunks {
        Chunks {
            state: State::Size(0),
            frames,
            writer: Writer::Worker,
            left: 0,
            total: 0,
            most,
            trailers: Vec::new(),
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Reads on in `bytes` from `begin` on, and returns up to where they may be passed on. What may
    /// not is taken out; what follows the body is left.
    pub(super) fn feed(&mut self, bytes: &mut BytesMut, begin: usize) -> Result<usize, ChunkFault> {
        let (mut read, mut write) = (begin, begin);
        while read < bytes.len() && self.state != State::Done {
            if self.state == State::Data {
                let there = bytes.len() - read;
                let here = usize::try_from(self.left).map_or(there, |left| left.min(there));
                if read != write {
                    bytes.copy_within(read..read + here, write);
                }
                read += here;
                write += here;
                self.left -= here as u64;
                if self.left == 0 {
                    self.state = State::DataReturn;
                }
                continue;
            }
            let byte = bytes[read];
            read += 1;
            if let Fate::Pass = self.step(byte)? {
                bytes[write] = byte;
                write += 1;
            }
        }
        if read != write {
            let rest = bytes.len() - read;
            bytes.copy_within(read.., write);
            bytes.truncate(write + rest);
        }
        Ok(write)
    }

    /// What is to be passed on after the last byte of a body that is done.
    pub(super) fn take_tail(&mut self) -> Result<BytesMut, ChunkFault> {
        let mut tail = BytesMut::new();
        if self.trailers.is_empty() || self.frames == Frames::Stripped {
            return Ok(tail);
        }
        let text = std::mem::take(&mut self.trailers);
        let mut lines = [httparse::EMPTY_HEADER; TRAILER_LINES];
        let parsed = httparse::parse_headers(&text, &mut lines);
        let Ok(httparse::Status::Complete((_, lines))) = parsed else {
            return Err(ChunkFault::Trailers);
        };
        for line in lines {
            match Field::of(line.name.as_bytes()) {
                Field::Plain => {}
                Field::RequestId if self.writer == Writer::Worker => {}
                // How long a body is cannot be said behind it.
                Field::ContentLength | Field::TransferEncoding if self.writer == Writer::Client => {
                    return Err(ChunkFault::Trailers);
                }
                // Programs that put them among the headers must not be told by them who the client
                // is, nor which request this is.
                Field::Accept
                | Field::Connection
                | Field::ContentLength
                | Field::Cookie
                | Field::Dropped
                | Field::Expect
                | Field::Told(_)
                | Field::Host
                | Field::KeepAlive
                | Field::RequestId
                | Field::Te
                | Field::TransferEncoding
                | Field::Upgrade => continue,
            }
            tail.extend_from_slice(line.name.as_bytes());
            tail.extend_from_slice(b": ");
            tail.extend_from_slice(line.value);
            tail.extend_from_slice(b"\r\n");
        }
        tail.extend_from_slice(b"\r\n");
        Ok(tail)
    }

    /// The lines behind the last chunk, with an empty one, if there are any.
    #[cfg(feature = "http2")]
    pub(super) fn take_trailers(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.trailers)
    }

    fn step(&mut self, byte: u8) -> Result<Fate, ChunkFault> {
        let frame = match self.frames {
            Frames::Kept => Fate::Pass,
            Frames::Stripped => Fate::Drop,
        };
        self.state = match (self.state, byte) {
            (State::Size(1..), b'\r') => State::SizeFeed,
            (State::Size(1..), b';') => {
                self.state = State::Extension(Extension::Begin, 0);
                return Ok(Fate::Drop);
            }
            (State::Size(digits), _) => self.size(digits, byte)?,
            (State::Extension(extension, _), b'\r') if extension.may_end() => State::SizeFeed,
            (State::Extension(extension, length), _) => {
                let next = extension.step(byte).filter(|_| length < EXTENSION);
                let next = next.ok_or(ChunkFault::Extension)?;
                self.state = State::Extension(next, length + 1);
                return Ok(Fate::Drop);
            }
            (State::SizeFeed, b'\n') => self.begin()?,
            (State::SizeFeed, _) => return Err(ChunkFault::Size),
            (State::DataReturn, b'\r') => State::DataFeed,
            (State::DataFeed, b'\n') => State::Size(0),
            (State::DataReturn | State::DataFeed, _) => return Err(ChunkFault::End),
            (State::TrailerStart, b'\r') => State::LastFeed,
            (State::LastFeed, b'\n') => State::Done,
            (State::LastFeed, _) => return Err(ChunkFault::Trailers),
            (State::TrailerStart | State::TrailerLine | State::TrailerFeed, _) => {
                self.trailer(byte)?;
                return Ok(Fate::Drop);
            }
            (State::Data | State::Done, _) => State::Done,
        };
        if self.trailers.is_empty() {
            return Ok(frame);
        }
        // They come with their own last line.
        if self.state == State::Done {
            self.trailers.extend_from_slice(b"\r\n");
        }
        Ok(Fate::Drop)
    }

    fn size(&mut self, digits: u8, byte: u8) -> Result<State, ChunkFault> {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            _ => return Err(ChunkFault::Size),
        };
        // 15 digits cannot overflow, however many chunks there are.
        if digits >= 15 {
            return Err(ChunkFault::Size);
        }
        self.left = self.left * 16 + u64::from(digit);
        Ok(State::Size(digits + 1))
    }

    fn begin(&mut self) -> Result<State, ChunkFault> {
        if self.left == 0 {
            return Ok(State::TrailerStart);
        }
        self.total = self.total.saturating_add(self.left);
        if self.most > 0 && self.total > self.most {
            return Err(ChunkFault::TooLarge(self.most));
        }
        Ok(State::Data)
    }

    fn trailer(&mut self, byte: u8) -> Result<(), ChunkFault> {
        self.state = match (self.state, byte) {
            (State::TrailerLine, b'\r') => State::TrailerFeed,
            (State::TrailerFeed, b'\n') => State::TrailerStart,
            (State::TrailerFeed, _) | (_, b'\n') => return Err(ChunkFault::Trailers),
            _ => State::TrailerLine,
        };
        if self.trailers.len() >= TRAILERS {
            return Err(ChunkFault::Trailers);
        }
        self.trailers.push(byte);
        Ok(())
    }
}

/// Takes away what was passed on.
pub(super) fn discard(bytes: &mut BytesMut, count: usize) {
    if count == bytes.len() {
        bytes.clear();
    } else {
        bytes.advance(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds a text in pieces of every size; all must lead to the same: what was passed on, and what
    /// was left.
    fn pass(frames: Frames, text: &str) -> Result<(String, String), ChunkFault> {
        let whole = in_pieces(frames, text, text.len());
        for size in 1..text.len() {
            assert_eq!(in_pieces(frames, text, size), whole, "{text:?} by {size}");
        }
        whole
    }

    fn in_pieces(frames: Frames, text: &str, size: usize) -> Result<(String, String), ChunkFault> {
        let mut chunks = Chunks::new(frames, 100);
        let (mut bytes, mut ready) = (BytesMut::new(), 0);
        for piece in text.as_bytes().chunks(size) {
            bytes.extend_from_slice(piece);
            ready = chunks.feed(&mut bytes, ready)?;
        }
        if !chunks.is_done() {
            return Ok((String::new(), "more".to_owned()));
        }
        let rest = bytes.split_off(ready);
        bytes.extend_from_slice(&chunks.take_tail()?);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Ok((text(&bytes), text(&rest)))
    }

    fn passed(body: &str, rest: &str) -> Result<(String, String), ChunkFault> {
        Ok((body.to_owned(), rest.to_owned()))
    }

    #[test]
    fn what_is_as_it_must_be_passes_unchanged() {
        let body = "5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n";
        assert_eq!(
            pass(Frames::Kept, &format!("{body}GET")),
            passed(body, "GET")
        );
        assert_eq!(
            pass(Frames::Stripped, &format!("{body}GET")),
            passed("hello0123456789", "GET")
        );
    }

    #[test]
    fn extensions_do_not_pass() {
        let body = "5;a=\"b\";c\r\nhello\r\n0;x\r\n\r\n";
        let plain = "5\r\nhello\r\n0\r\n\r\n";
        assert_eq!(pass(Frames::Kept, body), passed(plain, ""));
        let long = format!("5;{}\r\nhello", "x".repeat(300));
        assert_eq!(pass(Frames::Kept, &long), Err(ChunkFault::Extension));
        assert_eq!(
            pass(Frames::Kept, "5;a\nb\r\nhello"),
            Err(ChunkFault::Extension)
        );
    }

    #[test]
    fn trailers_pass_unless_they_matter() {
        let body = "1\r\nx\r\n0\r\nSum: 12\r\nContent-Length: 3\r\nX_Forwarded_For: 1\r\n\r\nnext";
        assert_eq!(
            pass(Frames::Kept, body),
            passed("1\r\nx\r\n0\r\nSum: 12\r\n\r\n", "next")
        );
        assert_eq!(pass(Frames::Stripped, body), passed("x", "next"));
        for bad in [
            "0\r\nno colon\r\n\r\n",
            "0\r\n a: b\r\n\r\n",
            "0\r\na: b\n\r\n",
        ] {
            assert_eq!(
                pass(Frames::Kept, bad),
                Err(ChunkFault::Trailers),
                "{bad:?}"
            );
        }
        let long = format!("0\r\na: {}\r\n\r\n", "x".repeat(TRAILERS));
        let long = in_pieces(Frames::Kept, &long, 1000);
        assert_eq!(long, Err(ChunkFault::Trailers));
    }

    #[test]
    fn clients_cannot_say_behind_a_body_which_request_it_is_of() {
        let text = b"0\r\nX-Request-Id: mine\r\nx_request_id: mine\r\na: b\r\n\r\n";
        let tail = |mut chunks: Chunks| {
            let mut bytes = BytesMut::from(&text[..]);
            chunks.feed(&mut bytes, 0).unwrap();
            String::from_utf8(chunks.take_tail().unwrap().to_vec()).unwrap()
        };
        assert_eq!(tail(Chunks::of_request(0)), "a: b\r\n\r\n");
        let of_worker = tail(Chunks::new(Frames::Kept, 0));
        assert_eq!(of_worker, "X-Request-Id: mine\r\na: b\r\n\r\n");
    }

    #[test]
    fn clients_cannot_say_how_long_a_body_is_behind_it() {
        for line in ["Content-Length: 3", "a: b\r\ntransfer-encoding: chunked"] {
            let mut chunks = Chunks::of_request(0);
            let mut bytes = BytesMut::from(format!("0\r\n{line}\r\n\r\n").as_bytes());
            chunks.feed(&mut bytes, 0).unwrap();
            assert_eq!(chunks.take_tail(), Err(ChunkFault::Trailers), "{line}");
        }
    }

    #[test]
    fn what_others_might_read_otherwise_is_refused() {
        for (bad, fault) in [
            ("\r\nhello", ChunkFault::Size),
            ("x\r\n", ChunkFault::Size),
            ("0x5\r\n", ChunkFault::Size),
            ("+5\r\n", ChunkFault::Size),
            (" 5\r\n", ChunkFault::Size),
            ("5 \r\n", ChunkFault::Size),
            ("5\n", ChunkFault::Size),
            ("5\rx", ChunkFault::Size),
            (";a\r\n", ChunkFault::Size),
            ("1000000000000000\r\n", ChunkFault::Size),
            ("5\r\nhello0\r\n\r\n", ChunkFault::End),
            ("5\r\nhello\n0\r\n\r\n", ChunkFault::End),
            ("5\r\nhello\r0\r\n\r\n", ChunkFault::End),
            ("0\r\n\rx", ChunkFault::Trailers),
            ("0\r\n\n", ChunkFault::Trailers),
            ("65\r\n", ChunkFault::TooLarge(100)),
            ("64\r\n", ChunkFault::Size),
        ] {
            let expected = if bad == "64\r\n" {
                passed("", "more")
            } else {
                Err(fault)
            };
            assert_eq!(pass(Frames::Kept, bad), expected, "{bad:?}");
        }
    }
}

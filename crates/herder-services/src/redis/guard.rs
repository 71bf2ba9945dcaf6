//! [`Guarded`]: a connection that is given up when what arrives is no answer, or is too long for one.
//!
//! The client keeps whatever an answer announces until it is complete. What is announced is therefore
//! looked at before the client sees it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The longest answer, in bytes. The longest that is asked for is a page of values, with one of the
/// longest at its end; messages are shorter than a frame of the library, which has 16 MiB.
const LONGEST: u64 = 32 * 1024 * 1024;

/// The most values in one answer, however they are nested.
const MOST: u64 = 256 * 1024;

/// The longest line: a number, or what went wrong.
const LINE: usize = 64 * 1024;

/// A stream whose answers are watched.
pub(super) struct Guarded<S> {
    stream: S,
    watch: Watch,
}

/// How far the answer is that arrives.
#[derive(Debug, Default)]
struct Watch {
    /// The bytes of the answer so far, with those that are announced.
    length: u64,
    /// Its values so far, with those that are announced.
    values: u64,
    /// How many of them are not here yet.
    missing: u64,
    /// How many bytes of a value, with its end of line, are not here yet.
    bulk: u64,
    /// The line that arrives, without its end.
    line: Vec<u8>,
}

impl<S> Guarded<S> {
    pub(super) fn new(stream: S) -> Guarded<S> {
        Guarded {
            stream,
            watch: Watch::default(),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        let arrived = buffer.filled().get(before..).unwrap_or_default();
        let watched = this.watch.arrive(arrived);
        Poll::Ready(watched.map_err(|reason| io::Error::new(io::ErrorKind::InvalidData, reason)))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buffer)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

impl Watch {
    fn arrive(&mut self, mut bytes: &[u8]) -> Result<(), &'static str> {
        while !bytes.is_empty() {
            if self.bulk > 0 {
                let some = usize::try_from(self.bulk).unwrap_or(usize::MAX);
                let (_, rest) = bytes.split_at(some.min(bytes.len()));
                self.bulk -= (bytes.len() - rest.len()) as u64;
                bytes = rest;
                if self.bulk == 0 {
                    self.value();
                }
                continue;
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let (part, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
            if self.line.len() + part.len() > LINE {
                return Err("the store sends a line without an end");
            }
            self.line.extend_from_slice(part);
            // What is no answer at all may have no lines either.
            if !self.line.first().is_some_and(is_kind) {
                return Err(STRANGE);
            }
            bytes = rest;
            if end.is_some() {
                let line = std::mem::take(&mut self.line);
                self.line(&line)?;
            }
        }
        Ok(())
    }

    /// A whole line, with its end.
    fn line(&mut self, line: &[u8]) -> Result<(), &'static str> {
        let (kind, text) = match line {
            [kind, text @ .., b'\r', b'\n'] => (*kind, text),
            _ => return Err(STRANGE),
        };
        self.take(line.len() as u64, 0)?;
        match kind {
            b'$' | b'!' | b'=' => match number(text)? {
                // There is no value.
                None => self.value(),
                Some(length) => {
                    self.bulk = length.checked_add(2).ok_or(LONG)?;
                    self.take(self.bulk, 0)?;
                }
            },
            b'*' | b'~' | b'>' => self.values(number(text)?.unwrap_or(0), 1)?,
            b'%' => self.values(number(text)?.unwrap_or(0), 2)?,
            // Attributes stand before a value, which is still to come.
            b'|' => {
                self.values(number(text)?.unwrap_or(0), 2)?;
                self.missing += 1;
            }
            _ => self.value(),
        }
        Ok(())
    }

    /// So many values follow, which together are one.
    fn values(&mut self, count: u64, each: u64) -> Result<(), &'static str> {
        let count = count.checked_mul(each).ok_or(LONG)?;
        self.take(0, count)?;
        self.missing = self.missing.max(1) + count;
        self.value();
        Ok(())
    }

    /// A value is complete, and with the last one the answer.
    fn value(&mut self) {
        self.missing = self.missing.saturating_sub(1);
        if self.missing == 0 {
            (self.length, self.values) = (0, 0);
        }
    }

    fn take(&mut self, bytes: u64, values: u64) -> Result<(), &'static str> {
        self.length = self.length.saturating_add(bytes);
        self.values = self.values.saturating_add(values);
        if self.length > LONGEST || self.values > MOST {
            return Err(LONG);
        }
        Ok(())
    }
}

const LONG: &str = "the store sends more than any answer has";
const STRANGE: &str = "what the store sends is no answer";

fn is_kind(byte: &u8) -> bool {
    b"+-:_,#!=($*~>%|".contains(byte)
}

/// A length, or -1 for nothing.
fn number(text: &[u8]) -> Result<Option<u64>, &'static str> {
    if text == b"-1" {
        return Ok(None);
    }
    let text = std::str::from_utf8(text).map_err(|_| STRANGE)?;
    text.parse().map(Some).map_err(|_| STRANGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of it, in pieces of every length.
    fn watch(bytes: &[u8]) -> Result<u64, &'static str> {
        let mut outcomes = [1, 2, 3, 7, 100_000].map(|length| {
            let mut watch = Watch::default();
            let mut pieces = bytes.chunks(length);
            let outcome = pieces.try_for_each(|piece| watch.arrive(piece));
            outcome.map(|()| watch.missing + watch.bulk + watch.line.len() as u64)
        });
        outcomes.sort();
        assert_eq!(outcomes[0], outcomes[4]);
        outcomes[0]
    }

    #[test]
    fn answers_of_every_kind_pass_and_end() {
        for answer in [
            "+OK\r\n",
            "-ERR no\r\n",
            ":-1\r\n_\r\n#t\r\n,1.5\r\n(123\r\n",
            "$5\r\na\r\nb\n\r\n$0\r\n\r\n$-1\r\n*-1\r\n*0\r\n",
            "!2\r\nno\r\n=5\r\ntxt:a\r\n",
            "*2\r\n*2\r\n:1\r\n$1\r\na\r\n*0\r\n",
            "%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n~1\r\n:1\r\n",
            ">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n+OK\r\n",
            "|1\r\n+ttl\r\n:3\r\n*1\r\n|1\r\n+a\r\n:1\r\n:7\r\n",
        ] {
            assert_eq!(watch(answer.as_bytes()), Ok(0), "{answer:?}");
        }
        assert_ne!(watch(b"*2\r\n:1\r\n"), Ok(0));
        assert_ne!(watch(b"$3\r\nab"), Ok(0));
    }

    #[test]
    fn what_is_no_answer_is_told() {
        for garbage in [
            "HTTP/1.1 400 Bad Request\r\n",
            "\0",
            "+OK\n",
            "$x\r\n",
            "*-2\r\n",
            "$99999999999999999999\r\n",
        ] {
            assert_eq!(watch(garbage.as_bytes()), Err(STRANGE), "{garbage:?}");
        }
        assert!(watch(&[b'+'; LINE + 1]).is_err());
    }

    #[test]
    fn what_is_too_long_is_told_when_it_is_announced() {
        for answer in [
            "$1073741824\r\n",
            "$18446744073709551615\r\n",
            "*1000000000\r\n",
            "%18446744073709551615\r\n",
            "*2\r\n*200000\r\n*200000\r\n",
        ] {
            assert_eq!(watch(answer.as_bytes()), Err(LONG), "{answer:?}");
        }
        // Each is short enough, both are not.
        let mut watch = Watch::default();
        let half = vec![b'a'; 20_000_000];
        watch.arrive(b"*2\r\n$20000000\r\n").unwrap();
        watch.arrive(&half).unwrap();
        assert_eq!(watch.arrive(b"\r\n$20000000\r\n"), Err(LONG));
        // One after the other, they are.
        let mut watch = Watch::default();
        for _ in 0..3 {
            watch.arrive(b"$20000000\r\n").unwrap();
            watch.arrive(&half).unwrap();
            watch.arrive(b"\r\n").unwrap();
        }
    }
}

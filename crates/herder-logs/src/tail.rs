//! What a process printed last, for a report about its end.

use std::collections::VecDeque;

use crate::reader::Stream;

/// How many lines a report has, and how much of each.
const LINES: usize = 20;
const LINE_LIMIT: usize = 1024;

/// How much is kept of what was printed, in bytes: a little more than a report can have.
const KEPT: usize = 24 * 1024;

/// A piece is not added to when it is this long.
const PIECE: usize = 4 * 1024;

/// The end of what both streams of a process said. What was moved within the kernel is read back from
/// the file, and only when somebody asks.
#[derive(Default, Debug)]
pub(crate) struct Tail {
    pieces: VecDeque<Piece>,
    length: usize,
    /// Something before the first piece is not kept.
    cut: bool,
}

#[derive(Debug)]
struct Piece {
    stream: Stream,
    bytes: Bytes,
}

#[derive(Debug)]
enum Bytes {
    Here(Vec<u8>),
    InFile { file: usize, at: u64, length: usize },
}

impl Piece {
    fn length(&self) -> usize {
        match &self.bytes {
            Bytes::Here(bytes) => bytes.len(),
            Bytes::InFile { length, .. } => *length,
        }
    }
}

impl Tail {
    /// Something was printed.
    pub(crate) fn push(&mut self, stream: Stream, bytes: &[u8]) {
        let (cut, bytes) = match bytes.len().checked_sub(KEPT) {
            Some(surplus @ 1..) => (true, &bytes[surplus..]),
            Some(0) | None => (false, bytes),
        };
        self.cut |= cut;
        match self.pieces.back_mut() {
            Some(Piece {
                stream: of,
                bytes: Bytes::Here(last),
            }) if *of == stream && last.len() + bytes.len() <= PIECE => {
                last.extend_from_slice(bytes);
                self.length += bytes.len();
                self.trim();
            }
            Some(_) | None => self.add(stream, Bytes::Here(bytes.to_vec())),
        }
    }

    /// Something that was printed stands in a file.
    pub(crate) fn moved(&mut self, stream: Stream, file: usize, at: u64, length: usize) {
        let surplus = length.saturating_sub(KEPT);
        self.cut |= surplus > 0;
        let (at, length) = (at + surplus as u64, length - surplus);
        if let Some(Piece {
            stream: of,
            bytes:
                Bytes::InFile {
                    file: in_file,
                    at: begin,
                    length: so_far,
                },
        }) = self.pieces.back_mut()
            && (*of, *in_file, *begin + *so_far as u64) == (stream, file, at)
            && *so_far + length <= PIECE
        {
            *so_far += length;
            self.length += length;
            self.trim();
        } else {
            self.add(stream, Bytes::InFile { file, at, length });
        }
    }

    fn add(&mut self, stream: Stream, bytes: Bytes) {
        let piece = Piece { stream, bytes };
        self.length += piece.length();
        self.pieces.push_back(piece);
        self.trim();
    }

    fn trim(&mut self) {
        while let Some(first) = self.pieces.front().map(Piece::length)
            && self.length - first >= KEPT
        {
            self.pieces.pop_front();
            self.length -= first;
            self.cut = true;
        }
    }

    /// A file is about to become another: what is in it is read now.
    pub(crate) fn fetch(&mut self, file: usize, read: impl Fn(u64, usize) -> Vec<u8>) {
        for piece in &mut self.pieces {
            if let Bytes::InFile {
                file: of,
                at,
                length,
            } = piece.bytes
                && of == file
            {
                let bytes = read(at, length);
                self.length = self.length + bytes.len() - length;
                piece.bytes = Bytes::Here(bytes);
            }
        }
    }

    /// The last lines in the order in which they ended, then those that have not.
    pub(crate) fn lines(&self, read: impl Fn(usize, u64, usize) -> Vec<u8>) -> Vec<String> {
        let mut lines: VecDeque<Vec<u8>> = VecDeque::new();
        let mut begun: [Option<Vec<u8>>; 2] = [None, None];
        let mut room;
        for piece in &self.pieces {
            let bytes = match &piece.bytes {
                Bytes::Here(bytes) => bytes,
                Bytes::InFile { file, at, length } => {
                    room = read(*file, *at, *length);
                    &room
                }
            };
            let begun = &mut begun[usize::from(piece.stream == Stream::Error)];
            let mut rest = bytes.as_slice();
            while let Some(end) = memchr::memchr(b'\n', rest) {
                let mut line = begun.take().unwrap_or_default();
                line.extend_from_slice(&rest[..end]);
                if lines.len() == LINES {
                    lines.pop_front();
                }
                lines.push_back(line);
                rest = &rest[end + 1..];
            }
            if !rest.is_empty() {
                begun.get_or_insert_default().extend_from_slice(rest);
            }
        }
        lines.extend(begun.into_iter().flatten());
        let surplus = lines.len().saturating_sub(LINES);
        let is_cut = self.cut && surplus == 0 && lines.len() < LINES;
        let shown = lines.iter().skip(surplus).enumerate();
        shown
            .map(|(at, line)| {
                let begin = if at == 0 && is_cut { "…" } else { "" };
                format!("{begin}{}", show(line))
            })
            .collect()
    }
}

fn show(line: &[u8]) -> String {
    match line.get(..LINE_LIMIT) {
        Some(cut) if line.len() > LINE_LIMIT => format!("{}…", String::from_utf8_lossy(cut)),
        Some(_) | None => String::from_utf8_lossy(line).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nowhere(_: usize, _: u64, _: usize) -> Vec<u8> {
        panic!("nothing is in a file")
    }

    #[test]
    fn the_last_lines_of_both_streams_and_unfinished_ones() {
        let mut tail = Tail::default();
        for n in 0..30 {
            tail.push(Stream::Out, format!("out {n}\nunfini").as_bytes());
            tail.push(Stream::Out, b"shed\n");
        }
        let long = format!("err\n{}\nloading ...", "x".repeat(2 * LINE_LIMIT));
        tail.push(Stream::Error, long.as_bytes());
        let lines = tail.lines(nowhere);
        assert_eq!(lines.len(), LINES);
        assert_eq!(lines[14..18], ["unfinished", "out 29", "unfinished", "err"]);
        assert_eq!(lines[18], format!("{}…", "x".repeat(LINE_LIMIT)));
        assert_eq!(lines[19], "loading ...");
    }

    #[test]
    fn what_was_moved_is_read_back_and_memory_is_bounded() {
        let mut tail = Tail::default();
        let file: Vec<u8> = (0..100_000)
            .flat_map(|n| format!("{n}\n").into_bytes())
            .collect();
        let read = |at: u64, length| {
            let at = usize::try_from(at).unwrap();
            file[at..at + length].to_vec()
        };
        let first = file.len() / 2;
        tail.moved(Stream::Out, 7, 0, first);
        tail.moved(Stream::Out, 7, first as u64, file.len() - first);
        tail.push(Stream::Out, b"end\n");
        assert_eq!(tail.pieces.len(), 2);
        let last = |lines: Vec<String>| lines[LINES - 2..].to_vec();
        let lines = tail.lines(|of, at, length| {
            assert_eq!(of, 7);
            read(at, length)
        });
        assert_eq!(last(lines), ["99999", "end"]);
        tail.fetch(7, read);
        assert_eq!(last(tail.lines(nowhere)), ["99999", "end"]);
        for _ in 0..100_000 {
            tail.push(Stream::Out, b"y\n");
        }
        assert!(tail.length <= KEPT + PIECE);
        assert!(tail.pieces.len() <= 2 * KEPT / PIECE);
        for n in 0..100_000 {
            tail.moved(Stream::Out, 7, n * 2, 2);
        }
        assert!(tail.length <= KEPT + PIECE);
        assert!(tail.pieces.len() <= 2 * KEPT / PIECE);
    }

    #[test]
    fn a_line_whose_begin_is_lost_says_so() {
        let mut tail = Tail::default();
        tail.push(Stream::Error, &vec![b'x'; KEPT + 1]);
        tail.push(Stream::Error, b"\nlast");
        let lines = tail.lines(nowhere);
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("…xx") && lines[0].ends_with("x…"));
        assert_eq!(lines[1], "last");
    }
}

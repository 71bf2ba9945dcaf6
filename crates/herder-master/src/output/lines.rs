//! Bytes in, lines out, with bounded memory.

use herder_logs::{Ending, split};

/// The longest line that is passed on in one piece, in bytes. A longer one is passed on in pieces,
/// each but the last marked as continuing.
pub(super) const MAX_LINE: usize = 16 * 1024;

/// Cuts one stream of bytes into lines. Holds at most [`MAX_LINE`] + 1 bytes.
#[derive(Default)]
pub(super) struct Splitter {
    /// The line that has begun; at most `MAX_LINE` bytes between calls.
    partial: Vec<u8>,
}

impl Splitter {
    /// Takes the next bytes of the stream and gives every line that is complete by now, without
    /// its newline.
    pub(super) fn feed(&mut self, bytes: &[u8], take: impl FnMut(&[u8], Ending)) {
        split(MAX_LINE, &mut self.partial, bytes, take);
    }

    /// The stream has ended: gives what stands there without a newline.
    pub(super) fn finish(&mut self, mut take: impl FnMut(&[u8], Ending)) {
        if !self.partial.is_empty() {
            take(&self.partial, Ending::Whole);
            self.partial = Vec::new();
        }
    }

    /// The line that has begun and has no newline yet.
    pub(super) fn unfinished(&self) -> &[u8] {
        &self.partial
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a splitter gives for these chunks: text, and `+` after a piece that continues.
    fn split(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut splitter = Splitter::default();
        let mut lines = Vec::new();
        let mut take = |line: &[u8], ending: Ending| {
            assert!(line.len() <= MAX_LINE);
            let mut line = line.to_vec();
            if ending == Ending::Continues {
                line.push(b'+');
            }
            lines.push(line);
        };
        for chunk in chunks {
            splitter.feed(chunk, &mut take);
            assert!(splitter.partial.len() <= MAX_LINE);
            assert!(
                splitter.partial.capacity() <= 2 * (MAX_LINE + 1),
                "memory is bounded"
            );
        }
        splitter.finish(&mut take);
        lines
    }

    #[test]
    fn lines_are_found_wherever_the_chunks_end() {
        let text = b"one\n\ntwo\nthree\n";
        let whole = [
            b"one".to_vec(),
            b"".to_vec(),
            b"two".to_vec(),
            b"three".to_vec(),
        ];
        for at in 0..=text.len() {
            let (left, right) = text.split_at(at);
            assert_eq!(split(&[left, right]), whole, "cut at {at}");
        }
        let single: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(split(&single), whole);
    }

    #[test]
    fn an_end_without_newline_still_gives_the_line() {
        assert_eq!(split(&[b"a\nb"]), [b"a".to_vec(), b"b".to_vec()]);
        assert_eq!(split(&[b"a\n"]), [b"a".to_vec()]);
        assert!(split(&[b""]).is_empty());
    }

    #[test]
    fn nuls_carriage_returns_and_invalid_utf8_pass_unchanged() {
        assert_eq!(
            split(&[b"\0a\0\r\n\xff\xfe\n\xc3\n"]),
            [b"\0a\0\r".to_vec(), b"\xff\xfe".to_vec(), b"\xc3".to_vec()]
        );
    }

    #[test]
    fn r43_a_line_of_the_limit_is_whole_and_a_longer_one_comes_in_marked_pieces() {
        let limit = vec![b'x'; MAX_LINE];
        let mut marked = limit.clone();
        marked.push(b'+');

        for chunk in [1, 1000, MAX_LINE, 5 * MAX_LINE] {
            let feed = |length: usize, end: &[u8]| {
                let mut stream = vec![b'x'; length];
                stream.extend_from_slice(end);
                split(&stream.chunks(chunk).collect::<Vec<_>>())
            };
            assert_eq!(feed(MAX_LINE, b"\nb\n"), [limit.clone(), b"b".to_vec()]);
            assert_eq!(feed(MAX_LINE, b""), std::slice::from_ref(&limit));
            assert_eq!(
                feed(MAX_LINE + 1, b"\nb\n"),
                [marked.clone(), b"x".to_vec(), b"b".to_vec()]
            );
            assert_eq!(
                feed(3 * MAX_LINE, b"\n"),
                [marked.clone(), marked.clone(), limit.clone()]
            );
        }
    }

    #[test]
    fn a_cut_tears_no_character() {
        // 16,384 is no multiple of 3, and 16,383 none of 4: the cut would fall into a character.
        for (character, lead) in [("€", 0), ("😀", 1)] {
            let mut text = "x".repeat(lead);
            text.push_str(&character.repeat(MAX_LINE));
            text.push('\n');
            let pieces = split(&[text.as_bytes()]);
            assert!(pieces.len() > 2);
            let mut joined = String::new();
            for piece in &pieces {
                let piece = std::str::from_utf8(piece).expect("no torn character");
                joined.push_str(piece.trim_end_matches('+'));
            }
            assert_eq!(joined, text.trim_end());
        }
    }

    #[test]
    fn a_long_run_of_continuation_bytes_is_cut_all_the_same() {
        let bytes = vec![0x80; 2 * MAX_LINE];
        let pieces = split(&[&bytes]);
        assert_eq!(
            pieces.iter().map(Vec::len).collect::<Vec<_>>(),
            [MAX_LINE + 1, MAX_LINE]
        );
    }
}

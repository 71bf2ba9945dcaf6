//! Bytes in, lines out, with bounded memory.

/// The longest line that is written in one piece, in bytes. A longer one is written in pieces.
pub(crate) const MAX_LINE: usize = 64 * 1024;

/// Whether a piece is the end of its line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// The line goes on in the next piece of the same stream.
    Continues,
    /// The line is complete.
    Whole,
}

/// Gives every line that is complete with these bytes, without its newline; one of more than `longest` bytes
/// in pieces, of which none tears a UTF-8 character. What is left stays in `partial`, which holds at most
/// `longest` bytes between calls. A line of exactly that many is not cut: only a byte more shows that it has
/// to be.
pub fn split(
    longest: usize,
    partial: &mut Vec<u8>,
    bytes: &[u8],
    mut take: impl FnMut(&[u8], Ending),
) {
    let mut begin = 0;
    for end in memchr::memchr_iter(b'\n', bytes) {
        let line = &bytes[begin..end];
        if partial.is_empty() && line.len() <= longest {
            take(line, Ending::Whole);
        } else {
            extend(longest, partial, line, &mut take);
            take(partial, Ending::Whole);
            partial.clear();
        }
        begin = end + 1;
    }
    extend(longest, partial, &bytes[begin..], &mut take);
    if partial.is_empty() && partial.capacity() > longest / 8 {
        *partial = Vec::new();
    }
}

fn extend(
    longest: usize,
    partial: &mut Vec<u8>,
    mut bytes: &[u8],
    take: &mut impl FnMut(&[u8], Ending),
) {
    while partial.len() + bytes.len() > longest {
        let (fill, rest) = bytes.split_at(longest + 1 - partial.len());
        partial.extend_from_slice(fill);
        let cut = place_to_cut(longest, partial);
        take(&partial[..cut], Ending::Continues);
        partial.drain(..cut);
        bytes = rest;
    }
    partial.extend_from_slice(bytes);
}

/// Where to cut `longest` + 1 bytes so that no UTF-8 character is torn.
fn place_to_cut(longest: usize, bytes: &[u8]) -> usize {
    let begins_character = |at: &usize| bytes[*at] & 0b1100_0000 != 0b1000_0000;
    // A character has at most three bytes after its first; without one it is no UTF-8 anyway.
    (longest - 3..=longest)
        .rev()
        .find(begins_character)
        .unwrap_or(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(chunks: &[&[u8]]) -> Vec<(Vec<u8>, Ending)> {
        let (mut partial, mut lines) = (Vec::new(), Vec::new());
        for chunk in chunks {
            split(MAX_LINE, &mut partial, chunk, |line, ending| {
                lines.push((line.to_vec(), ending));
            });
            assert!(partial.len() <= MAX_LINE);
        }
        lines.push((partial, Ending::Continues));
        lines
    }

    #[test]
    fn lines_are_found_wherever_the_chunks_end() {
        let text = b"one\n\ntwo\r\n\xff\0\nrest";
        let whole = |line: &[u8]| (line.to_vec(), Ending::Whole);
        let expected = [
            whole(b"one"),
            whole(b""),
            whole(b"two\r"),
            whole(b"\xff\0"),
            (b"rest".to_vec(), Ending::Continues),
        ];
        for at in 0..=text.len() {
            let (left, right) = text.split_at(at);
            assert_eq!(all(&[left, right]), expected, "cut at {at}");
        }
    }

    #[test]
    fn r43_a_long_line_comes_in_pieces_that_tear_no_character() {
        for (character, lead) in [("€", 1), ("😀", 1)] {
            let text = format!("{}{}\nnext\n", "x".repeat(lead), character.repeat(MAX_LINE));
            for chunk in [1000, MAX_LINE, 5 * MAX_LINE] {
                let lines = all(&text.as_bytes().chunks(chunk).collect::<Vec<_>>());
                let pieces: Vec<_> = lines
                    .iter()
                    .map(|(line, _)| std::str::from_utf8(line).expect("no torn character"))
                    .collect();
                assert!(lines.iter().all(|(line, _)| line.len() <= MAX_LINE));
                let ends = lines.iter().filter(|(_, it)| *it == Ending::Whole).count();
                assert_eq!(ends, 2);
                assert_eq!(pieces.concat(), text.replace('\n', ""));
            }
        }
    }

    #[test]
    fn a_line_of_the_limit_is_whole() {
        let mut text = vec![b'x'; MAX_LINE];
        text.push(b'\n');
        let lines = all(&text.chunks(1000).collect::<Vec<_>>());
        assert_eq!(lines[0], (vec![b'x'; MAX_LINE], Ending::Whole));
        assert_eq!(lines.len(), 2);
    }
}

//! Text of strangers, made harmless for a terminal and for a log of one line per entry.

use std::fmt::Write as _;

/// Appends `bytes` with every control character but the tab, and every byte that is no UTF-8,
/// written as an escape (`\x1b`, `\n`).
pub(super) fn escape(bytes: &[u8], into: &mut String) {
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\t' => into.push('\t'),
                '\n' => into.push_str("\\n"),
                '\r' => into.push_str("\\r"),
                control if control.is_control() => push_hex(u32::from(control), into),
                plain => into.push(plain),
            }
        }
        for &byte in chunk.invalid() {
            push_hex(u32::from(byte), into);
        }
    }
}

fn push_hex(code: u32, into: &mut String) {
    // Control characters end at U+009F: two digits are enough.
    write!(into, "\\x{code:02x}").expect("writing to memory cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_command_a_terminal_is_escaped_and_nothing_else_is() {
        for (given, expected) in [
            (&b"plain \t text"[..], "plain \t text"),
            ("grün 😀 \\x41".as_bytes(), "grün 😀 \\x41"),
            (b"\x1b[2J\x07\0\x7f", "\\x1b[2J\\x07\\x00\\x7f"),
            (b"a\r\nb", "a\\r\\nb"),
            ("\u{9b}31m\u{85}".as_bytes(), "\\x9b31m\\x85"),
            (b"\xff\xc3(", "\\xff\\xc3("),
        ] {
            let mut escaped = String::new();
            escape(given, &mut escaped);
            assert_eq!(escaped, expected);
        }
    }
}

//! Names, times and sizes as people read them.

use std::fmt::Write;

/// `text` without anything that a terminal would obey, or that would turn its order around. What is
/// replaced can be told from what is shown.
pub(crate) fn escape(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        push_escaped(&mut shown, c);
    }
    shown
}

/// A line of output: tabs stay, and so do colours if `colour` is [`Sgr::Kept`]. They end with the line.
pub(crate) fn escape_line(line: &str, colour: Sgr) -> String {
    let mut shown = String::with_capacity(line.len());
    let mut rest = line;
    let mut painted = false;
    while let Some(c) = rest.chars().next() {
        let sequence = match colour {
            Sgr::Kept | Sgr::Dropped => sgr(rest),
            Sgr::Escaped => None,
        };
        if let Some(length) = sequence {
            if colour == Sgr::Kept {
                shown.push_str(&rest[..length]);
                painted = true;
            }
            rest = &rest[length..];
            continue;
        }
        rest = &rest[c.len_utf8()..];
        if c == '\t' {
            shown.push(c);
        } else {
            push_escaped(&mut shown, c);
        }
    }
    if painted {
        shown.push_str("\x1b[0m");
    }
    shown
}

/// What becomes of the colours that a program writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sgr {
    /// They are obeyed: they can do no harm.
    Kept,
    /// They are shown.
    Escaped,
    /// They are left out: nothing is lost but colour.
    Dropped,
}

/// How long a sequence is at the start of `text` that sets colours and nothing else.
fn sgr(text: &str) -> Option<usize> {
    let rest = text.strip_prefix("\x1b[")?;
    let length = rest.find(|c: char| !c.is_ascii_digit() && c != ';' && c != ':')?;
    rest[length..].starts_with('m').then_some(2 + length + 1)
}

fn push_escaped(to: &mut String, c: char) {
    let turns = matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{2028}' | '\u{2029}');
    match c {
        '\n' => to.push_str("\\n"),
        '\r' => to.push_str("\\r"),
        '\t' => to.push_str("\\t"),
        '\x1b' => to.push_str("\\e"),
        _ if c.is_control() || turns => {
            write!(to, "\\u{{{:x}}}", u32::from(c)).expect("a String takes everything");
        }
        _ => to.push(c),
    }
}

/// At most `width` characters of `text`, with `…` where it was cut.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept = text.chars().take(width.saturating_sub(1));
    kept.chain(['…']).take(width).collect()
}

/// How long something has lasted: the two largest units.
pub(crate) fn age(millis: u64) -> String {
    let seconds = millis / 1000;
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    if days > 0 {
        format!("{days}d {hours}h")
    } else if hours > 0 {
        format!("{hours}h {minutes}m")
    } else if minutes > 0 {
        format!("{minutes}m {rest}s")
    } else {
        format!("{rest}s")
    }
}

/// A time to wait: milliseconds while they matter.
pub(crate) fn wait(millis: u64) -> String {
    match millis {
        0..1000 => format!("{millis} ms"),
        1000..10_000 => format!("{}.{} s", millis / 1000, millis % 1000 / 100),
        _ => age(millis),
    }
}

/// A number of bytes, with one digit behind the point below 100.
pub(crate) fn bytes(count: u64) -> String {
    let units = [(40, 'T'), (30, 'G'), (20, 'M'), (10, 'K')];
    let Some((shift, unit)) = units.into_iter().find(|(shift, _)| count >= 1 << shift) else {
        return format!("{count}B");
    };
    let whole = count >> shift;
    // In parts of 1024, so that ten times as many fit.
    let tenth = (((count - (whole << shift)) >> (shift - 10)) * 10) >> 10;
    if whole < 100 {
        format!("{whole}.{tenth}{unit}")
    } else {
        format!("{whole}{unit}")
    }
}

/// `1 worker`, `2 workers`.
pub(crate) fn count(number: u64, thing: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{s}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        assert_eq!(escape("a\x1b[2Jb\u{7}\n"), "a\\e[2Jb\\u{7}\\n");
        assert_eq!(escape("x\u{9b}31m\u{202e}y"), "x\\u{9b}31m\\u{202e}y");
        assert_eq!(escape("grün 漢字"), "grün 漢字");
    }

    #[test]
    fn colours_of_a_line_may_stay_and_nothing_else() {
        let line = "\x1b[1;31mred\x1b[0m \x1b]0;title\x07\x1b[2K\tend";
        assert_eq!(
            escape_line(line, Sgr::Kept),
            "\x1b[1;31mred\x1b[0m \\e]0;title\\u{7}\\e[2K\tend\x1b[0m"
        );
        assert_eq!(
            escape_line(line, Sgr::Escaped),
            "\\e[1;31mred\\e[0m \\e]0;title\\u{7}\\e[2K\tend"
        );
        assert_eq!(
            escape_line(line, Sgr::Dropped),
            "red \\e]0;title\\u{7}\\e[2K\tend"
        );
        for open in ["\x1b[", "\x1b[31", "\x1b", "\x1b[31;\n"] {
            assert!(!escape_line(open, Sgr::Kept).contains('\x1b'), "{open:?}");
        }
    }

    #[test]
    fn times_and_sizes() {
        assert_eq!(age(999), "0s");
        assert_eq!(age(61_000), "1m 1s");
        assert_eq!(age(3_600_000), "1h 0m");
        assert_eq!(age(90_000_000), "1d 1h");
        assert_eq!(wait(310), "310 ms");
        assert_eq!(wait(1290), "1.2 s");
        assert_eq!(bytes(512), "512B");
        assert_eq!(bytes(35 * 1024 * 1024 + 500_000), "35.4M");
        assert_eq!(bytes(300 << 20), "300M");
        assert_eq!(bytes(u64::MAX), "16777215T");
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("abcd", 4), "abcd");
        assert_eq!(cut("abcd", 0), "");
    }
}

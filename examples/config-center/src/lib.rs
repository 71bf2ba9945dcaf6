#![forbid(unsafe_code)]
//! What the configuration server and those that are connected with it say to each other: lines.

use std::fmt;

/// One line, either way. Keys have no blanks, and neither keys nor values line feeds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Line {
    /// To the server: send all keys, then [`Line::End`], then every change.
    Follow,
    /// To the server: change a key. From the server: it has this value now.
    Set(String, String),
    /// To the server: remove a key. From the server: it is gone.
    Remove(String),
    /// From the server: these were all keys.
    End,
    /// From the server: the change that was asked for is made, and told to all.
    Done,
    /// To the server: how many connections follow?
    Count,
    /// From the server: so many do now, so many ever did.
    Counted(usize, usize),
}

impl Line {
    /// Reads a line; `None` when it is none of these.
    #[must_use]
    pub fn parse(line: &str) -> Option<Line> {
        let mut words = line.splitn(3, ' ');
        let word = words.next()?;
        Some(match (word, words.next(), words.next()) {
            ("follow", None, None) => Line::Follow,
            ("set", Some(key), Some(value)) => Line::Set(key.to_owned(), value.to_owned()),
            ("remove", Some(key), None) => Line::Remove(key.to_owned()),
            ("end", None, None) => Line::End,
            ("done", None, None) => Line::Done,
            ("count", None, None) => Line::Count,
            ("counted", Some(now), Some(ever)) => {
                Line::Counted(now.parse().ok()?, ever.parse().ok()?)
            }
            _ => return None,
        })
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Follow => write!(f, "follow"),
            Line::Set(key, value) => write!(f, "set {key} {value}"),
            Line::Remove(key) => write!(f, "remove {key}"),
            Line::End => write!(f, "end"),
            Line::Done => write!(f, "done"),
            Line::Count => write!(f, "count"),
            Line::Counted(now, ever) => write!(f, "counted {now} {ever}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written() {
        for line in [
            Line::Follow,
            Line::Set("color".to_owned(), "dark green".to_owned()),
            Line::Remove("color".to_owned()),
            Line::End,
            Line::Done,
            Line::Count,
            Line::Counted(1, 2),
        ] {
            assert_eq!(Line::parse(&line.to_string()), Some(line));
        }
        for wrong in ["", "set", "set color", "follow me", "counted 1"] {
            assert_eq!(Line::parse(wrong), None, "{wrong:?}");
        }
    }
}

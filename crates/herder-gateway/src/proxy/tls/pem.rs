//! Sections of a PEM file, with the lines at which they stand. What is between them is skipped, as
//! everybody does: people write there whose certificate it is.

/// A section as it stands in the file, from `-----BEGIN` to `-----END`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Section<'a> {
    /// What it says it is, as in `CERTIFICATE`.
    pub(super) label: &'a str,
    /// The line of its beginning, from 1.
    pub(super) line: usize,
    /// The whole section.
    pub(super) text: &'a str,
    /// What is between the two lines.
    pub(super) body: &'a str,
}

/// A section that is none, and the line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct BadSection {
    /// From 1.
    pub(super) line: usize,
    /// What is wrong, and what would be right.
    pub(super) what: String,
}

/// The sections of a file, in order.
pub(super) fn sections(text: &str) -> Result<Vec<Section<'_>>, BadSection> {
    let mut found = Vec::new();
    let mut open: Option<Open<'_>> = None;
    let mut at = 0;
    for (index, whole) in text.split_inclusive('\n').enumerate() {
        let (line, begin) = (index + 1, at);
        at += whole.len();
        let words = whole.trim();
        if let Some(label) = marker(words, "-----BEGIN ") {
            if let Some(open) = open {
                return Err(open.endless());
            }
            open = Some(Open {
                label,
                line,
                begin,
                body: at,
            });
        } else if let Some(label) = marker(words, "-----END ") {
            match open.take() {
                Some(open) if open.label == label => found.push(Section {
                    label,
                    line: open.line,
                    text: &text[open.begin..at],
                    body: &text[open.body..begin],
                }),
                _ => {
                    return Err(BadSection {
                        line,
                        what: format!(
                            "`END {label}` ends nothing: there is no `BEGIN {label}` before it"
                        ),
                    });
                }
            }
        } else if open.is_some() {
            in_order(words).map_err(|what| BadSection { line, what })?;
        }
    }
    match open {
        Some(open) => Err(open.endless()),
        None => Ok(found),
    }
}

struct Open<'a> {
    label: &'a str,
    line: usize,
    begin: usize,
    body: usize,
}

impl Open<'_> {
    fn endless(&self) -> BadSection {
        BadSection {
            line: self.line,
            what: format!(
                "this section does not end: `-----END {}-----` is missing",
                self.label
            ),
        }
    }
}

fn marker<'a>(line: &'a str, begin: &str) -> Option<&'a str> {
    line.strip_prefix(begin)?.strip_suffix("-----")
}

/// A line within a section: base64, or a header (`Proc-Type: 4,ENCRYPTED`).
fn in_order(line: &str) -> Result<(), String> {
    let base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    if line.contains(": ") {
        return Ok(());
    }
    match line.chars().find(|c| !base64(*c)) {
        None => Ok(()),
        Some(other) => Err(format!("{other:?} is not base64; the file is damaged")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_found_with_their_lines() {
        let text = "subject=me\n-----BEGIN A-----\nQUJD\n-----END A-----\r\n\n-----BEGIN B C-----\n-----END B C-----";
        let found = sections(text).unwrap();
        let told: Vec<_> = found
            .iter()
            .map(|it| (it.label, it.line, it.body))
            .collect();
        assert_eq!(told, [("A", 2, "QUJD\n"), ("B C", 6, "")]);
        assert_eq!(
            found[0].text,
            "-----BEGIN A-----\nQUJD\n-----END A-----\r\n"
        );
        assert_eq!(sections("nothing"), Ok(Vec::new()));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, line, word) in [
            ("\n-----BEGIN A-----\nQUJD\n", 2, "does not end"),
            ("-----BEGIN A-----\n-----BEGIN A-----\n", 1, "does not end"),
            ("-----END A-----\n", 1, "ends nothing"),
            ("-----BEGIN A-----\n-----END B-----\n", 2, "ends nothing"),
            (
                "-----BEGIN A-----\nQU\u{1}D\n-----END A-----\n",
                2,
                "base64",
            ),
        ] {
            let bad = sections(text).unwrap_err();
            assert_eq!(bad.line, line, "{text:?}");
            assert!(bad.what.contains(word), "{text:?}: {}", bad.what);
        }
    }
}

//! What a look at the machine found.

use std::fmt::Write;

use super::text::count;
use super::{Paint, Style};
use crate::doctor::{Finding, Level};

/// A line each, and the cure below what needs one.
pub(crate) fn findings(found: &[Finding], style: Style) -> String {
    let width = found.iter().map(|it| it.subject.len()).max().unwrap_or(0);
    let mut text = String::new();
    for it in found {
        let (word, paint) = match it.level {
            Level::Ok => ("ok     ", Paint::Green),
            Level::Warning => ("warning", Paint::Yellow),
            Level::Problem => ("problem", Paint::Red),
        };
        let (word, subject) = (style.paint(paint, word), it.subject);
        writeln!(text, "{word}  {subject:width$}  {}", it.text).expect("a String takes everything");
        if let Some(cure) = &it.cure {
            let cure = style.paint(Paint::Dim, &format!("-> {cure}"));
            writeln!(text, "{:indent$}{cure}", "", indent = 11 + width)
                .expect("a String takes everything");
        }
    }
    let number = |level| found.iter().filter(|it| it.level == level).count() as u64;
    let (problems, warnings) = (number(Level::Problem), number(Level::Warning));
    let end = match (problems, warnings) {
        (0, 0) => "All is well.".to_owned(),
        _ => format!(
            "{}, {}.",
            count(problems, "problem"),
            count(warnings, "warning")
        ),
    };
    writeln!(text, "{end}").expect("a String takes everything");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::snapshot;

    #[test]
    fn findings_are_lines_with_their_cures() {
        let finding = |subject, level, text: &str, cure: Option<&str>| Finding {
            subject,
            level,
            text: text.to_owned(),
            cure: cure.map(str::to_owned),
        };
        let found = [
            finding("kernel", Level::Ok, "Linux 6.1.0", None),
            finding(
                "open files",
                Level::Warning,
                "at most 4096",
                Some("ulimit -Hn 65536"),
            ),
            finding(
                "home",
                Level::Problem,
                "/h is open to others",
                Some("chmod 700 /h"),
            ),
        ];
        snapshot::check("doctor", &findings(&found, Style::PLAIN));
        assert!(findings(&found[..1], Style::PLAIN).ends_with("All is well.\n"));
    }
}

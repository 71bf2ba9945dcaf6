//! Lines of log files.

use herder_api::control::LogLine;

use super::text::{Sgr, escape, escape_line};
use super::{Paint, Style};

/// How lines are shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct LogStyle {
    /// Whose it is stands before each line.
    pub(crate) prefix: Prefix,
    /// What is made visible in them.
    pub(crate) highlight: Option<String>,
    /// The longest name so far: lines stand below each other.
    widest: usize,
}

/// What stands before a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Prefix {
    /// Nothing.
    None,
    /// The app and the slot.
    App,
    /// And the time, where it is known.
    AppAndTime,
}

impl LogStyle {
    pub(crate) fn new(prefix: Prefix, highlight: Option<String>) -> LogStyle {
        LogStyle {
            prefix,
            highlight,
            widest: 0,
        }
    }

    /// A line, ended. Without a prefix and into a file it is what was written, byte for byte.
    pub(crate) fn line(&mut self, line: &LogLine, style: Style) -> String {
        let verbatim = self.prefix == Prefix::None && !style.is_terminal();
        let mut shown = if verbatim {
            line.line.clone()
        } else {
            let sgr = if style.colour {
                Sgr::Kept
            } else {
                Sgr::Escaped
            };
            escape_line(&line.line, sgr)
        };
        if let Some(wanted) = self
            .highlight
            .as_deref()
            .filter(|wanted| !wanted.is_empty())
        {
            shown = shown.replace(wanted, &style.paint(Paint::Yellow, wanted));
        }
        self.prefix(line, style) + &shown + "\n"
    }

    fn prefix(&mut self, line: &LogLine, style: Style) -> String {
        let time = match self.prefix {
            Prefix::None => return String::new(),
            Prefix::App => None,
            Prefix::AppAndTime => line.time.as_deref().map(escape),
        };
        let slot = line
            .slot
            .map_or_else(String::new, |slot| format!(":{slot}"));
        let who = escape(&line.app) + &slot;
        self.widest = self.widest.max(who.chars().count());
        let padding = " ".repeat(self.widest - who.chars().count());
        let paint = match line.stream.as_str() {
            "error" => Paint::Red,
            "herder" => Paint::Cyan,
            _ => Paint::Green,
        };
        // Without colours the stream must be seen otherwise.
        let mark = match line.stream.as_str() {
            "error" => "!",
            "herder" => "*",
            _ => "|",
        };
        let time = time.map_or_else(String::new, |time| time + " ");
        let who = style.paint(paint, &format!("{who}{padding} {mark}"));
        format!("{}{who} ", style.paint(Paint::Dim, &time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::snapshot;

    fn lines() -> Vec<LogLine> {
        let line = |app: &str, stream: &str, slot, line: &str| LogLine {
            app: app.to_owned(),
            stream: stream.to_owned(),
            slot,
            time: (slot == Some(1)).then(|| "2026-11-21T10:00:00Z".to_owned()),
            line: line.to_owned(),
        };
        vec![
            line("web", "out", Some(1), "GET / 200"),
            line(
                "billing",
                "error",
                None,
                "\x1b[31mError\x1b[0m: \x1b[2Jboom",
            ),
            line("web", "herder", None, "worker 3 is ready"),
        ]
    }

    #[test]
    fn log_lines_are_as_recorded() {
        let terminal = Style {
            colour: true,
            width: Some(80),
        };
        let mut text = String::new();
        for (prefix, style) in [
            (Prefix::App, Style::PLAIN),
            (Prefix::AppAndTime, terminal),
            (Prefix::None, terminal),
        ] {
            let mut logs = LogStyle::new(prefix, Some("boom".to_owned()));
            for line in lines() {
                text += &logs.line(&line, style);
            }
            text += "---\n";
        }
        snapshot::check("logs", &text);
    }

    #[test]
    fn raw_lines_into_a_file_are_what_was_written() {
        let mut logs = LogStyle::new(Prefix::None, None);
        let line = &lines()[1];
        assert_eq!(logs.line(line, Style::PLAIN), format!("{}\n", line.line));
    }
}

//! For whom something is written: a terminal of some width, with or without colours, or a file.

use std::io::IsTerminal;

/// For whom something is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Style {
    /// Whether colours are understood, and wanted.
    pub(crate) colour: bool,
    /// The columns of the terminal; absent = it is none, and nothing is cut.
    pub(crate) width: Option<usize>,
}

/// How a piece of text looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Paint {
    #[default]
    Plain,
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
    Cyan,
}

/// What is too narrow for a table is no terminal that says the truth.
const NARROWEST: usize = 20;

impl Style {
    /// What is written into a file or to another program.
    #[cfg(test)]
    pub(crate) const PLAIN: Style = Style {
        colour: false,
        width: None,
    };

    /// What `stream` is.
    pub(crate) fn of(stream: &(impl IsTerminal + std::os::fd::AsFd), wish: Colours) -> Style {
        if !stream.is_terminal() {
            return Style {
                colour: wish == Colours::Forced,
                width: None,
            };
        }
        let told = rustix::termios::tcgetwinsize(stream).map(|size| usize::from(size.ws_col));
        let width = told.ok().filter(|columns| *columns >= NARROWEST);
        Style {
            colour: wish != Colours::None,
            width: width.or(Some(80)),
        }
    }

    /// `text`, painted.
    pub(crate) fn paint(self, paint: Paint, text: &str) -> String {
        if text.is_empty() {
            return String::new();
        }
        let code = match paint {
            Paint::Plain => return text.to_owned(),
            Paint::Bold => "1",
            Paint::Dim => "2",
            Paint::Red => "31",
            Paint::Green => "32",
            Paint::Yellow => "33",
            Paint::Cyan => "36",
        };
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// Whether it is a terminal: what is shown may be drawn anew.
    pub(crate) fn is_terminal(self) -> bool {
        self.width.is_some()
    }
}

/// Which colours are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Colours {
    /// Where they are understood.
    Auto,
    /// Nowhere.
    None,
    /// Everywhere.
    Forced,
}

impl Colours {
    /// `--no-color`, NO_COLOR, CLICOLOR_FORCE and TERM, in this order.
    pub(crate) fn wanted(refused: Refusal, variable: impl Fn(&str) -> Option<String>) -> Colours {
        let set = |name| variable(name).is_some_and(|value| !value.is_empty());
        if refused == Refusal::ByOption || set("NO_COLOR") {
            Colours::None
        } else if variable("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0")
        {
            Colours::Forced
        } else if variable("TERM").as_deref() == Some("dumb") {
            Colours::None
        } else {
            Colours::Auto
        }
    }
}

/// Whether an option said that there are to be no colours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// It did.
    ByOption,
    /// It did not.
    Silent,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_refused_by_option_and_variable() {
        let with = |name: &'static str, value: &'static str| {
            move |asked: &str| (asked == name).then(|| value.to_owned())
        };
        let none = |_: &str| None;
        assert_eq!(Colours::wanted(Refusal::Silent, none), Colours::Auto);
        assert_eq!(Colours::wanted(Refusal::ByOption, none), Colours::None);
        for (name, value, expected) in [
            ("NO_COLOR", "1", Colours::None),
            ("NO_COLOR", "", Colours::Auto),
            ("TERM", "dumb", Colours::None),
            ("TERM", "xterm", Colours::Auto),
            ("CLICOLOR_FORCE", "1", Colours::Forced),
            ("CLICOLOR_FORCE", "0", Colours::Auto),
        ] {
            let found = Colours::wanted(Refusal::Silent, with(name, value));
            assert_eq!(found, expected, "{name}={value}");
        }
    }

    #[test]
    fn a_file_is_not_painted() {
        assert_eq!(Style::PLAIN.paint(Paint::Red, "x"), "x");
        let colour = Style {
            colour: true,
            width: None,
        };
        assert_eq!(colour.paint(Paint::Red, "x"), "\x1b[31mx\x1b[0m");
    }
}

//! Who prints.

use std::io::{self, Write};

use super::style::{Colours, Style};

/// For whom answers are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Where the command speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    /// How stdout is.
    pub(crate) out: Style,
    /// How stderr is.
    pub(crate) err: Style,
}

impl Screen {
    /// The streams of this process.
    pub(crate) fn new(colours: Colours) -> Screen {
        Screen {
            out: Style::of(&io::stdout(), colours),
            err: Style::of(&io::stderr(), colours),
        }
    }

    /// Prints what was asked for. Nobody reads any more = an error, and the end of what is asked for.
    pub(crate) fn print(self, text: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }

    /// Prints what is said beside it. If nobody reads it, nobody misses it.
    pub(crate) fn tell(self, text: &str) {
        let _unheard = io::stderr().lock().write_all(text.as_bytes());
    }
}

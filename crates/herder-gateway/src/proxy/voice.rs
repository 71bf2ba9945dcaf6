//! What the people who run this are to know.

use std::cell::Cell;
use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use tokio::time::Instant;

/// How long a trouble that lasts is not spoken of again.
const SILENCE: Duration = Duration::from_secs(60);

/// Says what goes wrong, but not over and over.
pub(super) struct Voice {
    name: String,
    said: Cell<Option<Instant>>,
}

impl Voice {
    /// One that begins with `name`.
    pub(super) fn new(name: String) -> Voice {
        Voice {
            name,
            said: Cell::new(None),
        }
    }

    /// Says it, unless something was said a moment ago.
    pub(super) fn say(&self, what: fmt::Arguments<'_>) {
        if self.said.get().is_none_or(|said| said.elapsed() >= SILENCE) {
            self.said.set(Some(Instant::now()));
            let _closed = writeln!(io::stderr(), "herder: {}: {what}", self.name);
        }
    }
}

//! The list of apps on the disk. When it cannot be written, the apps are looked after all the same, but
//! whoever changes them is told, and it is tried until it is written.

use herder_api::control::Progress;

use super::{Shell, boot};

/// How long after a failure it is tried again, in milliseconds.
const AGAIN: u64 = 1000;

/// A list that could not be written.
#[derive(Debug)]
pub(super) struct Unwritten {
    why: String,
    /// When it is tried again.
    again: u64,
}

impl Unwritten {
    pub(super) fn again(&self) -> u64 {
        self.again
    }

    /// What somebody is told who has changed the list.
    pub(super) fn note(&self) -> Progress {
        let why = &self.why;
        let text =
            format!("warning: {why}; if the daemon dies before it can be, this is forgotten");
        Progress::Note {
            app: String::new(),
            text,
        }
    }
}

impl Shell {
    /// Writes the list down. A failure is told once, and so is its end.
    pub(super) fn write_down(&mut self) {
        let again = self.now().mono.saturating_add(AGAIN);
        let before = self.unwritten.take();
        let Err(error) = boot::write_list(&self.home, &self.books.list()) else {
            self.books.note_written();
            if before.is_some() {
                let text = "the list of apps could be written again".to_owned();
                self.journal.note("", "list_written", "info", text);
            }
            return;
        };
        let why = format!("the list of apps cannot be written: {error}");
        if before.is_none() {
            self.journal.note("", "warning", "warning", why.clone());
        }
        self.unwritten = Some(Unwritten { why, again });
    }

    /// Tries again when it is time to.
    pub(super) fn write_again(&mut self) {
        let now = self.now().mono;
        if self.unwritten.as_ref().is_some_and(|it| it.again <= now) {
            self.write_down();
        }
    }
}

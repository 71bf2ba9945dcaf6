//! The file of the herd's own events.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use herder_logs::attic::{Attic, Each, Family};
use herder_logs::{LineWriter, Rotation, Writer};

use super::standard::{Target, Terminal};

/// The file of events, as a place for the narrator to write to.
pub(super) struct EventFile {
    writer: LineWriter,
    reopen: Arc<AtomicBool>,
}

impl EventFile {
    /// It is opened when the first event is written. Whoever sets `reopen` has it opened again.
    pub(super) fn target(path: &Path, reopen: Arc<AtomicBool>) -> Target {
        let family = Family {
            path: path.to_owned(),
            each: Each::Shares,
        };
        let attic = Attic::new(Rotation::of_events(), vec![family]);
        let writer = LineWriter(Writer::closed(path, &attic));
        Target {
            name: "the log of events",
            terminal: Terminal::No,
            writer: Box::new(EventFile { writer, reopen }),
        }
    }
}

impl Write for EventFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.reopen.swap(false, Ordering::Relaxed) {
            self.writer.0.reopen().map_err(io::Error::other)?;
        }
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! Files, as those see them who write to them.

use std::io;
use std::path::PathBuf;
use std::time::Instant;

use super::seat::Key;
use crate::outlet::Outlet;

/// A file, as those see it who write to it.
pub(super) struct Sheet {
    pub(super) path: PathBuf,
    /// `None` = the clerk writes.
    pub(super) outlet: Option<Outlet>,
    /// Who wrote last, and when.
    pub(super) last: Option<(Key, Instant)>,
    pub(super) line: Line,
    /// Somebody waits for the end of the line, or the file is to be put away there.
    pub(super) wanted: bool,
}

/// Whether the last line is complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Line {
    Open,
    /// Nobody has looked.
    Unknown,
    Whole,
}

impl Sheet {
    pub(super) fn is_whole(&mut self) -> bool {
        if self.line == Line::Unknown {
            let ends = self.outlet.as_mut().map(|it| it.writer.ends_whole());
            self.line = match ends {
                Some(Ok(false)) => Line::Open,
                Some(Ok(true) | Err(_)) | None => Line::Whole,
            };
        }
        self.line == Line::Whole
    }

    pub(super) fn note(&mut self, who: Option<Key>, written: &[u8], now: Instant) {
        let Some(last) = written.last() else {
            return;
        };
        self.last = who.map(|key| (key, now));
        self.line = if *last == b'\n' {
            Line::Whole
        } else {
            Line::Open
        };
    }

    pub(super) fn torn(&mut self) {
        if let Some(outlet) = &mut self.outlet {
            outlet.tear();
        }
        self.line = Line::Whole;
    }

    pub(super) fn fail(&mut self, error: &io::Error, now: Instant) {
        if let Some(outlet) = &mut self.outlet {
            outlet.fail(error, now);
        }
    }

    pub(super) fn anew(&mut self, change: impl FnOnce(&mut Outlet)) {
        self.line = Line::Whole;
        self.wanted = false;
        if let Some(outlet) = &mut self.outlet {
            change(outlet);
        }
    }
}

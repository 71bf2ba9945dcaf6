//! Seeing that a descriptor is closed everywhere.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

use herder_sys::fd::{Blocking, set_blocking};

/// A descriptor whose closing everywhere can be seen: [`Life::is_over`].
pub(crate) struct Life(File);

impl Life {
    pub(crate) fn new() -> (Self, OwnedFd) {
        let (reader, writer) = herder_sys::pipe::pipe().unwrap();
        (Self(File::from(reader)), writer)
    }

    /// Whether nobody holds the other end.
    pub(crate) fn is_over(&mut self) -> bool {
        set_blocking(self.0.as_fd(), Blocking::No).unwrap();
        matches!(self.0.read(&mut [0_u8; 1]), Ok(0))
    }
}

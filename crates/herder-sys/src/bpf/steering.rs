//! The program and its maps, as one thing.

use std::os::fd::{BorrowedFd, OwnedFd};

use super::BpfError;

/// How many places for sockets there are.
pub const MAX_SOCKETS: u32 = 320;

/// How many turns a rotation may have.
pub const MAX_TURNS: usize = 256;

/// What a steering is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// The program.
    Program,
    /// The sockets by their places.
    Sockets,
    /// The turns.
    Turns,
    /// What it counts.
    Counters,
}

/// What the program has counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Turns taken, failed ones included.
    pub turns: u64,
}

/// The program with its maps.
#[derive(Debug)]
pub struct Steering(OwnedFd);

impl Steering {
    /// The descriptors, for a keeper.
    #[must_use]
    pub fn parts(&self) -> [(Part, BorrowedFd<'_>); 4] {
        use std::os::fd::AsFd;
        [Part::Program, Part::Sockets, Part::Turns, Part::Counters]
            .map(|part| (part, self.0.as_fd()))
    }

    /// Loads the program.
    ///
    /// # Errors
    ///
    /// See [`BpfError`].
    pub fn load() -> Result<Steering, BpfError> {
        super::probe()?;
        Err(super::Refusal::Other(String::new()).into())
    }
}

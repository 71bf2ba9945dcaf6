//! What is known of one worker.

use std::time::Duration;

use herder_core::{Generation, Tick};

/// What happened to a live incarnation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) generation: Generation,
    marks: u32,
    /// Since when the supervisor knows that the process exists.
    pub(super) exists_since: Option<Tick>,
    /// Its first sign of life.
    pub(super) begun_at: Option<Tick>,
    pub(super) ready_at: Option<Tick>,
    /// When it was first told to leave, aborted or killed.
    pub(super) end_began: Option<Tick>,
    /// What it has from then on, if that is known.
    pub(super) notice: Option<Respite>,
}

/// How long somebody has who leaves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Respite {
    pub(super) grace: Duration,
    /// How long the master had stood still in all, before.
    pub(super) stood: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mark {
    Aborted,
    Admitted,
    BootTimedOut,
    /// It was found broken from outside.
    Broken,
    /// Its generation was one too many to drain.
    Cut,
    DrainAsked,
    GraceExpired,
    Killed,
    MayBeGuessed,
    Misbehaved,
    ReadyTold,
    /// It shall leave, though it may not exist yet: nobody was asked to tell it.
    Recalled,
    /// It stands by.
    Resting,
    /// It announced its own end.
    Retired,
    /// It leaves as planned, or another has its slot: its end is nobody's failure.
    Superseded,
    WithdrawAsked,
    WithdrawnTold,
}

impl Seen {
    pub(super) fn new(generation: Generation) -> Seen {
        Seen {
            generation,
            marks: 0,
            begun_at: None,
            exists_since: None,
            ready_at: None,
            end_began: None,
            notice: None,
        }
    }

    pub(super) fn has(self, mark: Mark) -> bool {
        self.marks & (1 << mark as u32) != 0
    }

    pub(super) fn set(&mut self, mark: Mark) {
        self.marks |= 1 << mark as u32;
    }

    pub(super) fn clear(&mut self, mark: Mark) {
        self.marks &= !(1 << mark as u32);
    }

    pub(super) fn is_leaving(self) -> bool {
        self.end_began.is_some()
    }

    /// Whether it is to serve, now or later.
    pub(super) fn stays(self) -> bool {
        !self.is_leaving() && !self.has(Mark::Recalled) && !self.has(Mark::Resting)
    }

    pub(super) fn serves(self) -> bool {
        self.has(Mark::Admitted) && self.stays()
    }
}

//! When the queues are looked at.

use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::message::Action;
use super::spec::{Balance, RotationSpec};
use super::state::Rotation;
use crate::Tick;

/// Whether the queues are looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Watch {
    state: State,
    /// How many turns had been taken at the last look.
    turns: Option<u64>,
    /// Whether they were all taken by the same rotation.
    since: Since,
    /// When something was different from the look before.
    changed_at: Tick,
    /// When there was a reason to look at once.
    #[serde(default)]
    hurried_at: Tick,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
enum State {
    /// Nobody looks, and nobody was asked to tell of a reason to.
    #[default]
    Off,
    /// Nobody looks before somebody waits.
    Armed,
    /// To look again then.
    Looking { next: Tick },
    /// The answer is awaited.
    Asked,
}

/// What became of the rotation since the last look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
enum Since {
    #[default]
    Rewritten,
    Same,
}

/// How much there is to see.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sight {
    /// Nobody waits, and nobody's queue matters.
    Nothing,
    /// Somebody waits.
    Queues,
    /// Somebody waits everywhere: nobody could have anybody's turns. (By load, where all have a voice alone.)
    Crowd,
    /// A decision hangs on the next look.
    Decision,
}

/// Where all have more to do than they can, a look every so many ticks is enough.
const CROWDED: u32 = 2;

/// By load, where all are busy and would say so if they were not any more, a look every so many ticks is enough, but for
/// as many ticks after one has said so: it may have somebody left.
const VOICED: u32 = 5;

/// By load, where nobody waits, a look every so many ticks is enough: in most moments that is so, and each look is paid
/// for by those who work.
const CALM: u32 = 2;

/// Where nothing moves, a look every so many ticks is enough.
const SLOW: u32 = 10;

impl Watch {
    /// There is a reason to look.
    pub(super) fn begin(&mut self, now: Tick) {
        match self.state {
            State::Off | State::Armed => {
                self.state = State::Looking { next: now };
                self.changed_at = now;
            }
            State::Looking { .. } | State::Asked => {}
        }
    }

    /// There is a reason to look at once.
    pub(super) fn hurry(&mut self, now: Tick) {
        self.begin(now);
        self.hurried_at = now;
        if let State::Looking { next } = &mut self.state {
            *next = now;
        }
    }

    /// Nobody came for so long that nobody looks any more.
    pub(super) fn is_over(&self) -> bool {
        self.state == State::Off
    }

    pub(super) fn next_look(&self) -> Option<Tick> {
        match self.state {
            State::Looking { next } => Some(next),
            State::Off | State::Armed | State::Asked => None,
        }
    }

    /// Other turns are written, or another socket stands at a place: whose were taken until now is not
    /// known.
    pub(super) fn rewritten(&mut self) {
        self.since = Since::Rewritten;
    }

    /// Which turns of the rotation as it is were taken since the last look, if that is known.
    pub(super) fn taken(&self, turns: Option<u64>) -> Option<Range<u64>> {
        let taken = self.turns?..turns?;
        (self.since == Since::Same && taken.start <= taken.end).then_some(taken)
    }

    /// How many turns were taken since the last look, as far as that is known.
    pub(super) fn passed(&self, turns: Option<u64>) -> u64 {
        let (Some(before), Some(now)) = (self.turns, turns) else {
            return 0;
        };
        now.saturating_sub(before)
    }

    /// Returns whether anybody took a turn since the last look.
    pub(super) fn saw_turns(&mut self, turns: Option<u64>) -> bool {
        self.since = Since::Same;
        std::mem::replace(&mut self.turns, turns) != turns
    }

    /// What a look has shown; `has_changed`: it was not the same as before.
    pub(super) fn looked(
        &mut self,
        has_changed: bool,
        sight: Sight,
        now: Tick,
        spec: &RotationSpec,
    ) {
        if has_changed {
            self.changed_at = now;
        }
        let is_calm = now.since(self.changed_at) >= spec.idle_after;
        let delay = match (is_calm, sight) {
            (true, Sight::Nothing) => {
                self.state = State::Off;
                return;
            }
            (true, Sight::Queues | Sight::Crowd) => spec.tick * SLOW,
            (false, Sight::Crowd) => self.in_a_crowd(now, spec),
            (false, Sight::Nothing) if spec.balance == Balance::LeastLoaded => spec.tick * CALM,
            (true, Sight::Decision) | (false, _) => spec.tick,
        };
        self.state = State::Looking {
            next: now.after(delay.max(Duration::from_micros(1))),
        };
    }
}

impl Watch {
    fn in_a_crowd(&self, now: Tick, spec: &RotationSpec) -> Duration {
        match spec.balance {
            Balance::RoundRobin => spec.tick * CROWDED,
            Balance::LeastLoaded if now.since(self.hurried_at) < spec.tick * VOICED => spec.tick,
            Balance::LeastLoaded => spec.tick * VOICED,
        }
    }
}

impl Rotation {
    /// Asks for a look, or to be told when there is a reason for one.
    pub(super) fn look(&mut self) {
        match self.watch.state {
            State::Off if !self.sockets.is_empty() => {
                self.watch.state = State::Armed;
                self.actions.push_back(Action::Arm);
            }
            State::Looking { next } if next <= self.now => {
                self.watch.state = State::Asked;
                self.actions.push_back(Action::Sample);
            }
            State::Off | State::Armed | State::Looking { .. } | State::Asked => {}
        }
    }
}

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::message::{Load, Relief, SocketId, Weight};
use crate::mutation::{self, Mutation};
use crate::{Tick, WorkerId};

/// A worker as the rotation sees it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Worker {
    pub(super) id: WorkerId,
    pub(super) weight: Weight,
    pub(super) relief: Relief,
    pub(super) socket: SocketId,
    /// When it was started, as far as is known.
    #[serde(default)]
    pub(super) since: Tick,
    pub(super) standing: Standing,
    pub(super) pace: Pace,
    pub(super) load: Load,
    /// Not to be left out again before.
    pub(super) may_fall_behind_at: Tick,
    /// How often in a row it was tried in vain after a rescue.
    pub(super) failed_trials: u32,
}

/// What the supervisor wants for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Standing {
    /// It was never ready.
    Starting,
    Admitted,
    Held,
    /// `Withdrawn` is owed: when its queue was seen empty so often in a row, or then.
    Withdrawing {
        until: Tick,
        seen_empty: u8,
    },
    /// `Withdrawn` was said, and it lives.
    Left,
    /// It accepts nobody any more.
    Deaf,
}

/// Whether an admitted worker accepts as fast as others.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Pace {
    Keeping,
    /// As `Keeping`; it accepted nobody before, and this shows whether it does.
    OnTrial {
        until: Tick,
    },
    /// Others have its turns until it caught up.
    Behind,
    /// As `Behind`, and who waits there is being accepted in its stead.
    Rescuing,
    /// As `Behind`; who waited there was rescued, so that its empty queue shows nothing.
    Silent {
        until: Tick,
    },
    /// As `Behind`, and it was said to be hung.
    Hung,
}

impl Worker {
    /// Whether it is to have turns, as far as the supervisor is concerned.
    pub(super) fn is_admitted(&self) -> bool {
        self.standing == Standing::Admitted
    }

    /// Whether it is to have turns.
    pub(super) fn keeps_up(&self) -> bool {
        self.is_admitted() && self.pace.keeps_up()
    }

    /// Whether it is on its way out.
    pub(super) fn is_leaving(&self) -> bool {
        match self.standing {
            Standing::Starting | Standing::Admitted | Standing::Held => false,
            Standing::Withdrawing { .. } | Standing::Left | Standing::Deaf => true,
        }
    }
}

impl Pace {
    pub(super) fn keeps_up(self) -> bool {
        match self {
            Pace::Keeping | Pace::OnTrial { .. } => true,
            Pace::Behind | Pace::Rescuing | Pace::Silent { .. } | Pace::Hung => false,
        }
    }
}

/// A listening socket.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Socket {
    pub(super) id: SocketId,
    /// Whether it stands at its slot's index.
    pub(super) is_entered: bool,
    /// Whether whoever had it last has left for good: no replacement is expected.
    pub(super) is_released: bool,
    /// Whether no new connection begins there. (Without a program.)
    pub(super) is_barred: bool,
    /// How many waited there when it was looked at last.
    pub(super) waiting: u32,
    /// How often in a row it was seen empty.
    pub(super) seen_empty: u8,
    /// Since when somebody waits there and nobody was accepted, as far as can be told.
    pub(super) still_since: Option<Tick>,
    /// How many waited there then.
    pub(super) waited: u32,
    /// How many turns it had since, as far as they are known.
    pub(super) came: u64,
    /// How many turns anybody had since.
    pub(super) passed: u64,
    /// Whether its worker accepts connections.
    #[serde(default)]
    pub(super) accepts: Accepts,
}

/// Whether a worker accepts connections. One that reports nothing counts as ready because it lives, and may be
/// loading still.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) enum Accepts {
    /// That was a guess, and nobody saw it accept yet; when it had its first turn.
    Unseen { first_turn: Option<Tick> },
    /// It was seen to, or says so.
    #[default]
    Seen,
}

/// Whoever had a turn so long ago has shaken hands, and waits if nobody accepted it.
const HANDSHAKE: Duration = Duration::from_millis(100);

impl Accepts {
    /// After a look at a queue in which there `was` somebody before.
    fn after(self, was: u32, waiting: u32, taken: Taken, now: Tick) -> Accepts {
        let Accepts::Unseen { first_turn } = self else {
            return self;
        };
        let has_come = |first: Tick| first.after(HANDSHAKE) <= now;
        if waiting < was || waiting == 0 && first_turn.is_some_and(has_come) {
            return Accepts::Seen;
        }
        let has_turn = taken.own.is_some_and(|own| own > 0);
        Accepts::Unseen {
            first_turn: first_turn.or(has_turn.then_some(now)),
        }
    }

    /// After somebody else emptied the queue.
    pub(super) fn once_emptied(self) -> Accepts {
        match self {
            Accepts::Unseen { .. } => Accepts::Unseen { first_turn: None },
            Accepts::Seen => Accepts::Seen,
        }
    }
}

/// The turns that were taken between two looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Taken {
    /// By a socket, if that is known.
    pub(super) own: Option<u64>,
    /// By all.
    pub(super) all: u64,
}

impl Socket {
    pub(super) fn new(id: SocketId) -> Socket {
        Socket {
            id,
            is_entered: false,
            is_released: false,
            is_barred: false,
            waiting: 0,
            seen_empty: 0,
            still_since: None,
            waited: 0,
            came: 0,
            passed: 0,
            accepts: Accepts::Seen,
        }
    }

    /// What a look at the queue shows; `taken`: the turns since the last one. Returns whether it has
    /// changed.
    pub(super) fn saw(&mut self, waiting: u32, taken: Taken, now: Tick) -> bool {
        let was = std::mem::replace(&mut self.waiting, waiting);
        self.accepts = self.accepts.after(was, waiting, taken, now);
        if waiting == 0 {
            self.seen_empty = self.seen_empty.saturating_add(1);
            self.still_since = None;
            return was != waiting;
        }
        self.seen_empty = 0;
        self.passed += taken.all;
        match taken.own {
            Some(came) => self.came += came,
            // It cannot be told what its length is to be compared with.
            None => (self.waited, self.came) = (waiting, 0),
        }
        if self.still_since.is_none() || waiting < was || self.has_accepted() {
            self.restart(now);
        }
        was != waiting
    }

    /// What was seen before does not count.
    pub(super) fn restart(&mut self, now: Tick) {
        self.still_since = Some(now);
        (self.waited, self.came, self.passed) = (self.waiting, 0, 0);
    }

    /// Whether anybody was seen to come since the queue stands.
    pub(super) fn has_grown(&self) -> bool {
        self.came > 0 || self.waiting > self.waited
    }

    /// Whether the queue has grown so much less than by its turns that somebody was accepted, even if
    /// one or the other who had its turn has not come yet.
    fn has_accepted(&self) -> bool {
        let grown = u64::from(self.waiting.saturating_sub(self.waited));
        2 * grown < self.came && !mutation::is(Mutation::TurnsUncounted)
    }
}

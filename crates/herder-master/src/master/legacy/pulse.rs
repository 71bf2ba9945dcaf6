//! What the keeper hears of a master, so that it knows one that hangs: a heartbeat while something happens, and
//! nothing while nothing does.

use std::time::Duration;

use herder_core::Tick;
use herder_wire::keeper::ToKeeper;

use crate::estate::Manner;

/// When the keeper is to hear of this master.
#[derive(Debug)]
pub(in crate::master) struct Heartbeat {
    /// For how long it may be silent; `None` = for ever.
    watchdog: Option<Duration>,
    keeper: Manner,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Its next beat is due then.
    Beats(Tick),
    /// It has said that it sleeps.
    Rests,
}

impl Heartbeat {
    pub(super) fn new(watchdog: Option<Duration>, keeper: Manner) -> Heartbeat {
        Heartbeat {
            watchdog,
            keeper,
            state: State::Beats(Tick::ZERO),
        }
    }

    pub(super) fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// From now on it may be silent for so long. Says whether that is something new.
    pub(super) fn set_watchdog(&mut self, watchdog: Option<Duration>, now: Tick) -> bool {
        let is_new = self.watchdog != watchdog;
        if is_new {
            self.watchdog = watchdog;
            self.state = State::Beats(now);
        }
        is_new
    }

    /// When the master has to wake for it.
    pub(super) fn due(&self) -> Option<Tick> {
        match (self.watchdog, self.state) {
            (Some(_), State::Beats(at)) => Some(at),
            (Some(_), State::Rests) | (None, _) => None,
        }
    }

    /// What the keeper is to hear before a sleep, after which something else is due at `due`.
    pub(super) fn sign(&mut self, due: Option<Tick>, now: Tick) -> Option<ToKeeper> {
        let pace = self.watchdog? / 3;
        if self.due()? > now {
            return None;
        }
        let is_long = due.is_none_or(|due| due.since(now) > pace);
        if self.keeper == Manner::LetsRest && is_long {
            self.state = State::Rests;
            return Some(ToKeeper::Rest);
        }
        self.state = State::Beats(now.after(pace));
        Some(ToKeeper::Beat)
    }

    /// What the keeper is to hear before anything is done after a sleep: it could be the last thing that it
    /// hears.
    pub(super) fn wake(&mut self, now: Tick) -> Option<ToKeeper> {
        if self.state != State::Rests {
            return None;
        }
        self.state = State::Beats(now.after(self.watchdog? / 3));
        Some(ToKeeper::Beat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Tick {
        Tick::from_micros(seconds * 1_000_000)
    }

    fn heartbeat(keeper: Manner) -> Heartbeat {
        Heartbeat::new(Some(Duration::from_secs(9)), keeper)
    }

    #[test]
    fn who_has_nothing_to_do_says_so_once() {
        let mut pulse = heartbeat(Manner::LetsRest);
        assert_eq!(pulse.sign(None, at(10)), Some(ToKeeper::Rest));
        assert_eq!((pulse.due(), pulse.sign(None, at(99))), (None, None));
        assert_eq!(pulse.wake(at(100)), Some(ToKeeper::Beat));
        assert_eq!((pulse.wake(at(100)), pulse.due()), (None, Some(at(103))));
        assert_eq!(pulse.sign(None, at(102)), None, "it was heard of just now");
        assert_eq!(pulse.sign(None, at(103)), Some(ToKeeper::Rest));
    }

    #[test]
    fn who_has_something_to_do_soon_beats() {
        let mut pulse = heartbeat(Manner::LetsRest);
        assert_eq!(pulse.sign(Some(at(12)), at(10)), Some(ToKeeper::Beat));
        assert_eq!(pulse.due(), Some(at(13)));
        assert_eq!(pulse.sign(Some(at(60)), at(13)), Some(ToKeeper::Rest));
    }

    #[test]
    fn a_keeper_of_an_older_build_hears_it_beat() {
        let mut pulse = heartbeat(Manner::Strict);
        assert_eq!(pulse.sign(None, at(10)), Some(ToKeeper::Beat));
        assert_eq!(pulse.due(), Some(at(13)));
        assert_eq!(pulse.sign(None, at(13)), Some(ToKeeper::Beat));
    }

    #[test]
    fn another_limit_is_heard_of_at_once_and_none_asks_for_nothing() {
        let mut pulse = heartbeat(Manner::LetsRest);
        assert_eq!(pulse.sign(None, at(10)), Some(ToKeeper::Rest));
        assert!(pulse.set_watchdog(Some(Duration::from_secs(3)), at(11)));
        assert_eq!(pulse.due(), Some(at(11)));
        assert!(pulse.set_watchdog(None, at(12)));
        assert!(!pulse.set_watchdog(None, at(12)));
        assert_eq!((pulse.due(), pulse.sign(None, at(13))), (None, None));
    }
}

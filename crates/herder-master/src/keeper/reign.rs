//! One master after the other: how far the present one is, when it counts as hung, and what its death
//! leads to.

use std::os::fd::OwnedFd;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use herder_sys::process::Child;

use super::succession::Succession;

/// How long a master may take until it is in charge.
const START: Duration = Duration::from_secs(30);

/// How long a hung master has to die of SIGABRT.
const ABORT: Duration = Duration::from_secs(1);

/// A deadline that was missed by this much, or by a quarter of the watchdog's limit if that is less, was
/// missed by the keeper: it did not run itself, and so cannot say who else did.
const STALL: Duration = Duration::from_secs(1);

/// The pause after a master that was never in charge; it doubles with each.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// So many masters in a row may die before they are in charge.
const MOST_STILLBORN: u32 = 6;

/// A master that was in charge for less has achieved nothing.
const BRIEF: Duration = Duration::from_millis(250);
/// After so many of them in a row there is a pause.
const MANY_BRIEF: u32 = 5;
const BRIEF_PAUSE: Duration = Duration::from_millis(500);

/// The present master.
pub(super) struct Reign {
    pub(super) child: Child,
    pub(super) channel: OwnedFd,
    pub(super) succession: Succession,
    stage: Stage,
    watchdog: Option<Duration>,
    /// Since when somebody has it stopped.
    stopped: Option<Instant>,
}

/// How far a master is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It hung, and was told to dump its core and die.
    Aborted { at: Instant },
    /// It does its work.
    InCharge { since: Instant, pulse: Pulse },
    /// It was killed.
    Killed,
    /// The herd has ended.
    Leaving,
    /// It sets itself up.
    Starting { since: Instant },
}

/// What a master lets hear of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pulse {
    /// A heartbeat, at this time.
    Beat(Instant),
    /// Nothing, until something happens. It cannot hang meanwhile; but somebody may stop it, and then it
    /// would not hear what happens.
    Rest,
}

/// What is to be done about a master that hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sentence {
    /// It was not heard of for so long.
    Abort(Duration),
    /// It does not even die of that.
    Kill,
    /// It has not been in charge after so long.
    KillUnready(Duration),
}

impl Reign {
    pub(super) fn new(child: Child, channel: OwnedFd, succession: Succession) -> Reign {
        Reign {
            child,
            channel,
            succession,
            stage: Stage::Starting {
                since: Instant::now(),
            },
            watchdog: None,
            stopped: None,
        }
    }

    /// It is another build now, which begins as a new master does.
    pub(super) fn begin_again(&mut self, succession: Succession, now: Instant) {
        self.succession = succession;
        self.watchdog = None;
        if !matches!(self.stage, Stage::Aborted { .. } | Stage::Killed) {
            self.stage = Stage::Starting { since: now };
        }
    }

    /// It does its work from now on.
    pub(super) fn take_charge(&mut self, now: Instant) {
        if matches!(self.stage, Stage::Starting { .. }) {
            self.stage = Stage::InCharge {
                since: now,
                pulse: Pulse::Beat(now),
            };
        }
    }

    /// It lives.
    pub(super) fn beat(&mut self, now: Instant) {
        self.pulse(Pulse::Beat(now));
    }

    /// It sleeps until something happens.
    pub(super) fn rest(&mut self) {
        self.pulse(Pulse::Rest);
    }

    fn pulse(&mut self, news: Pulse) {
        if let Stage::InCharge { pulse, .. } = &mut self.stage {
            *pulse = news;
        }
    }

    /// Somebody has it stopped since then, or nobody has.
    pub(super) fn see(&mut self, stopped: Option<Instant>) {
        self.stopped = stopped.map(|now| self.stopped.unwrap_or(now));
    }

    /// When it gave a sign of life, if it should give another. One that rests and is stopped could have
    /// given one until then.
    fn beaten(&self, pulse: Pulse) -> Option<Instant> {
        match pulse {
            Pulse::Beat(at) => Some(at),
            Pulse::Rest => self.stopped,
        }
    }

    /// It will end soon, and with it the herd.
    pub(super) fn leave(&mut self) {
        self.stage = Stage::Leaving;
    }

    /// How long it may be silent.
    pub(super) fn set_watchdog(&mut self, limit: Duration) {
        self.watchdog = (!limit.is_zero()).then_some(limit);
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.stage == Stage::Leaving
    }

    /// Whether signals of the operator reach somebody who obeys them.
    pub(super) fn takes_orders(&self) -> bool {
        matches!(self.stage, Stage::InCharge { .. } | Stage::Leaving)
    }

    /// Whether nothing speaks against that it lives.
    pub(super) fn is_well(&self, now: Instant) -> bool {
        match self.stage {
            Stage::Aborted { .. } | Stage::Killed => false,
            Stage::InCharge { .. } | Stage::Leaving | Stage::Starting { .. } => {
                self.deadline().is_none_or(|at| now < at)
            }
        }
    }

    /// When it counts as hung.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Aborted { at } => Some(at + ABORT),
            Stage::InCharge { pulse, .. } => Some(self.beaten(pulse)? + self.watchdog?),
            Stage::Killed | Stage::Leaving => None,
            Stage::Starting { since } => Some(since + START),
        }
    }

    /// Judges it by the time. What is answered is to be carried out.
    pub(super) fn judge(&mut self, now: Instant) -> Option<Sentence> {
        let late = now.checked_duration_since(self.deadline()?)?;
        let has_stalled = self.watchdog.is_some_and(|limit| late >= stall(limit));
        match &mut self.stage {
            Stage::InCharge { pulse, .. } if has_stalled => {
                match pulse {
                    Pulse::Beat(at) => *at = now,
                    Pulse::Rest => self.stopped = Some(now),
                }
                None
            }
            Stage::InCharge { pulse, .. } => {
                let pulse = *pulse;
                let silence = now.saturating_duration_since(self.beaten(pulse)?);
                self.stage = Stage::Aborted { at: now };
                Some(Sentence::Abort(silence))
            }
            Stage::Starting { since } => {
                let taken = now.saturating_duration_since(*since);
                self.stage = Stage::Killed;
                Some(Sentence::KillUnready(taken))
            }
            Stage::Aborted { .. } => {
                self.stage = Stage::Killed;
                Some(Sentence::Kill)
            }
            Stage::Killed | Stage::Leaving => None,
        }
    }

    /// It was sent a SIGKILL, whatever for.
    pub(super) fn was_killed(&mut self) {
        self.stage = Stage::Killed;
    }
}

/// All masters of this keeper, and how they fared.
#[derive(Debug, Default)]
pub(super) struct Dynasty {
    died: u32,
    stillborn: u32,
    brief: u32,
    /// For how long the present one, if it ever was, has been in charge.
    crowned: Option<Instant>,
    had_one: Past,
}

/// Whether any master was ever in charge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Past {
    #[default]
    Empty,
    Glorious,
}

/// What follows a death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The end of the herd: it could not begin.
    End,
    /// The end of the herd: nobody can be its master.
    GiveUp,
    /// Another master, so much later.
    Next(Duration),
}

impl Dynasty {
    /// How many have died.
    pub(super) fn died(&self) -> u32 {
        self.died
    }

    /// The present one is in charge.
    pub(super) fn crown(&mut self, now: Instant) {
        self.crowned = self.crowned.or(Some(now));
        self.had_one = Past::Glorious;
    }

    /// The present one has to begin again.
    pub(super) fn uncrown(&mut self) {
        self.crowned = None;
    }

    /// The present one is dead; `None` when it could not even be started.
    pub(super) fn bury(&mut self, exit: Option<ExitStatus>, now: Instant) -> Verdict {
        self.died = self.died.saturating_add(1);
        let has_exited = exit.is_some_and(|exit| exit.code().is_some());
        let Some(since) = self.crowned.take() else {
            if self.had_one == Past::Empty && self.died == 1 && has_exited {
                return Verdict::End;
            }
            return self.count_stillborn();
        };
        self.stillborn = 0;
        if now.saturating_duration_since(since) >= BRIEF {
            self.brief = 0;
        } else {
            self.brief += 1;
        }
        if self.brief >= MANY_BRIEF {
            self.brief = 0;
            return Verdict::Next(BRIEF_PAUSE);
        }
        Verdict::Next(Duration::ZERO)
    }

    fn count_stillborn(&mut self) -> Verdict {
        self.stillborn += 1;
        if self.stillborn >= MOST_STILLBORN {
            return Verdict::GiveUp;
        }
        let pause = PAUSE * 2_u32.saturating_pow(self.stillborn - 1);
        Verdict::Next(pause.min(LONGEST_PAUSE))
    }
}

/// By how much the keeper itself is late when it has not run.
fn stall(limit: Duration) -> Duration {
    STALL.min(limit / 4)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    const KILLED: i32 = 9;
    const EXIT_3: i32 = 3 << 8;

    fn dies(dynasty: &mut Dynasty, status: i32, now: Instant) -> Verdict {
        dynasty.bury(Some(ExitStatus::from_raw(status)), now)
    }

    fn next(millis: u64) -> Verdict {
        Verdict::Next(Duration::from_millis(millis))
    }

    #[test]
    fn a_first_master_that_says_why_it_cannot_begin_ends_the_herd() {
        let now = Instant::now();
        assert_eq!(dies(&mut Dynasty::default(), EXIT_3, now), Verdict::End);
        let mut dynasty = Dynasty::default();
        assert_eq!(dies(&mut dynasty, KILLED, now), next(100));
        assert_eq!(dies(&mut dynasty, EXIT_3, now), next(200));
    }

    #[test]
    fn r30_a_short_watchdog_does_not_blame_a_master_for_a_standstill_of_all() {
        assert_eq!(stall(Duration::from_secs(1)), Duration::from_millis(250));
        assert_eq!(stall(Duration::from_secs(60)), STALL);
    }

    #[test]
    fn r26_masters_that_are_never_in_charge_come_ever_later_and_then_no_more() {
        let now = Instant::now();
        let mut dynasty = Dynasty::default();
        dynasty.crown(now);
        assert_eq!(dies(&mut dynasty, EXIT_3, now), next(0));
        let pauses = [100, 200, 400, 800, 1600].map(next);
        assert_eq!(pauses.map(|_| dynasty.bury(None, now)), pauses);
        assert_eq!(dies(&mut dynasty, EXIT_3, now), Verdict::GiveUp);
        assert_eq!(dynasty.died(), 7);
    }

    #[test]
    fn r26_a_master_that_was_in_charge_is_followed_at_once() {
        let mut now = Instant::now();
        let mut dynasty = Dynasty::default();
        for _ in 0..20 {
            dynasty.crown(now);
            now += BRIEF;
            assert_eq!(dies(&mut dynasty, KILLED, now), next(0));
        }
        for pause in [0, 0, 0, 0, 500, 0, 0, 0, 0, 500] {
            dynasty.crown(now);
            assert_eq!(dies(&mut dynasty, KILLED, now), next(pause));
        }
    }

    #[test]
    fn a_master_that_becomes_another_build_is_not_in_charge_until_it_says_so() {
        let now = Instant::now();
        let mut dynasty = Dynasty::default();
        dynasty.crown(now);
        dynasty.uncrown();
        assert_eq!(dies(&mut dynasty, EXIT_3, now), next(100));
    }
}

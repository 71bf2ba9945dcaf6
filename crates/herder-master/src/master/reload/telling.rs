//! Verdicts that must be told, whichever master does it.

use std::collections::VecDeque;

use herder_core::Generation;
use serde::{Deserialize, Serialize};

use crate::event::HerdEvent;
use crate::verdict::{Operation, Verdict};

/// How many verdicts wait at most to be told by another master.
const MOST: usize = 16;

/// A verdict, with what is told of it besides.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(in crate::master) struct Telling {
    /// Which verdict of this herd it is: 1, 2, 3 …
    pub(in crate::master) number: u64,
    pub(in crate::master) verdict: Verdict,
    of: Matter,
}

/// What it is about.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(in crate::master) enum Matter {
    /// There will be no such generation, or no such build.
    Refusal,
    /// The generation is in service instead of this one.
    Reload { from: Generation },
    /// This one serves on instead of the generation.
    Rollback { to: Generation },
    /// The master is another build: what they call themselves.
    Upgrade { from: String, to: String },
}

/// The verdicts that may not have been told.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Tellings {
    /// How many verdicts there were.
    given: u64,
    /// Oldest first.
    untold: VecDeque<Telling>,
}

impl Telling {
    /// What those hear who watch the herd.
    pub(in crate::master) fn event(&self) -> HerdEvent {
        let verdict = self.verdict.clone();
        let (generation, took) = (verdict.generation, verdict.took);
        match self.of.clone() {
            Matter::Refusal => HerdEvent::Refused {
                verdict: Box::new(verdict),
            },
            Matter::Reload { from } => HerdEvent::Reloaded {
                generation,
                from,
                took,
            },
            Matter::Rollback { to } => HerdEvent::RolledBack {
                generation,
                to,
                verdict: Box::new(verdict),
            },
            Matter::Upgrade { from, to } => HerdEvent::Upgraded {
                from,
                to,
                generation,
                took,
            },
        }
    }
}

impl Telling {
    /// What the service manager hears of it: nothing of upgrades, for which it does not wait. `serving`: the
    /// generation in service.
    pub(super) fn status(&self, serving: Generation) -> Option<String> {
        if self.verdict.operation != Operation::Reload {
            return None;
        }
        let Verdict {
            generation, reason, ..
        } = &self.verdict;
        Some(match self.of {
            Matter::Reload { .. } | Matter::Upgrade { .. } => {
                format!("generation {generation} serves")
            }
            Matter::Rollback { to } => {
                format!("generation {to} serves; {generation} was rolled back: {reason}")
            }
            Matter::Refusal => {
                format!("generation {serving} serves; {generation} was refused: {reason}")
            }
        })
    }
}

impl Tellings {
    /// A verdict is given. `told`: the number of the last one that was told.
    pub(super) fn give(&mut self, verdict: Verdict, of: Matter, told: u64) -> Telling {
        self.forget_told(told);
        self.given += 1;
        let telling = Telling {
            number: self.given,
            verdict,
            of,
        };
        if self.untold.len() == MOST {
            self.untold.pop_front();
        }
        self.untold.push_back(telling.clone());
        telling
    }

    /// What a master that has died may not have told, oldest first.
    pub(super) fn left(&mut self, told: u64) -> Vec<Telling> {
        self.forget_told(told);
        self.untold.iter().cloned().collect()
    }

    fn forget_told(&mut self, told: u64) {
        // No number is given twice, even if the state that has the last ones could not be written down.
        self.given = self.given.max(told);
        self.untold.retain(|telling| telling.number > told);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn verdict(generation: u32) -> Verdict {
        let at = "2026-11-21T02:10:49.123Z".to_owned();
        let took = Duration::from_millis(1200);
        Verdict::done(Operation::Reload, Generation(generation), took, at)
    }

    fn reloaded(tellings: &mut Tellings, generation: u32, told: u64) -> u64 {
        let from = Generation(generation - 1);
        tellings
            .give(verdict(generation), Matter::Reload { from }, told)
            .number
    }

    #[test]
    fn r35_what_a_dead_master_has_not_told_is_told_once_by_the_next() {
        let mut tellings = Tellings::default();
        assert_eq!(reloaded(&mut tellings, 2, 0), 1);
        assert_eq!(reloaded(&mut tellings, 3, 0), 2);
        let text = serde_json::to_string(&tellings).expect("JSON");
        let mut heir: Tellings = serde_json::from_str(&text).expect("ours");
        let left = heir.left(1);
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].verdict, verdict(3), "as it was given");
        let event = HerdEvent::Reloaded {
            generation: Generation(3),
            from: Generation(2),
            took: Duration::from_millis(1200),
        };
        assert_eq!(left[0].event(), event);
        assert_eq!(heir.left(2), []);
        assert_eq!(reloaded(&mut heir, 4, 2), 3);
    }

    #[test]
    fn a_number_is_given_once_and_few_verdicts_wait() {
        let mut tellings = Tellings::default();
        assert_eq!(reloaded(&mut tellings, 2, 7), 8, "after what was told");
        for _ in 0..2 * MOST {
            reloaded(&mut tellings, 3, 7);
        }
        let left = tellings.left(7);
        assert_eq!(left.len(), MOST);
        assert_eq!(left.last().map(|it| it.number), Some(8 + 2 * MOST as u64));
    }

    #[test]
    fn everything_that_is_told_has_its_event() {
        let event = |of| {
            let mut tellings = Tellings::default();
            tellings.give(verdict(2), of, 0).event()
        };
        let verdict = Box::new(verdict(2));
        let refused = event(Matter::Refusal);
        let same = verdict.clone();
        assert_eq!(refused, HerdEvent::Refused { verdict: same });
        let to = Generation(1);
        let generation = Generation(2);
        let rolled_back = HerdEvent::RolledBack {
            generation,
            to,
            verdict,
        };
        assert_eq!(event(Matter::Rollback { to }), rolled_back);
        let (from, to) = ("1.0".to_owned(), "1.1".to_owned());
        let upgraded = event(Matter::Upgrade { from, to });
        assert!(matches!(upgraded, HerdEvent::Upgraded { to, .. } if to == "1.1"));
    }
}

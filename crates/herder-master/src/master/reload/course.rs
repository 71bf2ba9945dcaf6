//! How far a reload has come.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use herder_core::{Generation, Tick};
use serde::{Deserialize, Serialize};

use super::telling::{Matter, Telling, Tellings};
use crate::part::PartNumber;
use crate::verdict::Verdict;

/// How many verdicts are kept.
const KEPT: usize = 16;

/// What is known of reloads, for this master and the next.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(in crate::master) struct Reloads {
    /// The generation that was opened last.
    last: Generation,
    course: Option<Course>,
    /// Whether another one was asked for since.
    again: bool,
    /// Whether the definition of the next one is being read.
    #[serde(default)]
    reading: bool,
    /// The generation of each library that was replaced once.
    libraries: BTreeMap<u8, Generation>,
    /// What was in service and is no more, but is still needed by a library.
    discarded: Vec<Generation>,
    verdicts: VecDeque<Verdict>,
    #[serde(default)]
    tellings: Tellings,
    /// Whether the service manager was told that the herd serves.
    pub(super) announced: bool,
}

/// One reload.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Course {
    pub(super) from: Generation,
    pub(super) to: Generation,
    pub(super) began: Tick,
    pub(super) stage: Stage,
    /// The libraries that are on the new generation.
    pub(super) replaced: Vec<u8>,
}

/// What a reload is at.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Stage {
    /// The first of these libraries is being replaced.
    Libraries { left: VecDeque<u8>, step: Step },
    /// It failed: the first of these libraries is being put back.
    Back { left: VecDeque<u8>, step: Step },
    /// The workers are being replaced, since then.
    Workers { since: Tick },
}

/// How far the replacement of one library has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Step {
    /// The old life is told to leave.
    Leaving,
    /// The new one is not ready yet.
    Starting,
}

impl Course {
    /// How long it was before the workers' turn came.
    pub(super) fn time_for_libraries(&self) -> Duration {
        match self.stage {
            Stage::Workers { since } => since.since(self.began),
            Stage::Libraries { .. } | Stage::Back { .. } => Duration::ZERO,
        }
    }
}

impl Reloads {
    pub(in crate::master) fn new() -> Reloads {
        Reloads {
            last: Generation::FIRST,
            course: None,
            again: false,
            reading: false,
            libraries: BTreeMap::new(),
            discarded: Vec::new(),
            verdicts: VecDeque::new(),
            tellings: Tellings::default(),
            announced: false,
        }
    }

    pub(super) fn course(&self) -> Option<&Course> {
        self.course.as_ref()
    }

    /// The number of the generation that is next.
    pub(in crate::master) fn next(&self) -> Generation {
        Generation(self.last.0 + 1)
    }

    /// A reload begins, with these libraries.
    pub(super) fn begin(&mut self, from: Generation, libraries: VecDeque<u8>, now: Tick) {
        self.last = self.next();
        let stage = if libraries.is_empty() {
            Stage::Workers { since: now }
        } else {
            Stage::Libraries {
                left: libraries,
                step: Step::Leaving,
            }
        };
        self.course = Some(Course {
            from,
            to: self.last,
            began: now,
            stage,
            replaced: Vec::new(),
        });
    }

    pub(super) fn set_reading(&mut self, reading: bool) {
        self.reading = reading;
    }

    /// As another master has left it: what that one was reading is read again.
    pub(in crate::master) fn taken_over(mut self) -> Reloads {
        self.again |= std::mem::take(&mut self.reading);
        self
    }

    /// Remembers that another one is wanted. Gives its number if that is news.
    pub(super) fn remember(&mut self) -> Option<Generation> {
        let is_news = !std::mem::replace(&mut self.again, true);
        is_news.then(|| self.next())
    }

    /// Whether another one is wanted. It is forgotten by this.
    pub(super) fn recall(&mut self) -> bool {
        std::mem::take(&mut self.again)
    }

    /// Whether one goes on, or waits.
    pub(in crate::master) fn is_under_way(&self) -> bool {
        self.course.is_some() || self.again || self.reading
    }

    /// The verdict that was given last.
    pub(in crate::master) fn last_verdict(&self) -> Option<&Verdict> {
        self.verdicts.back()
    }

    pub(super) fn wants_another(&self) -> bool {
        self.again
    }

    /// The library that is being replaced, and how far that has come.
    pub(super) fn replacing(&self) -> Option<(PartNumber, Step)> {
        match &self.course.as_ref()?.stage {
            Stage::Libraries { left, step } | Stage::Back { left, step } => {
                left.front().map(|number| (PartNumber(*number), *step))
            }
            Stage::Workers { .. } => None,
        }
    }

    /// The old life of the library has ended: the next one is of this generation.
    pub(super) fn next_life(&mut self) -> Option<Generation> {
        let course = self.course.as_mut()?;
        let (generation, left, step) = match &mut course.stage {
            Stage::Libraries { left, step } => (course.to, left, step),
            Stage::Back { left, step } => (course.from, left, step),
            Stage::Workers { .. } => return None,
        };
        *step = Step::Starting;
        self.libraries.insert(*left.front()?, generation);
        Some(generation)
    }

    /// The new life of the library is ready. Gives the next one that is to leave, if there is one.
    pub(super) fn library_done(&mut self, now: Tick) -> Option<PartNumber> {
        let course = self.course.as_mut()?;
        match &mut course.stage {
            Stage::Workers { .. } => None,
            Stage::Libraries { left, step } => {
                course.replaced.extend(left.pop_front());
                *step = Step::Leaving;
                let next = left.front().copied().map(PartNumber);
                if next.is_none() {
                    course.stage = Stage::Workers { since: now };
                }
                next
            }
            Stage::Back { left, step } => {
                left.pop_front();
                *step = Step::Leaving;
                let next = left.front().copied().map(PartNumber);
                if next.is_none() {
                    self.course = None;
                }
                next
            }
        }
    }

    /// The new generation has failed. Gives the first library that is to be put back, if there is one:
    /// the last that was replaced, or is just being.
    pub(super) fn turn_back(&mut self) -> Option<PartNumber> {
        let mut course = self.course.take()?;
        let mut left: VecDeque<u8> = course.replaced.drain(..).rev().collect();
        if let Stage::Libraries {
            left: under_way, ..
        } = &course.stage
            && let Some(number) = under_way.front()
        {
            left.push_front(*number);
        }
        let first = left.front().copied()?;
        course.stage = Stage::Back {
            left,
            step: Step::Leaving,
        };
        self.course = Some(course);
        Some(PartNumber(first))
    }

    /// The workers are on the new generation.
    pub(super) fn finish(&mut self) -> Option<Course> {
        self.course.take()
    }

    /// The generation that a library is started from.
    pub(in crate::master) fn generation_of(&self, library: PartNumber) -> Generation {
        let known = self.libraries.get(&library.0);
        known.copied().unwrap_or(Generation::FIRST)
    }

    /// No worker of this generation lives or is to come. Gives all that nobody needs any more.
    pub(super) fn discard(&mut self, generation: Generation) -> Vec<Generation> {
        self.discarded.push(generation);
        self.sweep()
    }

    /// What was discarded and is not needed by a library any more.
    pub(super) fn sweep(&mut self) -> Vec<Generation> {
        let course = self.course.as_ref();
        let is_needed = |generation: &Generation| {
            self.libraries.values().any(|used| used == generation)
                || course.is_some_and(|it| it.from == *generation || it.to == *generation)
        };
        let (needed, useless) = self.discarded.iter().copied().partition(is_needed);
        self.discarded = needed;
        useless
    }

    /// Keeps a verdict. `told`: the number of the last one that was told.
    pub(super) fn give(&mut self, verdict: Verdict, of: Matter, told: u64) -> Telling {
        if self.verdicts.len() == KEPT {
            self.verdicts.pop_front();
        }
        self.verdicts.push_back(verdict.clone());
        self.tellings.give(verdict, of, told)
    }

    /// The verdicts that a master which has died may not have told. `told`: as above.
    pub(super) fn untold(&mut self, told: u64) -> Vec<Telling> {
        self.tellings.left(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Tick = Tick::ZERO;

    fn begun(libraries: &[u8]) -> Reloads {
        let mut reloads = Reloads::new();
        reloads.begin(Generation::FIRST, libraries.iter().copied().collect(), NOW);
        reloads
    }

    #[test]
    fn r34_whoever_asks_meanwhile_is_remembered_once() {
        let mut reloads = begun(&[]);
        assert_eq!(reloads.remember(), Some(Generation(3)));
        assert_eq!(reloads.remember(), None);
        assert!(reloads.recall());
        assert!(!reloads.recall());
    }

    #[test]
    fn r27_a_definition_that_a_dead_master_was_reading_is_read_again() {
        let mut reloads = Reloads::new();
        assert!(!reloads.clone().taken_over().wants_another());
        reloads.set_reading(true);
        assert!(reloads.is_under_way() && !reloads.wants_another());
        let text = serde_json::to_string(&reloads).expect("JSON");
        let left: Reloads = serde_json::from_str(&text).expect("ours");
        let mut heir = left.taken_over();
        assert!(heir.recall() && !heir.is_under_way());
        // The build before this one read nothing.
        let text = text.replace("\"reading\":true,", "");
        let older: Reloads = serde_json::from_str(&text).expect("of the build before");
        assert!(!older.taken_over().is_under_way());
    }

    #[test]
    fn libraries_are_replaced_one_after_the_other_and_then_the_workers() {
        let mut reloads = begun(&[2, 3]);
        assert_eq!(reloads.replacing(), Some((PartNumber(2), Step::Leaving)));
        assert_eq!(reloads.next_life(), Some(Generation(2)));
        assert_eq!(reloads.replacing(), Some((PartNumber(2), Step::Starting)));
        assert_eq!(reloads.library_done(NOW), Some(PartNumber(3)));
        assert_eq!(reloads.next_life(), Some(Generation(2)));
        assert_eq!(reloads.library_done(NOW), None);
        let stage = &reloads.course().expect("it goes on").stage;
        assert_eq!(*stage, Stage::Workers { since: NOW });
        assert_eq!(reloads.generation_of(PartNumber(3)), Generation(2));
        assert!(reloads.finish().is_some() && reloads.course().is_none());
    }

    #[test]
    fn r38_what_was_replaced_is_put_back_the_last_one_first() {
        let mut reloads = begun(&[2, 3, 4]);
        reloads.next_life();
        reloads.library_done(NOW);
        reloads.next_life();
        // The second does not get ready.
        assert_eq!(reloads.turn_back(), Some(PartNumber(3)));
        assert_eq!(reloads.next_life(), Some(Generation::FIRST));
        assert_eq!(reloads.library_done(NOW), Some(PartNumber(2)));
        assert_eq!(reloads.next_life(), Some(Generation::FIRST));
        assert_eq!(reloads.library_done(NOW), None);
        assert_eq!(reloads.course(), None);
        assert_eq!(reloads.generation_of(PartNumber(2)), Generation::FIRST);
    }

    #[test]
    fn a_generation_lasts_as_long_as_a_library_is_of_it() {
        let mut reloads = begun(&[2]);
        reloads.next_life();
        reloads.library_done(NOW);
        reloads.finish();
        assert_eq!(reloads.discard(Generation::FIRST), [Generation::FIRST]);
        // A built-in library that stays, stays what it was.
        let mut reloads = begun(&[]);
        reloads.libraries.insert(2, Generation::FIRST);
        reloads.finish();
        assert!(reloads.discard(Generation::FIRST).is_empty());
    }

    #[test]
    fn it_can_be_written_down_at_any_time() {
        let mut reloads = begun(&[2, 3]);
        reloads.next_life();
        let text = serde_json::to_string(&reloads).expect("JSON");
        assert_eq!(
            serde_json::from_str::<Reloads>(&text).expect("ours"),
            reloads
        );
    }
}

//! What was asked for: how far it has come, and how it ended.

use std::collections::{BTreeMap, VecDeque};

use herder_api::Problem;
use herder_api::control::Progress;
use herder_api::problem::ProblemKind;

use super::dialog::Proposal;

/// How long the good end of something is shown, in milliseconds.
const SHOWN: u64 = 8000;

/// How many ends are shown at most.
const ENDS: usize = 3;

/// Something that was asked for.
#[derive(Clone, PartialEq, Debug)]
pub(in crate::monit) struct Deed {
    id: u64,
    pub(in crate::monit) app: String,
    /// `reloading` …
    pub(in crate::monit) verb: &'static str,
    /// Milliseconds since 1970.
    pub(in crate::monit) began_ms: u64,
    /// How far its slots are, as [`Progress::Slot`] tells it.
    pub(in crate::monit) slots: BTreeMap<u16, String>,
    /// What was said last.
    pub(in crate::monit) note: Option<String>,
    pub(in crate::monit) end: Option<End>,
}

/// How something ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::monit) struct End {
    at_ms: u64,
    pub(in crate::monit) how: How,
    /// A sentence.
    pub(in crate::monit) text: String,
}

/// How something ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::monit) enum How {
    Well,
    Badly,
}

/// What was asked for.
#[derive(Debug, Default)]
pub(in crate::monit) struct Deeds {
    all: Vec<Deed>,
    problems: VecDeque<(String, Problem)>,
    last: u64,
}

impl Deeds {
    /// The oldest first.
    pub(in crate::monit) fn all(&self) -> &[Deed] {
        &self.all
    }

    /// What went wrong and was not seen yet: with which app, and why.
    pub(super) fn problem(&self) -> Option<&(String, Problem)> {
        self.problems.front()
    }

    /// It was seen.
    pub(super) fn seen(&mut self) {
        self.problems.pop_front();
    }

    pub(super) fn are_under_way(&self) -> bool {
        self.all.iter().any(|deed| deed.end.is_none())
    }

    /// Something begins. Returns its number.
    pub(super) fn begin(&mut self, proposal: &Proposal, now_ms: u64) -> u64 {
        self.last += 1;
        self.all.push(Deed {
            id: self.last,
            app: proposal.app.clone(),
            verb: proposal.under_way(),
            began_ms: now_ms,
            slots: BTreeMap::new(),
            note: None,
            end: None,
        });
        self.last
    }

    pub(super) fn take(&mut self, id: u64, news: Progress, now_ms: u64) {
        let Some(deed) = self.all.iter_mut().find(|deed| deed.id == id) else {
            return;
        };
        match news {
            Progress::Begun { .. } => {}
            Progress::Slot { slot, phase, .. } => {
                deed.slots.insert(slot, phase);
            }
            Progress::Note { text, .. } => deed.note = Some(text),
            Progress::Done { app, text } if app == deed.app => {
                deed.finish(How::Well, text, now_ms);
            }
            Progress::Done { app, text } => deed.note = Some(format!("{app}: {text}")),
            Progress::Failed { problem, .. } => self.lose(id, problem, now_ms),
            Progress::End { failed, .. } if deed.end.is_none() => {
                let (how, text) = if failed == 0 {
                    (How::Well, "done")
                } else {
                    (How::Badly, "it failed")
                };
                deed.finish(how, text.to_owned(), now_ms);
            }
            Progress::End { .. } => {}
        }
    }

    /// It failed, or nothing is known of it any more.
    pub(super) fn lose(&mut self, id: u64, why: Problem, now_ms: u64) {
        let found = self.all.iter_mut().find(|deed| deed.id == id);
        // What has an end has been told.
        let Some(deed) = found.filter(|deed| deed.end.is_none()) else {
            return;
        };
        deed.finish(How::Badly, why.message.clone(), now_ms);
        self.problems.push_back((deed.app.clone(), why));
    }

    /// Forgets ends that were shown long enough. Returns whether there were any.
    pub(super) fn forget(&mut self, now_ms: u64) -> bool {
        let before = self.all.len();
        let ended = self.all.iter().filter(|deed| deed.end.is_some()).count();
        let mut excess = ended.saturating_sub(ENDS);
        self.all.retain(|deed| {
            let Some(end) = &deed.end else { return true };
            let crowded = excess > 0;
            excess = excess.saturating_sub(1);
            !crowded && now_ms.saturating_sub(end.at_ms) < SHOWN
        });
        self.all.len() != before
    }
}

impl Deed {
    fn finish(&mut self, how: How, text: String, now_ms: u64) {
        self.end = Some(End {
            at_ms: now_ms,
            how,
            text,
        });
    }
}

/// What is said when a stream ends before what it tells of.
pub(in crate::monit) fn unfinished() -> Problem {
    let message = "The daemon stopped speaking before it was done.";
    Problem::new(ProblemKind::Busy, message)
        .hint("It may have been done nevertheless: look at the list.")
}

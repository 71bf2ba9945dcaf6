//! Who is asked: the app as one, or each of its workers.

use herder_api::app::{App, Health};

use super::checks::{Act, Checks, Herd};
use super::each::{Each, asks_each};

/// The checks of an app, from when it came online.
#[derive(Debug)]
pub(in crate::triggers) enum Rounds {
    /// Whichever worker answers.
    App(Box<Checks>),
    /// Each worker, where it listens.
    Each(Box<Each>),
}

impl Rounds {
    /// The app came online just now.
    pub(in crate::triggers) fn new(health: &Health, app: &App, now: u64) -> Rounds {
        if asks_each(app, health) {
            Rounds::Each(Box::new(Each::new(health, app)))
        } else {
            Rounds::App(Box::new(Checks::new(health, app, now)))
        }
    }

    /// What is to be done now; a probe with the slot that it is of.
    pub(in crate::triggers) fn poll(
        &mut self,
        herd: Herd<'_>,
        now: u64,
    ) -> Vec<(Option<u16>, Act)> {
        match self {
            Rounds::App(checks) => {
                let acts = checks.poll(herd, now).into_iter();
                acts.map(|act| (None, act)).collect()
            }
            Rounds::Each(each) => {
                let acts = each.poll(herd, now).into_iter();
                acts.map(|(slot, act)| (Some(slot), act)).collect()
            }
        }
    }

    /// What became of a check.
    pub(in crate::triggers) fn answered(
        &mut self,
        slot: Option<u16>,
        result: Result<(), String>,
        herd: Herd<'_>,
        now: u64,
    ) -> Vec<Act> {
        match (self, slot) {
            (Rounds::App(checks), None) => checks.answered(result, herd, now),
            (Rounds::Each(each), Some(slot)) => each.answered(slot, result, herd, now),
            (Rounds::App(_), Some(_)) | (Rounds::Each(_), None) => Vec::new(),
        }
    }

    /// Whether it is healthy; None = not known yet.
    pub(in crate::triggers) fn healthy(&self) -> Option<bool> {
        match self {
            Rounds::App(checks) => checks.healthy(),
            Rounds::Each(each) => each.healthy(),
        }
    }

    /// When [`Rounds::poll`] is wanted next, if the herd says nothing until then.
    pub(in crate::triggers) fn timeout(&self) -> Option<u64> {
        match self {
            Rounds::App(checks) => checks.timeout(),
            Rounds::Each(each) => each.timeout(),
        }
    }
}

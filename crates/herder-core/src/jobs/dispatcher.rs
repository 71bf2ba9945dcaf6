use std::collections::VecDeque;

use super::message::{Action, Event};
use super::spec::JobSpec;
use crate::Tick;

/// Decides which worker gets a client's message.
///
/// A worker's identity is its incarnation, and the rotation is their order: the smallest above the
/// last used, else the smallest.
#[derive(Clone, PartialEq, Debug)]
pub struct JobDispatcher {
    spec: JobSpec,
    now: Tick,
    actions: VecDeque<Action>,
}

impl JobDispatcher {
    /// A dispatcher without workers and clients.
    #[must_use]
    pub fn new(spec: JobSpec) -> JobDispatcher {
        JobDispatcher {
            spec,
            now: Tick::ZERO,
            actions: VecDeque::new(),
        }
    }

    /// Takes in news. `now` never goes back; drain [`poll_action`](JobDispatcher::poll_action) when
    /// everything that is known has been told.
    pub fn handle(&mut self, event: Event, now: Tick) {
        self.now = self.now.max(now);
        drop(event);
    }

    /// The next request to the shell.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to call [`handle`](JobDispatcher::handle) with [`Event::Timer`]. Ask when no action is
    /// left.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Tick> {
        let _ = &self.spec;
        None
    }
}

use std::collections::{BTreeMap, VecDeque};

use herder_core::{Tick, WorkerId, supervisor};

use super::rng::Rng;

/// Where news comes from. News of one source keeps its order; sources overtake each other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Source {
    /// What the worker says.
    Control(WorkerId),
    /// What the dispatch thread says.
    Dispatch,
    /// What the kernel says about the process.
    Life(WorkerId),
}

/// News for the main thread.
#[derive(Clone, Debug)]
pub(crate) enum News {
    /// For the dispatcher, by way of the main thread.
    Load {
        worker: WorkerId,
        open: u32,
    },
    Supervisor(supervisor::Event),
}

/// What the main thread tells the dispatch thread.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    Admit(WorkerId),
    Gone(WorkerId),
    Hold(WorkerId),
    Load { worker: WorkerId, open: u32 },
    Withdraw(WorkerId),
}

/// News on its way.
#[derive(Debug, Default)]
pub(crate) struct Mail {
    sources: BTreeMap<Source, VecDeque<(Tick, News)>>,
}

impl Mail {
    pub(crate) fn post(&mut self, source: Source, at: Tick, news: News) {
        self.sources
            .entry(source)
            .or_default()
            .push_back((at, news));
    }

    /// The next news of some source that has arrived by `now`.
    pub(crate) fn take(&mut self, now: Tick, rng: &mut Rng) -> Option<News> {
        let arrived =
            |queue: &VecDeque<(Tick, News)>| queue.front().is_some_and(|(at, _)| *at <= now);
        let count = self.sources.values().filter(|queue| arrived(queue)).count();
        if count == 0 {
            return None;
        }
        let chosen = rng.index(count);
        let source = *self
            .sources
            .iter()
            .filter(|(_, queue)| arrived(queue))
            .nth(chosen)?
            .0;
        let queue = self.sources.get_mut(&source)?;
        let (_, news) = queue.pop_front()?;
        if queue.is_empty() {
            self.sources.remove(&source);
        }
        Some(news)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Everything arrives now.
    pub(crate) fn hurry(&mut self) {
        for (at, _) in self.sources.values_mut().flatten() {
            *at = Tick::ZERO;
        }
    }
}

use std::collections::{BTreeMap, BTreeSet};

use super::message::Action;
use crate::{ClientId, JobId};

/// The clients with unfinished jobs, and those that are not read from.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Clients {
    known: BTreeMap<ClientId, Client>,
    /// Who sent something while too many jobs waited.
    crowd: BTreeSet<ClientId>,
    window: usize,
}

#[derive(Clone, PartialEq, Debug)]
struct Client {
    jobs: BTreeSet<JobId>,
    flow: Flow,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Flow {
    Open,
    Paused,
}

/// Whether too many jobs wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Crowd {
    Dense,
    Sparse,
}

impl Clients {
    pub(super) fn new(window: u32) -> Clients {
        Clients {
            known: BTreeMap::new(),
            crowd: BTreeSet::new(),
            window: usize::try_from(window).unwrap_or(usize::MAX),
        }
    }

    /// The client sent a job.
    pub(super) fn sent(&mut self, id: ClientId, job: JobId, crowd: Crowd) -> Option<Action> {
        let client = self.known.entry(id).or_insert_with(|| Client {
            jobs: BTreeSet::new(),
            flow: Flow::Open,
        });
        client.jobs.insert(job);
        if crowd == Crowd::Dense {
            self.crowd.insert(id);
        }
        let full = crowd == Crowd::Dense || client.jobs.len() >= self.window;
        (full && client.flow == Flow::Open).then(|| {
            client.flow = Flow::Paused;
            Action::Pause { client: id }
        })
    }

    /// The client's job has come to its end.
    pub(super) fn over(&mut self, id: ClientId, job: JobId) -> Option<Action> {
        self.known.get_mut(&id)?.jobs.remove(&job);
        self.reopen(id)
    }

    /// There is room for jobs again: these are read from again.
    pub(super) fn disperse(&mut self) -> Vec<Action> {
        let crowd = std::mem::take(&mut self.crowd);
        crowd.into_iter().filter_map(|id| self.reopen(id)).collect()
    }

    /// The client is gone; these are its jobs.
    pub(super) fn leave(&mut self, id: ClientId) -> BTreeSet<JobId> {
        self.crowd.remove(&id);
        self.known
            .remove(&id)
            .map(|client| client.jobs)
            .unwrap_or_default()
    }

    pub(super) fn outstanding(&self, id: ClientId) -> usize {
        self.known.get(&id).map_or(0, |client| client.jobs.len())
    }

    fn reopen(&mut self, id: ClientId) -> Option<Action> {
        let client = self.known.get_mut(&id)?;
        let open = client.jobs.len() < self.window && !self.crowd.contains(&id);
        let resumed = open && client.flow == Flow::Paused;
        if open {
            client.flow = Flow::Open;
        }
        if open && client.jobs.is_empty() {
            self.known.remove(&id);
        }
        resumed.then_some(Action::Resume { client: id })
    }
}

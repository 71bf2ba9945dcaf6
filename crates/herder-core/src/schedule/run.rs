//! One run of a job, from its tick to its end.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::plan::JobName;
use super::wall::Wall;
use crate::Tick;

/// Names a run: an attempt at a tick by one server. Never used twice by a scheduler.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub u64);

/// Names a connection of a process that runs jobs. Never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ServerId(pub u64);

/// What a server is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ServerKind {
    Library,
    Worker,
}

/// Somebody who runs jobs.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) kind: ServerKind,
    pub(super) jobs: BTreeSet<JobName>,
    /// How many runs it has now.
    pub(super) running: usize,
}

/// A run that is not over.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) name: JobName,
    pub(super) tick: Wall,
    /// From 1.
    pub(super) attempt: u8,
    pub(super) claim: Option<Claim>,
    pub(super) stage: Stage,
}

/// The right to a tick, among several machines.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) token: u64,
    /// Whether an attempt was made with it.
    pub(super) used: bool,
    /// When it was asked for, or its renewal.
    pub(super) asked: Tick,
    /// When it ends, if it is not renewed.
    pub(super) until: Tick,
    /// When it is to be renewed.
    pub(super) renew_at: Tick,
}

/// How far a run is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
    /// The store was asked for the right to it.
    Asking { since: Tick },
    /// It failed, and will be tried again.
    Resting { until: Tick },
    /// A server is at it.
    Running {
        server: ServerId,
        since: Wall,
        deadline: Tick,
    },
    /// Nobody offers to run it.
    Unplaced { until: Tick },
    /// Somebody else has the right to it; when that ends, the store is asked again.
    Watching { until: Tick },
}

impl Run {
    /// When something is to be done about it, if nothing is heard.
    pub(super) fn due(&self) -> Option<Tick> {
        let stage = match self.stage {
            Stage::Asking { .. } => None,
            Stage::Resting { until } | Stage::Unplaced { until } | Stage::Watching { until } => {
                Some(until)
            }
            Stage::Running { deadline, .. } => Some(deadline),
        };
        let claim = self.claim.map(|claim| claim.renew_at.min(claim.until));
        stage.into_iter().chain(claim).min()
    }

    /// Whether the job still runs because of it. What another machine has does not count: nobody
    /// tells us when it has ended.
    pub(super) fn occupies(&self, name: &JobName) -> bool {
        let elsewhere = matches!(self.stage, Stage::Asking { .. } | Stage::Watching { .. });
        &self.name == name && !elsewhere
    }
}

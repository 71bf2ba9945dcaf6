//! How the herd stands.

use herder_api::status::{HerdStatus, SlotStatus, Verdict, WorkerStatus};
use herder_core::spec::DispatchMode;
use herder_core::supervisor::{Phase, Seat};
use herder_core::{Incarnation, Slot, Tick, WorkerId};

use crate::event::HerdEvent;
use crate::master::crew::Crew;
use crate::master::{Heir, Master, now};
use crate::part::Part;
use crate::verdict::{self, Ruling};

impl Master {
    /// How it stands now.
    pub(super) fn report(&self) -> HerdStatus {
        let now = now();
        let workers = self.crews.get(Part::Workers);
        let keeper = match self.heir {
            Heir::Keeper => self.socket.as_ref().map_or(0, |socket| socket.keeper),
            Heir::Master => 0,
        };
        HerdStatus {
            master: herder_sys::process::current_pid(),
            keeper,
            version: self.version.clone(),
            generation: self.generation().0.into(),
            dispatch: self.modes(),
            listening: self.addresses(),
            busy: self.is_busy(),
            wanted: self.spec.workers.count(),
            slots: self.with_traffic(workers.map_or_else(Vec::new, |crew| slots(crew, now))),
            others: self.others(now),
            connections: self.accepted(),
            verdict: self.reloads.last_verdict().map(said),
        }
    }

    /// Who accepts, of listeners of two modes both.
    fn modes(&self) -> String {
        let modes = self.spec.dispatch.modes().map(|it| it.to_string());
        modes.collect::<Vec<_>>().join("+")
    }

    /// Whether a reload or an upgrade is under way. (A first start is neither.)
    fn is_busy(&self) -> bool {
        self.reloads.is_under_way() || self.is_upgrading()
    }

    /// Where the herd listens: where it was told to, and where Node programs have asked for it.
    fn addresses(&self) -> Vec<String> {
        let own = self.socket.iter().flat_map(|socket| &socket.addresses);
        own.chain(&self.announced).cloned().collect()
    }

    /// How many connections this herd has accepted, where it is the master who does: where others accept some,
    /// too, nobody knows.
    pub(super) fn accepted(&self) -> Option<u64> {
        if let Some(HerdEvent::Dispatched { accepted, .. }) = self.delivery.totals()
            && self.spec.dispatch.mode == DispatchMode::Pass
        {
            Some(accepted)
        } else {
            None
        }
    }

    /// What a proxy knows of the workers.
    fn with_traffic(&self, mut slots: Vec<SlotStatus>) -> Vec<SlotStatus> {
        for worker in slots.iter_mut().flat_map(|slot| &mut slot.workers) {
            worker.proxied = self.proxied(Incarnation(worker.id));
        }
        slots
    }

    /// Libraries and the gateway.
    fn others(&self, now: Tick) -> Vec<WorkerStatus> {
        let others = self.crews.iter().filter(|(part, _)| *part != Part::Workers);
        let of = |(part, crew): (Part, &Crew)| {
            let name = match part {
                Part::Gateway => "gateway".to_owned(),
                Part::Library(library) => format!("library {}", library.name),
                Part::Workers => String::new(),
            };
            let living = living(crew, now, |_| true);
            living.into_iter().map(move |status| WorkerStatus {
                part: name.clone(),
                ..status
            })
        };
        others.flat_map(of).collect()
    }
}

/// The slots that the app shall have, and those in which somebody still lives.
fn slots(crew: &Crew, now: Tick) -> Vec<SlotStatus> {
    let size = crew.supervisor.size();
    let all = crew.supervisor.slots();
    let status = all.filter_map(|(slot, seat)| {
        let workers = living(crew, now, |worker| worker.slot == slot);
        let is_shown = slot.0 < size || !workers.is_empty();
        let counters = crew.supervisor.counters(slot);
        is_shown.then(|| SlotStatus {
            restarts: counters.restarts,
            failures: counters.failures,
            workers,
            ..rest(slot, seat, now)
        })
    });
    status.collect()
}

/// What a slot does in which nobody lives.
fn rest(slot: Slot, seat: Seat, now: Tick) -> SlotStatus {
    let (rests, until) = match seat {
        Seat::Backoff { until, .. } => ("waiting", Some(until)),
        Seat::Done { .. } => ("done", None),
        Seat::Owed { .. } => ("waiting", None),
        Seat::Quarantined { retry_at } => ("quarantined", Some(retry_at)),
        Seat::Held { .. } | Seat::Stopped { .. } => ("", None),
    };
    SlotStatus {
        slot: slot.0,
        rests: rests.to_owned(),
        retry_in_ms: until.map(|at| millis(at.since(now))),
        ..SlotStatus::default()
    }
}

/// Those who live, the one that serves first.
fn living(crew: &Crew, now: Tick, is_wanted: impl Fn(WorkerId) -> bool) -> Vec<WorkerStatus> {
    let all = crew.supervisor.workers();
    let mut living: Vec<_> = all
        .filter(|(worker, _)| is_wanted(*worker))
        .filter_map(|(worker, phase)| {
            let member = crew.members.get(&worker)?;
            let (rank, phase) = phase_name(phase);
            let generation = crew.supervisor.generation_of(worker)?;
            let born = crew.supervisor.born(worker)?;
            let status = WorkerStatus {
                part: String::new(),
                id: worker.incarnation.0,
                pid: member.child.pid,
                phase: phase.to_owned(),
                guessed: member.guessed,
                generation: generation.0.into(),
                age_ms: millis(now.since(born)),
                usage: None,
                proxied: None,
            };
            Some((rank, status))
        })
        .collect();
    living.sort_by_key(|(rank, status)| (*rank, status.id));
    living.into_iter().map(|(_, status)| status).collect()
}

/// A phase as it is called, and how much it serves: 0 is best.
fn phase_name(phase: Phase) -> (u8, &'static str) {
    match phase {
        Phase::Ready { .. } => (0, "ready"),
        Phase::Suspect { .. } => (1, "suspect"),
        Phase::Spawning { .. } | Phase::Starting { .. } => (2, "starting"),
        Phase::Standby { .. } => (3, "standby"),
        Phase::Draining { .. } | Phase::Recalled { .. } | Phase::Withdrawing { .. } => {
            (4, "draining")
        }
        Phase::Aborting { .. } | Phase::Killing { .. } => (5, "killing"),
    }
}

/// A verdict, as it is told.
pub(super) fn said(verdict: &verdict::Verdict) -> Verdict {
    let outcome = match verdict.outcome {
        Ruling::Done => "done",
        Ruling::Refused => "refused",
        Ruling::RolledBack => "rolled_back",
    };
    Verdict {
        operation: verdict.operation.name().to_owned(),
        outcome: outcome.to_owned(),
        generation: verdict.generation.0.into(),
        reason: verdict.reason.clone(),
        last_lines: verdict.last_lines.clone(),
        at: verdict.at.clone(),
        took_ms: millis(verdict.took),
    }
}

/// Whether two reports tell of the same, save for what changes all the time.
pub(super) fn is_same(one: &HerdStatus, other: &HerdStatus) -> bool {
    still(one) == still(other)
}

fn still(status: &HerdStatus) -> HerdStatus {
    let mut still = status.clone();
    still.connections = None;
    for slot in &mut still.slots {
        for worker in &mut slot.workers {
            if let Some(proxied) = &mut worker.proxied {
                (proxied.open, proxied.served, proxied.failed) = (0, 0, 0);
            }
        }
        slot.retry_in_ms = slot.retry_in_ms.map(|_| 0);
        slot.workers.iter_mut().for_each(|it| it.age_ms = 0);
    }
    still.others.iter_mut().for_each(|it| it.age_ms = 0);
    still
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

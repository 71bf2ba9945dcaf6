use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::deploy::Deploy;
use super::jitter::Jitter;
use super::message::{Action, Event, Outcome};
use super::news::News;
use super::phase::Phase;
use super::recycle::Recycling;
use super::seat::{Life, Place, Seat};
use crate::spec::AppSpec;
use crate::{Generation, Incarnation, Slot, Tick, WorkerId};

/// Decides which workers of one app live.
///
/// It can be serialised at any moment, actions that were not polled included, and what is read back
/// is equal to it and decides the same.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Supervisor {
    pub(super) spec: AppSpec,
    pub(super) run: Run,
    pub(super) readiness_seen: ReadinessSeen,
    /// How many slots the app shall have; `places` may hold more.
    pub(super) size: u16,
    /// Indexed by slot. It never shrinks, so that a slot which comes back keeps its history.
    pub(super) places: Vec<Place>,
    pub(super) recycling: Option<Recycling>,
    pub(super) deploy: Deploy,
    pub(super) jitter: Jitter,
    /// The incarnation that is born next.
    pub(super) next: Incarnation,
    /// When it was last called.
    pub(super) now: Tick,
    /// When it wanted to be called next: much later means that the master stood still.
    pub(super) announced: Option<Tick>,
    stale: u64,
    actions: VecDeque<Action>,
}

/// What the app as a whole is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Run {
    Finished,
    Idle,
    Leaving { outcome: Outcome },
    Running,
}

/// Whether any worker of the app was ever ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum ReadinessSeen {
    Never,
    Once,
}

impl Supervisor {
    /// The supervisor of an app that was not started. `seed` decides the jitter of its delays and
    /// limits.
    #[must_use]
    pub fn new(spec: AppSpec, seed: u64) -> Supervisor {
        let size = spec.workers.count();
        Supervisor {
            spec,
            run: Run::Idle,
            readiness_seen: ReadinessSeen::Never,
            size,
            places: (0..size).map(|_| Place::new()).collect(),
            recycling: None,
            deploy: Deploy::new(),
            jitter: Jitter::new(seed),
            next: Incarnation(1),
            now: Tick::ZERO,
            announced: None,
            stale: 0,
            actions: VecDeque::new(),
        }
    }

    /// Takes the news in. Then [poll the actions](Supervisor::poll_action) until there is none, and
    /// come back with [`Event::Timer`] at [the time-out](Supervisor::poll_timeout).
    ///
    /// Deadlines act at `Timer` only: feed it after the news that is already there, and a worker
    /// whose heartbeat merely lay unread is not suspected.
    pub fn handle(&mut self, event: Event, now: Tick) {
        let now = now.max(self.now);
        if !matches!(event, Event::StoodStill { .. }) {
            self.absorb_leap(now);
        }
        self.now = now;
        self.dispatch(event, now);
        self.settle(now);
        self.announced = self.next_deadline();
        self.check_invariants();
    }

    /// The next request, oldest first.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Event::Timer`] is wanted next, if at all. It may lie in the past.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Tick> {
        self.announced
    }

    /// Where an incarnation is in its life; `None` when it is dead or was never born.
    #[must_use]
    pub fn phase(&self, worker: WorkerId) -> Option<Phase> {
        let place = self.places.get(usize::from(worker.slot.0))?;
        place
            .workers
            .get(&worker.incarnation)
            .map(|life| life.phase)
    }

    /// Which generation a live incarnation is of; `None` when it is dead or was never born.
    #[must_use]
    pub fn generation_of(&self, worker: WorkerId) -> Option<Generation> {
        self.life(worker).map(|life| life.generation)
    }

    /// When the process of a live incarnation was asked for; `None` when it is dead or was never born.
    #[must_use]
    pub fn born(&self, worker: WorkerId) -> Option<Tick> {
        self.life(worker).map(|life| life.born)
    }

    /// Every live incarnation, by slot, then oldest first.
    pub fn workers(&self) -> impl Iterator<Item = (WorkerId, Phase)> {
        self.slots_of_places().flat_map(|(slot, place)| {
            place
                .workers
                .iter()
                .map(move |(incarnation, life)| (id(slot, *incarnation), life.phase))
        })
    }

    /// Every slot that the app has or once had, and who holds it.
    pub fn slots(&self) -> impl Iterator<Item = (Slot, Seat)> {
        self.slots_of_places()
            .map(|(slot, place)| (slot, place.seat))
    }

    /// How many slots the app shall have.
    #[must_use]
    pub fn size(&self) -> u16 {
        self.size
    }

    /// How many workers may get connections.
    #[must_use]
    pub fn ready_count(&self) -> usize {
        self.workers()
            .filter(|(_, phase)| matches!(phase, Phase::Ready { .. }))
            .count()
    }

    /// Whether [`Action::Finish`] was asked for: nothing is left to supervise.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.run == Run::Finished
    }

    /// How many news were about an incarnation that is dead or was never born.
    #[must_use]
    pub fn stale_events(&self) -> u64 {
        self.stale
    }

    pub(super) fn act(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    pub(super) fn count_stale(&mut self) {
        self.stale = self.stale.saturating_add(1);
    }

    pub(super) fn slots_of_places(&self) -> impl Iterator<Item = (Slot, &Place)> {
        (0..).map(Slot).zip(&self.places)
    }

    /// The slots that the app shall have, as far as it is running.
    pub(super) fn wanted_slots(&self) -> impl Iterator<Item = Slot> + use<> {
        let size = if self.run == Run::Running {
            self.size
        } else {
            0
        };
        (0..size).map(Slot)
    }

    pub(super) fn place(&self, slot: Slot) -> &Place {
        self.places
            .get(usize::from(slot.0))
            .expect("places never shrink, and slots come from them")
    }

    pub(super) fn place_mut(&mut self, slot: Slot) -> &mut Place {
        self.places
            .get_mut(usize::from(slot.0))
            .expect("places never shrink, and slots come from them")
    }

    pub(super) fn phase_mut(&mut self, worker: WorkerId) -> Option<&mut Phase> {
        let place = self.places.get_mut(usize::from(worker.slot.0))?;
        place
            .workers
            .get_mut(&worker.incarnation)
            .map(|life| &mut life.phase)
    }

    /// Every live incarnation with all that is known of it.
    pub(super) fn lives(&self) -> impl Iterator<Item = (WorkerId, &Life)> {
        self.slots_of_places().flat_map(|(slot, place)| {
            let lives = place.workers.iter();
            lives.map(move |(incarnation, life)| (id(slot, *incarnation), life))
        })
    }

    pub(super) fn life(&self, worker: WorkerId) -> Option<&Life> {
        let place = self.places.get(usize::from(worker.slot.0))?;
        place.workers.get(&worker.incarnation)
    }

    pub(super) fn set_phase(&mut self, worker: WorkerId, phase: Phase) {
        if let Some(present) = self.phase_mut(worker) {
            *present = phase;
        }
    }

    fn dispatch(&mut self, event: Event, now: Tick) {
        let (worker, news) = match event {
            Event::Beat { worker } => (worker, News::Beat),
            Event::BootExtended { worker, by } => (worker, News::BootExtended(by)),
            Event::Draining { worker } => (worker, News::Draining),
            Event::Fail { worker, reason } => return self.fail(worker, &reason, now),
            Event::Exhausted { worker } => (worker, News::Exhausted),
            Event::Exited { worker, exit } => (worker, News::Exited(exit)),
            Event::Memory { worker, bytes } => (worker, News::Memory(bytes)),
            Event::Misbehaved { worker } => (worker, News::Misbehaved),
            Event::Ready { worker } => (worker, News::Ready),
            Event::Retire { worker } => (worker, News::Retire),
            Event::Served { worker, total } => (worker, News::Served(total)),
            Event::SpawnFailed { worker, errno } => (worker, News::SpawnFailed(errno)),
            Event::Spawned { worker } => (worker, News::Spawned),
            Event::Unborn { worker } => (worker, News::Unborn),
            Event::Withdrawn { worker } => (worker, News::Withdrawn),
            Event::Reload { generation } => return self.reload(generation, now),
            Event::Reset => return self.reset(now),
            Event::Respec(policies) => return self.respec(*policies, now),
            Event::Scale(count) => return self.scale(count, now),
            Event::Start => return self.start(now),
            Event::Stop => return self.stop(now),
            Event::StopNow => return self.stop_now(now),
            Event::StoodStill { lasted } => return self.stood_still(lasted, now),
            Event::Timer => return self.run_timers(now),
        };
        self.take_news(worker, news, now);
    }

    /// Does what became possible.
    fn settle(&mut self, now: Tick) {
        self.pay_owed(now);
        self.advance_deploy(now);
        self.begin_recycling(now);
        self.give_up_boot(now);
        self.complete_app(now);
        self.cut_generations(now);
        self.discard_generations();
        self.finish_when_empty();
    }
}

pub(super) fn id(slot: Slot, incarnation: Incarnation) -> WorkerId {
    WorkerId { slot, incarnation }
}

//! Who keeps up, by the lengths of the queues.

use std::collections::BTreeMap;
use std::time::Duration;

use super::message::{Action, Relief, Sample, SocketId};
use super::spec::{Balance, Steering};
use super::state::Rotation;
use super::turns::shares;
use super::watch::Sight;
use super::worker::{Accepts, Pace, Socket, Standing, Taken, Worker};
use crate::mutation::{self, Mutation};
use crate::{Slot, Tick, WorkerId};

/// A queue that grew at so many looks after the first one stands.
const STANDS: u32 = 2;

/// A queue to which nobody came, and from which nobody was accepted, stands after so many, if anybody came
/// to the others: as long as nobody comes, nobody new waits there, and a machine that is busy lets any
/// worker stand for a moment.
const STANDS_UNASKED: u32 = 10;

/// Who was seen with an empty queue so often in a row has nothing to do.
const IDLE: u8 = 2;

/// A worker that was rescued once and shows nothing is rescued again after so many ticks.
const SECOND_RESCUE: u32 = 4;

/// How often the time in which a worker that was rescued has no turns is doubled, with each trial in
/// vain.
const LAST_DOUBLING: u32 = 5;

/// Who has turns again after a rescue and does not fall behind for this long is well.
const TRIAL: Duration = Duration::from_secs(1);

/// Whether a look has changed who has turns.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Same,
    Changed,
}

fn had(turns: &BTreeMap<Slot, u64>, slot: Slot) -> u64 {
    turns.get(&slot).copied().unwrap_or(0)
}

/// What all are compared with.
struct Field {
    /// How many have turns.
    keeping: usize,
    /// Somebody who has turns has nothing to do.
    is_anyone_idle: bool,
    /// The smallest load of those who have turns.
    least: u64,
}

impl Rotation {
    pub(super) fn sampled(&mut self, sample: &Sample) {
        let now = self.now;
        let taken = self.watch.taken(sample.turns);
        let shares = taken.map(|taken| shares(&self.turns, taken));
        let yielded = self.levels.hear(&sample.yielded);
        let all = self.watch.passed(sample.turns);
        let all = all.saturating_sub(yielded.values().sum());
        let mut has_changed = self.watch.saw_turns(sample.turns);
        for (id, waiting) in &sample.queues {
            if let Some(socket) = self.socket_mut(*id) {
                let share = |shares: &BTreeMap<Slot, u64>| match socket.is_entered {
                    true => had(shares, id.slot).saturating_sub(had(&yielded, id.slot)),
                    false => 0,
                };
                let own = shares.as_ref().map(share);
                has_changed |= socket.saw(*waiting, Taken { own, all }, now);
            }
        }
        self.begin_trials();
        let ids: Vec<WorkerId> = self.workers.iter().map(|worker| worker.id).collect();
        let mut field = self.field();
        let mut verdict = Verdict::Same;
        for id in ids {
            if self.judge(id, &field) == Verdict::Changed {
                // Who was left out a moment ago does not count.
                field = self.field();
                verdict = Verdict::Changed;
            }
            self.drain(id);
        }
        self.level();
        let sight = self.sight();
        self.watch.looked(has_changed, sight, now, &self.spec);
        if self.watch.is_over() {
            // A crowd of long ago is not made up for in the quiet.
            self.forget_levels();
        }
        if verdict == Verdict::Changed && self.spec.balance == Balance::LeastLoaded {
            // As soon as the turns are written, who waits at the wrong one may go to another.
            self.watch.hurry(now);
        }
    }

    pub(super) fn timer(&mut self) {
        self.begin_trials();
    }

    pub(super) fn rescued(&mut self, id: WorkerId, count: u32) {
        let (now, steering) = (self.now, self.spec.steering);
        let first_trial = self.spec.first_trial();
        let Some(worker) = self.worker_mut(id).filter(|it| it.pace == Pace::Rescuing) else {
            return;
        };
        let doubling = worker.failed_trials.min(LAST_DOUBLING);
        worker.pace = match steering {
            // It took them itself in this moment.
            Steering::Program if count == 0 => Pace::Behind,
            Steering::Program if worker.is_admitted() => Pace::Silent {
                until: now.after(first_trial * (1 << doubling)),
            },
            Steering::Program | Steering::Hash => Pace::Keeping,
        };
        if count > 0 {
            worker.failed_trials = worker.failed_trials.saturating_add(1);
        }
        let socket = worker.socket;
        if let Some(socket) = self.socket_mut(socket) {
            // That there are fewer is not its own doing.
            socket.waiting = 0;
            socket.seen_empty = 0;
            socket.still_since = None;
        }
        self.watch.begin(now);
    }

    fn field(&self) -> Field {
        let keeping = self.workers.iter().filter(|worker| worker.keeps_up());
        let idle = match self.spec.balance {
            Balance::RoundRobin => IDLE,
            Balance::LeastLoaded => 1,
        };
        let is_idle = |worker: &Worker| {
            let socket = self.socket(worker.socket);
            socket.is_some_and(|socket| socket.seen_empty >= idle)
        };
        Field {
            keeping: keeping.clone().count(),
            is_anyone_idle: keeping.clone().any(is_idle),
            least: keeping.map(|worker| self.load(worker)).min().unwrap_or(0),
        }
    }

    fn load(&self, worker: &Worker) -> u64 {
        let waiting = self.socket(worker.socket).map_or(0, |it| it.waiting);
        u64::from(waiting) + u64::from(worker.load.open) + u64::from(worker.load.busy)
    }

    fn judge(&mut self, id: WorkerId, field: &Field) -> Verdict {
        let Some(worker) = self.worker(id).filter(|it| it.is_admitted()) else {
            return Verdict::Same;
        };
        let Some(socket) = self.socket(worker.socket) else {
            return Verdict::Same;
        };
        let waiting = socket.waiting;
        let next = match worker.pace {
            Pace::OnTrial { until } if self.falls_behind(worker, socket, field) => {
                // As before: nobody was told that it was well.
                (until > self.now).then_some(Pace::Behind)
            }
            Pace::OnTrial { until } => (until <= self.now).then_some(Pace::Keeping),
            Pace::Keeping => match self.spec.steering {
                Steering::Program => self
                    .falls_behind(worker, socket, field)
                    .then_some(Pace::Behind),
                Steering::Hash => self.help(worker, socket, field),
            },
            Pace::Behind if self.has_caught_up(worker, socket, field) => Some(Pace::Keeping),
            Pace::Behind | Pace::Silent { .. } => self.help(worker, socket, field),
            Pace::Rescuing | Pace::Hung => None,
        };
        let Some(next) = next else {
            return Verdict::Same;
        };
        self.change_pace(id, next, waiting);
        Verdict::Changed
    }

    fn change_pace(&mut self, id: WorkerId, next: Pace, waiting: u32) {
        let (now, hysteresis) = (self.now, self.spec.hysteresis);
        let Some(worker) = self.worker_mut(id) else {
            return;
        };
        if next == Pace::Rescuing && worker.relief != Relief::HandOver {
            return self.move_queue(id);
        }
        let (was, socket) = (std::mem::replace(&mut worker.pace, next), worker.socket);
        let action = match (was, next) {
            (Pace::Keeping, Pace::Behind) => Action::Excluded {
                worker: id,
                waiting,
            },
            (_, Pace::Keeping) => {
                worker.may_fall_behind_at = now.after(hysteresis);
                worker.failed_trials = 0;
                Action::Readmitted { worker: id }
            }
            (_, Pace::Rescuing) => Action::Rescue { worker: id, socket },
            (_, Pace::Hung) => Action::Hung { worker: id },
            (_, Pace::Behind | Pace::OnTrial { .. } | Pace::Silent { .. }) => {
                self.restart_clock(id);
                return;
            }
        };
        self.actions.push_back(action);
        match next {
            // From now on nobody comes: whatever changes is its own doing.
            Pace::Behind if self.is_asked(socket) => self.restart_clock(id),
            // It will not accept any more, and the next of its slot inherits the socket.
            Pace::Hung if self.spec.steering == Steering::Program => self.flush(socket),
            Pace::Keeping
            | Pace::Behind
            | Pace::OnTrial { .. }
            | Pace::Rescuing
            | Pace::Silent { .. }
            | Pace::Hung => {}
        }
    }

    /// Whether it is not certain since when nobody was accepted there, because others came meanwhile. (By
    /// load, who waits too short a time is moved in vain, and nothing is lost by that.)
    fn is_asked(&self, id: SocketId) -> bool {
        let is_asked = |socket: &Socket| socket.passed > 0;
        self.spec.balance == Balance::RoundRobin && self.socket(id).is_some_and(is_asked)
    }

    /// Who waits at the worker goes to others at once, and its turns for a while.
    fn move_queue(&mut self, id: WorkerId) {
        let (now, first_trial) = (self.now, self.spec.first_trial());
        let Some(worker) = self.worker_mut(id) else {
            return;
        };
        let doubling = worker.failed_trials.min(LAST_DOUBLING);
        worker.pace = Pace::Silent {
            until: now.after(first_trial * (1 << doubling)),
        };
        worker.failed_trials = worker.failed_trials.saturating_add(1);
        let socket = worker.socket;
        self.flush(socket);
    }

    fn restart_clock(&mut self, id: WorkerId) {
        let now = self.now;
        let Some(socket) = self.worker(id).map(|worker| worker.socket) else {
            return;
        };
        if let Some(socket) = self.socket_mut(socket)
            && socket.still_since.is_some()
        {
            socket.restart(now);
        }
    }

    /// Whether others are to have its turns. Never the last one: somebody else has less to do.
    fn falls_behind(&self, worker: &Worker, socket: &Socket, field: &Field) -> bool {
        let is_alone = field.keeping < 2;
        let is_fresh = self.now < worker.may_fall_behind_at && !mutation::is(Mutation::Flapping);
        if is_alone || is_fresh {
            return false;
        }
        let is_on_trial = matches!(worker.pace, Pace::OnTrial { .. });
        let patience = match self.spec.balance {
            Balance::RoundRobin if socket.has_grown() => self.spec.tick * STANDS,
            Balance::RoundRobin if socket.passed > 0 || is_on_trial => {
                self.spec.tick * STANDS_UNASKED
            }
            // Nobody came to anybody: with other turns nobody would have been better off.
            Balance::RoundRobin => self.spec.rescue_after,
            Balance::LeastLoaded => self.spec.tick,
        };
        let stands = self.has_stood(socket, patience) && field.is_anyone_idle;
        let is_loaded = match self.spec.balance {
            Balance::RoundRobin => false,
            Balance::LeastLoaded => self.load(worker) > field.least + 1 + field.least / 8,
        };
        stands || is_loaded
    }

    fn has_caught_up(&self, worker: &Worker, socket: &Socket, field: &Field) -> bool {
        if mutation::is(Mutation::CaughtUpUnnoticed) {
            return false;
        }
        let is_light = match self.spec.balance {
            Balance::RoundRobin => true,
            // A little less than what leaves it out.
            Balance::LeastLoaded => self.load(worker) <= field.least + field.least / 16,
        };
        socket.waiting == 0 && is_light
    }

    /// What is to be done for those who wait at a worker that accepts nobody.
    fn help(&self, worker: &Worker, socket: &Socket, field: &Field) -> Option<Pace> {
        if !field.is_anyone_idle {
            return None;
        }
        match worker.relief {
            Relief::HandOver => self
                .has_stood(socket, self.rescue_after(worker))
                .then_some(Pace::Rescuing),
            Relief::Move if self.spec.steering == Steering::Program => self
                .has_stood(socket, self.rescue_after(worker))
                .then_some(Pace::Rescuing),
            Relief::Move => None,
            // Nobody has waited for the socket yet, who would take its end for an error.
            Relief::Kill if self.may_be_loading(worker, socket) => self
                .has_stood(socket, self.rescue_after(worker))
                .then_some(Pace::Rescuing),
            Relief::Kill => {
                let hang = self.spec.hang?;
                self.has_stood(socket, hang).then_some(Pace::Hung)
            }
        }
    }

    fn may_be_loading(&self, worker: &Worker, socket: &Socket) -> bool {
        self.spec.steering == Steering::Program
            && socket.accepts != Accepts::Seen
            && self.now < worker.since.after(self.spec.boot)
    }

    fn rescue_after(&self, worker: &Worker) -> Duration {
        if self.spec.balance == Balance::LeastLoaded && worker.relief == Relief::Move {
            // It costs next to nothing, and the worker says itself when it accepts again.
            self.spec.tick
        } else if worker.failed_trials > 0 {
            self.spec.rescue_after.min(self.spec.tick * SECOND_RESCUE)
        } else {
            self.spec.rescue_after
        }
    }

    pub(super) fn has_stood(&self, socket: &Socket, patience: Duration) -> bool {
        let since = |since: Tick| self.now.since(since) >= patience;
        socket.still_since.is_some_and(since)
    }

    /// Who was rescued has turns again, to see whether it accepts.
    fn begin_trials(&mut self) {
        let now = self.now;
        for worker in self.workers.iter_mut().filter(|it| it.is_admitted()) {
            if let Pace::Silent { until } = worker.pace
                && until <= now
            {
                worker.pace = Pace::OnTrial {
                    until: now.after(TRIAL),
                };
                worker.may_fall_behind_at = now;
                self.watch.begin(now);
            }
        }
    }

    /// Whether a withdrawn worker has nobody left.
    fn drain(&mut self, id: WorkerId) {
        let now = self.now;
        let Some(worker) = self.worker(id) else {
            return;
        };
        let socket = self.socket(worker.socket).cloned();
        let waiting = socket.as_ref().map_or(0, |socket| socket.waiting);
        let next = match worker.standing {
            Standing::Withdrawing { until, seen_empty } => {
                let seen_empty = if waiting == 0 { seen_empty + 1 } else { 0 };
                if seen_empty >= self.spec.drained() || until <= now {
                    self.actions.push_back(Action::Withdrawn { worker: id });
                    Standing::Left
                } else {
                    Standing::Withdrawing { until, seen_empty }
                }
            }
            Standing::Left => {
                let stands = |it: &Socket| self.has_stood(it, self.spec.rescue_after);
                if !socket.as_ref().is_some_and(stands)
                    || !self.workers.iter().any(Worker::keeps_up)
                {
                    return;
                }
                self.relieve_left(id);
                return;
            }
            Standing::Starting | Standing::Admitted | Standing::Held | Standing::Deaf => return,
        };
        if let Some(worker) = self.worker_mut(id) {
            worker.standing = next;
        }
        if next == Standing::Left {
            // From now on it is told to go, and what it does about those who came late counts.
            self.restart_clock(id);
        }
    }

    /// It accepts nobody any more, though it lives.
    fn relieve_left(&mut self, id: WorkerId) {
        let steering = self.spec.steering;
        let Some(worker) = self.worker_mut(id) else {
            return;
        };
        let socket = worker.socket;
        match worker.relief {
            Relief::HandOver if worker.pace != Pace::Rescuing => {
                worker.pace = Pace::Rescuing;
                self.actions
                    .push_back(Action::Rescue { worker: id, socket });
            }
            Relief::Kill | Relief::Move if steering == Steering::Program => {
                worker.standing = Standing::Deaf;
            }
            // Nobody can be helped before its successor comes.
            Relief::HandOver | Relief::Kill | Relief::Move => {}
        }
    }

    fn sight(&self) -> Sight {
        let decides = |worker: &Worker| match worker.standing {
            Standing::Withdrawing { .. } => true,
            Standing::Admitted => match worker.pace {
                Pace::OnTrial { .. } | Pace::Behind | Pace::Rescuing => true,
                Pace::Keeping | Pace::Silent { .. } | Pace::Hung => false,
            },
            Standing::Starting | Standing::Held | Standing::Left | Standing::Deaf => false,
        };
        let is_over = |socket: &Socket| socket.is_released && !self.has_worker(socket.id);
        let is_barred = |socket: &Socket| socket.is_barred;
        let decides_about = |socket: &Socket| is_over(socket) || is_barred(socket);
        if self.workers.iter().any(decides) || self.sockets.iter().any(decides_about) {
            return Sight::Decision;
        }
        if self.is_crowded() {
            Sight::Crowd
        } else if self.sockets.iter().any(|socket| socket.waiting > 0) {
            Sight::Queues
        } else {
            Sight::Nothing
        }
    }

    fn is_crowded(&self) -> bool {
        // By load, whoever gets idle is to have those who wait at others: it has a voice to say so, or it is looked for.
        let is_heard = |worker: &Worker| match self.spec.balance {
            Balance::RoundRobin => true,
            Balance::LeastLoaded => worker.relief == Relief::Move,
        };
        let is_asked = |worker: &Worker| {
            let socket = self.socket(worker.socket);
            socket.is_some_and(|socket| socket.waiting > 0) && is_heard(worker)
        };
        let mut keeping = self.workers.iter().filter(|worker| worker.keeps_up());
        keeping.clone().next().is_some() && keeping.all(is_asked)
    }
}

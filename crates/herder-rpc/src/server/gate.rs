//! How many calls of one method run at a time, and who is next.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Within what a refused caller is asked to wait.
const RETRY: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(5);

/// How many calls of one method run and wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MethodLimits {
    /// How many run at a time; at least one.
    pub concurrency: usize,
    /// How many more wait for their turn; the next is refused as `overloaded`.
    pub queue: usize,
}

impl Default for MethodLimits {
    /// 1,024 run, 1,024 wait.
    fn default() -> Self {
        Self {
            concurrency: 1024,
            queue: 1024,
        }
    }
}

/// What waits at a gate.
pub(super) trait Waiting {
    /// The connection that it came by.
    fn connection(&self) -> u64;
    /// Its number on that connection.
    fn id(&self) -> u64;
    /// When its caller stops waiting.
    fn deadline(&self) -> Instant;
}

/// The entrance of one method. Connections take turns: one that has a thousand calls in the queue
/// does not keep another's first call waiting for all of them.
#[derive(Debug)]
pub(super) struct Gate<W> {
    limits: MethodLimits,
    inner: Mutex<Inner<W>>,
}

#[derive(Debug)]
struct Inner<W> {
    running: usize,
    queued: usize,
    /// One for each connection that has calls in the queue; the first is next.
    lanes: VecDeque<Lane<W>>,
    /// How long a call runs: a moving mean.
    mean: Duration,
    sweep: Sweep,
}

#[derive(Debug)]
struct Lane<W> {
    connection: u64,
    calls: VecDeque<W>,
}

/// Whether somebody removes the calls whose callers have gone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Sweep {
    Resting,
    Running,
}

/// What became of a call at the gate.
#[derive(Debug)]
pub(super) enum Entered<W> {
    /// It runs; [`Gate::leave`] when it has ended.
    Runs(W),
    /// It waits; in the second form the caller of this function also begins to sweep.
    Waits,
    WaitsAndSweep,
    /// There is no room; how long the caller should wait before it tries again.
    Refused(W, Duration),
}

/// Who runs next, and who has waited for nothing.
#[derive(Debug)]
pub(super) struct Next<W> {
    pub(super) runs: Option<W>,
    pub(super) expired: Vec<W>,
}

impl<W: Waiting> Gate<W> {
    pub(super) fn new(limits: MethodLimits) -> Arc<Self> {
        let inner = Inner {
            running: 0,
            queued: 0,
            lanes: VecDeque::new(),
            mean: Duration::ZERO,
            sweep: Sweep::Resting,
        };
        Arc::new(Self {
            limits,
            inner: Mutex::new(inner),
        })
    }

    /// Takes a place for a call that is about to come in, when one is free and nobody waits.
    pub(super) fn try_enter(&self) -> bool {
        let mut inner = self.inner();
        let is_free = inner.running < self.limits.concurrency.max(1) && inner.queued == 0;
        inner.running += usize::from(is_free);
        is_free
    }

    /// A call comes in.
    pub(super) fn enter(&self, call: W) -> Entered<W> {
        let mut inner = self.inner();
        if inner.running < self.limits.concurrency.max(1) && inner.queued == 0 {
            inner.running += 1;
            return Entered::Runs(call);
        }
        if inner.queued >= self.limits.queue {
            let wait = inner.expected_wait(self.limits.concurrency);
            return Entered::Refused(call, wait);
        }
        inner.push(call);
        if inner.sweep == Sweep::Running {
            return Entered::Waits;
        }
        inner.sweep = Sweep::Running;
        Entered::WaitsAndSweep
    }

    /// A call that ran has ended, after `took`. Its place goes to the next that is still wanted.
    pub(super) fn leave(&self, took: Duration, now: Instant) -> Next<W> {
        let mut inner = self.inner();
        inner.mean = (inner.mean * 7 + took) / 8;
        let mut expired = Vec::new();
        while let Some(call) = inner.pop() {
            if call.deadline() > now {
                return Next {
                    runs: Some(call),
                    expired,
                };
            }
            expired.push(call);
        }
        inner.running -= 1;
        Next {
            runs: None,
            expired,
        }
    }

    /// Takes one call out of the queue; `None` when it is not in it.
    pub(super) fn forget(&self, connection: u64, id: u64) -> Option<W> {
        let mut inner = self.inner();
        let lane = inner
            .lanes
            .iter_mut()
            .find(|lane| lane.connection == connection)?;
        let position = lane.calls.iter().position(|call| call.id() == id)?;
        let call = lane.calls.remove(position);
        inner.queued -= 1;
        inner.lanes.retain(|lane| !lane.calls.is_empty());
        call
    }

    /// Takes all calls of one connection out of the queue.
    pub(super) fn forget_all(&self, connection: u64) -> VecDeque<W> {
        let mut inner = self.inner();
        let Some(position) = inner
            .lanes
            .iter()
            .position(|lane| lane.connection == connection)
        else {
            return VecDeque::new();
        };
        let calls = inner
            .lanes
            .remove(position)
            .map_or_else(VecDeque::new, |lane| lane.calls);
        inner.queued -= calls.len();
        calls
    }

    /// Takes out the calls whose deadline has passed, and says when to come again; `None` when
    /// nothing waits any more.
    pub(super) fn sweep(&self, now: Instant) -> (Vec<W>, Option<Instant>) {
        let mut inner = self.inner();
        let mut expired = Vec::new();
        let mut next: Option<Instant> = None;
        for lane in &mut inner.lanes {
            for _ in 0..lane.calls.len() {
                let Some(call) = lane.calls.pop_front() else {
                    break;
                };
                if call.deadline() <= now {
                    expired.push(call);
                } else {
                    next = Some(next.map_or(call.deadline(), |next| next.min(call.deadline())));
                    lane.calls.push_back(call);
                }
            }
        }
        inner.queued -= expired.len();
        inner.lanes.retain(|lane| !lane.calls.is_empty());
        if next.is_none() {
            inner.sweep = Sweep::Resting;
        }
        (expired, next)
    }

    fn inner(&self) -> MutexGuard<'_, Inner<W>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: Waiting> Inner<W> {
    fn push(&mut self, call: W) {
        self.queued += 1;
        let connection = call.connection();
        match self
            .lanes
            .iter_mut()
            .find(|lane| lane.connection == connection)
        {
            Some(lane) => lane.calls.push_back(call),
            None => self.lanes.push_back(Lane {
                connection,
                calls: VecDeque::from([call]),
            }),
        }
    }

    fn pop(&mut self) -> Option<W> {
        let mut lane = self.lanes.pop_front()?;
        let call = lane.calls.pop_front();
        self.queued -= 1;
        if !lane.calls.is_empty() {
            self.lanes.push_back(lane);
        }
        call
    }

    fn expected_wait(&self, concurrency: usize) -> Duration {
        let ahead = u32::try_from(self.queued / concurrency.max(1) + 1).unwrap_or(u32::MAX);
        self.mean
            .saturating_mul(ahead)
            .clamp(*RETRY.start(), *RETRY.end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Eq, PartialEq)]
    struct Call(u64, u64, Instant);

    impl Waiting for Call {
        fn connection(&self) -> u64 {
            self.0
        }
        fn id(&self) -> u64 {
            self.1
        }
        fn deadline(&self) -> Instant {
            self.2
        }
    }

    fn gate(concurrency: usize, queue: usize) -> Arc<Gate<Call>> {
        Gate::new(MethodLimits { concurrency, queue })
    }

    #[test]
    fn connections_take_turns() {
        let (gate, now) = (gate(1, 10), Instant::now());
        let late = now + Duration::from_secs(1);
        assert!(matches!(gate.enter(Call(1, 1, late)), Entered::Runs(_)));
        assert!(matches!(
            gate.enter(Call(1, 2, late)),
            Entered::WaitsAndSweep
        ));
        for call in [
            Call(1, 3, late),
            Call(1, 4, late),
            Call(2, 1, late),
            Call(3, 1, late),
        ] {
            assert!(matches!(gate.enter(call), Entered::Waits));
        }
        let order: Vec<_> = std::iter::from_fn(|| {
            gate.leave(Duration::ZERO, now)
                .runs
                .map(|call| (call.0, call.1))
        })
        .collect();
        assert_eq!(order, [(1, 2), (2, 1), (3, 1), (1, 3), (1, 4)]);
    }

    #[test]
    fn beyond_the_queue_a_call_is_refused_with_the_time_that_the_queue_takes() {
        let (gate, now) = (gate(1, 2), Instant::now());
        let late = now + Duration::from_secs(9);
        for _ in 0..100 {
            assert!(matches!(gate.enter(Call(1, 1, late)), Entered::Runs(_)));
            gate.leave(Duration::from_millis(100), now);
        }
        for id in 1..=3 {
            gate.enter(Call(1, id, late));
        }
        let Entered::Refused(call, wait) = gate.enter(Call(2, 1, late)) else {
            panic!("room")
        };
        assert_eq!((call.0, call.1), (2, 1));
        assert!((290..310).contains(&wait.as_millis()), "{wait:?}");
    }

    #[test]
    fn a_call_whose_caller_waits_no_more_does_not_run() {
        let (gate, now) = (gate(1, 9), Instant::now());
        let (soon, late) = (now + Duration::from_secs(1), now + Duration::from_secs(9));
        for call in [
            Call(1, 1, late),
            Call(1, 2, soon),
            Call(2, 3, soon),
            Call(1, 4, late),
        ] {
            gate.enter(call);
        }
        let next = gate.leave(Duration::ZERO, soon);
        assert_eq!(next.runs, Some(Call(1, 4, late)));
        assert_eq!(next.expired.len(), 2);
    }

    #[test]
    fn a_sweep_takes_what_has_expired_and_keeps_the_order_of_the_others() {
        let (gate, now) = (gate(1, 9), Instant::now());
        let (soon, late) = (now + Duration::from_secs(1), now + Duration::from_secs(9));
        for call in [
            Call(1, 1, late),
            Call(1, 2, late),
            Call(1, 3, soon),
            Call(1, 4, late),
        ] {
            gate.enter(call);
        }
        assert_eq!(gate.sweep(now), (vec![], Some(soon)));
        assert_eq!(gate.sweep(soon), (vec![Call(1, 3, soon)], Some(late)));
        assert_eq!(
            gate.leave(Duration::ZERO, soon).runs,
            Some(Call(1, 2, late))
        );
        assert_eq!(gate.forget(1, 4), Some(Call(1, 4, late)));
        assert_eq!(gate.forget(1, 4), None);
        assert_eq!(gate.sweep(soon), (vec![], None));
        gate.leave(Duration::ZERO, soon);
        assert!(matches!(gate.enter(Call(1, 5, late)), Entered::Runs(_)));
        assert!(
            matches!(gate.enter(Call(1, 6, late)), Entered::WaitsAndSweep),
            "sweeps again"
        );
    }

    #[test]
    fn a_connection_that_ends_leaves_the_queue() {
        let (gate, now) = (gate(1, 9), Instant::now());
        let late = now + Duration::from_secs(9);
        for call in [
            Call(1, 1, late),
            Call(1, 2, late),
            Call(2, 3, late),
            Call(1, 4, late),
        ] {
            gate.enter(call);
        }
        assert_eq!(gate.forget_all(1).len(), 2);
        assert_eq!(gate.leave(Duration::ZERO, now).runs, Some(Call(2, 3, late)));
        assert!(gate.forget_all(7).is_empty());
    }
}

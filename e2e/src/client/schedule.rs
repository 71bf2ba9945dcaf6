//! When requests are due.

use crate::client::load::{Limit, Pace, Shared};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The schedule of one thread of a load.
pub(super) struct Schedule<'a> {
    shared: &'a Shared,
    /// Closed loop: when each client without a request makes its next one.
    clients: BinaryHeap<Reverse<Instant>>,
    /// Open loop: the number of this thread's next request.
    next: u64,
    over: bool,
}

/// A request that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) id: u64,
    pub(super) at: Instant,
}

impl<'a> Schedule<'a> {
    /// The schedule of thread `thread` with `clients` clients.
    pub(super) fn new(shared: &'a Shared, thread: usize, clients: usize) -> Schedule<'a> {
        let clients = match shared.load.pace {
            Pace::Closed { .. } => vec![Reverse(shared.begun); clients].into(),
            Pace::Open { .. } => BinaryHeap::new(),
        };
        Schedule {
            shared,
            clients,
            next: thread as u64,
            over: false,
        }
    }

    /// The next request that is due at `now`; asked only when there is a free connection for it.
    pub(super) fn due(&mut self, now: Instant) -> Option<Due> {
        if self.over || self.shared.stop.load(Ordering::Relaxed) {
            self.over = true;
            return None;
        }
        let at = self.next_due().filter(|at| *at <= now)?;
        let id = match self.shared.load.pace {
            Pace::Closed { .. } => {
                self.clients.pop();
                self.shared.tickets.fetch_add(1, Ordering::Relaxed)
            }
            Pace::Open { .. } => {
                self.next += self.shared.threads as u64;
                self.next - self.shared.threads as u64
            }
        };
        self.over = match self.shared.load.limit {
            Limit::Count(count) => id >= count,
            Limit::Lasting(time) => at >= self.shared.begun + time,
            Limit::None => false,
        };
        (!self.over).then_some(Due { id, at })
    }

    /// Says that a request has its outcome: in a closed loop its client goes on.
    pub(super) fn answered(&mut self, now: Instant) {
        if let Pace::Closed { think } = self.shared.load.pace {
            self.clients.push(Reverse(now + think));
        }
    }

    /// When the next request is due; `None` when no more comes, or not before an answer.
    pub(super) fn next_due(&self) -> Option<Instant> {
        if self.over {
            return None;
        }
        match self.shared.load.pace {
            Pace::Closed { .. } => self.clients.peek().map(|at| at.0),
            Pace::Open { interval } => Some(self.shared.begun + times(interval, self.next)),
        }
    }

    /// Whether no more requests will be due.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }
}

fn times(interval: Duration, count: u64) -> Duration {
    let nanos = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(nanos.saturating_mul(count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::load::Load;
    use std::sync::atomic::{AtomicBool, AtomicU64};

    fn shared(load: Load) -> Shared {
        Shared {
            threads: load.threads,
            load,
            begun: Instant::now(),
            tickets: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        }
    }

    fn load() -> Load {
        Load::plain(std::net::SocketAddr::from(([127, 0, 0, 1], 1)), b"")
    }

    #[test]
    fn an_open_loop_is_due_at_its_times_however_late_it_is_asked() {
        let shared = shared(load().threads(2).at_rate(1000).count(5));
        let late = shared.begun + Duration::from_secs(1);
        let mut times = Vec::new();
        for thread in 0..2 {
            let mut schedule = Schedule::new(&shared, thread, 4);
            while let Some(due) = schedule.due(late) {
                times.push((due.id, due.at.duration_since(shared.begun).as_millis()));
            }
            assert!(schedule.is_over());
        }
        assert_eq!(times, [(0, 0), (2, 2), (4, 4), (1, 1), (3, 3)]);
    }

    #[test]
    fn a_closed_loop_waits_for_answers_and_thinks() {
        let shared = shared(load().think(Duration::from_millis(20)).count(3));
        let mut schedule = Schedule::new(&shared, 0, 1);
        let first = shared.begun;
        assert_eq!(schedule.due(first), Some(Due { id: 0, at: first }));
        assert_eq!((schedule.due(first), schedule.next_due()), (None, None));
        schedule.answered(first);
        let second = first + Duration::from_millis(20);
        assert_eq!(
            (schedule.due(first), schedule.next_due()),
            (None, Some(second))
        );
        assert_eq!(schedule.due(second), Some(Due { id: 1, at: second }));
    }

    #[test]
    fn a_stop_ends_it() {
        let shared = shared(load());
        let mut schedule = Schedule::new(&shared, 0, 1);
        shared.stop.store(true, Ordering::Relaxed);
        assert_eq!(schedule.due(shared.begun), None);
        assert!(schedule.is_over());
    }
}

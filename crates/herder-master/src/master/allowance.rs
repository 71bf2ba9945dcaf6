//! How much a process may say on its control channel.

use std::time::Duration;

use herder_core::Tick;

/// How much may be said.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    /// Messages a second, in the long run.
    rate: u64,
    /// And at once.
    burst: u64,
}

/// A token bucket: `rate` a second, `burst` at once.
pub(super) struct Allowance {
    pace: Pace,
    tokens: u64,
    refilled_at: Option<Tick>,
    resume_at: Option<Tick>,
}

/// Who has spent everything is read again after this.
const REST: Duration = Duration::from_millis(10);

impl Pace {
    /// For a gateway, which may tell of each job.
    pub(super) const EACH_JOB: Pace = Pace {
        rate: 200_000,
        burst: 400_000,
    };
    /// For a worker.
    pub(super) const NEWS: Pace = Pace {
        rate: 10_000,
        burst: 20_000,
    };
}

impl Allowance {
    pub(super) fn new(pace: Pace) -> Allowance {
        Allowance {
            pace,
            tokens: pace.burst,
            refilled_at: None,
            resume_at: None,
        }
    }

    /// Takes one message out of it, if it holds one.
    pub(super) fn take(&mut self, now: Tick) -> bool {
        if self.tokens == 0 && !self.refilled(now) {
            self.resume_at.get_or_insert(now.after(REST));
            return false;
        }
        self.tokens -= 1;
        true
    }

    pub(super) fn is_spent(&self) -> bool {
        self.resume_at.is_some()
    }

    /// When it is looked at again.
    pub(super) fn resume_at(&self) -> Option<Tick> {
        self.resume_at
    }

    /// Nobody waits for it any more.
    pub(super) fn rest_no_more(&mut self) {
        self.resume_at = None;
    }

    /// Adds what has accrued, in steps of `REST`.
    pub(super) fn refilled(&mut self, now: Tick) -> bool {
        let since = *self.refilled_at.get_or_insert(now);
        let accrued = u64::try_from(now.since(since).as_micros()).unwrap_or(u64::MAX)
            * self.pace.rate
            / 1_000_000;
        if accrued >= self.pace.rate / 100 || self.tokens > 0 {
            self.tokens = (self.tokens + accrued).min(self.pace.burst);
            self.refilled_at = Some(now);
            self.resume_at = None;
        } else if self.resume_at.is_some_and(|at| at <= now) {
            self.resume_at = Some(now.after(REST));
        }
        self.tokens > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Tick {
        Tick::from_micros(millis * 1000)
    }

    #[test]
    fn r21_a_loud_worker_is_read_at_its_rate_only() {
        let mut allowance = Allowance::new(Pace::NEWS);
        let mut burst = 0;
        while allowance.take(at(0)) {
            burst += 1;
        }
        let Pace { rate, burst: whole } = Pace::NEWS;
        assert_eq!(burst, whole);
        assert!(allowance.is_spent(), "then reading rests");
        let mut second = 0;
        for millis in 1..=1000 {
            while allowance.take(at(millis)) {
                second += 1;
            }
        }
        assert!(
            (rate - rate / 50..=rate).contains(&second),
            "{second} in one second"
        );
    }
}

//! Rate limits, by the *generic cell rate algorithm*: one moment per key, the theoretical arrival
//! time of the next one that is allowed at an even pace (ITU-T I.371).

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use herder_core::Tick;

/// How much is allowed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate {
    /// So many at once, and
    pub count: u32,
    /// so many within this time on the average.
    pub per: Duration,
}

/// The answer to somebody who wants to do something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Admission {
    /// It may, and `left` more at once.
    Allowed { left: u32 },
    /// It may not before this time has passed.
    Denied { retry_after: Duration },
}

/// What was counted so far. A key is forgotten when its time has come.
#[derive(Clone, Debug, Default)]
pub(super) struct Limits {
    arrivals: HashMap<String, Tick>,
    by_time: BTreeSet<(Tick, String)>,
}

impl Limits {
    pub(super) fn ask(&mut self, key: &str, rate: Rate, now: Tick) -> Admission {
        let step = (rate.per / rate.count).max(Duration::from_micros(1));
        let arrival = self.arrivals.get(key).copied().unwrap_or(now).max(now);
        let next = arrival.after(step);
        let ahead = next.since(now);
        if ahead > step * rate.count {
            let retry_after = ahead - step * rate.count;
            return Admission::Denied { retry_after };
        }
        if let Some(before) = self.arrivals.insert(key.to_owned(), next) {
            self.by_time.remove(&(before, key.to_owned()));
        }
        self.by_time.insert((next, key.to_owned()));
        let room = (step * rate.count - ahead).as_micros() / step.as_micros();
        let left = u32::try_from(room).unwrap_or(u32::MAX);
        Admission::Allowed { left }
    }

    /// Forgets those who may do everything again.
    pub(super) fn expire(&mut self, now: Tick) {
        while let Some((at, _)) = self.by_time.first()
            && *at <= now
        {
            if let Some((_, key)) = self.by_time.pop_first() {
                self.arrivals.remove(&key);
            }
        }
    }

    pub(super) fn next_expiry(&self) -> Option<Tick> {
        self.by_time.first().map(|(at, _)| *at)
    }
}

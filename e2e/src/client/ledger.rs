//! The account of a load: every request with its outcome.

use crate::client::outcome::Outcome;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number, unique in the load; HTTP requests carry it in `X-Request`.
    pub id: u64,
    /// When it was due, from the begin of the load.
    pub due: Duration,
    /// From when it was due until its answer was whole or it had failed.
    pub latency: Duration,
    /// What became of it.
    pub outcome: Outcome,
    /// The local port of its connection; 0 unless the load is detailed, the target TCP, and the connection made.
    pub port: u16,
    /// Its body when the load is detailed (what came of it, for a failure).
    pub body: Option<Box<[u8]>>,
}

impl Entry {
    /// When it had its outcome, from the begin of the load.
    pub fn ended(&self) -> Duration {
        self.due + self.latency
    }
}

/// What happened besides and is no failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Connections asked for.
    pub connections: u64,
    /// Connections the server closed while they were idle.
    pub idle_closes: u64,
    /// Connections the server reset while they were idle.
    pub idle_resets: u64,
    /// Connections closed because the answer said `Connection: close`.
    pub announced_closes: u64,
    /// Connections reset after a whole answer.
    pub untidy_closes: u64,
    /// Connections that were to be closed after the answer and were not, in the time of a request.
    pub unclosed: u64,
}

/// Latencies of the whole answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// Half of the answers took no longer.
    pub p50: Duration,
    /// 99 % took no longer.
    pub p99: Duration,
    /// 99.9 % took no longer.
    pub p999: Duration,
    /// The longest.
    pub max: Duration,
}

/// The account of a load. `entries.len()` is what was sent; each has exactly one outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Every request; ordered by when it was due.
    pub entries: Vec<Entry>,
    /// What happened besides.
    pub notes: Notes,
    /// From the begin of the load to the last outcome.
    pub elapsed: Duration,
}

impl Ledger {
    /// How many whole answers there are.
    pub fn complete(&self) -> usize {
        self.entries
            .iter()
            .filter(|entry| entry.outcome.is_complete())
            .count()
    }

    /// The requests without a whole answer.
    pub fn failures(&self) -> impl Iterator<Item = &Entry> {
        self.entries
            .iter()
            .filter(|entry| !entry.outcome.is_complete())
    }

    /// How many of each outcome.
    pub fn outcomes(&self) -> BTreeMap<Outcome, usize> {
        let mut counts = BTreeMap::new();
        for entry in &self.entries {
            *counts.entry(entry.outcome.kind()).or_default() += 1;
        }
        counts
    }

    /// How many whole answers each worker gave, as far as the load could tell.
    pub fn per_worker(&self) -> BTreeMap<i32, usize> {
        let mut counts = BTreeMap::new();
        for entry in &self.entries {
            if let Outcome::Complete {
                worker: Some(worker),
            } = entry.outcome
            {
                *counts.entry(worker).or_default() += 1;
            }
        }
        counts
    }

    /// Latencies of the whole answers (all zero when there is none).
    pub fn latency(&self) -> Latency {
        let answers = self
            .entries
            .iter()
            .filter(|entry| entry.outcome.is_complete());
        let mut sorted: Vec<Duration> = answers.map(|entry| entry.latency).collect();
        sorted.sort_unstable();
        let per_mille = |share: usize| nearest_rank(&sorted, share);
        Latency {
            p50: per_mille(500),
            p99: per_mille(990),
            p999: per_mille(999),
            max: per_mille(1000),
        }
    }

    /// How many requests, of any outcome, took at least `limit`.
    pub fn slower_than(&self, limit: Duration) -> usize {
        self.entries
            .iter()
            .filter(|entry| entry.latency >= limit)
            .count()
    }

    /// The longest time without a whole answer, from the begin of the load to its end.
    pub fn longest_gap(&self) -> Duration {
        let answers = self
            .entries
            .iter()
            .filter(|entry| entry.outcome.is_complete());
        let mut ends: Vec<Duration> = answers.map(Entry::ended).collect();
        ends.sort_unstable();
        ends.push(self.elapsed);
        let mut before = Duration::ZERO;
        let mut longest = Duration::ZERO;
        for end in ends {
            longest = longest.max(end.saturating_sub(before));
            before = end;
        }
        longest
    }

    /// Whole answers a second.
    pub fn rate(&self) -> f64 {
        let count = u32::try_from(self.complete()).unwrap_or(u32::MAX);
        if self.elapsed.is_zero() {
            0.0
        } else {
            f64::from(count) / self.elapsed.as_secs_f64()
        }
    }

    /// Fails the test when a request has failed.
    ///
    /// # Panics
    /// With the summary and the first failures.
    #[track_caller]
    pub fn assert_no_failure(&self) {
        let first: Vec<String> = self.failures().take(10).map(describe).collect();
        assert!(
            first.is_empty(),
            "requests have failed: {self}\n  {}",
            first.join("\n  ")
        );
    }

    /// Adds the account of another thread of the same load, whose times count from the same moment.
    pub(crate) fn merge(&mut self, other: Ledger) {
        self.entries.extend(other.entries);
        self.entries.sort_by_key(|entry| (entry.due, entry.id));
        self.elapsed = self.elapsed.max(other.elapsed);
        self.notes.add(other.notes);
    }
}

impl Notes {
    fn add(&mut self, other: Notes) {
        self.connections += other.connections;
        self.idle_closes += other.idle_closes;
        self.idle_resets += other.idle_resets;
        self.announced_closes += other.announced_closes;
        self.untidy_closes += other.untidy_closes;
        self.unclosed += other.unclosed;
    }
}

impl fmt::Display for Ledger {
    /// One line: counts by outcome, rate, latencies, longest gap, counts by worker.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let latency = self.latency();
        write!(
            f,
            "{} requests in {:.3?}:",
            self.entries.len(),
            self.elapsed
        )?;
        for (outcome, count) in self.outcomes() {
            write!(f, " {count} {outcome},")?;
        }
        write!(
            f,
            " {:.0}/s, p50 {:.3?}, p99 {:.3?},",
            self.rate(),
            latency.p50,
            latency.p99
        )?;
        write!(f, " p99.9 {:.3?}, max {:.3?},", latency.p999, latency.max)?;
        write!(f, " longest gap {:.3?}", self.longest_gap())?;
        if !self.per_worker().is_empty() {
            write!(f, ", by worker {:?}", self.per_worker())?;
        }
        Ok(())
    }
}

/// The smallest value that `share` per mille of the sorted values do not exceed.
fn nearest_rank(sorted: &[Duration], share: usize) -> Duration {
    let rank = (sorted.len() * share).div_ceil(1000);
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

fn describe(entry: &Entry) -> String {
    format!(
        "request {} due at {:.3?}: {} after {:.3?}",
        entry.id, entry.due, entry.outcome, entry.latency
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: u64, latency: u64, outcome: Outcome) -> Entry {
        Entry {
            id,
            due: Duration::from_millis(id * 10),
            latency: Duration::from_millis(latency),
            outcome,
            port: 0,
            body: None,
        }
    }

    fn ledger(entries: Vec<Entry>) -> Ledger {
        Ledger {
            entries,
            notes: Notes::default(),
            elapsed: Duration::from_secs(1),
        }
    }

    #[test]
    fn percentiles_are_nearest_ranks() {
        let whole = Outcome::Complete { worker: None };
        let mut entries: Vec<Entry> = (1..=100)
            .map(|number| entry(number, number, whole))
            .collect();
        entries.push(entry(101, 9999, Outcome::TimedOut));
        let latency = ledger(entries).latency();
        let millis =
            [latency.p50, latency.p99, latency.p999, latency.max].map(|value| value.as_millis());
        assert_eq!(millis, [50, 99, 100, 100]);
        assert_eq!(ledger(Vec::new()).latency(), Latency::default());
    }

    #[test]
    fn outcomes_and_workers_are_counted() {
        let by = |worker| Outcome::Complete {
            worker: Some(worker),
        };
        let book = ledger(vec![
            entry(0, 1, by(7)),
            entry(1, 1, by(8)),
            entry(2, 1, by(7)),
            entry(3, 1, Outcome::Reset),
        ]);
        assert_eq!(
            book.outcomes(),
            BTreeMap::from([(by(0).kind(), 3), (Outcome::Reset, 1)])
        );
        assert_eq!(book.per_worker(), BTreeMap::from([(7, 2), (8, 1)]));
        assert_eq!((book.complete(), book.failures().count()), (3, 1));
        assert!((book.rate() - 3.0).abs() < 1e-9);
    }

    #[test]
    fn the_longest_gap_counts_only_answers_and_both_ends() {
        let whole = Outcome::Complete { worker: None };
        let book = ledger(vec![
            entry(0, 5, whole),
            entry(30, 5, Outcome::Reset),
            entry(50, 100, whole),
        ]);
        assert_eq!(book.longest_gap(), Duration::from_millis(595));
        assert_eq!(ledger(Vec::new()).longest_gap(), Duration::from_secs(1));
        assert_eq!(book.slower_than(Duration::from_millis(100)), 1);
    }

    #[test]
    #[should_panic(expected = "request 3 due at 30.000ms: stale reset after 2.000ms")]
    fn a_failure_is_named() {
        ledger(vec![entry(3, 2, Outcome::StaleReset)]).assert_no_failure();
    }
}

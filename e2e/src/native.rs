//! Herds of `test-herd` workers: starting them, and reading the ledgers that they keep.

use crate::binary::Binary;
use crate::client::{Ledger, Outcome};
use crate::herd::{Herd, Setup, Stream};
use crate::process;
use crate::scene::Scene;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// The herd that does whatever a request asks for; see its `main.rs`.
pub const TEST_HERD: Binary = Binary::new("herder-e2e", "test-herd");

/// How many connections one message holds: those that a worker may have received and not noted yet
/// when it was killed.
pub const BATCH: usize = 4;

/// Prepares a herd of `test-herd` workers that keep a ledger in the scene's directory.
pub fn herd(scene: &Scene, options: &[&str]) -> Setup {
    let setup = scene.herd(TEST_HERD).args(options);
    // Reading the debug information for a backtrace would take longer than the test.
    let setup = setup.env("RUST_BACKTRACE", "0");
    setup.arg("--ledger").arg(scene.directory().join("ledger"))
}

/// What the workers of a scene have written down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    /// Client ports of the connections that each process had received.
    pub got: BTreeMap<i32, BTreeSet<u16>>,
    /// The processes that have read each request, by its number.
    pub saw: BTreeMap<u64, Vec<i32>>,
}

impl Book {
    /// Reads the ledger of a scene.
    pub fn of(scene: &Scene) -> Book {
        let text = fs::read_to_string(scene.directory().join("ledger")).unwrap_or_default();
        text.lines().fold(Book::default(), Book::with)
    }

    fn with(mut self, line: &str) -> Book {
        let mut words = line.split(' ');
        let (what, number) = (words.next(), words.next());
        let pid = words.next().and_then(|pid| pid.parse().ok());
        if let (Some(what), Some(number), Some(pid)) = (what, number, pid) {
            match what {
                "got" => {
                    let ports = self.got.entry(pid).or_default();
                    ports.extend(number.parse::<u16>());
                }
                _ => {
                    if let Ok(id) = number.parse() {
                        self.saw.entry(id).or_default().push(pid);
                    }
                }
            }
        }
        self
    }

    /// Requests that more than one process (or one twice) has read. Only for scenes with one load:
    /// each load counts from zero.
    pub fn seen_twice(&self) -> Vec<u64> {
        let twice = self.saw.iter().filter(|(_, pids)| pids.len() > 1);
        twice.map(|(id, _)| *id).collect()
    }
}

/// What the master says at its end of all the connections that it has accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Accepted by the master.
    pub accepted: u64,
    /// Handed to a worker; again, when one was taken back.
    pub handed: u64,
    /// Taken back from a worker that had not received them.
    pub taken_back: u64,
    /// Closed because nobody could serve them.
    pub closed: u64,
}

impl Totals {
    /// Reads them from what an ended herd has said.
    ///
    /// # Panics
    /// When it has not said them.
    #[track_caller]
    pub fn of(herd: &Herd) -> Totals {
        let lines = herd.texts(Stream::Stderr);
        match lines.iter().find_map(|line| Totals::parse(line)) {
            Some(totals) => totals,
            None => panic!("no totals in the last of {} lines", lines.len()),
        }
    }

    fn parse(line: &str) -> Option<Totals> {
        let (_, text) = line.split_once("connections: ")?;
        let mut numbers = text.split(", ").map_while(|part| {
            let (number, _) = part.split_once(' ')?;
            number.parse().ok()
        });
        Some(Totals {
            accepted: numbers.next()?,
            handed: numbers.next()?,
            taken_back: numbers.next()?,
            closed: numbers.next()?,
        })
    }
}

/// Fails the test unless every failed request was cut off on one of these connections.
///
/// # Panics
/// With the first one that was not.
#[track_caller]
pub fn assert_only_these_failed(ledger: &Ledger, received: &BTreeSet<u16>) {
    for failed in ledger.failures() {
        assert!(is_cut(failed.outcome), "{failed:?} of {ledger}");
        let port = failed.port;
        assert!(
            received.contains(&port),
            "{failed:?}: the dead had received {received:?}; {ledger}"
        );
    }
}

/// Whether a request was answered, or ended as one does whose worker dies.
pub fn is_cut(outcome: Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Closed | Outcome::Reset | Outcome::ShortBody | Outcome::StaleReset
    )
}

/// How many descriptors the process has open.
pub fn descriptor_count(pid: i32) -> usize {
    process::descriptors(pid).map_or(0, |open| open.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_read() {
        let line = "2026-11-21T03:08:10Z x: connections: 16 accepted, 17 handed to workers, \
                    1 taken back, 0 closed unserved";
        let totals = Totals {
            accepted: 16,
            handed: 17,
            taken_back: 1,
            closed: 0,
        };
        assert_eq!(Totals::parse(line), Some(totals));
        assert_eq!(Totals::parse("x: ready"), None);
    }

    #[test]
    fn a_ledger_is_read() {
        let book = [
            "got 59310 7",
            "saw 0 7",
            "got 4 8",
            "saw 0 8",
            "saw 1 8",
            "sa",
        ]
        .into_iter()
        .fold(Book::default(), Book::with);
        assert_eq!(book.got[&7], BTreeSet::from([59310]));
        assert_eq!(book.seen_twice(), [0]);
    }
}

//! The account of a mix.

use crate::client::{Entry, Ledger, Outcome};
use crate::load::answer::Answer;
use crate::load::kind::{Kind, MIX};
use crate::native::{Book, is_cut};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, Instant};

/// The account of a mix: a ledger for each kind of clients.
#[derive(Clone, Debug)]
pub struct Books {
    /// Which mix of this process: its requests have numbers of their own.
    pub(super) number: u64,
    pub(super) begun: Instant,
    /// In the order in which they were started.
    pub pages: Vec<Page>,
}

/// The account of one kind.
#[derive(Clone, Debug)]
pub struct Page {
    /// Which clients.
    pub kind: Kind,
    /// When their load began, from the begin of the mix.
    pub(super) offset: Duration,
    /// What became of their requests.
    pub ledger: Ledger,
}

impl Books {
    /// How many requests were made.
    pub fn sent(&self) -> usize {
        self.pages
            .iter()
            .map(|page| page.ledger.entries.len())
            .sum()
    }

    /// How many of each outcome.
    pub fn outcomes(&self) -> BTreeMap<Outcome, usize> {
        let mut sum = BTreeMap::new();
        for page in &self.pages {
            for (outcome, count) in page.ledger.outcomes() {
                *sum.entry(outcome).or_default() += count;
            }
        }
        sum
    }

    /// The requests without a whole answer.
    pub fn failures(&self) -> impl Iterator<Item = &Entry> {
        self.pages.iter().flat_map(|page| page.ledger.failures())
    }

    /// The requests that these clients made at `moment` or later and an older version than `version` has answered:
    /// how long after, and which version.
    pub fn outdated(&self, kinds: &[Kind], moment: Instant, version: u32) -> Vec<(Duration, u32)> {
        let from = moment.saturating_duration_since(self.begun);
        let pages = self.pages.iter().filter(|page| kinds.contains(&page.kind));
        let answers = pages.flat_map(|page| {
            page.ledger.entries.iter().filter_map(|entry| {
                let after = (page.offset + entry.due).checked_sub(from)?;
                let answer = Answer::of_body(entry.body.as_deref()?)?;
                Some((after, answer.version))
            })
        });
        answers.filter(|(_, by)| *by < version).collect()
    }

    /// Fails the test when a request has failed, or a connection was not closed as it should.
    ///
    /// # Panics
    /// With the books and the first failures.
    #[track_caller]
    pub fn assert_nothing_lost(&self) {
        let first: Vec<String> = self
            .failures()
            .take(10)
            .map(|entry| self.describe(entry))
            .collect();
        assert!(
            first.is_empty(),
            "requests have failed:\n  {}\n{self}",
            first.join("\n  ")
        );
        for page in &self.pages {
            let notes = page.ledger.notes;
            assert_eq!(notes.untidy_closes, 0, "reset behind an answer: {self}");
            assert_eq!(notes.unclosed, 0, "never closed: {self}");
        }
    }

    /// Fails the test when a request has failed that was not in the hands of one of these processes, which have
    /// died by themselves: that it had read, that came on a connection that it had noted as taken, or (at most
    /// `unnoted` for each of them) that was cut before anybody had read anything.
    ///
    /// # Panics
    /// With the books and the first failures that nobody who died accounts for.
    #[track_caller]
    pub fn assert_lost_only_with(&self, dead: &BTreeSet<i32>, unnoted: usize, book: &Book) {
        let (cut, other): (Vec<&Entry>, _) =
            self.failures().partition(|entry| is_cut(entry.outcome));
        let is_owned = |entry: &Entry| {
            let seen = book.saw.get(&entry.id).map_or(&[][..], Vec::as_slice);
            let had = |pid: &i32| dead.contains(pid);
            match seen {
                [] => {
                    let mut taken = book.got.iter().filter(|(pid, _)| had(pid));
                    Some(taken.any(|(_, ports)| entry.port != 0 && ports.contains(&entry.port)))
                }
                [pid] => Some(had(pid)),
                _ => None,
            }
        };
        let (mut unread, mut wrong) = (Vec::new(), other);
        for entry in cut {
            match is_owned(entry) {
                Some(true) => {}
                Some(false) if !book.saw.contains_key(&entry.id) => unread.push(entry),
                Some(false) | None => wrong.push(entry),
            }
        }
        if unread.len() > dead.len() * unnoted {
            wrong.append(&mut unread);
        }
        let first: Vec<String> = wrong.iter().take(10).map(|it| self.describe(it)).collect();
        assert!(
            first.is_empty(),
            "requests have failed that {dead:?} did not have:\n  {}\n{self}",
            first.join("\n  ")
        );
    }

    /// Fails the test when it differs from what the servers have written down: a request that was answered and
    /// not seen, seen by somebody else than who answered, seen twice, or seen and never sent.
    ///
    /// # Panics
    /// With the first of these.
    #[track_caller]
    pub fn assert_balanced(&self, book: &Book) {
        let mut sent = BTreeSet::new();
        let mut wrong = Vec::new();
        for entry in self.pages.iter().flat_map(|page| &page.ledger.entries) {
            sent.insert(entry.id);
            let seen = book.saw.get(&entry.id).map_or(&[][..], Vec::as_slice);
            let balances = if let Outcome::Complete { worker } = entry.outcome {
                seen.len() == 1 && worker.is_none_or(|pid| seen == [pid])
            } else {
                seen.len() <= 1
            };
            if !balances {
                wrong.push(format!("{}, seen by {seen:?}", self.describe(entry)));
            }
        }
        let own = book.saw.keys().filter(|id| *id / MIX == self.number);
        let strange = own.filter(|id| !sent.contains(id));
        wrong.extend(strange.map(|id| format!("request {id} was seen and never sent")));
        assert!(
            wrong.is_empty(),
            "{} differences between clients and servers:\n  {}\n{self}",
            wrong.len(),
            wrong[..wrong.len().min(10)].join("\n  ")
        );
    }

    fn describe(&self, entry: &Entry) -> String {
        let kind = self.pages.iter().find(|page| {
            let entries = &page.ledger.entries;
            entries.iter().any(|other| std::ptr::eq(other, entry))
        });
        let kind = kind.map_or_else(String::new, |page| page.kind.to_string());
        format!(
            "{kind}: request {} due at {:.3?}: {} after {:.3?}",
            entry.id, entry.due, entry.outcome, entry.latency
        )
    }
}

impl fmt::Display for Books {
    /// A table: a line for each kind, then the failures by kind of failure.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:24}{:>8}{:>8}{:>10}{:>10}{:>12}",
            "clients", "sent", "failed", "p50 ms", "max ms", "gap ms"
        )?;
        for page in &self.pages {
            let (ledger, latency) = (&page.ledger, page.ledger.latency());
            writeln!(
                f,
                "{:24}{:>8}{:>8}{:>10.1}{:>10.1}{:>12.1}",
                page.kind,
                ledger.entries.len(),
                ledger.failures().count(),
                millis(latency.p50),
                millis(latency.max),
                millis(ledger.longest_gap())
            )?;
        }
        for (outcome, count) in self.outcomes() {
            writeln!(f, "{count} {outcome}")?;
        }
        Ok(())
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Notes;

    fn books(outcomes: &[(u64, Outcome)]) -> Books {
        let entry = |&(id, outcome): &(u64, Outcome)| Entry {
            id,
            due: Duration::from_millis(id),
            latency: Duration::from_millis(1),
            outcome,
            port: 0,
            body: Some(format!("pid:7 version:{id}").into_bytes().into()),
        };
        Books {
            number: 0,
            begun: Instant::now(),
            pages: vec![Page {
                kind: Kind::Fresh,
                offset: Duration::ZERO,
                ledger: Ledger {
                    entries: outcomes.iter().map(entry).collect(),
                    notes: Notes::default(),
                    elapsed: Duration::from_secs(1),
                },
            }],
        }
    }

    fn book(seen: &[(u64, &[i32])]) -> Book {
        Book {
            saw: seen.iter().map(|(id, pids)| (*id, pids.to_vec())).collect(),
            ..Book::default()
        }
    }

    const BY_7: Outcome = Outcome::Complete { worker: Some(7) };

    #[test]
    fn books_balance_when_each_answer_was_seen_once_by_its_server() {
        let books = books(&[(1, BY_7), (2, Outcome::Reset), (3, Outcome::Reset)]);
        books.assert_balanced(&book(&[(1, &[7]), (2, &[8])]));
        assert_eq!(books.sent(), 3);
        let late = books.begun + Duration::from_millis(2);
        assert_eq!(
            books.outdated(&[Kind::Fresh], late, 3),
            [(Duration::ZERO, 2)]
        );
        assert_eq!(books.outdated(&[Kind::Fresh], late, 2), []);
    }

    /// With what `book` says, and who died.
    fn lost(outcome: Outcome, seen: &[i32], dead: &[i32]) {
        let dead = dead.iter().copied().collect();
        books(&[(1, outcome)]).assert_lost_only_with(&dead, 0, &book(&[(1, seen)]));
    }

    #[test]
    fn what_a_dead_process_had_is_lost_with_it() {
        lost(Outcome::Reset, &[7], &[7]);
        let dead = BTreeSet::from([7]);
        let unread: Vec<_> = (0..3).map(|id| (id, Outcome::Reset)).collect();
        books(&unread).assert_lost_only_with(&dead, 3, &book(&[]));
        let mut taken = books(&[(1, Outcome::StaleReset)]);
        taken.pages[0].ledger.entries[0].port = 9;
        let mut book = book(&[]);
        book.got.insert(7, BTreeSet::from([9]));
        taken.assert_lost_only_with(&dead, 0, &book);
    }

    #[test]
    #[should_panic(expected = "did not have")]
    fn what_a_living_process_had_is_not_to_be_lost() {
        lost(Outcome::Reset, &[8], &[7]);
    }

    #[test]
    #[should_panic(expected = "did not have")]
    fn nobody_dies_of_an_answer_that_never_comes() {
        lost(Outcome::TimedOut, &[7], &[7]);
    }

    #[test]
    #[should_panic(expected = "did not have")]
    fn a_dead_process_had_no_more_than_it_can_hold_unnoted() {
        let unread: Vec<_> = (0..4).map(|id| (id, Outcome::Reset)).collect();
        books(&unread).assert_lost_only_with(&BTreeSet::from([7]), 3, &book(&[]));
    }

    #[test]
    #[should_panic(expected = "seen by [7, 8]")]
    fn seen_twice_is_a_difference() {
        books(&[(1, BY_7)]).assert_balanced(&book(&[(1, &[7, 8])]));
    }

    #[test]
    #[should_panic(expected = "seen by [8]")]
    fn seen_by_another_is_a_difference() {
        books(&[(1, BY_7)]).assert_balanced(&book(&[(1, &[8])]));
    }

    #[test]
    #[should_panic(expected = "request 2 was seen and never sent")]
    fn seen_and_never_sent_is_a_difference() {
        books(&[(1, BY_7)]).assert_balanced(&book(&[(1, &[7]), (2, &[7])]));
    }

    #[test]
    #[should_panic(expected = "per request, instant: request 2 due at 2.000ms: reset")]
    fn a_failure_is_named() {
        books(&[(1, BY_7), (2, Outcome::Reset)]).assert_nothing_lost();
    }
}

//! When files that change have an app reloaded. Pure: the time is an argument, in milliseconds.

use std::collections::BTreeSet;

/// How many files are told of by their number.
const COUNTED: usize = 100;

/// After so long without rest somebody wants to know why nothing happens.
const RESTLESS: u64 = 60_000;

/// What changes so soon after a reload changes because of it.
const ECHO: u64 = 2000;

/// How many reloads for the same file, one on the heels of the other, are a circle.
const CIRCLE: u32 = 5;

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::triggers) enum Move {
    /// New workers; what changed.
    Reload(String),
    /// Something that should be known.
    Warn(String),
}

/// Whether an app can be reloaded just now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::triggers) enum Standing {
    Free,
    /// Something goes on with it.
    Busy,
}

/// The changes of one app's files.
#[derive(Debug)]
pub(in crate::triggers) struct Changes {
    delay: u64,
    /// What has changed, and the first of it, since the last reload.
    paths: BTreeSet<String>,
    first: String,
    /// When the first and the last change was seen.
    since: u64,
    last: u64,
    /// How it stood when somebody looked last, and since when it is free.
    standing: Standing,
    free_at: u64,
    /// What the last reload was for, and how many there were in a row.
    before: Option<String>,
    row: u32,
    warned: bool,
}

impl Changes {
    /// `delay`: how long nothing more may change.
    pub(in crate::triggers) fn new(delay: u64) -> Changes {
        Changes {
            delay,
            paths: BTreeSet::new(),
            first: String::new(),
            since: 0,
            last: 0,
            standing: Standing::Free,
            free_at: 0,
            before: None,
            row: 0,
            warned: false,
        }
    }

    /// These have changed.
    pub(in crate::triggers) fn changed(&mut self, paths: Vec<String>, now: u64) {
        for path in paths {
            if self.paths.is_empty() {
                self.since = now;
                self.first.clone_from(&path);
            }
            if self.paths.len() <= COUNTED {
                self.paths.insert(path);
            }
            self.last = now;
        }
    }

    /// What is to be done now. Who hears of a reload begins it.
    pub(in crate::triggers) fn poll(&mut self, standing: Standing, now: u64) -> Vec<Move> {
        if self.standing == Standing::Busy && standing == Standing::Free {
            self.free_at = now;
        }
        self.standing = standing;
        let mut moves = Vec::new();
        if self.paths.is_empty() || standing == Standing::Busy {
            return moves;
        }
        if now >= self.last.saturating_add(self.delay) {
            moves.extend(self.circle());
            moves.push(Move::Reload(self.summary()));
            self.paths.clear();
            self.warned = false;
        } else if now >= self.since.saturating_add(RESTLESS) && !self.warned {
            self.warned = true;
            let text = format!(
                "{}, and more every moment, so nothing is reloaded: name in watch.ignore what is not to count",
                self.summary()
            );
            moves.push(Move::Warn(text));
        }
        moves
    }

    /// An app that changes its own files would be reloaded for ever.
    fn circle(&mut self) -> Option<Move> {
        let is_echo = self.since <= self.free_at.saturating_add(ECHO);
        let is_same = self.before.as_ref() == Some(&self.first);
        self.row = if is_echo && is_same { self.row + 1 } else { 0 };
        self.before = Some(self.first.clone());
        (self.row == CIRCLE).then(|| {
            Move::Warn(format!(
                "{} changes with each reload: if the app writes it itself, name it in watch.ignore",
                self.first
            ))
        })
    }

    fn summary(&self) -> String {
        match self.paths.len() {
            0 | 1 => format!("{} changed", self.first),
            2 => format!("{} and 1 other file changed", self.first),
            count if count > COUNTED => {
                format!("{} and more than {COUNTED} other files changed", self.first)
            }
            count => format!("{} and {} other files changed", self.first, count - 1),
        }
    }

    /// When [`Changes::poll`] is wanted next, if nothing changes until then.
    pub(in crate::triggers) fn timeout(&self) -> Option<u64> {
        let waits = !self.paths.is_empty() && self.standing == Standing::Free;
        let quiet = self.last.saturating_add(self.delay);
        let restless = self.since.saturating_add(RESTLESS);
        waits.then(|| {
            if self.warned {
                quiet
            } else {
                quiet.min(restless)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(path: &str) -> Vec<String> {
        vec![path.to_owned()]
    }

    fn reload(text: &str) -> Vec<Move> {
        vec![Move::Reload(text.to_owned())]
    }

    #[test]
    fn a_burst_is_one_reload_after_the_last_change() {
        let mut changes = Changes::new(200);
        for (time, path) in [(0, "a"), (100, "b"), (250, "a"), (300, "c")] {
            changes.changed(one(path), time);
            assert!(changes.poll(Standing::Free, time).is_empty());
        }
        assert_eq!(changes.timeout(), Some(500));
        assert!(changes.poll(Standing::Free, 499).is_empty());
        let moves = changes.poll(Standing::Free, 500);
        assert_eq!(moves, reload("a and 2 other files changed"));
        assert_eq!(changes.timeout(), None);
        assert!(changes.poll(Standing::Free, 9000).is_empty());
    }

    #[test]
    fn what_changes_during_a_reload_is_one_more_after_it() {
        let mut changes = Changes::new(10);
        changes.changed(one("a"), 0);
        assert_eq!(changes.poll(Standing::Free, 10), reload("a changed"));
        for time in 11..200 {
            changes.changed(one("b"), time);
            assert!(changes.poll(Standing::Busy, time).is_empty());
            assert_eq!(changes.timeout(), None, "it need not be looked at");
        }
        assert!(changes.poll(Standing::Free, 200).is_empty());
        assert_eq!(changes.timeout(), Some(209));
        assert_eq!(changes.poll(Standing::Free, 210), reload("b changed"));
        assert!(changes.poll(Standing::Free, 300).is_empty());
    }

    #[test]
    fn who_never_rests_is_told_of_once() {
        let mut changes = Changes::new(500);
        let mut warned = 0;
        for time in (0..200_000).step_by(100) {
            changes.changed(one("cache/x"), time);
            for what in changes.poll(Standing::Free, time) {
                assert!(matches!(&what, Move::Warn(text) if text.starts_with("cache/x changed,")));
                warned += 1;
            }
        }
        assert_eq!(warned, 1);
        assert_eq!(changes.timeout(), Some(200_400));
    }

    #[test]
    fn a_circle_is_told_of() {
        let mut changes = Changes::new(10);
        let (mut time, mut warnings) = (0, Vec::new());
        for _ in 0..10 {
            changes.changed(one("app.db"), time);
            time += 10;
            for what in changes.poll(Standing::Free, time) {
                if let Move::Warn(text) = what {
                    warnings.push(text);
                }
            }
            time += 100;
            changes.poll(Standing::Busy, time);
            time += 100;
            changes.poll(Standing::Free, time);
            time += 5;
        }
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(
            warnings[0].starts_with("app.db changes with each"),
            "{warnings:?}"
        );
    }

    #[test]
    fn somebody_who_saves_now_and_then_is_no_circle() {
        let mut changes = Changes::new(10);
        for save in 1..20 {
            let time = save * 30_000;
            changes.changed(one("server.js"), time);
            let moves = changes.poll(Standing::Free, time + 10);
            assert_eq!(moves, reload("server.js changed"));
            changes.poll(Standing::Busy, time + 20);
            changes.poll(Standing::Free, time + 12_000);
        }
    }

    #[test]
    fn a_flood_is_counted_to_a_hundred() {
        let mut changes = Changes::new(10);
        changes.changed((0..5000).map(|number| number.to_string()).collect(), 0);
        let moves = changes.poll(Standing::Free, 10);
        assert_eq!(moves, reload("0 and more than 100 other files changed"));
    }
}

//! When apps are due: `cron_restart`. Pure: the time is an argument.

use std::collections::BTreeMap;

use herder_core::schedule::{Calendar, Wall};
use herder_services::jobs::Timing;

use crate::books::AppId;

/// A time that has passed for longer than this, in milliseconds, is missed: the machine slept, or its
/// clock was set.
const LATE: u64 = 60_000;

/// How long the clock on the wall is trusted, in milliseconds: it may be set, and the machine may sleep.
const TRUST: u64 = 30_000;

/// By how much the clock may go back, in milliseconds, without being taken for set.
const JITTER: u64 = 1000;

/// The times of the apps that have some.
#[derive(Debug, Default)]
pub(super) struct Times {
    plans: BTreeMap<AppId, Plan>,
    seen: u64,
}

#[derive(Debug)]
struct Plan {
    text: String,
    /// None: the text is none that was checked.
    timing: Option<Timing>,
    next: Option<u64>,
}

impl Plan {
    /// What was missed is not made up: the next one lies after `wall`.
    fn go_on(&mut self, wall: u64) {
        let after = Wall::from_millis(i64::try_from(wall).unwrap_or(i64::MAX));
        let next = self
            .timing
            .as_ref()
            .and_then(|timing| timing.next_after(after));
        self.next = next.and_then(|next| u64::try_from(next.as_millis()).ok());
    }
}

impl Times {
    /// The times of an app from now on. The first one lies ahead.
    pub(super) fn set(&mut self, id: AppId, text: Option<&str>, wall: u64) {
        let known = self.plans.get(&id).map(|plan| plan.text.as_str());
        if known == text {
            return;
        }
        let Some(text) = text else {
            self.plans.remove(&id);
            return;
        };
        let mut plan = Plan {
            text: text.to_owned(),
            timing: text.parse().ok(),
            next: None,
        };
        plan.go_on(wall);
        self.plans.insert(id, plan);
    }

    /// Forgets the others.
    pub(super) fn retain(&mut self, is_known: impl Fn(AppId) -> bool) {
        self.plans.retain(|id, _| is_known(*id));
    }

    /// Who is due now, and their times as they were written. Each is told once.
    pub(super) fn due(&mut self, wall: u64) -> Vec<(AppId, String)> {
        let is_set_back = wall.saturating_add(JITTER) < self.seen;
        self.seen = wall;
        let mut due = Vec::new();
        for (id, plan) in &mut self.plans {
            if is_set_back {
                plan.go_on(wall);
            }
            let Some(next) = plan.next.filter(|next| *next <= wall) else {
                continue;
            };
            plan.go_on(wall);
            if wall - next <= LATE {
                due.push((*id, plan.text.clone()));
            }
        }
        due
    }

    /// How many milliseconds from now [`Times::due`] is wanted.
    pub(super) fn timeout(&self, wall: u64) -> Option<u64> {
        let next = self.plans.values().filter_map(|plan| plan.next).min()?;
        Some(next.saturating_sub(wall).min(TRUST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: AppId = 7;

    fn at(text: &str) -> u64 {
        let time: jiff::Timestamp = text.parse().expect(text);
        u64::try_from(time.as_millisecond()).expect("after 1970")
    }

    /// Who was due when, on a clock that goes from `from` to `to` as the planner wants it.
    fn run(times: &mut Times, from: u64, to: u64) -> Vec<String> {
        let mut wall = from;
        let mut found = Vec::new();
        loop {
            for (id, _) in times.due(wall) {
                assert_eq!(id, APP);
                let time = i64::try_from(wall).expect("soon");
                let time = jiff::Timestamp::from_millisecond(time).expect("a time");
                found.push(time.to_string());
            }
            let wait = times.timeout(wall).expect("there is always a next one");
            assert!(wait > 0, "it would spin");
            if wall + wait > to {
                return found;
            }
            wall += wait;
        }
    }

    fn times(text: &str, from: u64) -> Times {
        let mut times = Times::default();
        times.set(APP, Some(text), from);
        times
    }

    #[test]
    fn nothing_happens_at_the_start_not_even_at_the_very_time() {
        let three = at("2026-11-21T03:00:00Z");
        let mut times = times("0 3 * * *", three);
        assert!(times.due(three).is_empty());
        let found = run(&mut times, three, three + 86_400_000);
        assert_eq!(found, ["2026-11-22T03:00:00Z"]);
    }

    #[test]
    fn each_time_comes_once_to_the_second() {
        let from = at("2026-11-21T10:00:30Z");
        let mut times = times("*/20 * * * *", from);
        let found = run(&mut times, from, from + 3_600_000);
        let expected = [
            "2026-11-21T10:20:00Z",
            "2026-11-21T10:40:00Z",
            "2026-11-21T11:00:00Z",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn an_hour_that_there_is_not_and_one_that_comes_twice() {
        let text = "30 2 * * * Europe/Berlin";
        // On 29 March 2026 02:30 does not exist; on 25 October it comes twice.
        let from = at("2026-03-27T12:00:00Z");
        let found = run(&mut times(text, from), from, from + 4 * 86_400_000);
        assert_eq!(found.first().expect("one"), "2026-03-28T01:30:00Z");
        assert_eq!(found.last().expect("one"), "2026-03-31T00:30:00Z");
        let on_the_day: Vec<_> = found
            .iter()
            .filter(|time| time.starts_with("2026-03-29"))
            .collect();
        assert_eq!(on_the_day, ["2026-03-29T01:00:00Z"], "{found:?}");
        let from = at("2026-10-24T12:00:00Z");
        let found = run(&mut times(text, from), from, from + 2 * 86_400_000);
        let on_the_day = found.iter().filter(|time| time.starts_with("2026-10-25"));
        assert_eq!(on_the_day.count(), 1, "{found:?}");
        assert_eq!(found.last().expect("one"), "2026-10-26T01:30:00Z");
    }

    #[test]
    fn what_was_missed_is_not_made_up() {
        let from = at("2026-11-21T02:00:00Z");
        let mut asleep = times("0 3 * * *", from);
        assert!(asleep.due(at("2026-11-21T08:00:00Z")).is_empty());
        let next = at("2026-11-22T03:00:00Z");
        assert_eq!(asleep.due(next).len(), 1);
        // A daemon that was not there is one that starts later.
        let mut later = times("0 3 * * *", at("2026-11-21T03:00:01Z"));
        assert!(later.due(at("2026-11-21T03:00:02Z")).is_empty());
    }

    #[test]
    fn a_clock_that_was_wrong_by_years_does_not_keep_an_app_waiting() {
        let wrong = at("2031-01-01T00:00:00Z");
        let mut times = times("0 3 * * *", wrong);
        assert!(times.due(wrong).is_empty());
        let right = at("2026-11-21T02:00:00Z");
        assert!(times.due(right).is_empty());
        assert_eq!(times.due(at("2026-11-21T03:00:00Z")).len(), 1);
    }

    #[test]
    fn the_same_times_again_change_nothing_and_others_do() {
        let from = at("2026-11-21T10:00:00Z");
        let mut times = times("* * * * *", from);
        times.set(APP, Some("* * * * *"), from + 60_000);
        assert_eq!(times.due(from + 60_000).len(), 1);
        times.set(APP, Some("0 12 * * *"), from + 61_000);
        assert!(times.due(from + 120_000).is_empty());
        times.set(APP, None, from);
        assert_eq!(times.timeout(from), None);
    }

    #[test]
    fn who_has_left_is_forgotten() {
        let from = at("2026-11-21T10:00:00Z");
        let mut times = times("* * * * *", from);
        times.retain(|_| false);
        assert!(times.due(from + 60_000).is_empty());
    }
}

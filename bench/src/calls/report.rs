//! The figures of calls as tables, and what was made of the goals.

use super::contest::CallContest;
use super::way::{Account, Way};
use crate::goals::met;
use crate::report::align;
use std::fmt::Write;

/// The table of one contest, with its failures and goals below.
pub fn table(contest: &CallContest) -> String {
    const HEADINGS: [&str; 7] = [
        "way", "calls/s", "x rival", "p50 us", "best p50", "x rival", "p99 us",
    ];
    let mut rows = vec![HEADINGS.map(str::to_owned).to_vec()];
    rows.extend(Way::ALL.map(|way| row(contest, way)));
    let (size, in_flight) = (contest.shape.size, contest.shape.in_flight);
    let mut text = format!(
        "calls to a library: {size} bytes each way, {in_flight} in flight; \
         rivals: tarpc for Rust, a relaying primary for Node\n{}",
        align(&rows)
    );
    for way in Way::ALL {
        let failures = contest.failures(way);
        if failures > 0 {
            let _infallible = writeln!(text, "FAILED: {}: {failures} calls", way.name());
        }
    }
    text + &verdict(contest)
}

fn row(contest: &CallContest, way: Way) -> Vec<String> {
    let p50 = contest.median(way, |account| account.p50);
    vec![
        way.name().to_owned(),
        format!("{:.0}", contest.median(way, Account::rate).median),
        contest.ratio(way, Account::rate).to_string(),
        format!("{:.1}", p50.median),
        format!("{:.1}", p50.min),
        contest.ratio(way, |account| account.p50).to_string(),
        format!("{:.0}", contest.median(way, |account| account.p99).median),
    ]
}

/// The goals stand for an idle machine with two processors.
fn verdict(contest: &CallContest) -> String {
    const RUST_US: f64 = 30.0;
    const RUST_RATE: f64 = 150_000.0;
    const NODE_US: f64 = 80.0;
    let p50 = |way, goal: f64| {
        let p50 = contest.median(way, |account| account.p50);
        let met = met(p50.median <= goal);
        format!(
            "p50 of `{}` = {p50:.1} us; goal at most {goal}: {met}\n",
            way.name()
        )
    };
    let rate = |way| {
        let rate = contest.median(way, Account::rate);
        let met = met(rate.median >= RUST_RATE);
        format!(
            "calls/s of `{}` = {rate:.0}; goal at least {RUST_RATE}: {met}\n",
            way.name()
        )
    };
    match (contest.shape.size, contest.shape.in_flight) {
        (100, 1) => [
            (Way::Typed, RUST_US),
            (Way::ByName, RUST_US),
            (Way::NodeToRust, NODE_US),
        ]
        .map(|(way, goal)| p50(way, goal))
        .concat(),
        (100, _) => [Way::Typed, Way::ByName].map(rate).concat(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::contest::SHAPES;
    use std::collections::BTreeMap;

    fn account(calls: u32, p50: f64) -> Account {
        Account {
            calls,
            seconds: 1.0,
            p50,
            ..Account::default()
        }
    }

    #[test]
    fn a_way_is_compared_with_its_rival_and_with_its_goal() {
        let failed = Account {
            failures: 3,
            ..account(5_000, 90.0)
        };
        let contest = CallContest {
            shape: SHAPES[0],
            accounts: BTreeMap::from([
                (
                    Way::Typed,
                    vec![account(40_000, 20.0), account(44_000, 24.0)],
                ),
                (
                    Way::Tarpc,
                    vec![account(20_000, 40.0), account(22_000, 40.0)],
                ),
                (Way::NodeToRust, vec![failed]),
            ]),
        };
        let text = table(&contest);
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let row = "rust to rust, typed 42000 2.00 (2.00..2.00) 22.0 20.0 0.55 (0.50..0.60)";
        assert!(words.contains(row), "{text}");
        assert!(
            words.contains("`rust to rust, typed` = 22.0 (20.0..24.0) us; goal at most 30: met")
        );
        assert!(words.contains("`node to rust` = 90.0 (90.0..90.0) us; goal at most 80: MISSED"));
        assert!(words.contains("FAILED: node to rust: 3 calls"), "{text}");
        assert!(!contest.is_clean());
    }
}

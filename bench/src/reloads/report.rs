//! The tolls as a table, and what was made of the goal.

use super::contest::{ReloadContest, Toll};
use super::rival::Rival;
use crate::goals::met;
use crate::report::align;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The table of the contest, with the failures by kind and the goal below.
pub fn table(contest: &ReloadContest) -> String {
    const HEADINGS: [&str; 7] = [
        "variant",
        "reloads",
        "failed per reload",
        "of them kept",
        "of them hung",
        "gap ms",
        "s per reload",
    ];
    let mut rows = vec![HEADINGS.map(str::to_owned).to_vec()];
    let taken = Rival::ALL.into_iter();
    let taken: Vec<_> = taken
        .filter_map(|rival| Some((rival, contest.tolls.get(&rival)?)))
        .collect();
    rows.extend(taken.iter().map(|(rival, tolls)| row(*rival, tolls)));
    let mut text = format!("reloads under load: 2 workers\n{}", align(&rows));
    for (rival, tolls) in &taken {
        let mut sum: BTreeMap<&str, usize> = BTreeMap::new();
        for (kind, count) in tolls.iter().flat_map(|toll| &toll.failures) {
            *sum.entry(kind).or_default() += count;
        }
        if !sum.is_empty() {
            let kinds: Vec<String> = sum
                .iter()
                .map(|(kind, count)| format!("{count} {kind}"))
                .collect();
            let _infallible = writeln!(text, "failed: {}: {}", rival.name(), kinds.join(", "));
        }
    }
    let goal = met(contest.is_clean());
    text + &format!("failed requests of a herd's clients: goal none: {goal}\n")
}

fn row(rival: Rival, tolls: &[Toll]) -> Vec<String> {
    let reloads: u32 = tolls.iter().map(|toll| toll.reloads).sum();
    let per_reload = |count: fn(&Toll) -> usize| {
        let sum: usize = tolls.iter().map(count).sum();
        let sum = u32::try_from(sum).unwrap_or(u32::MAX);
        format!("{:.1}", f64::from(sum) / f64::from(reloads.max(1)))
    };
    let longest = tolls.iter().map(|toll| toll.gap).fold(0.0, f64::max);
    let seconds: f64 = tolls
        .iter()
        .map(|toll| toll.seconds * f64::from(toll.reloads))
        .sum();
    vec![
        rival.name().to_owned(),
        reloads.to_string(),
        per_reload(|toll| toll.failures.values().sum()),
        per_reload(|toll| toll.kept),
        per_reload(|toll| toll.hung),
        format!("{longest:.0}"),
        format!("{:.1}", seconds / f64::from(reloads.max(1))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_the_rates_and_the_kinds() {
        let toll = Toll {
            reloads: 5,
            sent: 1000,
            failures: BTreeMap::from([("stale reset".to_owned(), 12), ("timed out".to_owned(), 3)]),
            hung: 3,
            kept: 12,
            seconds: 2.0,
            gap: 17.0,
        };
        let clean = Toll {
            reloads: 5,
            ..Toll::default()
        };
        let contest = ReloadContest {
            tolls: BTreeMap::from([
                (Rival::Pm2, vec![toll.clone(), toll]),
                (Rival::HerderNode, vec![clean]),
            ]),
        };
        let text = table(&contest);
        let mut lines = text.lines().map(str::trim_start);
        let line = lines.find(|line| line.starts_with("pm2, node")).unwrap();
        let words: Vec<&str> = line.split_whitespace().skip(2).collect();
        assert_eq!(words, ["10", "3.0", "2.4", "0.6", "17", "2.0"]);
        assert!(
            text.contains("failed: pm2, node: 24 stale reset, 6 timed out"),
            "{text}"
        );
        assert!(text.ends_with("goal none: met\n"), "{text}");
    }
}

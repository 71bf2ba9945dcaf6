//! The hauls as a table, and what was made of the goals.

use super::contest::LogContest;
use super::rival::Rival;
use crate::goals::met;
use crate::report::align;

/// How many times PM2's rate is wanted.
const RAW: f64 = 5.0;
const TIME: f64 = 20.0;

/// The table of the contest, with the goals below.
pub fn table(contest: &LogContest) -> String {
    let headings = ["variant", "MB/s", "processors", "MB at most"];
    let mut rows = vec![headings.map(str::to_owned).to_vec()];
    let taken = Rival::ALL.into_iter();
    rows.extend(
        taken
            .filter(|rival| contest.hauls.contains_key(rival))
            .map(|rival| {
                vec![
                    rival.name().to_owned(),
                    format!("{:.0}", contest.median(rival, |haul| haul.rate)),
                    format!(
                        "{:.2}",
                        contest.median(rival, |haul| haul.processors).median
                    ),
                    format!("{:.1}", contest.median(rival, |haul| haul.memory).max),
                ]
            }),
    );
    let mut text = format!("log files: lines of 100 bytes\n{}", align(&rows));
    for (ours, theirs, goal) in [
        (Rival::HerderRaw, Rival::Pm2Raw, RAW),
        (Rival::HerderTime, Rival::Pm2Time, TIME),
    ] {
        let (name, rival) = (ours.name(), theirs.name());
        text += &match contest.ratio(ours, theirs) {
            Some(ratio) => {
                let met = met(ratio.median >= goal);
                format!("`{name}` : `{rival}` = {ratio:.1}; goal at least {goal}: {met}\n")
            }
            None => format!("`{rival}` did not take part: run scripts/setup bench\n"),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::Haul;
    use std::collections::BTreeMap;

    #[test]
    fn a_table_has_the_rates_and_the_goals() {
        let haul = |rate| Haul {
            rate,
            processors: 0.5,
            memory: 25.0,
        };
        let mut contest = LogContest {
            hauls: BTreeMap::from([
                (Rival::HerderRaw, vec![haul(1000.0), haul(900.0)]),
                (Rival::Pm2Raw, vec![haul(100.0), haul(150.0)]),
            ]),
        };
        let text = table(&contest);
        let line = text
            .lines()
            .find(|line| line.contains("herder, raw"))
            .unwrap();
        let words: Vec<&str> = line.split_whitespace().skip(2).collect();
        assert_eq!(words, ["950", "(900..1000)", "0.50", "25.0"]);
        assert!(
            text.contains("= 8.0 (6.0..10.0); goal at least 5: met\n"),
            "{text}"
        );
        assert!(text.ends_with("`pm2, time` did not take part: run scripts/setup bench\n"));
        let slow = vec![haul(100.0), haul(100.0)];
        contest.hauls.insert(Rival::HerderRaw, slow);
        assert!(table(&contest).contains("goal at least 5: MISSED\n"));
    }
}

//! The records as a table, and what was made of the goals.

use super::contest::{DaemonContest, Record};
use super::rival::Rival;
use crate::goals::met;
use crate::report::align;
use crate::statistics::Median;
use std::fmt::Write;

/// Millions of bytes that a daemon may need.
const MEMORY: f64 = 10.0;
/// Milliseconds that a list may take.
const LIST: f64 = 10.0;
/// How many times the program's own start a start and a replacement may take.
const START: f64 = 1.3;
const RESPAWN: f64 = 1.2;
/// Milliseconds that a hundred stops may take.
const STOP_ALL: f64 = 1000.0;
/// Which part of PM2's work an idle daemon may do.
const IDLE: f64 = 0.1;

type Row = (&'static str, fn(&DaemonContest, Rival) -> Option<String>);

/// What is in the table, from above to below.
const ROWS: [Row; 12] = [
    ("daemon, idle, MB", |all, rival| {
        all.records.get(&rival).map(|it| memory(&it.memory_idle))
    }),
    ("daemon, 1 app, MB", |all, rival| {
        all.records.get(&rival).map(|it| memory(&it.memory_one))
    }),
    ("daemon, 100 apps, MB", |all, rival| {
        all.records.get(&rival).map(|it| memory(&it.memory_hundred))
    }),
    ("keeper and master of an app, MB", |all, rival| {
        let record = all.records.get(&rival)?;
        Some(format!("{:.1}", record.memory_per_app))
    }),
    ("list, ms", |all, rival| {
        Some(format!("{:.1}", all.median(rival, |it| &it.list)?))
    }),
    ("start until it listens, ms", |all, rival| {
        let median = all.median(rival, |it| &it.start_listening)?;
        Some(format!("{median:.0}"))
    }),
    ("start until it is said, too, ms", |all, rival| {
        Some(format!("{:.0}", all.median(rival, |it| &it.start)?))
    }),
    ("the program by itself, ms", |all, _| {
        Some(format!("{:.0}", Median::of(all.own_start.iter().copied())))
    }),
    ("as a worker of Node's cluster, ms", |all, _| {
        let median = Median::of(all.forked_start.iter().copied());
        Some(format!("{median:.0}"))
    }),
    ("killed until another listens, ms", |all, rival| {
        Some(format!("{:.0}", all.median(rival, |it| &it.respawn)?))
    }),
    ("stop all of 100 apps, ms", |all, rival| {
        let record = all.records.get(&rival)?;
        Some(format!("{:.0}", record.stop_all))
    }),
    ("work in 30 s, 20 idle apps, ms", |all, rival| {
        let record = all.records.get(&rival)?;
        Some(format!("{:.1}", record.idle_work))
    }),
];

/// The table of the contest, with the goals below.
pub fn table(contest: &DaemonContest) -> String {
    let mut headings = vec!["daemon".to_owned()];
    headings.extend(Rival::ALL.map(|rival| rival.name().to_owned()));
    let mut rows = vec![headings];
    for (name, cell) in ROWS {
        let cells = Rival::ALL.map(|rival| cell(contest, rival).unwrap_or("-".to_owned()));
        rows.push([name.to_owned()].into_iter().chain(cells).collect());
    }
    let mut text = align(&rows);
    if let Some(record) = contest.records.get(&Rival::Herder) {
        text += &goals(contest, record);
    }
    text
}

/// What is wanted of herder, a line each.
fn goals(contest: &DaemonContest, ours: &Record) -> String {
    let mut text = String::new();
    let mut at_most = |what: &str, is: f64, shown: &str, goal: f64| {
        let met = met(is <= goal);
        let _infallible = writeln!(text, "{what}: {shown}; goal at most {goal}: {met}");
    };
    for (what, parts) in [
        ("memory of an idle daemon, MB", &ours.memory_idle),
        ("memory of a daemon with 1 app, MB", &ours.memory_one),
        ("memory of a daemon with 100 apps, MB", &ours.memory_hundred),
    ] {
        at_most(what, parts.iter().sum(), &memory(parts), MEMORY);
    }
    let list = Median::of(ours.list.iter().copied());
    at_most("list, ms", list.median, &format!("{list:.1}"), LIST);
    let start = contest.to_own(Rival::Herder, |it| &it.start, &contest.own_start);
    let respawn = contest.to_own(Rival::Herder, |it| &it.respawn, &contest.own_respawn);
    for (what, ratio, goal) in [
        ("start : the program's own", start, START),
        ("replacement : the program's own start", respawn, RESPAWN),
    ] {
        let ratio = ratio.unwrap_or_default();
        at_most(what, ratio.median, &ratio.to_string(), goal);
    }
    let stop = ours.stop_all;
    at_most("stop all, ms", stop, &format!("{stop:.0}"), STOP_ALL);
    match contest.records.get(&Rival::Pm2) {
        Some(theirs) => {
            let (ours, theirs) = (ours.idle_work, theirs.idle_work);
            let met = met(ours <= theirs * IDLE);
            text += &format!(
                "idle work : pm2: {ours:.1} : {theirs:.1} ms; goal at most {IDLE}: {met}\n"
            );
        }
        None => text += "`pm2` did not take part: run scripts/setup bench\n",
    }
    text
}

/// All of it, and whose it is.
fn memory(parts: &[f64]) -> String {
    // (The sum of nothing is -0.)
    let sum = parts.iter().sum::<f64>() + 0.0;
    let each: Vec<String> = parts.iter().map(|part| format!("{part:.1}")).collect();
    match &each[..] {
        [] | [_] => format!("{sum:.1}"),
        each => format!("{sum:.1} ({})", each.join(" + ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn contest(ours: Record, theirs: Option<Record>) -> DaemonContest {
        let pm2 = theirs.map(|record| (Rival::Pm2, record));
        let all = [(Rival::Herder, ours)].into_iter().chain(pm2);
        DaemonContest {
            own_start: vec![50.0, 40.0],
            forked_start: vec![55.0, 45.0],
            own_respawn: vec![50.0, 40.0],
            records: BTreeMap::from_iter(all),
        }
    }

    fn record() -> Record {
        Record {
            memory_idle: vec![2.0, 4.0],
            memory_one: vec![2.0, 9.0],
            list: vec![8.0, 9.0, 30.0],
            start: vec![60.0, 48.0],
            respawn: vec![75.0, 60.0],
            stop_all: 900.0,
            idle_work: 2.0,
            ..Record::default()
        }
    }

    #[test]
    fn goals_are_met_or_missed() {
        let pm2 = Record {
            idle_work: 30.0,
            ..Record::default()
        };
        let text = table(&contest(record(), Some(pm2)));
        for line in [
            "memory of an idle daemon, MB: 6.0 (2.0 + 4.0); goal at most 10: met",
            "memory of a daemon with 1 app, MB: 11.0 (2.0 + 9.0); goal at most 10: MISSED",
            "list, ms: 9.0 (8.0..30.0); goal at most 10: met",
            "start : the program's own: 1.20 (1.20..1.20); goal at most 1.3: met",
            "replacement : the program's own start: 1.50 (1.50..1.50); goal at most 1.2: MISSED",
            "stop all, ms: 900; goal at most 1000: met",
            "idle work : pm2: 2.0 : 30.0 ms; goal at most 0.1: met",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}\n{text}");
        }
    }

    #[test]
    fn without_a_rival_it_says_so() {
        let text = table(&contest(record(), None));
        assert!(text.ends_with("`pm2` did not take part: run scripts/setup bench\n"));
    }
}

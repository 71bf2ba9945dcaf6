//! The figures as a table and as JSON.

use crate::contest::Contest;
use crate::measure::{Pressure, Sample};
use crate::memory::Resident;
use crate::variant::Variant;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The table of one contest, with its failures below.
pub fn table(contest: &Contest) -> String {
    let (headings, row): (_, fn(&Contest, Variant) -> Vec<String>) = match contest.pressure {
        Pressure::MessagesCalm | Pressure::MessagesSaturated => (MESSAGE_HEADINGS, message_row),
        Pressure::NodeSaturated => (NODE_HEADINGS, node_row),
        Pressure::Light | Pressure::Saturated | Pressure::Stopped => (HEADINGS, row),
    };
    let mut rows = vec![headings.iter().map(|&heading| heading.into()).collect()];
    rows.extend(contest.variants().map(|variant| row(contest, variant)));
    let mut text = format!("{}\n{}", contest.pressure.title(), align(&rows));
    for variant in contest.variants() {
        let failures = contest.failures(variant);
        if !failures.is_empty() {
            let _infallible = writeln!(text, "FAILED: {}: {}", variant.name(), list(&failures));
        }
    }
    if contest.is_clean() {
        text.push_str("no request failed\n");
    }
    text
}

/// What a herd's master costs a connection beside the bare loop or Node's own primary, how fast it is
/// beside the latter, and whether that is what it should be; beside the latter also what master and
/// workers cost together. A line for each; none without a rival.
pub fn verdict(contest: &Contest) -> String {
    match contest.pressure {
        Pressure::Saturated => verdict_on_pass(contest),
        Pressure::NodeSaturated => contest
            .variants()
            .map(|variant| verdict_on_node(contest, variant))
            .collect(),
        Pressure::Light
        | Pressure::MessagesCalm
        | Pressure::MessagesSaturated
        | Pressure::Stopped => String::new(),
    }
}

fn verdict_on_pass(contest: &Contest) -> String {
    const GOAL: f64 = 1.25;
    let (herd, bare) = (Variant::HerderPass, Variant::BarePass);
    if !contest.has(herd) || !contest.has(bare) {
        return String::new();
    }
    let ratio = contest.ratio(herd, bare, |sample| sample.master);
    let met = met(ratio.median <= GOAL);
    format!("master of `herder pass` : bare loop = {ratio}; goal at most {GOAL}: {met}\n")
}

fn verdict_on_node(contest: &Contest, herd: Variant) -> String {
    const MASTER: f64 = 0.35;
    const RATE: f64 = 1.6;
    let measured = |rival: &Variant| contest.has(*rival);
    let Some(own) = herd.rival().filter(measured) else {
        return String::new();
    };
    let master = contest.ratio(herd, own, |sample| sample.master);
    let rate = contest.ratio(herd, own, |sample| sample.rate);
    let all = contest.ratio(herd, own, Sample::total);
    let names = format!("`{}` : Node's own primary", herd.name());
    // Where every processor is busy the rate cannot grow by more than what is saved in all.
    format!(
        "master of {names} = {master}; goal at most {MASTER}: {}\n\
         rate of {names} = {rate}; goal at least {RATE}: {}\n\
         master and workers of {names} = {all}\n",
        met(master.median <= MASTER),
        met(rate.median >= RATE)
    )
}

pub(crate) fn met(goal: bool) -> &'static str {
    if goal { "met" } else { "MISSED" }
}

/// The memory of an idle herd, a line for each process, the largest first.
pub fn memory(processes: &[Resident]) -> String {
    let mut text = String::from("resident memory of an idle herd, in KiB\n");
    for process in processes {
        let _infallible = writeln!(text, "  {:>6}  {}", process.bytes / 1024, process.title);
    }
    text
}

const HEADINGS: [&str; 9] = [
    "variant",
    "conn/s",
    "x bare shared",
    "master us/conn",
    "x bare pass",
    "workers us/conn",
    "p50 us",
    "p99 us",
    "max/min worker",
];

const MESSAGE_HEADINGS: [&str; 9] = [
    "variant",
    "msg/s",
    "x bare echo",
    "master us/msg",
    "gateway us/msg",
    "workers us/msg",
    "all x bare echo",
    "p50 us",
    "p99 us",
];

const NODE_HEADINGS: [&str; 9] = [
    "variant",
    "conn/s",
    "x own primary",
    "master us/conn",
    "x own primary",
    "workers us/conn",
    "p50 us",
    "p99 us",
    "max/min worker",
];

fn node_row(contest: &Contest, variant: Variant) -> Vec<String> {
    let own = variant.rival().unwrap_or(variant);
    let ratio = |figure| ratio(contest, variant, own, figure);
    let micros = |figure| format!("{:.1}", contest.median(variant, figure).median);
    let whole = |figure| format!("{:.0}", contest.median(variant, figure).median);
    vec![
        variant.name().to_owned(),
        whole(|sample| sample.rate),
        ratio(|sample| sample.rate),
        micros(|sample| sample.master),
        ratio(|sample| sample.master),
        micros(|sample| sample.workers),
        whole(|sample| sample.p50),
        whole(|sample| sample.p99),
        format!(
            "{:.2}",
            contest.median(variant, |sample| sample.unevenness).median
        ),
    ]
}

fn message_row(contest: &Contest, variant: Variant) -> Vec<String> {
    let ratio = |figure| ratio(contest, variant, Variant::BareEcho, figure);
    let micros = |figure| format!("{:.1}", contest.median(variant, figure).median);
    let whole = |figure| format!("{:.0}", contest.median(variant, figure).median);
    vec![
        variant.name().to_owned(),
        whole(|sample| sample.rate),
        ratio(|sample| sample.rate),
        micros(|sample| sample.master),
        micros(|sample| sample.front),
        micros(|sample| sample.workers),
        ratio(Sample::total),
        whole(|sample| sample.p50),
        whole(|sample| sample.p99),
    ]
}

fn ratio(contest: &Contest, variant: Variant, base: Variant, figure: fn(&Sample) -> f64) -> String {
    let ratio = contest
        .has(base)
        .then(|| contest.ratio(variant, base, figure));
    ratio.map_or("-".to_owned(), |ratio| ratio.to_string())
}

fn row(contest: &Contest, variant: Variant) -> Vec<String> {
    let ratio = |base, figure| ratio(contest, variant, base, figure);
    let passes = variant.passes();
    vec![
        variant.name().to_owned(),
        format!(
            "{:.0}",
            contest.median(variant, |sample| sample.rate).median
        ),
        ratio(Variant::BareShared, |sample| sample.rate),
        format!("{:.1}", contest.median(variant, |sample| sample.master)),
        if passes {
            ratio(Variant::BarePass, |sample| sample.master)
        } else {
            "-".to_owned()
        },
        format!(
            "{:.1}",
            contest.median(variant, |sample| sample.workers).median
        ),
        format!("{:.0}", contest.median(variant, |sample| sample.p50).median),
        format!("{:.0}", contest.median(variant, |sample| sample.p99).median),
        format!(
            "{:.2}",
            contest.median(variant, |sample| sample.unevenness).median
        ),
    ]
}

fn list(counts: &BTreeMap<String, usize>) -> String {
    let parts: Vec<String> = counts
        .iter()
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    parts.join(", ")
}

/// Columns as wide as their widest cell, the first to the left, the others to the right.
pub(crate) fn align(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let widest = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(widest).collect();
    let mut text = String::new();
    for row in rows {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _infallible = if column == 0 {
                write!(text, "  {cell:<width$}")
            } else {
                write!(text, "  {cell:>width$}")
            };
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_row_for_each_variant_and_names_failures() {
        let sample = |rate, master| Sample {
            rate,
            master,
            ..Sample::default()
        };
        let failed = Sample {
            failures: BTreeMap::from([("reset".to_owned(), 2), ("timed out".to_owned(), 1)]),
            ..sample(900.0, 6.0)
        };
        let contest = Contest {
            pressure: Pressure::Saturated,
            samples: BTreeMap::from([
                (Variant::BareShared, vec![sample(1000.0, 0.0)]),
                (Variant::BarePass, vec![failed]),
            ]),
        };
        let text = table(&contest);
        let words: Vec<&str> = text.split_whitespace().collect();
        let text = words.join(" ");
        assert!(
            text.contains("bare shared 1000 1.00 (1.00..1.00)"),
            "{text}"
        );
        assert!(text.contains("bare pass 900 0.90 (0.90..0.90)"), "{text}");
        assert!(
            text.contains("FAILED: bare pass: 2 reset, 1 timed out"),
            "{text}"
        );
        assert!(!text.contains("no request failed"), "{text}");
    }

    #[test]
    fn a_herd_of_node_programs_is_judged_by_nodes_own_primary() {
        let sample = |rate, master| Sample {
            rate,
            master,
            ..Sample::default()
        };
        let mut contest = Contest {
            pressure: Pressure::NodeSaturated,
            samples: BTreeMap::from([
                (Variant::Node24, vec![sample(1000.0, 60.0)]),
                (Variant::HerderNode24, vec![sample(1700.0, 30.0)]),
            ]),
        };
        let text = verdict(&contest);
        let [master, rate, all] = &text.lines().collect::<Vec<_>>()[..] else {
            panic!("{text}");
        };
        assert!(
            master.ends_with("0.50 (0.50..0.50); goal at most 0.35: MISSED"),
            "{text}"
        );
        assert!(
            rate.ends_with("1.70 (1.70..1.70); goal at least 1.6: met"),
            "{text}"
        );
        assert!(all.ends_with("= 0.50 (0.50..0.50)"), "{text}");
        contest.samples.remove(&Variant::Node24);
        assert_eq!(verdict(&contest), "");
    }
}

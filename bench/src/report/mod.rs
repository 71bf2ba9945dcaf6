//! The figures as tables, as pictures and as JSON.

pub mod guide;
pub(crate) mod markdown;
pub mod picture;

use crate::contest::{Contest, Field};
use crate::goals::{self, Verdict};
use crate::measure::Sample;
use crate::memory::Resident;
use crate::part::Part;
use crate::variant::{League, Variant};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The table of one contest, with its failures and what became of the goals below.
pub fn table(contest: &Contest) -> String {
    let mut text = format!("{}\n{}", title(contest), align(&rows(contest)));
    for line in failures(contest) {
        let _infallible = writeln!(text, "{line}");
    }
    for verdict in goals::judge(contest) {
        let _infallible = writeln!(text, "{verdict}");
    }
    text
}

/// Who was asked for and took no part, a line for each.
pub fn left_out(field: &Field) -> String {
    field
        .left_out()
        .map(|(variant, reason)| format!("left out: {variant}: {reason}\n"))
        .collect()
}

/// How many of `verdicts` are met, and which are not.
pub fn summary(verdicts: &[Verdict]) -> String {
    let missed: Vec<_> = verdicts.iter().filter(|one| !one.is_met).collect();
    let (met, all) = (verdicts.len() - missed.len(), verdicts.len());
    let mut text = format!("{met} of {all} goals are met\n");
    for verdict in missed {
        let _infallible = writeln!(text, "  {verdict}");
    }
    text
}

/// What the clients of a contest did, and to whom.
pub(crate) fn title(contest: &Contest) -> String {
    let what = contest.part.title();
    let what = match contest.rate {
        0 => what.to_owned(),
        rate => format!("{what} ({rate}/s)"),
    };
    match contest.league {
        League::Messages => what,
        League::Native => format!("native programs, {what}"),
        League::Node => format!("Node programs, {what}"),
        League::Scripts => format!("Python and Ruby programs, {what}"),
    }
}

/// A line for each who failed or broke; one that says so when nobody did.
pub(crate) fn failures(contest: &Contest) -> Vec<String> {
    let mut lines = Vec::new();
    for variant in contest.variants() {
        let failures = contest.failures(variant);
        if !failures.is_empty() {
            lines.push(format!("FAILED: {variant}: {}", list(&failures)));
        }
    }
    for (variant, reason) in &contest.left_out {
        lines.push(format!("left out: {variant}: {reason}"));
    }
    if lines.is_empty() {
        lines.push("no request failed".to_owned());
    }
    lines
}

/// The memory of an idle herd, a line for each process, the largest first.
pub fn memory(processes: &[Resident]) -> String {
    let mut text = String::from("resident memory of an idle herd, in KiB\n");
    for process in processes {
        let _infallible = writeln!(text, "  {:>6}  {}", process.bytes / 1024, process.title);
    }
    text
}

/// The headings and a row for each variant.
pub(crate) fn rows(contest: &Contest) -> Vec<Vec<String>> {
    let headings: &[&str] = match (contest.league, contest.part) {
        (League::Messages, _) => &MESSAGE_HEADINGS,
        (_, Part::Even) => &EVEN_HEADINGS,
        _ => &HEADINGS,
    };
    let row = match (contest.league, contest.part) {
        (League::Messages, _) => message_row,
        (_, Part::Even) => even_row,
        _ => row,
    };
    let mut rows = vec![headings.iter().map(|&heading| heading.into()).collect()];
    rows.extend(contest.variants().map(|variant| row(contest, variant)));
    rows
}

const HEADINGS: [&str; 12] = [
    "variant",
    "answers/s",
    "x base",
    "server us",
    "x base",
    "of it master",
    "client us",
    "p50 us",
    "p99 us",
    "p99.9 us",
    "max us",
    "max/min worker",
];

const EVEN_HEADINGS: [&str; 4] = [
    "variant",
    "largest - smallest",
    "worst round",
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

fn row(contest: &Contest, variant: Variant) -> Vec<String> {
    let ratio = |figure| ratio(contest, variant, figure);
    let micros = |figure| format!("{:.1}", contest.median(variant, figure).median);
    let whole = |figure| format!("{:.0}", contest.median(variant, figure).median);
    vec![
        variant.name().to_owned(),
        whole(|sample| sample.rate),
        ratio(|sample| sample.rate),
        micros(Sample::total),
        ratio(Sample::total),
        micros(|sample| sample.master),
        micros(|sample| sample.client),
        whole(|sample| sample.p50),
        whole(|sample| sample.p99),
        // One round has too few for it.
        contest.histogram(variant).percentile(999).to_string(),
        format!("{:.0}", contest.median(variant, |sample| sample.max).max),
        format!(
            "{:.2}",
            contest.median(variant, |sample| sample.unevenness).median
        ),
    ]
}

fn even_row(contest: &Contest, variant: Variant) -> Vec<String> {
    let spread = contest.median(variant, |sample| sample.spread);
    let unevenness = contest.median(variant, |sample| sample.unevenness);
    vec![
        variant.name().to_owned(),
        format!("{:.0}", spread.median),
        format!("{:.0}", spread.max),
        format!("{:.3}", unevenness.median),
    ]
}

fn message_row(contest: &Contest, variant: Variant) -> Vec<String> {
    let ratio = |figure| ratio(contest, variant, figure);
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

fn ratio(contest: &Contest, variant: Variant, figure: fn(&Sample) -> f64) -> String {
    let base = variant.base();
    let ratio = contest
        .has(base)
        .then(|| contest.ratio(variant, base, figure));
    ratio.map_or("-".to_owned(), |ratio| ratio.to_string())
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
        let mut contest = Contest::new(Part::Saturated, League::Native);
        contest.samples = BTreeMap::from([
            (Variant::BareShared, vec![sample(1000.0, 0.0)]),
            (Variant::BarePass, vec![failed]),
        ]);
        let nginx = Variant::Nginx(crate::variant::Listeners::One);
        contest.left_out.insert(nginx, "it is gone".to_owned());
        let text = table(&contest);
        let words: Vec<&str> = text.split_whitespace().collect();
        let text = words.join(" ");
        assert!(text.starts_with("native programs, saturated:"), "{text}");
        assert!(
            text.contains("bare-shared 1000 1.00 (1.00..1.00)"),
            "{text}"
        );
        assert!(text.contains("bare-pass 900 0.90 (0.90..0.90)"), "{text}");
        assert!(
            text.contains("FAILED: bare-pass: 2 reset, 1 timed out"),
            "{text}"
        );
        assert!(text.contains("left out: nginx: it is gone"), "{text}");
        assert!(!text.contains("no request failed"), "{text}");
    }
}

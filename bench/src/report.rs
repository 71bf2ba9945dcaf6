//! The figures as a table and as JSON.

use crate::contest::Contest;
use crate::measure::{Pressure, Sample};
use crate::memory::Resident;
use crate::variant::Variant;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The table of one contest, with its failures below.
pub fn table(contest: &Contest) -> String {
    let of_messages = contest.pressure.is_of_messages();
    let headings = if of_messages {
        &MESSAGE_HEADINGS[..]
    } else {
        &HEADINGS[..]
    };
    let mut rows = vec![headings.iter().map(|&heading| heading.into()).collect()];
    for variant in contest.variants() {
        rows.push(if of_messages {
            message_row(contest, variant)
        } else {
            row(contest, variant)
        });
    }
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

/// What a herd's master costs a connection beside the bare loop, and whether that is what it should.
pub fn verdict(contest: &Contest) -> String {
    const GOAL: f64 = 1.25;
    let measured = |wanted| contest.variants().any(|variant| variant == wanted);
    let both = measured(Variant::BarePass) && measured(Variant::HerderPass);
    if contest.pressure != Pressure::Saturated || !both {
        return String::new();
    }
    let ratio = contest.ratio(Variant::HerderPass, Variant::BarePass, |sample| {
        sample.master
    });
    let met = if ratio.median <= GOAL {
        "met"
    } else {
        "MISSED"
    };
    format!("master of `herder pass` : bare loop = {ratio}; goal at most {GOAL}: {met}\n")
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
    let measured = contest.variants().any(|other| other == base);
    let ratio = measured.then(|| contest.ratio(variant, base, figure));
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
fn align(rows: &[Vec<String>]) -> String {
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
}

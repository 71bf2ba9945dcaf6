//! Tables for people who read Markdown.

use super::{failures, rows, title};
use crate::contest::Contest;
use crate::goals::Verdict;
use std::fmt::Write;

/// A heading, the table of a contest, and what failed in it.
pub(super) fn section(contest: &Contest) -> String {
    let mut text = format!(
        "### {}\n\n{}\n",
        capital(&title(contest)),
        table(&rows(contest))
    );
    for line in failures(contest) {
        let _infallible = writeln!(text, "- {line}");
    }
    text
}

/// A row for each goal.
pub(crate) fn goals(verdicts: &[Verdict]) -> String {
    let heading = ["", "measured", "goal", ""].map(str::to_owned).to_vec();
    let rows = verdicts.iter().map(|verdict| {
        let met = if verdict.is_met { "met" } else { "**missed**" };
        vec![
            verdict.what.clone(),
            verdict.measured.to_string(),
            verdict.bound.to_string(),
            met.to_owned(),
        ]
    });
    table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>())
}

/// The first row is the headings; the first column stands to the left, the others to the right.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        let _infallible = writeln!(text, "| {} |", row.join(" | "));
        if number == 0 {
            let others = "|---:".repeat(row.len().saturating_sub(1));
            let _infallible = writeln!(text, "|:---{others}|");
        }
    }
    text
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_a_table() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        assert_eq!(
            table(&[row(["variant", "a", "b"]), row(["nginx", "1", "2"])]),
            "| variant | a | b |\n|:---|---:|---:|\n| nginx | 1 | 2 |\n"
        );
        assert_eq!(capital("even: so"), "Even: so");
    }
}

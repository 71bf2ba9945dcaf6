//! What was played: written down for people, and read again by who goes on with it.

use crate::deploy::Program;
use crate::fault::cell::{Cell, Deed, Operation};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// What was played.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Row by row, in each by number.
    results: Vec<Result>,
    /// Rows of which the last step is known, and the number that no step has any more.
    ends: Vec<(Cell, u64)>,
}

/// What one cell came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Result {
    /// Which.
    pub cell: Cell,
    /// The name of the step where it happened; the cell's `steps` when that is not known.
    pub step: String,
    /// Requests that were made, and that failed.
    pub requests: [usize; 2],
    /// What masters told of connections that those before them had held.
    pub told: u64,
    /// How long it took.
    pub took: Duration,
    /// What was broken; `None` = nothing.
    pub broken: Option<String>,
    /// What else there is to say.
    pub remark: &'static str,
}

/// When the keeper dies while there is no master, nobody is left who could remove what the herd has made. The next
/// herd does.
const LEFT: &str = " (its private directory is left to the next herd)";

/// The same of a herd whose programs hear nothing of it but signals.
const LEFT_ALIVE: &str =
    " (its private directory is left to the next herd, and its programs to whoever ends them)";

/// What stands where the end of a row is not known.
const UNKNOWN: &str = "?";

const TITLE: &str = "# Faults";
const SUMS: &str = "| operation | victim | fault | cells | broken |\n|---|---|---|---|---|\n";
const ROWS: &str = "| program | operation | steps of | deed | cells | broken | no step |\n\
                    |---|---|---|---|---|---|---|\n";
const CELLS: &str = "| program | operation | step | deed | requests | failed | told | s | verdict |\n\
                     |---|---|---|---|---|---|---|---|---|\n";

impl Report {
    /// Reads what [`Report::text`] has written.
    ///
    /// # Errors
    /// A line that is neither; the text names it and its number.
    pub fn read(text: &str) -> std::result::Result<Report, String> {
        let mut report = Report::default();
        let mut lines = text.lines().enumerate();
        if lines.next().is_none_or(|(_, line)| line != TITLE) {
            return Err(format!("line 1: a report begins with {TITLE:?}"));
        }
        for (index, line) in lines {
            let columns: Vec<&str> = columns(line);
            let is_head = [SUMS, ROWS, CELLS].iter().any(|head| head.contains(line));
            let read = match columns.len() {
                _ if is_head => Some(()),
                7 => {
                    row_of(&columns).map(|(row, end)| report.ends.extend(end.map(|end| (row, end))))
                }
                9 => Result::of_columns(&columns).map(|result| report.put(result)),
                _ => Some(()),
            };
            if read.is_none() {
                let number = index + 1;
                return Err(format!("line {number}: no row or cell of a report: {line}"));
            }
        }
        Ok(report)
    }

    /// How many of each kind, how many of each row, then every cell.
    pub fn text(&self) -> String {
        let broken = self.broken().count();
        let mut text = format!("{TITLE}\n\n{} cells, {broken} broken.\n\n", self.len());
        text.push_str(&self.summary());
        text.push('\n');
        text.push_str(ROWS);
        for row in self.rows() {
            let (count, broken) = tally(self.results_of(&row));
            let end = self
                .end_of(&row)
                .map_or(UNKNOWN.to_owned(), |end| end.to_string());
            let (program, operation) = (row.program.name(), row.operation.name());
            let _infallible = writeln!(
                text,
                "| {program} | {operation} | {} | {} | {count} | {broken} | {end} |",
                row.steps, row.deed
            );
        }
        text.push('\n');
        text.push_str(CELLS);
        for result in &self.results {
            let _infallible = writeln!(text, "| {} |", result.fields().join(" | "));
        }
        text
    }

    /// How many cells of each operation, victim and fault.
    pub fn summary(&self) -> String {
        let mut sums: BTreeMap<(Operation, &str, String), (usize, usize)> = BTreeMap::new();
        for result in &self.results {
            let cell = &result.cell;
            let sum = sums.entry((cell.operation, cell.victim(), cell.deed.fault()));
            let (count, broken) = sum.or_default();
            *count += 1;
            *broken += usize::from(result.broken.is_some());
        }
        let mut text = SUMS.to_owned();
        for ((operation, victim, fault), (count, broken)) in sums {
            let operation = operation.name();
            let _infallible = writeln!(
                text,
                "| {operation} | {victim} | {fault} | {count} | {broken} |"
            );
        }
        text
    }

    /// Adds a result, in place of an earlier one of the same cell.
    pub fn put(&mut self, result: Result) {
        let cell = result.cell;
        let is_before = |other: &Result| other.cell.place() < cell.place();
        let index = self.results.partition_point(is_before);
        match self.results.get_mut(index) {
            Some(found) if found.cell == cell => *found = result,
            _ => self.results.insert(index, result),
        }
    }

    /// The cell's row has no step of its number, nor any later one.
    pub fn end(&mut self, cell: &Cell) {
        let beyond = self
            .results_of(cell)
            .map(|result| result.cell.nth + 1)
            .max();
        // What was played once is a step, although the operation had fewer this time.
        let end = cell.nth.max(beyond.unwrap_or(1));
        self.ends.retain(|(row, _)| !row.is_of_row(cell));
        self.ends.push((cell.at(1), end));
    }

    /// The next step of the cell's row, beyond `after`, that was not played or was broken. `stride`: among each so
    /// many.
    pub fn lacks(&self, row: &Cell, after: u64, stride: u64) -> Option<u64> {
        let is_kept = |nth: u64| {
            let mut results = self.results_of(row);
            results.any(|result| result.cell.nth == nth && result.broken.is_none())
        };
        let most = row.operation.most_steps();
        let end = self.end_of(row).unwrap_or(most).min(most);
        let stride = usize::try_from(stride).unwrap_or(usize::MAX);
        (1..end)
            .step_by(stride)
            .find(|nth| *nth > after && !is_kept(*nth))
    }

    /// What was played of the cell's row, by number.
    pub fn results_of<'a>(
        &'a self,
        row: &Cell,
    ) -> impl DoubleEndedIterator<Item = &'a Result> + use<'a> {
        let row = *row;
        self.results
            .iter()
            .filter(move |result| result.cell.is_of_row(&row))
    }

    /// What became of a cell, if it was played.
    pub fn result_of(&self, cell: &Cell) -> Option<&Result> {
        self.results.iter().find(|result| result.cell == *cell)
    }

    /// Those in which something was broken.
    pub fn broken(&self) -> impl Iterator<Item = &Result> {
        self.results.iter().filter(|result| result.broken.is_some())
    }

    /// How many cells were played.
    pub fn len(&self) -> usize {
        self.results.len()
    }

    /// Whether nothing was played.
    pub fn is_empty(&self) -> bool {
        self.results.is_empty()
    }

    fn end_of(&self, row: &Cell) -> Option<u64> {
        let mut ends = self.ends.iter();
        ends.find(|(ended, _)| ended.is_of_row(row))
            .map(|(_, end)| *end)
    }

    /// The rows of which something is known.
    fn rows(&self) -> Vec<Cell> {
        let played = self.results.iter().map(|result| result.cell.at(1));
        let mut rows: Vec<Cell> = played
            .chain(self.ends.iter().map(|(row, _)| *row))
            .collect();
        rows.sort_by_key(Cell::place);
        rows.dedup();
        rows
    }
}

impl Result {
    /// The columns of the report.
    pub fn fields(&self) -> [String; 9] {
        let cell = &self.cell;
        [
            cell.program.name().to_owned(),
            cell.operation.name().to_owned(),
            format!("{} ({})", self.step, cell.nth),
            cell.deed.to_string(),
            self.requests[0].to_string(),
            self.requests[1].to_string(),
            self.told.to_string(),
            format!("{:.1}", self.took.as_secs_f64()),
            match &self.broken {
                None => format!("kept{}", self.remark),
                // It stands in a table.
                Some(what) => format!(
                    "BROKEN: {}",
                    what.lines().next().unwrap_or_default().replace('|', "/")
                ),
            },
        ]
    }

    fn of_columns(columns: &[&str]) -> Option<Result> {
        let &[
            program,
            operation,
            step,
            deed,
            requests,
            failed,
            told,
            took,
            verdict,
        ] = columns
        else {
            return None;
        };
        let (step, nth) = step.strip_suffix(')')?.split_once(" (")?;
        let operation = Operation::of_name(operation)?;
        let cell = Cell {
            program: Cell::program_of_name(program)?,
            operation,
            steps: operation.steps_of(step)?,
            nth: nth.parse().ok()?,
            deed: Deed::of_name(deed)?,
        };
        let remark = [LEFT, LEFT_ALIVE]
            .into_iter()
            .find(|remark| verdict.strip_prefix("kept") == Some(remark))
            .unwrap_or_default();
        let broken = verdict.strip_prefix("BROKEN: ").map(str::to_owned);
        if broken.is_none() && !verdict.starts_with("kept") {
            return None;
        }
        Some(Result {
            cell,
            step: step.to_owned(),
            requests: [requests.parse().ok()?, failed.parse().ok()?],
            told: told.parse().ok()?,
            took: Duration::try_from_secs_f64(took.parse().ok()?).ok()?,
            broken,
            remark,
        })
    }
}

/// What there is to say of what a herd has left behind when keeper and master were killed together.
pub(super) fn remark_on(program: Program) -> &'static str {
    if program == Program::Python {
        LEFT_ALIVE
    } else {
        LEFT
    }
}

fn columns(line: &str) -> Vec<&str> {
    let inner = line
        .strip_prefix("| ")
        .and_then(|line| line.strip_suffix(" |"));
    inner.map_or(Vec::new(), |inner| inner.split(" | ").collect())
}

/// A row, and the number that no step of it has, if that is known.
fn row_of(columns: &[&str]) -> Option<(Cell, Option<u64>)> {
    let &[program, operation, steps, deed, _, _, end] = columns else {
        return None;
    };
    let operation = Operation::of_name(operation)?;
    let row = Cell {
        program: Cell::program_of_name(program)?,
        operation,
        steps: operation.steps_of(steps)?,
        nth: 1,
        deed: Deed::of_name(deed)?,
    };
    match end {
        UNKNOWN => Some((row, None)),
        number => Some((row, Some(number.parse().ok()?))),
    }
}

fn tally<'a>(results: impl Iterator<Item = &'a Result>) -> (usize, usize) {
    results.fold((0, 0), |(count, broken), result| {
        (count + 1, broken + usize::from(result.broken.is_some()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interpreter::Node;

    fn cell(program: Program, operation: Operation, steps: &'static str, deed: Deed) -> Cell {
        Cell {
            program,
            operation,
            steps,
            nth: 1,
            deed,
        }
    }

    fn result(cell: Cell, broken: Option<&str>) -> Result {
        Result {
            cell,
            step: cell.steps.replace('*', "save"),
            requests: [812, 3],
            told: 2,
            took: Duration::from_millis(1700),
            broken: broken.map(str::to_owned),
            remark: "",
        }
    }

    fn row() -> Cell {
        cell(
            Program::NativeShared,
            Operation::Reload,
            "master.*",
            Deed::Kill,
        )
    }

    #[test]
    fn a_report_that_is_read_says_the_same() {
        let mut report = Report::default();
        let node = Program::Node(Node::Version(20));
        for program in [
            Program::Python,
            node,
            Program::NativeShared,
            Program::Native,
        ] {
            for operation in Operation::ALL {
                for (place, deed) in Deed::ALL.into_iter().enumerate() {
                    let steps = operation.steps()[place % operation.steps().len()];
                    let cell = cell(program, operation, steps, deed);
                    report.put(result(cell, None));
                    report.put(Result {
                        remark: LEFT,
                        ..result(cell.at(3), None)
                    });
                    report.put(result(cell.at(2), Some("2 stale reset: nobody died")));
                }
            }
        }
        report.end(&row().at(4));
        report.end(&cell(node, Operation::Spawn, "worker.*", Deed::Stop));
        assert_eq!(Report::read(&report.text()), Ok(report));
    }

    #[test]
    fn what_is_broken_is_one_line_of_the_table() {
        let mut report = Report::default();
        report.put(result(row(), Some("3 closed | 4 reset\n  the log")));
        let read = Report::read(&report.text()).expect("it can be read");
        let broken: Vec<_> = read.broken().map(|result| result.broken.clone()).collect();
        assert_eq!(broken, [Some("3 closed / 4 reset".to_owned())]);
    }

    #[test]
    fn what_is_no_report_is_refused_by_its_line() {
        let refused = |text: &str| Report::read(text).expect_err("it is none");
        assert_eq!(
            refused("# Notes\n"),
            "line 1: a report begins with \"# Faults\""
        );
        let mut report = Report::default();
        report.put(result(row(), None));
        let text = report.text().replace("SIGKILL | 812", "SIGFOO | 812");
        let last = text.lines().count();
        let said = refused(&text);
        assert!(
            said.starts_with(&format!("line {last}: no row or cell")),
            "{said}"
        );
    }

    #[test]
    fn what_was_not_played_and_what_broke_is_lacking() {
        let row = row();
        let mut report = Report::default();
        assert_eq!(report.lacks(&row, 0, 1), Some(1));
        report.put(result(row.at(1), None));
        report.put(result(row.at(2), Some("it broke")));
        report.put(result(row.at(4), None));
        assert_eq!(report.lacks(&row, 0, 1), Some(2));
        assert_eq!(report.lacks(&row, 2, 1), Some(3));
        assert_eq!(report.lacks(&row, 3, 1), Some(5));
        assert_eq!(report.lacks(&row, 0, 3), Some(7));
        report.end(&row.at(6));
        assert_eq!(report.lacks(&row, 4, 1), Some(5));
        assert_eq!(report.lacks(&row, 5, 1), None);
        report.put(result(row.at(2), None));
        report.put(result(row.at(3), None));
        report.put(result(row.at(5), None));
        assert_eq!(report.lacks(&row, 0, 1), None);
        // The operation had fewer steps, this time.
        report.end(&row.at(3));
        assert_eq!(report.len(), 5);
        assert_eq!(report.lacks(&row, 0, 1), None);
    }

    #[test]
    fn cells_are_summed_by_victim_and_fault() {
        let mut report = Report::default();
        for deed in [Deed::Kill, Deed::KillWorker, Deed::Stop] {
            report.put(result(
                cell(Program::Native, Operation::Takeover, "master.*", deed),
                None,
            ));
        }
        report.put(result(
            cell(Program::Python, Operation::Takeover, "worker.*", Deed::Kill),
            Some("it broke"),
        ));
        let summary = report.summary();
        let lines: Vec<&str> = summary.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "| takeover | new master | SIGKILL | 1 | 0 |",
                "| takeover | new master | SIGSTOP 3 s | 1 | 0 |",
                "| takeover | worker | SIGKILL | 2 | 1 |",
            ]
        );
    }
}

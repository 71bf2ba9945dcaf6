//! Cell after cell, and the report.

use crate::deploy::Program;
use crate::fault::cell::{Cell, Deed, Operation};
use crate::fault::judge::{Ruling, judge};
use crate::fault::stage::{Act, Stage};
use crate::scene::Scene;
use std::any::Any;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// More steps than any operation has: beyond, something never ends.
const MOST_STEPS: u64 = 200;

/// So many cells in a row without a step that is new: what comes goes on by itself, and belongs to no operation.
const MOST_STALE: usize = 12;

/// What was played.
#[derive(Debug, Default)]
pub struct Matrix {
    /// In the order of their playing.
    pub results: Vec<Result>,
}

/// What one cell came to.
#[derive(Clone, Debug)]
pub struct Result {
    /// Which.
    pub cell: Cell,
    /// The name of the step where it happened.
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

/// How many steps of an operation are played. To pass connections on has no end, and few kinds of steps.
fn most_steps(operation: Operation) -> u64 {
    match operation {
        Operation::Dispatch => 25,
        Operation::Reload
        | Operation::Rollback
        | Operation::Spawn
        | Operation::Takeover
        | Operation::Upgrade => MOST_STEPS,
    }
}

impl Matrix {
    /// Plays a deed at the steps of an operation, one after the other, until the operation has no more: at step
    /// `row.nth` first, and then at each `stride`-th. `say` gets each result.
    pub fn play_row(&mut self, row: Cell, stride: u64, say: &mut dyn FnMut(&Result)) {
        let mut next = Some(row);
        while let Some(cell) = next {
            next = self.play_herd(cell, stride, say);
        }
    }

    /// One herd lives through fault after fault, until it does not, or the deed ends it. Returns the cell with
    /// which another goes on.
    fn play_herd(
        &mut self,
        mut cell: Cell,
        stride: u64,
        say: &mut dyn FnMut(&Result),
    ) -> Option<Cell> {
        let scene = Scene::new("faults");
        let mut stage = Stage::set(&scene, cell.program);
        let mut next = None;
        while cell.nth < most_steps(cell.operation) {
            let begun = Instant::now();
            let played = catch_unwind(AssertUnwindSafe(|| stage.play(&cell)));
            let Some(mut result) = ruled(cell, played, begun.elapsed()) else {
                break; // The operation has no such step.
            };
            if let Some(broken) = &mut result.broken {
                let _infallible = write!(broken, "\n  {}", stage.last_lines());
            }
            say(&result);
            let is_over = result.broken.is_some() || cell.deed.ends_the_herd(cell.steps);
            self.results.push(result);
            cell.nth += stride;
            if self.goes_on_for_ever() {
                break;
            }
            if is_over {
                next = (cell.nth < most_steps(cell.operation)).then_some(cell);
                break;
            }
        }
        let ended = catch_unwind(AssertUnwindSafe(|| stage.strike()))
            .and_then(|()| catch_unwind(AssertUnwindSafe(|| drop(scene))));
        if let (Err(panic), Some(last)) = (ended, self.results.last_mut()) {
            let text = text(panic.as_ref());
            let mut lines = text.lines().skip(1).map(str::trim_start);
            if is_masterless(last) && lines.all(|line| line.starts_with("file ")) {
                last.remark = LEFT;
            } else {
                last.broken.get_or_insert(text);
            }
        }
        next
    }

    /// Whether the last cells of this row came only at steps that earlier ones had come at.
    fn goes_on_for_ever(&self) -> bool {
        let Some(last) = self.results.last() else {
            return false;
        };
        let row = self.results.iter().rev();
        let row: Vec<&str> = row
            .take_while(|result| is_of(&result.cell, &last.cell))
            .map(|result| result.step.as_str())
            .collect();
        let known = row.get(MOST_STALE..).unwrap_or_default();
        !known.is_empty() && row[..MOST_STALE].iter().all(|step| known.contains(step))
    }

    /// Plays one cell in a herd of its own. `false`: the operation had ended before that step.
    pub fn play_one(&mut self, cell: Cell, say: &mut dyn FnMut(&Result)) -> bool {
        let before = self.results.len();
        self.play_row(cell, MOST_STEPS, say);
        self.results.len() > before
    }

    /// Those in which something was broken.
    pub fn broken(&self) -> impl Iterator<Item = &Result> {
        self.results.iter().filter(|result| result.broken.is_some())
    }

    /// The report: how many of each row, then every cell.
    pub fn report(&self) -> String {
        let mut text = String::from("# Faults\n\n");
        let broken = self.broken().count();
        let _infallible = writeln!(text, "{} cells, {broken} broken.\n", self.results.len());
        text.push_str("| program | operation | steps of | deed | cells | broken |\n");
        text.push_str("|---|---|---|---|---|---|\n");
        for row in self.rows() {
            let cells = self
                .results
                .iter()
                .filter(|result| is_of(&result.cell, &row));
            let (count, broken) = cells.fold((0, 0), |(count, broken), result| {
                (count + 1, broken + usize::from(result.broken.is_some()))
            });
            let _infallible = writeln!(
                text,
                "| {} | {} | {} | {} | {count} | {broken} |",
                row.program.name(),
                row.operation.name(),
                row.steps,
                row.deed
            );
        }
        text.push_str(
            "\n| program | operation | step | deed | requests | failed | told | s | verdict |\n",
        );
        text.push_str("|---|---|---|---|---|---|---|---|---|\n");
        for result in &self.results {
            let _infallible = writeln!(text, "| {} |", result.fields().join(" | "));
        }
        text
    }

    fn rows(&self) -> Vec<Cell> {
        let mut rows: Vec<Cell> = Vec::new();
        for result in &self.results {
            if !rows.iter().any(|row| is_of(&result.cell, row)) {
                rows.push(result.cell);
            }
        }
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
                Some(what) => format!("BROKEN: {}", what.lines().next().unwrap_or_default()),
            },
        ]
    }
}

/// Whether the keeper has died while there may have been no master: before the next one has begun, or while it
/// becomes another build, which needs the keeper to begin.
fn is_masterless(result: &Result) -> bool {
    let Cell {
        operation,
        deed,
        steps,
        ..
    } = result.cell;
    let is_between = matches!(operation, Operation::Takeover | Operation::Upgrade);
    is_between && deed.ends_the_herd(steps)
}

fn is_of(cell: &Cell, row: &Cell) -> bool {
    (cell.program, cell.operation, cell.steps, cell.deed)
        == (row.program, row.operation, row.steps, row.deed)
}

/// `None`: the operation had ended before the step.
fn ruled(
    cell: Cell,
    played: std::result::Result<Act, Box<dyn Any + Send>>,
    took: Duration,
) -> Option<Result> {
    let result = Result {
        cell,
        step: String::new(),
        requests: [0; 2],
        told: 0,
        took,
        broken: None,
        remark: "",
    };
    let act = match played {
        Ok(act) => act,
        Err(panic) => {
            let broken = Some(text(panic.as_ref()));
            return Some(Result { broken, ..result });
        }
    };
    let broken = match judge(&cell, &act) {
        Ruling::Beyond => return None,
        Ruling::Broken(what) => Some(what),
        Ruling::Kept => None,
    };
    Some(Result {
        requests: [act.books.sent(), act.books.failures().count()],
        told: act.takeovers.iter().map(|takeover| takeover.cut).sum(),
        step: act.sprung.map_or_else(String::new, |sprung| sprung.step),
        broken,
        ..result
    })
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_else(|| "it panicked".to_owned())
}

/// Every row of the matrix of a program: each operation, whose steps, each deed.
pub fn rows_of(program: Program) -> Vec<Cell> {
    let mut rows = Vec::new();
    // Who accepts for itself is passed nothing, in any step.
    let is_passed = !matches!(program, Program::NativeShared | Program::Python);
    let is_played = |operation: &Operation| *operation != Operation::Dispatch || is_passed;
    for operation in Operation::ALL.into_iter().filter(is_played) {
        for steps in operation.steps() {
            for deed in Deed::ALL {
                rows.push(Cell {
                    program,
                    operation,
                    steps,
                    nth: 1,
                    deed,
                });
            }
        }
    }
    rows
}

//! Cell after cell, several rows at once.

use crate::deploy::Program;
use crate::fault::cell::{Cell, Deed, Operation};
use crate::fault::judge::{Ruling, judge};
use crate::fault::report::{Report, Result, remark_on};
use crate::fault::stage::{Act, Stage};
use crate::scene::Scene;
use std::any::Any;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// So many cells in a row without a step that is new: what comes goes on by itself, and belongs to no operation.
const MOST_STALE: usize = 12;

/// Who gets each result, and the report that it is in.
pub(super) type Say<'a> = dyn Fn(&Result, &Report) + Sync + 'a;

/// Plays the cells that a report lacks, and again those that are broken in it.
pub struct Matrix<'a> {
    report: Mutex<Report>,
    stride: u64,
    say: &'a Say<'a>,
    is_called_off: AtomicBool,
}

impl<'a> Matrix<'a> {
    /// Goes on with a report, with each `stride`-th step of the rows. `say` gets each result.
    pub fn new(report: Report, stride: u64, say: &'a Say<'a>) -> Matrix<'a> {
        Matrix {
            report: Mutex::new(report),
            stride,
            say,
            is_called_off: AtomicBool::new(false),
        }
    }

    /// Plays `jobs` rows at a time, each in a scene of its own: the deed at the steps of the operation, one after the
    /// other, until the operation has no more.
    pub fn play(&self, rows: &[Cell], jobs: usize) {
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                self.play_row(*row);
            }
        };
        thread::scope(|scope| {
            for _ in 0..jobs.min(rows.len()) {
                scope.spawn(work);
            }
        });
    }

    /// Those that are being played are played to their end, and no others.
    pub fn call_off(&self) {
        self.is_called_off.store(true, Ordering::Relaxed);
    }

    /// What was played so far.
    pub fn report(&self) -> MutexGuard<'_, Report> {
        // It is as right as before if somebody panicked who wanted to say something.
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn play_row(&self, row: Cell) {
        let mut next = self.next(&row, 0);
        while let Some(cell) = next {
            let last = self.play_herd(cell);
            next = self.next(&row, last);
        }
    }

    /// The cell of the row that comes after step `after`.
    fn next(&self, row: &Cell, after: u64) -> Option<Cell> {
        if self.is_called_off.load(Ordering::Relaxed) {
            return None;
        }
        let nth = self.report().lacks(row, after, self.stride)?;
        Some(row.at(nth))
    }

    /// One herd lives through fault after fault, until it does not, or the deed ends it. Returns the number of the
    /// last step that was tried.
    fn play_herd(&self, first: Cell) -> u64 {
        let scene = Scene::new("faults");
        let set = || Stage::set(&scene, first.program);
        let last = match catch_unwind(AssertUnwindSafe(set)) {
            Ok(stage) => self.play_on(stage, first),
            Err(panic) => {
                self.note(unplayed(first, text(panic.as_ref())));
                first
            }
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(scene))) {
            self.note_leavings(last, text(panic.as_ref()));
        }
        last.nth
    }

    /// Plays cell after cell with this herd, and ends it. Returns the last one that was tried.
    fn play_on(&self, mut stage: Stage<'_>, first: Cell) -> Cell {
        let mut cell = first;
        loop {
            match self.play_cell(cell, &mut stage) {
                Course::Beyond => self.report().end(&cell),
                Course::Ends => {}
                Course::GoesOn => {
                    if goes_on_for_ever(&self.report(), &cell) {
                        self.report().end(&cell.at(cell.nth + 1));
                    } else if let Some(next) = self.next(&cell, cell.nth) {
                        cell = next;
                        continue;
                    }
                }
            }
            break;
        }
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| stage.strike())) {
            self.note_leavings(cell, text(panic.as_ref()));
        }
        cell
    }

    fn play_cell(&self, cell: Cell, stage: &mut Stage<'_>) -> Course {
        let begun = Instant::now();
        let played = catch_unwind(AssertUnwindSafe(|| stage.play(&cell)));
        let result = match played {
            Ok(act) => ruled(cell, act),
            Err(panic) => Some(unplayed(cell, text(panic.as_ref()))),
        };
        let Some(mut result) = result else {
            return Course::Beyond;
        };
        result.took = begun.elapsed();
        if let Some(broken) = &mut result.broken {
            let _infallible = write!(broken, "\n  {}", stage.last_lines());
        }
        let is_over = result.broken.is_some() || cell.deed.ends_the_herd(cell.steps);
        self.note(result);
        if is_over {
            Course::Ends
        } else {
            Course::GoesOn
        }
    }

    /// What a herd leaves behind is the fault of its last cell.
    fn note_leavings(&self, last: Cell, text: String) {
        let mut lines = text.lines().skip(1).map(str::trim_start).peekable();
        let is_files = lines.peek().is_some() && lines.all(|line| line.starts_with("file "));
        let played = self.report().result_of(&last).cloned();
        let result = match played {
            Some(result) if is_files && last.may_leave() => Result {
                remark: remark_on(last.program),
                ..result
            },
            Some(result) => Result {
                broken: result.broken.or(Some(text)),
                ..result
            },
            None => unplayed(last, text),
        };
        self.note(result);
    }

    fn note(&self, result: Result) {
        let mut report = self.report();
        report.put(result.clone());
        (self.say)(&result, &report);
    }
}

/// Plays one cell in a herd of its own. `None`: the operation had ended before that step.
pub fn play_one(cell: Cell) -> Option<Result> {
    let matrix = Matrix::new(Report::default(), 1, &|_, _| ());
    matrix.call_off(); // No other is played after it.
    matrix.play_herd(cell);
    let report = matrix.report();
    report.results_of(&cell).next().cloned()
}

/// How a herd fares after a cell.
enum Course {
    /// The operation had no such step.
    Beyond,
    /// Nothing more is played with it.
    Ends,
    GoesOn,
}

/// Whether the last cells up to this one came only at steps that earlier ones of its row had come at.
fn goes_on_for_ever(report: &Report, last: &Cell) -> bool {
    let row = report.results_of(last).rev();
    let row = row.skip_while(|result| result.cell.nth > last.nth);
    let row: Vec<&str> = row.map(|result| result.step.as_str()).collect();
    let known = row.get(MOST_STALE..).unwrap_or_default();
    !known.is_empty() && row[..MOST_STALE].iter().all(|step| known.contains(step))
}

/// A cell of which nothing is known but what was broken.
fn unplayed(cell: Cell, broken: String) -> Result {
    Result {
        cell,
        step: cell.steps.to_owned(),
        requests: [0; 2],
        told: 0,
        took: Duration::ZERO,
        broken: Some(broken),
        remark: "",
    }
}

/// `None`: the operation had ended before the step.
fn ruled(cell: Cell, act: Act) -> Option<Result> {
    let broken = match judge(&cell, &act) {
        Ruling::Beyond => return None,
        Ruling::Broken(what) => Some(what),
        Ruling::Kept => None,
    };
    let step = act.sprung.map(|sprung| sprung.step);
    Some(Result {
        requests: [act.books.sent(), act.books.failures().count()],
        told: act.takeovers.iter().map(|takeover| takeover.cut).sum(),
        step: step.unwrap_or_else(|| cell.steps.to_owned()),
        broken,
        ..unplayed(cell, String::new())
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
    let is_passed = !program.accepts();
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

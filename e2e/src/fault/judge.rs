//! What a fault may cost.

use crate::client::Outcome;
use crate::fault::cell::{Cell, Deed, Operation};
use crate::fault::stage::Act;
use crate::native::is_cut;

/// What a cell came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ruling {
    /// The herd did as it promises.
    Kept,
    /// The operation had ended before the step.
    Beyond,
    /// It did not.
    Broken(String),
}

/// Compares what was lost with what may be.
pub(super) fn judge(cell: &Cell, act: &Act) -> Ruling {
    if act.sprung.is_none() {
        return match act.books.failures().count() {
            _ if cell.operation == Operation::Takeover => within_told(act),
            // A worker dies in any case.
            _ if kills_a_worker(cell.operation) => only_cut(act),
            0 => Ruling::Beyond,
            _ => broken(act, "without any fault"),
        };
    }
    let ends_worker = cell.deed == Deed::KillWorker
        || kills_a_worker(cell.operation)
        || (cell.deed == Deed::Kill && cell.steps.starts_with("worker"));
    if cell.deed.ends_the_herd(cell.steps) {
        // Nobody serves any more; the books have balanced, and nobody was left.
        Ruling::Kept
    } else if ends_worker {
        only_cut(act)
    } else if cell.ends_master() {
        within_told(act)
    } else if act.books.failures().next().is_some() {
        broken(act, "nobody died")
    } else {
        Ruling::Kept
    }
}

fn kills_a_worker(operation: Operation) -> bool {
    matches!(operation, Operation::Rollback | Operation::Spawn)
}

/// A worker died: what it had received is cut, and nothing else happens.
fn only_cut(act: &Act) -> Ruling {
    if act.books.failures().all(|entry| is_cut(entry.outcome)) {
        after(act)
    } else {
        broken(act, "more than a dead worker's connections")
    }
}

/// A master died: what it had in its hands is cut, and told.
fn within_told(act: &Act) -> Ruling {
    let told: u64 = act.takeovers.iter().map(|takeover| takeover.cut).sum();
    let failed = act.books.failures().count() as u64;
    let is_untouched = |outcome| is_cut(outcome) && outcome != Outcome::ShortBody;
    if failed <= told
        && act
            .books
            .failures()
            .all(|entry| is_untouched(entry.outcome))
    {
        after(act)
    } else {
        broken(act, &format!("{told} were told"))
    }
}

fn after(act: &Act) -> Ruling {
    match act.sprung {
        None => Ruling::Beyond,
        Some(_) => Ruling::Kept,
    }
}

fn broken(act: &Act, why: &str) -> Ruling {
    let outcomes: Vec<String> = act
        .books
        .outcomes()
        .into_iter()
        .filter(|(outcome, _)| !outcome.is_complete())
        .map(|(outcome, count)| format!("{count} {outcome}"))
        .collect();
    Ruling::Broken(format!("{}: {why}", outcomes.join(", ")))
}

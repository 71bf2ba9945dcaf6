//! Sentences about slots and herds that are done.

use herder_core::Exit;
use herder_core::supervisor::Completion;
#[cfg(test)]
use herder_core::supervisor::{Cause, Outcome};

use super::sentence::{Place, how};
#[cfg(test)]
use crate::event::HerdEvent;

/// Nobody follows in this slot.
pub(super) fn done(place: Place, exit: Option<Exit>, completion: Completion) -> String {
    let end = exit.map_or_else(|| "it could not be started".to_owned(), how);
    match completion {
        Completion::AsMeant => format!("{place} is done: {end}"),
        Completion::Failed => format!("{place} has failed and is not started again: {end}"),
    }
}

/// Nobody follows anywhere.
pub(super) fn completed(failed: u16) -> String {
    match failed {
        0 => "every worker is done".to_owned(),
        1 => "every worker is done; 1 of them failed".to_owned(),
        _ => format!("every worker is done; {failed} of them failed"),
    }
}

/// Events of all the kinds that are told here, for the snapshots.
#[cfg(test)]
pub(super) fn samples() -> Vec<HerdEvent> {
    use super::bench::WEB;

    let finished = |failed| HerdEvent::Finished {
        outcome: Outcome::Completed { failed },
        last_lines: Vec::new(),
    };
    let done = |exit, completion| HerdEvent::Done {
        slot: 0,
        exit,
        completion,
    };
    vec![
        done(Some(Exit::Code(0)), Completion::AsMeant),
        done(Some(Exit::Code(78)), Completion::Failed),
        done(None, Completion::Failed),
        HerdEvent::Failed {
            worker: WEB,
            reason: "it has printed nothing for 30s".to_owned(),
        },
        HerdEvent::Exited {
            worker: WEB,
            exit: Exit::Signal(6),
            cause: Cause::Watchdog,
        },
        finished(0),
        finished(1),
        finished(2),
    ]
}

//! Sentences about slots and herds that are done.

use herder_core::Exit;
use herder_core::supervisor::Completion;

use super::sentence::{Place, how};

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

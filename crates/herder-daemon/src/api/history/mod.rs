//! What ended or changed the workers of an app, and why: read from the herd's log of events and from
//! the daemon's, those that were put away included.

mod classify;
mod context;
mod files;
mod since;

use std::io;

use herder_api::Problem;
use herder_api::control::{DaemonEvent, Incident};
use herder_api::problem::ProblemKind;

use crate::AppFiles;

pub(super) use classify::reason;
pub(super) use since::since;

/// How many incidents are told to who does not say.
pub(super) const DEFAULT: u32 = 20;

/// How many at most.
pub(super) const MOST: u32 = 10_000;

/// The last `most` incidents of an app, the newest last.
pub(super) async fn read(files: AppFiles, most: u32) -> Result<Vec<Incident>, Problem> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let path = files.events.display().to_string();
    let reading = tokio::task::spawn_blocking(move || gather(&files, most));
    let read = reading.await.map_err(io::Error::other).flatten();
    read.map_err(|error| {
        let message = format!("The history cannot be read from {path}: {error}.");
        Problem::new(ProblemKind::Internal, message)
    })
}

fn gather(files: &AppFiles, most: usize) -> io::Result<Vec<Incident>> {
    // What is told in two lines is one incident.
    let lines = most.saturating_mul(2);
    let mut told = files::last(&files.events, lines, |line| {
        incident(line, classify::Teller::Herd, &files.name)
    })?;
    let own = files::last(&files.daemon, lines, |line| {
        incident(line, classify::Teller::Daemon, &files.name)
    })?;
    told.extend(own);
    // Times have one form and one zone, so they sort as texts; what is equal stays in its order.
    told.sort_by(|one, other| one.incident.time.cmp(&other.incident.time));
    let mut incidents = context::related(told);
    incidents.drain(..incidents.len().saturating_sub(most));
    Ok(incidents)
}

/// An incident, as one line tells it.
struct Told {
    incident: Incident,
    /// The kind of event.
    event: String,
}

/// What a line of a log of events says, if it explains anything about this app.
fn incident(line: &[u8], teller: classify::Teller, app: &str) -> Option<Told> {
    if !classify::may_explain(line, teller) {
        return None;
    }
    let event: DaemonEvent = serde_json::from_slice(line).ok()?;
    if event.app != app {
        return None;
    }
    let reason = reason(&event)?;
    let number = |name: &str| event.fields.get(name).and_then(serde_json::Value::as_u64);
    // The gateway and the libraries count their lives by themselves, and have no slots.
    let workers = !event.fields.contains_key("part");
    let slot = number("slot").filter(|_| workers);
    let id = number("worker").filter(|_| workers);
    Some(Told {
        incident: Incident {
            reason,
            slot: slot.and_then(|slot| u16::try_from(slot).ok()),
            id,
            time: event.time,
            message: event.message,
        },
        event: event.event,
    })
}

#[cfg(test)]
mod tests;

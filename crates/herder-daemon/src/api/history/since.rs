//! What was told since a moment: read from the logs of events, for who missed it.

use std::collections::BTreeSet;
use std::io;

use herder_api::Problem;
use herder_api::control::DaemonEvent;
use herder_api::problem::ProblemKind;

use super::files;
use crate::AppFiles;

/// How many events are told of one file: who missed more reads the file.
const MOST: usize = 10_000;

/// What these apps and the daemon have written down since, the oldest first. `time` is as theirs are: RFC
/// 3339 in UTC, to milliseconds.
pub(in crate::api) async fn since(
    files: Vec<AppFiles>,
    time: String,
) -> Result<Vec<DaemonEvent>, Problem> {
    let reading = tokio::task::spawn_blocking(move || gather(&files, &time));
    let read = reading.await.map_err(io::Error::other).flatten();
    read.map_err(|error| {
        let message = format!("What happened meanwhile cannot be read: {error}.");
        Problem::new(ProblemKind::Internal, message)
    })
}

fn gather(all: &[AppFiles], time: &str) -> io::Result<Vec<DaemonEvent>> {
    let later = |line: &[u8]| {
        let event: DaemonEvent = serde_json::from_slice(line).ok()?;
        (event.time.as_str() >= time).then_some(event)
    };
    let mut told = Vec::new();
    for app in all {
        let of_app = |line: &[u8]| later(line).filter(|event| event.app == app.name);
        told.extend(files::last(&app.events, MOST, of_app)?);
    }
    let daemon: BTreeSet<_> = all.iter().map(|app| &app.daemon).collect();
    for path in daemon {
        told.extend(files::last(path, MOST, later)?);
    }
    // Times have one form and one zone, so they sort as texts; what is equal stays in its order.
    told.sort_by(|one, other| one.time.cmp(&other.time));
    Ok(told)
}

//! Streams: lines of JSON that come as things happen.
//!
//! Each is fed by a task of its own through a queue of bounded length, and ends when nobody takes from
//! the queue any more. What an operation says is taken from it at once, whether the client keeps pace or
//! not: one that is [`COURSE`] lines behind is let go, and the operation goes on.

use std::collections::BTreeMap;

use bytes::Bytes;
use herder_api::control::{DaemonEvent, Progress};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc, watch};

use super::answer::line;

/// A place among those who follow; free again when it is dropped.
pub(super) type Place = OwnedSemaphorePermit;

/// How many lines of an operation may wait for a client.
const COURSE: usize = 4096;

/// How many events may wait for a client. (Behind it is the ring of events, from which the oldest are
/// lost: that is said.)
const EVENTS: usize = 16;

/// How an operation goes on.
pub(super) fn course(mut from: mpsc::Receiver<Progress>) -> mpsc::Receiver<Bytes> {
    let (to, lines) = mpsc::channel(COURSE);
    tokio::spawn(async move {
        while let Some(progress) = from.recv().await {
            if to.try_send(line(&progress)).is_err() {
                break;
            }
        }
    });
    lines
}

/// What happens from now on, behind what has happened `before`. Whatever stands there and is heard, too, is
/// told once.
pub(super) fn events(
    mut from: broadcast::Receiver<DaemonEvent>,
    mut before: Vec<DaemonEvent>,
    mut open: watch::Receiver<bool>,
    place: Place,
) -> mpsc::Receiver<Bytes> {
    let (to, lines) = mpsc::channel(EVENTS);
    tokio::spawn(async move {
        let mut missed = 0_u64;
        for event in &before {
            if to.send(line(event)).await.is_err() {
                return;
            }
        }
        loop {
            let event = tokio::select! {
                event = from.recv() => event,
                () = to.closed() => break,
                _ = open.wait_for(|open| !open) => break,
            };
            let event = match event {
                Ok(event) if told(&event, &mut before) => continue,
                Ok(event) => event,
                Err(RecvError::Lagged(more)) => {
                    missed += more;
                    continue;
                }
                Err(RecvError::Closed) => break,
            };
            let gap = (missed > 0).then(|| gap(&event, missed));
            missed = 0;
            let mut said = gap.map(|gap| line(&gap).to_vec()).unwrap_or_default();
            said.extend_from_slice(&line(&event));
            if to.send(said.into()).await.is_err() {
                break;
            }
        }
        drop(place);
    });
    lines
}

/// Whether it was among those; it is not any more.
fn told(event: &DaemonEvent, before: &mut Vec<DaemonEvent>) -> bool {
    let place = before.iter().position(|other| other == event);
    if let Some(place) = place {
        before.remove(place);
    }
    place.is_some()
}

/// Says that some events before this one are missing.
fn gap(before: &DaemonEvent, missed: u64) -> DaemonEvent {
    DaemonEvent {
        time: before.time.clone(),
        app: String::new(),
        event: "events_missed".to_owned(),
        message: format!("{missed} events came faster than they were read, and were lost"),
        level: "warning".to_owned(),
        fields: BTreeMap::from([("missed".to_owned(), missed.into())]),
    }
}

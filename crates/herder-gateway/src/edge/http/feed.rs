//! The live feed: the workers' states as server-sent events.
//!
//! A watcher is sent what has changed since what it was sent last. One that reads slowly gets
//! fewer, later pictures, and holds no memory for those between.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use hyper::Response;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::edge::closing::House;
use crate::edge::http::body::{Body, Chunk, Chunks};
use crate::hub::{WorkerState, WorkerView, Workers};

/// A feed that goes on until its client or the herd ends.
pub(super) fn feed(workers: watch::Receiver<Workers>, house: House) -> Response<Body> {
    let feed = Feed {
        workers,
        house,
        sent: None,
        not_before: Instant::now(),
    };
    let mut response = Response::new(Body::chunks(Box::new(feed), None));
    let headers = response.headers_mut();
    let events = HeaderValue::from_static("text/event-stream");
    headers.insert(CONTENT_TYPE, events);
    // Neither kept nor compressed by those on the way.
    let direct = HeaderValue::from_static("no-cache, no-transform");
    headers.insert(CACHE_CONTROL, direct);
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

struct Feed {
    workers: watch::Receiver<Workers>,
    house: House,
    /// What the client knows.
    sent: Option<Workers>,
    not_before: Instant,
}

impl Chunks for Feed {
    fn next(mut self: Box<Self>) -> Pin<Box<dyn Future<Output = Chunk>>> {
        Box::pin(async {
            let house = self.house.clone();
            let chunk: io::Result<Bytes> = tokio::select! {
                biased;
                () = house.closing() => return None,
                chunk = self.chunk() => Ok(chunk?),
            };
            Some((chunk, self as Box<dyn Chunks>))
        })
    }
}

impl Feed {
    /// What there is to say next; `None` at the end of the hub.
    async fn chunk(&mut self) -> Option<Bytes> {
        let Some(sent) = &self.sent else {
            let now = self.workers.borrow_and_update().clone();
            let all: Vec<_> = now.0.values().collect();
            let picture = event(&all);
            self.sent = Some(now);
            self.not_before = Instant::now() + PERIOD;
            return Some(picture);
        };
        loop {
            match timeout(SILENCE, self.workers.changed()).await {
                Ok(changed) => changed.ok()?,
                // Else a client that is gone without a word would never be noticed.
                Err(_) => return Some(Bytes::from_static(b":\n\n")),
            }
            sleep_until(self.not_before).await;
            let now = self.workers.borrow_and_update().clone();
            let changes = changes(sent, &now);
            if !changes.is_empty() {
                self.sent = Some(now);
                self.not_before = Instant::now() + PERIOD;
                return Some(
                    changes
                        .iter()
                        .map(event)
                        .collect::<Vec<_>>()
                        .concat()
                        .into(),
                );
            }
        }
    }
}

/// What has to be said to one who knows `before`.
fn changes(before: &Workers, now: &Workers) -> Vec<WorkerView> {
    let gone = before
        .0
        .values()
        .filter(|view| !now.0.contains_key(&view.worker));
    let gone = gone.map(|view| WorkerView {
        state: WorkerState::Gone,
        running: 0,
        ..view.clone()
    });
    let new = now
        .0
        .values()
        .filter(|view| before.0.get(&view.worker) != Some(view));
    gone.chain(new.cloned()).collect()
}

/// The first event is an array of all workers, the others are one worker each.
fn event(data: &impl Serialize) -> Bytes {
    let data = serde_json::to_string(data).expect("numbers and words");
    format!("event: workers\ndata: {data}\n\n").into()
}

/// Changes are gathered for so long.
const PERIOD: Duration = Duration::from_millis(50);

/// After so much silence, a comment is sent.
const SILENCE: Duration = Duration::from_secs(15);

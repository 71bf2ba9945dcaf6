//! The task that keeps the tie to the master.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use herder_sys::fd::duplicate;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;

use crate::worker::link::Link;

/// What [`keep`] waits for.
pub(crate) fn watch(link: &Link) -> io::Result<AsyncFd<OwnedFd>> {
    super::watch(duplicate(link.house())?)
}

/// Sends the heartbeat and the counters, and reads the master's word, as long as the runtime lives.
pub(crate) async fn keep(link: Arc<Link>, house: AsyncFd<OwnedFd>) {
    let mut load = Load::new();
    loop {
        load.note(&link);
        let due = link.tick(Instant::now());
        let readable = match due {
            None => house.readable().await,
            Some(due) => tokio::select! {
                readable = house.readable() => readable,
                () = tokio::time::sleep(due) => continue,
            },
        };
        // The runtime shuts down when it is no longer able to watch.
        let Ok(mut readable) = readable else { return };
        // All of it is read, and what comes meanwhile is a new edge.
        readable.clear_ready();
        link.read();
    }
}

/// How long the runtime waited, from how long it was busy.
struct Load {
    since: Instant,
    busy: Duration,
}

impl Load {
    fn new() -> Load {
        Load {
            since: Instant::now(),
            busy: busy_in_all(),
        }
    }

    fn note(&mut self, link: &Link) {
        let (now, busy) = (Instant::now(), busy_in_all());
        let passed = now.duration_since(self.since);
        link.waited(passed.saturating_sub(busy.saturating_sub(self.busy)));
        *self = Load { since: now, busy };
    }
}

/// The mean over the threads of the runtime.
fn busy_in_all() -> Duration {
    let metrics = Handle::current().metrics();
    let threads = metrics.num_workers();
    let sum: Duration = (0..threads)
        .map(|thread| metrics.worker_total_busy_duration(thread))
        .sum();
    sum / u32::try_from(threads).unwrap_or(u32::MAX).max(1)
}

//! A program's asynchronous function on a runtime of its own.

use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::{Builder, Runtime};

use crate::asynchronous::worker::AsyncWorker;
use crate::worker::blocking::Worker;
use crate::worker::finish;
use crate::worker::link::Link;

/// How many threads a worker's runtime has: `None` = one, and tasks need not be `Send`.
pub(crate) type Threads = Option<std::num::NonZeroUsize>;

/// Runs a function on a runtime, waits for the connections that it left open, and returns the exit
/// status.
pub(crate) fn run<E: Display, F: Future<Output = Result<(), E>>>(
    worker: Worker,
    threads: Threads,
    body: impl FnOnce(AsyncWorker) -> F,
) -> i32 {
    let link = Arc::clone(worker.handle().link());
    let runtime = build(threads, &link);
    let outcome = finish::guarded(|| {
        let runtime = runtime
            .as_ref()
            .map_err(|error| format!("no runtime: {error}"))?;
        runtime.block_on(async {
            let worker = worker.into_async().map_err(|error| error.to_string())?;
            body(worker).await.map_err(|error| format!("{error:#}"))
        })
    });
    let held = link.tally().open() as usize;
    let deadline = finish::conclude(&link, &outcome, held);
    if let Ok(runtime) = runtime {
        // The connections' tasks live in the runtime: it must go on until they are done.
        let ending = link.ending();
        runtime.block_on(async {
            let closed = ending.until(|| link.tally().open() == 0);
            let left = deadline.saturating_duration_since(Instant::now());
            // Whoever is late is cut off: that is what the deadline says.
            let _late = tokio::time::timeout(left, closed).await;
        });
        runtime.shutdown_background();
    }
    finish::exit_status(&link, &outcome)
}

fn build(threads: Threads, link: &Arc<Link>) -> io::Result<Runtime> {
    let mut builder = match threads {
        None => {
            link.is_single_threaded();
            Builder::new_current_thread()
        }
        Some(threads) => {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(threads.get());
            builder
        }
    };
    if !link.owns_process() {
        let link = Arc::downgrade(link);
        builder.on_thread_start(move || {
            if let Some(link) = link.upgrade() {
                crate::panic::watch_thread(&link);
            }
        });
    }
    builder.enable_all().thread_name("herder-worker").build()
}

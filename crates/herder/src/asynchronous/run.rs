//! A program's asynchronous function on a runtime of its own.

use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::{Builder, Runtime};
use tokio::time::error::Elapsed;

use crate::worker::blocking::Worker;
use crate::worker::finish::{self, Outcome};
use crate::worker::link::Link;

/// How many threads a worker's runtime has: `None` = one, and tasks need not be `Send`.
pub(crate) type Threads = Option<std::num::NonZeroUsize>;

/// Runs a function on a runtime, waits for the connections or jobs that it left open, and returns
/// the exit status. What the function gets is made of the worker in the runtime.
pub(crate) fn run<A: Clone, E: Display, F: Future<Output = Result<(), E>>>(
    worker: Worker,
    threads: Threads,
    make: impl FnOnce(Worker) -> io::Result<A>,
    body: impl Fn(A) -> F,
) -> i32 {
    let link = Arc::clone(worker.handle().link());
    let prepared = build(threads, &link).and_then(|runtime| {
        let entered = runtime.enter();
        let asynchronous = make(worker.clone())?;
        drop(entered);
        Ok((runtime, asynchronous))
    });
    let (runtime, asynchronous) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            let outcome = Outcome::Failed(format!("no runtime: {error}"));
            finish::conclude(&worker, &outcome);
            return finish::exit_status(&link, &outcome);
        }
    };
    let call = async || {
        let done = body(asynchronous.clone()).await;
        done.map_err(|error| format!("{error:#}"))
    };
    let outcome = finish::guarded(|| runtime.block_on(call()));
    let deadline = finish::conclude(&worker, &outcome);
    // Whoever is late is cut off: that is what the deadline says.
    let late = |_| "it was late".to_owned();
    finish::serve_what_waits(&worker, deadline, || {
        finish::guarded(|| runtime.block_on(in_time(deadline, call())).map_err(late)?)
    });
    // The connections' tasks live in the runtime: it must go on until they are done.
    let ending = link.ending();
    let closed = ending.until(|| link.tally().open() == 0);
    let _late = runtime.block_on(in_time(deadline, closed));
    // Before the runtime drops the tasks that are left, and their connections with them.
    let status = finish::exit_status(&link, &outcome);
    // Before that, too: a task that is cut off has not finished its job.
    #[cfg(feature = "message")]
    link.settle(deadline);
    runtime.shutdown_background();
    status
}

async fn in_time<F: Future>(deadline: Instant, future: F) -> Result<F::Output, Elapsed> {
    let left = deadline.saturating_duration_since(Instant::now());
    tokio::time::timeout(left, future).await
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

//! A worker with one job at a time.

use std::io;
use std::thread;
use std::time::Duration;

use herder::{Job, JobWorker, ReplyError};

use crate::args::Args;
use crate::order::{Deed, Order};

/// How often `watch` looks whether the client has gone.
const GLANCE: Duration = Duration::from_millis(1);

/// Serves until there are no more jobs.
pub(crate) fn serve(worker: &JobWorker, args: &Args) -> io::Result<()> {
    while let Some(job) = worker.next_job()? {
        // That a client has gone is no failure of the worker.
        let _gone = answer(job, worker, args);
    }
    Ok(())
}

fn answer(job: Job, worker: &JobWorker, args: &Args) -> Result<(), ReplyError> {
    let order = match job.text() {
        Some(text) if args.echo => return job.reply(text),
        None => return job.reply(job.bytes()),
        Some(text) => Order::parse(text, worker.id()),
    };
    order.deed.do_harm();
    match order.deed {
        Deed::Big(bytes) => job.reply(vec![b'x'; bytes])?,
        Deed::Fail => {
            job.fail("asked to fail");
            return Ok(());
        }
        Deed::Retire => worker.retire("asked to"),
        Deed::Slow(time) => thread::sleep(time),
        Deed::Twice => {
            job.reply(order.reply(1))?;
            thread::sleep(args.think());
            return job.reply(order.reply(2));
        }
        Deed::Watch => {
            job.reply(order.reply(1))?;
            while !job.is_cancelled() {
                thread::sleep(GLANCE);
            }
            order.say_cancelled();
            return Ok(());
        }
        Deed::Block(_)
        | Deed::Echo
        | Deed::Exit(_)
        | Deed::Hang
        | Deed::Length
        | Deed::Many(_)
        | Deed::None
        | Deed::Panic => {}
    }
    for part in 1..=order.replies() {
        job.reply(order.reply(part))?;
    }
    Ok(())
}

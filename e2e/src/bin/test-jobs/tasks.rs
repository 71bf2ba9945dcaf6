//! A worker with many jobs at a time.

use std::io;

use herder::{AsyncJob, AsyncJobWorker, ReplyError};

use crate::args::Args;
use crate::order::{Deed, Order};

/// Serves until there are no more jobs; the runtime waits for those that have begun.
pub(crate) async fn serve(worker: AsyncJobWorker, args: Args) -> io::Result<()> {
    while let Some(job) = worker.next_job().await? {
        let (worker, args) = (worker.clone(), args.clone());
        // That a client has gone is no failure of the worker.
        tokio::spawn(async move { answer(job, &worker, &args).await });
    }
    Ok(())
}

async fn answer(job: AsyncJob, worker: &AsyncJobWorker, args: &Args) -> Result<(), ReplyError> {
    let order = match job.text() {
        Some(text) if args.echo => return job.reply(text.to_owned()).await,
        None => return job.reply(job.bytes().to_vec()).await,
        Some(text) => Order::parse(text, worker.id()),
    };
    order.deed.do_harm();
    match order.deed {
        Deed::Big(bytes) => job.reply(vec![b'x'; bytes]).await?,
        Deed::Fail => {
            job.fail("asked to fail");
            return Ok(());
        }
        Deed::Retire => worker.retire("asked to"),
        Deed::Slow(time) => tokio::time::sleep(time).await,
        Deed::Twice => {
            job.reply(order.reply(1)).await?;
            tokio::time::sleep(args.think()).await;
            return job.reply(order.reply(2)).await;
        }
        Deed::Watch => {
            job.reply(order.reply(1)).await?;
            job.cancelled().await;
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
        job.reply(order.reply(part)).await?;
    }
    Ok(())
}

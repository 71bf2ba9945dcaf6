//! What a worker does: calculate, and give two replies to each message.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use herder::{AsyncJob, AsyncJobWorker, WorkerHandle};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::engine::Failure;
use crate::evaluation::evaluate;

/// How many evaluations a worker has going at a time; others wait.
const EVALUATIONS: usize = 4;

/// How a worker calculates.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    /// The time between the two replies.
    pub(crate) think: Duration,
    /// How long an evaluation may take.
    pub(crate) limit: Duration,
}

/// Serves jobs until the worker is to leave. All of its jobs run at the same time.
///
/// # Errors
/// When an evaluation took too long: then the process must end, because the evaluation may still
/// be at it.
pub(crate) async fn work(worker: AsyncJobWorker, manner: Manner) -> io::Result<()> {
    let robot = Arc::new(Robot {
        manner,
        worker: worker.handle(),
        turns: Semaphore::new(EVALUATIONS),
        overrun: AtomicBool::new(false),
    });
    let mut jobs = JoinSet::new();
    while let Some(job) = worker.next_job().await? {
        jobs.spawn(Arc::clone(&robot).serve(job));
        while jobs.try_join_next().is_some() {}
    }
    while jobs.join_next().await.is_some() {}
    if robot.overrun.load(Ordering::Relaxed) {
        return Err(io::Error::other("an expression took too long"));
    }
    Ok(())
}

struct Robot {
    manner: Manner,
    worker: WorkerHandle,
    turns: Semaphore,
    overrun: AtomicBool,
}

impl Robot {
    async fn serve(self: Arc<Self>, job: AsyncJob) {
        let text = match job.text() {
            Some(text) => text.to_owned(),
            None => format!("（{} 字节的二进制消息）", job.bytes().len()),
        };
        let head = format!(
            "{} 号机器人 {} 处理 {text} ",
            self.worker.id(),
            self.worker.pid()
        );
        // A client that has gone gets no reply; whether the text ends is to be seen all the same.
        let _gone = job.reply(format!("{head}中...")).await;
        let thought = Instant::now() + self.manner.think;
        let reply = match self.calculate(&job).await {
            Ok(result) => format!("{head}完毕，结果为 {result}"),
            Err(problem) => format!("{head}出错：{problem}"),
        };
        tokio::select! {
            () = sleep_until(thought) => {
                let _gone = job.reply(reply).await;
            }
            () = job.cancelled() => {}
        }
    }

    async fn calculate(&self, job: &AsyncJob) -> Result<String, String> {
        let Some(text) = job.text() else {
            return Err("只接受文本消息".to_owned());
        };
        let _turn = self.turns.acquire().await;
        let result = evaluate(text.to_owned(), self.manner.limit)
            .await
            .map_err(|error| error.to_string())?;
        if let Err(Failure::TooLong(_)) = result {
            self.overrun.store(true, Ordering::Relaxed);
            self.worker.retire("an expression took too long");
        }
        result.map_err(|failure| failure.to_string())
    }
}

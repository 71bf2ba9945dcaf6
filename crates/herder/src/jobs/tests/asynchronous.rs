//! The same, for tasks.

use std::num::NonZeroUsize;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use herder_wire::control::{DrainReason, ToMaster, ToWorker};

use crate::asynchronous::run::{self, Threads};
use crate::jobs::testing::Gateway;
use crate::jobs::testing::{failed, finished, hello, replied, replied_bytes, started};
use crate::worker::blocking::Worker;
use crate::worker::finish;
use crate::worker::link::Timing;
use crate::worker::testing::{self, CALM, Master, PATIENCE};
use crate::{AsyncJobWorker, ReplyError};

const BOTH: [Threads; 2] = [None, NonZeroUsize::new(2)];

const DRAIN: ToWorker = ToWorker::Drain {
    reason: DrainReason::Exhausted,
    grace_millis: 1000,
};

fn start<F: Future<Output = Result<(), String>>>(
    worker: Worker,
    threads: Threads,
    body: impl Fn(AsyncJobWorker) -> F + Send + 'static,
) -> JoinHandle<i32> {
    thread::spawn(move || {
        let make = |worker: Worker| worker.into_job_worker()?.into_async();
        run::run(worker, threads, make, body)
    })
}

fn linked(timing: Timing) -> (Master, Gateway, Worker) {
    let (master, worker) = testing::pass(timing);
    worker.handle().link().take_jobs().unwrap();
    let gateway = Gateway::join(&master);
    (master, gateway, worker)
}

/// Answers each job in a task of its own.
async fn echo(worker: AsyncJobWorker) -> Result<(), String> {
    while let Some(job) = worker.next_job().await.map_err(|e| e.to_string())? {
        tokio::spawn(async move {
            job.reply("one moment").await.unwrap();
            assert_ne!(job.text(), Some("panic"), "as asked");
            if job.text() == Some("fail") {
                return job.fail("as asked");
            }
            let text = job.text().unwrap_or("bytes").to_owned();
            job.finish_with(text).await.unwrap();
        });
    }
    Ok(())
}

#[test]
fn jobs_are_answered_by_tasks_and_the_last_is_reported() {
    for threads in BOTH {
        let (mut master, mut gateway, worker) = linked(CALM);
        let running = start(worker, threads, echo);
        gateway.wait_for(&hello(0));
        for job in 1..=200 {
            gateway.give(job, "x");
            if job % 20 == 0 {
                gateway.wait_for(&finished(job));
            }
        }
        gateway.give(201, "last");
        let said = gateway.wait_for(&finished(201));
        let last = [
            started(201),
            replied(201, "one moment"),
            replied(201, "last"),
        ];
        for word in last {
            assert!(said.contains(&word), "{threads:?} {word:?}");
        }
        master.tell(&DRAIN);
        master.wait_for(|message| *message == ToMaster::Spent);
        assert_eq!(running.join().unwrap(), 0, "{threads:?}");
    }
}

#[test]
fn a_panic_in_a_task_fails_its_job_and_replaces_the_worker() {
    for threads in BOTH {
        let (mut master, mut gateway, worker) = linked(CALM);
        let link = worker.handle().link().clone();
        let running = start(worker, threads, move |worker| {
            // The process is that of the test: the thread stands for it.
            crate::panic::watch_thread(&link);
            echo(worker)
        });
        gateway.give(1, "fail");
        gateway.wait_for(&failed(1, "as asked"));
        gateway.give(2, "panic");
        gateway.wait_for(&failed(2, "panicked"));
        master.wait_for(|message| matches!(message, ToMaster::Retire { .. }));
        assert_eq!(running.join().unwrap(), finish::FAILED, "{threads:?}");
    }
}

#[test]
fn cancellations_are_awaited_even_behind_jobs() {
    for threads in BOTH {
        let (master, mut gateway, worker) = linked(CALM);
        let (said, heard) = mpsc::channel();
        let running = start(worker, threads, move |worker| {
            let said = said.clone();
            async move {
                while let Some(job) = worker.next_job().await.map_err(|e| e.to_string())? {
                    let said = said.clone();
                    tokio::spawn(async move {
                        job.cancelled().await;
                        let error = job.reply("late").await.unwrap_err();
                        assert!(matches!(error, ReplyError::Gone));
                        said.send(job.id()).unwrap();
                    });
                }
                Ok(())
            }
        });
        gateway.give(1, "x");
        gateway.wait_for(&started(1));
        gateway.give(2, "x");
        gateway.cancel(1);
        assert_eq!(heard.recv_timeout(PATIENCE), Ok(1), "{threads:?}");
        gateway.wait_for(&started(2));
        drop(gateway);
        assert_eq!(heard.recv_timeout(PATIENCE), Ok(2), "{threads:?}");
        let mut gateway = Gateway::join(&master);
        gateway.give(3, "x");
        gateway.wait_for(&started(3));
        gateway.cancel(3);
        assert_eq!(heard.recv_timeout(PATIENCE), Ok(3), "{threads:?}");
        master.tell(&DRAIN);
        assert_eq!(running.join().unwrap(), 0);
    }
}

#[test]
fn a_job_that_nobody_asked_for_stays_at_the_gate() {
    let (_master, mut gateway, worker) = linked(CALM);
    let (go, gone) = mpsc::channel();
    let running = start(worker, None, move |worker| {
        let go = go.clone();
        async move {
            let job = worker.next_job().await.unwrap().unwrap();
            tokio::select! {
                () = job.cancelled() => {}
                () = tokio::time::sleep(PATIENCE) => panic!("it was not cancelled"),
            }
            go.send(()).unwrap();
            worker.retire("enough");
            Ok(())
        }
    });
    gateway.give(1, "x");
    gateway.wait_for(&started(1));
    gateway.cancel(1);
    gateway.give(2, "x");
    gone.recv_timeout(PATIENCE).unwrap();
    assert_eq!(running.join().unwrap(), 0);
    assert_eq!(gateway.take_back(), [2]);
}

#[test]
fn replies_wait_for_room() {
    for threads in BOTH {
        let (master, mut gateway, worker) = linked(CALM);
        let (said, heard) = mpsc::channel();
        let running = start(worker, threads, move |worker| {
            let said = said.clone();
            async move {
                while let Some(job) = worker.next_job().await.map_err(|e| e.to_string())? {
                    let said = said.clone();
                    tokio::spawn(async move {
                        for number in 0..200 {
                            job.reply(vec![1; 10_000]).await.unwrap();
                            said.send(number).unwrap();
                        }
                    });
                }
                Ok(())
            }
        });
        gateway.give(1, "x");
        gateway.give(2, "x");
        let mut sent = 0;
        while heard.recv_timeout(Duration::from_millis(200)).is_ok() {
            sent += 1;
        }
        assert!(sent < 400, "nobody has read anything");
        let mut heard = gateway.wait_for(&finished(1));
        if !heard.contains(&finished(2)) {
            heard.extend(gateway.wait_for(&finished(2)));
        }
        for job in [1, 2] {
            let replies = heard
                .iter()
                .filter(|word| **word == replied_bytes(job, &[1; 10_000]));
            assert_eq!(replies.count(), 200, "{threads:?}");
        }
        master.tell(&DRAIN);
        assert_eq!(running.join().unwrap(), 0);
    }
}

#[test]
fn a_task_that_is_cut_off_has_not_finished_its_job() {
    for threads in BOTH {
        let timing = Timing {
            grace: Duration::from_millis(100),
            ..CALM
        };
        let (mut master, mut gateway, worker) = linked(timing);
        let running = start(worker, threads, |worker| async move {
            while let Some(job) = worker.next_job().await.map_err(|e| e.to_string())? {
                tokio::spawn(async move {
                    std::future::pending::<()>().await;
                    drop(job);
                });
            }
            Ok(())
        });
        gateway.give(1, "x");
        gateway.wait_for(&started(1));
        master.tell(&DRAIN);
        assert_eq!(running.join().unwrap(), finish::FAILED, "{threads:?}");
        assert!(gateway.said().is_empty());
        assert!(!master.said().contains(&ToMaster::Spent));
    }
}

#[test]
fn a_job_can_go_to_code_that_blocks() {
    let (master, mut gateway, worker) = linked(CALM);
    let running = start(worker, None, |worker| async move {
        while let Some(job) = worker.next_job().await.map_err(|e| e.to_string())? {
            tokio::task::spawn_blocking(move || job.into_blocking().finish_with("done"));
        }
        Ok(())
    });
    gateway.give(1, "x");
    let said = gateway.wait_for(&finished(1));
    assert!(said.contains(&replied(1, "done")));
    master.tell(&DRAIN);
    assert_eq!(running.join().unwrap(), 0);
}

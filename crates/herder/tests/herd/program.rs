//! The herd under test.

use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use herder::{
    AsyncJobWorker, AsyncWorker, Cluster, ClusterError, Connection, Dispatch, Format, HerdEvent,
    JobWorker, Worker, is_master, is_worker,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Names the scenario; without it this program is the test.
pub(crate) const SCENARIO: &str = "HERDER_TEST_SCENARIO";

pub(crate) fn main(scenario: &str) -> ExitCode {
    match scenario {
        "early-thread" => early_thread(),
        "no-init" => report(cluster().run(serve)),
        _ => {
            herder::init();
            report(match scenario {
                "blocking" => cluster().run(serve),
                "asynchronous" => cluster().run_async(serve_async),
                "shared" => cluster().dispatch(Dispatch::Shared).run(serve),
                "messages" => messages().run_jobs(work),
                "asynchronous-messages" => messages().run_jobs_async(work_async),
                "wrong-setting" => cluster().workers(1000).run(serve),
                other => panic!("no scenario {other:?}"),
            })
        }
    }
}

/// What a `main` that returns the result would do.
#[expect(clippy::print_stderr, reason = "as the standard library does")]
fn report(result: Result<ExitCode, ClusterError>) -> ExitCode {
    result.unwrap_or_else(|error| {
        eprintln!("Error: {error:?}");
        ExitCode::FAILURE
    })
}

fn cluster() -> Cluster {
    herd().listen("127.0.0.1:0")
}

/// As lines, so that no client of another crate is needed.
fn messages() -> Cluster {
    let tell = |line: String| {
        // Nobody reads any more when the test has failed.
        let _gone = writeln!(io::stdout(), "{line}");
    };
    herd()
        .lines("127.0.0.1:0")
        .max_jobs(2)
        .on_dispatched(move |job, worker| tell(format!("dispatched {job} to {}", worker.id)))
        .on_exhausted(move |worker| tell(format!("exhausted {}", worker.id)))
}

fn herd() -> Cluster {
    Cluster::new()
        .name("test")
        .workers(2)
        .grace(Duration::from_secs(5))
        .max_restarts(None)
        .log(Format::Quiet)
        .on_event(|event| {
            if let Some(line) = line(event) {
                // Nobody reads any more when the test has failed.
                let _gone = writeln!(io::stdout(), "{line}");
            }
        })
}

fn line(event: &HerdEvent) -> Option<String> {
    if let HerdEvent::DispatchChosen { .. } = event {
        assert!(is_master() && !is_worker());
        return Some("master".to_owned());
    }
    if let HerdEvent::Listening { address } = event {
        return Some(format!("listening {address}"));
    }
    if let HerdEvent::Ready { worker, .. } = event {
        return Some(format!("ready {}", worker.slot));
    }
    if let HerdEvent::Retired { reason, .. } = event {
        return Some(format!("retired {reason}"));
    }
    if let HerdEvent::Exited { exit, .. } = event {
        return exit.code().map(|code| format!("exit code {code}"));
    }
    None
}

/// Serves each connection in a thread.
fn serve(worker: Worker) -> io::Result<()> {
    assert!(is_worker() && !is_master());
    while let Some(connection) = worker.accept()? {
        let slot = worker.slot();
        thread::spawn(move || answer(connection, slot));
    }
    Ok(())
}

fn answer(mut connection: Connection, slot: u16) -> io::Result<()> {
    let mut question = [0];
    connection.read_exact(&mut question)?;
    assert_ne!(question[0], b'p', "as asked");
    write!(connection, "{slot}")
}

async fn serve_async(worker: AsyncWorker) -> io::Result<()> {
    let (listener, slot) = (worker.listener(), worker.slot());
    while let Some(mut connection) = listener.accept().await? {
        tokio::spawn(async move {
            let question = connection.read_u8().await?;
            assert_ne!(question, b'p', "as asked");
            connection.write_all(slot.to_string().as_bytes()).await
        });
    }
    Ok(())
}

fn work(worker: JobWorker) -> io::Result<()> {
    assert!(is_worker() && !is_master());
    for job in worker.jobs() {
        let job = job?;
        assert_ne!(job.text(), Some("p"), "as asked");
        let text = format!("{} {}", worker.id(), job.text().unwrap_or_default());
        job.finish_with(text).map_err(io::Error::other)?;
    }
    Ok(())
}

async fn work_async(worker: AsyncJobWorker) -> io::Result<()> {
    let id = worker.id();
    while let Some(job) = worker.next_job().await? {
        tokio::spawn(async move {
            assert_ne!(job.text(), Some("p"), "as asked");
            let text = format!("{id} {}", job.text().unwrap_or_default());
            job.finish_with(text).await
        });
    }
    Ok(())
}

fn early_thread() -> ExitCode {
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let _early = thread::spawn(move || stopped.recv());
    herder::init();
    drop(stop);
    ExitCode::SUCCESS
}

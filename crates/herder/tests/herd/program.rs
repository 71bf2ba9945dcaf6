//! The herd under test.

use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use herder::{
    AsyncWorker, Cluster, ClusterError, Connection, Dispatch, Format, HerdEvent, Worker, is_master,
    is_worker,
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
    Cluster::new()
        .name("test")
        .listen("127.0.0.1:0")
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

fn early_thread() -> ExitCode {
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let _early = thread::spawn(move || stopped.recv());
    herder::init();
    drop(stop);
    ExitCode::SUCCESS
}

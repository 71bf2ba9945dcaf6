//! Herds in one process.

use std::collections::HashSet;
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use herder::{Cluster, ClusterError, Exit, HerdEvent, Running, Worker};

const PATIENCE: Duration = Duration::from_secs(20);

type Outcome = Result<(), Box<dyn Error>>;

/// Answers with the worker's place and id; `p` panics, `r` retires.
fn serve(worker: Worker) -> io::Result<()> {
    assert!(herder::is_worker() && !herder::is_master());
    while let Some(mut connection) = worker.accept()? {
        let mut question = [0];
        connection.read_exact(&mut question)?;
        match question[0] {
            b'p' => panic!("as asked"),
            b'r' => worker.retire("as asked"),
            _ => {}
        }
        write!(connection, "{} {}", worker.slot(), worker.id())?;
    }
    Ok(())
}

fn ask(address: SocketAddr, question: u8) -> io::Result<(u16, u64)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&[question])?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (slot, id) = answer.split_once(' ').ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok((
        slot.parse().map_err(io::Error::other)?,
        id.parse().map_err(io::Error::other)?,
    ))
}

fn start(cluster: Cluster) -> Result<(Running, SocketAddr, Receiver<HerdEvent>), ClusterError> {
    let (events, received) = mpsc::channel();
    let cluster = cluster.listen("127.0.0.1:0").on_event(move |event| {
        // The test may be over.
        let _gone = events.send(event.clone());
    });
    let herd = cluster.start_in_process(serve)?;
    let address = herd.tcp_address().expect("it listens on TCP");
    Ok((herd, address, received))
}

fn wait_for(events: &Receiver<HerdEvent>, wanted: impl Fn(&HerdEvent) -> bool) -> Vec<HerdEvent> {
    let mut seen = Vec::new();
    loop {
        let event = events
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("only saw {seen:?}"));
        seen.push(event);
        if seen.last().is_some_and(&wanted) {
            return seen;
        }
    }
}

#[test]
fn the_connections_are_an_iterator_that_ends_with_the_worker() -> Outcome {
    fn count(worker: Worker) -> io::Result<()> {
        for (number, connection) in worker.incoming().enumerate() {
            write!(connection?, "{number} {}", worker.id())?;
        }
        Ok(())
    }
    let cluster = Cluster::new().listen("127.0.0.1:0").workers(1);
    let herd = cluster.start_in_process(count)?;
    let address = herd.tcp_address().expect("it listens on TCP");
    for number in 0..3 {
        let mut answer = String::new();
        TcpStream::connect(address)?.read_to_string(&mut answer)?;
        assert_eq!(answer, format!("{number} 1"));
    }
    Ok(herd.stop()?)
}

#[test]
fn the_workers_serve_and_stop() -> Outcome {
    let (herd, address, events) = start(Cluster::new().name("serve").workers(3))?;
    let slots: io::Result<HashSet<_>> = (0..60).map(|_| Ok(ask(address, b'x')?.0)).collect();
    assert!(slots?.iter().all(|slot| *slot < 3));
    herd.stop()?;
    assert!(TcpStream::connect(address).is_err(), "it listens no more");
    let seen = wait_for(&events, |event| matches!(event, HerdEvent::Finished { .. }));
    assert!(matches!(seen[0], HerdEvent::Listening { .. }));
    let clean = |event: &&HerdEvent| {
        matches!(
            event,
            HerdEvent::Exited {
                exit: Exit::Code(0),
                ..
            }
        )
    };
    assert_eq!(seen.iter().filter(clean).count(), 3);
    Ok(())
}

#[test]
fn a_worker_that_panics_is_replaced() -> Outcome {
    let (herd, address, events) = start(Cluster::new().workers(1))?;
    assert_eq!(ask(address, b'x')?, (0, 1));
    assert!(ask(address, b'p').is_err());
    assert_eq!(ask(address, b'x')?, (0, 2));
    let seen = wait_for(&events, |event| matches!(event, HerdEvent::Exited { .. }));
    let mut retired = false;
    for event in &seen {
        if let HerdEvent::Retired { reason, .. } = event {
            retired = reason.ends_with("as asked");
        }
    }
    assert!(retired, "{seen:?}");
    assert!(matches!(
        seen.last(),
        Some(HerdEvent::Exited {
            exit: Exit::Code(1),
            ..
        })
    ));
    herd.stop()?;
    Ok(())
}

#[test]
fn a_worker_that_retires_is_replaced_and_ends_with_0() -> Outcome {
    let (herd, address, events) = start(Cluster::new().workers(1))?;
    assert_eq!(ask(address, b'r')?, (0, 1));
    assert_eq!(ask(address, b'x')?, (0, 2));
    wait_for(&events, |event| {
        matches!(
            event,
            HerdEvent::Exited {
                exit: Exit::Code(0),
                ..
            }
        )
    });
    herd.stop()?;
    Ok(())
}

#[test]
fn too_many_restarts_end_the_herd_with_an_error() {
    let cluster = Cluster::new()
        .workers(1)
        .max_restarts(Some(2))
        .listen("127.0.0.1:0");
    let herd = cluster.start_in_process(|_| Err("no database")).unwrap();
    let error = herd.wait().unwrap_err();
    assert!(
        matches!(
            error,
            ClusterError::GaveUp {
                slot: 0,
                restarts: 3
            }
        ),
        "{error}"
    );
}

#[test]
fn the_hooks_are_called() -> Outcome {
    let (said, heard) = mpsc::channel();
    let (online, exited) = (said.clone(), said);
    let herd = Cluster::new()
        .workers(2)
        .on_online(move |worker| {
            let _gone = online.send(format!("online {}", worker.slot));
        })
        .on_exit(move |worker, exit| {
            let _gone = exited.send(format!("exit {} {exit}", worker.slot));
        })
        .start_in_process(serve)?;
    let mut first = [heard.recv_timeout(PATIENCE)?, heard.recv_timeout(PATIENCE)?];
    first.sort();
    assert_eq!(first, ["online 0", "online 1"]);
    herd.stop()?;
    let mut last: Vec<_> = heard.try_iter().collect();
    last.sort();
    assert_eq!(last, ["exit 0 exit status 0", "exit 1 exit status 0"]);
    Ok(())
}

#[test]
fn a_hook_that_panics_leaves_no_worker_behind() -> Outcome {
    let (over, end) = mpsc::channel();
    let herd = Cluster::new()
        .workers(1)
        .on_online(|_| panic!("as asked"))
        .start_in_process(move |worker| {
            let connection = worker.accept()?;
            // The test may be over.
            let _gone = over.send((connection.is_none(), worker.draining().reason()));
            Ok::<(), io::Error>(())
        })?;
    assert!(!herder::is_master(), "that is another thread");
    let leaves = (true, Some(herder::Reason::MasterGone));
    assert_eq!(end.recv_timeout(PATIENCE), Ok(leaves));
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| herd.wait()));
    assert!(outcome.is_err(), "who waits for the herd is told");
    Ok(())
}

#[test]
fn several_addresses_of_both_kinds() -> Outcome {
    let directory = std::env::temp_dir().join(format!("herder-in-process-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let path = directory.join("a.sock");
    let cluster = Cluster::new()
        .workers(1)
        .listen(format!("unix:{}", path.display()));
    let (herd, address, _events) = start(cluster)?;
    assert_eq!(herd.addresses().count(), 2);
    let mut stream = UnixStream::connect(&path)?;
    stream.write_all(b"x")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    assert_eq!(answer, "0 1");
    ask(address, b'x')?;
    herd.stop()?;
    assert!(!path.exists());
    std::fs::remove_dir_all(directory)?;
    Ok(())
}

#[test]
fn an_open_connection_finishes_while_the_herd_stops() -> Outcome {
    let (herd, address, events) = start(Cluster::new().workers(1))?;
    let mut stream = TcpStream::connect(address)?;
    // Only when the worker has it is it the worker's to finish.
    wait_for(&events, |event| matches!(event, HerdEvent::Ready { .. }));
    ask_while_stopping(&mut stream, herd)
}

fn ask_while_stopping(stream: &mut TcpStream, herd: Running) -> Outcome {
    // Half of a question: the worker holds the connection and waits.
    let stopping = std::thread::spawn(move || herd.stop());
    stream.write_all(b"x")?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    // Accepted before the stop: answered. Not accepted: closed with the listener. Never hung.
    stream.set_read_timeout(Some(PATIENCE))?;
    match stream.read_to_string(&mut answer) {
        Ok(_) => assert!(answer.is_empty() || answer == "0 1"),
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
    }
    stopping.join().expect("no panic")?;
    Ok(())
}

#[test]
fn what_cannot_be_is_said_before_anything_starts() {
    let error = Cluster::new()
        .workers(0)
        .start_in_process(serve)
        .unwrap_err();
    assert_eq!(
        format!("{error:?}"),
        "Cluster::workers: an app has 1 to 256 workers, not 0"
    );
    let error = Cluster::new()
        .threads(2)
        .start_in_process(serve)
        .unwrap_err();
    assert!(
        error.to_string().starts_with("Cluster::threads: "),
        "{error}"
    );
    let error = Cluster::new().listen(8080).run(serve).unwrap_err();
    assert!(matches!(error, ClusterError::NotInitialised), "{error}");
}

//! Workers that are a process of their own, as far as their end is concerned.
//!
//! The child is this test program again, told to run [`child`] alone; its standard input is the
//! socket over which it gets its channels.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use herder_sys::apply::{Limit, set_limit};
use herder_sys::fd::{duplicate, open_count};
use herder_sys::pidfd::PidFd;
use herder_sys::signal::{Signal, SignalFd};
use herder_sys::socket::{self, Wait};
use herder_wire::control::ToMaster;
#[cfg(feature = "message")]
use herder_wire::link::Kind;

use crate::init::ENDING_SIGNALS;
#[cfg(feature = "message")]
use crate::jobs::testing::{Gateway, failed, finished, started};
#[cfg(feature = "message")]
use crate::jobs::worker::JobWorker;
use crate::worker::acceptor::Acceptor;
use crate::worker::blocking::Worker;
use crate::worker::finish;
use crate::worker::link::{Link, Timing};
use crate::worker::outlet::Outlet;
use crate::worker::testing::{self, CALM, Master, PATIENCE};
use crate::{Connection, panic};

const ROLE: &str = "HERDER_TEST_ROLE";

/// Short enough to wait for.
const SHORT: Duration = Duration::from_millis(300);

struct Herd {
    master: Master,
    /// For those roles that accept by themselves.
    listener: UnixListener,
    child: Child,
}

impl Herd {
    fn start(role: &str) -> Herd {
        let (parent, stdin) = socket::seqpacket_pair().unwrap();
        let (control, worker_control) = socket::seqpacket_pair().unwrap();
        let (conns, worker_end) = socket::seqpacket_pair().unwrap();
        static HERDS: AtomicU32 = AtomicU32::new(0);
        let number = HERDS.fetch_add(1, Ordering::Relaxed);
        let name = format!("herder-test-{number}-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(name).unwrap();
        let listener = UnixListener::bind_addr(&address).unwrap();
        let channels = [worker_control.as_fd(), worker_end.as_fd(), listener.as_fd()];
        socket::send(parent.as_fd(), b"c", &channels).unwrap();
        // Inherited by every thread of the child, those of the test harness included.
        let _blocked = SignalFd::block(&ENDING_SIGNALS).unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "worker::tests::process::child"])
            .arg("--nocapture")
            .env(ROLE, role)
            .stdin(Stdio::from(stdin))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut master = Master::new(control, Some(conns), worker_end);
        master.wait_for(|message| *message == ToMaster::Ready);
        Herd {
            master,
            listener,
            child,
        }
    }

    fn connect(&self) -> UnixStream {
        UnixStream::connect_addr(&self.listener.local_addr().unwrap()).unwrap()
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        PidFd::open(pid).unwrap().signal(signal).unwrap();
    }

    /// What the worker gave as its reason for its own end.
    fn reason(&mut self) -> String {
        let heard = self
            .master
            .wait_for(|said| matches!(said, ToMaster::Retire { .. }));
        let reasons = heard.into_iter().filter_map(|message| match message {
            ToMaster::Retire { reason } => Some(reason),
            ToMaster::Beat
            | ToMaster::BootExtend { .. }
            | ToMaster::Certificates { .. }
            | ToMaster::Counters { .. }
            | ToMaster::Dispatched { .. }
            | ToMaster::Ejected { .. }
            | ToMaster::Empty
            | ToMaster::Exhausted { .. }
            | ToMaster::Hello { .. }
            | ToMaster::Known { .. }
            | ToMaster::Load { .. }
            | ToMaster::Ready
            | ToMaster::Restored { .. }
            | ToMaster::Spent
            | ToMaster::State { .. }
            | ToMaster::Unusable { .. }
            | ToMaster::User(_)
            | ToMaster::Withdrawn { .. }
            | ToMaster::WithdrawnAgain { .. } => None,
        });
        let reasons: Vec<_> = reasons.collect();
        assert_eq!(reasons.len(), 1, "{reasons:?}");
        reasons.into_iter().next().unwrap()
    }

    fn exit(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

/// Asks over a connection, and returns the answer; nothing when it was closed.
fn ask(client: &mut UnixStream, question: u8) -> Option<u8> {
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(&[question]).unwrap();
    let mut answer = [0];
    match client.read_exact(&mut answer) {
        Ok(()) => Some(answer[0]),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock) => panic!("no answer"),
        Err(_) => None,
    }
}

#[test]
fn a_panic_in_a_thread_is_announced_at_once_and_other_connections_finish() {
    let mut herd = Herd::start("threads");
    let mut other = herd.master.pass(1).remove(0);
    assert_eq!(ask(&mut other, b'a'), Some(b'a'));
    let mut bad = herd.master.pass(1).remove(0);
    assert_eq!(ask(&mut bad, b'p'), None);
    let reason = herd.reason();
    assert!(
        reason.starts_with("panicked at ") && reason.ends_with("as asked"),
        "{reason}"
    );
    let _late = herd.master.pass(1);
    assert_eq!(
        ask(&mut other, b'b'),
        Some(b'b'),
        "an open connection goes on"
    );
    assert_eq!(herd.master.unreceived(), 1, "and no new one is taken");
    drop(other);
    assert_eq!(herd.exit().code(), Some(1));
}

#[test]
fn a_panic_ends_the_process_although_a_connection_stays_open() {
    let mut herd = Herd::start("threads");
    let mut stubborn = herd.master.pass(1).remove(0);
    assert_eq!(ask(&mut stubborn, b'a'), Some(b'a'));
    let mut bad = herd.master.pass(1).remove(0);
    let asked = Instant::now();
    assert_eq!(ask(&mut bad, b'p'), None);
    herd.reason();
    assert_eq!(herd.exit().code(), Some(1));
    assert!(asked.elapsed() >= SHORT);
}

#[test]
fn a_panic_in_the_worker_function_ends_it_with_1() {
    let mut herd = Herd::start("inline");
    let mut bad = herd.master.pass(1).remove(0);
    assert_eq!(ask(&mut bad, b'p'), None);
    assert!(herd.reason().ends_with("as asked"));
    assert_eq!(herd.exit().code(), Some(1));
}

#[test]
fn a_panic_costs_only_the_connection_that_it_met() {
    for fault in [b'p', b'e'] {
        let mut herd = Herd::start("inline");
        let mut clients = herd.master.pass(4);
        // Each has asked before the first is answered, so that all four lie in the worker's hand.
        for client in &mut clients[1..] {
            client.write_all(b"a").unwrap();
            client.shutdown(std::net::Shutdown::Write).unwrap();
        }
        assert_eq!(ask(&mut clients[0], fault), None);
        for client in &mut clients[1..] {
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).unwrap();
            assert_eq!(answer, b"a", "fault {fault}");
        }
        herd.reason();
        assert_eq!(herd.exit().code(), Some(1));
    }
}

#[test]
fn an_error_ends_the_process_with_1() {
    let herd = Herd::start("inline");
    let mut bad = herd.master.pass(1).remove(0);
    assert_eq!(ask(&mut bad, b'e'), None);
    assert_eq!(herd.exit().code(), Some(1));
}

#[test]
fn each_ending_signal_drains_and_the_status_is_0() {
    for signal in ENDING_SIGNALS {
        let mut herd = Herd::start("threads");
        let mut open = herd.master.pass(1).remove(0);
        assert_eq!(ask(&mut open, b'a'), Some(b'a'));
        herd.signal(signal);
        assert_eq!(herd.reason(), format!("received {signal}"));
        assert_eq!(ask(&mut open, b'b'), Some(b'b'));
        drop(open);
        assert_eq!(herd.exit().code(), Some(0), "{signal}");
    }
}

#[test]
fn a_second_signal_is_in_a_hurry() {
    let mut herd = Herd::start("threads");
    let mut open = herd.master.pass(1).remove(0);
    assert_eq!(ask(&mut open, b'a'), Some(b'a'));
    herd.signal(Signal::Terminate);
    herd.reason();
    herd.signal(Signal::Terminate);
    assert_eq!(herd.exit().code(), Some(1));
}

#[test]
fn r28_without_a_master_the_worker_leaves_within_its_grace() {
    let Herd { master, child, .. } = Herd::start("threads");
    let mut open = master.pass(1).remove(0);
    assert_eq!(ask(&mut open, b'a'), Some(b'a'));
    let lying = master.pass(1);
    drop(master);
    assert_eq!(ask(&mut open, b'b'), Some(b'b'), "what is open may finish");
    for mut client in lying {
        assert_eq!(
            ask(&mut client, b'c'),
            Some(b'c'),
            "nobody else would serve it"
        );
    }
    let mut child = child;
    assert_eq!(child.wait().unwrap().code(), Some(1), "it did not finish");
}

#[test]
fn r17_a_worker_without_descriptors_loses_no_connection() {
    let mut herd = Herd::start("few-descriptors");
    let (first, second) = (herd.master.pass(4), herd.master.pass(4));
    herd.master
        .wait_for(|said| matches!(said, ToMaster::Counters { open: 4, .. }));
    assert_eq!(
        herd.master.unreceived(),
        4,
        "the second message waits until there is room"
    );
    for mut client in first.into_iter().chain(second) {
        assert_eq!(ask(&mut client, b'a'), Some(b'a'));
    }
    herd.signal(Signal::Terminate);
    assert_eq!(herd.exit().code(), Some(0));
}

#[test]
fn r44_a_worker_without_descriptors_serves_whom_it_was_woken_for_and_leaves_the_next_to_others() {
    let mut herd = Herd::start("shared-no-descriptors");
    let mut first = herd.connect();
    assert_eq!(ask(&mut first, b'a'), Some(b'a'), "nobody else was woken");
    let mut second = herd.connect();
    assert_eq!(ask(&mut first, b'b'), Some(b'b'));
    drop(first);
    assert_eq!(ask(&mut second, b'c'), Some(b'c'), "now there is room");
    drop(second);
    herd.signal(Signal::Terminate);
    herd.reason();
    assert_eq!(herd.exit().code(), Some(0));
}

#[cfg(feature = "message")]
#[test]
fn a_panic_in_a_job_fails_it_and_the_others_finish_before_the_end() {
    let mut herd = Herd::start("jobs");
    let mut gateway = Gateway::join(&herd.master);
    gateway.give(1, "wait");
    gateway.wait_for(&started(1));
    gateway.give(2, "panic");
    gateway.wait_for(&failed(2, "panicked"));
    assert!(herd.reason().contains("as asked"));
    gateway.give(3, "late");
    assert_eq!(gateway.take_back(), [3]);
    gateway.cancel(1);
    gateway.wait_for(&finished(1));
    assert_eq!(herd.exit().code(), Some(1));
}

#[cfg(feature = "message")]
#[test]
fn a_panic_ends_the_process_although_a_job_stays_open() {
    let mut herd = Herd::start("jobs");
    let mut gateway = Gateway::join(&herd.master);
    gateway.give(1, "wait");
    gateway.wait_for(&started(1));
    let asked = Instant::now();
    gateway.give(2, "panic");
    herd.reason();
    assert_eq!(herd.exit().code(), Some(1));
    assert!(asked.elapsed() >= SHORT);
    assert!(!gateway.said().contains(&finished(1)));
}

#[cfg(feature = "message")]
#[test]
fn a_worker_of_jobs_that_is_told_to_leave_finishes_them_and_ends_with_0() {
    let mut herd = Herd::start("jobs");
    let mut gateway = Gateway::join(&herd.master);
    gateway.give(1, "wait");
    gateway.wait_for(&started(1));
    herd.signal(Signal::Terminate);
    herd.reason();
    gateway.cancel(1);
    gateway.wait_for(&finished(1));
    assert_eq!(herd.exit().code(), Some(0));
}

#[cfg(feature = "message")]
#[test]
fn r17_a_worker_without_descriptors_is_linked_and_fails_only_what_needs_one() {
    let herd = Herd::start("jobs-no-descriptors");
    let mut gateway = Gateway::join(&herd.master);
    gateway.give_memory(1, Kind::Bytes, &[0; 100_000]);
    let error = "the process has no descriptor left for a large message";
    gateway.wait_for(&failed(1, error));
    for _ in 0..5 {
        let mut gateway = Gateway::join(&herd.master);
        gateway.give(2, "small");
        gateway.wait_for(&finished(2));
    }
    herd.signal(Signal::Terminate);
    assert_eq!(herd.exit().code(), Some(0));
}

/// Works on each job in a thread, some until they are cancelled.
#[cfg(feature = "message")]
fn work(worker: &JobWorker) -> io::Result<()> {
    while let Some(job) = worker.next_job()? {
        thread::spawn(move || {
            assert_ne!(job.text(), Some("panic"), "as asked");
            while job.text() == Some("wait") && !job.is_cancelled() {
                thread::sleep(Duration::from_millis(1));
            }
        });
    }
    Ok(())
}

/// Not a test by itself: the worker of the tests above.
#[test]
fn child() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let signals = SignalFd::block(&ENDING_SIGNALS).unwrap();
    let (mut byte, mut channels) = ([0], Vec::new());
    let stdin = io::stdin();
    let got = socket::receive(stdin.as_fd(), &mut byte, &mut channels, 3, Wait::Block).unwrap();
    assert_eq!(got.len, 1);
    let listener = channels.pop().unwrap();
    let (conns, control) = (channels.pop().unwrap(), channels.pop().unwrap());
    let timing = Timing {
        grace: SHORT,
        close_timeout: SHORT,
        ..CALM
    };
    let outlet = Outlet::channel(control);
    let link = Arc::new(Link::new(testing::identity(), timing, outlet, Some(signals)).unwrap());
    let acceptor = if role == "shared-no-descriptors" {
        Acceptor::listening(&link, vec![listener]).unwrap()
    } else {
        Acceptor::passed(&link, conns).unwrap()
    };
    let worker = Worker::new(Arc::clone(&link), acceptor);
    panic::watch_process(&link);
    #[cfg(feature = "message")]
    if role.starts_with("jobs") {
        let say = |error: io::Error| error.to_string();
        std::process::exit(finish::run(worker, |worker| {
            let worker = worker.into_job_worker().unwrap();
            if role == "jobs-no-descriptors" {
                let _fillers = use_up_descriptors();
                // One after the other: a job in a thread keeps its link a moment longer.
                return worker.jobs().try_for_each(|job| job.map(drop)).map_err(say);
            }
            work(&worker).map_err(say)
        }));
    }
    if role == "few-descriptors" {
        // Room for one more, beside the worker's own reserve.
        let last = duplicate(stdin.as_fd()).unwrap();
        let limit = open_count().unwrap() as u64;
        drop(last);
        set_limit(Limit::OpenFiles, limit, limit).unwrap();
    }
    let _fillers = (role == "shared-no-descriptors").then(use_up_descriptors);
    let inline = role == "inline";
    std::process::exit(finish::run(worker, |worker| {
        serve(&worker, inline).map_err(|error| error.to_string())
    }));
}

fn use_up_descriptors() -> Vec<OwnedFd> {
    let limit = open_count().unwrap() as u64;
    set_limit(Limit::OpenFiles, limit, limit).unwrap();
    // There may be gaps.
    std::iter::from_fn(|| duplicate(io::stdin().as_fd()).ok()).collect()
}

fn serve(worker: &Worker, inline: bool) -> io::Result<()> {
    while let Some(connection) = worker.accept()? {
        if inline {
            answer(connection)?;
        } else {
            thread::spawn(move || answer(connection));
        }
    }
    Ok(())
}

fn answer(mut connection: Connection) -> io::Result<()> {
    let mut question = [0];
    while connection.read(&mut question)? > 0 {
        match question[0] {
            b'p' => panic!("as asked"),
            b'e' => return Err(io::Error::other("as asked")),
            _ => connection.write_all(&question)?,
        }
    }
    Ok(())
}

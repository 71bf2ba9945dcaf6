//! Queues that are handed on while connections come.

use std::io::{self, ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool as Flag, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use herder_core::WorkerId;
use herder_core::rotation::{Balance, Event, Relief, RotationSpec, Steering, Weight};
use herder_sys::fd::{self, Blocking};
use herder_sys::{bpf, listener};

use super::super::parting::Then;
use super::super::{Group, GroupSpec};
use super::stage::{now, say, spec, worker};

/// How long connections come. In a second some three of them were reset when nothing was done about it.
const RUSH: Duration = Duration::from_secs(2);

const PATIENCE: Duration = Duration::from_secs(20);

/// Nobody of those who shake hands in the very moment is reset.
#[test]
fn r23_who_comes_while_a_queue_is_handed_on_is_served() {
    if bpf::probe().is_err() {
        return;
    }
    let mut group = open();
    let workers = [worker(0, 1), worker(1, 2)];
    let sockets = workers.map(|worker| start(&mut group, worker));
    let (local, is_over, is_closed) = (group.local(), Flag::default(), Flag::default());
    let served = thread::scope(|scope| {
        let clients = [(); 2].map(|()| scope.spawn(|| visit(local, &is_over)));
        for socket in &sockets {
            scope.spawn(|| serve(socket, &is_closed));
        }
        let until = Instant::now() + RUSH;
        while Instant::now() < until {
            for worker in workers {
                hand_on(&mut group, worker);
            }
        }
        is_over.store(true, Ordering::Relaxed);
        let served = clients.map(|client| client.join());
        is_closed.store(true, Ordering::Relaxed);
        served
    });
    let served = served.map(|count| count.expect("a client").expect("an answer"));
    assert!(served.iter().all(|count| *count > 0), "{served:?}");
}

#[test]
fn behind_closed_doors_who_waits_stays() {
    if bpf::probe().is_err() {
        return;
    }
    let mut group = open();
    let workers = [worker(0, 1), worker(1, 2)];
    let sockets = workers.map(|worker| start(&mut group, worker));
    let clients = [(); 4].map(|()| TcpStream::connect(group.local()).expect("it listens"));
    let waiting = || {
        sockets
            .each_ref()
            .map(|it| listener::waiting_at(it.as_fd()))
    };
    let waiting = || waiting().map(|it| it.expect("TCP").expect("it listens"));
    let deadline = Instant::now() + PATIENCE;
    while waiting() != [2, 2] {
        assert!(Instant::now() < deadline, "{:?}", waiting());
        thread::yield_now();
    }
    let first = group.rotation.socket_of(workers[0]).expect("it has one");
    // What was decided before is done before.
    group.part(first, Then::ListenAgain, now());
    group.close_doors();
    assert_eq!(waiting(), [0, 4]);
    let second = group.rotation.socket_of(workers[1]).expect("it has one");
    group.part(second, Then::ListenAgain, now());
    assert!(!group.partings.include(second));
    drop(clients);
}

/// The one who gets a queue serves it first; then the other's socket listens again, or when it is wanted back.
#[test]
fn by_load_a_socket_listens_again_when_its_queue_is_served_or_it_is_wanted() {
    if bpf::probe().is_err() {
        return;
    }
    let mut group = open_by(Balance::LeastLoaded);
    let workers = [worker(0, 1), worker(1, 2)];
    let sockets = workers.map(|worker| start(&mut group, worker));
    let id = group.rotation.socket_of(workers[0]).expect("it has one");
    let listens = || listener::is_listening(sockets[0].as_fd());
    for is_wanted in [false, true] {
        assert!(listens());
        group.part(id, Then::ListenAgain, now());
        let deadline = Instant::now() + PATIENCE;
        while listens() {
            assert!(Instant::now() < deadline, "its queue is never handed on");
            group.finish_partings(now());
        }
        // Nobody takes it for a socket that its worker has shut down.
        assert!(group.partings.include(id));
        if is_wanted {
            group.enter(id);
        }
        while group.partings.include(id) {
            assert!(!is_wanted && Instant::now() < deadline);
            group.finish_partings(now());
        }
    }
    assert!(listens());
    assert_eq!(group.notices(), []);
}

fn open() -> Group {
    open_by(Balance::RoundRobin)
}

fn open_by(balance: Balance) -> Group {
    let usual = spec(Steering::Program);
    let spec = GroupSpec {
        blocking: Blocking::No,
        rotation: RotationSpec {
            balance,
            ..usual.rotation.clone()
        },
        ..usual
    };
    Group::bind(&spec, SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port")
}

fn start(group: &mut Group, worker: WorkerId) -> OwnedFd {
    let socket = group.start(worker, Weight::ONE, Relief::Move, now());
    let socket = fd::duplicate(socket.expect("a socket")).expect("a descriptor");
    group.tell(Event::Admit { worker }, now());
    socket
}

/// In the order in which the rotation asks for it: the turns are written to others after it.
fn hand_on(group: &mut Group, worker: WorkerId) {
    let socket = group.rotation.socket_of(worker).expect("it has one");
    group.part(socket, Then::ListenAgain, now());
    group.tell(Event::Hold { worker }, now());
    let deadline = Instant::now() + PATIENCE;
    while group.partings.include(socket) {
        assert!(Instant::now() < deadline, "it is never handed on");
        thread::sleep(Duration::from_micros(200));
        group.wake(now());
    }
    // It left its place when it was shut down.
    group.enter(socket);
    group.tell(Event::Admit { worker }, now());
    // Others come meanwhile.
    thread::sleep(Duration::from_micros(500));
}

/// Accepts everybody, and says a word.
fn serve(socket: &OwnedFd, is_closed: &Flag) {
    while !is_closed.load(Ordering::Relaxed) {
        match listener::accept(socket.as_fd()) {
            Ok(connection) => say(&connection, b"bye"),
            // Nobody is there, or it does not listen for a moment.
            Err(_) => thread::sleep(Duration::from_micros(50)),
        }
    }
}

/// One connection after the other. Returns how many were served.
fn visit(address: SocketAddr, is_over: &Flag) -> io::Result<u32> {
    let mut served = 0;
    while !is_over.load(Ordering::Relaxed) {
        let mut connection = TcpStream::connect(address)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        let mut word = String::new();
        if connection.read_to_string(&mut word)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        served += 1;
    }
    Ok(served)
}

//! Two dispatchers of one herd: workers with listeners of their own, to which other connections are passed.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::Instant;

use herder_core::rotation::{Relief, RotationSpec, Steering};
use herder_core::{Incarnation, Slot};
use herder_sys::fd::Blocking;
use herder_sys::listener::{self, Families, Listener};
use herder_sys::page::SharedPage;
use herder_sys::socket::{self, Wait};
use herder_wire::record::Record;

use super::safe::Safe;
use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

struct Bench {
    _safe: Safe,
    _directory: Directory,
    berths: Berths,
    dispatch: Dispatch,
    tcp: SocketAddr,
    path: std::path::PathBuf,
    /// What was told and not asked for.
    heard: Vec<News>,
}

/// One that is removed when the test is over.
struct Directory(std::path::PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        // Nothing else is in it.
        let _removed = std::fs::remove_dir_all(&self.0);
    }
}

/// A worker in the hand of the test.
struct Actor {
    id: WorkerId,
    /// Its own listener.
    listener: OwnedFd,
    /// Its end of the channel.
    end: OwnedFd,
}

fn bench(name: &str) -> Bench {
    let spec = DispatchSpec {
        mode: DispatchMode::Reuseport,
        beside: Some(DispatchMode::Pass),
        ..DispatchSpec::default()
    };
    let (safe, vault) = Safe::new();
    let group = GroupSpec {
        rotation: RotationSpec {
            steering: Steering::Hash,
            ..RotationSpec::default()
        },
        families: Families::Both,
        backlog: 16,
        blocking: Blocking::No,
    };
    let berths = Berths::new(group, &[], Relief::Move, &vault);
    let any = "127.0.0.1:0".parse().expect("an address");
    let tcp = berths.bind(0, any).expect("a port");
    let own = std::process::id();
    let directory = std::env::temp_dir().join(format!("herder-both-{name}-{own}"));
    std::fs::create_dir_all(&directory).expect("a directory");
    let path = directory.join("it.sock");
    let unix = UnixListener::bind(&path).expect("a socket");
    let inheritance =
        Inheritance::of_listeners(vec![Listener::adopt(unix.into()).expect("it listens")]);
    let trade = Trade::Both(berths.clone(), Watch::WorkersNudged);
    let page = SharedPage::private().expect("memory");
    let counters = Counters::in_page(Arc::new(page));
    Bench {
        dispatch: Dispatch::start(&spec, inheritance, trade, &vault, counters).expect("it starts"),
        _safe: safe,
        _directory: Directory(directory),
        berths,
        tcp,
        path,
        heard: Vec::new(),
    }
}

impl Bench {
    fn worker(&self, slot: u16) -> Actor {
        let id = WorkerId {
            slot: Slot(slot),
            incarnation: Incarnation(u64::from(slot) + 1),
        };
        let (_, listener) = self
            .berths
            .start(id)
            .expect("listeners")
            .remove(&0)
            .expect("one");
        let (link, end) = Link::new().expect("a channel");
        self.dispatch.tell(Command::Attach(id, link));
        self.dispatch.tell(Command::Admit(id));
        Actor { id, listener, end }
    }

    /// Waits until something is told; what else is told is kept.
    fn wait_for(&mut self, what: &str, is_it: impl Fn(&News) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.heard.extend(self.dispatch.news());
            if let Some(place) = self.heard.iter().position(&is_it) {
                self.heard.remove(place);
                return;
            }
            assert!(Instant::now() < deadline, "{what} was not told");
            std::thread::yield_now();
        }
    }

    fn wait_until_withdrawn(&mut self, id: WorkerId) {
        let it = |news: &News| matches!(news, News::Withdrawn(worker) if *worker == id);
        self.wait_for("the withdrawal", it);
    }

    fn is_passed_to(&self, actor: &Actor) {
        let mut client = UnixStream::connect(&self.path).expect("it listens");
        client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        say_hello(actor.receive().expect("a connection"));
        assert_eq!(said_to(&mut client), "hello");
    }

    /// Not for ever: where a slot's socket is about to go, nobody answers until it has gone.
    fn connect(&self) -> std::io::Result<TcpStream> {
        TcpStream::connect_timeout(&self.tcp, PATIENCE)
    }

    fn is_accepted_by(&self, actor: &Actor) {
        let mut client = self.connect().expect("it listens");
        client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let deadline = Instant::now() + PATIENCE;
        let connection = loop {
            match listener::accept(actor.listener.as_fd()) {
                Ok(connection) => break connection,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            std::thread::yield_now();
        };
        say_hello(connection);
        assert_eq!(said_to(&mut client), "hello");
    }
}

impl Actor {
    /// The next connection of the channel; `None` = it has ended.
    fn receive(&self) -> Option<OwnedFd> {
        let mut bytes = [0; Record::SIZE];
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut fds = Vec::new();
            let end = self.end.as_fd();
            match socket::receive(end, &mut bytes, &mut fds, 1, Wait::DontWait) {
                Ok(received) if received.len == 0 => return None,
                Ok(_) => return fds.pop(),
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            std::thread::yield_now();
        }
    }
}

fn say_hello(connection: OwnedFd) {
    // Either kind is written to alike.
    let mut stream = TcpStream::from(connection);
    stream.write_all(b"hello").expect("somebody reads");
}

fn said_to(client: &mut impl Read) -> String {
    let mut text = String::new();
    client.read_to_string(&mut text).expect("text");
    text
}

#[test]
fn a_worker_gets_connections_of_both_and_is_withdrawn_of_both() {
    let mut bench = bench("serve");
    let one = bench.worker(0);
    for _ in 0..3 {
        bench.is_passed_to(&one);
        bench.is_accepted_by(&one);
    }
    bench.dispatch.tell(Command::Withdraw(one.id));
    bench.wait_until_withdrawn(one.id);
    assert!(one.receive().is_none(), "nothing is passed any more");
    let again = bench.dispatch.news();
    assert!(
        again.is_empty() && bench.heard.is_empty(),
        "it is told once"
    );
    bench.dispatch.stop();
}

#[test]
fn r25c_what_a_dead_worker_had_not_received_goes_to_another() {
    let mut bench = bench("death");
    let (dead, heir) = (bench.worker(0), bench.worker(1));
    let clients: Vec<_> = (0..2)
        .map(|_| UnixStream::connect(&bench.path).expect("it listens"))
        .collect();
    // Each got one.
    say_hello(heir.receive().expect("a connection"));
    bench.dispatch.tell(Command::Gone(dead.id));
    say_hello(heir.receive().expect("that of the dead"));
    for mut client in clients {
        client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        assert_eq!(said_to(&mut client), "hello");
    }
    bench.dispatch.stop();
}

#[test]
fn r26_what_was_given_back_is_gone_on_with_and_what_was_said_stands() {
    let mut bench = bench("succession");
    let (one, other) = (bench.worker(0), bench.worker(1));
    // One of the two dispatchers has said it, the other one not yet.
    bench.dispatch.tell(Command::Withdraw(one.id));
    bench.dispatch.tell(Command::Withdraw(other.id));
    bench.wait_until_withdrawn(one.id);
    let remains = bench.dispatch.surrender().expect("both live");
    assert_eq!(remains.listeners.len(), 1, "that of the Unix socket");
    let lines: BTreeSet<_> = remains.lines.iter().map(|(id, _)| *id).collect();
    assert_eq!(lines, BTreeSet::from([one.id, other.id]));
    bench.heard.extend(bench.dispatch.news());
    bench.dispatch = bench.dispatch.go_on(remains).expect("it goes on");
    let is_told = |news: &News| matches!(news, News::Withdrawn(id) if *id == other.id);
    if !bench.heard.iter().any(is_told) {
        bench.dispatch.tell(Command::Withdraw(other.id));
        bench.wait_until_withdrawn(other.id);
    }
    // They leave. As long as one does not, its socket keeps who is meant for it waiting: without a program nobody
    // tells the kernel who else there is.
    for left in [one, other] {
        bench.dispatch.tell(Command::Gone(left.id));
    }
    let next = bench.worker(2);
    for _ in 0..4 {
        bench.is_passed_to(&next);
        bench.is_accepted_by(&next);
    }
    bench.dispatch.stop();
}

#[test]
fn the_herd_listens_until_neither_does() {
    let mut bench = bench("closing");
    let one = bench.worker(0);
    bench.is_passed_to(&one);
    bench.dispatch.tell(Command::CloseListeners(PATIENCE));
    bench.dispatch.tell(Command::Withdraw(one.id));
    bench.wait_for("the end", |news| matches!(news, News::ListenersClosed));
    bench.wait_until_withdrawn(one.id);
    assert!(UnixStream::connect(&bench.path).is_err());
    drop(one);
    // The keeper's copies go when it hears of it.
    let deadline = Instant::now() + PATIENCE;
    while bench.connect().is_ok() {
        assert!(Instant::now() < deadline, "somebody listens");
    }
    assert!(bench.dispatch.news().is_empty(), "it is told once");
    bench.dispatch.stop();
}

#[test]
fn the_end_of_either_is_told() {
    for is_main in [true, false] {
        let mut bench = bench(if is_main { "main" } else { "beside" });
        match &bench.dispatch.beside {
            Some(beside) if !is_main => beside.tell(Command::Die),
            _ => bench.dispatch.main.tell(Command::Die),
        }
        bench.wait_for("the end", |news| matches!(news, News::Ended(_)));
        assert!(bench.dispatch.surrender().is_err());
        bench.dispatch.stop();
    }
}

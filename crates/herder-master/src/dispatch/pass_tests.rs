//! A dispatch thread that dies, or surrenders, with workers in the hand of the test.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use herder_core::Slot;
use herder_sys::fd;
use herder_sys::listener::Listener;
use herder_sys::page::SharedPage;
use herder_sys::socket::{self, Wait};
use herder_wire::record::Record;

use super::super::safe::Safe;
use super::*;
use crate::dispatch::{Counters, Dispatch, Line, Trade, Watch};
use crate::event::HerdEvent;

const PATIENCE: Duration = Duration::from_secs(10);

struct Bench {
    _safe: Safe,
    vault: crate::estate::Vault,
    counters: Counters,
    dispatch: Dispatch,
    /// What the keeper has.
    listener: Listener,
    address: SocketAddr,
}

/// A worker in the hand of the test.
struct Actor {
    id: WorkerId,
    end: OwnedFd,
    /// Both ends, which the keeper has, too.
    stored: [OwnedFd; 2],
}

fn bench() -> Bench {
    let bound = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = bound.local_addr().expect("bound");
    let listener = Listener::adopt(bound.into()).expect("it listens");
    let page = SharedPage::private().expect("memory");
    let counters = Counters::in_page(Arc::new(page));
    let (safe, vault) = Safe::new();
    let inheritance = Inheritance::of_listeners(vec![copy_of(&listener)]);
    Bench {
        dispatch: start(inheritance, &vault, &counters),
        _safe: safe,
        vault,
        counters,
        listener,
        address,
    }
}

fn start(inheritance: Inheritance, vault: &crate::estate::Vault, counters: &Counters) -> Dispatch {
    let spec = DispatchSpec::default();
    let trade = Trade::Sockets(Watch::WorkersNudged);
    Dispatch::start(&spec, inheritance, trade, vault, counters.clone()).expect("it starts")
}

fn copy_of(listener: &Listener) -> Listener {
    let copy = fd::duplicate(listener.as_fd()).expect("a descriptor");
    Listener::adopt(copy).expect("it listens")
}

impl Bench {
    fn worker(&self, id: u16) -> Actor {
        let (link, end) = Link::new().expect("a channel");
        let stored = link.ends().map(|end| fd::duplicate(end).expect("a copy"));
        let id = WorkerId {
            slot: Slot(id),
            incarnation: Incarnation(id.into()),
        };
        self.dispatch.tell(Command::Attach(id, link));
        self.dispatch.tell(Command::Admit(id));
        Actor { id, end, stored }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).expect("it listens")
    }

    /// The master is killed. Returns what was cut.
    fn kill(&mut self) -> u64 {
        self.dispatch.tell(Command::Die);
        let deadline = Instant::now() + PATIENCE;
        while !self
            .dispatch
            .news()
            .iter()
            .any(|news| matches!(news, News::Ended(_)))
        {
            assert!(Instant::now() < deadline, "it lives");
            std::thread::yield_now();
        }
        self.counters.settle()
    }

    /// Another master takes over these workers.
    fn succeed(&mut self, workers: &[&Actor]) {
        let line = |worker: &&Actor| {
            let [master_end, worker_end] = worker.stored.each_ref();
            let copy = |end: &OwnedFd| fd::duplicate(end.as_fd()).expect("a copy");
            let link = Link::from_ends(copy(master_end), copy(worker_end));
            (worker.id, Line::Conns(link))
        };
        let inheritance = Inheritance {
            lines: workers.iter().map(line).collect(),
            masters_died: 1,
            ..Inheritance::of_listeners(vec![copy_of(&self.listener)])
        };
        self.dispatch = start(inheritance, &self.vault, &self.counters);
    }

    fn totals(&self) -> [u64; 4] {
        let HerdEvent::Dispatched {
            accepted,
            handed,
            taken_back,
            closed,
        } = self.dispatch.totals()
        else {
            panic!("they are totals");
        };
        [accepted, handed, taken_back, closed]
    }

    fn wait_for_totals(&self, wanted: impl Fn([u64; 4]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !wanted(self.totals()) {
            assert!(Instant::now() < deadline, "{:?}", self.totals());
            std::thread::yield_now();
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.dispatch.stop();
    }
}

impl Actor {
    /// Receives one message, and answers each connection in it. Returns their numbers.
    fn serve(&self) -> Vec<u64> {
        let mut bytes = [0; MAX_BATCH * Record::SIZE];
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut fds = Vec::new();
            let end = self.end.as_fd();
            let received = socket::receive(end, &mut bytes, &mut fds, MAX_BATCH, Wait::DontWait);
            let Ok(received) = received else {
                assert!(Instant::now() < deadline, "nothing comes");
                std::thread::yield_now();
                continue;
            };
            // A probe comes alone.
            if fds.is_empty() {
                continue;
            }
            for connection in fds {
                let mut connection = TcpStream::from(connection);
                connection.write_all(b"served").expect("a client");
            }
            let records = bytes[..received.len].as_chunks::<{ Record::SIZE }>().0;
            let number = |chunk| Record::from_bytes(chunk).expect("a record").conn;
            return records.iter().map(number).collect();
        }
    }
}

fn read(mut client: TcpStream) -> String {
    client.set_read_timeout(Some(PATIENCE)).expect("a time");
    let mut text = String::new();
    client.read_to_string(&mut text).expect("an end");
    text
}

#[test]
fn r27_what_a_worker_has_not_received_is_taken_back_and_given_out_again() {
    let mut bench = bench();
    let one = bench.worker(1);
    let clients = [bench.connect(), bench.connect()];
    bench.wait_for_totals(|[_, handed, ..]| handed == 2);
    assert_eq!(bench.kill(), 0, "the master held nothing");
    bench.succeed(&[&one]);
    // The one that had them is not admitted again: it may hang.
    let two = bench.worker(2);
    let mut numbers = two.serve();
    if numbers.len() < 2 {
        numbers.extend(two.serve());
    }
    assert_eq!(numbers, [1, 2], "in order");
    for client in clients {
        assert_eq!(read(client), "served");
    }
    assert_eq!(bench.totals(), [2, 4, 2, 0]);
}

#[test]
fn r26_who_connects_between_two_masters_waits() {
    let mut bench = bench();
    let one = bench.worker(1);
    let before = bench.connect();
    let [first] = one.serve()[..] else {
        panic!("it was one");
    };
    assert_eq!(read(before), "served");
    bench.kill();
    let waiting = bench.connect();
    bench.succeed(&[&one]);
    bench.dispatch.tell(Command::Admit(one.id));
    let numbers = one.serve();
    assert!(numbers[0] > first, "no number is given twice");
    assert_eq!(read(waiting), "served");
}

#[test]
fn r27_what_the_dead_master_held_is_cut_and_counted_once() {
    let mut bench = bench();
    let one = bench.worker(1);
    let client = bench.connect();
    bench.wait_for_totals(|[_, handed, ..]| handed == 1);
    // Now it is in the master's hand.
    bench.dispatch.tell(Command::Hold(one.id));
    bench.wait_for_totals(|[_, _, taken_back, _]| taken_back == 1);
    assert_eq!(bench.kill(), 1);
    assert_eq!(read(client), "");
    assert_eq!(bench.counters.settle(), 0);
    bench.succeed(&[&one]);
    bench.dispatch.tell(Command::Admit(one.id));
    let next = bench.connect();
    one.serve();
    assert_eq!(read(next), "served");
    assert_eq!(bench.totals(), [2, 2, 1, 1]);
}

#[test]
fn r31_a_surrendering_thread_gives_everything_back() {
    let mut bench = bench();
    let one = bench.worker(1);
    let held = bench.connect();
    bench.wait_for_totals(|[_, handed, ..]| handed == 1);
    bench.dispatch.tell(Command::Hold(one.id));
    bench.wait_for_totals(|[_, _, taken_back, _]| taken_back == 1);
    let two = bench.worker(2);
    bench.wait_for_totals(|[_, handed, ..]| handed == 2);
    let queued = bench.connect();
    bench.wait_for_totals(|[_, handed, ..]| handed == 3);
    // What one holds, and what lies in the queue of the other.
    two.serve();
    assert_eq!(read(held), "served");
    bench.dispatch.tell(Command::Hold(two.id));
    bench.wait_for_totals(|[_, _, taken_back, _]| taken_back == 2);
    let remains = bench.dispatch.surrender().expect("it lives");
    assert_eq!(remains.hand.len(), 1);
    assert_eq!((remains.listeners.len(), remains.lines.len()), (1, 2));
    // While nobody is in charge, who connects waits.
    let waiting = bench.connect();
    bench.dispatch = start(remains, &bench.vault, &bench.counters);
    bench.dispatch.tell(Command::Admit(two.id));
    let mut served = two.serve().len();
    while served < 2 {
        served += two.serve().len();
    }
    assert_eq!(read(queued), "served");
    assert_eq!(read(waiting), "served");
    let [accepted, handed, taken_back, closed] = bench.totals();
    assert_eq!((accepted, closed), (3, 0));
    assert_eq!(accepted + taken_back, handed + closed);
}

#[test]
fn r34_a_thread_surrenders_once() {
    let mut bench = bench();
    bench.dispatch.surrender().expect("it lives");
    assert!(bench.dispatch.surrender().is_err());
}

//! Workers whose programs have an event loop of their own.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use herder_sys::epoll::{Epoll, Events, Interest};
use herder_wire::control::{ToMaster, ToWorker};

use super::shared::{connect, listener, worker as accepting};
use crate::worker::blocking::Worker;
use crate::worker::link::Timing;
use crate::worker::polling::Attempt;
use crate::worker::testing::{self, CALM, PATIENCE};
use crate::{Connection, Reason};

/// An event loop.
struct Loop {
    epoll: Epoll,
    worker: Worker,
}

impl Loop {
    fn new(worker: Worker) -> Loop {
        let epoll = Epoll::new().unwrap();
        epoll.add(worker.as_fd(), 0, Interest::READABLE).unwrap();
        Loop { epoll, worker }
    }

    /// Whether the worker's descriptor becomes readable in that time.
    fn is_readable(&self, within: Duration) -> bool {
        let mut events = Events::with_capacity(1);
        self.epoll.wait(&mut events, Some(within)).unwrap();
        !events.is_empty()
    }

    /// Everything that is there.
    fn take(&self) -> Vec<Connection> {
        let mut taken = Vec::new();
        loop {
            match self.worker.try_accept().unwrap() {
                Attempt::Connection(connection) => taken.push(connection),
                Attempt::Nothing { .. } => return taken,
                Attempt::Ended => panic!("after {} connections", taken.len()),
            }
        }
    }

    /// So many connections, taken whenever the descriptor is readable.
    fn wait_for(&self, count: usize) -> Vec<Connection> {
        let (deadline, mut taken) = (Instant::now() + PATIENCE, self.take());
        while taken.len() < count {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(self.is_readable(left), "only {} came", taken.len());
            taken.extend(self.take());
        }
        taken
    }

    /// Nothing keeps the loop awake that it has seen. (What it is told meanwhile may wake it a few times.)
    fn comes_to_rest(&self) {
        let woken = (0..10).find(|_| {
            assert!(self.take().is_empty());
            !self.is_readable(Duration::ZERO)
        });
        assert!(woken.is_some(), "it is woken without end");
    }

    fn ends(&self) {
        let deadline = Instant::now() + PATIENCE;
        while !matches!(self.worker.try_accept().unwrap(), Attempt::Ended) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(self.is_readable(left), "nothing more is said");
        }
    }
}

#[test]
fn the_descriptor_is_readable_while_somebody_waits_and_not_after() {
    let listener = listener();
    let (_master, worker) = accepting(&[&listener]);
    let turn = Loop::new(worker);
    for count in [1, 3, 40] {
        turn.comes_to_rest();
        let mut clients: Vec<TcpStream> = (0..count).map(|_| connect(&listener)).collect();
        let served = turn.wait_for(count);
        assert_eq!(served.len(), count);
        for mut connection in served {
            let early = connection.read(&mut [0]).unwrap_err();
            assert_eq!(early.kind(), ErrorKind::WouldBlock);
            connection.write_all(b"x").unwrap();
        }
        for client in &mut clients {
            client.read_exact(&mut [0]).unwrap();
        }
    }
}

#[test]
fn what_is_passed_is_taken_and_its_end_seen() {
    let (mut master, worker) = testing::pass(CALM);
    let turn = Loop::new(worker);
    assert!(turn.take().is_empty());
    master.wait_for(|said| matches!(said, ToMaster::Ready));
    for count in [1, 4, 2] {
        let clients = master.pass(count);
        let mut served = turn.wait_for(count);
        let early = served[0].read(&mut [0]).unwrap_err();
        assert_eq!(early.kind(), ErrorKind::WouldBlock);
        drop((served, clients));
        assert!(turn.take().is_empty());
    }
    let _last = master.pass(1);
    assert!(turn.is_readable(PATIENCE));
    assert_eq!(turn.wait_for(1).len(), 1);
    turn.worker.retire("enough");
    turn.ends();
    assert_eq!(turn.worker.draining().reason(), Some(Reason::Retired));
}

#[test]
fn the_masters_word_makes_the_descriptor_readable() {
    let listener = listener();
    let (master, worker) = accepting(&[&listener]);
    let turn = Loop::new(worker);
    assert!(turn.take().is_empty());
    let _client = connect(&listener);
    assert_eq!(turn.wait_for(1).len(), 1);
    master.tell(&ToWorker::Nudge);
    assert!(turn.is_readable(PATIENCE));
    turn.comes_to_rest();
    assert_eq!(turn.worker.handle().link().nudges(), 1);
}

#[test]
fn a_loop_that_comes_in_time_shows_that_it_lives() {
    let timing = Timing {
        beat: Some(Duration::from_millis(20)),
        ..CALM
    };
    let (mut master, worker) = testing::pass(timing);
    let turn = Loop::new(worker);
    let deadline = Instant::now() + PATIENCE;
    let mut beats = 0;
    while beats < 3 {
        assert!(Instant::now() < deadline, "{beats} beats");
        let Attempt::Nothing { within } = turn.worker.try_accept().unwrap() else {
            panic!("nobody came");
        };
        turn.is_readable(within.expect("the next beat"));
        let said = master.said();
        beats += said
            .iter()
            .filter(|said| matches!(said, ToMaster::Beat))
            .count();
    }
}

/// That is how the master knows who is busy, though nobody sees the loop wait.
#[test]
fn a_loop_that_waits_is_not_busy() {
    let (_master, worker) = testing::pass(CALM);
    let turn = Loop::new(worker);
    let end = Instant::now() + Duration::from_millis(200);
    while Instant::now() < end {
        assert!(turn.take().is_empty());
        turn.is_readable(Duration::from_millis(15));
    }
    let busy = turn.worker.handle().link().busy();
    assert!(busy < 500, "{busy} of 1000");
}

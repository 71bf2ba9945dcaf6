//! Connections that the master passes.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use herder_wire::control::{DrainReason, ToMaster, ToWorker};

use crate::worker::testing::{self, CALM};
use crate::{Peer, Reason, Stream};

const DRAIN: ToWorker = ToWorker::Drain {
    reason: DrainReason::Stop,
    grace_millis: 1000,
};

#[test]
fn connections_are_accepted_in_order_and_work() {
    let (mut master, worker) = testing::pass(CALM);
    for (number, mut client) in (0_u8..).zip(master.pass(3)) {
        let mut connection = worker.accept().unwrap().expect("not draining");
        assert_eq!(connection.listener(), 0);
        assert_eq!(connection.listener_name(), "unix:/run/test.sock");
        assert_eq!(connection.peer().unwrap(), Peer::Unix);
        client.write_all(&[number]).unwrap();
        let mut byte = [0];
        // Blocks until the byte is there, although the descriptor may come non-blocking.
        connection.read_exact(&mut byte).unwrap();
        assert_eq!(byte, [number]);
        connection.write_all(b"answer").unwrap();
        drop(connection);
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "answer");
    }
    assert_eq!(worker.counters().served(), 3);
    master.wait_for(|message| *message == ToMaster::Ready);
}

#[test]
fn a_tcp_connection_has_its_peer_and_its_listener() {
    let (master, worker) = testing::pass(CALM);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    master.pass_tcp(&listener.accept().unwrap().0);
    let connection = worker.accept().unwrap().unwrap();
    assert_eq!(
        connection.peer().unwrap(),
        Peer::Tcp(client.local_addr().unwrap())
    );
    assert_eq!(connection.listener_name(), "127.0.0.1:80");
    let (stream, guard) = connection.into_std();
    assert!(matches!(stream, Stream::Tcp(_)));
    assert_eq!((guard.listener(), worker.counters().open()), (1, 1));
    drop(guard);
    assert_eq!(worker.counters().open(), 0);
}

#[test]
fn a_probe_is_consumed_and_is_no_connection() {
    let (master, worker) = testing::pass(CALM);
    master.probe();
    master.probe();
    let _client = master.pass(1);
    assert!(worker.accept().unwrap().is_some());
    assert_eq!(master.unreceived(), 0);
}

#[test]
fn r24_the_next_message_is_received_only_when_the_last_was_used_up() {
    let (master, worker) = testing::pass(CALM);
    let _first = master.pass(2);
    let _second = master.pass(2);
    for left in [2, 2, 0, 0] {
        let _connection = worker.accept().unwrap().unwrap();
        assert_eq!(master.unreceived(), left);
    }
}

#[test]
fn what_was_not_received_is_left_for_the_master_when_the_worker_drains() {
    let (master, worker) = testing::pass(CALM);
    let _received = master.pass(2);
    let _left = master.pass(1);
    let _one = worker.accept().unwrap().unwrap();
    master.tell(&DRAIN);
    let _other = worker.accept().unwrap().expect("it was received before");
    worker.handle().link().read();
    assert!(worker.accept().unwrap().is_none());
    assert_eq!(master.unreceived(), 1);
    assert_eq!(worker.draining().reason(), Some(Reason::Stopped));
}

#[test]
fn the_end_of_the_channel_ends_nothing_until_the_master_says_drain() {
    let (mut master, worker) = testing::pass(CALM);
    let _client = master.pass(1);
    master.withdraw();
    assert!(
        worker.accept().unwrap().is_some(),
        "it lay there before the end"
    );
    let waiting = thread::spawn(move || worker.accept().map(|connection| connection.is_none()));
    master.tell(&DRAIN);
    assert!(waiting.join().unwrap().unwrap());
}

#[test]
fn a_worker_that_retires_says_so_once_and_takes_nothing_more() {
    let (mut master, worker) = testing::pass(CALM);
    let _client = master.pass(1);
    worker.retire("tired");
    worker.retire("very tired");
    assert!(worker.accept().unwrap().is_none());
    assert_eq!(master.unreceived(), 1);
    let said = master.said();
    let retire = |message: &&ToMaster| matches!(message, ToMaster::Retire { .. });
    assert_eq!(said.iter().filter(retire).count(), 1);
    assert!(said.contains(&ToMaster::Retire {
        reason: "tired".to_owned()
    }));
}

#[test]
fn r28_without_a_master_what_lies_in_the_channel_is_served_and_then_it_ends() {
    let (master, worker) = testing::pass(CALM);
    let _clients = (master.pass(1), master.pass(1));
    worker.handle().link().end(Reason::MasterGone);
    assert!(worker.accept().unwrap().is_some());
    assert!(worker.accept().unwrap().is_some());
    assert!(worker.accept().unwrap().is_none());
}

#[test]
fn a_message_that_is_none_is_an_error() {
    let (control, worker_control) = herder_sys::socket::seqpacket_pair().unwrap();
    let (conns, worker_end) = herder_sys::socket::seqpacket_pair().unwrap();
    let outlet = crate::worker::outlet::Outlet::channel(worker_control);
    let link = crate::worker::link::Link::new(testing::identity(), CALM, outlet, None).unwrap();
    let acceptor = crate::worker::acceptor::Acceptor::passed(&link, worker_end).unwrap();
    let worker = crate::Worker::new(std::sync::Arc::new(link), acceptor);
    herder_sys::socket::send(std::os::fd::AsFd::as_fd(&conns), b"nonsense", &[]).unwrap();
    assert!(worker.accept().is_err());
    drop(control);
}

//! Connections that workers accept from shared listeners.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use herder_sys::fd::duplicate;
use herder_sys::listener::{Address, BoundAddress, ListenOptions, Listener};
use herder_sys::socket;
use herder_wire::control::ToWorker;

use crate::worker::acceptor::Acceptor;
use crate::worker::blocking::Worker;
use crate::worker::link::{Identity, Link};
use crate::worker::outlet::Outlet;
use crate::worker::testing::{self, CALM, Master};

pub(super) fn listener() -> Listener {
    let address = Address::Tcp {
        host: Some("127.0.0.1"),
        port: 0,
    };
    Listener::bind(address, &ListenOptions::default()).unwrap()
}

pub(super) fn connect(listener: &Listener) -> TcpStream {
    match listener.local() {
        BoundAddress::Tcp(address) => TcpStream::connect(address).unwrap(),
        BoundAddress::Unix(_) => unreachable!("it is a TCP listener"),
    }
}

pub(super) fn worker(listeners: &[&Listener]) -> (Master, Worker) {
    let (control, worker_control) = socket::seqpacket_pair().unwrap();
    let names = listeners
        .iter()
        .map(|listener| listener.local().to_string())
        .collect();
    let identity = Identity {
        listeners: names,
        ..testing::identity()
    };
    let link = Link::new(identity, CALM, Outlet::channel(worker_control), None).unwrap();
    let sockets = listeners
        .iter()
        .map(|listener| duplicate(listener.as_fd()).unwrap())
        .collect();
    let acceptor = Acceptor::listening(&link, sockets).unwrap();
    let kept = duplicate(control.as_fd()).unwrap();
    (
        Master::new(control, None, kept),
        Worker::new(Arc::new(link), acceptor),
    )
}

#[test]
fn every_listener_is_served_beyond_the_point_where_it_is_watched_anew() {
    let (one, other) = (listener(), listener());
    let (_master, worker) = worker(&[&one, &other]);
    let mut seen = [0, 0];
    for round in 0..50 {
        let mut client = connect(if round % 3 == 0 { &other } else { &one });
        let mut connection = worker.accept().unwrap().unwrap();
        seen[connection.listener()] += 1;
        connection.write_all(b"x").unwrap();
        drop(connection);
        client.read_exact(&mut [0]).unwrap();
    }
    assert_eq!(seen, [33, 17]);
}

#[test]
fn two_workers_serve_everything_between_them() {
    let listener = listener();
    let (_masters, workers): (Vec<_>, Vec<_>) = (0..2).map(|_| worker(&[&listener])).unzip();
    let threads: Vec<_> = workers
        .iter()
        .cloned()
        .map(|worker| {
            thread::spawn(move || {
                let mut served = 0;
                while let Some(mut connection) = worker.accept().unwrap() {
                    connection.write_all(b"x").unwrap();
                    served += 1;
                }
                served
            })
        })
        .collect();
    for _ in 0..200 {
        connect(&listener).read_exact(&mut [0]).unwrap();
    }
    workers.iter().for_each(|worker| worker.retire("enough"));
    let served: u32 = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum();
    assert_eq!(served, 200);
}

#[test]
fn r25b_a_nudge_makes_a_worker_look_at_its_listeners() {
    let listener = listener();
    let (master, worker) = worker(&[&listener]);
    let _client = connect(&listener);
    let link = Arc::clone(worker.handle().link());
    master.tell(&ToWorker::Nudge);
    link.read();
    assert_eq!(link.nudges(), 1);
    assert!(worker.accept().unwrap().is_some());
}

/// As many as it takes until a listener would be watched anew.
#[test]
fn r26_what_a_worker_accepts_before_it_rests_wakes_nothing() {
    const CLIENTS: usize = 40;
    let listener = listener();
    let (master, worker) = worker(&[&listener]);
    let clients: Vec<_> = (0..CLIENTS).map(|_| connect(&listener)).collect();
    let link = Arc::clone(worker.handle().link());
    master.tell(&ToWorker::Pause);
    link.read();
    for _ in 0..CLIENTS {
        drop(worker.accept().unwrap().unwrap());
    }
    drop(clients);
    let accepting = thread::spawn(move || worker.accept().map(|it| it.is_some()));
    let mut left = connect(&listener);
    assert!(!is_answered(&mut left, SHORT));
    master.tell(&ToWorker::Resume);
    assert!(accepting.join().unwrap().unwrap());
}

#[test]
fn r26_a_worker_that_rests_leaves_the_queue_to_others_until_it_is_wanted_again() {
    let listener = listener();
    let (master, worker) = worker(&[&listener]);
    let accepting = thread::spawn({
        let worker = worker.clone();
        move || {
            let mut served = 0;
            while let Some(mut connection) = worker.accept().unwrap() {
                connection.write_all(b"x").unwrap();
                served += 1;
            }
            served
        }
    });
    connect(&listener).read_exact(&mut [0]).unwrap();
    master.tell(&ToWorker::Pause);
    // What the kernel had told the worker of, it takes, however late.
    let (mut answered, mut left) = (1, connect(&listener));
    while is_answered(&mut left, SHORT) || !listener.has_waiting() {
        answered += 1;
        // Some came before it was told to.
        assert!(answered < 1000, "it does not rest");
        left = connect(&listener);
    }
    // Another that died does not change that.
    master.tell(&ToWorker::Nudge);
    assert!(!is_answered(&mut left, SHORT));
    master.tell(&ToWorker::Resume);
    assert!(is_answered(&mut left, testing::PATIENCE));
    worker.retire("enough");
    assert_eq!(accepting.join().unwrap(), answered + 1);
}

const SHORT: Duration = Duration::from_millis(300);

fn is_answered(client: &mut TcpStream, within: Duration) -> bool {
    client.set_read_timeout(Some(within)).unwrap();
    client.read_exact(&mut [0]).is_ok()
}

#[test]
fn a_draining_worker_leaves_the_queue_to_others() {
    let listener = listener();
    let (_master, worker) = worker(&[&listener]);
    let _client = connect(&listener);
    worker.retire("enough");
    assert!(worker.accept().unwrap().is_none());
    assert!(listener.has_waiting());
}

#[test]
fn a_listener_that_was_shut_down_is_an_error() {
    let listener = listener();
    let (_master, worker) = worker(&[&listener]);
    socket::shutdown_both(listener.as_fd()).unwrap();
    assert!(worker.accept().is_err());
}

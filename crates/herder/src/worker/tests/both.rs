//! Connections of which some are passed and some accepted by the worker.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
#[cfg(feature = "tokio")]
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use herder_sys::epoll::{Epoll, Events, Interest};
use herder_sys::fd::duplicate;
use herder_sys::listener::{Address, BoundAddress, ListenOptions, Listener};
use herder_sys::socket;
use herder_wire::control::{DrainReason, ToWorker};

use crate::Reason;
use crate::worker::acceptor::Acceptor;
use crate::worker::blocking::Worker;
use crate::worker::link::{Identity, Link};
use crate::worker::outlet::Outlet;
use crate::worker::polling::Attempt;
use crate::worker::sources::Places;
use crate::worker::testing::{self, CALM, Master};

const UNIX: &str = "unix:/run/test.sock";

/// What a worker takes part in.
struct Stage {
    master: Master,
    worker: Worker,
    address: SocketAddr,
    /// The listener stays open, as with the master.
    _listener: Listener,
}

fn stage() -> Stage {
    let address = Address::Tcp {
        host: Some("127.0.0.1"),
        port: 0,
    };
    let listener = Listener::bind(address, &ListenOptions::default()).unwrap();
    let BoundAddress::Tcp(address) = *listener.local() else {
        unreachable!("it is a TCP listener");
    };
    let (control, worker_control) = socket::seqpacket_pair().unwrap();
    let (conns, worker_end) = socket::seqpacket_pair().unwrap();
    let kept = duplicate(worker_end.as_fd()).unwrap();
    let identity = Identity {
        listeners: vec![address.to_string(), UNIX.to_owned()],
        ..testing::identity()
    };
    let link = Link::new(identity, CALM, Outlet::channel(worker_control), None).unwrap();
    let places = Places {
        passed: vec![1],
        own: vec![0],
    };
    let sockets = vec![duplicate(listener.as_fd()).unwrap()];
    let acceptor = Acceptor::both(&link, worker_end, sockets, places).unwrap();
    Stage {
        master: Master::new(control, Some(conns), kept),
        worker: Worker::new(Arc::new(link), acceptor),
        address,
        _listener: listener,
    }
}

impl Stage {
    fn connect(&self, count: usize) -> Vec<TcpStream> {
        let connect = |_| TcpStream::connect(self.address).unwrap();
        (0..count).map(connect).collect()
    }

    /// The places of the listeners by which the next so many connections come.
    fn accept(&self, count: usize) -> Vec<usize> {
        let accept = |_| self.worker.accept().unwrap().expect("one waits").listener();
        (0..count).map(accept).collect()
    }
}

#[test]
fn a_connection_has_the_listener_it_came_by_whoever_accepted_it() {
    let stage = stage();
    let mut passed = stage.master.pass(1).remove(0);
    let mut connection = stage.worker.accept().unwrap().unwrap();
    assert_eq!(
        (connection.listener(), connection.listener_name()),
        (1, UNIX)
    );
    connection.write_all(b"passed").unwrap();
    drop(connection);
    assert_eq!(text_of(&mut passed), "passed");
    let mut own = stage.connect(1).remove(0);
    let mut connection = stage.worker.accept().unwrap().unwrap();
    let name = stage.address.to_string();
    assert_eq!(
        (connection.listener(), connection.listener_name()),
        (0, &*name)
    );
    connection.write_all(b"accepted").unwrap();
    drop(connection);
    assert_eq!(text_of(&mut own), "accepted");
}

#[test]
fn an_event_loop_gets_connections_from_both() {
    let stage = stage();
    let try_accept = || match stage.worker.try_accept().unwrap() {
        Attempt::Connection(connection) => Some(connection.listener()),
        Attempt::Nothing { .. } => None,
        Attempt::Ended => panic!("it is not told to leave"),
    };
    assert_eq!(try_accept(), None);
    let _clients = (stage.connect(2), stage.master.pass(2));
    let epoll = Epoll::new().unwrap();
    let poll = stage.worker.as_fd();
    epoll.add(poll, 0, Interest::READABLE).unwrap();
    let mut places = Vec::new();
    while places.len() < 4 {
        let mut events = Events::with_capacity(1);
        epoll.wait(&mut events, Some(testing::PATIENCE)).unwrap();
        assert!(!events.is_empty(), "only {places:?} came");
        places.extend(std::iter::from_fn(try_accept));
    }
    places.sort_unstable();
    assert_eq!(places, [0, 0, 1, 1]);
}

fn text_of(client: &mut impl Read) -> String {
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn neither_waits_for_the_other_to_be_empty() {
    let stage = stage();
    let _clients = (stage.connect(3), stage.master.pass(3));
    let mut places = stage.accept(6);
    assert!(
        places.windows(2).all(|pair| pair[0] != pair[1]),
        "{places:?}"
    );
    places.sort_unstable();
    assert_eq!(places, [0, 0, 0, 1, 1, 1]);
}

#[test]
fn a_worker_to_which_nothing_is_passed_any_more_accepts_who_waits() {
    let mut stage = stage();
    let _passed = stage.master.pass(1);
    stage.master.withdraw();
    assert_eq!(stage.accept(1), [1]);
    // Again and again: the end of the channel is no news, and must not keep the worker from waiting.
    for _ in 0..3 {
        let _client = stage.connect(1);
        assert_eq!(stage.accept(1), [0]);
    }
}

#[test]
fn r24_who_drains_serves_what_it_had_received_and_leaves_the_rest() {
    let stage = stage();
    let _passed = stage.master.pass(2);
    while stage.accept(1) == [0] {}
    let _waiting = stage.connect(2);
    let _more = stage.master.pass(1);
    stage.master.tell(&ToWorker::Drain {
        reason: DrainReason::Stop,
        grace_millis: 1000,
    });
    stage.worker.handle().link().read();
    assert_eq!(stage.accept(1), [1], "it was received with the first");
    assert!(stage.worker.accept().unwrap().is_none());
    assert_eq!(stage.master.unreceived(), 1);
}

#[test]
fn the_heir_of_a_channel_serves_what_lies_in_it_and_accepts_nobody() {
    let stage = stage();
    let _passed = stage.master.pass(2);
    let _waiting = stage.connect(2);
    let Stage { master, worker, .. } = stage;
    drop(master);
    worker.handle().link().read();
    assert_eq!(worker.draining().reason(), Some(Reason::MasterGone));
    for _ in 0..2 {
        assert_eq!(worker.accept().unwrap().unwrap().listener(), 1);
    }
    assert!(worker.accept().unwrap().is_none());
}

#[cfg(feature = "tokio")]
#[test]
fn tasks_get_connections_from_both() {
    use crate::worker::finish;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let Stage {
        mut master,
        worker,
        address,
        _listener,
    } = stage();
    let running = std::thread::spawn(move || {
        let body = |worker: crate::AsyncWorker| async move {
            let listener = worker.listener();
            while let Some(mut connection) = listener.accept().await.map_err(|e| e.to_string())? {
                let place = u8::try_from(connection.listener()).unwrap();
                let _question = connection.read_u8().await;
                let _answered = connection.write_all(&[place]).await;
            }
            Ok::<(), String>(())
        };
        crate::asynchronous::run::run(worker, None, Worker::into_async, body)
    });
    for _ in 0..3 {
        assert_eq!(ask(&mut master.pass(1)[0]), 1);
        assert_eq!(ask(&mut TcpStream::connect(address).unwrap()), 0);
    }
    master.withdraw();
    for _ in 0..3 {
        assert_eq!(ask(&mut TcpStream::connect(address).unwrap()), 0);
    }
    master.tell(&ToWorker::Drain {
        reason: DrainReason::Stop,
        grace_millis: 1000,
    });
    assert_ne!(running.join().unwrap(), finish::FAILED);
}

#[cfg(feature = "tokio")]
fn ask(client: &mut (impl Read + Write + Patient)) -> u8 {
    client.be_patient();
    client.write_all(&[0]).unwrap();
    let mut answer = [0];
    client.read_exact(&mut answer).unwrap();
    answer[0]
}

#[cfg(feature = "tokio")]
trait Patient {
    fn be_patient(&self);
}

#[cfg(feature = "tokio")]
impl Patient for TcpStream {
    fn be_patient(&self) {
        self.set_read_timeout(Some(testing::PATIENCE)).unwrap();
    }
}

#[cfg(feature = "tokio")]
impl Patient for UnixStream {
    fn be_patient(&self) {
        self.set_read_timeout(Some(testing::PATIENCE)).unwrap();
    }
}

//! A master for tests: the other ends of a worker's channels.

use std::io;
#[cfg(feature = "message")]
use std::os::fd::BorrowedFd;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use herder_sys::epoll::{Epoll, Events, Interest};
use herder_sys::fd::duplicate;
use herder_sys::socket::{self, Wait};
use herder_wire::control::{Decoder, ToMaster, ToWorker};
use herder_wire::record::{MAX_BATCH, Record, RecordKind};

use crate::worker::acceptor::Acceptor;
use crate::worker::blocking::Worker;
use crate::worker::link::{Identity, Link, Timing};
use crate::worker::outlet::Outlet;

/// Longer than anything takes that works.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// No heartbeat, so that what a worker sends is what the test made it send.
pub(crate) const CALM: Timing = Timing {
    beat: None,
    report: Duration::from_millis(10),
    grace: PATIENCE,
    close_timeout: Duration::from_millis(300),
    #[cfg(feature = "tokio")]
    close_rate: crate::worker::farewell::CLOSE_RATE,
};

pub(crate) struct Master {
    control: OwnedFd,
    /// `None` once withdrawn.
    conns: Option<OwnedFd>,
    /// The duplicate by which un-received connections are seen and taken back.
    worker_end: OwnedFd,
    decoder: Decoder<ToMaster>,
    epoll: Epoll,
}

/// Who the workers of tests are. What comes in by listener 0 is a Unix connection.
pub(crate) fn identity() -> Identity {
    Identity {
        app: "test".to_owned(),
        slot: 3,
        id: 7,
        master_pid: 1,
        listeners: vec!["unix:/run/test.sock".to_owned(), "127.0.0.1:80".to_owned()],
    }
}

/// A worker in `pass` mode and its master.
pub(crate) fn pass(timing: Timing) -> (Master, Worker) {
    let (control, worker_control) = socket::seqpacket_pair().unwrap();
    let (conns, worker_end) = socket::seqpacket_pair().unwrap();
    let kept = duplicate(worker_end.as_fd()).unwrap();
    let outlet = Outlet::channel(worker_control);
    let link = Arc::new(Link::new(identity(), timing, outlet, None).unwrap());
    let acceptor = Acceptor::passed(&link, worker_end).unwrap();
    let mut master = Master::new(control, Some(conns), kept);
    master.wait_for(|message| matches!(message, ToMaster::Hello { .. }));
    (master, Worker::new(link, acceptor))
}

impl Master {
    pub(crate) fn new(control: OwnedFd, conns: Option<OwnedFd>, worker_end: OwnedFd) -> Master {
        let epoll = Epoll::new().unwrap();
        epoll.add(control.as_fd(), 0, Interest::READABLE).unwrap();
        Master {
            control,
            conns,
            worker_end,
            decoder: Decoder::new(),
            epoll,
        }
    }

    pub(crate) fn tell(&self, message: &ToWorker) {
        let mut packet = Vec::new();
        message.encode(&mut packet).unwrap();
        socket::send(self.control.as_fd(), &packet, &[]).unwrap();
    }

    /// As [`tell`](Master::tell), with descriptors.
    #[cfg(feature = "message")]
    pub(crate) fn tell_with(&self, message: &ToWorker, descriptors: &[BorrowedFd<'_>]) {
        let mut packet = Vec::new();
        message.encode(&mut packet).unwrap();
        socket::send(self.control.as_fd(), &packet, descriptors).unwrap();
    }

    /// What the worker has said and nobody has heard yet.
    pub(crate) fn said(&mut self) -> Vec<ToMaster> {
        let (mut packet, mut none, mut said) = (vec![0; 65536], Vec::new(), Vec::new());
        loop {
            let control = self.control.as_fd();
            match socket::receive(control, &mut packet, &mut none, 0, Wait::DontWait) {
                Ok(got) if got.len == 0 => return said,
                Ok(got) => self.decoder.push(&packet[..got.len]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return said,
                Err(error) => panic!("{error}"),
            }
            while let Some(message) = self.decoder.next().unwrap() {
                said.push(message);
            }
        }
    }

    /// Hears the worker until it says this; returns everything up to then.
    pub(crate) fn wait_for(&mut self, wanted: impl Fn(&ToMaster) -> bool) -> Vec<ToMaster> {
        let (deadline, mut heard) = (Instant::now() + PATIENCE, Vec::new());
        loop {
            heard.extend(self.said());
            if heard.iter().any(&wanted) {
                return heard;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the worker only said {heard:?}");
            self.epoll
                .wait(&mut Events::with_capacity(1), Some(left))
                .unwrap();
        }
    }

    /// Passes so many connections in one message, and returns the clients' ends.
    pub(crate) fn pass(&self, count: usize) -> Vec<UnixStream> {
        assert!(count <= MAX_BATCH);
        let pairs: Vec<_> = (0..count).map(|_| UnixStream::pair().unwrap()).collect();
        let records: Vec<u8> = (1..=count as u64)
            .flat_map(|number| Record::connection(0, number).to_bytes())
            .collect();
        let servers: Vec<_> = pairs.iter().map(|(server, _)| server.as_fd()).collect();
        socket::send(self.conns().as_fd(), &records, &servers).unwrap();
        pairs.into_iter().map(|(_, client)| client).collect()
    }

    /// Passes one TCP connection that came in by listener 1.
    pub(crate) fn pass_tcp(&self, server: &std::net::TcpStream) {
        let record = Record::connection(1, 9).to_bytes();
        socket::send(self.conns().as_fd(), &record, &[server.as_fd()]).unwrap();
    }

    pub(crate) fn probe(&self) {
        let record = Record {
            kind: RecordKind::Probe,
            listener: 0,
            conn: 0,
        };
        socket::send(self.conns().as_fd(), &record.to_bytes(), &[]).unwrap();
    }

    /// How many records the worker has not received.
    pub(crate) fn unreceived(&self) -> usize {
        socket::unread_bytes(self.worker_end.as_fd()).unwrap() / Record::SIZE
    }

    pub(crate) fn withdraw(&mut self) {
        socket::shutdown_write(self.conns().as_fd()).unwrap();
        self.conns = None;
    }

    fn conns(&self) -> &OwnedFd {
        self.conns.as_ref().expect("not withdrawn")
    }
}

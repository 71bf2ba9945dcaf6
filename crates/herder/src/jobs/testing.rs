//! A gateway for tests: the other end of a worker's link.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use herder_sys::epoll::{Epoll, Events, Interest};
use herder_sys::fd::duplicate;
use herder_sys::memory;
use herder_sys::socket::{self, Wait};
use herder_wire::control::ToWorker;
use herder_wire::gateway::Protocol;
use herder_wire::link::{Body, Decoder, FromGateway, FromWorker, Kind, MAX_FRAME, MAX_MESSAGE};

use crate::JobWorker;
use crate::worker::link::Timing;
use crate::worker::testing::{self, Master, PATIENCE};

pub(crate) struct Gateway {
    socket: OwnedFd,
    /// The duplicate by which un-received jobs are taken back.
    worker_end: OwnedFd,
    epoll: Epoll,
    /// How many packets came.
    pub(crate) packets: usize,
}

/// A worker of jobs, its master, and its gateway.
pub(crate) fn linked(timing: Timing) -> (Master, Gateway, JobWorker) {
    let (master, worker) = testing::pass(timing);
    let worker = worker.into_job_worker().unwrap();
    let gateway = Gateway::join(&master);
    (master, gateway, worker)
}

impl Gateway {
    /// Has the master link the worker to a new gateway.
    pub(crate) fn join(master: &Master) -> Gateway {
        let (socket, worker_end) = socket::seqpacket_pair().unwrap();
        let epoll = Epoll::new().unwrap();
        epoll.add(socket.as_fd(), 0, Interest::READABLE).unwrap();
        let message = ToWorker::Link { gateway: 1 };
        master.tell_with(&message, &[worker_end.as_fd()]);
        Gateway {
            socket,
            worker_end: duplicate(worker_end.as_fd()).unwrap(),
            epoll,
            packets: 0,
        }
    }

    /// Gives the worker a text of client 5.
    pub(crate) fn give(&self, job: u64, text: &str) {
        self.give_to(Protocol::WebSocket, job, text);
    }

    pub(crate) fn give_to(&self, protocol: Protocol, job: u64, text: &str) {
        let body = Body::Inline(text.as_bytes().to_vec());
        self.send(&[job_of(protocol, job, Kind::Text, body)], None);
    }

    pub(crate) fn give_bytes(&self, job: u64, bytes: &[u8]) {
        let body = Body::Inline(bytes.to_vec());
        self.send(&[job_of(Protocol::WebSocket, job, Kind::Bytes, body)], None);
    }

    /// Gives the worker a message that lies in memory.
    pub(crate) fn give_memory(&self, job: u64, kind: Kind, bytes: &[u8]) {
        let memory = memory::sealed(bytes).unwrap();
        let length = u32::try_from(bytes.len()).unwrap();
        let body = Body::Memory { length };
        let job = job_of(Protocol::WebSocket, job, kind, body);
        self.send(&[job], Some(memory));
    }

    pub(crate) fn cancel(&self, job: u64) {
        self.send(&[FromGateway::Cancel { job }], None);
    }

    pub(crate) fn send(&self, messages: &[FromGateway], memory: Option<OwnedFd>) {
        let mut packet = Vec::new();
        for message in messages {
            message.encode(&mut packet).unwrap();
        }
        let memory = memory.as_ref().map(AsFd::as_fd);
        socket::send(self.socket.as_fd(), &packet, memory.as_slice()).unwrap();
    }

    /// Takes back what the worker has not received; returns the jobs of it.
    pub(crate) fn take_back(&self) -> Vec<u64> {
        let (mut packet, mut memory, mut jobs) = (vec![0; MAX_FRAME], Vec::new(), Vec::new());
        loop {
            let end = self.worker_end.as_fd();
            let got = socket::receive(end, &mut packet, &mut memory, 1, Wait::DontWait);
            let len = match got {
                Ok(got) => got.len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return jobs,
                Err(error) => panic!("{error}"),
            };
            let mut decoder = Decoder::<FromGateway>::new();
            decoder.push(&packet[..len]);
            while let Some(message) = decoder.next().unwrap() {
                if let FromGateway::Job { job, .. } = message {
                    jobs.push(job);
                }
            }
        }
    }

    /// Whether the worker has left something un-received.
    pub(crate) fn has_unreceived(&self) -> bool {
        socket::unread_bytes(self.worker_end.as_fd()).unwrap() > 0
    }

    /// What the worker has said and nobody has heard yet. Large replies are inline here.
    pub(crate) fn said(&mut self) -> Vec<FromWorker> {
        let (mut packet, mut said) = (vec![0; MAX_FRAME], Vec::new());
        loop {
            let (end, mut memory) = (self.socket.as_fd(), Vec::new());
            match socket::receive(end, &mut packet, &mut memory, 1, Wait::DontWait) {
                Ok(got) if got.len == 0 => return said,
                Ok(got) => {
                    self.packets += 1;
                    said.extend(read(&packet[..got.len], memory.pop()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return said,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Hears the worker until it says this; returns everything up to then.
    pub(crate) fn wait_for(&mut self, wanted: &FromWorker) -> Vec<FromWorker> {
        let mut heard = Vec::new();
        while !heard.contains(wanted) {
            let new = self.wait_for_any();
            if new.is_empty() {
                let last = heard.iter().map(shorten).collect::<Vec<_>>();
                panic!("the worker only said {last:?}");
            }
            heard.extend(new);
        }
        heard
    }

    /// Hears the worker until it says anything; nothing when it does not.
    pub(crate) fn wait_for_any(&mut self) -> Vec<FromWorker> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = self.said();
            let left = deadline.saturating_duration_since(Instant::now());
            if !said.is_empty() || left.is_zero() {
                return said;
            }
            let mut events = Events::with_capacity(1);
            self.epoll.wait(&mut events, Some(left)).unwrap();
        }
    }
}

/// A job of client 5.
pub(crate) fn job_of(protocol: Protocol, job: u64, kind: Kind, body: Body) -> FromGateway {
    FromGateway::Job {
        job,
        client: 5,
        protocol,
        kind,
        body,
    }
}

pub(crate) fn hello(started: u32) -> FromWorker {
    FromWorker::Hello {
        version: herder_wire::link::VERSION,
        started,
    }
}

pub(crate) fn started(job: u64) -> FromWorker {
    FromWorker::Started { job }
}

pub(crate) fn finished(job: u64) -> FromWorker {
    FromWorker::Finished { job }
}

pub(crate) fn failed(job: u64, error: &str) -> FromWorker {
    let error = error.to_owned();
    FromWorker::Failed { job, error }
}

pub(crate) fn replied(job: u64, text: &str) -> FromWorker {
    FromWorker::Reply {
        job,
        kind: Kind::Text,
        body: Body::Inline(text.as_bytes().to_vec()),
    }
}

pub(crate) fn replied_bytes(job: u64, bytes: &[u8]) -> FromWorker {
    FromWorker::Reply {
        job,
        kind: Kind::Bytes,
        body: Body::Inline(bytes.to_vec()),
    }
}

fn shorten(word: &FromWorker) -> String {
    format!("{word:?}").chars().take(60).collect()
}

fn read(packet: &[u8], memory: Option<OwnedFd>) -> Vec<FromWorker> {
    let (mut decoder, mut messages) = (Decoder::<FromWorker>::new(), Vec::new());
    decoder.push(packet);
    while let Some(mut message) = decoder.next().unwrap() {
        if let FromWorker::Reply { body, .. } = &mut message
            && let Body::Memory { length } = *body
        {
            let memory = memory.as_ref().expect("its memory is in the packet");
            let bytes = memory::read_sealed(memory.as_fd(), MAX_MESSAGE).unwrap();
            assert_eq!(bytes.len(), usize::try_from(length).unwrap());
            *body = Body::Inline(bytes);
        }
        messages.push(message);
    }
    messages
}

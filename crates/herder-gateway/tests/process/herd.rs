//! A gateway, its master, its workers and its clients.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread::{self, JoinHandle};

use herder_gateway::Gateway;
use herder_sys::socket::{self, Wait};
use herder_wire::control::{self, ToMaster};
use herder_wire::gateway::{self, GatewayConfig, Protocol, Reports, ToGateway};
use herder_wire::link::{self, Body, FromGateway, FromWorker, Kind, MAX_FRAME};

/// Lines, everything reported, and nothing that happens by the clock.
pub(crate) fn config() -> GatewayConfig {
    GatewayConfig {
        protocols: vec![Protocol::Lines],
        reports: Reports::EachJob,
        steal_after_millis: 3_600_000,
        ..GatewayConfig::default()
    }
}

/// A gateway, and the master's end of its channel.
pub(crate) struct Herd {
    control: OwnedFd,
    decoder: control::Decoder<ToMaster>,
    configuration: ToGateway,
    address: SocketAddr,
    gateway: JoinHandle<u8>,
}

impl Herd {
    pub(crate) fn start(config: GatewayConfig) -> Herd {
        Herd::told(ToGateway::Configure(Box::new(config)))
    }

    /// One that hears this about what it is.
    pub(crate) fn told(configuration: ToGateway) -> Herd {
        let (control, theirs) = socket::seqpacket_pair().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let gateway = Gateway {
            app: "test".into(),
            number: 0,
            incarnation: 1,
            control: theirs,
            listeners: vec![(address.to_string(), listener.into())],
            page: None,
        };
        Herd {
            control,
            decoder: control::Decoder::new(),
            configuration,
            address,
            gateway: thread::spawn(|| gateway.run()),
        }
    }

    /// Up to the open listener.
    pub(crate) fn boot(&mut self) {
        self.greeted();
        let (version, capabilities) = (gateway::VERSION, 0);
        let mut packet = encoded(&ToGateway::Welcome {
            version,
            capabilities,
        });
        packet.extend(encoded(&self.configuration));
        self.says_raw(&packet, &[]);
        assert_eq!(self.hears(), ToMaster::Ready);
        self.says(&ToGateway::Open);
    }

    pub(crate) fn greeted(&mut self) {
        assert!(matches!(self.hears(), ToMaster::Hello { .. }));
    }

    pub(crate) fn configure(&mut self) {
        self.says_raw(&encoded(&self.configuration), &[]);
    }

    pub(crate) fn worker(&mut self, worker: u64) -> Worker {
        let (slot, pid) = (0, 1);
        self.says(&ToGateway::Expect { worker, slot, pid });
        let (ours, theirs) = socket::seqpacket_pair().unwrap();
        let packet = encoded(&ToGateway::Link { worker });
        self.says_raw(&packet, &[ours.as_fd(), theirs.as_fd()]);
        self.says(&ToGateway::Admit { worker });
        let worker = Worker { link: theirs };
        let version = link::VERSION;
        assert_eq!(worker.hears(), Some(FromGateway::Hello { version }));
        worker.says(&FromWorker::Hello {
            version,
            started: 0,
        });
        worker
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn connect(&self) -> Client {
        Client(BufReader::new(TcpStream::connect(self.address).unwrap()))
    }

    pub(crate) fn says(&mut self, order: &ToGateway) {
        self.says_raw(&encoded(order), &[]);
    }

    pub(crate) fn says_raw(&self, packet: &[u8], fds: &[BorrowedFd<'_>]) {
        socket::send(self.control.as_fd(), packet, fds).unwrap();
    }

    /// The next news that is no count.
    pub(crate) fn hears(&mut self) -> ToMaster {
        loop {
            match self.decoder.next().unwrap() {
                Some(ToMaster::Counters { .. }) => {}
                Some(news) => return news,
                None => {
                    let packet = receive(self.control.as_fd());
                    assert!(!packet.is_empty(), "the gateway ended");
                    self.decoder.push(&packet);
                }
            }
        }
    }

    pub(crate) fn ends(self) -> u8 {
        self.gateway.join().unwrap()
    }

    pub(crate) fn loses_its_master(self) -> u8 {
        drop(self.control);
        self.gateway.join().unwrap()
    }
}

pub(crate) fn encoded(order: &ToGateway) -> Vec<u8> {
    let mut packet = Vec::new();
    order.encode(&mut packet).unwrap();
    packet
}

pub(crate) fn receive(from: BorrowedFd<'_>) -> Vec<u8> {
    let mut packet = vec![0; MAX_FRAME];
    let received = socket::receive(from, &mut packet, &mut Vec::new(), 0, Wait::Block).unwrap();
    packet.truncate(received.len);
    packet
}

pub(crate) struct Worker {
    link: OwnedFd,
}

impl Worker {
    pub(crate) fn says(&self, word: &FromWorker) {
        let mut packet = Vec::new();
        word.encode(&mut packet).unwrap();
        socket::send(self.link.as_fd(), &packet, &[]).unwrap();
    }

    pub(crate) fn hears(&self) -> Option<FromGateway> {
        let mut decoder = link::Decoder::new();
        decoder.push(&receive(self.link.as_fd()));
        decoder.next().unwrap()
    }

    pub(crate) fn job(&self) -> (u64, String) {
        let Some(FromGateway::Job { job, body, .. }) = self.hears() else {
            panic!("not a job");
        };
        let Body::Inline(bytes) = body else {
            panic!("a line is short");
        };
        (job, String::from_utf8(bytes).unwrap())
    }

    /// Answers the next job, and returns what it said.
    pub(crate) fn does_next(&self) -> String {
        let (job, words) = self.job();
        self.says(&FromWorker::Started { job });
        let kind = Kind::Text;
        let body = Body::Inline(format!("{words} back").into_bytes());
        self.says(&FromWorker::Reply { job, kind, body });
        self.says(&FromWorker::Finished { job });
        words
    }
}

pub(crate) struct Client(BufReader<TcpStream>);

impl Client {
    pub(crate) fn say(&mut self, line: &str) {
        self.0.get_mut().write_all(line.as_bytes()).unwrap();
        self.0.get_mut().write_all(b"\n").unwrap();
    }

    /// The next line; empty at the end, however it came.
    pub(crate) fn hears(&mut self) -> String {
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Ok(_) => line.trim_end().to_owned(),
            Err(_reset) => String::new(),
        }
    }
}

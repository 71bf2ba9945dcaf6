//! A whole gateway under a master that does what a test says: its clients speak lines.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use herder_gateway::Gateway;
use herder_sys::fd;
use herder_sys::socket::{self, Wait};
use herder_wire::control::{self, ToMaster};
use herder_wire::gateway::{self, GatewayConfig, Protocol, Reports, ToGateway};
use herder_wire::link::{self, Body, FromGateway, FromWorker, Kind, MAX_FRAME};

#[test]
fn a_life() {
    let mut herd = Herd::start(config());
    herd.boot();
    let worker = herd.worker(1);
    let mut client = herd.connect();
    client.say("hello");
    assert_eq!(herd.hears(), ToMaster::Dispatched { job: 1, worker: 1 });
    assert_eq!(worker.does_next(), "hello");
    assert_eq!(client.hears(), "hello back");

    let within_millis = 60_000;
    herd.says(&ToGateway::CloseListeners { within_millis });
    assert_eq!(herd.hears(), ToMaster::Empty);
    assert_eq!(client.hears(), "", "nothing is outstanding");
    drop(client);
    herd.says(&ToGateway::Withdraw { worker: 1 });
    assert_eq!(herd.hears(), ToMaster::Withdrawn { worker: 1 });
    let grace_millis = 60_000;
    herd.says(&ToGateway::Drain { grace_millis });
    assert_eq!(herd.ends(), 0);
    assert_eq!(worker.hears(), None, "the link ends with the gateway");
}

#[test]
fn clients_are_let_in_when_the_master_says_so() {
    let mut herd = Herd::start(config());
    let (version, capabilities) = (gateway::VERSION, 0);
    herd.greeted();
    herd.says(&ToGateway::Welcome {
        version,
        capabilities,
    });
    herd.configure();
    assert_eq!(herd.hears(), ToMaster::Ready);
    let worker = herd.worker(1);
    let mut client = herd.connect();
    client.say("early");
    // The next news would be of the job. That of the withdrawal comes first.
    herd.says(&ToGateway::Withdraw { worker: 9 });
    assert_eq!(herd.hears(), ToMaster::Withdrawn { worker: 9 });
    herd.says(&ToGateway::Open);
    assert_eq!(herd.hears(), ToMaster::Dispatched { job: 1, worker: 1 });
    assert_eq!(worker.does_next(), "early");
    assert_eq!(client.hears(), "early back");
    // A second time it changes nothing.
    herd.says(&ToGateway::Open);
    client.say("again");
    assert_eq!(worker.does_next(), "again");
}

#[test]
fn a_client_that_does_not_go_is_cut_off_when_the_time_is_over() {
    let mut herd = Herd::start(GatewayConfig {
        close_timeout_millis: 50,
        ..config()
    });
    herd.boot();
    let worker = herd.worker(1);
    let mut client = herd.connect();
    client.say("endless");
    let job = worker.job().0;
    worker.says(&FromWorker::Started { job });
    let grace_millis = 60_000;
    herd.says(&ToGateway::Drain { grace_millis });
    assert_eq!(herd.ends(), 0);
    assert_eq!(client.hears(), "");
}

#[test]
fn without_a_master_there_is_no_gateway() {
    let mut herd = Herd::start(config());
    herd.boot();
    let mut client = herd.connect();
    client.say("hello");
    let gone = Instant::now();
    assert_eq!(herd.loses_its_master(), 1);
    assert!(gone.elapsed() < Duration::from_secs(10), "promptly");
    assert_eq!(client.hears(), "");
}

#[test]
fn a_master_that_ends_at_once_is_no_reason_to_stay() {
    let herd = Herd::start(config());
    assert_eq!(herd.loses_its_master(), 1);
}

#[test]
fn a_master_that_breaks_the_protocol_is_left() {
    let nonsense = |herd: &mut Herd| herd.says_raw(&[0xff; 64], &[]);
    let half = |herd: &mut Herd| herd.says_raw(&[1, 0, 1], &[]);
    let long = |herd: &mut Herd| herd.says_raw(&vec![0; gateway::MAX_FRAME + 1], &[]);
    let again = |herd: &mut Herd| herd.configure();
    let poor = |herd: &mut Herd| herd.says(&ToGateway::Link { worker: 1 });
    let rich = |herd: &mut Herd| {
        let gift = fd::null().unwrap();
        herd.says_raw(&encoded(&ToGateway::Open), &[gift.as_fd()]);
    };
    let crowded = |herd: &mut Herd| {
        let gift = fd::null().unwrap();
        let mut packet = encoded(&ToGateway::Link { worker: 1 });
        packet.extend(encoded(&ToGateway::Open));
        herd.says_raw(&packet, &[gift.as_fd(), gift.as_fd()]);
    };
    let wrongs: [&dyn Fn(&mut Herd); 7] =
        [&nonsense, &half, &long, &again, &poor, &rich, &crowded];
    for wrong in wrongs {
        let mut herd = Herd::start(config());
        herd.boot();
        let mut client = herd.connect();
        wrong(&mut herd);
        assert_eq!(herd.ends(), 1);
        assert_eq!(client.hears(), "");
    }
}

#[test]
fn a_master_that_cannot_be_understood_is_not_followed() {
    let (version, capabilities) = (gateway::VERSION + 1, 0);
    let other_version = ToGateway::Welcome {
        version,
        capabilities,
    };
    let no_listener = ToGateway::Configure(Box::default());
    let version = gateway::VERSION;
    let welcome = ToGateway::Welcome {
        version,
        capabilities,
    };
    for words in [
        vec![other_version],
        vec![ToGateway::Open],
        vec![welcome.clone(), ToGateway::Open],
        vec![welcome, no_listener],
    ] {
        let mut herd = Herd::start(config());
        herd.greeted();
        for word in &words {
            herd.says(word);
        }
        assert_eq!(herd.ends(), 1, "{words:?}");
    }
}

/// Lines, everything reported, and nothing that happens by the clock.
fn config() -> GatewayConfig {
    GatewayConfig {
        protocols: vec![Protocol::Lines],
        reports: Reports::EachJob,
        steal_after_millis: 3_600_000,
        ..GatewayConfig::default()
    }
}

/// A gateway, and the master's end of its channel.
struct Herd {
    control: OwnedFd,
    decoder: control::Decoder<ToMaster>,
    config: GatewayConfig,
    address: std::net::SocketAddr,
    gateway: JoinHandle<u8>,
}

impl Herd {
    fn start(config: GatewayConfig) -> Herd {
        let (control, theirs) = socket::seqpacket_pair().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let gateway = Gateway {
            app: "test".into(),
            incarnation: 1,
            control: theirs,
            listeners: vec![(address.to_string(), listener.into())],
            page: None,
        };
        Herd {
            control,
            decoder: control::Decoder::new(),
            config,
            address,
            gateway: thread::spawn(|| gateway.run()),
        }
    }

    /// Up to the open listener.
    fn boot(&mut self) {
        self.greeted();
        let (version, capabilities) = (gateway::VERSION, 0);
        let mut packet = encoded(&ToGateway::Welcome {
            version,
            capabilities,
        });
        packet.extend(encoded(&self.configuration()));
        self.says_raw(&packet, &[]);
        assert_eq!(self.hears(), ToMaster::Ready);
        self.says(&ToGateway::Open);
    }

    fn greeted(&mut self) {
        assert!(matches!(self.hears(), ToMaster::Hello { .. }));
    }

    fn configure(&mut self) {
        self.says(&self.configuration());
    }

    fn configuration(&self) -> ToGateway {
        ToGateway::Configure(Box::new(self.config.clone()))
    }

    fn worker(&mut self, worker: u64) -> Worker {
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

    fn connect(&self) -> Client {
        Client(BufReader::new(TcpStream::connect(self.address).unwrap()))
    }

    fn says(&mut self, order: &ToGateway) {
        self.says_raw(&encoded(order), &[]);
    }

    fn says_raw(&mut self, packet: &[u8], fds: &[BorrowedFd<'_>]) {
        socket::send(self.control.as_fd(), packet, fds).unwrap();
    }

    /// The next news that is no count.
    fn hears(&mut self) -> ToMaster {
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

    fn ends(self) -> u8 {
        self.gateway.join().unwrap()
    }

    fn loses_its_master(self) -> u8 {
        drop(self.control);
        self.gateway.join().unwrap()
    }
}

fn encoded(order: &ToGateway) -> Vec<u8> {
    let mut packet = Vec::new();
    order.encode(&mut packet).unwrap();
    packet
}

fn receive(from: BorrowedFd<'_>) -> Vec<u8> {
    let mut packet = vec![0; MAX_FRAME];
    let received = socket::receive(from, &mut packet, &mut Vec::new(), 0, Wait::Block).unwrap();
    packet.truncate(received.len);
    packet
}

struct Worker {
    link: OwnedFd,
}

impl Worker {
    fn says(&self, word: &FromWorker) {
        let mut packet = Vec::new();
        word.encode(&mut packet).unwrap();
        socket::send(self.link.as_fd(), &packet, &[]).unwrap();
    }

    fn hears(&self) -> Option<FromGateway> {
        let mut decoder = link::Decoder::new();
        decoder.push(&receive(self.link.as_fd()));
        decoder.next().unwrap()
    }

    fn job(&self) -> (u64, String) {
        let Some(FromGateway::Job { job, body, .. }) = self.hears() else {
            panic!("not a job");
        };
        let Body::Inline(bytes) = body else {
            panic!("a line is short");
        };
        (job, String::from_utf8(bytes).unwrap())
    }

    /// Answers the next job, and returns what it said.
    fn does_next(&self) -> String {
        let (job, words) = self.job();
        self.says(&FromWorker::Started { job });
        let kind = Kind::Text;
        let body = Body::Inline(format!("{words} back").into_bytes());
        self.says(&FromWorker::Reply { job, kind, body });
        self.says(&FromWorker::Finished { job });
        words
    }
}

struct Client(BufReader<TcpStream>);

impl Client {
    fn say(&mut self, line: &str) {
        self.0.get_mut().write_all(line.as_bytes()).unwrap();
        self.0.get_mut().write_all(b"\n").unwrap();
    }

    /// The next line; empty at the end, however it came.
    fn hears(&mut self) -> String {
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Ok(_) => line.trim_end().to_owned(),
            Err(_reset) => String::new(),
        }
    }
}

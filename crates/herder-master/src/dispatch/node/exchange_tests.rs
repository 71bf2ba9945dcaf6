//! Who gets which listener.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;

use herder_core::rotation::Steering;
use herder_wire::node::{AddressType, DEFAULT_BACKLOG};

use super::*;
use crate::dispatch::safe::Safe;

const ONE: Incarnation = Incarnation(1);
const TWO: Incarnation = Incarnation(2);

struct Desk {
    _safe: Safe,
    exchange: Exchange,
    epoll: Epoll,
}

fn worker(life: Incarnation) -> WorkerId {
    let slot = u16::try_from(life.0).expect("a few");
    WorkerId {
        slot: herder_core::Slot(slot),
        incarnation: life,
    }
}

fn desk(scheduling: Scheduling) -> Desk {
    let spec = DispatchSpec {
        recall: herder_core::spec::Recall::Verdict,
        ..DispatchSpec::default()
    };
    let (safe, vault) = Safe::new();
    Desk {
        _safe: safe,
        exchange: Exchange::new(
            (scheduling, GroupSpec::usual(Steering::Program)),
            &spec,
            1 << 32,
            vault,
        ),
        epoll: Epoll::new().expect("epoll"),
    }
}

fn tcp(port: u16, index: u64) -> Query {
    Query {
        index,
        data: None,
        address: Some(Ipv4Addr::LOCALHOST.to_string()),
        port: Some(port.into()),
        address_type: Some(AddressType::Number(4)),
        fd: None,
        flags: 0,
        backlog: DEFAULT_BACKLOG,
        readable_all: false,
        writable_all: false,
    }
}

fn unix(path: &Path) -> Query {
    Query {
        address: path.to_str().map(str::to_owned),
        port: Some(-1),
        address_type: Some(AddressType::Number(-1)),
        ..tcp(0, 0)
    }
}

fn path(name: &str) -> std::path::PathBuf {
    std::env::temp_dir().join(format!("herder-exchange-{name}-{}", std::process::id()))
}

impl Desk {
    fn ask(&mut self, worker: Incarnation, query: &Query) -> Result<u64, i32> {
        match self.exchange.ask(worker, query, &self.epoll) {
            Answer::Joined(key) | Answer::Opened(key) => Ok(key),
            Answer::Refused(refusal) => Err(refusal.errno),
        }
    }

    /// Asks until it gives: the keeper lets go of what was closed some moments later.
    fn ask_soon(&mut self, worker: Incarnation, query: &Query) -> Result<u64, i32> {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        loop {
            let asked = self.ask(worker, query);
            let is_over = std::time::Instant::now() > deadline;
            if asked != Err(libc_errno::IN_USE) || !self.exchange.passes_soon(query) || is_over {
                return asked;
            }
        }
    }

    fn address(&self, key: u64) -> SocketAddr {
        self.exchange.ports[&key].address.expect("it is TCP")
    }
}

#[test]
fn equal_questions_mean_one_listener() {
    let mut desk = desk(Scheduling::Passed);
    let key = desk.ask(ONE, &tcp(0, 0)).expect("a free port");
    assert_eq!(desk.ask(TWO, &tcp(0, 0)), Ok(key));
    let other = desk.ask(ONE, &tcp(0, 1)).expect("a free port");
    assert_ne!(desk.address(key), desk.address(other));
    let port = desk.address(key).port();
    assert_eq!(desk.ask(ONE, &tcp(port, 0)), Err(libc_errno::IN_USE));
}

#[test]
fn a_worker_has_a_listener_once() {
    for scheduling in [Scheduling::Own, Scheduling::Passed, Scheduling::Shared] {
        let mut desk = desk(scheduling);
        let free = desk.ask(ONE, &tcp(0, 0)).expect("a free port");
        let port = desk.address(free).port();
        desk.exchange.close(free, &desk.epoll);
        let key = desk.ask(ONE, &tcp(port, 0)).expect("it is free again");
        assert_eq!(desk.ask(ONE, &tcp(port, 1)), Err(libc_errno::IN_USE));
        assert_eq!(
            desk.ask(TWO, &tcp(port, 9)),
            Ok(key),
            "the index says nothing"
        );
    }
}

#[test]
fn a_worker_has_a_udp_socket_twice_if_it_says_so() {
    let udp = |port: u16, flags: u32| Query {
        address_type: Some(AddressType::Udp4),
        flags,
        ..tcp(port, 0)
    };
    let mut desk = desk(Scheduling::Passed);
    let free = desk.ask(ONE, &udp(0, 0)).expect("a free port");
    let port = desk.address(free).port();
    desk.exchange.close(free, &desk.epoll);
    let reuse = 4;
    let first = desk
        .ask_soon(ONE, &udp(port, reuse))
        .expect("it is free again");
    let second = desk.ask(ONE, &udp(port, reuse)).expect("it is shared");
    assert_ne!(first, second);
    // Another worker has both of them, and no third one.
    assert_eq!(desk.ask(TWO, &udp(port, reuse)), Ok(first));
    assert_eq!(desk.ask(TWO, &udp(port, reuse)), Ok(second));
    assert_eq!(desk.ask(ONE, &udp(port, 0)), Err(libc_errno::IN_USE));
}

#[test]
fn the_first_workers_data_is_everybodys() {
    let mut desk = desk(Scheduling::Passed);
    let with = |data: &str| Query {
        data: Json::parse(data).ok(),
        ..tcp(0, 0)
    };
    let key = desk.ask(ONE, &with("1")).expect("a free port");
    assert_eq!(desk.ask(TWO, &with("2")), Ok(key));
    let data = desk.exchange.ports[&key].data.as_ref();
    assert_eq!(data.map(Json::as_str), Some("1"));
    let Answer::Refused(refusal) = desk.exchange.ask(TWO, &with("2"), &desk.epoll) else {
        panic!("it has it already");
    };
    assert_eq!(refusal.data.as_ref().map(Json::as_str), Some("1"));
}

#[test]
fn a_listener_outlives_its_workers() {
    let mut desk = desk(Scheduling::Passed);
    let key = desk.ask(ONE, &tcp(0, 0)).expect("a free port");
    let address = desk.address(key);
    desk.exchange.forget(worker(ONE), Tick::ZERO);
    TcpStream::connect(address).expect("it listens still");
    assert_eq!(desk.ask(TWO, &tcp(0, 0)), Ok(key));
    assert!(
        desk.exchange.leave(worker(TWO), key, Tick::ZERO),
        "it was the last"
    );
    desk.exchange.close(key, &desk.epoll);
    assert!(TcpStream::connect(address).is_err());
}

/// As when a program listens at a port of each worker's own: its successors never ask for it.
#[test]
fn what_nobody_asks_for_again_is_closed_in_the_end() {
    let mut desk = desk(Scheduling::Passed);
    let common = desk.ask(ONE, &tcp(0, 0)).expect("a free port");
    let own = desk.ask(ONE, &tcp(0, 1)).expect("a free port");
    let died = Tick::from_micros(1_000_000);
    let late = died.after(PATIENCE);
    desk.exchange.forget(worker(ONE), died);
    assert_eq!(desk.exchange.next_abandoned(), None);
    assert!(
        desk.exchange.abandoned(late).is_empty(),
        "all may be about to come back"
    );
    assert_eq!(desk.ask(TWO, &tcp(0, 0)), Ok(common));
    assert_eq!(desk.exchange.next_abandoned(), Some(late));
    assert!(desk.exchange.abandoned(died).is_empty(), "not yet");
    assert_eq!(desk.exchange.abandoned(late), [own]);
    assert_eq!(desk.ask(TWO, &tcp(0, 1)), Ok(own));
    assert!(desk.exchange.abandoned(late).is_empty(), "it has somebody");
}

#[test]
fn not_many_listeners_wait_for_somebody() {
    let mut desk = desk(Scheduling::Shared);
    let common = desk.ask(TWO, &tcp(0, 0)).expect("a free port");
    let mut all = Vec::new();
    for index in 1..=MAX_ORPHANS as u64 + 2 {
        let life = Incarnation(index + 2);
        all.push(desk.ask(life, &tcp(0, index)).expect("a free port"));
        desk.exchange.forget(worker(life), Tick::from_micros(index));
    }
    let now = Tick::from_micros(1_000);
    assert_eq!(desk.exchange.abandoned(now), all[..2], "the oldest go");
    assert!(desk.exchange.keys_of(TWO).contains(&common));
}

#[test]
fn who_still_has_a_listener_keeps_it() {
    let mut desk = desk(Scheduling::Passed);
    let key = desk.ask(ONE, &tcp(0, 0)).expect("a free port");
    assert_eq!(desk.ask(TWO, &tcp(0, 0)), Ok(key));
    assert!(!desk.exchange.leave(worker(ONE), key, Tick::ZERO));
    assert!(
        !desk.exchange.leave(worker(ONE), key, Tick::ZERO),
        "it had left already"
    );
    assert_eq!(desk.exchange.keys_of(TWO), [key]);
    assert!(desk.exchange.keys_of(ONE).is_empty());
}

#[test]
fn what_nobody_has_any_more_makes_way() {
    let mut desk = desk(Scheduling::Passed);
    let old = desk.ask(ONE, &tcp(0, 0)).expect("a free port");
    let port = desk.address(old).port();
    assert_eq!(desk.ask(TWO, &tcp(port, 0)), Err(libc_errno::IN_USE));
    desk.exchange.forget(worker(ONE), Tick::ZERO);
    let new = desk
        .ask(TWO, &tcp(port, 0))
        .expect("nobody has the old one");
    assert_ne!(new, old);
    assert!(!desk.exchange.ports.contains_key(&old));
}

#[test]
fn a_shared_listener_is_bound_and_does_not_listen() {
    let mut desk = desk(Scheduling::Shared);
    let key = desk.ask(ONE, &tcp(0, 0)).expect("a free port");
    assert!(TcpStream::connect(desk.address(key)).is_err());
    assert!(desk.exchange.dispatcher(key).is_none());
}

#[test]
fn a_socket_file_goes_with_its_listener() {
    let path = path("file");
    let mut desk = desk(Scheduling::Passed);
    let key = desk.ask(ONE, &unix(&path)).expect("a free path");
    assert!(path.exists());
    desk.exchange.close(key, &desk.epoll);
    assert!(!path.exists());
}

#[test]
fn a_file_of_somebody_elses_stays() {
    let path = path("other");
    let mut desk = desk(Scheduling::Passed);
    let key = desk.ask(ONE, &unix(&path)).expect("a free path");
    std::fs::remove_file(&path).expect("ours");
    std::fs::write(&path, "another").expect("a file");
    desk.exchange.close(key, &desk.epoll);
    assert!(path.exists());
    assert_eq!(desk.ask(ONE, &unix(&path)), Err(libc_errno::IN_USE));
    std::fs::remove_file(&path).expect("ours");
}

#[test]
fn errors_are_nodes() {
    let mut desk = desk(Scheduling::Passed);
    let missing = Path::new("/no/such/directory/socket");
    assert_eq!(desk.ask(ONE, &unix(missing)), Err(libc_errno::ACCESS));
    let descriptor = |fd: i32| Query {
        address: None,
        port: None,
        address_type: None,
        fd: Some(fd),
        ..tcp(0, 0)
    };
    for fd in [0, 1, 2, 3, 99] {
        let asked = desk.ask(ONE, &descriptor(fd));
        assert_eq!(asked, Err(libc_errno::INVALID), "{fd}");
    }
    let elsewhere = Query {
        address: Some("192.0.2.1".into()),
        ..tcp(0, 0)
    };
    assert_eq!(desk.ask(ONE, &elsewhere), Err(99), "EADDRNOTAVAIL");
    let nonsense = Query {
        address: Some("nonsense".into()),
        ..tcp(0, 0)
    };
    assert_eq!(desk.ask(ONE, &nonsense), Err(libc_errno::INVALID));
}

#[test]
fn a_worker_has_so_many_listeners_and_no_more() {
    let mut desk = desk(Scheduling::Shared);
    for index in 0..MAX_PORTS as u64 {
        desk.ask(ONE, &tcp(0, index)).expect("a free port");
    }
    let next = MAX_PORTS as u64;
    assert_eq!(
        desk.ask(ONE, &tcp(0, next)),
        Err(libc_errno::TOO_MANY_FILES)
    );
    assert!(desk.ask(TWO, &tcp(0, next)).is_ok());
}

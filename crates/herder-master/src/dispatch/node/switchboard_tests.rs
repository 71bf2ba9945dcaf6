//! A dispatch thread, with workers that do and say what the test wants.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use herder_core::Slot;
use herder_core::rotation::Steering;
use herder_sys::socket::{self, Wait};

use super::super::Scheduling;
use super::*;
use crate::dispatch::safe::Safe;
use crate::dispatch::{Counters, Dispatch, GroupSpec, NodeEnds, Trade};

const PATIENCE: Duration = Duration::from_secs(10);

struct Bench {
    safe: Safe,
    vault: Vault,
    counters: Counters,
    spec: DispatchSpec,
    scheduling: Scheduling,
    dispatch: Dispatch,
    news: VecDeque<News>,
}

/// A worker in the hand of the test.
struct Actor {
    id: WorkerId,
    end: UnixStream,
    rest: Vec<u8>,
    descriptors: VecDeque<OwnedFd>,
    /// The master's end, which its keeper has, too.
    stored: OwnedFd,
    lane: Option<lanes::LaneEnd>,
}

#[path = "switchboard_faults.rs"]
mod faults;
#[path = "switchboard_heirs.rs"]
mod heirs;
#[path = "switchboard_lanes.rs"]
mod lanes;
#[path = "switchboard_quays.rs"]
mod quays;
#[path = "switchboard_words.rs"]
mod words;

fn counters() -> Counters {
    let page = herder_sys::page::SharedPage::private().expect("memory");
    Counters::in_page(std::sync::Arc::new(page))
}

fn bench() -> Bench {
    bench_with(&DispatchSpec::default())
}

fn bench_with(spec: &DispatchSpec) -> Bench {
    Bench::start(spec, Scheduling::Passed, None, Vec::new())
}

impl Bench {
    fn start(
        spec: &DispatchSpec,
        scheduling: Scheduling,
        gift: Option<UserValue>,
        listeners: Vec<Listener>,
    ) -> Bench {
        let trade = Trade::Node(NodeTrade {
            scheduling,
            group: GroupSpec::usual(Steering::Program),
            gift,
            counting: Counting::No,
        });
        let (safe, vault) = Safe::new();
        let counters = counters();
        let inheritance = Inheritance::of_listeners(listeners);
        let dispatch = Dispatch::start(spec, inheritance, trade, &vault, counters.clone());
        Bench {
            dispatch: dispatch.expect("it starts"),
            safe,
            vault,
            counters,
            spec: spec.clone(),
            scheduling,
            news: VecDeque::new(),
        }
    }

    /// A worker that listens, and its listener.
    fn listening(&mut self, id: u16) -> (Actor, SocketAddr) {
        let mut actor = self.worker(id);
        actor.say(r#"{"cmd":"NODE_CLUSTER","act":"online","seq":0}"#);
        let address = actor.listen().expect("a free port");
        (actor, address)
    }

    fn worker(&mut self, id: u16) -> Actor {
        self.worker_with(id, None)
    }

    /// A worker with or without a lane, of which the master has this end.
    fn worker_with(&mut self, id: u16, lane: Option<OwnedFd>) -> Actor {
        let (channel, theirs) = socket::stream_pair().expect("a pair");
        let id = WorkerId {
            slot: Slot(id),
            incarnation: Incarnation(id.into()),
        };
        let stored = herder_sys::fd::duplicate(channel.as_fd()).expect("a descriptor");
        self.order(id, Order::Attach(NodeEnds { channel, lane }));
        self.dispatch.tell(Command::Admit(id));
        let end = UnixStream::from(theirs);
        end.set_read_timeout(Some(PATIENCE)).expect("a time");
        Actor {
            id,
            end,
            rest: Vec::new(),
            descriptors: VecDeque::new(),
            stored,
            lane: None,
        }
    }

    fn order(&self, worker: WorkerId, order: Order) {
        self.dispatch.tell(Command::Node(worker, order));
    }

    /// Waits for news that `wanted` takes.
    fn wait<T>(&mut self, what: &str, mut wanted: impl FnMut(&News) -> Option<T>) -> T {
        let epoll = Epoll::new().expect("epoll");
        epoll
            .add(self.dispatch.news_fd(), 1, Interest::READABLE)
            .expect("it is open");
        let (deadline, mut events) = (Instant::now() + PATIENCE, Events::with_capacity(1));
        loop {
            self.news.extend(self.dispatch.news());
            while let Some(news) = self.news.pop_front() {
                if let Some(found) = wanted(&news) {
                    return found;
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no {what}");
            epoll.wait(&mut events, Some(left)).expect("it waits");
        }
    }

    fn wait_for_word(&mut self, of: WorkerId, wanted: &Word) {
        self.wait(&format!("{wanted:?}"), |news| {
            let is_it = matches!(news, News::Node(NodeNews::Word(worker, word))
                if *worker == of && word == wanted);
            is_it.then_some(())
        });
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.dispatch.stop();
    }
}

impl Actor {
    fn say(&mut self, line: &str) {
        writeln!(self.end, "{line}").expect("the master reads");
    }

    /// The next line of the master's.
    fn hear(&mut self) -> String {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return String::from_utf8(line).expect("text");
            }
            let (mut bytes, mut fds) = (vec![0; 65_536], Vec::new());
            let fd = self.end.as_fd();
            let received = socket::receive(fd, &mut bytes, &mut fds, 4, Wait::Block);
            let length = received.expect("the master speaks").len;
            assert!(length > 0, "the channel has ended");
            self.rest.extend(&bytes[..length]);
            self.descriptors.extend(fds);
        }
    }

    /// Asks for a listener whose port the kernel chooses.
    fn listen(&mut self) -> Option<SocketAddr> {
        self.say(
            r#"{"cmd":"NODE_CLUSTER","act":"queryServer","index":0,"data":null,"address":"127.0.0.1","port":0,"addressType":4,"seq":1}"#,
        );
        let reply = self.hear();
        assert!(reply.contains(r#""ack":1"#), "{reply}");
        let port = number(&reply, "\"port\":")?;
        Some(([127, 0, 0, 1], u16::try_from(port).ok()?).into())
    }

    /// Waits for a connection, and returns its number.
    fn wait_for_connection(&mut self) -> u64 {
        let line = self.hear();
        assert!(line.contains("newconn"), "{line}");
        number(&line, "\"seq\":").expect("a number")
    }

    fn acknowledge(&mut self) {
        self.say(r#"{"cmd":"NODE_HANDLE_ACK"}"#);
    }

    fn decide(&mut self, seq: u64, accepted: bool) {
        self.say(&format!(
            r#"{{"cmd":"NODE_CLUSTER","ack":{seq},"accepted":{accepted},"seq":5}}"#
        ));
    }

    /// Takes the oldest connection that came and answers on it.
    fn answer(&mut self, seq: u64, text: &str) {
        let connection = self.descriptors.pop_front().expect("it came");
        self.acknowledge();
        self.decide(seq, true);
        TcpStream::from(connection)
            .write_all(text.as_bytes())
            .expect("the client is there");
    }
}

fn number(line: &str, after: &str) -> Option<u64> {
    let rest = line.split(after).nth(1)?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// What a client reads until the end.
fn read(mut client: TcpStream) -> String {
    client.set_read_timeout(Some(PATIENCE)).expect("a time");
    let mut text = String::new();
    client.read_to_string(&mut text).expect("an end");
    text
}

#[test]
fn r23_what_a_dead_worker_had_not_decided_about_goes_to_another() {
    let mut bench = bench();
    let (mut one, address) = bench.listening(1);
    let client = TcpStream::connect(address).expect("it listens");
    one.wait_for_connection();
    one.acknowledge();
    let (mut two, same) = bench.listening(2);
    assert_eq!(same, address);
    let dead = one.id;
    drop(one);
    let seq = two.wait_for_connection();
    two.answer(seq, "two");
    assert_eq!(read(client), "two");
    bench.wait_for_word(dead, &Word::Ended(Afterlife::None));
}

#[test]
fn r24_a_connection_that_was_taken_is_given_to_nobody_else() {
    let mut bench = bench();
    let (mut one, address) = bench.listening(1);
    let client = TcpStream::connect(address).expect("it listens");
    let seq = one.wait_for_connection();
    one.acknowledge();
    one.decide(seq, true);
    let (mut two, _) = bench.listening(2);
    drop(one);
    assert_eq!(read(client), "", "it is closed with its worker");
    let next = TcpStream::connect(address).expect("it listens");
    let seq = two.wait_for_connection();
    two.answer(seq, "next");
    assert_eq!(read(next), "next");
}

/// Its verdict is not heard: it broke the protocol before, and takes what it was given all the same.
#[test]
fn r24_what_a_worker_has_touched_is_given_to_nobody_else_whatever_it_said() {
    let mut bench = bench();
    let (mut one, address) = bench.listening(1);
    let touched = TcpStream::connect(address).expect("it listens");
    one.wait_for_connection();
    let untouched = TcpStream::connect(address).expect("it listens");
    one.wait_for_connection();
    one.say("");
    let problem = "it wrote a line that no Node writes: blank line".to_owned();
    bench.wait_for_word(one.id, &Word::Broken(problem));
    let taken = one.descriptors.pop_front().expect("it came");
    TcpStream::from(taken).write_all(b"one").expect("room");
    let (mut two, _) = bench.listening(2);
    bench.dispatch.tell(Command::Gone(one.id));
    drop(one);
    assert_eq!(read(touched), "one");
    let seq = two.wait_for_connection();
    two.answer(seq, "two");
    assert_eq!(read(untouched), "two");
}

#[test]
fn r23_what_a_dead_worker_leaves_goes_to_others_in_the_order_in_which_it_came() {
    let mut bench = bench();
    let (mut one, address) = bench.listening(1);
    let mut connect = || {
        let client = TcpStream::connect(address).expect("it listens");
        (client, one.wait_for_connection())
    };
    let [(eldest, rejected), (taken, accepted), (youngest, _)] = [(); 3].map(|()| connect());
    // The eldest comes back, and is given again with the highest number.
    one.acknowledge();
    one.descriptors.pop_front();
    one.decide(rejected, false);
    one.answer(accepted, "taken");
    assert_eq!(read(taken), "taken");
    one.wait_for_connection();
    drop(one);
    let (mut two, _) = bench.listening(2);
    for (client, text) in [(eldest, "eldest"), (youngest, "youngest")] {
        let seq = two.wait_for_connection();
        two.answer(seq, text);
        assert_eq!(read(client), text);
    }
}

#[test]
fn what_is_rejected_or_lost_goes_to_another() {
    for lost in [false, true] {
        let mut bench = bench();
        let (mut one, address) = bench.listening(1);
        let (mut two, _) = bench.listening(2);
        let client = TcpStream::connect(address).expect("it listens");
        let seq = one.wait_for_connection();
        one.descriptors.clear();
        if lost {
            one.say(r#"{"cmd":"NODE_HANDLE_NACK"}"#);
        } else {
            one.acknowledge();
            one.decide(seq, false);
        }
        let again = two.wait_for_connection();
        assert_ne!(again, seq);
        // Verdicts on what it does not have any more, or never had.
        for seq in [seq, again, 1_000_000] {
            one.decide(seq, true);
            one.decide(seq, false);
        }
        two.answer(again, "two");
        assert_eq!(read(client), "two");
    }
}

#[test]
fn a_worker_is_told_to_leave_once() {
    let mut bench = bench();
    let (mut one, _) = bench.listening(1);
    bench.dispatch.tell(Command::Withdraw(one.id));
    bench.order(one.id, Order::Disconnect);
    bench.order(one.id, Order::Disconnect);
    bench.order(one.id, Order::Tell(UserValue::from_text("mark")));
    assert!(one.hear().contains(r#""act":"disconnect""#));
    assert!(one.hear().contains("mark"));
    let id = one.id;
    bench.wait("withdrawal", |news| {
        matches!(news, News::Withdrawn(worker) if *worker == id).then_some(())
    });
}

#[test]
fn who_leaves_by_its_own_wish_is_only_acknowledged() {
    let mut bench = bench();
    let (mut one, _) = bench.listening(1);
    one.say(r#"{"cmd":"NODE_CLUSTER","act":"exitedAfterDisconnect","seq":7}"#);
    assert!(one.hear().contains(r#""ack":7"#));
    bench.wait_for_word(one.id, &Word::Voluntary);
    bench.order(one.id, Order::Disconnect);
    bench.order(one.id, Order::Tell(UserValue::from_text("mark")));
    assert!(one.hear().contains("mark"));
    // Nor is it given a listener.
    one.say(
        r#"{"cmd":"NODE_CLUSTER","act":"queryServer","address":"127.0.0.1","port":0,"addressType":4,"index":3,"seq":8}"#,
    );
    bench.order(one.id, Order::Tell(UserValue::from_text("second")));
    assert!(one.hear().contains("second"));
}

#[test]
fn a_listener_goes_with_its_programs_wish_and_stays_for_a_successor() {
    let mut bench = bench();
    let (mut one, address) = bench.listening(1);
    bench.order(one.id, Order::Disconnect);
    assert!(one.hear().contains("disconnect"));
    one.say(r#"{"cmd":"NODE_CLUSTER","act":"close","key":"1","seq":9}"#);
    let id = one.id;
    drop(one);
    bench.wait_for_word(id, &Word::Ended(Afterlife::None));
    // It waits for who comes next.
    let client = TcpStream::connect(address).expect("it listens");
    let (mut two, same) = bench.listening(2);
    assert_eq!(same, address);
    let seq = two.wait_for_connection();
    two.answer(seq, "two");
    assert_eq!(read(client), "two");
    two.say(r#"{"cmd":"NODE_CLUSTER","act":"close","key":"1","seq":9}"#);
    two.say(r#""ready""#);
    bench.wait_for_word(two.id, &Word::Ready);
    assert!(TcpStream::connect(address).is_err(), "nobody wants it");
    assert!(two.listen().is_some(), "but it may change its mind");
}

#[test]
fn who_had_connected_before_the_last_call_is_served() {
    let mut bench = bench();
    let (mut one, address) = bench.listening(1);
    let clients: Vec<TcpStream> = (0..20)
        .map(|_| TcpStream::connect(address).expect("it listens"))
        .collect();
    bench.dispatch.tell(Command::CloseListeners(PATIENCE));
    bench.dispatch.tell(Command::Withdraw(one.id));
    for _ in &clients {
        let seq = one.wait_for_connection();
        one.answer(seq, "served");
    }
    for client in clients {
        assert_eq!(read(client), "served");
    }
    let mut closed = false;
    let id = one.id;
    bench.wait("withdrawal", |news| {
        closed |= matches!(news, News::ListenersClosed);
        matches!(news, News::Withdrawn(worker) if *worker == id).then_some(())
    });
    assert!(closed);
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn the_last_words_of_the_dead_are_heard() {
    let mut bench = bench();
    let (mut one, _) = bench.listening(1);
    let id = one.id;
    one.say(r#"{"act":"suicide"}"#);
    drop(one);
    bench.order(id, Order::ReadDry);
    let mut words = Vec::new();
    bench.wait("last words", |news| {
        let News::Node(NodeNews::Word(_, word)) = news else {
            return None;
        };
        words.push(word.clone());
        (*word == Word::Dry).then_some(())
    });
    assert!(words.contains(&Word::Suicide), "{words:?}");
}

#[test]
fn a_broken_worker_keeps_what_it_has_until_it_is_dead() {
    let mut bench = bench();
    let (mut one, address) = bench.listening(1);
    let client = TcpStream::connect(address).expect("it listens");
    one.wait_for_connection();
    let (mut two, _) = bench.listening(2);
    one.say("");
    let problem = "it wrote a line that no Node writes: blank line".to_owned();
    bench.wait_for_word(one.id, &Word::Broken(problem));
    bench.order(two.id, Order::Tell(UserValue::from_text("mark")));
    assert!(two.hear().contains("mark"), "nothing came before");
    bench.dispatch.tell(Command::Gone(one.id));
    let seq = two.wait_for_connection();
    two.answer(seq, "two");
    drop(one);
    assert_eq!(read(client), "two");
}

#[test]
fn the_deaths_of_workers_that_leave_are_no_connections_doing() {
    let mut bench = bench();
    let (mut one, address) = bench.listening(1);
    let client = TcpStream::connect(address).expect("it listens");
    // More of them than a connection may have of workers that die.
    for id in 2..7 {
        one.wait_for_connection();
        one.say(r#"{"cmd":"NODE_CLUSTER","act":"exitedAfterDisconnect","seq":7}"#);
        assert!(one.hear().contains(r#""ack":7"#));
        drop(std::mem::replace(&mut one, bench.listening(id).0));
    }
    let seq = one.wait_for_connection();
    one.answer(seq, "at last");
    assert_eq!(read(client), "at last");
}

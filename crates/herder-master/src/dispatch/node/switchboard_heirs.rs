//! A master dies, or surrenders, and another one goes on.

use herder_sys::fd;
use herder_wire::keeper::Key;

use super::*;
use crate::dispatch::{Board, Line, NodeEnds, Remains};
use crate::event::HerdEvent;

impl Bench {
    /// The master is killed.
    fn kill(&mut self) {
        self.dispatch.tell(Command::Die);
        self.wait("death", |news| matches!(news, News::Ended(_)).then_some(()));
    }

    /// The master is killed; another one takes over these workers.
    pub(super) fn succeed(&mut self, workers: &[&Actor]) {
        self.kill();
        self.take_over(workers);
    }

    /// Another master takes over these workers.
    fn take_over(&mut self, workers: &[&Actor]) {
        let lines = workers.iter().map(|it| {
            let channel = fd::duplicate(it.stored.as_fd()).expect("a descriptor");
            let lane = it.lane.as_ref().map(|lane| lane.stored());
            (it.id, Line::Node(NodeEnds { channel, lane }))
        });
        self.counters.settle();
        let inheritance = Inheritance {
            lines: lines.collect(),
            board: Some(self.left_board()),
            masters_died: 1,
            ..Inheritance::default()
        };
        self.go_on(inheritance, workers);
    }

    /// The master surrenders to another one.
    pub(super) fn surrender(&mut self, workers: &[&Actor]) {
        let remains: Remains = self.dispatch.surrender().expect("it lives");
        assert_eq!(remains.lines.len(), workers.len());
        self.go_on(remains, workers);
    }

    fn go_on(&mut self, inheritance: Inheritance, workers: &[&Actor]) {
        let trade = Trade::Node(NodeTrade {
            scheduling: self.scheduling,
            group: GroupSpec::usual(Steering::Program),
            gift: None,
            counting: Counting::No,
        });
        let counters = self.counters.clone();
        let next = Dispatch::start(&self.spec, inheritance, trade, &self.vault, counters);
        self.dispatch = next.expect("it can be read");
        for worker in workers {
            self.dispatch.tell(Command::Admit(worker.id));
        }
    }

    /// What the keeper has.
    fn left_board(&self) -> Board {
        let mark = fd::null().expect("a descriptor");
        let stored = self.vault.store(&Key::state(), mark.as_fd(), 0);
        stored.expect("there is room");
        // All that was stored before has arrived.
        self.safe.get(Key::state());
        Board {
            memory: self.safe.get(Key::board()),
            listeners: self.safe.node_listeners(),
            groups: self.safe.groups(),
        }
    }

    fn totals(&self) -> [u64; 4] {
        let HerdEvent::Dispatched {
            accepted,
            handed,
            taken_back,
            closed,
        } = self.dispatch.totals()
        else {
            panic!("they are totals");
        };
        [accepted, handed, taken_back, closed]
    }
}

impl Actor {
    /// Waits until the master has read everything that was said.
    fn await_reading(&self) {
        let deadline = Instant::now() + PATIENCE;
        while socket::unread_bytes(self.stored.as_fd()).expect("a socket") > 0 {
            assert!(Instant::now() < deadline, "the master does not read");
            std::thread::yield_now();
        }
    }

    fn say_part(&mut self, part: &str) {
        self.end.write_all(part.as_bytes()).expect("room");
        self.await_reading();
    }

    /// How much there is to hear.
    fn unread(&self) -> usize {
        socket::unread_bytes(self.end.as_fd()).expect("a socket")
    }
}

fn ask(seq: u64, port: u16) -> String {
    format!(
        r#"{{"cmd":"NODE_CLUSTER","act":"queryServer","index":0,"data":null,"address":"127.0.0.1","port":{port},"addressType":4,"seq":{seq}}}"#
    )
}

fn serve(client: TcpStream, worker: &mut Actor) {
    let seq = worker.wait_for_connection();
    worker.answer(seq, "served");
    assert_eq!(read(client), "served");
}

fn connect(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    let connect = |_| TcpStream::connect(address).expect("it listens");
    (0..count).map(connect).collect()
}

#[test]
fn r26_workers_and_listeners_outlive_the_master() {
    let mut bench = bench();
    let (mut one, address) = bench.listening(1);
    serve(TcpStream::connect(address).expect("it listens"), &mut one);
    bench.succeed(&[&one]);
    serve(TcpStream::connect(address).expect("it listens"), &mut one);
    // Who comes later joins the same listener.
    let (mut two, same) = bench.listening(2);
    assert_eq!(same, address);
    drop(one);
    serve(TcpStream::connect(address).expect("it listens"), &mut two);
    let [accepted, handed, taken_back, closed] = bench.totals();
    assert_eq!(accepted + taken_back, handed + closed);
}

#[test]
fn r26_between_two_masters_nobody_is_refused() {
    let mut bench = bench();
    let (mut one, address) = bench.listening(1);
    bench.kill();
    let waiting = TcpStream::connect(address).expect("the keeper holds it open");
    bench.take_over(&[&one]);
    serve(waiting, &mut one);
}

/// What the dead master had given stays with its worker; its answers are not taken for answers to what
/// the next master gives.
#[test]
fn r27_what_was_given_by_the_dead_master_is_served_and_decided_about() {
    let mut bench = bench();
    let (mut one, address) = bench.listening(1);
    let clients = [(); 2].map(|()| TcpStream::connect(address).expect("it listens"));
    let first = one.wait_for_connection();
    let second = one.wait_for_connection();
    bench.succeed(&[&one]);
    let later = TcpStream::connect(address).expect("it listens");
    let third = one.wait_for_connection();
    assert!(third > second + 1000, "{third} is of another range");
    one.answer(first, "first");
    one.answer(second, "second");
    one.answer(third, "third");
    let [a, b] = clients;
    assert_eq!([read(a), read(b)], ["first", "second"]);
    assert_eq!(read(later), "third");
    for _ in 0..20 {
        serve(TcpStream::connect(address).expect("it listens"), &mut one);
    }
    let [accepted, handed, taken_back, closed] = bench.totals();
    assert_eq!((accepted, handed), (23, 23));
    assert_eq!((taken_back, closed), (0, 0));
}

#[test]
fn r27_what_a_worker_rejects_of_the_dead_masters_is_counted_as_cut() {
    let mut bench = bench();
    let (mut one, address) = bench.listening(1);
    let client = TcpStream::connect(address).expect("it listens");
    let seq = one.wait_for_connection();
    bench.succeed(&[&one]);
    one.descriptors.clear();
    one.acknowledge();
    one.decide(seq, false);
    assert_eq!(read(client), "", "nobody has it");
    serve(TcpStream::connect(address).expect("it listens"), &mut one);
    assert_eq!(bench.totals(), [2, 2, 1, 1]);
}

/// Node keeps the newest descriptor only: one that lies un-received behind another would be lost.
#[test]
fn r27_a_worker_gets_nothing_new_before_it_has_read_what_the_dead_master_said() {
    let mut bench = bench();
    let (mut one, address) = bench.listening(1);
    let before: Vec<_> = connect(address, 2);
    let deadline = Instant::now() + PATIENCE;
    while bench.totals()[1] < 2 {
        assert!(Instant::now() < deadline, "nothing is given");
        std::thread::yield_now();
    }
    let unread = one.unread();
    bench.succeed(&[&one]);
    let (mut two, same) = bench.listening(2);
    assert_eq!(same, address);
    let after = TcpStream::connect(address).expect("it listens");
    serve(after, &mut two);
    assert_eq!(one.unread(), unread, "nothing more was said to it");
    for client in before {
        serve(client, &mut one);
    }
    drop(two);
    serve(TcpStream::connect(address).expect("it listens"), &mut one);
}

#[test]
fn r27_a_line_that_the_dead_master_had_half_read_is_left_out() {
    let line = r#"{"cmd":"NODE_CLUSTER","act":"listening","index":0,"data":null,"address":null,"port":1,"addressType":4,"seq":2}"#;
    for cut in [1, 20, line.len() - 1, line.len()] {
        let mut bench = bench();
        let (mut one, address) = bench.listening(1);
        one.say_part(&line[..cut]);
        bench.succeed(&[&one]);
        one.say(&line[cut..]);
        one.say(r#""ready""#);
        bench.wait_for_word(one.id, &Word::Ready);
        serve(TcpStream::connect(address).expect("it listens"), &mut one);
    }
}

/// A worker holds everything else back until its envelope is answered; a second answer kills it.
#[test]
fn r27_an_envelope_that_the_dead_master_had_half_read_is_answered_once() {
    let line = r#"{"cmd":"NODE_HANDLE","type":"net.Socket","msg":"take it"}"#;
    let mut bench = bench();
    let (mut one, address) = bench.listening(1);
    let gift = fd::null().expect("a descriptor");
    let (half, rest) = line.split_at(40);
    socket::send(one.end.as_fd(), half.as_bytes(), &[gift.as_fd()]).expect("room");
    one.await_reading();
    bench.succeed(&[&one]);
    one.say(rest);
    assert_eq!(one.hear().trim_end(), r#"{"cmd":"NODE_HANDLE_ACK"}"#);
    serve(TcpStream::connect(address).expect("it listens"), &mut one);
    socket::send(one.end.as_fd(), line.as_bytes(), &[gift.as_fd()]).expect("room");
    one.say("");
    assert_eq!(one.hear().trim_end(), r#"{"cmd":"NODE_HANDLE_ACK"}"#);
}

#[test]
fn r27_a_line_that_the_dead_master_had_half_written_is_brought_to_its_end() {
    let mut bench = bench();
    let (mut one, address) = bench.listening(1);
    // More than a socket takes at once.
    let long = UserValue::from_text(&"x".repeat(900_000));
    bench.order(one.id, Order::Tell(long));
    bench.order(one.id, Order::Tell(UserValue::from_text("lost")));
    one.say(r#""ready""#);
    bench.wait_for_word(one.id, &Word::Ready);
    // What was heard before this turn's end was written down by the next.
    one.say(r#"{"act":"suicide"}"#);
    bench.wait_for_word(one.id, &Word::Suicide);
    assert!(one.unread() < 900_000, "it is half written");
    bench.succeed(&[&one]);
    let client = TcpStream::connect(address).expect("it listens");
    assert_eq!(one.hear().trim_end().len(), 900_002);
    serve(client, &mut one);
}

#[test]
fn r27_what_a_worker_had_said_is_said_again_to_the_main_thread() {
    let mut bench = bench();
    let (mut one, _) = bench.listening(1);
    one.say(r#"{"cmd":"NODE_CLUSTER","act":"listening","index":0,"data":null,"address":null,"port":1,"addressType":4,"seq":2}"#);
    bench.wait_for_word(one.id, &Word::Listening);
    bench.succeed(&[&one]);
    bench.wait_for_word(one.id, &Word::Listening);
}

#[test]
fn r27_a_worker_that_had_broken_the_protocol_is_not_listened_to_again() {
    let mut bench = bench();
    let (mut one, _) = bench.listening(1);
    one.say("nonsense");
    let is_broken = |news: &News| {
        let is_it = matches!(news, News::Node(NodeNews::Word(_, Word::Broken(_))));
        is_it.then_some(())
    };
    bench.wait("broken", is_broken);
    bench.succeed(&[&one]);
    bench.wait("broken", is_broken);
}

#[test]
fn r27_whoever_left_under_the_dead_master_is_not_told_again() {
    let mut bench = bench();
    let (mut one, address) = bench.listening(1);
    bench.order(one.id, Order::Disconnect);
    assert!(one.hear().contains("disconnect"));
    bench.succeed(&[&one]);
    bench.order(one.id, Order::Disconnect);
    bench.order(one.id, Order::Tell(UserValue::from_text("mark")));
    assert!(one.hear().contains("mark"));
    // Nor does it get a connection, or an answer.
    let (mut two, _) = bench.listening(2);
    serve(TcpStream::connect(address).expect("it listens"), &mut two);
}

#[test]
fn r27_a_worker_that_died_with_the_master_has_nothing_any_more() {
    let mut bench = bench();
    let (one, address) = bench.listening(1);
    let (mut two, _) = bench.listening(2);
    bench.succeed(&[&two]);
    bench.dispatch.tell(Command::Gone(one.id));
    drop(one);
    for _ in 0..4 {
        serve(TcpStream::connect(address).expect("it listens"), &mut two);
    }
    two.say(r#"{"cmd":"NODE_CLUSTER","act":"close","key":"1","seq":9}"#);
    bench.safe.await_end_of(Key::node(1));
    two.await_reading();
    assert!(TcpStream::connect(address).is_err(), "the last has left");
}

#[test]
fn r27_a_shared_socket_goes_to_later_workers_too() {
    let spec = DispatchSpec::default();
    let mut bench = Bench::start(&spec, Scheduling::Shared, None, Vec::new());
    let mut one = bench.worker(1);
    one.say(&ask(1, 0));
    assert!(one.hear().contains(r#""ack":1"#));
    one.acknowledge();
    let socket = one.descriptors.pop_front().expect("a socket");
    bench.succeed(&[&one]);
    let mut two = bench.worker(2);
    two.say(&ask(1, 0));
    assert!(two.hear().contains(r#""ack":1"#));
    let same = two.descriptors.pop_front().expect("a socket");
    let address = |socket: &OwnedFd| herder_sys::listener::local_address(socket.as_fd());
    let [ours, theirs] = [&socket, &same].map(|it| address(it).expect("bound").to_string());
    assert_eq!(ours, theirs);
    // And to the same one: the dead master's answers are no matter.
    one.say(&ask(2, 0));
    assert!(one.hear().contains(r#""ack":2"#));
}

#[test]
fn r33_a_board_that_makes_no_sense_is_refused() {
    let bench = bench();
    let trade = Trade::Node(NodeTrade {
        scheduling: Scheduling::Passed,
        group: GroupSpec::usual(Steering::Program),
        gift: None,
        counting: Counting::No,
    });
    let memory = herder_sys::memory::sealed(b"").expect("memory");
    let listeners = Vec::new();
    let inheritance = Inheritance {
        board: Some(Board {
            memory,
            listeners,
            groups: BTreeMap::new(),
        }),
        ..Inheritance::default()
    };
    let started = Dispatch::start(&bench.spec, inheritance, trade, &bench.vault, counters());
    assert!(started.is_err());
}

#[test]
fn a_worker_that_was_never_admitted_is_read_with_care() {
    let mut bench = bench();
    let (ours, theirs) = socket::stream_pair().expect("a pair");
    let stored = fd::duplicate(ours.as_fd()).expect("a descriptor");
    let id = WorkerId {
        slot: Slot(1),
        incarnation: Incarnation(1),
    };
    let ends = NodeEnds {
        channel: ours,
        lane: None,
    };
    bench.order(id, Order::Attach(ends));
    let end = UnixStream::from(theirs);
    end.set_read_timeout(Some(PATIENCE)).expect("a time");
    let mut one = Actor {
        id,
        end,
        rest: Vec::new(),
        descriptors: VecDeque::new(),
        stored,
        lane: None,
    };
    one.say_part(r#"{"cmd":"NODE_CLUSTER","act":"online""#);
    one.say(r#","seq":0}"#);
    bench.wait_for_word(id, &Word::Online);
    let address = one.listen().expect("a free port");
    // An envelope is answered once, however it was read.
    let gift = fd::null().expect("a descriptor");
    let line = "{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Socket\",\"msg\":5}\n";
    for _ in 0..3 {
        socket::send(one.end.as_fd(), line.as_bytes(), &[gift.as_fd()]).expect("room");
        assert_eq!(one.hear().trim_end(), r#"{"cmd":"NODE_HANDLE_ACK"}"#);
    }
    one.await_reading();
    bench.dispatch.tell(Command::Admit(id));
    serve(TcpStream::connect(address).expect("it listens"), &mut one);
}

#[test]
fn r31_a_surrendered_connection_is_decided_about_as_if_nothing_had_happened() {
    let mut bench = bench();
    let (mut one, address) = bench.listening(1);
    let kept = TcpStream::connect(address).expect("it listens");
    let first = one.wait_for_connection();
    let rejected = TcpStream::connect(address).expect("it listens");
    let second = one.wait_for_connection();
    bench.surrender(&[&one]);
    one.answer(first, "kept");
    assert_eq!(read(kept), "kept");
    one.descriptors.clear();
    one.acknowledge();
    one.decide(second, false);
    // It is offered again, with another number.
    let third = one.wait_for_connection();
    assert!(third > second);
    one.answer(third, "third");
    assert_eq!(read(rejected), "third");
    let [accepted, handed, taken_back, closed] = bench.totals();
    assert_eq!(accepted + taken_back, handed + closed);
}

#[test]
fn r31_connections_that_nobody_had_are_surrendered() {
    let mut bench = bench();
    let (mut one, address) = bench.listening(1);
    // More than one worker is given at a time.
    let clients = connect(address, 6);
    let deadline = Instant::now() + PATIENCE;
    while bench.totals()[1] < 4 {
        assert!(Instant::now() < deadline, "nothing is given");
        std::thread::yield_now();
    }
    bench.surrender(&[&one]);
    for client in clients {
        serve(client, &mut one);
    }
    assert_eq!(bench.totals(), [6, 6, 0, 0]);
}

#[test]
fn r31_a_surrendered_connection_of_a_worker_that_dies_goes_to_another() {
    let mut bench = bench();
    let (mut one, address) = bench.listening(1);
    let client = TcpStream::connect(address).expect("it listens");
    one.wait_for_connection();
    bench.surrender(&[&one]);
    let (mut two, _) = bench.listening(2);
    drop(one);
    serve(client, &mut two);
}

#[test]
fn r31_lines_that_were_cut_go_on_where_they_were() {
    let mut bench = bench();
    let (mut one, address) = bench.listening(1);
    let long = UserValue::from_text(&"x".repeat(900_000));
    bench.order(one.id, Order::Tell(long));
    bench.order(one.id, Order::Tell(UserValue::from_text("behind")));
    one.say_part(r#"{"act":"sui"#);
    bench.surrender(&[&one]);
    one.say(r#"cide"}"#);
    bench.wait_for_word(one.id, &Word::Suicide);
    assert_eq!(one.hear().trim_end().len(), 900_002);
    assert!(one.hear().contains("behind"));
    serve(TcpStream::connect(address).expect("it listens"), &mut one);
}

#[test]
fn r31_a_listener_in_a_worker_that_does_not_read_is_sent_by_the_next_master() {
    let spec = DispatchSpec::default();
    let mut bench = Bench::start(&spec, Scheduling::Shared, None, Vec::new());
    let mut one = bench.worker(1);
    // Nothing can be sent behind it.
    let long = UserValue::from_text(&"x".repeat(900_000));
    bench.order(one.id, Order::Tell(long));
    one.say(&ask(1, 0));
    one.say(r#""ready""#);
    bench.wait_for_word(one.id, &Word::Ready);
    bench.surrender(&[&one]);
    assert_eq!(one.hear().trim_end().len(), 900_002);
    assert!(one.hear().contains(r#""ack":1"#));
    assert_eq!(one.descriptors.len(), 1);
}

//! Connections by a channel of their own.

use herder_sys::fd;
use herder_wire::node::{LANE_RECORD, Receipt};

use super::*;

/// The worker's end of its lane.
pub(super) struct LaneEnd {
    end: UnixStream,
    /// The master's end, which its keeper has, too.
    stored: OwnedFd,
}

impl LaneEnd {
    pub(super) fn stored(&self) -> OwnedFd {
        fd::duplicate(self.stored.as_fd()).expect("a descriptor")
    }
}

impl Bench {
    /// A worker that has a lane and listens, and its listener.
    fn laned(&mut self, id: u16) -> (Actor, SocketAddr) {
        let (ours, theirs) = socket::stream_pair().expect("a pair");
        let stored = fd::duplicate(ours.as_fd()).expect("a descriptor");
        let mut actor = self.worker_with(id, Some(ours));
        let end = UnixStream::from(theirs);
        end.set_read_timeout(Some(PATIENCE)).expect("a time");
        actor.lane = Some(LaneEnd { end, stored });
        actor.say(r#"{"cmd":"NODE_CLUSTER","act":"online","seq":0}"#);
        let address = actor.listen().expect("a free port");
        (actor, address)
    }

    /// The same, and it reads its lane.
    fn open(&mut self, id: u16) -> (Actor, SocketAddr) {
        let (mut actor, address) = self.laned(id);
        actor.receipt(Receipt::Hello { duplicates: 0 });
        (actor, address)
    }
}

impl Actor {
    fn lane(&mut self) -> &mut LaneEnd {
        self.lane.as_mut().expect("it has one")
    }

    fn write_lane(&mut self, bytes: &[u8]) {
        self.lane().end.write_all(bytes).expect("room");
    }

    /// Says something of its connections, and waits until it was read.
    fn receipt(&mut self, receipt: Receipt) {
        self.write_lane(&receipt.to_bytes());
        let deadline = Instant::now() + PATIENCE;
        while socket::unread_bytes(self.lane().stored.as_fd()).expect("a socket") > 0 {
            assert!(Instant::now() < deadline, "the master does not read");
            std::thread::yield_now();
        }
    }

    /// The next connection on the lane, and its number.
    fn receive(&mut self) -> (u64, TcpStream) {
        let (mut bytes, mut fds) = ([0; LANE_RECORD], Vec::new());
        let end = self.lane().end.as_fd();
        let received = socket::receive(end, &mut bytes, &mut fds, 1, Wait::Block);
        assert_eq!(received.expect("the master gives").len, LANE_RECORD);
        let seq = u64::from_le_bytes(*bytes.first_chunk().expect("it is longer"));
        let [descriptor] = <[OwnedFd; 1]>::try_from(fds).expect("exactly one comes with it");
        (seq, TcpStream::from(descriptor))
    }

    fn serve_on_lane(&mut self, client: TcpStream, text: &str) {
        let (seq, mut connection) = self.receive();
        self.receipt(Receipt::Taken { seq, count: 1 });
        connection.write_all(text.as_bytes()).expect("it is there");
        drop(connection);
        assert_eq!(read(client), text);
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).expect("it listens")
}

fn await_totals(bench: &Bench, wanted: [u64; 4]) {
    let totals = || {
        let crate::event::HerdEvent::Dispatched {
            accepted,
            handed,
            taken_back,
            closed,
        } = bench.dispatch.totals()
        else {
            panic!("they are totals");
        };
        [accepted, handed, taken_back, closed]
    };
    let deadline = Instant::now() + PATIENCE;
    while totals() != wanted {
        assert!(Instant::now() < deadline, "{:?}", totals());
        std::thread::yield_now();
    }
}

#[test]
fn a_worker_that_does_not_read_its_lane_is_given_connections_by_its_channel() {
    let mut bench = bench();
    let (mut one, address) = bench.laned(1);
    let client = connect(address);
    let seq = one.wait_for_connection();
    one.answer(seq, "by its channel");
    assert_eq!(read(client), "by its channel");
    one.receipt(Receipt::Hello { duplicates: 0 });
    one.serve_on_lane(connect(address), "by its lane");
}

#[test]
fn one_receipt_is_enough_for_all() {
    let mut bench = bench();
    let (mut one, address) = bench.open(1);
    let clients: Vec<_> = (0..3).map(|_| connect(address)).collect();
    let taken: Vec<_> = clients.iter().map(|_| one.receive()).collect();
    let seq = taken.last().expect("three").0;
    assert!(taken.is_sorted_by_key(|(seq, _)| *seq), "numbers grow");
    one.receipt(Receipt::Taken { seq, count: 3 });
    drop(taken);
    for client in clients {
        assert_eq!(read(client), "", "the master keeps none of them");
    }
    await_totals(&bench, [3, 3, 0, 0]);
}

#[test]
fn what_is_refused_on_a_lane_goes_to_another() {
    let mut bench = bench();
    let (mut one, address) = bench.open(1);
    let (first, second) = (connect(address), connect(address));
    let (kept, connection) = one.receive();
    let (refused, _) = one.receive();
    let (mut two, same) = bench.open(2);
    assert_eq!(same, address);
    one.receipt(Receipt::Refused { seq: refused });
    two.serve_on_lane(second, "two");
    one.receipt(Receipt::Taken {
        seq: kept,
        count: 1,
    });
    drop(connection);
    assert_eq!(read(first), "");
    await_totals(&bench, [2, 3, 1, 0]);
}

#[test]
fn r23_what_a_dead_worker_had_on_its_lane_goes_to_another() {
    let mut bench = bench();
    let (mut one, address) = bench.open(1);
    let clients = [(); 3].map(|()| connect(address));
    let (taken, served) = one.receive();
    one.receive();
    // It dies with its word unread, one connection in its hand, and one that it had not received.
    one.write_lane(
        &Receipt::Taken {
            seq: taken,
            count: 1,
        }
        .to_bytes(),
    );
    let (mut two, same) = bench.open(2);
    assert_eq!(same, address);
    drop((one, served));
    let [first, second, third] = clients;
    two.serve_on_lane(second, "second");
    two.serve_on_lane(third, "third");
    assert_eq!(read(first), "", "it was taken, and died with its worker");
}

/// It was begun with, whether that was said or not.
#[test]
fn r23_what_a_dead_worker_had_begun_is_not_done_twice() {
    let mut bench = bench();
    let (mut one, address) = bench.open(1);
    let client = connect(address);
    let (_, mut connection) = one.receive();
    connection.write_all(b"half").expect("it is there");
    let (mut two, _) = bench.open(2);
    drop((one, connection));
    assert_eq!(read(client), "half");
    two.serve_on_lane(connect(address), "another");
}

#[test]
fn a_lane_that_ends_alone_takes_nothing_with_it() {
    let mut bench = bench();
    let (mut one, address) = bench.open(1);
    let client = connect(address);
    one.receive();
    one.lane = None;
    let seq = one.wait_for_connection();
    one.answer(seq, "by its channel");
    assert_eq!(read(client), "by its channel");
    await_totals(&bench, [1, 2, 1, 0]);
}

#[test]
fn r23_whoever_writes_nonsense_on_its_lane_is_given_up_and_the_others_serve() {
    let nonsense: [&[u8]; 4] = [
        b"{\"cmd\":\"NODE_CLUSTER\"}",
        &[0; LANE_RECORD],
        &[0xff; 3 * LANE_RECORD],
        &[b'\n'; 70_000],
    ];
    for bytes in nonsense {
        let mut bench = bench();
        let (mut one, address) = bench.open(1);
        let client = connect(address);
        one.receive();
        let (mut two, _) = bench.open(2);
        one.write_lane(bytes);
        let problem = bench.wait("broken", |news| {
            let News::Node(NodeNews::Word(worker, Word::Broken(text))) = news else {
                return None;
            };
            (*worker == one.id).then(|| text.clone())
        });
        assert!(problem.contains("of its connections"), "{problem}");
        bench.dispatch.tell(Command::Gone(one.id));
        two.serve_on_lane(client, "two");
    }
}

#[test]
fn receipts_for_what_was_not_given_change_nothing() {
    let mut bench = bench();
    let (mut one, address) = bench.open(1);
    for seq in [1, 5, 1 << 40] {
        one.receipt(Receipt::Taken {
            seq,
            count: u32::MAX,
        });
        one.receipt(Receipt::Refused { seq });
    }
    one.serve_on_lane(connect(address), "served");
    await_totals(&bench, [1, 1, 0, 0]);
}

#[test]
fn r27_a_lane_outlives_the_master_with_what_is_in_it() {
    let mut bench = bench();
    let (mut one, address) = bench.open(1);
    let clients = [(); 3].map(|()| connect(address));
    await_totals(&bench, [3, 3, 0, 0]);
    let (_, held) = one.receive();
    bench.succeed(&[&one]);
    let (mut two, same) = bench.open(2);
    assert_eq!(same, address);
    let (seq, second) = one.receive();
    one.receipt(Receipt::Taken { seq, count: 2 });
    let (third_seq, third) = one.receive();
    one.receipt(Receipt::Refused { seq: third_seq });
    for mut connection in [held, second] {
        connection.write_all(b"one").expect("it is there");
    }
    drop(third);
    let [first, second, third] = clients;
    assert_eq!([read(first), read(second)], ["one", "one"]);
    assert_eq!(read(third), "", "the dead master had the only other one");
    await_totals(&bench, [3, 3, 1, 1]);
    for _ in 0..2 {
        let client = connect(address);
        let (seq, mut connection) = {
            let mut ready = None;
            let deadline = Instant::now() + PATIENCE;
            while ready.is_none() {
                assert!(Instant::now() < deadline, "nobody has it");
                for actor in [&mut one, &mut two] {
                    let end = actor.lane().end.as_fd();
                    if socket::unread_bytes(end).expect("a socket") > 0 {
                        let (seq, connection) = actor.receive();
                        actor.receipt(Receipt::Taken { seq, count: 1 });
                        ready = Some((seq, connection));
                    }
                }
            }
            ready.expect("it came")
        };
        assert!(seq > third_seq, "it is of another range");
        connection.write_all(b"later").expect("it is there");
        drop(connection);
        assert_eq!(read(client), "later");
    }
}

#[test]
fn r31_a_surrendered_lane_goes_on_as_if_nothing_had_happened() {
    let mut bench = bench();
    let (mut one, address) = bench.open(1);
    let clients = [(); 2].map(|()| connect(address));
    await_totals(&bench, [2, 2, 0, 0]);
    // The first half of a receipt was read by the last master.
    let (seq, kept) = one.receive();
    let receipt = Receipt::Taken { seq, count: 1 }.to_bytes();
    one.write_lane(&receipt[..5]);
    let deadline = Instant::now() + PATIENCE;
    while socket::unread_bytes(one.lane().stored.as_fd()).expect("a socket") > 0 {
        assert!(Instant::now() < deadline, "the master does not read");
        std::thread::yield_now();
    }
    bench.surrender(&[&one]);
    one.write_lane(&receipt[5..]);
    let (refused, _) = one.receive();
    one.receipt(Receipt::Refused { seq: refused });
    let [first, second] = clients;
    // It is offered again, with another number.
    one.serve_on_lane(second, "again");
    drop(kept);
    assert_eq!(read(first), "");
    await_totals(&bench, [2, 3, 1, 0]);
}

/// It may not be moving at all.
#[test]
fn r27_a_worker_gets_nothing_new_before_it_has_received_what_the_dead_master_gave() {
    let mut bench = bench();
    let (mut one, address) = bench.open(1);
    let before = [(); 2].map(|()| connect(address));
    await_totals(&bench, [2, 2, 0, 0]);
    bench.succeed(&[&one]);
    let (mut two, same) = bench.open(2);
    assert_eq!(same, address);
    for _ in 0..4 {
        two.serve_on_lane(connect(address), "two");
    }
    for client in before {
        one.serve_on_lane(client, "one");
    }
    drop(two);
    one.serve_on_lane(connect(address), "one again");
}

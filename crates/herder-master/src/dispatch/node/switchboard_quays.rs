//! Each worker has a listener of its own. (This needs the right to load programs into the kernel.)

use herder_sys::listener;
use herder_wire::keeper::{GroupItem, Key};

use super::*;

/// A worker that listens at a socket of its own.
struct Berthed {
    actor: Actor,
    socket: OwnedFd,
    address: SocketAddr,
}

fn kernel() -> Bench {
    let spec = DispatchSpec::default();
    Bench::start(&spec, Scheduling::Own, None, Vec::new())
}

impl Bench {
    fn berthed(&mut self, id: u16) -> Berthed {
        let actor = self.worker(id);
        let mut berthed = Berthed::listening(actor, 0);
        // What is heard after that is heard when it has its turns.
        berthed.actor.say(r#""ready""#);
        self.wait_for_word(berthed.actor.id, &Word::Ready);
        berthed
    }

    fn withdraw(&mut self, worker: WorkerId) {
        self.dispatch.tell(Command::Withdraw(worker));
        self.wait("withdrawal", |news| {
            matches!(news, News::Withdrawn(it) if *it == worker).then_some(())
        });
    }
}

impl Berthed {
    /// It asks for a listener, and listens.
    fn listening(mut actor: Actor, port: u16) -> Berthed {
        actor.say(&format!(
            r#"{{"cmd":"NODE_CLUSTER","act":"queryServer","index":0,"data":null,"address":"127.0.0.1","port":{port},"addressType":4,"seq":1}}"#
        ));
        let reply = actor.hear();
        assert!(reply.contains(r#""errno":0"#), "{reply}");
        actor.acknowledge();
        let socket = actor.descriptors.pop_front().expect("it has its own");
        listener::listen_again(socket.as_fd(), 511).expect("as Node does");
        let address = match listener::local_address(socket.as_fd()).expect("it is bound") {
            listener::BoundAddress::Tcp(address) => address,
            listener::BoundAddress::Unix(path) => panic!("{path:?}"),
        };
        Berthed {
            actor,
            socket,
            address,
        }
    }

    /// Waits until so many wait to be accepted.
    #[track_caller]
    fn await_waiting(&self, count: u32) {
        let deadline = Instant::now() + PATIENCE;
        let waiting = || listener::waiting_at(self.socket.as_fd()).expect("TCP");
        while waiting() != Some(count) {
            assert!(Instant::now() < deadline, "{:?} wait", waiting());
            std::thread::yield_now();
        }
    }

    #[track_caller]
    fn accept(&self, text: &str) {
        self.await_waiting(1);
        let connection = listener::accept(self.socket.as_fd()).expect("somebody waits");
        TcpStream::from(connection)
            .write_all(text.as_bytes())
            .expect("the client is there");
    }

    /// Its program does not listen any more.
    fn close(self) -> Actor {
        let Berthed {
            mut actor, socket, ..
        } = self;
        drop(socket);
        actor.say(r#"{"cmd":"NODE_CLUSTER","act":"close","key":"1","seq":9}"#);
        actor
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).expect("it listens")
}

#[test]
fn kernel_each_worker_accepts_from_a_socket_of_its_own_in_its_turn() {
    let mut bench = kernel();
    let (one, two) = (bench.berthed(1), bench.berthed(2));
    assert_eq!(one.address, two.address);
    let cookie = |it: &Berthed| listener::cookie(it.socket.as_fd()).expect("a socket");
    assert_ne!(cookie(&one), cookie(&two));
    for _ in 0..3 {
        let clients = [connect(one.address), connect(one.address)];
        one.accept("served");
        two.accept("served");
        for client in clients {
            assert_eq!(read(client), "served");
        }
    }
}

#[test]
fn kernel_who_waits_at_a_socket_that_is_closed_goes_to_the_other() {
    let mut bench = kernel();
    let (one, two) = (bench.berthed(1), bench.berthed(2));
    let address = one.address;
    let clients = [connect(address), connect(address)];
    one.await_waiting(1);
    two.await_waiting(1);
    let first = one.close();
    two.await_waiting(2);
    for _ in &clients {
        let connection = listener::accept(two.socket.as_fd()).expect("they wait");
        let mut connection = TcpStream::from(connection);
        connection.write_all(b"two").expect("room");
    }
    for client in clients {
        assert_eq!(read(client), "two");
    }
    // It comes back, and has its turns again; and so does the last that listens.
    let mut one = Berthed::listening(first, 0);
    assert_eq!(one.address, address);
    one.actor.say(r#"{"act":"suicide"}"#);
    bench.wait_for_word(one.actor.id, &Word::Suicide);
    let clients = [connect(address), connect(address)];
    one.accept("again");
    two.accept("again");
    for client in clients {
        assert_eq!(read(client), "again");
    }
}

#[test]
fn kernel_with_the_last_worker_the_listener_goes() {
    let mut bench = kernel();
    let one = bench.berthed(1);
    let address = one.address;
    let _waiting = connect(address);
    let first = one.close();
    bench.safe.await_end_of(Key::group(1, GroupItem::Anchor));
    assert!(TcpStream::connect(address).is_err());
    let again = Berthed::listening(first, address.port());
    let client = connect(address);
    again.accept("again");
    assert_eq!(read(client), "again");
}

#[test]
fn kernel_a_worker_is_withdrawn_when_it_has_accepted_who_waits() {
    let mut bench = kernel();
    let (one, two) = (bench.berthed(1), bench.berthed(2));
    let address = one.address;
    let clients = [connect(address), connect(address)];
    one.accept("one");
    two.accept("two");
    for client in clients {
        assert!(!read(client).is_empty());
    }
    bench.withdraw(one.actor.id);
    for _ in 0..3 {
        let client = connect(address);
        two.accept("two");
        assert_eq!(read(client), "two");
    }
    // It was told to leave by its own wish before, and is withdrawn after that.
    let Berthed { mut actor, .. } = two;
    actor.say(r#"{"cmd":"NODE_CLUSTER","act":"exitedAfterDisconnect","seq":8}"#);
    assert!(actor.hear().contains(r#""ack":8"#));
    bench.withdraw(actor.id);
}

#[test]
fn kernel_who_waits_at_a_worker_that_hangs_is_handed_to_another() {
    let mut bench = kernel();
    let (one, mut two) = (bench.berthed(1), bench.berthed(2));
    let clients = [connect(one.address), connect(one.address)];
    two.accept("two");
    one.await_waiting(1);
    // The second worker looks idle, and the first accepts nobody.
    let seq = two.actor.wait_for_connection();
    two.actor.answer(seq, "two");
    for client in clients {
        assert_eq!(read(client), "two");
    }
}

#[test]
fn kernel_a_dead_workers_queue_is_its_successors() {
    let mut bench = kernel();
    let one = bench.berthed(1);
    let address = one.address;
    let client = connect(address);
    one.await_waiting(1);
    let dead = one.actor.id;
    drop(one);
    bench.wait_for_word(dead, &Word::Ended(Afterlife::None));
    bench.dispatch.tell(Command::Gone(dead));
    let (channel, theirs) = socket::stream_pair().expect("a pair");
    let next = WorkerId {
        slot: dead.slot,
        incarnation: Incarnation(2),
    };
    let stored = herder_sys::fd::duplicate(channel.as_fd()).expect("a descriptor");
    let lane = None;
    bench.order(next, Order::Attach(NodeEnds { channel, lane }));
    bench.dispatch.tell(Command::Admit(next));
    let end = UnixStream::from(theirs);
    end.set_read_timeout(Some(PATIENCE)).expect("a time");
    let successor = Actor {
        id: next,
        end,
        rest: Vec::new(),
        descriptors: VecDeque::new(),
        stored,
        lane: None,
    };
    let successor = Berthed::listening(successor, 0);
    assert_eq!(successor.address, address);
    successor.accept("next");
    assert_eq!(read(client), "next");
}

#[test]
fn r26_kernel_workers_keep_their_sockets_when_the_master_dies() {
    let mut bench = kernel();
    let (one, two) = (bench.berthed(1), bench.berthed(2));
    let address = one.address;
    for round in 0..2 {
        if round == 0 {
            bench.succeed(&[&one.actor, &two.actor]);
        } else {
            bench.surrender(&[&one.actor, &two.actor]);
        }
        let clients = [connect(address), connect(address)];
        one.accept("served");
        two.accept("served");
        for client in clients {
            assert_eq!(read(client), "served");
        }
    }
    let three = bench.berthed(3);
    assert_eq!(three.address, address);
    let clients = [(); 3].map(|()| connect(address));
    for worker in [&one, &two, &three] {
        worker.accept("served");
    }
    for client in clients {
        assert_eq!(read(client), "served");
    }
    // Nor was anything of them accepted by the master.
    bench.withdraw(one.actor.id);
}

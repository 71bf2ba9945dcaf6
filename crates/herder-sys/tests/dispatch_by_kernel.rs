//! Real connections, given to sockets by the program in the kernel.
//!
//! Without the right to load it these tests find that the reason is named, and nothing else.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "support/stray.rs"]
mod stray;

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use herder_sys::bpf::{self, BpfError, Counts, Refusal, Steering};
use herder_sys::listener::{
    self, BoundAddress, Families, accept, accept_queue_length, bind_anchor, cookie, join,
    listen_again, local_address, shut_down,
};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use stray::stray_packet;

const PATIENCE: Duration = Duration::from_secs(10);

/// Some listening sockets on one address, at the places 0, 1, 2 …
struct Scene {
    steering: Steering,
    anchor: OwnedFd,
    sockets: Vec<OwnedFd>,
    address: SocketAddr,
    clients: Vec<TcpStream>,
}

/// `None` without the right, which is named then.
fn steering() -> Option<Steering> {
    match Steering::load() {
        Ok(steering) => Some(steering),
        Err(BpfError::Refused(refusal)) => {
            let text = refusal.to_string();
            let named = [
                "CAP_BPF",
                "5.14",
                "seccomp",
                "CONFIG_BPF_SYSCALL",
                "sandbox",
            ];
            assert!(named.iter().any(|name| text.contains(name)), "{text}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn local(socket: &OwnedFd) -> SocketAddr {
    match local_address(socket.as_fd()).unwrap() {
        BoundAddress::Tcp(address) => address,
        BoundAddress::Unix(path) => panic!("{path:?} is no port"),
    }
}

impl Scene {
    fn at(host: &str, count: u32) -> Option<Scene> {
        let steering = steering()?;
        let address = SocketAddr::new(host.parse().unwrap(), 0);
        let anchor = bind_anchor(address, Families::V6Only).unwrap();
        let mut scene = Scene {
            steering,
            address: local(&anchor),
            anchor,
            sockets: Vec::new(),
            clients: Vec::new(),
        };
        for place in 0..count {
            let socket = scene.join();
            scene.steering.enter(place, socket.as_fd()).unwrap();
            scene.sockets.push(socket);
        }
        let turns: Vec<u32> = (0..count).collect();
        scene.steering.set_turns(&turns, &[]).unwrap();
        Some(scene)
    }

    fn join(&self) -> OwnedFd {
        let socket = join(self.anchor.as_fd(), 4096).unwrap();
        self.steering.attach(socket.as_fd()).unwrap();
        socket
    }

    fn connect(&mut self, count: usize) {
        for _ in 0..count {
            let client = TcpStream::connect(self.address).expect("somebody listens");
            client.set_read_timeout(Some(PATIENCE)).unwrap();
            self.clients.push(client);
        }
    }

    fn queues(&self) -> Vec<u32> {
        let length = |socket: &OwnedFd| accept_queue_length(socket.as_fd()).unwrap().unwrap();
        self.sockets.iter().map(length).collect()
    }

    /// A handshake may end a moment after `connect` has returned.
    fn queues_of(&self, total: u32) -> Vec<u32> {
        let start = Instant::now();
        loop {
            let queues = self.queues();
            if queues.iter().sum::<u32>() == total {
                return queues;
            }
            assert!(start.elapsed() < PATIENCE, "{queues:?} instead of {total}");
            std::thread::yield_now();
        }
    }

    fn counts(&self) -> Counts {
        self.steering.counts().unwrap()
    }

    /// Accepts everyone everywhere, and says goodbye; then each client must have heard it.
    fn serve_all(&mut self) {
        for socket in &self.sockets {
            while let Ok(connection) = accept(socket.as_fd()) {
                rustix::io::write(&connection, b"bye").unwrap();
            }
        }
        for client in &mut self.clients {
            let mut heard = String::new();
            client.read_to_string(&mut heard).expect("no reset");
            assert_eq!(heard, "bye");
        }
        self.clients.clear();
    }
}

#[test]
fn each_has_its_turn_exactly() {
    for host in ["127.0.0.1", "::1"] {
        let Some(mut scene) = Scene::at(host, 4) else {
            return;
        };
        scene.connect(1000);
        assert_eq!(scene.queues_of(1000), [250; 4], "{host}");
        assert_eq!(scene.counts().misses, 0);
        scene.serve_all();
    }
}

#[test]
fn weights_are_repetitions() {
    let Some(mut scene) = Scene::at("127.0.0.1", 3) else {
        return;
    };
    scene.steering.set_turns(&[0, 1, 0, 2, 0], &[]).unwrap();
    assert_eq!(scene.steering.turns().unwrap(), [0, 1, 0, 2, 0]);
    scene.connect(500);
    assert_eq!(scene.queues_of(500), [300, 100, 100]);
    scene.serve_all();
}

#[test]
fn a_turn_that_is_yielded_goes_to_who_comes_next() {
    let Some(mut scene) = Scene::at("127.0.0.1", 3) else {
        return;
    };
    let before = scene.counts().turns;
    scene
        .steering
        .set_turns(&[0, 1, 2], &[(0, 10), (2, 1)])
        .unwrap();
    // Ten rounds without the first, one of them without the last: that leaves nineteen connections.
    scene.connect(19);
    assert_eq!(scene.queues_of(19), [0, 10, 9]);
    let turns = scene.steering.taken([0, 1, 2]).unwrap();
    assert_eq!(turns.yielded, [10, 0, 1]);
    assert_eq!(turns.taken - before, 30);
    scene.connect(30);
    assert_eq!(scene.queues_of(49), [10, 20, 19]);
    // What was yielded stays counted, and is no reason to yield again.
    let sums = [(0, 10), (1, 2)];
    scene.steering.set_turns(&[0, 1, 2], &sums).unwrap();
    scene.connect(4);
    assert_eq!(scene.queues_of(53), [12, 20, 21]);
    assert_eq!(scene.steering.taken([2, 1]).unwrap().yielded, [1, 2]);
    scene.serve_all();
}

#[test]
fn somebody_takes_a_turn_that_all_were_to_yield() {
    let Some(mut scene) = Scene::at("127.0.0.1", 2) else {
        return;
    };
    let many = [(0, 1000), (1, 1000)];
    scene.steering.set_turns(&[0, 1], &many).unwrap();
    scene.connect(20);
    assert_eq!(scene.queues_of(20).iter().sum::<u32>(), 20);
    let counts = scene.counts();
    assert_eq!((counts.exhausted, counts.misses), (0, 0));
    assert_eq!(scene.steering.taken([9999]).unwrap().yielded, [0]);
    scene.serve_all();
}

#[test]
fn who_has_no_turn_gets_nothing() {
    let Some(mut scene) = Scene::at("127.0.0.1", 3) else {
        return;
    };
    scene.steering.set_turns(&[0, 2], &[]).unwrap();
    scene.connect(100);
    assert_eq!(scene.queues_of(100), [50, 0, 50]);
    scene.serve_all();
    assert!(scene.steering.set_turns(&[], &[]).is_err());
    assert!(scene.steering.set_turns(&[1; 257], &[]).is_err());
}

#[test]
fn a_packet_of_no_connection_takes_no_turn() {
    let Some(mut scene) = Scene::at("127.0.0.1", 2) else {
        return;
    };
    for _ in 0..10 {
        scene.connect(1);
        stray_packet(scene.address);
    }
    assert_eq!(scene.queues_of(10), [5, 5]);
    assert_eq!(scene.counts().turns, 10);
    scene.serve_all();
}

#[test]
fn closed_doors_refuse_who_comes_and_keep_who_waits() {
    let Some(mut scene) = Scene::at("127.0.0.1", 2) else {
        return;
    };
    scene.connect(20);
    scene.steering.close().unwrap();
    assert_eq!(scene.steering.turns().unwrap(), []);
    let refused = TcpStream::connect(scene.address).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    assert_eq!(scene.queues_of(20), [10; 2]);
    scene.serve_all();
    scene.steering.set_turns(&[1], &[]).unwrap();
    scene.connect(5);
    assert_eq!(scene.queues_of(5), [0, 5]);
    scene.serve_all();
}

#[test]
fn a_place_without_a_socket_is_passed_over_evenly() {
    let Some(mut scene) = Scene::at("127.0.0.1", 4) else {
        return;
    };
    scene.steering.leave(1).unwrap();
    scene.steering.leave(1).unwrap();
    assert_eq!(scene.steering.at(1).unwrap(), None);
    scene.connect(300);
    assert_eq!(scene.queues_of(300), [100, 0, 100, 100]);
    let counts = scene.counts();
    assert_eq!((counts.exhausted, counts.empty), (0, 0));
    assert!((99..=100).contains(&counts.misses), "{counts:?}");
    scene.serve_all();
}

#[test]
fn without_anybody_whose_turn_it_is_the_hash_decides() {
    let Some(mut scene) = Scene::at("127.0.0.1", 2) else {
        return;
    };
    scene.steering.set_turns(&[300], &[]).unwrap();
    scene.connect(50);
    assert_eq!(scene.queues_of(50).iter().sum::<u32>(), 50);
    let counts = scene.counts();
    assert_eq!((counts.exhausted, counts.misses), (50, 200));
    scene.serve_all();
}

#[test]
fn before_there_are_turns_the_hash_decides() {
    let Some(steering) = steering() else { return };
    let anchor = bind_anchor("127.0.0.1:0".parse().unwrap(), Families::Both).unwrap();
    let socket = join(anchor.as_fd(), 16).unwrap();
    steering.attach(socket.as_fd()).unwrap();
    let _client = TcpStream::connect(local(&anchor)).unwrap();
    assert_eq!(steering.counts().unwrap().empty, 1);
}

/// With `tcp_migrate_req` as it is by default: the program itself is of the kind that migrates.
#[test]
fn r23_who_waits_at_a_socket_that_is_shut_down_goes_to_others() {
    let setting = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_migrate_req").unwrap();
    assert_eq!(setting.trim(), "0", "the default");
    for host in ["127.0.0.1", "::1"] {
        let Some(mut scene) = Scene::at(host, 3) else {
            return;
        };
        scene.connect(300);
        assert_eq!(scene.queues_of(300), [100; 3]);
        scene.steering.set_turns(&[0, 1], &[]).unwrap();
        scene.steering.leave(2).unwrap();
        shut_down(scene.sockets[2].as_fd()).unwrap();
        scene.sockets.pop();
        assert_eq!(scene.queues_of(300), [150; 2], "{host}");
        assert_eq!(scene.counts().migrated, 100);
        scene.serve_all();
    }
}

#[test]
fn a_socket_that_was_shut_down_listens_again_and_has_to_enter_again() {
    let Some(mut scene) = Scene::at("127.0.0.1", 2) else {
        return;
    };
    shut_down(scene.sockets[0].as_fd()).unwrap();
    assert_eq!(scene.steering.at(0).unwrap(), None, "it left by itself");
    scene.connect(20);
    assert_eq!(scene.sockets.len(), 2);
    let waiting = accept_queue_length(scene.sockets[1].as_fd()).unwrap();
    assert_eq!(waiting, Some(20));
    assert!(scene.steering.enter(0, scene.sockets[0].as_fd()).is_err());
    listen_again(scene.sockets[0].as_fd(), 64).unwrap();
    scene.steering.attach(scene.sockets[0].as_fd()).unwrap();
    scene.steering.enter(0, scene.sockets[0].as_fd()).unwrap();
    scene.connect(20);
    assert_eq!(scene.queues_of(40), [10, 30]);
    scene.serve_all();
}

#[test]
fn a_new_socket_takes_the_place_of_the_old_one() {
    let Some(mut scene) = Scene::at("127.0.0.1", 2) else {
        return;
    };
    scene.connect(10);
    let new = scene.join();
    let error = scene.steering.enter(5, scene.sockets[0].as_fd());
    assert_eq!(
        error.unwrap_err().kind(),
        std::io::ErrorKind::ResourceBusy,
        "a socket has one place"
    );
    scene.steering.enter(0, new.as_fd()).unwrap();
    let found = scene.steering.at(0).unwrap();
    assert_eq!(found, Some(cookie(new.as_fd()).unwrap()));
    scene.sockets.push(new);
    scene.connect(10);
    assert_eq!(scene.queues_of(20), [5, 10, 5]);
    scene.serve_all();
}

#[test]
fn two_groups_know_nothing_of_each_other() {
    let (Some(mut one), Some(mut other)) = (Scene::at("127.0.0.1", 2), Scene::at("127.0.0.1", 3))
    else {
        return;
    };
    one.connect(10);
    other.connect(30);
    assert_eq!(one.queues_of(10), [5; 2]);
    assert_eq!(other.queues_of(30), [10; 3]);
    // A socket of another address is never selected, whoever wrote it there.
    let stray = other.join();
    one.steering.enter(7, stray.as_fd()).unwrap();
    one.steering.set_turns(&[7, 0], &[]).unwrap();
    one.connect(10);
    assert_eq!(one.queues_of(20), [15, 5]);
    one.serve_all();
    other.serve_all();
}

/// Without the right for it too, as long as somebody waits.
#[test]
fn r25c_at_a_barred_socket_nobody_begins_and_who_waits_stays() {
    for host in ["127.0.0.1:0", "[::1]:0"] {
        let anchor = bind_anchor(host.parse().unwrap(), Families::V6Only).unwrap();
        let leaving = join(anchor.as_fd(), 64).unwrap();
        let _early = TcpStream::connect(local(&anchor)).unwrap();
        listener::bar(leaving.as_fd()).unwrap();
        let moment = Duration::from_millis(50);
        let unheard = TcpStream::connect_timeout(&local(&anchor), moment).unwrap_err();
        assert_eq!(unheard.kind(), std::io::ErrorKind::TimedOut);
        assert_eq!(accept_queue_length(leaving.as_fd()).unwrap(), Some(1));
        // Somebody who asks now, and is heard when it asks again.
        let address = local(&anchor);
        let patient = std::thread::spawn(move || TcpStream::connect(address).map(drop));
        let _served = accept(leaving.as_fd()).unwrap();
        listener::unbar(leaving.as_fd(), 64).unwrap();
        listener::unbar(leaving.as_fd(), 64).unwrap();
        patient.join().unwrap().unwrap();
    }
}

#[test]
fn another_process_goes_on_with_the_descriptors() {
    let Some(mut scene) = Scene::at("127.0.0.1", 2) else {
        return;
    };
    scene.connect(3);
    let copies = |steering: &Steering| {
        let parts = steering.parts();
        parts.map(|(_, fd)| herder_sys::fd::duplicate(fd).unwrap())
    };
    let adopted = Steering::adopt(copies(&scene.steering)).unwrap();
    assert_eq!(adopted.counts().unwrap().turns, 3);
    assert_eq!(adopted.turns().unwrap(), [0, 1]);
    scene.steering = adopted;
    scene.connect(3);
    assert_eq!(scene.queues_of(6), [3, 3]);
    scene.serve_all();

    let [program, sockets, turns, counters] = copies(&scene.steering);
    let error = Steering::adopt([program, turns, sockets, counters]).unwrap_err();
    assert!(error.to_string().contains("map of sockets"), "{error}");
    let [_, sockets, turns, counters] = copies(&scene.steering);
    let [stranger, ..] = copies(&steering().unwrap());
    let error = Steering::adopt([stranger, sockets, turns, counters]).unwrap_err();
    assert!(error.to_string().contains("other maps"), "{error}");
    let null = || herder_sys::fd::null().unwrap();
    assert!(Steering::adopt([null(), null(), null(), null()]).is_err());
}

#[test]
fn an_address_that_a_stranger_has_is_refused() {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    // Also a stranger of our own user who would share it: his are half of the connections else.
    let stranger = bind_anchor(any, Families::Both).unwrap();
    let _listening = join(stranger.as_fd(), 8).unwrap();
    let error = bind_anchor(local(&stranger), Families::Both).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
}

#[test]
fn a_stranger_does_not_get_an_address_that_is_ours() {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let anchor = bind_anchor(any, Families::Both).unwrap();
    let _listening = join(anchor.as_fd(), 8).unwrap();
    let taken = local(&anchor);
    let error = std::net::TcpListener::bind(taken).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    let error = listener::bind_tcp(taken, Families::Both).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    // Another user, who would share it: only this thread is one, if it may become one.
    let other = rustix::process::Uid::from_raw(65_534);
    let answer = std::thread::spawn(move || {
        rustix::thread::set_thread_res_uid(other, other, other).ok()?;
        Some(join(anchor.as_fd(), 8).map(drop))
    });
    if let Some(answer) = answer.join().unwrap() {
        assert_eq!(answer.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    }
}

/// A stranger of the same user can share the address behind our back. It has no turn.
#[test]
fn a_stranger_of_the_same_user_gets_nothing() {
    let Some(mut scene) = Scene::at("127.0.0.1", 2) else {
        return;
    };
    let stranger = join(scene.anchor.as_fd(), 64).unwrap();
    scene.connect(100);
    assert_eq!(scene.queues_of(100), [50; 2]);
    assert_eq!(accept_queue_length(stranger.as_fd()).unwrap(), Some(0));
    scene.serve_all();
}

/// What a thread with these rights and no others finds.
fn probe_with(rights: CapabilitySet) -> Result<(), Refusal> {
    let probing = std::thread::spawn(move || {
        let had = capabilities(None).unwrap();
        let wanted = CapabilitySets {
            effective: rights & had.permitted,
            permitted: rights & had.permitted,
            inheritable: CapabilitySet::empty(),
        };
        set_capabilities(None, wanted).unwrap();
        bpf::probe()
    });
    probing.join().unwrap()
}

#[test]
fn the_missing_right_is_named() {
    let setting = std::fs::read_to_string("/proc/sys/kernel/unprivileged_bpf_disabled");
    let is_open_to_all = setting.is_ok_and(|text| text.trim() == "0");
    let answer = probe_with(CapabilitySet::empty());
    if !is_open_to_all {
        let text = answer.unwrap_err().to_string();
        assert_eq!(text, "kernel dispatch needs CAP_BPF (or root)");
    }
    if steering().is_some() {
        // And it is the only one.
        assert_eq!(probe_with(CapabilitySet::BPF), Ok(()));
        assert_eq!(bpf::probe(), Ok(()));
    }
}

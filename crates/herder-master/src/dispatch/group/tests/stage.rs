//! A group, its workers, and their clients.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use herder_core::rotation::{Event, Relief, RotationSpec, Steering, Weight};
use herder_core::{Incarnation, Slot, Tick, WorkerId};
use herder_sys::epoll::{Epoll, Events, Interest};
use herder_sys::fd::{self, Blocking};
use herder_sys::listener::{self, Families};
use herder_sys::pidfd::PidFd;
use herder_sys::signal::Signal;
use herder_sys::{bpf, clock};

use super::super::{Group, GroupSpec, Notice};

/// The variable with a worker's name.
pub(super) const NAME: &str = "HERDER_TEST_WORKER";

const PATIENCE: Duration = Duration::from_secs(20);

/// What a worker does.
pub(super) fn work(name: &[u8]) {
    let stdin = io::stdin();
    // As long as it listens.
    while let Ok(connection) = listener::accept(stdin.as_fd()) {
        say(&connection, name);
    }
    // It is ended by who started it.
    loop {
        std::thread::park();
    }
}

pub(super) fn say(connection: &OwnedFd, name: &[u8]) {
    use std::io::Write as _;
    let copy = connection.try_clone().expect("a descriptor");
    // The client may have gone.
    let _gone = TcpStream::from(copy).write_all(name);
}

pub(super) fn now() -> Tick {
    Tick::from_micros(clock::monotonic_micros())
}

pub(super) fn worker(slot: u16, incarnation: u64) -> WorkerId {
    WorkerId {
        slot: Slot(slot),
        incarnation: Incarnation(incarnation),
    }
}

pub(super) fn spec(steering: Steering) -> GroupSpec {
    GroupSpec {
        rotation: RotationSpec {
            steering,
            ..RotationSpec::default()
        },
        families: Families::V6Only,
        backlog: 4096,
        blocking: Blocking::Yes,
    }
}

pub(super) struct Stage {
    pub(super) group: Group,
    pub(super) spec: GroupSpec,
    pub(super) workers: BTreeMap<WorkerId, Child>,
    pub(super) relief: Relief,
    pub(super) notices: Vec<Notice>,
    clients: Vec<Client>,
    /// How often each name was heard; `?` = the end without a word.
    pub(super) heard: BTreeMap<String, usize>,
    pub(super) errors: Vec<io::Error>,
}

struct Client {
    stream: TcpStream,
    heard: Vec<u8>,
}

impl Stage {
    /// `None` where the kernel takes no program; then the reason is named.
    pub(super) fn at(host: &str, spec: &GroupSpec) -> Option<Stage> {
        if spec.rotation.steering == Steering::Program
            && let Err(refusal) = bpf::probe()
        {
            let text = refusal.to_string();
            assert!(text.contains("dispatch"), "{text}");
            return None;
        }
        let address = SocketAddr::new(host.parse().expect("an address"), 0);
        let group = Group::bind(spec, address).expect("a free port");
        Some(Stage {
            group,
            spec: spec.clone(),
            workers: BTreeMap::new(),
            relief: Relief::Kill,
            notices: Vec::new(),
            clients: Vec::new(),
            heard: BTreeMap::new(),
            errors: Vec::new(),
        })
    }

    pub(super) fn with(slots: u16, spec: &GroupSpec) -> Option<Stage> {
        let mut stage = Stage::at("127.0.0.1", spec)?;
        stage.start_all(slots);
        Some(stage)
    }

    pub(super) fn start_all(&mut self, slots: u16) {
        for slot in 0..slots {
            self.start(worker(slot, u64::from(slot) + 1));
        }
        for slot in 0..slots {
            self.admit(worker(slot, u64::from(slot) + 1));
        }
    }

    pub(super) fn start(&mut self, worker: WorkerId) {
        let socket = self
            .group
            .start(worker, Weight::ONE, self.relief, now())
            .expect("a socket");
        let socket = fd::duplicate(socket).expect("a descriptor");
        let child = Command::new(std::env::current_exe().expect("a path"))
            .args(["--exact", "--ignored", "--nocapture"])
            .arg("dispatch::group::tests::worker_process")
            .env(NAME, worker.to_string())
            .stdin(Stdio::from(socket))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a process");
        self.workers.insert(worker, child);
    }

    pub(super) fn admit(&mut self, worker: WorkerId) {
        self.tell(Event::Admit { worker });
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.group.tell(event, now());
        self.notices.extend(self.group.notices());
    }

    pub(super) fn signal(&self, worker: WorkerId, signal: Signal) {
        let pid = self.pid(worker);
        let process = PidFd::open(pid).expect("it lives");
        process.signal(signal).expect("ours");
    }

    fn pid(&self, worker: WorkerId) -> i32 {
        let pid = self.workers[&worker].id();
        i32::try_from(pid).expect("a pid")
    }

    /// Stops a process, and waits until every thread of it has stopped.
    pub(super) fn stop(&self, worker: WorkerId) {
        self.signal(worker, Signal::Stop);
        let tasks = format!("/proc/{}/task", self.pid(worker));
        let deadline = Instant::now() + PATIENCE;
        let is_stopped = |task: io::Result<std::fs::DirEntry>| {
            let path = task.expect("it lives").path().join("stat");
            let text = std::fs::read_to_string(path).expect("it lives");
            text.rsplit(')')
                .next()
                .is_some_and(|it| it.starts_with(" T"))
        };
        while !std::fs::read_dir(&tasks).expect("it lives").all(is_stopped) {
            assert!(Instant::now() < deadline, "{worker} does not stop");
            std::thread::yield_now();
        }
    }

    /// Kills it, and tells the group.
    pub(super) fn kill(&mut self, worker: WorkerId) {
        let mut child = self.workers.remove(&worker).expect("it lives");
        child.kill().expect("ours");
        child.wait().expect("ours");
        self.tell(Event::Gone { worker });
    }

    pub(super) fn connect(&mut self, count: usize) {
        for _ in 0..count {
            let stream = TcpStream::connect(self.group.local()).expect("somebody listens");
            stream.set_nonblocking(true).expect("a socket");
            self.clients.push(Client {
                stream,
                heard: Vec::new(),
            });
        }
    }

    pub(super) fn sockets(&self) -> usize {
        self.group.berths.len()
    }

    /// How many wait in all queues.
    pub(super) fn waiting(&self) -> u32 {
        let queue = |fd| listener::waiting_at(fd).expect("a listener").unwrap_or(0);
        self.group.berths.values().map(|it| queue(it.as_fd())).sum()
    }

    pub(super) fn waiting_at(&self, worker: WorkerId) -> u32 {
        let socket = self.group.socket(worker).expect("it has one");
        let waiting = listener::waiting_at(socket).expect("a listener");
        waiting.expect("it listens")
    }

    /// Looks after everything until this holds.
    pub(super) fn until(&mut self, what: &str, holds: impl Fn(&Stage) -> bool) {
        let epoll = Epoll::new().expect("an epoll");
        epoll
            .add(self.group.as_fd(), 0, Interest::READABLE)
            .expect("a descriptor");
        let deadline = Instant::now() + PATIENCE;
        let mut events = Events::with_capacity(4);
        while !holds(self) {
            assert!(
                Instant::now() < deadline,
                "{what}: {:?} {:?} {:?}, {} clients, {} wait",
                self.heard,
                self.errors,
                self.notices,
                self.clients.len(),
                self.waiting()
            );
            let timer = self.group.next_timer().map(|at| at.since(now()));
            let timeout = timer.map_or(A_MOMENT, |timer| timer.min(A_MOMENT));
            epoll.wait(&mut events, Some(timeout)).expect("an epoll");
            self.turn();
        }
        epoll.remove(self.group.as_fd()).expect("it was added");
    }

    fn turn(&mut self) {
        self.group.wake(now());
        for notice in self.group.notices() {
            if let Notice::Rescue(worker) = notice {
                self.group.rescue(worker, now());
            }
            self.notices.push(notice);
        }
        for (_, connection) in self.group.rescued() {
            say(&connection, b"rescued");
        }
        let clients = std::mem::take(&mut self.clients);
        for client in clients {
            self.listen_to(client);
        }
    }

    fn listen_to(&mut self, mut client: Client) {
        match client.stream.read_to_end(&mut client.heard) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.clients.push(client),
            Err(error) => self.errors.push(error),
            Ok(_) => {
                let name = String::from_utf8(client.heard).expect("a name");
                let name = if name.is_empty() { "?".into() } else { name };
                *self.heard.entry(name).or_default() += 1;
            }
        }
    }

    /// Waits until every client has its answer: from a worker or a rescuer, without an error.
    pub(super) fn all_answered(&mut self, count: usize) {
        self.until("all are answered", |stage| stage.clients.is_empty());
        assert!(self.errors.is_empty(), "{:?}", self.errors);
        assert_eq!(self.heard.get("?"), None, "{:?}", self.heard);
        assert_eq!(
            self.heard.values().sum::<usize>(),
            count,
            "{:?}",
            self.heard
        );
    }

    pub(super) fn heard(&self, worker: WorkerId) -> usize {
        self.heard.get(&worker.to_string()).copied().unwrap_or(0)
    }

    pub(super) fn forget_answers(&mut self) {
        self.heard.clear();
    }
}

/// Clients are asked at least so often.
const A_MOMENT: Duration = Duration::from_millis(2);

impl Drop for Stage {
    fn drop(&mut self) {
        for child in self.workers.values_mut() {
            // It may have ended by itself.
            let _ended = child.kill();
            let _reaped = child.wait();
        }
    }
}

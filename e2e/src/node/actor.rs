//! Processes that do what a test tells them to.

use crate::foreign::BOOT;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Where actors report.
#[derive(Debug)]
pub(super) struct Control {
    listener: UnixListener,
    path: PathBuf,
    /// Those that have reported before they were asked for.
    early: RefCell<BTreeMap<u64, Actor>>,
}

impl Control {
    pub(super) fn at(path: &Path) -> Control {
        let listener = UnixListener::bind(path);
        Control {
            listener: listener.expect("the scene's directory is ours"),
            path: path.to_owned(),
            early: RefCell::default(),
        }
    }

    #[track_caller]
    pub(super) fn actor(&self, id: u64) -> Actor {
        loop {
            if let Some(actor) = self.early.borrow_mut().remove(&id) {
                return actor;
            }
            let patience = Timespec::try_from(BOOT).expect("it fits");
            let mut ready = [PollFd::new(&self.listener, PollFlags::IN)];
            let events = poll(&mut ready, Some(&patience)).expect("it can be waited for");
            assert!(events > 0, "actor {id} has not reported within {BOOT:?}");
            let (socket, _) = self.listener.accept().expect("somebody is there");
            let actor = Actor::new(socket);
            self.early.borrow_mut().insert(actor.id, actor);
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // Whoever looks for what is left behind says so if this fails.
        let _gone = fs::remove_file(&self.path);
    }
}

/// A process of a cluster that does what it is told to, in JavaScript. In scope is what `actor.js` (a worker) or
/// `primary.js` (Node's own primary) names at its end.
#[derive(Debug)]
pub struct Actor {
    id: u64,
    pid: i32,
    socket: BufReader<UnixStream>,
    told: u64,
    answers: BTreeMap<u64, Value>,
}

impl Actor {
    fn new(socket: UnixStream) -> Actor {
        socket.set_read_timeout(Some(BOOT)).expect("it is not zero");
        let mut actor = Actor {
            id: 0,
            pid: 0,
            socket: BufReader::new(socket),
            told: 0,
            answers: BTreeMap::new(),
        };
        let hello = actor.next_line("who it is");
        actor.id = hello["id"].as_u64().expect("a number");
        let pid = hello["pid"].as_i64().and_then(|pid| pid.try_into().ok());
        actor.pid = pid.expect("a number");
        actor
    }

    /// Its `cluster.worker.id`; 0 is Node's own primary.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Its process.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Has it run the body of an asynchronous function, and returns what that returns: `null` for nothing. An
    /// error that has a `code` is returned as `{error: {code, errno, syscall}}`.
    ///
    /// # Panics
    /// When the function throws anything else, or there is no answer within [`BOOT`].
    #[track_caller]
    pub fn run(&mut self, body: &str) -> Value {
        let number = self.start(body);
        self.result_of(number)
    }

    /// Like [`Actor::run`], without waiting: returns the number to ask for with [`Actor::result_of`].
    ///
    /// # Panics
    /// When the process has gone.
    #[track_caller]
    pub fn start(&mut self, body: &str) -> u64 {
        self.told += 1;
        let line = format!("{}\n", json!({"number": self.told, "body": body}));
        let sent = self.socket.get_mut().write_all(line.as_bytes());
        sent.unwrap_or_else(|error| panic!("worker {} cannot be told: {error}", self.id));
        self.told
    }

    /// What the function of this number has returned.
    ///
    /// # Panics
    /// As [`Actor::run`].
    #[track_caller]
    pub fn result_of(&mut self, number: u64) -> Value {
        let mut answer = loop {
            if let Some(answer) = self.answers.remove(&number) {
                break answer;
            }
            let answer = self.next_line("an answer");
            let of = answer["number"].as_u64().expect("a number");
            self.answers.insert(of, answer);
        };
        match answer.get("error") {
            None => answer["value"].take(),
            Some(Value::String(text)) => panic!("worker {}: {text}", self.id),
            Some(error) => json!({"error": error}),
        }
    }

    #[track_caller]
    fn next_line(&mut self, what: &str) -> Value {
        let mut line = String::new();
        let read = self.socket.read_line(&mut line);
        assert!(
            read.as_ref().is_ok_and(|length| *length > 0),
            "worker {} does not say {what}: {read:?}",
            self.id
        );
        serde_json::from_str(&line).expect("actors speak JSON")
    }
}

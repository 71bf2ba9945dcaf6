//! Herds that are run from an order, and clients of their sockets.

use crate::binary::Binary;
use crate::herd::{Herd, Setup};
use crate::scene::Scene;
use crate::wait;
use herder_api::app::{App, Workers};
use herder_api::herd::{FromHerd, HerdAnswer, HerdOrder, HerdRequest, MAX_LINE, ToHerd};
use herder_api::status::{HerdStatus, Verdict};
use herder_api::units::Period;
use herder_api::{Problem, herd};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, DirBuilder};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a herd, or an answer, may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// An app that is to be run from an order.
#[derive(Debug)]
pub struct Ordered<'a> {
    scene: &'a Scene,
    /// What is run. Its name is the socket's.
    pub app: App,
}

impl Ordered<'_> {
    /// A program of so many workers that count as ready after 100 ms, and soak for 200 ms.
    pub fn command<'a>(scene: &'a Scene, command: &[&str], workers: u16) -> Ordered<'a> {
        let app = App {
            name: "web".to_owned(),
            command: command.iter().map(|&word| word.to_owned()).collect(),
            workers: Workers::Count(workers),
            ready_after: Some(Period::millis(100)),
            soak: Some(Period::millis(200)),
            grace: Some(Period::secs(5)),
            ..App::default()
        };
        Ordered { scene, app }
    }

    /// Where the herd's socket is.
    pub fn socket(&self) -> PathBuf {
        self.directory("run").join("web.sock")
    }

    /// Writes the order.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self) -> PathBuf {
        let inherited = std::env::vars().filter(|(name, _)| name == "PATH");
        let order = HerdOrder {
            app: self.app.clone(),
            inherited: inherited.collect(),
            profile: None,
            socket: self.socket(),
            log_dir: self.directory("logs"),
            event_log: self.directory("logs").join("web-herder.jsonl"),
        };
        let path = self.scene.directory().join("order.json");
        let text = serde_json::to_vec(&order).expect("an order is JSON");
        fs::write(&path, text).expect("the order can be written");
        path
    }

    /// The herd, about to be started.
    pub fn setup(&self) -> Setup {
        let setup = self.scene.herd(Binary::HERDER);
        setup.arg("herd").arg(self.write())
    }

    /// Starts the herd, and waits until so many workers as it has are ready. What was told until then is
    /// forgotten.
    pub fn start(&self) -> (Herd, Caller) {
        let herd = self.setup().start();
        let mut caller = self.call_when_ready();
        caller.forget();
        (herd, caller)
    }

    /// Connects as soon as that is possible, and waits until all workers are ready.
    pub fn call_when_ready(&self) -> Caller {
        let mut caller = Caller::connect(&self.socket());
        caller.wait_for_status("all workers are ready", |status| {
            let ready = status.slots.iter().filter(|slot| {
                let mut workers = slot.workers.iter();
                workers.any(|worker| worker.phase == "ready")
            });
            ready.count() == usize::from(status.wanted)
        });
        caller
    }

    fn directory(&self, name: &str) -> PathBuf {
        let path = self.scene.directory().join(name);
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                panic!("{} cannot be made: {error}", path.display())
            }
            _ => path,
        }
    }
}

/// A client of a herd's socket, which has been greeted. It keeps what it hears.
#[derive(Debug)]
pub struct Caller {
    stream: UnixStream,
    input: Vec<u8>,
    asked: u64,
    /// How the herd stood when that was told last.
    pub status: HerdStatus,
    /// The statuses that were told after the greeting, and when.
    pub told: Vec<(Instant, HerdStatus)>,
    /// All events so far.
    pub events: Vec<BTreeMap<String, Value>>,
    answers: VecDeque<(u64, Result<HerdAnswer, Problem>)>,
}

impl Caller {
    /// Connects as soon as somebody listens. (A master that is just dying may still let somebody in.)
    ///
    /// # Panics
    /// When nobody does, or does not greet.
    #[track_caller]
    pub fn connect(path: &Path) -> Caller {
        wait::until(PATIENCE, "somebody greets at the herd's socket", || {
            let mut caller = Caller::of(UnixStream::connect(path).ok()?);
            let said = caller.next(PATIENCE)?;
            let FromHerd::Hello {
                protocol, status, ..
            } = said
            else {
                panic!("no greeting, but {said:?}");
            };
            assert_eq!(protocol, herd::PROTOCOL);
            caller.status = *status;
            Some(caller)
        })
    }

    fn of(stream: UnixStream) -> Caller {
        Caller {
            stream,
            input: Vec::new(),
            asked: 0,
            status: HerdStatus::default(),
            told: Vec::new(),
            events: Vec::new(),
            answers: VecDeque::new(),
        }
    }

    /// Says something as it is.
    ///
    /// # Panics
    /// When nobody takes it.
    pub fn say(&mut self, bytes: &[u8]) {
        self.stream
            .write_all(bytes)
            .expect("the herd takes what is said");
    }

    /// Asks for something. The result is the number of the request.
    pub fn ask(&mut self, request: HerdRequest) -> u64 {
        self.asked += 1;
        let id = self.asked;
        let mut line = serde_json::to_vec(&ToHerd { id, request }).expect("JSON");
        line.push(b'\n');
        self.say(&line);
        id
    }

    /// Waits for the answer to a request.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn answer(&mut self, id: u64) -> Result<HerdAnswer, Problem> {
        let mut found = None;
        self.listen(&format!("the answer {id}"), |caller| {
            let place = caller.answers.iter().position(|(of, _)| *of == id)?;
            found = caller.answers.remove(place);
            Some(())
        });
        found.expect("it was found").1
    }

    /// Asks, and waits for the answer.
    #[track_caller]
    pub fn request(&mut self, request: HerdRequest) -> Result<HerdAnswer, Problem> {
        let id = self.ask(request);
        self.answer(id)
    }

    /// Asks for what is done with a number of processes, and gives that.
    ///
    /// # Panics
    /// When it is not done.
    #[track_caller]
    pub fn count(&mut self, request: HerdRequest) -> u32 {
        match self.request(request) {
            Ok(HerdAnswer::Done { count }) => count,
            other => panic!("not done, but {other:?}"),
        }
    }

    /// Waits for the verdict that is the answer to a request.
    ///
    /// # Panics
    /// When the answer is another.
    #[track_caller]
    pub fn verdict(&mut self, id: u64) -> Verdict {
        match self.answer(id) {
            Ok(HerdAnswer::Verdict { verdict }) => verdict,
            other => panic!("no verdict, but {other:?}"),
        }
    }

    /// Waits until the herd stands so, as it stands now included.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn wait_for_status(&mut self, what: &str, mut is_so: impl FnMut(&HerdStatus) -> bool) {
        self.listen(what, |caller| is_so(&caller.status).then_some(()));
    }

    /// Waits for an event of this kind, those already heard included, and gives the first.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn wait_for_event(&mut self, kind: &str) -> BTreeMap<String, Value> {
        let mut found = None;
        self.listen(&format!("the event {kind}"), |caller| {
            let mut events = caller.events.iter();
            found = events.find(|event| event["event"] == kind).cloned();
            found.as_ref().map(|_| ())
        });
        found.expect("it was found")
    }

    /// Forgets what was told so far.
    pub fn forget(&mut self) {
        self.told.clear();
        self.events.clear();
    }

    /// The living workers, by pid, in the order of their slots.
    pub fn workers(&self) -> Vec<i32> {
        let slots = self.status.slots.iter();
        let workers = slots.flat_map(|slot| &slot.workers);
        workers.map(|worker| worker.pid).collect()
    }

    /// Waits for the end of the connection.
    ///
    /// # Panics
    /// When it goes on.
    #[track_caller]
    pub fn wait_for_end(&mut self) {
        let until = Instant::now() + PATIENCE;
        while self
            .next(until.saturating_duration_since(Instant::now()))
            .is_some()
        {
            assert!(Instant::now() < until, "the connection goes on");
        }
    }

    #[track_caller]
    fn listen(&mut self, what: &str, mut probe: impl FnMut(&mut Caller) -> Option<()>) {
        let until = Instant::now() + PATIENCE;
        while probe(self).is_none() {
            let left = until.saturating_duration_since(Instant::now());
            let heard = if left.is_zero() {
                None
            } else {
                self.next(left)
            };
            assert!(
                heard.is_some(),
                "not told: {what}; {:?}\n{:?}",
                self.status,
                self.events
            );
        }
    }

    /// The next message, which is kept; `None` at the end of the connection.
    ///
    /// # Panics
    /// When nothing comes in this time, or it makes no sense.
    #[track_caller]
    fn next(&mut self, within: Duration) -> Option<FromHerd> {
        let line = self.line(within)?;
        assert!(line.len() < MAX_LINE, "a line of {} bytes", line.len());
        let message: FromHerd = serde_json::from_slice(&line).expect("the herd speaks its words");
        match &message {
            FromHerd::Hello { .. } => {}
            FromHerd::Status { status } => {
                self.status = (**status).clone();
                self.told.push((Instant::now(), self.status.clone()));
            }
            FromHerd::Event { event } => self.events.push(event.clone()),
            FromHerd::Answer { id, answer } => self.answers.push_back((*id, answer.clone())),
        }
        Some(message)
    }

    #[track_caller]
    fn line(&mut self, within: Duration) -> Option<Vec<u8>> {
        let until = Instant::now() + within;
        loop {
            if let Some(end) = self.input.iter().position(|byte| *byte == b'\n') {
                let line = self.input[..end].to_vec();
                self.input.drain(..=end);
                return Some(line);
            }
            let left = until.saturating_duration_since(Instant::now());
            let left = left.max(Duration::from_millis(1));
            self.stream
                .set_read_timeout(Some(left))
                .expect("a socket has a time-out");
            let mut room = [0; 65_536];
            match self.stream.read(&mut room) {
                Ok(0) => return None,
                Ok(count) => self.input.extend_from_slice(&room[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("nothing was said within {within:?}: {error}"),
            }
        }
    }
}

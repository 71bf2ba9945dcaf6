//! Herds of the daemon, without a daemon: `herder herd ORDER`, and what is said over the herd's socket.

use crate::binary::Binary;
use crate::foreign::BOOT;
use crate::herd::{Herd, Setup};
use crate::scene::Scene;
use crate::wait;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

/// An order, where a herd is run from it.
#[derive(Debug)]
pub struct Order {
    directory: PathBuf,
    /// The file.
    pub path: PathBuf,
    /// What the caller's environment is said to be.
    pub inherited: BTreeMap<String, String>,
    /// The profile that is said to be chosen.
    pub profile: Option<String>,
}

/// A connection with a herd's master.
#[derive(Debug)]
pub struct Desk {
    lines: BufReader<UnixStream>,
    asked: u64,
}

/// A worker, as the status tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Its place.
    pub slot: u64,
    /// Its process.
    pub pid: i32,
    /// `ready`, for instance.
    pub phase: String,
    /// What it was started from.
    pub generation: u64,
}

impl Order {
    /// Prepares the place for one.
    ///
    /// # Panics
    /// When that cannot be made.
    pub fn new(scene: &Scene) -> Order {
        let directory = scene.directory().to_owned();
        for name in ["run", "logs"] {
            let made = DirBuilder::new().mode(0o700).create(directory.join(name));
            made.expect("the scene's directory is there");
        }
        let path = std::env::var("PATH").expect("there is a PATH");
        Order {
            path: directory.join("order.json"),
            inherited: BTreeMap::from([("PATH".to_owned(), path)]),
            profile: None,
            directory,
        }
    }

    /// Writes it, for this app.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, app: &Value) {
        let order = json!({
            "app": app,
            "inherited": self.inherited,
            "profile": self.profile,
            "socket": self.socket(),
            "log_dir": self.directory.join("logs"),
            "event_log": self.directory.join("logs/herder.jsonl"),
        });
        self.damage(&order.to_string());
    }

    /// Writes something else.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn damage(&self, text: &str) {
        let next = self.path.with_extension("next");
        fs::write(&next, text).expect("the scene's directory is there");
        fs::rename(&next, &self.path).expect("both are ours");
    }

    /// Prepares the herd.
    pub fn setup(&self, scene: &Scene) -> Setup {
        scene.herd(Binary::HERDER).arg("herd").arg(&self.path)
    }

    /// Starts the herd, and waits until so many workers are ready.
    #[track_caller]
    pub fn start(&self, scene: &Scene, workers: usize) -> (Herd, Desk) {
        let herd = self.setup(scene).start();
        let mut desk = self.desk();
        desk.wait_for_ready(workers, |_| true);
        (herd, desk)
    }

    /// Connects with the master that there is.
    #[track_caller]
    pub fn desk(&self) -> Desk {
        wait::until(BOOT, "a master greets", || {
            let stream = UnixStream::connect(self.socket()).ok()?;
            stream.set_read_timeout(Some(BOOT * 2)).ok()?;
            let mut desk = Desk {
                lines: BufReader::new(stream),
                asked: 0,
            };
            (desk.hear()?["is"] == "hello").then_some(desk)
        })
    }

    fn socket(&self) -> PathBuf {
        self.directory.join("run/herd.sock")
    }
}

impl Desk {
    /// Asks, and returns the answer: what it is, or the problem.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn ask(&mut self, request: &Value) -> Value {
        self.asked += 1;
        let line = json!({"id": self.asked, "request": request});
        let said = writeln!(self.lines.get_mut(), "{line}");
        said.expect("the master hears");
        loop {
            let heard = self.hear().expect("an answer comes");
            if heard["is"] == "answer" && heard["id"] == self.asked {
                return heard["answer"].clone();
            }
        }
    }

    /// Asks for a reload, and returns its verdict.
    #[track_caller]
    pub fn reload(&mut self) -> Value {
        self.ask(&json!({"verb": "reload"}))["Ok"]["verdict"].clone()
    }

    /// How the herd stands.
    #[track_caller]
    pub fn status(&mut self) -> Value {
        self.ask(&json!({"verb": "status"}))["Ok"]["status"].clone()
    }

    /// The workers that live.
    #[track_caller]
    pub fn workers(&mut self) -> Vec<Worker> {
        let status = self.status();
        let slots = status["slots"].as_array().into_iter().flatten();
        let workers = slots.flat_map(|slot| {
            let all = slot["workers"].as_array().into_iter().flatten();
            all.filter_map(|worker| {
                Some(Worker {
                    slot: slot["slot"].as_u64()?,
                    pid: i32::try_from(worker["pid"].as_i64()?).ok()?,
                    phase: worker["phase"].as_str()?.to_owned(),
                    generation: worker["generation"].as_u64()?,
                })
            })
        });
        workers.collect()
    }

    /// Waits until so many workers of this kind are ready, and no other lives, and returns them by slot.
    #[track_caller]
    pub fn wait_for_ready(
        &mut self,
        count: usize,
        is_meant: impl Fn(&Worker) -> bool,
    ) -> Vec<Worker> {
        wait::until(BOOT, "the workers are ready", || {
            let workers = self.workers();
            let right = |worker: &Worker| worker.phase == "ready" && is_meant(worker);
            (workers.len() == count && workers.iter().all(right)).then_some(workers)
        })
    }

    fn hear(&mut self) -> Option<Value> {
        let mut line = String::new();
        self.lines
            .read_line(&mut line)
            .ok()
            .filter(|len| *len > 0)?;
        serde_json::from_str(&line).ok()
    }
}

impl Worker {
    /// A variable of its environment.
    pub fn variable(&self, name: &str) -> Option<String> {
        let environment = fs::read(format!("/proc/{}/environ", self.pid)).ok()?;
        let mut all = environment.split(|byte| *byte == 0);
        let own = all.find_map(|it| it.strip_prefix(format!("{name}=").as_bytes()))?;
        Some(String::from_utf8_lossy(own).into_owned())
    }
}

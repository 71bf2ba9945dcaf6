//! Books that know two apps, and a client.

use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use herder_api::App;
use herder_api::control::{DaemonEvent, Plan, PlanStep, Progress, StepKind};
use herder_api::problem::{Problem, ProblemKind};
use herder_api::status::{
    AppDetail, AppPhase, AppStatus, DaemonStatus, HerdStatus, SlotStatus, Usage, WorkerStatus,
};
use herder_client::Client;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinHandle;

use super::super::Door;
use crate::desk::{Ask, Course};
use crate::{AppFiles, Desk};

/// A daemon without herds.
pub(super) struct Stage {
    pub(super) directory: PathBuf,
    pub(super) socket: PathBuf,
    pub(super) client: Client,
    pub(super) events: broadcast::Sender<DaemonEvent>,
    pub(super) serving: JoinHandle<()>,
    books: Option<JoinHandle<()>>,
}

impl Stage {
    /// With the books of [`answer`].
    pub(super) fn new() -> Stage {
        Stage::with(None)
    }

    pub(super) fn with(read_group: Option<u32>) -> Stage {
        let (mut stage, mut asks) = Stage::empty(read_group);
        let files = files(&stage.directory);
        stage.books = Some(tokio::spawn(async move {
            while let Some(ask) = asks.recv().await {
                answer(ask, &files);
            }
        }));
        stage
    }

    /// With books that the test keeps.
    pub(super) fn empty(read_group: Option<u32>) -> (Stage, mpsc::Receiver<Ask>) {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("herder-api-{}-{count}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        drop(std::fs::remove_dir_all(&directory));
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&directory)
            .unwrap();
        let socket = directory.join("herder.sock");
        let (asks, asked) = mpsc::channel(16);
        let (events, _) = broadcast::channel(64);
        let door = Door::open(&socket, read_group).unwrap();
        let desk = Desk::new(asks, events.clone());
        let stage = Stage {
            client: Client::new(&socket),
            serving: tokio::spawn(door.serve(desk)),
            books: None,
            directory,
            socket,
            events,
        };
        (stage, asked)
    }

    /// Ends the books, as a daemon does that ends.
    pub(super) fn close(&mut self) {
        self.books.take().expect("they are open").abort();
    }

    /// Says something, and returns what comes until the other side closes.
    pub(super) async fn say(&self, text: &str) -> String {
        let mut stream = UnixStream::connect(&self.socket).await.unwrap();
        // Whoever is turned away may be so before it has said everything.
        drop(stream.write_all(text.as_bytes()).await);
        rest(&mut stream).await
    }

    pub(super) async fn get(&self, path: &str) -> String {
        self.say(&format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n"))
            .await
    }

    pub(super) async fn post(&self, path: &str, body: &str) -> String {
        let length = body.len();
        self.say(&format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
        .await
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.serving.abort();
        if let Some(books) = &self.books {
            books.abort();
        }
        drop(std::fs::remove_dir_all(&self.directory));
    }
}

/// The files of `web`.
pub(super) fn files(directory: &Path) -> AppFiles {
    let path = |name: &str| directory.join(name);
    AppFiles {
        id: 0,
        name: "web".to_owned(),
        workers: 2,
        logs: herder_api::app::Logs::default(),
        out: Some(path("web-out.log")),
        error: Some(path("web-error.log")),
        events: path("web-herder.jsonl"),
        daemon: path("daemon.log"),
    }
}

/// What comes until the other side closes.
pub(super) async fn rest(stream: &mut UnixStream) -> String {
    let mut bytes = Vec::new();
    let reading = stream.read_to_end(&mut bytes);
    let read = tokio::time::timeout(Duration::from_secs(30), reading).await;
    // A reset after what was said is an end, too.
    drop(read.expect("it ends in time"));
    String::from_utf8(bytes).unwrap()
}

/// Waits until something holds.
pub(super) async fn until(what: &str, holds: impl Fn() -> bool) {
    let end = tokio::time::Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(tokio::time::Instant::now() < end, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The number before the body.
pub(super) fn status(answer: &str) -> u16 {
    let code = answer.split(' ').nth(1).unwrap_or_default();
    code.parse()
        .unwrap_or_else(|_| panic!("no answer: {answer:?}"))
}

pub(super) fn event(app: &str, event: &str, fields: &[(&str, &str)]) -> DaemonEvent {
    let fields = fields.iter().map(|(name, value)| {
        let value = serde_json::Value::from(*value);
        ((*name).to_owned(), value)
    });
    DaemonEvent {
        time: "2026-11-21T10:00:00.000Z".to_owned(),
        app: app.to_owned(),
        event: event.to_owned(),
        message: "something happened".to_owned(),
        level: "info".to_owned(),
        fields: fields.collect(),
    }
}

pub(super) fn daemon() -> DaemonStatus {
    DaemonStatus {
        pid: 4711,
        version: "1.2.3".to_owned(),
        home: "/secret/canary/home".into(),
        since_ms: 1_795_000_000_500,
        apps: 2,
    }
}

pub(super) fn apps() -> Vec<AppStatus> {
    let worker = |id, pid| WorkerStatus {
        id,
        pid,
        phase: "ready".to_owned(),
        age_ms: 1500,
        usage: Some(Usage {
            cpu: 50.0,
            memory: 1 << 20,
        }),
        ..WorkerStatus::default()
    };
    let slot = |slot| SlotStatus {
        slot,
        restarts: 3,
        workers: vec![worker(u64::from(slot) + 7, 100 + i32::from(slot))],
        ..SlotStatus::default()
    };
    let herd = HerdStatus {
        generation: 4,
        dispatch: "pass".to_owned(),
        listening: vec!["unix:/secret/canary/socket".to_owned()],
        slots: vec![slot(0), slot(1)],
        connections: Some(12345),
        ..HerdStatus::default()
    };
    let web = AppStatus {
        id: 0,
        name: "web".to_owned(),
        namespace: "default".to_owned(),
        phase: AppPhase::Online,
        note: None,
        workers: 2,
        ready: 2,
        herd: Some(herd),
        restarts: 9,
        failures: 4,
        since_ms: Some(1_795_000_001_000),
        usage: Some(Usage {
            cpu: 150.0,
            memory: 3 << 20,
        }),
        watching: false,
        healthy: Some(true),
    };
    let job = AppStatus {
        id: 1,
        name: "job".to_owned(),
        namespace: "night \"shift\"\n\\".to_owned(),
        phase: AppPhase::Errored,
        note: Some("canary: it failed".to_owned()),
        herd: None,
        since_ms: None,
        usage: None,
        healthy: None,
        ..web.clone()
    };
    vec![web, job]
}

/// An operation on one app.
pub(super) fn course(verb: &str) -> Course {
    let (to, course) = mpsc::channel(8);
    let app = || "web".to_owned();
    let all = [
        Progress::Begun {
            app: app(),
            verb: verb.to_owned(),
        },
        Progress::Slot {
            app: app(),
            slot: 0,
            phase: "ready".to_owned(),
            pid: Some(100),
        },
        Progress::Note {
            app: app(),
            text: "a note".to_owned(),
        },
        Progress::Done {
            app: app(),
            text: "2 workers ready in 310 ms".to_owned(),
        },
        Progress::Failed {
            app: "job".to_owned(),
            problem: Problem::new(ProblemKind::BootFailed, "It did not start."),
        },
        Progress::End { done: 1, failed: 1 },
    ];
    for progress in all {
        to.try_send(progress).expect("there is room");
    }
    course
}

fn nobody(name: &str) -> Problem {
    let message = format!("There is no app {name:?}.");
    Problem::new(ProblemKind::NotFound, message).hint("Do you mean \"web\"?")
}

/// What books would say that know `web` and `job`.
pub(super) fn answer(ask: Ask, files: &AppFiles) {
    let known = |name: &str| apps().into_iter().find(|app| app.name == name);
    let of = |targets: &[String]| match targets.iter().find(|name| known(name).is_none()) {
        Some(unknown) => Err(nobody(unknown)),
        None => Ok(()),
    };
    let wanted = |targets: &[String], name: &String| targets.is_empty() || targets.contains(name);
    match ask {
        Ask::Daemon(reply) => drop(reply.send(Ok(daemon()))),
        Ask::List(targets, reply) => drop(reply.send(of(&targets).map(|()| {
            let mut all = apps();
            all.retain(|app| wanted(&targets, &app.name));
            all
        }))),
        Ask::Detail(name, reply) => drop(reply.send(match known(&name) {
            None => Err(nobody(&name)),
            Some(status) => Ok(AppDetail {
                app: App {
                    name,
                    script: Some("/srv/server.js".into()),
                    ..App::default()
                },
                status,
                profile: Some("production".to_owned()),
                logs: vec![files.events.clone()],
            }),
        })),
        Ask::Environment(name, reply) => drop(reply.send(match known(&name) {
            None => Err(nobody(&name)),
            Some(_) => Ok(BTreeMap::from([("PORT".to_owned(), "3000".to_owned())])),
        })),
        Ask::Start(_, reply) => drop(reply.send(Ok(course("start")))),
        Ask::Act(action, reply) => {
            drop(reply.send(of(&action.targets).map(|()| course("restart"))));
        }
        Ask::Plan(_, reply) => drop(reply.send(Ok(Plan {
            steps: vec![PlanStep {
                app: "web".to_owned(),
                step: StepKind::Reload,
                changes: vec![herder_api::control::Change {
                    setting: "grace".to_owned(),
                    from: None,
                    to: Some("\"5s\"".to_owned()),
                    needs: StepKind::Reload,
                }],
            }],
            fingerprint: "abc".to_owned(),
        }))),
        Ask::Apply(_, reply) => drop(reply.send(Ok(course("apply")))),
        Ask::Save(reply) => drop(reply.send(Ok(course("save")))),
        Ask::Resurrect(reply) => drop(reply.send(Ok(course("resurrect")))),
        Ask::Stop(_, reply) => drop(reply.send(Ok(course("stop")))),
        Ask::Files(targets, reply) => {
            drop(reply.send(of(&targets).map(|()| vec![files.clone()])));
        }
    }
}

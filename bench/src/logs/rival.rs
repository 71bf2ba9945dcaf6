//! Who takes part.

use herder_api::app::{App, LogFormat, Logs};
use herder_api::herd::HerdOrder;
use herder_api::units::Size;
use herder_e2e::binary::Binary;
use herder_e2e::herd::{Herd, Setup, Signal};
use herder_e2e::interpreter::Node;
use herder_e2e::process::Process;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use serde::Serialize;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// By what PM2 runs.
const NODE: Node = Node::Version(20);

/// Who takes part in the contest of log files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rival {
    /// A pipe into `cat` into a file.
    Cat,
    /// herder, one JSON object a line.
    HerderJson,
    /// herder, bytes as they come.
    HerderRaw,
    /// herder, the time before each line.
    HerderTime,
    /// PM2, bytes as they come.
    Pm2Raw,
    /// PM2 with `--time`.
    Pm2Time,
}

/// A program that prints, and the process that writes it to a file.
pub(super) struct Flow {
    pub(super) file: PathBuf,
    pub(super) between: i32,
    herd: Herd,
    ending: Ending,
}

/// How it is ended.
enum Ending {
    /// By a command.
    Command(Box<Setup>),
    /// By the end of the process in between.
    Between,
    /// By its own end.
    Herd,
}

impl Rival {
    /// All of them, in the order of the table.
    pub const ALL: [Rival; 6] = [
        Rival::Cat,
        Rival::HerderRaw,
        Rival::Pm2Raw,
        Rival::HerderTime,
        Rival::Pm2Time,
        Rival::HerderJson,
    ];

    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Rival::Cat => "yes | cat",
            Rival::HerderJson => "herder, json",
            Rival::HerderRaw => "herder, raw",
            Rival::HerderTime => "herder, time",
            Rival::Pm2Raw => "pm2, raw",
            Rival::Pm2Time => "pm2, time",
        }
    }

    /// Whether it can take part here.
    pub fn is_installed(self) -> bool {
        !matches!(self, Rival::Pm2Raw | Rival::Pm2Time) || pm2().is_file()
    }

    /// Starts it in `scene`, and waits until something is in the file.
    pub(super) fn start(self, scene: &Scene) -> Flow {
        let flow = match self {
            Rival::Cat => start_cat(scene),
            Rival::HerderJson => start_herder(scene, LogFormat::Json),
            Rival::HerderRaw => start_herder(scene, LogFormat::Raw),
            Rival::HerderTime => start_herder(scene, LogFormat::Time),
            Rival::Pm2Raw => start_pm2(scene, &[]),
            Rival::Pm2Time => start_pm2(scene, &["--time"]),
        };
        wait::until(PATIENCE, "something is in the file", || {
            (flow.size() > 0).then_some(())
        });
        flow
    }
}

impl Flow {
    /// How much is in the file.
    pub(super) fn size(&self) -> u64 {
        fs::metadata(&self.file).map_or(0, |metadata| metadata.len())
    }

    pub(super) fn end(self) {
        match self.ending {
            Ending::Command(command) => {
                command.start().wait_for_exit(PATIENCE);
            }
            Ending::Between => {
                self.herd.signal_to(self.between, Signal::TERM);
                self.herd.wait_for_exit(PATIENCE);
            }
            Ending::Herd => {}
        }
        self.herd.end();
        // It is large.
        fs::remove_file(&self.file).expect("it was written to");
    }
}

/// 99 characters; the newline is the hundredth.
fn line() -> String {
    "x".repeat(99)
}

fn start_cat(scene: &Scene) -> Flow {
    let file = scene.directory().join("out.log");
    let script = r#"yes "$0" | cat > "$1""#;
    let setup = scene.program("/bin/sh").args(["-c", script, &line()]);
    let herd = setup.arg(&file).start();
    let between = wait::until(PATIENCE, "cat runs", || {
        let all = herd.descendants();
        find(&all, "cat")
    });
    Flow {
        file,
        between,
        herd,
        ending: Ending::Between,
    }
}

fn find(all: &[Process], title: &str) -> Option<i32> {
    let found = all.iter().find(|process| process.title == title);
    found.map(|process| process.pid)
}

fn start_herder(scene: &Scene, format: LogFormat) -> Flow {
    let directory = |name: &str| {
        let path = scene.directory().join(name);
        let mut builder = DirBuilder::new();
        builder.mode(0o700).create(&path).expect("the scene is new");
        path
    };
    let (logs, run) = (directory("logs"), directory("run"));
    let file = logs.join("web-out.log");
    let order = HerdOrder {
        app: App {
            name: "web".to_owned(),
            command: vec!["yes".to_owned(), line()],
            logs: Logs {
                format,
                rotate_size: Size(0),
                ..Logs::default()
            },
            ..App::default()
        },
        inherited: std::env::vars()
            .filter(|(name, _)| name == "PATH")
            .collect(),
        profile: None,
        socket: run.join("web.sock"),
        event_log: logs.join("web-herder.jsonl"),
        log_dir: logs,
    };
    let path = scene.directory().join("order.json");
    let text = serde_json::to_vec(&order).expect("an order is JSON");
    fs::write(&path, text).expect("the scene has a directory");
    let herd = scene.herd(Binary::HERDER).arg("herd").arg(path).start();
    let between = wait::until(PATIENCE, "a master", || Some(herd.master()?.pid));
    Flow {
        file,
        between,
        herd,
        ending: Ending::Herd,
    }
}

fn start_pm2(scene: &Scene, options: &[&str]) -> Flow {
    let file = scene.directory().join("out.log");
    let herd = command(scene)
        .args(["start", "yes", "--interpreter", "none", "-o"])
        .arg(&file)
        .args(["-e", "/dev/null"])
        .args(options)
        .args(["--", &line()])
        .start();
    herd.wait_for_exit(PATIENCE);
    let home = scene.directory().join("pm2");
    let between = wait::until(PATIENCE, "PM2's daemon", || {
        fs::read_to_string(home.join("pm2.pid"))
            .ok()?
            .trim()
            .parse()
            .ok()
    });
    Flow {
        file,
        between,
        herd,
        ending: Ending::Command(Box::new(command(scene).arg("kill"))),
    }
}

/// PM2's command, with a home in the scene.
fn command(scene: &Scene) -> Setup {
    let setup = scene.program(NODE.program()).arg(pm2());
    setup.env("PM2_HOME", scene.directory().join("pm2"))
}

fn pm2() -> &'static Path {
    Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/peers/pm2/node_modules/pm2/bin/pm2"
    ))
}

//! Who takes part, and how each is told.

use super::program::{Mark, NODE, PATIENCE, Program, now};
use herder_e2e::binary::Binary;
use herder_e2e::herd::{Herd, Setup};
use herder_e2e::process::{processor_time, resident_bytes};
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Who takes part in the contest of daemons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rival {
    /// herder's daemon, and a herd for each app.
    Herder,
    /// PM2's, in fork mode.
    Pm2,
}

impl Rival {
    /// All of them, in the order of the table.
    pub const ALL: [Rival; 2] = [Rival::Herder, Rival::Pm2];

    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Rival::Herder => "herder",
            Rival::Pm2 => "pm2",
        }
    }

    /// Whether it can take part here.
    pub fn is_installed(self) -> bool {
        self == Rival::Herder || pm2().is_file()
    }
}

/// A daemon that runs.
pub(super) struct Stage<'a> {
    rival: Rival,
    scene: &'a Scene,
    /// What was started first: herder's guard, or the command that started PM2's daemon.
    first: Herd,
    /// Those of PM2's apps belong to the command that started them.
    starters: Vec<Herd>,
}

/// How long a start took, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Started {
    pub(super) listening: f64,
    pub(super) said: f64,
    pub(super) mark: Mark,
}

impl<'a> Stage<'a> {
    /// Starts a daemon, and waits until it answers.
    pub(super) fn open(rival: Rival, scene: &'a Scene) -> Stage<'a> {
        let first = match rival {
            Rival::Herder => scene.herd(Binary::HERDER).arg("daemon").start(),
            Rival::Pm2 => command(rival, scene).arg("ping").start(),
        };
        match rival {
            Rival::Herder => {
                let socket = scene.directory().join("home/herder.sock");
                wait::until(PATIENCE, "herder's daemon answers", || {
                    socket.exists().then_some(())
                });
            }
            Rival::Pm2 => drop(first.wait_for_exit(PATIENCE)),
        }
        Stage {
            rival,
            scene,
            first,
            starters: Vec::new(),
        }
    }

    /// The processes of the daemon.
    fn daemon(&self) -> Vec<i32> {
        match self.rival {
            Rival::Herder => {
                let guard = self.first.pid();
                let all = self.first.descendants();
                let children = all.iter().filter(|process| process.parent == guard);
                let proper = children.map(|process| process.pid);
                [guard].into_iter().chain(proper).collect()
            }
            Rival::Pm2 => {
                let file = self.scene.directory().join("pm2/pm2.pid");
                let text = fs::read_to_string(file).expect("PM2 writes its pid");
                vec![text.trim().parse().expect("it is a number")]
            }
        }
    }

    /// The processes of the herds: keepers and masters.
    fn herds(&self) -> Vec<i32> {
        if self.rival == Rival::Pm2 {
            return Vec::new();
        }
        let (daemon, herder) = (self.daemon(), Binary::HERDER.path());
        let all = self.first.descendants().into_iter();
        let ours = all.filter(|process| {
            let executable = fs::read_link(format!("/proc/{}/exe", process.pid));
            executable.is_ok_and(|path| path == herder)
        });
        ours.map(|process| process.pid)
            .filter(|pid| !daemon.contains(pid))
            .collect()
    }

    /// What each process of the daemon has in memory, in millions of bytes.
    pub(super) fn memory(&self) -> Vec<f64> {
        self.daemon().into_iter().map(resident).collect()
    }

    /// What all keepers and masters have in memory, in millions of bytes.
    pub(super) fn memory_of_herds(&self) -> f64 {
        self.herds()
            .into_iter()
            .map(resident)
            .fold(0.0, |a, b| a + b)
    }

    /// The processor time that all of it has used, in milliseconds.
    pub(super) fn work(&self) -> f64 {
        let pids = self.daemon().into_iter().chain(self.herds());
        let used: Duration = pids.map(processor_time).sum();
        used.as_secs_f64() * 1000.0
    }

    /// How long it takes to list the apps, in milliseconds.
    pub(super) fn list(&self) -> f64 {
        let setup = command(self.rival, self.scene).arg("list");
        let begun = Instant::now();
        let herd = setup.start();
        let status = herd.wait_for_exit(PATIENCE);
        let taken = begun.elapsed();
        assert!(status.success(), "its list: {status}");
        taken.as_secs_f64() * 1000.0
    }

    /// Starts the program as an app.
    pub(super) fn start(&mut self, program: &Program) -> Started {
        let setup = command(self.rival, self.scene)
            .arg("start")
            .arg(Program::script())
            .args(["--name", &program.name]);
        let setup = program.environment(setup);
        let begun = now();
        let herd = setup.start();
        let status = herd.wait_for_exit(PATIENCE);
        let said = now() - begun;
        assert!(status.success(), "its start: {status}: {:?}", herd.lines());
        self.starters.push(herd);
        let mark = program.wait_for_mark(0);
        Started {
            listening: mark.at - begun,
            said,
            mark,
        }
    }

    /// Kills the app's only process, and returns how long it takes until another listens, in
    /// milliseconds.
    pub(super) fn replace(&self, program: &Program, killed: Mark) -> f64 {
        let pid = Pid::from_raw(killed.pid).expect("a program has a pid");
        let marks = program.marks().len();
        let begun = now();
        kill_process(pid, Signal::KILL).expect("it has listened, and lives");
        program.wait_for_mark(marks).at - begun
    }

    /// Starts the apps numbered so, which do nothing.
    pub(super) fn start_idle(&mut self, numbers: std::ops::Range<usize>) {
        let apps = numbers.map(|number| {
            serde_json::json!({
                "name": format!("idle-{number}"), "script": "/bin/sleep", "args": ["100000"],
                "exec_interpreter": "none", "exec_mode": "fork",
            })
        });
        let file = self.scene.directory().join("ecosystem.config.json");
        let text = serde_json::json!({ "apps": apps.collect::<Vec<_>>() });
        fs::write(&file, text.to_string()).expect("the scene has a directory");
        let herd = command(self.rival, self.scene)
            .arg("start")
            .arg(&file)
            .start();
        let status = herd.wait_for_exit(PATIENCE);
        assert!(status.success(), "its start: {status}: {:?}", herd.lines());
        self.starters.push(herd);
    }

    /// Does `verb` to all apps; returns how long it took, in milliseconds.
    pub(super) fn all(&self, verb: &str) -> f64 {
        let setup = command(self.rival, self.scene).args([verb, "all"]);
        let begun = Instant::now();
        let herd = setup.start();
        let status = herd.wait_for_exit(PATIENCE);
        let taken = begun.elapsed();
        assert!(status.success(), "{verb} all: {status}: {:?}", herd.lines());
        taken.as_secs_f64() * 1000.0
    }

    /// Ends the daemon, and all that it has started.
    pub(super) fn end(self) {
        if self.rival == Rival::Pm2 {
            let kill = command(self.rival, self.scene).arg("kill").start();
            kill.wait_for_exit(PATIENCE);
        }
        self.first.end();
        for starter in self.starters {
            starter.end();
        }
    }
}

fn resident(pid: i32) -> f64 {
    let thousands = resident_bytes(pid).unwrap_or(0) / 1000;
    f64::from(u32::try_from(thousands).unwrap_or(u32::MAX)) / 1000.0
}

/// The command of one of them, with a home in the scene.
fn command(rival: Rival, scene: &Scene) -> Setup {
    match rival {
        Rival::Herder => scene.herd(Binary::HERDER),
        Rival::Pm2 => {
            let home: PathBuf = scene.directory().join("pm2");
            let setup = scene.program(NODE.program()).arg(pm2());
            setup.env("PM2_HOME", home)
        }
    }
}

fn pm2() -> &'static Path {
    Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/peers/pm2/node_modules/pm2/bin/pm2"
    ))
}

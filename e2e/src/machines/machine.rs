//! A herd of `test-machine` on a machine.

use rustix::process::Signal;

use super::network::Host;
use crate::binary::Binary;
use crate::foreign::{BOOT, address, wait_for};
use crate::herd::{Herd, Setup};
use crate::library::{self, ask};
use crate::process::Process;
use crate::scene::Scene;

/// The herd that shares a store; see its `main.rs`.
pub const TEST_MACHINE: Binary = Binary::new("herder-e2e", "test-machine");

/// How many workers each has.
const WORKERS: usize = 2;

/// A machine whose herd serves.
#[derive(Debug)]
pub struct Machine {
    /// Its herd.
    pub herd: Herd,
}

impl Machine {
    /// Starts the herd on this machine, or on another, and waits until it serves.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn start(scene: &Scene, host: Option<&Host>, store: &str, options: &[&str]) -> Machine {
        let setup = match host {
            None => scene.herd(TEST_MACHINE),
            Some(host) => elsewhere(scene, host),
        };
        let workers = WORKERS.to_string();
        let setup = setup.args(["--store", store, "--workers", &workers]);
        let herd = setup.args(options).env("RUST_BACKTRACE", "0").start();
        library::wait_for(&herd, 0, 1, "ready", BOOT);
        wait_for(&herd, 0, WORKERS, "ready", BOOT);
        Machine { herd }
    }

    /// Sends a line to one of its workers, and returns the answer.
    #[track_caller]
    pub fn ask(&self, line: &str) -> String {
        ask(&self.herd, line)
    }

    /// Asks until the answer is this one.
    #[track_caller]
    pub fn wait_for_answer(&self, line: &str, answer: &str) {
        let mut last = String::new();
        let found = crate::wait::attempt(BOOT, || {
            last = self.ask(line);
            (last == answer).then_some(())
        });
        assert!(found.is_some(), "{line}: {last:?}, not {answer:?}");
    }

    /// Whether this process is one of its.
    pub fn has(&self, pid: i32) -> bool {
        self.herd.descendants().iter().any(|one| one.pid == pid)
    }

    /// The process of the built-in library, if it lives.
    pub fn library(&self) -> Option<Process> {
        let title = "herder: library test-machine/herder";
        self.herd.titled(title).into_iter().next()
    }

    /// Kills the master while an end was asked for, so that no other follows; nothing of the herd is left.
    ///
    /// # Panics
    /// When something is.
    #[track_caller]
    pub fn kill(self) {
        let master = self.herd.master().expect("it lives");
        self.herd.signal_to(master.pid, Signal::STOP);
        self.herd.signal(Signal::TERM);
        self.herd.signal_to(master.pid, Signal::KILL);
        self.herd.wait_for_exit(BOOT);
        self.herd.end();
    }

    /// Where it listens.
    #[track_caller]
    pub fn address(&self) -> std::net::SocketAddr {
        address(&self.herd)
    }
}

fn elsewhere(scene: &Scene, host: &Host) -> Setup {
    let network = format!("--net={}", host.path().display());
    let setup = scene.program("nsenter").arg(network);
    let setup = setup.arg(TEST_MACHINE.path()).arg("--listen");
    setup.arg(format!("{}:0", host.address))
}

//! A herd that serves some version.

use crate::deploy::program::Program;
use crate::deploy::version::Version;
use crate::foreign::{BOOT, Seat, address, told, wait_for};
use crate::herd::{Herd, Setup, Signal};
use crate::native::Book;
use crate::process::Process;
use crate::scene::Scene;
use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A herd that serves some version with two workers.
#[derive(Debug)]
pub struct Deployed<'a> {
    scene: &'a Scene,
    program: Program,
    /// Its processes.
    pub herd: Herd,
    /// Where it serves.
    pub address: SocketAddr,
}

/// What became of a reload, as the log tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The new generation is in service.
    Done {
        /// Which.
        generation: u32,
        /// When it was told.
        at: Instant,
    },
    /// It was not even begun.
    Refused {
        /// Which generation it would have been.
        generation: u32,
        /// Why.
        reason: String,
    },
    /// The old one serves on.
    RolledBack {
        /// Which generation was given up.
        generation: u32,
        /// Why.
        reason: String,
    },
}

impl<'a> Deployed<'a> {
    /// Starts the program in its first version, and waits until both workers are ready.
    #[track_caller]
    pub fn start(scene: &'a Scene, program: Program, options: &[&str]) -> Deployed<'a> {
        Deployed::start_with(scene, program, options, |setup| setup)
    }

    /// As [`Deployed::start`], with something more said of how it is started.
    #[track_caller]
    pub fn start_with(
        scene: &'a Scene,
        program: Program,
        options: &[&str],
        more: impl FnOnce(Setup) -> Setup,
    ) -> Deployed<'a> {
        write(scene, Version::Good(1));
        let herd = more(program.setup(scene, options)).start();
        wait_for(&herd, 0, 2, "ready", BOOT);
        Deployed {
            scene,
            program,
            address: address(&herd),
            herd,
        }
    }

    /// Installs a version, which nobody serves yet.
    ///
    /// # Panics
    /// When the file cannot be written.
    #[track_caller]
    pub fn install(&self, version: Version) {
        write(self.scene, version);
        self.program.install(self.scene);
    }

    /// Installs a version, asks for a reload, and waits for what becomes of it.
    ///
    /// # Panics
    /// When that is not told within `within`.
    #[track_caller]
    pub fn deploy(&self, version: Version, within: Duration) -> Verdict {
        self.install(version);
        self.reload(within)
    }

    /// Asks for a reload, and waits for what becomes of it.
    ///
    /// # Panics
    /// When that is not told within `within`.
    #[track_caller]
    pub fn reload(&self, within: Duration) -> Verdict {
        let mark = self.herd.mark();
        self.herd.signal(Signal::HUP);
        self.verdict_after(mark, within)
    }

    /// Waits for what becomes of a reload that was asked for after `mark`.
    ///
    /// # Panics
    /// When that is not told within `within`.
    #[track_caller]
    pub fn verdict_after(&self, mark: usize, within: Duration) -> Verdict {
        self.herd
            .wait_for_line_after(mark, "the verdict on the reload", within, Verdict::of_line)
    }

    /// Whether its workers accept by themselves, so that those of before do until they are told to leave.
    pub fn accepts_for_itself(&self) -> bool {
        self.program.accepts()
    }

    /// The processes of the workers that serve or might, by pid.
    pub fn workers(&self) -> BTreeSet<i32> {
        self.alive("ready")
    }

    /// The living processes of whom `what` was told, by pid.
    pub fn alive(&self, what: &str) -> BTreeSet<i32> {
        let told: BTreeSet<i32> = self.seats(what).iter().map(|seat| seat.pid).collect();
        let alive = self.herd.descendants();
        let alive = alive.iter().map(|process| process.pid);
        alive.filter(|pid| told.contains(pid)).collect()
    }

    /// The living processes that are no keeper and no master (nor one that is about to become one).
    pub fn programs(&self) -> BTreeSet<i32> {
        let entry = self.herd.pid();
        let alive = self.herd.descendants().into_iter();
        let is_ours =
            |title: &str| title.starts_with("herder") && !title.starts_with("herder: worker");
        alive
            .filter(|it| it.pid != entry && !is_ours(&it.title))
            .map(|it| it.pid)
            .collect()
    }

    /// Everybody of whom `what` was told.
    pub fn seats(&self, what: &str) -> Vec<Seat> {
        let lines = self.herd.lines();
        lines
            .iter()
            .filter_map(|line| told(&line.text, what))
            .collect()
    }

    /// The master.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn master(&self) -> Process {
        self.herd.master().expect("a master lives")
    }

    /// What the workers have written down.
    pub fn book(&self) -> Book {
        Book::of(self.scene)
    }
}

impl Verdict {
    /// Reads a line of the log.
    pub fn of_line(line: &str) -> Option<Verdict> {
        let (_, text) = line.split_once("reload: generation ")?;
        let (number, rest) = text.split_once(' ')?;
        let generation = number.parse().ok()?;
        if rest.starts_with("is in service") {
            let at = Instant::now();
            return Some(Verdict::Done { generation, at });
        }
        if let Some(reason) = rest.strip_prefix("was refused: ") {
            let reason = reason.to_owned();
            return Some(Verdict::Refused { generation, reason });
        }
        let (_, reason) = rest.strip_prefix("was rolled back to ")?.split_once(": ")?;
        let reason = reason.to_owned();
        Some(Verdict::RolledBack { generation, reason })
    }
}

/// At once and wholly: a worker that starts meanwhile reads the old or the new one.
fn write(scene: &Scene, version: Version) {
    let path = scene.directory().join("version");
    let fresh = path.with_extension("new");
    let written = fs::write(&fresh, version.to_string()).and_then(|()| fs::rename(&fresh, &path));
    if let Err(error) = written {
        panic!("the version cannot be written: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_read() {
        let done = Verdict::of_line("T web: reload: generation 2 is in service after 1.2 s");
        assert!(matches!(done, Some(Verdict::Done { generation: 2, .. })));
        let line = "T web: warning: reload: generation 3 was rolled back to 2: worker 0 died: x";
        let reason = "worker 0 died: x".to_owned();
        assert_eq!(
            Verdict::of_line(line),
            Some(Verdict::RolledBack {
                generation: 3,
                reason
            })
        );
        assert_eq!(Verdict::of_line("T web: reload: generation 2 begins"), None);
    }
}

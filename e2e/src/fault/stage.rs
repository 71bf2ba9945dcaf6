//! A herd under load, on which cells are played.

use crate::deploy::{Deployed, Program, Takeover, Verdict, Version};
use crate::fault::cell::{Cell, Deed, Operation, STANDSTILL};
use crate::fault::trap::{Sprung, Trap};
use crate::foreign::{BOOT, told};
use crate::herd::Signal;
use crate::load::{Books, Kind, Mix};
use crate::process::Process;
use crate::scene::Scene;
use crate::wait;
use std::thread;
use std::time::Duration;

/// Who asks. No request takes long, so that a cell does not.
const CLIENTS: [Kind; 5] = [
    Kind::Fresh,
    Kind::FreshSlow,
    Kind::Kept,
    Kind::KeptSlow,
    Kind::Upload,
];

/// How much less they ask than other tests' clients: several cells are played at once.
const CALM: u32 = 4;

/// An operation and what follows a fault in it, on a machine with a lot to do.
const LONG: Duration = Duration::from_secs(30);

/// How a herd of the matrix is started. Whoever does not leave is pressed at half of its grace: who stands still for
/// a while must not be.
const OPTIONS: [&str; 6] = [
    "--soak",
    "200ms",
    "--grace",
    "10s",
    "--master-watchdog",
    "10s",
];

/// How long everybody of a herd without keeper may live: its grace, and a second.
const ORPHANED: Duration = Duration::from_secs(11);

/// A herd under load.
pub(super) struct Stage<'a> {
    deployed: Deployed<'a>,
    trap: Trap,
    version: u32,
}

/// What became of a cell.
pub(super) struct Act {
    /// Where the fault came; `None`: the operation had ended before.
    pub(super) sprung: Option<Sprung>,
    pub(super) books: Books,
    /// What masters told of those before them.
    pub(super) takeovers: Vec<Takeover>,
}

impl<'a> Stage<'a> {
    pub(super) fn set(scene: &'a Scene, program: Program) -> Stage<'a> {
        let trap = Trap::of(scene);
        let deployed = Deployed::start_with(scene, program, &OPTIONS, |setup| {
            let (name, value) = trap.variable();
            setup.env(name, value)
        });
        Stage {
            deployed,
            trap,
            version: 1,
        }
    }

    /// The last lines of the log, for who judges a cell that broke.
    pub(super) fn last_lines(&self) -> String {
        const SHOWN: usize = 30;
        let lines = self.deployed.herd.lines();
        let from = lines.len().saturating_sub(SHOWN);
        let texts: Vec<&str> = lines[from..]
            .iter()
            .map(|line| line.text.as_str())
            .collect();
        texts.join("\n  ")
    }

    /// Plays a cell: load, fault, recovery, and a reload that works.
    pub(super) fn play(&mut self, cell: &Cell) -> Act {
        let mark = self.deployed.herd.mark();
        let mix = Mix::calm(self.deployed.address, &CLIENTS, CALM);
        mix.wait_for_answers_of_all(1, BOOT);
        self.trap.arm(cell.steps, &cell.deed.action(), cell.nth);
        let begun = self.deployed.herd.mark();
        self.begin(cell.operation);
        let sprung = self.trap.wait(LONG, || self.is_over(cell.operation, begun));
        let sprung = sprung.or_else(|| self.trap.withdraw());
        match &sprung {
            None => self.trap.disarm(),
            Some(sprung) => self.misbehave(cell.deed, sprung),
        }
        if sprung.is_some() && cell.deed.ends_the_herd(cell.steps) {
            self.wait_for_nobody(cell);
        } else {
            // Its last lines die with a master, the operation's verdict among them.
            if sprung.is_none() || !cell.ends_master() {
                self.wait_for_the_end_of(cell.operation, begun);
            }
            self.wait_for_recovery(&mix);
        }
        let books = mix.finish();
        books.assert_balanced(&self.deployed.book());
        Act {
            sprung,
            books,
            takeovers: Takeover::all_after(&self.deployed.herd, mark),
        }
    }

    /// Ends the herd, if it has not ended.
    pub(super) fn strike(self) {
        self.deployed.herd.end();
    }

    fn begin(&mut self, operation: Operation) {
        let herd = &self.deployed.herd;
        match operation {
            Operation::Dispatch => {}
            Operation::Reload => {
                self.version += 1;
                self.deployed.install(Version::Good(self.version));
                herd.signal(Signal::HUP);
            }
            Operation::Rollback => {
                self.deployed.install(Version::Dies(self.version + 1, 50));
                herd.signal(Signal::HUP);
            }
            Operation::Spawn => {
                // Who became ready last is not on its way out.
                let victim = self.deployed.seats("ready").pop();
                herd.try_signal_to(victim.expect("a worker was ready").pid, Signal::KILL);
            }
            Operation::Takeover => {
                herd.signal_to(self.deployed.master().pid, Signal::KILL);
            }
            Operation::Upgrade => herd.signal(Signal::USR2),
        }
    }

    /// Whether the log says that the operation, begun at `mark`, has come to its end.
    fn is_over(&self, operation: Operation, mark: usize) -> bool {
        let lines = self.deployed.herd.lines_after(mark);
        lines.iter().any(|line| match operation {
            Operation::Dispatch => false,
            Operation::Reload | Operation::Rollback => Verdict::of_line(&line.text).is_some(),
            Operation::Spawn => told(&line.text, "ready").is_some(),
            Operation::Takeover => Takeover::of_line(&line.text).is_some(),
            Operation::Upgrade => line.text.contains("upgrade: "),
        })
    }

    /// Does to another what the cell wants, and lets whoever waits at the step go on.
    fn misbehave(&self, deed: Deed, sprung: &Sprung) {
        let herd = &self.deployed.herd;
        let a_worker = || {
            let other = || {
                let workers = self.deployed.workers();
                workers.into_iter().find(|pid| *pid != sprung.pid)
            };
            // The other may just have been killed, and its successor be on its way; it is also a worker's death if
            // nobody else comes.
            wait::attempt(BOOT, other).unwrap_or(sprung.pid)
        };
        let victim = match deed {
            Deed::Errno(_) | Deed::Kill => return,
            Deed::KillKeeper | Deed::StopKeeper => herd.pid(),
            Deed::KillWorker | Deed::StopWorker => a_worker(),
            Deed::Stop => sprung.pid,
        };
        let (signal, is_still) = match deed {
            Deed::KillKeeper | Deed::KillWorker => (Signal::KILL, false),
            Deed::Errno(_) | Deed::Kill | Deed::Stop | Deed::StopKeeper | Deed::StopWorker => {
                (Signal::STOP, true)
            }
        };
        herd.try_signal_to(victim, signal);
        if victim != sprung.pid {
            herd.try_signal_to(sprung.pid, Signal::CONT);
        }
        if is_still {
            // The fault itself: somebody does nothing for so long.
            thread::sleep(STANDSTILL);
            herd.try_signal_to(victim, Signal::CONT);
        }
    }

    /// The keeper is gone: so is everybody else, soon. Without a master, a program that hears nothing but signals has
    /// to be ended.
    fn wait_for_nobody(&self, cell: &Cell) {
        let herd = &self.deployed.herd;
        let is_deaf = cell.may_leave() && cell.program == Program::Python;
        wait::until(ORPHANED, "nobody outlives the keeper", || {
            let left = herd.descendants();
            let is_program = |it: &Process| {
                it.title
                    .split(' ')
                    .next()
                    .is_some_and(|it| it.contains("python"))
            };
            if is_deaf && left.iter().all(is_program) {
                for process in &left {
                    herd.try_signal_to(process.pid, Signal::TERM);
                }
            }
            left.is_empty().then_some(())
        });
    }

    /// The operation has its verdict, whichever master was asked for it.
    fn wait_for_the_end_of(&self, operation: Operation, begun: usize) {
        if operation != Operation::Dispatch {
            wait::until(LONG, "the end of the operation", || {
                self.is_over(operation, begun).then_some(())
            });
        }
    }

    /// Everybody is answered, there are two workers, and a reload works.
    fn wait_for_recovery(&mut self, mix: &Mix) {
        // Whoever is started again from now on does not read a version that dies.
        self.version += 1;
        self.deployed.install(Version::Good(self.version));
        mix.wait_for_answers_of_all(2, LONG);
        wait::until(LONG, "two workers", || {
            // What was told of them may have been told to nobody, by a master that died over it.
            (self.deployed.programs().len() >= 2).then_some(())
        });
        let (wanted, mark) = (self.version, self.deployed.herd.mark());
        self.deployed.herd.signal(Signal::HUP);
        // Of this reload, or of one that went on.
        self.deployed.verdict_after(mark, LONG);
        wait::until(LONG, "the version that is deployed then is served", || {
            let body = crate::client::get(self.deployed.address, "/").ok()?;
            let answer = crate::load::Answer::of_body(body.as_bytes())?;
            (answer.version == wanted).then_some(())
        });
        wait::until(LONG, "the last reload is over", || {
            let lines = self.deployed.herd.lines();
            let last = lines.iter().rev().find_map(|line| {
                let text = &line.text;
                let is_news = text.contains("reload: generation ");
                is_news.then(|| Verdict::of_line(text))
            });
            matches!(last, Some(Some(_))).then_some(())
        });
        mix.wait_for_answers_of_all(2, LONG);
    }
}

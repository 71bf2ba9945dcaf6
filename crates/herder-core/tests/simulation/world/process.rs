use herder_core::{ConnId, Exit, Tick, WorkerId};

use super::plan::Faults;
use super::rng::Rng;

/// The truth about one process.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) id: WorkerId,
    pub(crate) life: Life,
    /// Stopped by a signal: it does nothing, and an abort waits.
    pub(crate) frozen: bool,
    pub(crate) abort_waits: bool,
    pub(crate) drain_asked: bool,
    /// Connections it received and has not answered.
    pub(crate) open: Vec<ConnId>,
    pub(crate) served: u64,
    pub(crate) memory: u64,
    temper: Temper,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Life {
    Booting { ready_at: Tick },
    Serving,
    Dead,
}

/// What it will be like, decided at birth.
#[derive(Clone, Copy, Debug)]
struct Temper {
    crashes_on_boot: bool,
    never_ready: bool,
    /// Ignores a drain.
    deaf: bool,
    /// Sends no heartbeat.
    mute: bool,
    frail: bool,
}

/// What is wrong with a generation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Vice {
    CrashesOnBoot,
    /// It dies soon after it was ready.
    Frail,
    NeverReady,
    #[default]
    None,
}

/// How often a frail process dies, per thousand deeds.
const FRAILTY: u64 = 30;

/// What a process does when it gets the processor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Deed {
    Beat,
    BecomeReady,
    ExtendBoot,
    Exit(Exit),
    Freeze,
    Misbehave,
    Nothing,
    Receive,
    Remember,
    Retire,
    Serve,
}

impl Process {
    pub(crate) fn new(id: WorkerId, now: Tick, rng: &mut Rng, faults: &Faults) -> Process {
        let boot = std::time::Duration::from_millis(rng.below(3_000));
        Process {
            id,
            life: Life::Booting {
                ready_at: now.after(boot),
            },
            frozen: false,
            abort_waits: false,
            drain_asked: false,
            open: Vec::new(),
            served: 0,
            memory: 1 << 18,
            temper: Temper {
                crashes_on_boot: rng.chance(faults.crash_on_boot),
                never_ready: rng.chance(faults.never_ready),
                deaf: rng.chance(faults.deaf),
                mute: rng.chance(faults.mute),
                frail: false,
            },
        }
    }

    /// It is of a generation with this vice.
    pub(crate) fn inherit(&mut self, vice: Vice) {
        match vice {
            Vice::CrashesOnBoot => self.temper.crashes_on_boot = true,
            Vice::Frail => self.temper.frail = true,
            Vice::NeverReady => self.temper.never_ready = true,
            Vice::None => {}
        }
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.life != Life::Dead
    }

    /// From now on it is healthy.
    pub(crate) fn heal(&mut self, now: Tick) {
        self.temper = Temper {
            crashes_on_boot: false,
            never_ready: false,
            deaf: false,
            mute: false,
            frail: false,
        };
        if let Life::Booting { ready_at } = &mut self.life {
            *ready_at = now;
        }
    }

    pub(crate) fn choose(&self, now: Tick, rng: &mut Rng, faults: &Faults) -> Deed {
        if rng.chance(faults.freeze) {
            return Deed::Freeze;
        }
        match self.life {
            Life::Dead => Deed::Nothing,
            Life::Booting { ready_at } if ready_at <= now => self.finish_boot(rng),
            Life::Booting { .. } if self.obeys_drain() => Deed::Exit(Exit::Code(0)),
            Life::Booting { .. } => Deed::Nothing,
            Life::Serving if rng.chance(faults.crash) => Deed::Exit(draw_exit(rng)),
            Life::Serving if self.temper.frail && rng.chance(FRAILTY) => Deed::Exit(draw_exit(rng)),
            Life::Serving if rng.chance(faults.retire) => Deed::Retire,
            Life::Serving if rng.chance(faults.misbehave) => Deed::Misbehave,
            Life::Serving => self.work(rng),
        }
    }

    fn finish_boot(&self, rng: &mut Rng) -> Deed {
        if self.obeys_drain() {
            Deed::Exit(Exit::Code(0))
        } else if self.temper.crashes_on_boot {
            Deed::Exit(Exit::Code(1))
        } else if !self.temper.never_ready {
            Deed::BecomeReady
        } else if rng.chance(20) {
            Deed::ExtendBoot
        } else {
            Deed::Nothing
        }
    }

    fn obeys_drain(&self) -> bool {
        self.drain_asked && !self.temper.deaf
    }

    fn work(&self, rng: &mut Rng) -> Deed {
        match rng.below(10) {
            0 | 1 if !self.temper.mute => Deed::Beat,
            2 if self.obeys_drain() && self.open.is_empty() => Deed::Exit(Exit::Code(0)),
            3 if rng.chance(100) => Deed::Remember,
            4..=6 => Deed::Receive,
            _ => Deed::Serve,
        }
    }
}

fn draw_exit(rng: &mut Rng) -> Exit {
    match rng.below(4) {
        0 => Exit::Code(0),
        1 => Exit::Signal(11),
        2 => Exit::OutOfMemory,
        _ => Exit::Code(1),
    }
}

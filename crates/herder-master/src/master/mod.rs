//! The master: listens, supervises, and has the dispatch thread hand connections over, or a gateway
//! take messages. It never reads a client's byte.

mod allowance;
mod attendance;
mod auto;
mod berths;
mod control;
mod crew;
mod delivery;
mod effects;
mod environment;
mod events;
mod gateway;
mod hideout;
mod launcher;
mod legacy;
mod library;
mod listen;
mod mail;
mod member;
mod memory;
mod node;
mod notices;
mod notify;
mod nursery;
mod reload;
mod runtime;
mod setup;
mod signals;
mod silence;
mod socket;
mod token;
mod upgrade;

use std::collections::BTreeSet;
use std::io;
use std::time::{Duration, Instant};

use herder_core::Tick;
use herder_core::spec::{AppSpec, DispatchMode};
use herder_core::supervisor::{Event, Outcome};
use herder_sys::clock;
use herder_sys::epoll::{Epoll, Events};
use herder_sys::signal::SignalFd;
use herder_wire::keeper::ToKeeper;
use serde::{Deserialize, Serialize};

use crate::commission::Commission;
use crate::config::Config;
use crate::estate::Marks;
use crate::event::HerdEvent;
use crate::keeper::orphans;
use crate::output::Output;
use crate::part::Part;
use crate::role::Charge;
use crate::status;
use crate::upgrade::Inquiry;
use attendance::Attendance;
use crew::Crews;
use delivery::Delivery;
use environment::Variable;
pub(crate) use events::exit_of;
use legacy::{Book, UpgradeState};
use library::Awaited;
use memory::MemoryWatch;
use nursery::Nursery;
use reload::{Editions, Reading, Reloads};
use runtime::Runtime;
use setup::Setup;
use signals::Ending;
use silence::SilenceWatch;
use socket::HerdSocket;
use upgrade::{Leap, NextBuild};

/// How many events one turn takes from the kernel.
const EVENTS: usize = 64;

/// Runs a herd as its master, and returns the exit status.
pub(crate) fn run(commission: Commission, charge: Charge) -> u8 {
    match setup::set_up(commission, charge) {
        Ok(setup) => live(setup),
        Err(error) => {
            setup::complain(&error);
            error.status()
        }
    }
}

fn live(setup: Setup) -> u8 {
    let mut master = setup.begin();
    let outcome = match master.live() {
        Ok(End::Leap(leap)) => return master.leap(*leap),
        Ok(End::Herd(outcome)) => Ok(outcome),
        Err(error) => Err(error),
    };
    if outcome.is_ok() {
        master.book.vault.say(&ToKeeper::Leaving);
    }
    master.delivery.stop();
    if master.spec.dispatch.has(DispatchMode::Pass)
        && let Some(totals) = master.delivery.totals()
    {
        master.tell(totals);
    }
    let status = match &outcome {
        Ok(_) if master.delivery.is_broken() => status::INTERNAL,
        Ok(_) if master.crews.has_failed_to_boot() => status::BOOT_FAILED,
        Ok(Outcome::Completed { failed: 1.. }) => status::FAILED,
        Ok(_) => status::STOPPED,
        Err(error) => {
            master.tell(HerdEvent::Warning {
                text: format!("the master failed: {error}"),
            });
            status::INTERNAL
        }
    };
    if let Ok(outcome) = outcome {
        let last_lines = master.last_lines_before(Part::Workers, outcome);
        master.tell(HerdEvent::Finished {
            outcome,
            last_lines,
        });
        master.dismiss_clients();
    }
    if master.heir == Heir::Master {
        master.clean_up();
    }
    master.output.finish(setup::LAST_WORDS);
    status
}

/// The definition that a living herd holds to, if its master has written one down.
///
/// # Errors
/// When what it has written is not to be understood.
pub(crate) fn definition_in(testimony: &[u8]) -> Result<Option<String>, String> {
    legacy::definition_in(testimony).map_err(|error| error.to_string())
}

/// Why the kernel would not dispatch here if that was left to herder.
pub(crate) fn no_kernel_dispatch() -> Option<String> {
    auto::missing()
}

/// Whose rights the gateway of a herd of this process would have.
pub(crate) fn gateway_user() -> crate::GatewayUser {
    gateway::user()
}

/// Whether a herd of these settings could go on with what the living master has written down.
///
/// # Errors
/// When not, for this reason.
pub(crate) fn examine(testimony: &[u8], mut config: Config) -> Result<(), String> {
    let mode = legacy::mode_in(testimony).map_err(|error| error.to_string())?;
    auto::resolve(&mut config, Some(mode), None);
    let config = &config;
    setup::check(config).map_err(|error| error.to_string())?;
    legacy::examine(testimony, config).map_err(|error| error.to_string())
}

/// Everything that the main thread owns.
struct Master {
    epoll: Epoll,
    signals: SignalFd,
    /// What the keeper and the next master know.
    book: Book,
    output: Output,
    spec: AppSpec,
    delivery: Delivery,
    crews: Crews,
    attendance: Attendance,
    /// What is noted for the next master besides the state.
    marks: Marks,
    /// What the workers wait for before their first start.
    awaited: Awaited,
    /// Where a control channel is read into; one for all, so that it need not be made each time.
    room: Box<[u8]>,
    nursery: Nursery,
    editions: Editions,
    reloads: Reloads,
    runtime: Runtime,
    /// How everybody finds the libraries.
    found_by: Vec<Variable>,
    memory: Option<MemoryWatch>,
    silence: SilenceWatch,
    /// What was warned of that is warned of once.
    cautions: BTreeSet<String>,
    /// Where the herd was said to listen.
    announced: BTreeSet<String>,
    stopping: Stopping,
    ended_by: Option<Ending>,
    /// The operator's signals that are written down and not obeyed yet: signal N is bit N−1.
    unobeyed: u64,
    heir: Heir,
    /// What this build of the program calls itself.
    version: String,
    /// A new build that is asked whether it could be the master.
    inquiry: Option<Inquiry>,
    /// A definition that is being read.
    reading: Option<Reading>,
    /// A new build that could be it.
    next_build: Option<NextBuild>,
    /// The upgrade that goes on.
    upgrade: Option<UpgradeState<'static>>,
    /// Where the herd can be asked.
    socket: Option<HerdSocket>,
    /// When it gives back what only its beginning needed.
    rest_at: Option<Tick>,
}

/// Who cleans up after the herd.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Heir {
    Keeper,
    /// The keeper is dead.
    Master,
}

/// How far the end of the herd has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Stopping {
    No,
    Gracefully,
    AtOnce,
}

/// Why the master's work is over.
enum End {
    /// The herd has ended.
    Herd(Outcome),
    /// Another build goes on with it.
    Leap(Box<Leap>),
}

impl Master {
    /// One turn per wake-up, until nothing is left to supervise.
    fn live(&mut self) -> io::Result<End> {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            self.act();
            self.go_on_reloading();
            self.open_doors();
            self.keep_books();
            self.serve_clients();
            if let Some(outcome) = self.outcome() {
                return Ok(End::Herd(outcome));
            }
            if let Some(leap) = self.prepare_leap()? {
                return Ok(End::Leap(Box::new(leap)));
            }
            let due = self.due();
            self.let_hear(due);
            let timeout = self.timeout(due);
            self.sleep(timeout);
            self.epoll.wait(&mut events, timeout)?;
            self.wake();
            self.attend();
            let ready: Vec<_> = events.iter().collect();
            for event in ready {
                self.on_ready(&event)?;
                self.act();
            }
            self.on_time();
        }
    }

    /// How the herd ended, when every part of it has.
    fn outcome(&self) -> Option<Outcome> {
        let workers = self.crews.get(Part::Workers)?;
        workers.outcome.filter(|_| self.crews.have_ended())
    }

    /// Does the keeper's last work: no worker is left, and what they had started had its time with them.
    fn clean_up(&self) {
        if let Err(error) = orphans::end_all(&self.signals, Instant::now(), &mut Vec::new()) {
            let text = format!("what the workers have started cannot be ended: {error}");
            self.tell(HerdEvent::Warning { text });
        }
        self.runtime.entrusted().remove();
    }

    fn feed(&mut self, part: Part, event: Event) {
        self.crews.feed(part, event);
    }

    /// Tells what happened to a part.
    fn tell_of(&self, part: Part, event: HerdEvent) {
        self.tell(part.said(event));
    }

    fn tell(&self, event: HerdEvent) {
        self.output.tell(event);
    }
}

/// A duration as the wire has it.
fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

fn now() -> Tick {
    Tick::from_micros(clock::monotonic_micros())
}

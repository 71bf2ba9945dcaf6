//! A worker's ties to its master.
//!
//! All that is due is done by two calls that whoever waits for connections makes, a blocking
//! `accept` or a task of the runtime: [`Link::read`] when [`Link::house`] is readable, and
//! [`Link::tick`] when the time that it named has come.

mod orders;

use std::fmt;
use std::io;
#[cfg(feature = "tokio")]
use std::num::NonZeroU32;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use herder_core::spec::LifePolicy;
use herder_sys::epoll::{Epoll, Events, Interest};
use herder_sys::failpoint;
use herder_sys::signal::SignalFd;
use herder_sys::wake::Wake;
use herder_wire::control::{ToMaster, VERSION};

use crate::worker::counters::Tally;
use crate::worker::ending::{Began, Ending, Reason};
#[cfg(feature = "tokio")]
use crate::worker::farewell::{CLOSE_RATE, Farewells};
use crate::worker::inlet::Inlet;
use crate::worker::outlet::{Outlet, Sent};
use crate::worker::schedule::Schedule;
use crate::worker::{deadline_in, finish, lock};

/// How often the master's word is looked for under full load, and the counters may be sent to one who decides by
/// them.
const PACE: Duration = Duration::from_millis(10);

/// Who a worker is.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) app: String,
    pub(crate) slot: u16,
    pub(crate) id: u64,
    pub(crate) master_pid: i32,
    /// The addresses of the listeners, in order.
    pub(crate) listeners: Vec<String>,
}

/// The time limits that a worker keeps by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// How often it shows that it lives; `None` = nobody asks.
    pub(crate) beat: Option<Duration>,
    /// How often, at most, it tells its counters.
    pub(crate) report: Duration,
    /// How long it may drain when there is no master to say so.
    pub(crate) grace: Duration,
    /// How long open connections may go on after a panic or a failure.
    pub(crate) close_timeout: Duration,
    /// How many long connections may be closed in a second.
    #[cfg(feature = "tokio")]
    pub(crate) close_rate: NonZeroU32,
}

impl Timing {
    /// What follows from the limits that the master keeps a process to.
    pub(crate) fn of(life: &LifePolicy, close_timeout: Duration) -> Timing {
        /// Heartbeats come so much more often, and the loop that sends them has other things to do.
        const BEATS: u32 = 4;
        const LONGEST: Duration = Duration::from_secs(1);
        Timing {
            beat: life.hang.map(|hang| (hang / BEATS).min(LONGEST)),
            report: PACE,
            grace: life.grace,
            close_timeout,
            #[cfg(feature = "tokio")]
            close_rate: CLOSE_RATE,
        }
    }
}

pub(crate) struct Link {
    identity: Identity,
    timing: Timing,
    pub(crate) outlet: Outlet,
    pub(crate) inlet: Mutex<Inlet>,
    signals: Option<SignalFd>,
    /// Readable when [`Link::read`] has something to do.
    house: Epoll,
    wake: Wake,
    ending: Ending,
    tally: Tally,
    pub(crate) schedule: Mutex<Schedule>,
    /// How long the loop waited, in all.
    idle_nanos: AtomicU64,
    said_ready: AtomicBool,
    said_gone: AtomicBool,
    said_panic: AtomicBool,
    /// Why the worker ends, as it told the master.
    said_retire: OnceLock<String>,
    /// No connection is accepted from shared listeners.
    paused: AtomicBool,
    /// Everything runs on one thread, so nothing goes on while that is stuck.
    single_threaded: AtomicBool,
    nudges: AtomicU64,
    /// How long the worker may drain, as the master said.
    #[cfg(feature = "tokio")]
    grace: OnceLock<Duration>,
    #[cfg(feature = "tokio")]
    farewells: Farewells,
    pub(crate) finish_by: OnceLock<Instant>,
    /// Where the jobs come from, if this is a worker of jobs.
    #[cfg(feature = "message")]
    pub(crate) intake: OnceLock<std::sync::Arc<crate::jobs::intake::Intake>>,
    /// Where the libraries are, if the herd lives in one process: else the environment says so.
    #[cfg(feature = "library")]
    pub(crate) finder: OnceLock<crate::library::directory::Finder>,
    #[cfg(feature = "library")]
    pub(crate) agents: OnceLock<herder_rpc::client::Agents>,
    #[cfg(feature = "services")]
    pub(crate) clients: OnceLock<std::sync::Arc<crate::services::Clients>>,
}

impl Link {
    /// Ties a worker to its master and introduces it.
    pub(crate) fn new(
        identity: Identity,
        timing: Timing,
        outlet: Outlet,
        signals: Option<SignalFd>,
    ) -> io::Result<Link> {
        let (house, wake) = (Epoll::new()?, Wake::new()?);
        house.add(wake.as_fd(), 0, Interest::READABLE)?;
        for fd in outlet
            .control()
            .into_iter()
            .chain(signals.as_ref().map(AsFd::as_fd))
        {
            house.add(fd, 0, Interest::READABLE)?;
        }
        let now = Instant::now();
        let link = Link {
            identity,
            timing,
            outlet,
            inlet: Mutex::new(Inlet::default()),
            signals,
            house,
            wake,
            ending: Ending::default(),
            tally: Tally::default(),
            schedule: Mutex::new(Schedule::new(now, timing.beat)),
            idle_nanos: AtomicU64::new(0),
            said_ready: AtomicBool::new(false),
            said_gone: AtomicBool::new(false),
            said_panic: AtomicBool::new(false),
            said_retire: OnceLock::new(),
            paused: AtomicBool::new(false),
            single_threaded: AtomicBool::new(false),
            nudges: AtomicU64::new(0),
            #[cfg(feature = "tokio")]
            grace: OnceLock::new(),
            #[cfg(feature = "tokio")]
            farewells: Farewells::default(),
            finish_by: OnceLock::new(),
            #[cfg(feature = "message")]
            intake: OnceLock::new(),
            #[cfg(feature = "library")]
            finder: OnceLock::new(),
            #[cfg(feature = "library")]
            agents: OnceLock::new(),
            #[cfg(feature = "services")]
            clients: OnceLock::new(),
        };
        link.send(ToMaster::Hello {
            version: VERSION,
            capabilities: 0,
        });
        Ok(link)
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(crate) fn timing(&self) -> &Timing {
        &self.timing
    }

    pub(crate) fn ending(&self) -> &Ending {
        &self.ending
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Readable when [`read`](Link::read) has something to do.
    pub(crate) fn house(&self) -> BorrowedFd<'_> {
        self.house.as_fd()
    }

    /// Waits until there is something to read, and reads it; for a worker that waits for nothing
    /// else.
    pub(crate) fn wait(&self, limit: Duration) -> io::Result<()> {
        let mut events = Events::with_capacity(1);
        self.house.wait(&mut events, Some(limit))?;
        if !events.is_empty() {
            self.read();
        }
        Ok(())
    }

    /// Whether this worker has a process of its own, which may be ended with it.
    pub(crate) fn owns_process(&self) -> bool {
        crate::panic::is_process(self)
    }

    /// Says that everything of this worker runs on one thread.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_single_threaded(&self) {
        self.single_threaded.store(true, Ordering::Release);
    }

    /// Whether other connections can go on while this thread waits.
    pub(crate) fn others_go_on(&self) -> bool {
        !self.single_threaded.load(Ordering::Acquire)
    }

    /// How often the worker was told to look at shared listeners again.
    pub(crate) fn nudges(&self) -> u64 {
        self.nudges.load(Ordering::Acquire)
    }

    /// Tells the master, once, that connections can be taken.
    pub(crate) fn ready(&self) {
        if !self.said_ready.swap(true, Ordering::AcqRel) {
            failpoint::hit("worker.ready");
            self.send(ToMaster::Ready);
        }
    }

    pub(crate) fn extend_boot(&self, by: Duration) {
        self.send(ToMaster::BootExtend {
            millis: u32::try_from(by.as_millis()).unwrap_or(u32::MAX),
        });
    }

    pub(crate) fn beat(&self) {
        self.send(ToMaster::Beat);
    }

    /// Begins the end for a reason of the worker's own, and asks for a replacement, unless the end
    /// has begun before: a second suicide changes nothing.
    pub(crate) fn retire(&self, reason: Reason, text: String) {
        if self.ending.begin(reason) == Began::Now {
            self.say_retire(text);
        }
        self.wake.wake();
    }

    /// As [`retire`](Link::retire), but asks for a replacement only if that is worth while once
    /// nothing new is taken any more: who sees the process end at once starts one anyway.
    pub(crate) fn retire_if(&self, text: String, worthwhile: impl FnOnce() -> bool) {
        let began = self.ending.begin(Reason::Retired);
        self.wake.wake();
        if worthwhile() && began == Began::Now {
            self.say_retire(text);
        }
    }

    fn say_retire(&self, reason: String) {
        let reason = self.said_retire.get_or_init(|| reason).clone();
        self.send(ToMaster::Retire { reason });
    }

    /// Begins the end for a reason of somebody else's.
    pub(crate) fn end(&self, reason: Reason) {
        self.ending.begin(reason);
        self.wake.wake();
    }

    /// Something panicked: no new connections, and what is open has the close time-out.
    pub(crate) fn panicked(&self, text: String) {
        self.retire(Reason::Panicked, text);
        if self.said_panic.swap(true, Ordering::AcqRel) {
            return;
        }
        let limit = self.timing.close_timeout;
        self.finish_by(limit);
        if self.owns_process() {
            finish::exit_after(limit);
        }
    }

    /// Has the worker look at its shared listeners again.
    pub(crate) fn nudge(&self) {
        self.nudges.fetch_add(1, Ordering::AcqRel);
        self.wake.wake();
        self.ending.announce();
    }

    /// Has the loop look again at what it waits for.
    #[cfg(feature = "message")]
    pub(crate) fn ring(&self) {
        self.wake.wake();
    }

    /// The master is gone: what is open has `grace`, then the process ends.
    fn master_gone(&self) {
        if self.said_gone.swap(true, Ordering::AcqRel) {
            // Every later attempt to reach it fails; that is no news, and must not wake the loop.
            return;
        }
        self.end(Reason::MasterGone);
        if let Some(control) = self.outlet.control() {
            // Readable for ever from now on; the removal can only fail when it is done already.
            let _already = self.house.remove(control);
        }
        if self.owns_process() {
            finish::exit_after(self.timing.grace);
        }
    }

    /// When a worker that has nothing more to do but wait for its open connections gives up.
    /// The first caller says how long that is.
    pub(crate) fn finish_by(&self, limit: Duration) -> Instant {
        *self.finish_by.get_or_init(|| deadline_in(limit))
    }

    pub(crate) fn connection_opened(&self) {
        self.tally.opened();
        self.counters_changed();
    }

    pub(crate) fn connection_closed(&self) {
        let left = self.tally.closed();
        self.counters_changed();
        if self.ending.has_begun() {
            self.ending.announce();
            if left == 0 {
                self.wake.wake();
            }
        }
    }

    /// Reports the counters, or has the loop do so when the time has come.
    pub(crate) fn counters_changed(&self) {
        let now = Instant::now();
        let mut schedule = lock(&self.schedule);
        if now.duration_since(schedule.last_report) >= self.timing.report {
            self.report(&mut schedule, now);
        } else if !schedule.asked {
            schedule.asked = true;
            if schedule.needs_a_wake() {
                self.wake.wake();
            }
        }
    }

    pub(crate) fn beat_when_due(&self, schedule: &mut Schedule, now: Instant) {
        if let (Some(next), Some(every)) = (schedule.next_beat, self.timing.beat)
            && now >= next
        {
            schedule.next_beat = Some(now + every);
            self.beat();
        }
    }

    /// Adds to the time that the loop spent waiting.
    pub(crate) fn waited(&self, idle: Duration) {
        let nanos = u64::try_from(idle.as_nanos()).unwrap_or(u64::MAX);
        self.idle_nanos.fetch_add(nanos, Ordering::AcqRel);
    }

    /// Does what is due, and says in how long to come again; `None` = when something happens.
    ///
    /// Only the worker's own loop calls this: the heartbeat is its proof of life.
    pub(crate) fn tick(&self, now: Instant) -> Option<Duration> {
        let waiting = self.flush();
        if now.duration_since(lock(&self.schedule).last_look) >= PACE {
            // Before it is decided how long to wait: reading silences the bell of who wants something sooner.
            self.read();
        }
        let due = {
            let mut schedule = lock(&self.schedule);
            self.beat_when_due(&mut schedule, now);
            let every = self.timing.report;
            if schedule.asked && now.duration_since(schedule.last_report) >= every {
                self.report(&mut schedule, now);
            }
            let report = schedule.asked.then(|| schedule.last_report + every);
            schedule.next_beat.into_iter().chain(report).min()
        };
        let due = due.map(|due| due.saturating_duration_since(now));
        due.into_iter()
            .chain((waiting == Sent::Later).then_some(PACE))
            .min()
    }

    /// Reads what the master, the operator and other threads have to say. Never waits.
    ///
    /// Only the worker's own loop calls this: the bell is rung for it.
    pub(crate) fn read(&self) {
        self.wake.clear();
        self.hear();
    }

    fn hear(&self) {
        lock(&self.schedule).last_look = Instant::now();
        self.read_signals();
        if self.read_control().is_err() {
            self.master_gone();
        }
    }

    /// What the master and the operator have to say, for any thread, unless somebody has looked a
    /// moment ago.
    pub(crate) fn look(&self) {
        let last = lock(&self.schedule).last_look;
        if last.elapsed() >= PACE {
            self.hear();
        }
    }

    fn read_signals(&self) {
        let Some(signals) = &self.signals else { return };
        while let Ok(Some(signal)) = signals.read() {
            if self.ending.reason() == Some(Reason::Signal) {
                // As everywhere: the second one is in a hurry.
                std::process::exit(finish::FAILED);
            }
            self.retire(Reason::Signal, format!("received {signal}"));
        }
    }

    pub(crate) fn flush(&self) -> Sent {
        self.outlet.flush().unwrap_or_else(|_| {
            self.master_gone();
            Sent::Dropped
        })
    }

    pub(crate) fn send(&self, message: ToMaster) -> Sent {
        self.outlet.send(message).unwrap_or_else(|_| {
            self.master_gone();
            Sent::Dropped
        })
    }

    fn report(&self, schedule: &mut Schedule, now: Instant) {
        let (open, served) = (self.tally.open(), self.tally.served());
        if schedule.reported == (open, served) {
            schedule.asked = false;
            return;
        }
        let idle = self.idle_nanos.load(Ordering::Acquire);
        let busy = schedule.busy(idle, now);
        let sent = self.send(ToMaster::Counters { open, served, busy });
        schedule.last_report = now;
        schedule.idle_at_report = idle;
        schedule.asked = sent != Sent::Now && !self.said_gone.load(Ordering::Acquire);
        if sent == Sent::Now {
            schedule.reported = (open, served);
        }
    }

    /// How busy the loop was since the last report, in thousandths.
    pub(crate) fn busy(&self) -> u32 {
        lock(&self.schedule).busy(self.idle_nanos.load(Ordering::Acquire), Instant::now())
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

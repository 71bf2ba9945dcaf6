//! Every way into the hub.

use std::cell::RefCell;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::Duration;

use herder_core::jobs::{Event, JobPicker, JobSpec, Retry};
use herder_core::{ClientId, Incarnation, Tick};
use herder_wire::control::ToMaster;
use herder_wire::gateway::{self, GatewayConfig, Policy, Protocol, Reports};
use tokio::sync::{Notify, watch};
use tokio::task;
use tokio::time::{Instant, Sleep, sleep_until};

use super::state::{State, first_number};
use super::turn::Outlet;
use super::workers::{LinkEnds, Reading};
use crate::control::Channel;
use crate::hub::link::{Link, Stirring};
use crate::hub::sentences::Sentences;
use crate::hub::{Desk, Hub, Message, Seat, Workers};

/// How many bytes of messages may wait in this process for workers.
const MAX_HELD: usize = 256 * 1024 * 1024;

/// What the hub is told once.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) jobs: JobSpec,
    pub(crate) reports: Reports,
    pub(crate) max_clients: usize,
    /// How many bytes of messages may wait before nothing more is read from whoever sends.
    pub(crate) max_held: usize,
    pub(crate) sentences: Sentences,
    /// How often the master is told that the loop turns.
    pub(crate) beat: Option<Duration>,
    /// The numbers of clients and jobs begin after this.
    pub(crate) first_number: u64,
}

/// The hub, shared by all tasks. No borrow of its state outlives a call.
pub(crate) struct Shell {
    state: RefCell<State>,
    origin: Instant,
    /// Something may have to leave, or be done at another time.
    stirred: Notify,
}

impl Settings {
    /// What follows from the master's words.
    pub(crate) fn new(config: &GatewayConfig, incarnation: u64) -> Settings {
        let count = |number| NonZeroU32::new(number).expect("the codec lets no zero in");
        let millis = |number: u32| Duration::from_millis(number.into());
        let retry = match config.retry {
            gateway::Retry::Never => Retry::Never,
            gateway::Retry::Idempotent => Retry::Idempotent,
        };
        let jobs = JobSpec {
            picker: match config.policy {
                Policy::RoundRobin => JobPicker::RoundRobin,
                Policy::LeastConnections => JobPicker::FewestJobs,
            },
            max_jobs: config.max_jobs.map(count),
            retry,
            client_window: count(config.client_window),
            worker_window: count(config.worker_window),
            worker_jobs: count(config.worker_jobs),
            pending: count(config.pending),
            starting_wait: millis(config.starting_wait_millis),
            steal_after: millis(config.steal_after_millis),
            pending_timeout: millis(config.pending_timeout_millis),
            ..JobSpec::default()
        };
        Settings {
            jobs,
            reports: config.reports,
            max_clients: usize::try_from(config.max_clients).unwrap_or(usize::MAX),
            max_held: MAX_HELD,
            sentences: Sentences {
                retry,
                lost: config.lost_reply.clone(),
            },
            beat: config.beat_millis.map(millis),
            first_number: first_number(incarnation),
        }
    }
}

impl Shell {
    pub(crate) fn new(settings: Settings) -> Rc<Shell> {
        Rc::new(Shell {
            state: RefCell::new(State::new(settings, Tick::ZERO)),
            origin: Instant::now(),
            stirred: Notify::new(),
        })
    }

    /// The hub, as the edge knows it.
    pub(crate) fn hub(self: &Rc<Self>) -> Hub {
        Hub::new(Rc::clone(self) as Rc<dyn Desk>)
    }

    /// A worker is being started, or lives already.
    pub(crate) fn expect(&self, worker: Incarnation, slot: u16, pid: u32) {
        self.with(|state| state.expect(worker, slot, pid));
    }

    /// The way to a worker.
    pub(crate) fn tie(self: &Rc<Self>, worker: Incarnation, ends: LinkEnds) {
        let link = match Link::new(ends.ours, ends.theirs) {
            Ok(link) => Rc::new(link),
            Err(error) => return self.cannot_tie(worker, &error.to_string()),
        };
        let tending = tend(Rc::clone(self), worker, Rc::clone(&link));
        let tending = task::spawn_local(tending).abort_handle();
        self.with(|state| state.tie(worker, link, tending));
    }

    /// There is no way to a worker.
    pub(crate) fn cannot_tie(&self, worker: Incarnation, reason: &str) {
        self.with(|state| state.give_up(worker, &format!("it cannot be linked: {reason}")));
    }

    /// Has the master hear something.
    pub(crate) fn report(&self, news: ToMaster) {
        self.with(|state| state.report(news));
    }

    /// Tells another master, which has taken over, where everything is.
    pub(crate) fn resync(&self) {
        self.with(State::resync);
    }

    /// A worker takes jobs (again).
    pub(crate) fn admit(&self, worker: Incarnation) {
        self.with(|state| state.admit(worker));
    }

    /// A worker gets no new job for now.
    pub(crate) fn hold(&self, worker: Incarnation) {
        self.with(|state| state.hold(worker));
    }

    /// A worker gets no new job any more.
    pub(crate) fn withdraw(&self, worker: Incarnation) {
        self.with(|state| state.withdraw(worker));
    }

    /// A worker is dead.
    pub(crate) fn gone(&self, worker: Incarnation) {
        self.with(|state| state.gone(worker));
    }

    /// The herd stops: no new clients and messages. Jobs may wait for so long.
    pub(crate) fn close(&self, within: Duration) {
        self.with(|state| {
            state.close();
            state.feed(Event::Closing { within });
        });
    }

    /// Tells all clients to go.
    pub(crate) fn send_away(&self) {
        self.with(State::send_away);
    }

    /// Ends one turn of the loop after the other: for ever.
    pub(crate) async fn turn(self: Rc<Self>, channel: Rc<Channel>) {
        let mut sleep = std::pin::pin!(sleep_until(self.origin));
        let mut armed = None;
        loop {
            let (deadline, outlet) = self.end_turn(&channel);
            rearm(sleep.as_mut(), &mut armed, deadline, self.origin);
            tokio::select! {
                biased;
                () = self.stirred.notified() => {}
                () = sleep.as_mut(), if armed.is_some() => armed = None,
                () = channel.room(), if outlet == Outlet::Full => {
                    self.state.borrow_mut().pace.outlet = Outlet::Open;
                }
            }
        }
    }

    fn end_turn(&self, channel: &Channel) -> (Option<Tick>, Outlet) {
        let mut state = self.state.borrow_mut();
        state.now = self.now();
        state.end_turn(channel);
        (state.deadline(), state.pace.outlet)
    }

    fn now(&self) -> Tick {
        let micros = self.origin.elapsed().as_micros();
        Tick::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.borrow_mut();
        state.now = self.now();
        let result = act(&mut state);
        self.stirred.notify_one();
        result
    }
}

#[cfg(test)]
impl Shell {
    /// As if the kernel had refused a packet for the worker for a reason that passes.
    pub(crate) fn lacks_means_for(&self, worker: Incarnation) {
        self.with(|state| state.wait_for_means(worker));
    }
}

impl Desk for Shell {
    fn join(self: Rc<Self>, protocol: Protocol) -> Option<Seat> {
        let desk = Rc::clone(&self) as Rc<dyn Desk>;
        self.with(|state| state.join(desk, protocol))
    }

    fn submit(&self, client: ClientId, message: Message) {
        self.with(|state| state.submit(client, message));
    }

    fn left(&self, client: ClientId) {
        self.with(|state| state.left(client));
    }

    fn watch(&self) -> watch::Receiver<Workers> {
        self.state.borrow().board.watch()
    }
}

/// Waits for one link, as long as it lasts.
async fn tend(shell: Rc<Shell>, worker: Incarnation, link: Rc<Link>) {
    loop {
        match link.stirring().await {
            Stirring::Room => shell.with(|state| state.room(worker)),
            Stirring::Readable => {
                let reading = shell.with(|state| state.read_turn(worker));
                if reading == Reading::More {
                    task::yield_now().await;
                }
            }
        }
    }
}

/// Sets the alarm earlier if it must be; one that rings too early costs less than setting it anew
/// at each turn.
fn rearm(
    sleep: std::pin::Pin<&mut Sleep>,
    armed: &mut Option<Tick>,
    deadline: Option<Tick>,
    origin: Instant,
) {
    let Some(at) = deadline else { return };
    if armed.is_none_or(|armed| at < armed) {
        *armed = Some(at);
        sleep.reset(origin + Duration::from_micros(at.as_micros()));
    }
}

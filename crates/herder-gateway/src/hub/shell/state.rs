//! Everything that the hub knows, and the one place where the dispatcher is fed.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::time::Duration;

use herder_core::jobs::{Action, Event, JobDispatcher};
use herder_core::{ClientId, Incarnation, JobId, Tick};
use herder_wire::control::ToMaster;

use super::Settings;
use super::turn::Pace;
use crate::hub::Board;
use crate::hub::inlet::Heard;
use crate::hub::job::{Cause, Client, Going, Job};
use crate::hub::link::packet_room;
use crate::hub::worker::{Said, Standing, Worker};

/// When to try again what the kernel had no means for.
const TRY_AGAIN: Duration = Duration::from_millis(5);

/// The hub.
pub(crate) struct State {
    pub(super) settings: Settings,
    pub(super) dispatcher: JobDispatcher,
    /// The present turn.
    pub(super) now: Tick,
    pub(super) phase: Phase,
    pub(super) clients: HashMap<ClientId, Client>,
    pub(super) jobs: HashMap<JobId, Job>,
    pub(super) workers: BTreeMap<Incarnation, Worker>,
    /// The latest client and the latest job.
    pub(super) last: (ClientId, JobId),
    /// What leaves at the end of the turn, in this order.
    pub(super) outward: VecDeque<Outward>,
    pub(super) pace: Pace,
    /// Workers that could not be given a job for a reason that passes, and when to try again.
    pub(super) again: Option<(Tick, BTreeSet<Incarnation>)>,
    pub(super) board: Board,
    /// Workers that are not on the board as they are.
    pub(super) unshown: BTreeSet<Incarnation>,
    /// How much clients have said that may still be sent to a worker, in bytes.
    pub(super) held: usize,
    /// Clients from which nothing is read until that has become less.
    pub(super) stopped: Vec<ClientId>,
    /// Jobs that came to an end at a worker.
    pub(super) served: u64,
    /// The master was told that no job waits for a worker.
    pub(super) said_empty: bool,
    pub(super) rooms: Rooms,
}

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Serving,
    /// No new message; jobs go on.
    Closing,
    /// Everybody is told to go.
    Leaving,
}

/// What leaves at the end of a turn.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outward {
    Job { job: JobId, worker: Incarnation },
    Cancel { job: JobId, worker: Incarnation },
    Report(ToMaster),
}

/// Memory that is used again and again.
pub(super) struct Rooms {
    /// For a packet that is received.
    pub(super) inward: Box<[u8]>,
    /// For a packet that is sent.
    pub(super) outward: Vec<u8>,
    pub(super) fds: Vec<OwnedFd>,
    pub(super) heard: Vec<Heard>,
}

impl State {
    pub(super) fn new(settings: Settings, now: Tick) -> State {
        let first = settings.first_number;
        State {
            dispatcher: JobDispatcher::new(settings.jobs.clone()),
            pace: Pace::new(settings.beat, now),
            settings,
            now,
            phase: Phase::Serving,
            clients: HashMap::new(),
            jobs: HashMap::new(),
            workers: BTreeMap::new(),
            last: (ClientId(first), JobId(first)),
            outward: VecDeque::new(),
            again: None,
            board: Board::new(),
            unshown: BTreeSet::new(),
            held: 0,
            stopped: Vec::new(),
            served: 0,
            said_empty: false,
            rooms: Rooms {
                inward: packet_room(),
                outward: Vec::new(),
                fds: Vec::new(),
                heard: Vec::new(),
            },
        }
    }

    /// Tells the dispatcher something, and does what it asks for.
    pub(super) fn feed(&mut self, event: Event) {
        self.dispatcher.handle(event, self.now);
        self.act();
    }

    /// Does what the dispatcher asks for, until it asks for nothing.
    pub(super) fn act(&mut self) {
        while let Some(action) = self.dispatcher.poll_action() {
            match action {
                Action::Assign { job, worker } => self.assign(job, worker),
                Action::Cancel { job, worker } => {
                    self.outward.push_back(Outward::Cancel { job, worker });
                }
                Action::Empty => {
                    self.said_empty = true;
                    self.report(ToMaster::Empty);
                }
                Action::Exhausted { worker } => {
                    self.stand(worker, Standing::Leaving);
                    self.say_of(worker, |said| said.exhausted = true);
                    self.report(ToMaster::Exhausted { worker: worker.0 });
                }
                Action::Over {
                    job,
                    client,
                    outcome,
                } => self.over(job, client, outcome),
                Action::Pause { client } => {
                    if let Some(client) = self.clients.get_mut(&client) {
                        client.stop(Cause::Jobs);
                    }
                }
                Action::Release { job } => self.release(job),
                Action::Resume { client } => {
                    if let Some(client) = self.clients.get_mut(&client) {
                        client.read_again(Cause::Jobs);
                    }
                }
                Action::TakeBack { worker } => {
                    let jobs = self.take_back(worker);
                    let event = Event::TakenBack { worker, jobs };
                    self.dispatcher.handle(event, self.now);
                }
                Action::Withdrawn { worker } => {
                    self.say_of(worker, |said| said.withdrawn = true);
                    self.report(ToMaster::Withdrawn { worker: worker.0 });
                }
            }
        }
    }

    /// Remembers what the master is told of a worker.
    pub(super) fn say_of(&mut self, worker: Incarnation, note: impl FnOnce(&mut Said)) {
        if let Some(known) = self.workers.get_mut(&worker) {
            note(&mut known.said);
        }
    }

    pub(super) fn report(&mut self, news: ToMaster) {
        self.outward.push_back(Outward::Report(news));
    }

    /// Puts a job on its way out if the link has room for it, which is set aside.
    fn assign(&mut self, job: JobId, worker: Incarnation) {
        if !self.make_room(job, worker) {
            let event = Event::Refused { worker, job };
            self.dispatcher.handle(event, self.now);
            return;
        }
        if let Some(job) = self.jobs.get_mut(&job) {
            job.worker = Some(worker);
            job.going = Going::Out;
        }
        if let Some(known) = self.workers.get_mut(&worker) {
            known.given += 1;
            self.unshown.insert(worker);
        }
        self.outward.push_back(Outward::Job { job, worker });
    }

    fn make_room(&mut self, job: JobId, worker: Incarnation) -> bool {
        let payload = self.jobs.get_mut(&job).and_then(|job| job.payload.as_mut());
        let known = self.workers.get(&worker);
        let (Some(payload), Some(linked)) = (payload, known.and_then(|known| known.link.as_ref()))
        else {
            return false;
        };
        if payload.pack().is_err() {
            self.try_again(worker);
            return false;
        }
        linked.link.reserve(payload.packet_length())
    }

    /// Has the worker offered room again after a while.
    pub(super) fn try_again(&mut self, worker: Incarnation) {
        let at = self.now.after(TRY_AGAIN);
        let (_, workers) = self.again.get_or_insert_with(|| (at, BTreeSet::new()));
        workers.insert(worker);
    }

    /// Receives what a worker has not received. What was to leave for it stays here.
    pub(super) fn take_back(&mut self, worker: Incarnation) -> Vec<JobId> {
        let mut jobs = Vec::new();
        if let Some(linked) = self
            .workers
            .get(&worker)
            .and_then(|known| known.link.as_ref())
        {
            jobs = linked.link.take_back(&mut self.rooms.inward).jobs;
        }
        self.outward.retain(|outward| match outward {
            Outward::Job { job, worker: to } if *to == worker => {
                jobs.push(*job);
                false
            }
            Outward::Job { .. } | Outward::Cancel { .. } | Outward::Report(_) => true,
        });
        for job in &jobs {
            self.return_job(*job, worker);
        }
        jobs
    }

    /// A job that was given to a worker is here again.
    pub(super) fn return_job(&mut self, job: JobId, worker: Incarnation) {
        if let Some(known) = self.workers.get_mut(&worker) {
            known.given = known.given.saturating_sub(1);
            self.unshown.insert(worker);
        }
        let Some(returned) = self.jobs.get_mut(&job) else {
            return;
        };
        returned.worker = None;
        match std::mem::replace(&mut returned.going, Going::No) {
            Going::OutForGood => self.drop_payload(job),
            Going::Out | Going::No => {}
        }
    }

    /// The payload of a job is not needed any more, or not after it has left.
    fn release(&mut self, job: JobId) {
        let Some(released) = self.jobs.get_mut(&job) else {
            return;
        };
        match released.going {
            Going::No => self.drop_payload(job),
            Going::Out | Going::OutForGood => released.going = Going::OutForGood,
        }
    }

    pub(super) fn drop_payload(&mut self, job: JobId) {
        let payload = self.jobs.get_mut(&job).and_then(|job| job.payload.take());
        if let Some(payload) = payload {
            self.held -= payload.length();
            self.read_again();
        }
        self.forget_if_settled(job);
    }

    pub(super) fn forget_if_settled(&mut self, job: JobId) {
        if self.jobs.get(&job).is_some_and(Job::is_settled) {
            self.jobs.remove(&job);
        }
    }

    pub(super) fn stand(&mut self, worker: Incarnation, standing: Standing) {
        if let Some(known) = self.workers.get_mut(&worker) {
            known.standing = standing;
            self.unshown.insert(worker);
        }
    }
}

/// The numbers of a gateway's clients and jobs begin where no earlier gateway of the herd has been.
pub(super) fn first_number(incarnation: u64) -> u64 {
    incarnation.saturating_sub(1) << NUMBERS_PER_GATEWAY
}

/// How many bits of a number count; those above tell the gateways apart.
const NUMBERS_PER_GATEWAY: u32 = 40;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::NonZeroU32;
use std::time::Duration;

use herder_core::jobs::{Action, Event, JobDispatcher, JobOutcome, JobSpec};
use herder_core::{ClientId, Incarnation, JobId, Tick};

/// The client that sends when it does not matter who does.
pub(crate) const CLIENT: ClientId = ClientId(1);

/// A truthful shell around a job dispatcher: links that hold what was sent, workers that receive and
/// start only when the test says so, and a clock that the test moves.
pub(crate) struct Desk {
    pub(crate) dispatcher: JobDispatcher,
    /// Every action, in order.
    pub(crate) log: Vec<Action>,
    pub(crate) now: Tick,
    arrived: u64,
    links: BTreeMap<Incarnation, VecDeque<JobId>>,
    /// These links take nothing.
    pub(crate) refusing: BTreeSet<Incarnation>,
}

pub(crate) fn worker(number: u64) -> Incarnation {
    Incarnation(number)
}

pub(crate) fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("it is not zero")
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Workers get so many jobs in their life.
pub(crate) fn limited(max_jobs: u32) -> JobSpec {
    JobSpec {
        max_jobs: Some(number(max_jobs)),
        ..JobSpec::default()
    }
}

impl Desk {
    /// With workers 1 to `workers`, admitted.
    pub(crate) fn new(workers: u64) -> Desk {
        Desk::with(workers, JobSpec::default())
    }

    pub(crate) fn with(workers: u64, spec: JobSpec) -> Desk {
        let mut desk = Desk {
            dispatcher: JobDispatcher::new(spec),
            log: Vec::new(),
            now: Tick::from_micros(1_000_000),
            arrived: 0,
            links: BTreeMap::new(),
            refusing: BTreeSet::new(),
        };
        for id in 1..=workers {
            desk.admit(id);
        }
        desk
    }

    pub(crate) fn expect(&mut self, id: u64) {
        self.tell(Event::Expected { worker: worker(id) });
    }

    pub(crate) fn admit(&mut self, id: u64) {
        self.admit_after(id, 0);
    }

    /// It has started so many jobs in its life.
    pub(crate) fn admit_after(&mut self, id: u64, started: u32) {
        self.tell(Event::Admitted {
            worker: worker(id),
            started,
        });
    }

    pub(crate) fn hold(&mut self, id: u64) {
        self.tell(Event::Held { worker: worker(id) });
    }

    pub(crate) fn withdraw(&mut self, id: u64) {
        self.tell(Event::Withdraw { worker: worker(id) });
    }

    pub(crate) fn room(&mut self, id: u64) {
        self.refusing.remove(&worker(id));
        self.tell(Event::Room { worker: worker(id) });
    }

    /// So many messages of the usual client; jobs are numbered from 1.
    pub(crate) fn send(&mut self, count: usize) {
        for _ in 0..count {
            self.send_from(CLIENT);
        }
    }

    pub(crate) fn send_from(&mut self, client: ClientId) -> JobId {
        self.arrived += 1;
        let job = JobId(self.arrived);
        self.tell(Event::Arrived { job, client });
        job
    }

    /// The worker receives the oldest job in its link and starts it.
    pub(crate) fn start(&mut self, id: u64) -> JobId {
        let job = self.receive(id);
        self.say_started(id, job);
        job
    }

    /// The worker receives the oldest job in its link, and nobody is told.
    pub(crate) fn receive(&mut self, id: u64) -> JobId {
        let link = self.links.entry(worker(id)).or_default();
        link.pop_front().expect("something lies in the link")
    }

    pub(crate) fn say_started(&mut self, id: u64, job: JobId) {
        let worker = worker(id);
        self.tell(Event::Started { worker, job });
    }

    pub(crate) fn finish(&mut self, id: u64, job: JobId) {
        let worker = worker(id);
        self.tell(Event::Finished { worker, job });
    }

    /// The worker starts and finishes the oldest job in its link.
    pub(crate) fn serve(&mut self, id: u64) -> JobId {
        let job = self.start(id);
        self.finish(id, job);
        job
    }

    pub(crate) fn kill(&mut self, id: u64) {
        self.links.remove(&worker(id));
        self.tell(Event::Gone { worker: worker(id) });
    }

    /// Tells this, and does what is asked for.
    pub(crate) fn tell(&mut self, event: Event) {
        self.dispatcher.handle(event, self.now);
        self.drain();
    }

    /// Moves the clock, and wakes the dispatcher whenever it asked for it on the way.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now.after(time);
        let mut wakes = 0;
        while let Some(at) = self.dispatcher.poll_timeout().filter(|&at| at <= end) {
            wakes += 1;
            assert!(wakes < 10_000, "the dispatcher wakes without end");
            self.now = self.now.max(at);
            self.tell(Event::Timer);
        }
        self.now = end;
    }

    /// What lies un-received in the worker's link.
    pub(crate) fn link(&self, id: u64) -> Vec<u64> {
        let link = self.links.get(&worker(id)).into_iter().flatten();
        link.map(|job| job.0).collect()
    }

    /// Who was given a job, in order.
    pub(crate) fn dealt(&self) -> Vec<u64> {
        let mut dealt = Vec::new();
        for action in &self.log {
            if let Action::Assign { worker, .. } = action {
                dealt.push(worker.0);
            }
        }
        dealt
    }

    /// How the job ended.
    pub(crate) fn outcomes(&self, id: u64) -> Vec<JobOutcome> {
        let mut outcomes = Vec::new();
        for action in &self.log {
            if let Action::Over { job, outcome, .. } = action
                && job.0 == id
            {
                outcomes.push(*outcome);
            }
        }
        outcomes
    }

    pub(crate) fn count(&self, action: Action) -> usize {
        self.log.iter().filter(|other| **other == action).count()
    }

    pub(crate) fn withdrawn(&self, id: u64) -> usize {
        self.count(Action::Withdrawn { worker: worker(id) })
    }

    pub(crate) fn exhausted(&self, id: u64) -> usize {
        self.count(Action::Exhausted { worker: worker(id) })
    }

    pub(crate) fn taken_back(&self, id: u64) -> usize {
        self.count(Action::TakeBack { worker: worker(id) })
    }

    pub(crate) fn released(&self, id: u64) -> usize {
        self.count(Action::Release { job: JobId(id) })
    }

    fn drain(&mut self) {
        while let Some(action) = self.dispatcher.poll_action() {
            self.log.push(action);
            assert!(
                self.log.len() < 100_000,
                "the dispatcher asks without end: {:?}",
                &self.log[self.log.len() - 12..]
            );
            self.execute(action);
        }
    }

    fn execute(&mut self, action: Action) {
        match action {
            Action::Assign { job, worker } if self.refusing.contains(&worker) => {
                self.dispatcher
                    .handle(Event::Refused { worker, job }, self.now);
            }
            Action::Assign { job, worker } => self.links.entry(worker).or_default().push_back(job),
            Action::TakeBack { worker } => {
                let link = self.links.remove(&worker).unwrap_or_default();
                let jobs = link.into_iter().collect();
                self.dispatcher
                    .handle(Event::TakenBack { worker, jobs }, self.now);
            }
            Action::Cancel { .. }
            | Action::Empty
            | Action::Exhausted { .. }
            | Action::Over { .. }
            | Action::Pause { .. }
            | Action::Release { .. }
            | Action::Resume { .. }
            | Action::Withdrawn { .. } => {}
        }
    }
}

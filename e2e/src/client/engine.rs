//! One thread of a load: its connections in one epoll set.

use crate::client::connection::{Age, Connection, Exchange, Idle, Progress};
use crate::client::ledger::{Entry, Ledger};
use crate::client::load::{Detail, Reuse, Shared};
use crate::client::outcome::Outcome;
use crate::client::schedule::{Due, Schedule};
use crate::client::timer::Timer;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use std::collections::VecDeque;
use std::mem;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The longest sleep: how late a stop may be noticed.
const NAP: Duration = Duration::from_millis(10);
/// Bytes read at once.
const BUFFER: usize = 64 * 1024;
/// Events taken at once.
const EVENTS: usize = 256;

/// Makes this thread's share of the traffic and returns its account.
pub(super) fn run(shared: &Shared, thread: usize) -> Ledger {
    let clients = share(shared.load.clients, shared.threads, thread);
    let mut engine = Engine::new(shared, thread, clients);
    engine.run();
    engine.ledger.elapsed = shared.begun.elapsed();
    engine.ledger
}

/// The part of `total` that falls to one of `threads`.
fn share(total: usize, threads: usize, thread: usize) -> usize {
    total / threads + usize::from(thread < total % threads)
}

struct Engine<'a> {
    shared: &'a Shared,
    schedule: Schedule<'a>,
    epoll: OwnedFd,
    timer: Timer,
    slots: Vec<Slot>,
    /// Slots without a request, the longest idle first.
    free: VecDeque<usize>,
    /// When busy slots are given up; all requests have the same time, so the order is that of their begin.
    deadlines: VecDeque<(Instant, usize, u64)>,
    buffer: Vec<u8>,
    ledger: Ledger,
}

/// A place for one connection and one request at a time.
#[derive(Default)]
struct Slot {
    connection: Option<Connection>,
    work: Work,
    /// Counts requests, so that the deadline of an earlier one is recognised.
    turn: u64,
}

#[derive(Default)]
enum Work {
    /// A request is on its way.
    Busy(Box<Exchange>),
    /// The answer is there; the server is to close.
    Closing,
    #[default]
    Free,
}

impl<'a> Engine<'a> {
    fn new(shared: &'a Shared, thread: usize, clients: usize) -> Engine<'a> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("epoll needs one descriptor");
        let timer = Timer::new(&epoll);
        Engine {
            shared,
            schedule: Schedule::new(shared, thread, clients),
            epoll,
            timer,
            slots: (0..clients).map(|_| Slot::default()).collect(),
            free: (0..clients).collect(),
            deadlines: VecDeque::new(),
            buffer: vec![0; BUFFER],
            ledger: Ledger::default(),
        }
    }

    fn run(&mut self) {
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            self.begin_due();
            self.give_up_late();
            if self.schedule.is_over() && self.free.len() == self.slots.len() {
                return;
            }
            self.sleep(&mut events);
            for event in events.drain(..) {
                self.handle(event);
            }
        }
    }

    /// Begins what is due, as far as there are free slots.
    fn begin_due(&mut self) {
        while let Some(&number) = self.free.front() {
            let now = Instant::now();
            let Some(due) = self.schedule.due(now) else {
                return;
            };
            self.free.pop_front();
            self.begin(number, due, now);
        }
    }

    fn begin(&mut self, number: usize, due: Due, now: Instant) {
        self.look_at_idle(number);
        let slot = &mut self.slots[number];
        slot.turn += 1;
        self.deadlines
            .push_back((now + self.shared.load.timeout, number, slot.turn));
        let age = if slot.connection.is_some() {
            Age::Used
        } else {
            Age::Fresh
        };
        let exchange = Box::new(Exchange::new(&self.shared.load, due, age));
        if age == Age::Fresh {
            self.ledger.notes.connections += 1;
            match Connection::open(&self.shared.load.target) {
                Ok(connection) => slot.connection = Some(connection),
                Err(outcome) => return self.fail(number, &exchange, outcome),
            }
        }
        self.send(number, exchange);
    }

    fn handle(&mut self, event: epoll::Event) {
        let number = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
        let Some(slot) = self.slots.get_mut(number) else {
            return self.timer.clear();
        };
        let flags = event.flags;
        // An event may be news about a connection that this slot had before: so nothing is believed,
        // the socket is asked.
        match mem::take(&mut slot.work) {
            Work::Busy(exchange) if flags.contains(epoll::EventFlags::OUT) => {
                self.send(number, exchange);
            }
            Work::Busy(exchange) => self.receive(number, exchange),
            Work::Closing => self.look_for_end(number),
            Work::Free => self.look_at_idle(number),
        }
    }

    fn send(&mut self, number: usize, mut exchange: Box<Exchange>) {
        let slot = &mut self.slots[number];
        let connection = slot
            .connection
            .as_mut()
            .expect("a busy slot has a connection");
        match exchange.send(connection) {
            Err(outcome) => self.fail(number, &exchange, outcome),
            Ok(sent) => {
                connection.watch(&self.epoll, number as u64, sent);
                slot.work = Work::Busy(exchange);
            }
        }
    }

    fn receive(&mut self, number: usize, mut exchange: Box<Exchange>) {
        let slot = &mut self.slots[number];
        let connection = slot
            .connection
            .as_ref()
            .expect("a busy slot has a connection");
        match exchange.receive(connection, self.shared.load.reuse, &mut self.buffer) {
            Err(outcome) => self.fail(number, &exchange, outcome),
            Ok(Progress::Partial) => slot.work = Work::Busy(exchange),
            Ok(progress) => self.complete(number, &exchange, progress),
        }
    }

    fn complete(&mut self, number: usize, exchange: &Exchange, progress: Progress) {
        self.record(number, exchange, exchange.outcome(&self.shared.load));
        let slot = &mut self.slots[number];
        match (progress, self.shared.load.reuse) {
            (Progress::Whole | Progress::Partial, Reuse::PerRequest) => {
                slot.work = Work::Closing;
                return;
            }
            (Progress::Whole | Progress::Partial, Reuse::KeepAlive) => {
                if exchange.closes() {
                    self.ledger.notes.announced_closes += 1;
                    slot.connection = None;
                }
            }
            (Progress::Ended { tidy }, _) => {
                self.ledger.notes.untidy_closes += u64::from(!tidy);
                slot.connection = None;
            }
        }
        self.release(number);
    }

    fn fail(&mut self, number: usize, exchange: &Exchange, outcome: Outcome) {
        self.record(number, exchange, outcome);
        self.slots[number].connection = None;
        self.release(number);
    }

    fn record(&mut self, number: usize, exchange: &Exchange, outcome: Outcome) {
        let counter = if outcome.is_complete() {
            &self.shared.answered
        } else {
            &self.shared.failed
        };
        counter.fetch_add(1, Ordering::Relaxed);
        let detailed = self.shared.load.detail == Detail::Full;
        let connection = self.slots[number].connection.as_ref().filter(|_| detailed);
        self.ledger.entries.push(Entry {
            id: self.shared.load.first + exchange.due.id,
            due: exchange.due.at.duration_since(self.shared.begun),
            latency: exchange.due.at.elapsed(),
            outcome,
            port: connection.map_or(0, Connection::port),
            body: detailed.then(|| exchange.body().into()),
        });
    }

    /// The slot is free again and its client goes on.
    fn release(&mut self, number: usize) {
        self.slots[number].work = Work::Free;
        self.free.push_back(number);
        self.schedule.answered(Instant::now());
    }

    /// Drops the connection of a free slot when the server has ended it.
    fn look_at_idle(&mut self, number: usize) {
        let slot = &mut self.slots[number];
        let notes = &mut self.ledger.notes;
        match slot.connection.as_ref().map(Connection::idle) {
            None | Some(Idle::Alive) => return,
            Some(Idle::Closed) => notes.idle_closes += 1,
            Some(Idle::Reset) => notes.idle_resets += 1,
        }
        slot.connection = None;
    }

    /// After an answer that was to be the last: whether the server has closed the connection.
    fn look_for_end(&mut self, number: usize) {
        let slot = &mut self.slots[number];
        match slot.connection.as_ref().map(Connection::idle) {
            Some(Idle::Alive) => {
                slot.work = Work::Closing;
                return;
            }
            Some(Idle::Reset) => self.ledger.notes.untidy_closes += 1,
            Some(Idle::Closed) | None => {}
        }
        slot.connection = None;
        self.release(number);
    }

    fn give_up_late(&mut self) {
        while let Some(&(deadline, number, turn)) = self.deadlines.front() {
            let slot = &mut self.slots[number];
            let over = slot.turn != turn || matches!(slot.work, Work::Free);
            if !over && deadline > Instant::now() {
                return;
            }
            self.deadlines.pop_front();
            match mem::take(&mut slot.work) {
                work if slot.turn != turn => slot.work = work,
                Work::Busy(exchange) => self.fail(number, &exchange, Outcome::TimedOut),
                Work::Closing => {
                    self.ledger.notes.unclosed += 1;
                    slot.connection = None;
                    self.release(number);
                }
                Work::Free => {}
            }
        }
    }

    /// Sleeps until something happens or becomes due.
    fn sleep(&mut self, events: &mut Vec<epoll::Event>) {
        let mut nap = NAP;
        if let Some(&(deadline, ..)) = self.deadlines.front() {
            nap = nap.min(deadline.saturating_duration_since(Instant::now()));
        }
        if !self.free.is_empty()
            && let Some(due) = self.schedule.next_due()
        {
            self.timer.arm(due);
        }
        let nap = Timespec::try_from(nap).expect("a nap is short");
        // Interrupted = no events; the loop comes back.
        let _interrupted = epoll::wait(&self.epoll, spare_capacity(events), Some(&nap));
    }
}

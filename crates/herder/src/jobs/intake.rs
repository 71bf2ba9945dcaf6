//! Where a worker's jobs come from, and the wait for the next.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use herder_sys::epoll::{Epoll, Events, Interest};
use herder_sys::socket::{self, Wait};
use herder_wire::frame::{self, FrameError};
use herder_wire::link::{Body, Decoder, FromGateway, MAX_FRAME};
use tokio::sync::Notify;

use crate::jobs::gate::{Gate, Posted, Watch, is_end};
use crate::jobs::packet::{Packet, Payload};
use crate::jobs::ticket::{Arrived, Ticket};
use crate::worker::link::Link;
use crate::worker::lock;

const HOUSE: u64 = 0;
const FIRST_GATE: u64 = 1;

/// How many events are taken at a time.
const EVENTS: usize = 4;

/// As much of a packet as is looked at to see whether it holds a job: room for many cancellations.
const GLANCE: usize = 512;

/// What one look for a job brought.
pub(crate) enum Step {
    Job(Ticket),
    /// Nothing now.
    Nothing,
    /// No more will come.
    Over,
    /// One has come, but cannot be started before there is room at the gate.
    Waits,
}

/// A worker's source of jobs.
///
/// A job lies at the gate until the program asks for one: until then the gateway can take it back.
pub(crate) struct Intake {
    watch: Arc<Watch>,
    /// Held by the thread that waits for the next job.
    turn: Mutex<()>,
    desk: Mutex<Desk>,
}

struct Desk {
    /// The link to the current gateway, if there is one.
    gate: Option<Arc<Gate>>,
    /// How many links there were.
    gates: u64,
    /// Received, though nobody asked for them: a packet may hold several.
    arrived: VecDeque<(Arrived, Result<(), String>)>,
    /// Jobs started in the worker's whole life.
    started: u32,
    packet: Vec<u8>,
}

/// What a look at the gate brought.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Got {
    Nothing,
    Packet,
}

impl Intake {
    pub(crate) fn new(link: &Link) -> io::Result<Intake> {
        let epoll = Epoll::new()?;
        epoll.add(link.house(), HOUSE, Interest::READABLE)?;
        Ok(Intake {
            watch: Arc::new(Watch {
                epoll,
                changed: Notify::new(),
                room: Notify::new(),
                waiting_for_cancel: AtomicUsize::new(0),
            }),
            turn: Mutex::new(()),
            desk: Mutex::new(Desk {
                gate: None,
                gates: 0,
                arrived: VecDeque::new(),
                started: 0,
                packet: Vec::new(),
            }),
        })
    }

    pub(crate) fn watch(&self) -> &Watch {
        &self.watch
    }

    /// There is a new gateway. What came from the old one and was not started is dead with it.
    pub(crate) fn open(&self, socket: OwnedFd) -> io::Result<()> {
        {
            let mut desk = lock(&self.desk);
            desk.close();
            desk.gates += 1;
            let gate = Gate::open(socket, FIRST_GATE + desk.gates, &self.watch)?;
            // Under the lock: a job that is just being started is counted, or is not started.
            gate.queue(Packet::hello(desk.started));
            desk.gate = Some(Arc::new(gate));
        }
        self.watch.changed.notify_waiters();
        Ok(())
    }

    /// Nothing more is heard or said. A job that is still open is lost, and its client is told so
    /// by the gateway.
    pub(crate) fn close(&self) {
        lock(&self.desk).close();
    }

    /// The next job; waits for it. `None` = the worker comes to its end.
    pub(crate) fn next(self: &Arc<Self>, link: &Arc<Link>) -> io::Result<Option<Ticket>> {
        let _turn = lock(&self.turn);
        loop {
            let due = link.tick(Instant::now());
            match self.step(link)? {
                Step::Job(ticket) => return Ok(Some(ticket)),
                Step::Nothing | Step::Waits => self.wait(link, due)?,
                Step::Over => return Ok(None),
            }
        }
    }

    /// Looks for a job, without waiting.
    pub(crate) fn step(self: &Arc<Self>, link: &Arc<Link>) -> io::Result<Step> {
        let mut desk = lock(&self.desk);
        loop {
            if !desk.arrived.is_empty() {
                match self.start(&mut desk, link)? {
                    Some(ticket) => {
                        self.hear_behind(&mut desk);
                        return Ok(Step::Job(ticket));
                    }
                    None if desk.arrived.is_empty() => continue,
                    None => return Ok(Step::Waits),
                }
            }
            if link.ending().has_begun() {
                // What was not received goes to others.
                return Ok(Step::Over);
            }
            let Some(gate) = desk.gate.clone() else {
                return Ok(Step::Nothing);
            };
            let got = match gate.flush() {
                Ok(Posted::Now) => desk.receive(&gate),
                Ok(Posted::Full | Posted::Crowded) => Ok(Got::Nothing),
                Err(error) => Err(error),
            };
            match got {
                Ok(Got::Packet) => {}
                Ok(Got::Nothing) => return Ok(Step::Nothing),
                Err(error) if is_end(&error) => desk.close(),
                Err(error) => {
                    desk.close();
                    return Err(error);
                }
            }
        }
    }

    /// Reads the cancellations that lie before the next job, and whether the gateway is gone.
    pub(crate) fn hear(&self, link: &Link) {
        let arrived = {
            let mut desk = lock(&self.desk);
            desk.hear();
            !desk.arrived.is_empty()
        };
        if arrived {
            // Whoever waits for a job waits at the gate, where it lies no more.
            link.ring();
            self.watch.changed.notify_waiters();
        }
    }

    /// How many jobs it has received that nobody has got yet.
    pub(crate) fn waiting(&self) -> usize {
        lock(&self.desk).arrived.len()
    }

    /// Sends what had to wait. [`Posted::Now`] = nothing waits any more.
    pub(crate) fn flush(&self) -> Posted {
        let gate = lock(&self.desk).gate.clone();
        // What is closed has nothing that waits.
        gate.map_or(Posted::Now, |gate| gate.flush().unwrap_or(Posted::Now))
    }

    /// A descriptor that is readable when something has happened at the gate, for a caller that
    /// takes care of the link by other means, and then calls [`stir`](Intake::stir).
    pub(crate) fn detach(&self, link: &Link) -> io::Result<OwnedFd> {
        match self.watch.epoll.remove(link.house()) {
            // It was detached before, for a runtime that is gone.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed?,
        }
        herder_sys::fd::duplicate(self.watch.epoll.as_fd())
    }

    /// Something has happened at the gate: sends what had to wait, and wakes the tasks that wait.
    pub(crate) fn stir(&self) {
        self.flush();
        self.hear_behind(&mut lock(&self.desk));
        self.watch.room.notify_waiters();
        self.watch.changed.notify_waiters();
    }

    fn wait(&self, link: &Link, due: Option<Duration>) -> io::Result<()> {
        let before = Instant::now();
        let mut events = Events::with_capacity(EVENTS);
        self.watch.epoll.wait(&mut events, due)?;
        link.waited(before.elapsed());
        for event in events.iter() {
            match event.token {
                HOUSE => link.read(),
                _ => self.stir(),
            }
        }
        Ok(())
    }

    /// Starts the first job that has arrived. `None` = the link is full, or the job is none.
    fn start(self: &Arc<Self>, desk: &mut Desk, link: &Arc<Link>) -> io::Result<Option<Ticket>> {
        let Some((arrived, usable)) = desk.arrived.pop_front() else {
            return Ok(None);
        };
        match arrived.gate.post(&Packet::started(arrived.job)) {
            Ok(Posted::Now) => {}
            Ok(Posted::Full | Posted::Crowded) => {
                arrived.gate.start_waits();
                desk.arrived.push_front((arrived, usable));
                return Ok(None);
            }
            Err(error) if is_end(&error) => {
                desk.close();
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
        desk.started = desk.started.saturating_add(1);
        let ticket = Ticket::new(arrived, self, link);
        match usable {
            Ok(()) => Ok(Some(ticket)),
            Err(problem) => {
                ticket.fail(&problem);
                Ok(None)
            }
        }
    }

    /// What lies behind a job does not announce itself: looks for it, if anybody waits for that.
    fn hear_behind(&self, desk: &mut Desk) {
        if self.watch.waiting_for_cancel.load(Ordering::Acquire) > 0 {
            desk.hear();
            if !desk.arrived.is_empty() {
                self.watch.changed.notify_waiters();
            }
        }
    }
}

impl Desk {
    fn close(&mut self) {
        self.arrived.clear();
        if let Some(gate) = self.gate.take() {
            gate.close();
        }
    }

    /// Receives one packet.
    ///
    /// # Errors
    /// The end of the link is one, too.
    fn receive(&mut self, gate: &Arc<Gate>) -> io::Result<Got> {
        let mut memory = Vec::new();
        self.packet.resize(MAX_FRAME, 0);
        let got = socket::receive(
            gate.socket(),
            &mut self.packet,
            &mut memory,
            1,
            Wait::DontWait,
        );
        let len = match got {
            Ok(got) if got.len == 0 => return Err(io::ErrorKind::BrokenPipe.into()),
            Ok(got) => got.len,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Got::Nothing),
            Err(error) => return Err(error),
        };
        let mut memory = memory.into_iter().next();
        for message in decode(&self.packet[..len]).map_err(io::Error::other)? {
            self.take(message, gate, &mut memory);
        }
        if let Some(unwanted) = memory {
            socket::discard(unwanted);
        }
        Ok(Got::Packet)
    }

    fn take(&mut self, message: FromGateway, gate: &Arc<Gate>, memory: &mut Option<OwnedFd>) {
        match message {
            FromGateway::Hello { .. } => {}
            FromGateway::Cancel { job } => gate.cancel(job),
            FromGateway::Job {
                job,
                client,
                protocol,
                kind,
                body,
            } => {
                let payload = match body {
                    Body::Inline(bytes) => Payload::new(kind, bytes),
                    Body::Memory { length } => Payload::read(kind, length, memory.take()),
                };
                let (payload, usable) = match payload {
                    Ok(payload) => (payload, Ok(())),
                    Err(problem) => (Payload::Bytes(Vec::new()), Err(problem)),
                };
                let arrived = Arrived {
                    job,
                    client,
                    protocol,
                    payload,
                    gate: Arc::clone(gate),
                    cancellation: gate.enter(job),
                };
                self.arrived.push_back((arrived, usable));
            }
        }
    }

    /// Receives every packet that holds no job.
    fn hear(&mut self) {
        let Some(gate) = self.gate.clone() else {
            return;
        };
        let mut beginning = [0; GLANCE];
        loop {
            match socket::peek(gate.socket(), &mut beginning, Wait::DontWait) {
                Ok(len) if len > 0 && holds_a_job(&beginning[..len]) => return,
                // Its end is found by the call that receives it.
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {}
            }
            // Should the gateway take the packet back meanwhile, a job is received in its place.
            // It lies here, then, until it is asked for.
            match self.receive(&gate) {
                Ok(Got::Packet) => {}
                Ok(Got::Nothing) => return,
                Err(_) => return self.close(),
            }
        }
    }
}

/// The frames of a packet.
fn decode(packet: &[u8]) -> Result<Vec<FromGateway>, FrameError> {
    match frame::decode_one(packet) {
        Ok(message) => return Ok(message.into_iter().collect()),
        Err(FrameError::NotOneFrame { .. }) => {}
        Err(error) => return Err(error),
    }
    let (mut decoder, mut messages) = (Decoder::new(), Vec::new());
    decoder.push(packet);
    while let Some(message) = decoder.next()? {
        messages.push(message);
    }
    if decoder.is_empty() {
        Ok(messages)
    } else {
        let length = packet.len();
        Err(FrameError::NotOneFrame { length })
    }
}

/// Whether a packet that begins so may hold a job.
fn holds_a_job(beginning: &[u8]) -> bool {
    let is_job = |message: &FromGateway| matches!(message, FromGateway::Job { .. });
    match decode(beginning) {
        Ok(messages) => beginning.len() == GLANCE || messages.iter().any(is_job),
        Err(_) => true,
    }
}

impl fmt::Debug for Intake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intake").finish_non_exhaustive()
    }
}

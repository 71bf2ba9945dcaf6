//! The end of a turn of the loop: what leaves the process, and what is due.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use herder_core::jobs::Event;
use herder_core::{Incarnation, JobId, Tick};
use herder_wire::control::{MAX_FRAME, ToMaster};
use herder_wire::gateway::Reports;

use super::state::{Outward, State};
use crate::control::Channel;
use crate::hub::inlet::LinkFault;
use crate::hub::job::Going;

/// How often the counters may be sent.
const COUNTERS: Duration = Duration::from_millis(10);

/// How often the board is brought up to date.
const BOARD: Duration = Duration::from_millis(50);

/// No frame that leaves here is longer, but for the list of all workers: what is wrong with a worker
/// is said in a line.
const SHORT_FRAME: usize = 1024;

/// How long jobs wait for a master that does not read, so that it hears of each before its worker can be
/// through with it. One that does not read for longer is dead or stopped, which is no business of the
/// clients': it hears later.
const PATIENCE: Duration = Duration::from_millis(250);

/// The most reports that wait for a master that does not read. What else would be said of single jobs
/// is dropped: it is for the log.
const MAX_UNREPORTED: usize = 4096;

/// When to do what is done again and again.
#[derive(Debug)]
pub(super) struct Pace {
    beat: Option<(Tick, Duration)>,
    counted_at: Option<Tick>,
    counted: (u32, u64),
    shown_at: Option<Tick>,
    /// Since when the master has not read.
    full_since: Option<Tick>,
    pub(super) outlet: Outlet,
}

/// How the channel to the master stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outlet {
    Open,
    /// The master does not read.
    Full,
    /// The master is gone, as whoever reads the channel is about to see.
    Lost,
}

impl Pace {
    pub(super) fn new(beat: Option<Duration>, now: Tick) -> Pace {
        Pace {
            beat: beat.map(|every| (now.after(every), every)),
            counted_at: None,
            counted: (0, 0),
            shown_at: None,
            full_since: None,
            outlet: Outlet::Open,
        }
    }
}

/// What is in the packet for the master, beside reports.
#[derive(Clone, Copy, Debug, Default)]
struct Extras {
    beat: bool,
    counters: Option<(u32, u64)>,
}

impl State {
    /// Does what is due, and sends what waits.
    pub(super) fn end_turn(&mut self, channel: &Channel) {
        self.do_what_is_due();
        while self.pace.outlet == Outlet::Open {
            let (covered, extras) = self.pack_reports();
            if !self.rooms.outward.is_empty() {
                match channel.send(&self.rooms.outward) {
                    Ok(()) => self.reported(extras),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.pace.outlet = Outlet::Full;
                        self.pace.full_since.get_or_insert(self.now);
                        break;
                    }
                    Err(_) => {
                        self.pace.outlet = Outlet::Lost;
                        return;
                    }
                }
            }
            if covered == 0 {
                return;
            }
            let outward = self.outward.drain(..covered).collect();
            self.send_out(outward);
        }
        if self.is_master_away() {
            self.send_unreported();
        }
    }

    /// When [`State::end_turn`] is to be called although nothing has happened.
    pub(super) fn deadline(&self) -> Option<Tick> {
        let due = |last: Option<Tick>, every| last.map_or(self.now, |last| last.after(every));
        let mut wishes = [None; 6];
        wishes[0] = self.dispatcher.poll_timeout();
        wishes[1] = self.again.as_ref().map(|(at, _)| *at);
        if !self.unshown.is_empty() {
            wishes[2] = Some(due(self.pace.shown_at, BOARD));
        }
        if self.pace.outlet == Outlet::Open {
            wishes[3] = self.pace.beat.map(|(at, _)| at);
            if self.counters() != self.pace.counted {
                wishes[4] = Some(due(self.pace.counted_at, COUNTERS));
            }
        }
        if self.pace.outlet == Outlet::Full && !self.is_master_away() && !self.outward.is_empty() {
            wishes[5] = self.pace.full_since.map(|since| since.after(PATIENCE));
        }
        wishes.into_iter().flatten().min()
    }

    fn do_what_is_due(&mut self) {
        if self.again.as_ref().is_some_and(|(at, _)| *at <= self.now)
            && let Some((_, workers)) = self.again.take()
        {
            for worker in workers {
                self.offer_again(worker);
            }
        }
        if self
            .dispatcher
            .poll_timeout()
            .is_some_and(|at| at <= self.now)
        {
            self.feed(Event::Timer);
        }
        let is_due = self
            .pace
            .shown_at
            .is_none_or(|at| at.after(BOARD) <= self.now);
        if !self.unshown.is_empty() && is_due {
            self.pace.shown_at = Some(self.now);
            for worker in std::mem::take(&mut self.unshown) {
                if let Some(known) = self.workers.get(&worker) {
                    self.board.set(known.view(worker));
                }
            }
        }
    }

    /// Puts into one packet what the master is to hear, and says how much of what is to leave may
    /// leave when that was sent.
    fn pack_reports(&mut self) -> (usize, Extras) {
        let extras = Extras {
            beat: self.pace.beat.is_some_and(|(at, _)| at <= self.now),
            counters: self.counters_due(),
        };
        let mut covered = 0;
        let packet = &mut self.rooms.outward;
        packet.clear();
        for outward in &self.outward {
            if packet.len() + outward.room() > MAX_FRAME - 3 * SHORT_FRAME {
                break;
            }
            match outward {
                Outward::Job { job, worker } if self.settings.reports == Reports::EachJob => {
                    let (job, worker) = (job.0, worker.0);
                    append(&ToMaster::Dispatched { job, worker }, packet);
                }
                Outward::Report(news) => append(news, packet),
                Outward::Job { .. } | Outward::Cancel { .. } => {}
            }
            covered += 1;
        }
        if extras.beat {
            append(&ToMaster::Beat, packet);
        }
        if let Some((open, served)) = extras.counters {
            let busy = 0;
            append(&ToMaster::Counters { open, served, busy }, packet);
        }
        (covered, extras)
    }

    fn reported(&mut self, extras: Extras) {
        self.pace.full_since = None;
        if let (true, Some((_, every))) = (extras.beat, self.pace.beat) {
            self.pace.beat = Some((self.now.after(every), every));
        }
        if let Some(counted) = extras.counters {
            self.pace.counted = counted;
            self.pace.counted_at = Some(self.now);
        }
    }

    pub(super) fn counters(&self) -> (u32, u64) {
        let open = u32::try_from(self.clients.len()).unwrap_or(u32::MAX);
        (open, self.served)
    }

    fn counters_due(&self) -> Option<(u32, u64)> {
        let counters = self.counters();
        let rested = |at: Tick| at.after(COUNTERS) <= self.now;
        let is_due = self.pace.counted_at.is_none_or(rested);
        (counters != self.pace.counted && is_due).then_some(counters)
    }

    /// Whether the master has not read for so long that nobody waits for it any more.
    fn is_master_away(&self) -> bool {
        let is_over = |since: Tick| since.after(PATIENCE) <= self.now;
        self.pace.outlet == Outlet::Full && self.pace.full_since.is_some_and(is_over)
    }

    /// Sends what waits to workers, and keeps what the master is to hear of it.
    fn send_unreported(&mut self) {
        let mut outward = Vec::new();
        let waiting = std::mem::take(&mut self.outward);
        for waits in waiting {
            let report = match &waits {
                Outward::Job { job, worker } if self.settings.reports == Reports::EachJob => {
                    let (job, worker) = (job.0, worker.0);
                    Some(ToMaster::Dispatched { job, worker })
                }
                Outward::Job { .. } | Outward::Cancel { .. } | Outward::Report(_) => None,
            };
            match waits {
                Outward::Report(_) => self.outward.push_back(waits),
                Outward::Job { .. } | Outward::Cancel { .. } => outward.push(waits),
            }
            if let Some(report) = report
                && self.outward.len() < MAX_UNREPORTED
            {
                self.outward.push_back(Outward::Report(report));
            }
        }
        self.send_out(outward);
    }

    /// Sends to workers what the master has heard of, or will.
    fn send_out(&mut self, outward: Vec<Outward>) {
        let (mut refused, mut ended) = (Vec::new(), BTreeSet::new());
        for outward in outward {
            match outward {
                Outward::Job { job, worker } => {
                    if let Err(error) = self.send_job(job, worker) {
                        refused.push((job, worker));
                        if error.kind() == io::ErrorKind::BrokenPipe {
                            ended.insert(worker);
                        } else {
                            self.wait_for_means(worker);
                        }
                    }
                }
                Outward::Cancel { job, worker } => {
                    let known = self.workers.get(&worker);
                    if let Some(linked) = known.and_then(|known| known.link.as_ref()) {
                        linked.link.cancel(job);
                    }
                }
                Outward::Report(_) => {}
            }
        }
        // Each goes to the front of those that wait, so the oldest comes last.
        for (job, worker) in refused.into_iter().rev() {
            self.return_job(job, worker);
            self.feed(Event::Refused { worker, job });
        }
        for worker in ended {
            self.break_link(worker, &LinkFault::Ended);
        }
    }

    /// Room was set aside for it, so it is refused only if the kernel has no memory, or too many
    /// descriptors are on their way.
    fn send_job(&mut self, id: JobId, worker: Incarnation) -> io::Result<()> {
        let known = self.workers.get(&worker);
        let (Some(job), Some(linked)) = (
            self.jobs.get_mut(&id),
            known.and_then(|known| known.link.as_ref()),
        ) else {
            return Ok(());
        };
        let packet = &mut self.rooms.outward;
        packet.clear();
        let encoded = job.encode(id, packet).is_ok();
        if encoded {
            linked.link.send(packet, job.memory())?;
        }
        match std::mem::replace(&mut job.going, Going::No) {
            Going::OutForGood => self.drop_payload(id),
            Going::Out | Going::No => {}
        }
        if !encoded {
            // Nobody could read it.
            self.feed(Event::Failed { worker, job: id });
        }
        Ok(())
    }

    /// The kernel refused a packet for a worker.
    pub(super) fn wait_for_means(&mut self, worker: Incarnation) {
        let known = self.workers.get(&worker);
        if let Some(linked) = known.and_then(|known| known.link.as_ref()) {
            linked.link.is_full();
        }
        self.try_again(worker);
    }

    /// Offers a worker's link again for which there were no means. One that is full tells by itself
    /// when it has room; one that is not would never tell.
    fn offer_again(&mut self, worker: Incarnation) {
        let known = self.workers.get(&worker);
        let link = known.and_then(|known| known.link.as_ref());
        if link.is_some_and(|linked| linked.link.is_writable()) {
            self.room(worker);
        }
    }
}

impl Outward {
    /// How much room it takes in a packet at most, in bytes.
    fn room(&self) -> usize {
        match self {
            Outward::Report(ToMaster::Known { workers }) => SHORT_FRAME + size_of_val(&workers[..]),
            Outward::Report(_) | Outward::Job { .. } | Outward::Cancel { .. } => SHORT_FRAME,
        }
    }
}

fn append(news: &ToMaster, packet: &mut Vec<u8>) {
    news.encode(packet).expect("a few numbers fit into a frame");
}

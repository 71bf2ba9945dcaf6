//! What is asked for at the herd's socket.

use std::os::fd::AsFd;

use herder_api::Problem;
use herder_api::herd::{HerdAnswer, HerdRequest, ToHerd};
use herder_api::problem::ProblemKind;
use herder_core::Slot;
use herder_core::spec::WorkerCount;
use herder_core::supervisor::{Completion, Event, Phase, Seat};
use herder_sys::{pipe, signal};
use serde::Deserialize;

use super::owed::{Asker, Owed, Until};
use super::{refusal, report};
use crate::master::crew::MemberId;
use crate::master::signals::Pace;
use crate::master::{Master, Stopping};
use crate::part::Part;
use crate::verdict::Verdict;

/// How many answers may be owed to one client.
const MOST_OWED: usize = 64;

/// What comes of a request now: an answer, or none yet.
type Reply = Result<Option<HerdAnswer>, Problem>;

impl Master {
    /// A client says something, or can be told more.
    pub(in crate::master) fn on_client(&mut self, number: u64) {
        let Some(client) = self.client(number) else {
            return;
        };
        for line in client.read() {
            if line.is_empty() {
                continue;
            }
            self.on_request(number, &line);
            if self.client(number).is_none_or(|it| it.is_gone()) {
                return;
            }
        }
        // The operator says it once: what was begun must not die with this master.
        self.save_ahead();
        if let Some(socket) = &mut self.socket {
            socket.is_stale = true;
        }
        if let Some(client) = self.client(number)
            && client.is_endless()
        {
            client.tell(&refusal(
                ProblemKind::Invalid,
                "a line has at most 1 MiB: this one goes on",
            ));
            client.part();
        }
    }

    fn client(&mut self, number: u64) -> Option<&mut super::Client> {
        self.socket.as_mut()?.clients.get_mut(&number)
    }

    fn on_request(&mut self, client: u64, line: &[u8]) {
        let (id, reply) = match serde_json::from_slice::<ToHerd>(line) {
            Ok(ToHerd { id, request }) => (id, self.obey(Asker { client, id }, request)),
            Err(error) => {
                let text = format!("the request is not understood: {error}");
                (
                    number_of(line),
                    Err(Problem::new(ProblemKind::Invalid, text)),
                )
            }
        };
        if let Some(answer) = reply.transpose() {
            self.answer(Asker { client, id }, answer);
        }
    }

    fn obey(&mut self, asker: Asker, request: HerdRequest) -> Reply {
        match request {
            HerdRequest::Status => {
                let status = Box::new(self.report());
                Ok(Some(HerdAnswer::Status { status }))
            }
            HerdRequest::Reload => self.reload_for(asker),
            HerdRequest::Stop { fast } => {
                let count = self.crews.living(Part::Workers).len();
                self.end(if fast { Pace::AtOnce } else { Pace::InOrder });
                done(count)
            }
            HerdRequest::Scale { workers } => self.scale_for(asker, workers),
            HerdRequest::Signal { signal, slot } => self.signal_workers(signal, slot),
            HerdRequest::Send { line, slot } => self.send_line(line, slot),
            HerdRequest::Fail { slot, reason } => self.fail_workers(slot, &reason),
            HerdRequest::Reset => {
                for part in self.crews.parts() {
                    self.feed(part, Event::Reset);
                }
                done(self.spec.workers.count().into())
            }
            HerdRequest::ReopenLogs => done(self.output.reopen_logs() as usize),
            HerdRequest::FlushLogs => done(self.output.flush_logs() as usize),
            HerdRequest::Upgrade => self.upgrade_for(asker),
        }
    }

    fn reload_for(&mut self, asker: Asker) -> Reply {
        self.go_on_only()?;
        let generation = self.reloads.next();
        self.owe(asker, Until::Reloaded(generation))?;
        self.reload();
        Ok(None)
    }

    fn upgrade_for(&mut self, asker: Asker) -> Reply {
        self.owe(asker, Until::Upgraded)?;
        // Who asks while one goes on gets its verdict.
        if !self.is_upgrading() {
            self.ask_new_build();
        }
        Ok(None)
    }

    fn scale_for(&mut self, asker: Asker, workers: u16) -> Reply {
        self.go_on_only()?;
        let wanted = WorkerCount::new(workers.into())
            .map_err(|error| Problem::new(ProblemKind::Invalid, error.to_string()))?;
        let from = self.spec.workers.count();
        if workers > from {
            let to = workers;
            self.owe(asker, Until::Scaled { from, to })?;
        }
        self.scale_to(wanted);
        if workers > from {
            return Ok(None);
        }
        done((from - workers).into())
    }

    fn signal_workers(&mut self, number: i32, slot: Option<u16>) -> Reply {
        if !signal::is_number(number) {
            let text = format!("there is no signal {number}");
            return Err(Problem::new(ProblemKind::Invalid, text));
        }
        let mut count = 0;
        for id in self.workers_of(slot)? {
            if let Some(member) = self.crews.member(id) {
                // It fails when the process has just ended.
                count += usize::from(member.pidfd().signal_numbered(number).is_ok());
            }
        }
        done(count)
    }

    /// Writes a line to the workers' input: all of it, or, where there is no room for it, nothing.
    fn send_line(&self, mut line: String, slot: Option<u16>) -> Reply {
        if line.len() >= pipe::ATOMIC || line.contains('\n') {
            let text = format!(
                "what is sent is one line of at most {} bytes",
                pipe::ATOMIC - 1
            );
            return Err(Problem::new(ProblemKind::Invalid, text));
        }
        line.push('\n');
        let members = self.workers_of(slot)?.into_iter();
        let members = members.filter_map(|id| self.crews.member(id));
        let inputs: Vec<_> = members.filter_map(|member| member.stdin.as_ref()).collect();
        if inputs.is_empty() {
            let text = "there is no worker with an input that can be written to";
            let hint = "set stdin = \"pipe\" and restart the app";
            return Err(Problem::new(ProblemKind::Conflict, text).hint(hint));
        }
        let sent = inputs
            .iter()
            .map(|input| pipe::write(input.as_fd(), line.as_bytes()));
        match sent.filter(Result::is_ok).count() {
            0 => {
                let text = "no worker reads its input: it is full, or closed";
                Err(Problem::new(ProblemKind::Busy, text))
            }
            count => done(count),
        }
    }

    /// (Who leaves anyway may do so.)
    fn fail_workers(&mut self, slot: Option<u16>, reason: &str) -> Reply {
        let mut count = 0;
        for id in self.workers_of(slot)? {
            let phase = self.crews.phase(id);
            if phase.is_some_and(|it| it.is_serving() || it.is_starting()) {
                self.fail(id, reason.to_owned());
                count += 1;
            }
        }
        done(count)
    }

    /// The living workers of a slot, or all.
    fn workers_of(&self, slot: Option<u16>) -> Result<Vec<MemberId>, Problem> {
        let mut living = self.crews.living(Part::Workers);
        let Some(slot) = slot else { return Ok(living) };
        living.retain(|id| id.worker.slot == Slot(slot));
        let size = self.spec.workers.count();
        if living.is_empty() && slot >= size {
            let text = format!(
                "there is no slot {slot}: this app has slots 0 to {}",
                size - 1
            );
            return Err(Problem::new(ProblemKind::NotFound, text));
        }
        Ok(living)
    }

    /// Only a herd that does not end can be changed.
    fn go_on_only(&self) -> Result<(), Problem> {
        match self.stopping {
            Stopping::No => Ok(()),
            Stopping::Gracefully | Stopping::AtOnce => {
                Err(Problem::new(ProblemKind::Conflict, "the herd stops"))
            }
        }
    }

    fn owe(&mut self, to: Asker, until: Until) -> Result<(), Problem> {
        let Some(socket) = &mut self.socket else {
            return Ok(());
        };
        let already = socket.owed.iter().filter(|it| it.to.client == to.client);
        if already.count() >= MOST_OWED {
            let text = format!("{MOST_OWED} requests of this client wait already");
            return Err(Problem::new(ProblemKind::Busy, text));
        }
        socket.owed.push(Owed { to, until });
        Ok(())
    }

    /// A verdict is what those who asked for it get.
    pub(in crate::master) fn answer_with_verdict(&mut self, verdict: &Verdict) {
        let said = report::said(verdict);
        let answer = Ok(HerdAnswer::Verdict { verdict: said });
        self.settle(|owed| owed.is_settled_by(verdict), &answer);
    }

    /// The herd begins to stop: what would have been done later is not done any more.
    pub(in crate::master) fn answer_that_it_stops(&mut self) {
        let never = self.reloads.next();
        let stops = Problem::new(ProblemKind::Conflict, "the herd stops");
        self.settle(
            |owed| match owed.until {
                Until::Reloaded(generation) => generation == never,
                Until::Scaled { .. } => true,
                Until::Upgraded => false,
            },
            &Err(stops),
        );
    }

    /// Answers who waits for new workers that have become ready, or have failed.
    pub(super) fn settle_scaling(&mut self) {
        let owed = self.socket.iter().flat_map(|socket| &socket.owed);
        let waits = owed.filter_map(|owed| match owed.until {
            Until::Scaled { from, to } => Some((*owed, from, to)),
            Until::Reloaded(_) | Until::Upgraded => None,
        });
        for (owed, from, to) in waits.collect::<Vec<_>>() {
            let reply = self.scaled(from, to);
            if let Some(answer) = reply.transpose() {
                self.settle(|it| *it == owed, &answer);
            }
        }
    }

    fn scaled(&self, from: u16, to: u16) -> Reply {
        let Some(crew) = self.crews.get(Part::Workers) else {
            return Ok(None);
        };
        if self.spec.workers.count() != to {
            let text = "another number of workers was asked for meanwhile";
            return Err(Problem::new(ProblemKind::Conflict, text));
        }
        let is_ready = |slot: Slot| {
            let mut workers = crew.supervisor.workers();
            workers
                .any(|(worker, phase)| worker.slot == slot && matches!(phase, Phase::Ready { .. }))
        };
        let mut failed = None;
        let mut are_up = true;
        for (slot, seat) in crew.supervisor.slots() {
            if !(from..to).contains(&slot.0) {
                continue;
            }
            let is_up = match seat {
                Seat::Done {
                    completion: Completion::AsMeant,
                    ..
                } => true,
                Seat::Backoff { .. } | Seat::Done { .. } | Seat::Quarantined { .. } => {
                    failed = failed.or(Some(slot));
                    false
                }
                Seat::Held { .. } | Seat::Owed { .. } | Seat::Stopped { .. } => is_ready(slot),
            };
            are_up &= is_up;
        }
        if are_up {
            return done((to - from).into());
        }
        let Some(slot) = failed else {
            return Ok(None);
        };
        let text = format!("the worker of slot {slot} failed");
        let life = crew.last_ended.unwrap_or_default();
        Err(Problem {
            last_lines: self.output.last_lines(Part::Workers, life),
            ..Problem::new(ProblemKind::Failed, text)
        })
    }
}

/// It is done, with so many processes.
fn done(count: usize) -> Reply {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    Ok(Some(HerdAnswer::Done { count }))
}

/// The number of a request that is not understood; 0 when it has none.
fn number_of(line: &[u8]) -> u64 {
    #[derive(Deserialize)]
    struct Numbered {
        id: u64,
    }
    serde_json::from_slice::<Numbered>(line).map_or(0, |it| it.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_is_not_understood_keeps_its_number() {
        for (text, id) in [
            (r#"{"id":7,"request":{"verb":"dance"}}"#, 7),
            (r#"{"request":{"verb":"status"}}"#, 0),
            ("nonsense", 0),
            (r#"{"id":-1}"#, 0),
        ] {
            assert!(serde_json::from_str::<ToHerd>(text).is_err(), "{text}");
            assert_eq!(number_of(text.as_bytes()), id, "{text}");
        }
        let deep = format!(r#"{{"id":3,"request":{}"#, "[".repeat(100_000));
        assert!(serde_json::from_str::<ToHerd>(&deep).is_err());
        assert_eq!(number_of(deep.as_bytes()), 0);
    }
}

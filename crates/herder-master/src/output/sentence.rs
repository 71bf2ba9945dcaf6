//! What happened, as a sentence for people.

use std::fmt;
use std::time::Duration;

use herder_core::Exit;
use herder_core::supervisor::{Cause, Completion, DrainReason, Outcome, RecycleReason};
use herder_sys::signal::Signal;

use super::{ending, reloading};
use crate::event::{HerdEvent, WorkerInfo};
use crate::part::{Part, Process};

/// How much an event asks for the operator's eye.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Level {
    Info,
    Warning,
}

/// How much this event asks for the operator's eye.
#[expect(clippy::too_many_lines, reason = "a table: an event a line")]
pub(super) fn level(event: &HerdEvent) -> Level {
    match event {
        HerdEvent::Gateway(event) | HerdEvent::Library(_, event) => level(event),
        HerdEvent::Exited {
            cause: Cause::Planned(_),
            ..
        }
        | HerdEvent::DispatchChosen { .. }
        | HerdEvent::Done {
            completion: Completion::AsMeant,
            ..
        }
        | HerdEvent::Finished {
            outcome: Outcome::Stopped | Outcome::Completed { failed: 0 },
            ..
        }
        | HerdEvent::Exhausted { .. }
        | HerdEvent::Forked { .. }
        | HerdEvent::JobDispatched { .. }
        | HerdEvent::Listening { .. }
        | HerdEvent::Message { .. }
        | HerdEvent::Dispatched { .. }
        | HerdEvent::Nudged { .. }
        | HerdEvent::Online { .. }
        | HerdEvent::Readmitted { .. }
        | HerdEvent::Ready { .. }
        | HerdEvent::Recycling { .. }
        | HerdEvent::Released { .. }
        | HerdEvent::ReloadBegan { .. }
        | HerdEvent::ReloadWaits { .. }
        | HerdEvent::Reloaded { .. }
        | HerdEvent::Restored { .. }
        | HerdEvent::Retired { .. }
        | HerdEvent::Scaled { .. }
        | HerdEvent::ShuttingDown { .. }
        | HerdEvent::Stopping { .. }
        | HerdEvent::Unlatched
        | HerdEvent::Upgraded { .. } => Level::Info,
        HerdEvent::AcceptPaused { .. }
        | HerdEvent::BootTimedOut { .. }
        | HerdEvent::ConnectionsClosed { .. }
        | HerdEvent::Ejected { .. }
        | HerdEvent::Exited {
            cause:
                Cause::BootTimeout | Cause::Crash | Cause::Hang | Cause::Protocol | Cause::Watchdog,
            ..
        }
        | HerdEvent::Finished {
            outcome: Outcome::BootFailed | Outcome::Completed { .. },
            ..
        }
        | HerdEvent::Done {
            completion: Completion::Failed,
            ..
        }
        | HerdEvent::Failed { .. }
        | HerdEvent::GenerationsCut { .. }
        | HerdEvent::GraceExpired { .. }
        | HerdEvent::KeeperGone
        | HerdEvent::Latched { .. }
        | HerdEvent::LaunchFailed { .. }
        | HerdEvent::LinesDropped { .. }
        | HerdEvent::MessagesLost { .. }
        | HerdEvent::MessagesUnread { .. }
        | HerdEvent::Misbehaved { .. }
        | HerdEvent::Quarantined { .. }
        | HerdEvent::Refused { .. }
        | HerdEvent::ReplacementWaits { .. }
        | HerdEvent::RestartDelayed { .. }
        | HerdEvent::RolledBack { .. }
        | HerdEvent::SpawnFailed { .. }
        | HerdEvent::Suspected { .. }
        | HerdEvent::TookOver { .. }
        | HerdEvent::Warning { .. } => Level::Warning,
    }
}

/// The event as one sentence. What strangers wrote in it is not escaped yet.
pub(super) fn sentence(event: &HerdEvent) -> String {
    of(Part::Workers, event)
}

#[expect(
    clippy::too_many_lines,
    reason = "a table: each event has its sentence"
)]
fn of(part: Part, event: &HerdEvent) -> String {
    use HerdEvent as Is;
    let who = |worker: &WorkerInfo| {
        Who(Process {
            part,
            info: *worker,
        })
    };
    let place = |slot: &u16| Place(part, *slot);
    match event {
        Is::AcceptPaused { reason } => format!("accepting pauses: {reason}"),
        Is::BootTimedOut { worker, reason, .. } => {
            because(who(worker), "was not ready in time and is killed", reason)
        }
        Is::ConnectionsClosed {
            poisoned,
            timed_out,
        } => unserved(*poisoned, *timed_out),
        Is::DispatchChosen { mode, reason } => dispatch(mode, reason),
        Is::Done {
            slot,
            exit,
            completion,
        } => ending::done(place(slot), *exit, *completion),
        Is::Failed { worker, reason } => because(who(worker), "is broken and is killed", reason),
        Is::Exited {
            worker,
            exit,
            cause,
        } => exited(who(worker), *exit, *cause),
        Is::Finished { outcome, .. } => finished(part, *outcome),
        Is::Ejected { worker, spell } if spell.is_zero() => about(
            who(worker),
            "fails too often: it gets no request for a while",
        ),
        Is::Ejected { worker, spell } => about(
            who(worker),
            &format!("fails too often: it gets no request for {}", Span(*spell)),
        ),
        Is::Exhausted { worker } => about(who(worker), "has served its jobs"),
        Is::Forked { worker } => about(who(worker), "started"),
        Is::GenerationsCut {
            generation,
            workers,
        } => reloading::cut(*generation, *workers),
        Is::Gateway(event) => of(Part::Gateway, event),
        Is::Library(library, event) => of(Part::Library(*library), event),
        Is::GraceExpired { worker } => about(who(worker), "did not leave in time and is killed"),
        Is::JobDispatched { job, worker } => format!("job {job} goes to {}", who(worker)),
        Is::LaunchFailed { worker, problem } => {
            because(who(worker), "could not be launched", problem)
        }
        Is::KeeperGone => "the keeper is gone: the herd stops".to_owned(),
        Is::Latched { generation, rest } => reloading::latched(*generation, *rest),
        Is::LinesDropped { worker, lines } => lost_lines(who(worker), *lines),
        Is::Listening { address } => format!("listening on {address}"),
        Is::Message { worker, text } => because(who(worker), "says", text),
        Is::MessagesLost { worker, messages } => lost_messages(who(worker), *messages),
        Is::MessagesUnread { worker, messages } => unread_messages(who(worker), *messages),
        Is::Misbehaved { worker, problem } => because(who(worker), BROKE_PROTOCOL, problem),
        Is::Dispatched {
            accepted,
            handed,
            taken_back,
            closed,
        } => format!(
            "connections: {accepted} accepted, {handed} handed to workers, {taken_back} taken \
             back, {closed} closed unserved"
        ),
        Is::Nudged { nudges } => nudged(*nudges),
        Is::Online { worker } => about(who(worker), "online"),
        Is::Quarantined {
            slot,
            restarts,
            window,
            retry_in,
        } => quarantined(place(slot), *restarts, *window, *retry_in),
        Is::Ready {
            worker,
            guessed: false,
        } => about(who(worker), "ready"),
        Is::Ready {
            worker,
            guessed: true,
        } => about(who(worker), GUESSED_READY),
        Is::Recycling { worker, reason } => {
            because(who(worker), "is to be replaced", &reached(*reason))
        }
        Is::Refused { verdict } => reloading::refused(verdict),
        Is::ReloadBegan { to, .. } => reloading::began(*to),
        Is::ReloadWaits { generation } => reloading::waits(*generation),
        Is::Reloaded {
            generation, took, ..
        } => reloading::done(*generation, *took),
        Is::Released { slot } => format!("{} leaves its quarantine", place(slot)),
        Is::ReplacementWaits { slot, draining } => waits(place(slot), *draining),
        Is::RestartDelayed {
            slot,
            delay,
            failures,
        } => delayed(place(slot), *delay, *failures),
        Is::Readmitted { worker } => about(who(worker), "gets requests again"),
        Is::Restored { worker } => about(who(worker), "answers again"),
        Is::Retired { worker, reason } => because(who(worker), "announces its own end", reason),
        Is::RolledBack {
            generation,
            to,
            verdict,
        } => reloading::rolled_back(*generation, *to, verdict),
        Is::Scaled { from, to } => {
            let what = match part {
                Part::Gateway => "gateways",
                Part::Library(_) | Part::Workers => "workers",
            };
            format!("the number of {what} changes from {from} to {to}")
        }
        Is::ShuttingDown { signal, fast } => shutting_down(*signal, *fast),
        Is::SpawnFailed { slot, id, error } => {
            let newborn = Newborn(part, *slot, *id);
            format!("{newborn} could not be started: {error}")
        }
        Is::Stopping { worker, reason } => {
            because(who(worker), "is told to leave", &planned(*reason))
        }
        Is::Suspected { worker, silent } => suspected(who(worker), *silent),
        Is::TookOver {
            workers,
            libraries,
            cut,
            ..
        } => reloading::took_over(*workers, *libraries, *cut),
        Is::Unlatched => reloading::unlatched(),
        Is::Upgraded { from, to, took, .. } => reloading::upgraded(from, to, *took),
        Is::Warning { text } => text.clone(),
    }
}

const BROKE_PROTOCOL: &str = "broke the protocol of its channel and is killed";
const GUESSED_READY: &str = "ready (a guess: it reports nothing, but it is alive)";

fn about(who: Who, what: &str) -> String {
    format!("{who} {what}")
}

fn because(who: Who, what: &str, why: &str) -> String {
    let colon = if why.is_empty() { "" } else { ": " };
    format!("{who} {what}{colon}{why}")
}

fn dispatch(mode: &str, reason: &str) -> String {
    if reason.is_empty() {
        format!("dispatch: {mode}")
    } else {
        format!("dispatch: {mode} ({reason})")
    }
}

fn finished(part: Part, outcome: Outcome) -> String {
    let what = match (part, outcome) {
        (Part::Gateway, Outcome::BootFailed) => "the gateway did not become ready",
        (Part::Gateway, Outcome::Completed { .. } | Outcome::Stopped) => "the gateway has ended",
        (Part::Library(library), Outcome::BootFailed) => {
            return format!("library {} did not become ready", library.name);
        }
        (Part::Library(library), Outcome::Completed { .. } | Outcome::Stopped) => {
            return format!("library {} has ended", library.name);
        }
        (Part::Workers, Outcome::BootFailed) => "no worker became ready",
        (Part::Workers, Outcome::Completed { failed }) => return ending::completed(failed),
        (Part::Workers, Outcome::Stopped) => "every worker has ended",
    };
    what.to_owned()
}

fn suspected(who: Who, silent: Duration) -> String {
    format!("{who} may hang: no heartbeat for {}", Span(silent))
}

/// Displays a process as `worker 0 #3 [1234]` (slot, life, process), `gateway #1 [1234]` or
/// `library core #1 [1234]`; without a process that exists, as `worker 0 #3`.
#[derive(Clone, Copy)]
pub(crate) struct Who(pub(crate) Process);

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let WorkerInfo { slot, id, pid } = self.0.info;
        let newborn = Newborn(self.0.part, slot, id);
        match pid {
            0 => write!(f, "{newborn}"),
            _ => write!(f, "{newborn} [{pid}]"),
        }
    }
}

/// Displays a process that has no number yet as `worker 0 #3`, `gateway #1` or `library core #1`.
struct Newborn(Part, u16, u64);

impl fmt::Display for Newborn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Newborn(part, slot, id) = self;
        match part {
            Part::Gateway => write!(f, "gateway #{id}"),
            Part::Library(library) => write!(f, "library {} #{id}", library.name),
            Part::Workers => write!(f, "worker {slot} #{id}"),
        }
    }
}

/// Displays a place as `slot 0`; there is but one place for a gateway, or for a library.
#[derive(Clone, Copy)]
pub(super) struct Place(Part, u16);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place(Part::Gateway, _) => f.write_str("the gateway"),
            Place(Part::Library(library), _) => write!(f, "library {}", library.name),
            Place(Part::Workers, slot) => write!(f, "slot {slot}"),
        }
    }
}

/// Displays a duration with a precision that means something to people: `200ms`, `1.5s`, `60s`.
pub(crate) struct Span(pub(crate) Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole_ms = self.0 - Duration::from_nanos(u64::from(self.0.subsec_nanos() % 1_000_000));
        if whole_ms.is_zero() {
            f.write_str("less than 1ms")
        } else {
            write!(f, "{whole_ms:?}")
        }
    }
}

/// The end of a worker that was told to leave is no news; every other one is a death.
fn exited(who: Who, exit: Exit, cause: Cause) -> String {
    let how = how(exit);
    match cause {
        Cause::BootTimeout => format!("{who} died: {how} (it was not ready in time)"),
        Cause::Crash if exit == Exit::Code(0) => {
            format!("{who} ended: {how}, though nobody had told it to leave")
        }
        Cause::Crash => format!("{who} died: {how} (crash)"),
        Cause::Hang => format!("{who} died: {how} (it hung)"),
        Cause::Planned(reason) => format!("{who} ended: {how} ({})", planned(reason)),
        Cause::Protocol => format!("{who} died: {how} (it broke the protocol of its channel)"),
        Cause::Watchdog => format!("{who} died: {how} (it was found broken)"),
    }
}

/// An end in words.
pub(crate) fn how(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("exit status {code}"),
        Exit::Signal(number) => match Signal::from_number(number) {
            Some(signal) => format!("signal {signal}"),
            None => format!("signal {number}"),
        },
        Exit::OutOfMemory => "killed by the kernel, out of memory".to_owned(),
        Exit::Unknown => "nobody could tell how".to_owned(),
    }
}

fn planned(reason: DrainReason) -> String {
    match reason {
        DrainReason::Recycle(reason) => reached(reason),
        DrainReason::Replaced => "a new generation has its place".to_owned(),
        DrainReason::Retired => "it announced its own end".to_owned(),
        DrainReason::RolledBack => "its generation was rolled back".to_owned(),
        DrainReason::ScaledDown => "fewer workers are wanted".to_owned(),
        DrainReason::Stop => "the herd stops".to_owned(),
    }
}

fn reached(reason: RecycleReason) -> String {
    format!("it reached {}", limit(reason))
}

/// The name of the setting, as the operator wrote it.
pub(super) fn limit(reason: RecycleReason) -> &'static str {
    match reason {
        RecycleReason::Jobs => "max_jobs",
        RecycleReason::Lifetime => "max_lifetime",
        RecycleReason::Memory => "max_memory",
        RecycleReason::Requests => "max_requests",
    }
}

fn unserved(poisoned: u64, timed_out: u64) -> String {
    let poisoned = (poisoned > 0)
        .then(|| format!("{poisoned} whose workers died again and again"))
        .into_iter();
    let timed_out = (timed_out > 0)
        .then(|| format!("{timed_out} that waited too long"))
        .into_iter();
    let which = poisoned.chain(timed_out).collect::<Vec<_>>().join(", ");
    format!("connections closed because nobody could serve them: {which}")
}

fn lost_lines(who: Who, lines: u64) -> String {
    let lines = count(lines, "line", "lines");
    format!("output of {who} was lost: {lines} could not be written")
}

fn lost_messages(who: Who, messages: u64) -> String {
    let messages = count(messages, "message", "messages");
    format!(
        "what {who} says was lost: {messages} came faster than they were taken, or were longer than 16 MB"
    )
}

fn unread_messages(who: Who, messages: u64) -> String {
    let messages = count(messages, "message", "messages");
    format!("{who} does not read what it is told, and has lost {messages}")
}

fn nudged(nudges: u64) -> String {
    let times = count(nudges, "time", "times");
    format!("a waiting connection was helped along ({times} so far)")
}

fn quarantined(place: Place, restarts: u32, window: Duration, retry_in: Duration) -> String {
    let restarts = count(restarts.into(), "restart", "restarts");
    let (window, retry_in) = (Span(window), Span(retry_in));
    format!("{place} is quarantined: {restarts} within {window}; next try in {retry_in}")
}

fn waits(place: Place, draining: u16) -> String {
    let draining = count(draining.into(), "worker is", "workers are");
    format!("the replacement for {place} waits: {draining} still leaving")
}

fn delayed(place: Place, delay: Duration, failures: u32) -> String {
    let failures = count(failures.into(), "failure", "failures in a row");
    format!("{place} starts again in {}, after {failures}", Span(delay))
}

fn shutting_down(signal: Option<&str>, fast: bool) -> String {
    let how = if fast { "at once" } else { "gracefully" };
    match signal {
        Some(signal) => format!("shutting down {how} ({signal})"),
        None => format!("shutting down {how}"),
    }
}

pub(super) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        for (duration, expected) in [
            (Duration::from_secs(60), "60s"),
            (Duration::from_micros(1_500_900), "1.5s"),
            (Duration::from_micros(200_300), "200ms"),
            (Duration::from_micros(999), "less than 1ms"),
        ] {
            assert_eq!(Span(duration).to_string(), expected);
        }
    }

    #[test]
    fn every_exit_says_how() {
        for (exit, expected) in [
            (Exit::Code(1), "exit status 1"),
            (Exit::Signal(9), "signal SIGKILL"),
            (Exit::Signal(11), "signal SIGSEGV"),
            (Exit::Signal(40), "signal 40"),
            (Exit::OutOfMemory, "killed by the kernel, out of memory"),
            (Exit::Unknown, "nobody could tell how"),
        ] {
            assert_eq!(how(exit), expected);
        }
    }
}

//! Lines and events for programs: one JSON object a line.
//!
//! Every object has `time` (RFC 3339, UTC), `mono_us` (monotonic, microseconds), `app` and `event`.
//! Events have a `level` and the sentence for people as `message`; durations end in `_ms`.

use std::time::Duration;

use herder_core::Exit;
use herder_core::supervisor::{Cause, Completion, DrainReason, Outcome};
use herder_logs::Ending;
use herder_sys::signal::Signal;
use serde_json::Value;

use super::queue::{Line, Stream};
use super::sentence::{Level, level, limit, sentence};
use super::wall::Stamp;
use crate::event::{HerdEvent, WorkerInfo};
use crate::part::Part;
use crate::verdict::Verdict;

/// Appends a worker's line. Bytes that are no UTF-8 become U+FFFD.
pub(super) fn line(app: &str, stamp: Stamp, line: &Line, into: &mut Vec<u8>) {
    let mut object = Object::begin(app, stamp, "line", into);
    object.part(line.printer.part).worker(&line.printer.info);
    object.field(
        "stream",
        match line.stream {
            Stream::Stderr => "stderr",
            Stream::Stdout => "stdout",
        },
    );
    object.field("line", String::from_utf8_lossy(&line.bytes));
    if line.ending == Ending::Continues {
        object.field("continues", true);
    }
    object.end();
}

/// Appends an event.
pub(super) fn event(app: &str, stamp: Stamp, event: &HerdEvent, into: &mut Vec<u8>) {
    let mut object = Object::begin(app, stamp, name(event), into);
    let (part, told) = Part::told(event);
    object.part(part);
    fields(told, &mut object);
    object.field(
        "level",
        match level(event) {
            Level::Info => "info",
            Level::Warning => "warning",
        },
    );
    object.field("message", sentence(event));
    object.end();
}

fn name(event: &HerdEvent) -> &'static str {
    use HerdEvent as Is;
    match event {
        Is::AcceptPaused { .. } => "accept_paused",
        Is::BootTimedOut { .. } => "boot_timed_out",
        Is::ConnectionsClosed { .. } => "connections_closed",
        Is::DispatchChosen { .. } => "dispatch_chosen",
        Is::Done { .. } => "done",
        Is::Ejected { .. } => "ejected",
        Is::Exhausted { .. } => "exhausted",
        Is::Exited { .. } => "exited",
        Is::Failed { .. } => "failed",
        Is::Finished { .. } => "finished",
        Is::Forked { .. } => "forked",
        Is::Gateway(event) | Is::Library(_, event) => name(event),
        Is::GenerationsCut { .. } => "generations_cut",
        Is::GraceExpired { .. } => "grace_expired",
        Is::JobDispatched { .. } => "job_dispatched",
        Is::KeeperGone => "keeper_gone",
        Is::Latched { .. } => "latched",
        Is::LaunchFailed { .. } => "launch_failed",
        Is::LinesDropped { .. } => "lines_dropped",
        Is::Listening { .. } => "listening",
        Is::Message { .. } => "message",
        Is::MessagesLost { .. } => "messages_lost",
        Is::MessagesUnread { .. } => "messages_unread",
        Is::Misbehaved { .. } => "misbehaved",
        Is::Dispatched { .. } => "dispatched",
        Is::Nudged { .. } => "nudged",
        Is::Online { .. } => "online",
        Is::Quarantined { .. } => "quarantined",
        Is::Ready { .. } => "ready",
        Is::Recycling { .. } => "recycling",
        Is::Refused { .. } => "refused",
        Is::Released { .. } => "released",
        Is::ReloadBegan { .. } => "reload_began",
        Is::ReloadWaits { .. } => "reload_waits",
        Is::Reloaded { .. } => "reloaded",
        Is::ReplacementWaits { .. } => "replacement_waits",
        Is::RestartDelayed { .. } => "restart_delayed",
        Is::Readmitted { .. } => "readmitted",
        Is::Restored { .. } => "restored",
        Is::Retired { .. } => "retired",
        Is::RolledBack { .. } => "rolled_back",
        Is::Scaled { .. } => "scaled",
        Is::ShuttingDown { .. } => "shutting_down",
        Is::SpawnFailed { .. } => "spawn_failed",
        Is::Stopping { .. } => "stopping",
        Is::Suspected { .. } => "suspected",
        Is::TookOver { .. } => "took_over",
        Is::Unlatched => "unlatched",
        Is::Upgraded { .. } => "upgraded",
        Is::Warning { .. } => "warning",
    }
}

// A table reads best as one: an event a line.
#[rustfmt::skip]
#[expect(clippy::too_many_lines, reason = "a table: an event a line")]
fn fields(event: &HerdEvent, o: &mut Object<'_>) {
    use HerdEvent as Is;
    match event {
        Is::AcceptPaused { reason } => o.text("reason", reason),
        Is::BootTimedOut { worker, reason, last_lines } => o
            .worker(worker)
            .text("reason", reason)
            .field("last_lines", &**last_lines),
        Is::ConnectionsClosed { poisoned, timed_out } => o.field("poisoned", *poisoned).field("timed_out", *timed_out),
        Is::DispatchChosen { mode, reason } => o.text("mode", mode).text("reason", reason),
        Is::Done { slot, exit, completion } => {
            o.field("slot", *slot).text("completion", completion_name(*completion));
            match exit {
                Some(exit) => o.exit(*exit),
                None => o,
            }
        }
        Is::Failed { worker, reason } => o.worker(worker).text("reason", reason),
        Is::Ejected { worker, spell } => o.worker(worker).milliseconds("spell_ms", *spell),
        Is::Exhausted { worker } => o.worker(worker),
        Is::Exited { worker, exit, cause } => o.worker(worker).exit(*exit).cause(*cause),
        Is::Finished { outcome, last_lines } => o
            .text("outcome", outcome_name(*outcome))
            .field("last_lines", &**last_lines),
        Is::Forked { worker } => o.worker(worker),
        Is::Gateway(event) | Is::Library(_, event) => {
            fields(event, o);
            o
        }
        Is::GenerationsCut { generation, workers } => o.field("generation", generation.0).field("workers", *workers),
        Is::GraceExpired { worker } => o.worker(worker),
        Is::JobDispatched { job, worker } => o.field("job", *job).worker(worker),
        Is::Latched { generation, rest } => o.field("generation", generation.0).milliseconds("rest_ms", *rest),
        Is::LaunchFailed { worker, problem } => o.worker(worker).text("problem", problem),
        Is::LinesDropped { worker, lines } => o.worker(worker).field("lines", *lines),
        Is::Listening { address } => o.text("address", address),
        Is::Message { worker, text } => o.worker(worker).text("text", text),
        Is::MessagesLost { worker, messages } => o.worker(worker).field("messages", *messages),
        Is::MessagesUnread { worker, messages } => o.worker(worker).field("messages", *messages),
        Is::Misbehaved { worker, problem } => o.worker(worker).text("problem", problem),
        Is::Dispatched { accepted, handed, taken_back, closed } => o
            .field("accepted", *accepted)
            .field("handed", *handed)
            .field("taken_back", *taken_back)
            .field("closed", *closed),
        Is::Nudged { nudges } => o.field("nudges", *nudges),
        Is::Online { worker } => o.worker(worker),
        Is::Quarantined { slot, restarts, window, retry_in } => o
            .field("slot", *slot)
            .field("restarts", *restarts)
            .milliseconds("window_ms", *window)
            .milliseconds("retry_in_ms", *retry_in),
        Is::Ready { worker, guessed } => o.worker(worker).field("guessed", *guessed),
        Is::Recycling { worker, reason } => o.worker(worker).text("limit", limit(*reason)),
        Is::Refused { verdict } => o.verdict(verdict),
        Is::ReloadBegan { from, to } => o.field("from", from.0).field("to", to.0),
        Is::ReloadWaits { generation } => o.field("generation", generation.0),
        Is::Reloaded { generation, from, took } => o
            .field("generation", generation.0)
            .field("from", from.0)
            .milliseconds("took_ms", *took),
        Is::Released { slot } => o.field("slot", *slot),
        Is::ReplacementWaits { slot, draining } => o.field("slot", *slot).field("draining", *draining),
        Is::RestartDelayed { slot, delay, failures } => o
            .field("slot", *slot)
            .milliseconds("delay_ms", *delay)
            .field("failures", *failures),
        Is::Readmitted { worker } | Is::Restored { worker } => o.worker(worker),
        Is::Retired { worker, reason } => o.worker(worker).text("reason", reason),
        Is::RolledBack { to, verdict, .. } => o.field("to", to.0).verdict(verdict),
        Is::Scaled { from, to } => o.field("from", *from).field("to", *to),
        Is::ShuttingDown { signal, fast } => o.field("signal", *signal).field("fast", *fast),
        Is::SpawnFailed { slot, id, error } => o.field("slot", *slot).field("worker", *id).text("error", error),
        Is::Stopping { worker, reason } => o.worker(worker).reason(*reason),
        Is::Suspected { worker, silent } => o.worker(worker).milliseconds("silent_ms", *silent),
        Is::TookOver { workers, libraries, cut, after } => o
            .field("workers", *workers)
            .field("libraries", *libraries)
            .field("cut", *cut)
            .milliseconds("after_ms", *after),
        Is::KeeperGone | Is::Unlatched => o,
        Is::Upgraded { from, to, generation, took } => o
            .text("from", from)
            .text("to", to)
            .field("generation", generation.0)
            .milliseconds("took_ms", *took),
        Is::Warning { text } => o.text("text", text),
    };
}

fn completion_name(completion: Completion) -> &'static str {
    match completion {
        Completion::AsMeant => "as_meant",
        Completion::Failed => "failed",
    }
}

fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::BootFailed => "boot_failed",
        Outcome::Completed { failed: 0 } => "completed",
        Outcome::Completed { .. } => "failed",
        Outcome::Stopped => "stopped",
    }
}

/// A JSON object under construction. Its fields stay in the order in which they are added, which
/// `serde_json::Map` would not keep: people read the beginning of a line.
struct Object<'a> {
    into: &'a mut Vec<u8>,
}

impl<'a> Object<'a> {
    fn begin(app: &str, stamp: Stamp, event: &str, into: &'a mut Vec<u8>) -> Object<'a> {
        into.push(b'{');
        push(stamp.wall().to_string().into(), "time", into);
        let mut object = Object { into };
        object
            .field("mono_us", stamp.mono_us)
            .field("app", app)
            .field("event", event);
        object
    }

    fn field(&mut self, key: &str, value: impl Into<Value>) -> &mut Self {
        self.into.push(b',');
        push(value.into(), key, self.into);
        self
    }

    fn text(&mut self, key: &str, value: &str) -> &mut Self {
        self.field(key, value)
    }

    /// Workers are what a herd is made of: only another part is named.
    fn part(&mut self, part: Part) -> &mut Self {
        match part {
            Part::Gateway => self.field("part", "gateway"),
            Part::Library(library) => self
                .field("part", "library")
                .field("library", library.name.as_str()),
            Part::Workers => self,
        }
    }

    fn worker(&mut self, worker: &WorkerInfo) -> &mut Self {
        self.field("slot", worker.slot)
            .field("worker", worker.id)
            .field("pid", worker.pid)
    }

    fn milliseconds(&mut self, key: &str, duration: Duration) -> &mut Self {
        self.field(key, u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    fn exit(&mut self, exit: Exit) -> &mut Self {
        match exit {
            Exit::Code(code) => self.field("exit", "code").field("code", code),
            Exit::Signal(number) => self
                .field("exit", "signal")
                .field("signal", Signal::from_number(number).map(Signal::name))
                .field("signal_number", number),
            Exit::OutOfMemory => self.field("exit", "out_of_memory"),
            Exit::Unknown => self.field("exit", "unknown"),
        }
    }

    fn verdict(&mut self, verdict: &Verdict) -> &mut Self {
        self.text("operation", verdict.operation.name())
            .field("generation", verdict.generation.0)
            .text("reason", &verdict.reason);
        if let Some(exit) = verdict.exit {
            self.exit(exit);
        }
        self.field("last_lines", &*verdict.last_lines)
            .milliseconds("took_ms", verdict.took)
    }

    fn cause(&mut self, cause: Cause) -> &mut Self {
        match cause {
            Cause::BootTimeout => self.field("cause", "boot_timeout"),
            Cause::Crash => self.field("cause", "crash"),
            Cause::Hang => self.field("cause", "hang"),
            Cause::Planned(reason) => self.field("cause", "planned").reason(reason),
            Cause::Protocol => self.field("cause", "protocol"),
            Cause::Watchdog => self.field("cause", "watchdog"),
        }
    }

    fn reason(&mut self, reason: DrainReason) -> &mut Self {
        match reason {
            DrainReason::Recycle(reason) => self
                .field("reason", "recycle")
                .field("limit", limit(reason)),
            DrainReason::Replaced => self.field("reason", "replaced"),
            DrainReason::Retired => self.field("reason", "retired"),
            DrainReason::RolledBack => self.field("reason", "rolled_back"),
            DrainReason::ScaledDown => self.field("reason", "scaled_down"),
            DrainReason::Stop => self.field("reason", "stop"),
        }
    }

    fn end(self) {
        self.into.extend_from_slice(b"}\n");
    }
}

fn push(value: Value, key: &str, into: &mut Vec<u8>) {
    into.push(b'"');
    into.extend_from_slice(key.as_bytes());
    into.extend_from_slice(b"\":");
    serde_json::to_writer(into, &value).expect("a JSON value can always be written to memory");
}

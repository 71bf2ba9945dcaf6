//! Why something happened, of what is said about it.

use std::sync::LazyLock;

use herder_api::control::{DaemonEvent, Reason};
use memchr::memmem::Finder;

/// Who wrote a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Teller {
    Herd,
    Daemon,
}

/// The events of a herd that explain something.
const OF_HERD: &[&str] = &[
    "done",
    "exited",
    "finished",
    "keeper_gone",
    "launch_failed",
    "quarantined",
    "refused",
    "reloaded",
    "rolled_back",
    "scaled",
    "shutting_down",
    "spawn_failed",
    "took_over",
    "upgraded",
];

/// The daemon's.
const OF_DAEMON: &[&str] = &[
    "app_errored",
    "app_retried",
    "app_started",
    "app_stopped",
    "cron",
    "herd_lost",
    "unhealthy",
    "watch",
];

static EVENT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"event\":\""));

/// Whether it is worth reading: most lines of a busy herd are not.
pub(super) fn may_explain(line: &[u8], teller: Teller) -> bool {
    let Some(at) = EVENT.find(line) else {
        return false;
    };
    let name = &line[at + EVENT.needle().len()..];
    let known = match teller {
        Teller::Herd => OF_HERD,
        Teller::Daemon => OF_DAEMON,
    };
    known.iter().any(|known| {
        let rest = name.strip_prefix(known.as_bytes());
        rest.is_some_and(|rest| rest.first() == Some(&b'"'))
    })
}

/// The reason that an event tells, if it ends or changes workers.
pub(in crate::api) fn reason(event: &DaemonEvent) -> Option<Reason> {
    let field = |name: &str| event.fields.get(name).and_then(|value| value.as_str());
    let code = event.fields.get("code").and_then(|value| value.as_i64());
    Some(match event.event.as_str() {
        "exited" if field("cause") == Some("crash") && code == Some(0) => Reason::Done,
        "exited" => exited(field("cause"), field("exit"), field("reason")),
        "done" if field("completion") == Some("as_meant") => Reason::Done,
        "quarantined" => Reason::Quarantine,
        "reloaded" => Reason::Deploy,
        "rolled_back" => Reason::Rollback,
        "refused" if field("operation") == Some("upgrade") => Reason::Master,
        "refused" => Reason::Rollback,
        "scaled" => Reason::Scale,
        "spawn_failed" | "launch_failed" | "app_errored" => Reason::Boot,
        "finished" if field("outcome") == Some("boot_failed") => Reason::Boot,
        "took_over" | "upgraded" | "keeper_gone" | "herd_lost" | "app_retried" => Reason::Master,
        "shutting_down" | "app_started" | "app_stopped" => Reason::Operator,
        "cron" => Reason::Cron,
        "watch" => Reason::Watch,
        "unhealthy" => Reason::Health,
        _ => return None,
    })
}

/// Why a process ended.
fn exited(cause: Option<&str>, exit: Option<&str>, reason: Option<&str>) -> Reason {
    match cause {
        Some("boot_timeout") => Reason::Boot,
        Some("hang" | "watchdog") => Reason::Watchdog,
        Some("planned") => match reason {
            Some("recycle") => Reason::Recycle,
            Some("replaced") => Reason::Deploy,
            Some("retired") => Reason::Retired,
            Some("rolled_back") => Reason::Rollback,
            Some("scaled_down") => Reason::Scale,
            _ => Reason::Operator,
        },
        // It broke the protocol, and was killed for it: the signal was ours.
        Some("protocol") => Reason::Crash,
        _ => match exit {
            Some("out_of_memory") => Reason::OutOfMemory,
            Some("signal") => Reason::Signal,
            _ => Reason::Crash,
        },
    }
}

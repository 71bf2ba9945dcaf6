//! Sentences about reloads.

use std::time::Duration;

use herder_core::Generation;

use super::sentence::{Span, count};
use crate::verdict::{Operation, Verdict};

pub(super) fn began(to: Generation) -> String {
    format!("reload: generation {to} begins")
}

pub(super) fn waits(generation: Generation) -> String {
    format!("reload: generation {generation} waits until the one before it is over")
}

pub(super) fn done(generation: Generation, took: Duration) -> String {
    format!(
        "reload: generation {generation} is in service after {}",
        Span(took)
    )
}

pub(super) fn rolled_back(generation: Generation, to: Generation, verdict: &Verdict) -> String {
    let reason = &verdict.reason;
    format!("reload: generation {generation} was rolled back to {to}: {reason}")
}

pub(super) fn refused(verdict: &Verdict) -> String {
    let reason = &verdict.reason;
    match verdict.operation {
        Operation::Reload => {
            let generation = verdict.generation;
            format!("reload: generation {generation} was refused: {reason}")
        }
        Operation::Upgrade => format!("upgrade: refused: {reason}"),
    }
}

pub(super) fn upgraded(from: &str, to: &str, took: Duration) -> String {
    let name = |version: &str| match version {
        "" => "a build without a version".to_owned(),
        version => version.to_owned(),
    };
    let (from, to, took) = (name(from), name(to), Span(took));
    format!("upgrade: the master goes on as {to} after {took}; it was {from}")
}

pub(super) fn latched(generation: Generation, rest: Duration) -> String {
    format!(
        "planned replacements rest for {} or until a reload succeeds: generation {generation} was \
         rolled back",
        Span(rest)
    )
}

pub(super) fn unlatched() -> String {
    "planned replacements go on".to_owned()
}

pub(super) fn cut(generation: Generation, workers: u16) -> String {
    let workers = count(workers.into(), "worker", "workers");
    format!("too many generations are leaving: {workers} of generation {generation} will be killed")
}

pub(super) fn took_over(workers: usize, libraries: usize, cut: u64) -> String {
    let mut living = count(workers as u64, "worker", "workers");
    if libraries > 0 {
        let libraries = count(libraries as u64, "library", "libraries");
        living.push_str(&format!(" and {libraries}"));
    }
    let held = match cut {
        0 => "no connection was cut".to_owned(),
        1 => "1 connection it held was cut".to_owned(),
        many => format!("{many} connections it held were cut"),
    };
    format!("took over {living} after the master's death; {held}")
}

/// One event of each kind, for the snapshots.
#[cfg(test)]
#[expect(clippy::too_many_lines, reason = "a list: a sample after the other")]
pub(super) fn samples() -> Vec<crate::event::HerdEvent> {
    use herder_core::Exit;

    use crate::event::HerdEvent;
    use crate::verdict::Ruling;

    let (first, second) = (Generation(1), Generation(2));
    let verdict = |operation, outcome, exit| {
        Box::new(Verdict {
            operation,
            outcome,
            generation: second,
            reason: "it said so".to_owned(),
            exit,
            last_lines: Vec::new(),
            at: "2026-11-21T02:10:49.123Z".to_owned(),
            took: Duration::from_millis(1500),
        })
    };
    vec![
        HerdEvent::ReloadBegan {
            from: first,
            to: second,
        },
        HerdEvent::ReloadWaits { generation: second },
        HerdEvent::Reloaded {
            generation: second,
            from: first,
            took: Duration::from_millis(1200),
        },
        HerdEvent::RolledBack {
            generation: second,
            to: first,
            verdict: verdict(Operation::Reload, Ruling::RolledBack, Some(Exit::Code(1))),
        },
        HerdEvent::Refused {
            verdict: verdict(Operation::Reload, Ruling::Refused, None),
        },
        HerdEvent::Refused {
            verdict: verdict(Operation::Upgrade, Ruling::Refused, None),
        },
        HerdEvent::Latched {
            generation: second,
            rest: Duration::from_secs(600),
        },
        HerdEvent::Unlatched,
        HerdEvent::Upgraded {
            from: "1.0.0".to_owned(),
            to: String::new(),
            generation: second,
            took: Duration::from_millis(80),
        },
        HerdEvent::GenerationsCut {
            generation: first,
            workers: 1,
        },
        HerdEvent::TookOver {
            workers: 4,
            libraries: 0,
            cut: 3,
            after: Duration::from_millis(20),
        },
        HerdEvent::TookOver {
            workers: 1,
            libraries: 2,
            cut: 0,
            after: Duration::from_millis(20),
        },
    ]
}

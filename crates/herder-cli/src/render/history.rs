//! What happened, and what happens.

use herder_api::control::{DaemonEvent, Incident, Reason};

use super::table::{Cell, Column, draw};
use super::text::escape;
use super::{Paint, Style};

const COLUMNS: [Column; 4] = [
    Column::left("time", 0),
    Column::left("why", 0),
    Column::right("slot", 1),
    Column::left("what", 0),
];

/// What ended or changed workers, the newest last.
pub(crate) fn history(incidents: &[Incident], style: Style) -> String {
    if incidents.is_empty() {
        return "Nothing has happened yet.\n".to_owned();
    }
    let rows: Vec<Vec<Cell>> = incidents
        .iter()
        .map(|incident| {
            let slot = incident
                .slot
                .map_or_else(String::new, |slot| slot.to_string());
            vec![
                Cell::painted(Paint::Dim, escape(&incident.time)),
                Cell::painted(
                    Weight::of(incident.reason).paint(),
                    incident.reason.name().replace('_', " "),
                ),
                Cell::plain(slot),
                Cell::plain(escape(&incident.message)),
            ]
        })
        .collect();
    // A sentence is not cut: it may go on in the next line.
    let style = Style {
        width: None,
        ..style
    };
    draw(&COLUMNS, &rows, style)
}

/// How much an incident matters. Whoever shows incidents has its colours from here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Weight {
    /// Something failed.
    Failure,
    /// Something was replaced that was not at fault, or not quite.
    Notable,
    /// Somebody wanted it so.
    Wanted,
}

impl Weight {
    /// Of this reason.
    pub(crate) fn of(reason: Reason) -> Weight {
        match reason {
            Reason::Crash
            | Reason::Signal
            | Reason::OutOfMemory
            | Reason::Watchdog
            | Reason::Boot
            | Reason::Rollback
            | Reason::Health
            | Reason::Quarantine => Weight::Failure,
            Reason::Retired | Reason::Recycle | Reason::Master => Weight::Notable,
            Reason::Deploy
            | Reason::Done
            | Reason::Scale
            | Reason::Operator
            | Reason::Cron
            | Reason::Watch => Weight::Wanted,
        }
    }

    fn paint(self) -> Paint {
        match self {
            Weight::Failure => Paint::Red,
            Weight::Notable => Paint::Yellow,
            Weight::Wanted => Paint::Cyan,
        }
    }
}

/// An event, as a line.
pub(crate) fn event(event: &DaemonEvent, style: Style) -> String {
    let about = if event.app.is_empty() {
        "herder"
    } else {
        &event.app
    };
    let paint = if event.level == "warning" {
        Paint::Yellow
    } else {
        Paint::Plain
    };
    // A sentence that begins with the name does not need it twice.
    let rest = event.message.strip_prefix(about);
    let rest = rest.filter(|rest| rest.starts_with([' ', ':']));
    let (between, message) = match rest {
        Some(rest) => ("", rest),
        None => ("  ", event.message.as_str()),
    };
    format!(
        "{} {}{between}{}\n",
        style.paint(Paint::Dim, &escape(&event.time)),
        style.paint(Paint::Bold, &escape(about)),
        style.paint(paint, &escape(message))
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::render::snapshot;

    #[test]
    fn histories_and_events_are_as_recorded() {
        let incident = |reason, slot, message: &str| Incident {
            time: "2026-11-21T10:00:00Z".to_owned(),
            reason,
            slot,
            id: slot.map(u64::from),
            message: message.to_owned(),
        };
        let incidents = [
            incident(
                Reason::OutOfMemory,
                Some(3),
                "worker 7 was killed by the kernel",
            ),
            incident(Reason::Deploy, None, "generation 2 serves"),
            incident(Reason::Crash, Some(12), "worker 8 ended with 1: \x1b[2J"),
        ];
        let told = |app: &str, level: &str| DaemonEvent {
            time: "2026-11-21T10:00:00Z".to_owned(),
            app: app.to_owned(),
            event: "app_started".to_owned(),
            message: "it was \x07started".to_owned(),
            level: level.to_owned(),
            fields: BTreeMap::new(),
        };
        let colour = Style {
            colour: true,
            width: Some(40),
        };
        let mut text = history(&[], Style::PLAIN);
        for style in [Style::PLAIN, colour] {
            text += &history(&incidents, style);
            text += &event(&told("web", "info"), style);
            text += &event(&told("", "warning"), style);
        }
        snapshot::check("history", &text);
    }
}

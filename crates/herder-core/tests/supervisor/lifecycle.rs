//! `LIFECYCLE.md` is true: every cell of its tables is tried.

use std::num::{NonZeroU16, NonZeroU32};

use herder_core::spec::Policies;
use herder_core::supervisor::{Action, Event, Notice, Phase, Seat};
use herder_core::{Exit, Generation, Incarnation, Slot, WorkerId};

use crate::harness::{Herd, SECOND, count, id, spec};

const LIFECYCLE: &str = include_str!("../../src/supervisor/LIFECYCLE.md");

/// The worker under test lives in the middle of three slots.
const SLOT: Slot = Slot(1);
const SUBJECT: WorkerId = WorkerId {
    slot: SLOT,
    incarnation: Incarnation(2),
};

const RELOAD: Event = Event::Reload {
    generation: Generation(2),
};

const PHASES: [&str; 10] = [
    "Spawning",
    "Starting",
    "Ready",
    "Suspect",
    "Standby",
    "Aborting",
    "Recalled",
    "Withdrawing",
    "Draining",
    "Killing",
];
const SEATS: [&str; 7] = [
    "Stopped, not started",
    "Held",
    "Backoff",
    "Quarantined",
    "Done",
    "Owed",
    "Stopped",
];

#[test]
fn every_phase_answers_every_event_as_written() {
    let cells = cells("phase");
    assert_eq!(
        cells.len(),
        PHASES.len() * (7 + 8 + 10),
        "a cell is missing"
    );
    for phase in PHASES {
        for (_, event, expected) in cells.iter().filter(|(row, _, _)| row == phase) {
            let mut herd = in_phase(phase);
            let before = herd.phase(SUBJECT).expect("the worker lives");
            assert_eq!(phase_name(before), phase, "the way into this phase");
            let actions = feed(&mut herd, event, Table::Phases);
            let after = herd.phase(SUBJECT).map_or("gone", phase_name);
            assert_eq!(cell(phase, after, &actions), *expected, "{phase} × {event}");
        }
    }
}

#[test]
fn every_seat_answers_every_event_as_written() {
    let cells = cells("seat");
    assert_eq!(cells.len(), SEATS.len() * 10, "a cell is missing");
    for seat in SEATS {
        for (_, event, expected) in cells.iter().filter(|(row, _, _)| row == seat) {
            let mut herd = in_seat(seat);
            let row = seat.split(',').next().expect("a first part");
            assert_eq!(seat_name(herd.seat(SLOT.0)), row, "the way into this seat");
            let actions = feed(&mut herd, event, Table::Seats);
            let after = seat_name(herd.seat(SLOT.0));
            assert_eq!(cell(row, after, &actions), *expected, "{seat} × {event}");
        }
    }
}

#[test]
fn a_timer_before_its_time_changes_nothing() {
    for phase in PHASES {
        let mut herd = in_phase(phase);
        let before = herd.core.clone();
        assert_eq!(herd.tell(Event::Timer), [], "{phase}");
        assert_eq!(herd.phase(SUBJECT), before.phase(SUBJECT), "{phase}");
    }
}

#[test]
fn news_of_the_dead_and_the_unborn_changes_nothing_and_is_counted() {
    for phase in PHASES {
        for stranger in [id(1, 99), id(0, 2), id(7, 1)] {
            for event in news(stranger) {
                let mut herd = in_phase(phase);
                let before: Vec<_> = herd.core.workers().collect();
                let stale = herd.core.stale_events();
                assert_eq!(herd.tell(event.clone()), [], "{phase} × {event:?}");
                assert_eq!(herd.core.workers().collect::<Vec<_>>(), before);
                assert_eq!(herd.core.stale_events(), stale + 1);
            }
        }
    }
}

/// A herd whose worker under test is in this phase.
fn in_phase(phase: &str) -> Herd {
    let mut spec = spec(3);
    spec.life.max_draining = NonZeroU16::new(1).expect("not zero");
    spec.reload.surge = NonZeroU16::new(3).expect("not zero");
    let worker = SUBJECT;
    let mut herd = Herd::new(spec);
    herd.tell(Event::Start);
    herd.boot(id(0, 1));
    herd.boot(id(2, 3));
    match phase {
        "Spawning" => {}
        "Recalled" => drop(herd.tell(Event::Scale(count(1)))),
        _ => drop(herd.tell(Event::Spawned { worker })),
    }
    if matches!(phase, "Spawning" | "Starting" | "Recalled") {
        return herd;
    }
    herd.tell(Event::Ready { worker });
    match phase {
        "Suspect" => {
            herd.silent.insert(worker);
            herd.wait(10 * SECOND);
        }
        "Standby" => {
            herd.tell(RELOAD);
            for successor in [id(0, 4), id(1, 5), id(2, 6)] {
                herd.boot(successor);
            }
        }
        "Aborting" => {
            herd.silent.insert(worker);
            herd.wait(20 * SECOND);
        }
        "Withdrawing" => drop(herd.tell(Event::Scale(count(1)))),
        "Draining" => {
            herd.tell(Event::Scale(count(1)));
            herd.tell(Event::Withdrawn { worker });
        }
        "Killing" => drop(herd.tell(Event::Misbehaved { worker })),
        _ => {}
    }
    herd
}

/// A herd whose slot under test is held by this, and which has no other worker there.
fn in_seat(seat: &str) -> Herd {
    let mut spec = spec(3);
    spec.life.max_draining = NonZeroU16::new(1).expect("not zero");
    spec.restart.max_restarts = NonZeroU32::new(1);
    spec.reload.surge = NonZeroU16::new(3).expect("not zero");
    if seat == "Stopped, not started" {
        return Herd::new(spec);
    }
    let mut herd = Herd::ready(spec);
    match seat {
        "Backoff" => drop(herd.exit(SUBJECT)),
        "Done" => drop(herd.tell(Event::Exited {
            worker: SUBJECT,
            exit: Exit::Code(78),
        })),
        "Quarantined" => {
            herd.exit(SUBJECT);
            herd.wait(SECOND);
            herd.exit(id(1, 4));
        }
        "Owed" => {
            // Slots 0, 2 and 1 retire, one may drain: 2 and then 1 wait for a place. The end of the
            // one in slot 1 gives it to slot 2.
            for worker in [id(0, 1), id(2, 3), SUBJECT] {
                herd.tell(Event::Retire { worker });
                herd.leap(SECOND);
            }
            herd.exit(SUBJECT);
        }
        "Stopped" => {
            herd.tell(Event::Scale(count(1)));
            herd.exit(SUBJECT);
        }
        _ => {}
    }
    herd
}

/// Which tables a cell is from.
#[derive(Clone, Copy)]
enum Table {
    Phases,
    Seats,
}

/// Feeds the event that a column names, and returns what it asked for in the slot under test.
fn feed(herd: &mut Herd, event: &str, table: Table) -> Vec<Action> {
    let mut all = Vec::new();
    if event == "Timer" {
        all.extend(until_own_deadline(herd, table));
    }
    let event = match event {
        "Start" => Event::Start,
        "Stop" => Event::Stop,
        "StoodStill" => Event::StoodStill { lasted: SECOND },
        "StopNow" => Event::StopNow,
        "Reload" => RELOAD,
        "Reset" => Event::Reset,
        "Respec" => Event::Respec(Box::new(silent(herd))),
        "Timer" => Event::Timer,
        "ScaledDown" => Event::Scale(count(1)),
        "ScaledUp" => Event::Scale(count(3)),
        name => news(SUBJECT)
            .into_iter()
            .find(|event| format!("{event:?}").split(' ').next() == Some(name))
            .expect("every other column is news of a worker"),
    };
    all.extend(herd.tell(event));
    all.retain(|action| slot_of(action) == Some(SLOT));
    all
}

/// The policies of a herd, but for heartbeats: none is expected.
fn silent(herd: &Herd) -> Policies {
    let mut policies = herd.core.spec().policies();
    policies.life.hang = None;
    policies
}

/// Lets time pass until the phase or the seat under test has ended by itself, and returns what
/// that asked for; nothing, when it has no end of its own.
fn until_own_deadline(herd: &mut Herd, table: Table) -> Vec<Action> {
    let ends = match table {
        Table::Phases => true,
        Table::Seats => {
            matches!(
                herd.seat(SLOT.0),
                Seat::Backoff { .. } | Seat::Quarantined { .. }
            )
        }
    };
    if !ends {
        return Vec::new();
    }
    herd.silent.insert(SUBJECT);
    let state = |herd: &Herd| (herd.phase(SUBJECT), herd.seat(SLOT.0));
    let before = state(herd);
    let mut actions = Vec::new();
    while state(herd) == before {
        let next = herd.core.poll_timeout().expect("it has an end of its own");
        actions.extend(herd.wait(next.since(herd.now)));
    }
    actions
}

fn news(worker: WorkerId) -> Vec<Event> {
    vec![
        Event::Beat { worker },
        Event::BootExtended { worker, by: SECOND },
        Event::Draining { worker },
        Event::Exhausted { worker },
        Event::Exited {
            worker,
            exit: Exit::Code(0),
        },
        Event::Fail {
            worker,
            reason: "it does not answer".to_owned(),
        },
        Event::Memory { worker, bytes: 1 },
        Event::Misbehaved { worker },
        Event::Ready { worker },
        Event::Retire { worker },
        Event::Served { worker, total: 1 },
        Event::SpawnFailed { worker, errno: 11 },
        Event::Spawned { worker },
        Event::Unborn { worker },
        Event::Withdrawn { worker },
    ]
}

/// Every (row, column, cell) of the tables whose first column has this heading and that are tables
/// of cells, not of words.
pub(crate) fn cells(heading: &str) -> Vec<(String, String, String)> {
    let mut columns: Vec<&str> = Vec::new();
    let mut cells = Vec::new();
    for line in LIFECYCLE.lines() {
        let Some(line) = line.strip_prefix("| ").and_then(|l| l.strip_suffix(" |")) else {
            if !line.starts_with('|') {
                columns.clear();
            }
            continue;
        };
        let parts: Vec<&str> = line.split(" | ").collect();
        if columns.is_empty() {
            columns = parts;
        } else if columns[0] == heading && columns[1] != "meaning" {
            assert_eq!(parts.len(), columns.len(), "{line}");
            for (column, part) in columns.iter().zip(&parts).skip(1) {
                cells.push((
                    parts[0].to_owned(),
                    (*column).to_owned(),
                    (*part).to_owned(),
                ));
            }
        }
    }
    cells
}

/// What happened, as a cell says it.
fn cell(before: &str, after: &str, actions: &[Action]) -> String {
    let names: Vec<String> = actions.iter().map(action_name).collect();
    match (names.is_empty(), before == after) {
        (true, true) => "=".to_owned(),
        (true, false) => after.to_owned(),
        (false, _) => format!("{after}: {}", names.join(", ")),
    }
}

pub(crate) fn action_name(action: &Action) -> String {
    let (mark, text) = if let Action::Announce(notice) = action {
        ("!", format!("{notice:?}"))
    } else {
        ("", format!("{action:?}"))
    };
    format!("{mark}{}", text.split(' ').next().expect("a name"))
}

fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Aborting { .. } => "Aborting",
        Phase::Draining { .. } => "Draining",
        Phase::Killing { .. } => "Killing",
        Phase::Ready { .. } => "Ready",
        Phase::Recalled { .. } => "Recalled",
        Phase::Spawning { .. } => "Spawning",
        Phase::Standby { .. } => "Standby",
        Phase::Starting { .. } => "Starting",
        Phase::Suspect { .. } => "Suspect",
        Phase::Withdrawing { .. } => "Withdrawing",
    }
}

fn seat_name(seat: Seat) -> &'static str {
    match seat {
        Seat::Backoff { .. } => "Backoff",
        Seat::Done { .. } => "Done",
        Seat::Held { .. } => "Held",
        Seat::Owed { .. } => "Owed",
        Seat::Quarantined { .. } => "Quarantined",
        Seat::Stopped { .. } => "Stopped",
    }
}

fn slot_of(action: &Action) -> Option<Slot> {
    match action {
        Action::Abort { worker }
        | Action::Admit { worker }
        | Action::Drain { worker, .. }
        | Action::Hold { worker }
        | Action::Kill { worker }
        | Action::Rest { worker }
        | Action::Spawn { worker, .. }
        | Action::Withdraw { worker } => Some(worker.slot),
        Action::Announce(notice) => match notice {
            Notice::BootTimedOut { worker }
            | Notice::Exited { worker, .. }
            | Notice::Failed { worker, .. }
            | Notice::GraceExpired { worker }
            | Notice::Misbehaved { worker }
            | Notice::Ready { worker, .. }
            | Notice::Recycling { worker, .. }
            | Notice::Restored { worker }
            | Notice::Retired { worker }
            | Notice::SpawnFailed { worker, .. }
            | Notice::Started { worker }
            | Notice::Stopping { worker, .. }
            | Notice::Suspected { worker, .. } => Some(worker.slot),
            Notice::Done { slot, .. }
            | Notice::Quarantined { slot, .. }
            | Notice::Released { slot }
            | Notice::ReplacementWaits { slot, .. }
            | Notice::RestartDelayed { slot, .. } => Some(*slot),
            Notice::GenerationsCut { .. }
            | Notice::Latched { .. }
            | Notice::ReloadBegan { .. }
            | Notice::ReloadWaits { .. }
            | Notice::Reloaded { .. }
            | Notice::RolledBack { .. }
            | Notice::Scaled { .. }
            | Notice::Unlatched => None,
        },
        Action::Discard { .. } | Action::Finish(_) => None,
    }
}

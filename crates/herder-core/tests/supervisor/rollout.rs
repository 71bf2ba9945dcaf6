//! The change of a generation is as `LIFECYCLE.md` says: every cell of its table is tried.

use herder_core::supervisor::{Action, Event, Rollout};
use herder_core::{Generation, WorkerId};

use crate::harness::{Herd, SECOND, id, spec};
use crate::lifecycle::{action_name, cells};

const ROLLOUTS: [Rollout; 4] = [
    Rollout::Steady,
    Rollout::Rolling,
    Rollout::Soaking,
    Rollout::Returning,
];

/// The new workers of slots 0 and 1.
const NEW: [(u16, u64); 2] = [(0, 3), (1, 4)];

#[test]
fn every_rollout_answers_every_event_as_written() {
    let cells = cells("rollout");
    assert_eq!(cells.len(), ROLLOUTS.len() * 7, "a cell is missing");
    let mut wrong = Vec::new();
    for rollout in ROLLOUTS {
        let row = format!("{rollout:?}");
        for (_, event, expected) in cells.iter().filter(|(name, _, _)| *name == row) {
            let mut herd = at(rollout);
            assert_eq!(herd.core.rollout(), rollout, "the way into it");
            let before = herd.core.generation();
            let actions = feed(&mut herd, event);
            let names: Vec<String> = actions.iter().map(action_name).collect();
            let after = herd.core.rollout();
            let found = match (names.is_empty(), after == rollout) {
                (true, true) => "=".to_owned(),
                (true, false) => format!("{after:?}"),
                (false, _) => format!("{after:?}: {}", names.join(", ")),
            };
            assert!(herd.core.generation() >= before, "a generation came back");
            if found != *expected {
                wrong.push(format!("{row} × {event}\n  {found}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Two slots, of which the second is always the one in question.
fn at(rollout: Rollout) -> Herd {
    let mut herd = Herd::ready(spec(2));
    if rollout == Rollout::Steady {
        return herd;
    }
    herd.tell(reload(2));
    let [first, second] = new();
    herd.boot(first);
    herd.tell(Event::Spawned { worker: second });
    if rollout == Rollout::Rolling {
        return herd;
    }
    herd.tell(Event::Ready { worker: second });
    if rollout == Rollout::Soaking {
        return herd;
    }
    herd.exit(id(1, 2));
    herd.exit(first);
    herd.tell(Event::Spawned { worker: id(1, 5) });
    herd
}

fn feed(herd: &mut Herd, event: &str) -> Vec<Action> {
    let [first, second] = new();
    match event {
        "NewReady" => {
            let worker = match herd.core.rollout() {
                Rollout::Returning => id(1, 5),
                Rollout::Rolling | Rollout::Soaking | Rollout::Steady => second,
            };
            herd.tell(Event::Ready { worker })
        }
        "NewExited" => herd.exit(second),
        "NewHung" => {
            herd.silent.insert(first);
            let until_suspect = herd.wait(10 * SECOND);
            assert_eq!(until_suspect.len() % 2, 0, "{until_suspect:?}");
            herd.wait(10 * SECOND)
        }
        "OldExited" => herd.exit(id(0, 1)),
        "Timer" => {
            if herd.core.rollout() == Rollout::Returning {
                // Whoever was rolled back is gone by then.
                herd.exit(second);
            }
            let time = match herd.core.rollout() {
                Rollout::Soaking => 10 * SECOND,
                Rollout::Returning => 60 * SECOND,
                Rollout::Rolling | Rollout::Steady => SECOND,
            };
            herd.wait(time)
        }
        "Reload" => herd.tell(reload(3)),
        "Stop" => herd.tell(Event::Stop),
        other => panic!("{other} is no column"),
    }
}

fn reload(generation: u32) -> Event {
    Event::Reload {
        generation: Generation(generation),
    }
}

fn new() -> [WorkerId; 2] {
    NEW.map(|(slot, incarnation)| id(slot, incarnation))
}

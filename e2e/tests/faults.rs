//! A few cells of the matrix of faults, others in every run; `make faults` plays all of them.

#![expect(clippy::print_stdout, reason = "what a failure is judged by")]

use herder_e2e::deploy::Program;
use herder_e2e::dice::Dice;
use herder_e2e::fault::{Cell, Deed, Operation, play_one};
use herder_e2e::interpreter::Node;

/// More steps than most operations have in their master: what is chosen beyond is halved until there is one.
const STEPS: usize = 16;

/// Plays the deed at some steps of the operation, which the dice choose.
fn some(program: Program, operation: Operation, deed: Deed, count: u32) {
    let mut dice = Dice::thrown();
    for _ in 0..count {
        let mut cell = Cell {
            program,
            operation,
            steps: "master.*",
            nth: dice.below(STEPS) as u64 + 1,
            deed,
        };
        let result = loop {
            if let Some(result) = play_one(cell) {
                break result;
            }
            cell.nth /= 2;
            assert!(cell.nth > 0, "{cell}: there are no steps");
        };
        println!("{}", result.fields().join("  "));
        assert!(result.broken.is_none(), "{result:#?}");
    }
}

#[test]
fn r35_a_master_killed_at_any_step_of_a_reload_is_followed_by_one_that_knows_what_to_do() {
    some(Program::Native, Operation::Reload, Deed::Kill, 2);
    let node = Program::Node(Node::Version(20));
    some(node, Operation::Reload, Deed::Kill, 1);
}

#[test]
fn r27_a_master_killed_at_any_step_of_its_takeover_is_followed_by_another() {
    some(Program::Native, Operation::Takeover, Deed::Kill, 2);
}

#[test]
fn r27_a_worker_killed_at_any_step_of_a_takeover_is_replaced() {
    some(Program::Native, Operation::Takeover, Deed::KillWorker, 1);
}

#[test]
fn r1_a_master_killed_at_any_step_of_a_start_of_a_worker_starts_none_twice() {
    some(Program::Native, Operation::Spawn, Deed::Kill, 1);
}

#[test]
fn r29_a_keeper_killed_at_any_step_of_a_reload_leaves_nobody_behind() {
    some(Program::Native, Operation::Reload, Deed::KillKeeper, 1);
}

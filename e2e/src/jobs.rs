//! Herds of `test-jobs` workers: starting them, and finding their doors.

use crate::binary::Binary;
use crate::client::Target;
use crate::dice::Dice;
use crate::foreign::{BOOT, Seat, told};
use crate::herd::{Herd, Setup, Signal, Stream};
use crate::message::Door;
use crate::process::Process;
use crate::scene::Scene;
use crate::wait;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// The herd that does whatever a message asks for; see its `main.rs`.
pub const TEST_JOBS: Binary = Binary::new("herder-e2e", "test-jobs");

/// Prepares a herd of `test-jobs` workers.
pub fn herd(scene: &Scene, options: &[&str]) -> Setup {
    let setup = scene.herd(TEST_JOBS).args(options);
    // Reading the debug information for a backtrace would take longer than the test.
    setup.env("RUST_BACKTRACE", "0")
}

/// Starts such a herd, and waits until its clients are let in.
#[track_caller]
pub fn started(scene: &Scene, options: &[&str]) -> (Herd, Door) {
    let herd = herd(scene, options).start();
    let door = Door::web_socket(addresses(&herd, 1)[0]);
    (herd, door)
}

/// The first `count` TCP addresses that the herd says it listens on, in the order of the options.
#[track_caller]
pub fn addresses(herd: &Herd, count: usize) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    herd.wait_for_line("the addresses", BOOT, |line| {
        let address = line.split_once("listening on ");
        found.extend(address.and_then(|(_, it)| it.parse::<SocketAddr>().ok()));
        (found.len() == count).then_some(())
    });
    found
}

/// The door of lines over the Unix socket `name` in the scene's directory.
pub fn unix_lines(scene: &Scene, name: &str) -> Door {
    Door::lines(Target::Unix(scene.directory().join(name)))
}

/// The living gateway, waiting for it if there is none.
///
/// # Panics
/// When there is none within the time of a start.
#[track_caller]
pub fn gateway(herd: &Herd) -> Process {
    wait::until(BOOT, "a gateway", || find_gateway(herd))
}

/// Waits for a gateway that is not `before`.
///
/// # Panics
/// When there is none within `within`.
#[track_caller]
pub fn gateway_after(herd: &Herd, before: &Process, within: Duration) -> Process {
    wait::until(within, "the next gateway", || {
        find_gateway(herd).filter(|now| now.pid != before.pid)
    })
}

fn find_gateway(herd: &Herd) -> Option<Process> {
    herd.titled("herder: gateway").into_iter().next()
}

/// The gateway of a line that tells `what` of it, for instance `ready` or `died`: its life and its process.
pub fn told_of_gateway(line: &str, what: &str) -> Option<(u64, i32)> {
    let (_, rest) = line.split_once("gateway #")?;
    let (life, rest) = rest.split_once(" [")?;
    let (pid, rest) = rest.split_once("] ")?;
    let found = (life.parse().ok()?, pid.parse().ok()?);
    rest.starts_with(what).then_some(found)
}

/// Waits until `what` was told of a gateway after `mark`, and returns its life and its process.
///
/// # Panics
/// When that does not happen within the time of a start.
#[track_caller]
pub fn wait_for_gateway(herd: &Herd, mark: usize, what: &str) -> (u64, i32) {
    herd.wait_for_line_after(mark, &format!("gateway {what}"), BOOT, |line| {
        told_of_gateway(line, what)
    })
}

/// How often each worker was given a job, by its life: the herd's own log.
pub fn dispatches(herd: &Herd) -> BTreeMap<u64, usize> {
    let mut counts = BTreeMap::new();
    for line in herd.texts(Stream::Stdout) {
        let life = line.strip_prefix("Dispatch to ");
        if let Some(life) = life.and_then(|life| life.parse().ok()) {
            *counts.entry(life).or_default() += 1;
        }
    }
    counts
}

/// The workers of `slot` that live, as far as the log tells, the eldest first.
pub fn living(herd: &Herd, slot: u16) -> Vec<Seat> {
    let mut found = Vec::new();
    for line in herd.lines() {
        if let Some(seat) = told(&line.text, "started") {
            found.push(seat);
        }
        let gone = told(&line.text, "died").or_else(|| told(&line.text, "ended"));
        found.retain(|seat| Some(*seat) != gone);
    }
    found.retain(|seat| seat.slot == slot);
    found
}

/// Kills (SIGKILL) one of the workers of `slot`, whichever the dice choose, and returns it once the herd has
/// seen it die of that: one that ended by itself just then does not count.
///
/// # Panics
/// When that takes longer than a start.
#[track_caller]
pub fn kill_one_of(herd: &Herd, slot: u16, dice: &mut Dice) -> Seat {
    wait::until(BOOT, "a worker is killed", || {
        let candidates = living(herd, slot);
        if candidates.is_empty() {
            return None;
        }
        let victim = candidates[dice.below(candidates.len())];
        if !herd.try_signal_to(victim.pid, Signal::KILL) {
            return None;
        }
        // How it ends that is told to leave is no accident.
        let killed = herd.wait_for_line("the end of the victim", BOOT, |line| {
            let end = told(line, "died").or_else(|| told(line, "ended"));
            (end == Some(victim)).then(|| line.contains(": signal SIGKILL"))
        });
        killed.then_some(victim)
    })
}

//! Herds of `test-jobs` workers: starting them, and finding their doors.

use crate::binary::Binary;
use crate::client::Target;
use crate::foreign::BOOT;
use crate::herd::{Herd, Setup};
use crate::message::Door;
use crate::process::Process;
use crate::scene::Scene;
use crate::wait;
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

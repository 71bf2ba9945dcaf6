//! What a native worker is born with.

use herder_e2e::binary::Binary;
use herder_e2e::foreign::BOOT;
use herder_e2e::native::TEST_HERD;
use herder_e2e::scene::Scene;
use std::fs;
use std::process::Command;

/// The soft limit of open files of a process.
fn open_files(pid: i32) -> String {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("it lives");
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let line = line.expect("the kernel lists it");
    line.split_whitespace()
        .nth(3)
        .expect("a soft limit")
        .to_owned()
}

#[test]
fn r22_workers_keep_the_limit_of_the_caller_and_the_master_has_more() {
    let scene = Scene::new("limits");
    let herd = scene
        .program("sh")
        .args(["-c", "ulimit -Sn 512 && exec \"$@\"", "sh"])
        .arg(TEST_HERD.path())
        .args(["--workers", "2"])
        .start();
    for worker in herd.wait_for_workers(2, BOOT) {
        assert_eq!(open_files(worker.pid), "512");
    }
    let master = herd.master().expect("a master").pid;
    assert_ne!(open_files(master), "512");
    assert_eq!(herd.end().code(), Some(0));
}

#[test]
fn more_addresses_than_a_plan_can_carry_are_refused_at_once() {
    let addresses = std::iter::repeat_n("--listen=127.0.0.1:0", 241);
    let refused = Command::new(Binary::HERDER.path())
        .arg("run")
        .args(addresses)
        .args(["--", "sleep", "60"])
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("at most 240 addresses, not 241"), "{said}");
}

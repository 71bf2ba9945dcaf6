//! A master whose process limits are reached.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use herder_e2e::client::Load;
use herder_e2e::foreign::{BOOT, address, pid_of_body, wait_for};
use herder_e2e::herd::Herd;
use herder_e2e::native::{descriptor_count, herd};
use herder_e2e::process::{descriptors, processor_time};
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use std::net::SocketAddr;
use std::time::Duration;

/// Leaves the process room for so many more descriptors, and returns the limit it had.
fn leave_room_for(pid: i32, more: u64) -> Rlimit {
    let open = descriptors(pid).unwrap();
    let mut free = (0..).filter(|number| !open.contains_key(number));
    let limit = u64::try_from(free.nth(usize::try_from(more).unwrap()).unwrap()).unwrap();
    set_limit(pid, limit)
}

/// Sets the soft limit; the hard one stays, as only few may raise it.
fn set_limit(pid: i32, limit: u64) -> Rlimit {
    let new = Rlimit {
        current: Some(limit),
        maximum: hard_limit(pid),
    };
    prlimit(Pid::from_raw(pid), Resource::Nofile, new).unwrap()
}

/// The second number of the line `Max open files  1024  4096  files`.
fn hard_limit(pid: i32) -> Option<u64> {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().ok()
}

fn requests(address: SocketAddr, count: u64) -> Load {
    let load = Load::http(address, "/").clients(4).timeout(BOOT);
    load.count(count).worker_from(pid_of_body)
}

/// How often a line with `text` was written.
fn count(herd: &Herd, text: &str) -> usize {
    herd.lines()
        .iter()
        .filter(|line| line.text.contains(text))
        .count()
}

#[test]
fn r16_a_worker_that_cannot_be_started_is_tried_again_while_others_serve() {
    let scene = Scene::new("r16");
    let herd = herd(&scene, &["--workers", "2"]).start();
    let address = address(&herd);
    wait_for(&herd, 0, 2, "ready", BOOT);
    requests(address, 4).run().assert_no_failure();
    let master = herd.master().unwrap().pid;
    let before = descriptor_count(master);
    // Too little for a worker, enough to accept.
    let old = leave_room_for(master, 5);
    let mark = herd.mark();
    herd.signal(Signal::TTIN);
    wait::until(BOOT, "it fails three times", || {
        (count(&herd, "could not be started: Too many open files") >= 3).then_some(())
    });
    requests(address, 40).run().assert_no_failure();
    wait::until(BOOT, "nothing is left of the attempts", || {
        (descriptor_count(master) == before).then_some(())
    });
    set_limit(master, old.current.unwrap());
    assert_eq!(wait_for(&herd, mark, 1, "ready", BOOT)[0].slot, 2);
    requests(address, 40).run_until("all three serve", |it| it.per_worker().len() == 3);
    assert!(herd.end().success());
}

#[test]
fn r17_a_worker_without_descriptors_loses_nobody() {
    let scene = Scene::new("r17");
    let herd = herd(&scene, &["--workers", "2"]).start();
    let address = address(&herd);
    let workers = wait_for(&herd, 0, 2, "ready", BOOT);
    requests(address, 4).run().assert_no_failure();
    for worker in &workers {
        // Nothing above what is open: what it keeps in reserve is all that it can get.
        let open = descriptors(worker.pid).unwrap();
        let highest = u64::try_from(*open.last_key_value().unwrap().0).unwrap();
        set_limit(worker.pid, highest + 1);
    }
    // More at a time than both have room for.
    let load = Load::http(address, "/slow/20")
        .clients(32)
        .count(200)
        .timeout(BOOT);
    let ledger = load.worker_from(pid_of_body).run();
    println!("{ledger}");
    ledger.assert_no_failure();
    assert_eq!(ledger.per_worker().len(), 2);
    assert_eq!(count(&herd, "died"), 0);
    assert!(herd.end().success());
}

#[test]
fn r44_without_descriptors_the_master_pauses_and_loses_nobody() {
    let scene = Scene::new("r44");
    let herd = herd(&scene, &["--workers", "2"]).start();
    let address = address(&herd);
    wait_for(&herd, 0, 2, "ready", BOOT);
    requests(address, 4).run().assert_no_failure();
    let master = herd.master().unwrap().pid;
    wait::until(BOOT, "the master is at rest", || {
        let before = processor_time(master);
        wait::attempt(Duration::from_millis(50), || None::<()>);
        (processor_time(master) == before).then_some(())
    });
    let old = leave_room_for(master, 0);
    let load = requests(address, 20).start();
    let paused = |line: &str| {
        line.contains("accepting pauses: Too many open files")
            .then_some(())
    };
    herd.wait_for_line("accepting pauses", BOOT, paused);
    let before = processor_time(master);
    // A measurement, not a wait: what the pause costs in this time.
    wait::attempt(Duration::from_secs(1), || None::<()>);
    let used = processor_time(master) - before;
    println!("the master used {used:?} in 1 s without descriptors");
    assert!(used < Duration::from_millis(200), "{used:?}: it spins");
    assert_eq!(
        (load.answered(), load.failed()),
        (0, 0),
        "they wait in the kernel's queue"
    );
    assert_eq!(
        count(&herd, "accepting pauses"),
        1,
        "told once in ten seconds"
    );
    set_limit(master, old.current.unwrap());
    let ledger = load.finish();
    println!("{ledger}");
    ledger.assert_no_failure();
    assert_eq!(ledger.entries.len(), 20);
    assert!(herd.end().success());
}

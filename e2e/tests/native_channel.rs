//! Workers that break the rules of their channel to the master: they end, and nobody else notices.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use herder_e2e::baseline::Baseline;
use herder_e2e::client::{Load, Running, get};
use herder_e2e::foreign::{BOOT, address, pid_of_body, told, wait_for};
use herder_e2e::herd::Herd;
use herder_e2e::native::{BATCH, Book, herd, is_cut};
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

fn traffic(address: SocketAddr) -> Load {
    let load = Load::http(address, "/slow/5").clients(8).timeout(BOOT);
    load.detailed().worker_from(pid_of_body)
}

/// How often the herd has told something of its workers.
fn count(herd: &Herd, what: &str) -> usize {
    let lines = herd.lines();
    lines
        .iter()
        .filter(|line| told(&line.text, what).is_some())
        .count()
}

/// Has one worker of three do `misdeed`, and looks that only it suffers.
fn ends_the_worker(name: &str, misdeed: &str, problem: &str) {
    let scene = Scene::new(name);
    let herd = herd(&scene, &["--workers", "3"]).start();
    let address = address(&herd);
    let workers = wait_for(&herd, 0, 3, "ready", BOOT);
    let load = traffic(address).start();
    load.wait_for_answers(20, BOOT);
    let mark = herd.mark();
    assert!(is_cut(get(address, misdeed).unwrap_err()));
    let broke = "broke the protocol of its channel and is killed: ";
    let bad = wait_for(&herd, mark, 1, &format!("{broke}{problem}"), BOOT)[0];
    assert!(workers.contains(&bad), "{bad:?}");
    let death = "died: signal SIGKILL (it broke the protocol of its channel)";
    assert_eq!(wait_for(&herd, mark, 1, death, BOOT), [bad]);
    let next = wait_for(&herd, mark, 1, "ready", BOOT)[0];
    assert_eq!((next.slot, next.id), (bad.slot, 4));
    assert_only_its_connections_failed(&scene, load, bad.pid);
    assert_eq!((count(&herd, "died"), count(&herd, "started")), (1, 4));
    assert!(herd.end().success());
}

#[expect(clippy::print_stdout, reason = "what a failure is judged by")]
fn assert_only_its_connections_failed(scene: &Scene, load: Running, pid: i32) {
    load.wait_for_answers(20, BOOT);
    let ledger = load.stop_and_finish();
    println!("{ledger}");
    let noted = Book::of(scene).got.remove(&pid).unwrap_or_default();
    let ports: BTreeSet<u16> = ledger.failures().map(|failed| failed.port).collect();
    // What it had received with the last message and not noted any more.
    assert!(ports.difference(&noted).count() <= BATCH, "{ledger}");
    assert!(
        ledger.failures().all(|failed| is_cut(failed.outcome)),
        "{ledger}"
    );
}

#[test]
fn r18_garbage_ends_the_worker_alone() {
    ends_the_worker("garbage", "/garbage", "reserved frame flags");
}

#[test]
fn r18_half_a_frame_ends_the_worker_alone() {
    ends_the_worker("half", "/half", "it sent half a frame");
}

#[test]
fn r18_a_frame_that_is_too_long_ends_the_worker_alone() {
    ends_the_worker("oversize", "/oversize", "it sent a message of more than");
}

#[test]
fn r20_descriptors_that_nobody_asked_for_do_not_stay() {
    let scene = Scene::new("r20");
    let herd = herd(&scene, &["--workers", "2"]).start();
    let address = address(&herd);
    wait_for(&herd, 0, 2, "ready", BOOT);
    get(address, "/").unwrap();
    let master = herd.master().unwrap().pid;
    let look = || Baseline::of(&scene).with_descriptors_of(master);
    let before = look();
    match get(address, "/descriptors") {
        // This kernel refuses them at the sender.
        Ok(body) => assert!(body.contains("Operation not permitted"), "{body}"),
        Err(outcome) => {
            assert!(is_cut(outcome));
            wait_for(&herd, 0, 1, "broke the protocol", BOOT);
            wait_for(&herd, 0, 3, "ready", BOOT);
        }
    }
    traffic(address).count(40).run().assert_no_failure();
    wait::until(BOOT, "the master has as many descriptors as before", || {
        let change = before.difference(&look());
        change
            .iter()
            .all(|line| !line.starts_with("descriptors"))
            .then_some(())
    });
    assert!(herd.end().success());
}

#[test]
fn r21_a_flood_of_messages_from_one_worker_stops_nobody() {
    let scene = Scene::new("r21");
    let herd = herd(&scene, &["--workers", "2"]).start();
    let address = address(&herd);
    let workers = wait_for(&herd, 0, 2, "ready", BOOT);
    let quiet = traffic(address).count(300).run();
    get(address, "/beats/1500").unwrap();
    let loud = traffic(address).lasting(Duration::from_secs(1)).run();
    println!("without: {quiet}\nwith:    {loud}");
    loud.assert_no_failure();
    assert_eq!(loud.per_worker().len(), 2, "the loud one serves, too");
    // Deaths are still seen and replaced.
    let mark = herd.mark();
    herd.signal_to(workers[0].pid, rustix::process::Signal::KILL);
    wait_for(&herd, mark, 1, "ready", BOOT);
    assert_eq!(count(&herd, "broke"), 0);
    assert!(herd.end().success());
}

#[test]
fn r43_a_flood_of_output_from_one_worker_stops_nobody() {
    let scene = Scene::new("r43");
    let herd = herd(&scene, &["--workers", "2"]).start();
    let address = address(&herd);
    wait_for(&herd, 0, 2, "ready", BOOT);
    let load = traffic(address).start();
    get(address, "/print/20000").unwrap();
    load.wait_for_answers(100, BOOT);
    let ledger = load.stop_and_finish();
    println!("{ledger}");
    ledger.assert_no_failure();
    assert!(herd.end().success());
}

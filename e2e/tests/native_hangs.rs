//! Native workers that do not answer any more.

use herder_e2e::client::{Load, get};
use herder_e2e::foreign::{BOOT, Seat, address, freeze, pid_of_body, wait_for};
use herder_e2e::herd::Herd;
use herder_e2e::native::herd;
use herder_e2e::process::Process;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

/// Long enough for a beat every 250 ms to come in time on a busy machine.
const HANG: [&str; 4] = ["--workers", "2", "--hang", "1000"];

fn served_by(address: SocketAddr) -> BTreeSet<i32> {
    let load = Load::http(address, "/slow/20").clients(4).count(16);
    let ledger = load.timeout(BOOT).worker_from(pid_of_body).run();
    ledger.assert_no_failure();
    ledger.per_worker().into_keys().collect()
}

/// Follows a worker from its silence to its replacement, while the other one serves.
fn is_replaced(herd: &Herd, mark: usize, hung: Seat, other: Seat, death: &str) {
    let address = address(herd);
    assert_eq!(
        wait_for(herd, mark, 1, "may hang: no heartbeat for", BOOT),
        [hung]
    );
    assert_eq!(served_by(address), BTreeSet::from([other.pid]));
    assert_eq!(wait_for(herd, mark, 1, death, BOOT), [hung]);
    let next = wait_for(herd, mark, 1, "ready", BOOT)[0];
    assert_eq!((next.slot, next.id), (hung.slot, 3));
    wait::until(BOOT, "both serve", || {
        (served_by(address) == BTreeSet::from([other.pid, next.pid])).then_some(())
    });
    assert!(Process::of(other.pid).is_some_and(|it| it.is_alive()));
}

#[test]
fn r08_a_stopped_worker_is_suspected_killed_and_replaced() {
    let scene = Scene::new("r08_stop");
    let herd = herd(&scene, &HANG).start();
    let workers = wait_for(&herd, 0, 2, "ready", BOOT);
    let mark = herd.mark();
    freeze(&herd, &[workers[0].pid]);
    // SIGABRT waits for it to go on; only SIGKILL does not.
    is_replaced(
        &herd,
        mark,
        workers[0],
        workers[1],
        "died: signal SIGKILL (it hung)",
    );
    assert!(herd.end().success());
}

#[test]
fn r08_a_worker_that_computes_for_ever_is_aborted_and_replaced() {
    let scene = Scene::new("r08_loop");
    let herd = herd(&scene, &HANG).start();
    let address = address(&herd);
    let workers = wait_for(&herd, 0, 2, "ready", BOOT);
    let mark = herd.mark();
    let load = Load::http(address, "/hang").count(1).timeout(BOOT).start();
    let hung = wait_for(&herd, mark, 1, "may hang", BOOT)[0];
    let other = workers.into_iter().find(|worker| *worker != hung);
    let other = other.expect("one of two hangs");
    is_replaced(&herd, mark, hung, other, "died: signal SIGABRT (it hung)");
    assert_eq!(
        load.finish().failures().count(),
        1,
        "the one that made it hang"
    );
    assert!(herd.end().success());
}

#[test]
fn r09_a_suspect_that_beats_again_is_restored() {
    let scene = Scene::new("r09");
    // Three seconds from the suspicion to the kill.
    let herd = herd(&scene, &["--workers", "2", "--hang", "3000"]).start();
    let address = address(&herd);
    let workers = wait_for(&herd, 0, 2, "ready", BOOT);
    let mark = herd.mark();
    freeze(&herd, &[workers[0].pid]);
    wait_for(&herd, mark, 1, "may hang", BOOT);
    assert!(get(address, "/").is_ok());
    herd.signal_to(workers[0].pid, Signal::CONT);
    assert_eq!(
        wait_for(&herd, mark, 1, "answers again", BOOT),
        [workers[0]]
    );
    let both: BTreeSet<i32> = workers.iter().map(|worker| worker.pid).collect();
    wait::until(BOOT, "both serve", || {
        (served_by(address) == both).then_some(())
    });
    assert!(herd.end().success());
}

#[test]
fn r19_a_worker_that_takes_nothing_holds_nothing_up() {
    let scene = Scene::new("r19");
    let herd = herd(&scene, &["--workers", "2"]).start();
    let address = address(&herd);
    wait_for(&herd, 0, 2, "ready", BOOT);
    let load = Load::http(address, "/")
        .clients(8)
        .think(Duration::from_millis(5))
        .worker_from(pid_of_body)
        .start();
    // More than could be in the hands of the one. On a very slow machine they may take longer than it.
    let others_are_served_meanwhile = || {
        // It reads neither connections nor messages for so long.
        let blocked = Load::http(address, "/block/3000").count(1).timeout(BOOT);
        let blocked = blocked.worker_from(pid_of_body).start();
        load.wait_for_answers(200, BOOT);
        let is_still_blocked = blocked.answered() == 0;
        blocked.finish().assert_no_failure();
        is_still_blocked
    };
    assert!((0..5).any(|_| others_are_served_meanwhile()));
    let ledger = load.stop_and_finish();
    println!("{ledger}");
    ledger.assert_no_failure();
    assert!(herd.end().success());
}

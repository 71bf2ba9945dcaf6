//! Every way in which a herd of native workers can end.

use herder_e2e::client::{Load, Outcome, Running, get};
use herder_e2e::foreign::{BOOT, accepted_by, address, pid_of_body, wait_for};
use herder_e2e::herd::Herd;
use herder_e2e::native::herd;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use rustix::process::Signal;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How much longer than the grace an end may take.
const MARGIN: Duration = Duration::from_secs(1);

/// A request that takes so many milliseconds, and that a worker has received.
fn in_flight(herd: &Herd, address: SocketAddr, millis: u32) -> Running {
    let load = Load::http(address, &format!("/slow/{millis}")).count(1);
    let load = load.timeout(BOOT * 2).worker_from(pid_of_body).start();
    wait::until(BOOT, "a worker has received the request", || {
        let workers = herd.workers();
        workers
            .iter()
            .any(|worker| !accepted_by(worker.pid).is_empty())
            .then_some(())
    });
    load
}

fn says(herd: &Herd, text: &str) {
    herd.wait_for_line(text, BOOT, |line| line.contains(text).then_some(()));
}

/// Kills the master when an end was asked for of which it has not heard: no other follows it.
fn kill_master_for_good(herd: &Herd) {
    let master = herd.master().expect("a master");
    herd.signal_to(master.pid, Signal::STOP);
    herd.signal(Signal::TERM);
    herd.signal_to(master.pid, Signal::KILL);
}

fn is_gone(herd: &Herd) {
    wait::until(BOOT, "all of it is gone", || {
        herd.descendants().is_empty().then_some(())
    });
}

#[test]
fn each_ending_signal_lets_what_is_in_flight_finish() {
    for signal in [Signal::TERM, Signal::INT, Signal::QUIT] {
        let scene = Scene::new("graceful");
        let herd = herd(&scene, &["--workers", "2"]).start();
        let address = address(&herd);
        wait_for(&herd, 0, 2, "ready", BOOT);
        let slow = in_flight(&herd, address, 700);
        herd.signal(signal);
        says(&herd, "shutting down gracefully (SIG");
        wait::until(BOOT, "nobody listens any more", || {
            (get(address, "/") == Err(Outcome::Refused)).then_some(())
        });
        slow.finish().assert_no_failure();
        assert_eq!(herd.wait_for_exit(BOOT).code(), Some(0), "{signal:?}");
        is_gone(&herd);
    }
}

#[test]
fn a_second_signal_is_fast() {
    let scene = Scene::new("fast");
    let herd = herd(&scene, &["--grace", "60000"]).start();
    let address = address(&herd);
    wait_for(&herd, 0, 2, "ready", BOOT);
    let slow = in_flight(&herd, address, 60_000);
    herd.signal(Signal::TERM);
    says(&herd, "shutting down gracefully");
    wait::until(BOOT, "another one has its effect", || {
        // The same again right after the first may be an echo of it: then once more.
        herd.signal(Signal::TERM);
        let lines = herd.lines();
        lines
            .iter()
            .any(|line| line.text.contains("shutting down at once"))
            .then_some(())
    });
    assert_eq!(herd.wait_for_exit(BOOT).code(), Some(0));
    is_gone(&herd);
    assert_eq!(slow.finish().failures().count(), 1);
}

#[test]
fn r13_timed_a_worker_that_does_not_leave_is_killed_after_its_grace() {
    const GRACE: Duration = Duration::from_millis(1500);
    wait::timed(GRACE + MARGIN, || {
        let scene = Scene::new("r13");
        let options = ["--workers", "2", "--grace", "1500", "--ignore-drain"];
        let herd = herd(&scene, &options).start();
        wait_for(&herd, 0, 2, "ready", BOOT);
        let begun = Instant::now();
        herd.signal(Signal::TERM);
        says(&herd, "shutting down gracefully");
        assert!(herd.wait_for_exit(BOOT).success());
        let took = begun.elapsed();
        assert!(took >= GRACE, "they had their grace");
        is_gone(&herd);
        took
    });
}

#[test]
fn r28_without_their_master_workers_finish_and_leave() {
    let scene = Scene::new("r28");
    let herd = herd(&scene, &["--workers", "2", "--grace", "8000"]).start();
    let address = address(&herd);
    wait_for(&herd, 0, 2, "ready", BOOT);
    let slow = in_flight(&herd, address, 700);
    kill_master_for_good(&herd);
    slow.finish().assert_no_failure();
    assert_eq!(herd.wait_for_exit(BOOT).code(), Some(70));
    is_gone(&herd);
    assert!(get(address, "/").is_err());
}

#[test]
fn r28_timed_without_their_master_workers_that_do_not_leave_are_killed_after_the_grace() {
    const GRACE: Duration = Duration::from_millis(1500);
    let took = wait::timed(GRACE + MARGIN, || {
        let scene = Scene::new("r28_kill");
        let path = scene.directory().join("it.sock");
        let listen = format!("unix:{}", path.display());
        let options = ["--listen", &listen, "--grace", "1500", "--ignore-drain"];
        let herd = herd(&scene, &options).start();
        wait_for(&herd, 0, 2, "ready", BOOT);
        let hung = herd.workers()[0].pid;
        herd.signal_to(hung, Signal::STOP);
        let begun = Instant::now();
        kill_master_for_good(&herd);
        is_gone(&herd);
        let took = begun.elapsed();
        assert_eq!(herd.wait_for_exit(BOOT).code(), Some(70));
        assert!(!path.exists(), "the keeper removes what the master cannot");
        took
    });
    println!("all gone after {took:?}, grace {GRACE:?}");
}

#[test]
fn r29_without_its_keeper_the_herd_ends_in_order() {
    let scene = Scene::new("r29");
    let path = scene.directory().join("it.sock");
    let listen = format!("unix:{}", path.display());
    let options = ["--listen", "127.0.0.1:0", "--listen", &listen];
    let herd = herd(&scene, &options).start();
    let address = address(&herd);
    wait_for(&herd, 0, 2, "ready", BOOT);
    let slow = in_flight(&herd, address, 700);
    herd.signal(Signal::KILL);
    says(&herd, "the keeper is gone: the herd stops");
    slow.finish().assert_no_failure();
    is_gone(&herd);
    assert!(!path.exists());
}

//! What Node's own primary loses, and a herd does not.

use herder_e2e::client::{Load, get};
use herder_e2e::foreign::{BOOT, address, pid_of_body, wait_for};
use herder_e2e::herd::Signal;
use herder_e2e::node::run;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use std::net::TcpStream;
use std::time::Duration;

#[test]
fn a_worker_that_does_not_move_gets_no_more_than_a_few() {
    let scene = Scene::new("node_stopped");
    let herd = run(&scene, "serve.js", &["-i", "2"]).start();
    let workers = wait_for(&herd, 0, 2, "ready", BOOT);
    herd.signal_to(workers[1].pid, Signal::STOP);
    let load = Load::http(address(&herd), "/").clients(50).count(50);
    let load = load.timeout(BOOT).worker_from(pid_of_body).start();
    // All but what is in its channel.
    load.wait_for_total(46, BOOT);
    herd.signal_to(workers[1].pid, Signal::CONT);
    load.finish().assert_no_failure();
    assert!(herd.end().success());
}

#[test]
fn who_connects_while_nobody_lives_is_served_by_the_successor() {
    let scene = Scene::new("node_alone");
    let herd = run(&scene, "serve.js", &["-i", "1"]).start();
    let address = address(&herd);
    let worker = wait_for(&herd, 0, 1, "ready", BOOT)[0];
    herd.signal_to(worker.pid, Signal::STOP);
    let load = Load::http(address, "/").clients(3).count(3).timeout(BOOT);
    let load = load.worker_from(pid_of_body).start();
    wait::until(BOOT, "a connection is on its way", || {
        TcpStream::connect(address).ok()
    });
    herd.signal_to(worker.pid, Signal::KILL);
    let ledger = load.finish();
    ledger.assert_no_failure();
    assert!(ledger.per_worker().keys().all(|pid| *pid != worker.pid));
    assert!(herd.end().success());
}

#[test]
fn a_program_that_always_dies_is_not_started_in_a_loop() {
    let scene = Scene::new("node_loop");
    let herd = run(&scene, "serve.js", &["-i", "1"]).start();
    wait_for(&herd, 0, 1, "ready", BOOT);
    let address = address(&herd);
    let mark = herd.mark();
    assert!(get(address, "/exit/3").is_err());
    let died = wait_for(&herd, mark, 1, "died: exit status 3", BOOT);
    assert_eq!(died[0].id, 1);
    wait_for(&herd, mark, 1, "ready", BOOT);
    get(address, "/").expect("an answer");
    assert!(herd.end().success());
}

#[test]
fn requests_are_counted_where_the_master_passes_connections() {
    let scene = Scene::new("node_count");
    let options = ["-i", "2", "--max-requests", "100"];
    let herd = run(&scene, "serve.js", &options).start();
    wait_for(&herd, 0, 2, "ready", BOOT);
    let load = Load::http(address(&herd), "/")
        .clients(4)
        .worker_from(pid_of_body);
    let ledger = load.start();
    wait_for(&herd, 0, 6, "ready", Duration::from_secs(60));
    let ledger = ledger.stop_and_finish();
    ledger.assert_no_failure();
    assert!(ledger.per_worker().len() >= 4);
    assert!(herd.end().success());
}

//! A worker that breaks the protocol harms itself, and nobody else.

use herder_e2e::client::Load;
use herder_e2e::foreign::{BOOT, pid_of_body, wait_for};
use herder_e2e::node::{free_address, run};
use herder_e2e::process::own_bytes;
use herder_e2e::scene::Scene;

/// The first worker breaks the protocol after its first connection.
fn harms_only_itself(how: &str, problem: &str) {
    let scene = Scene::new(&format!("node_{how}"));
    let address = free_address();
    let options = ["-i", "2", "--interpreter", "python3", "--no-node-shim"];
    let herd = run(&scene, "hostile.py", &options)
        .args(["--", how])
        .env("PORT_TO_TAKE", address.port().to_string())
        .start();
    let workers = wait_for(&herd, 0, 2, "ready", BOOT);
    let first = workers
        .iter()
        .find(|it| it.id == 1)
        .expect("it is one of them");
    let master = herd.master().expect("it lives").pid;
    let mark = herd.mark();
    let load = Load::http(address, "/").clients(2).worker_from(pid_of_body);
    let load = load.timeout(BOOT).start();
    let problem = format!("broke the protocol of its channel and is killed: {problem}");
    let broken = herd.wait_for_line_after(mark, &problem, BOOT, |line| {
        let start = format!("worker {} #1 [{}] ", first.slot, first.pid);
        line.contains(&start).then(|| line.to_owned())
    });
    assert!(broken.contains(&problem), "{broken}");
    wait_for(&herd, mark, 1, "ready", BOOT);
    load.wait_for_answers(20, BOOT);
    load.stop_and_finish().assert_no_failure();
    let resident = own_bytes(master).expect("it lives");
    assert!(resident < 100 << 20, "{resident} bytes");
    assert!(herd.end().success());
}

#[test]
fn a_blank_line() {
    harms_only_itself("blank", "it wrote a line that no Node writes: blank line");
}

#[test]
fn a_line_that_is_no_json() {
    harms_only_itself(
        "json",
        "it wrote a line that no Node writes: line is not JSON",
    );
}

#[test]
fn a_line_without_end() {
    harms_only_itself("long", "one message of its is longer than 16777216 bytes");
}

/// Node's own primary would take it. The master does not, and says so.
#[test]
fn a_message_of_100_megabytes_is_lost_and_nothing_else() {
    let scene = Scene::new("node_long_message");
    let address = free_address();
    let options = ["-i", "2", "--interpreter", "python3", "--no-node-shim"];
    let herd = run(&scene, "hostile.py", &options)
        .args(["--", "message"])
        .env("PORT_TO_TAKE", address.port().to_string())
        .start();
    let workers = wait_for(&herd, 0, 2, "ready", BOOT);
    let master = herd.master().expect("it lives").pid;
    let load = Load::http(address, "/").clients(2).worker_from(pid_of_body);
    let load = load.timeout(BOOT).start();
    let told = herd.wait_for_line_after(0, "the loss", BOOT, |line| {
        line.contains("says was lost: 1 message ")
            .then(|| line.to_owned())
    });
    assert!(told.contains(" #1 ["), "{told}");
    let resident = own_bytes(master).expect("it lives");
    assert!(resident < 100 << 20, "{resident} bytes");
    load.wait_for_answers(20, BOOT);
    load.stop_and_finish().assert_no_failure();
    // Whoever said it serves on.
    let ledger = Load::http(address, "/").worker_from(pid_of_body);
    let ledger = ledger.count(10).run();
    ledger.assert_no_failure();
    let mut served: Vec<_> = ledger.per_worker().into_keys().collect();
    let mut alive: Vec<_> = workers.iter().map(|it| it.pid).collect();
    served.sort_unstable();
    alive.sort_unstable();
    assert_eq!(format!("{served:?}"), format!("{alive:?}"));
    assert!(herd.end().success());
}

#[test]
fn sockets_that_nobody_asked_for() {
    harms_only_itself("sockets", "it sends descriptors that nobody asked for");
}

#[test]
fn questions_without_end_and_no_ear_for_the_answers() {
    harms_only_itself("deaf", "it does not read what it is told");
}

#[test]
fn lies_change_nothing() {
    let scene = Scene::new("node_lies");
    let address = free_address();
    let options = ["-i", "2", "--interpreter", "python3", "--no-node-shim"];
    let herd = run(&scene, "hostile.py", &options)
        .args(["--", "lies"])
        .env("PORT_TO_TAKE", address.port().to_string())
        .start();
    wait_for(&herd, 0, 2, "ready", BOOT);
    let load = |count| {
        Load::http(address, "/")
            .worker_from(pid_of_body)
            .count(count)
    };
    // Each lies at its first connection. While thousands of lines are read the other one may have a turn more.
    load(4).run_until("each has lied", |it| it.per_worker().len() == 2);
    load(40).run_until("twenty each", |ledger| {
        let each: Vec<usize> = ledger.per_worker().into_values().collect();
        each == [20, 20]
    });
    assert!(herd.end().success());
}

#[test]
fn a_listener_that_is_opened_again_and_again_is_told_of_once() {
    let scene = Scene::new("node_reopen");
    let address = free_address();
    let herd = run(&scene, "reopen.js", &["-i", "1", "--wait-ready"])
        .env("PORT_TO_TAKE", address.port().to_string())
        .start();
    wait_for(&herd, 0, 1, "ready", BOOT);
    let lines = herd.lines();
    let told = lines.iter().filter(|it| it.text.contains("listening on"));
    assert_eq!(told.count(), 1);
    assert!(herd.end().success());
}

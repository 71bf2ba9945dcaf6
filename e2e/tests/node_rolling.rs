//! Every worker is replaced, again and again, under load; the program knows nothing of it.

use herder_e2e::binary::Binary;
use herder_e2e::client::{Ledger, Load, Running};
use herder_e2e::foreign::{BOOT, address, pid_of_body, wait_for};
use herder_e2e::herd::Herd;
use herder_e2e::interpreter::Node;
use herder_e2e::node::{programs, run};
use herder_e2e::scene::Scene;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

/// How often each of the two workers is replaced.
const ROUNDS: usize = 6;

/// Rounds on a machine with a lot to do.
const LONG: Duration = Duration::from_secs(100);

/// Every kind of client there is: those with a connection for each request and those that keep theirs,
/// with instant answers and such that take 50 ms; and one that keeps a connection and thinks, so that it
/// is idle when its worker leaves.
fn clients(address: SocketAddr) -> Vec<(&'static str, Running)> {
    let load = |path: &str, clients| {
        let load = Load::http(address, path).clients(clients);
        load.timeout(BOOT).worker_from(pid_of_body)
    };
    let think = Duration::from_millis(30);
    vec![
        ("per request, instant", load("/", 2).start()),
        ("per request, 50 ms", load("/slow/50", 8).start()),
        ("kept, instant", load("/", 2).keep_alive().start()),
        ("kept, 50 ms", load("/slow/50", 8).keep_alive().start()),
        (
            "kept, idle",
            load("/", 16).keep_alive().think(think).start(),
        ),
    ]
}

/// Waits until each of two workers has been replaced [`ROUNDS`] times.
fn wait_for_rounds(herd: &Herd) {
    let lives = ROUNDS + 1;
    let mut count = 2 * lives;
    loop {
        let ready = wait_for(herd, 0, count, "ready", LONG);
        let of_first = ready.iter().filter(|seat| seat.slot == 0).count();
        let fewer = of_first.min(count - of_first);
        if fewer >= lives {
            return;
        }
        count += lives - fewer;
    }
}

/// Nobody was refused, cut, forgotten, or heard of a connection's end only from its next request.
fn assert_nothing_lost(kind: &str, ledger: &Ledger) {
    ledger.assert_no_failure();
    assert_eq!(
        ledger.notes.untidy_closes, 0,
        "{kind}: reset behind an answer"
    );
    assert_eq!(ledger.notes.unclosed, 0, "{kind}: never closed");
}

fn loses_nothing(name: &str, node: Node, options: &[&str]) {
    let scene = Scene::new(name);
    let setup = run(&scene, "serve.js", &["-i", "2", "--interpreter"]);
    loses_nothing_of(setup.arg(node.program()).args(options).start());
}

fn loses_nothing_of(herd: Herd) {
    wait_for(&herd, 0, 2, "ready", BOOT);
    let clients = clients(address(&herd));
    wait_for_rounds(&herd);
    for (_, running) in &clients {
        running.stop();
    }
    let mut workers = BTreeSet::new();
    for (kind, running) in clients {
        let ledger = running.finish();
        assert_nothing_lost(kind, &ledger);
        workers.extend(ledger.per_worker().into_keys());
    }
    // The last ones may just have come.
    assert!(workers.len() >= 2 * ROUNDS, "{workers:?}");
    assert!(herd.end().success());
}

const BY_AGE: [&str; 2] = ["--max-lifetime", "1s"];

#[test]
fn six_rounds_of_recycling_lose_nothing_by_node_20() {
    loses_nothing("node_six20", Node::Version(20), &BY_AGE);
}

#[test]
fn six_rounds_of_recycling_lose_nothing_by_node_24() {
    loses_nothing("node_six24", Node::Version(24), &BY_AGE);
}

#[test]
fn six_rounds_of_recycling_by_count_lose_nothing() {
    loses_nothing(
        "node_sixcount",
        Node::Version(24),
        &["--max-requests", "1500"],
    );
}

#[test]
fn six_rounds_of_recycling_of_workers_that_accept_lose_nothing() {
    let options = ["--dispatch", "shared", "--max-lifetime", "1s"];
    loses_nothing("node_sixshared", Node::Version(24), &options);
}

#[test]
fn kernel_scenario_34_six_rounds_of_recycling_lose_nothing() {
    for node in [20, 24].map(Node::Version) {
        let options = ["--dispatch", "kernel", "--max-lifetime", "1s"];
        loses_nothing("node_sixkernel", node, &options);
    }
}

#[test]
fn unprivileged_scenario_34_by_what_is_left() {
    for node in [20, 24].map(Node::Version) {
        let scene = Scene::new("node_sixrights");
        let setup = scene.unprivileged(Binary::HERDER).arg("run");
        let setup = setup.arg(programs().join("serve.js")).args(["-i", "2"]);
        let setup = setup.args(["--dispatch", "auto", "--max-lifetime", "1s"]);
        let herd = setup.arg("--interpreter").arg(node.program()).start();
        herd.wait_for_line("what is left, and why", BOOT, |line| {
            line.contains("dispatch: pass (kernel needs CAP_BPF")
                .then_some(())
        });
        loses_nothing_of(herd);
    }
}

#[test]
#[ignore = "three more versions of Node"]
fn six_rounds_of_recycling_lose_nothing_by_other_versions() {
    for node in [18, 22, 26].map(Node::Version) {
        loses_nothing("node_six", node, &BY_AGE);
        loses_nothing(
            "node_sixshared",
            node,
            &["--dispatch", "shared", "--max-lifetime", "1s"],
        );
    }
}

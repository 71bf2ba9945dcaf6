//! Native workers in `pass` mode that die or stop: only what they had received is lost, and the ledgers name it.

use herder_e2e::client::{Ledger, Load};
use herder_e2e::foreign::{BOOT, Seat, accepted_by, address, freeze, pid_of_body, told, wait_for};
use herder_e2e::herd::{Herd, Line};
use herder_e2e::native::{BATCH, Book, Totals, assert_only_these_failed, herd, is_cut};
use herder_e2e::process::Process;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use rustix::process::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

/// Sixteen or more clients that ask one after the other, and whose every connection is remembered.
fn busy(address: SocketAddr, path: &str, clients: usize) -> Load {
    let load = Load::http(address, path).clients(clients).detailed();
    load.timeout(BOOT).worker_from(pid_of_body)
}

/// Stops a worker at a moment when it holds connections, and returns their client ports.
fn freeze_with_connections(herd: &Herd, worker: Seat) -> BTreeSet<u16> {
    wait::until(BOOT, "the worker holds a connection", || {
        freeze(herd, &[worker.pid]);
        let held = accepted_by(worker.pid);
        if held.is_empty() {
            herd.signal_to(worker.pid, Signal::CONT);
        }
        (!held.is_empty()).then_some(held)
    })
}

/// Kills one of three workers under load and accounts for every request.
#[expect(clippy::print_stdout, reason = "what a failure is judged by")]
fn a_kill_costs_what_was_received(name: &str, options: &[&str], clients: usize) -> Totals {
    let scene = Scene::new(name);
    let herd = herd(&scene, &[&["--workers", "3"], options].concat()).start();
    let address = address(&herd);
    let workers = wait_for(&herd, 0, 3, "ready", BOOT);
    let load = busy(address, "/slow/20", clients).start();
    load.wait_for_answers(50, BOOT);
    let mark = herd.mark();
    let received = freeze_with_connections(&herd, workers[1]);
    herd.signal_to(workers[1].pid, Signal::KILL);
    let dead = wait_for(&herd, mark, 1, "died: signal SIGKILL", BOOT)[0];
    assert_eq!(dead, workers[1]);
    let next = wait_for(&herd, mark, 1, "ready", BOOT)[0];
    assert_eq!((next.slot, next.id), (dead.slot, 4));
    load.wait_for_answers(50, BOOT);
    let ledger = load.stop_and_finish();
    println!("{ledger}");
    assert_only_these_failed(&ledger, &received);
    assert!(ledger.failures().count() <= received.len(), "{ledger}");
    assert_eq!(Book::of(&scene).seen_twice(), [0_u64; 0], "{ledger}");
    for other in [workers[0], workers[2]] {
        assert!(Process::of(other.pid).is_some_and(|it| it.is_alive()));
    }
    assert_books_balance(herd, &ledger)
}

/// Ends the herd: what the clients sent, the master accepted, and handed or gave up.
fn assert_books_balance(herd: Herd, ledger: &Ledger) -> Totals {
    herd.signal(Signal::TERM);
    assert!(herd.wait_for_exit(BOOT).success());
    let totals = Totals::of(&herd);
    assert_eq!(totals.accepted, ledger.notes.connections, "{totals:?}");
    assert_eq!(totals.closed, 0, "{totals:?}");
    let sent = totals.accepted + totals.taken_back;
    assert_eq!(totals.handed, sent, "{totals:?}");
    totals
}

#[test]
fn r23_r24_a_killed_worker_costs_only_what_it_had_received() {
    a_kill_costs_what_was_received("kill", &[], 24);
}

#[test]
fn r23_r24_what_a_killed_worker_had_not_received_is_served_by_others() {
    // One at a time: every worker has a queue that it has not received.
    let totals = a_kill_costs_what_was_received("queue", &["--blocking"], 40);
    assert!(totals.taken_back > 0, "{totals:?}");
}

#[test]
fn r23_r24_kills_at_any_moment_cost_only_what_was_received() {
    let scene = Scene::new("kills");
    let herd = herd(&scene, &["--workers", "4"]).start();
    let address = address(&herd);
    let mut next = wait_for(&herd, 0, 4, "ready", BOOT)[0];
    let load = busy(address, "/slow/5", 16).start();
    let mut killed = Vec::new();
    for _ in 0..3 {
        load.wait_for_answers(100, BOOT);
        let mark = herd.mark();
        herd.signal_to(next.pid, Signal::KILL);
        killed.push(next.pid);
        next = wait_for(&herd, mark, 1, "ready", BOOT)[0];
    }
    let ledger = load.stop_and_finish();
    println!("{ledger}");
    let book = Book::of(&scene);
    let noted: BTreeSet<u16> = killed
        .iter()
        .flat_map(|pid| book.got.get(pid).cloned().unwrap_or_default())
        .collect();
    // The worker notes each connection of a message after it has received them all.
    let mut unnoted = 0;
    for failed in ledger.failures() {
        assert!(is_cut(failed.outcome), "{failed:?} of {ledger}");
        unnoted += usize::from(!noted.contains(&failed.port));
    }
    assert!(unnoted <= killed.len() * BATCH, "{unnoted} of {ledger}");
    assert_eq!(book.seen_twice(), [0_u64; 0], "{ledger}");
    assert_books_balance(herd, &ledger);
}

#[test]
fn r23_a_stopped_worker_delays_only_what_it_had_received() {
    const ASKED: u64 = 2000;
    let scene = Scene::new("stopped");
    // It stands still, and is not killed for it.
    let herd = herd(&scene, &["--workers", "2", "--hang", "60000"]).start();
    let address = address(&herd);
    let workers = wait_for(&herd, 0, 2, "ready", BOOT);
    let load = busy(address, "/", 1).at_rate(1000).count(ASKED).start();
    load.wait_for_answers(800, BOOT);
    freeze(&herd, &[workers[0].pid]);
    let received = accepted_by(workers[0].pid).len() as u64;
    // The other one serves on: while this one stands still, all the others are answered.
    load.wait_for_total(ASKED - received, BOOT);
    herd.signal_to(workers[0].pid, Signal::CONT);
    let mut ledger = load.finish();
    println!("{ledger}");
    ledger.assert_no_failure();
    assert_eq!(ledger.complete() as u64, ASKED);
    let after = busy(address, "/", 1).numbered_from(ASKED).count(300).run();
    after.assert_no_failure();
    assert_eq!(Book::of(&scene).seen_twice(), [0_u64; 0]);
    assert_eq!(after.per_worker().len(), 2, "both serve again: {after}");
    ledger.notes.connections += after.notes.connections;
    assert_books_balance(herd, &ledger);
}

#[test]
fn r15_eight_deaths_at_once_are_eight_deaths() {
    let scene = Scene::new("eight");
    let herd = herd(&scene, &["--workers", "8"]).start();
    let address = address(&herd);
    let first = wait_for(&herd, 0, 8, "ready", BOOT);
    let mark = herd.mark();
    for worker in &first {
        herd.signal_to(worker.pid, Signal::KILL);
    }
    let dead = wait_for(&herd, mark, 8, "died: signal SIGKILL", BOOT);
    let ids = |seats: &[Seat]| {
        seats
            .iter()
            .map(|it| (it.slot, it.id))
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(ids(&dead), ids(&first));
    let second = wait_for(&herd, mark, 8, "ready", BOOT);
    let slots: BTreeSet<u16> = second.iter().map(|seat| seat.slot).collect();
    assert_eq!(slots, (0..8).collect());
    let ledger = busy(address, "/slow/20", 16).count(64).run();
    ledger.assert_no_failure();
    assert!(herd.master().is_some());
    let after = herd.lines().split_off(mark);
    let count = |what| {
        after
            .iter()
            .filter(|line| told(&line.text, what).is_some())
            .count()
    };
    assert_eq!((count("died"), count("started"), count("ready")), (8, 8, 8));
    assert!(herd.end().success());
}

#[test]
fn r14_what_a_worker_had_started_ends_with_it() {
    let scene = Scene::new("children");
    let herd = herd(&scene, &["--workers", "1"]).start();
    let address = address(&herd);
    let worker = wait_for(&herd, 0, 1, "ready", BOOT)[0];
    let ledger = busy(address, "/child", 1).count(2).run();
    ledger.assert_no_failure();
    let children = wait::until(BOOT, "two children", || {
        let children = herd.titled("sleep");
        (children.len() == 2).then_some(children)
    });
    assert!(children.iter().all(|child| child.group == worker.pid));
    herd.signal_to(worker.pid, Signal::KILL);
    wait::until(Duration::from_secs(10), "the children have ended", || {
        children.iter().all(|child| !child.lives_on()).then_some(())
    });
    assert!(herd.end().success());
}

#[test]
fn a_panic_is_a_suicide_that_costs_nothing() {
    let scene = Scene::new("panic");
    let herd = herd(&scene, &["--workers", "2"]).start();
    let address = address(&herd);
    wait_for(&herd, 0, 2, "ready", BOOT);
    let mark = herd.mark();
    let ledger = busy(address, "/panic", 4).count(12).run();
    println!("{ledger}");
    ledger.assert_no_failure();
    let order = wait::until(BOOT, "who panicked has a successor", || {
        let order = successions(&herd.lines().split_off(mark));
        let is_told = !order.is_empty() && order.values().all(|words| words.len() == 2);
        is_told.then_some(order)
    });
    for (slot, words) in order {
        assert_eq!(words, ["announces", "started"], "slot {slot}");
    }
    assert!(herd.end().success());
}

/// For each slot the first words after the first announcement of an end.
fn successions(lines: &[Line]) -> BTreeMap<u16, Vec<&'static str>> {
    let mut found: BTreeMap<u16, Vec<&'static str>> = BTreeMap::new();
    for line in lines {
        for word in ["announces", "started", "ended"] {
            let Some(seat) = told(&line.text, word) else {
                continue;
            };
            let words = found.entry(seat.slot).or_default();
            if words.len() < 2 && (word == "announces" || !words.is_empty()) {
                words.push(word);
            }
        }
    }
    found.retain(|_, words| words.len() == 2);
    found
}

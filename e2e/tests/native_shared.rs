//! Native workers that accept for themselves.

use herder_e2e::client::{Load, get};
use herder_e2e::foreign::{BOOT, accepted_by, address, freeze, pid_of_body, wait_for};
use herder_e2e::native::{Book, assert_only_these_failed, herd};
use herder_e2e::scene::Scene;
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};

const SHARED: [&str; 2] = ["--dispatch", "shared"];

fn requests(address: SocketAddr, path: &str) -> Load {
    Load::http(address, path)
        .timeout(BOOT)
        .detailed()
        .worker_from(pid_of_body)
}

#[test]
fn all_of_them_serve_when_there_is_enough_to_do() {
    for kind in [&["--workers", "3"][..], &["--workers", "3", "--blocking"]] {
        let scene = Scene::new("shared");
        let herd = herd(&scene, &[&SHARED, kind].concat()).start();
        let address = address(&herd);
        let pids: BTreeSet<i32> = wait_for(&herd, 0, 3, "ready", BOOT)
            .iter()
            .map(|seat| seat.pid)
            .collect();
        let load = requests(address, "/block/10").clients(12).count(120);
        let ledger = load.run_until("all serve", |ledger| {
            let served: BTreeSet<i32> = ledger.per_worker().into_keys().collect();
            served == pids
        });
        println!("{ledger}");
        assert!(herd.end().success());
    }
}

#[test]
fn r24_a_kill_costs_what_was_accepted() {
    let scene = Scene::new("shared_kill");
    let herd = herd(&scene, &[&SHARED[..], &["--workers", "3"]].concat()).start();
    let address = address(&herd);
    let workers = wait_for(&herd, 0, 3, "ready", BOOT);
    let load = requests(address, "/slow/20").clients(24).start();
    load.wait_for_answers(50, BOOT);
    let mark = herd.mark();
    freeze(&herd, &[workers[0].pid]);
    let accepted = accepted_by(workers[0].pid);
    herd.signal_to(workers[0].pid, Signal::KILL);
    let next = wait_for(&herd, mark, 1, "ready", BOOT)[0];
    load.wait_for_answers(50, BOOT);
    let ledger = load.stop_and_finish();
    println!("{ledger}");
    assert_only_these_failed(&ledger, &accepted);
    assert_eq!(Book::of(&scene).seen_twice(), [0_u64; 0]);
    assert_eq!(next.slot, workers[0].slot);
    assert!(herd.end().success());
}

#[test]
fn r25b_a_wake_up_that_a_dying_worker_swallowed_is_given_to_another() {
    // The kernel wakes one worker for one connection. Stopped, it takes the wake-up and does nothing.
    const ROUNDS: usize = 5;
    let scene = Scene::new("shared_nudge");
    let options = [&SHARED[..], &["--workers", "2"]].concat();
    let herd = herd(&scene, &options).start();
    let address = address(&herd);
    let mut victim = wait_for(&herd, 0, 2, "ready", BOOT)[0];
    for _ in 0..ROUNDS {
        let mark = herd.mark();
        freeze(&herd, &[victim.pid]);
        let load = requests(address, "/").clients(6).count(6).start();
        herd.signal_to(victim.pid, Signal::KILL);
        let ledger = load.finish();
        ledger.assert_no_failure();
        victim = wait_for(&herd, mark, 1, "ready", BOOT)[0];
    }
    assert!(herd.end().success());
}

#[test]
fn r25d_a_listener_that_a_worker_shut_down_listens_again() {
    let scene = Scene::new("shared_shut");
    // A port of our own: one that the kernel chose for a listener is lost with it.
    let free = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
    let address = free.expect("there is a free port");
    let listen = address.to_string();
    let options = [&SHARED[..], &["--workers", "2", "--listen", &listen]].concat();
    let herd = herd(&scene, &options).start();
    wait_for(&herd, 0, 2, "ready", BOOT);
    for _ in 0..3 {
        let mark = herd.mark();
        assert!(get(address, "/shut").is_ok());
        let told = format!("warning: a worker shut the listener on {address} down");
        herd.wait_for_line_after(mark, &told, BOOT, |line| line.contains(&told).then_some(()));
        requests(address, "/slow/20")
            .clients(8)
            .count(32)
            .run()
            .assert_no_failure();
    }
    assert!(herd.end().success());
}

//! Planned replacements under load: nobody notices.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use herder_e2e::client::{Load, get};
use herder_e2e::foreign::{BOOT, address, pid_of_body, told, wait_for};
use herder_e2e::herd::Herd;
use herder_e2e::native::herd;
use herder_e2e::process::resident_bytes;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use rustix::process::Signal;
use std::net::SocketAddr;
use std::time::Duration;

fn traffic(address: SocketAddr) -> Load {
    let load = Load::http(address, "/slow/2").clients(4).timeout(BOOT);
    load.worker_from(pid_of_body)
}

/// The steps of one replacement, in their order.
const STEPS: [&str; 3] = ["is to be replaced", "ready", "is told to leave: it reached"];

/// Looks that workers are replaced one at a time, each with its replacement ready first, and
/// returns how many were.
fn replacements(herd: &Herd) -> usize {
    let mut step = 0;
    let mut slot = None;
    let mut done = 0;
    for line in herd.lines() {
        let heard = STEPS
            .iter()
            .position(|what| told(&line.text, what).is_some());
        let Some(heard) = heard else { continue };
        let seat = told(&line.text, STEPS[heard]).unwrap();
        if heard == 1 && slot.is_none() {
            continue; // The first generation gets ready.
        }
        assert_eq!(heard, step, "out of turn: {}", line.text);
        assert!(
            slot.is_none_or(|slot| slot == seat.slot),
            "two at a time: {}",
            line.text
        );
        step = (step + 1) % STEPS.len();
        slot = (step != 0).then_some(seat.slot);
        done += usize::from(step == 0);
    }
    done
}

#[test]
fn workers_are_replaced_after_so_many_requests() {
    let scene = Scene::new("requests");
    let herd = herd(&scene, &["--workers", "3", "--max-requests", "40"]).start();
    let ledger = traffic(address(&herd)).count(800).run();
    println!("{ledger}");
    ledger.assert_no_failure();
    assert!(ledger.per_worker().len() > 6, "{ledger}");
    assert!(replacements(&herd) > 3);
    assert!(herd.end().success());
}

#[test]
fn workers_are_replaced_when_they_are_old() {
    let scene = Scene::new("lifetime");
    let herd = herd(&scene, &["--workers", "3", "--max-lifetime", "200"]).start();
    let load = traffic(address(&herd)).start();
    wait::until(BOOT, "six replacements", || {
        (replacements(&herd) >= 6).then_some(())
    });
    let ledger = load.stop_and_finish();
    println!("{ledger}");
    ledger.assert_no_failure();
    assert!(herd.end().success());
}

#[test]
fn a_worker_is_replaced_when_it_has_grown() {
    let scene = Scene::new("memory");
    let herd = herd(&scene, &["--workers", "2", "--max-memory", "100"]).start();
    let address = address(&herd);
    wait_for(&herd, 0, 2, "ready", BOOT);
    let load = traffic(address).start();
    load.wait_for_answers(20, BOOT);
    assert_eq!(replacements(&herd), 0, "small ones stay");
    let mark = herd.mark();
    let fat = pid_of_body(get(address, "/eat/120").unwrap().as_bytes()).unwrap();
    assert!(resident_bytes(fat).is_none_or(|bytes| bytes > 120 << 20));
    let leaves = wait_for(
        &herd,
        mark,
        1,
        "is told to leave: it reached max_memory",
        BOOT,
    );
    assert_eq!(leaves[0].pid, fat);
    load.wait_for_answers(20, BOOT);
    let ledger = load.stop_and_finish();
    println!("{ledger}");
    ledger.assert_no_failure();
    assert_eq!(replacements(&herd), 1);
    assert!(herd.end().success());
}

#[test]
fn ttin_and_ttou_change_the_number_of_workers() {
    let scene = Scene::new("scale");
    let herd = herd(&scene, &["--workers", "1"]).start();
    let address = address(&herd);
    wait_for(&herd, 0, 1, "ready", BOOT);
    let load = traffic(address).start();
    for (signal, count) in [
        (Signal::TTIN, 2),
        (Signal::TTIN, 3),
        (Signal::TTOU, 2),
        (Signal::TTIN, 3),
        (Signal::TTOU, 2),
        (Signal::TTOU, 1),
    ] {
        let mark = herd.mark();
        herd.signal(signal);
        let what = if signal == Signal::TTIN {
            "ready"
        } else {
            "ended: exit status 0"
        };
        wait_for(&herd, mark, 1, what, BOOT);
        herd.wait_for_workers(count, BOOT);
        load.wait_for_answers(20, BOOT);
    }
    let mark = herd.mark();
    herd.signal(Signal::TTOU);
    herd.wait_for_line_after(mark, "the last one stays", BOOT, |line| {
        line.contains("warning: an app has 1 to 256 workers")
            .then_some(())
    });
    let ledger = load.stop_and_finish();
    println!("{ledger}");
    ledger.assert_no_failure();
    assert!(ledger.longest_gap() < Duration::from_secs(5), "{ledger}");
    assert!(herd.end().success());
}

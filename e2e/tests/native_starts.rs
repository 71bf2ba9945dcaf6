//! Native workers that do not get ready, and what those that do are given.

use herder_e2e::foreign::{BOOT, address, wait_for};
use herder_e2e::herd::Stream;
use herder_e2e::native::herd;
use herder_e2e::process::descriptors;
use herder_e2e::scene::Scene;
use std::collections::BTreeSet;
use std::fs;

#[test]
fn r12_a_herd_of_which_no_worker_starts_ends_with_the_reason() {
    let scene = Scene::new("r12");
    let options = [
        "--workers",
        "2",
        "--exit-at-start",
        "7",
        "--max-restarts",
        "1",
    ];
    let herd = herd(&scene, &options).start();
    assert_eq!(herd.wait_for_exit(BOOT).code(), Some(3));
    let said = herd.texts(Stream::Stderr);
    let count = |text| said.iter().filter(|line| line.contains(text)).count();
    assert_eq!(count("died: exit status 7 (crash)"), 4, "two of each slot");
    assert_eq!(count("is quarantined: 1 restart within"), 2);
    assert_eq!(count("no worker became ready"), 1);
}

#[test]
fn r11_a_worker_that_does_not_get_ready_in_time_is_killed_and_tried_again() {
    let scene = Scene::new("r11");
    let options = ["--workers", "1", "--never-ready", "--boot-timeout", "500"];
    let herd = herd(&scene, &options).start();
    let late = wait_for(&herd, 0, 2, "was not ready in time and is killed", BOOT);
    assert_eq!((late[0].id, late[1].id), (1, 2));
    wait_for(
        &herd,
        0,
        2,
        "died: signal SIGKILL (it was not ready in time)",
        BOOT,
    );
    assert!(herd.end().success());
}

#[test]
fn r53_a_worker_has_its_own_streams_and_nothing_of_the_listeners() {
    let scene = Scene::new("r53");
    let herd = herd(&scene, &["--workers", "2"]).start();
    let port = address(&herd).port();
    let workers = wait_for(&herd, 0, 2, "ready", BOOT);
    let listener = listening_on(port).expect("the master listens there");
    let mut streams = BTreeSet::new();
    for worker in workers {
        let open = descriptors(worker.pid).expect("the worker lives");
        assert_eq!(open[&0], "/dev/null");
        assert!(open.values().all(|target| *target != listener), "{open:?}");
        for stream in [1, 2] {
            assert!(open[&stream].starts_with("pipe:"), "{open:?}");
            assert!(
                streams.insert(open[&stream].clone()),
                "a pipe of its own: {open:?}"
            );
        }
        // What it was given, and the library's own; nothing else of the master's.
        let sockets = open.values().filter(|target| target.starts_with("socket:"));
        assert!(sockets.count() <= 4, "{open:?}");
    }
    assert!(herd.end().success());
}

/// The listening socket of a port of 127.0.0.1, as a descriptor shows it.
fn listening_on(port: u16) -> Option<String> {
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    let address = format!("0100007F:{port:04X}");
    let line = table.lines().find(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.get(1) == Some(&&*address) && fields.get(3) == Some(&"0A")
    })?;
    Some(format!("socket:[{}]", line.split_whitespace().nth(9)?))
}

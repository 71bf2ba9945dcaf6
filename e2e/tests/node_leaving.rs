//! Workers that leave: by their own wish, by a limit, or with the herd.

use herder_e2e::client::{Load, get};
use herder_e2e::foreign::{BOOT, address, pid_of_body, wait_for};
use herder_e2e::herd::Signal;
use herder_e2e::interpreter::Node;
use herder_e2e::node::{free_address, run};
use herder_e2e::scene::Scene;
use std::time::{Duration, Instant};

#[test]
fn a_suicide_is_replaced_at_once_and_loses_nothing() {
    let scene = Scene::new("node_suicide");
    let herd = run(&scene, "serve.js", &["-i", "2"]).start();
    wait_for(&herd, 0, 2, "ready", BOOT);
    let address = address(&herd);
    let load = Load::http(address, "/slow/5").clients(4).start();
    load.wait_for_answers(20, BOOT);
    for _ in 0..3 {
        let mark = herd.mark();
        get(address, "/suicide").expect("an answer");
        wait_for(&herd, mark, 1, "ready", BOOT);
        wait_for(&herd, mark, 1, "ended: exit status 0", BOOT);
    }
    load.stop_and_finish().assert_no_failure();
    assert!(herd.end().success());
}

#[test]
fn what_a_program_does_to_itself_ends_as_with_node() {
    let scene = Scene::new("node_self");
    let herd = run(&scene, "serve.js", &["-i", "2"]).start();
    wait_for(&herd, 0, 2, "ready", BOOT);
    let address = address(&herd);
    for path in ["/disconnect", "/kill", "/cut"] {
        let mark = herd.mark();
        // Some of them cut their own answer.
        let _answer = get(address, path);
        let ended = wait_for(&herd, mark, 1, "ended: exit status 0", BOOT);
        let next = wait_for(&herd, mark, 1, "ready", BOOT);
        assert_eq!(next[0].slot, ended[0].slot, "{path}");
        get(address, "/").expect("an answer");
    }
    assert!(herd.end().success());
}

#[test]
fn a_program_without_a_handler_finishes_what_it_has() {
    let scene = Scene::new("node_finish");
    for options in [&["-i", "2"][..], &["-i", "2", "--dispatch", "shared"]] {
        let herd = run(&scene, "serve.js", options).start();
        wait_for(&herd, 0, 2, "ready", BOOT);
        let load = Load::http(address(&herd), "/slow/700").clients(4).count(4);
        let load = load.worker_from(pid_of_body).start();
        get(address(&herd), "/slow/100").expect("the others are in before it");
        herd.signal(Signal::TERM);
        load.finish().assert_no_failure();
        assert!(herd.wait_for_exit(BOOT).success());
        let killed = |line: &str| line.contains("died") || line.contains("signal SIG");
        let lines = herd.lines();
        assert!(!lines.iter().any(|line| killed(&line.text)), "{lines:?}");
    }
}

#[test]
#[ignore = "Bun is for the long tests"]
fn bun_finishes_what_it_has_begun() {
    let scene = Scene::new("node_bun");
    let address = free_address();
    let listen = format!(r#"{{"port":{},"host":"127.0.0.1"}}"#, address.port());
    let bun = Node::Bun.program();
    let herd = run(&scene, "serve.js", &["-i", "2", "--grace", "16s"])
        .arg("--interpreter")
        .arg(bun)
        .env("LISTEN", listen)
        .start();
    wait_for(&herd, 0, 2, "ready", BOOT);
    // It ends its channel as soon as it is told to leave.
    let load = Load::http(address, "/slow/3000").clients(4).count(4);
    let load = load.timeout(BOOT).worker_from(pid_of_body).start();
    get(address, "/slow/500").expect("the others are in before it");
    herd.signal(Signal::TERM);
    load.finish().assert_no_failure();
    assert!(herd.wait_for_exit(BOOT).success());
}

#[test]
fn a_program_that_stays_is_told_by_a_signal() {
    let scene = Scene::new("node_timer");
    let herd = run(&scene, "serve.js", &["-i", "1", "--grace", "60s"])
        .env("TIMER", "1")
        .start();
    wait_for(&herd, 0, 1, "ready", BOOT);
    let start = Instant::now();
    herd.signal(Signal::TERM);
    assert!(herd.wait_for_exit(BOOT).success());
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "its channel had ended"
    );
    wait_for(&herd, 0, 1, "ended: signal SIGTERM", BOOT);
}

#[test]
fn a_worker_is_ready_when_it_says_so() {
    let scene = Scene::new("node_ready");
    let options = ["-i", "1", "--wait-ready", "--shutdown-with-message"];
    let herd = run(&scene, "serve.js", &options)
        .env("READY_LATER", "300")
        .start();
    let listening = herd.wait_for_line("the address", BOOT, |line| {
        line.contains("listening on").then(Instant::now)
    });
    wait_for(&herd, 0, 1, "ready", BOOT);
    assert!(listening.elapsed() >= Duration::from_millis(200));
    get(address(&herd), "/").expect("an answer");
    herd.signal(Signal::TERM);
    herd.wait_for_line("the message", BOOT, |line| {
        line.contains("was told \"shutdown\"").then_some(())
    });
    assert!(herd.end().success());
}

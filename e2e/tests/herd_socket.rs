//! What a herd says at its socket, and does when it is asked there.

use herder_api::herd::{HerdAnswer, HerdRequest};
use herder_api::problem::ProblemKind;
use herder_api::status::SlotStatus;
use herder_e2e::caller::{Caller, Ordered, PATIENCE};
use herder_e2e::herd::Signal;
use herder_e2e::interpreter::Node;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::time::Instant;

const SLEEP: [&str; 2] = ["sleep", "600"];

fn stop(fast: bool) -> HerdRequest {
    HerdRequest::Stop { fast }
}

#[test]
fn whoever_is_connected_hears_what_happens_and_how_the_herd_stands() {
    let scene = Scene::new("sock-status");
    let ordered = Ordered::command(&scene, &SLEEP, 2);
    let (herd, mut caller) = ordered.start();
    assert_eq!(caller.status.keeper, herd.pid());
    assert_eq!(caller.status.master, herd.master().unwrap().pid);
    assert_eq!(caller.status.generation, 1);
    assert!(!caller.status.busy);
    let slot = &caller.status.slots[1];
    assert_eq!((slot.slot, slot.rests.as_str()), (1, ""));
    assert!(slot.workers[0].guessed && slot.workers[0].generation == 1);
    // One that waits for its start is seen, too. The first wait is as short as the pause between two statuses: on
    // a busy machine it may be over before it is told, and then a longer one follows.
    loop {
        let victim = caller.status.slots[1].workers[0].pid;
        caller.forget();
        herd.signal_to(victim, Signal::KILL);
        let exited = caller.wait_for_event("exited");
        assert_eq!(exited["pid"], victim);
        assert_eq!(exited["app"], "web");
        assert_eq!(exited["level"], "warning");
        assert!(exited["message"].as_str().unwrap().contains("SIGKILL"));
        caller.wait_for_status("another worker is ready", |status| {
            let mut workers = status.slots[1].workers.iter();
            workers.any(|it| it.pid != victim && it.phase == "ready")
        });
        let waits = |it: &SlotStatus| it.rests == "waiting" && it.retry_in_ms.is_some();
        if caller.told.iter().any(|(_, it)| waits(&it.slots[1])) {
            break;
        }
        assert!(caller.status.slots[1].failures < 4, "{:?}", caller.told);
    }
    changes_that_come_together_are_told_together(&mut caller);
    let mode = fs::symlink_metadata(ordered.socket()).unwrap().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(caller.count(stop(false)), 12);
    caller.wait_for_event("finished");
    caller.wait_for_end();
    assert!(herd.wait_for_exit(PATIENCE).success());
    assert!(!ordered.socket().exists());
    assert!(herd.end().success());
}

/// Ten more workers, each of which starts and is ready: that is not ten times as many statuses.
fn changes_that_come_together_are_told_together(caller: &mut Caller) {
    caller.forget();
    let begun = Instant::now();
    assert_eq!(caller.count(HerdRequest::Scale { workers: 12 }), 10);
    caller.wait_for_status("all are ready", |status| {
        let workers = status.slots.iter().flat_map(|slot| &slot.workers);
        workers.filter(|worker| worker.phase == "ready").count() == 12
    });
    // When they are read says little about when they were told, but all were told since.
    let most = begun.elapsed().as_millis() / 100 + 2;
    let told = caller.told.len();
    assert!(told as u128 <= most, "{told} statuses, not {most}");
    for pair in caller.told.windows(2) {
        assert_ne!(pair[0].1.slots, pair[1].1.slots);
    }
}

#[test]
fn a_herd_is_scaled_and_says_when_it_is_done() {
    let scene = Scene::new("sock-scale");
    let (herd, mut caller) = Ordered::command(&scene, &SLEEP, 1).start();
    let scale = |workers| HerdRequest::Scale { workers };
    assert_eq!(caller.count(scale(3)), 2);
    caller.wait_for_event("ready");
    let ready = caller.events.iter().filter(|it| it["event"] == "ready");
    assert_eq!(ready.count(), 2, "answered when they are");
    caller.wait_for_status("three", |status| status.wanted == 3);
    assert_eq!(caller.count(scale(3)), 0);
    assert_eq!(caller.count(scale(1)), 2);
    caller.wait_for_status("one slot", |status| status.slots.len() == 1);
    for wrong in [0, 257, u16::MAX] {
        let problem = caller.request(scale(wrong)).unwrap_err();
        assert_eq!(problem.kind, ProblemKind::Invalid, "{problem}");
    }
    assert_eq!(caller.status.wanted, 1);
    caller.count(stop(true));
    caller.wait_for_end();
    assert!(herd.end().success());
}

#[test]
fn new_workers_that_fail_are_the_answer() {
    let scene = Scene::new("sock-scale-fails");
    let script = "test $HERDER_SLOT = 0 || { echo no room; exit 7; }; exec sleep 600";
    let (herd, mut caller) = Ordered::command(&scene, &["sh", "-c", script], 1).start();
    let asked = caller.request(HerdRequest::Scale { workers: 2 });
    let problem = asked.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::Failed);
    assert!(problem.message.contains("slot 1"), "{problem}");
    assert_eq!(problem.last_lines, ["no room"]);
    caller.count(stop(true));
    assert!(herd.end().success());
}

#[test]
fn signals_reach_the_workers_they_are_for() {
    let scene = Scene::new("sock-signal");
    let (herd, mut caller) = Ordered::command(&scene, &SLEEP, 2).start();
    let signal = |signal: i32, slot| HerdRequest::Signal { signal, slot };
    // Without effect on a sleeper, unlike the next.
    assert_eq!(caller.count(signal(28, None)), 2);
    let (first, second) = (caller.workers()[0], caller.workers()[1]);
    assert_eq!(caller.count(signal(10, Some(1))), 1);
    let exited = caller.wait_for_event("exited");
    assert_eq!(
        (&exited["pid"], &exited["signal"]),
        (&second.into(), &"SIGUSR1".into())
    );
    assert!(caller.workers().contains(&first));
    for (wrong, slot, kind) in [
        (0, None, ProblemKind::Invalid),
        (32, None, ProblemKind::Invalid),
        (65, None, ProblemKind::Invalid),
        (10, Some(2), ProblemKind::NotFound),
    ] {
        let problem = caller.request(signal(wrong, slot)).unwrap_err();
        assert_eq!(problem.kind, kind, "{wrong} {slot:?}: {problem}");
    }
    caller.count(stop(true));
    assert!(herd.end().success());
}

#[test]
fn a_worker_that_hangs_for_somebody_is_replaced() {
    let scene = Scene::new("sock-fail");
    let (herd, mut caller) = Ordered::command(&scene, &SLEEP, 2).start();
    let before = caller.workers();
    let fail = HerdRequest::Fail {
        slot: Some(0),
        reason: "it answers nobody".to_owned(),
    };
    assert_eq!(caller.count(fail), 1);
    let failed = caller.wait_for_event("failed");
    assert_eq!(failed["pid"], before[0]);
    assert_eq!(failed["reason"], "it answers nobody");
    caller.wait_for_status("replaced", |status| {
        let worker = status.slots[0].workers.first();
        worker.is_some_and(|it| it.pid != before[0] && it.phase == "ready")
    });
    assert_eq!(caller.workers()[1], before[1]);
    let counters = |caller: &Caller| {
        let slots = caller.status.slots.iter();
        slots
            .map(|it| (it.restarts, it.failures))
            .collect::<Vec<_>>()
    };
    assert_eq!(counters(&caller), [(1, 1), (0, 0)]);
    caller.count(HerdRequest::Reset);
    caller.wait_for_status("counters of 0", |status| status.slots[0].restarts == 0);
    assert_eq!(counters(&caller), [(0, 0), (0, 0)]);
    caller.count(stop(true));
    assert!(herd.end().success());
}

#[test]
fn lines_reach_the_input_of_workers_also_after_the_masters_death() {
    let scene = Scene::new("sock-send");
    let script = "while read line; do echo \"$HERDER_SLOT $line\" >> said; done";
    let mut ordered = Ordered::command(&scene, &["sh", "-c", script], 2);
    ordered.app.stdin = herder_api::app::Stdin::Pipe;
    let (herd, mut caller) = ordered.start();
    let workers = caller.workers();
    let send = |line: &str, slot| HerdRequest::Send {
        line: line.to_owned(),
        slot,
    };
    let said = |lines: &[&str]| {
        let path = scene.directory().join("said");
        wait::until(PATIENCE, "what was sent", || {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let mut said: Vec<_> = text.lines().collect();
            said.sort_unstable();
            (said == lines).then_some(())
        });
    };
    assert_eq!(caller.count(send("one", None)), 2);
    said(&["0 one", "1 one"]);
    herd.signal_to(caller.status.master, Signal::KILL);
    caller.wait_for_end();
    let mut caller = ordered.call_when_ready();
    assert_eq!(caller.workers(), workers);
    assert_eq!(caller.count(send("two", Some(1))), 1);
    said(&["0 one", "1 one", "1 two"]);
    for wrong in ["a\nb".to_owned(), "x".repeat(4096)] {
        let problem = caller.request(send(&wrong, None)).unwrap_err();
        assert_eq!(problem.kind, ProblemKind::Invalid);
    }
    caller.count(stop(true));
    assert!(herd.end().success());
    // Who has no input is told so.
    let scene = Scene::new("sock-no-input");
    let (herd, mut caller) = Ordered::command(&scene, &SLEEP, 1).start();
    let problem = caller.request(send("one", None)).unwrap_err();
    assert_eq!(problem.kind, ProblemKind::Conflict);
    assert!(problem.hint.unwrap().contains("stdin"));
    caller.count(stop(true));
    assert!(herd.end().success());
}

#[test]
fn a_herd_that_stops_begins_nothing_any_more() {
    let scene = Scene::new("sock-stopping");
    let script = "trap '' TERM; echo up; while true; do sleep 1; done";
    let (herd, mut caller) = Ordered::command(&scene, &["sh", "-c", script], 1).start();
    assert_eq!(caller.count(stop(false)), 1);
    for request in [HerdRequest::Reload, HerdRequest::Scale { workers: 2 }] {
        let problem = caller.request(request).unwrap_err();
        assert_eq!(problem.kind, ProblemKind::Conflict);
        assert_eq!(problem.message, "the herd stops");
    }
    // The same wish again is no other one; this one is.
    assert_eq!(caller.count(stop(false)), 1);
    assert_eq!(caller.count(stop(true)), 1);
    let exited = caller.wait_for_event("exited");
    assert_eq!(exited["signal"], "SIGKILL");
    caller.wait_for_end();
    let told = caller
        .events
        .iter()
        .filter(|it| it["event"] == "shutting_down");
    assert_eq!(told.count(), 2);
    assert!(herd.end().success());
}

#[test]
fn a_master_that_comes_after_a_death_listens_in_the_same_place() {
    let scene = Scene::new("sock-death");
    let ordered = Ordered::command(&scene, &SLEEP, 2);
    let (herd, mut caller) = ordered.start();
    let workers = caller.workers();
    for _ in 0..3 {
        let dead = caller.status.master;
        herd.signal_to(dead, Signal::KILL);
        caller.wait_for_end();
        caller = ordered.call_when_ready();
        assert_ne!(caller.status.master, dead);
        assert_eq!(caller.status.keeper, herd.pid());
        assert_eq!(caller.workers(), workers);
        assert!(
            caller.status.slots[0].workers[0].guessed,
            "it is known still"
        );
    }
    caller.count(stop(false));
    caller.wait_for_end();
    assert!(herd.end().success());
    assert!(!ordered.socket().exists());
}

#[test]
fn a_herd_that_lives_goes_on_without_its_socket_until_it_can_be_bound() {
    let scene = Scene::new("sock-unbound");
    let ordered = Ordered::command(&scene, &SLEEP, 1);
    let (herd, mut caller) = ordered.start();
    let workers = caller.workers();
    let (run, away) = (
        scene.directory().join("run"),
        scene.directory().join("away"),
    );
    fs::rename(&run, &away).unwrap();
    herd.signal_to(caller.status.master, Signal::KILL);
    caller.wait_for_end();
    wait::until(PATIENCE, "another master", || herd.master());
    fs::rename(&away, &run).unwrap();
    let mut caller = Caller::connect(&ordered.socket());
    assert_eq!(caller.workers(), workers);
    caller.count(stop(true));
    assert!(herd.end().success());
}

#[test]
fn the_addresses_and_connections_of_a_node_program_are_told() {
    let scene = Scene::new("sock-node");
    let script = scene.directory().join("server.js");
    let text = "require('net').createServer(c => c.end('x')).listen(0, '127.0.0.1');
        process.stdin.on('data', text => require('fs').writeFileSync('said', text));";
    fs::write(&script, text).unwrap();
    let mut ordered = Ordered::command(&scene, &[], 2);
    ordered.app.script = Some(script);
    ordered.app.interpreter = Node::Version(20).program().to_str().map(str::to_owned);
    ordered.app.stdin = herder_api::app::Stdin::Pipe;
    let (herd, mut caller) = ordered.start();
    assert_eq!(caller.status.dispatch, "pass");
    assert!(!caller.status.slots[0].workers[0].guessed);
    let [address] = &caller.status.listening[..] else {
        panic!("{:?}", caller.status.listening);
    };
    let address = address.clone();
    for _ in 0..5 {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert_eq!(text, "x");
    }
    let Ok(HerdAnswer::Status { status }) = caller.request(HerdRequest::Status) else {
        panic!("no status");
    };
    assert_eq!(status.connections, Some(5));
    // Of more, whoever listens is told, though nothing else changes.
    for _ in 0..2 {
        TcpStream::connect(&address).unwrap();
    }
    caller.wait_for_status("seven connections", |it| it.connections == Some(7));
    // Its channel and its input are two things.
    let line = HerdRequest::Send {
        line: "hello".to_owned(),
        slot: Some(1),
    };
    assert_eq!(caller.count(line), 1);
    let said = scene.directory().join("said");
    wait::until(PATIENCE, "what was sent", || {
        (fs::read(&said).ok()? == b"hello\n").then_some(())
    });
    caller.count(stop(false));
    caller.wait_for_end();
    assert!(herd.end().success());
}

//! A master that takes over from a dead one knows everything that the dead one knew.

use herder_e2e::client::{Load, get};
use herder_e2e::deploy::{Deployed, Program, Verdict, Version};
use herder_e2e::fault::Trap;
use herder_e2e::foreign::{BOOT, Seat, address, pid_of_body, wait_for};
use herder_e2e::herd::{Herd, Stream};
use herder_e2e::library;
use herder_e2e::load::Answer;
use herder_e2e::native::{herd, is_cut};
use herder_e2e::node;
use herder_e2e::process::Process;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use rustix::process::Signal;
use std::time::Duration;

/// How long it may take until another master is in charge.
const SUCCESSION: Duration = Duration::from_secs(5);

/// Kills the master, and waits until another one has taken over. Returns how many connections the dead one
/// had held.
fn kill_master(herd: &Herd) -> u64 {
    let master = herd.master().expect("a master");
    let mark = herd.mark();
    herd.signal_to(master.pid, Signal::KILL);
    herd.wait_for_line_after(mark, "another master", SUCCESSION, |line| {
        let (_, told) = line.split_once("took over ")?;
        let (_, cut) = told.split_once("; ")?;
        let number = cut.split(' ').next()?;
        Some(number.parse().unwrap_or(0))
    })
}

fn assert_all_live(workers: &[Seat]) {
    for worker in workers {
        let lives = Process::of(worker.pid).is_some_and(|it| it.is_alive());
        assert!(lives, "{worker:?} was restarted");
    }
}

/// Serves while masters die, and loses nobody but whom they held.
fn outlives(herd: &Herd, workers: &[Seat], deaths: u32) {
    let load = Load::http(address(herd), "/slow/5").clients(8).detailed();
    let load = load.timeout(BOOT).worker_from(pid_of_body).start();
    let mut cut = 0;
    for _ in 0..deaths {
        load.wait_for_answers(50, BOOT);
        cut += kill_master(herd);
    }
    load.wait_for_answers(50, BOOT);
    let ledger = load.stop_and_finish();
    let wrong: Vec<_> = ledger.failures().filter(|it| !is_cut(it.outcome)).collect();
    assert!(wrong.is_empty(), "{wrong:?} of {ledger}");
    let failures = ledger.failures().count() as u64;
    assert!(failures <= cut, "{failures} of {cut}: {ledger}");
    assert_all_live(workers);
}

#[test]
fn r26_r27_a_killed_master_costs_only_what_it_held_and_no_worker() {
    let scene = Scene::new("heir_native");
    let herd = herd(&scene, &["--workers", "3"]).start();
    let workers = wait_for(&herd, 0, 3, "ready", BOOT);
    outlives(&herd, &workers, 3);
    herd.signal(Signal::TERM);
    assert!(herd.wait_for_exit(BOOT).success());
}

#[test]
fn r27_who_dies_under_a_new_master_is_replaced() {
    let scene = Scene::new("heir_deaths");
    let herd = herd(&scene, &["--workers", "2"]).start();
    let workers = wait_for(&herd, 0, 2, "ready", BOOT);
    kill_master(&herd);
    let mark = herd.mark();
    herd.signal_to(workers[0].pid, Signal::KILL);
    let dead = wait_for(&herd, mark, 1, "died: signal SIGKILL", BOOT)[0];
    assert_eq!(dead, workers[0]);
    let next = wait_for(&herd, mark, 1, "ready", BOOT)[0];
    assert_eq!((next.slot, next.id), (dead.slot, 3));
    kill_master(&herd);
    wait::until(BOOT, "both live", || {
        (herd.workers().len() == 2).then_some(())
    });
    herd.signal(Signal::TERM);
    assert!(herd.wait_for_exit(BOOT).success());
}

#[test]
fn r26_r27_workers_that_accept_for_themselves_lose_nothing() {
    let scene = Scene::new("heir_shared");
    let herd = herd(&scene, &["--workers", "2", "--dispatch", "shared"]).start();
    let workers = wait_for(&herd, 0, 2, "ready", BOOT);
    outlives(&herd, &workers, 3);
    assert!(herd.end().success());
}

#[test]
fn r26_r27_unmodified_node_programs_do_not_notice() {
    for options in [&["-i", "2"][..], &["-i", "2", "--dispatch", "shared"]] {
        let scene = Scene::new("heir_node");
        let herd = node::run(&scene, "serve.js", options).start();
        let workers = wait_for(&herd, 0, 2, "ready", BOOT);
        outlives(&herd, &workers, 3);
        let mark = herd.mark();
        herd.signal_to(workers[1].pid, Signal::KILL);
        let next = wait_for(&herd, mark, 1, "ready", BOOT)[0];
        assert_eq!(next.slot, workers[1].slot);
        outlives(&herd, &[workers[0], next], 1);
        assert!(herd.end().success());
    }
}

#[test]
fn r27_programs_that_say_nothing_are_told_to_leave_once() {
    let scene = Scene::new("heir_foreign");
    let script = "trap 'echo told' TERM; while :; do sleep 0.05; done";
    let program = ["sh", "-c", script];
    let options = ["-i", "2", "--grace", "1s", "--ready-after", "50ms"];
    let herd = herder_e2e::foreign::run(&scene, &options, &program).start();
    wait_for(&herd, 0, 2, "ready", BOOT);
    kill_master(&herd);
    let mark = herd.mark();
    herd.signal(Signal::TTOU);
    let leaving = wait_for(&herd, mark, 1, "is told to leave", BOOT);
    let told = |herd: &Herd| {
        let lines = herd.texts(Stream::Stdout);
        lines.iter().filter(|line| line.contains("told")).count()
    };
    wait::until(BOOT, "it was told", || (told(&herd) > 0).then_some(()));
    kill_master(&herd);
    // Its grace goes on where it was.
    let killed = wait_for(&herd, mark, 1, "did not leave in time", BOOT);
    assert_eq!(killed, leaving);
    assert_eq!(told(&herd), 1);
    herd.signal(Signal::TERM);
    assert!(herd.wait_for_exit(BOOT).success());
}

#[test]
fn r27_libraries_live_on_and_are_called_on() {
    let scene = Scene::new("heir_library");
    let herd = library::herd(&scene, &["--library", "core"]).start();
    let core = library::wait_for(&herd, 0, 1, "ready", BOOT).remove(0);
    let workers = wait_for(&herd, 0, 2, "ready", BOOT);
    let before = library::ask(&herd, "who core");
    kill_master(&herd);
    assert_all_live(&workers);
    let after = library::ask(&herd, "who core");
    let who = |answer: &str| answer.split(" calls").next().map(str::to_owned);
    assert_eq!(who(&before), who(&after));
    let mark = herd.mark();
    herd.signal_to(core.pid, Signal::KILL);
    let next = library::wait_for(&herd, mark, 1, "ready", BOOT).remove(0);
    assert_ne!(next.pid, core.pid);
    let after = library::ask(&herd, "who core");
    assert!(after.contains("epoch:2"), "{after}");
    assert!(herd.end().success());
}

#[test]
fn r26_a_master_that_dies_while_it_starts_workers_starts_none_twice() {
    for pause in 0..8 {
        let scene = Scene::new("heir_start");
        let herd = herd(&scene, &["--workers", "4"]).start();
        let master = wait::until(BOOT, "a master", || herd.master());
        // Somewhere between its first step and the last worker's ready.
        std::thread::sleep(Duration::from_millis(pause * 10));
        herd.try_signal_to(master.pid, Signal::KILL);
        wait::until(BOOT, "four workers", || {
            (herd.workers().len() == 4).then_some(())
        });
        let load = Load::http(address(&herd), "/").count(20).run();
        load.assert_no_failure();
        assert_eq!(herd.workers().len(), 4);
        assert!(herd.end().success());
    }
}

/// A reload with its soak, on a machine with a lot to do; shorter than the time that a worker has to become ready.
const LONG: Duration = Duration::from_secs(40);

/// A herd that can be made to fail.
fn trapped<'a>(scene: &'a Scene, program: Program) -> (Trap, Deployed<'a>) {
    let trap = Trap::of(scene);
    let options = ["--soak", "300ms", "--grace", "10s"];
    let deployed = Deployed::start_with(scene, program, &options, |setup| {
        let (name, value) = trap.variable();
        setup.env(name, value)
    });
    (trap, deployed)
}

#[test]
fn r26_a_first_master_that_dies_as_soon_as_the_keeper_has_its_state_is_followed_by_another() {
    let scene = Scene::new("heir_first");
    let trap = Trap::of(&scene);
    trap.arm("master.adopt.stored", "kill", 1);
    let (name, value) = trap.variable();
    let herd = herd(&scene, &["--workers", "2"]).env(name, value).start();
    wait::until(BOOT, "two workers", || {
        (herd.workers().len() == 2).then_some(())
    });
    assert!(trap.sprung().is_some(), "nobody has died");
    assert!(herd.end().success());
}

#[test]
fn r27_that_a_program_is_ready_is_heard_by_the_next_master_if_one_dies_of_it() {
    let scene = Scene::new("heir_notify");
    let (trap, deployed) = trapped(&scene, Program::Python);
    for (version, nth) in [(2, 1), (3, 2)] {
        trap.arm("master.notify.heard", "kill", nth);
        let verdict = deployed.deploy(Version::Good(version), LONG);
        assert!(matches!(verdict, Verdict::Done { .. }), "{verdict:?}");
        assert!(trap.sprung().is_some(), "nobody has died");
    }
    assert!(deployed.herd.end().success());
}

#[test]
fn r27_who_served_before_its_start_was_written_down_leaves_in_order() {
    for program in [Program::NativeShared, Program::Python] {
        let scene = Scene::new("heir_unborn");
        let (trap, deployed) = trapped(&scene, program);
        let load = Load::http(deployed.address, "/slow/1000").clients(16);
        let load = load.detailed().timeout(BOOT).start();
        trap.arm("master.spawn.planned", "stop", 1);
        deployed.install(Version::Good(2));
        let mark = deployed.herd.mark();
        deployed.herd.signal(Signal::HUP);
        trap.wait(BOOT, || false).expect("the master stands still");
        // It knows nothing of the worker that it has just started.
        wait::until(BOOT, "that worker serves", || {
            let body = get(deployed.address, "/").ok()?;
            let answer = Answer::of_body(body.as_bytes())?;
            (answer.version == 2).then_some(())
        });
        // And has some of them in its hands.
        load.wait_for_answers(32, BOOT);
        let master = deployed.master();
        deployed.herd.signal_to(master.pid, Signal::KILL);
        let verdict = deployed.verdict_after(mark, LONG);
        assert!(matches!(verdict, Verdict::Done { .. }), "{verdict:?}");
        load.wait_for_answers(16, BOOT);
        let ledger = load.stop_and_finish();
        assert_eq!(ledger.failures().count(), 0, "{ledger}");
        assert!(deployed.herd.end().success());
    }
}

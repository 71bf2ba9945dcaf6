//! The keeper, with masters that do what a test says: who comes after whom, with what, and when nobody does.

use herder_e2e::binary::Binary;
use herder_e2e::foreign::BOOT;
use herder_e2e::herd::{Herd, Setup, Signal};
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use std::time::{Duration, Instant};

const TEST_KEEPER: Binary = Binary::new("herder-e2e", "test-keeper");

/// A herd whose masters do this, one after the other.
fn masters(scene: &Scene, scripts: &[&str]) -> Setup {
    scene.herd(TEST_KEEPER).args(scripts)
}

/// Waits for a line that ends so, and returns what is before its colon: who says it.
#[track_caller]
fn said(herd: &Herd, text: &str) -> String {
    herd.wait_for_line(text, BOOT, |line| {
        let (who, what) = line.split_once(": ")?;
        (what == text).then(|| who.to_owned())
    })
}

fn count(herd: &Herd, text: &str) -> usize {
    let lines = herd.lines();
    lines.iter().filter(|line| line.text.contains(text)).count()
}

#[test]
fn r26_a_dead_master_is_followed_at_once_by_one_that_gets_everything() {
    let scene = Scene::new("followed");
    let first = "store=700,listen=3,charge,pause=300,kill";
    let second = "forget=herd.listener.3,charge,pause=300,exit=5";
    let herd = masters(&scene, &[first, second, "charge,signals"]).start();
    said(&herd, "complete 0, 0 stored");
    said(&herd, "stored herd.listener.3 0 1");
    said(&herd, "complete 1, 701 stored");
    said(&herd, "complete 2, 700 stored");
    assert_eq!(count(&herd, "died: SIGKILL; another takes over"), 1);
    assert_eq!(count(&herd, "died: exit status 5; another takes over"), 1);
    herd.signal(Signal::TERM);
    assert_eq!(herd.wait_for_exit(BOOT).code(), Some(0));
}

#[test]
fn r26_a_first_master_that_cannot_begin_ends_the_herd_with_its_status() {
    let scene = Scene::new("cannot_begin");
    let herd = masters(&scene, &["exit=4"]).start();
    assert_eq!(herd.wait_for_exit(BOOT).code(), Some(4));
    assert_eq!(count(&herd, "complete"), 1);
}

#[test]
fn r26_masters_that_are_never_in_charge_are_given_up_and_nobody_is_left() {
    let scene = Scene::new("given_up");
    let herd = masters(
        &scene,
        &["grace=200,child=1,charge,pause=300,kill", "exit=1"],
    )
    .start();
    let begun = Instant::now();
    assert_eq!(herd.wait_for_exit(BOOT).code(), Some(70));
    // 100 ms, 200, 400, 800 and 1600.
    assert!(begun.elapsed() > Duration::from_secs(3));
    assert_eq!(count(&herd, "complete"), 1 + 6);
    assert_eq!(herd.descendants(), []);
}

#[test]
fn r27_the_end_of_a_process_is_told_to_the_next_master_or_the_living_one() {
    let scene = Scene::new("ends");
    let first = "child=1,charge,pause=300,kill";
    let second = "charge,wait";
    let herd = masters(&scene, &[first, second]).start();
    let child = herd.wait_for_line("a child", BOOT, |line| {
        line.split_once("child ")?.1.parse::<i32>().ok()
    });
    said(&herd, "complete 1, 1 stored");
    herd.signal_to(child, Signal::KILL);
    let living = said(&herd, &format!("exited {child} 9"));
    // The master that was told may not have noted it: the next one is told, too.
    let mark = herd.mark();
    herd.signal_to(living.parse().expect("a pid"), Signal::KILL);
    herd.wait_for_line_after(mark, "told again", BOOT, |line| {
        line.ends_with(&format!("exited {child} 9")).then_some(())
    });
    herd.signal(Signal::KILL);
}

#[test]
fn r27_a_process_that_ends_with_its_master_is_not_lost() {
    let scene = Scene::new("ends_together");
    let herd = masters(&scene, &["child=1,charge,endchild,kill", "charge,signals"]).start();
    let child = herd.wait_for_line("a child", BOOT, |line| {
        line.split_once("child ")?.1.parse::<i32>().ok()
    });
    said(&herd, &format!("exited {child} 9"));
    said(&herd, "complete 1, 1 stored");
    assert!(herd.end().success());
}

#[test]
fn r30_a_master_that_stands_still_or_loops_is_replaced() {
    for hangs in ["stop", "pause=60000"] {
        let scene = Scene::new("hangs");
        // It beats for 0.8 s. The machine itself may stand still for longer than that.
        let script = format!("watchdog=2000,charge,beat=40,{hangs}");
        let herd = masters(&scene, &[&script, "charge,signals"]).start();
        let begun = Instant::now();
        said(&herd, "complete 1, 0 stored");
        assert!(begun.elapsed() > Duration::from_millis(2700), "{hangs}");
        assert_eq!(count(&herd, "was not heard of for "), 1, "{hangs}");
        assert!(herd.end().success());
    }
}

#[test]
fn r30_a_master_that_rests_is_left_alone_until_it_is_heard_of() {
    let scene = Scene::new("rests");
    let script = "watchdog=300,charge,rest,pause=2000,beat=1,pause=60000";
    let herd = masters(&scene, &[script, "charge,signals"]).start();
    let begun = Instant::now();
    said(&herd, "complete 1, 0 stored");
    assert!(begun.elapsed() > Duration::from_secs(2));
    assert_eq!(count(&herd, "was not heard of"), 1);
    assert!(herd.end().success());
}

#[test]
fn r30_a_master_that_is_stopped_while_it_rests_is_replaced() {
    let scene = Scene::new("rests_stopped");
    let script = "watchdog=300,charge,rest,pause=1000,stop";
    let herd = masters(&scene, &[script, "charge,signals"]).start();
    said(&herd, "complete 1, 0 stored");
    assert_eq!(count(&herd, "was not heard of"), 1);
    assert!(herd.end().success());
}

#[test]
fn r30_a_master_that_was_stopped_for_less_than_its_time_rests_on() {
    let scene = Scene::new("rests_on");
    let script = "watchdog=5000,charge,rest,listen=3,pause=12000,exit=5";
    let herd = masters(&scene, &[script, "charge,signals"]).start();
    let master = said(&herd, "complete 0, 0 stored");
    let master = master.parse().expect("a pid");
    for _ in 0..3 {
        herd.signal_to(master, Signal::STOP);
        herd.signal_to(master, Signal::CONT);
    }
    said(&herd, "complete 1, 1 stored");
    assert_eq!(count(&herd, "was not heard of"), 0);
    assert_eq!(count(&herd, "died: exit status 5"), 1);
    assert!(herd.end().success());
}

#[test]
fn r13_what_is_said_while_nobody_is_in_charge_reaches_the_next_master() {
    let scene = Scene::new("between");
    let scripts = [
        "charge,pause=300,kill",
        "pause=800,kill",
        "pause=300,charge,signals",
    ];
    let herd = masters(&scene, &scripts).start();
    said(&herd, "complete 1, 0 stored");
    herd.signal(Signal::USR1);
    herd.signal(Signal::TTIN);
    said(&herd, "signal SIGUSR1");
    said(&herd, "signal SIGTTIN");
    assert_eq!(count(&herd, "complete"), 3);
    assert!(herd.end().success());
}

#[test]
fn r13_who_ends_a_herd_without_master_need_not_wait_for_one() {
    let scene = Scene::new("ended_between");
    let herd = masters(&scene, &["child=1,charge,pause=300,kill", "kill"]).start();
    // Four in vain; the next comes 0.8 s later.
    wait::until(BOOT, "five deaths", || {
        (count(&herd, "another takes over") == 5).then_some(())
    });
    herd.signal(Signal::TERM);
    assert_eq!(herd.wait_for_exit(BOOT).code(), Some(0));
    assert_eq!(count(&herd, "complete"), 5);
    assert_eq!(herd.descendants(), []);
}

#[test]
fn r31_another_build_is_handed_over_to_again() {
    let scene = Scene::new("another_build");
    let first = "store=3,charge,hand-over,pause=100,kill";
    let herd = masters(&scene, &[first, "charge,signals"]).start();
    said(&herd, "complete 0, 3 stored");
    said(&herd, "complete 1, 3 stored");
    assert!(herd.end().success());
}

#[test]
fn r31_the_next_master_is_started_from_what_is_stored() {
    let scene = Scene::new("stored_build");
    let herd = masters(
        &scene,
        &["store-itself,charge,pause=300,kill", "charge,signals"],
    )
    .start();
    said(&herd, "stored herd.exe 0 1");
    said(&herd, "complete 1, 1 stored");
    assert!(herd.end().success());
}

#[test]
fn a_master_that_leaves_is_the_last() {
    let scene = Scene::new("leaves");
    let herd = masters(&scene, &["charge,leave,exit=3"]).start();
    assert_eq!(herd.wait_for_exit(BOOT).code(), Some(3));
    assert_eq!(count(&herd, "complete"), 1);
}

#[test]
fn a_master_has_the_limits_that_the_keeper_was_started_with() {
    let scene = Scene::new("limits");
    let setup = scene
        .program("sh")
        .args(["-c", "ulimit -Sn 123; exec \"$@\"", "sh"]);
    let herd = setup.arg(TEST_KEEPER.path()).arg("charge,signals").start();
    said(&herd, "OpenFiles is to be 123");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", herd.pid()));
    let limits = limits.expect("the keeper runs");
    let open = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    assert!(!open.expect("a limit").contains(" 123 "), "{limits}");
    assert!(herd.end().success());
}

#[test]
fn r28_a_keeper_that_is_the_first_process_reaps_and_passes_signals_on() {
    let scene = Scene::new("first_process");
    let setup = scene
        .program("unshare")
        .args(["--pid", "--fork", "--kill-child"]);
    let setup = setup.arg(TEST_KEEPER.path());
    let herd = setup
        .arg("charge,pause=300,kill")
        .arg("charge,signals")
        .start();
    said(&herd, "complete 1, 0 stored");
    let keeper = herd.titled("herder: keeper")[0].pid;
    herd.signal_to(keeper, Signal::USR2);
    said(&herd, "signal SIGUSR2");
    herd.signal_to(keeper, Signal::TERM);
    assert_eq!(herd.wait_for_exit(BOOT).code(), Some(0));
}

//! How a herd of foreign programs is stopped: in order, or at once, and always in time.

use herder_e2e::binary::Binary;
use herder_e2e::foreign::{BOOT, busy_herd, run, wait_for};
use herder_e2e::herd::{Herd, Setup};
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// How much later than promised the end of a herd may be seen on a busy machine.
const MARGIN: Duration = Duration::from_secs(1);

/// Does not leave when told to.
const STUBBORN: [&str; 3] = ["sh", "-c", "trap '' TERM; exec sleep 600"];

/// Does not leave when told to, and neither does what it has started, which is of another group and session.
const WITH_STRAY: [&str; 3] = [
    "sh",
    "-c",
    "trap '' TERM; setsid sleep 601 & exec sleep 600",
];

fn ready(scene: &Scene, grace: &str, program: &[&str]) -> Herd {
    let options = ["-i", "2", "--grace", grace, "--ready-after", "100ms"];
    let herd = run(scene, &options, program).start();
    wait_for(&herd, 0, 2, "ready", BOOT);
    herd
}

fn finishes_what_it_has(signal: Signal, name: &str) {
    let scene = Scene::new("graceful");
    let (herd, load) = busy_herd(&scene);
    herd.signal(signal);
    assert_eq!(herd.wait_for_exit(BOOT).code(), Some(0));
    load.finish().assert_no_failure();
    let told = format!("shutting down gracefully ({name})");
    herd.wait_for_line(&told, BOOT, |line| line.ends_with(&told).then_some(()));
    wait_for(&herd, 0, 2, "ended: exit status 0 (the herd stops)", BOOT);
}

#[test]
fn r13_term_int_and_quit_let_a_request_finish() {
    finishes_what_it_has(Signal::TERM, "SIGTERM");
    finishes_what_it_has(Signal::INT, "SIGINT");
    finishes_what_it_has(Signal::QUIT, "SIGQUIT");
}

#[test]
fn r13_timed_a_worker_that_ignores_term_is_killed_after_its_grace() {
    let grace = Duration::from_secs(1);
    wait::timed(grace + MARGIN, || {
        let scene = Scene::new("grace");
        let herd = ready(&scene, "1s", &STUBBORN);
        let begun = Instant::now();
        herd.signal(Signal::TERM);
        let status = herd.wait_for_exit(BOOT);
        let took = begun.elapsed();
        assert_eq!(status.code(), Some(0));
        assert!(took >= grace, "{took:?}");
        wait_for(&herd, 0, 2, "did not leave in time and is killed", BOOT);
        took
    });
}

#[test]
fn r13_a_second_signal_ends_a_worker_that_ignores_the_first() {
    for (first, second) in [(Signal::TERM, Signal::INT), (Signal::INT, Signal::QUIT)] {
        let scene = Scene::new("second");
        let herd = ready(&scene, "60s", &STUBBORN);
        herd.signal(first);
        wait_for(&herd, 0, 2, "is told to leave", BOOT);
        herd.signal(second);
        assert_at_once(&herd);
    }
}

#[test]
fn r13_the_same_signal_again_is_a_second_one_unless_it_is_an_echo() {
    let scene = Scene::new("echo");
    let herd = ready(&scene, "60s", &STUBBORN);
    // `timeout` and some shells signal a process and then its group, which the process belongs to.
    herd.signal(Signal::TERM);
    herd.signal(Signal::TERM);
    let begun = Instant::now();
    wait_for(&herd, 0, 2, "is told to leave", BOOT);
    wait::until(BOOT, "impatience is heard", || {
        herd.signal(Signal::TERM);
        let lines = herd.lines();
        let mut texts = lines.iter().map(|line| &line.text);
        texts
            .any(|text| text.contains("shutting down at once"))
            .then_some(())
    });
    assert!(
        begun.elapsed() > Duration::from_millis(45),
        "an echo is no second wish"
    );
    assert_at_once(&herd);
}

/// The herd ends in order, and before any grace of a minute.
#[track_caller]
fn assert_at_once(herd: &Herd) {
    assert_eq!(herd.wait_for_exit(BOOT).code(), Some(0));
    herd.wait_for_line("it is said", BOOT, |line| {
        line.contains("shutting down at once").then_some(())
    });
}

/// As [`run`], on a machine that has no control groups: there the strays of a worker are found by their parents.
/// Who may not hide them has none to begin with.
fn run_without_cgroups(scene: &Scene, options: &[&str], program: &[&str]) -> Setup {
    const HIDE: &str = "if unshare -m true; \
        then exec unshare -m sh -c 'umount -a -l -t cgroup2; exec \"$@\"' sh \"$@\"; \
        else exec \"$@\"; fi";
    let shell = scene.program("sh").args(["-c", HIDE, "sh"]);
    let herder = shell.arg(Binary::HERDER.path()).arg("run");
    herder.args(options).arg("--").args(program)
}

fn ready_with_strays(scene: &Scene, grace: &str) -> Herd {
    let options = ["-i", "2", "--grace", grace, "--ready-after", "100ms"];
    let herd = run_without_cgroups(scene, &options, &WITH_STRAY).start();
    wait_for(&herd, 0, 2, "ready", BOOT);
    wait::until(BOOT, "the strays run", || {
        (herd.titled("sleep 601").len() == 2).then_some(())
    });
    herd
}

#[test]
fn r13_timed_strays_have_no_more_time_than_their_workers() {
    wait::timed(Duration::from_secs(2) + MARGIN, || {
        let scene = Scene::new("strays");
        let herd = ready_with_strays(&scene, "2s");
        let begun = Instant::now();
        herd.signal(Signal::TERM);
        assert_eq!(herd.wait_for_exit(BOOT).code(), Some(0));
        let took = begun.elapsed();
        assert_eq!(herd.descendants(), []);
        took
    });
}

#[test]
fn r13_a_second_signal_ends_strays_too() {
    let scene = Scene::new("stray_second");
    let herd = ready_with_strays(&scene, "60s");
    herd.signal(Signal::TERM);
    wait_for(&herd, 0, 2, "is told to leave", BOOT);
    herd.signal(Signal::INT);
    assert_at_once(&herd);
    assert_eq!(herd.descendants(), []);
}

#[test]
fn r14_timed_what_a_dead_worker_had_started_is_gone_within_a_second() {
    let scene = Scene::new("leftover");
    let program = ["sh", "-c", "sleep 602 & sleep 603 & exec sleep 600"];
    let herd = ready(&scene, "5s", &program);
    let victim = wait_for(&herd, 0, 1, "ready", BOOT)[0];
    let family = |herd: &Herd| {
        let all = herd.descendants();
        all.iter()
            .filter(|process| process.group == victim.pid)
            .count()
    };
    wait::until(BOOT, "its children run", || {
        (family(&herd) == 3).then_some(())
    });
    herd.signal_to(victim.pid, Signal::KILL);
    wait::until(MARGIN, "its group is gone", || {
        (family(&herd) == 0).then_some(())
    });
    assert!(herd.end().success());
}

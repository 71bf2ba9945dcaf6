//! The keeper does its work whatever becomes of the master, of the log, and of those who started it.

use herder_e2e::binary::Binary;
use herder_e2e::foreign::{BOOT, run, wait_for};
use herder_e2e::herd::{Herd, Setup};
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use rustix::process::Signal;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const SLEEPERS: [&str; 2] = ["sleep", "600"];

/// Starts two sleepers by a shell that does `first` before it becomes the keeper.
fn started_by_shell(scene: &Scene, first: &str) -> Setup {
    let script = format!("{first}\nexec \"$@\"");
    let setup = scene.program("sh").args(["-c", &script, "sh"]);
    let setup = setup.arg(Binary::HERDER.path()).arg("run");
    let options = ["-i", "2", "--grace", "1s", "--ready-after", "100ms", "--"];
    setup
        .args(options)
        .args(SLEEPERS)
        .directory(scene.directory())
}

fn sleepers(herd: &Herd) -> Vec<i32> {
    wait::until(BOOT, "two sleepers run", || {
        let found = herd.titled("sleep 600");
        (found.len() == 2).then(|| found.iter().map(|process| process.pid).collect())
    })
}

#[test]
fn r28_a_child_whose_parent_has_ended_does_not_begin_a_herd_of_its_own() {
    for role in ["master", "worker", "launcher"] {
        let (parent, stdin) = UnixStream::pair().unwrap();
        drop(parent);
        let output = Command::new(Binary::HERDER.path())
            .args(["run", "--", "sleep", "600"])
            .env("HERDER_ROLE", format!("{role}@sleep"))
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(stdin)))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            said.contains("has ended without a launch plan"),
            "{role}: {said}"
        );
        assert_eq!(said.lines().count(), 1, "{role}: {said}");
    }
}

#[test]
fn r28_the_keeper_does_its_work_although_nobody_can_read_its_log() {
    for stderr in [
        // A pipe whose reader has gone.
        "mkfifo log; exec 3<>log 2>log 3>&-; rm log",
        // A pipe that is full.
        "mkfifo log; exec 2<>log; rm log; head -c 65536 /dev/zero >&2",
    ] {
        let scene = Scene::new("unheard");
        let herd = started_by_shell(&scene, stderr).start();
        sleepers(&herd);
        let master = herd.master().expect("a master");
        herd.signal_to(master.pid, Signal::KILL);
        let next = wait::until(BOOT, "another master", || {
            herd.master().filter(|next| next.pid != master.pid)
        });
        // An end was asked for: this time no other follows.
        herd.signal_to(next.pid, Signal::STOP);
        herd.signal(Signal::TERM);
        herd.signal_to(next.pid, Signal::KILL);
        assert_eq!(herd.wait_for_exit(BOOT).code(), Some(70), "{stderr}");
        assert_eq!(herd.descendants(), [], "{stderr}");
    }
}

#[test]
fn r28_what_was_started_before_the_keeper_is_not_the_herds() {
    let scene = Scene::new("stranger");
    let herd = started_by_shell(&scene, "sleep 601 &").start();
    sleepers(&herd);
    let stranger = herd.titled("sleep 601")[0].pid;
    herd.signal(Signal::TERM);
    assert_eq!(herd.wait_for_exit(BOOT).code(), Some(0));
    let left: Vec<i32> = herd.descendants().iter().map(|found| found.pid).collect();
    assert_eq!(left, [stranger]);
    herd.signal_to(stranger, Signal::KILL);
}

#[test]
fn r13_a_signal_that_comes_while_the_master_starts_is_not_lost() {
    for signal in [Signal::TERM, Signal::INT, Signal::QUIT].repeat(5) {
        let scene = Scene::new("early");
        let herd = run(&scene, &["-i", "1"], &SLEEPERS).start();
        wait::until(BOOT, "the master is born", || {
            (herd.descendants().len() > 1).then_some(())
        });
        herd.signal(signal);
        assert_eq!(herd.wait_for_exit(BOOT).code(), Some(0), "{signal:?}");
    }
}

#[test]
fn r13_no_signal_harms_a_master_that_starts() {
    for signal in [Signal::HUP, Signal::USR1, Signal::TTIN, Signal::TTOU] {
        let scene = Scene::new("early_other");
        let herd = run(&scene, &["-i", "2", "--ready-after", "100ms"], &SLEEPERS).start();
        wait::until(BOOT, "the master is born", || {
            (herd.descendants().len() > 1).then_some(())
        });
        herd.signal(signal);
        wait_for(&herd, 0, 1, "ready", BOOT);
        assert_eq!(herd.end().code(), Some(0), "{signal:?}");
    }
}

#[test]
fn r13_timed_a_master_that_hangs_is_ended_by_its_keeper() {
    wait::timed(Duration::from_secs(15), || {
        let scene = Scene::new("hung_master");
        let options = ["-i", "2", "--grace", "1s", "--ready-after", "100ms"];
        let herd = run(&scene, &options, &SLEEPERS).start();
        wait_for(&herd, 0, 2, "ready", BOOT);
        let master = herd.master().expect("a master");
        herd.signal_to(master.pid, Signal::STOP);
        let begun = Instant::now();
        herd.signal(Signal::TERM);
        assert_eq!(herd.wait_for_exit(2 * BOOT).code(), Some(70));
        assert_eq!(herd.descendants(), []);
        begun.elapsed()
    });
}

//! Each worker accepts from a listener of its own: who gets what, and what becomes of those who wait at a worker that
//! stands still or dies. With `kernel` this needs the right to load programs into the kernel, and fails without.

#![expect(clippy::print_stdout, reason = "what a failure is judged by")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use herder_e2e::binary::Binary;
use herder_e2e::client::{Ledger, Load};
use herder_e2e::deploy::Own;
use herder_e2e::foreign::{BOOT, Seat, address, examples, pid_of_body, run, wait_for};
use herder_e2e::herd::{Herd, Signal};
use herder_e2e::native::herd;
use herder_e2e::scene::Scene;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Instant;

/// Four workers of a program.
struct Four {
    herd: Herd,
    address: SocketAddr,
    workers: Vec<Seat>,
}

fn python(scene: &Scene, own: Own, options: &[&str]) -> Four {
    let usual = [
        "-l",
        "127.0.0.1:0",
        "-i",
        "4",
        "--grace",
        "5s",
        "--ready",
        "notify",
    ];
    let usual = [&usual[..], &["--dispatch", own.name()]].concat();
    let options = [&usual[..], options].concat();
    let setup = run(scene, &options, &["python3", "plain.py"]);
    Four::of(setup.directory(examples()).start())
}

fn native(scene: &Scene, own: Own) -> Four {
    let options = ["--workers", "4", "--dispatch", own.name()];
    Four::of(herd(scene, &options).start())
}

impl Four {
    fn of(herd: Herd) -> Four {
        let workers = wait_for(&herd, 0, 4, "ready", BOOT);
        let address = address(&herd);
        Four {
            herd,
            address,
            workers,
        }
    }

    fn load(&self, clients: usize, count: u64) -> Load {
        let load = Load::http(self.address, "/").clients(clients).count(count);
        load.timeout(BOOT * 2).worker_from(pid_of_body)
    }
}

/// The most and the fewest that one of four workers got.
fn extremes(ledger: &Ledger) -> (usize, usize) {
    let each = ledger.per_worker();
    assert_eq!(each.len(), 4, "{ledger}");
    let most = each.values().max().copied();
    let fewest = each.values().min().copied();
    (most.unwrap_or_default(), fewest.unwrap_or_default())
}

/// A worker that the machine did not run for some moments loses its turns to others, rightly so: one run of some in
/// which that did not happen is enough. They are short, so that a busy machine has such a moment, too.
fn is_even(four: &Four) {
    const TRIES: usize = 15;
    const EACH: u64 = 2_000;
    let mut seen = Vec::new();
    for _ in 0..TRIES {
        let ledger = four.load(1, EACH).run();
        ledger.assert_no_failure();
        let (most, fewest) = extremes(&ledger);
        println!("{most} {fewest}");
        if most - fewest <= 1 {
            return;
        }
        seen.push((most, fewest));
    }
    panic!("of {EACH} connections: {seen:?}");
}

#[test]
fn timed_kernel_idle_python_workers_get_equally_many() {
    let scene = Scene::new("even_python");
    let four = python(&scene, Own::Kernel, &[]);
    is_even(&four);
    assert!(four.herd.end().success());
}

#[test]
fn timed_kernel_idle_rust_workers_get_equally_many() {
    let scene = Scene::new("even_native");
    let four = native(&scene, Own::Kernel);
    is_even(&four);
    assert!(four.herd.end().success());
}

#[test]
fn timed_kernel_weights_are_shares() {
    const TRIES: usize = 15;
    let scene = Scene::new("weights");
    let definition = "[apps.web]\ncommand = [\"python3\", \"plain.py\"]\nready = \"notify\"\nworkers = 2\n\
                      listen = \"127.0.0.1:0\"\ndispatch = \"kernel\"\nweights = [3, 1]\n";
    let cwd = format!("{definition}cwd = {:?}\n", examples());
    std::fs::write(scene.directory().join("herder.toml"), cwd).unwrap();
    let herd = scene.herd(Binary::HERDER).args(["run", "herder.toml"]);
    let herd = herd.start();
    let workers = wait_for(&herd, 0, 2, "ready", BOOT);
    let first = workers.iter().find(|seat| seat.slot == 0).unwrap().pid;
    let mut seen = Vec::new();
    // A worker that the machine did not run for some moments loses its turns to the other.
    while seen.len() < TRIES {
        let load = Load::http(address(&herd), "/").clients(1).count(400);
        let ledger = load.timeout(BOOT).worker_from(pid_of_body).run();
        ledger.assert_no_failure();
        let of_first = ledger.per_worker().get(&first).copied().unwrap_or(0);
        println!("{of_first} of 400");
        if of_first == 300 {
            assert!(herd.end().success());
            return;
        }
        seen.push(of_first);
    }
    panic!("of 400 connections the first had {seen:?}");
}

#[test]
fn reuseport_every_worker_gets_something() {
    let scene = Scene::new("lots");
    for four in [
        python(&scene, Own::Reuseport, &[]),
        native(&scene, Own::Reuseport),
    ] {
        let ledger = four.load(4, 400).run();
        ledger.assert_no_failure();
        let (_, fewest) = extremes(&ledger);
        assert!(fewest > 0, "{ledger}");
        assert!(four.herd.end().success());
    }
}

/// One of four workers stands still: those who wait at it are answered all the same.
fn is_rescued(own: Own) {
    let scene = Scene::new("stopped");
    let four = python(&scene, own, &["--hang", "500ms"]);
    let stopped = four.workers[0].pid;
    four.herd.signal_to(stopped, Signal::STOP);
    stands_still(stopped);
    let begun = Instant::now();
    let ledger = four.load(400, 400).run();
    println!("all answered after {:?}: {ledger}", begun.elapsed());
    ledger.assert_no_failure();
    assert!(!ledger.per_worker().contains_key(&stopped), "{ledger}");
    four.herd
        .wait_for_line("it was found to hang", BOOT, |line| {
            line.contains("accepts none").then_some(())
        });
    let served_by_four = || {
        let ledger = four.load(1, 100).run();
        ledger.assert_no_failure();
        (ledger.per_worker().len() == 4).then_some(())
    };
    herder_e2e::wait::until(BOOT, "four workers serve again", served_by_four);
    assert!(four.herd.end().success());
}

#[test]
fn kernel_who_waits_at_a_worker_that_stands_still_is_answered() {
    is_rescued(Own::Kernel);
}

#[test]
fn reuseport_who_waits_at_a_worker_that_stands_still_is_answered() {
    is_rescued(Own::Reuseport);
}

/// Waits until a process stands still: until then it may accept somebody, who dies with it.
fn stands_still(pid: i32) {
    let stat = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let (_, rest) = stat.rsplit_once(") ")?;
        rest.starts_with('T').then_some(())
    };
    herder_e2e::wait::until(BOOT, "the worker stands still", stat);
}

/// Kills workers at whose listeners many wait, so many times: none of these is lost. The kernel does not do it by
/// itself: the setting that has it move connections is off, as it is by default.
fn outlive_their_worker(four: &Four, times: usize) {
    let setting = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_migrate_req").unwrap();
    assert_eq!(setting.trim(), "0", "this machine moves them by itself");
    let mut workers: Vec<i32> = four.workers.iter().map(|seat| seat.pid).collect();
    for time in 0..times {
        let victim = workers.remove(0);
        four.herd.signal_to(victim, Signal::STOP);
        stands_still(victim);
        let mark = four.herd.mark();
        let load = four.load(200, 200).start();
        // The others have answered theirs.
        load.wait_for_answers(100, BOOT);
        four.herd.signal_to(victim, Signal::KILL);
        let ledger = load.finish();
        ledger.assert_no_failure();
        assert_eq!(ledger.complete(), 200, "time {time}: {ledger}");
        workers.push(wait_for(&four.herd, mark, 1, "ready", BOOT)[0].pid);
    }
}

#[test]
fn r25c_reuseport_a_killed_workers_queue_is_served_by_its_successor() {
    let scene = Scene::new("queue_reuse");
    outlive_their_worker(
        &python(&scene, Own::Reuseport, &["--max-restarts", "0"]),
        20,
    );
    outlive_their_worker(&native(&scene, Own::Reuseport), 4);
}

#[test]
fn r25c_kernel_a_killed_workers_queue_is_served() {
    let scene = Scene::new("queue_kernel");
    outlive_their_worker(&python(&scene, Own::Kernel, &["--max-restarts", "0"]), 20);
    outlive_their_worker(&native(&scene, Own::Kernel), 4);
}

/// More workers, then fewer, under load.
fn loses_nothing_by_scaling(four: &Four) {
    let load = Load::http(four.address, "/").clients(8).timeout(BOOT);
    let load = load.worker_from(pid_of_body).start();
    for _ in 0..2 {
        load.wait_for_answers(100, BOOT);
        let mark = four.herd.mark();
        four.herd.signal(Signal::TTIN);
        wait_for(&four.herd, mark, 1, "ready", BOOT);
        load.wait_for_answers(100, BOOT);
        let mark = four.herd.mark();
        four.herd.signal(Signal::TTOU);
        wait_for(&four.herd, mark, 1, "ended: ", BOOT);
        let mark = four.herd.mark();
        four.herd.signal(Signal::TTOU);
        wait_for(&four.herd, mark, 1, "ended: ", BOOT);
        load.wait_for_answers(100, BOOT);
        let mark = four.herd.mark();
        four.herd.signal(Signal::TTIN);
        wait_for(&four.herd, mark, 1, "ready", BOOT);
    }
    load.wait_for_answers(100, BOOT);
    let ledger = load.stop_and_finish();
    println!("{ledger}");
    ledger.assert_no_failure();
}

#[test]
fn kernel_scaling_loses_nothing() {
    let scene = Scene::new("scale_kernel");
    loses_nothing_by_scaling(&python(&scene, Own::Kernel, &[]));
    loses_nothing_by_scaling(&native(&scene, Own::Kernel));
}

#[test]
fn r25c_reuseport_scaling_loses_nothing() {
    let scene = Scene::new("scale_reuse");
    loses_nothing_by_scaling(&python(&scene, Own::Reuseport, &[]));
    loses_nothing_by_scaling(&native(&scene, Own::Reuseport));
}

/// What `herder run` says when the right to load programs is taken from it, and its status.
fn without_rights(mode: &str) -> (String, Option<i32>) {
    const NONE: &str = "-bpf,-sys_admin";
    let mut herder = Command::new("timeout");
    herder.args(["--signal=TERM", "3", "setpriv"]);
    herder.arg(format!("--bounding-set={NONE}"));
    herder.arg(format!("--inh-caps={NONE}"));
    herder.arg(Binary::HERDER.path());
    herder.args(["run", "-l", "127.0.0.1:0", "-i", "1", "--dispatch", mode]);
    herder.args(["--", "sleep", "60"]);
    let output = herder.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (said, output.status.code())
}

#[test]
fn kernel_without_the_right_is_refused_by_name() {
    let (said, code) = without_rights("kernel");
    println!("{said}");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("dispatch kernel is not to be had"), "{said}");
    assert!(said.contains("CAP_BPF"), "{said}");
}

#[test]
fn kernel_what_cannot_be_is_refused_by_name() {
    let scene = Scene::new("refused");
    for (options, named) in [
        (&["--dispatch", "kernel"][..], "--listen"),
        (
            &["--dispatch", "kernel", "-l", "unix:a.sock"],
            "Unix socket",
        ),
        (
            &["--dispatch", "kernel", "-l", "0", "--policy", "ip-hash"],
            "--policy ip-hash",
        ),
        (
            &["--dispatch", "kernel", "-l", "0", "--max-requests", "5"],
            "--max-requests",
        ),
        (
            &[
                "--dispatch",
                "reuseport",
                "-l",
                "0",
                "--policy",
                "least-loaded",
            ],
            "--policy least-loaded",
        ),
        (&["-l", "0", "--hang", "1s"], "--hang"),
    ] {
        let herd = run(&scene, options, &["true"]).start();
        let status = herd.wait_for_exit(BOOT);
        assert_eq!(status.code(), Some(2), "{options:?}");
        herd.wait_for_line(named, BOOT, |line| line.contains(named).then_some(()));
    }
}

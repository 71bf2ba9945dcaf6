//! Programs in another language, behind one address: all serve, and a death costs only what the dead had accepted.

use herder_e2e::client::{Load, Outcome, Running};
use herder_e2e::foreign::{
    BOOT, Seat, accepted_by, address, examples, freeze, installed, pid_of_body, run, wait_for,
};
use herder_e2e::herd::Herd;
use herder_e2e::process;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const SHARED: [&str; 8] = [
    "--listen",
    "127.0.0.1:0",
    "-i",
    "3",
    "--dispatch",
    "shared",
    "--grace",
    "5s",
];

/// Which processes answer a load that keeps three busy.
fn who_serves(address: SocketAddr) -> BTreeSet<i32> {
    let load = Load::http(address, "/slow/20")
        .clients(12)
        .worker_from(pid_of_body);
    let ledger = load.count(60).run();
    ledger.assert_no_failure();
    ledger.per_worker().into_keys().collect()
}

/// The processes of the worker's group, its own first.
fn family(herd: &Herd, worker: Seat) -> Vec<i32> {
    let mut all = herd.descendants();
    all.retain(|process| process.group == worker.pid);
    all.iter().map(|process| process.pid).collect()
}

/// Kills the worker at a moment when it holds connections, and returns their client ports.
fn kill_with_connections(herd: &Herd, worker: Seat) -> BTreeSet<u16> {
    let family = family(herd, worker);
    let held = || -> BTreeSet<u16> { family.iter().flat_map(|pid| accepted_by(*pid)).collect() };
    let accepted = wait::until(BOOT, "the worker holds a connection", || {
        if held().is_empty() {
            return None;
        }
        freeze(herd, &family);
        let accepted = held();
        if accepted.is_empty() {
            for pid in &family {
                herd.signal_to(*pid, Signal::CONT);
            }
        }
        (!accepted.is_empty()).then_some(accepted)
    });
    herd.signal_to(worker.pid, Signal::KILL);
    accepted
}

/// Every failed request was on a connection that the dead worker had accepted, and none was refused or hung.
fn assert_only_these_failed(load: Running, accepted: &BTreeSet<u16>) {
    let ledger = load.stop_and_finish();
    for failed in ledger.failures() {
        let cut = [
            Outcome::Closed,
            Outcome::Reset,
            Outcome::ShortBody,
            Outcome::StaleReset,
        ];
        assert!(cut.contains(&failed.outcome), "{failed:?} of {ledger}");
        assert!(
            accepted.contains(&failed.port),
            "{failed:?}: the dead had accepted {accepted:?}"
        );
    }
    assert!(ledger.failures().count() <= accepted.len(), "{ledger}");
}

fn serves_and_outlives_a_kill(name: &str, program: &[&str]) {
    let scene = Scene::new(name);
    let herd = run(&scene, &SHARED, program).directory(examples()).start();
    let address = address(&herd);
    let workers = wait_for(&herd, 0, 3, "ready", BOOT);
    let mut first = BTreeSet::new();
    wait::until(BOOT, "three processes serve", || {
        first.extend(who_serves(address));
        (first.len() == 3).then_some(())
    });

    let load = Load::http(address, "/slow/20")
        .clients(16)
        .worker_from(pid_of_body)
        .detailed()
        .start();
    load.wait_for_answers(50, BOOT);
    let mark = herd.mark();
    let accepted = kill_with_connections(&herd, workers[1]);
    let dead = wait_for(&herd, mark, 1, "died: signal SIGKILL", BOOT)[0];
    let next = wait_for(&herd, mark, 1, "ready", BOOT)[0];
    assert_eq!((dead, next.slot), (workers[1], dead.slot));
    assert!(next.id > 3 && next.pid != dead.pid, "{next:?}");
    load.wait_for_answers(50, BOOT);
    assert_only_these_failed(load, &accepted);

    wait::until(BOOT, "the replacement serves", || {
        who_serves(address)
            .iter()
            .any(|pid| !first.contains(pid))
            .then_some(())
    });
    for other in [workers[0], workers[2]] {
        assert!(process::Process::of(other.pid).is_some_and(|it| it.is_alive()));
    }
    assert!(herd.end().success());
}

#[test]
fn a_plain_server_serves_and_outlives_a_kill() {
    serves_and_outlives_a_kill("plain", &["python3", "plain.py"]);
}

#[test]
fn uvicorn_serves_and_outlives_a_kill() {
    let uvicorn = installed("uvicorn");
    let program = [&*uvicorn, "--fd", "3", "--no-access-log", "app_asgi:app"];
    serves_and_outlives_a_kill("uvicorn", &program);
}

#[test]
fn gunicorn_serves_and_outlives_a_kill() {
    let gunicorn = installed("gunicorn");
    let program = [
        &*gunicorn,
        "--workers",
        "1",
        "--no-control-socket",
        "app_wsgi:app",
    ];
    serves_and_outlives_a_kill("gunicorn", &program);
}

/// Waits exclusively: the kernel wakes one worker for one connection. The one that finds a file `trap` stops
/// before it accepts, and so swallows the wake-up.
const TRAPPED: &str = r"
import os, select, signal, socket
listener = socket.socket(fileno=3)
waiting = select.epoll()
waiting.register(listener, select.EPOLLIN | select.EPOLLEXCLUSIVE)
while True:
    waiting.poll()
    try:
        os.unlink('trap')
        print('trapped', flush=True)
        os.kill(os.getpid(), signal.SIGSTOP)
    except FileNotFoundError:
        pass
    connection, _ = listener.accept()
    connection.recv(65536)
    body = b'pid:%d worker:-' % os.getpid()
    connection.sendall(b'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n' % len(body) + body)
    connection.close()
";

#[test]
fn r25b_timed_a_connection_that_waits_when_a_worker_dies_is_served_by_a_survivor() {
    // 100 ms, and some for a busy machine.
    wait::timed(Duration::from_millis(200), || {
        let scene = Scene::new("r25b");
        let options = [&SHARED[..], &["--ready-after", "300ms"]].concat();
        let herd = run(&scene, &options, &["python3", "-c", TRAPPED]).start();
        let address = address(&herd);
        let workers = wait_for(&herd, 0, 3, "ready", BOOT);
        wait::until(BOOT, "every worker waits for connections", || {
            (who_listens(&workers) == 3).then_some(())
        });
        std::fs::write(scene.directory().join("trap"), "").unwrap();
        let load = Load::http(address, "/")
            .count(1)
            .timeout(BOOT)
            .worker_from(pid_of_body)
            .start();
        let trapped: i32 = herd.wait_for_line("one swallows the wake-up", BOOT, |line| {
            line.strip_suffix("] trapped")?
                .rsplit_once('[')?
                .1
                .parse()
                .ok()
        });
        freeze(&herd, &[trapped]);
        let begun = Instant::now();
        herd.signal_to(trapped, Signal::KILL);
        let ledger = load.finish();
        let waited = begun.elapsed();
        ledger.assert_no_failure();
        let server = *ledger.per_worker().keys().next().unwrap();
        assert!(
            workers.iter().any(|seat| seat.pid == server),
            "not by the replacement"
        );
        herd.wait_for_line("the nudge is told", BOOT, |line| {
            line.contains("a waiting connection was helped along")
                .then_some(())
        });
        assert!(herd.end().success());
        waited
    });
}

/// How many of the workers have an epoll set with the listener in it.
fn who_listens(workers: &[Seat]) -> usize {
    let listens = |seat: &&Seat| {
        process::descriptors(seat.pid)
            .unwrap_or_default()
            .iter()
            .filter(|(_, target)| target.contains("eventpoll"))
            .any(|(fd, _)| {
                std::fs::read_to_string(format!("/proc/{}/fdinfo/{fd}", seat.pid))
                    .is_ok_and(|info| info.contains("tfd:        3"))
            })
    };
    workers.iter().filter(listens).count()
}

//! The example does what it promises, word for word.

use herder_e2e::binary::Binary;
use herder_e2e::client::{Ledger, Load};
use herder_e2e::foreign::{BOOT, address, told, wait_for};
use herder_e2e::herd::{Herd, Stream};
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use rustix::process::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const WORKERS: usize = 4;

fn start(scene: &Scene, options: &[&str]) -> Herd {
    let setup = scene
        .herd(Binary::SMOOTH_RESTART)
        .args(["--listen", "127.0.0.1:0"]);
    // Each death would print a backtrace, for which the debug information is read.
    let setup = setup.env("RUST_BACKTRACE", "0").patience(BOOT);
    setup.args(["--workers", "4"]).args(options).start()
}

/// The worker and the master of `I am worker, pid:P, ppid:M`.
fn identity(body: &[u8]) -> Option<(i32, i32)> {
    let text = std::str::from_utf8(body).ok()?;
    let (pid, ppid) = text
        .strip_prefix("I am worker, pid:")?
        .split_once(", ppid:")?;
    Some((pid.parse().ok()?, ppid.parse().ok()?))
}

fn requests(address: SocketAddr) -> Load {
    let load = Load::http(address, "/").timeout(BOOT);
    load.worker_from(|body| identity(body).map(|(pid, _)| pid))
}

/// The process of a line `worker process created, pid: P ppid: M`.
fn created(line: &str, master: i32) -> Option<i32> {
    let rest = line.strip_prefix("worker process created, pid: ")?;
    let (pid, ppid) = rest.split_once(" ppid: ")?;
    (ppid.parse() == Ok(master)).then(|| pid.parse().ok())?
}

#[test]
fn the_answer_is_the_original_one() {
    let scene = Scene::new("s1_answer");
    let herd = start(&scene, &[]);
    let address = address(&herd);
    wait_for(&herd, 0, WORKERS, "ready", BOOT);
    let master = herd.titled("node-master");
    let workers: BTreeSet<i32> = herd.titled("node-worker").iter().map(|it| it.pid).collect();
    assert_eq!((master.len(), workers.len()), (1, WORKERS));
    let mut client = TcpStream::connect(address).unwrap();
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let head = head.to_lowercase();
    assert!(head.starts_with("http/1.1 200 ok\r\n"), "{head}");
    assert!(head.contains("\r\ncontent-type: text/plain"), "{head}");
    let (pid, ppid) = identity(body.as_bytes()).unwrap();
    assert!(workers.contains(&pid), "{body}");
    assert_eq!(ppid, master[0].pid);
    // It was the last thing this worker did.
    herd.wait_for_line("it exits", BOOT, |line| {
        (line == "worker process exited, code: 1 signal: null").then_some(())
    });
    let said = herd.texts(Stream::Stderr).join("\n");
    assert!(said.contains("worker process exception!"), "{said}");
    assert!(herd.end().success());
}

/// Every request kills its worker; every response is complete.
#[expect(clippy::print_stdout, reason = "what a failure is judged by")]
fn survives(name: &str, time: Duration) {
    let scene = Scene::new(name);
    let herd = start(&scene, &[]);
    let address = address(&herd);
    wait_for(&herd, 0, WORKERS, "ready", BOOT);
    let master = herd.titled("node-master")[0].pid;
    let single = requests(address).clients(16).lasting(time).start();
    let kept = requests(address)
        .clients(16)
        .keep_alive()
        .lasting(time)
        .start();
    let ledgers = [single.finish(), kept.finish()];
    for ledger in &ledgers {
        println!(
            "{:?} {:?} {:?}",
            ledger.outcomes(),
            ledger.latency(),
            ledger.notes
        );
        assert_complete(ledger);
    }
    let served: BTreeSet<i32> = ledgers
        .iter()
        .flat_map(|ledger| ledger.per_worker().into_keys())
        .collect();
    assert!(
        served.len() > 2 * WORKERS,
        "{} workers have served",
        served.len()
    );
    all_that_served_exit(&herd, &served);
    assert_created_before_exited(&herd, master);
    assert_replaced_before_they_ended(&herd);
    assert!(herd.end().success());
}

/// (A ledger's own words would name a thousand workers.)
fn assert_complete(ledger: &Ledger) {
    let failures: Vec<_> = ledger.failures().take(10).collect();
    assert!(failures.is_empty(), "{failures:?}");
}

fn all_that_served_exit(herd: &Herd, served: &BTreeSet<i32>) {
    let mut alive = served.clone();
    herd.wait_for_line("every worker that has served exits", BOOT, |line| {
        if let Some(seat) = told(line, "ended: exit status 1 (it announced its own end)") {
            alive.remove(&seat.pid);
        }
        alive.is_empty().then_some(())
    });
}

/// Before the n-th exit there are n creations more than the first ones.
fn assert_created_before_exited(herd: &Herd, master: i32) {
    let (mut creations, mut exits) = (0, 0);
    for line in herd.texts(Stream::Stdout) {
        if created(&line, master).is_some() {
            creations += 1;
        } else {
            assert_eq!(line, "worker process exited, code: 1 signal: null");
            exits += 1;
            assert!(
                creations >= WORKERS + exits,
                "exit {exits} after {creations} creations"
            );
        }
    }
}

/// The same for each slot by what herder tells: announced, successor started, ended.
fn assert_replaced_before_they_ended(herd: &Herd) {
    let mut announced: BTreeMap<u64, u16> = BTreeMap::new();
    for line in herd.texts(Stream::Stderr) {
        if let Some(seat) = told(&line, "announces its own end") {
            announced.insert(seat.id, seat.slot);
        } else if let Some(seat) = told(&line, "started") {
            // The one that waits longest in this slot has its successor.
            let oldest = announced.iter().find(|(_, slot)| **slot == seat.slot);
            if let Some(id) = oldest.map(|(id, _)| *id) {
                announced.remove(&id);
            }
        } else if let Some(seat) = told(&line, "ended") {
            assert!(
                !announced.contains_key(&seat.id),
                "not replaced yet: {line}"
            );
        }
    }
}

#[test]
fn every_response_is_complete_although_each_kills_its_worker() {
    survives("s1", Duration::from_secs(3));
}

#[test]
#[ignore = "long: ten seconds of it"]
fn every_response_is_complete_for_ten_seconds() {
    survives("s1_long", Duration::from_secs(10));
}

#[test]
fn each_ending_signal_is_logged_as_the_original_does() {
    for (signal, name) in [
        (Signal::TERM, "SIGTERM"),
        (Signal::INT, "SIGINT"),
        (Signal::QUIT, "SIGQUIT"),
    ] {
        let scene = Scene::new("s1_end");
        let herd = start(&scene, &[]);
        wait_for(&herd, 0, WORKERS, "ready", BOOT);
        let master = herd.titled("node-master")[0].pid;
        let workers: BTreeSet<i32> = herd.titled("node-worker").iter().map(|it| it.pid).collect();
        herd.signal(signal);
        assert_eq!(herd.wait_for_exit(BOOT).code(), Some(0));
        let said = herd.texts(Stream::Stdout);
        let pids: BTreeSet<i32> = said[..WORKERS]
            .iter()
            .map(|line| created(line, master).unwrap())
            .collect();
        assert_eq!(pids, workers);
        assert_eq!(said[WORKERS], format!("进程退出！ {name}"));
        let killed: BTreeSet<&str> = said[WORKERS + 1..].iter().map(String::as_str).collect();
        let expected: BTreeSet<String> = workers
            .iter()
            .map(|pid| format!("master process exited, kill worker pid: {pid}"))
            .collect();
        assert_eq!(killed, expected.iter().map(String::as_str).collect());
        assert_eq!(said.len(), 1 + 2 * WORKERS, "{said:?}");
    }
}

#[test]
fn a_quarantine_is_announced_with_its_count_and_ends_by_itself() {
    let scene = Scene::new("s1_quarantine");
    let options = [
        "--workers",
        "1",
        "--max-restarts",
        "2",
        "--restart-window",
        "2",
    ];
    let setup = scene
        .herd(Binary::SMOOTH_RESTART)
        .args(["--listen", "127.0.0.1:0"]);
    let herd = setup.env("RUST_BACKTRACE", "0").args(options).start();
    let address = address(&herd);
    wait_for(&herd, 0, 1, "ready", BOOT);
    let load = requests(address).start();
    let quarantined = "warning: slot 0 is quarantined: 2 restarts within 2s; next try in ";
    herd.wait_for_line("the quarantine", BOOT, |line| {
        line.contains(quarantined).then_some(())
    });
    let mark = herd.mark();
    herd.wait_for_line_after(mark, "its end", BOOT, |line| {
        line.contains("slot 0 leaves its quarantine").then_some(())
    });
    wait_for(&herd, mark, 1, "ready", BOOT);
    load.wait_for_answers(1, BOOT);
    assert_complete(&load.stop_and_finish());
    wait::until(BOOT, "the master has survived it", || {
        (herd.titled("node-master").len() == 1).then_some(())
    });
    assert!(herd.end().success());
}

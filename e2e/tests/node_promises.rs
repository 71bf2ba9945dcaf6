//! What is promised of connections whose worker dies, and of the master's own descriptors.

use herder_e2e::baseline::Baseline;
use herder_e2e::binary::Binary;
use herder_e2e::client::{Load, get};
use herder_e2e::foreign::{BOOT, address, pid_of_body, wait_for};
use herder_e2e::herd::Signal;
use herder_e2e::node::{end, run};
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How soon a death is made good.
const AT_ONCE: Duration = Duration::from_millis(50);

/// The machine may be busy in one of so many rounds, or in all but one.
const ROUNDS: u64 = 5;

#[test]
fn timed_r23_what_a_dead_worker_had_not_taken_is_answered_by_another_at_once() {
    const CLIENTS: u64 = 8;
    let scene = Scene::new("node_r23");
    let herd = run(&scene, "serve.js", &["-i", "2"]).start();
    let mut seats = wait_for(&herd, 0, 2, "ready", BOOT);
    let mut waited = Vec::new();
    for _ in 0..ROUNDS {
        let victim = seats.remove(0);
        herd.signal_to(victim.pid, Signal::STOP);
        let load = Load::http(address(&herd), "/").clients(8).count(CLIENTS);
        let load = load.timeout(BOOT).worker_from(pid_of_body).start();
        // The others wait in its channel.
        load.wait_for_total(CLIENTS / 2, BOOT);
        let mark = herd.mark();
        herd.signal_to(victim.pid, Signal::KILL);
        let killed = Instant::now();
        let ledger = load.finish();
        waited.push(killed.elapsed());
        ledger.assert_no_failure();
        assert!(!ledger.per_worker().contains_key(&victim.pid), "{ledger}");
        seats.extend(wait_for(&herd, mark, 1, "ready", BOOT));
    }
    let [accepted, handed, taken_back, closed] = end(herd);
    assert_eq!((accepted, closed), (ROUNDS * CLIENTS, 0));
    assert_eq!(handed, accepted + taken_back, "once for each death");
    assert!(taken_back >= ROUNDS, "the stopped ones had some");
    assert!(waited.iter().min() <= Some(&AT_ONCE), "{waited:?}");
}

#[test]
fn timed_r24_who_was_being_answered_sees_the_end_and_nobody_answers_twice() {
    let scene = Scene::new("node_r24");
    let herd = run(&scene, "serve.js", &["-i", "1"]).start();
    let address = address(&herd);
    let mut waited = Vec::new();
    let mut mark = 0;
    for _ in 0..3 {
        let worker = wait_for(&herd, mark, 1, "ready", BOOT)[0];
        let mut client = TcpStream::connect(address).expect("it listens");
        client.set_read_timeout(Some(BOOT)).expect("a time");
        write!(client, "GET /slow/60000 HTTP/1.1\r\nHost: x\r\n\r\n").expect("room");
        // One worker takes what comes in the order in which it comes.
        get(address, "/").expect("an answer");
        mark = herd.mark();
        herd.signal_to(worker.pid, Signal::KILL);
        let killed = Instant::now();
        let mut answer = Vec::new();
        // The end, or a reset if the request was not read yet.
        let _ended = client.read_to_end(&mut answer);
        waited.push(killed.elapsed());
        assert!(answer.is_empty(), "{answer:?}");
    }
    wait_for(&herd, mark, 1, "ready", BOOT);
    assert_eq!(end(herd), [6, 6, 0, 0]);
    assert!(waited.iter().min() <= Some(&AT_ONCE), "{waited:?}");
}

/// Each worker stops before it can take a connection, and is killed with it.
#[test]
fn r23_a_connection_that_has_met_three_deaths_is_closed_and_counted() {
    let scene = Scene::new("node_poison");
    let script = scene.directory().join("stuck.js");
    fs::write(
        &script,
        "const server = require('net').createServer().listen(0, '127.0.0.1');\n\
         server.on('listening', () => process.kill(process.pid, 'SIGSTOP'));\n",
    )
    .expect("a script");
    let setup = scene.herd(Binary::HERDER).arg("run").arg(&script);
    // It stops before it can say that it listens.
    let options = ["-i", "1", "--max-restarts", "0", "--listen-timeout", "1s"];
    let herd = setup.args(options).start();
    let mut worker = wait_for(&herd, 0, 1, "ready", BOOT)[0];
    let mut client = TcpStream::connect(address(&herd)).expect("it listens");
    client.set_nonblocking(true).expect("it is a socket");
    let mut room = [0];
    for _ in 0..10 {
        let mark = herd.mark();
        herd.signal_to(worker.pid, Signal::KILL);
        worker = wait_for(&herd, mark, 1, "ready", BOOT)[0];
        // It may have been killed before it was given the connection.
        if client.read(&mut room).is_ok() {
            break;
        }
    }
    assert_eq!(client.read(&mut room).expect("it is closed"), 0);
    herd.wait_for_line("that it is told", BOOT, |line| {
        line.contains("1 whose workers died again and again")
            .then_some(())
    });
    herd.signal_to(worker.pid, Signal::CONT);
    assert_eq!(end(herd), [1, 3, 3, 1]);
}

#[test]
fn scenario_35_r25_ten_thousand_short_connections_leave_nothing() {
    let scene = Scene::new("node_35");
    for dispatch in ["pass", "shared"] {
        let herd = run(&scene, "serve.js", &["-i", "2", "--dispatch", dispatch]).start();
        wait_for(&herd, 0, 2, "ready", BOOT);
        let address = address(&herd);
        let master = herd.master().expect("it lives").pid;
        let look = || Baseline::default().with_descriptors_of(master);
        get(address, "/").expect("an answer");
        let before = look();
        let load = Load::http(address, "/").clients(16).count(10_000);
        load.timeout(BOOT).run().assert_no_failure();
        wait::until(BOOT, "its descriptors are as before", || {
            before.difference(&look()).is_empty().then_some(())
        });
        assert!(herd.end().success());
    }
}
